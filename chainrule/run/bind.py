"""Arrays meet axes: what the caller passes is checked against what the definition declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DTypeError, ParameterError, ShapeError, did_you_mean
from chainrule.expr import Axes, Expr

Array = NDArray[Any]
FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def bind(
    inputs: Iterable[Expr], given: Mapping[str, object], *, where: str = ""
) -> dict[str, Array]:
    """The arrays for `inputs`, of one float type, with sizes that agree.

    Lists and numbers are taken as arrays; whole numbers given for real ones become real.

    Raises:
        ParameterError: an input is missing or a name is unknown.
        ShapeError: an array has another number of axes than declared, or sizes disagree.
        DTypeError: values are no numbers, or float32 and float64 are mixed.
    """
    wanted = {x.name: x for x in inputs}
    for name in given:
        if name not in wanted:
            hint = did_you_mean(name, wanted) or f"It has: {', '.join(wanted)}"
            raise ParameterError(f"no input is called {name!r}", where=where, hint=hint)
    missing = [name for name in wanted if name not in given]
    if missing:
        raise ParameterError(f"missing: {', '.join(missing)}", where=where)
    arrays = {name: _array(name, x, given[name]) for name, x in wanted.items()}
    dtype = common_float({n: a for n, a in arrays.items() if wanted[n].kind == "float"}, given)
    for name, x in wanted.items():
        if x.kind == "float":
            arrays[name] = np.asarray(arrays[name], dtype)
    sizes_of(wanted.values(), arrays)
    return arrays


def _array(name: str, x: Expr, value: object) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            f"{name}: rows have different lengths", hint="Pass a rectangle of numbers"
        ) from error
    expected = {"float": "fiub", "int": "iu", "bool": "b"}[x.kind]
    if array.dtype.kind not in expected or array.dtype == np.float16 or array.dtype.itemsize > 8:
        words = {"float": "float64 or float32", "int": "whole numbers", "bool": "truth values"}[
            x.kind
        ]
        raise DTypeError(f"{name} has dtype {array.dtype}, expected {words}")
    if array.ndim != len(x.axes):
        raise ShapeError(_rank_message(name, x.axes, array.shape), hint=_rank_hint(name, x, array))
    return array


def _rank_message(name: str, axes: Axes, shape: tuple[int, ...]) -> str:
    return f"{name} has shape {shape}, expected axes ({', '.join(axes)})"


def _rank_hint(name: str, x: Expr, array: Array) -> str:
    if array.ndim == 1 and len(x.axes) == 2:
        ones = [i for i, axis in enumerate(x.axes) if x.sizes.get(axis) == 1]
        at = ones[0] if ones else 1
        return f"Use {name}[None, :]" if at == 0 else f"Use {name}[:, None]"
    if array.ndim == len(x.axes) + 1 and 1 in array.shape:
        return f"Use {name}.squeeze(axis={array.shape.index(1)})"
    return ""


def common_float(arrays: Mapping[str, Array], given: Mapping[str, object]) -> np.dtype[Any]:
    """The one float type of all arrays that have one; Python numbers take either."""
    typed = {
        n: a.dtype for n, a in arrays.items() if a.dtype.kind == "f" and hasattr(given[n], "dtype")
    }
    if len(set(typed.values())) > 1:
        by_type = {t: n for n, t in typed.items()}
        shown = " but ".join(f"{n} is {t}" for t, n in by_type.items())
        raise DTypeError(shown, hint="Convert one of them: x.astype(np.float64)")
    return next(iter(typed.values()), FLOATS[0]).newbyteorder("=")


def sizes_of(inputs: Iterable[Expr], arrays: Mapping[str, Array]) -> dict[str, int]:
    """The size of every axis of `inputs`.

    Raises:
        ShapeError: two arrays, or an array and its declaration, disagree.
    """
    sizes: dict[str, int] = {}
    owner: dict[str, str] = {}
    for x in inputs:
        for axis, size in zip(x.axes, arrays[x.name].shape, strict=True):
            declared = x.sizes.get(axis, size)
            if declared != size:
                raise ShapeError(f"{x.name} has {size} along axis {axis!r}, declared {declared}")
            if sizes.setdefault(axis, size) != size:
                raise ShapeError(
                    f"{x.name} has {size} along axis {axis!r}, but {owner[axis]} has {sizes[axis]}"
                )
            owner.setdefault(axis, x.name)
    return sizes
