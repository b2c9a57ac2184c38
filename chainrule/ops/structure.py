"""Sums, contractions and everything that moves values between axes without changing them."""

from __future__ import annotations

from typing import Any

from chainrule.errors import GraphError, ShapeError
from chainrule.expr import Axes, Expr, describe, describe_axes, make
from chainrule.ops.record import POWER, PRODUCT, Cotangents, Layout, Mistake, Op, register

REDUCED = (
    Layout(("k m",), {"over": "m"}),
    Layout(("k m",), {"over": "k"}),
    Layout(("m",), {"over": "m"}),
    Layout(("k 1 m",), {"over": "1"}),
)
NOT_THERE = Mistake(("k m",), "has no axis 'q'", {"over": "q"})


def size(axis: str) -> Expr:
    """The number of entries along `axis`, as a value: the m in 2/m."""
    return make("size", (), (("axis", axis),), (), {}, "float")


def names(text: str | tuple[str, ...]) -> Axes:
    """Axis names from ``"k m"`` or ``("k", "m")``."""
    return tuple(text.split()) if isinstance(text, str) else tuple(text)


def require(op: str, x: Expr, *axes: str) -> None:
    """Raise a ShapeError unless `x` has all of `axes`."""
    for axis in axes:
        if axis not in x.axes:
            raise ShapeError(f"{describe_axes(x)} has no axis {axis!r}", where=op)


def refuse(op: str, x: Expr, *axes: str) -> None:
    """Raise a ShapeError if `x` already has one of `axes`."""
    for axis in axes:
        if axis in x.axes:
            raise ShapeError(f"{describe_axes(x)} already has an axis {axis!r}", where=op)


def swap(axes: Axes, old: str, *new: str) -> Axes:
    """`axes` with `new` in the place of `old`."""
    at = axes.index(old)
    return (*axes[:at], *new, *axes[at + 1 :])


def _over(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    over = inputs[0].axes if attrs["over"] is None else names(attrs["over"])
    return {**attrs, "over": tuple(sorted(over, key=lambda a: (*inputs[0].axes, a).index(a)))}


def _without(op: str) -> Any:
    def rule(x: Expr, over: Axes) -> Axes:
        require(op, x, *over)
        return tuple(axis for axis in x.axes if axis not in over)

    return rule


def _one(op: str) -> Any:
    def prepare(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
        over = _over(inputs, attrs)["over"]
        if len(over) != 1:
            hint = "Apply it once for each axis"
            raise ShapeError(f"takes one axis, got {' '.join(over) or 'none'}", where=op, hint=hint)
        return {"over": over}

    return prepare


def sized(axes: Axes, over: Axes) -> Expr:
    """The product of the sizes of `over`."""
    product = size(over[0])
    for axis in over[1:]:
        product = product * size(axis)
    return product


sum_ = register(
    Op(
        "sum",
        summary="Sum over one or more axes (all of them if none is named).",
        attrs={"over": None},
        prepare=_over,
        axes=_without("sum"),
        vjp=lambda g, y, x, over: (expand(g, x.axes),),
        tex=r"\sum_{{{over}}} {0:prod}",
        binds=PRODUCT,
        layouts=(*REDUCED, Layout(("k m n",), {"over": "k n"}), Layout(("k m",))),
        mistakes=(NOT_THERE,),
        source="linearity of the derivative",
    )
)
mean = register(
    Op(
        "mean",
        summary="Mean over one or more axes (all of them if none is named).",
        attrs={"over": None},
        prepare=_over,
        axes=_without("mean"),
        body=lambda x, over: sum_(x, over) / sized(x.axes, over) if over else x,
        vjp=lambda g, y, x, over: (expand(g / sized(x.axes, over) if over else g, x.axes),),
        tex=r"\operatorname{{mean}}_{{{over}}}{0:call}",
        layouts=(*REDUCED, Layout(("k m n",), {"over": "k n"}), Layout(("k m",))),
        mistakes=(NOT_THERE,),
        source="linearity of the derivative",
    )
)


def _first(x: Expr, index: Expr, over: Axes) -> Expr:
    """1 at the one position along `over` that `index` names, 0 elsewhere."""
    return transpose(one_hot(index, over[0]), x.axes)


max_ = register(
    Op(
        "max",
        summary="Largest entry along one axis; of equal ones the first receives the gradient.",
        attrs={"over": None},
        prepare=_one("max"),
        axes=_without("max"),
        vjp=lambda g, y, x, over: (g * _first(x, argmax(x, over), over),),
        tex=r"\max_{{{over}}} {0:prod}",
        binds=PRODUCT,
        smooth=False,
        layouts=REDUCED,
        mistakes=(NOT_THERE, Mistake(("k m",), "takes one axis", {"over": "k m"})),
        source="subgradient; ties go to the first",
    )
)
min_ = register(
    Op(
        "min",
        summary="Smallest entry along one axis; of equal ones the first receives the gradient.",
        attrs={"over": None},
        prepare=_one("min"),
        axes=_without("min"),
        vjp=lambda g, y, x, over: (g * _first(x, argmax(-x, over), over),),
        tex=r"\min_{{{over}}} {0:prod}",
        binds=PRODUCT,
        smooth=False,
        layouts=REDUCED,
        mistakes=(NOT_THERE, Mistake(("k m",), "takes one axis", {"over": "k m"})),
        source="subgradient; ties go to the first",
    )
)
argmax: Op = register(
    Op(
        "argmax",
        summary="Position of the largest entry along one axis; of equal ones the first.",
        attrs={"over": None},
        prepare=_one("argmax"),
        axes=_without("argmax"),
        kind="int",
        tex=r"\operatorname{{argmax}}_{{{over}}} {0:prod}",
        binds=PRODUCT,
        no_gradient="a position jumps: its gradient is zero almost everywhere",
        smooth=False,
        layouts=REDUCED,
        mistakes=(NOT_THERE,),
        source="ties go to the first",
    )
)


def _contract_axes(a: Expr, b: Expr, over: Axes) -> Axes:
    for x in (a, b):
        require("contract", x, *over)
    kept = tuple(axis for axis in a.axes if axis not in over)
    return (*kept, *(axis for axis in b.axes if axis not in over and axis not in kept))


def _contract_vjp(g: Expr, y: Expr, a: Expr, b: Expr, over: Axes) -> Cotangents:
    return contraction(g, b, a.axes), contraction(a, g, b.axes)


def contraction(a: Expr, b: Expr, axes: Axes) -> Expr:
    """a times b, summed over every common axis not in `axes`; the result has `axes`."""
    over = tuple(x for x in a.axes if x in b.axes and x not in axes)
    if not over:
        product = (
            a * b
            if set(a.axes) <= set(b.axes) or set(b.axes) <= set(a.axes)
            else contract(a, b, ())
        )
        return onto(product, axes)
    straight = contract(a, b, over)
    turned = contract(b, a, over)
    return onto(turned if turned.axes == axes != straight.axes else straight, axes)


contract = register(
    Op(
        "contract",
        summary="Product of two values, summed over the axes named; others in common stay aligned.",
        attrs={"over": ...},
        prepare=_over,
        arity=(2, 2),
        axes=_contract_axes,
        vjp=_contract_vjp,
        tex="{0:prod}{1:prod}",
        binds=PRODUCT,
        layouts=(
            Layout(("k n", "n m"), {"over": "n"}),
            Layout(("m n", "n k"), {"over": "n"}),
            Layout(("n k", "n m"), {"over": "n"}),
            Layout(("k n", "m n"), {"over": "n"}),
            Layout(("n", "n m"), {"over": "n"}),
            Layout(("k n", "n"), {"over": "n"}),
            Layout(("n", "n"), {"over": "n"}),
            Layout(("k", "m"), {"over": ""}),
            Layout(("m k", "m n"), {"over": ""}),
            Layout(("m k n", "n m"), {"over": "n"}),
            Layout(("k n p", "p n m"), {"over": "n p"}),
            Layout(("1 k", "k m"), {"over": "k"}),
        ),
        mistakes=(
            Mistake(("k n", "q m"), "has no axis 'n'", {"over": "n"}),
            Mistake(("k n=3", "n=4 m"), "axis 'n' has sizes 3 ≠ 4", {"over": "n"}),
        ),
        source="d(AB) = dA B + A dB (CS230 section 2; Petersen & Pedersen 2012, eq. 37)",
    )
)


def matmul(a: Expr, b: Expr) -> Expr:
    """``a @ b``: summed over the last axis of `a` and the first of `b`, which have one name.

    Raises:
        ShapeError: the two inner axes have different names or sizes, or a scalar is involved.
    """
    if not a.axes or not b.axes:
        hint = "Use * for a number"
        raise ShapeError(f"{describe_axes(a)} @ {describe_axes(b)}: one has no axes", hint=hint)
    inner, other = a.axes[-1], b.axes[0]
    if inner != other:
        sizes = [x.sizes.get(axis) for x, axis in ((a, inner), (b, other))]
        shown = (
            f"inner sizes {sizes[0]} ≠ {sizes[1]}"
            if all(sizes)
            else f"inner axes {inner!r} ≠ {other!r}"
        )
        turned = [
            f"{describe(x)}.T"
            for x, fits in ((a, a.axes[0] == other), (b, b.axes[-1] == inner))
            if fits and len(x.axes) == 2
        ]
        hint = f"Did you mean {turned[0]}?" if turned else ""
        what = f"matmul of {describe_axes(a)} and {describe_axes(b)}: {shown}"
        raise ShapeError(what, hint=hint)
    return contract(a, b, (inner,))


def _transpose_axes(x: Expr, axes: Axes) -> Axes:
    require("transpose", x, *axes)
    if len(axes) != len(x.axes) or len(set(axes)) < len(axes):
        raise ShapeError(
            f"{describe_axes(x)} has other axes than {' '.join(axes)}", where="transpose"
        )
    return axes


def _turned(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    x = inputs[0]
    if attrs["axes"] is None:
        if len(x.axes) != 2:
            hint = "Name the order: cr.transpose(x, 'm k n')"
            raise ShapeError(f"{describe_axes(x)}: .T needs two axes", where="transpose", hint=hint)
        return {"axes": x.axes[::-1]}
    return {"axes": names(attrs["axes"])}


_transpose = register(
    Op(
        "transpose",
        summary="The same values with the axes in another order.",
        attrs={"axes": None},
        prepare=_turned,
        axes=_transpose_axes,
        vjp=lambda g, y, x, axes: (transpose(g, x.axes),),
        tex=r"{0:atom}^\intercal",
        binds=POWER,
        layouts=(
            Layout(("k m",)),
            Layout(("k m n",), {"axes": "n k m"}),
            Layout(("k",), {"axes": "k"}),
        ),
        mistakes=(
            Mistake(("k m n",), ".T needs two axes"),
            Mistake(("k m",), "has no axis 'q'", {"axes": "k q"}),
        ),
        source="a transposition is undone by transposing back",
    )
)


def transpose(x: Expr, axes: str | Axes | None = None) -> Expr:
    """`x` with its axes in the order of `axes`; without it, the two axes swapped."""
    return x if axes is not None and names(axes) == x.axes else _transpose(x, axes=axes)


def _expand_axes(x: Expr, axes: Axes) -> Axes:
    if len(set(axes)) < len(axes):
        raise ShapeError(f"an axis appears twice in '{' '.join(axes)}'", where="expand")
    lost = [axis for axis in x.axes if axis not in axes]
    if lost:
        raise ShapeError(
            f"{describe_axes(x)} has axis {lost[0]!r}, the result has not", where="expand"
        )
    return axes


_expand = register(
    Op(
        "expand",
        summary="The same values repeated along new axes: broadcasting, written out.",
        attrs={"axes": ...},
        prepare=lambda inputs, attrs: {"axes": names(attrs["axes"])},
        axes=_expand_axes,
        vjp=lambda g, y, x, axes: (onto(g, x.axes),),
        tex=r"{0:prod}\vec{{1}}^\intercal",
        binds=PRODUCT,
        layouts=(
            Layout(("k",), {"axes": "k m"}),
            Layout(("m",), {"axes": "k m"}),
            Layout(("",), {"axes": "k"}),
            Layout(("k m",), {"axes": "m n k"}),
        ),
        mistakes=(Mistake(("k m",), "has axis 'k', the result has not", {"axes": "m n"}),),
        source="what is repeated receives the sum (CS230: a broadcast bias, times ones)",
    )
)


def expand(x: Expr, axes: str | Axes) -> Expr:
    """`x` repeated along the axes that it lacks; `x` itself if it lacks none."""
    wanted = names(axes)
    return transpose(x, wanted) if set(wanted) == set(x.axes) else _expand(x, wanted)


def onto(x: Expr, axes: Axes) -> Expr:
    """`x` with exactly `axes`: what is too many is summed, what is missing repeated."""
    extra = tuple(axis for axis in x.axes if axis not in axes)
    return expand(sum_(x, extra) if extra else x, axes)


stop_gradient = register(
    Op(
        "stop_gradient",
        summary="The value itself, through which no gradient passes.",
        axes=lambda x: x.axes,
        tex=r"\operatorname{{stop}}{0:call}",
        no_gradient="it is there to stop it",
        layouts=(Layout(("k m",)), Layout(("",))),
        mistakes=(Mistake(("m int",), "is int, expected float or bool"),),
        source="definition",
    )
)


def _one_hot_axes(labels: Expr, axis: str, size: int | None) -> Axes:
    refuse("one_hot", labels, axis)
    if size is not None and size < 1:
        raise GraphError(f"size must be at least 1, got {size}", where="one_hot")
    return (*labels.axes, axis)


one_hot = register(
    Op(
        "one_hot",
        summary="1 at the position that the label names along a new axis, 0 elsewhere.",
        attrs={"axis": ..., "size": None},
        axes=_one_hot_axes,
        sizes=lambda labels, axis, size: {axis: size} if size else {},
        takes=(("int",),),
        kind="bool",
        tex=r"\operatorname{{onehot}}_{{{axis}}}{0:call}",
        no_gradient="a label is not a number that can move a little",
        layouts=(
            Layout(("m int",), {"axis": "c", "size": 4}),
            Layout(("int",), {"axis": "c", "size": 3}),
        ),
        mistakes=(
            Mistake(("m",), "is float, expected int", {"axis": "c"}),
            Mistake(("c int",), "already has an axis 'c'", {"axis": "c"}),
        ),
        source="definition",
    )
)
