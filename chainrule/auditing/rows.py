r"""Equations of a formula: rows of a display, chains of equalities, each side with its line.

``a &= b \\ &= c`` is one chain of three sides; what only continues a row
(``&\quad + d``) belongs to it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.auditing.document import Formula

DEEPEST = 64  # brackets inside brackets
LONGEST = 4_000  # characters of one side of an equation
LONGEST_FORMULA = 50_000  # characters of a display with all its rows
AHEAD = 100  # tokens: the left side of another equation in the same row is shorter

_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_LABELS = re.compile(
    r"\\(?:label|tag\*?|eqref|ref|cite)[ \t]*\{[^{}]*\}|\\(?:nonumber|notag|hfill)\b"
)
_WRAPPERS = re.compile(
    r"\\(begin|end)\{(equation|align|aligned|alignat|alignedat|gather|gathered|split|eqnarray"
    r"|multline|flalign|displaymath)\*?\}(\{\d*\})?(\[[tbc]\])?"
)
_TOKENS = re.compile(
    r"\\begin\{[^{}]*\}|\\end\{[^{}]*\}"
    r"|\\\\(?:\\\\)?(?:\[[^\]\n]{0,12}\])?"
    r"|\\text(?:bf|it|rm|normal)?[ \t]*\{[^{}]*\}"
    r"|\\left\b|\\right\b|\\[A-Za-z]+\*?|\\.|:=|==|[^\\]",
    re.S,
)
_OPENING, _CLOSING = set("({["), set(")}]")
_EQUALITIES = {"=", "==", r"\equiv", r"\coloneqq", r"\triangleq", r"\doteq", "≡", "≔"}
_ASSIGNMENTS = {":=", r"\leftarrow", r"\gets", "←", r"\coloneq"}
_RELATIONS = {
    *(r"\approx", r"\propto", r"\le", r"\leq", r"\ge", r"\geq", r"\ne", r"\neq", r"\in", r"\to"),
    *(r"\rightarrow", r"\Rightarrow", r"\implies", r"\longrightarrow", r"\mapsto", r"\sim"),
    *(r"\ll", r"\gg", r"\iff", r"\Leftrightarrow", r"\notin", r"\subset", r"\simeq", r"\cong"),
    *("<", ">", "≈", "∝", "≤", "≥", "≠", "∈", "→", "⇒", "↦", r"\geqslant", r"\leqslant"),
}
_SPACES = {r"\quad", r"\qquad"}
_BLANKS = {r"\,", r"\;", r"\:", r"\!", r"\ ", "~", r"\quad", r"\qquad", "&"}
_WORD = re.compile(r"\\text\s*\{\s*(and|where|with|or|so|thus|hence|for|if|then)\b[^{}]*\}")
_JOINING = re.compile(r"\\text\s*\{\s*(and|where|with|or|so|thus|hence|for|if|then)?\b[^{}]*\}")


@dataclass(frozen=True)
class Side:
    """One side of an equation: its mathematics and the line where it begins."""

    text: str
    line: int


@dataclass(frozen=True)
class Equation:
    """A chain of sides with what stands between them.

    Attributes:
        sides: at least one.
        relations: "=", "←" (assignment) or, for others, as written; one fewer than sides.
        line: of the first side.
        display: whether it stands by itself, not in running text.
    """

    sides: tuple[Side, ...]
    relations: tuple[str, ...]
    line: int
    display: bool

    @property
    def text(self) -> str:
        """The equation in one line, as written."""
        parts = [self.sides[0].text]
        for relation, side in zip(self.relations, self.sides[1:], strict=True):
            parts += [relation, side.text]
        return " ".join(parts)

    @property
    def problem(self) -> str:
        """Why its text is not even read; "" if it is."""
        longest = max(len(side.text) for side in self.sides)
        if longest > LONGEST:
            return f"a side of {longest:,} characters; at most {LONGEST:,} are read"
        depth = max(_depth(side.text) for side in self.sides)
        return f"brackets nested {depth} deep; at most {DEEPEST}" if depth > DEEPEST else ""


@dataclass
class _Row:
    sides: list[list[str]]
    lines: list[int]
    relations: list[str]
    begun: bool = False  # whether its last side holds something

    @property
    def blank(self) -> bool:
        return not any("".join(side).strip() for side in self.sides)


def equations(formula: Formula) -> Iterator[Equation]:
    r"""Every equation in a formula; one without a relation has a single side.

    >>> chain = Formula("a &= b + c \\\\\n &= d, \\\\ e &= f", 3, True)
    >>> [(e.text, e.line) for e in equations(chain)]
    [('a = b + c = d', 3), ('e = f', 4)]
    """
    if len(formula.text) > LONGEST_FORMULA:
        yield Equation((Side(formula.text, formula.line),), (), formula.line, formula.display)
        return
    text = _LABELS.sub(" ", _COMMENT.sub("", formula.text))
    text = _WRAPPERS.sub(lambda m: "\n" * m[0].count("\n"), text)
    rows: list[_Row] = []
    for row in _rows(text, formula.line):
        if row.blank:
            continue
        begins = not "".join(row.sides[0]).strip()
        if begins and row.relations and rows:  # "&= c": the chain goes on
            rows[-1].sides += row.sides[1:]
            rows[-1].lines += row.lines[1:]
            rows[-1].relations += row.relations
        elif not row.relations and rows and _continues("".join(row.sides[0])):
            rows[-1].sides[-1] += row.sides[0]
        else:
            rows.append(row)
    for row in rows:
        sides = tuple(
            Side(_tidy(side), line) for side, line in zip(row.sides, row.lines, strict=True)
        )
        if any(side.text for side in sides):
            yield Equation(sides, tuple(row.relations), sides[0].line, formula.display)


def _continues(text: str) -> bool:
    return bool(re.match(r"\s*(\\quad|\\qquad|\s)*([+\-−]|\\cdot|\\odot|\\times)", text))


def _tidy(tokens: list[str]) -> str:
    """The text of a side without blanks, spaces and punctuation around it."""
    begin, end = 0, len(tokens)
    while begin < end and (
        tokens[begin].isspace() or tokens[begin] in _BLANKS or _WORD.fullmatch(tokens[begin])
    ):
        begin += 1
    while end > begin and (tokens[end - 1].isspace() or _ends(tokens, end - 1)):
        end -= 1
    return " ".join("".join(tokens[begin:end]).split())


def _ends(tokens: list[str], at: int) -> bool:
    """Whether a token at the end of a side only says that it ends."""
    token = tokens[at]
    full_stop = token == "." and not (at and tokens[at - 1] == ".")
    return token in _BLANKS or token in (",", ";") or full_stop or token.startswith(r"\text")


def _rows(text: str, line: int) -> Iterator[_Row]:
    """The rows between line ends, split at relations; cells that hold a second equation too."""
    row = _Row([[]], [line], [])
    depth, cells = 0, 0
    tokens = _TOKENS.findall(text)
    for i, token in enumerate(tokens):
        if token in _OPENING or token.startswith(r"\begin"):
            depth += 1
        elif token in _CLOSING or token.startswith(r"\end"):
            depth = max(0, depth - 1)
        outside = depth == 0
        if outside and token.startswith("\\\\"):
            yield row
            row, cells = _Row([[]], [line], []), 0
        elif outside and token == "&":
            cells += 1
            if cells % 2 == 0 and row.relations and row.begun and _relation_ahead(tokens, i + 1):
                yield row
                row, cells = _Row([[]], [line], []), 0
        elif outside and (relation := _relation(token)):
            row.sides.append([])
            row.lines.append(line)
            row.relations.append(relation)
            row.begun = False
        elif outside and row.relations and row.begun and _separates(tokens, i):
            yield row
            row, cells = _Row([[]], [line], []), 0
        else:
            if not row.begun and not token.isspace():
                row.lines[-1] = line
                row.begun = True
            row.sides[-1].append(token)
        line += token.count("\n")
    yield row


def _relation(token: str) -> str:
    if token in _EQUALITIES:
        return "="
    if token in _ASSIGNMENTS:
        return "←"
    return token if token in _RELATIONS else ""


def _relation_ahead(tokens: list[str], at: int) -> bool:
    """Whether the cell that begins here is the left side of another equation."""
    begun = False
    for token in itertools.islice(tokens, at, at + AHEAD):
        if token.startswith("\\\\") or (token == "&" and not begun):
            return False
        if token == "&":
            continue
        if _relation(token):
            return begun
        begun = begun or not token.isspace()
    return False


def _separates(tokens: list[str], i: int) -> bool:
    r"""Whether this is what stands between two equations in one row: ', \\quad' or 'and'."""
    token = tokens[i]
    if _JOINING.fullmatch(token):
        return _another(tokens, i + 1)
    return (token in _SPACES or token in (",", ";")) and _another(tokens, i + 1)


def _another(tokens: list[str], at: int) -> bool:
    depth = 0
    begun = False
    for token in itertools.islice(tokens, at, at + AHEAD):
        if token.startswith("\\\\"):
            return False
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth < 0:
            return False
        if depth == 0 and _relation(token):
            return begun
        begun = begun or not (token.isspace() or token == "&")
    return False


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "({[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")}]":
            depth -= 1
    return deepest
