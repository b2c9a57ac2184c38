"""What a program asks of its arrays beyond axes and types: entries to average, known labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.errors import DataError, ShapeError
from chainrule.expr import Axes, Expr, postorder
from chainrule.ops import body_of
from chainrule.plan.program import made_axes
from chainrule.run.bind import Array

CHOOSE = ("max", "min", "argmax")  # have no value for no entries
LOOK_UP = ("one_hot", "gather", "scatter_add")


@dataclass(frozen=True)
class Demands:
    """What `refuse` checks.

    Attributes:
        entries: axes that need at least one entry, and the operation that needs it.
        labels: inputs that hold positions, and the axis along which these must exist.
        made: axes that operations make, with the operation and how the size follows from others,
            in an order in which it can be found.
        cuts: axes of which a run of entries is taken: the axis, that of the run, where it begins.
    """

    entries: Mapping[str, str]
    labels: tuple[tuple[str, str], ...]
    made: tuple[tuple[str, str, tuple[str, object]], ...]
    cuts: tuple[tuple[str, str, int, tuple[str, ...]], ...]


def demands(roots: Iterable[Expr]) -> Demands:
    """What the graph of `roots` asks of the arrays for its inputs."""
    roots, entries, labels = tuple(roots), dict[str, str](), dict[tuple[str, str], None]()
    for name, node in _with_bodies(roots):
        for axis in _over(node):
            entries.setdefault(axis, name)
        if node.op in LOOK_UP and node.inputs[-1].op == "input":
            labels[node.inputs[-1].name, node["axis"]] = None
    cuts = tuple(
        (n["axis"], n["into"], n["start"], n["after"]) for n in postorder(*roots) if n.op == "slice"
    )
    return Demands(entries, tuple(labels), tuple(_made(roots)), cuts)


def _made(roots: tuple[Expr, ...]) -> Iterable[tuple[str, str, tuple[str, object]]]:
    for node in postorder(*roots):
        if node.inputs:
            below = {axis for x in node.inputs for axis in x.sizes}
            yield from ((a, node.op, ("known", n)) for a, n in node.sizes.items() if a not in below)
            yield from ((axis, node.op, source) for axis, source in made_axes(node).items())


def _with_bodies(roots: tuple[Expr, ...]) -> Iterable[tuple[str, Expr]]:
    """Every node below `roots` and below their definitions, with the operation that was written."""
    seen: set[Expr] = set()
    todo = [("", root) for root in roots]
    while todo:
        written, node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        yield written or node.op, node
        # an operation that names no axis singles none out, so its definition asks for nothing
        if any(isinstance(value, (str, tuple)) for _, value in node.attrs):
            body = body_of(node)
            todo += [] if body is None else [(written or node.op, body)]
        # last in, first out: what a definition is applied to is seen first, under its own name
        todo += [(written, x) for x in node.inputs]


def _over(node: Expr) -> Axes:
    """The axes along which `node` needs an entry: it chooses one, or divides by their number."""
    if node.op in CHOOSE:
        return tuple(node["over"])
    factors = [node.inputs[1]] if node.op == "div" else []
    found: list[str] = []
    while factors:
        factor = factors.pop()
        found += [factor["axis"]] if factor.op == "size" else []
        factors += factor.inputs if factor.op == "mul" else ()
    return tuple(found)


def refuse(asked: Demands, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, int]:
    """Refuse arrays that have the right axes but not what the graph needs.

    Returns:
        The size of every axis, those that operations make among them.

    Raises:
        ShapeError: an operation makes an axis of another size than an array has along it.
        DataError: an axis that needs an entry has none, or a label names no position.
    """
    known = dict(sizes)
    for axis, op, (how, what) in asked.made:
        made = _size(how, what, known)
        if known.setdefault(axis, made) != made:
            raise ShapeError(
                f"makes {made} along axis {axis!r}, elsewhere it has {known[axis]}", where=op
            )
    for axis, into, start, after in asked.cuts:
        stop = start + sum(known[a] for a in after) + known[into]
        if stop > known[axis]:
            what = f"entries up to {stop} along axis {axis!r} do not exist: it has {known[axis]}"
            raise ShapeError(what, where="slice")
    for axis, op in asked.entries.items():
        if known[axis] == 0:
            raise DataError(
                f"found 0 entries along axis {axis!r}; at least 1 is required", where=op
            )
    for name, axis in asked.labels:
        outside = np.argwhere((arrays[name] < 0) | (arrays[name] >= known[axis]))
        if len(outside):
            at = tuple(int(i) for i in outside[0])
            shown = f"{name}[{', '.join(map(str, at))}]" if at else name
            more = f" ({len(outside)} like this)" if len(outside) > 1 else ""
            last = known[axis] - 1
            what = f"{shown} is {arrays[name][at]}, but axis {axis!r} has positions 0 to {last}"
            raise DataError(what + more)
    return known


def _size(how: str, what: object, known: Mapping[str, int]) -> int:
    if isinstance(what, int):
        return what
    parts = [known[axis] for axis in what]  # type: ignore[attr-defined]
    if how == "quotient":
        return parts[0] // max(math.prod(parts[1:]), 1)
    return sum(parts) if how == "sum" else math.prod(parts)
