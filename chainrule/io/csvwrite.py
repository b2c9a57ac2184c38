"""Write columns as CSV: whole or not at all, numbers exactly, formulas as text."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from chainrule.errors import CheckpointError, DataError
from chainrule.io.columns import NUMBER
from chainrule.io.wording import named, plural

log = logging.getLogger(__name__)

# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
NEEDS_QUOTES = (",", '"', "\n", "\r")
BOM = "\ufeff"


def write_csv(
    target: str | os.PathLike[str] | TextIO, columns: Mapping[str, Sequence[Any]]
) -> None:
    """Write named columns of equal length.

    Floats are written with the digits that read back to the same float, None and NaN as the
    empty cell. Text that a spreadsheet would run as a formula gets a ``'`` before it, and
    the log counts such cells. A path is replaced only when everything is written; a
    stream is written to as it is.

    Raises:
        DataError: the columns differ in length.
        CheckpointError: the file cannot be written.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{named(name)} has {n:,}" for name, n in lengths.items())
        raise DataError(f"columns must have the same length: {sizes}")
    if isinstance(target, str | os.PathLike):
        _write_whole(Path(target), columns)
    else:
        for line in _lines(columns):
            target.write(line)


def _write_whole(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal cannot be replaced
            with path.open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(_lines(columns))
            return
        path = path.resolve()  # what a link leads to is replaced, not the link
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{time.monotonic_ns()}")
        try:
            with temporary.open("x", encoding="utf-8", newline="") as stream:
                stream.writelines(_lines(columns))
                stream.flush()
                os.fsync(stream.fileno())
            if path.exists():
                shutil.copymode(path, temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise CheckpointError(
            f"{named(str(path))} cannot be written: {problem.strerror or problem}"
        ) from problem


def _lines(columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    escaped = 0
    alone = len(columns) == 1
    rows = zip(*columns.values(), strict=True)
    for row in (tuple(columns), *rows):
        texts = [_text(value) for value in row]
        safe = [_escape(text) for text in texts]
        escaped += sum(a is not b for a, b in zip(texts, safe, strict=True))
        # A row of one empty cell would be a blank line.
        yield ('""' if alone and safe == [""] else ",".join(map(_field, safe))) + "\n"
    if escaped:
        log.warning(
            "%s that a spreadsheet would run as a formula written with ' before it",
            plural(escaped, "cell"),
        )


def _text(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    if value is None or value != value:  # only NaN differs from itself
        return ""
    item = getattr(value, "item", None)  # a NumPy scalar
    return str(item() if item is not None else value)


def _escape(text: str) -> str:
    return "'" + text if text.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(text) else text


def _field(text: str) -> str:
    if text.startswith(BOM) or any(c in text for c in NEEDS_QUOTES):
        return '"' + text.replace('"', '""') + '"'
    return text
