"""The value of a NumPy expression that somebody typed, without ever running it as Python.

Python's own parser makes the tree; a walk over it computes what the few kinds of nodes in `_WALK`
mean. There are no names but those of the arrays that are given, no attributes but ``.T``, ``.sum``
and their like, no functions but those of `FUNCTIONS`: whatever else stands there is refused, with
the column, before anything is computed with it.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import FormulaError, ShapeError, did_you_mean
from chainrule.run.bind import Array
from chainrule.texmath.limits import DEEPEST, refused

LONGEST = 2_000  # characters of one expression
# Of one result. Two results of that size broadcast against each other, which is the most that is
# computed before it is refused, take 32 MB.
MOST_ENTRIES = 2_000

MODULES = ("np", "numpy")
REDUCTIONS = ("axis", "keepdims")
LISTED = 10  # names that a message lists


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _softmax(x: Array, axis: int = -1) -> Array:
    raised = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return np.asarray(raised / np.sum(raised, axis=axis, keepdims=True))


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


_REDUCING = "sum mean max min"
_OF_ONE = (
    "exp log tanh sqrt square abs sign transpose log1p expm1 sin cos sinh cosh negative "
    "reciprocal ravel squeeze ones_like zeros_like atleast_2d"
)
_OF_TWO = "maximum minimum dot matmul outer multiply add subtract divide power inner vdot"

# name: (function, number of arrays, options)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, tuple[str, ...]]] = {
    **{name: (getattr(np, name), 1, REDUCTIONS) for name in _REDUCING.split()},
    **{name: (getattr(np, name), 1, ()) for name in _OF_ONE.split()},
    **{name: (getattr(np, name), 2, ()) for name in _OF_TWO.split()},
    "where": (np.where, 3, ()),
    "sigmoid": (_sigmoid, 1, ()),
    "softmax": (_softmax, 1, ("axis",)),
    "relu": (_relu, 1, ()),
    "len": (len, 1, ()),
}
# what stands behind a dot of an array: x.T, x.sum(axis=1)
METHODS = ("sum", "mean", "max", "min", "dot", "transpose", "ravel", "squeeze")

# of NumPy, not of Python, where 1/0 is an error and (-8)**(1/3) complex
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.MatMult: np.matmul,
    ast.Pow: np.power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def parse_numpy(text: str) -> ast.expr:
    """The tree of one expression.

    Raises:
        FormulaError: it is no expression, or one that nobody types.

    >>> type(parse_numpy("dZ @ X.T")).__name__
    'BinOp'
    """
    text = _one_line(text)
    if len(text) > LONGEST:
        raise FormulaError(f"the answer is {len(text)} characters long (at most {LONGEST})")
    _refuse_depth(text)
    try:
        with warnings.catch_warnings():  # such as that a number is called
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise refused(text, (error.offset or 1) - 1, "this is no NumPy expression") from None
    except (ValueError, RecursionError, MemoryError):
        raise refused(text, 0, "this is no NumPy expression") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def evaluate_numpy(text: str, values: Mapping[str, Array]) -> Array:
    """The value of a NumPy expression at arrays, in float64.

    Args:
        text: such as ``dZ @ X.T`` or ``np.sum(dZ, axis=1, keepdims=True) / m``.
        values: arrays by name.

    Raises:
        FormulaError: anything but arithmetic, the functions of `FUNCTIONS` and names of `values`;
            `where` is the column.
        ShapeError: shapes do not fit.

    >>> evaluate_numpy("np.sum(A, axis=1) / A.shape[0]", {"A": np.ones((2, 3))}).tolist()
    [1.5, 1.5]
    """
    tree = parse_numpy(text)
    with np.errstate(all="ignore"):
        return np.asarray(_Walk(_one_line(text), values).value(tree), dtype=np.float64)


def _refuse_depth(text: str) -> None:
    depth = 0
    for column, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth > DEEPEST:
            raise refused(text, column, f"brackets more than {DEEPEST} deep")


class _Walk:
    """One evaluation."""

    def __init__(self, text: str, values: Mapping[str, Array]) -> None:
        self.text, self.values = text, values
        self.depth = 0

    def value(self, node: ast.AST) -> Any:
        """What a node means.

        Raises:
            FormulaError, ShapeError: see `evaluate_numpy`.
        """
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refused(node, f"operations more than {DEEPEST} deep")
        kind = next((k for k in _WALK if isinstance(node, k)), None)
        if kind is None:
            what = f"{type(node).__name__} is nothing that an answer can contain"
            raise self.refused(node, what)
        try:
            found = _WALK[kind](self, node)
        except ValueError as error:
            if isinstance(error, (FormulaError, ShapeError)):
                raise
            raise ShapeError(f"{error}", where=f"column {self.column(node) + 1}") from None
        except (TypeError, OverflowError, IndexError) as error:
            raise self.refused(node, f"this cannot be computed: {error}") from None
        if np.size(found) > MOST_ENTRIES:
            raise self.refused(node, f"a result of {np.size(found)} entries")
        self.depth -= 1
        return found

    def refused(self, node: ast.AST, what: str, hint: str = "") -> FormulaError:
        """The error that points at `node`."""
        return refused(self.text, self.column(node), what, hint)

    def column(self, node: ast.AST) -> int:
        """Where a node begins, in characters: the parser counts bytes."""
        bytes_before = self.text.encode()[: int(getattr(node, "col_offset", 0))]
        return len(bytes_before.decode(errors="ignore"))

    def constant(self, node: ast.Constant) -> float:
        """A number."""
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self.refused(node, f"{node.value!r:.40} is no number")
        return float(node.value)

    def name(self, node: ast.Name) -> Array:
        """An array that was given."""
        if node.id not in self.values:
            hint = did_you_mean(node.id, self.values) or _listed(self.values)
            raise self.refused(node, f"{node.id!r} is not known", hint)
        return np.asarray(self.values[node.id])

    def binary(self, node: ast.BinOp) -> Any:
        """+ − * / @ and powers."""
        if type(node.op) not in _BINARY:
            raise self.refused(node, "the operations are + - * / @ **")
        left, right = self.value(node.left), self.value(node.right)
        try:
            found = _BINARY[type(node.op)](left, right)
        except ValueError:
            sign = {ast.MatMult: "matrix product", ast.Mult: "product"}.get(type(node.op), "sum")
            what = f"the shapes {np.shape(left)} and {np.shape(right)} do not fit in a {sign}"
            raise ShapeError(what, where=f"column {self.column(node) + 1}") from None
        if not np.ndim(found) and not np.isfinite(found):
            raise self.refused(node, f"this cannot be computed: it gives {found}")
        return found

    def unary(self, node: ast.UnaryOp) -> Any:
        """A sign."""
        if type(node.op) not in _UNARY:
            raise self.refused(node, "the signs are + and -")
        return _UNARY[type(node.op)](self.value(node.operand))

    def compared(self, node: ast.Compare) -> Any:
        """A comparison of entries, such as ``Z > 0``: 1 where it holds, else 0."""
        if len(node.ops) > 1 or type(node.ops[0]) not in _COMPARED:
            raise self.refused(node, "compare two values, with > >= < <= == or !=")
        left, right = self.value(node.left), self.value(node.comparators[0])
        return np.asarray(_COMPARED[type(node.ops[0])](left, right), dtype=np.float64)

    def attribute(self, node: ast.Attribute) -> Any:
        """``x.T``, ``x.size``."""
        if node.attr not in ("T", "size"):
            raise self.refused(node, f".{node.attr:.40} is not possible here", "There is .T")
        array = np.asarray(self.value(node.value))
        return array.T if node.attr == "T" else float(array.size)

    def entry(self, node: ast.Subscript) -> float:
        """``x.shape[0]``; nothing else has entries here."""
        of = node.value
        if not (isinstance(of, ast.Attribute) and of.attr == "shape"):
            raise self.refused(node, "entries and slices are not possible here")
        shape = np.shape(self.value(of.value))
        at = self._whole(self.value(node.slice), node)
        if not -len(shape) <= at < len(shape):
            raise self.refused(node, f"the shape {shape} has no side {at}")
        return float(shape[at])

    def call(self, node: ast.Call) -> Any:
        """A function of NumPy, or a method of an array."""
        name, first = self._called(node.func)
        function, count, options = FUNCTIONS[name]
        arrays = node.args[: count - len(first)]
        given = [*first, *(self._argument(x) for x in arrays)]
        more = node.args[len(arrays) :]
        if len(given) < count or len(more) > len(options):
            raise self.refused(node, f"{name} takes {count} array{'s' * (count != 1)}")
        pairs = [*zip(options, more, strict=False), *((k.arg, k.value) for k in node.keywords)]
        named: dict[str, Any] = {}
        for option, value in pairs:
            if option is None or option not in options or option in named:
                has = f"It has: {', '.join(options)}" if options else ""
                raise self.refused(node, f"{name} has no option {option!r:.40}", has)
            named[option] = self._option(option, value)
        return function(*given, **named)

    def _called(self, node: ast.expr) -> tuple[str, list[Any]]:
        """The name of a function, and the array before the dot if it is a method."""
        if isinstance(node, ast.Name):
            if node.id in FUNCTIONS:
                return node.id, []
            raise self.refused(node, f"{node.id!r:.40} is no function here", _near(node.id))
        if not isinstance(node, ast.Attribute):
            raise self.refused(node, "this cannot be called")
        if isinstance(node.value, ast.Name) and node.value.id in MODULES:
            if node.attr in FUNCTIONS:
                return node.attr, []
            raise self.refused(node, f"np.{node.attr:.40} is not possible here", _near(node.attr))
        if node.attr in METHODS:
            return node.attr, [self.value(node.value)]
        raise self.refused(node, f".{node.attr:.40}() is not possible here", _near(node.attr))

    def _argument(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Starred):
            raise self.refused(node, "write every argument out")
        return self.value(node)

    def _option(self, name: str, node: ast.expr) -> Any:
        """What keepdims or axis is."""
        if name == "keepdims":
            if isinstance(node, ast.Constant) and type(node.value) in (bool, int):
                return bool(node.value)
            raise self.refused(node, "keepdims is True or False")
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if isinstance(node, ast.Tuple):
            return tuple(self._whole(self.value(x), x) for x in node.elts)
        return self._whole(self.value(node), node)

    def _whole(self, value: Any, node: ast.AST) -> int:
        if np.ndim(value) or not np.isfinite(value) or float(value) != int(value):
            raise self.refused(node, "this is no whole number")
        return int(value)


def _near(name: str) -> str:
    return did_you_mean(name, FUNCTIONS) or _listed(FUNCTIONS)


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = ", …" if len(known) > LISTED else ""
    return f"There are: {', '.join(known[:LISTED])}{more}"


_WALK: dict[type[ast.AST], Callable[[_Walk, Any], Any]] = {
    ast.Constant: _Walk.constant,
    ast.Name: _Walk.name,
    ast.BinOp: _Walk.binary,
    ast.UnaryOp: _Walk.unary,
    ast.Compare: _Walk.compared,
    ast.Attribute: _Walk.attribute,
    ast.Subscript: _Walk.entry,
    ast.Call: _Walk.call,
}
