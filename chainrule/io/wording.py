"""How values from outside stand in messages: escaped, quoted, shortened, counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def shown(text: str, limit: int = 200) -> str:
    r"""`text` without anything that a terminal would obey; what passes `limit` becomes "…".

    >>> shown("a\x1b[2Jb.csv")
    'a\\x1b[2Jb.csv'
    """
    short = text if len(text) <= limit else text[:limit] + "…"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short
    )


def named(text: str) -> str:
    """`text` in single quotes, for names of files, columns and keys."""
    return f"'{shown(text)}'"


def quoted(text: str, limit: int = 40) -> str:
    """`text` in double quotes, for what stands in a cell."""
    return f'"{shown(text, limit)}"'


def label(value: object) -> str:
    """A class label or a level: text in double quotes, numbers as they are."""
    return quoted(value) if isinstance(value, str) else str(value)


def listed(items: Iterable[object], limit: int = 10) -> str:
    """The first `limit` items, then "…".

    >>> listed([1042, 1077, 2003], limit=2)
    '1042, 1077, …'
    """
    texts = [shown(str(item)) for item in items]
    return ", ".join(texts[:limit]) + (", …" if len(texts) > limit else "")


def plural(n: int, noun: str) -> str:
    """`n` with its noun.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def at(*parts: str | int) -> str:
    """The place of an error: parts that are not empty, joined by commas."""
    return ", ".join(str(part) for part in parts if part != "")


def choices(values: Sequence[str]) -> str:
    """The values an option may take, as a hint prints them."""
    return ", ".join(f'"{value}"' for value in values)
