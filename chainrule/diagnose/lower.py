"""From a tape to a definition: every axis gets a name, every node an expression.

Axes of size 1 disappear: a bias of shape (k, 1) is the vector k. Where one array has the same axis
twice (a square matrix that meets itself), the second goes by another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.check.named import Array
from chainrule.diagnose.tape import Dim, Dims, Node, Untraceable
from chainrule.diagnose.trace import Trace
from chainrule.errors import ChainruleError
from chainrule.expr import EXAMPLES, Axes, Definition, Expr, Spec, const, input_
from chainrule.ops import OPS, contraction, expand, sum_, transpose
from chainrule.ops.indexing import merge, rename
from chainrule.ops.structure import max_, mean, min_, size

LETTERS = "n k o p q r s t u v w h d e f g j l a b c".split()


@dataclass(frozen=True)
class Traced:
    """A function as a definition.

    Attributes:
        definition: its loss; inputs without axes of size 1, and after them the function's own
            arrays.
        own: these arrays, by name.
    """

    definition: Definition
    own: Mapping[str, Array]


def lower(trace: Trace, name: str, params: Sequence[str]) -> Traced:
    """The definition of what was written down.

    Raises:
        Untraceable: an operation has no counterpart.
    """
    lowering = _Lowering(trace, params)
    try:
        return lowering.run(name, params)
    except ChainruleError as error:
        raise Untraceable(str(error)) from error


Layout = tuple[str | None, ...]
"""The axis at each place of an array; None has size 1."""


class _Lowering:
    def __init__(self, trace: Trace, params: Sequence[str]) -> None:
        self.trace = trace
        self.names = _axis_names(trace, params)
        self.exprs: dict[Node, Expr] = {}
        self.layouts: dict[Node, Layout] = {}
        self.own: dict[str, Array] = {}
        self.owned: dict[tuple[int, Layout], str] = {}
        self.taken = {n.attrs["name"] for n in trace.tape.nodes if n.op == "input"}
        self.inputs: list[Expr] = []

    def run(self, name: str, params: Sequence[str]) -> Traced:
        wanted = _below(self.trace.result)
        for node in self.trace.tape.nodes:
            if node in wanted or node.op == "input":
                self.exprs[node], self.layouts[node] = self._lowered(node)
        values = [
            (label, self.exprs[node])
            for label, node in sorted(
                self.trace.names.items(), key=lambda item: self._place(item[1])
            )
            if node in self.exprs and node.op not in ("input", "const", "own", "size")
        ]
        root = self.exprs[self.trace.result]
        kept = tuple(p for p in params if any(x.name == p for x in self.inputs))
        definition = Definition(name, root, tuple(self.inputs), tuple(values), kept)
        return Traced(definition, self.own)

    def _place(self, node: Node) -> int:
        return self.trace.tape.nodes.index(node)

    def _lowered(self, node: Node) -> tuple[Expr, Layout]:
        rule = getattr(self, f"_{node.op}", None)
        return rule(node) if rule else self._pointwise(node)

    def _fresh(self, axis: str, used: Iterable[str]) -> str:
        used = set(used)
        number = 2
        while f"{axis}_{number}" in used:
            number += 1
        return f"{axis}_{number}" if axis in used else axis

    def _layout(self, dims: Dims) -> Layout:
        layout: list[str | None] = []
        for dim in dims:
            axis = None if dim is None else self.names[dim.root]
            used = [a for a in layout if a]
            layout.append(self._fresh(axis, used) if axis else None)
        return tuple(layout)

    def _input(self, node: Node) -> tuple[Expr, Layout]:
        layout = self._layout(node.dims)
        expr = input_(node.attrs["name"], Spec(_axes(layout), {}))
        self.inputs.append(expr)
        return expr, layout

    def _own(self, node: Node) -> tuple[Expr, Layout]:
        layout = self._layout(node.dims)
        key = node.attrs["key"], layout
        if key in self.owned:
            name = self.owned[key]
        else:
            name = self._own_name(str(node.attrs["name"]) or _usual_name(node.value))
            self.owned[key] = name
            kept = tuple(n for n, axis in zip(node.value.shape, layout, strict=True) if axis)
            self.own[name] = node.value.reshape(kept)
            self.inputs.append(input_(name, Spec(_axes(layout), {})))
        return input_(name, Spec(_axes(layout), {})), layout

    def _own_name(self, wanted: str) -> str:
        name, number = wanted or "C_1", 1
        while name in self.taken:
            number += 1
            name = f"{wanted or 'C'}_{number}"
        self.taken.add(name)
        return name

    def _const(self, node: Node) -> tuple[Expr, Layout]:
        return const(float(node.value)), ()

    def _size(self, node: Node) -> tuple[Expr, Layout]:
        return size(self.names[node.attrs["dim"].root]), ()

    def _pointwise(self, node: Node) -> tuple[Expr, Layout]:
        if node.op not in OPS:
            raise Untraceable(f"{node.op} has no counterpart")
        layout = self._common(node)
        wanted = _axes(layout)
        operands = [self._fitted(arg, layout) for arg in node.args]
        if not any(set(x.axes) == set(wanted) for x in operands):
            first = 1 if node.op == "where" else 0
            operands[first] = expand(operands[first], wanted)
        if node.op == "where" and operands[0].kind != "bool":
            operands[0] = OPS["gt"](operands[0], 0)
        return transpose(OPS[node.op](*operands), wanted), layout

    def _common(self, node: Node) -> Layout:
        """The axes of an elementwise result: those of the operand that has most, and the rest."""
        layout: list[str | None] = [None] * len(node.dims)
        for arg in sorted(node.args, key=lambda a: -len(self.exprs[a].axes)):
            for back, axis in enumerate(reversed(self.layouts[arg]), start=1):
                if axis and layout[-back] is None:
                    layout[-back] = self._fresh(axis, [a for a in layout if a])
        return tuple(layout)

    def _fitted(self, arg: Node, layout: Layout) -> Expr:
        """An operand with its axes called as they are in the result."""
        mine = self.layouts[arg]
        theirs = layout[len(layout) - len(mine) :]
        to = {a: b for a, b in zip(mine, theirs, strict=True) if a and b and a != b}
        return rename(self.exprs[arg], **to) if to else self.exprs[arg]

    def _product(self, node: Node) -> tuple[Expr, Layout]:
        a, b = node.args
        left, right, out = (node.attrs[key] for key in ("left", "right", "out"))
        axis_of = {x: n for x, n in zip(left, self.layouts[a], strict=True) if n}
        to: dict[str, str] = {}
        for label, axis in zip(right, self.layouts[b], strict=True):
            if axis is None:
                continue
            if label not in axis_of:
                axis_of[label] = self._fresh(axis, axis_of.values())
            if axis_of[label] != axis:
                to[axis] = axis_of[label]
        x, y = self.exprs[a], self.exprs[b]
        y = rename(y, **to) if to else y
        layout = tuple(axis_of.get(label) for label in out)
        wanted = _axes(layout)
        gone = [axis for axis in axis_of.values() if axis not in wanted]
        for_x = tuple(axis for axis in gone if axis in x.axes and axis not in y.axes)
        for_y = tuple(axis for axis in gone if axis in y.axes and axis not in x.axes)
        x = sum_(x, for_x) if for_x else x
        y = sum_(y, for_y) if for_y else y
        return contraction(x, y, wanted), layout

    def _reduce(self, node: Node, function: Any) -> tuple[Expr, Layout]:
        x, layout = self.exprs[node.args[0]], self.layouts[node.args[0]]
        over = tuple(axis for i in node.attrs["over"] if (axis := layout[i]))
        if function in (max_, min_):
            for axis in over:
                x = function(x, axis)
        elif over:
            x = function(x, over)
        if node.attrs["keepdims"]:
            return x, tuple(None if i in node.attrs["over"] else a for i, a in enumerate(layout))
        return x, tuple(a for i, a in enumerate(layout) if i not in node.attrs["over"])

    def _sum(self, node: Node) -> tuple[Expr, Layout]:
        return self._reduce(node, sum_)

    def _mean(self, node: Node) -> tuple[Expr, Layout]:
        return self._reduce(node, mean)

    def _max(self, node: Node) -> tuple[Expr, Layout]:
        return self._reduce(node, max_)

    def _min(self, node: Node) -> tuple[Expr, Layout]:
        return self._reduce(node, min_)

    def _view(self, node: Node) -> tuple[Expr, Layout]:
        x, layout = self.exprs[node.args[0]], self.layouts[node.args[0]]
        new = tuple(None if p is None else layout[p] for p in node.attrs["places"])
        return transpose(x, _axes(new)), new

    def _merge(self, node: Node) -> tuple[Expr, Layout]:
        x, layout = self.exprs[node.args[0]], self.layouts[node.args[0]]
        new: list[str | None] = []
        for group, dim in zip(node.attrs["groups"], node.dims, strict=True):
            axes = tuple(axis for i in group if (axis := layout[i]))
            if len(axes) > 1:
                assert dim is not None
                into = self._fresh(self.names[dim.root], x.axes)
                x = merge(x, axes, into)
                new.append(into)
            else:
                new.append(axes[0] if axes else None)
        return x, tuple(new)


def _usual_name(value: Array) -> str:
    """Y for the table of ones that labels make."""
    table = value.ndim == 2 and bool(((value == 0) | (value == 1)).all())
    hot = table and any(bool((value.sum(axis=axis) == 1).all()) for axis in (0, 1))
    return "Y" if hot else ""


def _axes(layout: Layout) -> Axes:
    return tuple(axis for axis in layout if axis)


def _below(result: Node) -> set[Node]:
    seen: set[Node] = set()
    todo = [result]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(node.args)
    return seen


def _axis_names(trace: Trace, params: Sequence[str]) -> dict[Dim, str]:
    """A name for every axis: as declared, m for the one that data have in common, then letters."""
    nodes = trace.tape.nodes
    roots = list(dict.fromkeys(d.root for node in nodes for d in node.dims if d is not None))
    names = {root: root.name for root in roots if root.name}
    data = [n for n in nodes if n.op in ("input", "own") and n.attrs["name"] not in params]
    count = {
        root: sum(any(d is not None and d.root is root for d in n.dims) for n in data)
        for root in roots
        if root not in names
    }
    free = [a for a in LETTERS if a not in names.values()]
    used = {
        d.root for n in nodes if n.op == "input" and n.attrs["name"] in params for d in n.dims if d
    }
    shared = [root for root, times in count.items() if times and root not in used]
    if shared and EXAMPLES not in names.values():
        names[max(shared, key=lambda root: count[root])] = EXAMPLES
    for number, root in enumerate(r for r in roots if r not in names):
        letter = free[number % len(free)]
        names[root] = letter if number < len(free) else f"{letter}{number // len(free)}"
    return names
