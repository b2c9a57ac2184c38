"""Rename, merge, split, join, cut and look up: values keep, their places change."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.errors import ShapeError
from chainrule.expr import Axes, Expr, describe_axes, lift
from chainrule.ops.record import SAME, Cotangents, Layout, Mistake, Op, register
from chainrule.ops.structure import names, refuse, require, swap, transpose

_rename: Op = register(
    Op(
        "rename",
        summary="The same values with other axis names.",
        attrs={"to": ...},
        axes=lambda x, to: _renamed_axes(x, dict(to)),
        sizes=lambda x, to: {new: x.sizes[old] for old, new in to if old in x.sizes},
        vjp=lambda g, y, x, to: (_rename(g, to=tuple((new, old) for old, new in to)),),
        tex="{0}",
        layouts=(
            Layout(("k m",), {"to": (("m", "p"),)}),
            Layout(("k m",), {"to": (("m", "k"), ("k", "m"))}),
        ),
        mistakes=(
            Mistake(("k m",), "has no axis 'q'", {"to": (("q", "p"),)}),
            Mistake(("k m",), "twice", {"to": (("k", "m"),)}),
        ),
        source="definition",
    )
)


def _renamed_axes(x: Expr, to: Mapping[str, str]) -> Axes:
    require("rename", x, *to)
    axes = tuple(to.get(axis, axis) for axis in x.axes)
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{describe_axes(x)} would have axis {axes[0]!r} twice", where="rename")
    return axes


def rename(x: Expr, **to: str) -> Expr:
    """`x` with axes renamed.

    >>> from chainrule.expr import input_
    >>> rename(input_("x", "n m"), m="p").axes
    ('n', 'p')
    """
    return _rename(x, to=tuple(sorted(to.items())))


def _merge_axes(x: Expr, axes: Axes, into: str) -> Axes:
    require("merge", x, *axes)
    if not axes:
        raise ShapeError("names no axes to join", where="merge")
    at = x.axes.index(axes[0])
    if x.axes[at : at + len(axes)] != axes:
        raise ShapeError(
            f"{' '.join(axes)} do not stand side by side in {describe_axes(x)}", where="merge"
        )
    refuse("merge", x, into)
    return (*x.axes[:at], into, *x.axes[at + len(axes) :])


def _product(sizes: Mapping[str, int], axes: Axes, into: str) -> dict[str, int]:
    if any(axis not in sizes for axis in axes):
        return {}
    product = 1
    for axis in axes:
        product *= sizes[axis]
    return {into: product}


merge = register(
    Op(
        "merge",
        summary="Neighbouring axes joined into one, the last running fastest.",
        attrs={"axes": ..., "into": ...},
        prepare=lambda inputs, attrs: {**attrs, "axes": names(attrs["axes"])},
        axes=_merge_axes,
        sizes=lambda x, axes, into: _product(x.sizes, axes, into),
        vjp=lambda g, y, x, axes, into: (_split(g, into, axes, _known(x, axes)),),
        tex=r"\operatorname{{vec}}_{{{into}}}{0:call}",
        layouts=(
            Layout(("k n m",), {"axes": "k n", "into": "q"}),
            Layout(("m k n",), {"axes": "k n", "into": "q"}),
        ),
        mistakes=(Mistake(("k m n",), "do not stand side by side", {"axes": "k n", "into": "q"}),),
        source="definition (row-major order)",
    )
)


def _known(x: Expr, axes: Axes) -> tuple[tuple[str, int], ...]:
    return tuple((axis, x.sizes[axis]) for axis in axes if axis in x.sizes)


def _split_axes(x: Expr, axis: str, into: Axes, sizes: tuple[tuple[str, int], ...]) -> Axes:
    require("split", x, axis)
    refuse("split", x, *(a for a in into if a != axis))
    small = [f"{a}={n}" for a, n in sizes if n < 1]
    if small:
        raise ShapeError(f"{small[0]}: sizes are at least 1", where="split")
    _split_sizes(x, axis, into, sizes)
    return swap(x.axes, axis, *into)


def _split_sizes(
    x: Expr, axis: str, into: Axes, sizes: tuple[tuple[str, int], ...]
) -> dict[str, int]:
    known = dict(sizes)
    whole = x.sizes.get(axis)
    missing = [a for a in into if a not in known]
    if whole is None:
        return known
    given = 1
    for part in known.values():
        given *= part
    if (len(missing) == 1 and whole % max(given, 1)) or (not missing and given != whole):
        shown = ", ".join(f"{a}={n}" for a, n in sizes)
        raise ShapeError(f"{describe_axes(x)}: {whole} does not split into {shown}", where="split")
    return {**known, missing[0]: whole // max(given, 1)} if len(missing) == 1 else known


_split: Op = register(
    Op(
        "split",
        summary="One axis divided into several, the last running fastest.",
        attrs={"axis": ..., "into": ..., "sizes": ()},
        prepare=lambda inputs, attrs: {**attrs, "into": names(attrs["into"])},
        axes=_split_axes,
        sizes=_split_sizes,
        vjp=lambda g, y, x, axis, into, sizes: (merge(g, into, axis),),
        tex=r"\operatorname{{split}}_{{{axis}}}{0:call}",
        layouts=(
            Layout(("q=6 m",), {"axis": "q", "into": "k n", "sizes": (("k", 2),)}),
            Layout(("m q=6",), {"axis": "q", "into": "k n", "sizes": (("k", 2), ("n", 3))}),
        ),
        mistakes=(
            Mistake(
                ("q=7 m",),
                "7 does not split into k=2",
                {"axis": "q", "into": "k n", "sizes": (("k", 2),)},
            ),
        ),
        source="definition (row-major order)",
    )
)


def split(x: Expr, axis: str, into: str | Axes, **sizes: int) -> Expr:
    """One axis divided into several, of sizes known but for one: ``split(x, "q", "h d", h=4)``."""
    return _split(x, axis, into, tuple(sorted(sizes.items())))


def _slice_axes(x: Expr, axis: str, into: str, start: int, after: Axes, stop: int | None) -> Axes:
    require("slice", x, axis)
    if into != axis:
        refuse("slice", x, into)
    whole = x.sizes.get(axis)
    if start < 0 or (stop is not None and (stop < start or (whole is not None and stop > whole))):
        what = f"{describe_axes(x)}: entries {start} to {stop} of axis {axis!r} do not exist"
        raise ShapeError(what, where="slice")
    return swap(x.axes, axis, into)


def _slice_vjp(
    g: Expr, y: Expr, x: Expr, axis: str, into: str, start: int, after: Axes, stop: int | None
) -> Cotangents:
    return (pad(g, into, axis, start, after, x.sizes.get(axis)),)


_slice = register(
    Op(
        "slice",
        summary="A run of consecutive entries along one axis, as a new axis.",
        attrs={"axis": ..., "into": ..., "start": 0, "after": (), "stop": None},
        axes=_slice_axes,
        sizes=lambda x, axis, into, start, after, stop: (
            {} if stop is None else {into: stop - start}
        ),
        vjp=_slice_vjp,
        tex=r"{0:atom}_{{[{into}]}}",
        layouts=(
            Layout(("q=5 m",), {"axis": "q", "into": "k", "start": 1, "stop": 4}),
            Layout(("m q=5",), {"axis": "q", "into": "k", "start": 0, "stop": 2}),
        ),
        mistakes=(
            Mistake(("q=5 m",), "do not exist", {"axis": "q", "into": "k", "start": 3, "stop": 9}),
            Mistake(
                ("q=5 m",), "has no axis 'z'", {"axis": "z", "into": "k", "start": 3, "stop": 9}
            ),
        ),
        source="definition",
    )
)


def cut(x: Expr, axis: str, into: str, start: int, stop: int) -> Expr:
    """Entries `start` to `stop` (not included) along `axis`, as an axis called `into`."""
    return _slice(x, axis, into, start, (), stop)


def _pad_axes(x: Expr, axis: str, into: str, start: int, after: Axes, size: int | None) -> Axes:
    require("pad", x, axis)
    return swap(x.axes, axis, into)


pad = register(
    Op(
        "pad",
        summary="Values placed along a longer axis, zeros around them: the transpose of a slice.",
        attrs={"axis": ..., "into": ..., "start": 0, "after": (), "size": None},
        axes=_pad_axes,
        sizes=lambda x, axis, into, start, after, size: {} if size is None else {into: size},
        vjp=lambda g, y, x, axis, into, start, after, size: (
            _slice(g, into, axis, start, after, _stop(x, axis, start)),
        ),
        tex=r"\operatorname{{pad}}_{{{into}}}{0:call}",
        layouts=(Layout(("k=2 m",), {"axis": "k", "into": "q", "start": 1, "size": 5}),),
        mistakes=(Mistake(("m int",), "is int", {"axis": "m", "into": "q", "size": 3}),),
        source="definition",
    )
)


def _stop(x: Expr, axis: str, start: int) -> int | None:
    return start + x.sizes[axis] if axis in x.sizes else None


def _concat_axes(*xs: Expr, over: Axes, into: str) -> Axes:
    if len(over) != len(xs):
        hint = "Name one axis for each, in their order"
        raise ShapeError(f"{len(xs)} values but {len(over)} axes", where="concat", hint=hint)
    first = xs[0]
    for x, axis in zip(xs, over, strict=True):
        require("concat", x, axis)
        refuse("concat", x, *({into} - {axis}))
        if set(x.axes) - {axis} != set(first.axes) - {over[0]}:
            both = f"{describe_axes(first)} and {describe_axes(x)}"
            what = f"{both} differ in more than the axis they join"
            raise ShapeError(what, where="concat")
    return swap(first.axes, over[0], into)


def _concat_vjp(g: Expr, y: Expr, *xs: Expr, over: Axes, into: str) -> Cotangents:
    parts = []
    for i, (x, axis) in enumerate(zip(xs, over, strict=True)):
        part = _slice(g, into, axis, 0, over[:i], x.sizes.get(axis) if i == 0 else None)
        parts.append(transpose(part, x.axes))
    return tuple(parts)


_concat = register(
    Op(
        "concat",
        summary="Values joined end to end, each with an axis of its own; the result has a new one.",
        attrs={"over": ..., "into": ...},
        arity=(2, 64),
        prepare=lambda inputs, attrs: {**attrs, "over": names(attrs["over"])},
        axes=_concat_axes,
        sizes=lambda *xs, over, into: _total(xs, over, into),
        vjp=_concat_vjp,
        tex=r"\left[{0}; {1}\right]",
        layouts=(
            Layout(("p m", "q m"), {"over": "p q", "into": "r"}),
            Layout(("m p", "q m"), {"over": "p q", "into": "r"}),
            Layout(("p", "q", "s"), {"over": "p q s", "into": "r"}),
        ),
        mistakes=(
            Mistake(("p m", "q n"), "differ in more than the axis", {"over": "p q", "into": "r"}),
            Mistake(("p m", "q m"), "2 values but 1 axes", {"over": "p", "into": "r"}),
        ),
        source="definition",
    )
)


def _total(xs: tuple[Expr, ...], over: Axes, into: str) -> dict[str, int]:
    sizes = [x.sizes.get(axis) for x, axis in zip(xs, over, strict=True)]
    known = [n for n in sizes if n is not None]
    return {into: sum(known)} if len(known) == len(sizes) else {}


def concat(*xs: Expr, over: str | Axes, into: str) -> Expr:
    """Values joined end to end: a with axis p, b with q: ``concat(a, b, over="p q", into="r")``."""
    return _concat(*(lift(x) for x in xs), over=over, into=into)


def _gather_axes(x: Expr, index: Expr, axis: str) -> Axes:
    require("gather", x, axis)
    refuse("gather", x, *index.axes)
    return swap(x.axes, axis, *index.axes)


def _gather_vjp(g: Expr, y: Expr, x: Expr, index: Expr, axis: str) -> Cotangents:
    scattered = scatter_add(g, index, axis, x.sizes.get(axis))
    return transpose(scattered, x.axes), None


gather = register(
    Op(
        "gather",
        summary="The entries along one axis that the index names: rows of a table.",
        attrs={"axis": ...},
        arity=(2, 2),
        kind=SAME,
        takes=(("float", "bool", "int"), ("int",)),
        axes=_gather_axes,
        vjp=_gather_vjp,
        tex=r"{0:atom}_{{[{1}]}}",
        layouts=(
            Layout(("v=4 d", "m int"), {"axis": "v"}),
            Layout(("d v=4", "m int"), {"axis": "v"}),
            Layout(("v=4", "m int"), {"axis": "v"}),
        ),
        mistakes=(
            Mistake(("v d", "m"), "is float, expected int", {"axis": "v"}),
            Mistake(("v m", "m int"), "already has an axis 'm'", {"axis": "v"}),
        ),
        source="definition; what is read twice receives both cotangents",
    )
)
scatter_add = register(
    Op(
        "scatter_add",
        summary="Entries added up at the places that the index names: the transpose of gather.",
        attrs={"axis": ..., "size": None},
        arity=(2, 2),
        takes=(("float", "bool"), ("int",)),
        axes=lambda x, index, axis, size: (axis, *(a for a in x.axes if a not in index.axes)),
        sizes=lambda x, index, axis, size: {axis: size} if size else {},
        vjp=lambda g, y, x, index, axis, size: (transpose(gather(g, index, axis), x.axes), None),
        tex=r"\operatorname{{scatter}}_{{{axis}}}\left({0}, {1}\right)",
        layouts=(
            Layout(("m d", "m int"), {"axis": "v", "size": 4}),
            Layout(("m", "m int"), {"axis": "v", "size": 4}),
        ),
        mistakes=(Mistake(("m d", "m"), "is float, expected int", {"axis": "v", "size": 4}),),
        source="definition",
    )
)
