"""Independent derivatives along given directions: complex step, or central differences.

Complex step (Squire & Trapp 1998): at x + ih v, with h so small that h² vanishes beside 1, the
imaginary part of the result divided by h is the derivative along v, free of cancellation. Where a
primitive has no complex form, central differences are extrapolated to step 0 (Ridders 1982), which
also estimates their error.

At a kink there are two slopes, one to each side; both methods find them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.check.primitives import NOT_ANALYTIC
from chainrule.differentiate import depends_on
from chainrule.expr import Expr

# its square, 6e-61, vanishes beside every real part; a power of two divides exactly
STEP = 2.0**-100
ENTRIES_AT_ONCE = 1 << 20  # numbers in the largest array of one batch: 16 MB when complex
SAMPLES = 8  # of simulated rounding errors: the largest is within a factor two or so of others
EPS = float(np.finfo(np.float64).eps)
FIRST_STEP = 2.0**-4  # of differences, relative to the size of the values
LEVELS = 8  # steps, each half the one before
# smaller and smaller first steps where a kink is near: to 2^-19 and 2^-27 of the values
STAGES = {"float32": 2, "float64": 3}
# between the difference of two extrapolations and the error of the better one
RIDDERS_SAFETY = 10.0
OTHER_STEP = 1 / math.sqrt(3)  # no power of two: a second opinion from points of its own

Moves = Mapping[str, Array]
"""For each input that moves: one direction a point, (points, *axes of the input)."""


@dataclass(frozen=True)
class Slopes:
    """Derivatives at each point along its direction.

    Attributes:
        value: the derivative, or one of those between `left` and `right` at a kink.
        left, right: the slopes to both sides; equal to `value` where there is no kink.
        error: how far `value` may be off by its method alone, rounding errors of a complex step
            apart.
    """

    value: Array
    left: Array
    right: Array
    error: Array


class Oracle:
    """A scalar network at one point, as an independent derivative sees it.

    Args:
        graph: its loss.
        inputs: the inputs of the definition.
        arrays: values for them; real ones are taken as float64.
        wrt: the inputs that may move.
        dtype: the float type of the derivatives under test: kinks within its rounding errors are
            kinks, and the masks of dropout are drawn in it.

    Attributes:
        value: the loss.
        rounding: how much simulated float64 rounding errors change it.
        method: "complex step" or "differences".
        at_once: for how many directions `slopes` may be asked in one call.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[Expr],
        arrays: Mapping[str, Array],
        wrt: Sequence[Expr],
        dtype: str,
    ) -> None:
        self._graph, self._dtype = graph, dtype
        self._noise = np.random.default_rng(0)
        self._axes = {x.name: x.axes for x in inputs}
        self._base = {
            x.name: np.asarray(arrays[x.name], np.float64 if x.kind == "float" else None)
            for x in inputs
        }
        self._sizes = graph.sizes(self._base)
        run = self._run()
        self.value = float(self._values({}, run)[0])
        self._first = run
        moving = depends_on(graph.roots[0], wrt)
        analytic = not any(node.op in NOT_ANALYTIC and node in moving for node in graph.nodes)
        self.method = "complex step" if analytic else "differences"
        largest = max(math.prod(self._sizes[a] for a in node.axes) for node in graph.nodes)
        self.at_once = max(1, ENTRIES_AT_ONCE // max(largest, 1))
        noisy = self._values({}, run.again(self._noise, EPS, SAMPLES), SAMPLES)
        self.rounding = float(np.max(np.abs(noisy - self.value)))

    def slopes(self, moves: Moves, scale: Array) -> Slopes:
        """The derivative of the loss along each direction; `scale`: the size of what moves."""
        if self.method == "complex step":
            return self._complex(moves)
        return self._differences(moves, scale)

    def doubt(self, moves: Moves, scale: Array, samples: int = SAMPLES) -> Array:
        """How much the derivatives themselves are in doubt, by a second and slower look."""
        if self.method == "differences":
            first, second = (self.slopes(moves, s).value for s in (scale, OTHER_STEP * scale))
            return np.asarray(np.abs(first - second))
        first = self.slopes(moves, scale).value
        runs = [self._first.again(self._noise, EPS, len(first)) for _ in range(samples)]
        noisy = [self._imaginary(moves, run) for run in runs]
        return np.asarray(np.max([np.abs(n - first) for n in noisy], axis=0))

    def nearby(self, moves: Moves, eps: float, samples: int) -> tuple[Array, Array]:
        """The slopes that rounding errors of size `eps` can lead to, where a kink is that near.

        Returns:
            Slopes (samples, points), and at which points some decision came out differently.
        """
        if self.method == "differences":
            count = _points(moves)
            return np.zeros((1, count)), np.zeros(count, bool)
        how = {"noise": self._noise, "eps": eps, "points": _points(moves)}
        runs = [self._run(**how) for _ in range(samples)]
        drawn = np.array([self._imaginary(moves, run) for run in runs])
        return drawn, np.any([self._crossed(run, _points(moves)) for run in runs], axis=0)

    def _run(self, **how: object) -> Run:
        return Run(self._sizes, self._dtype, **how)  # type: ignore[arg-type]

    def _values(self, moved: Mapping[str, Array], run: Run, points: int = 1) -> Array:
        values = {name: Named(array, self._axes[name]) for name, array in self._base.items()}
        values |= {name: Named(array, (POINTS, *self._axes[name])) for name, array in moved.items()}
        return np.broadcast_to(self._graph(values, run)[0].at((POINTS,)), points)

    def _imaginary(self, moves: Moves, run: Run, step: float = STEP) -> Array:
        moved = {name: self._base[name] + 1j * step * move for name, move in moves.items()}
        return np.asarray(self._values(moved, run, _points(moves)).imag / step)

    def _complex(self, moves: Moves) -> Slopes:
        run = self._run()
        value = self._imaginary(moves, run)
        left, right = value.copy(), value.copy()
        tied = np.broadcast_to(run.tied, value.shape)
        if tied.any():
            some = {name: move[tied] for name, move in moves.items()}
            right[tied] = self._imaginary(some, self._run(towards=True))
            left[tied] = self._imaginary(some, self._run(towards=True), -STEP)
        return Slopes(value, left, right, np.zeros_like(value))

    def _crossed(self, run: Run, points: int, reference: Run | None = None) -> Array:
        """At which points some decision came out differently than in the reference."""
        crossed = np.zeros(points, bool)
        first = reference or self._first
        for was, now in zip(first.decisions, run.decisions, strict=True):
            crossed |= _differs(was, now)
        return crossed

    def _moved(self, moves: Moves, step: Array) -> tuple[Array, Run]:
        run = self._run(frozen=iter(self._first.stopped))
        moved = {
            name: self._base[name] + move * step.reshape(-1, *[1] * (move.ndim - 1))
            for name, move in moves.items()
        }
        return self._values(moved, run, len(step)), run

    def _differences(self, moves: Moves, scale: Array) -> Slopes:
        value = np.full(len(scale), np.nan)
        error = np.full(len(scale), np.inf)
        for stage in range(STAGES[self._dtype]):
            open_ = ~np.isfinite(error)
            if open_.any():
                some = {name: move[open_] for name, move in moves.items()}
                step = scale[open_] * FIRST_STEP / 2.0 ** (LEVELS * stage)
                value[open_], error[open_] = self._central(some, step)
        left, right = value.copy(), value.copy()
        kink = ~np.isfinite(error)
        if kink.any():
            some = {name: move[kink] for name, move in moves.items()}
            (right[kink], above), (left[kink], below) = (
                self._one_sided(some, side * scale[kink] * FIRST_STEP) for side in (1, -1)
            )
            value[kink] = (left[kink] + right[kink]) / 2
            error[kink] = np.maximum(above, below)
        return Slopes(value, left, right, RIDDERS_SAFETY * error)

    def _central(self, moves: Moves, step: Array) -> tuple[Array, Array]:
        rows, rounding = [], []
        for level in range(LEVELS):
            h = step / 2.0**level
            (above, up), (below, down) = self._moved(moves, h), self._moved(moves, -h)
            crossed = self._crossed(up, len(step)) | self._crossed(down, len(step))
            rows.append(np.where(crossed, np.nan, (above - below) / (2 * h)))
            rounding.append(self.rounding / h)
        return extrapolated(rows, rounding, 4.0)

    def _one_sided(self, moves: Moves, step: Array) -> tuple[Array, Array]:
        _, nearest = self._moved(moves, step / 2.0 ** (LEVELS * STAGES[self._dtype] - 1))
        rows, rounding = [], []
        for level in range(LEVELS * STAGES[self._dtype] - 1):
            h = step / 2.0**level
            value, run = self._moved(moves, h)
            crossed = self._crossed(run, len(step), nearest)
            rows.append(np.where(crossed, np.nan, (value - self.value) / h))
            rounding.append(2 * self.rounding / np.abs(h))
        return extrapolated(rows, rounding, 2.0)


def extrapolated(
    rows: Sequence[Array], rounding: Sequence[Array], order: float
) -> tuple[Array, Array]:
    """The limit of differences whose step is halved from row to row, and an estimate of its error.

    Args:
        rows: differences; NaN where they may not be used.
        rounding: for each row the error that rounding of the values causes.
        order: what one halving divides the leading error by: 4 for central differences, 2 for
            one-sided ones.

    Source: C. Ridders, Accurate computation of F′(x) and F′(x) F″(x), Advances in Engineering
    Software 4, 1982.
    """
    best = np.full_like(rows[0], np.nan)
    error = np.full_like(rows[0], np.inf)
    before: list[Array] = []
    for row, noise in zip(rows, rounding, strict=True):
        now = [row]
        for k, coarse in enumerate(before):
            finer = now[k] + (now[k] - coarse) / (order ** (k + 1) - 1)
            estimate = np.maximum(np.abs(finer - now[k]), np.abs(finer - coarse)) + noise
            better = estimate < error  # never where one of the rows is NaN
            best, error = np.where(better, finer, best), np.where(better, estimate, error)
            now.append(finer)
        before = now
    return best, error


def _points(moves: Moves) -> int:
    return len(next(iter(moves.values())))


def _differs(was: Named, now: Named) -> Array:
    """Where, along the points, two decisions are not the same."""
    axes = tuple(dict.fromkeys((POINTS, *was.axes, *now.axes)))
    different = was.at(axes) != now.at(axes)
    return np.asarray(different.any(axis=tuple(range(1, len(axes)))))
