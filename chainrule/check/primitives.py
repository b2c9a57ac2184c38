"""The primitives, computed over named axes.

The order of axes plays no part, and many points at once are one more axis. What decides
(comparisons, max, abs, sign) looks at real parts, so that functions that are analytic in pieces can
be evaluated at complex numbers. Ties go to the first operand unless the run decides them by
direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.errors import GraphError
from chainrule.expr import Axes, Expr
from chainrule.run.keyed import uniform_like

BLOCKS = 16  # of a sum: so many of its partial sums are looked at where rounding is simulated
EXACT_INTEGERS = 2.0**53  # below it float64 holds every whole number (IEEE 754)
Primitive = Callable[..., Named]


def _common(node: Expr, *xs: Named) -> Axes:
    """The axes of a result, the points first."""
    return (POINTS, *node.axes) if any(POINTS in x.axes for x in xs) else node.axes


def _number(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "b" else array


def _pointwise(function: Callable[..., Array], rounds: bool = True) -> Primitive:
    """A primitive that works entry by entry; `rounds`: its results are not exact."""

    def apply(run: Run, node: Expr, *xs: Named) -> Named:
        axes = _common(node, *xs)
        result = Named(function(*(_number(x.at(axes)) for x in xs)), axes)
        exact = not rounds or all(_whole(x.array) for x in (result, *xs))
        return result if exact else run.rounded(result)

    return apply


def _whole(x: Array) -> bool:
    """Whether `x` is one whole number that floats hold exactly: 4 − 1 is 3, not nearly 3."""
    return x.ndim == 0 and bool(x == np.rint(x)) and bool(abs(x) < EXACT_INTEGERS)


def _log1p(z: Array) -> Array:
    # ln|1 + z| is log1p(x) up to h²; NumPy's complex log1p loses what is small against 1
    if z.dtype.kind != "c":
        return np.asarray(np.log1p(z))
    return np.asarray(np.log1p(z.real) + 1j * np.arctan2(z.imag, 1 + z.real))


def _erf(x: Array) -> Array:
    if x.dtype.kind == "c":
        raise GraphError("erf has no complex form here")
    values = map(math.erf, x.ravel().tolist())
    return np.fromiter(values, np.float64, x.size).reshape(x.shape)


def _comparison(compare: Callable[[Array, Array], Array]) -> Primitive:
    def apply(run: Run, node: Expr, *xs: Named) -> Named:
        axes = _common(node, *xs)
        a, b = (_number(x.at(axes)) for x in xs)
        _watch(run, a, b, axes)
        return run.decide(Named(compare(run.order(a), run.order(b)), axes))

    return apply


def _watch(run: Run, a: Array, b: Array, axes: Axes) -> None:
    if a.dtype.kind == "c" or b.dtype.kind == "c":
        run.watch((a.real == b.real) & (a.imag != b.imag), axes)


def _choice(compare: Callable[[Array, Array], Array]) -> Primitive:
    """maximum and minimum: the first where `compare` holds."""
    decision = _comparison(compare)

    def apply(run: Run, node: Expr, a: Named, b: Named) -> Named:
        first = decision(run, node, a, b)
        axes = _common(node, a, b, first)
        return Named(np.where(first.at(axes), a.at(axes), b.at(axes)), axes)

    return apply


def _sign(run: Run, node: Expr, x: Named) -> Named:
    z = _number(x.array)
    _watch(run, z, np.zeros_like(z), x.axes)
    ordered = run.order(z)
    return run.decide(Named((ordered > 0) * 1.0 - (ordered < 0) * 1.0, x.axes))


def _abs(run: Run, node: Expr, x: Named) -> Named:
    sign = _sign(run, node, x)
    axes = _common(node, x, sign)
    return Named(_number(x.at(axes)) * sign.at(axes), axes)


def _where(run: Run, node: Expr, *xs: Named) -> Named:
    axes = _common(node, *xs)
    condition, a, b = (x.at(axes) for x in xs)
    return Named(np.where(condition, _number(a), _number(b)), axes)


def _places(x: Named, axes: Axes) -> tuple[int, ...]:
    return tuple(x.axes.index(axis) for axis in axes)


def _sum(run: Run, node: Expr, x: Named) -> Named:
    kept = tuple(a for a in x.axes if a not in node["over"])
    terms = run.rounded(Named(_number(x.array), x.axes))
    if run.noise is None:
        total = terms.array.sum(axis=_places(terms, node["over"]))
        return Named(total, tuple(a for a in terms.axes if a not in node["over"]))
    kept = (POINTS, *(a for a in kept if a != POINTS))
    array = terms.at((*node["over"], *kept))
    flat = array.reshape(-1, *array.shape[len(node["over"]) :])
    parts = _blocks(flat, 0).sum(axis=1)
    return Named(run.added(parts, len(flat)), kept)


def _blocks(array: Array, axis: int) -> Array:
    """The entries along `axis` in `BLOCKS` blocks, as the first axis; zeros fill the last."""
    moved = np.moveaxis(array, axis, 0)
    length = max(1, -(-len(moved) // BLOCKS))
    count = max(1, -(-len(moved) // length))
    padded = np.zeros((count * length, *moved.shape[1:]), moved.dtype)
    padded[: len(moved)] = moved
    return padded.reshape(count, length, *moved.shape[1:])


def _position(run: Run, node: Expr, x: Named, sign: int) -> Named:
    (axis,) = node["over"]
    place = x.axes.index(axis)
    z = sign * _number(x.array)
    position = np.argmax(run.order(z), axis=place)
    if z.dtype.kind == "c":
        best = np.take_along_axis(z, np.expand_dims(position, place), place)
        _watch(run, z, np.broadcast_to(best, z.shape), x.axes)
    return run.decide(Named(position, tuple(a for a in x.axes if a != axis)))


def _extreme(sign: int) -> Primitive:
    def apply(run: Run, node: Expr, x: Named) -> Named:
        position = _position(run, node, x, sign)
        over = tuple(node["over"])
        axes = _common(node, x, position)
        wide = (*axes, *over)
        array, place = np.broadcast_arrays(x.at(wide), position.at(wide))
        return Named(np.take_along_axis(array, place[..., :1], -1)[..., 0], axes)

    return apply


def product(run: Run, a: Named, b: Named, over: Axes) -> Named:
    """Contraction as one product of matrices; axes that both have and keep are aligned."""
    shared = tuple(x for x in a.axes if x in b.axes and x not in over)
    left = tuple(x for x in a.axes if x not in b.axes)
    right = tuple(x for x in b.axes if x not in a.axes)
    first = a.at((*shared, *left, *over))
    second = b.at((*shared, *over, *right))
    common = first.shape[: len(shared)]
    rows = first.shape[len(shared) : len(shared) + len(left)]
    columns = second.shape[second.ndim - len(right) :]
    inner = math.prod(first.shape[len(shared) + len(left) :])
    matrix = _number(first).reshape((*common, math.prod(rows), inner))
    other = _number(second).reshape((*common, inner, math.prod(columns)))
    if run.noise is None:
        result = _matmul(matrix, other)
    else:
        blocks = np.moveaxis(_blocks(matrix, -1), 1, -1), np.moveaxis(_blocks(other, -2), 1, -2)
        result = run.added(_matmul(*blocks), inner)
    return Named(result.reshape((*common, *rows, *columns)), (*shared, *left, *right))


def _matmul(a: Array, b: Array) -> Array:
    """a @ b, where complex products are made of real ones.

    A BLAS may use three of them instead of four, and then real rounding errors drown the tiny
    imaginary parts.
    """
    if a.dtype.kind != "c" and b.dtype.kind != "c":
        return np.asarray(a @ b)
    real = a.real @ b.real
    if a.dtype.kind != "c":
        return np.asarray(real + 1j * (a @ b.imag))
    if b.dtype.kind != "c":
        return np.asarray(real + 1j * (a.imag @ b))
    return np.asarray(real - a.imag @ b.imag + 1j * (a.real @ b.imag + a.imag @ b.real))


def _contract(run: Run, node: Expr, a: Named, b: Named) -> Named:
    return product(run, run.rounded(a), run.rounded(b), node["over"])


def _length(run: Run, node: Expr, axis: str) -> int:
    return node.sizes.get(axis, run.sizes.get(axis, 0))


def _hot(index: Named, axis: str, size: int) -> Named:
    return Named(index.array[..., None] == np.arange(size), (*index.axes, axis))


def _gather(run: Run, node: Expr, x: Named, index: Named) -> Named:
    axis = node["axis"]
    return product(run, x, _hot(index, axis, x.array.shape[x.axes.index(axis)]), (axis,))


def _scatter(run: Run, node: Expr, x: Named, index: Named) -> Named:
    hot = _hot(index, node["axis"], _length(run, node, node["axis"]))
    over = tuple(a for a in index.axes if a != POINTS)
    return product(run, hot, run.rounded(x), over)


def _expand(run: Run, node: Expr, x: Named) -> Named:
    axes = _common(node, x)
    array = x.at(axes)
    shape = [
        n if a in x.axes else _length(run, node, a) for a, n in zip(axes, array.shape, strict=True)
    ]
    return Named(np.broadcast_to(array, shape), axes)


def _relabelled(x: Named, to: Mapping[str, str]) -> Named:
    return Named(x.array, tuple(to.get(axis, axis) for axis in x.axes))


def _reshaped(x: Named, old: Axes, new: Axes, sizes: tuple[int, ...]) -> Named:
    """The axes `old`, in this order, read as `new` with the last running fastest."""
    rest = tuple(axis for axis in x.axes if axis not in old)
    array = x.at((*rest, *old))
    return Named(array.reshape((*array.shape[: len(rest)], *sizes)), (*rest, *new))


def _merge(run: Run, node: Expr, x: Named) -> Named:
    return _reshaped(x, node["axes"], (node["into"],), (-1,))


def _split(run: Run, node: Expr, x: Named) -> Named:
    known = dict(node["sizes"])
    into = node["into"]
    unknown = [axis for axis in into if axis not in known]
    sizes = tuple(
        -1 if [axis] == unknown else known.get(axis, run.sizes.get(axis, 0)) for axis in into
    )
    return _reshaped(x, (node["axis"],), into, sizes)


def _start(run: Run, node: Expr) -> int:
    return int(node["start"]) + sum(run.sizes[axis] for axis in node["after"])


def _slice(run: Run, node: Expr, x: Named) -> Named:
    start = _start(run, node)
    stop = start + _length(run, node, node["into"])
    place = x.axes.index(node["axis"])
    array = np.moveaxis(np.moveaxis(x.array, place, 0)[start:stop], 0, place)
    return _relabelled(Named(array, x.axes), {node["axis"]: node["into"]})


def _pad(run: Run, node: Expr, x: Named) -> Named:
    place = x.axes.index(node["axis"])
    shape = list(x.array.shape)
    start, length = _start(run, node), shape[place]
    shape[place] = _length(run, node, node["into"])
    array = np.zeros(shape, _number(x.array).dtype)
    np.moveaxis(array, place, 0)[start : start + length] = np.moveaxis(x.array, place, 0)
    return _relabelled(Named(array, x.axes), {node["axis"]: node["into"]})


def _concat(run: Run, node: Expr, *xs: Named) -> Named:
    into = node["into"]
    parts = [_relabelled(x, {axis: into}) for x, axis in zip(xs, node["over"], strict=True)]
    axes = _common(node, *parts)
    arrays = [part.at(axes) for part in parts]
    points = max(array.shape[0] for array in arrays)
    if axes[:1] == (POINTS,):
        arrays = [np.broadcast_to(array, (points, *array.shape[1:])) for array in arrays]
    return Named(np.concatenate([_number(a) for a in arrays], axis=axes.index(into)), axes)


def _uniform(run: Run, node: Expr, x: Named, key: Named) -> Named:
    shape = tuple(x.array.shape[x.axes.index(axis)] for axis in node.axes)
    drawn = uniform_like(shape, run.dtype, int(key.array), 0, node["stream"])
    return Named(drawn.astype(np.float64), node.axes)


def _stop(run: Run, node: Expr, x: Named) -> Named:
    """The value without its perturbation: the real part, or what was frozen."""
    stopped = next(run.frozen) if run.frozen else Named(x.array.real, x.axes)
    run.stopped.append(stopped)
    return stopped


def _const(run: Run, node: Expr) -> Named:
    value = np.float64(node["value"])
    exact = run.dtype == "float64" or float(np.float32(value)) == float(value)
    constant = Named(np.asarray(value), ())
    return constant if exact else run.rounded(constant)


PRIMITIVES: dict[str, Primitive] = {
    "const": _const,
    "size": lambda run, node: Named(np.asarray(float(run.sizes[node["axis"]])), ()),
    "add": _pointwise(np.add),
    "sub": _pointwise(np.subtract),
    "mul": _pointwise(np.multiply),
    "div": _pointwise(np.divide),
    "pow": _pointwise(np.power),
    "neg": _pointwise(np.negative, rounds=False),
    **{name: _pointwise(getattr(np, name)) for name in ("exp", "log", "expm1", "sqrt", "tanh")},
    "log1p": _pointwise(_log1p),
    "erf": _pointwise(_erf),
    "gt": _comparison(np.greater),
    "ge": _comparison(np.greater_equal),
    "lt": _comparison(np.less),
    "le": _comparison(np.less_equal),
    "eq": _comparison(np.equal),
    "maximum": _choice(np.greater_equal),
    "minimum": _choice(np.less_equal),
    "sign": _sign,
    "abs": _abs,
    "where": _where,
    "sum": _sum,
    "argmax": lambda run, node, x: _position(run, node, x, 1),
    "max": _extreme(1),
    "min": _extreme(-1),
    "contract": _contract,
    "transpose": lambda run, node, x: x,
    "expand": _expand,
    "stop_gradient": _stop,
    "one_hot": lambda run, node, x: _hot(x, node["axis"], _length(run, node, node["axis"])),
    "rename": lambda run, node, x: _relabelled(x, dict(node["to"])),
    "merge": _merge,
    "split": _split,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
    "scatter_add": _scatter,
    "uniform": _uniform,
}
NOT_ANALYTIC = frozenset({"erf"})
"""Primitives without a complex form here; what depends on them is checked by differences."""
