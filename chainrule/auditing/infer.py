"""The shape of every part of a formula, worked out before any number is put in.

A value has a shape (rows, columns) and, where entries are written with indices, an axis for every
free index: ``Σ_k w_{jk} a_k + b_j`` is a number with the axis j.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.auditing.sizes import NUMBER, ONE, Misfit, Shape, Sizes, Unread
from chainrule.texmath.tree import (
    Add,
    Call,
    Condition,
    Entry,
    Fraction,
    Hadamard,
    Negative,
    Node,
    Norm,
    Number,
    Ones,
    Power,
    Product,
    Stack,
    Summation,
    Symbol,
    Transpose,
    walk,
)

# Functions of all entries together.
REDUCE = {
    "sum",
    "mean",
    "trace",
    "tr",
    "det",
    "mse",
    "norm",
    "cross_entropy",
    "softmax_cross_entropy",
}


@dataclass(frozen=True)
class Kind:
    """What a part of a formula is.

    Attributes:
        shape: rows and columns.
        axes: (index, size) for every free index.
        spread: whether a sum in it repeats something smaller than its other terms.
    """

    shape: Shape = NUMBER
    axes: tuple[tuple[str, int], ...] = ()


@dataclass
class Inference:
    """Shapes of formulas, given those of symbols.

    Attributes:
        sizes: unknowns; what is found out about them stays here.
        kind_of: the shape of a symbol and its indices, by node; raises Misfit if it has none.
        spreads: sums that repeat a term along an axis: (term, sum).
    """

    sizes: Sizes
    kind_of: Callable[[Symbol], Kind]
    spreads: list[tuple[Node, Node]] = field(default_factory=list)

    def __call__(self, root: Node) -> Kind:
        """The kind of a formula.

        Raises:
            Misfit: its parts do not fit; the message names them.
        """
        known: dict[int, Kind] = {}
        todo: list[tuple[Node, bool]] = [(root, False)]
        while todo:
            node, ready = todo.pop()
            if ready:
                known[id(node)] = self._of(node, [known[id(part)] for part in parts(node)])
            else:
                todo.append((node, True))
                todo.extend((part, False) for part in reversed(parts(node)))
        return known[id(root)]

    def same(self, sides: Sequence[Node]) -> None:
        """Make all sides of an equation one kind.

        Raises:
            Misfit: they cannot be.
        """
        first, *others = (self(side) for side in sides)
        for side, kind in zip(sides[1:], others, strict=True):
            plain = not any(isinstance(x, Symbol | Ones | Call) for x in walk(side))
            self.equal(first, kind, constant=plain)

    def equal(self, left: Kind, right: Kind, *, constant: bool = False) -> None:
        """Make both sides of an equation one kind.

        Args:
            constant: the right side is a plain number, which may stand for every entry.

        Raises:
            Misfit: they cannot be.
        """
        a, b = left.shape, right.shape
        if not constant and not all(self.sizes.unify(x, y) for x, y in zip(a, b, strict=True)):
            shown = self.sizes.shown
            raise Misfit(f"the left side is {shown(a)}, the right side {shown(b)}")
        odd = sorted(dict(right.axes).keys() - dict(left.axes).keys())
        if odd:  # the other way round it says the same for every value of the index
            raise Misfit(f"index {', '.join(odd)} stands on the right side only")
        self._axes([left, right])

    def _of(self, node: Node, below: list[Kind]) -> Kind:
        match node:
            case Symbol():
                return self.kind_of(node)
            case Number():
                return Kind()
            case Ones():
                return Kind((self.sizes.new(), ONE))
            case Negative() | Power():
                return Kind(below[0].shape, self._axes(below))
            case Transpose():
                rows, columns = below[0].shape
                return Kind((columns, rows), below[0].axes)
            case Add() | Hadamard() | Fraction() | Condition() | Stack():
                return Kind(self._together(node, below), self._axes(below))
            case Product():
                return Kind(self._product(node, below), self._axes(below))
            case Norm():
                return Kind(NUMBER, below[0].axes)
            case Call():
                together = NUMBER if node.function in REDUCE else self._together(node, below)
                return Kind(together, self._bound(node, self._axes(below)))
            case Summation():
                axes = self._axes(below[:1])
                if not node.index:
                    return Kind(NUMBER, axes)
                self._bounds(node, dict(axes))
                return Kind(below[0].shape, tuple(a for a in axes if a[0] not in node.index))
            case Entry():
                return Kind(NUMBER, self._entry(node, below[0]))
        raise Misfit(f"{type(node).__name__} is not understood")

    def _axes(self, kinds: list[Kind]) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for kind in kinds:
            for index, size in kind.axes:
                if not self.sizes.unify(found.setdefault(index, size), size):
                    raise Misfit(f"index {index} runs over two different sizes")
        return tuple(found.items())

    def _together(self, node: Node, below: list[Kind]) -> Shape:
        """The shape of a sum or an element-by-element product: equal, or 1 and repeated."""
        if not below:
            return NUMBER
        total = below[0].shape
        for kind in below[1:]:
            axes = []
            for a, b in zip(total, kind.shape, strict=True):
                one = ONE in (self.sizes.root(a), self.sizes.root(b))
                if one:
                    axes.append(b if self.sizes.root(a) == ONE else a)
                elif self.sizes.unify(a, b):
                    axes.append(a)
                else:
                    sign = "added to" if isinstance(node, Add) else "combined entry by entry with"
                    shown = self.sizes.shown
                    raise Misfit(f"{shown(total)} is {sign} {shown(kind.shape)}")
            total = (axes[0], axes[1])
        for part, kind in zip(parts(node), below, strict=True):
            smaller = any(
                self.sizes.root(k) == ONE != self.sizes.root(t)
                for k, t in zip(kind.shape, total, strict=True)
            )
            if smaller and (isinstance(node, Add) or not self.sizes.is_number(kind.shape)):
                self.spreads.append((part, node))
        return total

    def _product(self, node: Product, below: list[Kind]) -> Shape:
        total = below[0].shape
        for sign, kind in zip(node.signs, below[1:], strict=True):
            if self.sizes.is_number(kind.shape):
                continue
            if self.sizes.is_number(total):
                total = kind.shape
            elif sign == "/" or (sign == "*" and self._alike(total, kind.shape)):
                both = Hadamard((node.factors[0], node.factors[1]))
                total = self._together(both, [Kind(total), kind])
            elif sign == "·" and ONE in total and self._alike(total, kind.shape):
                total = NUMBER  # the dot product
            elif self.sizes.unify(total[1], kind.shape[0]):
                total = (total[0], kind.shape[1])
            else:
                shown = self.sizes.shown
                raise Misfit(f"({shown(total)})({shown(kind.shape)}) do not multiply")
        return total

    def _alike(self, a: Shape, b: Shape) -> bool:
        """Whether two shapes are known to be the same and no product of them is defined."""
        same = all(self.sizes.same(x, y) for x, y in zip(a, b, strict=True))
        return same and not self.sizes.same(a[1], b[0])

    def _entry(self, node: Entry, of: Kind) -> tuple[tuple[str, int], ...]:
        letters = [x.key for x in node.below if isinstance(x, Symbol)]
        return self._axes([of, Kind(NUMBER, entry_axes(self.sizes, of.shape, letters, "it"))])

    def _bound(self, node: Call, axes: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        """max_k x_k no longer depends on k."""
        bound = {x.key for x in node.below if isinstance(x, Symbol)}
        return tuple(a for a in axes if a[0] not in bound)

    def _bounds(self, node: Summation, axes: Mapping[str, int]) -> None:
        """Σ_{i=1}^{m}: what i counts has the size m."""
        if isinstance(node.upper, Symbol) and len(node.index) == 1 and node.index[0] in axes:
            named = self.sizes.new(node.upper.key)
            if not self.sizes.unify(axes[node.index[0]], named):
                raise Misfit(f"index {node.index[0]} does not run to {node.upper.key}")


def entry_axes(
    sizes: Sizes, shape: Shape, letters: list[str], name: str
) -> tuple[tuple[str, int], ...]:
    """Which index counts which axis of something with indices.

    Raises:
        Unread: it has more or fewer axes than indices.
    """
    long = [size for size in shape if sizes.root(size) != ONE]
    if len(letters) == 2 and len(shape) == 2:
        long = list(shape)
    if len(long) != len(letters):
        count = "1 index" if len(letters) == 1 else f"{len(letters)} indices"
        raise Unread(f"{name} is {sizes.shown(shape)} and has {count}")
    return tuple(zip(letters, long, strict=True))


def parts(node: Node) -> tuple[Node, ...]:
    """The parts of a node that have values of their own: not indices, bounds or exponents."""
    match node:
        case Symbol():
            return ()
        case Summation():
            return (node.body,)
        case Entry():
            return (node.of,)
        case Call():
            return node.args
    return node.parts
