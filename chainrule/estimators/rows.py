"""Rows as an estimator trains on them: checked, weighted, put on one scale."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ParameterError, ScaleWarning, ShapeError
from chainrule.io.arrays import Floats, check_finite, check_X, frame_columns, to_floats
from chainrule.io.wording import listed, named, plural

Weights = NDArray[np.float64]
ORDERS_OF_MAGNITUDE = 12  # so far apart no learning rate suits both features


@dataclass(frozen=True, eq=False)
class Scale:
    """(x − mean) / std, column by column; what is constant is only centred."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of(cls, values: Floats, weights: Weights | None) -> Scale:
        """The scale on which rows (m, n) with these weights have mean 0 and deviation 1.

        Computed on values scaled by a power of two to at most 1, so that squares of very large or
        small numbers neither overflow nor vanish; that scaling is exact.
        """
        low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
        exponents = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]
        scaled = np.ldexp(values.astype(np.float64), -exponents)
        mean = np.average(scaled, axis=0, weights=weights)
        std = np.sqrt(np.average(np.square(scaled - mean), axis=0, weights=weights))
        varies = (low < high) & (std > 0)
        mean = np.where(low < high, np.ldexp(mean, exponents), low)
        return cls(mean, np.where(varies, np.ldexp(std, exponents), 1.0))

    def apply(self, values: Floats) -> Floats:
        """The values on this scale, of the type that they had. Infinite where that overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (values - self.mean) / self.std
        return np.asarray(scaled.astype(values.dtype, copy=False))

    def undo(self, values: Floats) -> Floats:
        """The values on the scale that they came from."""
        restored = values * self.std + self.mean
        return np.asarray(restored.astype(values.dtype, copy=False))


def features(
    X: Any,
    *,
    estimator: str,
    names: Sequence[str] | None = None,
    n_features: int | None = None,
    name: str = "X",
) -> Floats:
    """X as `check_X` gives it; `names` and `n_features` are those that were fitted on.

    Warns, as scikit-learn does, where names are on one side only: then nothing says whether the
    columns are in the right order.
    """
    if n_features is not None:
        given = frame_columns(X) is not None
        if names is not None and not given:
            what = f"{name} does not have valid feature names, but {estimator} was fitted with"
            warnings.warn(f"{what} feature names", UserWarning, stacklevel=4)
        elif names is None and given:
            what = f"{name} has feature names, but {estimator} was fitted without"
            warnings.warn(f"{what} feature names", UserWarning, stacklevel=4)
    return check_X(X, n_features=n_features, feature_names=names, name=name, estimator=estimator)


def weights_of(sample_weight: Any, n_rows: int) -> Weights | None:
    """One weight for each row, None if all count the same.

    Raises:
        ParameterError: a weight is negative or not finite, all are 0, or their number is wrong.
        DTypeError: they are no numbers.
    """
    if sample_weight is None:
        return None
    array = np.asarray(sample_weight)
    if array.ndim == 0:
        array = np.full(n_rows, array)
    if array.ndim != 1:
        raise ParameterError(
            f"sample_weight must be 1-D (samples,) or a single number, got shape {array.shape}"
        )
    if len(array) != n_rows:
        raise ParameterError(
            f"sample_weight has {plural(len(array), 'value')}, X has {plural(n_rows, 'row')}"
        )
    weights = to_floats(array, "sample_weight").astype(np.float64)
    for i in np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))[:1].tolist():
        rule = "≥ 0" if weights[i] < 0 else "finite"
        raise ParameterError(f"sample_weight[{i}] = {weights[i]}: weights must be {rule}")
    if not weights.any():
        raise ParameterError(
            "sum of weights is 0: every sample_weight is zero, so there is nothing to learn from"
        )
    return weights


def mean_one(weights: Weights) -> Weights:
    """The weights with mean 1, so that learning rate and penalty mean what they mean without."""
    scaled = weights / weights.max()
    return np.asarray(scaled / scaled.mean())


def check_length(y: NDArray[Any], n_rows: int, place: str = "") -> None:
    """Raise ShapeError unless there is one target for each row."""
    if len(y) != n_rows:
        raise ShapeError(f"{place}X has {plural(n_rows, 'row')}, y has {len(y):,}")


def standardised(X: Floats, scale: Scale | None, names: Sequence[str] | None) -> Floats:
    """X on the scale of the training rows.

    Raises:
        DataError: a value is so far from them that it overflows.
    """
    if scale is None:
        return X
    values = scale.apply(X)
    check_finite(values, "standardised X", names)
    return values


def warn_of_scales(X: Floats, names: Sequence[str] | None, *, standardise: bool) -> None:
    """Warn of constant columns, and of columns too far apart in scale to learn from together.

    Zeros throughout are ordinary: a pixel at the border, a level of a category that is absent here.
    """
    low, high = X.min(axis=0), X.max(axis=0)
    constant = np.flatnonzero((low == high) & (low != 0)).tolist()
    if len(constant) == 1:
        i = constant[0]
        what = f"column {_column(i, names)} has std 0: it is {low[i]} in all"
        _warn(f"{what} {plural(len(X), 'row')}, so nothing can be learned from it")
    elif constant:
        which = listed((_column(i, names) for i in constant), 5)
        what = f"{len(constant):,} columns have std 0 ({which})"
        _warn(f"{what}: they are constant, so nothing can be learned from them")
    varied = np.flatnonzero(low < high)
    if standardise or len(varied) < 2:
        return
    std = Scale.of(X, None).std[varied]
    orders = math.log10(std.max()) - math.log10(std.min())
    if orders >= ORDERS_OF_MAGNITUDE:
        large, small = (_column(varied[i], names) for i in (std.argmax(), std.argmin()))
        what = f"column {large} is 10^{round(orders)} times column {small}"
        _warn(f'{what}: standardise (preprocess="standard")')


def _column(i: int, names: Sequence[str] | None) -> str:
    return named(names[i]) if names is not None else str(i)


def _warn(text: str) -> None:
    warnings.warn(text, ScaleWarning, stacklevel=4)
