"""How large parameters are and where they start."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import DTypeLike

from chainrule.errors import ParameterError, ShapeError, did_you_mean
from chainrule.expr import Expr
from chainrule.run.bind import Array
from chainrule.training.init import draw
from chainrule.training.task import Task


def axis_sizes(
    task: Task, given: Mapping[str, int], arrays: Iterable[tuple[Expr, tuple[int, ...]]]
) -> dict[str, int]:
    """The size of every axis that is known: declared, given, or seen in the data.

    Args:
        arrays: inputs that have a value, with its shape without the examples.

    Raises:
        ParameterError: an axis is given that the network does not have, or a size below 1.
        ShapeError: two sources disagree.
    """
    axes = {axis for x in task.definition.inputs for axis in x.axes}
    for axis, size in given.items():
        if axis not in axes:
            hint = did_you_mean(axis, axes) or f"It has: {', '.join(sorted(axes))}"
            raise ParameterError(f"the network has no axis {axis!r}", where="sizes", hint=hint)
        if not _is_size(size):
            raise ParameterError(f"sizes[{axis!r}] must be a whole number ≥ 1, got {size!r}")
    said: list[tuple[str, int, str]] = [
        (axis, size, x.name) for x in task.definition.inputs for axis, size in x.sizes.items()
    ]
    said += [(axis, int(size), "sizes") for axis, size in given.items()]
    for x, shape in arrays:
        rest = [axis for axis in x.axes if axis != task.examples]
        if len(rest) != len(shape):
            raise ShapeError(f"{x.name} has shape {shape}, expected axes ({', '.join(rest)})")
        said += [(axis, n, x.name) for axis, n in zip(rest, shape, strict=True)]
    found: dict[str, int] = {}
    owner: dict[str, str] = {}
    for axis, size, source in said:
        if found.setdefault(axis, size) != size:
            what = f"axis {axis!r} is {found[axis]} in {owner[axis]} but {size} in {source}"
            raise ShapeError(what)
        owner.setdefault(axis, source)
    return found


def _is_size(value: object) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= 1)  # type: ignore[operator]


def initial_values(
    task: Task,
    sizes: Mapping[str, int],
    start: Mapping[str, object],
    seed: int,
    dtype: DTypeLike,
) -> dict[str, Array]:
    """A value for every parameter, and for every other input that is no data.

    Args:
        start: values to begin with by name; parameters that are not in it are drawn as the
            definition says. Inputs that are neither trained nor data must be in it.

    Raises:
        ParameterError: an axis without a size, an input without a value, an unknown name, a value
            that is not finite.
        ShapeError: a value in `start` has another shape than its axes say.
    """
    definition = task.definition
    held = {x.name: x for x in task.held}
    places = {name: place for name, *place in definition.init}
    for name in start:
        if name not in (*definition.params, *held):
            hint = did_you_mean(name, (*definition.params, *held))
            raise ParameterError(f"no parameter is called {name!r}", where="start", hint=hint)
    values: dict[str, Array] = {}
    for index, name in enumerate(definition.params):
        shape = _shape(definition.input[name], sizes)
        if name in start:
            values[name] = _given(name, start[name], shape, dtype)
            continue
        how, fan_in, fan_out = places.get(name, ("zeros", "", ""))
        fans = [math.prod(sizes[axis] for axis in fan.split()) for fan in (fan_in, fan_out)]
        values[name] = draw(how, shape, fans[0], fans[1], seed, index, dtype)
    for name, x in held.items():
        if name not in start:
            hint = f"Give its value: start={{{name!r}: …}}"
            raise ParameterError(f"{name!r} is neither trained nor data", hint=hint)
        kind = dtype if x.kind == "float" else np.dtype(x.kind)
        values[name] = _given(name, start[name], _shape(x, sizes), kind)
    return values


def _shape(x: Expr, sizes: Mapping[str, int]) -> tuple[int, ...]:
    lost = [axis for axis in x.axes if axis not in sizes]
    if lost:
        example = ", ".join(f"{axis!r}: 32" for axis in lost)
        hint = f"Give it: sizes={{{example}}}"
        raise ParameterError(f"axis {lost[0]!r} of {x.name} has no size", hint=hint)
    return tuple(sizes[axis] for axis in x.axes)


def _given(name: str, value: object, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    array = np.array(value, dtype)
    if array.shape != shape:
        raise ShapeError(f"start[{name!r}] has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise ParameterError(f"start[{name!r}] is not finite")
    return array
