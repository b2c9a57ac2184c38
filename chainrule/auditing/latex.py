r"""What is particular to LaTeX documents: comments, sections, and macros of the author's own.

Macros are expanded as text, within limits: ``\newcommand{\dd}[2]{\frac{\partial #1}{\partial #2}}``
is how derivations are usually written.
"""

from __future__ import annotations

import re

from chainrule.errors import DataError

MOST_MACROS = 500
MOST_EXPANSIONS = 20_000
MOST_ROUNDS = 8  # how deep macros may use one another
GROWTH = 8  # times its length, and as many thousand characters, may a text grow by its macros

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*")
_VERBATIM = re.compile(r"\\begin\{(verbatim|lstlisting|minted|comment|Verbatim)\*?\}")
_SECTION = re.compile(r"\\(chapter|section|subsection|subsubsection|paragraph)\*?[ \t]*\{")
_LEVELS = {"chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
_DEFINES = re.compile(
    r"\\(?:newcommand|renewcommand|providecommand|DeclareMathOperator)(\*?)[ \t]*"
    r"(?:\{[ \t]*(\\[A-Za-z]+)[ \t]*\}|(\\[A-Za-z]+))[ \t]*(?:\[(\d)\])?[ \t]*\{"
    r"|\\def[ \t]*(\\[A-Za-z]+)[ \t]*((?:\#\d)*)[ \t]*\{"
)
_CONTROL = re.compile(r"\\[A-Za-z]+")


def plain(text: str) -> str:
    r"""The text without comments, verbatim parts and preamble, its macros expanded.

    Raises:
        DataError: macros that grow without end.

    >>> print(plain("\\newcommand{\\dd}[1]{\\partial #1}\n$\\dd{x}$ % why"))
    <BLANKLINE>
    $\partial {x}$
    """
    text = _COMMENT.sub(r"\1", text)
    text = _without_verbatim(text)
    text, macros = _definitions(text)
    begin = text.find(r"\begin{document}")
    if begin >= 0:
        end = text.find(r"\end{document}", begin)
        head = begin + len(r"\begin{document}")
        text = "\n" * text.count("\n", 0, head) + text[head : end if end >= 0 else len(text)]
    return _expand(text, macros) if macros else text


def headings(text: str) -> list[tuple[int, int, int, str]]:
    """(begin, end, level, title) of every section command, in order."""
    found = []
    for match in _SECTION.finditer(text):
        end = group_end(text, match.end() - 1)
        if end > 0:
            title = " ".join(text[match.end() : end - 1].split())
            found.append((match.start(), end, _LEVELS[match[1]], title))
    return found


def group_end(text: str, at: int, most: int = 20_000) -> int:
    """The place after the brace that closes the one at `at`; 0 if there is none near."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.S).finditer(text, at, at + most):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return match.end()
    return 0


def _without_verbatim(text: str) -> str:
    parts, at = [], 0
    while match := _VERBATIM.search(text, at):
        end = text.find(rf"\end{{{match[1]}", match.end())
        end = end if end >= 0 else len(text)
        parts += [text[at : match.start()], "\n" * text.count("\n", match.start(), end)]
        at = end
    return "".join([*parts, text[at:]])


def _definitions(text: str) -> tuple[str, dict[str, tuple[int, str]]]:
    """The text without the definitions of macros, and these: how many arguments, what they are."""
    parts: list[str] = []
    at = 0
    macros: dict[str, tuple[int, str]] = {}
    while match := _DEFINES.search(text, at):
        end = group_end(text, match.end() - 1)
        if not end:
            parts.append(text[at : match.end()])
            at = match.end()
            continue
        name = match[2] or match[3] or match[5]
        body = " ".join(text[match.end() : end - 1].split("\n"))
        if match[0].startswith(r"\DeclareMathOperator"):
            body = rf"\operatorname{{{body}}}"
        count = int(match[4] or len(match[6] or "") // 2)
        if len(macros) < MOST_MACROS:
            macros[name] = (count, body)
        parts += [text[at : match.start()], "\n" * text.count("\n", match.start(), end)]
        at = end
    return "".join([*parts, text[at:]]), macros


def _expand(text: str, macros: dict[str, tuple[int, str]]) -> str:
    most = GROWTH * (len(text) + 1000)
    for _ in range(MOST_ROUNDS):
        parts, at, used = [], 0, 0
        for match in _CONTROL.finditer(text):
            if match.start() < at or match[0] not in macros:
                continue
            used += 1
            count, body = macros[match[0]]
            arguments, end = _arguments(text, match.end(), count)
            for i, argument in enumerate(arguments, 1):
                body = body.replace(f"#{i}", argument)
            parts += [text[at : match.start()], body]
            at = end
            if used > MOST_EXPANSIONS or sum(map(len, parts[-2:])) > most:
                raise DataError("its macros grow without end", where="LaTeX")
        if not used:
            return text
        text = "".join([*parts, text[at:]])
        if len(text) > most:
            raise DataError("its macros grow without end", where="LaTeX")
    return text


def _arguments(text: str, at: int, count: int) -> tuple[list[str], int]:
    found: list[str] = []
    for _ in range(count):
        while text[at : at + 1].isspace():
            at += 1
        if text[at : at + 1] == "{":
            end = group_end(text, at)
            if not end:
                break
            found.append("{" + text[at + 1 : end - 1] + "}")
            at = end
        elif (control := _CONTROL.match(text, at)) is not None:
            found.append(control[0])
            at = control.end()
        else:
            found.append(text[at : at + 1])
            at += 1
    return found, at
