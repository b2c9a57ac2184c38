"""Wrong derivatives, made from right ones: what a suite or a checker must find.

`mutants(op)` gives ``[(description, record), …]``: copies of the operation's record whose `vjp` has
one mistake. Plant one with ``with replaced(mutant): …`` (chainrule.ops). Some mistakes change
nothing for some records (a factor 1 that is doubled and halved again, operands of a symmetric rule
swapped): those are equal as functions, and it is for the caller to leave them out after comparing
values (`cotangents` writes down what to compare). Where a mistake cannot be made in one layout,
because axes would not fit, the record stays right in that layout.

`call(op, layout)` gives the inputs and the expression of one of the record's layouts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chainrule.differentiate import rewrite_below, substitute
from chainrule.errors import ChainruleError, ShapeError
from chainrule.expr import Expr, Spec, const, input_, make, postorder
from chainrule.ops import OPS, Op, expand, onto, sum_
from chainrule.ops.arithmetic import square
from chainrule.ops.record import Layout
from chainrule.ops.structure import sized

Vjp = Callable[..., Any]
Parts = list[Expr | None]
Change = Callable[[Expr, Expr], Expr]  # (cotangent of an input, g) → a wrong one


def call(op: Op, layout: Layout) -> tuple[tuple[Expr, ...], Expr]:
    """The inputs x_0, x_1, … of one layout and the expression that applies `op` to them."""
    inputs = tuple(input_(f"x_{i}", axes) for i, axes in enumerate(layout.inputs))
    return inputs, op(*inputs, **layout.attrs)


def cotangents(op: Op, layout: Layout) -> tuple[Expr, tuple[Expr, ...], list[Expr]]:
    """A placeholder g, the inputs, and what each receives by the record's `vjp`, with its axes."""
    inputs, y = call(op, layout)
    g = input_("g", Spec(y.axes, y.sizes))
    parts = op.vjp(g, y, *inputs, **dict(y.attrs))
    zero = const(0)
    return (
        g,
        inputs,
        [onto(zero if p is None else p, x.axes) for p, x in zip(parts, inputs, strict=True)],
    )


def mutants(op: Op) -> list[tuple[str, Op]]:
    """Every mutant of a record with a `vjp`, under a description of its own."""
    found: dict[str, Vjp] = {}
    for source in (_of_results, _of_arguments, _of_structure):
        for name, vjp in source(op):
            found.setdefault(name, vjp)
    return [(name, dataclasses.replace(op, vjp=vjp)) for name, vjp in found.items()]


def _attempt(op: Op, wrong: Vjp) -> Vjp:
    """`wrong`, or the right rule where the mistake cannot be made."""

    def vjp(g: Expr, y: Expr, *xs: Expr, **attrs: Any) -> Parts:
        right = list(op.vjp(g, y, *xs, **attrs))
        try:
            parts = list(wrong(g, y, *xs, **attrs))
            for part, x in zip(parts, xs, strict=True):
                if part is not None:
                    onto(part, x.axes)
        except (ChainruleError, ValueError):
            return right
        # an input that receives nothing, such as a label, keeps receiving nothing
        return [None if was is None else part for was, part in zip(right, parts, strict=True)]

    return vjp


def _averaged(axis: int) -> Change:
    def change(part: Expr, g: Expr) -> Expr:
        over = part.axes[axis:][:1]
        return expand(sum_(part, over) / sized(part.axes, over), part.axes) if over else part

    return change


def _summed(part: Expr, g: Expr) -> Expr:
    return expand(sum_(part, part.axes[:1]), part.axes) if part.axes else 2 * part


RESULTS: Mapping[str, Change] = {
    "negated": lambda part, g: -part,
    "doubled": lambda part, g: 2 * part,
    "halved": lambda part, g: 0.5 * part,
    "a thousandth too large": lambda part, g: 1.001 * part,
    "a thousandth too small": lambda part, g: 0.999 * part,
    "zero": lambda part, g: expand(const(0), part.axes),
    "with g added": lambda part, g: part + onto(g, part.axes),
    "with g taken away": lambda part, g: part - onto(g, part.axes),
    "with a constant added": lambda part, g: part + 1,
    "squared": lambda part, g: square(part),
    "averaged along its first axis": _averaged(0),
    "averaged along its last axis": _averaged(-1),
    "summed along its first axis": _summed,
}


def _of_results(op: Op) -> Iterator[tuple[str, Vjp]]:
    """Mistakes made with what one input receives."""
    for index in range(_count(op)):
        for name, change in RESULTS.items():

            def wrong(
                g: Expr,
                y: Expr,
                *xs: Expr,
                index: int = index,
                change: Change = change,
                **attrs: Any,
            ) -> Parts:
                parts = list(op.vjp(g, y, *xs, **attrs))
                if index < len(parts) and parts[index] is not None:
                    parts[index] = change(onto(parts[index], xs[index].axes), g)
                return parts

            yield f"input {index}: {name}", _attempt(op, wrong)


def _of_arguments(op: Op) -> Iterator[tuple[str, Vjp]]:
    """The right rule applied to the wrong values."""
    rule = op.vjp

    def ones(g: Expr) -> Expr:
        return expand(const(1), g.axes)

    yield "cotangent missing", _attempt(op, lambda g, y, *xs, **a: rule(ones(g), y, *xs, **a))
    yield "cotangent squared", _attempt(op, lambda g, y, *xs, **a: rule(square(g), y, *xs, **a))
    yield "g and y swapped", _attempt(op, lambda g, y, *xs, **a: rule(y, g, *xs, **a))
    yield "y for g", _attempt(op, lambda g, y, *xs, **a: rule(y, y, *xs, **a))
    for i in range(_count(op)):

        def swapped(g: Expr, y: Expr, *xs: Expr, i: int = i, **a: Any) -> Parts:
            return rule(_nth(xs, i), y, *(g if j == i else x for j, x in enumerate(xs)), **a)

        def input_for_y(g: Expr, y: Expr, *xs: Expr, i: int = i, **a: Any) -> Parts:
            return rule(g, _nth(xs, i), *xs, **a)

        def y_for_input(g: Expr, y: Expr, *xs: Expr, i: int = i, **a: Any) -> Parts:
            return rule(g, y, *(y if j == i else x for j, x in enumerate(xs)), **a)

        yield f"g and input {i} swapped", _attempt(op, swapped)
        yield f"input {i} for y", _attempt(op, input_for_y)
        yield f"y for input {i}", _attempt(op, y_for_input)
    if _count(op) > 1:

        def other_order(g: Expr, y: Expr, a: Expr, b: Expr, *xs: Expr, **attrs: Any) -> Parts:
            return rule(g, y, b, a, *xs, **attrs)

        def exchanged(g: Expr, y: Expr, *xs: Expr, **attrs: Any) -> Parts:
            parts = list(rule(g, y, *xs, **attrs))
            i, j, *_ = [i for i, part in enumerate(parts) if part is not None]
            parts[i], parts[j] = parts[j], parts[i]
            return parts

        yield "inputs in the other order", _attempt(op, other_order)
        yield "cotangents of the first two inputs swapped", _attempt(op, exchanged)


def _nth(xs: tuple[Expr, ...], index: int) -> Expr:
    if index >= len(xs):
        raise ShapeError(f"this layout has no input {index}")
    return xs[index]


def _count(op: Op) -> int:
    """The largest number of inputs in the record's layouts."""
    return max(len(layout.inputs) for layout in op.layouts)


def _again(name: str) -> Callable[[Expr], Expr]:
    return lambda node: OPS[name](*node.inputs, **dict(node.attrs))


def _operand(index: int) -> Callable[[Expr], Expr]:
    return lambda node: onto(node.inputs[index], node.axes)


def _constant(factor: float, shift: float) -> Callable[[Expr], Expr]:
    return lambda node: const(factor * node["value"] + shift)


def _attribute(name: str, step: int) -> Callable[[Expr], Expr]:
    return lambda node: OPS[node.op](*node.inputs, **(dict(node.attrs) | {name: node[name] + step}))


def _reduced_less(node: Expr) -> Expr:
    x = node.inputs[0]
    return sum_(x, node["over"]) / sized(x.axes, node["over"])


_FUNCTIONS = (
    "exp", "log", "log1p", "expm1", "sqrt", "square", "tanh", "erf", "sign", "abs",
    "sigmoid", "softplus", "clip", "softmax", "log_softmax", "neg", "dropout",
)  # fmt: skip
_ALONE = {"first operand alone": _operand(0), "second operand alone": _operand(1)}
STRUCTURE: Mapping[str, Mapping[str, Callable[[Expr], Expr]]] = {
    "add": {"− for +": _again("sub"), **_ALONE},
    "sub": {"+ for −": _again("add"), **_ALONE},
    "mul": {"÷ for ×": _again("div"), **_ALONE},
    "div": {"× for ÷": _again("mul"), "numerator alone": _operand(0)},
    "pow": {"base alone": _operand(0), "× for power": _again("mul")},
    "const": {"c + 1": _constant(1, 1), "2c": _constant(2, 0), "−c": _constant(-1, 0)},
    "gt": {"< for >": _again("lt"), "≤ for >": _again("le")},
    "ge": {"< for ≥": _again("lt"), "≤ for ≥": _again("le")},
    "lt": {"> for <": _again("gt"), "≥ for <": _again("ge")},
    "le": {"> for ≤": _again("gt"), "≥ for ≤": _again("ge")},
    "minimum": {"max for min": _again("maximum"), "first alone": _operand(0)},
    "maximum": {"min for max": _again("minimum"), "first alone": _operand(0)},
    "where": {"first branch always": _operand(1), "second branch always": _operand(2),
              "branches swapped": lambda n: OPS["where"](n.inputs[0], n.inputs[2], n.inputs[1])},
    "sum": {"mean for sum": _reduced_less},
    "pad": {"start one later": _attribute("start", 1)},
    "argmax": {"of the negative": lambda n: OPS["argmax"](-n.inputs[0], n["over"])},
    **{name: {"left out": _operand(0)} for name in _FUNCTIONS},
}  # fmt: skip


def _of_structure(op: Op) -> Iterator[tuple[str, Vjp]]:
    """One operation or constant of the rule itself replaced."""
    for layout in op.layouts:
        inputs, y = call(op, layout)
        for index, inside in enumerate(_inside(op, y, inputs)):
            for place, node in enumerate(inside):
                for name, change in STRUCTURE.get(node.op, {}).items():
                    label = f"input {index}, place {place}, {node.op}: {name}"
                    yield label, _attempt(op, _rewritten(op, index, place, node.op, change))


def _placeholders(y: Expr, inputs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Inputs like g, y and the inputs, so that the rule's own operations stand out."""
    likes = (y, y, *inputs)
    specs = [Spec(x.axes, x.sizes, x.kind) for x in likes]
    return tuple(input_(f"placeholder {i}", spec) for i, spec in enumerate(specs))


def _inside(op: Op, y: Expr, inputs: tuple[Expr, ...]) -> list[list[Expr]]:
    """For each input the operations and constants of which its cotangent is made."""
    held = _placeholders(y, inputs)
    parts = op.vjp(*held, **dict(y.attrs))
    return [[] if part is None else [n for n in postorder(part) if n not in held] for part in parts]


def _rewritten(op: Op, index: int, place: int, kind: str, change: Callable[[Expr], Expr]) -> Vjp:
    def vjp(g: Expr, y: Expr, *xs: Expr, **attrs: Any) -> Parts:
        parts = list(op.vjp(g, y, *xs, **attrs))
        held = _placeholders(y, xs)
        shape = list(op.vjp(*held, **attrs))[index] if index < len(parts) else None
        inside = [] if shape is None else [n for n in postorder(shape) if n not in held]
        if place >= len(inside) or inside[place].op != kind:
            return parts
        start = {x: x for x in held} | {inside[place]: change(inside[place])}
        wrong = rewrite_below([shape], start, _same)[shape]
        actual = dict(zip(held, (g, y, *xs), strict=True))
        parts[index] = substitute([wrong], actual)[wrong]
        return parts

    return vjp


def _same(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    if inputs == node.inputs:
        return node
    if node.op in OPS:
        return OPS[node.op](*inputs, **dict(node.attrs))
    return make(node.op, inputs, node.attrs, node.axes, node.sizes, node.kind)
