"""What a formula may be at most, and errors that point at a place in it."""

from __future__ import annotations

from chainrule.errors import FormulaError

LONGEST = 20_000  # characters of one formula
DEEPEST = 64  # brackets, fractions, powers … inside one another
EXCERPT = 76  # characters shown above the caret


def shown(text: str) -> str:
    """`text` with one dot for every character that a terminal would obey and not show."""
    return "".join(c if c.isprintable() else " " if c in "\t\n" else "·" for c in text)


def pointer(text: str, column: int) -> str:
    """An excerpt of `text` and a caret under `column`, counted from 0."""
    start = max(0, min(column - EXCERPT // 2, len(text) - EXCERPT))
    cut = "…" if start else ""
    excerpt = cut + shown(text[start : start + EXCERPT].rstrip())
    return f"\n    {excerpt}\n    {' ' * (column - start + len(cut))}^"


def refused(text: str, column: int, what: str, hint: str = "") -> FormulaError:
    """The error that says what was found at a column of `text`, counted from 0."""
    where = f"column {column + 1}"
    below = pointer(text, column)
    if hint:
        return FormulaError(what, where=where, hint=hint + below)
    return FormulaError(what + below, where=where)


def check_length(text: str) -> None:
    """Refuse a formula that nobody wrote.

    Raises:
        FormulaError: it is too long.
    """
    if len(text) > LONGEST:
        what = f"the formula is {len(text)} characters long (at most {LONGEST})"
        raise refused(text[: LONGEST + 1], LONGEST, what, "Give parts of it names of their own")
