"""A table of text cells: columns found by name, numbers read when asked for, lines remembered."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, did_you_mean
from chainrule.io import columns as cols
from chainrule.io.wording import at, listed, named, plural

# Letters that look Latin, by code point and name in the Unicode confusables (UTS #39).
LOOK_ALIKES = str.maketrans(
    "асеорхуіјѕһԁԛԝАВСЕНІЈКМОРЅТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανρ",
    "aceopxyijshdqwABCEHIJKMOPSTXYABEZHIKMNOPTYXoavp",
)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of text under named columns, as they stand in a file.

    Attributes:
        name: of the file, for messages.
        columns: the names, in file order.
        cells: for each column its texts, one per row.
        lines: for each row the line of the file where it begins (1 is the first line).
        sep: the character between fields.
        decimal: "." or ",".
        na_values: texts that mean "missing", besides the empty cell and nan.
        skipped_lines: where rows began that `on_bad_rows="skip"` dropped.
        sha256: of the file's bytes, "" if the table was not read from one.

    A column is **numeric** if more than half of its cells that are not missing are numbers; any
    other text in it is then an error. Otherwise it is **categorical**, and its texts are taken as
    they stand.

    >>> t = Table.of({"age": ["31", "", "47"], "colour": ["red", "blue", "red"]})
    >>> t.kind("age"), t.kind("colour"), t.numbers("age")
    ('numeric', 'categorical', array([31., nan, 47.]))
    """

    name: str
    columns: tuple[str, ...]
    cells: tuple[Sequence[str], ...]
    lines: NDArray[np.int64]
    sep: str = ","
    decimal: str = "."
    na_values: frozenset[str] = frozenset()
    skipped_lines: tuple[int, ...] = ()
    sha256: str = ""
    _parsed: dict[int, cols.Parsed] = field(default_factory=dict, repr=False)
    _checked: set[int] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        check_names(self.columns, self.name)

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str]], name: str = "table") -> Table:
        """A table from texts in memory; line 1 is the header."""
        cells = tuple(list(texts) for texts in columns.values())
        if len({len(texts) for texts in cells}) > 1:
            raise DataError("the columns have different lengths", where=name)
        n_rows = len(cells[0]) if cells else 0
        return cls(name, tuple(columns), cells, np.arange(2, n_rows + 2, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def skipped(self) -> int:
        """How many rows were dropped while reading."""
        return len(self.skipped_lines)

    def index(self, column: str) -> int:
        """Position of a column, names compared after NFC. Raises DataError with what was meant."""
        for i, own in enumerate(self.columns):
            if nfc(own) == nfc(column):
                return i
        raise DataError(
            f"no column {named(column)}",
            where=self.name,
            hint=self.nearest(column) or f"Columns: {listed(self.columns)}",
        )

    def look_alike(self, column: str) -> str:
        """The column that `column` only looks like, and how they differ; "" if there is none."""
        for i, own in enumerate(self.columns):
            if _skeleton(own) == _skeleton(column):
                return f"Column {i + 1} is {named(own)} ({_difference(column, own)})"
        return ""

    def nearest(self, column: str) -> str:
        """What the asker of a column that is not there may have meant, "" if nothing is near."""
        return self.look_alike(column) or did_you_mean(column, self.columns)

    def __contains__(self, column: str) -> bool:
        return any(nfc(own) == nfc(column) for own in self.columns)

    def texts(self, column: str) -> Sequence[str]:
        """The cells of a column as they stand in the file."""
        return self.cells[self.index(column)]

    def parsed(self, column: str) -> cols.Parsed:
        """The cells of a column read as numbers as far as they are; computed once."""
        i = self.index(column)
        if i not in self._parsed:
            self._parsed[i] = cols.parse(self.cells[i], self.decimal, self.na_values)
        return self._parsed[i]

    def missing(self, column: str) -> NDArray[np.bool_]:
        """Which cells of a column are missing: empty, nan, or one of `na_values`."""
        return self.parsed(column).missing

    def kind(self, column: str) -> str:
        """What a column holds, "numeric" or "categorical": see the class."""
        parsed = self.parsed(column)
        n_text = int(parsed.text.sum())
        n_present = len(self) - int(parsed.missing.sum())
        if 2 * n_text < n_present or n_present == 0:
            return "numeric"
        cols.refuse_decimal_comma(self.texts(column), self.decimal, self.sep, self.where(column))
        return "categorical"

    def numbers(self, column: str, *, exact: bool = False) -> NDArray[np.float64]:
        """A column as float64 (n_rows,), NaN where a cell is missing.

        `exact` makes an integer that float64 cannot hold an error; else it is a PrecisionWarning
        when the column is first asked for.

        Raises:
            DataError: a cell is text, infinite or too large; says the line, the cell and what to
                do.
        """
        i, parsed = self.index(column), self.parsed(column)
        cols.check(
            parsed,
            self.texts(column),
            self.decimal,
            self.sep,
            inexact="refuse" if exact else "pass" if i in self._checked else "warn",
            where=self.where(column),
            place=lambda row: self.where(column, row),
        )
        self._checked.add(i)
        return parsed.values

    def where(self, column: str = "", row: int | None = None) -> str:
        """The place of a cell, row or column for messages, e.g. ``a.csv line 17, column 'age'``."""
        line = "" if row is None else f" line {self.lines[row]}"
        return at(self.name + line, f"column {named(column)}" if column else "")


def nfc(name: str) -> str:
    """The name with each accent stored in one way, in which names are compared."""
    return unicodedata.normalize("NFC", name)


def check_names(names: Sequence[str], where: str) -> None:
    """Raise DataError if column names are empty or appear twice (compared after NFC)."""
    plain = [nfc(name) for name in names]
    for name, count in Counter(plain).items():
        if count > 1:
            positions = [str(i + 1) for i, other in enumerate(plain) if other == name]
            shown_positions = listed(positions[:-1]) + " and " + positions[-1]
            raise DataError(
                f"column {named(name)} appears {count} times (positions {shown_positions})",
                where=where,
            )
    blank = [i + 1 for i, name in enumerate(plain) if not name.strip()]
    if blank:
        raise DataError(
            f"column {blank[0]} of {len(plain)} has no name",
            where=where,
            hint="Name it in the header; row numbers written by pandas go away with index=False",
        )


def missing_error(table: Table, column: str, mask: NDArray[np.bool_], hint: str) -> DataError:
    """The error for missing cells of a column; `mask` says which rows of the table count."""
    first = int(np.flatnonzero(mask)[0])
    count = f"{int(mask.sum()):,} of {plural(len(mask), 'value')}"
    return DataError(
        f"{count} missing (first at line {table.lines[first]})",
        where=table.where(column),
        hint=hint,
    )


def _skeleton(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).translate(LOOK_ALIKES)
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())


def _difference(asked: str, own: str) -> str:
    if own.strip() == asked.strip():
        side = "trailing" if own.rstrip() != own or asked.rstrip() != asked else "leading"
        return f"{side} space" if own != own.strip() else f"without the {side} space"
    for there, other in ((own, asked), (asked, own)):
        odd = next((c for c in there if c not in other and not c.isascii()), None)
        if odd is not None:
            which = "" if there is own else "the name asked for has "
            return f"{which}U+{ord(odd):04X} {unicodedata.name(odd, '')}".rstrip()
    return "different spaces"
