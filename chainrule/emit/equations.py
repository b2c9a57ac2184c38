"""The equations of both passes, as LaTeX, plain text, or for a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.emit.chain import chain_lines, derivative
from chainrule.emit.plain import plain
from chainrule.emit.tex import Printer, Tex, label, orientations
from chainrule.errors import ParameterError, did_you_mean
from chainrule.expr import Expr
from chainrule.plan.derived import Derived
from chainrule.plan.program import LEAVES, program

LONGEST = 12  # symbols on the right of one equation; a longer one is split at named values
DEEPEST = 24  # nested operations without a name before one gets a line of its own
NOTATIONS = ("matrix", "chain")
LOSS = r"\mathcal{L}"


@dataclass(frozen=True)
class Equations:
    """Lines ``left &= right`` of both passes."""

    forward: tuple[str, ...]
    backward: tuple[str, ...]

    def latex(self) -> str:
        """Two align environments under the headings of the two passes."""
        return "\n\n".join(f"% {title}\n{_align(lines)}" for title, lines in self._passes())

    def notebook(self) -> str:
        """LaTeX that a notebook shows."""
        return "\n\n".join(_aligned(lines) for _, lines in self._passes())

    def html(self) -> str:
        """The same under headings; a page with MathJax typesets what stands between $$."""
        return "".join(
            f"<h4>{title}</h4><div>{html.escape(_aligned(lines))}</div>"
            for title, lines in self._passes()
        )

    def text(self) -> str:
        """Plain characters, for a terminal."""
        sections = (
            f"{title}\n" + "\n".join(f"  {plain(line)}" for line in lines)
            for title, lines in self._passes()
        )
        return "\n\n".join(sections)

    def _passes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        if self.forward:
            yield "Forward Propagation", self.forward
        yield "Backward Propagation", self.backward


def _align(lines: tuple[str, ...]) -> str:
    body = "\\\\\n".join(f"\t{line}" for line in lines)
    return f"\\begin{{align}}\n{body}\n\\end{{align}}"


def _aligned(lines: tuple[str, ...]) -> str:
    return "$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$"


def equations(found: Derived, notation: str = "matrix") -> Equations:
    """Both passes of a derivation.

    Raises:
        ParameterError: the notation is unknown, or "chain" is asked for where a value has axes.
    """
    if notation not in NOTATIONS:
        hint = did_you_mean(notation, NOTATIONS) or f"There are: {', '.join(NOTATIONS)}"
        raise ParameterError(f"notation {notation!r} is not known", hint=hint)
    printer = Printer(*names_of(found))
    forward = tuple(f"{left} &= {right}" for left, right in _forward(found, printer))
    if notation == "chain":
        return Equations(forward, tuple(chain_lines(found, printer)))
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
    start = f"{partial(name, notation)} &="
    lines = equations(found, notation).backward
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


def _forward(found: Derived, printer: Printer) -> Iterator[tuple[str, str]]:
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
