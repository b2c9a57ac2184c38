"""Every line of a derivation evaluated, and compared with the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import numpy as np

from chainrule.check.draw import INTERVALS, draw
from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.check.oracle import STEP
from chainrule.errors import DataError, GradientMismatch
from chainrule.explain.chains import Chain
from chainrule.explain.lines import Line, Term
from chainrule.explain.network import Network
from chainrule.explain.values import (
    ENTRIES_AT_ONCE,
    EPS,
    SAMPLES,
    Known,
    Piece,
    Point,
    unit_moves,
)
from chainrule.expr import Expr, postorder
from chainrule.run.bind import bind
from chainrule.run.keyed import normal

SAFETY = 8.0  # between the largest change in eight simulated roundings and what a real one may do
ATTEMPTS = 3
ALL_ENTRIES = 256  # up to so many entries of a value each is compared; else random directions
DIRECTIONS = 16
# a complex step of length h is off by terms in h², here some 1e-61 of what they multiply
SMALLEST = 1000 * STEP**2
# two slopes of a kink within rounding errors of each other cannot be told apart from one
TINY = 4 * EPS


@dataclass(frozen=True)
class Difference:
    """Two lines that are not equal.

    Attributes:
        of: the value whose derivative it is.
        line: which line differs from the one before, counted from 1 (0: the derivative itself).
        rule: the rule that should have made it equal.
        op: the operation whose record gave it; "" where none was asked.
        before, now: both, at the entry that differs most.
        tolerance: how far they may be apart.
    """

    of: str
    line: int
    rule: str
    op: str
    before: float
    now: float
    tolerance: float

    def __str__(self) -> str:
        return (
            f"∂L/∂{self.of}, line {self.line} ({self.rule}): {self.now:.6g} where the line before "
            f"is {self.before:.6g} (tolerance {self.tolerance:.1e})"
        )


@dataclass(frozen=True)
class StepsReport:
    """What came out when every line was evaluated.

    Attributes:
        name: the network.
        sizes: the size of every axis at the point.
        seed: what the point was drawn from.
        lines: how many lines were compared with the one before.
        derivatives: in how many chains.
        worst: the largest difference, in units of what is allowed.
        first: the first line that differs; None if all are equal.
        undecided: how many entries have no independent derivative, so near to a kink do they lie;
            there the first line is compared with nothing, and all later ones with it.
    """

    name: str
    sizes: Mapping[str, int]
    seed: int
    lines: int
    derivatives: int
    worst: float
    first: Difference | None
    undecided: int = 0

    @property
    def ok(self) -> bool:
        """Whether every line equals the one before."""
        return self.first is None

    def raise_if_wrong(self) -> None:
        """Raise a GradientMismatch that names the first line that differs, if one does."""
        if self.first is not None:
            raise GradientMismatch(f"two lines are not equal: {self.first}", where=self.name)

    def json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "sizes": dict(self.sizes), "ok": self.ok}

    def __str__(self) -> str:
        sizes = ", ".join(f"{axis}={n}" for axis, n in self.sizes.items() if axis != "1")
        at = f"at {sizes} (seed {self.seed})" if sizes else f"at seed {self.seed}"
        start = f"every line evaluated {at}: "
        if self.first is not None:
            return f"{start}NOT EQUAL\n{self.first}"
        entries = "entry lies" if self.undecided == 1 else "entries lie"
        kinks = f"; {self.undecided} {entries} on kinks" if self.undecided else ""
        noun = "derivative" if self.derivatives == 1 else "derivatives"
        return f"{start}equal ({self.lines} lines, {self.derivatives} {noun}{kinks})"


def verify(
    net: Network,
    chains: Sequence[Chain],
    *,
    seed: int = 0,
    arrays: Mapping[str, object] | None = None,
) -> StepsReport:
    """Evaluate every line at a random point and compare it with the one before.

    Raises:
        DataError: no point was found at which everything is finite.
        ParameterError: `arrays` names no input.
    """
    with np.errstate(all="ignore"):
        for point in _points(net, seed, arrays):
            check = _Verification(point, chains, seed)
            if check.finite:
                return check.report()
    _nowhere(net)


def _nowhere(net: Network) -> NoReturn:
    hint = "Pass values: check(arrays={'X': …})"
    what = "the loss or a derivative is not finite at any point that was tried"
    raise DataError(what, where=net.found.definition.name, hint=hint)


def _points(net: Network, seed: int, arrays: Mapping[str, object] | None) -> Iterator[Point]:
    definition = net.found.definition
    given: dict[str, Array] = {}
    if arrays:
        wanted = [x for x in definition.inputs if x.name in arrays]
        known = len(wanted) == len(arrays)
        given = bind(wanted if known else definition.inputs, arrays, where=definition.name)
        given = {x.name: given[x.name] for x in wanted}
        for name, array in given.items():
            if not array.size:
                what = f"{name} has shape {array.shape}: there is nothing to compare"
                raise DataError(what, where=definition.name)
    graph = Graph([net.root], definition.inputs)
    for interval in INTERVALS:
        for attempt in range(ATTEMPTS):
            drawn = draw(graph, definition.inputs, given, seed, interval, attempt)
            point = Point(net, drawn)
            if np.isfinite(point.loss):
                yield point


class _Verification:
    """All lines at one point."""

    def __init__(self, point: Point, chains: Sequence[Chain], seed: int) -> None:
        self._point, self._net, self._chains, self._seed = point, point.net, chains, seed
        self._noise = np.random.default_rng(seed)
        self._careful = False
        self._evaluate()

    def _evaluate(self) -> None:
        """Every expression in every line, exactly and with simulated rounding errors."""
        net = self._net
        exprs = list(
            dict.fromkeys(t.cotangent for c in self._chains for x in c.lines for t in x.terms)
        )
        owner = {symbol: x for x, symbol in net.symbol.items()}
        used = [n for n in postorder(*exprs) if n in owner or n in net.slopes]
        wanted = [owner[n] for n in used if n in owner]
        wanted += [c.target for c in self._chains if self._few(c.target)]
        found = self._point.derivatives(wanted, careful=self._careful)
        self._known = {
            n: found[owner[n]] if n in owner else self._slope(net.slopes[n]) for n in used
        }
        inputs = (*self._point.inputs, *used)
        given = self._point.arrays
        graph = Graph([*exprs, net.root], inputs)  # the loss knows the sizes of all axes
        sizes = graph.sizes({**given, **{n.name: k.value.array for n, k in self._known.items()}})
        plain = {x.name: Named(given[x.name], x.axes) for x in self._point.inputs}
        run = Run(sizes)
        exact = graph({**plain, **{n.name: k.value for n, k in self._known.items()}}, run)
        moved = {n.name: k.samples(self._noise) for n, k in self._known.items()}
        noisy = graph({**plain, **moved}, run.again(self._noise, EPS, SAMPLES))
        self._exact = dict(zip(exprs, exact, strict=False))
        self._noisy = dict(zip(exprs, noisy, strict=False))
        self.finite = all(np.isfinite(k.value.array).all() for k in self._known.values())
        self.finite &= all(np.isfinite(v.array).all() for v in exact)

    def _slope(self, node: Expr) -> Known:
        """σ′(z): along the direction in which every entry of z moves by 1."""
        x = node.inputs[0]
        piece = _inner(self._point, node)
        (found,) = piece.slopes(np.ones((1, *_shape(x, self._point.sizes))), self._noise)
        return Known(Named(found.value.array[0], node.axes), found.error[0])

    def report(self) -> StepsReport:
        """Compare; where lines differ, once more with a better idea of the errors."""
        first, worst = self._compared()
        if first is not None and not self._careful:
            self._careful = True
            self._evaluate()
            first, worst = self._compared()
        sizes = {
            a: n
            for a, n in self._point.sizes.items()
            if any(a in x.axes for x in self._point.inputs)
        }
        lines = sum(len(c.lines) for c in self._chains)
        name = self._net.found.definition.name
        return StepsReport(
            name, sizes, self._seed, lines, len(self._chains), worst, first, self._undecided
        )

    def _compared(self) -> tuple[Difference | None, float]:
        worst = 0.0
        self._undecided = 0
        for number, chain in enumerate(self._chains):
            moves = self._moves(chain.target, number)
            before, loose = self._own(chain.target, moves)
            for i, (line, now, error) in enumerate(self._lines(chain, moves), 1):
                if i == 1:
                    unknown = ~np.isfinite(before)
                    self._undecided += int(unknown.sum())
                    before, loose = np.where(unknown, now, before), np.where(unknown, 0.0, loose)
                tolerance = SAFETY * (loose + error) + SMALLEST
                apart = np.abs(now - before)
                ratio = np.where(apart <= tolerance, apart / tolerance, np.inf)
                if np.isinf(ratio).any():
                    at = int(np.argmax(np.where(np.isinf(ratio), apart - tolerance, -1.0)))
                    values = float(before[at]), float(now[at]), float(tolerance[at])
                    return Difference(chain.name, i, line.rule, line.op, *values), np.inf
                worst = max(worst, float(ratio.max(initial=0.0)))
                before, loose = now, error
        return None, worst

    def _own(self, x: Expr, moves: Array) -> tuple[Array, Array]:
        """The derivative itself along the directions, and how far it may be off."""
        if self._few(x):
            found = self._point.derivatives([x], careful=self._careful)[x]
            value, error = found.value.array.ravel(), found.error.ravel()
        else:
            found = self._point.slopes(x, moves, careful=self._careful)
            value, error = found.value.array, found.error
        return value, error + TINY * np.abs(value)

    def _few(self, x: Expr) -> bool:
        return self._point.values[x].size <= ALL_ENTRIES

    def _moves(self, x: Expr, number: int) -> Array:
        """Every entry by itself, or random directions where there are very many."""
        shape = self._point.values[x].shape
        if self._few(x):
            return unit_moves(shape)
        return normal(self._seed, "check", number, (DIRECTIONS, *shape), stream=0)

    def _lines(self, chain: Chain, moves: Array) -> Iterator[tuple[Line, Array, Array]]:
        """Each line's values along the directions, and how far they may be off."""
        through = list(
            dict.fromkeys(t.through for x in chain.lines for t in x.terms if t.through is not None)
        )
        open_ = self._open(chain.target, through, moves) if through else {}
        for line in chain.lines:
            now = np.zeros(len(moves))
            noisy = np.zeros((SAMPLES, len(moves)))
            error = np.zeros(len(moves))
            for term in line.terms:
                exact = _flat(self._exact[term.cotangent], term, chain.target)
                moved = _flat(self._noisy[term.cotangent], term, chain.target)
                if term.through is None:
                    rates, doubt = moves.reshape(len(moves), -1), np.zeros((len(moves), 1))
                else:
                    rates, doubt = open_[term.through]
                now += (exact @ rates.T)[0]
                noisy += moved @ rates.T
                error += (np.abs(exact) @ np.broadcast_to(doubt, rates.shape).T)[0]
                error += EPS * (np.abs(exact) @ np.abs(rates).T)[0]
            yield line, now, error + np.abs(noisy - now).max(axis=0)

    def _open(self, x: Expr, through: list[Expr], moves: Array) -> dict[Expr, tuple[Array, Array]]:
        piece = Piece(self._point, x, through)
        entries = max((v.array.size for v in piece.values), default=1)
        size = max(1, ENTRIES_AT_ONCE // max(1, entries))
        parts = [piece.slopes(moves[i : i + size], self._noise) for i in range(0, len(moves), size)]
        found = {}
        for i, c in enumerate(through):
            values = [p[i].value.array.reshape(len(p[i].value.array), -1) for p in parts]
            errors = [p[i].error.reshape(len(p[i].error), -1) for p in parts]
            found[c] = (np.concatenate(values), np.concatenate(errors))
        return found


def _flat(value: Named, term: Term, target: Expr) -> Array:
    """(samples, entries) with the entries in the order of the axes of what it belongs to."""
    axes = (target if term.through is None else term.through).axes
    array = value.at((POINTS, *axes))
    return array.reshape(len(array), -1)


def _shape(x: Expr, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[a] for a in x.axes)


def _inner(point: Point, node: Expr) -> Piece:
    """One operation as a function of its input, which need not have a name."""
    x = node.inputs[0]
    if x not in point.values:
        (value,) = Piece(point, next(iter(point.values)), [x]).values
        point.values[x] = value.at(x.axes).astype(float)
    return Piece(point, x, [node])
