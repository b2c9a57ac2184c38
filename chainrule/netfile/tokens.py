"""Text into tokens, and errors that point at a place in it."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from chainrule.errors import FormulaError, did_you_mean
from chainrule.nn import check_name

LONGEST_STATEMENT = 4096  # characters
LONGEST_FILE = 1_000_000  # characters; bytes when read from a file
EXCERPT = 76  # characters of a line shown above the caret
NAMES_SHOWN = 6
NAMES_COMPARED = 300  # a typo is compared with this many names, so that reporting it takes no time
OPERATORS = "+ - * / ^ @ > >= < <="
COMMON = "exp, log, sqrt, sigmoid, tanh, relu, softmax, sum, mean, mse, cross_entropy, …"
LOOKALIKES = {
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "≥": ">=",
    "≤": "<=",
}
LOOKALIKES |= {"“": '"', "”": '"', "‘": "'", "’": "'", "²": "^2"}

_TOKEN = re.compile(
    r"(?P<space>[ \t]+)|(?P<comment>\#.*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"""|(?P<string>"[^"]*"|'[^']*')"""
    r"|(?P<sign>\*\*|>=|<=|[-+*/^@(),.=<>:])"
)


class Token(NamedTuple):
    """A piece of a line: its kind, its text, and the columns it covers, counted from 0."""

    kind: str
    text: str
    start: int
    end: int


@dataclass
class Source:
    """The text of one definition, and what is known of it when an error is reported."""

    text: str
    label: str = ""
    lines: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    """Inputs and equations that have been read, and the number of their line."""

    def __post_init__(self) -> None:
        self.lines = [line.rstrip("\r") for line in self.text[:LONGEST_FILE].split("\n")]
        for number, line in enumerate(self.lines, 1):
            if len(line) > LONGEST_STATEMENT:
                what = f"longer than {LONGEST_STATEMENT} characters ({len(line)})"
                hint = "Give parts of it names of their own"
                raise self.error(what, number, LONGEST_STATEMENT, hint)
        if len(self.text) > LONGEST_FILE:
            what = f"longer than {LONGEST_FILE} characters ({len(self.text)})"
            raise self.error(what, len(self.lines), 0)

    def place(self, line: int) -> str:
        """``line 4``, with the name of the file in front if there is one."""
        return f"{self.label} line {line}".strip()

    def error(self, what: str, line: int, column: int, hint: str = "") -> FormulaError:
        """An error at `column`, counted from 0, with the line and a caret under the place."""
        text = self.lines[line - 1]
        start = max(0, min(column - EXCERPT // 2, len(text) - EXCERPT))
        cut = "…" if start else ""
        excerpt = cut + _visible(text[start : start + EXCERPT].rstrip())
        caret = " " * (column - start + len(cut)) + "^"
        below = f"\n    {excerpt}\n    {caret}"
        where = f"{self.place(line)} column {column + 1}"
        if hint:
            return FormulaError(what, where=where, hint=hint + below)
        return FormulaError(what + below, where=where)

    def refused(self, text: str, line: int, column: int) -> FormulaError:
        """`text` is nothing that a formula may contain."""
        known = list(self.names)
        more = ", …" if len(known) > NAMES_SHOWN else ""
        names = f"names {', '.join(known[:NAMES_SHOWN])}{more}, " if known else ""
        hint = f"Formulas may use numbers, {names}{OPERATORS} .T and: {COMMON}"
        if text in LOOKALIKES:
            hint = f"Write {LOOKALIKES[text]}"
        shown = text if len(text) <= 40 else text[:40] + "…"
        return self.error(f'"{_visible(shown)}" is not allowed', line, column, hint)

    def unknown(
        self, token: Token, line: int, pool: Iterable[str], otherwise: str = ""
    ) -> FormulaError:
        """A name that nothing has; `otherwise` is said when no name of the pool is near."""
        near = [k for k in pool if abs(len(k) - len(token.text)) <= 2][:NAMES_COMPARED]
        hint = did_you_mean(token.text, near) or otherwise
        shown = token.text if len(token.text) <= 40 else token.text[:40] + "…"
        return self.error(f"{shown!r} is not known", line, token.start, hint)


def _visible(text: str) -> str:
    """`text` with one dot for every character that a terminal would obey and not show."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "·" for c in text)


def tokenize(source: Source, line: int, start: int = 0) -> list[Token]:
    """The tokens of one line, an empty one of kind ``end`` last.

    Raises:
        FormulaError: a character that no formula contains, or a name that could reach Python.
    """
    text = source.lines[line - 1]
    tokens: list[Token] = []
    at = start
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] in "\"'":
                raise source.error("this quote is never closed", line, at)
            raise source.refused(text[at], line, at)
        kind = str(match.lastgroup)
        word, begin, at = match[0], at, match.end()
        if kind == "name":
            word = checked_name(source, word, line, begin)
        if kind not in ("space", "comment"):
            tokens.append(Token(kind, word, begin, at))
    end = len(text.rstrip()) if not tokens else tokens[-1].end
    tokens.append(Token("end", "", end, end))
    return tokens


def checked_name(source: Source, word: str, line: int, column: int) -> str:
    """`word` in the normal form in which Python compares names.

    Raises:
        FormulaError: it is no identifier, a word of Python, or begins with two underscores.
        GraphError: it is too long.
    """
    name = unicodedata.normalize("NFKC", word)
    if name.startswith("__") or keyword.iskeyword(name) or not name.isidentifier():
        raise source.refused(word, line, column)
    check_name(name)
    return name
