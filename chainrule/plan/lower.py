"""The graph at fixed sizes, in operations that have machine code of their own."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping

from chainrule.expr import EXAMPLES, Expr, const, input_, postorder, rewrite
from chainrule.ops import OPS, transpose
from chainrule.plan.simplify import simplify

# What one machine instruction, or a polynomial of our own, computes for one entry.
SCALAR = frozenset(
    "add sub mul div neg pow exp log log1p expm1 sqrt tanh erf gelu sigmoid softplus abs "
    "sign maximum minimum where gt ge lt le eq".split()
)
REDUCTIONS = frozenset(("sum", "max", "min", "argmax", "contract", "scatter_add"))
COSTLY = frozenset(
    "exp log log1p expm1 tanh erf gelu sigmoid softplus pow div sqrt uniform".split()
)
POLYNOMIALS = frozenset("exp log log1p expm1 tanh erf gelu sigmoid softplus pow uniform".split())
# Reading through these may reach another entry than the one at the same indices.
ELSEWHERE = frozenset(("rename", "merge", "split", "slice", "pad", "concat", "gather"))
NEAR_ENTRIES = 16_384  # of rows that a product reads again and again from where they lie
APART = 64  # entries: rows of a multiple of it share few places of a cache
LEAST_ROWS = 8  # a product with fewer rows reads its right side too seldom to copy it first
LEAVES = ("input", "const")


def lower(
    roots: Iterable[Expr], sizes: Mapping[str, int], examples: str = EXAMPLES
) -> dict[Expr, Expr]:
    """What everything below `roots` becomes at these sizes.

    Composite operations become what their records say, down to `SCALAR`, places and
    `REDUCTIONS`; sizes become numbers; sums over examples and other axes become two sums.
    """
    lowered = rewrite(roots, functools.partial(_spelled, sizes))
    simple = simplify(lowered.values())
    # simplifying writes sizes of its own
    again = rewrite(simple.values(), functools.partial(_spelled, sizes))
    gated = _gates(again.values())
    shaped = rewrite(gated.values(), functools.partial(_shaped, sizes, examples))
    return {node: shaped[gated[again[simple[value]]]] for node, value in lowered.items()}


def _spelled(sizes: Mapping[str, int], node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    if node.op == "size":
        return const(sizes[node["axis"]])
    if node.op in LEAVES:
        return node
    op = OPS[node.op]
    if op.body is not None and node.op not in SCALAR:
        body = op.body(*inputs, **dict(node.attrs))
        return rewrite([body], functools.partial(_spelled, sizes), inputs)[body]
    return node if inputs == node.inputs else op(*inputs, **dict(node.attrs))


def _shaped(sizes: Mapping[str, int], examples: str, node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Reductions in the form in which they run well."""
    if node.op in LEAVES:
        return node
    if node.op == "gather" and node.kind == "float" and not _near(node, sizes):
        return _copied(OPS["gather"](*inputs, node["axis"]))
    over = node["over"] if node.op in ("sum", "contract") else ()
    if examples in over and len(over) > 1 and not node.axes:
        # the features of an example first: many examples side by side
        rest = tuple(axis for axis in over if axis != examples)
        return OPS["sum"](OPS[node.op](*inputs, over=rest), (examples,))
    if node.op == "contract" and node.axes and _rows(node, sizes) >= LEAST_ROWS:
        inputs = tuple(_packed(x, node) for x in inputs)
    return node if inputs == node.inputs else OPS[node.op](*inputs, **dict(node.attrs))


def _rows(node: Expr, sizes: Mapping[str, int]) -> int:
    return math.prod(sizes[axis] for axis in node.axes[:-1])


def _near(rows: Expr, sizes: Mapping[str, int]) -> bool:
    """Whether rows may be read where they lie as often as a product does: few, and well spread."""
    entries = math.prod(sizes[axis] for axis in rows.axes)
    return len(rows.axes) < 2 or (sizes[rows.axes[-1]] % APART != 0 and entries <= NEAR_ENTRIES)


def _packed(x: Expr, product: Expr) -> Expr:
    """An operand copied so that the axis of the lanes runs fastest: read often, written once."""
    lane = product.axes[-1]
    if lane not in x.axes or x.axes[-1] == lane or x.kind != "float":
        return x
    order = (*(axis for axis in x.axes if axis != lane), lane)
    return _copied(transpose(x, order))


def _copied(x: Expr) -> Expr:
    """The same entries in memory of their own: x · 1, which keeps the sign of zeros."""
    return OPS["mul"](x, 1.0)


def _gates(roots: Iterable[Expr]) -> dict[Expr, Expr]:
    """z > 0 becomes relu(z) > 0 where relu(z) is there: then z itself need not be kept."""
    roots = tuple(roots)
    relu = {
        node.inputs[1]: node
        for node in postorder(*roots)
        if node.op == "maximum" and _is_zero(node.inputs[0])
    }

    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if node.op == "gt" and node.inputs[0] in relu and _is_zero(node.inputs[1]):
            return OPS["gt"](inputs_of[relu[node.inputs[0]]], 0)
        if inputs == node.inputs:
            return node
        return OPS[node.op](*inputs, **dict(node.attrs))

    inputs_of = {node: node for node in relu.values()}
    return rewrite(roots, step)


def _is_zero(x: Expr) -> bool:
    return x.op == "const" and x["value"] == 0


def without_scalars(
    outputs: Mapping[str, Expr], scalars: Iterable[Expr]
) -> tuple[dict[str, Expr], dict[str, Expr]]:
    """Take out what depends on numbers of the step alone (its count, the learning rate).

    Such values are the same for every entry. They are computed once a step, in double precision
    whatever the arrays are: 1 − βᵗ cancels in float32. To divide by one is to multiply by its
    reciprocal, which is computed once a step too: a division takes as long as ten products.

    Args:
        outputs: roots by name.
        scalars: the inputs that are numbers of the step.

    Returns:
        The outputs with an input ``s1``, ``s2``, … in each such place, and what these stand for.
    """
    of_step = set(scalars)
    pure: set[Expr] = set()
    for node in postorder(*outputs.values()):
        made_of = node.op in SCALAR and all(x in pure or x.op == "const" for x in node.inputs)
        if node in of_step or (made_of and any(x in pure for x in node.inputs)):
            pure.add(node)
    taken: dict[Expr, Expr] = {}

    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if node in pure or node.op in LEAVES:
            return node
        if node.op == "div" and node.inputs[1] in pure:
            return OPS["mul"](inputs[0], _slot(OPS["div"](1.0, node.inputs[1]), taken))
        swapped = tuple(_slot(x, taken) if x in pure else x for x in inputs)
        return node if swapped == node.inputs else OPS[node.op](*swapped, **dict(node.attrs))

    new = rewrite(outputs.values(), step)
    kept = {name: new[root] for name, root in outputs.items()}
    return kept, {slot.name: value for value, slot in taken.items()}


def _slot(value: Expr, taken: dict[Expr, Expr]) -> Expr:
    if value not in taken:
        taken[value] = input_(f"s{len(taken) + 1}", "")
    return taken[value]
