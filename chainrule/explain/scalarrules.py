"""The derivatives of scalar operations, read off the records.

Each elementwise record is applied to single numbers. Its rule, given 1 for what the value receives,
is the derivative: once in terms of the input alone, once with the value y where the rule uses it.
Where a function has a real value, and which slope it takes at a kink, is found by evaluating it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.emit.tex import Printer, label, orientations
from chainrule.expr import Definition, Expr, const, input_, make, rewrite
from chainrule.ops import OPS
from chainrule.ops.record import Op, is_elementwise
from chainrule.plan.program import program
from chainrule.plan.simplify import is_const, simplify
from chainrule.run.reference import Reference

INPUTS = {1: ("x",), 2: ("a", "b"), 3: ("c", "a", "b")}
VALUE = "y"
PROBES = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])


@dataclass(frozen=True)
class Partial:
    r"""The derivative of one operation with respect to one of its inputs.

    Attributes:
        input: the name of the input.
        of_input: the derivative in terms of the inputs, as LaTeX.
        of_value: the same with the value written y where the rule uses it; "" if it does not.
        expr: the derivative as an expression of the inputs.
    """

    input: str
    of_input: str
    of_value: str
    expr: Expr

    @property
    def symbol(self) -> str:
        r"""``\frac{dy}{dx}``, or a partial derivative where there are several inputs."""
        return (
            r"\frac{dy}{dx}"
            if self.input == "x"
            else rf"\frac{{\partial y}}{{\partial {self.input}}}"
        )


@dataclass(frozen=True)
class ScalarRule:
    """One elementwise operation on numbers.

    Attributes:
        op: the record.
        value: LaTeX of the value.
        partials: one for each input that receives something; () if none does.
        domain: where value and derivative are real numbers, as LaTeX; "" for all numbers.
        kinks: what the derivative is where the two sides differ, as plain words; "" if nowhere.
        definition: the value as a network, for checks.
    """

    op: Op
    value: str
    partials: tuple[Partial, ...]
    domain: str
    kinks: str
    definition: Definition


def scalar_rules() -> Iterator[ScalarRule]:
    r"""A rule for every elementwise record, in the order of the records.

    >>> rules = {rule.op.name: rule for rule in scalar_rules()}
    >>> rules["tanh"].partials[0].of_input, rules["tanh"].partials[0].of_value
    ('1 - \\tanh(x)^2', '1 - y^2')
    """
    yield from (scalar_rule(op) for op in OPS.values() if is_elementwise(op))


def scalar_rule(op: Op) -> ScalarRule:
    """The derivatives of one elementwise record, with the options that its first layout gives."""
    layout = op.layouts[0]
    kinds = [text.split()[-1:] for text in layout.inputs]
    names = INPUTS[len(kinds)]
    inputs = tuple(
        input_(name, kind[0] if kind and kind[0] in ("int", "bool") else "")
        for name, kind in zip(names, kinds, strict=True)
    )
    value = op(*inputs, **layout.attrs)
    parts = op.vjp(const(1), value, *inputs, **dict(value.attrs)) if op.vjp else ()
    received = [(x, p) for x, p in zip(inputs, parts, strict=False) if p is not None]
    simple = simplify([value, *(part for _, part in received)])
    shorter = rewrite(simple.values(), _without_one)
    plain = {x: label(x.name) for x in inputs}
    short = {**plain, value: VALUE}
    partials = []
    for x, part in received:
        expr = shorter[simple[part]]
        texts = [Printer(n, orientations([expr])).tex(expr).text for n in (plain, short)]
        partials.append(Partial(x.name, texts[0], texts[1] if texts[1] != texts[0] else "", expr))
    net = Definition(op.name, value, inputs, (), tuple(x.name for x, _ in received))
    shown = Printer(plain, orientations([value])).definition(value).text
    return ScalarRule(
        op, shown, tuple(partials), _domain(net, partials), _kinks(op, net, partials), net
    )


def _without_one(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """1 · [x > 0] is [x > 0]: as numbers they are the same, whatever kind they are."""
    if node.op == "mul" and is_const(inputs[0], 1):
        return inputs[1]
    return make(node.op, inputs, node.attrs, node.axes, node.sizes, node.kind)


def values_at(net: Definition, root: Expr, arrays: Mapping[str, float]) -> float:
    """The number that `root` is for these inputs of `net`."""
    function = Reference(program("value", net.inputs, {"": root}, {}))
    given = {x.name: _typed(x, arrays[x.name]) for x in net.inputs}
    return float(function.run(given)[0])


def _typed(x: Expr, number: float) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.asarray(number, {"float": np.float64, "int": np.int64, "bool": np.bool_}[x.kind])


def _domain(net: Definition, partials: list[Partial]) -> str:
    """Where a function of one number has a derivative, tried to the left and right of −1 and 0."""
    if len(net.inputs) > 1:
        return r"b \neq 0" if net.root.op == "div" else "a > 0" if net.root.op == "pow" else ""
    exprs = [net.root, *(partial.expr for partial in partials)]
    finite = {
        x: all(np.isfinite(values_at(net, expr, {"x": x})) for expr in exprs)
        for x in PROBES.tolist()
    }
    if all(finite.values()):
        return ""
    low = min(x for x, ok in finite.items() if ok)
    return "x > 0" if low == 0.5 else "x > -1"


def _kinks(op: Op, net: Definition, partials: list[Partial]) -> str:
    if op.smooth or not partials:
        return ""
    if len(net.inputs) == 2:
        shares = [values_at(net, p.expr, {"a": 1.0, "b": 1.0}) for p in partials]
        said = ", ".join(f"{p.input} receives {n:g}" for p, n in zip(partials, shares, strict=True))
        return f"a = b: {said}"
    at = [e for e in op.edges if np.isfinite(e.x)]
    return "; ".join(f"x = {e.x:g}: slope {e.slope:.6g}" for e in at)
