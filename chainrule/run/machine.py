"""A Program as machine code: the twin of the reference executor, with the same call."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from chainrule.expr import EXAMPLES
from chainrule.plan.program import Program
from chainrule.plan.steps import StepPlan
from chainrule.plan.tiles import Processor
from chainrule.run.bind import Array, bind, sizes_of
from chainrule.run.built import built
from chainrule.run.demands import Demands, demands, refuse
from chainrule.run.engine import Engine
from chainrule.run.jit import host
from chainrule.run.recipe import Recipe
from chainrule.run.targets import TARGETS
from chainrule.run.waiting import processors

MOST_ENGINES = 16  # sizes for which code is kept; the one used longest ago goes first


@functools.cache
def processor(kind: str | None = None) -> Processor:
    """This processor, or one of the `TARGETS`, as far as plans must know it."""
    here = TARGETS[kind].host if kind else host()
    return Processor(here.register_bytes, here.registers, processors())


class Machine:
    """A Program compiled for the sizes and the float type that it is called with.

    Args:
        program: what to run.
        threads: how many threads work on it; None: as many as pay.
    """

    def __init__(self, program: Program, threads: int | None = None) -> None:
        self.program, self.threads = program, threads
        self._outputs = {key or "value": value for key, value in program.outputs}
        self._engine = functools.lru_cache(MOST_ENGINES)(self._compiled)

    @functools.cached_property
    def _demands(self) -> Demands:
        return demands(self._outputs.values())

    def __call__(self, **given: object) -> tuple[Array, dict[str, Array]]:
        """Run on checked arrays; see `chainrule.run.reference.Reference`."""
        arrays = bind(self.program.inputs, given, where=self.program.name)
        sizes = refuse(self._demands, arrays, sizes_of(self.program.inputs, arrays))
        return self.run(arrays, sizes)

    def run(
        self, arrays: Mapping[str, Array], sizes: Mapping[str, int]
    ) -> tuple[Array, dict[str, Array]]:
        """Run on arrays that fit, of these sizes."""
        engine = self.engine(arrays, sizes)
        buffers = {name: np.require(a, None, ["C", "A"]) for name, a in arrays.items()}
        found = {}
        for key, value in self._outputs.items():
            buffer = engine.storage.buffers[slot(key)]
            dtype = np.int64 if value.kind == "int" else f"f{engine.storage.itemsize}"
            found[key] = buffers[buffer.name] = np.empty(buffer.shape, dtype)
        for x in self.program.inputs:  # truth values are 0 and 1 there
            wanted = np.int64 if x.kind == "int" else f"f{engine.storage.itemsize}"
            buffers[x.name] = buffers[x.name].astype(wanted, copy=False)
        engine.run(buffers, wait=False)  # nobody sees what a call that Ctrl-C ends would have found
        first, *rest = found.items()
        return first[1], dict(rest)

    def engine(self, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> Engine:
        """The code for these arrays, compiled if they are the first of their sizes."""
        floats = [arrays[x.name].dtype for x in self.program.inputs if x.kind == "float"]
        itemsize = floats[0].itemsize if floats else 8
        return self._engine(tuple(sorted(sizes.items())), itemsize)

    def plan(self, sizes: Mapping[str, int], itemsize: int, kind: str | None = None) -> StepPlan:
        """How the program is divided at these sizes, for this processor or one of the `TARGETS`."""
        return self.recipe(sizes, itemsize, kind).plan

    def recipe(self, sizes: Mapping[str, int], itemsize: int, kind: str | None = None) -> Recipe:
        """What the code for these sizes is made of."""
        inputs = {x.name: x for x in self.program.inputs}
        outputs = {slot(key): value for key, value in self._outputs.items()}
        about = (sizes, itemsize, processor(kind), self.threads, EXAMPLES)
        return Recipe(inputs, outputs, *about, padded=(), per_step=(), loss=next(iter(outputs)))

    def _compiled(self, sizes: tuple[tuple[str, int], ...], itemsize: int) -> Engine:
        return Engine(built(self.recipe(dict(sizes), itemsize)))


def slot(output: str) -> str:
    """The buffer of an output: never one of an input, which would be overwritten."""
    return f"{output} (result)"
