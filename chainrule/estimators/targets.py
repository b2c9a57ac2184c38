"""Targets between the user's terms and the network's: labels and class numbers, or scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, DTypeError, ParameterError, ShapeError
from chainrule.estimators.contract import warn_column_vector
from chainrule.estimators.rows import Scale, Weights
from chainrule.io import levels
from chainrule.io.arrays import Floats, check_X, check_y, to_floats
from chainrule.io.wording import label, listed, plural, shown

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Labels:
    """Classes by number; two of them share one output, the logit of the second."""

    classes: Array

    @classmethod
    def of(cls, y: Array, trained_on: Array) -> Labels:
        """The distinct labels of y, sorted.

        Raises:
            DataError: the rows that training sees have only one, so nothing can be learned.
        """
        present = np.unique(trained_on)
        if len(present) == 1:
            left_out = " that count" if len(trained_on) < len(y) else ""
            what = f"y has only 1 class, {label(present.tolist()[0])}, in all"
            hint = "A classifier needs rows of at least 2 classes"
            rows = plural(len(trained_on), "row")
            raise DataError(f"{what} {rows}{left_out}: nothing to learn", hint=hint)
        return cls(np.unique(y))

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def loss(self) -> str:
        """The loss that compares the outputs with the numbers."""
        return "bce_logits" if len(self.classes) == 2 else "cross_entropy"

    def encode(self, y: Array) -> NDArray[np.int64]:
        """The number of each label. Raises DataError for a label that is none of the classes."""
        values, known = y.tolist(), self.classes.tolist()
        codes = levels.number(values, known)
        for i in np.flatnonzero(codes == levels.UNSEEN)[:1].tolist():
            raise levels.unseen_error(values[i], known, i, "y")
        return codes


@dataclass(frozen=True, eq=False)
class Numbers:
    """Real targets, which the network sees with mean 0 and deviation 1."""

    scale: Scale
    flat: bool
    loss: ClassVar[str] = "mse"

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return len(self.scale.mean)

    def encode(self, y: Array) -> Floats:
        """The targets (n_rows, n_outputs) as the network sees them."""
        return self.scale.apply(columns(y))

    def decode(self, values: Floats) -> Floats:
        """Predictions in the user's terms, with as many axes as y had."""
        predictions = self.scale.undo(values)
        return predictions[:, 0] if self.flat else predictions


def columns(y: Array) -> Array:
    """Targets with one column for each output."""
    return y[:, None] if y.ndim == 1 else y


def check_labels(y: Any, estimator: str, name: str = "y") -> Array:
    """Labels (n_rows,): text, whole numbers, truth values, or floats that are whole.

    Raises:
        DataError: there is no y, a label is missing, or y holds quantities.
        ShapeError, DTypeError: y is no vector of labels.
    """
    given = _vector(y, estimator, name)
    if given.ndim == 2:
        raise ShapeError(
            f"{name} must be 1-D (samples,), got shape {given.shape}: one label for each row",
            hint=f"One-hot rows: {name}.argmax(axis=1)",
        )
    labels = check_y(_whole_objects(given), name=name)
    if labels.dtype.kind == "O" and given.dtype.kind != "O":
        return labels.astype(str)
    parts = labels != np.floor(labels) if labels.dtype.kind == "f" else np.zeros(0)
    for i in np.flatnonzero(parts)[:1].tolist():
        raise DataError(
            f"Unknown label type: {name} holds continuous numbers ({name}[{i}] = {labels[i]}); "
            "a classifier needs labels: text, whole numbers or truth values",
            hint="To predict numbers use cr.Regressor",
        )
    return labels


def check_numbers(y: Any, estimator: str, name: str = "y") -> Floats:
    """Real targets, (n_rows,) or (n_rows, n_outputs).

    Raises:
        DataError, ShapeError, DTypeError: y is none of that, or not finite.
    """
    given = _vector(y, estimator, name)
    if given.ndim == 2:
        return check_X(given, name=name, estimator=estimator)
    numbers = check_y(given, name=name)
    if numbers.dtype.kind == "O":
        raise DTypeError(
            f"{name}[0] is {shown(repr(numbers[0]), 40)} (str): a regression needs numbers",
            hint="To predict labels use cr.Classifier",
        )
    return to_floats(numbers, name)


def _vector(y: Any, estimator: str, name: str) -> Array:
    """y as an array; its one column, with a warning, if it has only one."""
    if y is None:
        raise DataError(f"{estimator} requires y to be passed, but the target y is None")
    if hasattr(y, "nnz"):
        raise DTypeError(f"sparse {name} is not supported", hint=f"Use {name}.toarray()")
    try:
        array = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    except ValueError:
        what = f"{name} cannot be made an array: its rows have different lengths"
        raise ShapeError(what) from None
    if array.ndim == 2 and array.shape[1] == 1:
        warn_column_vector()
        return array[:, 0]
    return array


def _whole_objects(y: Array) -> Array:
    """Python's truth values and whole numbers in an array of objects as what they are."""
    if y.dtype == object and y.ndim == 1 and len(y):
        if all(isinstance(item, bool | np.bool_) for item in y):
            return y.astype(bool)
        if all(isinstance(item, Integral) for item in y):
            return np.array(y.tolist())
    return y


def class_weights(
    chosen: Mapping[Any, float] | Literal["balanced"], y: Array, weights: Weights | None
) -> Weights:
    """The weight that each row gets by its class.

    "balanced" makes the weights of all classes sum to the same. Labels that are not named count 1.

    Raises:
        ParameterError: a label is named that y does not have.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if isinstance(chosen, str):
        totals = np.bincount(codes, weights)
        share = np.divide(totals.sum(), totals, out=np.zeros(len(totals)), where=totals > 0)
        return np.asarray((share / len(classes))[codes])
    known = classes.tolist()
    unknown = [name for name in chosen if name not in known]
    unnamed = [name for name in known if name not in chosen]
    if unknown and unnamed:
        raise ParameterError(
            f"class_weight names {label(unknown[0])}, which is no label of y: {listed(known)}"
        )
    return np.array([chosen.get(name, 1.0) for name in known])[codes]
