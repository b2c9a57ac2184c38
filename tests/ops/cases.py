"""Calls of one operation with arrays drawn for it, and what the oracles say about each."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.expr import Expr, Spec, const, input_, parse_axes
from chainrule.ops import OPS
from chainrule.plan.program import program
from chainrule.run.reference import Reference
from tests.oracles import derivatives
from tests.oracles.textbook import evaluate

SIZES = {
    "k": 3,
    "m": 4,
    "n": 2,
    "o": 3,
    "b": 5,
    "c": 4,
    "d": 2,
    "p": 2,
    "q": 3,
    "s": 2,
    "v": 4,
    "1": 1,
}
RANDOM = ("uniform", "dropout")  # float32 takes other bits of the same words than float64


@dataclass(frozen=True)
class Case:
    """One call: the operation applied to affine functions of its real inputs.

    Attributes:
        op: name of the operation.
        node: the call itself.
        given: an array for each input expression.
        cotangent: what the result receives, random.
        directions: a random direction for each real input.
    """

    op: str
    node: Expr
    given: Mapping[Expr, np.ndarray]
    cotangent: np.ndarray
    directions: Mapping[Expr, np.ndarray]

    @property
    def real(self) -> list[Expr]:
        """The inputs that derivatives are taken with respect to."""
        return [x for x in self.given if x.kind == "float"]


def layout_ids():
    """(operation, number of the layout) for every record."""
    return [(name, i) for name, op in OPS.items() for i in range(len(op.layouts))]


def axes_of(op, index):
    """Axes of the layout whose size is free."""
    specs = [parse_axes(text) for text in OPS[op].layouts[index].inputs]
    fixed = {axis for spec in specs for axis in spec.sizes}
    return sorted({axis for spec in specs for axis in spec.axes} - fixed)


@functools.cache
def case(op: str, index: int, sizes: tuple[tuple[str, int], ...] = (), seed: int = 0) -> Case:
    """The call of layout `index`, with some axes sized otherwise, and random arrays."""
    record, layout = OPS[op], OPS[op].layouts[index]
    rng = np.random.default_rng([zlib.crc32(op.encode()), index, seed])
    size_of = SIZES | dict(sizes)
    if op == "rename" and index == 1:  # k and m change places, so they must be of one size
        size_of["m"] = size_of["k"] = min(size_of["m"], size_of["k"])
    inputs, operands, given = [], [], {}
    for i, text in enumerate(layout.inputs):
        x = input_(f"x{i}", text)
        size_of |= x.sizes
        inputs.append(x)
    for i, x in enumerate(inputs):
        shape = tuple(size_of[axis] for axis in x.axes)
        operand, array = _drawn(record, i, x, shape, size_of, dict(layout.attrs), rng)
        operands.append(operand)
        given[x] = array
    node = record(*operands, **layout.attrs)
    if op == "expand":  # something else in the graph must have the axes that it repeats along
        witness = input_(
            "w", Spec(tuple(a for a in node.axes if a not in inputs[0].axes), {}, "bool")
        )
        given[witness] = np.zeros([size_of[axis] for axis in witness.axes], bool)
    shape = shape_of(node, size_of)
    cotangent = _signed(rng, 0.4, 1.6, shape)
    directions = {x: _signed(rng, 0.4, 1.6, a.shape) for x, a in given.items() if x.kind == "float"}
    return Case(op, node, given, cotangent, directions)


def shape_of(node, sizes):
    """The shape of the result of one call on inputs with these sizes."""
    sizes = {**sizes, **node.sizes}
    if node.op == "concat":
        sizes[node["into"]] = sum(sizes[a] for a in node["over"])
    if node.op == "merge":
        sizes[node["into"]] = int(np.prod([sizes[a] for a in node["axes"]]))
    if node.op == "rename":
        sizes |= {new: sizes[old] for old, new in node["to"]}
    return tuple(sizes[axis] for axis in node.axes)


def _signed(rng, low, high, shape):
    return rng.uniform(low, high, shape) * rng.choice([-1.0, 1.0], shape)


def _drawn(record, i, x, shape, size_of, attrs, rng):
    """The operand made of input `x`, and an array for `x`."""
    if x.kind == "bool":
        return x, rng.random(shape) < 0.5
    if x.kind == "int":
        return x, rng.integers(0, _labels(record.name, attrs, size_of), shape)
    low, high = record.domain[min(i, len(record.domain) - 1)]
    scale, offset = float(_signed(rng, 0.6, 1.7, ())), float(rng.uniform(-1, 1))
    wanted = rng.uniform(low, high, shape)
    return scale * x + const(offset), (wanted - offset) / scale


def _labels(op, attrs, size_of):
    if op in RANDOM:
        return 1000
    if op == "cross_entropy":
        return size_of["c"]
    return attrs.get("size") or size_of.get(attrs.get("axis", ""), 3)


@functools.cache
def oracle_first(op: str, index: int, sizes: tuple[tuple[str, int], ...] = ()):
    """Value, gradients by duals, and the magnitude of what is summed in them."""
    c = case(op, index, sizes)
    value = evaluate([c.node], c.given)[c.node]
    slopes = {x: derivatives.by_duals(c.node, c.given, c.cotangent, x) for x in c.real}
    sizes_ = {x: derivatives.magnitude(c.node, c.given, c.cotangent, x) for x in c.real}
    return value, slopes, sizes_


@functools.cache
def oracle_second(op: str, index: int, sizes: tuple[tuple[str, int], ...] = ()):
    """∂/∂x of the derivative along the directions, by duals of duals."""
    c = case(op, index, sizes)
    return {
        x: derivatives.second_by_duals(c.node, c.given, c.cotangent, c.directions, x)
        for x in c.real
    }


def run(outputs, given, dtype=np.float64):
    """What the engine computes: the expressions emitted as Python and executed.

    Args:
        outputs: expressions.
        given: an array for each input expression.
        dtype: the float type of the inputs.
    """
    named = {str(i) if i else "": x for i, x in enumerate(outputs)}
    arrays = {x.name: np.asarray(a, dtype if x.kind == "float" else None) for x, a in given.items()}
    first, rest = Reference(program("f", list(given), named, {}))(**arrays)
    return [first, *rest.values()]
