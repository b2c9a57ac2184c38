"""Compute the constants of the vector functions and write them to the tables.

Every polynomial interpolates its function at Chebyshev nodes with 80 digits: its error is within a
small factor of the smallest possible (Muller, Elementary Functions, 3rd ed., ch. 3; Trefethen,
Approximation Theory and Practice, ch. 16), which costs at most about one coefficient against Remez
and needs no iteration. The degree is the first whose error, relative to the finished function, is
below 2^-28 for float32 and 2^-57 for float64: at most 1/16 ULP before the coefficients are rounded.

    python -m tools.coefficients   # writes the tables; the errors stand in them as comments
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath as mp

mp.mp.dps = 80
TABLES = Path(__file__).parents[1] / "chainrule/emit/llvm/tables.py"
Number = Any  # an mpf: mpmath describes no types
Function = Callable[[Number], Number]
TARGET_BITS = {32: 28, 64: 57}
PRECISION = {32: 24, 64: 53}


@dataclass(frozen=True)
class Fit:
    """A function to replace by a polynomial on [low, high].

    `weight` turns its error into the relative error of the finished function; `why` is printed
    beside the coefficients.
    """

    name: str
    why: str
    function: Function
    weight: Function
    low: dict[int, Number]
    high: dict[int, Number]


def both(value: Number | float) -> dict[int, Number]:
    """The same bound for both formats."""
    return {32: mp.mpf(value), 64: mp.mpf(value)}


# Beyond this, Phi(-a) underflows even as a subnormal number times a: 2^-150 and 2^-1075.
TAIL_END = {32: mp.mpf("14.6"), 64: mp.mpf("38.8")}
# Middle of the variable y = (a - K)/(a + K): of 1.5 … 7 the one that needs the lowest degree
# for both formats together.
TAIL_MIDDLE = 4.0
# c in (a + c)·e^(a²/2)·Phi(-a): near sqrt(pi/2), which makes that flat at a = 0, where y = -1; so
# an error of y does little harm there.
TAIL_SHIFT = 1.25
TANH_SPLIT = 0.625  # below: polynomial; above: 1 - 2/(e^2x + 1) has lost less than one bit
ERF_SPLIT = 1.0  # below: polynomial; above: erfc is less than 1/5 of erf, and so is its error


def series_safe(direct: Function, limit: Function) -> Function:
    """`direct`, but the first terms of its series where the direct form is 0/0."""
    return lambda x: limit(x) if abs(x) < mp.mpf(10) ** -20 else direct(x)


def tail(y: Number) -> Number:
    """(a + c)·e^(a²/2)·Phi(-a) at a = K(1 + y)/(1 - y): between 0.4 and 0.63 everywhere."""
    a = TAIL_MIDDLE * (1 + y) / (1 - y)
    return (a + TAIL_SHIFT) * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2


def odd(function: Function, power: int) -> Function:
    """(f(x)/x - 1)/x^(2·power) as a function of u = x², for an odd f."""
    return lambda u: (function(mp.sqrt(u)) / mp.sqrt(u) - 1) / u**power


TINY = mp.mpf(10) ** -25  # stands for 0 where the direct form is 0/0
FITS = (
    Fit(
        "EXP",
        "(e^r - 1 - r)/r², |r| <= ln(2)/2",
        series_safe(lambda r: (mp.expm1(r) - r) / r**2, lambda r: mp.mpf(1) / 2 + r / 6),
        lambda r: r**2 / mp.exp(r),
        both(-mp.log(2) / 2 - mp.mpf(2) ** -10),  # room for the rounding of x·log2(e)
        both(mp.log(2) / 2 + mp.mpf(2) ** -10),
    ),
    Fit(
        "EXPM1",
        "(e^r - 1 - r)/r², |r| <= 1/2",
        series_safe(lambda r: (mp.expm1(r) - r) / r**2, lambda r: mp.mpf(1) / 2 + r / 6),
        series_safe(lambda r: r**2 / abs(mp.expm1(r)), abs),
        both(-0.5),
        both(0.5),
    ),
    Fit(
        "LOG",
        "(ln(1 + f) - f + f²/2)/f³, 1 + f between sqrt(1/2) and sqrt(2)",
        series_safe(lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, lambda f: mp.mpf(1) / 3 - f / 4),
        series_safe(lambda f: abs(f**3 / mp.log1p(f)), lambda f: f**2),
        both(mp.sqrt(mp.mpf(1) / 2) - 1 - mp.mpf(2) ** -20),
        both(mp.sqrt(mp.mpf(2)) - 1 + mp.mpf(2) ** -20),
    ),
    Fit(
        "TANH",
        "(tanh(x)/x - 1)/x² in u = x², x <= TANH_SPLIT",
        odd(mp.tanh, 1),
        lambda u: u * mp.sqrt(u) / mp.tanh(mp.sqrt(u)),
        both(TINY),
        both(mp.mpf(TANH_SPLIT) ** 2),
    ),
    Fit(
        "ERF",
        "erf(x)/x - 1 in u = x², x <= ERF_SPLIT",
        odd(mp.erf, 0),
        lambda u: mp.sqrt(u) / mp.erf(mp.sqrt(u)),
        both(TINY),
        both(mp.mpf(ERF_SPLIT) ** 2),
    ),
    Fit(
        "TAIL",
        "(a + c)·e^(a²/2)·Phi(-a) in y = (a - K)/(a + K) (form: Shepherd & Laframboise 1981)",
        tail,
        lambda y: 1 / tail(y),
        both(-1),
        {bits: (end - TAIL_MIDDLE) / (end + TAIL_MIDDLE) for bits, end in TAIL_END.items()},
    ),
)

# |n| <= 151 and 1076 fit in 9 and 12 bits with the sign: n·LN2_HIGH is exact.
LN2_ZEROS = {32: 9, 64: 12}
SINGLES = {
    "LOG2_E": ("1/ln(2)", both(1 / mp.log(2))),
    "SQRT_HALF": ("where the logarithm's range begins", both(mp.sqrt(mp.mpf(1) / 2))),
    "SQRT_TWO": ("a = x·sqrt(2): from erf's variable to Phi's", both(mp.sqrt(mp.mpf(2)))),
    "TAIL_MIDDLE": ("K of TAIL", both(TAIL_MIDDLE)),
    "TAIL_SHIFT": ("c of TAIL", both(TAIL_SHIFT)),
    "TAIL_END": ("beyond, a·Phi(-a) rounds to 0", TAIL_END),
    "TANH_SPLIT": ("above, 1 - 2/(e^2x + 1) loses less than one bit", both(TANH_SPLIT)),
    "ERF_SPLIT": ("above, erfc is less than 1/5 of erf", both(ERF_SPLIT)),
}


def chebyshev_nodes(low: Number, high: Number, count: int) -> list[Number]:
    """The zeros of the Chebyshev polynomial of degree `count`, moved to [low, high]."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + half * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def interpolate(fit: Fit, bits: int, degree: int) -> list[Number]:
    """Power coefficients of the polynomial through the nodes (Newton's form, expanded)."""
    nodes = chebyshev_nodes(fit.low[bits], fit.high[bits], degree + 1)
    newton = [fit.function(x) for x in nodes]
    for order in range(1, degree + 1):
        for i in range(degree, order - 1, -1):
            newton[i] = (newton[i] - newton[i - 1]) / (nodes[i] - nodes[i - order])
    power = [newton[degree]]
    for i in range(degree - 1, -1, -1):
        shifted = [mp.mpf(0), *power]
        for k, c in enumerate(power):
            shifted[k] -= nodes[i] * c
        shifted[0] += newton[i]
        power = shifted
    return power


def value_at(coefficients: list[Number], x: Number) -> Number:
    """The polynomial with these power coefficients, lowest first, at x (Horner)."""
    return functools.reduce(lambda total, c: total * x + c, reversed(coefficients))


def worst_error(fit: Fit, bits: int, coefficients: list[Number]) -> Number:
    """The largest relative error that the polynomial causes in the finished function."""
    samples = [*chebyshev_nodes(fit.low[bits], fit.high[bits], 201), fit.low[bits], fit.high[bits]]
    return max(abs(value_at(coefficients, x) - fit.function(x)) * fit.weight(x) for x in samples)


def rounded(value: Number, bits: int) -> float:
    """`value` in the format, as a Python float; mpmath to double rounds to nearest."""
    if bits == 64:
        return float(value)
    return float(struct.unpack("<f", struct.pack("<f", float(value)))[0])


def coefficients(fit: Fit, bits: int) -> tuple[list[Number], str]:
    """The shortest polynomial that is good enough, and what its error is, for the comment."""
    for degree in range(2, 40):
        exact = interpolate(fit, bits, degree)
        error = worst_error(fit, bits, exact)
        if error < mp.mpf(2) ** -TARGET_BITS[bits]:
            kept = worst_error(fit, bits, [mp.mpf(rounded(c, bits)) for c in exact])
            note = f"error 2^{float(mp.log(error, 2)):.1f}, rounded 2^{float(mp.log(kept, 2)):.1f}"
            return exact, note
    raise ArithmeticError(f"{fit.name}: no polynomial of degree < 40 is good enough")


def split(value: Number, bits: int, low_zeros: int) -> tuple[float, float]:
    """value = high + low, where the last `low_zeros` bits of high are 0 (Cody & Waite 1980)."""
    keep = PRECISION[bits] - low_zeros
    scale = mp.mpf(2) ** (keep - int(mp.floor(mp.log(value, 2))) - 1)
    high = mp.floor(value * scale) / scale
    return float(high), rounded(value - high, bits)


def table(name: str, why: str, rows: dict[int, tuple[str, str]]) -> str:
    """One table of the file: a reason, then one entry per format."""
    entries = "".join(f"    # {note}\n    {bits}: {row},\n" for bits, (row, note) in rows.items())
    kind = "tuple[float, ...]" if rows[32][0].startswith("(") else "float"
    return f"# {why}\n{name}: dict[int, {kind}] = {{\n{entries}}}\n"


def listed(values: list[float]) -> str:
    """A tuple, one number a line."""
    return "(\n" + "".join(f"        {v!r},\n" for v in values) + "    )"


def polynomials() -> list[str]:
    """The tables of all polynomials, and what rounding took from the first of TAIL."""
    parts, left_over = [], {}
    for fit in FITS:
        rows = {}
        for bits in (32, 64):
            exact, note = coefficients(fit, bits)
            stored = [rounded(c, bits) for c in exact]
            rows[bits] = (listed(stored), note)
            left_over[bits] = (repr(rounded(exact[0] - stored[0], bits)), f"float{bits}")
        parts.append(table(fit.name, fit.why, rows))
    # TAIL is the last of FITS: only its first coefficient is irrational and counts in full.
    parts.append(table("TAIL_LOW", "the exact TAIL[0] less the rounded one", left_over))
    return parts


def constants() -> list[str]:
    """The tables of single numbers."""
    parts = []
    halves = {bits: split(mp.log(2), bits, zeros) for bits, zeros in LN2_ZEROS.items()}
    for place, name in enumerate(("LN2_HIGH", "LN2_LOW")):
        rows = {
            bits: (repr(halves[bits][place]), f"last {zeros} bits of LN2_HIGH are 0")
            for bits, zeros in LN2_ZEROS.items()
        }
        parts.append(table(name, "ln(2) = LN2_HIGH + LN2_LOW (Cody & Waite 1980)", rows))
    for name, (why, values) in SINGLES.items():
        rows = {bits: (repr(rounded(v, bits)), f"float{bits}") for bits, v in values.items()}
        parts.append(table(name, why, rows))
    return parts


def text() -> str:
    """The text of the tables."""
    head = (
        '"""Constants of the vector functions: written by tools/coefficients.py, not by hand."""\n'
    )
    return "\n".join([head, *polynomials(), *constants()]).rstrip() + "\n"


if __name__ == "__main__":
    TABLES.write_text(text(), encoding="utf-8")
