"""Kinks: where several slopes are right.

At relu(0), at |0|, at two equal largest entries, the derivative is a convention: the slope on one
side, that on the other, or something between. Each decision that is a tie is taken the other way,
and what that changes is what a right gradient may differ by.

Exact ties (relu of exactly 0) follow one convention for a whole operation, as code does. Where two
values are equal up to rounding errors only, code may see either side, for each entry anew.
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
MOST_JOINT = 5  # operations with exact ties whose conventions are combined in every way


@dataclass(frozen=True)
class Kinks:
    """What other conventions at kinks give, at one point.

    Attributes:
        conventions: by name (conventions, *axes): gradients under one convention for each operation.
        near: by name (entries, *axes): what taking one rounding tie the other way adds.
        extreme: by name (ways, *axes): what another of several largest entries adds.
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
        best, least = 0, np.inf
        for i in range(len(self.conventions[names[0]])):
            apart = sum(
                float(np.sum(np.abs(theirs[n] - self.conventions[n][i]) > tolerance[n]))
                for n in names
            )
            if apart < least:
                best, least = i, apart
        return {n: self.conventions[n][best] for n in names}

    def outside(self, name: str, yours: Array, true: Array) -> Array:
        """How far each entry is from everything that is right."""
        low, high = np.zeros_like(true), np.zeros_like(true)
        for moves in (self.near.get(name), self.extreme.get(name)):
            if moves is not None and len(moves):
                low = low + np.minimum(moves, 0).sum(axis=0)
                high = high + np.maximum(moves, 0).sum(axis=0)
        difference = yours - true
        return np.asarray(np.abs(difference - np.clip(difference, low, high)))


NONE = Kinks({}, {}, {})


@dataclass(frozen=True)
class Tie:
    """One decision taken otherwise: the number of the decision, and what is decided instead."""

    number: int
    instead: Array
    exact: bool
    extreme: bool


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
        exact, near = (gap == 0) & (blur == 0), (np.abs(gap) <= blur) & (blur > 0)
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
    for place in range(gap.shape[-1]):
        here = tied[..., place] & (decided != place)
        if here.any():
            yield Tie(number, np.where(here, place, decided), False, True)


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
    exact = [t for t in found if t.exact]
    near = [t for t in found if not t.exact and not t.extreme]
    extreme = [t for t in found if t.extreme]
    combined = _combinations(exact)
    ways: list[list[Tie]] = [*combined, *([t] for t in near), *([t] for t in extreme)]
    values = _decided(graph, names, ways, wide, first)
    conventions, by_near, by_extreme = {}, {}, {}
    for n in names:
        at = len(combined)
        conventions[n] = _with_middles(grads[n], values[n][:at])
        by_near[n] = values[n][at : at + len(near)] - grads[n]
        by_extreme[n] = values[n][at + len(near) :] - grads[n]
    return Kinks(conventions, by_near, by_extreme)


def _combinations(exact: Sequence[Tie]) -> list[list[Tie]]:
    """Every choice of one way, or none, for each operation; for many, one way for all."""
    by_number: dict[int, list[Tie | None]] = {}
    for tie in exact:
        by_number.setdefault(tie.number, [None]).append(tie)
    if len(by_number) > 2 * MOST_JOINT:
        ways = max(len(v) for v in by_number.values())
        return [
            [t for v in by_number.values() if (t := v[min(i, len(v) - 1)])] for i in range(1, ways)
        ] + [[t] for t in exact]
    chosen = itertools.islice(itertools.product(*by_number.values()), 2**MOST_JOINT * 8)
    return [c for choice in chosen if (c := [t for t in choice if t is not None])]


def _with_middles(base: Array, others: Array) -> Array:
    """The slopes found, and those half-way from the first."""
    both = [base[None], others, (base + others) / 2]
    return np.concatenate(both) if len(others) else base[None]


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
