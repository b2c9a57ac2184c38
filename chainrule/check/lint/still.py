"""Which parameters the loss does not change with, found by trying."""

from __future__ import annotations

import numpy as np

from chainrule.check.draw import INTERVALS, draw
from chainrule.check.evaluate import Graph
from chainrule.check.lint.subject import Array, Subject
from chainrule.differentiate import reverse
from chainrule.errors import ChainruleError
from chainrule.expr import Definition, Expr, make, rewrite
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference

POINTS = 4  # in each interval
FEWEST = 3  # points with finite derivatives: below that nothing is said
LARGEST_GRAPH = 3000  # operations; a larger one is not tried
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
    except ChainruleError:  # no point at which it has a value: other rules say why
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
    left, points = names, 0
    for interval in INTERVALS:
        for attempt in range(POINTS):
            arrays = draw(graph, net.inputs, {}, attempt, interval, attempt)
            scaled = {n: _scaled(a) if n in net.params else a for n, a in arrays.items()}
            exact = _gradients(function, scaled, "float64")
            rough = _gradients(function, scaled, "float32")
            if all(np.isfinite(exact[n]).all() for n in names):
                points += 1
                left = [n for n in left if _zero(exact[n], rough[n])]
            if not left:
                return []
        if points >= FEWEST:
            break
    return left if points >= FEWEST else []


def _scaled(array: Array) -> Array:
    """Weights of a size at which sums over many inputs do not saturate what follows."""
    return array / np.sqrt(max(array.shape)) if array.ndim > 1 else array


def _gradients(function: Reference, arrays: dict[str, Array], dtype: str) -> dict[str, Array]:
    given = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    return function(**given)[1]


def _zero(exact: Array, rough: Array) -> bool:
    largest, rounding = (float(np.abs(g).max(initial=0.0)) for g in (exact, rough))
    return largest <= SMALL and largest <= ROUNDED * rounding if largest else True
