"""Numbers that carry a derivative: forward mode from the textbook, sharing nothing with the engine.

A `Dual` is a value and its tangent, v + t·ε with ε² = 0 (Clifford 1873; Wengert 1964). Both parts
are arrays, or Duals again: nested once, the tangent of the tangent is a second derivative. The
functions below take plain real arrays, complex arrays (for the complex step) and Duals alike, so
one textbook formula serves all oracles.
"""

from __future__ import annotations

import math

import numpy as np

ERF_TERMS = 90  # of the Kummer series: enough below |z| = 4, where the terms fall below 1e-20


class Dual:
    """value + tangent · ε."""

    __slots__ = ("tangent", "value")
    __array_ufunc__ = None  # NumPy leaves `array * Dual` to us

    def __init__(self, value, tangent):
        self.value = value
        self.tangent = tangent

    def __add__(self, other):
        v, t = parts(other)
        return Dual(self.value + v, self.tangent + t)

    def __mul__(self, other):
        v, t = parts(other)
        return Dual(self.value * v, self.tangent * v + self.value * t)

    def __truediv__(self, other):
        v, t = parts(other)
        return Dual(self.value / v, (self.tangent * v - self.value * t) / (v * v))

    def __neg__(self):
        return Dual(-self.value, -self.tangent)

    def __sub__(self, other):
        return self + -other

    def __rtruediv__(self, other):
        return Dual(other, 0.0 * self.value) / self

    def __rsub__(self, other):
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__


def parts(x):
    """Value and tangent of anything; what is no Dual does not move."""
    return (x.value, x.tangent) if isinstance(x, Dual) else (x, 0.0)


def primal(x):
    """The real number underneath, for comparisons."""
    while isinstance(x, Dual):
        x = x.value
    return np.real(x)


def linear(f, x):
    """`f`, which is linear in its array (a sum, a transposition), of a number."""
    return Dual(linear(f, x.value), linear(f, x.tangent)) if isinstance(x, Dual) else f(x)


def bilinear(f, a, b):
    """`f`, which is linear in each of two arrays (a product of matrices)."""
    if not isinstance(a, Dual) and not isinstance(b, Dual):
        return f(a, b)
    (av, at), (bv, bt) = parts(a), parts(b)
    value = bilinear(f, av, bv)
    left = bilinear(f, at, bv) if isinstance(a, Dual) else 0.0
    right = bilinear(f, av, bt) if isinstance(b, Dual) else 0.0
    return Dual(value, left + right)


def where(condition, a, b):
    """`a` where the condition holds, else `b`."""
    if not isinstance(a, Dual) and not isinstance(b, Dual):
        return np.where(condition, a, b)
    (av, at), (bv, bt) = parts(a), parts(b)
    return Dual(where(condition, av, bv), where(condition, at, bt))


def _analytic(name, on_arrays, slope):
    """A function with a derivative: `slope(x, y)` is written with these same functions."""

    def function(x):
        if not isinstance(x, Dual):
            return on_arrays(x)
        y = function(x.value)
        return Dual(y, slope(x.value, y) * x.tangent)

    function.__name__ = name
    return function


def _erf_series(x):
    """erf z = 2/√π e^(−z²) Σ 2ⁿ z^(2n+1) / (2n+1)!!, for real z all of one sign (DLMF 7.6.2)."""
    z = np.asarray(x)
    term = z
    total = z
    for n in range(1, ERF_TERMS):
        term = term * (2 * z * z) / (2 * n + 1)
        total = total + term
    return 2 / math.sqrt(math.pi) * np.exp(-z * z) * total


exp = _analytic("exp", np.exp, lambda x, y: y)
log = _analytic("log", np.log, lambda x, y: 1.0 / x)
sqrt = _analytic("sqrt", np.sqrt, lambda x, y: 0.5 / y)
tanh = _analytic("tanh", np.tanh, lambda x, y: 1.0 - y * y)
erf = _analytic("erf", _erf_series, lambda x, y: 2 / math.sqrt(math.pi) * exp(-(x * x)))
log1p = _analytic("log1p", np.log1p, lambda x, y: 1.0 / (1.0 + x))
expm1 = _analytic("expm1", np.expm1, lambda x, y: exp(x))


def power(a, b):
    """a^b = e^(b ln a) for a > 0."""
    return exp(b * log(a))


def absolute(x):
    """|x|; its slope at 0 is taken as 0."""
    return where(primal(x) > 0, x, where(primal(x) < 0, -x, 0.0 * x))


def larger(a, b):
    """max(a, b); of equal ones the first."""
    return where(primal(a) >= primal(b), a, b)


def smaller(a, b):
    """min(a, b); of equal ones the first."""
    return where(primal(a) <= primal(b), a, b)
