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
from chainrule.plan.steps import plan_step
from chainrule.run.bind import Array
from chainrule.run.engine import Engine
from chainrule.run.machine import processor
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
        everywhere, gathered = _gathered(inputs, data, examples)
        outputs = _replaced(outputs, gathered)
        self._numbers = (inputs[step.t], inputs[step.eta])
        outputs, self._scalars = without_scalars(outputs, self._numbers)
        self.state = [n for n in outputs if n in inputs]
        self.extra = [n for n in outputs if n not in inputs and n != LOSS]
        kept = {n: x for n, x in inputs.items() if n not in data and x not in self._numbers}
        supplied = {**kept, **everywhere, **{s: input_(s, "") for s in self._scalars}}
        counted = {**sizes, examples: batch, ALL: len(next(iter(data.values())))}
        counted, _ = all_sizes([*outputs.values(), *supplied.values()], counted)
        self.plan = plan_step(
            supplied, outputs, counted, dtype.itemsize, processor(), threads, examples, list(kept)
        )
        self._names = list(kept)
        moving = [ROWS, LOSS, *self._scalars, *self.extra]
        moving += [KEY] if KEY in kept else []
        self.engine = (WarmEngine if soon else Engine)(self.plan, moving, LOSS)

    def run(
        self,
        values: Mapping[str, Array],
        order: NDArray[np.int64],
        numbers: Numbers,
        watch: Watch | None = None,
    ) -> Stretch:
        """See `Runner`."""
        steps = len(numbers)
        arrays = {n: self._padded(n, values[n]) for n in self._names if n != KEY}
        arrays |= {_all(n): np.ascontiguousarray(x) for n, x in self.data.items()}
        arrays[ROWS] = np.ascontiguousarray(order, np.int64)
        arrays |= self._of_steps(numbers)
        for name in (LOSS, *self.extra):
            arrays[name] = np.empty((steps, *self.plan.buffers[name].shape), self.dtype)
        losses = arrays[LOSS]
        told = None if watch is None else lambda n: watch(n, float(losses[n - 1])) if n else None
        interrupted = False
        self.engine.clear()  # Ctrl-C may come before the run has begun
        try:
            self.engine.run(arrays, steps, told)
        except KeyboardInterrupt:
            interrupted = True
        done = self.engine.done
        outputs = {name: arrays[name][:done] for name in self.extra}
        state = {n: self._plain(n, arrays[n]) for n in self.state}
        return Stretch(losses[:done], outputs, state, interrupted)

    def _padded(self, name: str, value: Array) -> Array:
        """A copy whose rows begin where vectors begin; the padding is 0."""
        buffer = self.plan.buffers[name]
        copy = aligned(buffer.room, self.dtype if buffer.kind == "f" else np.dtype(np.int64))
        self._plain(name, copy)[...] = value
        return copy

    def _plain(self, name: str, padded: Array) -> Array:
        """The array without its padding; a view."""
        shape = self.plan.buffers[name].shape
        return padded[..., : shape[-1]] if shape else padded

    def _of_steps(self, numbers: Numbers) -> dict[str, Array]:
        """What depends on the step alone, in double precision until it is stored."""
        found: dict[str, Array] = {}
        if KEY in self._names:
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
            rows = np.stack([np.broadcast_to(x, len(numbers)) for x in (first, *rest.values())])
            cast = rows.astype(self.dtype)
            found |= dict(zip(self._scalars, cast, strict=True))
        return found

    @functools.cached_property
    def _of_step(self) -> Reference:
        first, *rest = self._scalars.items()
        outputs = {"": first[1], **dict(rest)}
        return Reference(program("of_step", self._numbers, outputs, {}))


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any], to: int = 64) -> Array:
    """Zeros whose first entry lies at a multiple of `to` bytes."""
    count = int(np.prod(shape, dtype=np.int64))
    room = np.zeros(count * dtype.itemsize + to, np.uint8)
    start = -room.ctypes.data % to
    return room[start : start + count * dtype.itemsize].view(dtype).reshape(shape)


def _all(name: str) -> str:
    return f"{name} of all rows"


def _gathered(
    inputs: Mapping[str, Expr], data: Iterable[str], examples: str
) -> tuple[dict[str, Expr], dict[Expr, Expr]]:
    """Inputs for all rows and their numbers, and what each data input is in terms of them."""
    rows = input_(ROWS, Spec((examples,), {}, "int"))
    supplied = {ROWS: rows}
    found = {}
    for name in data:
        x = inputs[name]
        rest = tuple(axis for axis in x.axes if axis != examples)
        whole = input_(_all(name), Spec((ALL, *rest), x.sizes, x.kind))
        supplied[whole.name] = whole
        found[x] = transpose(OPS["gather"](whole, rows, ALL), x.axes)
    return supplied, found


def _replaced(outputs: Mapping[str, Expr], new: Mapping[Expr, Expr]) -> dict[str, Expr]:
    done = substitute(outputs.values(), new)
    return {name: done[value] for name, value in outputs.items()}
