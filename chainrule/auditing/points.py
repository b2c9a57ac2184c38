"""Points at which a model is evaluated: random sizes, all different, and random values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.auditing.assign import Assignment, Shapes
from chainrule.auditing.scope import Model
from chainrule.auditing.sizes import ONE
from chainrule.auditing.statements import derivative, symbol

Array = np.ndarray[Any, np.dtype[Any]]
SMALL = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)


@dataclass(frozen=True)
class Point:
    """Values for the symbols of a model.

    Attributes:
        values: by key: numbers, and arrays with two axes.
        sizes: (name, number) of the sizes that have names.
        directions: for every leaf where ∇ without an index moves it.
    """

    values: Mapping[str, Array]
    sizes: tuple[tuple[str, int], ...]
    directions: Mapping[str, Array]


class Draw:
    """Draws points of one model.

    Args:
        model: definitions and statements.
        shapes: which letters are indices.
        assignment: shapes of the symbols.
        examples: whether examples are "columns" or "rows" of a matrix.
        counts: numbers of terms that dots stand for.
    """

    def __init__(
        self,
        model: Model,
        shapes: Shapes,
        assignment: Assignment,
        examples: str,
        counts: Mapping[str, int],
    ) -> None:
        self._model = model
        self._assignment = assignment
        self._examples = examples
        self._counts = counts
        self._defined = {shapes.split(symbol(key))[0] for key in model.definitions}

    def point(self, seed: int, style: str = "random", simplex: Iterable[str] = ()) -> Point:
        """Values at random.

        Args:
            seed: the same seed gives the same point.
            style: "random"; "positive", where logarithms are to exist; "whole" for small whole
                numbers, "single" for these with all sizes 1.
            simplex: symbols whose entries are the probabilities of classes.
        """
        draw = np.random.default_rng([seed, len(style)])
        numbers = self._numbers(draw, style)
        sizes = self._assignment.sizes
        values: dict[str, Array] = {k: np.asarray(float(n)) for k, n in self._counts.items()}
        directions: dict[str, Array] = {}
        for key, shape in self._assignment.shapes.items():
            if key in self._model.definitions or key in self._defined or key in values:
                continue
            named = next((s for s, name in sizes.names.items() if name == key), None)
            if named is not None and sizes.root(named) in numbers:
                values[key] = np.asarray(float(numbers[sizes.root(named)]))
                continue
            dims = tuple(numbers.get(sizes.root(s), 1) for s in shape)
            full = () if sizes.is_number(shape) else dims
            if derivative(key) is None:
                values[key] = _drawn(draw, full, style, key)
                directions[key] = draw.standard_normal(full)
        for key in simplex:
            if key in values:
                values[key] = self._probabilities(draw, values[key], style)
        named_sizes = tuple(
            (name, numbers[sizes.root(s)])
            for s, name in sorted(sizes.names.items(), key=lambda item: item[1])
            if s != ONE and not name.isdigit() and sizes.root(s) in numbers
        )
        return Point(values, named_sizes, directions)

    def _numbers(self, draw: np.random.Generator, style: str) -> dict[int, int]:
        """A number for every size; all different, those that the text gives as it says."""
        sizes = self._assignment.sizes
        used = [sizes.root(s) for shape in self._assignment.shapes.values() for s in shape]
        roots = [r for r in dict.fromkeys(used) if r != ONE]
        fixed = {r: int(sizes.names[r]) for r in roots if sizes.names.get(r, "").isdigit()}
        fixed = {r: n for r, n in fixed.items() if 0 < n <= 64}
        free = [r for r in roots if r not in fixed]
        pool = [n for n in SMALL if n not in fixed.values()]
        pool += list(range(14, 14 + len(free)))
        if style == "single":
            return fixed | dict.fromkeys(free, 1)
        if style != "whole":
            several = max(6, len(free))
            pool = [pool[i] for i in draw.permutation(several)]
        return fixed | dict(zip(free, pool, strict=False))

    def _probabilities(self, draw: np.random.Generator, like: Array, style: str) -> Array:
        if like.ndim != 2:
            return like
        rows, columns = like.shape
        axis = 0 if columns == 1 or (self._examples == "columns" and rows > 1) else 1
        if style in ("whole", "single"):
            hot = np.zeros(like.shape)
            examples = hot.T if axis else hot
            for i in range(rows if axis else columns):
                examples[draw.integers(columns if axis else rows), i] = 1.0
            return hot
        raised = np.exp(draw.standard_normal(like.shape))
        return np.asarray(raised / raised.sum(axis=axis, keepdims=True))


def _drawn(draw: np.random.Generator, shape: tuple[int, ...], style: str, key: str) -> Array:
    if style == "positive":
        return np.asarray(draw.uniform(0.1, 0.9, shape))
    if style in ("whole", "single"):
        whole = draw.integers(-2, 4, shape).astype(float)
        return np.asarray(np.where(whole == 0, 1.0, whole))
    return np.asarray(0.2 + 0.8 * draw.standard_normal(shape))
