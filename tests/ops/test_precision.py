"""How many digits are right: functions and losses against tables with 50 digits.

The bound. A result may be off by ULPS units in its last place times 1 + κ, κ = |x f′(x)/f(x)| being
the condition number: the argument and each intermediate carry relative errors of half a unit, and
f amplifies those of its argument by κ. ULPS = 8 is the number of roundings of the longest rule
(gelu_tanh); NumPy's own functions keep 1 or 2. Where a rule in output form cancels (σ′ = a(1 − a)
near a = 1, 1 − tanh²), no relative bound holds: there the record states how large the absolute
error of value and slope is, and CURVATURES how large what is subtracted in the next derivative; the
bound is ULPS times that many ε.
"""

import math

import numpy as np
import pytest
from mpmath import mp

from chainrule.differentiate import reverse
from chainrule.expr import const, input_
from chainrule.ops import OPS, expand
from chainrule.ops.record import Cancellation
from chainrule.plan.lower import SCALAR
from chainrule.plan.program import program
from chainrule.run.machine import Machine
from chainrule.run.reference import Reference
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
FEW = 3  # ε of relative error that the machine code may have where nothing cancels
EPS = {np.float64: 2.0**-52, np.float32: 2.0**-23}
TINY = {np.float64: 2.0**-1022, np.float32: 2.0**-126}
HUGE = {t: float(np.finfo(t).max) for t in EPS}


def bounded(x):
    """|x|, at most where the exponentials of these functions have vanished."""
    return 1 + min(abs(x), 40.0) ** 2


# The size of the terms that cancel in the second derivative, 0 where none do.
CURVATURES = {
    "sigmoid": lambda x: 1,
    "tanh": lambda x: 2,
    "softplus": lambda x: 1,
    "log_sigmoid": lambda x: 1,
    "gelu": bounded,
    "gelu_tanh": lambda x: bounded(x) ** 2,
    "silu": bounded,
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
        stated, size = OPS[op].cancels or Cancellation(""), max(1, abs(at))
        curvature = CURVATURES.get(op, lambda x: 0)(at)
        floors = stated.value * size, stated.slope * size, curvature
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


def drawn(op):
    """float32 numbers up to 100, evenly and of all sizes, at which the function is defined."""
    draw = np.random.default_rng(0)
    bits = draw.integers(0, 1 << 32, 1 << 17, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([draw.uniform(-30, 30, 1 << 19).astype(np.float32), bits])
    x = x[np.abs(x) < 100]
    return x[x > {"log": 0, "sqrt": 0, "log1p": -1}.get(op, -np.inf)]


def largest_errors(at, found, wanted, slope):
    """Absolute in ε·max(1, |x|), relative in ε(1 + κ).

    Args:
        at, found, wanted, slope: x, what machine code makes of it, what is right, and its slope.
    """
    amplified = np.abs(at * slope)
    real = (np.abs(wanted) < HUGE[np.float32]) & (amplified < np.inf)
    at, amplified = np.abs(at[real]), amplified[real]
    off = np.abs(found - wanted)[real] / EPS[np.float32]
    underflow = TINY[np.float32] * (1 + at)  # of a factor of x, perhaps
    size = np.abs(wanted[real]) + amplified + underflow
    return (off / np.maximum(1, at)).max(), (off / size).max()


def assert_as_stated(what, bound, absolute, relative):
    """A bound is kept and nearly reached, and there is none where digits are kept anyway."""
    if bound:
        assert bound / 2 <= absolute <= bound, f"{what}: {absolute:.3g} ε"
        assert relative > FEW, f"{what}: nothing cancels, {relative:.3g} ε"
    else:
        assert relative <= FEW, f"{what}: {relative:.3g} ε"


SMOOTH = [name for name in FUNCTIONS if OPS[name].smooth]


@pytest.mark.parametrize("op", SMOOTH)
def test_what_cancels_is_stated_with_the_size_of_the_error(op):
    """In machine code, against the same record in float64.

    A value that cancels, and has a function of its own in machine code, does so in NumPy only.
    """
    x, points = input_("x", "m"), drawn(op)
    value = OPS[op](x, **OPS[op].layouts[0].attrs)
    one = expand(const(1), x.axes)
    slope = reverse(value, [x], seed=one).wrt[x]
    curvature = reverse(slope, [x], seed=one).wrt[x]
    whole = program("f", [x], {"": value, "slope": slope, "curvature": curvature}, {})
    found, found_slope = Machine(whole, threads=1)(x=points)
    at = points.astype(np.float64)
    stated = OPS[op].cancels or Cancellation("")
    with np.errstate(all="ignore"):
        exact, further = Reference(whole)(x=at)
        if stated.value and op in SCALAR:
            found, _ = Reference(whole)(x=points)
        values = largest_errors(at, found, exact, further["slope"])
        slopes = largest_errors(at, found_slope["slope"], further["slope"], further["curvature"])
    assert_as_stated(f"{op}, value", stated.value, *values)
    assert_as_stated(f"{op}, slope", stated.slope, *slopes)
