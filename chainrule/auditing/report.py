"""What an audit found, equation by equation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.auditing.readable import readable
from chainrule.auditing.rows import Equation

FORWARD, GRADIENT, OTHER = "forward", "gradient", "other"
MODEL, CORRECT, WRONG, UNCLEAR = "model", "correct", "wrong", "not interpreted"
_SHOWN = {MODEL: "model", CORRECT: "ok", WRONG: "WRONG", UNCLEAR: "?"}
WIDTH = 100
MOST = 600  # characters of an equation that are shown


@dataclass(frozen=True)
class Finding:
    """One equation and what became of it.

    Attributes:
        equation: as written.
        part: the heading under which it stands.
        kind: "forward" (says what a symbol is), "gradient" (a derivative stands on its left side)
            or "other".
        status: "model" (taken as part of the model), "correct", "wrong" or "not interpreted".
        reason: why it is wrong or not interpreted.
        diagnosis: what the mistake is; "" if no single change mends it.
        right: the right form, as LaTeX.
        example: numbers at which the two sides of a wrong equation differ.
        notes: what had to be assumed.
    """

    equation: Equation
    part: str
    kind: str
    status: str
    reason: str = ""
    diagnosis: str = ""
    right: str = ""
    example: str = ""
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        """Where it stands in the document."""
        return self.equation.line

    @property
    def text(self) -> str:
        """The equation as written, in one line."""
        return self.equation.text

    def json(self) -> dict[str, Any]:
        """The finding as plain values."""
        plain = asdict(self)
        del plain["equation"]
        return {"line": self.line, "equation": self.text, **plain, "notes": list(self.notes)}


@dataclass(frozen=True)
class ModelFound:
    """A model that the document states.

    Attributes:
        title: the heading of the part of the document in which it stands.
        equations: (line, equation) of its definitions, each after those that it uses; line 0 for
            what no equation says.
        shapes: (symbol, rows×columns) of its symbols; a dot for a size without a name.
        assumed: definitions that stand in words only, and why they are taken to be so.
    """

    title: str
    equations: tuple[tuple[int, str], ...]
    shapes: tuple[tuple[str, str], ...]
    assumed: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """The model as plain values."""
        lines = [{"line": line, "equation": text} for line, text in self.equations]
        return {
            "title": self.title,
            "equations": lines,
            "shapes": dict(self.shapes),
            "assumed": list(self.assumed),
        }


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        name: of the document.
        models: those that it states.
        equations: every equation, in the order of the document.
        notes: what had to be assumed.
    """

    name: str
    models: tuple[ModelFound, ...]
    equations: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The equations that are wrong."""
        return tuple(e for e in self.equations if e.status == WRONG)

    @property
    def unclear(self) -> tuple[Finding, ...]:
        """The equations that could not be interpreted."""
        return tuple(e for e in self.equations if e.status == UNCLEAR)

    @property
    def gradients(self) -> tuple[Finding, ...]:
        """The equations with a derivative on the left."""
        return tuple(e for e in self.equations if e.kind == GRADIENT)

    def json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "name": self.name,
            "ok": self.ok,
            "models": [model.json() for model in self.models],
            "equations": [finding.json() for finding in self.equations],
            "notes": list(self.notes),
        }

    def text(self, width: int = WIDTH) -> str:
        """The report for a terminal of so many columns."""
        return "\n".join(self._lines(width))

    def __str__(self) -> str:
        return self.text()

    def _lines(self, width: int) -> Iterator[str]:
        yield from _wrapped(f"{self.name}: {self.summary}", width, "", "  ")
        part = None
        for finding in self.equations:
            if finding.part != part:
                part = finding.part
                yield ""
                yield part or "(before any heading)"
                yield from self._about(part, width)
            yield from _row(finding, width)
        if self.notes:
            yield ""
            for note in self.notes:
                yield from textwrap.wrap(f"Note: {note}.", width, subsequent_indent="      ")

    @property
    def summary(self) -> str:
        """How much was found, in one line."""
        if not self.equations:
            return "no equations found"
        counts = [counted(len(self.models), "model")]
        checked = [e for e in self.gradients if e.status in (CORRECT, WRONG)]
        good = sum(e.status == CORRECT for e in checked)
        counts.append(f"{counted(len(self.gradients), 'gradient equation')}, {good} correct")
        others = [e for e in self.equations if e.kind != GRADIENT and e.status == CORRECT]
        if others:
            counts.append(f"{counted(len(others), 'other equation')} correct")
        counts.append(f"{len(self.wrong)} wrong")
        counts.append(f"{len(self.unclear)} not interpreted")
        return "; ".join(counts)

    def _about(self, part: str, width: int) -> Iterator[str]:
        for model in self.models:
            if model.title != part:
                continue
            by_shape: dict[str, list[str]] = {}
            for symbol, shape in model.shapes:
                by_shape.setdefault(shape, []).append(symbol)
            said = [
                f"{', '.join(symbols)}: {'number' if shape == '1×1' else shape}"
                for shape, symbols in by_shape.items()
            ]
            if said:
                yield from _wrapped(f"shapes   {'; '.join(said)}", width, " " * 6, " " * 15)
            for assumed in model.assumed:
                yield from _wrapped(f"assumed  {assumed}", width, " " * 6, " " * 15)


def counted(number: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _row(finding: Finding, width: int) -> Iterator[str]:
    indent = " " * 15
    head = f"{finding.line:>5} {_SHOWN[finding.status]:<8} "
    text = finding.text if len(finding.text) <= MOST else finding.text[:MOST] + " …"
    yield from _wrapped(readable(text), width, head, indent)
    if finding.status == WRONG:
        if finding.diagnosis:
            yield from _wrapped(
                f"{readable(finding.diagnosis)}", width, indent + "→ ", indent + "  "
            )
            if finding.reason.startswith("shapes"):
                yield from _wrapped(finding.reason, width, indent + "  ", indent + "  ")
        else:
            yield from _wrapped(finding.reason, width, indent + "→ ", indent + "  ")
        if finding.right:
            right = readable(finding.right)
            yield from _wrapped(f"right: {right}", width, indent + "  ", indent + "  ")
            if right != finding.right:
                yield from _wrapped(f"LaTeX: {finding.right}", width, indent + "  ", indent + "  ")
        if finding.example:
            yield from _wrapped(f"e.g. {finding.example}", width, indent + "  ", indent + "  ")
    elif finding.reason and (finding.status == UNCLEAR or finding.kind != FORWARD):
        yield from _wrapped(finding.reason, width, indent, indent)
    for note in finding.notes:
        yield from _wrapped(note, width, indent, indent)


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
