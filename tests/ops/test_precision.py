"""How many digits are right: functions and losses against tables with 50 digits.

The bound. A result may be off by ULPS units in its last place times 1 + κ, κ = |x f′(x)/f(x)| being
the condition number: the argument and each intermediate carry relative errors of half a unit, and
f amplifies those of its argument by κ. ULPS = 8 is the number of roundings of the longest rule
(gelu_tanh); NumPy's own functions keep 1 or 2. Where a rule in output form cancels (σ′ = a(1 − a)
near a = 1, 1 − tanh²), no relative bound holds: there FLOORS states the size of what is
subtracted, and the bound is that many ε.
"""

import math

import numpy as np
import pytest
from mpmath import mp

from chainrule.differentiate import reverse
from chainrule.expr import const, input_
from chainrule.ops import OPS, expand
from tests.ops.cases import run
from tests.oracles.tables import (
    EVERYWHERE,
    FUNCTIONS,
    LOSSES,
    PAIRS,
    POINTS,
    REAL,
    row,
    row_of_pair,
)

ULPS = 8
EPS = {np.float64: 2.0**-52, np.float32: 2.0**-23}
TINY = {np.float64: 2.0**-1022, np.float32: 2.0**-126}
HUGE = {t: float(np.finfo(t).max) for t in EPS}


def bounded(x):
    """|x|, at most where the exponentials of these functions have vanished."""
    return 1 + min(abs(x), 40.0) ** 2


# value, slope, curvature: the size of the terms that cancel, 0 where none do
FLOORS = {
    "sigmoid": lambda x: (0, 1, 1),
    "tanh": lambda x: (0, 1, 2),
    "softplus": lambda x: (0, 0, 1),
    "log_sigmoid": lambda x: (0, 0, 1),
    "gelu": lambda x: (bounded(x), bounded(x), bounded(x)),
    "gelu_tanh": lambda x: (bounded(x), bounded(x), bounded(x) ** 2),
    "silu": lambda x: (0, bounded(x), bounded(x)),
}
PAIR_FLOORS = {
    "log_cosh": lambda p, t: (1, 0, 1),  # log 2 is taken away; the curvature is 1 − tanh²
    # the exponent b − 1 is rounded, which log a amplifies
    "pow": lambda a, b: tuple(
        abs(math.log(a)) * size
        for size in (0, abs(b) * a ** (b - 1), 0, abs(b * (b - 1)) * a ** (b - 2))
    ),
    "bce": lambda p, t: (
        1,
        1 / (p * (1 - p)),
        abs(math.log(p)) + 1 / (1 - p),
        1 / (p * (1 - p)) ** 2,
    ),
    "bce_logits": lambda p, t: (abs(t * p), 1, 0, 1),
    "poisson": lambda p, t: (abs(t * p), abs(t), 0, 0),
    "kl": lambda p, t: (t / p, 0, 1 + abs(math.log(t / p)), 0),
}


def assert_precise(actual, exact, condition, floor, what, dtype):
    """Fail unless `actual` lies within the bound of the module's text."""
    if abs(exact) > HUGE[dtype]:
        assert actual == np.inf * float(mp.sign(exact)), f"{what}: {actual}, exactly {exact}"
        return
    unit = EPS[dtype] * max(abs(exact), TINY[dtype])
    limit = ULPS * ((1 + condition) * unit + floor * EPS[dtype])
    off = abs(mp.mpf(float(actual)) - exact)
    assert off <= limit, (
        f"{what}: {actual}, exactly {mp.nstr(exact, 20)}: off by {float(off / unit):.3g} ulp"
    )


def condition(x, exact, slope):
    """|x f′/f|, at most 1e4: beyond, the result is below the smallest number."""
    return float(min(abs(x * slope / exact), 1e4)) if exact else 0.0


CURVES = [
    pytest.param(name, dtype, id=f"{name}-{dtype.__name__}") for name in FUNCTIONS for dtype in EPS
]


@pytest.mark.seed("003-18")
@pytest.mark.parametrize(("op", "dtype"), CURVES)
def test_functions_of_one_number_keep_their_digits(op, dtype):
    x = input_("x", "m")
    node = OPS[op](x, **OPS[op].layouts[0].attrs)
    one = expand(const(1), x.axes)
    slope = reverse(node, [x], seed=one).wrt[x]
    outputs = [node, slope, reverse(slope, [x], seed=one).wrt[x]]
    points = [
        float(dtype(p)) for p in POINTS.get(op, EVERYWHERE) if TINY[dtype] <= abs(p) <= HUGE[dtype]
    ]
    found = run(outputs, {x: np.array(points)}, dtype)
    for at, *actual in zip(points, *found, strict=True):
        exact = row(op, at)
        floors = FLOORS.get(op, lambda x: (0, 0, 0))(at)
        for order in range(3):
            next_slope = exact[order + 1] if order < 2 else exact[1]
            amplified = condition(at, exact[order], next_slope)
            what = f"{op}{'′' * order}({at})"
            assert_precise(actual[order], exact[order], amplified, floors[order], what, dtype)


@pytest.mark.parametrize("op", LOSSES)
def test_losses_and_powers_keep_their_digits(op):
    p, t = input_("p", ""), input_("t", "")
    node = OPS[op](p, t, **({"reduction": "sum"} if "reduction" in OPS[op].attrs else {}))
    first = reverse(node, [p, t]).wrt
    outputs = [node, first[p], first[t], reverse(first[p], [p]).wrt[p]]
    for at in PAIRS.get(op, REAL):
        actual = run(outputs, {p: at[0], t: at[1]})
        exact = row_of_pair(op, *at)
        floors = PAIR_FLOORS.get(op, lambda p, t: (0, 0, 0, 0))(*at)
        for i, (floor, what) in enumerate(
            zip(floors, ("value", "by p", "by t", "second by p"), strict=False)
        ):
            amplified = condition(at[0], exact[0], exact[1]) + condition(at[1], exact[0], exact[2])
            assert_precise(actual[i], exact[i], amplified, floor, f"{op}{at} {what}", np.float64)
