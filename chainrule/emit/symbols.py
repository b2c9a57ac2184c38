r"""Symbols with indices: the letter, what stands above it, and a letter for each axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chainrule.emit.tex import label
from chainrule.errors import ParameterError
from chainrule.expr import Axes
from chainrule.ops.record import ATOM, POWER, PRODUCT, SUM

EXAMPLE_LETTER = "i"
LETTERS = "jklprstuvh"  # letters of axes, in the order in which they are given out
SPARE = 4  # letters kept for sums inside sums, if axes have to share the others
FURTHER = tuple(rf"\{name}" for name in ("alpha", "beta", "gamma", "kappa", "lambda", "mu", "nu"))

Scope = Mapping[str, str]
"""The letter of each axis, where an expression stands."""


@dataclass(frozen=True)
class Symbol:
    r"""A value with its indices: w^{(1)}_{jk}.

    Attributes:
        base: the letter or word.
        upper: which one of that name, in parentheses above; "" for none.
        axes: what the indices run over, in the order in which they are written.
        low: write `upper` below: nothing in the network has indices.
    """

    base: str
    upper: str = ""
    axes: Axes = ()
    low: bool = False

    def tex(self, scope: Scope) -> str:
        """The symbol with the letters of `scope`; an axis of one entry has the index 1."""
        indices = run_together(letter_of(axis, scope) for axis in self.axes)
        if self.low:
            return label_below(self.base, self.upper)
        above = f"^{{({self.upper})}}" if self.upper else ""
        return f"{self.base}{above}" + (f"_{{{indices}}}" if indices else "")

    @property
    def binds(self) -> int:
        """A power of it needs parentheses if something stands above already."""
        return POWER if self.upper else ATOM


@dataclass(frozen=True)
class Partial:
    """The derivative of one symbol with respect to another, perhaps negative."""

    of: Symbol
    by: Symbol
    negative: bool = False

    def tex(self, scope: Scope) -> str:
        """∂of/∂by with the letters of `scope`."""
        sign = "-" if self.negative else ""
        return rf"{sign}\frac{{\partial {self.of.tex(scope)}}}{{\partial {self.by.tex(scope)}}}"

    @property
    def axes(self) -> Axes:
        """The axes of both, each once."""
        return tuple(dict.fromkeys((*self.of.axes, *self.by.axes)))

    @property
    def binds(self) -> int:
        """A fraction: fine as a factor, in parentheses below a power; with a sign, as a sum."""
        return SUM if self.negative else PRODUCT


class Shown(Protocol):
    """What stands for a value in an equation."""

    @property
    def binds(self) -> int:
        """How tightly it binds, as in `chainrule.ops.record`."""

    def tex(self, scope: Scope) -> str:
        """The equation with the letters of `scope`."""


def letter_of(axis: str, scope: Scope) -> str:
    """The letter of an axis; 1 for the axis of one entry."""
    return "1" if axis == "1" else scope[axis]


def run_together(indices: Iterable[str]) -> str:
    """Indices side by side, Greek ones kept apart from what follows."""
    return "".join(f"{i} " if i.startswith("\\") else i for i in indices).strip()


def label_below(base: str, below: str) -> str:
    """A name with what distinguishes it as a subscript."""
    if not below:
        return base
    return f"{base}_{below}" if len(below) == 1 else f"{base}_{{{below}}}"


def symbol(name: str, axes: Axes, low: bool = False) -> Symbol:
    r"""The symbol of a name: W_1 → W^{(1)}, with an index for each axis.

    >>> symbol("W_1", ("k", "n")).tex({"k": "j", "n": "k"}), symbol("y_hat", ("m",)).tex({"m": "i"})
    ('W^{(1)}_{jk}', '\\hat{y}_{i}')
    """
    text = label(name)
    base, _, below = text.partition("_")
    if text.startswith(r"\text") or not below:
        return Symbol(text, "", axes, low)
    return Symbol(base, below.removeprefix("{").removesuffix("}"), axes, low)


def letters(
    axes: Iterable[str],
    taken: Iterable[str],
    first: Mapping[str, str],
    meeting: Iterable[Iterable[str]] = (),
) -> tuple[dict[str, str], tuple[str, ...]]:
    """A letter for each axis, and the letters that are left.

    Args:
        axes: in the order of their importance.
        taken: letters that mean something else.
        first: letters that are given already. An axis called by a free letter keeps it.
        meeting: sets of axes that need different letters, if there are not enough for all.

    Raises:
        ParameterError: there are more axes side by side than letters.
    """
    used = set(taken) | set(first.values())
    pool = [x for x in (EXAMPLE_LETTER, *LETTERS, *FURTHER) if x not in used]
    axes = [a for a in dict.fromkeys(axes) if a != "1" and a not in first]
    found = dict(first)
    own = [axis for axis in axes if axis in pool]
    found |= {axis: axis for axis in own}
    free = [x for x in pool if x not in own and x != EXAMPLE_LETTER]
    rest = [axis for axis in axes if axis not in own]
    if len(rest) < len(free):
        found |= dict(zip(rest, free, strict=False))
        return found, tuple(free[len(rest) :])
    shared, spare = free[:-SPARE], free[-SPARE:]
    for axis, letter in _apart(rest, shared, meeting).items():
        found[axis] = letter
    return found, tuple(spare)


def _apart(axes: list[str], pool: list[str], meeting: Iterable[Iterable[str]]) -> dict[str, str]:
    """A letter for each axis such that those that meet have different ones."""
    near: dict[str, set[str]] = {axis: set() for axis in axes}
    for group in map(set, meeting):
        for axis in group & near.keys():
            near[axis] |= group
    found: dict[str, str] = {}
    for axis in axes:
        used = {found[other] for other in near[axis] if other in found}
        choice = next((x for x in pool if x not in used), None)
        if choice is None:
            what = f"more axes stand side by side than there are letters ({len(pool)})"
            raise ParameterError(what, hint="Use notation='matrix'")
        found[axis] = choice
    return found


def words(names: Iterable[str]) -> set[str]:
    """The single letters that are names, or parts of names."""
    return {word for name in names for word in name.split("_") if len(word) == 1}
