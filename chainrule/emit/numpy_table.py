"""How NumPy spells each primitive: one entry per operation without a body."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chainrule.expr import Expr

if TYPE_CHECKING:
    from chainrule.emit.python import Writer

# How tightly Python binds: what binds looser than its place asks for gets parentheses.
COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(6)
Code = tuple[str, int]
Spelling = Callable[["Writer", Expr], Code]


def infix(sign: str, level: int, right: int) -> Spelling:
    """``a + b``; `right` is the level the right operand needs."""

    def spell(w: Writer, node: Expr) -> Code:
        a, b = node.inputs
        return f"{w.aligned(a, node, level)} {sign} {w.aligned(b, node, right)}", level

    return spell


def call(function: str) -> Spelling:
    """``np.exp(x)``; several operands are aligned to each other."""

    def spell(w: Writer, node: Expr) -> Code:
        operands = ", ".join(w.aligned(x, node, COMPARE) for x in node.inputs)
        return f"{function}({operands})", ATOM

    return spell


def reduction(function: str) -> Spelling:
    """``np.sum(x, axis=1)``."""

    def spell(w: Writer, node: Expr) -> Code:
        x = node.inputs[0]
        places = tuple(x.axes.index(axis) for axis in node["over"])
        if len(places) == len(x.axes) and function == "np.sum":
            return f"np.sum({w.code(x)})", ATOM
        axis = str(places[0]) if len(places) == 1 else str(places)
        return f"{function}({w.code(x)}, axis={axis})", ATOM

    return spell


def where(w: Writer, node: Expr) -> Code:
    """np.where; of two plain numbers it would forget the float type, so that is said."""
    code, level = call("np.where")(w, node)
    if all(x.op == "const" for x in node.inputs[1:]):
        return f"{code}.astype({w.dtype()})", ATOM
    return code, level


def contract(w: Writer, node: Expr) -> Code:
    """``A @ B`` where it is a product of matrices, ``np.einsum`` elsewhere."""
    a, b = node.inputs
    over = node["over"]
    shared = [axis for axis in a.axes if axis in b.axes and axis not in over]
    if len(over) == 1 and not shared and len(a.axes) <= 2 and len(b.axes) <= 2:
        left = w.code(a, PRODUCT) if a.axes[-1] == over[0] else w.code(a, ATOM) + ".T"
        right = w.code(b, UNARY) if b.axes[0] == over[0] else w.code(b, ATOM) + ".T"
        return f"{left} @ {right}", PRODUCT
    letter = w.letters((*a.axes, *b.axes))
    terms = ["".join(letter[axis] for axis in x.axes) for x in (a, b, node)]
    return f"np.einsum('{terms[0]},{terms[1]}->{terms[2]}', {w.code(a)}, {w.code(b)})", ATOM


def transpose(w: Writer, node: Expr) -> Code:
    """``x.T``, or ``np.transpose(x, order)``."""
    x = node.inputs[0]
    if node.axes == x.axes[::-1]:
        return f"{w.code(x, ATOM)}.T", ATOM
    order = tuple(x.axes.index(axis) for axis in node.axes)
    return f"np.transpose({w.code(x)}, {order})", ATOM


def expand(w: Writer, node: Expr) -> Code:
    """``np.full`` for a number, ``np.broadcast_to`` for an array."""
    x = node.inputs[0]
    shape = w.shape(node.axes)
    if x.op in ("const", "size"):
        return f"np.full({shape}, {w.code(x)}, dtype={w.dtype()})", ATOM
    return f"np.broadcast_to({w.aligned(x, node, COMPARE)}, {shape})", ATOM


def one_hot(w: Writer, node: Expr) -> Code:
    """Labels compared with every position."""
    x = node.inputs[0]
    code = w.code(x, ATOM) + ("[..., None]" if x.axes else "")
    return f"{code} == np.arange({w.size(node['axis'])})", COMPARE


def reshape(w: Writer, node: Expr) -> Code:
    """merge and split."""
    return f"np.reshape({w.code(node.inputs[0])}, {w.shape(node.axes)})", ATOM


def _bounds(w: Writer, node: Expr, inner: str) -> tuple[str, str]:
    parts = [w.size(axis) for axis in node["after"]] + (
        [str(node["start"])] if node["start"] else []
    )
    start = " + ".join(parts)
    return start, f"{start} + {w.size(inner)}" if start else w.size(inner)


def slice_(w: Writer, node: Expr) -> Code:
    """``x[:, start:stop]``."""
    x = node.inputs[0]
    start, stop = _bounds(w, node, node["into"])
    before = ":, " * x.axes.index(node["axis"])
    return f"{w.code(x, ATOM)}[{before}{start}:{stop}]", ATOM


def pad(w: Writer, node: Expr) -> Code:
    """``np.pad`` with zeros."""
    x = node.inputs[0]
    start, stop = _bounds(w, node, node["axis"])
    widths = ["(0, 0)"] * len(x.axes)
    widths[x.axes.index(node["axis"])] = f"({start or 0}, {w.size(node['into'])} - ({stop}))"
    return f"np.pad({w.code(x)}, ({', '.join(widths)},))", ATOM


def concat(w: Writer, node: Expr) -> Code:
    """``np.concatenate``, every part in the axis order of the first."""
    into = node["into"]
    place = node.axes.index(into)
    parts = []
    for x, axis in zip(node.inputs, node["over"], strict=True):
        wanted = tuple(axis if a == into else a for a in node.axes)
        parts.append(w.ordered(x, wanted))
    return f"np.concatenate(({', '.join(parts)}), axis={place})", ATOM


def gather(w: Writer, node: Expr) -> Code:
    """``np.take``."""
    x, index = node.inputs
    place = x.axes.index(node["axis"])
    return f"np.take({w.code(x)}, {w.code(index)}, axis={place})", ATOM


def scatter_add(w: Writer, node: Expr) -> Code:
    """The transpose of ``np.take``, as a helper function."""
    x, index = node.inputs
    rest = tuple(axis for axis in x.axes if axis not in index.axes)
    w.need("scatter_add", SCATTER_ADD)
    values = w.ordered(x, (*index.axes, *rest))
    return f"scatter_add({values}, {w.code(index)}, {w.size(node['axis'])})", ATOM


SCATTER_ADD = '''\
def scatter_add(values, index, size):
    """Rows of `values` added up at the places that `index` names."""
    total = np.zeros((size, *values.shape[index.ndim :]), values.dtype)
    np.add.at(total, index, values)
    return total
'''
ERF = '''\
def erf(x):
    """The error function, number by number."""
    x = np.asarray(x)
    return np.array([math.erf(v) for v in x.ravel()], x.dtype).reshape(x.shape)
'''


def erf(w: Writer, node: Expr) -> Code:
    """NumPy has none: a helper over math.erf."""
    w.need("erf", ERF, "import math")
    return call("erf")(w, node)


def uniform(w: Writer, node: Expr) -> Code:
    """Keyed random numbers with the shape of an array."""
    key = node.inputs[1]
    w.need("uniform_like", "", "from chainrule.run.keyed import uniform_like")
    shape = w.shape(node.axes)
    return f"uniform_like({shape}, {w.dtype()}, {w.code(key)}, 0, {node['stream']})", ATOM


def negative(w: Writer, node: Expr) -> Code:
    """``-x``."""
    return f"-{w.code(node.inputs[0], UNARY)}", UNARY


def same(w: Writer, node: Expr) -> Code:
    """Names and marks that NumPy does not know."""
    return w.code(node.inputs[0], ATOM), ATOM


def power(w: Writer, node: Expr) -> Code:
    """``a ** b``."""
    a, b = node.inputs
    return f"{w.aligned(a, node, ATOM)} ** {w.aligned(b, node, UNARY)}", POWER


SPELLINGS: dict[str, Spelling] = {
    "add": infix("+", SUM, SUM),
    "sub": infix("-", SUM, PRODUCT),
    "mul": infix("*", PRODUCT, UNARY),
    "div": infix("/", PRODUCT, UNARY),
    "neg": negative,
    "pow": power,
    "gt": infix(">", COMPARE, SUM),
    "ge": infix(">=", COMPARE, SUM),
    "lt": infix("<", COMPARE, SUM),
    "le": infix("<=", COMPARE, SUM),
    "eq": infix("==", COMPARE, SUM),
    **{
        name: call(f"np.{name}")
        for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sign", "abs")
    },
    "maximum": call("np.maximum"),
    "minimum": call("np.minimum"),
    "erf": erf,
    "where": where,
    "sum": reduction("np.sum"),
    "max": reduction("np.max"),
    "min": reduction("np.min"),
    "argmax": reduction("np.argmax"),
    "contract": contract,
    "transpose": transpose,
    "expand": expand,
    "stop_gradient": same,
    "one_hot": one_hot,
    "rename": same,
    "merge": reshape,
    "split": reshape,
    "slice": slice_,
    "pad": pad,
    "concat": concat,
    "gather": gather,
    "scatter_add": scatter_add,
    "uniform": uniform,
}
