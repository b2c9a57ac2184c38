"""The syntax tree of a formula: what was written, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

Span = tuple[int, int]
"""The columns of the text that a node covers: first, and one past the last, counted from 0."""


@dataclass(frozen=True)
class Node:
    """A piece of a formula. Equal pieces compare equal wherever they stand in the text."""

    at: Span = field(compare=False, kw_only=True, default=(0, 0))

    @property
    def parts(self) -> tuple[Node, ...]:
        """The nodes directly below."""
        values = (getattr(self, each.name) for each in fields(self))
        flat = (x for v in values for x in (v if isinstance(v, tuple) else (v,)))
        return tuple(x for x in flat if isinstance(x, Node))


@dataclass(frozen=True)
class Number(Node):
    """A number as written."""

    value: float


@dataclass(frozen=True)
class Ones(Node):
    r"""``\vec{1}``: a column of ones, as long as its neighbour asks for; ``\vec{1}_m``: of m."""

    length: Node | None = None


@dataclass(frozen=True)
class Symbol(Node):
    r"""A name: ``W_1``, ``a_j^{(l)}``, ``\frac{\partial L}{\partial W}``.

    Attributes:
        base: the name without subscripts and layer, e.g. "W", "y_hat", "dL/dW".
        below: the subscripts: indices, numbers of layers, or part of the name; what they are is
            settled when it is evaluated.
        layer: what stands above in brackets: ``(l)``, ``[1]``.
        key: the whole canonical name, e.g. "W_1", "a_j^(l)".
    """

    base: str
    below: tuple[Node, ...] = ()
    layer: Node | None = None
    key: str = ""


@dataclass(frozen=True)
class Add(Node):
    """A sum of terms; what is subtracted is a `Negative`."""

    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Negative(Node):
    """Minus something."""

    of: Node


@dataclass(frozen=True)
class Product(Node):
    """Factors side by side, from left to right.

    Attributes:
        factors: two or more.
        signs: what stands between them: "" (nothing), "·" (also ×), "*", "@" or "/".
    """

    factors: tuple[Node, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Hadamard(Node):
    """Products element by element: ⊙. It binds looser than factors side by side."""

    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Fraction(Node):
    r"""``\frac{upper}{lower}``, element by element."""

    upper: Node
    lower: Node


@dataclass(frozen=True)
class Power(Node):
    r"""A power, element by element; `entrywise` where ``^{\odot 2}`` says so."""

    base: Node
    exponent: Node
    entrywise: bool = False


@dataclass(frozen=True)
class Transpose(Node):
    """A transpose."""

    of: Node


@dataclass(frozen=True)
class Norm(Node):
    """‖x‖. `order`: "" or "2" or "F" (root of the sum of squares), "1", "infty"."""

    of: Node
    order: str = ""


@dataclass(frozen=True)
class Entry(Node):
    """Entries of something that is no name: ``(W^T d)_j``."""

    of: Node
    below: tuple[Node, ...]


@dataclass(frozen=True)
class Call(Node):
    """A function of something.

    Attributes:
        function: canonical name.
        args: what it is applied to.
        primes: how often it is derived: 1 for σ′.
        below: its subscripts: ``max_k``, ``clip_{[0, 1]}``.
    """

    function: str
    args: tuple[Node, ...]
    primes: int = 0
    below: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Summation(Node):
    """Σ over an index, or over all entries where no index stands below.

    Attributes:
        body: what is added up: everything up to the next + or −.
        index: names of the indices.
        lower, upper: the bounds, where they are written.
    """

    body: Node
    index: tuple[str, ...] = ()
    lower: Node | None = None
    upper: Node | None = None


@dataclass(frozen=True)
class Condition(Node):
    """1 where a relation holds, else 0: ``[a > b]``, ``1[y = j]``. `relation`: = ≠ < ≤ > ≥."""

    left: Node
    relation: str
    right: Node


@dataclass(frozen=True)
class Stack(Node):
    """``[a; b]``: one under the other."""

    rows: tuple[Node, ...]


@dataclass(frozen=True)
class Equation:
    """``left = right``.

    Attributes:
        left, right: the two sides; positions in them are columns of `text`.
        text: the line that the equation was read from.
        line: the number of that line in the document, counted from 1.
        number: which equation of the document, counted from 1, chains counted one by one.
    """

    left: Node
    right: Node
    text: str = ""
    line: int = 1
    number: int = 1


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree, each before its parts, in the order of the text.

    >>> from chainrule.texmath import parse
    >>> [type(x).__name__ for x in walk(parse("w x"))]
    ['Product', 'Symbol', 'Symbol']
    """
    todo = [node]
    while todo:
        found = todo.pop()
        yield found
        todo.extend(reversed(found.parts))


def symbols(node: Node) -> tuple[str, ...]:
    r"""The canonical names that a formula uses, each once, in the order of the text.

    >>> from chainrule.texmath import parse
    >>> symbols(parse(r"\frac{2}{m}(\hat{y} - y)x^T"))
    ('m', 'y_hat', 'y', 'x')
    """
    return tuple(dict.fromkeys(x.key for x in walk(node) if isinstance(x, Symbol)))
