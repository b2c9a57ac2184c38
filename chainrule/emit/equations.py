"""The equations of both passes, as LaTeX, plain text, or for a notebook."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from chainrule.emit.chain import chain_lines, derivative
from chainrule.emit.index import indexed
from chainrule.emit.outputs import by_output
from chainrule.emit.plain import plain, plain_indices
from chainrule.emit.tex import Printer, Tex, label, orientations
from chainrule.errors import ParameterError, did_you_mean
from chainrule.expr import Expr
from chainrule.plan.derived import Derived
from chainrule.plan.program import LEAVES, program

LONGEST = 12  # symbols on the right of one equation; a longer one is split at named values
DEEPEST = 24  # nested operations without a name before one gets a line of its own
NOTATIONS = ("matrix", "index", "chain", "outputs")
WIDTH = 78  # columns of text, where a line may go on below
LOSS = r"\mathcal{L}"


@dataclass(frozen=True)
class Equations:
    """Lines ``left &= right`` of both passes.

    Attributes:
        notes: what must be known to read them, in plain words.
        in_words: how one line looks in a terminal.
        width: lines of text longer than this go on below, from one = to the next.
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...]
    notes: tuple[str, ...] = ()
    in_words: Callable[[str], str] = plain
    width: int | None = None

    def latex(self) -> str:
        """Two align environments under the headings of the two passes."""
        notes = [f"% {note}" for note in self.notes]
        passes = [f"% {title}\n{align(lines)}" for title, lines in self._passes()]
        return "\n\n".join([*passes, *(["\n".join(notes)] if notes else [])])

    def notebook(self) -> str:
        """LaTeX that a notebook shows."""
        return "\n\n".join(aligned(lines) for _, lines in self._passes())

    def html(self) -> str:
        """The same under headings; a page with MathJax typesets what stands between $$."""
        return "".join(
            f"<h4>{title}</h4><div>{html.escape(aligned(lines))}</div>"
            for title, lines in self._passes()
        )

    def text(self) -> str:
        """Plain characters, for a terminal."""
        sections = [
            f"{title}\n" + "\n".join(f"  {self._words(line)}" for line in lines)
            for title, lines in self._passes()
        ]
        notes = [textwrap.fill(note, WIDTH) for note in self.notes]
        return "\n\n".join([*sections, *(["\n".join(notes)] if notes else [])])

    def _words(self, line: str) -> str:
        text = self.in_words(line)
        left, *rights = rights_of(text)
        if self.width is None or len(text) + 2 <= self.width or len(rights) < 2:
            return text
        return f"{left} = " + f"\n{' ' * (len(left) + 2)} = ".join(rights)

    def _passes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        if self.forward:
            yield "Forward Propagation", self.forward
        yield "Backward Propagation", self.backward


def align(lines: Iterable[str]) -> str:
    """Equations one below the other, for a document."""
    body = "\\\\\n".join(f"\t{line}" for line in lines)
    return f"\\begin{{align}}\n{body}\n\\end{{align}}"


def aligned(lines: Iterable[str]) -> str:
    """The same for a page that MathJax typesets."""
    return "$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$"


def refuse_unknown(notation: str) -> None:
    """Raise a ParameterError unless there is such a notation."""
    if notation not in NOTATIONS:
        hint = did_you_mean(notation, NOTATIONS) or f"There are: {', '.join(NOTATIONS)}"
        raise ParameterError(f"notation {notation!r} is not known", hint=hint)


def equations(found: Derived, notation: str = "matrix") -> Equations:
    """Both passes of a derivation.

    Raises:
        ParameterError: the notation is unknown, or the network cannot be written in it ("chain"
            where a value has axes, "index" where an operation moves entries about).
        GraphError: "outputs" where the cost is not a sum over examples.
    """
    refuse_unknown(notation)
    if notation in ("index", "outputs"):
        lines = indexed(found) if notation == "index" else by_output(found)
        return Equations(lines.forward, lines.backward, lines.notes, plain_indices, WIDTH)
    printer = Printer(*names_of(found))
    forward = tuple(f"{left} &= {right}" for left, right in forward_pass(found, printer))
    if notation == "chain":
        return Equations(forward, tuple(chain_lines(found, printer)), width=WIDTH)
    backward = (f"{left} &= {text.text}" for left, _, text in written(found, printer))
    return Equations(forward, tuple(backward))


def only(found: Derived, name: str, notation: str = "matrix") -> str:
    """The line for the derivative with respect to one input.

    Raises:
        ParameterError: it was not derived.
    """
    if name not in found.grads:
        hint = did_you_mean(name, found.grads) or f"There are: {', '.join(found.grads)}"
        raise ParameterError(f"no derivative with respect to {name!r}", hint=hint)
    lines = equations(found, notation).backward
    if notation in ("index", "outputs"):
        form = indexed(found) if notation == "index" else by_output(found)
        wanted = next(e.tex for e in form.entries if e.name == f"d{name}")
        starts = (f"{wanted} &=", f"-{wanted} &=")
        return next(line for line in lines if line.startswith(starts))
    start = f"{partial(name, notation)} &="
    alone = f"{start} {Printer(*names_of(found)).tex(found.grads[name]).text}"
    return next((line for line in lines if line.startswith(start)), alone)


def partial(name: str, notation: str = "matrix") -> str:
    """∂L/∂name; dL/dname where everything is a number."""
    return (
        derivative(label(name))
        if notation == "chain"
        else rf"\frac{{\partial{LOSS}}}{{\partial {label(name)}}}"
    )


def names_of(found: Derived) -> tuple[dict[Expr, str], dict[str, str]]:
    """What a `Printer` of these equations takes: names of forward values, places of axes."""
    names = {expr: label(name) for expr, name in found.names.items() if expr is not found.value}
    return names, orientations([found.value, *found.names])


def forward_pass(found: Derived, printer: Printer) -> Iterator[tuple[str, str]]:
    """The lines of the forward pass: symbol, and how its value is written.

    From then on the printer knows the names that were given to deep values without one.
    """
    named = {e: n for e, n in found.names.items() if e.op not in LEAVES and e is not found.value}
    outputs = {"": found.value, **{n: e for e, n in named.items()}}
    for line in program("", (), outputs, named, DEEPEST, share=False).lines:
        if line.value is not found.value:
            yield label(line.name), printer.definition(line.value).text
            printer.names.setdefault(line.value, label(line.name))
    yield LOSS, printer.definition(found.value).text


def written(found: Derived, printer: Printer) -> Iterator[tuple[str, Expr, Tex]]:
    """The lines of the backward pass: symbol, value, and how it is written.

    Where a line is printed the printer knows the symbols of all lines before it.
    """
    if all(symbols(e, printer) <= LONGEST for e in found.grads.values()):
        for name, expr in found.grads.items():
            yield partial(name), expr, printer.definition(expr)
        return
    wanted = {
        e: partial(n)
        for derivatives in (found.cotangents, found.grads)
        for n, e in derivatives.items()
        if e.op not in LEAVES and e not in printer.names
    }
    lines = program("", (), found.grads, {**found.names, **wanted}, DEEPEST, share=False).lines
    for line in lines:
        if line.value not in printer.names:
            symbol = wanted.get(line.value, label(line.name))
            yield symbol, line.value, printer.definition(line.value)
            printer.names[line.value] = symbol
    # a derivative that is a value of the forward pass, a number, or that of another parameter
    for name, expr in found.grads.items():
        if wanted.get(expr) != partial(name):
            yield partial(name), expr, printer.tex(expr)


def rights_of(text: str) -> list[str]:
    """The parts of an equation between = signs, not those in brackets: a = [b = c] + d."""
    parts, depth = [""], 0
    for piece in re.split(r"( = |[\[\](){}])", text):
        depth += {"[": 1, "(": 1, "{": 1, "]": -1, ")": -1, "}": -1}.get(piece, 0)
        if piece == " = " and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def symbols(expr: Expr, printer: Printer) -> int:
    """How many names and numbers an equation has; counting stops beyond `LONGEST`."""
    count, todo = 0, [expr]
    while todo and count <= LONGEST:
        node = todo.pop()
        if (node in printer.names and node is not expr) or node.op in LEAVES:
            count += 1
        else:
            todo.extend(node.inputs)
    return count
