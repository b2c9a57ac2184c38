"""Which values get a line of their own, under which name, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.errors import GraphError
from chainrule.expr import Expr, postorder

DEEPEST = 6  # operations written inside one line before a part of it gets its own
Source = tuple[str, Any]  # how the size of an axis is found, and from what
LEAVES = ("input", "const", "size")


@dataclass(frozen=True)
class Line:
    """One assignment."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Program:
    """A function in lines: inputs, assignments in order, and what it returns by name."""

    name: str
    inputs: tuple[Expr, ...]
    lines: tuple[Line, ...]
    outputs: tuple[tuple[str, Expr], ...]

    @property
    def name_of(self) -> dict[Expr, str]:
        """The name under which each expression with a line, and each input, is known."""
        return {x: x.name for x in self.inputs} | {line.value: line.name for line in self.lines}


def program(
    name: str,
    inputs: Iterable[Expr],
    outputs: Mapping[str, Expr],
    names: Mapping[Expr, str],
    deepest: int = DEEPEST,
    share: bool = True,
) -> Program:
    """Put the graph of `outputs` into lines.

    A value gets a line if it has a name, if it is used more than once (unless `share` is False),
    or if more than `deepest` operations are nested in it; names that are missing are t1, t2, …
    """
    inputs = tuple(inputs)
    roots = tuple(outputs.values())
    taken = {x.name for x in inputs} | set(names.values())
    used = _uses(roots)
    depth: dict[Expr, int] = {}
    lines = []
    temporary = 0
    for node in postorder(*roots):
        deep = max((depth[x] for x in node.inputs), default=-1) + 1
        if node.op in LEAVES:
            depth[node] = 0
            continue
        named = names.get(node)
        if named is None and (used[node] < 2 or not share) and deep < deepest:
            depth[node] = deep
            continue
        depth[node] = 0
        while named is None:
            temporary += 1
            named = f"t{temporary}" if f"t{temporary}" not in taken else None
        lines.append(Line(named, node))
    return Program(name, inputs, tuple(lines), tuple(outputs.items()))


def _uses(roots: tuple[Expr, ...]) -> dict[Expr, int]:
    used = dict.fromkeys(postorder(*roots), 0)
    for node in tuple(used):
        for x in node.inputs:
            used[x] += 1
    for root in roots:
        used[root] += 1
    return used


def axis_sources(roots: Iterable[Expr]) -> dict[str, Source]:
    """Where the size of each axis is found.

    ("input", (input, position)), ("known", size), or how it is computed from other axes:
    ("sum" | "product" | "quotient" | "same", axes).

    Raises:
        GraphError: an axis has no size anywhere.
    """
    found: dict[str, Source] = {}
    nodes = tuple(postorder(*roots))
    for node in nodes:
        if node.op == "input":
            for position, axis in enumerate(node.axes):
                found.setdefault(axis, ("input", (node, position)))
    for node in nodes:
        for axis, size in node.sizes.items():
            found.setdefault(axis, ("known", size))
    for node in nodes:
        for axis, source in made_axes(node).items():
            found.setdefault(axis, source)
    needed = {axis for node in nodes for axis in node.axes} | {
        n["axis"] for n in nodes if n.op == "size"
    }
    lost = sorted(needed - set(found))
    if lost:
        hint = "Give it where the axis is made: size=…"
        raise GraphError(f"the size of axis {lost[0]!r} is not known anywhere", hint=hint)
    return found


def made_axes(node: Expr) -> dict[str, Source]:
    """The axes that `node` makes, with the source of their sizes as in `axis_sources`."""
    if node.op == "concat":
        return {node["into"]: ("sum", node["over"])}
    if node.op == "merge":
        return {node["into"]: ("product", node["axes"])}
    if node.op == "rename":
        return {new: ("same", (old,)) for old, new in node["to"]}
    if node.op == "split":
        known = dict(node["sizes"])
        missing = [axis for axis in node["into"] if axis not in known]
        return {axis: ("quotient", (node["axis"], *known)) for axis in missing if len(missing) == 1}
    return {}
