"""Table or array to the numbers a network sees; fitted on training rows, stored with the model.

Numeric columns are standardised, categorical columns become one indicator (0 or 1) per level.
Everything that was learned from the training rows is in `Features`, so prediction does exactly the
same.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from chainrule.errors import (
    DataError,
    ParameterError,
    ShapeError,
    UnknownCategoryWarning,
    VersionError,
)
from chainrule.io import columns as cols
from chainrule.io import levels as lv
from chainrule.io.arrays import Floats
from chainrule.io.table import Table, missing_error, nfc
from chainrule.io.wording import choices, listed, named, plural, quoted

Rows = NDArray[np.int64]
Matrix = NDArray[np.float64]
Missing = Literal["error", "drop", "mean", "flag"]
Unknown = Literal["error", "ignore"]
Preprocess = Literal["standard", "none"]

OPTIONS = {
    "missing": ("error", "drop", "mean", "flag"),
    "unknown": ("error", "ignore"),
    "preprocess": ("standard", "none"),
}
# A text column with more levels is nearly always a name, a date or a number written oddly.
MAX_LEVELS = 256
FORMAT = 1

CHOOSE = 'chainrule does not guess: choose missing="drop" | "mean" | "flag"'
CANNOT_DROP = (
    'The model has missing="{}": leave these rows out, or train with missing="mean" | "flag"'
)
NEVER_MISSING = (
    "It was never missing where the model was trained, so the model cannot tell what to do"
)


class Numeric(msgspec.Struct, frozen=True, tag="numeric", tag_field="kind"):
    """A column of numbers: (x − mean) / std, and the mean where x is missing.

    `flag` adds an indicator of "missing".
    """

    name: str
    mean: float
    std: float
    flag: bool = False


class Categorical(msgspec.Struct, frozen=True, tag="categorical", tag_field="kind"):
    """A column of texts: one indicator per level; `shares` are the means of those indicators."""

    name: str
    levels: tuple[str, ...]
    shares: tuple[float, ...]
    flag: bool = False


Column = Numeric | Categorical


class Features(msgspec.Struct, frozen=True):
    """What was learned about the feature columns from the training rows.

    Attributes:
        columns: in the order of the features.
        left_out: columns of the training table that are no features (target, ids): ignored at
            prediction.
        missing: "error" refuses missing cells; "drop" means that training left such rows out, and
            prediction refuses them; "mean" puts the mean of the training rows (for a category: the
            mean of its indicators); "flag" does too (for a category: zeros) and adds an indicator
            "… is missing".
        unknown: what a category gets that was not there in training: "error", or "ignore" for
            zeros.
        preprocess: "standard" gives numeric columns mean 0 and standard deviation 1 over the
            training rows (a constant column is only centred); "none" leaves them as they are.
        version: of this record's format.

    >>> t = Table.of({"age": ["30", "50", "40"], "colour": ["red", "blue", "red"]})
    >>> f = Features.fit(t, ["age", "colour"], rows=np.array([0, 1]))
    >>> f.names
    ('age', 'colour=blue', 'colour=red')
    >>> f.transform(t)
    array([[-1.,  0.,  1.],
           [ 1.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """

    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()
    missing: Missing = "error"
    unknown: Unknown = "error"
    preprocess: Preprocess = "standard"
    version: int = FORMAT

    def __post_init__(self) -> None:
        if self.version > FORMAT:
            raise VersionError(
                f"the stored features have format {self.version}, this version knows ≤ {FORMAT}",
                hint="Use a newer chainrule",
            )
        for option, allowed in OPTIONS.items():
            value = getattr(self, option)
            if value not in allowed:
                raise ParameterError(f"{option} must be one of {choices(allowed)}, got {value!r}")

    @classmethod
    def fit(
        cls,
        table: Table,
        columns: Iterable[str],
        rows: Rows | None = None,
        *,
        missing: Missing = "error",
        unknown: Unknown = "error",
        preprocess: Preprocess = "standard",
        categorical: Iterable[str] = (),
        max_levels: int = MAX_LEVELS,
    ) -> Features:
        """Learn means, deviations and levels from `rows` of the table (None: all).

        Whether a column is numeric, and whether it has missing cells, is decided over the whole
        table, so that it does not depend on the split. `categorical` names columns whose numbers
        are only labels. Under missing="drop" the rows with missing cells are left out (see
        `complete_rows`).

        Raises:
            DataError: a cell, a column or its number of levels cannot be used.
            ParameterError: an option is none of its values.
        """
        used = [table.columns[table.index(name)] for name in columns]
        plan = cls(
            (), tuple(c for c in table.columns if c not in used), missing, unknown, preprocess
        )
        if not used:
            raise DataError("there is no feature column", where=table.name)
        labels = {table.columns[table.index(name)] for name in categorical}
        rows = np.arange(len(table)) if rows is None else np.asarray(rows, dtype=np.int64)
        if missing == "drop":
            rows = complete_rows(table, used, rows)
        fitted = [
            _fit_categorical(table, name, rows, missing, max_levels)
            if name in labels or table.kind(name) == "categorical"
            else _fit_numeric(table, name, rows, missing)
            for name in used
        ]
        return msgspec.structs.replace(plan, columns=tuple(fitted))

    @classmethod
    def fit_array(
        cls,
        X: NDArray[Any],
        rows: Rows | None = None,
        *,
        names: Sequence[str] | None = None,
        preprocess: Preprocess = "standard",
    ) -> Features:
        """Learn means and deviations from `rows` of a finite array X (n_rows, n_features)."""
        names = tuple(names) if names is not None else tuple(f"x{i}" for i in range(X.shape[1]))
        if preprocess == "none":
            return cls(tuple(Numeric(name, 0.0, 1.0) for name in names), preprocess=preprocess)
        kept = np.asarray(X if rows is None else X[rows], dtype=np.float64)
        moments = [cols.mean_and_std(kept[:, i]) for i in range(X.shape[1])]
        fitted = tuple(Numeric(name, *pair) for name, pair in zip(names, moments, strict=True))
        return cls(fitted, preprocess=preprocess)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each feature: ``age``, ``colour=red``, ``age is missing``."""
        return tuple(name for column in self.columns for name in _feature_names(column))

    def transform(
        self,
        table: Table,
        rows: Rows | None = None,
        *,
        unknown: Unknown | None = None,
        dtype: Literal["float32", "float64"] = "float64",
    ) -> Matrix:
        """The features (n_rows, n_features) of `rows` of a table (None: all), one for each.

        Columns are found by name; `left_out` ones are ignored. `unknown` stands in for the model's
        own: "ignore" suits validation rows, among which a rare category may happen to be alone.
            With dtype="float32" values beyond
        float32 are refused; the result is float64 in any case.

        Raises:
            DataError: columns are missing or not known; a cell is missing, not a number or not a
                known category, and the options say to refuse that.
        """
        self._check_columns(table)
        rows = np.arange(len(table)) if rows is None else np.asarray(rows, dtype=np.int64)
        blocks = [
            self._numeric(table, column, rows, dtype)
            if isinstance(column, Numeric)
            else self._categorical(table, column, rows, unknown or self.unknown)
            for column in self.columns
        ]
        return np.concatenate(blocks, axis=1)

    def transform_array(self, X: Floats) -> Floats:
        """The features (n_rows, n_features) of a finite array with the columns of `fit_array`.

        Of the type of X. Raises ShapeError if X has another number of columns.
        """
        numeric = [column for column in self.columns if isinstance(column, Numeric)]
        if len(numeric) != len(self.columns):
            raise DataError("the model has categorical columns: it needs a table with column names")
        if X.shape[1] != len(numeric):
            raise ShapeError(
                f"X has {plural(X.shape[1], 'feature')}, the model was fitted with {len(numeric)} "
                f"(names: {listed(self.names)})"
            )
        if self.preprocess == "none":
            return X
        mean = np.array([column.mean for column in numeric])
        std = np.array([column.std for column in numeric])
        standard: Floats = ((X - mean) / std).astype(X.dtype, copy=False)
        return standard

    def _check_columns(self, table: Table) -> None:
        absent = [column.name for column in self.columns if column.name not in table]
        if absent:
            raise DataError(
                f"{plural(len(absent), 'feature')} missing: {listed(absent)}",
                where=table.name,
                hint=table.nearest(absent[0]),
            )
        known = {nfc(name) for name in (*(c.name for c in self.columns), *self.left_out)}
        extra = [name for name in table.columns if nfc(name) not in known]
        if extra:
            raise DataError(
                f"{plural(len(extra), 'column')} not there when the model was fitted: "
                f"{listed(extra)}",
                where=table.name,
                hint="Take them out of the file",
            )

    def _numeric(self, table: Table, column: Numeric, rows: Rows, dtype: str) -> Matrix:
        values = table.numbers(column.name)
        if dtype == "float32" and self.preprocess == "none":
            cols.refuse_float32_overflow(
                values, table.texts(column.name), lambda row: table.where(column.name, row)
            )
        missing = self._missing(table, column, rows)
        filled = np.where(missing, column.mean, values[rows])
        if self.preprocess == "standard":
            filled = self._standardise(table, column, filled, rows)
        return np.column_stack([filled, missing] if column.flag else [filled])

    def _standardise(self, table: Table, column: Numeric, values: Matrix, rows: Rows) -> Matrix:
        with np.errstate(over="ignore"):
            standard: Matrix = (values - column.mean) / column.std
        for i in np.flatnonzero(~np.isfinite(standard))[:1].tolist():
            raise DataError(
                f"{values[i]:g} overflows float64 when standardised "
                f"(mean {column.mean:g}, std {column.std:g} in training)",
                where=table.where(column.name, int(rows[i])),
            )
        return standard

    def _categorical(
        self, table: Table, column: Categorical, rows: Rows, unknown: Unknown
    ) -> Matrix:
        missing = self._missing(table, column, rows)
        texts = table.texts(column.name)
        codes = lv.number((texts[row] for row in rows.tolist()), column.levels)
        unseen = np.flatnonzero((codes == lv.UNSEEN) & ~missing)
        if len(unseen):
            _report_unseen(table, column, rows[unseen], len(rows), unknown)
        one_hot = np.zeros((len(rows), len(column.levels)))
        seen = np.flatnonzero(codes != lv.UNSEEN)
        one_hot[seen, codes[seen]] = 1.0
        one_hot[missing] = 0.0 if column.flag else column.shares
        return np.column_stack([one_hot, missing]) if column.flag else one_hot

    def _missing(self, table: Table, column: Column, rows: Rows) -> NDArray[np.bool_]:
        """Which of `rows` are missing, if the model has an answer to that."""
        everywhere = table.missing(column.name)
        mask = everywhere[rows]
        answered = self.missing == "mean" or column.flag
        if mask.any() and not answered:
            here = np.zeros(len(table), dtype=bool)
            here[rows] = mask
            hint = NEVER_MISSING if self.missing == "flag" else CANNOT_DROP.format(self.missing)
            raise missing_error(table, column.name, here, hint)
        return mask


def _report_unseen(
    table: Table, column: Categorical, rows: Rows, n_rows: int, unknown: Unknown
) -> None:
    """Raise DataError for a category that training did not have, or warn if it may be ignored."""
    first = int(rows[0])
    text = table.texts(column.name)[first]
    if unknown == "error":
        where = table.where(column.name, first)
        hint = 'unknown="ignore" at training gives such rows zeros'
        raise lv.unseen_error(text, column.levels, first, where, hint)
    warnings.warn(
        f"{table.where(column.name)}: {len(rows):,} of {plural(n_rows, 'row')} have a category "
        f"that was not seen in training (first {quoted(text)}, line {table.lines[first]}); "
        "all its indicators are 0",
        UnknownCategoryWarning,
        stacklevel=5,
    )


def complete_rows(table: Table, columns: Iterable[str], rows: Rows | None = None) -> Rows:
    """Those of `rows` (None: all) that have no missing cell in any of the columns."""
    rows = np.arange(len(table)) if rows is None else np.asarray(rows, dtype=np.int64)
    for name in columns:
        rows = rows[~table.missing(name)[rows]]
    return rows


def _feature_names(column: Column) -> list[str]:
    if isinstance(column, Numeric):
        names = [column.name]
    else:
        names = [f"{column.name}={level}" for level in column.levels]
    return names + ([f"{column.name} is missing"] if column.flag else [])


def _fit_numeric(table: Table, name: str, rows: Rows, missing: Missing) -> Numeric:
    kept, flag = _present_rows(table, name, rows, missing)
    return Numeric(name, *cols.mean_and_std(table.numbers(name)[kept]), flag=flag)


def _fit_categorical(
    table: Table, name: str, rows: Rows, missing: Missing, max_levels: int
) -> Categorical:
    kept, flag = _present_rows(table, name, rows, missing)
    texts = [table.texts(name)[row] for row in kept.tolist()]
    levels = lv.collect(texts, table.where(name))
    if len(levels) > max_levels:
        raise DataError(
            f"{len(levels):,} different texts in {plural(len(kept), 'row')}, "
            f"more than max_levels={max_levels} (first {quoted(levels[0])})",
            where=table.where(name),
            hint="If it names the rows, leave the column out; if it holds numbers or dates, "
            "write them as plain numbers",
        )
    counts = np.bincount(lv.number(texts, levels), minlength=len(levels))
    return Categorical(name, levels, tuple((counts / len(texts)).tolist()), flag)


def _present_rows(table: Table, name: str, rows: Rows, missing: Missing) -> tuple[Rows, bool]:
    """The rows to learn a column from, and whether it gets a flag. Raises DataError if none."""
    mask = table.missing(name)
    if missing == "error" and mask.any():
        raise missing_error(table, name, mask, CHOOSE)
    kept = rows[~mask[rows]]
    if len(kept) == 0:
        raise DataError(
            f"no value in any of the {plural(len(rows), 'training row')}",
            where=table.where(name),
            hint=f"Leave {named(name)} out of the features",
        )
    return kept, missing == "flag" and bool(mask.any())
