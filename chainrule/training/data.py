"""Rows of data as training uses them: checked, written as the network's inputs, in keyed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, DTypeError, ParameterError, ShapeError
from chainrule.expr import Expr
from chainrule.run import keyed
from chainrule.run.bind import Array
from chainrule.training.task import WEIGHTS, Task


@dataclass(frozen=True)
class Rows:
    """Examples, targets and weights, one row for each example; weights None: all count 1."""

    X: Array
    y: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Some of the rows, copied, in the order named."""
        weights = self.weights[rows] if self.weights is not None else None
        return Rows(self.X[rows], self.y[rows], weights)

    def part(self, start: int, stop: int) -> Rows:
        """Consecutive rows; a view."""
        weights = self.weights[start:stop] if self.weights is not None else None
        return Rows(self.X[start:stop], self.y[start:stop], weights)

    def inputs(self, task: Task) -> dict[str, Array]:
        """The rows as inputs of the network: the axis of the examples where it has it."""
        found = {
            task.X.name: oriented(self.X, task.X, task.examples),
            task.y.name: oriented(self.y, task.y, task.examples),
        }
        if self.weights is not None and task.weights is not None:
            found[task.weights.name] = self.weights
        return found


def oriented(rows: Array, x: Expr, examples: str) -> Array:
    """Rows with the axis of the examples where `x` has it; a view."""
    return np.moveaxis(rows, 0, x.axes.index(examples))


def float_type(X: object, dtype: object) -> np.dtype[Any]:
    """The float type to train in: as asked, else float32 if X is that, else float64.

    Raises:
        DTypeError: something other than float32 and float64 is asked for.
    """
    if dtype is None:
        single = getattr(X, "dtype", None) == np.float32
        return np.dtype(np.float32 if single else np.float64)
    wanted: np.dtype[Any] = np.dtype(dtype)  # type: ignore[call-overload]
    if wanted not in (np.float32, np.float64):
        raise DTypeError(f"dtype must be float32 or float64, got {wanted}")
    return wanted


def features(X: object, task: Task, dtype: np.dtype[Any], name: str = "X") -> Array:
    """X as rows of finite floats: examples first, then the other axes of the input.

    A single number for each example may be (n,) or (n, 1), whichever the input declares.

    Raises:
        ShapeError, DTypeError, DataError: what is wrong and where.
    """
    array = numbers(X, name)
    rest = [axis for axis in task.X.axes if axis != task.examples]
    if not rest and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 + len(rest):
        expected = f"2-D (samples, {rest[0]})" if len(rest) == 1 else f"{1 + len(rest)}-D"
        hint = ""
        if array.ndim == 1 and len(rest) == 1:
            hint = f"One feature: {name}.reshape(-1, 1); one sample: {name}.reshape(1, -1)"
        elif len(rest) == 1:
            hint = f"Use {name}.reshape(len({name}), -1)"
        raise ShapeError(f"{name} must be {expected}, got shape {array.shape}", hint=hint)
    refuse_nothing(array, name)
    for axis, size in zip(rest, array.shape[1:], strict=True):
        declared = task.X.sizes.get(axis, size)
        if size != declared:
            what = f"{name} has {size} along axis {axis!r}, the network expects {declared}"
            raise ShapeError(what)
    return finite_floats(array, name, dtype)


def numbers(values: object, name: str, hint: str = "") -> Array:
    """An array of real numbers or truth values.

    Raises:
        ShapeError: it is no array.
        DTypeError: it holds something else; `hint` says what to do if that is text.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise ShapeError(f"{name}: rows have different lengths") from None
    if array.dtype.kind not in "biuf":
        what = f"{name} has dtype {array.dtype}: numbers are needed"
        raise DTypeError(what, hint=hint if _holds_text(array) else "")
    return array


def _holds_text(array: Array) -> bool:
    return array.dtype.kind in "UST" or any(isinstance(item, str) for item in array.flat)


def refuse_nothing(array: Array, name: str) -> None:
    """Raise a DataError if there is no row, or nothing in a row."""
    if array.ndim == 0 or 0 in array.shape:
        what = f"found 0 samples or features in {name} (shape {array.shape}); at least 1"
        raise DataError(f"{what} is required")


def finite_floats(array: Array, name: str, dtype: np.dtype[Any]) -> Array:
    """The array in the float type. DataError if it holds NaN or an infinity: where first."""
    with np.errstate(over="ignore"):
        floats: Array = np.require(array, dtype, ["C", "A"])
    # One pass without a mask in the ordinary case: the sum is finite unless it overflows.
    with np.errstate(all="ignore"):
        if np.isfinite(floats.sum()):
            return floats
    for bad, what in ((np.isnan(floats), "NaN"), (np.isinf(floats), "infinity")):
        if bad.any():
            first = ", ".join(str(i) for i in np.argwhere(bad)[0])
            many = f"{int(bad.sum()):,} values" if bad.sum() > 1 else "1 value"
            raise DataError(f"{name} contains {what}: {many}, first at {name}[{first}]")
    return floats


def weights_of(sample_weight: object, n_rows: int, dtype: np.dtype[Any]) -> Array:
    """One weight for each row.

    Raises:
        ParameterError: a weight is negative or not finite, all are 0, or their number is wrong.
    """
    array = numbers(sample_weight, WEIGHTS).astype(dtype)
    if array.shape != (n_rows,):
        what = f"{WEIGHTS} has shape {array.shape}, expected one for each row: ({n_rows},)"
        raise ParameterError(what)
    wrong = np.flatnonzero(~((array >= 0) & np.isfinite(array)))
    if wrong.size:
        row = int(wrong[0])
        what = f"{WEIGHTS}[{row}] = {array[row]}: weights must be ≥ 0"
        raise ParameterError(what if array[row] < 0 else f"{what} and finite")
    if array.sum() == 0:
        raise ParameterError(f"sum of weights is 0 ({WEIGHTS})")
    return array


def split(
    n: int, fraction: float, seed: int, labels: Array | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers to train on and to hold out, a pure function of the arguments.

    With labels every class gives its share (systematic sampling along the sorted classes).

    Raises:
        ParameterError: the fraction leaves nothing on one side.
        DataError: a class has a single row.

    >>> train, held_out = split(10, 0.3, seed=0)
    >>> len(train), len(held_out), sorted([*train, *held_out]) == list(range(10))
    (7, 3, True)
    """
    count = round(n * fraction)
    if not 0 < fraction < 1 or not 0 < count < n:
        what = f"validation must be a fraction that leaves rows on both sides, got {fraction!r}"
        raise ParameterError(f"{what} of {n} rows")
    order = keyed.permutation(seed, 0, n, purpose="split")
    picked = np.arange(count)
    if labels is not None:
        values, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2:
            rare = values[counts.argmin()]
            what = f"class {str(rare)!r} has 1 row; a validation split needs ≥ 2"
            raise DataError(what, hint="Merge classes or use validation=None")
        order = order[np.argsort(labels[order], kind="stable")]
        picked = ((2 * picked + 1) * n) // (2 * count)
    chosen = np.zeros(n, bool)
    chosen[picked] = True
    return np.sort(order[~chosen]), np.sort(order[chosen])


def row_order(n: int, batch_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch sees the rows.

    A batch of all rows keeps their own order, because there is nothing to choose.

    >>> sorted(row_order(10, 4, seed=0, epoch=0).tolist()) == list(range(10))
    True
    """
    return np.arange(n) if batch_size >= n else keyed.permutation(seed, epoch, n)


def parts(order: NDArray[np.int64], batch_size: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(batch size, rows): the whole batches of an epoch, then the smaller one that is left.

    >>> [(size, len(rows)) for size, rows in parts(np.arange(10), 4)]
    [(4, 8), (2, 2)]
    """
    size = min(batch_size, len(order))
    whole = len(order) // size * size
    yield size, order[:whole]
    if whole < len(order):
        yield len(order) - whole, order[whole:]


def batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """The rows of each step of an epoch.

    >>> [len(rows) for rows in batches(10, 4, seed=0, epoch=0)]
    [4, 4, 2]
    """
    order = row_order(n, batch_size, seed, epoch)
    for start in range(0, n, batch_size):
        yield order[start : start + batch_size]
