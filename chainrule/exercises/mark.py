"""What an answer is worth, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

RIGHT, PARTLY, WRONG, UNREAD, MISSING = "right", "partly", "wrong", "unread", "missing"
_SAID = {
    RIGHT: "right",
    PARTLY: "partly right",
    WRONG: "wrong",
    UNREAD: "not marked: it cannot be read",
    MISSING: "not answered",
}


@dataclass(frozen=True)
class PartMark:
    """The mark of one part.

    Attributes:
        label: "a", "b", …
        verdict: "right", "partly", "wrong", "unread" or "missing".
        points: what it earns.
        out_of: what it could.
        kind: the mistake, such as "factor"; "" for none.
        says: what is to be said about it.
        answer: what was answered.
    """

    label: str
    verdict: str
    points: int
    out_of: int
    kind: str = ""
    says: str = ""
    answer: str = ""

    def text(self, width: int) -> str:
        """Lines for a terminal."""
        shown = " ".join(self.answer.split())
        cut = shown if len(shown) <= width - 8 else shown[: width - 9] + "…"
        lines = [f"({self.label})  {self.points} of {self.out_of}  {_SAID[self.verdict]}"]
        if cut:
            lines.append(f"     {cut}")
        for line in self.says.splitlines():
            if line.startswith("    "):  # an excerpt with a caret stays as it is
                lines.append(f"     {line[4:]}")
            elif line:
                indent = " " * 5
                lines += textwrap.wrap(line, width, initial_indent=indent, subsequent_indent=indent)
        return "\n".join(lines)


@dataclass(frozen=True)
class Mark:
    """The marks of all parts.

    Attributes:
        title: of the problem.
        parts: one mark for each.
        notes: what is worth knowing besides, such as answers to parts that there are not.
    """

    title: str
    parts: tuple[PartMark, ...]
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """What was earned."""
        return sum(p.points for p in self.parts)

    @property
    def out_of(self) -> int:
        """What could have been."""
        return sum(p.out_of for p in self.parts)

    @property
    def ok(self) -> bool:
        """Whether everything is right."""
        return all(p.verdict == RIGHT for p in self.parts)

    def __getitem__(self, label: str) -> PartMark:
        """The mark of one part.

        Raises:
            KeyError: there is no such part.
        """
        found: Mapping[str, PartMark] = {p.label: p for p in self.parts}
        return found[label]

    def text(self, width: int = 80) -> str:
        """For a terminal of so many columns."""
        unread = [f"({p.label})" for p in self.parts if p.verdict == UNREAD]
        head = f"{self.title}: {self.points} of {self.out_of} points"
        head += f"; not marked: {', '.join(unread)}" if unread else ""
        return "\n\n".join([head, *(p.text(width) for p in self.parts), *self.notes])

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "title": self.title,
            "points": self.points,
            "out_of": self.out_of,
            "ok": self.ok,
            "parts": [asdict(p) for p in self.parts],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return self.text()
