"""Expressions over named axes: what a network is.

An `Expr` is a value: an operation, its inputs, its attributes, named axes, sizes where known, and
a kind (``float``, ``int`` or ``bool``). Equal expressions are one object (hash-consing), so shared
work is shared and comparing is `is`. Nothing here computes: arrays appear first in `chainrule.run`.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from chainrule.errors import DTypeError, GraphError, ShapeError

Axes = tuple[str, ...]
Attrs = tuple[tuple[str, Any], ...]

KINDS = ("float", "int", "bool")
EXAMPLES = "m"  # the axis that counts training examples, unless a loss is told otherwise
LONGEST_NAME = 200  # characters
_AXIS = re.compile(r"(?P<name>1|[A-Za-z_][A-Za-z_0-9]*)(?:=(?P<size>[0-9]{1,18}))?")


@dataclass(frozen=True)
class Spec:
    """The declared axes, sizes and kind of one input, as parsed from text such as ``"k n=784"``."""

    axes: Axes
    sizes: Mapping[str, int]
    kind: str = "float"


def parse_axes(text: str, *, where: str = "") -> Spec:
    """Read an axes declaration.

    Names are separated by blanks; ``name=size`` fixes a size, ``1`` is an axis of size one, and
    ``int`` or ``bool`` at the end says that the values are not real numbers.

    Raises:
        ShapeError: a name is malformed or appears twice.

    >>> parse_axes("k n=784").axes, parse_axes("m int").kind
    (('k', 'n'), 'int')
    """
    words = text.split()
    kind = words.pop() if words and words[-1] in KINDS else "float"
    sizes = {}
    axes = []
    for word in words:
        match = _AXIS.fullmatch(word)
        if match is None:
            raise ShapeError(
                f"{word!r} is not an axis",
                where=where,
                hint="Write names separated by blanks: 'k n'",
            )
        name = match["name"]
        if name in axes:
            raise ShapeError(f"axis {name!r} appears twice in '{text}'", where=where)
        axes.append(name)
        if name == "1" or match["size"]:
            sizes[name] = 1 if name == "1" else int(match["size"])
    return Spec(tuple(axes), sizes, kind)


class Expr:
    """One node: ``op(inputs, attrs)``. Made by `input_`, `const` or an operation."""

    __slots__ = ("__weakref__", "attrs", "axes", "inputs", "kind", "op", "sizes")
    op: str
    inputs: tuple[Expr, ...]
    attrs: Attrs
    axes: Axes
    sizes: Mapping[str, int]
    kind: str

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Expr is immutable: cannot set {name!r}")

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: object, **_: object) -> Expr:
        """Arithmetic with NumPy numbers; anything else NumPy would do to expressions is refused."""
        name = _UFUNCS.get(ufunc.__name__)
        if name is None or method != "__call__":
            raise _not_numpy(ufunc.__name__)
        return _operator(name, *(lift(x) for x in operands))

    def __array_function__(self, function: Any, *_: object) -> Expr:
        """Raise a DTypeError: np.dot(w, x) is not what a definition can contain."""
        raise _not_numpy(function.__name__)

    def __array__(self, *_: object, **__: object) -> Any:
        """Raise a DTypeError: an expression has no values yet."""
        raise _not_numpy("array")

    def __getitem__(self, attr: str) -> Any:
        """The attribute called `attr`.

        Raises:
            GraphError: an index or a slice is asked for.
        """
        if not isinstance(attr, str):
            hint = "Its axes have names: cr.cut(x, axis, into, start, stop), or declare other axes"
            raise GraphError(f"{describe(self)}[…]: expressions have no positions", hint=hint)
        for key, value in self.attrs:
            if key == attr:
                return value
        raise KeyError(attr)

    __iter__ = None

    @property
    def name(self) -> str:
        """The name of an input; "" for every other node (a `Definition` names those)."""
        return str(self["name"]) if self.op == "input" else ""

    @property
    def T(self) -> Expr:
        """The transpose of a value with two axes."""
        return _operator("transpose", self)

    def __repr__(self) -> str:
        return f"<Expr {describe(self)}: {' '.join(self.axes) or 'scalar'}>"

    def __bool__(self) -> bool:
        raise GraphError(
            f"{describe(self)} has no value yet, so it cannot decide an if, and, or, while",
            hint="Use cr.where(condition, a, b)",
        )

    def __add__(self, other: Operand) -> Expr:
        return _operator("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return _operator("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return _operator("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return _operator("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return _operator("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return _operator("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return _operator("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return _operator("div", other, self)

    def __pow__(self, other: Operand) -> Expr:
        return _operator("pow", self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return _operator("pow", other, self)

    def __matmul__(self, other: Expr) -> Expr:
        return _operator("matmul", self, other)

    def __neg__(self) -> Expr:
        return _operator("neg", self)

    def __gt__(self, other: Operand) -> Expr:
        return _operator("gt", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return _operator("ge", self, other)

    def __lt__(self, other: Operand) -> Expr:
        return _operator("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return _operator("le", self, other)


Operand = Expr | float | int

# What NumPy calls the signs when one operand is a number of its own.
_UFUNCS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "negative": "neg",
}


def _not_numpy(name: str) -> DTypeError:
    hint = f"Use cr.{name} if there is one (`chainrule ops` lists them), @ for products"
    return DTypeError(f"np.{name} cannot take an expression", hint=hint)


OPERATORS: dict[str, Callable[..., Expr]] = {}
"""What ``+``, ``@`` … build. `chainrule.ops` fills it; an Expr by itself knows no operation."""


def _operator(name: str, *operands: object) -> Expr:
    return OPERATORS[name](*operands)


_interned: WeakValueDictionary[tuple[object, ...], Expr] = WeakValueDictionary()


def make(
    op: str, inputs: tuple[Expr, ...], attrs: Attrs, axes: Axes, sizes: Mapping[str, int], kind: str
) -> Expr:
    """The one Expr with these parts: the existing one if there is one."""
    key = (op, inputs, attrs, axes, tuple(sorted(sizes.items())), kind)
    found = _interned.get(key)
    if found is None:
        found = object.__new__(Expr)
        parts = (("op", op), ("inputs", inputs), ("attrs", attrs))
        for slot, part in (*parts, ("axes", axes), ("sizes", sizes), ("kind", kind)):
            object.__setattr__(found, slot, part)
        _interned[key] = found
    return found


def input_(name: str, axes: str | Spec, *, where: str = "") -> Expr:
    """A value the caller supplies: a parameter, the examples, the targets.

    >>> input_("W_1", "k n").axes
    ('k', 'n')
    """
    if len(name) > LONGEST_NAME:
        raise GraphError(
            f"name {name[:40]!r}… is {len(name)} characters long (at most {LONGEST_NAME})"
        )
    spec = parse_axes(axes, where=where or name) if isinstance(axes, str) else axes
    return make("input", (), (("name", name),), spec.axes, spec.sizes, spec.kind)


def const(value: float) -> Expr:
    """A number. -0.0 and 0.0 are different expressions.

    Raises:
        GraphError: the number is NaN.
    """
    number = float(value)
    if math.isnan(number):
        raise GraphError("a constant cannot be NaN")
    return make(
        "const", (), (("value", number), ("sign", math.copysign(1, number))), (), {}, "float"
    )


def lift(operand: object) -> Expr:
    """`operand` as an Expr: numbers become constants.

    Raises:
        DTypeError: it is neither an Expr nor a number.
    """
    if isinstance(operand, Expr):
        return operand
    if isinstance(operand, numbers.Real) and not isinstance(operand, bool):
        return const(float(operand))
    if isinstance(operand, bool):
        hint = "Compare entries with cr.eq(a, b), or with <, <=, >, >="
        raise DTypeError("== and != compare expressions as objects, not their entries", hint=hint)
    hint = "Pass arrays when you call the result; inside a definition use its parameters"
    raise DTypeError(f"expected an expression or a number, got {type(operand).__name__}", hint=hint)


def merge_sizes(op: str, exprs: Iterable[Expr]) -> dict[str, int]:
    """The sizes known of any axis of `exprs`.

    Raises:
        ShapeError: two of them give one axis different sizes.
    """
    sizes: dict[str, int] = {}
    owner: dict[str, Expr] = {}
    for expr in exprs:
        for axis, size in expr.sizes.items():
            if sizes.setdefault(axis, size) != size:
                raise ShapeError(
                    f"{op} of {describe_axes(owner[axis])} and {describe_axes(expr)}: "
                    f"axis {axis!r} has sizes {sizes[axis]} ≠ {size}"
                )
            owner.setdefault(axis, expr)
    return sizes


def postorder(*roots: Expr, known: Iterable[Expr] = ()) -> Iterator[Expr]:
    """Every node below `roots` once, each after its inputs; not those `known` nor what is below.

    A loop: networks are deeper than Python's stack.

    >>> x = input_("x", "m")
    >>> [node.op for node in postorder(x)]
    ['input']
    """
    seen = set(known)
    stack: list[Expr | tuple[Expr]] = []
    for root in roots:
        stack.append(root)
        while stack:
            node = stack.pop()
            if isinstance(node, tuple):  # again, after its inputs
                yield node[0]
            elif node not in seen:
                seen.add(node)
                stack.append((node,))
                stack.extend(reversed(node.inputs))


def rewrite(
    roots: Iterable[Expr],
    step: Callable[[Expr, tuple[Expr, ...]], Expr],
    known: Iterable[Expr] = (),
) -> dict[Expr, Expr]:
    """What each node below `roots` becomes when `step(node, new inputs)` rebuilds it.

    Those `known` stay as they are.
    """
    new = {x: x for x in known}
    for node in postorder(*roots, known=new):
        new[node] = step(node, tuple([new[x] for x in node.inputs]))
    return new


def describe_axes(expr: Expr) -> str:
    """``W_1 (k, n=784)``: an expression in short and its axes, for messages."""
    shown = (f"{a}={expr.sizes[a]}" if a in expr.sizes and a != "1" else a for a in expr.axes)
    return f"{describe(expr)} ({', '.join(shown)})"


_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "contract": "@",
    "pow": "^",
    "gt": ">",
    "ge": ">=",
}


def describe(expr: Expr, depth: int = 2) -> str:
    """A short spelling for messages; what is deeper than `depth` is shown as "…"."""
    if expr.op == "input":
        return expr.name
    if expr.op == "const":
        return f"{expr['value']:g}"
    if expr.op == "size":
        return str(expr["axis"])
    if depth == 0:
        return "…"
    parts = [describe(x, depth - 1) for x in expr.inputs]
    if expr.op in _SIGNS:
        return f"({f' {_SIGNS[expr.op]} '.join(parts)})"
    return f"{expr.op}({', '.join(parts)})"


@dataclass(frozen=True)
class Definition:
    """A network: its root, its inputs in order, names of values, which inputs are parameters.

    Attributes:
        name: what the network is called.
        root: its result: the loss, or the output when the loss is chosen later.
        inputs: what the caller supplies, in order.
        values: names of intermediate results, in the order in which they were written.
        params: names of the inputs that training changes (empty: not said).
        init: how parameters start: (parameter, initialiser, axis counted as fan in, axis counted
            as fan out).
    """

    name: str
    root: Expr
    inputs: tuple[Expr, ...]
    values: tuple[tuple[str, Expr], ...] = ()
    params: tuple[str, ...] = ()
    init: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def input(self) -> dict[str, Expr]:
        """The inputs by name."""
        return {x.name: x for x in self.inputs}

    def names(self) -> dict[Expr, str]:
        """The name of every expression that has one; of two names the first written wins."""
        names = {x: x.name for x in self.inputs}
        for name, value in self.values:
            names.setdefault(value, name)
        return names
