"""The numbers 0, 1, 2, … along an axis, where a program counts its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.errors import GraphError
from chainrule.expr import Expr
from chainrule.run.bind import Array


def counted(axis: str, value: Expr, inputs: Sequence[Expr], arrays: Mapping[str, object]) -> Array:
    """Positions along `axis`, whose size an input or `value` tells.

    Raises:
        GraphError: neither does.
    """
    if axis in value.sizes or axis == "1":
        return np.arange(value.sizes.get(axis, 1))
    for x in inputs:
        shape = np.asarray(arrays.get(x.name, ())).shape
        if axis in x.axes and len(shape) == len(x.axes):
            return np.arange(shape[x.axes.index(axis)])
    hint = f"Declare it where the axis is made: {axis}=…"
    raise GraphError(f"the size of axis {axis!r} is not known before running", hint=hint)
