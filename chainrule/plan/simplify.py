"""Simplification as a table of rules, applied until none fits.

A rule looks at one node whose inputs are already simple and returns what it may be replaced by, or
None. Rules keep the value (up to rounding), the axes and the order of factors: an equation reads
as its record wrote it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.expr import Expr, const, rewrite
from chainrule.ops import OPS, contraction, expand, sum_, transpose
from chainrule.ops.structure import sized

Rewrite = Callable[[Expr], Expr | None]


@dataclass(frozen=True)
class Rule:
    """One simplification: where it applies, what it says in mathematics, and how it is done."""

    ops: tuple[str, ...]
    says: str
    apply: Rewrite


def is_const(x: Expr, value: float) -> bool:
    """Whether `x` is the number `value`, repeated along any axes."""
    inner = x.inputs[0] if x.op == "expand" else x
    return inner.op == "const" and inner["value"] == value


def _if_same_axes(node: Expr, replacement: Expr) -> Expr | None:
    return replacement if replacement.axes == node.axes and replacement.kind == node.kind else None


def _neutral(value: float, *positions: int) -> Rewrite:
    def apply(node: Expr) -> Expr | None:
        for position in positions:
            if is_const(node.inputs[position], value):
                return _if_same_axes(node, node.inputs[1 - position])
        return None

    return apply


_FOLDS: Mapping[str, Callable[[float, float], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
}


def _fold(node: Expr) -> Expr | None:
    if any(x.op != "const" for x in node.inputs):
        return None
    try:
        value = _FOLDS[node.op](*(x["value"] for x in node.inputs))
    except (ArithmeticError, ValueError):
        return None
    return None if isinstance(value, complex) or not math.isfinite(value) else const(value)


def _neg_const(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return const(-x["value"]) if x.op == "const" else None


def _neg_neg(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return x.inputs[0] if x.op == "neg" else None


def _zero_minus(node: Expr) -> Expr | None:
    return _if_same_axes(node, -node.inputs[1]) if is_const(node.inputs[0], 0) else None


def _drop_expand(node: Expr) -> Expr | None:
    """Broadcasting does what `expand` does where the other side has all the axes."""
    for i, x in enumerate(node.inputs):
        if x.op == "expand" and x.inputs[0].kind == "float":
            operands = list(node.inputs)
            operands[i] = x.inputs[0]
            wide = any(set(y.axes) >= set(node.axes) for j, y in enumerate(operands) if j != i)
            slim = OPS[node.op](*operands) if wide else None
            if slim is not None and slim.axes == node.axes:
                return slim
    return None


def _drop_expand_in_contract(node: Expr) -> Expr | None:
    """An axis that both sides share and keep need not be repeated on one of them."""
    for i, x in enumerate(node.inputs):
        if x.op == "expand":
            inner, other = x.inputs[0], node.inputs[1 - i]
            added = set(x.axes) - set(inner.axes)
            if inner.kind == "float" and added <= set(other.axes) - set(node["over"]):
                return contraction(*((inner, other) if i == 0 else (other, inner)), node.axes)
    return None


def _number_of_expand(node: Expr) -> Expr | None:
    """A number times what is repeated is repeated."""
    for i, x in enumerate(node.inputs):
        other = node.inputs[1 - i]
        if x.op == "expand" and not other.axes and not x.inputs[0].axes and other.kind == "float":
            operands = (x.inputs[0], other) if i == 0 else (other, x.inputs[0])
            return expand(OPS["mul"](*operands), node.axes)
    return None


def _minus_one(node: Expr) -> Expr | None:
    for i, x in enumerate(node.inputs):
        if x.op == "const" and x["value"] == -1:
            return _if_same_axes(node, -node.inputs[1 - i])
    return None


def _sum_of_nothing(node: Expr) -> Expr | None:
    return node.inputs[0] if not node["over"] and node.inputs[0].kind == "float" else None


def _sum_of_product(node: Expr) -> Expr | None:
    product, over = node.inputs[0], node["over"]
    if product.op != "mul" or any(x.kind != "float" for x in product.inputs):
        return None
    a, b = product.inputs
    common = set(a.axes) & set(b.axes)
    if common != set(
        over
    ):  # a matrix product: summed axes are common, all others stand on one side
        return None
    return contraction(a, b, node.axes)


def _sum_of_expand(node: Expr) -> Expr | None:
    x, over = node.inputs[0], node["over"]
    if x.op != "expand":
        return None
    added = tuple(axis for axis in over if axis not in x.inputs[0].axes)
    if not added:
        return None
    rest = tuple(axis for axis in over if axis not in added)
    summed = sum_(x.inputs[0], rest) if rest else x.inputs[0]
    return expand(summed * sized(x.axes, added), node.axes)


def _sum_of_sum(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return sum_(x.inputs[0], (*x["over"], *node["over"])) if x.op == "sum" else None


def _sum_of_transpose(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return _if_same_axes(node, sum_(x.inputs[0], node["over"])) if x.op == "transpose" else None


def _transpose_twice(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return transpose(x.inputs[0], node["axes"]) if x.op == "transpose" else None


def _transpose_product(node: Expr) -> Expr | None:
    x = node.inputs[0]
    if x.op != "contract":
        return None
    a, b = x.inputs
    return _if_same_axes(node, OPS["contract"](b, a, x["over"]))


def _expand_nothing(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return transpose(x, node["axes"]) if set(x.axes) == set(node["axes"]) else None


def _expand_twice(node: Expr) -> Expr | None:
    x = node.inputs[0]
    return expand(x.inputs[0], node["axes"]) if x.op == "expand" else None


def _rename_back(node: Expr) -> Expr | None:
    x = node.inputs[0]
    if x.op != "rename" or dict(x["to"]) != {new: old for old, new in node["to"]}:
        return None
    return x.inputs[0]


ARITHMETIC = ("add", "sub", "mul", "div", "pow")
RULES: tuple[Rule, ...] = (
    Rule(("mul",), "1 · x = x · 1 = x", _neutral(1, 0, 1)),
    Rule(("mul",), "−1 · x = −x", _minus_one),
    Rule(("mul",), "a number times what is repeated is repeated", _number_of_expand),
    Rule(("div", "pow"), "x / 1 = x^1 = x", _neutral(1, 1)),
    Rule(("add",), "x + 0 = 0 + x = x", _neutral(0, 0, 1)),
    Rule(("sub",), "x − 0 = x", _neutral(0, 1)),
    Rule(("sub",), "0 − x = −x", _zero_minus),
    Rule(("neg",), "−(−x) = x", _neg_neg),
    Rule(("neg",), "the negative of a number is a number", _neg_const),
    Rule(ARITHMETIC, "arithmetic of numbers is a number", _fold),
    Rule(
        (*ARITHMETIC, "where"), "what broadcasting repeats need not be repeated first", _drop_expand
    ),
    Rule(
        ("contract",),
        "what broadcasting repeats need not be repeated first",
        _drop_expand_in_contract,
    ),
    Rule(("sum",), "a sum over nothing is its term", _sum_of_nothing),
    Rule(("sum",), "Σ a_i b_i is a product of matrices", _sum_of_product),
    Rule(("sum",), "a sum of m equal terms is m times one", _sum_of_expand),
    Rule(("sum",), "a sum of sums is one sum", _sum_of_sum),
    Rule(("sum",), "a sum does not see the order of axes", _sum_of_transpose),
    Rule(("transpose",), "(xᵀ)ᵀ = x", _transpose_twice),
    Rule(("transpose",), "(AB)ᵀ = BᵀAᵀ", _transpose_product),
    Rule(("expand",), "repeating along no new axis is nothing", _expand_nothing),
    Rule(("expand",), "repeating twice is repeating once", _expand_twice),
    Rule(("rename",), "renaming there and back is nothing", _rename_back),
)
_BY_OP: dict[str, tuple[Rule, ...]] = {
    op: tuple(rule for rule in RULES if op in rule.ops)
    for op in {o for rule in RULES for o in rule.ops}
}


def simplify(roots: Iterable[Expr]) -> dict[Expr, Expr]:
    """What every expression below `roots` becomes.

    >>> from chainrule.expr import input_
    >>> x = input_("x", "m")
    >>> simplify([1 * x])[1 * x] is x
    True
    """
    simple: dict[Expr, Expr] = {}

    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if inputs != node.inputs:
            node = OPS[node.op](*inputs, **dict(node.attrs))
        return _settle(node, simple)

    return rewrite(roots, step)


def _settle(node: Expr, simple: dict[Expr, Expr]) -> Expr:
    """Apply rules at `node`, and below it where a rule made something new, until none fits."""
    todo = [node]
    while todo:
        current = todo[-1]
        if current in simple:
            todo.pop()
            continue
        unsettled = [x for x in current.inputs if x not in simple]
        if unsettled:
            todo.extend(unsettled)
            continue
        inputs = tuple(simple[x] for x in current.inputs)
        rebuilt = (
            current if inputs == current.inputs else OPS[current.op](*inputs, **dict(current.attrs))
        )
        better = next(
            (y for r in _BY_OP.get(rebuilt.op, ()) if (y := r.apply(rebuilt)) is not None), None
        )
        if better is None:
            simple[current] = simple[rebuilt] = rebuilt
            todo.pop()
        elif better in simple:
            simple[current] = simple[rebuilt] = simple[better]
            todo.pop()
        else:
            todo.append(better)
    return simple[node]
