"""What a problem is made of: parts that ask for a formula, a number or a shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from chainrule.exercises.network import Network

Own = Mapping[str, Fraction]
"""Numbers by the label of the part that asks for them."""


@dataclass(frozen=True)
class Formula:
    """Asks for ∂L/∂value as a formula.

    Attributes:
        ask: the question, Markdown.
        points: how many it is worth.
        of: the value.
        follows: the value of an earlier part on whose derivative this one builds; "" for none.
        answer: one right answer, LaTeX.
        only: the names that the answer may contain; () for all.
        solution: Markdown in place of the derivation line by line.
    """

    ask: str
    points: int
    of: str
    answer: str
    follows: str = ""
    only: tuple[str, ...] = ()
    solution: str = ""


@dataclass(frozen=True)
class Slip:
    """A number that a well-known mistake leads to, and what the mistake is."""

    value: Callable[[Own], Fraction]
    says: str


@dataclass(frozen=True)
class Value:
    """Asks for a number.

    Attributes:
        ask: the question, Markdown.
        points: how many it is worth.
        value: what is right, from the numbers of the parts before.
        solution: Markdown.
        places: decimals that are asked for; None if the number is to be exact.
        slips: what mistakes lead to.
    """

    ask: str
    points: int
    value: Callable[[Own], Fraction]
    solution: str
    places: int | None = None
    slips: Sequence[Slip] = ()


@dataclass(frozen=True)
class Shape:
    """Asks for a shape.

    Attributes:
        ask: the question, Markdown.
        points: how many it is worth.
        shape: what is right.
        solution: Markdown.
    """

    ask: str
    points: int
    shape: tuple[int, ...]
    solution: str


Part = Formula | Value | Shape


@dataclass(frozen=True)
class Problem:
    """A problem.

    Attributes:
        title: a few words.
        text: what is given, Markdown.
        parts: the questions.
        network: what formulas are about; None if none is asked for.
    """

    title: str
    text: str
    parts: tuple[Part, ...]
    network: Network | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """(a), (b), … without brackets."""
        return tuple("abcdefghijkl"[: len(self.parts)])

    @property
    def numbers(self) -> dict[str, Fraction]:
        """The right numbers by label."""
        found: dict[str, Fraction] = {}
        for label, part in zip(self.labels, self.parts, strict=True):
            if isinstance(part, Value):
                found[label] = part.value(found)
        return found
