"""Which parameters the loss does not change with, and which never leave their start: by trying."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from chainrule.check.draw import INTERVALS, draw, draw_sizes
from chainrule.check.evaluate import Graph
from chainrule.check.lint.subject import Array, Subject
from chainrule.differentiate import reverse
from chainrule.errors import ChainruleError
from chainrule.expr import Definition, Expr, make, rewrite
from chainrule.plan.derived import derived
from chainrule.run.keyed import normal
from chainrule.run.reference import Reference
from chainrule.training.init import draw as draw_initial

POINTS = 4  # in each interval
FEWEST = 3  # points with finite derivatives: below that nothing is said
# Operations; a larger graph is not tried: the derivatives of its first layers may be too small.
LARGEST_GRAPH = 400
# What the random sizes tried here, or arrays given, can be that the network cannot have.
UNFIT = (ChainruleError, ValueError, IndexError)
# A derivative that is 0 comes out as rounding errors, which are a billion times as large in float32
ROUNDED, SMALL = 1e-5, 1e-7


def stillness(s: Subject) -> list[str]:
    """Names of parameters whose derivative is 0 at every point that was tried.

    relu is smoothed first: a unit that is off at one point is not off everywhere.
    """
    definition = s.definition
    if definition is None or definition.root.axes or len(s.nodes) > LARGEST_GRAPH:
        return []
    smooth = _smoothed(definition)
    arrives = reverse(smooth.root, [smooth.input[p] for p in smooth.params]).cotangents
    names = [p for p in smooth.params if smooth.input[p] in arrives]
    if not names:
        return []
    try:
        return _still(smooth, names)
    except UNFIT:
        return []


def _smoothed(definition: Definition) -> Definition:
    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        op = "silu" if node.op == "relu" else node.op
        return make(op, inputs, node.attrs, node.axes, node.sizes, node.kind)

    new = rewrite([definition.root], step)
    return Definition(
        definition.name, new[definition.root], definition.inputs, (), definition.params
    )


def _still(net: Definition, names: list[str]) -> list[str]:
    function = Reference(derived(net, names).program)
    graph = Graph([net.root], net.inputs)
    exact, rough = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for interval in INTERVALS:
        points = 0
        for attempt in range(POINTS):
            arrays = draw(graph, net.inputs, {}, attempt, interval, attempt)
            scaled = {n: _scaled(a) if n in net.params else a for n, a in arrays.items()}
            here = _largest(function, scaled, "float64")
            if not all(np.isfinite(size) for size in here.values()):
                continue
            points += 1
            exact = {n: max(exact[n], here[n]) for n in names}
            if all(size > SMALL for size in exact.values()):
                return []
            there = _largest(function, scaled, "float32")
            rough = {n: max(rough[n], there[n]) for n in names}
        if points >= FEWEST:
            return [n for n in names if exact[n] <= min(SMALL, ROUNDED * rough[n])]
    return []


def _scaled(array: Array) -> Array:
    """Weights of a size at which sums over many inputs do not saturate what follows."""
    return array / np.sqrt(max(array.shape)) if array.ndim > 1 else array


def _largest(function: Reference, arrays: dict[str, Array], dtype: str) -> dict[str, float]:
    """The largest entry of each derivative, computed in this float type."""
    given = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    return {n: float(np.abs(g).max(initial=0.0)) for n, g in function(**given)[1].items()}


def initial_value(s: Subject, x: Expr, sizes: Mapping[str, int], index: int) -> Array:
    """Where parameter number `index` starts, as the definition says."""
    how, into, out = {n: rest for n, *rest in s.survey.init}.get(x.name, ["zeros", "", ""])
    fans = [math.prod(sizes[a] for a in fan.split()) for fan in (into, out)]
    return draw_initial(how, tuple(sizes[a] for a in x.axes), fans[0], fans[1], 0, index)


def stuck_at_start(s: Subject) -> list[str]:
    """Parameters whose derivative is 0 at the start, and stays so however the others move.

    Those with another derivative move at random, then those that this sets free, and so on: a last
    layer that starts at 0 frees the layers below it as soon as it moves.
    """
    net = s.definition
    if net is None or net.root.axes or len(s.nodes) > LARGEST_GRAPH:
        return []
    arrives = reverse(net.root, [net.input[p] for p in net.params]).cotangents
    names = [p for p in net.params if net.input[p] in arrives]
    try:
        return _stuck(s, net, names) if names else []
    except UNFIT:
        return []


def _stuck(s: Subject, net: Definition, names: list[str]) -> list[str]:
    function = Reference(derived(net, names).program)
    graph = Graph([net.root], net.inputs)
    given = {p: s.arrays[p].astype(np.float64) for p in net.params if p in s.arrays}
    sizes = draw_sizes(graph, net.inputs, given, seed=0)
    start = {
        p: given.get(p, initial_value(s, net.input[p], sizes, i)) for i, p in enumerate(net.params)
    }
    free: set[str] = set()
    while True:
        found: dict[str, float] = {}
        for attempt in range(POINTS):
            data = draw(graph, net.inputs, start, 0, attempt=attempt)
            moved = {p: _moved(data[p], i, attempt) for i, p in enumerate(net.params) if p in free}
            here = _largest(function, {**data, **moved}, "float64")
            found = {n: max(found.get(n, 0.0), here[n]) for n in names}
        fresh = {n for n in names if found[n] != 0} - free
        if not fresh:
            return [n for n in names if n not in free]
        free |= fresh


def _moved(array: Array, index: int, attempt: int) -> Array:
    drawn: Array = normal(index, "check", attempt, array.shape)
    return array + drawn
