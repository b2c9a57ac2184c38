"""Kinks: where several slopes are right.

At relu(0), at |0|, at two equal largest entries, the derivative is a convention: the slope on one
side, that on the other, or something between. Each decision that is a tie is taken the other way,
and what that changes is what a right gradient may differ by.

Exact ties (relu of exactly 0) follow one convention for a whole operation, as code does. Where two
values are equal up to rounding errors only, code may also see either side, for each entry anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.expr import Expr

COMPARING = ("gt", "ge", "lt", "le", "eq", "maximum", "minimum")
SIGNS = ("sign", "abs")
EXTREMES = ("argmax", "max", "min")
DECIDING = frozenset((*COMPARING, *SIGNS, *EXTREMES))
ROOM = 64.0  # between a simulated rounding error of two values and how near a tie they are
MOST_NEAR = 256  # entries that are ties up to rounding errors
HELD_TO = 0.05  # of what another choice would change: nearer to a convention is meant to be it
MOST_JOINT = 5  # operations with exact ties whose conventions are combined in every way


@dataclass(frozen=True)
class Kinks:
    """What other conventions at kinks give, at one point.

    Attributes:
        conventions: by name (conventions, *axes): gradients, one convention for each operation.
        near: by name (entries, *axes): what taking one rounding tie the other way adds.
        extreme: by name (entries, *axes): what another of several equal largest entries adds.
    """

    conventions: Mapping[str, Array]
    near: Mapping[str, Array]
    extreme: Mapping[str, Array]

    def count(self, name: str) -> int:
        """How many entries depend on a convention."""
        if name not in self.conventions:
            return 0
        moved = np.ptp(self.conventions[name], axis=0) > 0
        for moves in (self.near, self.extreme):
            moved = moved | (moves[name] != 0).any(axis=0)
        return int(moved.sum())

    def chosen(
        self,
        grads: Mapping[str, Array],
        theirs: Mapping[str, Array],
        tolerance: Mapping[str, Array],
    ) -> dict[str, Array]:
        """The true gradients under the convention that comes nearest to the hand-written ones."""
        names = list(theirs)
        if not self.conventions:
            return {n: grads[n] for n in names}
        total: Array = np.zeros(len(self.conventions[names[0]]))
        for n in names:
            known = self.conventions[n]
            apart = np.abs(theirs[n] - known)
            # a gradient that is quite wrong has little to say about conventions
            scale = max(float(np.max(np.abs(known), initial=0.0)), float(np.max(tolerance[n])))
            part = np.minimum(np.nan_to_num(apart / scale, nan=1.0), 1.0)
            total = total + part.reshape(len(known), -1).sum(axis=1)
        best = int(np.argmin(total))
        return {n: self.conventions[n][best] for n in names}

    def room(self, name: str) -> Array | float:
        """How large what other conventions add is: its rounding errors need room as well."""
        if name not in self.conventions:
            return 0.0
        return np.asarray(np.ptp(self.conventions[name], axis=0))

    def outside(self, name: str, yours: Array, true: Array) -> Array:
        """How far each entry is from everything that is right, `true` being the nearest convention.

        Who takes neither the first of equal largest entries nor the last nor all evenly may take
        any; who comes near to one of these is held to it.
        """
        difference = yours - true
        low, high = np.zeros_like(true), np.zeros_like(true)
        ways = [self.near.get(name)]
        extreme = self.extreme.get(name)
        if extreme is not None and extreme.size:
            far = np.max(np.abs(difference), initial=0.0)
            ways += [extreme] if far > HELD_TO * np.max(np.abs(extreme)) else []
        for moves in ways:
            if moves is not None and len(moves):
                low = low + np.minimum(moves, 0).sum(axis=0)
                high = high + np.maximum(moves, 0).sum(axis=0)
        return np.asarray(np.abs(difference - np.clip(difference, low, high)))


NONE = Kinks({}, {}, {})


@dataclass(frozen=True)
class Tie:
    """One decision taken otherwise: the number of the decision, and what is decided instead."""

    number: int
    instead: Array
    exact: bool
    extreme: bool
    share: float = 0.0  # of each of several equal largest entries
    last: bool = False  # whether it is the last of them


def operands(graph: Graph, wrt: Sequence[str]) -> list[tuple[int, Expr]]:
    """The decisions that the inputs called `wrt` have a part in: number and operation."""
    moving: set[Expr] = set()
    found: list[tuple[int, Expr]] = []
    number = 0
    for node in graph.nodes:
        if (node.op == "input" and node.name in wrt) or any(x in moving for x in node.inputs):
            moving.add(node)
        if node.op in DECIDING:
            if node in moving and node.op != "eq":
                found.append((number, node))
            number += 1
    return found


def ties(
    deciding: Sequence[tuple[int, Expr]],
    values: Mapping[Expr, Array],
    noise: Mapping[Expr, Array],
    decisions: Sequence[Named],
) -> list[Tie]:
    """All ties among some decisions.

    Args:
        values: of the operands of the decisions, with the axes of the decision.
        noise: how much simulated rounding errors change them.
    """
    found: list[Tie] = []
    for number, node in deciding:
        decided = decisions[number].array
        if node.op in EXTREMES:
            found += _of_extreme(number, node, values, noise, decided)
            continue
        gap, blur = values[node], ROOM * noise[node]
        exact, near = gap == 0, (np.abs(gap) <= blur) & (blur > 0)
        if exact.any():
            for other in _others(node.op, decided):
                found.append(Tie(number, np.where(exact, other, decided), True, False))
        for at in np.argwhere(near)[:MOST_NEAR]:
            for other in _others(node.op, decided):
                instead = decided.copy()
                instead[tuple(at)] = other[tuple(at)]
                found.append(Tie(number, instead, False, False))
    return found


def _others(op: str, decided: Array) -> Iterator[Array]:
    if op in SIGNS:
        yield np.ones_like(decided)
        yield -np.ones_like(decided)
    else:
        yield ~decided


def _of_extreme(
    number: int,
    node: Expr,
    values: Mapping[Expr, Array],
    noise: Mapping[Expr, Array],
    decided: Array,
) -> Iterator[Tie]:
    """Other entries that are as large: the gap to the largest stands along the last axis."""
    gap, blur = values[node], ROOM * noise[node]
    tied = np.abs(gap) <= blur
    tied &= ~((gap == 0) & (np.arange(gap.shape[-1]) == decided[..., None]))
    exact = (gap == 0) & tied
    count = (gap == 0).sum(axis=-1)
    for at in np.argwhere(tied)[:MOST_NEAR]:
        row, place = tuple(at[:-1]), int(at[-1])
        instead = decided.copy()
        instead[row] = place
        last = not exact[(*row, slice(place + 1, None))].any()
        share = 1 / float(count[row])
        yield Tie(number, instead, bool(exact[tuple(at)]), True, share, last)


def kinks(
    graph: Graph,
    names: Sequence[str],
    found: Sequence[Tie],
    wide: Mapping[str, Named],
    first: Run,
    grads: Mapping[str, Array],
) -> Kinks:
    """What the ties change: the graph with its decisions taken otherwise, all ways in one go."""
    if not found:
        return NONE
    exact = [t for t in found if t.exact and not t.extreme]
    near = [t for t in found if not t.exact]
    extreme = [t for t in found if t.exact and t.extreme]
    grid, ways = _combinations(exact)
    ways += [[t] for t in (*near, *extreme)]
    values = _decided(graph, names, ways, wide, first)
    conventions, by_near, by_extreme = {}, {}, {}
    at = int(np.prod(grid))
    for n in names:
        by_near[n] = values[n][at : at + len(near)] - grads[n]
        moves = by_extreme[n] = values[n][at + len(near) :] - grads[n]
        found_n = _with_middles(values[n][:at].reshape(*grid, *grads[n].shape), len(grid))
        shares, last = (
            np.array(w).reshape(-1, *[1] * grads[n].ndim)
            for w in ([t.share for t in extreme], [float(t.last) for t in extreme])
        )
        added = [
            found_n,
            *(found_n + (w * moves).sum(axis=0) for w in (last, shares) if len(moves)),
        ]
        conventions[n] = np.concatenate(added)
    return Kinks(conventions, by_near, by_extreme)


def _combinations(exact: Sequence[Tie]) -> tuple[list[int], list[list[Tie]]]:
    """Every choice of one way for each operation with ties, as a grid; the first way is the true.

    Where there are too many operations, all that are of one sort go together.
    """
    by_number: dict[int, list[list[Tie]]] = {}
    for tie in exact:
        by_number.setdefault(tie.number, []).append([tie])
    choices = list(by_number.values())
    if len(choices) > MOST_JOINT:
        ways = max(len(v) for v in choices)
        choices = [[[t for v in choices for t in v[min(i, len(v) - 1)]] for i in range(ways)]]
    grid = [len(v) + 1 for v in choices]
    every = itertools.product(*([[], *v] for v in choices))
    return grid, [[t for chosen in combination for t in chosen] for combination in every]


def _with_middles(values: Array, count: int) -> Array:
    """For each of `count` leading axes of ways also the mean of them; then all ways in one axis."""
    for axis in range(count):
        values = np.concatenate([values, values.mean(axis=axis, keepdims=True)], axis=axis)
    return values.reshape(-1, *values.shape[count:])


def _decided(
    graph: Graph,
    names: Sequence[str],
    ways: Sequence[Sequence[Tie]],
    wide: Mapping[str, Named],
    first: Run,
) -> dict[str, Array]:
    """The gradients (ways, *axes) with decisions replaced."""
    replaced: dict[int, Array] = {}
    for i, way in enumerate(ways):
        for tie in way:
            base = first.decisions[tie.number].array
            whole = replaced.setdefault(
                tie.number, np.broadcast_to(base, (len(ways), *base.shape)).copy()
            )
            whole[i] = tie.instead
    replay = [
        Named(replaced[number], (POINTS, *d.axes)) if number in replaced else d
        for number, d in enumerate(first.decisions)
    ]
    run = Run(first.sizes, first.dtype, replay=iter(replay), points=len(ways))
    values = graph(wide, run)[1 : 1 + len(names)]
    found = {}
    for name, value, root in zip(names, values, graph.roots[1:], strict=False):
        shape = (len(ways), *(first.sizes.get(a, root.sizes.get(a, 1)) for a in root.axes))
        found[name] = np.broadcast_to(np.asarray(value.at((POINTS, *root.axes)), np.float64), shape)
    return found
