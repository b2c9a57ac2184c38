"""Formulas of which text and value are made side by side: what alterations are judged by.

Independent of everything under test: values are plain NumPy, products are `@`, and a formula whose
shapes do not fit has no value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUM, HADAMARD, PRODUCT, ATOM = range(4)


@dataclass(frozen=True)
class T:
    """A formula: its LaTeX, its value (None if its shapes do not fit), how tightly it binds."""

    tex: str
    value: np.ndarray | None
    level: int = ATOM

    def at(self, level: int) -> str:
        return self.tex if self.level >= level else rf"\left({self.tex}\right)"

    def __add__(self, other: T) -> T:
        return T(f"{self.tex} + {other.tex}", _each(np.add, self, other), SUM)

    def __sub__(self, other: T) -> T:
        return T(f"{self.tex} - {other.at(HADAMARD)}", _each(np.subtract, self, other), SUM)

    def __neg__(self) -> T:
        value = None if self.value is None else -self.value
        return T(f"-{self.at(HADAMARD)}", value, SUM)

    def __mul__(self, other: T) -> T:
        tex = rf"{self.at(HADAMARD)}\odot {other.at(HADAMARD)}"
        return T(tex, _each(np.multiply, self, other), HADAMARD)

    def __matmul__(self, other: T) -> T:
        between = r" \cdot " if other.tex[:1].isdigit() else " "
        tex = f"{self.at(PRODUCT)}{between}{other.at(PRODUCT)}"
        return T(tex, _product(self, other), PRODUCT)

    @property
    def T(self) -> T:
        value = None if self.value is None else self.value.T
        return T(rf"{self.at(ATOM)}^\intercal", value, ATOM)


def _single(x: np.ndarray) -> bool:
    return x.size == 1


def _each(operation, a: T, b: T) -> np.ndarray | None:
    if a.value is None or b.value is None:
        return None
    fits = _single(a.value) or _single(b.value) or a.value.shape == b.value.shape
    if not fits:  # a column for every column of a matrix, a row for every row, nothing else
        (p, q), (r, s) = a.value.shape, b.value.shape
        fits = (p == r and 1 in (q, s)) or (q == s and 1 in (p, r))
    return operation(a.value, b.value) if fits else None


def _product(a: T, b: T) -> np.ndarray | None:
    if a.value is None or b.value is None:
        return None
    if _single(a.value) or _single(b.value):
        return a.value * b.value
    return a.value @ b.value if a.value.shape[1] == b.value.shape[0] else None


def number(value: float) -> T:
    return T(f"{value:g}", np.full((1, 1), float(value)))


def over(upper: int, lower: T) -> T:
    assert lower.value is not None
    return T(rf"\frac{{{upper}}}{{{lower.tex}}}", upper / lower.value)


def total(x: T) -> T:
    """The sum of all entries."""
    value = None if x.value is None else np.full((1, 1), x.value.sum())
    return T(rf"\sum {x.at(HADAMARD)}", value, PRODUCT)
