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
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

Run = Callable[[int, int], Sequence[float]]


class NotExpressible(Exception):
    """The engine's public interface has no such network, loss or rule."""


OURS = "chainrule"
THREADS = "CHAINRULE_BENCH_THREADS"  # for engines that must know before they import their package
THREAD_COUNTS = (THREADS, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
BLAS_CHOICES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Engine:
    """Somebody who can train.

    Attributes:
        module: holds `prepare`.
        needs: what must be importable, "" for nothing more.
        package: its name for pip.
        peer: whether it counts among those that chainrule is compared with.
        usual: whether it is measured unless others are named.
    """

    name: str
    module: str
    needs: str = ""
    package: str = ""
    peer: bool = True
    usual: bool = True

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return not self.needs or find_spec(self.needs) is not None

    @property
    def install(self) -> str:
        """The command that installs what is missing."""
        return f"pip install {self.package}"

    def environment(self, threads: int) -> dict[str, str]:
        """The environment of its process: this one with `threads` threads.

        It imports what this process would import. OpenBLAS chooses its kernels itself: variables
        that force a choice may have been set for another reason than speed, and where the kernels
        of its choice are wrong, the losses say so. Nothing is compiled already.
        """
        kept = {name: value for name, value in os.environ.items() if name not in BLAS_CHOICES}
        path = os.pathsep.join(folder for folder in sys.path if folder)
        fresh = {"PYTHONPATH": path, "CHAINRULE_CACHE": "off"}
        return {**kept, **dict.fromkeys(THREAD_COUNTS, str(threads)), **fresh}


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(OURS, "chainrule.bench.engines.ours", peer=False),
        Engine("reference", "chainrule.bench.engines.reference", peer=False, usual=False),
        Engine("numpy", "chainrule.bench.engines.by_hand"),
        Engine("sklearn", "chainrule.bench.engines.scikit", "sklearn", "scikit-learn"),
        Engine("torch", "chainrule.bench.engines.pytorch", "torch", "torch"),
        # compiles for 20 s or more before its first step
        Engine(
            "torch.compile",
            "chainrule.bench.engines.pytorch_compiled",
            *("torch", "torch"),
            usual=False,
        ),
        Engine("jax", "chainrule.bench.engines.jax_scan", "jax", "jax"),
    )
}
