"""Other arrays for the same function, with all axes of one size: there a missing transpose runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.calling import Function
from chainrule.diagnose.tape import Untraceable
from chainrule.diagnose.trace import trace

SIZE = 5


def squared(function: Function, arrays: Mapping[str, Array], seed: int) -> dict[str, Array] | None:
    """Arrays like `arrays` in which every axis longer than 1 has `SIZE` entries.

    None where the function does not run on them.
    """
    rng = np.random.default_rng(seed)
    new = {
        n: _like(a, tuple(1 if k == 1 else SIZE for k in a.shape), rng) for n, a in arrays.items()
    }
    try:
        trace(function, new, {})
    except Untraceable:
        return None
    return new


def _like(array: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Random values of the same sort: labels, one-hot columns or rows, signs, or real numbers."""
    if array.dtype.kind != "f":
        return rng.integers(0, max(1, min(SIZE, int(array.max(initial=0)) + 1)), shape).astype(
            array.dtype
        )
    values = set(np.unique(array).tolist()) if array.size < 10_000 else set()
    if values <= {0.0, 1.0} and array.ndim == 2:
        for axis in (0, 1):
            if (array.sum(axis=axis) == 1).all():
                chosen = np.eye(SIZE)[rng.integers(0, SIZE, SIZE)]
                return np.asarray(chosen if axis == 1 else chosen.T, array.dtype)
    if values <= {0.0, 1.0} or values <= {-1.0, 1.0}:
        return np.asarray(rng.choice(sorted(values) or [0.0], shape), array.dtype)
    spread = float(array.std()) or 1.0
    return np.asarray(array.mean() + spread * rng.normal(size=shape), array.dtype)
