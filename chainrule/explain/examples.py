"""Examples as columns or as rows: the same network with every equation turned round.

Columns: each example is a column, Z = W X + b, as in CS230. Rows: each example is a row, as in data
tables, Z = X Wᵀ + b. Parameters keep their arrays, so what is trained in one layout runs in the
other; only values that hold examples are turned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from chainrule.differentiate import rewrite_below
from chainrule.errors import ParameterError
from chainrule.expr import Axes, Definition, Expr, Spec, input_, postorder
from chainrule.netfile import Definable, define
from chainrule.nn import revised
from chainrule.ops import OPS, transpose
from chainrule.plan.layers import examples_axis

PLACES = ("columns", "rows")
Place = Literal["columns", "rows"]


def with_examples(source: Definable, place: str, axis: str | None = None) -> Definition:
    """The same network with its examples as columns (their axis last) or as rows (first).

    Args:
        source: as for `derive`.
        place: "columns" or "rows".
        axis: what counts the examples; None for the axis of the loss, or m.

    Returns:
        An equivalent definition. Inputs that hold examples are turned, so they are given as
        transposes; parameters, and therefore their gradients, are as they were.

    Raises:
        ParameterError: another place, or no input has the axis.

    >>> from chainrule.netfile import parse_net
    >>> net = parse_net('''net line
    ... param W: k n
    ... input X: n m
    ... input Y: k m
    ... return mse(W @ X, Y)''')
    >>> rows = with_examples(net, "rows")
    >>> rows.input["X"].axes, rows.input["W"].axes
    (('m', 'n'), ('k', 'n'))
    >>> with_examples(rows, "columns") is net
    True
    """
    definition = define(source)
    if place not in PLACES:
        raise ParameterError(f"examples are columns or rows, got {place!r}")
    axis = axis or examples_axis(definition)
    if all(axis not in x.axes for x in definition.inputs):
        hint = "Name the axis that counts the examples"
        what = f"no input has axis {axis!r}: there are no examples to lay out"
        raise ParameterError(what, where=definition.name, hint=hint)
    kept = {definition.input[name] for name in definition.params}
    inputs = {x: x if x in kept else _turned_input(x, place, axis) for x in definition.inputs}

    def step(node: Expr, new: tuple[Expr, ...]) -> Expr:
        return _settled(node, new, place, axis)

    roots = [definition.root, *(value for _, value in definition.values)]
    new = rewrite_below(roots, inputs, step)
    values = [(name, new[value]) for name, value in definition.values]
    return revised(definition, root=new[definition.root], inputs=tuple(inputs.values()),
                   values=values)  # fmt: skip


def place_of(definition: Definition) -> str:
    """Where the examples of a definition stand: "columns", "rows", or "" if they do not say.

    >>> from chainrule.nn import mlp
    >>> place_of(mlp([4, 2]))
    'rows'
    """
    axis = examples_axis(definition)
    wide = [x.axes for x in postorder(definition.root) if axis in x.axes and len(x.axes) > 1]
    if not wide:
        return ""
    first, last = (sum(axes[at] == axis for axes in wide) for at in (0, -1))
    return "rows" if first > last else "columns"


def in_order(axes: Iterable[str], place: str, axis: str) -> Axes:
    """`axes` with that of the examples where it belongs."""
    rest = tuple(a for a in axes if a != axis)
    return (*rest, axis) if place == "columns" else (axis, *rest)


def _turned_input(x: Expr, place: str, axis: str) -> Expr:
    if axis not in x.axes:
        return x
    return input_(x.name, Spec(in_order(x.axes, place, axis), x.sizes, x.kind))


def _settled(node: Expr, inputs: tuple[Expr, ...], place: str, axis: str) -> Expr:
    """`node` on turned inputs, itself in order."""
    if not node.inputs:
        return node
    wanted = in_order(node.axes, place, axis) if axis in node.axes else node.axes
    if node.op == "transpose":  # entries have names: another order is no other value
        return transpose(inputs[0], wanted)
    attrs = dict(node.attrs)
    if node.op == "expand":
        return OPS["expand"](inputs[0], axes=wanted)
    if node.op == "merge":
        parts = attrs["axes"]
        rest = tuple(a for a in inputs[0].axes if a not in parts)
        inputs = (transpose(inputs[0], (*parts, *rest)),)
    made = OPS[node.op](*inputs, **attrs)
    if made.axes != wanted and node.op == "contract":
        swapped = OPS["contract"](*reversed(inputs), **attrs)
        made = swapped if swapped.axes == wanted else made
    return transpose(made, wanted)
