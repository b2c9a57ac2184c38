"""The forward function as a definition, and points at which to compare."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.calling import Function, called, label
from chainrule.diagnose.lower import lower
from chainrule.diagnose.recognise import values_at, variants
from chainrule.diagnose.tape import Untraceable
from chainrule.diagnose.trace import first_of, trace
from chainrule.expr import Axes, Definition, Expr, Spec, input_, postorder
from chainrule.ops import OPS
from chainrule.run.keyed import normal

WEIGHTS = "g"  # what a result that is no number is weighted with
# a definition whose loss is further off is not the function (it may compute in float32 inside)
SAME_LOSS, SAME_LOSS_FLOAT32 = 1e-6, 1e-4


@dataclass(frozen=True)
class Model:
    """A forward function as a definition.

    Attributes:
        written: the definition as the function spells it.
        points: arrays for all inputs of the definition, at each point.
        examples: the axis that counts the examples; "" if there is none.
    """

    written: Definition
    points: Sequence[Mapping[str, Array]]
    examples: str

    @functools.cached_property
    def shown(self) -> list[Definition]:
        """Ways to write it with known functions; the last reads best."""
        return variants(self.written, self.points)


def from_definition(
    definition: Definition,
    points: Sequence[Mapping[str, Array]],
    upstream: Sequence[Array | float],
) -> Model:
    """The model of a definition, at points that fit its inputs."""
    mine = [dict(arrays) for arrays in points]
    if definition.root.axes:
        definition, name = weighted(definition)
        mine = [{**p, name: np.asarray(u)} for p, u in zip(mine, upstream, strict=True)]
    return _model(definition, mine)


def from_function(
    function: Function,
    points: Sequence[Mapping[str, Array]],
    upstream: Sequence[Array | float],
    axes: Mapping[str, Axes],
    params: Sequence[str],
) -> Model:
    """The model of a NumPy function: written down at every point, and its loss compared.

    Raises:
        Untraceable: it cannot be written down, or what was written down is another function.
    """
    definition: Definition | None = None
    mine: list[dict[str, Array]] = []
    own: list[Mapping[str, Array]] = []
    escaped = False
    for arrays in points:
        run = trace(function, arrays, axes)
        traced = lower(run, label(function), params)
        own.append(traced.own)
        escaped |= any(node is not run.result for node in run.tape.escaped)
        if definition is not None and traced.definition.root is not definition.root:
            raise Untraceable("what it computes depends on the values")
        definition = definition or traced.definition
        values = dict(traced.own)
        for x in traced.definition.inputs:
            if x.name not in values:
                values[x.name] = _squeezed(arrays[x.name])
        mine.append(values)
        result = first_of(called(function, {n: a.copy() for n, a in arrays.items()})[0])
        wide = _wide(values)
        found = values_at([definition.root], definition.inputs, [wide])[0][0]
        if not _equal(found, _squeezed(np.asarray(result, np.float64)), arrays):
            raise Untraceable("what was written down has another value")
    assert definition is not None
    if escaped and _vary(definition, own):
        raise Untraceable("it makes arrays of plain numbers that it computed, as float(x) does")
    if definition.root.axes:
        definition, name = weighted(definition)
        for values, u in zip(mine, upstream, strict=True):
            values[name] = _squeezed(np.asarray(u))
    return _model(definition, mine)


def _vary(definition: Definition, own: Sequence[Mapping[str, Array]]) -> bool:
    """Whether arrays that the function made itself differ from point to point.

    Whole numbers may: labels, or 1 where something holds, do not change with the parameters.
    """
    used = {x.name for x in postorder(definition.root) if x.op == "input"}
    first = [n for n in own[0] if n in used and (own[0][n] != np.round(own[0][n])).any()]
    return any(not np.array_equal(each[n], own[0][n]) for each in own for n in first)


def weighted(definition: Definition) -> tuple[Definition, str]:
    """A result that is no number, weighted with what would arrive from later operations."""
    root = definition.root
    name = WEIGHTS
    while name in definition.input:
        name += "_"
    g = input_(name, Spec(root.axes, root.sizes))
    loss = OPS["contract"](root, g, root.axes)
    result = (("y", root),) if "y" not in definition.input else ()
    values = (*definition.values, *result)
    return (
        Definition(definition.name, loss, (*definition.inputs, g), values, definition.params),
        name,
    )


def _model(definition: Definition, points: Sequence[Mapping[str, Array]]) -> Model:
    wide = [_wide(p) for p in points]
    return Model(definition, wide, _examples(definition))


def _wide(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}


def _examples(definition: Definition) -> str:
    """The axis that counts examples: m, else one that data have and no parameter has."""
    data = [x for x in definition.inputs if x.name not in definition.params]
    params = {a for x in definition.inputs if x.name in definition.params for a in x.axes}
    axes = [a for x in data for a in x.axes if a not in params]
    return "m" if "m" in axes else next(iter(axes), "")


def _squeezed(array: Array) -> Array:
    return np.asarray(array).reshape([n for n in np.shape(array) if n != 1])


def _equal(a: Array, b: Array, arrays: Mapping[str, Array]) -> bool:
    if a.shape != b.shape or not np.isfinite(b).all():
        return False
    exact = all(x.dtype != np.float32 for x in arrays.values())
    scale = float(np.max(np.abs(b), initial=0.0))
    close = SAME_LOSS if exact else SAME_LOSS_FLOAT32
    return bool(np.max(np.abs(a - b), initial=0.0) <= close * max(scale, 1.0))


def notable(definition: Definition) -> list[Expr]:
    """Values that a hand could take for one another: inputs, named values, results of layers."""
    named = [e for _, e in definition.values]
    found: dict[Expr, None] = dict.fromkeys(x for x in definition.inputs if x.kind == "float")
    for node in postorder(definition.root, *named):
        functional = len(node.inputs) == 1 and node.inputs[0].axes == node.axes
        if node in named or (functional and node.op not in ("transpose", "rename", "neg")):
            found.setdefault(node)
            for x in node.inputs if functional else ():
                found.setdefault(x)
    return [e for e in found if e.op not in ("const", "size")]


def moved(
    arrays: Mapping[str, Array], wrt: Sequence[str], seed: int, number: int
) -> dict[str, Array]:
    """Another point: parameters elsewhere, data as they are."""
    new = dict(arrays)
    for stream, name in enumerate(wrt):
        array = arrays[name]
        scale = float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) or 1.0
        step = normal(seed, "check", number, array.shape, stream=stream)
        new[name] = np.asarray(array + 0.5 * scale * step, array.dtype)
    return new
