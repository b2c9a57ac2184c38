"""A model in numbers: random points, its values there, and true derivatives by complex steps.

Nothing of chainrule's own derivation is used: derivatives come from the document's own forward
equations, evaluated by `chainrule.texmath` at arguments with a tiny imaginary part (Squire & Trapp
1998), and are held against central differences, so that a function that is not analytic is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.auditing.assign import Assignment, Shapes
from chainrule.auditing.notation import EVERYTHING
from chainrule.auditing.points import Draw, Point
from chainrule.auditing.scope import Model, mentioned
from chainrule.auditing.sizes import ONE, Shape
from chainrule.auditing.statements import derivative, symbol, symbols_of
from chainrule.texmath.evaluate import Meaning, evaluate_open
from chainrule.texmath.lookup import spelled
from chainrule.texmath.names import whole
from chainrule.texmath.tree import Call, Node, Symbol, walk
from chainrule.texmath.values import Value, refuse_free

Array = np.ndarray[Any, np.dtype[Any]]
TINY = 1e-40  # the imaginary part of a complex step: its square vanishes beside 1
DIFFERENCE = 1e-4
AGREE = 1e-5  # between a complex step and differences, of the largest derivative


STEPS = "\0step"  # the index that counts points evaluated at once


class Steps(np.ndarray):
    """An array whose first axis counts points that are evaluated at once."""


class Undefined(Exception):
    """A derivative that the document's equations do not define; the message says why."""


class Numbers:
    """A model with shapes, ready to be evaluated.

    Args:
        model: definitions and statements.
        shapes: which letters are indices.
        assignment: shapes of the symbols.
        functions: what σ, f … stand for.
        examples: whether examples are "columns" or "rows" of a matrix.
        counts: numbers of terms that dots stand for.
    """

    def __init__(
        self,
        model: Model,
        shapes: Shapes,
        assignment: Assignment,
        functions: Mapping[str, Meaning],
        examples: str = "columns",
        counts: Mapping[str, int] | None = None,
    ) -> None:
        self.model = model
        self.shapes = shapes
        self.assignment = assignment
        self.examples = examples
        self._functions = dict(functions)
        self._draw = Draw(model, shapes, assignment, examples, counts or {})
        self._derived: dict[tuple[int, str], Array | Undefined] = {}
        self._forward: dict[int, dict[str, Array]] = {}
        self._kept: list[Point] = []
        self._samples: dict[tuple[int, str], Point] = {}
        self._smooth: set[tuple[str, str]] = set()
        self._definitions = list(model.definitions.values())
        self._below = {
            d.key: set(mentioned(d.node)) | {self._stem(k) for k in mentioned(d.node)}
            for d in self._definitions
        }

    def _stem(self, key: str) -> str:
        return self.shapes.split(symbol(key))[0]

    def point(self, seed: int, style: str = "random", simplex: Iterable[str] = ()) -> Point:
        """Values at random; see `chainrule.auditing.points`."""
        return self._draw.point(seed, style, simplex)

    def sample(self, seed: int, style: str) -> Point:
        """The same, kept for the next caller."""
        if (seed, style) not in self._samples:
            self._samples[seed, style] = self.point(seed, style)
        return self._samples[seed, style]

    # values

    def evaluate(
        self, node: Node, values: Mapping[str, Array], axes: tuple[str, ...] | None = None
    ) -> Array:
        """A formula at values; a 1 × 1 matrix counts as a number.

        Args:
            axes: the indices that the result has, in order; those of the formula if not given.
                The axis of one on which the formula does not depend has length 1.

        Raises:
            FormulaError, ShapeError: see `chainrule.texmath.evaluate`.
        """
        given = {
            k: Value(np.asarray(v), (STEPS,), matrix=v.ndim > 1) if isinstance(v, Steps) else v
            for k, v in values.items()
        }
        found = evaluate_open(node, given, functions=self._functions, examples=self.examples)
        refuse_free(found)
        missing = tuple(i for i in axes or () if i not in found.indices)
        if axes is not None and set(found.indices) <= {*axes, STEPS}:
            order = axes
        else:
            order, missing = found.indices, ()
        if STEPS in found.indices:
            order = (STEPS, *(i for i in order if i != STEPS))
        array = found.array.reshape((1,) * len(missing) + found.array.shape)
        names = (*missing, *found.indices)  # what does not depend on an index is the same for all
        places = [names.index(i) for i in order]
        result = np.transpose(array, [*places, *range(len(places), array.ndim)])
        if found.matrix and found.shape == (1, 1):
            result = result.reshape(result.shape[:-2])
        return result.view(Steps) if STEPS in found.indices else np.asarray(result)

    def forward(
        self,
        values: Mapping[str, Array],
        fixed: Mapping[str, Array],
        wanted: Iterable[str] | None = None,
    ) -> dict[str, Array]:
        """Values of everything that is defined.

        Args:
            values: of the leaves.
            fixed: values to use instead of definitions or leaves.
            wanted: only what these need.
        """
        found = {**values, **fixed}
        needed = self._needed(wanted) if wanted is not None else None
        for definition in self._definitions:
            stem, letters = self.shapes.split(symbol(definition.key))
            if stem in fixed or (needed is not None and definition.key not in needed):
                continue
            value = self.evaluate(definition.node, found, letters or None)
            if not letters:
                found[definition.key] = value
            else:
                shape = self.assignment.shapes.get(stem)
                flat = len(letters) == 1 and shape is not None and value.ndim == 1
                row = shape is not None and self.assignment.sizes.root(shape[0]) == ONE
                found[stem] = (value[None, :] if row else value[:, None]) if flat else value
        return found

    def _needed(self, wanted: Iterable[str]) -> set[str]:
        known: set[str] = set()
        todo = list(wanted)
        while todo:
            key = todo.pop()
            if key not in known:
                known.add(key)
                todo.extend(self._below.get(key, ()))
                todo.extend(d.key for d in self._definitions if self._stem(d.key) == key)
        return known

    def depends(self, upper: str, lower: str) -> bool:
        """Whether one symbol is computed from another."""
        return lower in self._needed([upper]) and upper != lower

    def _defined_entries(self, key: str) -> bool:
        return any(self._stem(d.key) == key for d in self._definitions)

    # derivatives

    def derivatives(self, nodes: Iterable[Node], point: Point) -> dict[str, Array]:
        """The true value of every derivative that formulas name, under the name it is looked up by.

        Raises:
            Undefined: the document's equations do not say how one depends on the other.
        """
        found: dict[str, Array] = {}
        for node in nodes:
            for each in symbols_of(node):
                pair = derivative(each.key)
                if pair and each.key not in self.model.definitions and each.key not in found:
                    value = self._once(each.key, pair, point)
                    stem, letters = self.shapes.split(each)
                    found[stem] = value
                    if not letters:
                        found[looked_up(each)] = value
        return found

    def _once(self, key: str, pair: tuple[str, str], point: Point) -> Array:
        """A derivative, computed the first time it is asked for."""
        place = (id(point), key)
        if place not in self._derived:
            try:
                self._derived[place] = self.derivative(*pair, point)
            except Undefined as undefined:
                self._derived[place] = undefined
            self._kept.append(point)  # so that its id is not given to another
        value = self._derived[place]
        if isinstance(value, Undefined):
            raise value
        return value

    def values(self, point: Point) -> dict[str, Array]:
        """Leaves and everything defined at a point."""
        if id(point) not in self._forward:
            self._forward[id(point)] = self.forward(point.values, {})
            self._kept.append(point)
        return self._forward[id(point)]

    def derivative(self, upper: str, lower: str, point: Point) -> Array:
        """∂upper/∂lower: of the shape of `lower` if `upper` is a number.

        For entries with indices it has an axis for each index.

        Raises:
            Undefined: see `derivatives`.
        """
        (top, _), (bottom, _) = self.shapes.split(symbol(upper)), self.shapes.split(symbol(lower))
        if lower == EVERYTHING:
            return self._along(top, point)
        if not self.depends(top, bottom):
            what = "is nowhere defined" if not self._known(top) else f"does not depend on {bottom}"
            raise Undefined(f"{top} {what} in the equations before this one")
        rows = self._jacobian(top, bottom, point)
        return self._shaped(rows, upper, lower)

    def _known(self, key: str) -> bool:
        return key in self.model.definitions or self._defined_entries(key)

    def _along(self, top: str, point: Point) -> Array:
        """The change of something along the direction in which ∇ moves all leaves."""
        if not self._known(top):
            if top not in point.directions or not any(top in b for b in self._below.values()):
                raise Undefined(f"no equation before this one says what {top} is")
            return point.directions[top]
        moved = {k: point.values[k] + 1j * TINY * d for k, d in point.directions.items()}
        value = self.forward({**point.values, **moved}, {}, [top])[top]
        return np.asarray(np.imag(value) / TINY)

    def _jacobian(self, top: str, bottom: str, point: Point) -> Array:
        """(entries of top…, entries of bottom…) by complex steps, held against differences."""
        base = self.forward(point.values, {}, [top, bottom])
        at = np.asarray(base[bottom], float)
        steps = np.zeros((at.size, *at.shape), complex)
        steps.reshape(at.size, -1)[np.diag_indices(at.size)] = 1j * TINY
        moved = (at + steps).view(Steps)
        if self.shapes.indices:  # entries of arrays are taken of one point at a time
            exact = np.stack([self._at(top, bottom, np.asarray(x), point) for x in moved])
        else:
            exact = np.asarray(self._at(top, bottom, moved, point))
        rows = np.imag(exact) / TINY
        if (top, bottom) not in self._smooth:
            rough = self._difference(top, bottom, at, (0,) * at.ndim, point)
            largest = max(float(np.max(np.abs(rows), initial=1.0)), 1.0)
            if not float(np.max(np.abs(rough - rows[0]), initial=0.0)) <= AGREE * largest:
                raise Undefined(f"{top} has no derivative by {bottom} at the points tried")
            self._smooth.add((top, bottom))
        stacked = np.moveaxis(rows, 0, -1)
        return stacked.reshape((*rows.shape[1:], *at.shape))

    def _at(self, top: str, bottom: str, value: Array, point: Point) -> Array:
        return self.forward(point.values, {bottom: value}, [top])[top]

    def _difference(
        self, top: str, bottom: str, at: Array, place: tuple[int, ...], point: Point
    ) -> Array:
        """The derivative by one entry from four values: fourth-order central differences."""

        def moved(by: float) -> Array:
            value = np.array(at)
            value[place] += by
            return np.real(self._at(top, bottom, value, point))

        h = DIFFERENCE
        near, far = moved(h) - moved(-h), moved(2 * h) - moved(-2 * h)
        return np.asarray((8 * near - far) / (12 * h))

    def _shaped(self, rows: Array, upper: str, lower: str) -> Array:
        """A Jacobian as formulas use it: without axes of length 1 where entries have indices."""
        letters = self.shapes.split(symbol(upper))[1] + self.shapes.split(symbol(lower))[1]
        top, bottom = self._shape_of(upper), self._shape_of(lower)
        if letters:
            return rows.reshape([n for n in rows.shape if n != 1] or [1] * len(letters))
        if self._number(top) or self._number(bottom):
            return rows
        n = int(np.prod(rows.shape[: rows.ndim // 2]))
        square = rows.reshape(n, -1)
        one_column = rows.shape[1] == 1 == rows.shape[-1]
        if square.shape[0] == square.shape[1] and rows.shape[:2] == rows.shape[2:]:
            diagonal = np.diag(square)
            if np.allclose(square, np.diag(diagonal), atol=1e-12):
                return diagonal.reshape(rows.shape[:2])
        if one_column:
            return square
        what = "the derivative of a matrix by a matrix has four axes"
        raise Undefined(f"{what}: ∂{upper}/∂{lower} is a shorthand")

    def _shape_of(self, key: str) -> Shape:
        return self.assignment.shapes[self._stem(key)]

    def _number(self, shape: Shape) -> bool:
        return self.assignment.sizes.is_number(shape)


def looked_up(node: Symbol) -> str:
    """The name under which `chainrule.texmath` looks for the value of a symbol."""
    layer = spelled(node.layer) if node.layer is not None else ""
    return whole(node.base, [spelled(x) for x in node.below], layer)


def finite(values: Mapping[str, Array]) -> bool:
    """Whether all of these are numbers, and real."""
    return all(bool(np.all(np.isfinite(v))) for v in values.values())


def uses_function(model: Model, name: str) -> bool:
    """Whether a definition applies this function."""
    return any(
        isinstance(x, Call) and x.function == name
        for d in model.definitions.values()
        for x in walk(d.node)
    )
