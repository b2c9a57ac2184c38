"""The table of operations, read off the records: what each computes and what its inputs receive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.emit.tex import Printer, label, orientations
from chainrule.expr import Expr, Spec, input_, parse_axes
from chainrule.ops import OPS, onto
from chainrule.ops.record import Op
from chainrule.plan.simplify import simplify

COTANGENT = "g"


@dataclass(frozen=True)
class Row:
    r"""One operation in equations.

    Attributes:
        op: the record.
        formula: LaTeX of the value, for example ``y &= \sigma(x)``.
        derivatives: LaTeX of what each input receives when the value receives g, for each input
            that receives something.
    """

    op: Op
    formula: str
    derivatives: tuple[str, ...]


def rows() -> Iterator[Row]:
    """Every operation, in the order of the records."""
    yield from (row(op) for op in OPS.values())


def row(op: Op) -> Row:
    """One operation in equations, called as in the first of its layouts."""
    layout = op.layouts[0]
    operands = _operands(op, [parse_axes(text) for text in layout.inputs])
    value = op(*operands, **layout.attrs)
    names = {x: label(x.name) for x in operands} | {value: "y"}
    cotangent = input_(COTANGENT, Spec(value.axes, value.sizes))
    parts = op.vjp(cotangent, value, *operands, **dict(value.attrs)) if op.vjp else ()
    received = [
        (x, onto(part, x.axes))
        for x, part in zip(operands, parts, strict=False)
        if part is not None
    ]
    simple = simplify([part for _, part in received])
    printer = Printer(names, orientations([value, *simple.values()]))
    lines = tuple(
        rf"\frac{{\partial L}}{{\partial {names[x]}}} &= {printer.tex(simple[part]).text}"
        for x, part in received
    )
    return Row(op, f"y &= {printer.definition(value).text}", lines)


def _operands(op: Op, specs: list[Spec]) -> list[Expr]:
    """Inputs under the field's names: x alone, a and b, or prediction and target of a loss."""
    names = {1: ["x"], 2: ["a", "b"], 3: ["a", "b", "c"]}[len(specs)]
    if "reduction" in op.attrs or op.name == "sum_squares":
        names = ["y_hat", "t", "w"]
    return [input_(name, spec) for name, spec in zip(names, specs, strict=False)]
