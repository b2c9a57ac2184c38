"""The record that says everything about one operation, and the table of all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chainrule.errors import DTypeError, ParameterError, ShapeError, did_you_mean
from chainrule.expr import Axes, Expr, describe, describe_axes, lift, make, merge_sizes

SAME = "same"  # the kind of a result that has the kind of the first input
Cotangents = Sequence[Expr | None]
Tex = str | Callable[[Mapping[str, Any], tuple[Expr, ...]], str]
"""A template, or what makes one from the attributes and the inputs."""
SUM, HADAMARD, PRODUCT, POWER, ATOM = range(5)
"""How tightly an equation binds: what binds looser than its place asks for gets parentheses."""


@dataclass(frozen=True)
class Edge:
    """An exact fact about a function of one number: at `x` its `value` and its `slope`."""

    x: float
    value: float
    slope: float


@dataclass(frozen=True)
class Layout:
    """One way to call the operation in checks: the axes of each input, and attributes."""

    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mistake:
    """A wrong call and words that its message must contain."""

    inputs: tuple[str, ...]
    says: str
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancellation:
    """Where a record takes away from a number one that agrees with it in the leading digits.

    No bound of the relative error holds there: where the difference rounds to 0 it is 1. Bounds of
    the absolute error do, in ε · max(1, |x|) for float32 machine code, ε = 2⁻²³; for float64, whose
    ε is 2⁻⁵², they are of the same size.

    Attributes:
        where: which difference, and near what.
        value: the largest error of the value, 0 where nothing cancels in it.
        slope: the same of the derivative.
    """

    where: str
    value: float = 0.0
    slope: float = 0.0

    def __str__(self) -> str:
        bounds = (("value", self.value), ("derivative", self.slope))
        said = [
            f"error of the {what} up to {bound:g} ε·max(1, |x|)" for what, bound in bounds if bound
        ]
        return f"{self.where}: {', '.join(said)}"


@dataclass(frozen=True)
class Op:
    """One operation: equations, code, derivatives, checks and documentation read this record.

    Attributes:
        name: what expressions and error messages call it.
        summary: one line for the reference.
        axes: shape rule: (*inputs, **attrs) → axes of the result; raises with both sides named.
        vjp: (g, y, *inputs, **attrs) → what each input receives, written with other operations;
            None for an input that receives nothing. Axes that broadcasting added are summed by the
            caller.
        body: the definition in simpler operations; None for a primitive, which every emitter knows.
        tex: the equation: ``{0:sum}`` is input 0, in parentheses where it binds looser than a sum.
        source: where the formula comes from.
        binds: how tightly `tex` binds.
        tex_array: the equation for values with axes, where it differs.
        attrs: attributes and their defaults (`...` for one that must be given).
        keywords: inputs that may be given by name, after those that must be given.
        sizes: (*inputs, **attrs) → sizes of axes that the operation makes, as far as they are
            known.
        prepare: (inputs, attrs) → attributes in their one normal form.
        kind: kind of the result; takes: kinds each input may have (the last repeats).
        domain: where checks draw each input from (the last repeats): low and high.
        edges: exact values and slopes at kinks, infinities and the like.
        layouts: calls that checks make; mistakes: wrong calls and their messages.
        smooth: whether the derivative exists everywhere in the domain.
        no_gradient: why no gradient passes, for an operation through which none does.
        cancels: where digits are lost, and how many.
    """

    name: str
    summary: str
    axes: Callable[..., Axes]
    tex: Tex
    source: str
    layouts: tuple[Layout, ...]
    mistakes: tuple[Mistake, ...]
    vjp: Callable[..., Cotangents] | None = None
    body: Callable[..., Expr] | None = None
    binds: int = ATOM
    tex_array: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    sizes: Callable[..., dict[str, int]] | None = None
    prepare: Callable[[tuple[Expr, ...], dict[str, Any]], dict[str, Any]] | None = None
    kind: str = "float"
    takes: tuple[tuple[str, ...], ...] = (("float", "bool"),)
    arity: tuple[int, int] = (1, 1)
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),)
    edges: tuple[Edge, ...] = ()
    smooth: bool = True
    no_gradient: str = ""
    cancels: Cancellation | None = None

    def __post_init__(self) -> None:
        missing = [
            f for f in ("summary", "tex", "source", "layouts", "mistakes") if not getattr(self, f)
        ]
        if self.vjp is None and not self.no_gradient:
            missing.append("vjp (or no_gradient: why there is none)")
        if missing:
            raise ParameterError(
                f"the record is incomplete: {', '.join(missing)} missing", where=self.name
            )

    def __call__(self, *operands: object, **attrs: object) -> Expr:
        """This operation applied; operands after the inputs are attributes in order."""
        extra = [attrs.pop(k) for k in self.keywords if attrs.get(k) is not None]
        for name in self.keywords:
            attrs.pop(name, None)
        inputs, attrs = self._split((*operands, *extra), attrs)
        if self.prepare:
            attrs = self.prepare(inputs, attrs)
        self._check_kinds(inputs)
        sizes = merge_sizes(self.name, inputs)
        axes = self.axes(*inputs, **attrs)
        sizes |= self.sizes(*inputs, **attrs) if self.sizes else {}
        known = {axis: sizes[axis] for axis in axes if axis in sizes}
        kind = inputs[0].kind if self.kind == SAME else self.kind
        return make(self.name, inputs, tuple(sorted(attrs.items())), axes, known, kind)

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        gradient = f"No gradient: {self.no_gradient}." if self.no_gradient else ""
        return f"{self.summary}\n\nSource: {self.source}. {gradient}".strip()

    def _split(
        self, operands: tuple[object, ...], given: dict[str, object]
    ) -> tuple[tuple[Expr, ...], dict[str, Any]]:
        fewest, most = self.arity
        if not self.attrs and not given and fewest <= len(operands) <= most:
            return tuple(lift(x) for x in operands), {}
        inputs = [
            lift(x) for x in operands[:most] if x is not None and not isinstance(x, (str, tuple))
        ]
        names = list(self.attrs)
        positional = dict(zip(names, operands[len(inputs) :], strict=False))
        surplus = len(operands) - len(inputs) - len(positional)
        if len(inputs) < fewest or surplus:
            many = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise ParameterError(f"takes {many} inputs, got {len(operands)}", where=self.name)
        for name in given:
            if name not in self.attrs:
                known = f"It has: {', '.join(names) or 'no options'}"
                hint = did_you_mean(name, names) or known
                raise ParameterError(f"has no option {name!r}", where=self.name, hint=hint)
        attrs = {**self.attrs, **positional, **given}
        for name, value in attrs.items():
            if isinstance(value, Expr):
                what = f"option {name!r} is a fixed value, got the expression {describe(value)}"
                raise ParameterError(what, where=self.name)
        unset = [name for name, value in attrs.items() if value is ...]
        if unset:
            raise ParameterError(f"needs {', '.join(unset)}", where=self.name)
        return tuple(inputs), attrs

    def _check_kinds(self, inputs: tuple[Expr, ...]) -> None:
        for i, x in enumerate(inputs):
            allowed = self.takes[min(i, len(self.takes) - 1)]
            if x.kind not in allowed:
                hint = (
                    "Whole-number labels: use cr.one_hot(labels, axis)" if x.kind == "int" else ""
                )
                what = f"{describe_axes(x)} is {x.kind}, expected {' or '.join(allowed)}"
                raise DTypeError(what, where=self.name, hint=hint)


OPS: dict[str, Op] = {}
"""Every operation by name. The order is the order of the reference."""


def register(op: Op) -> Op:
    """Put a complete record into the table."""
    if op.name in OPS:
        raise ParameterError("an operation of this name exists", where=op.name)
    OPS[op.name] = op
    return op


@contextmanager
def replaced(op: Op) -> Iterator[None]:
    """Within the block the operation of this name is `op`: how tests plant wrong derivatives."""
    original = OPS[op.name]
    OPS[op.name] = op
    try:
        yield
    finally:
        OPS[op.name] = original


def body_of(node: Expr) -> Expr | None:
    """The definition of this node in simpler operations, or None if it is a primitive."""
    body = OPS[node.op].body if node.op in OPS else None
    return body(*node.inputs, **dict(node.attrs)) if body else None


def broadcast(name: str, *inputs: Expr) -> Axes:
    """Shape rule of elementwise operations: one input has all the axes, the others some of them.

    Raises:
        ShapeError: an input has an axis that the widest one lacks; both are named.
    """
    widest = max(inputs, key=lambda x: len(x.axes))
    for x in inputs:
        extra = [axis for axis in x.axes if axis not in widest.axes]
        if extra:
            both = f"{describe_axes(widest)} and {describe_axes(x)}"
            hint = f"{describe(widest)} has no axis {extra[0]!r}: if it is meant, say cr.expand(…)"
            raise ShapeError(f"{name} of {both}: the axes differ", hint=hint)
    return widest.axes


def is_elementwise(op: Op) -> bool:
    """Whether an entry of the result depends on the same entry of each input."""
    return getattr(op.axes, "__wrapped__", None) is broadcast


def elementwise(name: str) -> Callable[..., Axes]:
    """The broadcasting rule for the operation called `name`."""

    def rule(*inputs: Expr, **_: object) -> Axes:
        return broadcast(name, *inputs)

    return functools.wraps(broadcast)(rule)


UNARY = (Layout(("k m",)), Layout(("m k",)), Layout(("",)), Layout(("1 m",)), Layout(("k m n",)))
BINARY = (
    Layout(("k m", "k m")),
    Layout(("k m", "m k")),
    Layout(("k m", "k")),
    Layout(("m", "k m")),
    Layout(("", "k m")),
    Layout(("k m", "")),
    Layout(("", "")),
    Layout(("1 m", "m")),
)
UNARY_MISTAKES = (Mistake(("m int",), "is int, expected float or bool"),)
BINARY_MISTAKES = (
    Mistake(("k m", "o"), "the axes differ"),
    Mistake(("k=3", "k=4"), "axis 'k' has sizes 3 ≠ 4"),
    Mistake(("k", "k int"), "is int, expected float or bool"),
)
