"""Who is measured: one small module an engine, all with one function.

    prepare(problem, threads) -> run
    run(start, steps) -> losses

`run` takes `steps` training steps, the first of them number `start` (from 0), from where the last
call ended, and returns the loss of each batch before its update. An engine that tells only the mean
of a call returns that one number. Calls follow each other without gaps and are whole epochs.
`problem.order.rows(start, steps)` has been asked for before the clock starts.

`prepare` raises `NotExpressible` if the engine cannot train that network by its public interface.
Each engine is imported in a process of its own, where everything that sets numbers of threads by
environment has been told `threads`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

Run = Callable[[int, int], Sequence[float]]


class NotExpressible(Exception):
    """The engine's public interface has no such network, loss or rule."""


OURS = "chainrule"


@dataclass(frozen=True)
class Engine:
    """Somebody who can train.

    Attributes:
        module: holds `prepare`.
        needs: what must be importable, "" for nothing more.
        package: its name for pip.
        peer: whether it counts among those that chainrule is compared with.
    """

    name: str
    module: str
    needs: str = ""
    package: str = ""
    peer: bool = True

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return not self.needs or find_spec(self.needs) is not None

    @property
    def install(self) -> str:
        """The command that installs what is missing."""
        return f"pip install {self.package}"

    def environment(self, threads: int) -> dict[str, str]:
        """The environment of its process."""
        count = str(threads)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return {**os.environ, **dict.fromkeys(names, count), "BENCHMARK_THREADS": count}


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(OURS, "benchmarks.engines.ours", peer=False),
        Engine("reference", "benchmarks.engines.reference", peer=False),
        Engine("numpy", "benchmarks.engines.by_hand"),
        Engine("sklearn", "benchmarks.engines.scikit", "sklearn", "scikit-learn"),
        Engine("torch", "benchmarks.engines.pytorch", "torch", "torch"),
        Engine("torch.compile", "benchmarks.engines.pytorch_compiled", "torch", "torch"),
        Engine("jax", "benchmarks.engines.jax_scan", "jax", "jax"),
    )
}
