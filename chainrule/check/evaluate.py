"""Values of a network, worked out a second time: what gradients are checked against.

Shares nothing with `chainrule.emit`: operations with a body are replaced by it, and the few
primitives that remain are computed by `chainrule.check.primitives`. No derivative rule is ever
read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.check.named import Array, Named, Run
from chainrule.check.primitives import PRIMITIVES
from chainrule.errors import GraphError
from chainrule.expr import Expr, postorder
from chainrule.ops import OPS, body_of
from chainrule.plan.program import axis_sources


class Graph:
    """Expressions prepared for evaluation at many points.

    Args:
        roots: what to evaluate; `inputs` are the values that callers supply, used for the sizes of
            axes.
    """

    def __init__(self, roots: Iterable[Expr], inputs: Iterable[Expr]) -> None:
        given = tuple(roots)
        simple = primitives(given)
        self.roots = tuple(simple[root] for root in given)
        self.nodes = tuple(postorder(*self.roots))
        self._sources = axis_sources([*self.roots, *inputs])
        self._inputs = tuple(inputs)
        last = {x: i for i, node in enumerate(self.nodes) for x in node.inputs}
        self._free: dict[int, list[Expr]] = {}
        kept = set(self.roots)
        for node, i in last.items():
            if node not in kept:
                self._free.setdefault(i, []).append(node)

    def sizes(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        """The size of every axis, from the inputs' arrays and what is declared."""
        shapes = {x: arrays[x.name].shape for x in self._inputs}
        sizes: dict[str, int] = {}
        waiting = dict(self._sources)
        while waiting:
            ready = {a: _size(s, shapes, sizes) for a, s in waiting.items()}
            found = {a: n for a, n in ready.items() if n is not None}
            if not found:
                raise GraphError(f"the size of axis {next(iter(waiting))!r} is not known anywhere")
            sizes |= found
            waiting = {a: s for a, s in waiting.items() if a not in found}
        return sizes

    def __call__(self, values: Mapping[str, Named], run: Run) -> list[Named]:
        """The roots at `values` (by input name)."""
        known: dict[Expr, Named] = {}
        with np.errstate(all="ignore"):
            for i, node in enumerate(self.nodes):
                if node.op == "input":
                    known[node] = values[node.name]
                else:
                    known[node] = PRIMITIVES[node.op](run, node, *(known[x] for x in node.inputs))
                for done in self._free.get(i, ()):
                    del known[done]
        return [known[root] for root in self.roots]


def primitives(roots: Iterable[Expr]) -> dict[Expr, Expr]:
    """What all expressions below `roots` are with bodies in the place of operations."""
    new: dict[Expr, Expr] = {}
    body: dict[Expr, Expr | None] = {}
    todo = list(roots)
    while todo:
        node = todo[-1]
        if node not in body:
            body[node] = body_of(node)
        definition = body[node]
        below = node.inputs if definition is None else (definition,)
        waiting = [x for x in below if x not in new]
        if waiting:
            todo.extend(waiting)
            continue
        todo.pop()
        inputs = tuple(new[x] for x in node.inputs if x in new)
        if definition is not None:
            new[node] = new[definition]
        elif inputs == node.inputs:
            new[node] = node
        else:
            new[node] = OPS[node.op](*inputs, **dict(node.attrs))
    return new


def _size(
    source: tuple[str, Any], shapes: Mapping[Expr, tuple[int, ...]], sizes: Mapping[str, int]
) -> int | None:
    how, what = source
    if how == "known":
        return int(what)
    if how == "input":
        node, position = what
        return int(shapes[node][position])
    if any(axis not in sizes for axis in what):
        return None
    parts = [sizes[axis] for axis in what]
    if how == "sum":
        return sum(parts)
    return parts[0] // math.prod(parts[1:]) if how == "quotient" else math.prod(parts)
