"""x[…] of a value that is written down."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.tape import Node, Tape, Untraceable


def getitem(tape: Tape, x: Node, index: Any) -> Node:
    """Whole axes, new axes, single positions, runs, lists of positions, and P[range, labels]."""
    items = _full(index, x.value.ndim)
    tables = [np.asarray(i) for i in items if isinstance(i, np.ndarray | list)]
    if len(tables) > 1:
        return _pairs(tape, x, items)
    places: list[int | None] = []
    axis = 0  # of what is left of x
    for item in items:
        if item is None:
            places.append(None)
            continue
        if isinstance(item, slice):
            chosen = np.arange(x.value.shape[axis])[item]
            if len(chosen) != x.value.shape[axis] or (chosen[1:] < chosen[:-1]).any():
                x = tape.selected(x, axis, chosen)
        elif isinstance(item, np.ndarray | list):
            x = tape.selected(x, axis, _positions(np.asarray(item), x.value.shape[axis]))
        else:
            x = tape.selected(x, axis, int(item))
            continue
        places.append(axis)
        axis += 1
    return x if places == list(range(x.value.ndim)) else tape.view(x, places)


def _full(index: Any, ndim: int) -> list[Any]:
    """One item for each axis, and None for new ones."""
    items = list(index) if isinstance(index, tuple) else [index]
    for item in items:
        whole = item is None or item is Ellipsis or isinstance(item, slice | np.ndarray | list)
        if not whole and not hasattr(item, "__index__"):
            raise Untraceable(f"it takes entries by {type(item).__name__}")
        if hasattr(item, "tape"):
            raise Untraceable("it takes entries where a condition holds")
    used = sum(item is not None and item is not Ellipsis for item in items)
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    at = dots[0] if dots else len(items)
    return [*items[:at], *[slice(None)] * (ndim - used), *items[at + 1 :]]


def _positions(table: Array, size: int) -> Array:
    if table.dtype.kind == "b":
        table = np.flatnonzero(table)
    if table.ndim != 1 or table.dtype.kind not in "iu":
        raise Untraceable("it takes entries by a table of positions")
    return np.arange(size)[table]


def _pairs(tape: Tape, x: Node, items: list[Any]) -> Node:
    """P[np.arange(m), labels] of a matrix: for each example its own entry."""
    if len(items) != 2 or x.value.ndim != 2:
        raise Untraceable("it takes entries by several tables of positions")
    tables = [np.asarray(i) if isinstance(i, np.ndarray | list | range) else None for i in items]
    for own, other, labels in ((0, 1, "ab"), (1, 0, "ba")):
        every, chosen = tables[own], tables[other]
        size = x.value.shape[own]
        if every is None or chosen is None or every.ndim != 1 or chosen.ndim != 1:
            continue
        if len(every) == size and (every == np.arange(size)).all() and chosen.dtype.kind in "iu":
            one = np.eye(x.value.shape[other])[chosen]
            return tape.product(x, tape.own(one), "ab", labels, labels[0])
    raise Untraceable("it takes entries by several tables of positions")
