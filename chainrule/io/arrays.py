"""Arrays from users: checked for shape, type and values, and brought into one memory layout.

What comes out is C-contiguous, aligned and in native byte order, so that results do not depend on
how the array was stored. Nothing is converted that could lose a value unnoticed.
"""

from __future__ import annotations

import numbers
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import (
    ComplexDataError,
    DataError,
    DTypeError,
    PrecisionWarning,
    ShapeError,
    did_you_mean,
)
from chainrule.io.wording import listed, named, plural, shown

Floats = NDArray[np.float32] | NDArray[np.float64]
DATES = (
    "convert dates to numbers first, e.g. days since the first one: "
    "(x - x.min()) / np.timedelta64(1, 'D')"
)


def check_X(
    X: Any,
    *,
    n_features: int | None = None,
    feature_names: Sequence[str] | None = None,
    name: str = "X",
    estimator: str = "model",
) -> Floats:
    """Features (n_samples, n_features) as a finite float array.

    float32 and float64 stay what they are; integers, booleans and other floats become float64.
    Columns of a data frame are put in the order of `feature_names`.

    Args:
        X: an array, nested lists, or anything with ``.columns`` and ``.to_numpy()``.
        n_features: how many the model was fitted with, None if it is being fitted.
        feature_names: those the model was fitted with, None if they were not named.
        name, estimator: as messages call them.

    Raises:
        ShapeError, DTypeError, DataError: what is wrong, the first place of it, and what to do.

    >>> check_X([[1, 2], [3, 4]])
    array([[1., 2.],
           [3., 4.]])
    """
    columns = frame_columns(X)
    fitted = None if feature_names is None else [str(feature) for feature in feature_names]
    values = _as_array(X, name)
    if values.ndim != 2:
        raise ShapeError(
            f"{name} must be 2-D (samples, features), got shape {values.shape}",
            hint=_reshape(values, name),
        )
    if columns is not None and fitted is not None:
        values = values[:, _order(columns, fitted, name)]
        columns = fitted
    _check_sizes(values, name)
    if n_features is not None and values.shape[1] != n_features:
        known = f" (fitted names: {listed(fitted)})" if fitted is not None else ""
        raise ShapeError(
            f"{name} has {values.shape[1]} features, but {estimator} is expecting "
            f"{n_features} features as input{known}"
        )
    floats = to_floats(values, name)
    check_finite(floats, name, columns if columns is not None else fitted)
    return floats


def check_y(y: Any, n_rows: int | None = None, *, name: str = "y") -> NDArray[Any]:
    """A target (n_samples,): labels (text, integers, booleans) as they are, or finite floats.

    Text comes out as an object array of str, so that one long label does not widen all.

    Raises:
        ShapeError, DTypeError, DataError: what is wrong, the first place of it, and what to do.
    """
    values = _as_array(y, name)
    if values.ndim != 1:
        one_column = values.ndim == 2 and values.shape[1] == 1
        hint = f"Use {name}.ravel()" if one_column else ""
        raise ShapeError(f"{name} must be 1-D (samples,), got shape {values.shape}", hint=hint)
    if n_rows is not None and len(values) != n_rows:
        raise ShapeError(f"X has {plural(n_rows, 'row')}, {name} has {len(values):,}")
    if len(values) == 0:
        raise DataError(f"found 0 samples (shape {values.shape}); at least 1 is required in {name}")
    if values.dtype.kind in "UT" or (values.dtype.kind == "O" and isinstance(values[0], str)):
        return _check_labels(values, name)
    if values.dtype.kind in "biu":
        native = values.dtype.newbyteorder("=")
        return np.require(values, dtype=native, requirements=["C", "A"])
    floats = to_floats(values, name)
    check_finite(floats, name, None)
    return floats


def check_X_y(X: Any, y: Any, *, name: str = "X") -> tuple[Floats, NDArray[Any]]:
    """`check_X` and `check_y`, with one target per row. Raises as they do."""
    features = check_X(X, name=name)
    return features, check_y(y, len(features))


def frame_columns(X: Any) -> list[str] | None:
    """The column names of a data frame, None of anything else. DTypeError if only some are text."""
    if not (hasattr(X, "columns") and hasattr(X, "to_numpy")):
        return None
    columns = list(X.columns)
    if all(isinstance(column, str) for column in columns):
        return columns
    if any(isinstance(column, str) for column in columns):
        raise DTypeError(
            "column names must all be text, or none",
            hint="Feature names are only supported if all input features have string names: "
            "X.columns = X.columns.astype(str)",
        )
    return None


def _as_array(values: Any, name: str) -> NDArray[Any]:
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        n_bytes = 8 * int(np.prod(values.shape, dtype=np.int64))
        raise DTypeError(
            f"sparse input is not supported; {name}.toarray() needs {n_bytes / 2**30:,.1f} GiB"
        )
    # nobody has one without this module, and asking NumPy for it imports it: 15 ms
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(values, masked.MaskedArray):
        raise DTypeError(
            f"{name} is a masked array, and its mask would be lost",
            hint=f"Use {name}.filled(np.nan) and handle the missing values first",
        )
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    except ValueError:
        raise ShapeError(
            f"{name} cannot be made an array: its rows have different lengths"
        ) from None
    kind = array.dtype.kind
    if kind == "c":
        raise ComplexDataError(
            f"Complex data not supported ({name}.dtype={array.dtype})",
            hint=f"Use {name}.real, or both parts as features",
        )
    if kind in "Mm":
        raise DTypeError(f"{name} has dtype {array.dtype}: {DATES}")
    if kind not in "biufOUT":  # T: NumPy's variable-width text
        raise DTypeError(f"{name} has dtype {array.dtype}: numbers are needed")
    return array


def to_floats(values: NDArray[Any], name: str) -> Floats:
    """The values as float32 if they are that, else as float64, in C order and native byte order.

    Raises DTypeError for what is not a number. Integers that float64 cannot hold give a
    PrecisionWarning.
    """
    kind = values.dtype.kind
    if kind in "OUT":
        return _objects_to_floats(values, name)
    single = kind == "f" and values.dtype.itemsize == 4
    dtype = np.float32 if single else np.float64
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes infinity: found later
        floats: Floats = np.require(values, dtype=dtype, requirements=["C", "A"])
    if kind in "iu" and values.dtype.itemsize == 8:
        _warn_inexact(values, floats, name)
    return floats


def _objects_to_floats(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    floats = np.empty(values.shape, dtype=np.float64)
    for index in np.ndindex(values.shape):
        item: object = values[index]
        item = item.item() if isinstance(item, np.generic) else item
        if not isinstance(item, numbers.Real):
            place = f"{name}[{', '.join(map(str, index))}]"
            raise DTypeError(
                f"{place} is {shown(repr(item), 40)} ({type(item).__name__}): "
                "the argument must be an array in which no string or object stands for a number"
            )
        floats[index] = float(item)
    return floats


def _warn_inexact(values: NDArray[Any], floats: Floats, name: str) -> None:
    large = np.flatnonzero(np.abs(floats) >= 2.0**53)
    # As Python integers: a comparison of the arrays would round the integers to floats first.
    flat, rounded = values.reshape(-1), floats.reshape(-1)
    inexact = [i for i in large.tolist() if int(flat[i]) != int(rounded[i])]
    if inexact:
        warnings.warn(
            f"{name}: {flat[inexact[0]]} cannot be stored exactly as float64 "
            f"({plural(len(inexact), 'value')})",
            PrecisionWarning,
            stacklevel=4,
        )


def check_finite(values: Floats, name: str, columns: Sequence[str] | None) -> None:
    """Raise DataError if a value is NaN or infinite, with how many and where the first stands."""
    # One pass without a mask in the ordinary case: the sum is finite then, unless it overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    for bad, what in (
        (np.isnan(values), "NaN"),
        (np.isinf(values), f"infinity or a value too large for dtype('{values.dtype}')"),
    ):
        if bad.any():
            first = np.argwhere(bad)[0].tolist()
            column = (
                f" (column {named(columns[first[1]])})"
                if columns is not None and len(first) > 1
                else ""
            )
            raise DataError(
                f"Input {name} contains {what}: {plural(int(bad.sum()), 'value')}, "
                f"first at {name}[{', '.join(map(str, first))}]{column}"
            )


def _check_labels(values: NDArray[Any], name: str) -> NDArray[Any]:
    labels = values.astype(object)
    for i, item in enumerate(labels):
        if item is None or item != item:  # only NaN differs from itself
            raise DataError(f"Input {name} contains NaN: a missing label, first at {name}[{i}]")
        if not isinstance(item, str):
            raise DTypeError(
                f"{name}[{i}] is {shown(repr(item), 40)} ({type(item).__name__}), "
                "among labels of text"
            )
    return labels


def _check_sizes(values: NDArray[Any], name: str) -> None:
    if values.shape[0] == 0:
        raise DataError(f"found 0 samples (shape {values.shape}); at least 1 is required in {name}")
    if values.shape[1] == 0:
        raise DataError(
            f"found 0 feature(s) (shape={values.shape}) while a minimum of 1 is required in {name}"
        )


def _reshape(values: NDArray[Any], name: str) -> str:
    if values.ndim == 1:
        return (
            f"Reshape your data: one feature: {name}.reshape(-1, 1); "
            f"one sample: {name}.reshape(1, -1)"
        )
    return f"Reshape your data: {name}.reshape(len({name}), -1)" if values.ndim > 2 else ""


def _order(columns: Sequence[str], feature_names: Sequence[str], name: str) -> list[int]:
    """Where each fitted feature stands among the columns."""
    absent = [feature for feature in feature_names if feature not in columns]
    extra = [column for column in columns if column not in feature_names]
    if absent or extra:
        parts = []
        if absent:
            parts.append(f"{plural(len(absent), 'feature')} missing: {listed(absent)}")
        if extra:
            parts.append(f"{plural(len(extra), 'feature')} unseen at fit: {listed(extra)}")
        hint = did_you_mean(absent[0], extra) if absent else ""
        raise DataError(
            f"the feature names of {name} should match those that were passed during fit: "
            + "; ".join(parts),
            hint=hint,
        )
    if len(columns) != len(feature_names):
        raise DataError(f"{name} has the same column name more than once")
    return [columns.index(feature) for feature in feature_names]
