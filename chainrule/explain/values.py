"""Values of everything that stands in a line, none of them from a derivative rule.

What a symbol ∂L/∂v stands for is found by moving v alone: the loss is evaluated with v + t in the
place of v, and its slope at t = 0 is what `chainrule.check.oracle` says. A derivative that is still
open, ∂c/∂x, is the imaginary part of c along a complex step of x, or an extrapolated difference
where an operation has no complex form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.check.oracle import STEP, Oracle, extrapolated
from chainrule.check.primitives import NOT_ANALYTIC
from chainrule.explain.identities import rebuilt
from chainrule.explain.network import Network
from chainrule.expr import Expr, Spec, input_, postorder

EPS = float(np.finfo(np.float64).eps)
SAMPLES = 8  # of simulated rounding errors
FEW = 2  # where each costs an evaluation of the network
FIRST, LEVELS = 2.0**-6, 8  # steps of differences: small, because a kink may be near
PLACE = "\ue011"  # begins the internal names of inputs that take the place of values
POINTS_AT_ONCE = 1024  # directions of small networks in one evaluation
ENTRIES_AT_ONCE = 1 << 22  # numbers in the largest array of one batch


@dataclass(frozen=True)
class Known:
    """An array over named axes, and how far it may be off, entry by entry."""

    value: Named
    error: Array

    def samples(self, noise: np.random.Generator) -> Named:
        """It, moved within its error, once for each simulated rounding."""
        shape = (SAMPLES, *self.value.array.shape)
        moved = self.value.array + self.error * noise.uniform(-1, 1, shape)
        return Named(moved, (POINTS, *self.value.axes))


class Point:
    """A network at one point: its values, and the derivatives of the loss with respect to them."""

    def __init__(self, net: Network, arrays: Mapping[str, Array]) -> None:
        self.net = net
        self.inputs = net.found.definition.inputs
        self.arrays = {
            x.name: np.asarray(arrays[x.name], np.float64 if x.kind == "float" else None)
            for x in self.inputs
        }
        values = [x for x in net.targets if x not in net.wrt]
        graph = Graph([net.root, *values], self.inputs)
        named = {x.name: Named(self.arrays[x.name], x.axes) for x in self.inputs}
        self.sizes = graph.sizes(self.arrays)
        loss, *found = graph(named, Run(self.sizes))
        self.loss = float(loss.array)
        self.values = {x: v.at(x.axes).astype(float) for x, v in zip(values, found, strict=True)}
        self.values |= {x: self.arrays[x.name] for x in net.wrt}
        self._found: dict[tuple[Expr, bool], Known] = {}
        self._oracle, self._moved = self._perturbed(values)

    def _perturbed(self, values: Sequence[Expr]) -> tuple[Oracle, dict[Expr, str]]:
        """The loss with every named value moved by an input of its own, which is 0."""
        moved = {x: input_(f"{PLACE}{i}", Spec(x.axes, x.sizes)) for i, x in enumerate(values)}
        new: dict[Expr, Expr] = {}
        for node in postorder(self.net.root):
            new[node] = rebuilt(node, tuple(new[x] for x in node.inputs))
            if node in moved:
                new[node] = new[node] + moved[node]
        inputs = (*self.inputs, *moved.values())
        arrays = {
            **self.arrays,
            **{p.name: np.zeros_like(self.values[x]) for x, p in moved.items()},
        }
        free = [*self.net.wrt, *moved.values()]
        oracle = Oracle(Graph([new[self.net.root]], inputs), inputs, arrays, free, "float64")
        names = {x: x.name for x in self.net.wrt} | {x: p.name for x, p in moved.items()}
        return oracle, names

    def slopes(self, x: Expr, moves: Array, *, careful: bool = False) -> Known:
        """The slope of the loss along each of `moves` (directions, *axes of x) of `x` alone."""
        size = max(1, self._oracle.at_once)
        rms = scale_of(self.values[x])
        parts = []
        for i in range(0, len(moves), size):
            some = moves[i : i + size]
            parts.append(self._slopes({self._moved[x]: some}, np.full(len(some), rms), careful))
        value, error = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Known(Named(value, (POINTS,)), error)

    def _slopes(
        self, moves: Mapping[str, Array], scale: Array, careful: bool
    ) -> tuple[Array, Array]:
        found = self._oracle.slopes(moves, scale)
        middle, spread = hull(found.value, found.left, found.right)
        error = found.error + spread
        if careful:
            error = error + SAMPLES * self._oracle.doubt(moves, scale)
        elif self._oracle.method == "complex step":
            error = error + FEW * self._oracle.doubt(moves, scale, FEW)
        return middle, error

    def derivatives(self, values: Iterable[Expr], *, careful: bool = False) -> dict[Expr, Known]:
        """∂L/∂x for each x of `values`, every entry; many are moved in one evaluation."""
        values = list(dict.fromkeys(values))
        most = max(1, min(POINTS_AT_ONCE, self._oracle.at_once))
        group: list[Expr] = []
        for x in values:
            if (x, careful) in self._found:
                continue
            if group and sum(self.values[y].size for y in [*group, x]) > most:
                self._find(group, careful)
                group = []
            group.append(x)
        if group:
            self._find(group, careful)
        return {x: self._found[x, careful] for x in values}

    def _find(self, group: list[Expr], careful: bool) -> None:
        sizes = [self.values[x].size for x in group]
        if len(group) == 1:
            (x,) = group
            alone = self.slopes(x, unit_moves(self.values[x].shape), careful=careful)
            value, error = alone.value.array, alone.error
        else:
            moves, at = {}, 0
            for x, size in zip(group, sizes, strict=True):
                block = np.zeros((sum(sizes), size))
                block[at : at + size] = np.eye(size)
                moves[self._moved[x]] = block.reshape(-1, *self.values[x].shape)
                at += size
            scale = np.repeat([scale_of(self.values[x]) for x in group], sizes)
            value, error = self._slopes(moves, scale, careful)
        ends = np.cumsum(sizes)[:-1]
        for x, v, e in zip(group, np.split(value, ends), np.split(error, ends), strict=True):
            shape = self.values[x].shape
            self._found[x, careful] = Known(Named(v.reshape(shape), x.axes), e.reshape(shape))


def hull(*slopes: Array) -> tuple[Array, Array]:
    """The middle of several slopes, and how far they lie from it: at a kink any of them will do."""
    low, high = np.min(slopes, axis=0), np.max(slopes, axis=0)
    return np.where(low == high, low, (low + high) / 2), np.asarray((high - low) / 2)


def number(array: Array) -> Array:
    """Decisions as 0 and 1."""
    return array.astype(np.float64) if array.dtype.kind == "b" else array


def scale_of(values: Array) -> float:
    """The root of the mean square, by which steps of differences are measured; 1 if that is 0."""
    return float(np.sqrt(np.mean(values**2))) or 1.0 if values.size else 1.0


def unit_moves(shape: tuple[int, ...]) -> Array:
    """One direction for each entry."""
    size = int(np.prod(shape))
    return np.eye(size).reshape(size, *shape)


class Piece:
    """Some values as functions of `x`, while all other named values stay as they are."""

    def __init__(self, point: Point, x: Expr, roots: Sequence[Expr]) -> None:
        net = point.net
        self.point, self.x, self._axes = point, x, x.axes
        places = {
            v: input_(f"{PLACE}{i}", Spec(v.axes, v.sizes)) for i, v in enumerate(point.values)
        }
        stops = {v for v in net.targets if v not in net.wrt or v is x} | {x}
        new: dict[Expr, Expr] = {v: places[v] for v in stops}
        whole: dict[Expr, Expr] = {}
        for root in roots:
            for node in postorder(root, known=[v for v in new if v is not root]):
                made = rebuilt(node, tuple(new[y] for y in node.inputs))
                if node is root:
                    whole[root] = made
                if node not in stops:
                    new[node] = made
        inputs = (*point.inputs, *places.values())
        self._graph = Graph([whole[r] for r in roots], inputs)
        self._place = places[x].name
        self._base = {**point.arrays, **{places[v].name: a for v, a in point.values.items()}}
        self._named = {y.name: Named(self._base[y.name], y.axes) for y in inputs}
        self._sizes = self._graph.sizes(self._base)
        self._roots = tuple(roots)
        self._first = Run(self._sizes)
        self.values = self._graph(self._named, self._first)
        self._analytic = not any(node.op in NOT_ANALYTIC for node in self._graph.nodes)

    def slopes(self, moves: Array, noise: np.random.Generator) -> list[Known]:
        """The derivatives of all roots along each direction: (directions, *axes of the root)."""
        if not self._analytic:
            return self._differences(moves, noise)
        run = Run(self._sizes)
        exact = self._imaginary(moves, run, STEP)
        error = [np.zeros_like(a) for a in exact]
        middle = exact
        if run.tied.any():
            sides = [
                self._imaginary(moves, Run(self._sizes, towards=True), s) for s in (STEP, -STEP)
            ]
            hulls = [hull(*three) for three in zip(exact, *sides, strict=True)]
            middle, error = [m for m, _ in hulls], [e for _, e in hulls]
        for _ in range(FEW):
            noisy = self._imaginary(moves, run.again(noise, EPS, len(moves)), STEP)
            error = [
                np.maximum(e, np.abs(n - a)) for e, n, a in zip(error, noisy, exact, strict=True)
            ]
        return self._known(middle, error)

    def _known(self, values: list[Array], errors: list[Array]) -> list[Known]:
        axes = [(POINTS, *root.axes) for root in self._roots]
        return [Known(Named(v, a), e) for v, a, e in zip(values, axes, errors, strict=True)]

    def _at(self, moves: Array, run: Run, step: complex) -> list[Array]:
        moved = self._base[self._place] + step * moves
        named = {**self._named, self._place: Named(moved, (POINTS, *self._axes))}
        found = self._graph(named, run)
        shapes = [
            (len(moves), *v.at(r.axes).shape) for v, r in zip(self.values, self._roots, strict=True)
        ]
        arrays = [number(v.at((POINTS, *r.axes))) for v, r in zip(found, self._roots, strict=True)]
        return [np.broadcast_to(a, s) for a, s in zip(arrays, shapes, strict=True)]

    def _imaginary(self, moves: Array, run: Run, step: float) -> list[Array]:
        return [np.imag(a) / step for a in self._at(moves, run, 1j * step)]

    def _differences(self, moves: Array, noise: np.random.Generator) -> list[Known]:
        scale = scale_of(self._base[self._place])
        noisy = self._graph(self._named, self._first.again(noise, EPS, SAMPLES))
        rough = [
            np.abs(number(n.at((POINTS, *r.axes))) - number(v.at(r.axes))).max(axis=0)
            for n, v, r in zip(noisy, self.values, self._roots, strict=True)
        ]
        rows: list[list[Array]] = []
        rounding: list[list[Array]] = []
        for level in range(LEVELS):
            h = scale * FIRST / 2.0**level
            up, down = (
                self._at(moves, Run(self._sizes, frozen=iter(self._first.stopped)), side * h)
                for side in (1, -1)
            )
            rows.append([np.asarray((a - b) / (2 * h)) for a, b in zip(up, down, strict=True)])
            rounding.append(
                [np.broadcast_to(r / h, a.shape) for r, a in zip(rough, up, strict=True)]
            )
        by_root = zip(zip(*rows, strict=True), zip(*rounding, strict=True), strict=True)
        found = [extrapolated(row, error, 4.0) for row, error in by_root]
        return self._known([v for v, _ in found], [e for _, e in found])
