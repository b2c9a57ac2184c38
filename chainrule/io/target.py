"""The target column: classes or numbers, encoded for the loss, decoded into the user's terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from chainrule.errors import (
    DataError,
    ParameterError,
    ShapeError,
    TargetError,
    VersionError,
    closest,
)
from chainrule.io import levels as lv
from chainrule.io.columns import INTEGER, mean_and_std
from chainrule.io.table import Table, missing_error
from chainrule.io.wording import choices, label, listed, named, plural, quoted

Task = Literal["classification", "regression"]
TASKS = ("classification", "regression")
# Integers with more distinct values than this are taken for a quantity, not for class labels.
MAX_INTEGER_CLASSES = 20
FORMAT = 1


class Target(msgspec.Struct, frozen=True):
    """What the network predicts and how that reads in the user's terms.

    A target of text, or of integers with at most 20 distinct values of which each stands for two
    rows or more on average, is a classification; other numbers are a regression. `task` overrides
    that.

    Attributes:
        name: of the column.
        task: "classification" or "regression".
        classes: the labels in sorted order (text, or numbers if all are numbers); () in a
            regression.
        mean, std: in a regression the network sees (y − mean) / std over the training rows; 0 and 1
            if it was fitted with standardise=False, and in a classification.
        version: of this record's format.

    >>> t = Table.of({"fruit": ["pear", "apple", "pear"]})
    >>> y = Target.fit(t, "fruit")
    >>> y.encode(t), y.decode(np.array([1, 0]))
    (array([1, 0, 1]), array(['pear', 'apple'], dtype='<U5'))
    """

    name: str
    task: Task
    classes: tuple[bool | int | float | str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    version: int = FORMAT

    def __post_init__(self) -> None:
        if self.version > FORMAT:
            raise VersionError(
                f"the stored target has format {self.version}, this version knows ≤ {FORMAT}",
                hint="Use a newer chainrule",
            )

    @classmethod
    def fit(
        cls,
        table: Table,
        column: str,
        rows: NDArray[np.int64] | None = None,
        *,
        task: Task | None = None,
        standardise: bool = True,
    ) -> Target:
        """Learn labels, or mean and deviation, from `rows` of a column (None: all).

        Raises:
            TargetError: there is no such column.
            DataError: cells are missing or wrong, or all rows have the same value.
        """
        name = find_target(table, column)
        _refuse_missing(table, name, rows)
        return cls.fit_array(
            _pick(_column_values(table, name, task), rows),
            name=name,
            task=task or task_of(table, name),
            standardise=standardise,
        )

    @classmethod
    def fit_array(
        cls,
        y: NDArray[Any],
        rows: NDArray[np.int64] | None = None,
        *,
        name: str = "y",
        task: Task | None = None,
        standardise: bool = True,
    ) -> Target:
        """As `fit`, from an array y (n_rows,) as `check_y` gives it."""
        if task not in (None, *TASKS):
            raise ParameterError(f"task must be one of {choices(TASKS)}, got {task!r}")
        values = _pick(y, rows)
        # asked for counts too, NumPy does not load its masked arrays first, which takes 10 ms
        distinct, _ = np.unique(values, return_counts=True)
        task = task or _task_of_values(values, distinct)
        if len(distinct) < 2:
            raise _constant(name, distinct, len(values), task)
        if task == "classification":
            if values.dtype.kind in "UO":
                lv.collect(distinct.tolist(), f"target {named(name)}")
            return cls(name, task, tuple(distinct.tolist()))
        if values.dtype.kind not in "biuf":
            raise DataError(
                f"target {named(name)} is text (first {quoted(str(values[0]))}): "
                "a regression needs numbers",
                hint='Use task="classification"',
            )
        if not standardise:
            return cls(name, task)
        mean, std = mean_and_std(values.astype(np.float64))
        return cls(name, task, mean=mean, std=std)

    def encode(self, table: Table, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The target of `rows` of a table: class indices int64 (n_rows,), or float64 (n_rows,).

        Raises DataError for a label that was not there in training.
        """
        name = find_target(table, self.name)
        _refuse_missing(table, name, rows)
        if self.task == "classification" and isinstance(self.classes[0], str):
            values = np.array(table.texts(name), dtype=object)
        else:
            values = table.numbers(name, exact=True)
        kept = np.arange(len(table)) if rows is None else rows
        return self._encode(values[kept], lambda i: (int(kept[i]), table.where("", int(kept[i]))))

    def encode_array(self, y: NDArray[Any]) -> NDArray[Any]:
        """As `encode`, of an array y (n_rows,)."""
        return self._encode(y, lambda i: (i, f"target {named(self.name)}"))

    def _encode(
        self, values: NDArray[Any], place: Callable[[int], tuple[int, str]]
    ) -> NDArray[Any]:
        if self.task == "regression":
            return np.asarray((values.astype(np.float64) - self.mean) / self.std)
        labels = values.tolist()
        codes = lv.number(labels, self.classes)
        for i in np.flatnonzero(codes == lv.UNSEEN)[:1].tolist():
            row, where = place(i)
            raise lv.unseen_error(labels[i], self.classes, row, where)
        return codes

    def decode(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Predictions in the user's terms (n_rows,).

        Args:
            predictions: class indices (n_rows,), or scores (n_rows, n_classes) of which the largest
                counts; in a regression what the network gave, (n_rows,) or (n_rows, 1).
        """
        if self.task == "regression":
            return np.asarray(predictions, dtype=np.float64).reshape(-1) * self.std + self.mean
        if predictions.ndim == 2:
            if predictions.shape[1] != len(self.classes):
                raise ShapeError(
                    f"predictions have {plural(predictions.shape[1], 'column')} "
                    f"for {len(self.classes)} classes"
                )
            predictions = predictions.argmax(axis=1)
        labels: NDArray[Any] = np.array(self.classes)[predictions]
        return labels

    @property
    def or_regression(self) -> str:
        """What a hint adds if the classes may be quantities: whole numbers can be either."""
        whole = all(type(value) is int for value in self.classes)
        return ', or use task="regression"' if whole else ""

    def check_stratified(
        self, codes: NDArray[np.int64], splits: Sequence[str] = ("validation",)
    ) -> None:
        """Raise DataError if a class has a single row (codes as `encode` gives).

        Args:
            splits: the options that ask for rows to be held out, for the message.
        """
        counts = np.bincount(codes, minlength=len(self.classes))
        for i in np.flatnonzero(counts == 1)[:1].tolist():
            which = f"a {splits[0]} split needs"
            if len(splits) > 1:
                which = f"the {' and '.join(splits)} splits need"
            without = " and ".join(f"{split}=None" for split in splits)
            raise DataError(
                f"class {label(self.classes[i])} has 1 row; {which} ≥ 2",
                hint=f"Merge classes or use {without}{self.or_regression}",
            )


def find_target(table: Table, column: str) -> str:
    """The target column's name as the table has it. Raises TargetError with the closest name."""
    if column in table:
        return table.columns[table.index(column)]
    near = closest(column, table.columns)
    meant = table.look_alike(column) or (f"Closest: {named(near)}" if near else "")
    raise TargetError(
        f"target {named(column)} not found. Columns: {listed(table.columns)}",
        where=table.name,
        hint=meant,
    )


def task_of(table: Table, column: str) -> Task:
    """The task that a target column means, decided over all its rows."""
    if table.kind(column) == "categorical":
        return "classification"
    values = _column_values(table, column, None)
    present = values[~table.missing(column)]
    return _task_of_values(present, np.unique(present))


def _task_of_values(values: NDArray[Any], distinct: NDArray[Any]) -> Task:
    few = len(distinct) <= min(MAX_INTEGER_CLASSES, len(values) / 2)
    is_label = values.dtype.kind in "iu" and few
    return "classification" if is_label or values.dtype.kind in "bUO" else "regression"


def _column_values(table: Table, column: str, task: Task | None) -> NDArray[Any]:
    """Text, int64 if every cell is written as an integer, else float64."""
    texts = table.texts(column)
    has_text = bool(table.parsed(column).text.any())
    if table.kind(column) == "categorical" or (task == "classification" and has_text):
        return np.array(texts, dtype=object)  # fixed-width text could be vast
    values = table.numbers(column, exact=True)
    present = np.flatnonzero(~table.missing(column)).tolist()
    integers = present and all(INTEGER.fullmatch(texts[row]) for row in present)
    if integers and np.abs(values[present]).max() < 2.0**63:
        return np.where(np.isnan(values), 0, values).astype(np.int64)
    return values


def _pick(values: NDArray[Any], rows: NDArray[np.int64] | None) -> NDArray[Any]:
    return values if rows is None else values[rows]


def _refuse_missing(table: Table, column: str, rows: NDArray[np.int64] | None) -> None:
    mask = table.missing(column)
    if rows is not None:
        here = np.zeros(len(table), dtype=bool)
        here[rows] = True
        mask = mask & here
    if mask.any():
        hint = 'A target cannot be filled in: choose missing="drop"'
        raise missing_error(table, column, mask, hint)


def _constant(name: str, distinct: NDArray[Any], n_rows: int, task: Task) -> DataError:
    if n_rows == 0:
        return DataError(f"target {named(name)} has no rows")
    kind = "single class" if task == "classification" else "single value"
    return DataError(
        f"target {named(name)} has a {kind} {label(distinct.tolist()[0])} "
        f"in all {plural(n_rows, 'row')}: nothing to learn"
    )
