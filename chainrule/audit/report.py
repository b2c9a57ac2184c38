"""What an audit found, equation by equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chainrule.audit.rows import Equation

if TYPE_CHECKING:
    from chainrule.audit.check import Checked
    from chainrule.audit.statements import Statement


@dataclass(frozen=True)
class Finding:
    """One equation and what became of it.

    Attributes:
        equation: as written.
        kind: "forward", "gradient" or "other".
        status: "correct", "wrong", "not interpreted", or "used" for what defines the model.
        reason: why.
        example: for a wrong equation, numbers at which its two sides differ.
        diagnosis: what the mistake is.
        right: the right form.
        notes: what had to be assumed.
    """

    equation: Equation
    kind: str
    status: str
    reason: str
    example: str = ""
    diagnosis: str = ""
    right: str = ""
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
        """Plain values."""
        plain = asdict(self)
        del plain["equation"]
        return {"line": self.line, "equation": self.text, **plain, "notes": list(self.notes)}


@dataclass(frozen=True)
class ModelFound:
    """A model that the document states.

    Attributes:
        title: of the part of the document in which it stands.
        lines: (line, equation) of its definitions, each after those it uses.
        shapes: of its symbols, as rows×columns.
    """

    title: str
    lines: tuple[tuple[int, str], ...]
    shapes: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, checked: Checked, statements: Sequence[Statement]) -> ModelFound:
        """The model of a checked part."""
        model = checked.model
        lines = {}
        for d in model.definitions.values():
            lines[d.place] = (d.line, statements[d.place].equation.text if d.place >= 0 else d.text)
        shapes: tuple[tuple[str, str], ...] = ()
        if checked.numbers is not None:
            found = checked.numbers.assignment
            shapes = tuple((k, found.sizes.shown(s)) for k, s in found.shapes.items())
        return cls(model.title, tuple(lines.values()), shapes)


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
        return tuple(e for e in self.equations if e.status == "wrong")

    @property
    def unclear(self) -> tuple[Finding, ...]:
        """The equations that could not be interpreted."""
        return tuple(e for e in self.equations if e.status == "not interpreted")

    @property
    def gradients(self) -> tuple[Finding, ...]:
        """The equations with a derivative on the left."""
        return tuple(e for e in self.equations if e.kind == "gradient")

    def __str__(self) -> str:
        lines = [f"{self.name}: {len(self.models)} models"]
        for m in self.models:
            lines.append(f"  {m.title}: {m.lines} {m.shapes}")
        for e in self.equations:
            lines.append(f"line {e.line}: {e.status} [{e.kind}] {e.text} {e.reason} {e.diagnosis} {e.right} {e.example}")
        return "\n".join([*lines, *self.notes])
