"""exp, log, log1p, expm1, tanh, sigmoid, softplus, erf and gelu as straight-line arithmetic.

Each is one description for float32 and float64; only the constants differ (``tables.py``). All
arithmetic is in the format itself, no wider one is used. Errors stay within 2 ULP, NaN gives NaN,
signed zeros, infinities and subnormal numbers come out right, and nothing depends on flush-to-zero
or other state of the processor.

Sources: W. J. Cody & W. Waite, Software Manual for the Elementary Functions, 1980 (reductions);
J.-M. Muller, Elementary Functions, 3rd ed., 2016, ch. 11 (error of reductions); T. J. Dekker 1971
and D. E. Knuth, TAOCP 2, 4.2.2 (exact errors of sums and products); M. M. Shepherd & J. G.
Laframboise, Math. Comp. 36 (1981) 249–253 (the tail of erfc in one polynomial).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from chainrule.emit.llvm import tables
from chainrule.emit.llvm.lanes import Block, Description, Real, Value


def constant(table: dict[int, float], block: Block) -> float:
    """The constant for the format of `block`."""
    return table[block.real.bits]


def coefficients(table: dict[int, tuple[float, ...]], block: Block) -> tuple[float, ...]:
    """The polynomial for the format of `block`."""
    return table[block.real.bits]


class Limits(NamedTuple):
    """Where results stop changing: inputs are brought there first, so nothing inside overflows."""

    exp_low: float  # exp is 0: below ln of half the smallest subnormal number
    exp_high: float  # exp is infinite: above ln of the largest number
    expm1_low: float  # expm1 is -1: e^x is below half an ULP of 1
    tanh_high: float  # tanh is 1: 2e^-2x is below half an ULP of 1
    erf_high: float  # erf is 1


LIMITS = {
    32: Limits(-104.0, 89.0, -18.0, 10.0, 4.0),
    64: Limits(-746.0, 710.0, -38.0, 20.0, 6.0),
}


def limits(block: Block) -> Limits:
    """The limits of the format of `block`."""
    return LIMITS[block.real.bits]


class Reduced(NamedTuple):
    """e^x = (1 + growth)·2^n with growth between -0.3 and 0.42."""

    growth: Value
    n: Value  # an integer


class Tail(NamedTuple):
    """Phi(-a) = (v + more)·2^n with |more| < v: both together are far better than 1 ULP."""

    v: Value
    more: Value
    n: Value


def power_of_two(n: Value) -> Value:
    """2^n for an integer n of a normal number, made from its bits."""
    real = n.block.real
    return ((n + real.bias) << real.fraction).real()


def scaled(x: Value, n: Value) -> Value:
    """x·2^n for any n that occurs here: in two steps, of which only the second can round.

    One factor 2^n would itself be subnormal or infinite near the ends.
    """
    half = n >> 1
    return x * power_of_two(half) * power_of_two(n - half)


def as_real(n: Value) -> Value:
    """A small integer as a real number, through the shifter: the same two lines everywhere."""
    real = n.block.real
    return (n + real.pattern(real.shifter)).real() - real.shifter


def nearest(b: Block, x: Value, factor: float) -> tuple[Value, Value]:
    """x·factor rounded to the nearest integer: as a real number and as an integer."""
    shifter = b.real.shifter
    shifted = b.fma(x, factor, shifter)
    return shifted - shifter, shifted.bits() - b.real.pattern(shifter)


def reduce_exp(b: Block, x: Value, x_low: Value | None = None) -> Reduced:
    """Split e^(x + x_low), x already within limits. `x_low` is what x lost when it was rounded.

    x - n·high is exact (high is short), so r loses only the rounding of the step with low; that
    loss is r_low, which counts where the result is to be better than 1 ULP.
    """
    n_real, n = nearest(b, x, constant(tables.LOG2_E, b))
    r_high = b.fma(n_real, -constant(tables.LN2_HIGH, b), x)
    if x_low is None:
        r = b.fma(n_real, -constant(tables.LN2_LOW, b), r_high)
        return Reduced(b.fma(r * r, b.polynomial(r, coefficients(tables.EXP, b)), r), n)
    low = b.fma(n_real, -constant(tables.LN2_LOW, b), x_low)
    r = r_high + low
    r_low = low - (r - r_high)
    return Reduced(b.fma(r * r, b.polynomial(r, coefficients(tables.EXP, b)), r_low) + r, n)


def exp(b: Block, x: Value) -> Value:
    """e^x = e^r·2^n with n = round(x/ln 2)."""
    low, high, *_ = limits(b)
    growth, n = reduce_exp(b, b.at_least(b.at_most(x, high), low))
    return scaled(growth + 1.0, n)


def decay(b: Block, x: Value) -> Value:
    """e^-|x|: never overflows, and is subnormal where it has to be."""
    growth, n = reduce_exp(b, b.at_least(-abs(x), limits(b).exp_low))
    return scaled(growth + 1.0, n)


def expm1(b: Block, x: Value) -> Value:
    """e^x - 1 = 2^n·(e^r - 1) + (2^n - 1), and n = 0 for |x| < 1/2, where nothing may be lost.

    Both terms are halved until the end because 2^n may be twice the largest power of two.
    """
    bounded = b.at_least(b.at_most(x, limits(b).exp_high), limits(b).expm1_low)
    small = abs(x) < 0.5
    n_real, n = nearest(b, b.select(small, 0.0, bounded), constant(tables.LOG2_E, b))
    r_high = b.fma(n_real, -constant(tables.LN2_HIGH, b), bounded)
    r = b.fma(n_real, -constant(tables.LN2_LOW, b), r_high)
    growth = b.fma(r * r, b.polynomial(r, coefficients(tables.EXPM1, b)), r)
    half = power_of_two(n - 1)
    large = b.fma(half, growth, half - 0.5)
    return b.copysign(b.select(small, growth, large + large), x)


def log_fraction(b: Block, f: Value, low: Value) -> Value:
    """ln(1 + f) + low for 1 + f between sqrt(1/2) and sqrt(2) and a small `low`."""
    series = b.fma(b.polynomial(f, coefficients(tables.LOG, b)), f, -0.5)
    return b.fma(f * f, series, low) + f


def log_product(b: Block, f: Value, e: Value) -> Value:
    """ln((1 + f)·2^e): e·high is exact, so only the last sum and ln(1 + f) round."""
    fraction = log_fraction(b, f, e * constant(tables.LN2_LOW, b))
    return b.fma(e, constant(tables.LN2_HIGH, b), fraction)


def log_exponent(b: Block, x: Value) -> Value:
    """The e that brings x·2^-e between sqrt(1/2) and sqrt(2), for a normal x > 0."""
    return (x.bits() - b.real.pattern(constant(tables.SQRT_HALF, b))) >> b.real.fraction


def log_edges(b: Block, x: Value, pole: float, result: Value) -> Value:
    """`result`, but -inf at the pole, NaN before it and for NaN, +inf at +inf."""
    edge = b.select(x.equals(pole), -math.inf, math.nan)
    return b.select(x.equals(math.inf), x, b.select(x > pole, result, edge))


def log(b: Block, x: Value) -> Value:
    """ln x = e·ln 2 + ln(1 + f); a subnormal x is first multiplied by 2^fraction."""
    real = b.real
    subnormal = x < 2.0 ** (1 - real.bias)
    normal = x * b.select(subnormal, 2.0**real.fraction, 1.0)
    e = log_exponent(b, normal)
    f = (normal.bits() - (e << real.fraction)).real() - 1.0
    e_real = as_real(e) - b.select(subnormal, float(real.fraction), 0.0)
    return log_edges(b, x, 0.0, log_product(b, f, e_real))


def log1p(b: Block, x: Value) -> Value:
    """ln(1 + x) = e·ln 2 + ln(1 + f) with f = x·2^-e - (1 - 2^-e), in which 1 + x never rounds.

    x·2^-e is exact (subtracted from the bits); where 2^-e is no normal number it does not count
    beside 1, and e is held at the bias, which makes it 0.
    """
    real = b.real
    e = log_exponent(b, x + 1.0)
    x_scaled = (x.bits() - (e << real.fraction)).real()
    inverse = power_of_two(0 - b.imin(e, real.bias))
    f = x_scaled - (1.0 - inverse)
    return log_edges(b, x, -1.0, b.copysign(log_product(b, f, as_real(e)), x))


def tanh(b: Block, x: Value) -> Value:
    """x + x³P(x²) near 0, 1 - 2/(e^2x + 1) elsewhere; odd."""
    a = b.at_most(abs(x), limits(b).tanh_high)
    u = a * a
    near = b.fma(a, u * b.polynomial(u, coefficients(tables.TANH, b)), a)
    growth, n = reduce_exp(b, a + a)
    far = 1.0 - 2.0 / (b.fma(growth, power_of_two(n), power_of_two(n)) + 1.0)
    return b.copysign(b.select(a < constant(tables.TANH_SPLIT, b), near, far), x)


def sigmoid(b: Block, x: Value) -> Value:
    """1/(1 + z) for x >= 0 and z/(1 + z) for x < 0, with z = e^-|x| <= 1.

    q_low is what 1 + z and the quotient q rounded away, so that z and the last line are all that
    rounds.
    """
    z = decay(b, x)
    d = z + 1.0
    d_low = z - (d - 1.0)
    q = 1.0 / d
    q_low = q * b.fma(-q, d_low, b.fma(-q, d, 1.0))
    numerator = b.select(x < 0.0, z, 1.0)
    return b.fma(numerator, q, numerator * q_low)


def softplus(b: Block, x: Value) -> Value:
    """max(x, 0) + ln(1 + z) with z = e^-|x|; 1 + z is halved where it exceeds sqrt(2)."""
    z = decay(b, x)
    halved = z > constant(tables.SQRT_TWO, b) - 1.0
    f = b.select(halved, z * 0.5 - 0.5, z)
    low = b.select(halved, constant(tables.LN2_LOW, b), 0.0)
    high = b.select(halved, constant(tables.LN2_HIGH, b), 0.0)
    return log_fraction(b, f, low) + high + b.select(x > 0.0, x, 0.0)


def normal_tail(b: Block, a: Value, h: Value, h_low: Value) -> Tail:
    """Phi(-a) = e^(h + h_low)·P(y)/(c + a) as (v + more)·2^n, h = -a²/2, y = (a - K)/(a + K).

    What each step rounds away is carried along (`_low`), because here five roundings meet: the sum
    c + a, the polynomial, the quotient and both halves of the exponential. What y rounds away
    does not count: P is nearly flat wherever |y| is near 1.
    """
    k = constant(tables.TAIL_MIDDLE, b)
    c = constant(tables.TAIL_SHIFT, b)
    below = b.at_most(a, c)
    above = b.at_least(a, c)
    d = above + below
    d_low = below - (d - above)
    a_k = a + k
    both = 1.0 / (d * a_k)  # one division for two reciprocals
    d_inverse = both * a_k
    y = (a - k) * (both * d)
    first, *others = coefficients(tables.TAIL, b)
    rest = b.polynomial(y, others)
    p = b.fma(y, rest, first)
    p_low = b.fma(y, rest, first - p) + constant(tables.TAIL_LOW, b)
    v = p * d_inverse
    v_low = (b.fma(-v, d, p) + b.fma(-v, d_low, p_low)) * d_inverse
    growth, n = reduce_exp(b, h, h_low)
    return Tail(v, b.fma(v, growth, b.fma(v_low, growth, v_low)), n)


def erf(b: Block, x: Value) -> Value:
    """x + x·P(x²) near 0, 1 - 2·Phi(-x·sqrt(2)) elsewhere; odd."""
    t = b.at_most(abs(x), limits(b).erf_high)
    h = t * t
    near = b.fma(t, b.polynomial(h, coefficients(tables.ERF, b)), t)
    v, more, n = normal_tail(b, t * constant(tables.SQRT_TWO, b), -h, b.fma(-t, t, h))
    far = b.fma(-(v + more), power_of_two(n + 1), 1.0)
    return b.copysign(b.select(t < constant(tables.ERF_SPLIT, b), near, far), x)


def gelu(b: Block, x: Value) -> Value:
    """x·Phi(x) = max(x, 0) - |x|·Phi(-|x|) (Hendrycks & Gimpel 2016, eq. 1).

    |x| comes in before 2^n, so that the one rounding to a subnormal number is the last; and the
    second term is at most half the first, so its error never grows.
    """
    a = b.at_most(abs(x), constant(tables.TAIL_END, b))
    square = a * a
    v, more, n = normal_tail(b, a, square * -0.5, b.fma(a, a, -square) * -0.5)
    total = v + more
    total_low = more - (total - v)
    missing = scaled(b.fma(a, total, a * total_low), n)
    return b.select(x < 0.0, -0.0, x) - missing  # -0 - 0 is -0: the sign of a result that vanishes


BOUND_ULP = 2.0


class Worst(NamedTuple):
    """The largest errors of a function, in ULP of the correctly rounded result.

    Attributes:
        float32: on all 2^32 inputs, with four digits.
        at: the input at which it occurs.
        float64: a bound that no input of the tests exceeds.
    """

    float32: float
    at: str
    float64: float


# Found and kept by tests/emit/test_functions.py.
WORST = {
    "exp": Worst(0.9876, "0x1.da3336p+5", 1.1),
    "log": Worst(0.8670, "0x1.664c6cp+0", 1.1),
    "log1p": Worst(1.4508, "0x1.a84c8ep-2", 1.5),
    "expm1": Worst(1.4391, "0x1.100814p+4", 1.5),
    "tanh": Worst(1.3304, "0x1.41b1cap-1", 1.5),
    "sigmoid": Worst(1.4797, "-0x1.362c52p+2", 1.5),
    "softplus": Worst(1.7053, "-0x1.78428ap-1", 1.8),
    "erf": Worst(1.0434, "0x1.faaed2p-1", 1.5),
    "gelu": Worst(1.4864, "-0x1.67ab6ep+0", 1.5),
}

FUNCTIONS: dict[str, Description] = {
    "exp": exp,
    "log": log,
    "log1p": log1p,
    "expm1": expm1,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "gelu": gelu,
}


def llvm_name(function: str, real: Real, lanes: int | None) -> str:
    """How a function is called in LLVM modules: ``chainrule.exp.v16f32``."""
    width = "" if lanes is None else f"v{lanes}"
    return f"chainrule.{function}.{width}{real.suffix}"


def c_name(function: str, real: Real) -> str:
    """How a function is called in C: ``chainrule_exp_f32``."""
    return f"chainrule_{function}_{real.suffix}"
