"""What a NumPy function computes, written down while it runs.

A node holds the value that NumPy found, so a function may look at shapes and even at values, and
for each of its axes a `Dim`: axes that must have one size because of what was computed with them
share one. An axis of size 1 has none, for it can be broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.check.named import Array

MOST_NODES = 20_000  # of one function: a loop over more examples than that is not written down


class Untraceable(Exception):
    """The function does something that has no counterpart among the operations."""


class Dim:
    """The size of an axis; `same` joins two that turned out to be one."""

    __slots__ = ("_to", "name", "size")

    def __init__(self, size: int, name: str = "") -> None:
        self.size, self.name = size, name
        self._to: Dim | None = None

    @property
    def root(self) -> Dim:
        """The one Dim that stands for all that are the same."""
        dim = self
        while dim._to is not None:
            dim = dim._to
        return dim

    def same(self, other: Dim) -> None:
        """From now on the two are one."""
        a, b = self.root, other.root
        if a is b:
            return
        if b.name and not a.name:
            a, b = b, a
        b._to = a


Dims = tuple[Dim | None, ...]


@dataclass(eq=False)
class Node:
    """One value: how it was made, what it is, and the axes it has."""

    op: str
    args: tuple[Node, ...]
    value: Array
    dims: Dims
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Tape:
    """All nodes of one run in order, and arrays of the function's own."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[int, str] = field(default_factory=dict)  # id of an array → the input it is
    kept: list[Any] = field(default_factory=list)  # so that no id is used twice
    escaped: list[Node] = field(default_factory=list)  # what left as a plain number

    def add(self, op: str, args: Iterable[Node], value: Any, dims: Dims, **attrs: Any) -> Node:
        """Write one node down."""
        if len(self.nodes) >= MOST_NODES:
            raise Untraceable(f"it computes more than {MOST_NODES} values, one by one")
        array = np.asarray(value)
        assert len(dims) == array.ndim, (op, dims, array.shape)
        node = Node(op, tuple(args), array, dims, attrs)
        self.nodes.append(node)
        return node

    def input(self, name: str, value: Array, axes: Sequence[str] = ()) -> Node:
        """A value that the caller supplies."""
        names = list(axes) or [""] * value.ndim
        dims = tuple(
            None if n == 1 else Dim(n, label) for n, label in zip(value.shape, names, strict=True)
        )
        return self.add("input", (), value, dims, name=name)

    def own(self, value: Any) -> Node:
        """A number, or an array that the function made by itself or from whole numbers."""
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise Untraceable(f"it computes with values of type {array.dtype}")
        if array.ndim == 0:
            if np.isnan(array):
                raise Untraceable("it computes with the number NaN")
            return self.add("const", (), array.astype(np.float64), ())
        base = array
        while isinstance(base.base, np.ndarray):
            if id(base) in self.known:
                break
            base = base.base
        name = self.known.get(id(base), "")
        self.kept.append(array)
        dims = tuple(None if n == 1 else Dim(n) for n in array.shape)
        return self.add("own", (), array.astype(np.float64), dims, name=name, key=id(array))

    def pointwise(self, op: str, value: Any, *args: Node) -> Node:
        """An elementwise operation with NumPy's broadcasting; `value` is its result."""
        array = np.asarray(value)
        dims: list[Dim | None] = [None] * array.ndim
        for arg in args:
            for back in range(1, len(arg.dims) + 1):
                mine = arg.dims[-back]
                if mine is None:
                    continue
                before = dims[-back]
                if before is None:
                    dims[-back] = mine
                else:
                    before.same(mine)
        return self.add(op, args, array, tuple(dims))

    def product(self, a: Node, b: Node, left: str, right: str, out: str) -> Node:
        """The sum over all labels not in `out` of a[left] · b[right], as `np.einsum` has it."""
        if len(set(left)) < len(left) or len(set(right)) < len(right):
            raise Untraceable("it takes a diagonal")
        dims: dict[str, Dim | None] = dict.fromkeys(left + right)
        for label, dim in (*zip(left, a.dims, strict=True), *zip(right, b.dims, strict=True)):
            before = dims[label]
            if dim is not None and before is not None:
                before.same(dim)
            dims[label] = before or dim
        value = np.einsum(f"{left},{right}->{out}", a.value, b.value)
        return self.add(
            "product", (a, b), value, tuple(dims[x] for x in out), left=left, right=right, out=out
        )

    def reduce(self, op: str, x: Node, axes: Sequence[int], keepdims: bool, value: Any) -> Node:
        """A sum, a mean or an extreme over some axes (not negative)."""
        if keepdims:
            dims = tuple(None if i in axes else d for i, d in enumerate(x.dims))
        else:
            dims = tuple(d for i, d in enumerate(x.dims) if i not in axes)
        return self.add(op, (x,), value, dims, over=tuple(axes), keepdims=keepdims)

    def view(self, x: Node, places: Sequence[int | None]) -> Node:
        """The axes of `x` in another order; None is a new axis of size 1, what is missing had 1."""
        shape = [1 if p is None else x.value.shape[p] for p in places]
        kept = [p for p in places if p is not None]
        rest = [i for i in range(x.value.ndim) if i not in kept]
        if any(x.value.shape[i] != 1 for i in rest) or len(set(kept)) < len(kept):
            raise Untraceable("it repeats or drops an axis")
        value = x.value.transpose([*kept, *rest]).reshape(shape)
        dims = tuple(None if p is None else x.dims[p] for p in places)
        return self.add("view", (x,), value, dims, places=tuple(places))

    def selected(self, x: Node, axis: int, index: Array | int) -> Node:
        """Entries along one axis by their positions: a product with a matrix of zeros and ones.

        A single position drops the axis.
        """
        size = x.value.shape[axis]
        one = np.eye(size)[index]
        labels = "abcdefghijklmnop"[: x.value.ndim]
        mine = labels[axis]
        if np.ndim(index) == 0:
            return self.product(x, self.own(one), labels, mine, labels.replace(mine, ""))
        if np.ndim(index) != 1:
            raise Untraceable("it takes entries by a table of positions")
        return self.product(x, self.own(one), labels, "z" + mine, labels.replace(mine, "z"))

    def merged(self, x: Node, groups: Sequence[Sequence[int]], value: Array) -> Node:
        """Neighbouring axes joined into one."""
        dims: list[Dim | None] = []
        for group, size in zip(groups, value.shape, strict=True):
            wide = [x.dims[i] for i in group if x.dims[i] is not None]
            dims.append(None if size == 1 else wide[0] if len(wide) == 1 else Dim(size))
        return self.add("merge", (x,), value, tuple(dims), groups=tuple(map(tuple, groups)))
