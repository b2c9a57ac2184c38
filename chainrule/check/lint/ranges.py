"""Between which numbers each value of a network lies, whatever its inputs are.

Interval arithmetic on the graph (Moore 1966): every bound is true, not every bound is tight. What
the table does not know may be anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from chainrule.expr import Expr

Range = tuple[float, float]
INF = math.inf
ANY: Range = (-INF, INF)
LOWEST = -0.2785  # of x σ(x); x Φ(x) stays above −0.17 and the tanh form above −0.171

_SHIFTED = ("transpose", "expand", "rename", "merge", "split", "cut", "slice", "gather")
KEEP = (*_SHIFTED, "stop_gradient", "mean", "max", "min")


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else INF


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -INF


RISING: Mapping[str, Callable[[float], float]] = {
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "erf": math.erf,
    "exp": _exp,
    "expm1": lambda x: _exp(x) - 1,
    "log": _log,
    "log1p": lambda x: _log(1 + x),
    "sqrt": lambda x: math.sqrt(max(x, 0.0)),
    "relu": lambda x: max(x, 0.0),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "log_sigmoid": lambda x: min(x, 0.0) - math.log1p(math.exp(-abs(x))),
    "sign": lambda x: math.copysign(1, x) if x else 0.0,
}
"""Functions that rise: they take the ends of a range to the ends of its image."""


def ranges(nodes: Iterable[Expr]) -> dict[Expr, Range]:
    """A range for each of `nodes`, which stand after their inputs."""
    found: dict[Expr, Range] = {}
    for node in nodes:
        found[node] = _range(node, found)
    return found


def _range(node: Expr, found: Mapping[Expr, Range]) -> Range:
    if node.kind == "bool":
        return 0.0, 1.0
    inside = [found[x] for x in node.inputs]
    average = _averaged(node, found)
    if average is not None:
        return average
    if node.op in RISING:
        low, high = inside[0]
        return RISING[node.op](low), RISING[node.op](high)
    if node.op in KEEP:
        return inside[0]
    special = _SPECIAL.get(node.op)
    low, high = special(node, inside) if special else ANY
    return ANY if math.isnan(low) or math.isnan(high) else (low, high)


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _product(node: Expr, inside: list[Range]) -> Range:
    if node.inputs[0] is node.inputs[1]:
        return _squared(inside[0])
    ends = [_times(a, b) for a in inside[0] for b in inside[1]]
    return min(ends), max(ends)


def _squared(x: Range) -> Range:
    low, high = sorted((abs(x[0]), abs(x[1])))
    return (0.0 if x[0] < 0 < x[1] else low * low), high * high


def _quotient(node: Expr, inside: list[Range]) -> Range:
    low, high = inside[1]
    if low < 0 < high or low == high == 0:
        return ANY
    turned = (1 / high if high else -INF, 1 / low if low else INF)
    ends = [_times(a, b) for a in inside[0] for b in turned]
    return min(ends), max(ends)


def _summed(node: Expr, inside: list[Range]) -> Range:
    if node.inputs[0].op == "softmax" and node["over"] == node.inputs[0]["over"]:
        return 1.0, 1.0
    low, high = inside[0]
    return (0.0 if low >= 0 else -INF), (0.0 if high <= 0 else INF)


def _averaged(node: Expr, found: Mapping[Expr, Range]) -> Range | None:
    """A sum of products where one factor is a softmax over the axes that are summed: an average."""
    products = node if node.op == "contract" else node.inputs[0] if node.op == "sum" else None
    if products is None or products.op not in ("contract", "mul"):
        return None
    for shares, other in (products.inputs, reversed(products.inputs)):
        x = shares
        while x.op in ("transpose", "expand", "rename"):
            x = x.inputs[0]
        if x.op == "softmax" and x["over"] == node["over"]:
            return found[other]
    return None


def _contracted(node: Expr, inside: list[Range]) -> Range:
    """A sum of products: its sign, if all of them have the same."""
    (a, b), (c, d) = inside
    if (a >= 0 and c >= 0) or (b <= 0 and d <= 0):
        return 0.0, INF
    if (a >= 0 and d <= 0) or (b <= 0 and c >= 0):
        return -INF, 0.0
    return ANY


def _chosen(node: Expr, inside: list[Range]) -> Range:
    options = inside[1:] if node.op == "where" else inside
    return min(low for low, _ in options), max(high for _, high in options)


def _clipped(node: Expr, inside: list[Range]) -> Range:
    low, high = (min(max(x, node["low"]), node["high"]) for x in inside[0])
    return low, high


def _dropped(node: Expr, inside: list[Range]) -> Range:
    scale = 1 / (1 - node["rate"])
    return min(0.0, inside[0][0] * scale), max(0.0, inside[0][1] * scale)


_SPECIAL: Mapping[str, Callable[[Expr, list[Range]], Range]] = {
    "const": lambda node, _: (node["value"], node["value"]),
    "size": lambda node, _: (1.0, INF),
    "neg": lambda _, x: (-x[0][1], -x[0][0]),
    "add": lambda _, x: (x[0][0] + x[1][0], x[0][1] + x[1][1]),
    "sub": lambda _, x: (x[0][0] - x[1][1], x[0][1] - x[1][0]),
    "mul": _product,
    "div": _quotient,
    "square": lambda _, x: _squared(x[0]),
    "abs": lambda _, x: (
        0.0 if x[0][0] < 0 < x[0][1] else min(map(abs, x[0])),
        max(map(abs, x[0])),
    ),
    "maximum": lambda _, x: (max(x[0][0], x[1][0]), max(x[0][1], x[1][1])),
    "minimum": lambda _, x: (min(x[0][0], x[1][0]), min(x[0][1], x[1][1])),
    "clip": _clipped,
    "where": _chosen,
    "concat": _chosen,
    "sum": _summed,
    "contract": _contracted,
    "softmax": lambda _, x: (0.0, 1.0),
    "log_softmax": lambda _, x: (-INF, 0.0),
    "leaky_relu": lambda node, x: (x[0][0] * node["slope"] if x[0][0] < 0 else x[0][0], x[0][1]),
    "elu": lambda node, x: (-abs(node["alpha"]) if x[0][0] < 0 else x[0][0], x[0][1]),
    "selu": lambda _, x: (-1.7581 if x[0][0] < 0 else x[0][0], 1.0508 * x[0][1]),
    "gelu": lambda _, x: (LOWEST if x[0][0] < 0 else 0.0, max(x[0][1], 0.0)),
    "gelu_tanh": lambda _, x: (LOWEST if x[0][0] < 0 else 0.0, max(x[0][1], 0.0)),
    "silu": lambda _, x: (LOWEST if x[0][0] < 0 else 0.0, max(x[0][1], 0.0)),
    "dropout": _dropped,
    "sum_squares": lambda _, x: (0.0, INF),
}
