r"""Equations in the text of a document: align environments, display mathematics, single lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from chainrule.errors import FormulaError
from chainrule.texmath.parser import Reader, chain
from chainrule.texmath.tree import Equation

LONGEST_TEXT = 1_000_000  # characters

_FRAME = re.compile(
    r"\\(?:begin|end)\s*\{(?:align|aligned|alignat|alignedat|gather|gathered|equation|split|eqnarray"
    r"|multline|displaymath|math|flalign)\*?\}(?:\{[0-9]+\})?"
    r"|\$\$|\\\[(?!\s*-?[0-9.]+\s*(?:pt|em|ex|cm|mm)\s*\])|\\\]|(?<!\\)\$|\\\(|\\\)"
)
_BREAK = re.compile(r"\\\\\\\\|\\\\(?:\s*\[\s*-?[0-9.]+\s*(?:pt|em|ex|cm|mm)\s*\])?|\n\s*\n")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_LABELS = re.compile(
    r"\\(?:label|tag|intertext|eqref|ref)\*?\s*\{[^{}]*\}|\\(?:nonumber|notag|hline)"
)


def statements(text: str) -> Iterator[tuple[str, int]]:
    """The single lines of mathematics in a piece of text, and the line on which each begins.

    Raises:
        FormulaError: the text is too long.
    """
    if len(text) > LONGEST_TEXT:
        raise FormulaError(f"{len(text)} characters of mathematics (at most {LONGEST_TEXT})")
    bare = _COMMENT.sub(_blank, text)
    bare = _FRAME.sub(lambda m: _blank(m) if m[0].startswith("\\begin") else _ended(m), bare)
    bare = _LABELS.sub(_blank, bare)
    start = 0
    for match in [*_BREAK.finditer(bare), None]:
        end = match.start() if match else len(bare)
        piece = bare[start:end]
        if piece.strip(" \t\n&.,;"):
            lead = len(piece) - len(piece.lstrip())
            yield piece.strip(), bare.count("\n", 0, start + lead) + 1
        start = match.end() if match else end


def _blank(match: re.Match[str]) -> str:
    return "".join("\n" if c == "\n" else " " for c in match[0])


def _ended(match: re.Match[str]) -> str:
    r"""The end of an environment ends a line of mathematics too."""
    return "\\\\" + " " * max(0, len(match[0]) - 2)


def read(text: str, names: Iterable[str] = ()) -> list[Equation]:
    """All equations of a piece of text."""
    found: list[Equation] = []
    for statement, line in statements(text):
        try:
            sides = chain(Reader(statement, names))
        except FormulaError as error:
            where = f"line {line} {error.where}".strip()
            what = str(error).removeprefix(f"{error.where}: ")
            raise FormulaError(what, where=where) from None
        for left, right in pairwise(sides):
            found.append(Equation(left, right, statement, line, len(found) + 1))
    return found
