"""Functions of rows: any number of them, compiled for two, the same bits for a row anywhere."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from chainrule.differentiate import substitute
from chainrule.expr import Expr, Spec, input_
from chainrule.ops import transpose
from chainrule.plan.program import Program
from chainrule.plan.sizes import all_sizes
from chainrule.run.bind import Array, sizes_of
from chainrule.run.built import built
from chainrule.run.engine import Engine
from chainrule.run.machine import MOST_ENGINES, processor, slot
from chainrule.run.recipe import Recipe
from chainrule.run.reference import VALUE
from chainrule.run.team import PATIENCE_S, together
from chainrule.run.warm import WarmEngine

MANY = 256  # rows of a chunk: weights are read once for all of them, and their values stay in cache
FEW = 8  # rows of a chunk where fewer than MANY are left; the last ones are filled up with zeros
LEAST_S = 0.0005  # work that is worth a thread of its own, which takes 0.1 ms to start
SHARES = 4  # pieces for each thread: one that is held up leaves its pieces to the others
ENDLESS = "endless"  # what could end the chunks of an engine early, and never does

Rows = Mapping[str, Array]
Piece = Callable[[], object]
Runs = Engine | WarmEngine


class ByRow:
    """A program of which each row of results needs one row of inputs only, as machine code.

    It is compiled for `MANY` rows and for `FEW`, each when first needed, and never for another
    number. A row gets the same bits in any company and with any number of threads. Several threads
    of the caller may call it at the same time.

    Args:
        program: what to run; outputs have `examples` as their first axis.
        by_row: names of the inputs that hold rows.
        examples: the axis that counts rows.
        threads: how many threads share the rows; None: as many as pay.
        soon: whether the first rows begin sooner and take longer; see `chainrule.run.warm`.
    """

    def __init__(
        self,
        program: Program,
        by_row: Collection[str],
        examples: str,
        threads: int | None = None,
        *,
        soon: bool = False,
    ) -> None:
        self.by_row, self.examples, self.threads = tuple(by_row), examples, threads
        self.soon = soon
        self._inputs: dict[str, Expr] = {}
        new: dict[Expr, Expr] = {}
        for x in program.inputs:
            self._inputs[x.name] = _rows_first(x, examples) if x.name in by_row else x
            new[x] = transpose(self._inputs[x.name], x.axes)
        done = substitute([value for _, value in program.outputs], new)
        self._outputs = {key or VALUE: done[value] for key, value in program.outputs}
        self._engine = functools.lru_cache(MOST_ENGINES)(self._compiled)

    def __call__(self, values: Mapping[str, Array], rows: Rows) -> dict[str, Array]:
        """The outputs for some rows.

        Args:
            values: inputs that hold no rows; what is no input is not looked at.
            rows: inputs that do, rows first.

        Returns:
            By name, rows first; the first output is `VALUE`.

        Raises:
            KeyboardInterrupt: Ctrl-C, after the chunks under way.
        """
        given = {name: (rows if name in self.by_row else values)[name] for name in self._inputs}
        dtype = next(given[n].dtype for n, x in self._inputs.items() if x.kind == "float")
        arrays = {ENDLESS: np.zeros((), dtype)} | {
            name: np.require(given[name], _stored(x, dtype), ["C", "A"])
            for name, x in self._inputs.items()
        }
        sizes = sizes_of(self._inputs.values(), arrays)
        count = sizes.pop(self.examples)
        engine = functools.partial(self._engine, tuple(sorted(sizes.items())), dtype.itemsize)
        buffers = engine(MANY if count >= MANY else FEW).storage.buffers
        for name, x in self._outputs.items():
            shape = (count, *buffers[slot(name)].shape[1:])
            arrays[slot(name)] = np.empty(shape, _stored(x, dtype))
        self._run(arrays, count, engine)
        return {name: arrays[slot(name)] for name in self._outputs}

    def _run(self, arrays: Rows, count: int, engine: Callable[[int], Runs]) -> None:
        """All chunks, divided among as many threads as pay."""
        whole = count - count % MANY
        pieces: deque[Piece] = deque()
        threads = self.threads or 1
        if whole:
            threads = self._cut(arrays, engine(MANY), whole, pieces)
        if whole < count:
            pieces.append(functools.partial(self._left, arrays, engine(FEW), whole, count))
        if threads == 1:
            _work_through(pieces)
        else:
            work = functools.partial(_work_through, pieces)
            together([work] * threads, pieces.clear)

    def _cut(self, arrays: Rows, many: Runs, whole: int, pieces: deque[Piece]) -> int:
        """Put pieces of the first `whole` rows into `pieces`; how many threads pay for them."""
        start = 0
        if many.pace_s is None:
            start = MANY  # the first chunk tells how long the others take
            many.run(self._from(arrays, 0), 1)
        each_s = max(many.pace_s or 0.0, 1e-9)
        work_s = each_s * (whole - start) / MANY
        threads = self.threads or max(1, min(processor().cores, int(work_s / LEAST_S)))
        share_s = work_s / (SHARES * threads) if threads > 1 else work_s
        # between pieces Ctrl-C is heard
        chunks = max(1, round(min(share_s, PATIENCE_S / 2) / each_s))
        for first in range(start, whole, chunks * MANY):
            count = min(chunks, (whole - first) // MANY)
            pieces.append(functools.partial(many.run, self._from(arrays, first), count))
        return threads

    def _left(self, arrays: Rows, few: Runs, start: int, stop: int) -> None:
        """The rows after the last whole chunk of `MANY`."""
        full = (stop - start) // FEW
        if full:
            few.run(self._from(arrays, start), full)
        start += full * FEW
        if start == stop:
            return
        filled = {n: _filled(a[start:]) if self._moves(n) else a for n, a in arrays.items()}
        few.run(filled, 1)
        for name in self._outputs:
            arrays[slot(name)][start:] = filled[slot(name)][: stop - start]

    def _moves(self, name: str) -> bool:
        """Whether an array has a row for each row."""
        return name in self.by_row or (name not in self._inputs and name != ENDLESS)

    def _from(self, arrays: Rows, start: int) -> Rows:
        """The arrays as an engine sees them that begins at a row."""
        return {name: a[start:] if self._moves(name) else a for name, a in arrays.items()}

    def _compiled(self, sizes: tuple[tuple[str, int], ...], itemsize: int, chunk: int) -> Runs:
        outputs = {slot(name): value for name, value in self._outputs.items()}
        supplied = {**self._inputs, ENDLESS: input_(ENDLESS, "")}
        roots = [*outputs.values(), *supplied.values()]
        known, _ = all_sizes(roots, {**dict(sizes), self.examples: chunk})
        about = (known, itemsize, processor(), 1, self.examples)
        per_step = (*self.by_row, *outputs)
        recipe = Recipe(supplied, outputs, *about, padded=(), per_step=per_step, loss=ENDLESS)
        return WarmEngine(recipe) if self.soon else Engine(built(recipe))


def _work_through(pieces: deque[Piece]) -> None:
    """Take pieces until none is left; other threads may do so too."""
    while True:
        try:
            piece = pieces.popleft()
        except IndexError:
            return
        piece()


def _rows_first(x: Expr, examples: str) -> Expr:
    rest = tuple(axis for axis in x.axes if axis != examples)
    return input_(x.name, Spec((examples, *rest), x.sizes, x.kind))


def _stored(x: Expr, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.int64) if x.kind == "int" else dtype


def _filled(part: Array) -> Array:
    """A chunk of `FEW` rows: those of `part`, then zeros."""
    chunk = np.zeros((FEW, *part.shape[1:]), part.dtype)
    chunk[: len(part)] = part
    return chunk
