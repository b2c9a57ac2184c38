"""Where the text of a document comes from: a file, or a string that is the text."""

from __future__ import annotations

import os
from pathlib import Path

from chainrule.errors import DataError, DataFileNotFoundError, did_you_mean

MOST_BYTES = 8_000_000


def text_of(source: str | os.PathLike[str]) -> tuple[str, str]:
    """The text of a document and its name.

    Args:
        source: a path, or a text: a string with a line break, a dollar sign, a backslash or an
            equals sign that names no file.

    Raises:
        DataFileNotFoundError: there is no such file.
        DataError: it is too long, cannot be read, or is no UTF-8.
    """
    if isinstance(source, str) and any(c in source for c in "\n$\\=") and not _exists(source):
        return source, "text"
    path = Path(source)
    try:
        if path.stat().st_size > MOST_BYTES:
            what = f"{path.stat().st_size:,} bytes; documents up to {MOST_BYTES:,} are read"
            raise DataError(what, where=path.name)
        data = path.read_bytes()
    except FileNotFoundError as error:
        beside = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        what = f"document {path.name!r} not found in {str(path.parent)!r}"
        raise DataFileNotFoundError(what, hint=did_you_mean(path.name, beside[:1000])) from error
    except OSError as error:
        what = f"it cannot be read: {error.strerror or error}"
        raise DataError(what, where=path.name) from error
    try:
        return data.decode("utf-8-sig"), path.name
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is no UTF-8"
        hint = "Audit the source of the document (.md, .tex, .txt), saved as UTF-8"
        raise DataError(what, where=path.name, hint=hint) from error


def _exists(source: str) -> bool:
    try:
        return len(source) < 1000 and "\n" not in source and Path(source).exists()
    except (OSError, ValueError):
        return False
