"""What a name means: a value that was given, an entry of one, or an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.errors import FormulaError, ParameterError, ShapeError, closest
from chainrule.texmath import tree
from chainrule.texmath.values import COLUMN, ROW, Array, Value, aligned, of_number

EXAMPLES = ("columns", "rows")


class Given:
    """The values of a formula by canonical name."""

    def __init__(
        self,
        arrays: Mapping[str, Array],
        orientation: Mapping[str, str] | str,
        examples: str,
        axes: Mapping[str, tuple[str, ...]],
        values: Mapping[str, Value],
        labels: frozenset[str],
    ) -> None:
        if examples not in EXAMPLES:
            raise ParameterError(f"examples={examples!r} is neither 'columns' nor 'rows'")
        self.arrays = arrays
        self.orientation = orientation
        self.examples = examples
        self.axes = axes
        self.values = values
        self.labels = labels

    def value(self, name: str) -> Value:
        """What was given under a name, as a number or a matrix.

        Raises:
            ShapeError: it has more than two axes.
        """
        if name in self.values:
            return self.values[name]
        array, labels = self.arrays[name], self.axes.get(name, ())
        if array.ndim == 0:
            return Value(array)
        if array.ndim == 1:
            turned = self.orientation
            if not isinstance(turned, str):
                turned = turned.get(name, "column")
            label = labels[0] if labels else ""
            if turned == "row":
                return Value(array[None, :], matrix=True, open=ROW, labels=("", label))
            return Value(array[:, None], matrix=True, open=COLUMN, labels=(label, ""))
        if array.ndim == 2:
            both = (labels[0], labels[1]) if len(labels) == 2 else ("", "")
            return Value(array, matrix=True, labels=both)
        raise ShapeError(f"{name} has {array.ndim} axes: in a formula it needs its indices")


Bound = Mapping[str, Value]
"""Indices that have values here."""


def meaning(
    symbol: tree.Symbol, given: Given, bound: Bound
) -> tuple[str, tuple[tree.Node, ...], tree.Node | None] | None:
    """The given value that a symbol is or is an entry of; None if nothing fits.

    With it come the subscripts that are indices and the example that stands above.
    """
    for base, above in _bases(symbol, given, bound):
        for split in range(len(symbol.below), -1, -1):
            for spelled in _spellings(symbol.below[:split], bound):
                name = base.replace("\0", spelled)
                if name in given.arrays:
                    return name, symbol.below[split:], above
    return None


def _bases(
    symbol: tree.Symbol, given: Given, bound: Bound
) -> Iterator[tuple[str, tree.Node | None]]:
    r"""Names that the base and the layer may make; \0 stands where the subscripts go."""
    if symbol.layer is None:
        yield f"{symbol.base}\0", None
        return
    layer = spelled(symbol.layer)
    yield f"{symbol.base}\0^({layer})", None
    number = _whole_number(symbol.layer, given, bound)
    if number is not None:
        yield f"{symbol.base}\0^({number})", None
        yield f"{symbol.base}_{number}\0", None
    yield f"{symbol.base}\0", symbol.layer


def _spellings(below: tuple[tree.Node, ...], bound: Bound) -> Iterator[str]:
    """How subscripts may be spelled in a name: together, apart, and with indices as numbers."""
    words = [spelled(x) for x in below]
    yield "".join(f"_{w}" for w in words)
    if len(words) > 1:
        yield "_" + "".join(words)
    numbers = [_in_numbers(x, w, bound) for x, w in zip(below, words, strict=True)]
    if numbers != words:
        yield "".join(f"_{w}" for w in numbers)


def _in_numbers(node: tree.Node, word: str, bound: Bound) -> str:
    if isinstance(node, tree.Symbol) and node.key in bound and not bound[node.key].indices:
        return f"{float(np.real(bound[node.key].array)):g}"
    return word


def spelled(node: tree.Node) -> str:
    """An index as it stands in a canonical name."""
    if isinstance(node, tree.Number):
        return f"{node.value:g}"
    if isinstance(node, tree.Symbol):
        return node.key
    if isinstance(node, tree.Negative):
        return f"-{spelled(node.of)}"
    if isinstance(node, tree.Add):
        text = "+".join(spelled(x) for x in node.terms)
        return text.replace("+-", "-")
    return "?"


def _whole_number(node: tree.Node, given: Given, bound: Bound) -> int | None:
    """The value of a layer such as l − 1 where it is one whole number."""
    total = 0.0
    for term in node.terms if isinstance(node, tree.Add) else (node,):
        sign = -1 if isinstance(term, tree.Negative) else 1
        inner = term.of if isinstance(term, tree.Negative) else term
        if isinstance(inner, tree.Number):
            total += sign * inner.value
        elif isinstance(inner, tree.Symbol):
            found = index_value(inner.key, given, bound)
            if found is None or found.array.ndim:
                return None
            total += sign * float(np.real(found.array))
        else:
            return None
    return int(total) if total == int(total) else None


def index_value(name: str, given: Given, bound: Bound) -> Value | None:
    """The value of an index: bound by a sum, or given as a number."""
    if name in bound:
        return bound[name]
    if name in given.arrays and given.arrays[name].ndim == 0:
        return given.value(name)
    return None


def index(node: tree.Node, given: Given, bound: Bound) -> Value:
    """A subscript as positions, counted from 1."""
    if isinstance(node, tree.Number):
        return of_number(node.value)
    if isinstance(node, tree.Negative):
        return index(node.of, given, bound).map(np.negative)
    if isinstance(node, tree.Add):
        terms = [index(x, given, bound) for x in node.terms]
        total = terms[0]
        for term in terms[1:]:
            (a, b), names = aligned(total, term)
            total = Value(a + b, names)
        return total
    assert isinstance(node, tree.Symbol)
    found = index_value(node.key, given, bound)
    if found is None:
        raise FormulaError(
            f"the index {node.key!r} has no values", where=f"column {node.at[0] + 1}"
        )
    return found


def entries(array: Array, at: list[Value], said: str) -> Value:
    """Entries of an array at positions counted from 1.

    Raises:
        ShapeError: too few or too many positions, or one outside.
    """
    if array.ndim == 2 and len(at) == 1 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != len(at):
        raise ShapeError(f"{said} has {len(at)} indices, but the value has {array.ndim} axes")
    positions, names = aligned(*at)
    whole_ones = [np.asarray(np.real(p)) for p in positions]
    for place, size in zip(whole_ones, array.shape, strict=True):
        if place.size and (place.min() < 1 or place.max() > size):
            far = int(place.max() if place.max() > size else place.min())
            raise ShapeError(f"{said}: index {far} is outside 1 … {size}")
    return Value(array[tuple(p.astype(int) - 1 for p in whole_ones)], names)


def unknown(symbol: tree.Symbol, known: Mapping[str, Any]) -> FormulaError:
    """The error for a name that nothing has."""
    near = closest(symbol.key, [k for k in known if abs(len(k) - len(symbol.key)) <= 2][:300])
    listed = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
    hint = f"Did you mean {near!r}?" if near else f"Known are: {listed or 'no names'}"
    key = symbol.key if len(symbol.key) <= 40 else symbol.key[:40] + "…"
    return FormulaError(f"{key!r} has no value", where=f"column {symbol.at[0] + 1}", hint=hint)
