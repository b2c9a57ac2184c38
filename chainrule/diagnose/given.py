"""What forward is, and the points at which it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.check.draw import CENTRE, INTERVALS, SMALLEST, SPREAD, draw
from chainrule.check.evaluate import Graph
from chainrule.check.named import Array
from chainrule.definition import declared
from chainrule.diagnose.calling import Function, Raised, called, label, parameter_names
from chainrule.diagnose.recognise import values_at
from chainrule.diagnose.trace import first_of
from chainrule.errors import ChainruleError, DataError, DTypeError, ParameterError, did_you_mean
from chainrule.expr import Definition, Expr, postorder
from chainrule.netfile import Definable, define
from chainrule.run.bind import bind
from chainrule.run.keyed import normal, permutation, uniform

POINTS = 3  # at which everything is compared: coincidences do not come three times
SQUARE = 4  # the size of all axes where a missing transpose would stop the function otherwise
ATTEMPTS = 4

Arrays = Mapping[str, Any]
Makes = Callable[[np.random.Generator], Arrays]


@dataclass(frozen=True)
class Source:
    """A forward function.

    Attributes:
        name: what it is called.
        definition: it, if it is written with chainrule.
        function: it, if it is written with NumPy.
        declared: its inputs with their axes, if it says them.
        problem: why an annotated function is no definition.
    """

    name: str
    definition: Definition | None
    function: Function | None
    declared: Mapping[str, Expr]
    problem: ChainruleError | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its arguments."""
        if self.definition is not None:
            return tuple(self.definition.input)
        assert self.function is not None
        return parameter_names(self.function)

    def call(self, **arrays: Array) -> Any:
        """What a definition computes; a function of the user is called as it is."""
        assert self.definition is not None
        return self.values(arrays)["", self.definition.root]

    def values(self, arrays: Mapping[str, Array]) -> dict[Any, Array]:
        """The result of a definition under ("", root), and every named value by name."""
        assert self.definition is not None
        named = [(n, e) for n, e in self.definition.values if e.kind == "float"]
        nodes = [self.definition.root, *(e for _, e in named)]
        dtype = next((a.dtype for a in arrays.values() if a.dtype.kind == "f"), np.dtype(float))
        found = values_at(nodes, self.definition.inputs, [arrays])[0]
        result: dict[Any, Array] = {("", nodes[0]): np.asarray(found[0], dtype)}
        return result | {
            n: np.asarray(v, dtype) for (n, _), v in zip(named, found[1:], strict=True)
        }


def source_of(forward: Definable | Function) -> Source:
    """What `forward` is: a definition or its file, an annotated function, or a NumPy function.

    A function whose arguments are all annotated with axes is read as a definition; if NumPy occurs
    in it, as a NumPy function whose shapes are known.

    Raises:
        ChainruleError: it is none of these.
    """
    if isinstance(forward, Definition | str | os.PathLike):
        definition = define(forward)
        return Source(definition.name, definition, None, definition.input)
    if not callable(forward):
        what = (
            f"forward must be a function, a definition or a .net file, got {type(forward).__name__}"
        )
        raise ParameterError(what)
    try:
        inputs = declared(forward, _ones)
    except ChainruleError:
        return Source(label(forward), None, forward, {})
    try:
        definition = define(forward)
    except ChainruleError as problem:
        return Source(label(forward), None, forward, inputs, problem)
    except (AttributeError, TypeError, ValueError, IndexError, KeyError):
        # what expressions cannot do, arrays may: (r * r).mean()
        return Source(label(forward), None, forward, inputs)
    return Source(definition.name, definition, None, inputs)


def _ones(axes: str) -> str:
    """The shape "1 1" of an array of NumPy, with one name for each axis."""
    words = axes.split()
    ones = [i for i, word in enumerate(words) if word == "1"]
    for i in ones[1:]:
        words[i] = f"one_{i}=1"
    return " ".join(words)


def points_of(
    source: Source, arrays: Arrays | Makes | None, seed: int, dtype: str, *, square: bool = False
) -> list[dict[str, Array]]:
    """The arrays of `POINTS` points as they were given or drawn; one if they were given.

    Args:
        square: draw all axes of one size, so that a missing transpose can be found.

    Raises:
        ParameterError: arrays are missing or not known.
        DataError: no point with a finite loss was found.
    """
    if callable(arrays):
        generators = [np.random.default_rng([seed, i]) for i in range(POINTS)]
        return [_checked(source, arrays(g), dtype) for g in generators]
    _refuse_other(arrays or {}, source.name)
    given = dict(arrays or {})
    if given and set(given) >= set(source.inputs):
        return [_checked(source, given, dtype)]
    if not source.declared:
        missing = [n for n in source.inputs if n not in given]
        what = f"the shapes of {', '.join(missing)} are not known"
        hint = f"Give arrays={{'{missing[0]}': …}}, or write its axes: {missing[0]}: \"k n\""
        raise ParameterError(what, where=source.name, hint=hint)
    return _drawn(source, given, seed, dtype, square)


def _checked(source: Source, given: Arrays, dtype: str) -> dict[str, Array]:
    _refuse_other(given, source.name)
    inputs = source.inputs
    for name in given:
        if name not in inputs:
            hint = did_you_mean(name, inputs) or f"It has: {', '.join(inputs)}"
            raise ParameterError(f"no input is called {name!r}", where=source.name, hint=hint)
    missing = [n for n in inputs if n not in given]
    if missing:
        raise ParameterError(f"arrays are missing for {', '.join(missing)}", where=source.name)
    if source.definition is not None:
        bound = bind(source.definition.inputs, given, where=source.name)
        return {x.name: _typed(bound[x.name], dtype) for x in source.definition.inputs}
    found = {}
    for name in inputs:
        found[name] = _typed(_numbers(name, given[name], source.name), dtype)
    return found


def _refuse_other(given: Any, where: str) -> None:
    """Refuse arrays that are no dict.

    Raises:
        ParameterError: they are something else.
    """
    if not isinstance(given, Mapping):
        made = "a dict by name, or a function of a generator that makes one"
        what = f"arrays must be {made}, got {type(given).__name__}"
        raise ParameterError(what, where=where, hint="arrays = {'W': …, 'X': …}")


def _numbers(name: str, value: Any, where: str) -> Array:
    """One array.

    Raises:
        DTypeError: it is none, or holds no numbers.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # arrays of different shapes
        array = np.empty(0, object)
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "O" and isinstance(value, list | tuple | Mapping):
        what = f"{name} is a {type(value).__name__} of arrays, expected one array"
        hint = f"Give each array an argument of its own and put {name} together inside forward"
        raise DTypeError(what, where=where, hint=hint)
    raise DTypeError(f"{name} has dtype {array.dtype}, expected numbers", where=where)


def _typed(array: Array, dtype: str) -> Array:
    return array.astype(dtype) if array.dtype.kind == "f" else np.array(array)


def _drawn(
    source: Source, given: Arrays, seed: int, dtype: str, square: bool
) -> list[dict[str, Array]]:
    inputs = list(source.declared.values())
    fixed = {n: np.asarray(a) for n, a in given.items()}
    for interval in INTERVALS:
        for first in range(0, ATTEMPTS * POINTS, POINTS):
            points = []
            for number in range(first, first + POINTS):
                if source.definition is not None and not square:
                    graph = Graph([source.definition.root], inputs)
                    found = draw(graph, inputs, fixed, seed, interval, number)
                else:
                    found = _of_axes(inputs, fixed, seed, interval, number, square)
                found = {n: _typed(np.asarray(found[n]), dtype) for n in source.inputs}
                points.append(_with_targets(source.definition, found))
            if all(_finite(source, p) for p in points):
                return points
    what = f"the loss is not finite at any of {ATTEMPTS * POINTS * len(INTERVALS)} points drawn"
    raise DataError(what, where=source.name, hint="Give arrays={…}")


def _of_axes(
    inputs: Sequence[Expr], fixed: Mapping[str, Array], seed: int, interval: tuple[float, float],
    number: int, square: bool,
) -> dict[str, Array]:  # fmt: skip
    """Values for inputs of which only the axes are known; whole numbers are 0 or 1."""
    sizes: dict[str, int] = {"1": 1}
    for x in inputs:
        sizes |= x.sizes
        if x.name in fixed:
            sizes |= dict(zip(x.axes, fixed[x.name].shape, strict=True))
    order = [int(n) + SMALLEST for n in permutation(seed, 0, 8, purpose="check")]
    fresh = iter([n for n in order if n not in sizes.values()] * 4)
    for x in inputs:
        for axis in x.axes:
            sizes[axis] = sizes[axis] if axis in sizes else SQUARE if square else next(fresh)
    found = dict(fixed)
    for stream, x in enumerate(inputs):
        shape = tuple(sizes[a] for a in x.axes)
        if x.name in found:
            continue
        flat = uniform(seed, "check", number, shape, stream=stream)
        if x.kind != "float":
            found[x.name] = (flat < 0.5).astype(bool if x.kind == "bool" else np.int64)
        elif np.isinf(interval[0]):
            drawn = normal(seed, "check", number, shape, stream=stream)
            found[x.name] = CENTRE + SPREAD * drawn
        else:
            found[x.name] = interval[0] + (interval[1] - interval[0]) * flat
    return found


def _with_targets(definition: Definition | None, arrays: dict[str, Array]) -> dict[str, Array]:
    """Targets of a cross-entropy that are probabilities add up to 1."""
    if definition is None:
        return arrays
    for node in postorder(definition.root):
        if node.op == "cross_entropy" and node.inputs[1].op == "input":
            target = node.inputs[1]
            if target.kind == "float" and target.name not in definition.params:
                arrays[target.name] = probabilities(
                    arrays[target.name], target.axes.index(node["over"])
                )
    return arrays


def probabilities(array: Array, axis: int) -> Array:
    """The absolute values, divided by their sum along one axis."""
    size = np.abs(array) + 0.1
    return np.asarray(size / size.sum(axis=axis, keepdims=True), array.dtype)


def _finite(source: Source, arrays: dict[str, Array]) -> bool:
    if source.definition is not None:
        return bool(np.isfinite(source.call(**arrays)).all())
    assert source.function is not None
    try:
        result, _ = called(source.function, {n: a.copy() for n, a in arrays.items()})
    except Raised as error:
        if source.problem is not None and isinstance(error.error, ChainruleError):
            raise source.problem from error
        raise
    try:
        return bool(np.isfinite(np.asarray(first_of(result), np.float64)).all())
    except (TypeError, ValueError):
        return False
