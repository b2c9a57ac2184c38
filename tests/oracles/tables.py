"""Tables with 50 digits: value, slope and curvature of functions and losses, by mpmath.

The formulas are those of the literature, written once more and evaluated with so many digits that
no care for rounding is needed. Derivatives are mpmath's own, of those formulas.
"""

from __future__ import annotations

import functools

import mpmath
from mpmath import mp, mpf

DIGITS = 50
# 1e300 and 1e-300 in one sum need 600 digits; derivatives by differences take some of the rest
WORKING_DIGITS = 760


def sigma(x):
    return 1 / (1 + mp.exp(-x))


def phi(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


# Constants of the papers, rounded to float64 as in the records
ALPHA, SCALE = mpf(1.6732632423543772848170429916717), mpf(1.0507009873554804934193349852946)
CUBIC = mpf(0.044715)

FUNCTIONS = {
    "neg": lambda x: -x,
    "exp": mp.exp,
    "log": mp.log,
    "log1p": lambda x: mp.log(1 + x),
    "expm1": lambda x: mp.exp(x) - 1,
    "sqrt": mp.sqrt,
    "square": lambda x: x * x,
    "tanh": mp.tanh,
    "erf": mp.erf,
    "abs": abs,
    "clip": lambda x: min(max(x, -1), mpf(1.5)),
    "sigmoid": sigma,
    "relu": lambda x: max(x, mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else mpf(0.01) * x,
    "elu": lambda x: x if x > 0 else mp.exp(x) - 1,
    "selu": lambda x: SCALE * (x if x > 0 else ALPHA * (mp.exp(x) - 1)),
    "gelu": lambda x: x * phi(x),
    "gelu_tanh": lambda x: x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + CUBIC * x**3))),
    "silu": lambda x: x * sigma(x),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "log_sigmoid": lambda x: -mp.log(1 + mp.exp(-x)),
}
LOSSES = {
    "mse": lambda p, t: (p - t) ** 2,
    "half_mse": lambda p, t: (p - t) ** 2 / 2,
    "sum_squares": lambda p, t: (p - t) ** 2,
    "mae": lambda p, t: abs(p - t),
    "huber": lambda p, t: (p - t) ** 2 / 2 if abs(p - t) < 1 else abs(p - t) - mpf(1) / 2,
    "log_cosh": lambda p, t: mp.log(mp.cosh(p - t)),
    "poisson": lambda p, t: mp.exp(p) - t * p,
    "bce": lambda p, t: -t * mp.log(p) - (1 - t) * mp.log(1 - p),
    "bce_logits": lambda p, t: -t * mp.log(sigma(p)) - (1 - t) * mp.log(sigma(-p)),
    "hinge": lambda p, t: max(mpf(0), 1 - t * p),
    "kl": lambda p, t: t * mp.log(t / p),
    "pow": lambda a, b: a**b,
}

POSITIVE = (
    1e-300,
    1e-20,
    1e-8,
    1e-3,
    0.1,
    0.7,
    1.3,
    2.5,
    5.0,
    12.0,
    20.0,
    37.0,
    40.0,
    100.0,
    700.0,
)
LARGE = (1e4, 1e8, 1e300)
EVERYWHERE = tuple(sign * x for x in (*POSITIVE, *LARGE) for sign in (1, -1))
LOG1P = (*POSITIVE, *LARGE, -1e-300, -1e-20, -1e-8, -1e-3, -0.7, -0.999)
POINTS = {
    "log": (*POSITIVE, *LARGE, 0.999, 1.001),
    "sqrt": (*POSITIVE, *LARGE),
    "log1p": LOG1P,
    # the cubic of gelu_tanh overflows beyond 1e100, and mpmath's erf is slow far out: all three are
    # constant or equal to x to all digits long before
    **dict.fromkeys(("erf", "gelu", "gelu_tanh"), tuple(x for x in EVERYWHERE if abs(x) < 25)),
}
REAL = tuple(
    (p, t) for p in (-100.0, -3.0, -1e-8, 1e-3, 0.7, 2.5, 40.0, 1e4) for t in (-2.2, 2e-3, 1.3)
)
UNIT = tuple((p, t) for p in (1e-12, 0.03, 0.5, 0.97, 1 - 1e-12) for t in (1e-12, 0.2, 0.9))
SIGNED = tuple((p, t) for p in (-1e4, -3.0, -0.5, 1e-3, 0.7, 2.5, 40.0) for t in (-1.0, 1.0))
PAIRS = {
    "bce": UNIT,
    "kl": UNIT,
    "hinge": SIGNED,
    "pow": tuple((a, b) for a in (1e-8, 0.3, 1.7, 40.0) for b in (-3.0, -0.5, 1e-3, 1.0, 2.0, 7.5)),
    "poisson": tuple((p, t) for p, t in REAL if p < 100),
}


@functools.cache
def row(name: str, x: float):
    """Value, slope and curvature at x, as mpmath numbers with 50 digits."""
    with mp.workdps(WORKING_DIGITS):
        f = FUNCTIONS[name]
        return tuple(
            _rounded(mpmath.diff(f, mpf(x), n)) if n else _rounded(f(mpf(x))) for n in range(3)
        )


@functools.cache
def row_of_pair(name: str, p: float, t: float):
    """Value, both slopes, and the second derivative by the first argument, with 50 digits."""
    with mp.workdps(WORKING_DIGITS):
        f, at = LOSSES[name], (mpf(p), mpf(t))
        orders = ((1, 0), (0, 1), (2, 0))
        return (_rounded(f(*at)), *(_rounded(mpmath.diff(f, at, order)) for order in orders))


def _rounded(x):
    with mp.workdps(DIGITS):
        return +x
