"""The steps of an epoch as machine code: gather the rows, forward, loss, backward, update."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.differentiate import substitute
from chainrule.expr import EXAMPLES, Expr, Spec, input_
from chainrule.nn import KEY
from chainrule.ops import OPS, transpose
from chainrule.plan.lower import without_scalars
from chainrule.plan.program import program
from chainrule.plan.sizes import all_sizes
from chainrule.plan.steps import StepPlan
from chainrule.run.bind import Array
from chainrule.run.block import Block, Layout
from chainrule.run.built import built
from chainrule.run.engine import Engine
from chainrule.run.machine import processor
from chainrule.run.recipe import Recipe
from chainrule.run.reference import Reference
from chainrule.run.warm import WarmEngine
from chainrule.training.step import Step
from chainrule.training.stretch import LOSS, Numbers, Stretch, Watch

ROWS, ALL = "rows", "all rows"


class Compiled:
    """A training step as machine code, for batches of one size.

    Args:
        step: what one step computes.
        data: inputs that hold one entry for each row: all rows of the data, by name.
        sizes: the size of every axis but that of the rows of a batch.
        batch: rows in one step.
        examples: the axis that counts them.
        threads: how many threads to use; None: as many as pay.
        soon: whether the first steps begin sooner and take longer; see `chainrule.run.warm`.
    """

    def __init__(
        self,
        step: Step,
        data: Mapping[str, Array],
        sizes: Mapping[str, int],
        batch: int,
        dtype: np.dtype[Any],
        examples: str = EXAMPLES,
        threads: int | None = None,
        *,
        soon: bool = False,
    ) -> None:
        self.step, self.data, self.batch, self.dtype = step, data, batch, dtype
        inputs = {x.name: x for x in step.program.inputs}
        outputs = {key or LOSS: value for key, value in step.program.outputs}
        self._count = len(next(iter(data.values())))
        whole = batch == self._count  # a batch of all rows keeps their own order
        everywhere, gathered = _gathered(inputs, data, examples, whole)
        outputs = _replaced(outputs, gathered)
        self._numbers = (inputs[step.t], inputs[step.eta])
        outputs, self._scalars = without_scalars(outputs, self._numbers)
        self.state = [n for n in outputs if n in inputs]
        self.extra = [n for n in outputs if n not in inputs and n != LOSS]
        kept = {n: x for n, x in inputs.items() if n not in data and x not in self._numbers}
        supplied = {**kept, **everywhere, **{s: input_(s, "") for s in self._scalars}}
        counted = {**sizes, examples: batch, ALL: self._count}
        counted, _ = all_sizes([*outputs.values(), *supplied.values()], counted)
        self._varies = [LOSS, *self.extra]
        self._keyed = KEY in kept
        steps = [*[ROWS] * (not whole), *[KEY] * self._keyed]
        about = (counted, dtype.itemsize, processor(), threads, examples, tuple(kept))
        per_step = (*self._scalars, *self._varies, *steps)
        self.recipe = Recipe(supplied, outputs, *about, per_step, LOSS)
        self.engine = WarmEngine(self.recipe) if soon else Engine(built(self.recipe))
        self._buffers = self.engine.storage.buffers
        held = [self._buffers[name] for name in kept if name != KEY]
        self._layout = Layout(held, dtype)
        self._last: Block | None = None

    @property
    def plan(self) -> StepPlan:
        """How a step is divided."""
        return self.recipe.plan

    def run(
        self,
        values: Mapping[str, Array],
        order: NDArray[np.int64],
        numbers: Numbers,
        watch: Watch | None = None,
    ) -> Stretch:
        """See `Runner`."""
        arrays, block = self.arrays(values, order, numbers)
        losses = arrays[LOSS]
        told = None if watch is None else lambda n: watch(n, float(losses[n - 1])) if n else None
        interrupted = False
        self.engine.clear()  # Ctrl-C may come before the run has begun
        try:
            self.engine.run(arrays, len(numbers), told, block=block)
        except KeyboardInterrupt:
            interrupted = True
        done = self.engine.done
        outputs = {name: arrays[name][:done] for name in self.extra}
        self._last = block
        state = {n: block.arrays[n] for n in self.state}
        return Stretch(losses[:done], outputs, state, interrupted)

    def arrays(
        self, values: Mapping[str, Array], order: NDArray[np.int64], numbers: Numbers
    ) -> tuple[dict[str, Array], Block]:
        """What the engine runs these steps on; the block has copies of whatever they change."""
        block = Block(self._layout, values, self._last)
        arrays = {_all(n): np.ascontiguousarray(x) for n, x in self.data.items()}
        if self.batch < self._count:
            arrays[ROWS] = np.ascontiguousarray(order, np.int64)
        arrays |= self._of_steps(numbers)
        for name in self._varies:
            shape = self._buffers[name].shape
            arrays[name] = np.empty((len(numbers), *shape), self.dtype)
        return arrays, block

    def _of_steps(self, numbers: Numbers) -> dict[str, Array]:
        """What depends on the step alone, in double precision until it is stored."""
        found: dict[str, Array] = {}
        if self._keyed:
            assert numbers.key is not None
            found[KEY] = np.ascontiguousarray(numbers.key).view(np.int64)
        if self._scalars:
            t, eta = self._numbers
            # elementwise, so numbers of all steps at once work as well as one
            given = {
                t.name: np.arange(numbers.first, numbers.first + len(numbers), dtype=np.float64),
                eta.name: numbers.eta,
            }
            first, rest = self._of_step.run(given)
            with np.errstate(over="ignore"):  # an infinite rate is reported as what it does
                for name, value in zip(self._scalars, (first, *rest.values()), strict=True):
                    found[name] = np.empty(len(numbers), self.dtype)
                    found[name][...] = value
        return found

    @functools.cached_property
    def _of_step(self) -> Reference:
        first, *rest = self._scalars.items()
        outputs = {"": first[1], **dict(rest)}
        return Reference(program("of_step", self._numbers, outputs, {}))


def _all(name: str) -> str:
    return f"{name} of all rows"


def _gathered(
    inputs: Mapping[str, Expr], data: Iterable[str], examples: str, whole: bool
) -> tuple[dict[str, Expr], dict[Expr, Expr]]:
    """Inputs for all rows and their numbers, and what each data input is in terms of them.

    Where a batch is the `whole` data there is nothing to gather.
    """
    rows = input_(ROWS, Spec((examples,), {}, "int"))
    supplied = {} if whole else {ROWS: rows}
    found = {}
    for name in data:
        x = inputs[name]
        rest = tuple(axis for axis in x.axes if axis != examples)
        counted = examples if whole else ALL
        stored = input_(_all(name), Spec((counted, *rest), x.sizes, x.kind))
        supplied[stored.name] = stored
        batch = stored if whole else OPS["gather"](stored, rows, ALL)
        found[x] = transpose(batch, x.axes)
    return supplied, found


def _replaced(outputs: Mapping[str, Expr], new: Mapping[Expr, Expr]) -> dict[str, Expr]:
    done = substitute(outputs.values(), new)
    return {name: done[value] for name, value in outputs.items()}
