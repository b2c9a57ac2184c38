"""A document as an audit sees it: sections, prose and, line by line, mathematics.

Markdown, LaTeX and plain text are read. What is no mathematics to a reader (fenced code, comments,
front matter) is none here. Every pass over the text is linear in its length.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chainrule.auditing import latex
from chainrule.errors import DataError

MOST_CHARACTERS = 2_000_000  # a thick book has fewer
MOST_DISPLAYS = 20_000
LONGEST_INLINE = 1_000  # characters between two dollar signs; further apart they mean money

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})[ \t]*([\w-]*)", re.M)
_INLINE_CODE = re.compile(r"(?<!`)`(?!`)[^`\n]{1,500}`(?!`)")
_HTML_COMMENT = re.compile(r"<!--")
_ATX = re.compile(r"^[ ]{0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$", re.M)
_SETEXT = re.compile(r"^(?=\S)([^\n]{1,200})\n(=+|-+)[ \t]*$", re.M)
_MATH_OPENS = re.compile(
    r"\\begin\{(equation|align|gather|eqnarray|multline|alignat|flalign|displaymath|math)(\*?)\}"
    r"|\\\[|\\\(|\$\$|\\.|\$",
    re.S,
)
_CLOSES = {"\\[": "\\]", "\\(": "\\)", "$$": "$$"}


@dataclass(frozen=True)
class Formula:
    """A stretch of mathematics.

    Attributes:
        text: what stands between the delimiters.
        line: where it begins, from 1.
        display: whether it stands by itself, not in running text.
    """

    text: str
    line: int
    display: bool


@dataclass
class Section:
    """The text under one heading, up to the next.

    Attributes:
        titles: of the section and all that hold it, outermost first; () before any heading.
        level: 1 for the outermost kind of heading; 0 before any.
        line: of the heading.
        prose: its text without displays, formulas in running text as ``$…$``.
        formulas: in the order in which they stand.
    """

    titles: tuple[str, ...]
    level: int
    line: int
    prose: str = ""
    formulas: list[Formula] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its own heading."""
        return self.titles[-1] if self.titles else ""


@dataclass(frozen=True)
class Document:
    """A text with its sections in order.

    Attributes:
        name: of the file, or "text".
        kind: "markdown", "latex" or "text".
    """

    name: str
    kind: str
    sections: tuple[Section, ...]


def read_document(text: str, name: str = "text") -> Document:
    r"""Sections and formulas of a text.

    Args:
        text: Markdown, LaTeX or plain text.
        name: of the file; its ending says which of them it is, else the text does.

    Raises:
        DataError: it is too long, holds too many formulas, or is no text.

    >>> found = read_document("# Line\nWe take $w$ from\n\n$$y = wx$$\n")
    >>> [(s.title, f.text, f.line, f.display) for s in found.sections for f in s.formulas]
    [('Line', 'w', 2, False), ('Line', 'y = wx', 4, True)]
    """
    if len(text) > MOST_CHARACTERS:
        what = f"the document has {len(text):,} characters, at most {MOST_CHARACTERS:,} are read"
        raise DataError(what, where=name, hint="Audit its chapters one by one")
    if "\0" in text:
        raise DataError("the document holds NUL characters, so it is no text", where=name)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kind = _kind(text, name)
    text = _PREPARED[kind](text)
    headings = latex.headings(text) if kind == "latex" else _headings(text, kind)
    spans = list(_math(text)) or ([] if kind != "text" else list(_plain_lines(text)))
    if len(spans) > MOST_DISPLAYS:
        what = f"the document holds {len(spans):,} formulas, at most {MOST_DISPLAYS:,} are read"
        raise DataError(what, where=name, hint="Audit its chapters one by one")
    return Document(name, kind, tuple(_sections(text, headings, spans)))


def _kind(text: str, name: str) -> str:
    ending = name.rpartition(".")[2].lower()
    if ending in ("tex", "latex", "ltx"):
        return "latex"
    if ending in ("md", "markdown", "mkd", "rmd", "qmd"):
        return "markdown"
    if re.search(r"\\(begin\{document\}|documentclass|(sub)*section\*?\{)", text):
        return "latex"
    marks = r"\$\$|^#{1,6} |\\\[|\\begin\{|\\\(|\$[^$\n]+\$|\A---\n"
    return "markdown" if re.search(marks, text, re.M) else "text"


def _blank(text: str) -> str:
    """Spaces in the place of a text; its line ends stay, so that lines keep their numbers."""
    return "\n".join(" " * len(line) for line in text.split("\n"))


def _without_code(text: str) -> str:
    """Markdown without front matter, code and comments; ```math fences become displays."""
    if text.startswith("---\n"):
        end = text.find("\n---", 3)
        if end >= 0:
            text = _blank(text[: end + 4]) + text[end + 4 :]
    parts, at = [], 0
    while match := _FENCE.search(text, at):
        fence = match[1]
        closing = re.compile(rf"^[ \t>]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.M)
        closed = closing.search(text, match.end())
        stop = closed.end() if closed else len(text)
        body = text[match.end() : closed.start() if closed else stop]
        parts.append(text[at : match.start()])
        if match[2] == "math":
            parts.append(f"$${body}$$")
        else:
            parts.append(_blank(text[match.start() : stop]))
        at = stop
    text = "".join([*parts, text[at:]])
    text = _INLINE_CODE.sub(lambda m: _blank(m[0]), text)
    return _without_comments(text)


def _without_comments(text: str) -> str:
    parts, at = [], 0
    while match := _HTML_COMMENT.search(text, at):
        end = text.find("-->", match.end())
        if end < 0:
            break
        parts += [text[at : match.start()], _blank(text[match.start() : end + 3])]
        at = end + 3
    return "".join([*parts, text[at:]])


def _headings(text: str, kind: str) -> list[tuple[int, int, int, str]]:
    """(begin, end, level, title) of every heading, in order."""
    found = [(m.start(), m.end(), len(m[1]), _title(m[2])) for m in _ATX.finditer(text)]
    for m in _SETEXT.finditer(text):
        title = m[1].strip()
        if len(m[2]) >= 3 and "$" not in title and not title.startswith(("#", "-", "*", ">", "|")):
            found.append((m.start(), m.end(), 1 if m[2][0] == "=" else 2, _title(title)))
    return sorted(found)


def _title(text: str) -> str:
    return text.strip().strip("*_").strip()


def _math(text: str) -> Iterator[tuple[int, int, int, int, bool]]:
    """(begin, end, begin of the content, its end, display) of every formula."""
    at, missing = 0, set()
    while match := _MATH_OPENS.search(text, at):
        opens = match[0]
        at = match.end()
        inside = at
        if match[1]:
            close = rf"\end{{{match[1]}{match[2]}}}"
        elif opens == "$":
            stop = _dollar(text, at)
            if stop >= 0:
                yield match.start(), stop + 1, inside, stop, False
                at = stop + 1
            continue
        elif opens in _CLOSES:
            close = _CLOSES[opens]
        else:  # an escaped character
            continue
        stop = -1 if close in missing else text.find(close, at)
        if stop < 0:
            missing.add(close)
            continue
        at = stop + len(close)
        if match[1]:
            display = match[1] != "math"
        else:
            display = opens == "\\[" or (opens == "$$" and _alone(text, match.start(), at))
        yield match.start(), at, inside, stop, display


def _alone(text: str, begin: int, end: int) -> bool:
    """Whether a formula between double dollars has its lines for itself (some use them inline)."""
    before = text[text.rfind("\n", 0, begin) + 1 : begin]
    newline = text.find("\n", end)
    after = text[end : newline if newline >= 0 else len(text)]
    return not before.strip(" \t>*-") and not after.strip(" \t.,;:")


def _dollar(text: str, at: int) -> int:
    """Where the formula that a dollar sign before `at` opens ends; -1 if it opens none."""
    if text[at : at + 1].isspace():
        return -1
    end = text.find("\n\n", at, at + LONGEST_INLINE)
    end = end if end >= 0 else min(len(text), at + LONGEST_INLINE)
    stop = at
    while (stop := text.find("$", stop, end)) >= 0:
        if text[stop - 1] != "\\":
            money = text[stop - 1].isspace() or text[stop + 1 : stop + 2].isdigit() or stop == at
            return -1 if money else stop
        stop += 1
    return -1


_PREPARED: dict[str, Callable[[str], str]] = {
    "markdown": _without_code,
    "latex": latex.plain,
    "text": str,
}
_WORDS = re.compile(r"[A-Za-z]{3,}[ ,]+[A-Za-z]{3,}")
_LIST_MARK = re.compile(r"[ \t]*(?:[-*•>]|\(?\d+[.)]|\([a-z]\))?[ \t]*")


def _plain_lines(text: str) -> Iterator[tuple[int, int, int, int, bool]]:
    """Lines of a plain text that are equations: they hold '=' and no running words."""
    begin = 0
    for line in text.split("\n"):
        mark = _LIST_MARK.match(line)
        assert mark is not None
        inside = begin + mark.end()
        body = line[mark.end() :].rstrip(" .,;")
        if re.search(r"[=←]", body) and not _WORDS.search(body) and re.search(r"[^=\-]", body):
            yield begin, begin + len(line), inside, inside + len(body), True
        begin += len(line) + 1


def _sections(
    text: str,
    headings: list[tuple[int, int, int, str]],
    spans: list[tuple[int, int, int, int, bool]],
) -> Iterator[Section]:
    starts = [0, *(m.start() + 1 for m in re.finditer("\n", text))]
    outer: list[tuple[int, str]] = []
    edges = [(0, 0, 0, ""), *headings]
    ends = [h[0] for h in headings] + [len(text)]
    index = 0
    for (begin, after, level, title), end in zip(edges, ends, strict=True):
        if level:
            outer = [*(o for o in outer if o[0] < level), (level, title)]
        line = bisect_right(starts, begin)
        section = Section(tuple(t for _, t in outer), level, line if level else 1)
        prose, at = [], after
        while index < len(spans) and spans[index][0] < end:
            opens, closes, inside, stop, display = spans[index]
            index += 1
            if opens < after:
                continue  # a formula in a heading
            body = text[inside:stop]
            section.formulas.append(Formula(body, bisect_right(starts, inside), display))
            shown = _blank(text[opens:closes]) if display else f"${body}$"
            prose += [text[at:opens], shown]
            at = closes
        section.prose = "".join([*prose, text[at:end]])
        yield section
