"""A data set as training uses it, whether it came as a table or as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, ManyLevelsWarning
from chainrule.io.arrays import Floats
from chainrule.io.features import Categorical, Features, Missing, Preprocess, Unknown
from chainrule.io.table import Table
from chainrule.io.target import Target, Task
from chainrule.io.wording import plural, shown

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows with features and, unless it is for prediction only, a target.

    Attributes:
        name: of the file, or "digits".
        sha256: of the bytes it was read from.
        columns: names of the feature columns, in order.
        rows: the rows that take part, in file order.
        table: set if it came from a table; X and y are None then.
        X: features (n_rows, n_features), finite floats.
        y: target (n_rows,) as `check_y` gives it, or None.
        target: name of the target, None if there is none.
        task: "classification" or "regression"; None if there is no target.
        missing: what missing cells get: see `Features`.
        dropped: rows left out for missing cells.
        skipped: rows left out because their number of fields was wrong.
        scaling: what was done to pixels, e.g. "/255"; "" otherwise. Scaled data are not
            standardised.
        image_shape: (height, width) if each row is an image, else ().
    """

    name: str
    sha256: str
    columns: tuple[str, ...]
    rows: Rows
    table: Table | None = None
    X: Floats | None = None
    y: NDArray[Any] | None = None
    target: str | None = None
    task: Task | None = None
    missing: Missing = "error"
    dropped: int = 0
    skipped: int = 0
    scaling: str = ""
    image_shape: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels as text, in the order of class indices; () if it is no classification."""
        if self.task != "classification":
            return ()
        return tuple(str(value) for value in self.fit_target().classes)

    def strata(self, splits: Sequence[str] = ("validation",)) -> NDArray[np.int64] | None:
        """The class index of each of `rows`, for a stratified split; None in a regression.

        Raises DataError, which names `splits`, if a class has a single row.
        """
        if self.task != "classification":
            return None
        target = self.fit_target()
        codes = self.targets(target)
        target.check_stratified(codes, splits)
        return codes

    def fit_features(
        self,
        rows: Rows | None = None,
        *,
        preprocess: Preprocess | None = None,
        unknown: Unknown = "error",
    ) -> Features:
        """Learn what the network sees from training rows (None: all of `rows`).

        `preprocess` is "standard" unless given, "none" if pixels were scaled already. A column of
        text with more levels than half of its rows gives a ManyLevelsWarning.
        """
        rows = self.rows if rows is None else rows
        preprocess = preprocess or ("none" if self.scaling else "standard")
        if self.table is not None:
            found = Features.fit(
                self.table,
                self.columns,
                rows,
                missing=self.missing,
                unknown=unknown,
                preprocess=preprocess,
            )
            _warn_of_many_levels(self.table, found, rows)
            return found
        assert self.X is not None
        return Features.fit_array(self.X, rows, names=self.columns, preprocess=preprocess)

    def fit_target(self, rows: Rows | None = None, *, standardise: bool = True) -> Target:
        """Learn labels, or mean and deviation, from training rows (None: all of `rows`)."""
        rows = self.rows if rows is None else rows
        if self.target is None:
            raise DataError("the data have no target", where=self.name)
        if self.table is not None:
            return Target.fit(
                self.table, self.target, rows, task=self.task, standardise=standardise
            )
        assert self.y is not None
        return Target.fit_array(
            self.y, rows, name=self.target, task=self.task, standardise=standardise
        )

    def inputs(
        self, features: Features, rows: Rows | None = None, *, unknown: Unknown | None = None
    ) -> Floats:
        """The features (n_rows, n_features) of `rows` (None: all of the data set's).

        `unknown` stands in for the model's own answer to categories that were not there in
        training.
        """
        rows = self.rows if rows is None else rows
        if self.table is not None:
            return features.transform(self.table, rows, unknown=unknown)
        assert self.X is not None
        return features.transform_array(self.X[rows])

    def targets(self, target: Target, rows: Rows | None = None) -> NDArray[Any]:
        """The encoded target (n_rows,) of `rows` (None: all of the data set's)."""
        rows = self.rows if rows is None else rows
        if self.table is not None:
            return target.encode(self.table, rows)
        if self.y is None:
            raise DataError("the data have no target", where=self.name)
        return target.encode_array(self.y[rows])


def _warn_of_many_levels(table: Table, features: Features, rows: Rows) -> None:
    """A text that only one row has teaches a network to know that row by heart."""
    for column in features.columns:
        if not isinstance(column, Categorical):
            continue
        present = int(np.sum(~table.missing(column.name)[rows]))
        if 2 * len(column.levels) > present:
            warnings.warn(
                f"{table.where(column.name)}: {len(column.levels)} different texts in "
                f"{plural(present, 'training row')}: too many to learn from. If they name the "
                f'rows, use leave_out=["{shown(column.name)}"]; dates can be written as numbers',
                ManyLevelsWarning,
                stacklevel=3,
            )
