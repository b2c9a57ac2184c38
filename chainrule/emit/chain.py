"""Scalar networks in the notation of the chain rule: one factor for each step from value to value.

For a chain h_i = σ(w_i h_{i−1} + b_i) these are the two recurrences of the lecture: dL/dw_i from
dL/dh_i, and dL/dh_i from dL/dh_{i+1}. Where layers have the same form the line is also given once,
for a general i.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from chainrule.emit.tex import Printer, Tex, label
from chainrule.errors import ParameterError
from chainrule.expr import Expr, const, describe_axes, postorder
from chainrule.ops import OPS
from chainrule.ops.record import PRODUCT
from chainrule.plan.derived import Derived
from chainrule.plan.program import LEAVES
from chainrule.plan.simplify import is_const, simplify

DOT = r" \cdot "
Path = tuple[tuple[Expr, int], ...]


def derivative(of: str, upper: str = "L") -> str:
    """d upper / d of."""
    return rf"\frac{{d{_apart(upper)}}}{{d{_apart(of)}}}"


def _apart(text: str) -> str:
    return f" {text}" if text.startswith("\\") else text


def chain_lines(found: Derived, printer: Printer) -> Iterator[str]:
    """The backward pass of a scalar network: general lines first, then every derivative.

    Raises:
        ParameterError: a value has axes.
    """
    refuse_arrays(found)
    lines = list(_lines(found, printer))
    yield from _recurrences(lines)
    yield from lines


def refuse_arrays(found: Derived) -> None:
    """Raise a ParameterError if a value has axes."""
    wide = [x for x in postorder(found.value) if x.axes]
    if wide:
        hint = "Use notation='matrix'"
        raise ParameterError(
            f"{describe_axes(wide[0])} is not a number", where="notation 'chain'", hint=hint
        )


def _lines(found: Derived, printer: Printer) -> Iterator[str]:
    named = {e for e in found.names if e.op not in LEAVES and e is not found.value}
    wrt = [found.definition.input[name] for name in found.grads]
    stops = named | set(wrt)
    received: dict[Expr, list[tuple[Expr, Path]]] = {}
    backward = [
        e for e in reversed(tuple(postorder(found.value))) if e in named or e is found.value
    ]
    for value in backward:
        for x, path in paths(value, stops):
            received.setdefault(x, []).append((value, path))
    for x in [*wrt, *(e for e in backward if e in named)]:
        if x in received:
            yield _line(x, received[x], found, printer)


def _line(x: Expr, received: list[tuple[Expr, Path]], found: Derived, printer: Printer) -> str:
    """dL/dx by the chain rule in symbols, then with every local derivative written out."""
    symbolic, written = [], []
    for value, path in received:
        is_loss = value is found.value
        name = label(found.names.get(value, ""))
        upstream = [] if is_loss else [derivative(name)]
        symbolic.append(
            DOT.join([*upstream, derivative(label(found.names[x]), "L" if is_loss else name)])
        )
        factors = [f for node, index in path if (f := _local(node, index, printer)) is not None]
        pieces = [f.at(PRODUCT) for f in factors]
        written.append(DOT.join([*upstream, *pieces]) or "1")
    left = derivative(label(found.names[x]))
    rights = dict.fromkeys((" + ".join(dict.fromkeys(symbolic)), " + ".join(written)))
    return f"{left} &= " + " = ".join(right for right in rights if right != left)


def paths(value: Expr, stops: set[Expr]) -> Iterator[tuple[Expr, Path]]:
    """Every way from `value` down to one of `stops`, as (operation, input index) steps."""
    todo: list[tuple[Expr, Path]] = [(value, ())]
    while todo:
        node, path = todo.pop()
        if node in stops and node is not value:
            yield node, path
            continue
        todo.extend((x, (*path, (node, i))) for i, x in reversed(list(enumerate(node.inputs))))


def _local(node: Expr, index: int, printer: Printer) -> Tex | None:
    """The derivative of one operation with respect to one input; None if it is 1."""
    op = OPS[node.op]
    if isinstance(op.tex, str) and op.tex.endswith("{0:call}") and len(node.inputs) == 1:
        name = op.tex.removesuffix("{0:call}").format(**dict(node.attrs))
        return Tex(name + "'" + printer.tex(node.inputs[0]).inside(), PRODUCT)
    assert op.vjp is not None  # a path leads through differentiable operations only
    part = op.vjp(const(1), node, *node.inputs, **dict(node.attrs))[index]
    assert part is not None
    simple = simplify([part])[part]
    return None if is_const(simple, 1) else printer.tex(simple)


_SUBSCRIPT = re.compile(r"_(?:([0-9]+)(?![0-9])|\{([0-9]+)\})")


def _recurrences(lines: list[str]) -> Iterator[str]:
    """Lines that at least two layers share when their number is written as i."""
    general = Counter(g for line in lines if (g := _general(line)))
    shown: set[str] = set()
    for line in lines:
        form = _general(line)
        if form and general[form] > 1 and form not in shown:
            shown.add(form)
            yield form


def _general(line: str) -> str:
    """The line with every layer number relative to that of its left side; "" if that has none."""
    first = _SUBSCRIPT.search(line.split("&=")[0])
    if first is None:
        return ""
    own = int(first[1] or first[2])

    def relative(match: re.Match[str]) -> str:
        offset = int(match[1] or match[2]) - own
        return "_i" if offset == 0 else f"_{{i{offset:+d}}}"

    return _SUBSCRIPT.sub(relative, line)
