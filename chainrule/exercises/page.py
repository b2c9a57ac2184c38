"""Problems and solutions as Markdown, and answers read from it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from chainrule.derivation import derive
from chainrule.emit.plain import plain
from chainrule.errors import DataError
from chainrule.exercises.parts import Formula, Problem, Shape, Value
from chainrule.exercises.wording import display, gradient, listed
from chainrule.explain.rules import primed

LONGEST_FILE = 200_000  # characters of a file with answers
MOST_ANSWERS = 50
VERSION = 1
HEAD = re.compile(
    r"<!-- chainrule exercise: "
    r"topic=([a-z-]{1,40}) seed=([0-9]{1,18}) level=([0-9]) version=([0-9]{1,6}) -->"
)
ANSWER = re.compile(
    r"[ \t]*(?:\*\*)?Answer[ \t]*\(([^()\n]{1,20})\)[ \t]*:?(?:\*\*)?[ \t]*:?(.*)", re.I
)
_ENDS = re.compile(r"[ \t]*(?:\*\*\([a-z]\)|#|Answer\b|---|<!--)", re.I)
SOLUTION = "## Solution"
LEGEND = "*Below each factor stands its shape; • marks what the forward pass stored.*"
_MATRIX = re.compile(r"(.*?)\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", re.S)


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
    kinds = {type(p) for p in problem.parts}
    said = []
    if Formula in kinds:
        said.append("Write formulas in LaTeX, in plain characters, or as a NumPy expression.")
    if Value in kinds:
        said.append("Write numbers as decimals or fractions.")
    if Shape in kinds:
        said.append("Write shapes as 3 × 4 or (3, 4).")
    used = dict.fromkeys(p.follows for p in problem.parts if isinstance(p, Formula) and p.follows)
    if used and problem.network is not None:
        names = [f"`{problem.network.called(of)}`" for of in used]
        said.append(f"What earlier parts ask for may be used by name: {listed(names)}.")
    return f"*{' '.join(said)}*"


def solution_page(problem: Problem) -> str:
    """The worked solution."""
    blocks = [SOLUTION]
    for label, part in zip(problem.labels, problem.parts, strict=True):
        shown = part.solution or derivation(problem, part)
        blocks += [f"**({label})** {shown}"]
    if any(r"\bullet" in block for block in blocks):
        blocks.append(LEGEND)
    return "\n\n".join(blocks)


def derivation(problem: Problem, part: object) -> str:
    """The derivation of one derivative line by line, each with its rule."""
    assert isinstance(part, Formula)
    network = problem.network
    assert network is not None
    formulas = [p for p in problem.parts if isinstance(p, Formula)]
    inputs = network.definition.inputs  # the first lies below all values
    wrt = part.of if part.of in network.definition.input else inputs[0].name
    steps = derive(network.definition, [wrt]).steps(part.of, spelling="leibniz")
    section = next(s for s in steps.sections if s.of == part.of)
    lines = [(s.written.shaped(), s.rule, s.why_latex) for s in section.steps]
    before = next((p for p in formulas if p.of == part.follows), None)
    if before is not None and before.solution:  # its result has another form than the one there
        kept = [line for line in lines if line[1] != "substitution"]
        put_in = f"with what was found for {gradient(before.of)}."
        lines = [*kept, (part.answer, "substitution", put_in)]
    shown = [f"{section.symbol if not i else ''} &= {line[0]}" for i, line in enumerate(lines)]
    reasons = [f"{i}. *{rule}*: {why}" for i, (_, rule, why) in enumerate(lines, 1)]
    return "\n\n".join([gradient(part.of), display(shown), "\n".join(reasons)])


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
        if block.startswith(("<!--", LEGEND)):
            continue  # nothing stands below factors here
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
    matrix = _MATRIX.fullmatch(inner)
    if matrix:
        return _matrix(matrix[1], matrix[2])
    inner = inner.removeprefix("\\begin{aligned}").removesuffix("\\end{aligned}").strip()
    lines, place = [], 0
    for line in (_plain(x) for x in inner.split("\\\\\n")):
        place = place if line.startswith("=") else max(line.find(" = ") + 1, 0)
        lines.append("    " + " " * (place * line.startswith("=")) + line)
    return "\n".join(lines)


def _matrix(left: str, body: str) -> str:
    """A matrix in square brackets, its columns below one another."""
    rows = [[x.strip() for x in row.split("&")] for row in body.split("\\\\")]
    wide = max(len(x) for row in rows for x in row)
    lines = ["[" + " ".join(x.rjust(wide) for x in row) + "]" for row in rows]
    start = f"    {left.strip()} "
    return "\n".join(f"{start if not i else ' ' * len(start)}{x}" for i, x in enumerate(lines))


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
