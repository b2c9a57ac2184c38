"""Problems and solutions as Markdown, and answers read from it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from chainrule.emit.plain import plain
from chainrule.errors import DataError
from chainrule.exercises.parts import Formula, Problem
from chainrule.exercises.wording import display, gradient
from chainrule.explain.rules import primed

LONGEST_FILE = 200_000  # characters of a file with answers
MOST_ANSWERS = 50
VERSION = 1
HEAD = re.compile(
    r"<!-- chainrule exercise: topic=([a-z-]{1,40}) seed=(\d{1,18}) level=(\d) version=(\d{1,6}) -->"
)
ANSWER = re.compile(
    r"[ \t]*(?:\*\*)?Answer[ \t]*\(([^()\n]{1,20})\)[ \t]*:?(?:\*\*)?[ \t]*:?(.*)", re.I
)
_ENDS = re.compile(r"[ \t]*(?:\*\*\([a-z]\)|#|Answer\b|---|<!--)", re.I)
SOLUTION = "## Solution"


def head(topic: str, seed: int, level: int) -> str:
    """The line from which a problem is made again."""
    return f"<!-- chainrule exercise: topic={topic} seed={seed} level={level} version={VERSION} -->"


def problem_page(problem: Problem, first: str) -> str:
    """The problem, with a place for each answer."""
    blocks = [first, f"# {problem.title}", problem.text]
    for label, part in zip(problem.labels, problem.parts, strict=True):
        points = f"{part.points} point{'s' * (part.points != 1)}"
        blocks += [f"**({label})** {part.ask} *({points})*", f"Answer ({label}):"]
    return "\n\n".join([*blocks, hint(problem)])


def hint(problem: Problem) -> str:
    """How answers may be written."""
    formulas = [p for p in problem.parts if isinstance(p, Formula)]
    if not formulas:
        return "*Write numbers as decimals or fractions.*"
    said = "Write formulas in LaTeX, in plain characters, or as a NumPy expression."
    if len(formulas) > 1:
        of = formulas[0].of
        said += (
            f" What an earlier part asks for may be used by its name: `d{of}` is {gradient(of)}."
        )
    return f"*{said}*"


def solution_page(problem: Problem) -> str:
    """The worked solution."""
    blocks = [SOLUTION]
    for label, part in zip(problem.labels, problem.parts, strict=True):
        shown = part.solution or derivation(problem, part)
        blocks += [f"**({label})** {shown}"]
    return "\n\n".join(blocks)


def derivation(problem: Problem, part: object) -> str:
    """The derivation of one derivative line by line, each with its rule."""
    assert isinstance(part, Formula)
    assert problem.network is not None
    steps = problem.network.derivation.steps(part.of, spelling="leibniz")
    section = next(s for s in steps.sections if s.of == part.of)
    lines = []
    for step in section.steps:
        left = section.symbol if step.number == 1 else ""
        lines.append(f"{left} &= {step.written.shaped()}")
    reasons = [f"{s.number}. *{s.rule}*: {s.why_latex}" for s in section.steps]
    return "\n\n".join([gradient(part.of), display(lines), "\n".join(reasons)])


def answers_in(text: str) -> dict[str, str]:
    """What stands after ``Answer (a):`` and so on: the rest of the line, and lines that follow.

    Raises:
        DataError: the text is too long, or a part is answered twice.
    """
    if len(text) > LONGEST_FILE:
        raise DataError(f"the file has {len(text)} characters, at most {LONGEST_FILE} are read")
    lines = text.split("\n")
    found: dict[str, str] = {}
    for i, line in enumerate(lines):
        if line.strip() == SOLUTION:
            break
        match = ANSWER.fullmatch(line.rstrip("\r"))
        if match is None:
            continue
        label = match[1].strip().lower()
        if label in found:
            raise DataError(f"part ({label}) is answered twice", where=f"line {i + 1}")
        if len(found) == MOST_ANSWERS:
            raise DataError(f"more than {MOST_ANSWERS} answers", where=f"line {i + 1}")
        found[label] = "\n".join([match[2].strip(), *_more(lines, i + 1, match[2])]).strip()
    return found


def _more(lines: list[str], start: int, first: str) -> Iterator[str]:
    """The lines below that belong to an answer: up to an empty one, or to the next heading."""
    begun = bool(first.strip())
    for line in lines[start:]:
        if _ENDS.match(line) or (line.startswith("*") and line.rstrip().endswith("*")):
            return
        if line.strip():
            begun = True
            yield line.strip()
        elif begun:
            return


def as_text(page: str, width: int = 80) -> str:
    """A page in plain characters, for a terminal."""
    out: list[str] = []
    for block in re.split(r"\n{2,}", page):
        if block.startswith("<!--"):
            continue
        if block.startswith("$$"):
            out.append(_display(block))
        elif block.startswith("#"):
            title = _inline(block.lstrip("# "))
            out.append(f"{title}\n{'=' * len(title)}")
        else:
            lines = block.split("\n") if re.match(r"\d+\. ", block) else [block]
            out.append("\n".join(textwrap.fill(_inline(x), width) for x in lines))
    return "\n\n".join(out)


def _display(block: str) -> str:
    """The lines of a display, their "=" below one another."""
    inner = block.removeprefix("$$").removesuffix("$$").strip()
    inner = inner.removeprefix("\\begin{aligned}").removesuffix("\\end{aligned}").strip()
    lines, place = [], 0
    for line in (_plain(x) for x in inner.split("\\\\\n")):
        place = place if line.startswith("=") else max(line.find(" = ") + 1, 0)
        lines.append("    " + " " * (place * line.startswith("=")) + line)
    return "\n".join(lines)


def _inline(text: str) -> str:
    text = re.sub(r"\$([^$]+)\$", lambda m: _plain(m[1]), text.replace("\n", " "))
    return re.sub(r"\*\*(.+?)\*\*|(?<!\w)\*(\S.*?)\*(?!\w)|`([^`]+)`", _unmarked, text)


def _unmarked(match: re.Match[str]) -> str:
    return match[1] or match[2] or match[3]


def _plain(formula: str) -> str:
    return primed(plain(without_shapes(formula.strip()))).strip()


def without_shapes(formula: str) -> str:
    r"""A formula without what stands beneath its factors.

    >>> without_shapes(r"\underset{k \times m}{A^{T}} \odot B")
    'A^{T} \\odot B'
    """
    mark = "\\underset{"
    while mark in formula:
        start = formula.index(mark)
        below = _closing(formula, start + len(mark) - 1)
        end = _closing(formula, below + 1)
        formula = formula[:start] + formula[below + 2 : end] + formula[end + 1 :]
    return formula


def _closing(text: str, start: int) -> int:
    """Where the brace that opens at `start` closes."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if not depth:
            return place
    return len(text)
