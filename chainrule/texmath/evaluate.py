"""The value of a formula at arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.errors import FormulaError, ShapeError
from chainrule.texmath import tree
from chainrule.texmath.calls import Functions
from chainrule.texmath.indices import free_indices
from chainrule.texmath.lookup import Given
from chainrule.texmath.operations import Run
from chainrule.texmath.reading import name
from chainrule.texmath.values import Array, Value, refuse_free

Meaning = str | Callable[[Array], Array] | tuple[Callable[[Array], Array], Callable[[Array], Array]]


def evaluate(
    node: tree.Node,
    values: Mapping[str, Any],
    *,
    functions: Mapping[str, Meaning] | None = None,
    orientation: Mapping[str, str] | str = "column",
    examples: str = "columns",
    axes: Mapping[str, Sequence[str]] | None = None,
    labels: Collection[str] = (),
    indices: Sequence[str] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Array:
    r"""The value of a formula at arrays.

    What the signs mean is said in `chainrule.texmath.operations`.

    Args:
        node: what `parse` returned.
        values: numbers and arrays by name (in any spelling that `name` understands): no axis for a
            number, two for a matrix, one for a row or column. Names of indices and layers may be
            given whole numbers: l=2 makes ``W^{(l)}`` the value given as ``W^(2)`` or ``W_2``.
        functions: what σ, f, g … stand for: a name such as "relu", a function of an array, or such
            a function and its derivative. σ is the sigmoid if nothing is said.
        orientation: whether arrays with one axis are a "row" or a "column", for all or by name.
        examples: whether a matrix has its examples in "columns" or in "rows".
        axes: names of the axes of values, for ``\max_k``.
        labels: names of values that are class labels; rows and columns of whole numbers always are.
        indices: the free indices in the order in which the result has them; by default in the
            order of the text.
        shape: the shape that the result must have. A row or column then loses its side of length
            one, and ones that stand alone get their length.

    Returns:
        An array: no axis for a number, two for a matrix; before them one for each free index.

    Raises:
        FormulaError: a name has no value, or something is not defined. `where` is the column.
        ShapeError: shapes do not fit; both factors, their shapes and the column are named.

    >>> from chainrule.texmath import parse
    >>> float(evaluate(parse(r"\frac{1}{2}\|a - y\|^2"), {"a": [1.0, 2.0], "y": [0.0, 4.0]}))
    2.5
    """
    settings = (functions, orientation, examples, axes, labels)
    found, free = _found(node, values, *settings)
    order = tuple(indices) if indices else tuple(dict.fromkeys([*free, *found.indices]))
    return _finished(found, order, shape)


def evaluate_open(
    node: tree.Node,
    values: Mapping[str, Any],
    *,
    functions: Mapping[str, Meaning] | None = None,
    orientation: Mapping[str, str] | str = "column",
    examples: str = "columns",
    axes: Mapping[str, Sequence[str]] | None = None,
    labels: Collection[str] = (),
) -> Value:
    """The same as a `Value`, which may have sides whose length is not known yet.

    It may stand among the `values` of another formula, as a line of a derivation that later lines
    use.

    Raises:
        FormulaError, ShapeError: as for `evaluate`.
    """
    return _found(node, values, functions, orientation, examples, axes, labels)[0]


def _found(
    node: tree.Node,
    values: Mapping[str, Any],
    functions: Mapping[str, Meaning] | None,
    orientation: Mapping[str, str] | str,
    examples: str,
    axes: Mapping[str, Sequence[str]] | None,
    labels: Collection[str],
) -> tuple[Value, Mapping[str, int]]:
    """The value of a formula, and its free indices."""
    whole = {name(k): v for k, v in values.items() if isinstance(v, Value)}
    arrays = {
        name(k): v.array if isinstance(v, Value) else np.asarray(v) for k, v in values.items()
    }
    named = {name(k): tuple(v) for k, v in (axes or {}).items()}
    turned = orientation
    if not isinstance(turned, str):
        turned = {name(k): v for k, v in turned.items()}
    given = Given(arrays, turned, examples, named, whole, frozenset(map(name, labels)))
    uses_at = any("@" in x.signs for x in tree.walk(node) if isinstance(x, tree.Product))
    run = Run(given, Functions(functions or {}), uses_at)
    free = free_indices(node, given)
    bound = {i: Value(np.arange(1, n + 1), (i,)) for i, n in free.items()}
    with np.errstate(all="ignore"):
        return run.value(node, bound), free


def _finished(x: Value, order: tuple[str, ...], shape: tuple[int, ...] | None) -> Array:
    if set(x.indices) - set(order):
        raise FormulaError(f"the formula has the free indices {', '.join(x.indices)}")
    missing = [i for i in order if i not in x.indices]
    if missing:
        raise FormulaError(f"the formula does not depend on the index {missing[0]!r}")
    front = np.transpose(
        x.array, [*(x.indices.index(i) for i in order), *range(len(order), x.array.ndim)]
    )
    if shape is None:
        refuse_free(x)
        return np.asarray(front)
    lead, rest = front.shape[: len(order)], shape[len(order) :]
    if x.matrix and lead == shape[: len(order)]:
        sides = list(x.shape)
        wanted = {0: [1, 1], 1: sides, 2: list(rest)}.get(len(rest), sides)
        if len(rest) == 1:
            at = 0 if x.shape[1] == 1 and not x.free[1] and not x.open[0] else 1
            wanted = [1, 1]
            wanted[at] = rest[0]
            if x.free == (True, True):
                raise ShapeError("ones times ones: a matrix where a row or column is expected")
        fits = all(n == w or (f and n == 1) for n, f, w in zip(sides, x.free, wanted, strict=True))
        if fits:
            return np.broadcast_to(front, (*lead, *wanted)).reshape(shape)
    elif front.shape == shape:
        return np.asarray(front)
    said = x.said() if x.matrix or not x.indices else f"{front.shape}"
    raise ShapeError(f"the result is {said}, expected {_shape(shape)}")


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape) or "a number"
