"""What the functions and methods of NumPy mean for values that are written down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.diagnose.tape import Node, Tape, Untraceable
from chainrule.diagnose.tracer import Size, Tracer

LETTERS = "abcdefghijklmnopqrstuvwxyz"

# What NumPy calls elementwise operations, and what they are called here.
POINTWISE = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "power": "pow", "float_power": "pow", "negative": "neg", "exp": "exp", "log": "log",
    "log1p": "log1p", "expm1": "expm1", "sqrt": "sqrt", "square": "square", "tanh": "tanh",
    "absolute": "abs", "fabs": "abs", "sign": "sign", "maximum": "maximum", "fmax": "maximum",
    "minimum": "minimum", "fmin": "minimum", "greater": "gt", "greater_equal": "ge", "less": "lt",
    "less_equal": "le", "equal": "eq", "erf": "erf", "expit": "sigmoid",
}  # fmt: skip


def _reciprocal(x: Any) -> Any:
    return 1.0 / x


def _logaddexp(a: Any, b: Any) -> Any:
    return np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))


COMPOSED: dict[str, Callable[..., Any]] = {
    "positive": lambda x: x,
    "reciprocal": _reciprocal,
    "logaddexp": _logaddexp,
    "sinh": lambda x: (np.exp(x) - np.exp(-x)) / 2,
    "cosh": lambda x: (np.exp(x) + np.exp(-x)) / 2,
    "log2": lambda x: np.log(x) / math.log(2),
    "log10": lambda x: np.log(x) / math.log(10),
    "exp2": lambda x: np.exp(x * math.log(2)),
    "not_equal": lambda a, b: np.equal(np.equal(a, b), 0),
    "logical_and": lambda a, b: np.greater(a * b, 0),
    "bitwise_and": lambda a, b: np.greater(a * b, 0),
    "logical_or": lambda a, b: np.greater(a + b, 0),
    "bitwise_or": lambda a, b: np.greater(a + b, 0),
    "logical_not": lambda a: np.equal(a, 0),
    "invert": lambda a: np.equal(a, 0),
}


def node_of(tape: Tape, x: Any) -> Node:
    """The node of any operand."""
    if isinstance(x, Tracer):
        return x.node
    if isinstance(x, Size):
        return x.traced().node
    return tape.own(x)


def value_of(x: Any) -> Any:
    """What NumPy would have computed with."""
    if isinstance(x, Tracer):
        return x.node.value
    if isinstance(x, tuple | list):
        return type(x)(value_of(part) for part in x)
    return x


def pointwise(tape: Tape, op: str, value: Any, *operands: Any) -> Tracer:
    """An elementwise operation, written down."""
    return Tracer(tape.pointwise(op, value, *(node_of(tape, x) for x in operands)), tape)


def ufunc_call(
    tape: Tape, ufunc: Any, method: str, inputs: Sequence[Any], options: dict[str, Any]
) -> Any:
    """np.exp(x), x + y, np.add.reduce(x) …"""
    name = ufunc.__name__
    if method == "reduce" and name in ("add", "maximum", "minimum"):
        function = {"add": np.sum, "maximum": np.max, "minimum": np.min}[name]
        options.setdefault("axis", 0)
        return function(inputs[0], axis=options["axis"], keepdims=options.get("keepdims", False))
    if method == "outer" and name == "multiply":
        return np.multiply.outer(*map(value_of, inputs)) if False else _outer(tape, *inputs)
    if method != "__call__" or not set(options) <= {"dtype", "casting"}:
        raise Untraceable(f"it uses np.{name}.{method} or an option of np.{name}")
    if name == "matmul":
        return matmul(tape, *inputs)
    if name in COMPOSED:
        return COMPOSED[name](*inputs)
    with np.errstate(all="ignore"):
        value = ufunc(*(value_of(x) for x in inputs))
    if name in ("power", "float_power"):
        return _power(tape, value, *inputs)
    if name in POINTWISE:
        return pointwise(tape, POINTWISE[name], value, *inputs)
    return _plain_or_refused(f"np.{name}", value)


def _plain_or_refused(name: str, value: Any) -> Any:
    """Truth values and whole numbers do not move with the inputs: they are taken as they are."""
    kinds = {
        np.asarray(part).dtype.kind for part in (value if isinstance(value, tuple) else [value])
    }
    if kinds <= set("biu"):
        return value
    raise Untraceable(f"it uses {name}")


def _power(tape: Tape, value: Any, base: Any, exponent: Any) -> Tracer:
    known = {2.0: "square", 0.5: "sqrt"}
    if isinstance(exponent, int | float | np.number) and float(exponent) in known:
        return pointwise(tape, known[float(exponent)], value, base)
    return pointwise(tape, "pow", value, base, exponent)


def matmul(tape: Tape, a: Any, b: Any) -> Tracer:
    """a @ b with NumPy's rules for vectors and stacks of matrices."""
    x, y = node_of(tape, a), node_of(tape, b)
    np.matmul(x.value, y.value)  # refuses what does not fit, in NumPy's words
    batch = max(x.value.ndim, y.value.ndim, 2) - 2
    stack = LETTERS[:batch]
    left = "i" if x.value.ndim == 1 else ""
    left = "y" if x.value.ndim == 1 else stack[batch - (x.value.ndim - 2) :] + "xy"
    right = "y" if y.value.ndim == 1 else stack[batch - (y.value.ndim - 2) :] + "yz"
    out = stack + ("x" if x.value.ndim > 1 else "") + ("z" if y.value.ndim > 1 else "")
    return Tracer(tape.product(x, y, left, right, out), tape)


def dot(tape: Tape, a: Any, b: Any) -> Any:
    """np.dot for numbers, vectors and matrices."""
    x, y = node_of(tape, a), node_of(tape, b)
    if x.value.ndim == 0 or y.value.ndim == 0:
        return np.multiply(a, b)
    if x.value.ndim > 2 or y.value.ndim > 2:
        raise Untraceable("it uses np.dot of more than two axes")
    return matmul(tape, a, b)


def _outer(tape: Tape, a: Any, b: Any) -> Tracer:
    x, y = (_flat(tape, node_of(tape, v)) for v in (a, b))
    return Tracer(tape.product(x, y, "a", "b", "ab"), tape)


def _flat(tape: Tape, x: Node) -> Node:
    return _reshaped(tape, x, (x.value.size,))


def inner(tape: Tape, a: Any, b: Any) -> Any:
    """np.inner and np.vdot of vectors."""
    x, y = _flat(tape, node_of(tape, a)), _flat(tape, node_of(tape, b))
    return Tracer(tape.product(x, y, "a", "a", ""), tape)


def einsum(tape: Tape, text: Any, *operands: Any, **_: Any) -> Tracer:
    """np.einsum with letters."""
    if not isinstance(text, str) or "." in text:
        raise Untraceable("it uses np.einsum without letters, or with dots")
    text = text.replace(" ", "")
    left, arrow, out = text.partition("->")
    labels = left.split(",")
    if not arrow:
        every = "".join(labels)
        out = "".join(sorted(x for x in set(every) if every.count(x) == 1))
    nodes = [node_of(tape, x) for x in operands]
    one = tape.own(1.0)
    node, mine = nodes[0], labels[0]
    rest = list(zip(nodes[1:], labels[1:], strict=True)) or [(one, "")]
    while rest:
        other, theirs = rest.pop(0)
        needed = out + "".join(label for _, label in rest)
        both = "".join(dict.fromkeys(mine + theirs))
        kept = out if not rest else "".join(x for x in both if x in needed)
        node, mine = tape.product(node, other, mine, theirs, kept), kept
    return Tracer(node, tape)


def tensordot(tape: Tape, a: Any, b: Any, axes: Any = 2) -> Tracer:
    """np.tensordot."""
    x, y = node_of(tape, a), node_of(tape, b)
    if isinstance(axes, int | np.integer):
        over = (list(range(x.value.ndim - axes, x.value.ndim)), list(range(axes)))
    else:
        over = tuple([int(i)] if np.ndim(i) == 0 else [int(j) for j in i] for i in axes)  # type: ignore[assignment]
    left = list(LETTERS[: x.value.ndim])
    right = list(LETTERS[x.value.ndim : x.value.ndim + y.value.ndim])
    for i, j in zip(*over, strict=True):
        right[j] = left[i]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return Tracer(tape.product(x, y, "".join(left), "".join(right), "".join(out)), tape)


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` names, none of them negative."""
    if axis is None:
        return tuple(range(ndim))
    many = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(sorted(int(a) % ndim for a in many))


def _reduction(op: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(
        tape: Tape, x: Any, axis: Any = None, dtype: Any = None, out: Any = None,
        keepdims: Any = False, **options: Any,
    ) -> Any:  # fmt: skip
        if out is not None or any(v is not np._NoValue for v in options.values()):
            raise Untraceable(f"it uses an option of np.{op}")
        node = node_of(tape, x)
        keep = bool(keepdims) and keepdims is not np._NoValue
        over = axes_of(axis, node.value.ndim)
        if not over:
            return Tracer(node, tape)
        value = function(node.value, axis=over, keepdims=keep)
        return Tracer(tape.reduce(op, node, over, keep, value), tape)

    return apply


def _variance(tape: Tape, x: Any, axis: Any = None, keepdims: Any = False, **_: Any) -> Any:
    centred = x - np.mean(x, axis=axis, keepdims=True)
    keep = bool(keepdims) and keepdims is not np._NoValue
    return np.mean(np.square(centred), axis=axis, keepdims=keep)


def _norm(tape: Tape, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if ord not in (None, 2, "fro") or (ord == 2 and node_of(tape, x).value.ndim != 1):
        raise Untraceable("it uses a norm other than the Euclidean one")
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _transposed(tape: Tape, x: Any, *axes: Any) -> Tracer:
    node = node_of(tape, x)
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
    places = (
        range(node.value.ndim)[::-1] if order is None else [int(a) % node.value.ndim for a in order]
    )
    return Tracer(tape.view(node, places), tape)


def _swapped(tape: Tape, x: Any, first: int, second: int) -> Tracer:
    node = node_of(tape, x)
    places = list(range(node.value.ndim))
    places[first], places[second] = places[second], places[first]
    return Tracer(tape.view(node, places), tape)


def _moved(tape: Tape, x: Any, source: Any, target: Any) -> Tracer:
    node = node_of(tape, x)
    places = np.moveaxis(np.empty([1] * node.value.ndim), source, target)  # checks the numbers
    order = list(range(node.value.ndim))
    for s, t in zip(np.atleast_1d(source), np.atleast_1d(target), strict=True):
        order.insert(int(t) % places.ndim, order.pop(order.index(int(s) % places.ndim)))
    return Tracer(tape.view(node, order), tape)


def _expanded(tape: Tape, x: Any, axis: Any) -> Tracer:
    node = node_of(tape, x)
    many = axis if isinstance(axis, tuple | list) else (axis,)
    total = node.value.ndim + len(many)
    new = {int(a) % total for a in many}
    old = iter(range(node.value.ndim))
    return Tracer(tape.view(node, [None if i in new else next(old) for i in range(total)]), tape)


def _squeezed(tape: Tape, x: Any, axis: Any = None) -> Tracer:
    node = node_of(tape, x)
    ones = [i for i, n in enumerate(node.value.shape) if n == 1]
    gone = ones if axis is None else axes_of(axis, node.value.ndim)
    return Tracer(tape.view(node, [i for i in range(node.value.ndim) if i not in gone]), tape)


def reshape(tape: Tape, x: Any, *shape: Any, order: str = "C", **_: Any) -> Tracer:
    """x.reshape(…) where axes are joined, or axes of size 1 come or go."""
    if order != "C":
        raise Untraceable("it reshapes in another order")
    wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return Tracer(_reshaped(tape, node_of(tape, x), tuple(int(n) for n in wanted)), tape)


def _reshaped(tape: Tape, x: Node, shape: tuple[int, ...]) -> Node:
    value = x.value.reshape(shape)
    groups: list[list[int]] = []
    at = 0
    for size in value.shape:
        group: list[int] = []
        product = 1
        while product < size and at < x.value.ndim:
            product *= x.value.shape[at]
            group.append(at)
            at += 1
        if product != size:
            raise Untraceable("it splits an axis by reshaping")
        groups.append(group)
    if all(sum(x.value.shape[i] != 1 for i in group) <= 1 for group in groups):
        wide = [[i for i in group if x.value.shape[i] != 1] for group in groups]
        return tape.view(x, [group[0] if group else None for group in wide])
    return tape.merged(x, groups, value)


def _broadcast_to(tape: Tape, x: Any, shape: Any, **_: Any) -> Any:
    return x + np.zeros(tuple(int(n) for n in np.atleast_1d(shape)))


def _at_least(ndim: int) -> Callable[..., Any]:
    def apply(tape: Tape, x: Any) -> Any:
        node = node_of(tape, x)
        missing = ndim - node.value.ndim
        if missing <= 0:
            return x
        return Tracer(tape.view(node, [*[None] * missing, *range(node.value.ndim)]), tape)

    return apply


def _concatenated(tape: Tape, xs: Any, axis: Any = 0, **_: Any) -> Any:
    """Joined arrays: each times a matrix that puts it in its place, added up."""
    nodes = [node_of(tape, x) for x in xs]
    at = int(axis) % nodes[0].value.ndim
    total = sum(n.value.shape[at] for n in nodes)
    labels = LETTERS[: nodes[0].value.ndim]
    start, result = 0, None
    for node in nodes:
        size = node.value.shape[at]
        place = np.eye(total)[:, start : start + size]
        start += size
        out = labels.replace(labels[at], "z")
        part = Tracer(tape.product(node, tape.own(place), labels, "z" + labels[at], out), tape)
        result = part if result is None else result + part
    return result


def _stacked(tape: Tape, xs: Any, axis: int = 0, **_: Any) -> Any:
    return _concatenated(tape, [_expanded(tape, x, axis) for x in xs], axis)


def _rows(tape: Tape, xs: Any, **_: Any) -> Any:
    return _concatenated(tape, [_at_least(2)(tape, x) for x in xs], 0)


def _side_by_side(tape: Tape, xs: Any, **_: Any) -> Any:
    return _concatenated(tape, xs, 0 if node_of(tape, xs[0]).value.ndim == 1 else 1)


def _where(tape: Tape, condition: Any, *branches: Any) -> Any:
    if len(branches) != 2:
        raise Untraceable("it uses np.where with one argument")
    value = np.where(*(value_of(x) for x in (condition, *branches)))
    if not isinstance(condition, Tracer | np.ndarray | bool | np.bool_):
        raise Untraceable("it uses np.where with a number as condition")
    if np.asarray(value_of(condition)).dtype.kind != "b":
        condition = np.equal(np.equal(condition, 0), 0)
    return pointwise(tape, "where", value, condition, *branches)


def _clip(tape: Tape, x: Any, low: Any = None, high: Any = None, **options: Any) -> Any:
    low, high = options.get("min", low), options.get("max", high)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _same(tape: Tape, x: Any, *_: Any, **__: Any) -> Any:
    return Tracer(node_of(tape, x), tape)


def _like(function: Any) -> Callable[..., Any]:
    def apply(tape: Tape, x: Any, *args: Any, **options: Any) -> Any:
        return function(value_of(x), *args, **options)

    return apply


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduction("sum", np.sum), "mean": _reduction("mean", np.mean),
    "max": _reduction("max", np.max), "amax": _reduction("max", np.max),
    "min": _reduction("min", np.min), "amin": _reduction("min", np.min),
    "average": _reduction("mean", np.mean), "var": _variance,
    "std": lambda tape, x, **o: np.sqrt(np.var(x, **o)), "norm": _norm,
    "dot": dot, "inner": inner, "vdot": inner, "outer": _outer, "einsum": einsum,
    "tensordot": tensordot, "transpose": _transposed, "permute_dims": _transposed,
    "matrix_transpose": lambda tape, x: _swapped(tape, x, -1, -2), "swapaxes": _swapped,
    "moveaxis": _moved, "reshape": reshape,
    "ravel": lambda tape, x, **_: reshape(tape, x, node_of(tape, x).value.size),
    "expand_dims": _expanded, "squeeze": _squeezed, "broadcast_to": _broadcast_to,
    "atleast_1d": _at_least(1), "atleast_2d": _at_least(2), "concatenate": _concatenated,
    "stack": _stacked, "vstack": _rows, "hstack": _side_by_side, "where": _where, "clip": _clip,
    "copy": _same, "real": _same, "zeros_like": _like(np.zeros_like), "ones_like": _like(np.ones_like),
    "full_like": _like(np.full_like), "empty_like": _like(np.zeros_like),
    "shape": lambda tape, x: x.shape, "ndim": lambda tape, x: x.ndim,
    "size": lambda tape, x, axis=None: x.size if axis is None else x.shape[axis],
}  # fmt: skip
_METHOD_NAMES = (
    "sum", "mean", "max", "min", "var", "std", "dot", "transpose", "swapaxes", "reshape", "ravel",
    "squeeze", "clip", "copy",
)  # fmt: skip


def _method(name: str) -> Callable[..., Any]:
    def apply(self: Tracer, *args: Any, **options: Any) -> Any:
        return FUNCTIONS[name](self.tape, self, *args, **options)

    return apply


METHODS: dict[str, Callable[..., Any]] = {name: _method(name) for name in _METHOD_NAMES} | {
    "astype": lambda self, *_, **__: Tracer(self.node, self.tape),
    "view": lambda self, *_: Tracer(self.node, self.tape),
    "flatten": _method("ravel"),
    "item": lambda self: float(self),
    "argmax": lambda self, *a, **o: self.node.value.argmax(*a, **o),
    "any": lambda self, *a, **o: self.node.value.any(*a, **o),
    "all": lambda self, *a, **o: self.node.value.all(*a, **o),
}


def function_call(tape: Tape, function: Any, args: Any, options: dict[str, Any]) -> Any:
    """np.sum(x), np.where(…) …"""
    name = function.__name__
    if name in FUNCTIONS:
        return FUNCTIONS[name](tape, *args, **options)
    plain = {key: value_of(x) for key, x in options.items()}
    return _plain_or_refused(f"np.{name}", function(*map(value_of, args), **plain))
