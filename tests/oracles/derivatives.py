"""Derivatives of Σ u ⊙ f(x), three ways that share no code with the engine."""

from __future__ import annotations

import numpy as np

from tests.oracles.numbers import Dual, parts
from tests.oracles.textbook import evaluate

COMPLEX_STEP = 1e-40  # so small that its square vanishes: the error is that of evaluating f
CENTRAL_STEP = 1e-4  # with the fourth-order rule below: error about h⁴ f⁗′/30 + eps/h


def scalar(root, given, cotangent):
    """Σ u ⊙ root, as a number of whatever kind `given` has."""
    value = evaluate([root], given)[root]
    return inner(cotangent, value)


def inner(cotangent, value):
    if isinstance(value, Dual):
        return Dual(inner(cotangent, value.value), inner(cotangent, value.tangent))
    return np.sum(cotangent * value)


def units(array):
    """Arrays that are 1 at one entry and 0 elsewhere, with the index of that entry."""
    for index in np.ndindex(np.shape(array)):
        unit = np.zeros(np.shape(array))
        unit[index] = 1.0
        yield index, unit


def by_duals(root, given, cotangent, x):
    """∂/∂x Σ u ⊙ root, entry by entry, with dual numbers."""
    slope = np.zeros(np.shape(given[x]))
    for index, unit in units(given[x]):
        slope[index] = parts(scalar(root, {**given, x: Dual(given[x], unit)}, cotangent))[1]
    return slope


def magnitude(root, given, cotangent, x):
    """Σ_j |u_j| |∂root_j/∂x_i|: how large the terms are that a reverse pass adds up for x_i."""
    size = np.zeros(np.shape(given[x]))
    for index, unit in units(given[x]):
        tangent = parts(evaluate([root], {**given, x: Dual(given[x], unit)})[root])[1]
        size[index] = np.sum(np.abs(cotangent * tangent))
    return size


def by_complex_step(root, given, cotangent, x):
    """The same by a complex step (Squire & Trapp 1998)."""
    slope = np.zeros(np.shape(given[x]))
    for index, unit in units(given[x]):
        moved = given[x] + 1j * COMPLEX_STEP * unit
        slope[index] = np.imag(scalar(root, {**given, x: moved}, cotangent)) / COMPLEX_STEP
    return slope


def by_differences(root, given, cotangent, x, step=CENTRAL_STEP):
    """The same by central differences of fourth order in float64."""
    slope = np.zeros(np.shape(given[x]))

    def at(h, unit):
        return float(scalar(root, {**given, x: given[x] + h * unit}, cotangent))

    for index, unit in units(given[x]):
        near, far = at(step, unit) - at(-step, unit), at(2 * step, unit) - at(-2 * step, unit)
        slope[index] = (8 * near - far) / (12 * step)
    return slope


def second_by_duals(root, given, cotangent, directions, x):
    """∂/∂x of the derivative of Σ u ⊙ root along `directions`, with duals of duals."""
    slope = np.zeros(np.shape(given[x]))
    for index, unit in units(given[x]):
        moved = {}
        for y, array in given.items():
            if y.kind != "float":
                moved[y] = array
                continue
            still = np.zeros(np.shape(array))
            moved[y] = Dual(
                Dual(array, directions.get(y, still)), Dual(unit if y is x else still, still)
            )
        outer = scalar(root, moved, cotangent)
        slope[index] = parts(parts(outer)[1])[1]
    return slope


def second_by_complex_step(root, given, cotangent, directions, x, step=CENTRAL_STEP):
    """The same by central differences of fourth order over complex steps."""

    def along(h):
        moved = {y: a + h * directions[y] if y in directions else a for y, a in given.items()}
        return by_complex_step(root, moved, cotangent, x)

    return (8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))) / (12 * step)
