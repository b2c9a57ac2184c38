"""Graphs and programs as lists, one node a line: what `chainrule show` prints of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.differentiate import Why
from chainrule.expr import Expr, describe_axes, postorder
from chainrule.plan.derived import Derived
from chainrule.plan.program import LEAVES, Program


def expression(found: Derived) -> str:
    """The forward graph as it was written."""
    definition = found.definition
    return listing([definition.root], definition.names())


def derivation(found: Derived) -> str:
    """The backward graph before simplification, with the reason for each line behind it."""
    names = found.definition.names()
    gradients = found.gradients
    labels = dict(names)
    for x, cotangent in gradients.cotangents.items():
        if x in names and cotangent.op not in LEAVES:
            labels.setdefault(cotangent, f"d{names[x]}")
    return listing(
        gradients.wrt.values(), labels, gradients.why, known=set(postorder(gradients.value))
    )


def lines(program: Program) -> str:
    """The assignments of a program with the axes of each value."""
    names = program.name_of
    shown = [
        f"{line.name} = {spell(line.value, names)}  : {_axes(line.value)}" for line in program.lines
    ]
    returned = ", ".join(f"{key or 'value'} = {_ref(x, names)}" for key, x in program.outputs)
    return "\n".join([*shown, f"return {returned}"])


def listing(
    roots: Iterable[Expr],
    names: Mapping[Expr, str],
    why: Mapping[Expr, Why] | None = None,
    known: set[Expr] | None = None,
) -> str:
    """Every node below `roots` on a line: name, operation, axes, and the reason if there is one.

    Args:
        names: what to call nodes that have a name; the others are %1, %2, …
        why: reasons, by expression.
        known: nodes not to list again.
    """
    called: dict[Expr, str] = dict(names)
    rows = []
    for node in postorder(*roots):
        if known and node in known:
            continue
        if node.op in LEAVES:
            if node.op == "input":
                rows.append((f"input {node.name}", "", _axes(node), ""))
            continue
        called.setdefault(node, f"%{len(called) - len(names) + 1}")
        reason = _reason(why.get(node), names) if why else ""
        rows.append((called[node], _operation(node, called), _axes(node), reason))
    width = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    return "\n".join(
        f"{a:<{width[0]}} {'=' if b else ' '} {b:<{width[1]}} : {c:<{width[2]}}  {d}".rstrip()
        for a, b, c, d in rows
    )


def spell(node: Expr, names: Mapping[Expr, str], depth: int = 60) -> str:
    """A node by its operations, down to what has a name."""
    parts = [_ref(x, names, depth) for x in node.inputs]
    return f"{node.op}({', '.join([*parts, *_attrs(node.attrs)])})"


def _ref(node: Expr, names: Mapping[Expr, str], depth: int = 60) -> str:
    if node in names:
        return names[node]
    if node.op in LEAVES:
        return describe_axes(node).split(" (")[0]
    return spell(node, names, depth - 1) if depth else "…"


def _operation(node: Expr, names: Mapping[Expr, str]) -> str:
    parts = [names.get(x) or describe_axes(x).split(" (")[0] for x in node.inputs]
    return f"{node.op}({', '.join([*parts, *_attrs(node.attrs)])})"


def _attrs(attrs: Iterable[tuple[str, Any]]) -> list[str]:
    shown = []
    for key, value in attrs:
        flat = isinstance(value, tuple) and all(isinstance(part, str) for part in value)
        shown.append(f"{key}={' '.join(value) if flat else value}")
    return shown


def _axes(node: Expr) -> str:
    shown = (f"{a}={node.sizes[a]}" if a in node.sizes and a != "1" else a for a in node.axes)
    return " ".join(shown) or "scalar"


def _reason(why: Why | None, names: Mapping[Expr, str]) -> str:
    if why is None:
        return ""
    target = why.node.inputs[why.index]
    label = names.get(target) or describe_axes(target).split(" (")[0]
    if why.rule == "paths":
        return f"# {label} lies on several paths: their contributions are added"
    return f"# what {label} receives through {why.rule}"
