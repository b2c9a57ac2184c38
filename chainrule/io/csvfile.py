"""Read a CSV file strictly: every row has the header's fields, or the message says which has not.

The fields are split by the standard library's csv module in strict mode; nothing is guessed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypedDict, Unpack

import numpy as np

from chainrule.errors import DataError, ParameterError, ResourceError
from chainrule.io.columns import NUMBER, refuse_decimal_comma
from chainrule.io.decode import MAX_LINE_BYTES, LineLimit, decode
from chainrule.io.files import MAX_EXPANSION, FileBytes, expand_gzip, looks_like, read_bytes
from chainrule.io.table import Table, check_names
from chainrule.io.wording import choices, listed, named, plural, quoted, shown

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_LINES = 50
SAMPLE_ROWS = 1000


class Record(NamedTuple):
    """The line that a record begins at, and its fields."""

    line: int
    fields: list[str]


class CsvOptions(TypedDict, total=False):
    """How a file of separated values is written: see `read_csv`."""

    sep: str | None
    decimal: str
    encoding: str
    na_values: Iterable[str]
    on_bad_rows: Literal["error", "skip"]
    max_line_bytes: int
    max_expansion: int


@dataclass(frozen=True)
class CsvForm:
    """`CsvOptions` with their defaults, checked. Raises ParameterError."""

    sep: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"
    na_values: Iterable[str] = ()
    on_bad_rows: Literal["error", "skip"] = "error"
    max_line_bytes: int = MAX_LINE_BYTES
    max_expansion: int = MAX_EXPANSION

    def __post_init__(self) -> None:
        sep = self.sep
        if sep is not None and (len(sep) != 1 or sep in '"\r\n '):
            raise ParameterError(
                f"sep must be one character, not a quote, blank or line end, got {sep!r}"
            )
        for option, allowed in (("decimal", (".", ",")), ("on_bad_rows", ("error", "skip"))):
            value = getattr(self, option)
            if value not in allowed:
                raise ParameterError(f"{option} must be one of {choices(allowed)}, got {value!r}")
        if isinstance(self.na_values, str):
            raise ParameterError(f'na_values must be a list of texts, e.g. ["{self.na_values}"]')
        for option in ("max_line_bytes", "max_expansion"):
            if getattr(self, option) < 1:
                raise ParameterError(f"{option} must be at least 1, got {getattr(self, option)}")


def read_csv(path: str | os.PathLike[str], **options: Unpack[CsvOptions]) -> Table:
    """Read a file of separated values whose first line names the columns; gzip is accepted.

    Missing cells are the empty cell, nan, NaN, NAN and the texts of `na_values`. Cells stay text
    until a column is asked for numbers (see `Table`). Blank lines hold no row, except between the
    rows of a single column, where they are missing cells.

    Args:
        path: the file.
        sep: one character; None (the default) finds one of , ; tab | that splits header and rows
            alike.
        decimal: the decimal mark, "." (the default) or ",".
        encoding: of the text, "utf-8" by default; a UTF-8 byte order mark is always accepted.
        na_values: further texts that mean "missing".
        on_bad_rows: "error" (the default), or "skip", which drops rows with too many or too few
            fields and counts them in `Table.skipped`.
        max_line_bytes: a longer line is refused before the file is read to its end; 16 MiB.
        max_expansion: how many times its size a gzip file may grow; 100.

    Raises:
        DataError: with file, line and column.
        DataFileNotFoundError, ResourceError, ParameterError: as their names say.
    """
    form = CsvForm(**options)
    watch = LineLimit(shown(os.path.basename(os.fspath(path))), form.max_line_bytes)
    return parse_csv(read_bytes(path, watch=watch), form)


def parse_csv(file: FileBytes, form: CsvForm) -> Table:
    """The table in the bytes of a file. Raises as `read_csv`."""
    where, data = shown(file.name), file.data
    if looks_like(data) == "gzip":
        limit = LineLimit(where, form.max_line_bytes)
        data = expand_gzip(data, file.name, max_expansion=form.max_expansion, watch=limit)
    if not data:
        raise _empty(file.name, "0 bytes")
    text = decode(data, form.encoding, where)
    lines = list(io.StringIO(text, newline=""))
    if not text.strip():
        raise _empty(file.name, "only blank lines" if lines else "no text")
    separator = form.sep or find_separator(lines, where)
    first, rows, starts, bad = _split(lines, separator, where)
    header = first.fields
    _refuse_data_as_header(first, rows, form.decimal, where)
    check_names(header, where)
    if bad and form.on_bad_rows == "error":
        raise _ragged(bad, header, lines, where)
    if not rows:
        raise DataError(
            f"{named(file.name)} has a header ({plural(len(header), 'column')}) and no rows"
        )
    table = Table(
        name=where,
        columns=tuple(header),
        cells=tuple(zip(*rows, strict=True)),
        lines=np.array(starts, dtype=np.int64),
        sep=separator,
        decimal=form.decimal,
        na_values=frozenset(marker.strip() for marker in form.na_values),
        skipped_lines=tuple(row.line for row in bad),
        sha256=file.sha256,
    )
    if separator != ",":
        for name, cells in zip(header, table.cells, strict=True):
            refuse_decimal_comma(cells[:SAMPLE_ROWS], form.decimal, separator, table.where(name))
    return table


def _empty(name: str, size: str) -> DataError:
    return DataError(
        f"{named(name)} is empty ({size}): expected a header line and at least one row"
    )


def _records(lines: Sequence[str], sep: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Line where it begins, and fields, of each record."""
    reader = csv.reader(lines, delimiter=sep, strict=True)
    start = 1
    while True:
        try:
            for fields in reader:
                yield start, fields
                start = reader.line_num + 1
            return
        except csv.Error as problem:
            raise _broken_record(problem, lines, start, sep, where) from None


def _split(
    lines: Sequence[str], sep: str, where: str
) -> tuple[Record, list[list[str]], list[int], list[Record]]:
    """Header, rows, the lines they begin at, and the rows that do not fit the header."""
    records = _records(lines, sep, where)
    header = next(Record(line, fields) for line, fields in records if fields)
    width = len(header.fields)
    # Between the rows of one column a blank line is an empty cell; after the last it is none.
    end_of_text = _last_line_with_text(lines) if width == 1 else 0
    rows, starts, bad = [], [], []
    for line, fields in records:
        if len(fields) == width:
            rows.append(fields)
            starts.append(line)
        elif fields:
            bad.append(Record(line, fields))
        elif line < end_of_text:
            rows.append([""])
            starts.append(line)
    return header, rows, starts, bad


def _last_line_with_text(lines: Sequence[str]) -> int:
    return next((i for i in range(len(lines), 0, -1) if lines[i - 1].strip("\r\n")), 0)


def _refuse_data_as_header(
    header: Record, rows: Sequence[Sequence[str]], decimal: str, where: str
) -> None:
    """Raise DataError if the first line is a row: it would be lost, and nothing would say so.

    It is one if most of it is numbers, unless they count or measure the columns, or if some of it
    is and one of its texts is found below itself.
    """
    names = header.fields
    numbers = [name for name in names if NUMBER.fullmatch(name.replace(decimal, "."))]
    if not numbers:
        return
    whole = len(numbers) == len(names)
    steps = _is_count(names) if whole else _is_scale([n.replace(decimal, ".") for n in numbers])
    repeated = any(
        name not in numbers and any(row[i] == name for row in rows) for i, name in enumerate(names)
    )
    if repeated or (2 * len(numbers) > len(names) and not steps):
        raise DataError(
            f"the first line ({quoted(','.join(names))}) looks like a row of data, "
            "not like names of columns",
            where=f"{where} line {header.line}",
            hint="Add a header line above it, or a letter to names that are numbers",
        )


def _is_count(names: Sequence[str]) -> bool:
    """Whether names are 0, 1, 2 … or 1, 2, 3 …, as programs name columns that have no names."""
    return list(names) in [[str(i) for i in range(k, k + len(names))] for k in (0, 1)]


def _is_scale(names: Sequence[str]) -> bool:
    """Whether names are at least three numbers in equal steps, such as pixels, years or lengths."""
    steps = np.diff([float(name) for name in names])
    return len(steps) > 1 and steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0)


def _ragged(
    bad: Sequence[Record], header: list[str], lines: Sequence[str], where: str
) -> DataError:
    first = bad[0]
    if len(first.fields) > len(header):
        which = f"extra field: {quoted(first.fields[len(header)])}"
    else:
        which = f"missing field: {named(header[len(first.fields)])}"
    numbers = listed([row.line for row in bad], limit=5)
    return DataError(
        f"{plural(len(first.fields), 'field')}, header has {len(header)}. "
        f"Line: {quoted(lines[first.line - 1].rstrip())} ({which}). "
        f"{plural(len(bad), 'row')} like this ({numbers})",
        where=f"{where} line {first.line}",
        hint='Use on_bad_rows="skip" to drop and count them',
    )


def _broken_record(
    problem: csv.Error, lines: Sequence[str], start: int, sep: str, where: str
) -> DataError | ResourceError:
    """What is wrong with the record at line `start`, which the csv module refused."""
    text = "".join(lines[start - 1 :])
    broken = _scan_quotes(text, sep)
    if broken is None:
        return ResourceError(
            f"a field is longer than {csv.field_size_limit():,} characters; "
            "is the separator right?",
            where=f"{where} line {start}",
        )
    opened, closed = (_line_and_column(text, at, start) for at in broken)
    if broken[1] == len(text):
        return DataError(
            f"quote opened at column {opened[1]} is never closed (file ends at line {len(lines)})",
            where=f"{where} line {opened[0]}",
        )
    return DataError(
        f"quote opened at column {opened[1]} closes at line {closed[0]} column {closed[1]}, "
        "but text follows it",
        where=f"{where} line {opened[0]}",
        hint='A quote inside a quoted field is written twice: ""',
    )


def _line_and_column(text: str, at: int, first_line: int) -> tuple[int, int]:
    before = list(io.StringIO(text[:at] + "x", newline=""))
    return first_line + len(before) - 1, len(before[-1])


def _scan_quotes(text: str, sep: str) -> tuple[int, int] | None:
    """Where the first record's quoting breaks: positions of the opening and the closing quote.

    The closing position is the end of the text if the quote is never closed. None if the quoting is
    sound.
    """
    stops = re.compile(f"[{re.escape(sep)}\r\n]|\\Z")
    i = 0
    while True:
        if text.startswith('"', i):
            end = text.find('"', i + 1)
            while end >= 0 and text.startswith('""', end):
                end = text.find('"', end + 2)
            if end < 0:
                return i, len(text)
            if text[end + 1 : end + 2] not in (sep, "\r", "\n", ""):
                return i, end
            i = end + 1
        else:
            stop = stops.search(text, i)
            i = stop.start() if stop else len(text)
        if text[i : i + 1] != sep:
            return None
        i += 1


def find_separator(lines: Sequence[str], where: str) -> str:
    """The separator that splits the header and the first rows into the same number of fields.

    A file that none splits has one column, and "," is returned. Raises DataError if two would do.
    """
    agreement: dict[str, tuple[float, int]] = {}
    for sep in SEPARATORS:
        widths = _widths(lines, sep)
        if widths and widths[0] > 1:
            same = sum(width == widths[0] for width in widths[1:])
            agreement[sep] = (same / max(len(widths) - 1, 1), widths[0])
    perfect = [sep for sep, (share, _) in agreement.items() if share == 1]
    if len(perfect) > 1:
        found = " and ".join(f"{sep!r} gives {agreement[sep][1]} columns" for sep in perfect)
        raise DataError(
            f"the separator is not clear: {found}", where=where, hint="Say which: sep=…"
        )
    return max(agreement, key=lambda sep: agreement[sep], default=",")


def _widths(lines: Sequence[str], sep: str) -> list[int]:
    """Numbers of fields of the first records that are not blank, as far as they can be split."""
    widths: list[int] = []
    reader = csv.reader(islice(lines, SAMPLE_LINES), delimiter=sep, strict=True)
    # A quoted field goes on after the sample, or is broken: that is reported when it is read.
    with contextlib.suppress(csv.Error):
        widths.extend(len(fields) for fields in reader if fields)
    return widths
