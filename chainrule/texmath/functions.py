"""Functions of a formula and their derivatives, each in closed form and for complex numbers too.

Written down here independently of the operations of networks: what reads a formula must not share
a mistake with what printed it. A function of a complex number is the analytic one of the side on
which its real part lies, so that derivatives by complex steps come out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Pointwise = Callable[[Array], Array]

SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, appendix A.1.1
SELU_ALPHA = 1.6732632423543773
LEAK = 0.01  # Maas et al. 2013
GELU_CUBIC = 0.044715  # Hendrycks & Gimpel 2016
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def _positive(x: Array) -> Array:
    return np.real(x) > 0


def sigmoid(x: Array) -> Array:
    """1/(1 + e^(−x)), from the side on which e^… is small."""
    small = np.exp(np.where(_positive(x), -x, x))
    return np.where(_positive(x), 1 / (1 + small), small / (1 + small))


def softplus(x: Array) -> Array:
    """log(1 + e^x)."""
    return np.where(_positive(x), x, 0) + np.log1p(np.exp(np.where(_positive(x), -x, x)))


def absolute(x: Array) -> Array:
    """|x|, by the sign of the real part."""
    return np.where(np.real(x) < 0, -x, x)


def erf(x: Array) -> Array:
    """The error function, by its Taylor series about the real part where x is complex."""
    real = np.vectorize(math.erf, otypes=[float])(np.real(x))
    if not np.iscomplexobj(x):
        return np.asarray(real)
    step = x - np.real(x)
    slope = TWO_OVER_SQRT_PI * np.exp(-(np.real(x) ** 2))
    return np.asarray(real + slope * (step - np.real(x) * step**2))


def _erf_slope(x: Array) -> Array:
    return np.asarray(TWO_OVER_SQRT_PI * np.exp(-(x**2)))


def _gelu_slope(x: Array) -> Array:
    return 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _gelu_inner(x: Array) -> Array:
    return np.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x**3))


def _gelu_tanh_slope(x: Array) -> Array:
    inner = _gelu_inner(x)
    slope = SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * x**2)
    return np.asarray(0.5 * (1 + inner) + 0.5 * x * (1 - inner**2) * slope)


def _sigmoid_slope(x: Array) -> Array:
    return sigmoid(x) * sigmoid(-x)


def _silu_slope(x: Array) -> Array:
    return np.asarray(sigmoid(x) * (1 + x * sigmoid(-x)))


def _sides(positive: Pointwise, negative: Pointwise) -> Pointwise:
    """One function above 0 and another at and below it."""

    def both(x: Array) -> Array:
        up = _positive(x)
        return np.where(up, positive(np.where(up, x, 1)), negative(np.where(up, -1, x)))

    return both


def _constant(value: float) -> Pointwise:
    return lambda x: np.full_like(x, value)


POINTWISE: dict[str, tuple[Pointwise, Pointwise]] = {
    "sigmoid": (sigmoid, _sigmoid_slope),
    "exp": (np.exp, np.exp),
    "log": (np.log, np.reciprocal),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "sinh": (np.sinh, np.cosh),
    "cosh": (np.cosh, np.sinh),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "arctan": (np.arctan, lambda x: 1 / (1 + x**2)),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "square": (np.square, lambda x: 2 * x),
    "reciprocal": (np.reciprocal, lambda x: -1 / x**2),
    "erf": (erf, _erf_slope),
    "abs": (absolute, lambda x: np.sign(np.real(x))),
    "sign": (lambda x: np.sign(np.real(x)), lambda x: np.zeros_like(x)),
    "step": (lambda x: (np.real(x) > 0) * 1.0, lambda x: np.zeros_like(x)),
    "relu": (_sides(lambda x: x, _constant(0)), _sides(_constant(1), _constant(0))),
    "leaky_relu": (
        _sides(lambda x: x, lambda x: LEAK * x),
        _sides(_constant(1), _constant(LEAK)),
    ),
    "elu": (_sides(lambda x: x, np.expm1), _sides(_constant(1), np.exp)),
    "selu": (
        _sides(lambda x: SELU_SCALE * x, lambda x: SELU_SCALE * SELU_ALPHA * np.expm1(x)),
        _sides(_constant(SELU_SCALE), lambda x: SELU_SCALE * SELU_ALPHA * np.exp(x)),
    ),
    "gelu": (lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))), _gelu_slope),
    "gelu_tanh": (lambda x: 0.5 * x * (1 + _gelu_inner(x)), _gelu_tanh_slope),
    "silu": (lambda x: x * sigmoid(x), _silu_slope),
    "softplus": (softplus, sigmoid),
    "log_sigmoid": (lambda x: -softplus(-x), lambda x: sigmoid(-x)),
    "stop": (lambda x: x, lambda x: np.zeros_like(x)),
    "identity": (lambda x: x, _constant(1)),
}
"""Functions of one number: name → (function, derivative)."""


def derivative(function: Pointwise) -> Pointwise:
    """The derivative of a function of one number that takes complex ones, by a complex step.

    Source: Squire & Trapp 1998: f′(x) ≈ Im f(x + ih)/h, exact to rounding.
    """
    tiny = 1e-200

    def slope(x: Array) -> Array:
        return np.asarray(np.imag(function(np.asarray(x, float) + 1j * tiny)) / tiny)

    return slope


def softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    """e^x over its sum along an axis."""
    weights = np.exp(x - np.max(np.real(x), axis=axis, keepdims=True))
    return np.asarray(weights / np.sum(weights, axis=axis, keepdims=True))


def logsumexp(x: Array, axis: int | tuple[int, ...]) -> Array:
    """log Σ e^x along an axis, which is kept with size 1."""
    top = np.max(np.real(x), axis=axis, keepdims=True)
    return np.asarray(top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)))


def larger(a: Array, b: Array) -> Array:
    """The one whose real part is larger; the first of equal ones."""
    return np.where(np.real(a) >= np.real(b), a, b)


def smaller(a: Array, b: Array) -> Array:
    """The one whose real part is smaller; the first of equal ones."""
    return np.where(np.real(a) <= np.real(b), a, b)
