"""Functions applied: what a name such as σ stands for, and along which axis a function goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from chainrule.errors import FormulaError, ShapeError, did_you_mean
from chainrule.texmath import tree
from chainrule.texmath.functions import (
    POINTWISE,
    Pointwise,
    derivative,
    larger,
    logsumexp,
    smaller,
    softmax,
)
from chainrule.texmath.values import (
    COLUMN,
    Array,
    Value,
    elementwise,
    multiplied,
    refuse_free,
    transposed,
)
from chainrule.texmath.words import function


class Functions:
    """What function names stand for."""

    def __init__(self, meanings: Mapping[str, Any]) -> None:
        self.meanings = {"sigma": "sigmoid", **meanings}

    def name(self, called: str) -> str:
        """The name in the tables that a name of the formula stands for."""
        seen: set[str] = set()
        while called not in seen:
            seen.add(called)
            base = called.split("^")[0].split("_")[0]
            meant = self.meanings.get(called, self.meanings.get(base, called))
            if not isinstance(meant, str):
                return called
            called = meant if meant in POINTWISE else (function(meant) or meant)
        return called

    def pair(self, called: str) -> tuple[Pointwise, Pointwise] | None:
        """A function of one number and its derivative; None if it is no such function."""
        name = self.name(called)
        meant = self.meanings.get(name, self.meanings.get(name.split("^")[0].split("_")[0]))
        if isinstance(meant, tuple):
            return meant
        if callable(meant):
            return meant, derivative(meant)
        return POINTWISE.get(name)


Parameters = Sequence[str | float]


def call(
    node: tree.Call,
    args: list[Value],
    below: Parameters,
    functions: Functions,
    examples: str,
) -> Value:
    """The value of a function at values.

    Raises:
        FormulaError: the function is unknown, has other arguments, or no derivative is known.
    """
    name = functions.name(node.function)
    pair = functions.pair(node.function)
    if (
        pair
        and len(args) == 1
        and not (name in _PARAMETERS and below)
        and not (name == "log" and below)
    ):
        if node.primes > 1:
            raise FormulaError(
                f"the derivative number {node.primes} of {node.function} is not read"
            )
        return args[0].map(pair[node.primes])
    if node.primes:
        raise FormulaError(f"{node.function}′ is not known for this function")
    if name in _PARAMETERS and len(args) == 1:
        return _PARAMETERS[name](args[0], below)
    if name in _SEVERAL and len(args) > 1:
        return _SEVERAL[name](args)
    if name in _ALONG and len(args) == 1:
        return along(name, args[0], below, examples)
    if name in _SEVERAL or name in _ALONG or name in _PARAMETERS or pair:
        raise FormulaError(f"{node.function} of {len(args)} arguments is not defined")
    known = [*POINTWISE, *_ALONG, *_SEVERAL]
    hint = did_you_mean(name, known) or f"Say functions={{{node.function!r}: …}}"
    raise FormulaError(f"the function {node.function!r} is not known", hint=hint)


# along axes

_ALONG: dict[str, Callable[[Array, Any], Array]] = {
    "softmax": softmax,
    "log_softmax": lambda x, axis: x - logsumexp(x, axis),
    "logsumexp": logsumexp,
    "max": lambda x, axis: _extreme(x, axis, np.argmax),
    "min": lambda x, axis: _extreme(x, axis, np.argmin),
    "sum": lambda x, axis: np.sum(x, axis=axis, keepdims=True),
    "mean": lambda x, axis: np.mean(x, axis=axis, keepdims=True),
    "norm": lambda x, axis: np.sqrt(np.sum(x * x, axis=axis, keepdims=True)),
    "argmax": lambda x, axis: np.argmax(np.real(x), axis=axis, keepdims=True) + 0.0,
    "trace": lambda x, axis: np.trace(x, axis1=-2, axis2=-1)[..., None, None],
}
_EACH_EXAMPLE = ("softmax", "log_softmax", "logsumexp")
_KEEPS_SHAPE = ("softmax", "log_softmax")


def _extreme(x: Array, axis: int | tuple[int, ...], which: Callable[..., Array]) -> Array:
    """The entry with the largest or smallest real part along an axis, or of all of them."""
    if isinstance(axis, tuple):
        flat = x.reshape(*x.shape[:-2], -1)
        return np.take_along_axis(flat, which(np.real(flat), -1)[..., None], -1)[..., None]
    place = np.expand_dims(which(np.real(x), axis), axis)
    return np.take_along_axis(x, place, axis)


def along(name: str, x: Value, below: Parameters, examples: str) -> Value:
    """A function along one axis of a matrix, or of all its entries.

    The axis is the one named below, else for softmax and its kin that of the classes, else all.
    """
    if not x.matrix:
        if below:
            raise FormulaError(f"{name} of a number has no axis {below[0]!r}")
        one = replace(x, array=x.array[..., None, None], matrix=True)
        return replace(x, array=_ALONG[name](one.array, (-2, -1))[..., 0, 0])
    refuse_free(x)
    axis: int | tuple[int, ...] = (-2, -1)
    if below:
        sides = {_side(x, label) for label in below}
        axis = (-2, -1) if len(sides) == 2 else min(sides)
    elif name in _EACH_EXAMPLE and (1 not in x.shape or all(x.labels)):
        axis = -2 if examples == "columns" else -1
    array = _ALONG[name](x.array, axis)
    if name in _KEEPS_SHAPE:
        return replace(x, array=array)
    if isinstance(axis, tuple):
        return Value(array[..., 0, 0], x.indices)
    labels = ("", x.labels[1]) if axis == -2 else (x.labels[0], "")
    open_ = (True, x.open[1]) if axis == -2 else (x.open[0], True)
    return replace(x, array=array, open=open_, labels=labels)


def _side(x: Value, label: str | float) -> int:
    """Which axis of a matrix has this name."""
    if not label or label not in x.labels:
        raise FormulaError(f"no axis is called {label!r} here", hint="Say axes={name: …}")
    return -2 if x.labels[0] == label else -1


# of several arguments, and with parameters below


def _outer(args: list[Value]) -> Value:
    a, b = args
    column = a if a.shape[1] == 1 else transposed(a)
    return multiplied(column, b if b.shape[0] == 1 else transposed(b))


def _where(args: list[Value]) -> Value:
    if len(args) != 3:
        raise FormulaError("where takes a condition and two values")
    return elementwise(_chosen, *args, what="chosen from")


def _chosen(condition: Array, a: Array, b: Array) -> Array:
    return np.where(np.real(condition) != 0, a, b)


_SEVERAL: dict[str, Callable[[list[Value]], Value]] = {
    "max": lambda args: reduce(lambda a, b: elementwise(larger, a, b, what="compared"), args),
    "min": lambda args: reduce(lambda a, b: elementwise(smaller, a, b, what="compared"), args),
    "where": _where,
    "dot": lambda args: reduce(multiplied, args),
    "multiply": lambda args: reduce(lambda a, b: elementwise(np.multiply, a, b), args),
    "outer": _outer,
}


def _clip(x: Value, below: Parameters) -> Value:
    if len(below) != 2 or any(isinstance(b, str) for b in below):
        raise FormulaError("clip needs two limits below it: clip_{[0, 1]}")
    low, high = (np.asarray(float(b)) for b in below)
    return x.map(lambda a: smaller(larger(a, low), high))


def _huber(x: Value, below: Parameters) -> Value:
    delta = float(below[0]) if below else 1.0

    def each(a: Array) -> Array:
        far = np.where(np.real(a) < 0, -a, a)
        return np.where(np.real(far) <= delta, 0.5 * a * a, delta * (far - 0.5 * delta))

    return x.map(each)


def _leaky(x: Value, below: Parameters) -> Value:
    slope = float(below[0])
    return x.map(lambda a: np.where(np.real(a) > 0, a, slope * a))


def _elu(x: Value, below: Parameters) -> Value:
    alpha = float(below[0])
    return x.map(
        lambda a: np.where(np.real(a) > 0, a, alpha * np.expm1(np.where(a.real > 0, 0, a)))
    )


def _transpose(x: Value, below: Parameters) -> Value:
    return transposed(x)


def _diagonal(x: Value, below: Parameters) -> Value:
    refuse_free(x)
    if not x.matrix or 1 not in x.shape or x.indices:
        raise ShapeError(f"diag of {x.said()}: it takes a row or a column")
    return Value(np.diag(x.array.reshape(-1)), matrix=True)


_PARAMETERS: dict[str, Callable[[Value, Parameters], Value]] = {
    "clip": _clip,
    "huber": _huber,
    "leaky_relu": _leaky,
    "elu": _elu,
    "transpose": _transpose,
    "diag": _diagonal,
}


# labels of classes, which count from 0


def _label_array(labels: Value, classes: int) -> Array:
    """Labels as positions."""
    if labels.indices or (labels.matrix and 1 not in labels.shape):
        raise ShapeError(f"labels of shape {labels.said()}: they are a row or a column")
    at = np.real(labels.array).astype(int).reshape(-1)
    if at.size and not 0 <= at.min() <= at.max() < classes:
        raise ShapeError(f"labels from {at.min()} to {at.max()}, but there are {classes} classes")
    return at


def _in_column(labels: Value, otherwise: bool) -> bool:
    """Whether labels stand in a column; `otherwise` if there is one label that could be either."""
    if not labels.matrix or (labels.shape == (1, 1) and labels.open[0] == labels.open[1]):
        return otherwise
    return labels.shape[1] == 1 and not labels.open[0]


def picked(x: Value, labels: Value) -> Value:
    """Of each example the entry of the class that its label names.

    Raises:
        ShapeError: there are not as many labels as examples, or one names no class.
    """
    own = next((label for label in labels.labels if label), "")
    named = own and own in x.labels
    column = x.labels[0] == own if named else _in_column(labels, x.shape[0] == 1)
    table = x.array if column else x.array.T
    at = _label_array(labels, table.shape[1])
    if len(at) != len(table):
        raise ShapeError(f"{len(at)} labels for {len(table)} examples")
    entries = table[np.arange(len(at)), at][:, None]
    found = Value(entries, matrix=True, open=COLUMN, labels=(x.labels[0 if column else 1], ""))
    return found if column else transposed(found)


def one_hot(labels: Value, classes: int) -> Value:
    """1 in the place that each label names: a row for each label of a column, else a column.

    Raises:
        ShapeError: a label names no class.
    """
    at = _label_array(labels, classes)
    table = np.zeros((len(at), classes))
    table[np.arange(len(at)), at] = 1
    found = Value(table, matrix=True)
    return found if _in_column(labels, False) else transposed(found)
