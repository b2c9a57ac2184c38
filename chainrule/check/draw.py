"""A point at which to check: random sizes and values, never ones or zeros, all from one seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import Array
from chainrule.expr import Axes, Expr
from chainrule.run.keyed import normal, permutation, uniform

SMALLEST, DIFFERENT = 2, 8  # sizes are 2 … 9: small nets show every mistake that large ones do
CENTRE, SPREAD = 0.2, 0.8  # of values that may have either sign
EITHER_SIGN = (-math.inf, math.inf)
# inside the domain of log and sqrt; then such that sums of products are too, and probabilities
INTERVALS = (EITHER_SIGN, (0.1, 0.9), (0.02, 0.2))
KEYS = 1 << 31  # keys of dropout may be any whole number; labels may not


def draw(
    graph: Graph,
    inputs: Sequence[Expr],
    given: Mapping[str, Array],
    seed: int,
    interval: tuple[float, float] = EITHER_SIGN,
    attempt: int = 0,
) -> dict[str, Array]:
    """Values for all `inputs`: those given, and random ones for the others.

    Args:
        interval: where real numbers are drawn from, one of `INTERVALS`.
        attempt: another number gives another point of the same sizes.
    """
    sizes = draw_sizes(graph, inputs, given, seed)
    arrays = dict(given)
    for stream, x in enumerate(inputs):
        shape = tuple(sizes[axis] for axis in x.axes)
        if x.name in given:
            continue
        if x.kind == "float" and interval == EITHER_SIGN:
            arrays[x.name] = CENTRE + SPREAD * normal(seed, "check", attempt, shape, stream=stream)
            continue
        drawn = uniform(seed, "check", attempt, shape, stream=stream)
        if x.kind == "float":
            arrays[x.name] = interval[0] + (interval[1] - interval[0]) * drawn
        elif x.kind == "bool":
            arrays[x.name] = drawn < 0.5
        else:
            arrays[x.name] = np.asarray(drawn * _range(graph, x, sizes), np.int64)
    return arrays


def draw_sizes(
    graph: Graph, inputs: Sequence[Expr], given: Mapping[str, Array], seed: int
) -> dict[str, int]:
    """A size for every axis: as given or declared, else small and, up to eight, different."""
    fixed: dict[str, int] = {"1": 1}
    for node in (*inputs, *graph.nodes):
        for axis, size in node.sizes.items():
            fixed.setdefault(axis, size)
    for x in inputs:
        if x.name in given:
            fixed.update(zip(x.axes, given[x.name].shape, strict=True))
    axes = dict.fromkeys(axis for node in (*inputs, *graph.nodes) for axis in _axes(node))
    order = permutation(seed, 0, DIFFERENT, purpose="check")
    taken = set(fixed.values())
    fresh = [int(n) + SMALLEST for n in order if int(n) + SMALLEST not in taken] or [SMALLEST]
    numbers = (fresh[i % len(fresh)] for i in count())
    sizes = {axis: fixed[axis] if axis in fixed else next(numbers) for axis in axes}
    for _ in range(2):  # a second time, because a size that is forced late may force one before it
        for node in graph.nodes:
            _agree(node, sizes, fixed)
    return sizes


def _axes(node: Expr) -> Iterable[str]:
    return (*node.axes, node["axis"]) if node.op == "size" else node.axes


def _agree(node: Expr, sizes: dict[str, int], fixed: Mapping[str, int]) -> None:
    """Make the sizes around one operation fit each other; what is given or declared stays."""

    def settle(axis: str, size: int) -> None:
        if axis not in fixed:
            sizes[axis] = size

    if node.op == "rename":
        for old, new in node["to"]:
            settle(new, sizes[old])
            settle(old, sizes[new])
    elif node.op == "merge":
        settle(node["into"], math.prod(sizes[axis] for axis in node["axes"]))
    elif node.op == "concat":
        settle(node["into"], sum(sizes[axis] for axis in node["over"]))
    elif node.op == "split":
        sizes.update(node["sizes"])
        settle(node["axis"], math.prod(sizes[axis] for axis in node["into"]))
        _quotient(node["axis"], node["into"], sizes, fixed)
    elif node.op == "slice" and node["stop"] is not None:
        settle(node["axis"], max(sizes[node["axis"]], node["stop"] + 1))


def _quotient(whole: str, parts: Axes, sizes: dict[str, int], fixed: Mapping[str, int]) -> None:
    """Of an axis of fixed size, the part that is not fixed is what the others leave."""
    for axis in parts:
        if axis not in fixed and math.prod(sizes[a] for a in parts) != sizes[whole]:
            sizes[axis] = sizes[whole] // math.prod(sizes[a] for a in parts if a != axis)


def _range(graph: Graph, x: Expr, sizes: Mapping[str, int]) -> int:
    """How many whole numbers `x` may hold: the size of the axis it points into; any for a key."""
    limits = [
        node.sizes.get(node["axis"], sizes[node["axis"]])
        if node.op in ("one_hot", "scatter_add")
        else node.inputs[0].sizes.get(node["axis"], sizes[node["axis"]])
        for node in graph.nodes
        if x in node.inputs and node.op in ("one_hot", "gather", "scatter_add")
    ]
    return min(limits, default=KEYS)
