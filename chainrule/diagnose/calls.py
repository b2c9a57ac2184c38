"""What the functions and methods of NumPy mean for values that are written down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.diagnose.products import dot, einsum, inner, matmul, outer, tensordot
from chainrule.diagnose.shaping import (
    at_least,
    axes_of,
    broadcast_to,
    concatenated,
    expanded,
    moved,
    reshape,
    rows,
    side_by_side,
    squeezed,
    stacked,
    swapped,
    transposed,
)  # fmt: skip
from chainrule.diagnose.tape import Tape, Untraceable
from chainrule.diagnose.tracer import Tracer, node_of, value_of

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


def pointwise(tape: Tape, op: str, value: Any, *operands: Any) -> Tracer:
    """An elementwise operation, written down."""
    return Tracer(tape.pointwise(op, value, *(node_of(tape, x) for x in operands)), tape)


def ufunc_call(
    tape: Tape, ufunc: Any, method: str, inputs: Sequence[Any], options: dict[str, Any]
) -> Any:
    """What becomes of np.exp(x), x + y, np.add.reduce(x)."""
    name = ufunc.__name__
    if method == "reduce" and name in ("add", "maximum", "minimum"):
        reduction = FUNCTIONS[{"add": "sum", "maximum": "max", "minimum": "min"}[name]]
        axis, keepdims = options.get("axis", 0), options.get("keepdims", False)
        return reduction(tape, inputs[0], axis=axis, keepdims=keepdims)
    if method == "outer" and name == "multiply":
        return outer(tape, *inputs)
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
    "dot": dot, "inner": inner, "vdot": inner, "outer": outer, "einsum": einsum,
    "tensordot": tensordot, "transpose": transposed, "permute_dims": transposed,
    "matrix_transpose": lambda tape, x: swapped(tape, x, -1, -2), "swapaxes": swapped,
    "moveaxis": moved, "reshape": reshape,
    "ravel": lambda tape, x, **_: reshape(tape, x, node_of(tape, x).value.size),
    "expand_dims": expanded, "squeeze": squeezed, "broadcast_to": broadcast_to,
    "atleast_1d": at_least(1), "atleast_2d": at_least(2), "concatenate": concatenated,
    "stack": stacked, "vstack": rows, "hstack": side_by_side, "where": _where, "clip": _clip,
    "copy": _same, "real": _same, "zeros_like": _like(np.zeros_like),
    "ones_like": _like(np.ones_like), "full_like": _like(np.full_like),
    "empty_like": _like(np.zeros_like),
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
    """What becomes of np.sum(x), np.where(c, a, b)."""
    name = function.__name__
    if name in FUNCTIONS:
        return FUNCTIONS[name](tape, *args, **options)
    plain = {key: value_of(x) for key, x in options.items()}
    return _plain_or_refused(f"np.{name}", function(*map(value_of, args), **plain))
