"""One expression as an equation in matrix notation.

Values with two axes are matrices, with one axis rows or columns (`orientation` decides which),
with none numbers. How an operation looks stands in its record; only what depends on the places of
axes (products, sums, transposes) is here.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chainrule.emit.pieces import Operand, Tex, escape, join, label, number, transposed
from chainrule.expr import EXAMPLES, Axes, Expr, postorder
from chainrule.ops import OPS
from chainrule.ops.record import ATOM, HADAMARD, POWER, PRODUCT, SUM

__all__ = ["Printer", "Tex", "escape", "join", "label", "number", "orientations", "transposed"]

ROW, COLUMN = "row", "column"
EACH_EXAMPLE = ("softmax", "log_softmax", "logsumexp", "cross_entropy")


def orientations(roots: Iterable[Expr]) -> dict[str, str]:
    """Whether a value with one axis is written as a row or as a column.

    What is added to or multiplied with a matrix stands as its axis does there; else as its axis
    mostly stands in matrices; else examples stand side by side, in a row, and everything else in a
    column.
    """
    votes: dict[str, Counter[str]] = {}

    def vote(matrix: Axes, axis: str, weight: int) -> None:
        place = ROW if axis == matrix[-1] else COLUMN
        votes.setdefault(axis, Counter())[place] += weight

    for node in postorder(*roots):
        if len(node.axes) == 2:
            for axis in node.axes:
                vote(node.axes, axis, 1)
            for x in node.inputs:
                if len(x.axes) == 1 and node.op != "contract" and x.axes[0] in node.axes:
                    vote(node.axes, x.axes[0], 1000)
    found = {
        axis: ROW if axis == EXAMPLES else COLUMN
        for node in postorder(*roots)
        for axis in node.axes
    }
    for axis, count in votes.items():
        if count[ROW] != count[COLUMN]:
            found[axis] = count.most_common(1)[0][0]
    return found


class Printer:
    """Prints expressions; those with a name are printed as it.

    Args:
        names: of expressions.
        orientation: of values with one axis.
        sized: axes along which ones are printed with their length.
    """

    def __init__(
        self,
        names: Mapping[Expr, str],
        orientation: Mapping[str, str],
        sized: frozenset[str] = frozenset(),
    ) -> None:
        self.names = dict(names)
        self.orientation = orientation
        self.sized = sized

    def tex(self, node: Expr) -> Tex:
        """`node` as an equation."""
        return Tex(self.names[node], ATOM) if node in self.names else self.definition(node)

    def definition(self, node: Expr) -> Tex:
        """`node` by what it is made of, even if it has a name."""
        if node.op == "input":
            return Tex(label(node.name), ATOM)
        if node.op == "const":
            return number(node["value"])
        if node.op == "size":
            return Tex(label(node["axis"]), ATOM)
        special = _BY_PLACE.get(node.op)
        found = special(self, node) if special else None
        return found or self._from_record(node)

    def _from_record(self, node: Expr) -> Tex:
        op = OPS[node.op]
        attrs = {k: _spelled(v) for k, v in node.attrs if _plain(v)}
        template = op.tex if isinstance(op.tex, str) else op.tex(dict(node.attrs), node.inputs)
        if op.tex_array and node.axes:
            template = op.tex_array
        template = self._along(template, node)
        inside = self.sizing(node)
        operands = [Operand(inside._like(x, node)) for x in node.inputs]
        text = string.Formatter().vformat(template, operands, attrs)
        loose = text.startswith("-") or r"\sum " in template  # a Σ reaches as far as a product
        tex = Tex(text, SUM if loose else op.binds)
        if len(node.axes) != 1 or len(node.inputs[0].axes) != 2:
            return tex
        kept = ROW if node.axes[0] == node.inputs[0].axes[1] else COLUMN
        return self.oriented(tex, kept, node.axes)

    def sizing(self, node: Expr) -> Printer:
        """A printer for the inputs: what is averaged, say, must show how long it is."""
        axes = {axis for x in node.inputs for axis in x.axes}
        if not axes - set(node.axes) and node.op not in EACH_EXAMPLE:
            return self
        unsaid = frozenset(axis for axis in axes if not self.says(node.inputs, axis))
        return Printer(self.names, self.orientation, unsaid) if unsaid else self

    def says(self, nodes: Iterable[Expr], axis: str) -> bool:
        """Whether a name in the equation of `nodes` has this axis, and so its length."""
        todo = list(nodes)
        while todo:
            x = todo.pop()
            if axis in x.axes and (x in self.names or x.op == "input"):
                return True
            if axis in x.axes:
                todo.extend(x.inputs)
        return False

    def ones(self, axis: str) -> str:
        """A column of ones along an axis."""
        return rf"\vec{{1}}_{{{label(axis)}}}" if axis in self.sized else r"\vec{1}"

    def _along(self, template: str, node: Expr) -> str:
        """The axis of a softmax below it, where it is not that of the classes of each example."""
        x = node.inputs[0] if node.inputs else node
        if node.op not in EACH_EXAMPLE or len(x.axes) < 2:
            return template
        over = node["over"] if isinstance(node["over"], str) else node["over"][0]
        examples = x.axes[-1] if self.orientation.get(EXAMPLES, ROW) == ROW else x.axes[0]
        if examples == EXAMPLES != over:
            return template
        below = label(over).replace("{", "{{").replace("}", "}}")
        pattern = r"\\operatorname\{\{(softmax|logsumexp)\}\}"
        return re.sub(pattern, lambda m: rf"{m[0]}_{{{{{below}}}}}", template)

    def _like(self, x: Expr, node: Expr) -> Tex:
        """An elementwise operand, transposed where its axes stand the other way round."""
        axes = node.axes or node.inputs[0].axes
        tex = self.tex(x)
        if len(axes) != 2 or x.kind == "int" or node.op in ("rename", "transpose"):
            return tex
        if len(x.axes) == 1:
            wanted = ROW if x.axes[0] == axes[1] else COLUMN
            return tex if self.orientation[x.axes[0]] == wanted else transposed(tex)
        return transposed(tex) if x.axes == axes[::-1] else tex

    def oriented(self, tex: Tex, natural: str, axes: Axes) -> Tex:
        """A row or column as its axis asks for."""
        return tex if len(axes) != 1 or self.orientation[axes[0]] == natural else transposed(tex)

    def as_matrix(self, x: Expr, last: str | None = None, first: str | None = None) -> Tex:
        """`x` turned so that the axis `last` runs along its rows or `first` down its columns."""
        tex = self.tex(x)
        if len(x.axes) == 1:
            wanted = ROW if last else COLUMN
            return tex if self.orientation[x.axes[0]] == wanted else transposed(tex)
        turned = (last is not None and x.axes[-1] != last) or (
            first is not None and x.axes[0] != first
        )
        return transposed(tex) if turned else tex


def _spelled(value: Any) -> Any:
    """An attribute as it stands in an equation: axes, and numbers with all their digits."""
    if isinstance(value, float):
        return number(value).text
    return ", ".join(label(axis) for axis in value) if isinstance(value, tuple) else value


def _plain(value: Any) -> bool:
    return not isinstance(value, tuple) or all(isinstance(part, str) for part in value)


def _mul(p: Printer, node: Expr) -> Tex | None:
    """A number stands beside its factor; only arrays are multiplied element by element."""
    if all(x.axes for x in node.inputs):
        return None
    a, b = (_number_or_array(p, x) for x in node.inputs)
    return Tex(join(a, b), PRODUCT)


def _number_or_array(p: Printer, x: Expr) -> str:
    """A factor; a number that is itself a product of arrays, as of a row and a column, stays one.

    The product of matrices is associative, but A(uᵀv) is not (Auᵀ)v.
    """
    tex = p.tex(x)
    inside = [] if x.axes or x in p.names else list(x.inputs)
    while inside:
        y = inside.pop()
        if y.axes:
            return tex.at(POWER)
        inside += [] if y in p.names else y.inputs
    return tex.at(PRODUCT)


def _contract(p: Printer, node: Expr) -> Tex | None:
    a, b = node.inputs
    p = p.sizing(node)
    if not (a.axes and b.axes):
        return Tex(join(p.tex(a).at(PRODUCT), p.tex(b).at(PRODUCT)), PRODUCT)
    over = tuple(axis for axis in node["over"] if axis != "1") or node["over"]
    shared = [axis for axis in a.axes if axis in b.axes and axis not in over]
    if len({*a.axes, *b.axes}) <= 2 and (shared or len(over) > 1):
        return _product_summed(p, node)
    if shared or len(over) > 1 or len(a.axes) > 2 or len(b.axes) > 2:
        return _indexed(p, node)
    if not over:  # an outer product: a column times a row
        if len(a.axes) != 1 or len(b.axes) != 1:
            return _indexed(p, node)
        return Tex(join(_turn(p, a, COLUMN).at(PRODUCT), _turn(p, b, ROW).at(PRODUCT)), PRODUCT)
    left = p.as_matrix(a, last=over[0]).at(PRODUCT)
    right = p.as_matrix(b, first=over[0]).at(PRODUCT)
    natural = COLUMN if len(a.axes) == 2 else ROW
    return p.oriented(Tex(join(left, right), PRODUCT), natural, node.axes)


def _product_summed(p: Printer, node: Expr) -> Tex:
    """A contraction that is no matrix product, as a product entry by entry that is added up."""
    a, b = sorted(node.inputs, key=lambda x: -len(x.axes))
    turned = len(b.axes) == 2 and b.axes != a.axes
    factor = transposed(p.tex(b)) if turned else p.tex(b)
    text = rf"{Operand(p.tex(a)):left} \odot {factor.at(POWER)}"
    over = tuple(axis for axis in node["over"] if axis != "1")
    return _ones_around(p, Tex(text, HADAMARD), a.axes, over, node)


def _turn(p: Printer, x: Expr, wanted: str) -> Tex:
    return p.tex(x) if p.orientation[x.axes[0]] == wanted else transposed(p.tex(x))


def _indexed(p: Printer, node: Expr) -> Tex:
    """A contraction that is no matrix product, with its indices."""
    factors = [f"{p.tex(x).at(ATOM)}_{{{' '.join(label(a) for a in x.axes)}}}" for x in node.inputs]
    below = rf"\sum_{{{' '.join(label(a) for a in node['over'])}}} " if node["over"] else ""
    return Tex(rf"{below}{factors[0]}\,{factors[1]}", PRODUCT)


def _sum(p: Printer, node: Expr) -> Tex | None:
    x = node.inputs[0]
    over = tuple(axis for axis in node["over"] if axis != "1")
    tex = p.tex(x)
    if not over:
        return tex
    if len(x.axes) > 2:
        return None
    return _ones_around(p, tex, x.axes, over, node)


def _ones_around(p: Printer, tex: Tex, axes: Axes, over: Axes, node: Expr) -> Tex:
    """The sum over some axes of a piece with one axis or two, as products with ones."""
    columns = axes[-1] if len(axes) == 2 or p.orientation[axes[0]] == ROW else None
    rows = axes[0] if len(axes) == 2 or columns is None else None
    if columns not in over and rows not in over:
        return tex
    text = tex.at(PRODUCT)
    if columns in over:
        text = join(text, _ones(p, node, columns))
    if rows in over:
        text = join(_ones(p, node, rows) + r"^\intercal", text)
    return p.oriented(Tex(text, PRODUCT), COLUMN if columns in over else ROW, node.axes)


def _ones(p: Printer, node: Expr, axis: str | None) -> str:
    """Ones to add up an axis: with their length where nothing in the equation has it."""
    said = axis is None or p.says(node.inputs, axis)
    return r"\vec{1}" if said else rf"\vec{{1}}_{{{label(str(axis))}}}"


def _expand(p: Printer, node: Expr) -> Tex | None:
    x = node.inputs[0]
    if len(node.axes) > 2:
        return Tex(p.tex(x).text, p.tex(x).binds)
    one = x.op == "const" and x["value"] == 1
    text = "" if one else p.tex(x).at(PRODUCT)
    if len(x.axes) == len(node.axes):
        return p.tex(x)
    if not x.axes:
        first, last = p.ones(node.axes[0]), p.ones(node.axes[-1])
        ones = rf"{first}{last}^\intercal" if len(node.axes) == 2 else _turned_ones(p, node.axes[0])
        return Tex(join(text, ones), PRODUCT)
    if x.axes[0] == node.axes[0]:
        row = rf"{p.ones(node.axes[1])}^\intercal"
        return Tex(join(_turn(p, x, COLUMN).at(PRODUCT), row), PRODUCT)
    return Tex(join(p.ones(node.axes[0]), _turn(p, x, ROW).at(PRODUCT)), PRODUCT)


def _turned_ones(p: Printer, axis: str) -> str:
    return p.ones(axis) if p.orientation[axis] == COLUMN else rf"{p.ones(axis)}^\intercal"


def _transpose(p: Printer, node: Expr) -> Tex | None:
    return transposed(p.tex(node.inputs[0])) if len(node.axes) == 2 else p.tex(node.inputs[0])


def _concat(p: Printer, node: Expr) -> Tex | None:
    return Tex(rf"\left[{'; '.join(p.tex(x).text for x in node.inputs)}\right]", ATOM)


def _rename(p: Printer, node: Expr) -> Tex | None:
    return p.tex(node.inputs[0])


def _mean(p: Printer, node: Expr) -> Tex | None:
    return None if node["over"] else p.tex(node.inputs[0])


def _one_hot(p: Printer, node: Expr) -> Tex | None:
    """A column for each label that stands in a row, a row for each label of a column."""
    labels = node.inputs[0]
    tex = p._from_record(node)
    if not labels.axes:
        return p.oriented(tex, COLUMN, node.axes)
    return transposed(tex) if p.orientation[labels.axes[0]] == ROW else tex


_BY_PLACE: dict[str, Callable[[Printer, Expr], Tex | None]] = {
    "mul": _mul,
    "contract": _contract,
    "sum": _sum,
    "expand": _expand,
    "transpose": _transpose,
    "concat": _concat,
    "rename": _rename,
    "one_hot": _one_hot,
    "mean": _mean,
}
