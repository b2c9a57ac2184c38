"""Equations in plain characters with a row of shapes beneath them."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.emit.plain import plain, width
from chainrule.explain.rules import primed
from chainrule.explain.writing import Written

STORED = "•"


def rows(written: Written, room: int) -> list[tuple[str, str]]:
    """The equation, and the shapes beneath its factors; broken where it is wider than `room`."""
    lines: list[tuple[str, str]] = []
    upper = lower = ""
    for text, shape in _columns(written):
        wide = max(width(text), width(shape))
        if upper.strip() and width(upper) + wide > room:
            lines.append((upper.rstrip(), lower.rstrip()))
            upper = lower = "  "
            text = text.lstrip() if not shape else text
            wide = max(width(text), width(shape))
        # two shapes never touch
        if shape and lower and not lower.endswith(" ") and width(lower) >= width(upper):
            upper, lower = f"{upper} ", f"{lower} "
        upper += _centred(text, wide)
        lower += _centred(shape, wide)
    return [*lines, (upper.rstrip(), lower.rstrip())]


def _centred(text: str, wide: int) -> str:
    left = (wide - width(text)) // 2
    return " " * left + text + " " * (wide - width(text) - left)


def _columns(written: Written) -> list[tuple[str, str]]:
    """The text cut at its factors: each with its shape, and what stands between them with none.

    The factors are found in the order in which they stand; one that plain characters write
    otherwise than alone gets no shape.
    """
    text = written.text
    found: list[tuple[str, str]] = []
    at = 0
    for factor in written.factors:
        alone = primed(plain(factor.tex))
        start = text.find(alone, at)
        if start < 0 or not alone:
            continue
        shape = primed(plain(factor.shape)).replace(" → ", "→")
        found.append((text[at:start], ""))
        found.append((alone, shape + (STORED if factor.stored else "")))
        at = start + len(alone)
    return [piece for piece in [*found, (text[at:], "")] if piece[0]]


def wrapped(text: str, room: int, indent: str) -> list[str]:
    """A sentence in lines of at most `room` columns."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width(line) + 1 + width(word) > room - len(indent):
            lines.append(indent + line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, indent + line] if line else lines


def beside(left: str, right: str, room: int) -> str:
    """Two texts in one line, the second at its end; nothing of it is lost if there is no room."""
    gap = max(2, room - width(left) - width(right))
    return f"{left}{' ' * gap}{right}" if right else left


def shortened(way: Sequence[str], room: int) -> str:
    """How a value acts on the loss, with … for the values in the middle that have no room."""
    names = [plain(name) for name in way]
    for kept in range(len(names), 1, -1):
        first = max(1, (kept - 1) // 2)
        middle = ["…"] if kept < len(names) else []
        text = " → ".join([*names[:first], *middle, *names[len(names) - (kept - first) :]])
        if width(text) <= room:
            return text
    return ""
