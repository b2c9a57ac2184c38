"""Cells to numbers: what a number is, what is missing, and what each other text gets told."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, PrecisionWarning
from chainrule.io.wording import plural, quoted

NUMBER = re.compile(
    r"\s*[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)\s*",
    re.IGNORECASE | re.ASCII,
)
INTEGER = re.compile(r"\s*[+-]?0*([0-9]*)\s*", re.ASCII)
COMMA_NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:,[0-9]+)+(?:\.[0-9]*)?\s*", re.ASCII)
THOUSANDS = re.compile(r"\s*[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?\s*", re.ASCII)
MISSING = frozenset({"", "nan", "NaN", "NAN"})
EXACT_INTEGERS = 2.0**53  # float64 holds every integer up to here (53 bits of significand)
LONGEST_MARKER = 40  # longer cells are shown shortened; no text for "missing" is that long
FLOAT32_MAX = float(np.finfo(np.float32).max)


class Parsed(NamedTuple):
    """A column read as numbers: values (n_rows,), NaN where a cell is missing or text."""

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    text: NDArray[np.bool_]


def parse(cells: Sequence[str], decimal: str, na_values: frozenset[str]) -> Parsed:
    """Read what can be read; judging the rest is for `check`."""
    values = _parse_plain(cells) if decimal == "." and not na_values else None
    if values is not None:
        return Parsed(values, np.isnan(values), np.zeros(len(cells), dtype=bool))
    read = {cell: _read(cell, decimal, na_values) for cell in set(cells)}
    pairs = [read[cell] for cell in cells]
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    missing = np.array([is_missing for _, is_missing in pairs], dtype=bool)
    return Parsed(values, missing, np.isnan(values) & ~missing)


def _parse_plain(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """All cells at once if each is an ordinary number (or nan), else None."""
    together = "".join(cells)
    if not together.isascii() or "_" in together:  # float() reads 1_000 and other scripts' digits
        return None
    try:
        return np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        return None


def _read(cell: str, decimal: str, na_values: frozenset[str]) -> tuple[float, bool]:
    """Value and whether it is missing; (NaN, False) is text."""
    stripped = cell.strip()
    if stripped in MISSING or stripped in na_values:
        return np.nan, True
    plain = cell
    if decimal != ".":
        if "." in cell:
            return np.nan, False
        plain = cell.replace(decimal, ".")
    if not NUMBER.fullmatch(plain):
        return np.nan, False
    value = float(plain)
    return value, bool(np.isnan(value))


def check(
    parsed: Parsed,
    cells: Sequence[str],
    decimal: str,
    sep: str,
    *,
    inexact: Literal["refuse", "warn", "pass"],
    where: str,
    place: Callable[[int], str],
) -> None:
    """Raise DataError unless every cell is a finite number or missing.

    `where` names the column, `place` the cell of a row. `inexact` says what integers get that
    float64 cannot hold: a DataError, a PrecisionWarning, or nothing.
    """
    if parsed.text.any():
        refuse_decimal_comma(cells, decimal, sep, where)
        raise _text_error(parsed, cells, place)
    for row in np.flatnonzero(np.isinf(parsed.values))[:1].tolist():
        cell = cells[row].strip()
        if any(c.isdigit() for c in cell):
            raise DataError(
                f"{cell if len(cell) < 40 else quoted(cell)} overflows float64 (max 1.8e308)",
                where=place(row),
            )
        raise DataError(f"infinite value {quoted(cell)}", where=place(row))
    changed = [] if inexact == "pass" else _inexact_integers(parsed.values, cells)
    if changed:
        what = f"{cells[changed[0]].strip()} cannot be stored exactly as float64"
        if inexact == "refuse":
            raise DataError(
                f"{what} ({plural(len(changed), 'value')})",
                where=place(changed[0]),
                hint="Write it as text if it names something, or subtract a constant",
            )
        # The stack level is that of whoever asked the table for the column.
        warnings.warn(
            f"{where}: {what} ({plural(len(changed), 'value')})", PrecisionWarning, stacklevel=4
        )


def _text_error(parsed: Parsed, cells: Sequence[str], place: Callable[[int], str]) -> DataError:
    rows = np.flatnonzero(parsed.text).tolist()
    common = Counter(cells[row].strip() for row in rows).most_common(3)
    texts = [text for text, _ in common if _can_be_typed(text)]
    markers = ", ".join(quoted(text) for text in texts)
    return DataError(
        f"{quoted(cells[rows[0]])} is not a number ({len(rows):,} of {plural(len(cells), 'row')})",
        where=place(rows[0]),
        hint=f"Treat as missing with na_values=[{markers}]" if markers else "",
    )


def _can_be_typed(text: str) -> bool:
    """Whether a hint can show a text as it is: what stands escaped or shortened would not match."""
    return text.isprintable() and len(text) <= LONGEST_MARKER and not set(text) & set('",]')


def refuse_decimal_comma(cells: Sequence[str], decimal: str, sep: str, where: str) -> None:
    """Raise DataError if most cells would be numbers but for commas inside them."""
    if decimal == ",":
        return
    commas = [cell for cell in cells if "," in cell and COMMA_NUMBER.fullmatch(cell)]
    if not commas:
        return
    present = [cell for cell in cells if cell.strip() not in MISSING]
    plain = sum(NUMBER.fullmatch(cell) is not None for cell in present)
    if 2 * (len(commas) + plain) <= len(present):
        return
    if all(THOUSANDS.fullmatch(cell) for cell in commas):
        raise DataError(
            f"{quoted(commas[0])}: the comma may mark thousands or decimals",
            where=where,
            hint='Remove it if thousands; use decimal="," if decimals',
        )
    raise DataError(
        f'looks like {sep!r} separated with decimal comma: use sep="{sep}", decimal=","',
        where=where,
    )


def _inexact_integers(values: NDArray[np.float64], cells: Sequence[str]) -> list[int]:
    """Rows whose cell is an integer that its float64 value differs from."""
    rows = []
    for row in np.flatnonzero(np.abs(values) >= EXACT_INTEGERS).tolist():
        match = INTEGER.fullmatch(cells[row])
        if match is not None and int(match[1]) != abs(int(values[row])):
            rows.append(row)
    return rows


def refuse_float32_overflow(
    values: NDArray[np.float64], cells: Sequence[str], place: Callable[[int], str]
) -> None:
    """Raise DataError if a finite value is beyond float32."""
    for row in np.flatnonzero(np.abs(values) > FLOAT32_MAX)[:1].tolist():
        raise DataError(
            f"{cells[row].strip()} overflows float32",
            where=place(row),
            hint="Use dtype=float64 or scale the column",
        )


def mean_and_std(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and population standard deviation; (value, 1) of a constant column.

    Computed on values scaled by a power of two to at most 1, so that squares of very large or small
    numbers neither overflow nor vanish; that scaling is exact.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 1.0
    _, exponent = math.frexp(max(abs(low), abs(high)))
    scaled = np.ldexp(values, -exponent)
    mean = math.ldexp(float(scaled.mean()), exponent)
    std = math.ldexp(float(scaled.std()), exponent)
    return (mean, std) if std > 0 else (mean, 1.0)
