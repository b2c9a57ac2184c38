r"""What the signs of a formula do to values.

Factors side by side, ``\cdot`` and ``@`` are the matrix product, or scale if one is a number or a 1
× 1 matrix that fits no product; ``\cdot`` of two columns or two rows of one length is their dot
product. ``*`` is the matrix product too, but element by element where the shapes are equal and no
product is defined, and everywhere in a formula with ``@``, as in NumPy. +, −, ⊙, / and comparisons
go element by element: a number with anything, a column with a matrix of as many rows, a row with a
matrix of as many columns, and nothing else. Powers and functions act on every entry. ``\vec{1}`` is
a column of ones as long as its neighbour asks. Softmax acts on all entries of a row or column and,
in a matrix (also of one row or column if both its axes have names), on each example. A Σ without an
index adds all entries, ‖x‖² their squares. ``a_j`` with an index j that no Σ binds makes the result
an array with an axis for j. ``x^{(i)}`` with an index i is the i-th example. A subscript that is an
array of whole numbers picks the entry of each example that its label says; labels count from 0.
``onehot_c(y)`` has c entries for each label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, FormulaError, ShapeError
from chainrule.texmath import tree
from chainrule.texmath.calls import Functions, call, one_hot, picked
from chainrule.texmath.indices import running
from chainrule.texmath.lookup import Given, entries, index, index_value, meaning, unknown
from chainrule.texmath.spell import spell
from chainrule.texmath.values import (
    COLUMN,
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

LONGEST = 1_000_000  # of a column of ones
MOST_TERMS = 1_000_000  # of sums inside one another
ROOTS = ("", "2", "F")  # norms that are the root of the sum of squares


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
                a, b = (index(x, self.given, bound) for x in node.below)
                return elementwise(lambda p, q: (p == q) * 1.0, a, b)
            raise unknown(node, self.given.arrays)
        name, below, above = found
        if not below and above is None:
            return self.given.value(name)
        picking = self._labels(below, bound)
        if picking is not None and above is None:
            return picked(self.given.value(name), picking)
        axes = self.given.arrays[name].ndim
        if len(below) > axes:
            what = f"{node.key} has {len(below)} indices, but the value has {axes} axes"
            raise ShapeError(what)
        at = [index(x, self.given, bound) for x in below]
        if above is None:
            return entries(self.given.arrays[name], self._digits(name, at), node.key)
        return self._example(name, at, index(above, self.given, bound), node.key)

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
                body = elementwise(np.multiply, body, of_number(len(r)))
        return body

    def _range(self, name: str, node: tree.Summation, bound: Mapping[str, Value]) -> Array:
        sizes = [n for i, n in running(node.body, self.given) if i == name]
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
        others = math.prod(v.array.size for v in bound.values() if v.indices)
        if (high - low) * others >= MOST_TERMS:
            raise ShapeError(f"the index {name!r} runs to {high}: more than {MOST_TERMS} terms")
        return np.arange(low, high + 1)

    def _bound(self, node: tree.Node, bound: Mapping[str, Value]) -> int:
        return int(np.real(self.value(node, bound).number().array))

    def _entry(self, node: tree.Entry, bound: Mapping[str, Value]) -> Value:
        x = self.value(node.of, bound)
        refuse_free(x)
        if x.indices:
            raise FormulaError("an entry of something that has an index already")
        labels = self._labels(node.below, bound)
        if labels is not None:
            return picked(x, labels)
        own = {
            i.key: Value(np.arange(1, n + 1), (i.key,))
            for i, n in zip(node.below, _sides(x, len(node.below)), strict=False)
            if isinstance(i, tree.Symbol) and index_value(i.key, self.given, bound) is None
        }
        at = [index(i, self.given, {**bound, **own}) for i in node.below]
        return entries(x.array, at, spell(node))

    def _labels(self, indices: tuple[tree.Node, ...], bound: Mapping[str, Value]) -> Value | None:
        """The class labels that stand below, where it is those that do."""
        below = indices[0] if len(indices) == 1 else None
        if not isinstance(below, tree.Symbol) or below.key in bound:
            return None
        array = self.given.arrays.get(below.key)
        whole = array is not None and array.ndim > 0 and array.dtype.kind in "iub"
        return self.given.value(below.key) if whole or below.key in self.given.labels else None

    # operations

    def _ones(self, node: tree.Ones, bound: Mapping[str, Value]) -> Value:
        if node.length is None:
            return ONES
        count = self._number(node.length, bound)
        if not 0 < count <= LONGEST or count != int(count):
            raise ShapeError(f"ones of length {count:g}")
        label = node.length.key if isinstance(node.length, tree.Symbol) else ""
        return Value(np.ones((int(count), 1)), matrix=True, open=COLUMN, labels=(label, ""))

    def _add(self, node: tree.Add, bound: Mapping[str, Value]) -> Value:
        return self._folded(tree.Add, node.terms, ["+"] * len(node.terms[1:]), bound)

    def _product(self, node: tree.Product, bound: Mapping[str, Value]) -> Value:
        return self._folded(
            lambda f: tree.Product(f, node.signs[: len(f) - 1]), node.factors, node.signs, bound
        )

    def _folded(
        self,
        whole: Callable[[tuple[tree.Node, ...]], tree.Node],
        parts: tuple[tree.Node, ...],
        signs: Sequence[str],
        bound: Mapping[str, Value],
    ) -> Value:
        """Parts combined from left to right; `whole` is what the first of them are together."""
        total = self.value(parts[0], bound)
        for i, sign in enumerate(signs, 1):
            right = self.value(parts[i], bound)
            try:
                total = self._combined(total, right, sign)
            except ShapeError as error:
                left = spell(parts[0] if i == 1 else whole(parts[:i]))
                both = f"{left} ({total.said()}) and {spell(parts[i])} ({right.said()})"
                where = f"column {parts[i].at[0] + 1}"
                raise ShapeError(f"{both}: {error}", where=where) from None
        return total

    def _combined(self, a: Value, b: Value, sign: str) -> Value:
        if sign == "+":
            return elementwise(np.add, a, b, what="added")
        if sign == "⊙":
            return elementwise(np.multiply, a, b, what="multiplied element by element")
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
        return self._folded(tree.Hadamard, node.factors, ["⊙"] * len(node.factors[1:]), bound)

    def _fraction(self, node: tree.Fraction, bound: Mapping[str, Value]) -> Value:
        parts = (node.upper, node.lower)
        return self._folded(lambda p: tree.Product(p, ("/",)), parts, ["/"], bound)

    def _power(self, node: tree.Power, bound: Mapping[str, Value]) -> Value:
        exponent = self.value(node.exponent, bound)
        euler = isinstance(node.base, tree.Symbol) and node.base.key == "e"
        if euler and "e" not in self.given.arrays:
            return exponent.map(np.exp)
        squared = isinstance(node.exponent, tree.Number) and node.exponent.value == 2
        if squared and isinstance(node.base, tree.Norm) and node.base.order in ROOTS:
            return summed(self.value(node.base.of, bound).map(np.square))
        base = self.value(node.base, bound)
        if squared:
            return base.map(np.square)
        inverse = isinstance(node.exponent, tree.Negative) and not node.entrywise
        if inverse and base.matrix and min(base.shape) > 1:
            raise FormulaError("the inverse of a matrix is not read", hint="Use 1/x for entries")
        return elementwise(_power, base, exponent, what="raised")

    def _norm(self, node: tree.Norm, bound: Mapping[str, Value]) -> Value:
        x = self.value(node.of, bound)
        if node.order in ROOTS:
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
        if node.function == "onehot" and len(node.below) == len(args) == 1:
            return one_hot(args[0], int(self._number(node.below[0], bound)))
        below = [x.key if isinstance(x, tree.Symbol) else x for x in node.below]
        parameters = [x if isinstance(x, str) else self._number(x, bound) for x in below]
        return call(node, args, parameters, self.functions, self.given.examples)

    def _number(self, node: tree.Node, bound: Mapping[str, Value]) -> float:
        return float(np.real(self.value(node, bound).number().array))


def _sides(x: Value, count: int) -> tuple[int, ...]:
    """How far the indices of an entry run: one index runs along a row or column."""
    return (x.array.size,) if count == 1 else x.shape


def _power(a: Array, b: Array) -> Array:
    return np.power(a, b) if np.iscomplexobj(a) else np.power(np.asarray(a, float), b)


_RELATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "=": np.equal, "≠": np.not_equal, "<": np.less, "≤": np.less_equal, ">": np.greater,
    "≥": np.greater_equal,
}  # fmt: skip
_READINGS: dict[type[tree.Node], Callable[[Run, Any, Mapping[str, Value]], Value]] = {
    tree.Number: lambda run, node, bound: of_number(node.value),
    tree.Ones: Run._ones,
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
