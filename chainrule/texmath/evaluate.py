"""The value of a formula at arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, FormulaError, ShapeError
from chainrule.texmath import tree
from chainrule.texmath.calls import Functions, call
from chainrule.texmath.lookup import Given, entries, index, meaning, unknown
from chainrule.texmath.values import (
    ONES,
    Array,
    Value,
    elementwise,
    multiplied,
    of_number,
    refuse_free,
    summed,
    transposed,
)

Meaning = str | Callable[[Array], Array] | tuple[Callable[[Array], Array], Callable[[Array], Array]]


def evaluate(
    node: tree.Node,
    values: Mapping[str, Any],
    *,
    functions: Mapping[str, Meaning] | None = None,
    orientation: Mapping[str, str] | str = "column",
    examples: str = "columns",
    axes: Mapping[str, Sequence[str]] | None = None,
    indices: Sequence[str] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Array:
    r"""The value of a formula at arrays.

    What signs mean: factors side by side, ``\cdot`` and ``@`` are the matrix product, or scale if
    one is a number or a 1 × 1 matrix that fits no product; ``\cdot`` of two columns or two rows of
    one length is their dot product; ``*`` is the matrix product too, but element by element where
    the shapes are equal and no product is defined, and everywhere in a formula with ``@``, as in
    NumPy. +, −, ⊙, / and comparisons go element by element: a number with anything, a column with a
    matrix of as many rows, a row with a matrix of as many columns, nothing else. Powers and
    functions act on every entry. ``\vec{1}`` is a column of ones as long as its neighbour asks.
    Softmax acts on all entries of a row or column and, in a matrix, on each example. A Σ without
    index adds all entries, ‖x‖² all their squares. ``a_j`` with an index j that no Σ binds makes the
    result an array with an axis for j. ``x^{(i)}`` with an index is the i-th example.

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
    from chainrule.texmath import name

    arrays = {name(k): np.asarray(v) for k, v in values.items()}
    named = {name(k): tuple(v) for k, v in (axes or {}).items()}
    turned = orientation
    if not isinstance(turned, str):
        turned = {name(k): v for k, v in turned.items()}
    given = Given(arrays, turned, examples, named)
    uses_at = any("@" in x.signs for x in tree.walk(node) if isinstance(x, tree.Product))
    run = Run(given, Functions(functions or {}), uses_at)
    free = run.free_indices(node)
    bound = {i: Value(np.arange(1, n + 1), (i,)) for i, n in free.items()}
    return _finished(run.value(node, bound), tuple(indices or free), shape)


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
            at = 0 if x.shape[1] == 1 and not x.free[1] else 1
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


class Run:
    """One evaluation."""

    def __init__(self, given: Given, functions: Functions, uses_at: bool) -> None:
        self.given = given
        self.functions = functions
        self.uses_at = uses_at

    def value(self, node: tree.Node, bound: Mapping[str, Value]) -> Value:
        """The value of a node; errors get the column at which it stands.

        Recursion is safe here: a formula is at most `DEEPEST` levels deep.
        """
        try:
            with np.errstate(all="ignore"):
                return _READINGS[type(node)](self, node, bound)
        except ChainruleError as error:
            if error.where:
                raise
            what = str(error).removesuffix(f". {error.hint}" if error.hint else "")
            where = f"column {node.at[0] + 1}"
            raise type(error)(what, where=where, hint=error.hint) from None

    # names and indices

    def _symbol(self, node: tree.Symbol, bound: Mapping[str, Value]) -> Value:
        if node.key in bound:
            return bound[node.key]
        found = meaning(node, self.given, bound)
        if found is None:
            if node.key == "e":
                return of_number(np.e)
            if node.key == "pi":
                return of_number(np.pi)
            if node.base == "delta" and len(node.below) == 2:  # Kronecker's
                a, b = (index(x, self.given, bound, "") for x in node.below)
                return elementwise(lambda p, q: (p == q) * 1.0, a, b)
            raise unknown(node, self.given.arrays)
        name, below, above = found
        if not below and above is None:
            return self.given.value(name)
        at = [index(x, self.given, bound, "") for x in below]
        if above is None:
            return entries(self.given.arrays[name], self._digits(name, at), node.key)
        return self._example(name, at, index(above, self.given, bound, ""), node.key)

    def _digits(self, name: str, at: list[Value]) -> list[Value]:
        """w_{12} of a matrix is its entry in row 1, column 2."""
        array = self.given.arrays[name]
        if array.ndim == 2 and len(at) == 1 and not at[0].indices and 1 not in array.shape:
            number = int(np.real(at[0].array))
            if 11 <= number <= 99:
                return [of_number(number // 10), of_number(number % 10)]
        return at

    def _example(self, name: str, at: list[Value], which: Value, said: str) -> Value:
        """The example `which` of a value, or entries of it."""
        array = self.given.arrays[name]
        if array.ndim < 2:
            return entries(array, [*at, which], said)
        if at:
            place = [*at, which] if self.given.examples == "columns" else [which, *at]
            return entries(array, place, said)
        columns = array if self.given.examples == "columns" else array.T
        every = Value(np.arange(1, columns.shape[0] + 1), ("\0row",))
        picked = entries(columns, [every, which], said)
        order = [picked.indices.index(i) for i in (*which.indices, "\0row")]
        return Value(np.transpose(picked.array, order)[..., None], which.indices, True)

    def free_indices(self, node: tree.Node) -> dict[str, int]:
        """Indices that no Σ binds, in the order of the text, and how far they run."""
        found: dict[str, int] = {}
        for name, size in self._indices(node):
            if size is not None:
                found.setdefault(name, size)
        return found

    def _indices(self, node: tree.Node) -> Iterator[tuple[str, int | None]]:
        """Every index that the formula leaves free and the size of the axis it runs along."""
        todo: list[tuple[tree.Node, frozenset[str]]] = [(node, frozenset())]
        while todo:
            at, bound = todo.pop()
            if isinstance(at, tree.Symbol):
                yield from ((i, n) for i, n in self._runs_along(at) if i not in bound)
                continue
            if isinstance(at, tree.Summation):
                bound = bound | set(at.index)
            if isinstance(at, tree.Entry):
                yield from (
                    (x.key, None)
                    for x in at.below
                    if isinstance(x, tree.Symbol) and x.key not in bound
                )
            parts = at.parts[: 1 if isinstance(at, tree.Entry) else None]
            todo.extend((x, bound) for x in reversed(parts))

    def _runs_along(self, symbol: tree.Symbol) -> Iterator[tuple[str, int]]:
        found = meaning(symbol, self.given, {})
        if found is None:
            return
        name, below, above = found
        array = self.given.arrays[name]
        shape = array.shape
        if len(below) == 1 and above is None and array.ndim == 2 and 1 in shape:
            shape = (array.size,)
        pieces = list(below)
        if above is not None:
            pieces = [*pieces, above]
            if self.given.examples == "rows" and array.ndim == 2:
                shape = shape[::-1]
            if not below:
                shape = shape[-1:]
        for piece, size in zip(pieces, shape, strict=False):
            if isinstance(piece, tree.Symbol) and piece.key not in self.given.arrays:
                yield piece.key, size

    def _summation(self, node: tree.Summation, bound: Mapping[str, Value]) -> Value:
        if not node.index:
            return summed(self.value(node.body, bound))
        ranges = {i: self._range(i, node, bound) for i in node.index}
        inner = {**bound, **{i: Value(r, (i,)) for i, r in ranges.items()}}
        body = self.value(node.body, inner)
        for name, r in ranges.items():
            if name in body.indices:
                body = summed(body, (name,))
            else:  # what does not depend on the index is added as often as it has values
                body = body.map(lambda a, n=len(r): a * n)
        return body

    def _range(self, name: str, node: tree.Summation, bound: Mapping[str, Value]) -> Array:
        sizes = [n for i, n in self._indices(node.body) if i == name and n is not None]
        low = 1 if node.lower is None else self._bound(node.lower, bound)
        high = None
        if node.upper is not None:
            try:
                high = self._bound(node.upper, bound)
            except FormulaError:
                if not sizes:
                    raise
        if high is None:
            if not sizes:
                raise FormulaError(f"how far the index {name!r} runs is not known")
            if len(set(sizes)) > 1:
                both = " and ".join(str(n) for n in sorted(set(sizes)))
                raise ShapeError(f"the index {name!r} runs along axes of {both} entries")
            high = sizes[0]
        if high - low >= 10_000_000:
            raise ShapeError(f"the index {name!r} runs to {high}")
        return np.arange(low, high + 1)

    def _bound(self, node: tree.Node, bound: Mapping[str, Value]) -> int:
        return int(np.real(self.value(node, bound).number().array))

    def _entry(self, node: tree.Entry, bound: Mapping[str, Value]) -> Value:
        x = self.value(node.of, bound)
        refuse_free(x)
        if x.indices:
            raise FormulaError("an entry of something that has an index already")
        at = [index(i, self.given, bound, "") for i in node.below]
        return entries(x.array, at, "the bracket")

    # operations

    def _add(self, node: tree.Add, bound: Mapping[str, Value]) -> Value:
        total = self.value(node.terms[0], bound)
        for term in node.terms[1:]:
            total = elementwise(np.add, total, self.value(term, bound), what="added")
        return total

    def _product(self, node: tree.Product, bound: Mapping[str, Value]) -> Value:
        total = self.value(node.factors[0], bound)
        for sign, factor in zip(node.signs, node.factors[1:], strict=True):
            right = self.value(factor, bound)
            try:
                total = self._times(total, right, sign)
            except ShapeError as error:
                where = f"column {factor.at[0] + 1}"
                raise ShapeError(str(error), where=where) from None
        return total

    def _times(self, a: Value, b: Value, sign: str) -> Value:
        if sign == "/":
            return elementwise(np.divide, a, b, what="divided")
        if sign == "*" and self.uses_at:
            return elementwise(np.multiply, a, b, what="multiplied element by element")
        alike = a.matrix and b.matrix and a.shape == b.shape and a.shape[1] != b.shape[0]
        if alike and sign == "*":
            return elementwise(np.multiply, a, b)
        if alike and sign == "·" and 1 in a.shape:
            return summed(elementwise(np.multiply, a, b))
        return multiplied(a, b)

    def _hadamard(self, node: tree.Hadamard, bound: Mapping[str, Value]) -> Value:
        total = self.value(node.factors[0], bound)
        for factor in node.factors[1:]:
            right = self.value(factor, bound)
            total = elementwise(np.multiply, total, right, what="multiplied element by element")
        return total

    def _fraction(self, node: tree.Fraction, bound: Mapping[str, Value]) -> Value:
        upper, lower = self.value(node.upper, bound), self.value(node.lower, bound)
        return elementwise(np.divide, upper, lower, what="divided")

    def _power(self, node: tree.Power, bound: Mapping[str, Value]) -> Value:
        exponent = self.value(node.exponent, bound)
        if (
            isinstance(node.base, tree.Symbol)
            and node.base.key == "e"
            and ("e" not in self.given.arrays)
        ):
            return exponent.map(np.exp)
        if isinstance(node.base, tree.Norm) and node.base.order in ("", "2", "F"):
            if isinstance(node.exponent, tree.Number) and node.exponent.value == 2:
                return summed(self.value(node.base.of, bound).map(np.square))
        base = self.value(node.base, bound)
        if isinstance(node.exponent, tree.Number) and node.exponent.value == 2:
            return base.map(np.square)
        if np.any(np.real(exponent.array) < 0) and base.matrix and min(base.shape) > 1:
            if isinstance(node.exponent, tree.Negative) and base.shape[0] == base.shape[1]:
                raise FormulaError(
                    "the inverse of a matrix is not read", hint="Use 1/x for entries"
                )
        return elementwise(_power, base, exponent, what="raised")

    def _norm(self, node: tree.Norm, bound: Mapping[str, Value]) -> Value:
        x = self.value(node.of, bound)
        if node.order in ("", "2", "F"):
            return summed(x.map(np.square)).map(np.sqrt)
        if node.order == "1":
            return summed(x.map(lambda a: np.where(np.real(a) < 0, -a, a)))
        if node.order == "∞":
            refuse_free(x)
            return Value(np.max(np.abs(x.array), axis=(-2, -1)) if x.matrix else np.abs(x.array))
        raise FormulaError(f"the norm of order {node.order!r} is not known", hint="1, 2, F, ∞")

    def _condition(self, node: tree.Condition, bound: Mapping[str, Value]) -> Value:
        left, right = self.value(node.left, bound), self.value(node.right, bound)
        holds = _RELATIONS[node.relation]
        return elementwise(
            lambda a, b: holds(np.real(a), np.real(b)) * 1.0, left, right, what="compared"
        )

    def _stack(self, node: tree.Stack, bound: Mapping[str, Value]) -> Value:
        rows = [self.value(x, bound) for x in node.rows]
        for x in rows:
            refuse_free(x)
        columns = {x.shape[1] for x in rows}
        if any(x.indices for x in rows) or len(columns) > 1:
            raise ShapeError(
                f"{' and '.join(x.said() for x in rows)} do not stand under each other"
            )
        blocks = [x.array if x.matrix else x.array[None, None] for x in rows]
        return Value(np.concatenate(blocks, axis=0), matrix=True, labels=("", rows[0].labels[1]))

    def _call(self, node: tree.Call, bound: Mapping[str, Value]) -> Value:
        args = [self.value(x, bound) for x in node.args]
        below = [x.key if isinstance(x, tree.Symbol) else x for x in node.below]
        parameters = [x if isinstance(x, str) else self._number(x, bound) for x in below]
        return call(node, args, parameters, self.functions, self.given.examples)

    def _number(self, node: tree.Node, bound: Mapping[str, Value]) -> float:
        return float(np.real(self.value(node, bound).number().array))


def _power(a: Array, b: Array) -> Array:
    return np.power(a, b) if np.iscomplexobj(a) else np.power(np.asarray(a, float), b)


_RELATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "=": np.equal, "≠": np.not_equal, "<": np.less, "≤": np.less_equal, ">": np.greater,
    "≥": np.greater_equal,
}  # fmt: skip
_READINGS: dict[type[tree.Node], Callable[[Run, Any, Mapping[str, Value]], Value]] = {
    tree.Number: lambda run, node, bound: of_number(node.value),
    tree.Ones: lambda run, node, bound: ONES,
    tree.Symbol: Run._symbol,
    tree.Add: Run._add,
    tree.Negative: lambda run, node, bound: run.value(node.of, bound).map(np.negative),
    tree.Product: Run._product,
    tree.Hadamard: Run._hadamard,
    tree.Fraction: Run._fraction,
    tree.Power: Run._power,
    tree.Transpose: lambda run, node, bound: transposed(run.value(node.of, bound)),
    tree.Norm: Run._norm,
    tree.Entry: Run._entry,
    tree.Call: Run._call,
    tree.Summation: Run._summation,
    tree.Condition: Run._condition,
    tree.Stack: Run._stack,
}
