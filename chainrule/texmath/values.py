r"""Values of formulas: numbers and matrices, with an axis for each index, and their arithmetic.

A value is a number or a matrix (a row and a column are matrices), once for each value of its
indices. A side of a matrix may be *free*: that of \vec{1}, as long as what stands beside it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.errors import ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
Labels = tuple[str, str]
UNNAMED: Labels = ("", "")


@dataclass(frozen=True)
class Value:
    """One value.

    Attributes:
        array: an axis for each of `indices`, then rows and columns if it is a matrix.
        indices: names of the indices.
        matrix: whether it is a matrix and no number.
        free: which of rows and columns are as long as needed (their size here is 1).
        open: which of them are there only because a row or column is a matrix.
        labels: names of the two axes, "" where unknown.
    """

    array: Array
    indices: tuple[str, ...] = ()
    matrix: bool = False
    free: tuple[bool, bool] = (False, False)
    open: tuple[bool, bool] = (False, False)
    labels: Labels = UNNAMED

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; (1, 1) for a number."""
        return (self.array.shape[-2], self.array.shape[-1]) if self.matrix else (1, 1)

    @property
    def single(self) -> bool:
        """Whether it can stand where a number is needed: 1 × 1, and not because it is free."""
        return not self.matrix or (self.shape == (1, 1) and not any(self.free))

    def number(self) -> Value:
        """A 1 × 1 matrix as the number that it holds."""
        return Value(self.array[..., 0, 0], self.indices) if self.matrix else self

    def map(self, function: Callable[[Array], Array]) -> Value:
        """A function of every entry."""
        return replace(self, array=function(self.array))

    def said(self) -> str:
        """The shape, for messages."""
        if not self.matrix:
            return "a number"
        sides = ("any" if free else str(n) for n, free in zip(self.shape, self.free, strict=True))
        return " × ".join(sides)


def of_number(value: complex) -> Value:
    """A number."""
    return Value(np.asarray(value))


ROW, COLUMN = (True, False), (False, True)  # which side of a row and of a column is open
ONES = Value(np.ones((1, 1)), matrix=True, free=(True, False), open=COLUMN)


def transposed(x: Value) -> Value:
    """The transpose; a number is its own."""
    if not x.matrix:
        return x
    turned = np.swapaxes(x.array, -1, -2)
    return replace(x, array=turned, free=x.free[::-1], open=x.open[::-1], labels=x.labels[::-1])


def aligned(*values: Value) -> tuple[list[Array], tuple[str, ...]]:
    """The arrays with the same index axes in the same order in front, and the names of these."""
    names = tuple(dict.fromkeys(name for v in values for name in v.indices))
    arrays = []
    for v in values:
        tail = 2 if v.matrix else 0
        order = [v.indices.index(n) for n in names if n in v.indices]
        array = np.transpose(v.array, [*order, *range(len(order), len(order) + tail)])
        where = [slice(None) if n in v.indices else None for n in names]
        arrays.append(array[(*where, ...)])
    return arrays, names


def elementwise(operation: Callable[..., Array], *values: Value, what: str = "combined") -> Value:
    """An operation entry by entry.

    A number goes with every entry; a column with every column of a matrix of as many rows; a row
    with every row of a matrix of as many columns.

    Raises:
        ShapeError: the shapes do not fit.
    """
    matrices = [v for v in values if v.matrix]
    arrays, names = aligned(*values)
    if not matrices:
        return Value(operation(*arrays), names)
    shape = (max(v.shape[0] for v in matrices), max(v.shape[1] for v in matrices))
    for v in matrices:
        fits = all(n in (1, wanted) for n, wanted in zip(v.shape, shape, strict=True))
        if not fits or (v.single and not _covers(v, shape, matrices)):
            raise _unfit(values, what)
    if not any(_covers(v, shape, matrices) for v in matrices):
        raise _unfit(values, what)
    arrays = [a if v.matrix else a[..., None, None] for a, v in zip(arrays, values, strict=True)]
    free = tuple(
        any(v.free[side] for v in matrices) and all(v.free[side] or v.open[side] for v in matrices)
        for side in (0, 1)
    )
    open_ = tuple(all(v.open[side] for v in matrices) for side in (0, 1))
    labels = tuple(
        next((v.labels[side] for v in matrices if v.labels[side]), "") for side in (0, 1)
    )
    return Value(
        operation(*arrays), names, True, (free[0], free[1]), (open_[0], open_[1]),
        (labels[0], labels[1]),
    )  # fmt: skip


def _covers(v: Value, shape: tuple[int, int], matrices: Sequence[Value]) -> bool:
    """Whether `v` has the whole shape: sides that are free do not count."""
    if v.single:
        return True
    sides = zip(v.shape, v.free, shape, (0, 1), strict=True)
    return all(
        n == wanted or free or all(w.shape[side] == 1 for w in matrices)
        for n, free, wanted, side in sides
    )


def _unfit(values: Sequence[Value], what: str) -> ShapeError:
    shapes = " and ".join(v.said() for v in values)
    return ShapeError(f"shapes {shapes} cannot be {what}")


def multiplied(a: Value, b: Value) -> Value:
    """The matrix product; a number, also one in a 1 × 1 matrix, scales.

    Raises:
        ShapeError: the columns of the first are not as many as the rows of the second.
    """
    if not (a.matrix and b.matrix):
        return elementwise(np.multiply, a, b)
    inner, wanted = a.shape[1], b.shape[0]
    if a.free[1] and b.free[0]:
        raise ShapeError(
            "the length of the ones is not known: nothing beside them has one",
            hint="Write the number itself",
        )
    if inner != wanted and not (a.free[1] or b.free[0]):
        if a.single or b.single:
            one, other = (a, b) if a.single else (b, a)
            return elementwise(np.multiply, one.number(), other)
        raise ShapeError(f"{inner} columns against {wanted} rows")
    (left, right), names = aligned(a, b)
    if a.free[1]:
        left = np.broadcast_to(left, (*left.shape[:-1], wanted))
    if b.free[0]:
        right = np.broadcast_to(right, (*right.shape[:-2], inner, right.shape[-1]))
    product = Value(np.matmul(left, right), names, True)
    if a.open[0] and b.open[1]:  # a row times a column
        return product.number()
    return replace(
        product,
        free=(a.free[0], b.free[1]),
        open=(a.open[0], b.open[1]),
        labels=(a.labels[0], b.labels[1]),
    )


def summed(x: Value, over: tuple[str, ...] | None = None) -> Value:
    """The sum over some indices; None: of all entries of the matrix.

    Raises:
        ShapeError: how many entries there are is not known.
    """
    if over is not None:
        at = tuple(x.indices.index(n) for n in over)
        kept = tuple(n for n in x.indices if n not in over)
        return replace(x, array=np.sum(x.array, axis=at), indices=kept)
    if not x.matrix:
        return x
    refuse_free(x)
    return Value(np.sum(x.array, axis=(-2, -1)), x.indices)


def refuse_free(x: Value) -> None:
    """Refuse a matrix one of whose sides has no length yet.

    Raises:
        ShapeError: it has such a side.
    """
    if any(x.free):
        hint = "Something beside the ones must have the length"
        raise ShapeError(f"the ones make a matrix of {x.said()}: its size is not known", hint=hint)
