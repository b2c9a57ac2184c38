"""How far numbers are from exact results, and inputs at which that is worth asking.

float32 results are judged by float64 ones of NumPy and SciPy, whose errors are 2^-20 of a float32
ULP or less; float64 results, and the judge itself, by mpmath with 60 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from mpmath import mp
from scipy import special

from chainrule.emit.llvm import functions, tables

Array = np.ndarray
BLOCK = 1 << 14  # numbers judged at a time: what they need stays in the second-level cache
WRONG = 1e9  # ULP, for what no count of them describes: a wrong sign, a number for NaN


def _gelu(x: Array) -> Array:
    """x Φ(x); beyond 40, where Φ is 0 or 1 to the last bit, without 0 · ∞."""
    return np.where(np.abs(x) < 40, x * special.ndtr(x), np.where(x < 0, -0.0, x))


# From doubles to doubles.
REFERENCES: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "erf": special.erf,
    "gelu": _gelu,
}


def _exact_gelu(x):
    return x * mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 60 else max(x, mp.mpf(0))


# From numbers of mpmath to numbers of mpmath; NaN where no real number is the result.
EXACT = {
    "exp": mp.exp,
    "log": lambda x: mp.log(x) if x >= 0 else mp.nan,
    "log1p": lambda x: mp.log1p(x) if x > -1 else mp.log(1 + x) if x == -1 else mp.nan,
    "expm1": mp.expm1,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "gelu": _exact_gelu,
}


def exact(function: str, x: float):
    """The result with 60 digits."""
    with mp.workdps(60):
        return mp.nan if np.isnan(x) else EXACT[function](mp.mpf(float(x)))


def ulp(x: float, dtype: type) -> float:
    """The distance between numbers of a format around `x`: 2^-149 among float32 subnormals."""
    info = np.finfo(dtype)
    size = min(max(abs(x), float(info.tiny)), float(info.max))
    return math.ldexp(1.0, math.frexp(size)[1] - 1 - info.nmant)


def errors(y: Array, wanted: Array) -> Array:
    """Distances of float32 numbers from doubles, in ULP of the correctly rounded result.

    `WRONG` where only one is NaN, where signs differ (of zeros too), where an exact infinity or
    zero is missed, or where a finite result is infinite that is not beside the largest number.
    """
    with np.errstate(all="ignore"):
        nearest = wanted.astype(np.float32)
        exponent = np.clip(nearest.view(np.int32) >> 23 & 0xFF, 1, 254).astype(np.int64)
        unit = (1023 - 150 + exponent << 52).view(np.float64)  # 2^(exponent - 150)
        off = np.abs(y - wanted) / unit
        special_cases = ~np.isfinite(off) | (np.signbit(y) != np.signbit(wanted))
        special_cases |= (wanted == 0) & (y != 0)
        if special_cases.any():
            some = np.flatnonzero(special_cases)
            off[some] = _odd_errors(y[some], wanted[some], nearest[some])
    return off


def _odd_errors(y: Array, wanted: Array, nearest: Array) -> Array:
    """As `errors`, where NaN, infinities, zeros or different signs occur."""
    both_nan = np.isnan(y) & np.isnan(wanted)
    same = (y == nearest) & (np.signbit(y) == np.signbit(wanted))
    finite = np.where(np.isinf(y), nearest, y)
    beside = (np.isinf(y) != np.isinf(nearest)) & np.isfinite(wanted)
    beside &= (np.abs(finite) == np.finfo(np.float32).max) & (np.signbit(y) == np.signbit(wanted))
    return np.where(both_nan | same, 0.0, np.where(beside, 1.0, WRONG))


def worst(compiled: Callable[[str, Array], Array], function: str, blocks) -> tuple[float, float]:
    """The largest error of a float32 function in ULP, and at which input."""
    most, where = 0.0, 0.0
    for block in blocks:
        y = compiled(function, block)
        for start in range(0, block.size, BLOCK):
            part = slice(start, start + BLOCK)
            with np.errstate(all="ignore"):
                wanted = REFERENCES[function](block[part].astype(np.float64))
            off = errors(y[part], wanted)
            at = int(off.argmax())
            if off[at] > most:
                most, where = float(off[at]), float(block[part][at])
    return most, where


def exact_error(function: str, x: float, y: float, dtype: type) -> float:
    """The error of one result in ULP, by mpmath; `WRONG` as in `errors`."""
    wanted, largest = exact(function, x), float(np.finfo(dtype).max)
    if mp.isnan(wanted) or np.isnan(y):
        return 0.0 if mp.isnan(wanted) and np.isnan(y) else WRONG
    with np.errstate(all="ignore"):
        negative = bool(np.signbit(REFERENCES[function](np.float64(x))))
    if bool(np.signbit(y)) != negative:
        return WRONG
    if np.isinf(y) or mp.isinf(wanted):
        half = mp.mpf(ulp(largest, dtype)) / 2
        if not np.isinf(y) or abs(wanted) < largest - half:
            return WRONG
        return float(abs(wanted) < largest + half)  # from there on, infinity is the nearest
    with mp.workdps(60):
        return float(abs(mp.mpf(float(y)) - wanted) / ulp(float(wanted), dtype))


def floats(first: int, count: int) -> Iterator[Array]:
    """All float32 numbers whose patterns are from `first` on, in blocks."""
    size = 1 << 20
    for start in range(first, first + count, size):
        some = np.arange(start, min(start + size, first + count), dtype=np.uint64)
        yield some.astype(np.uint32).view(np.float32)


def sample(seed: int, stride: int = 256) -> Iterator[Array]:
    """One float32 of every `stride` patterns, drawn anew for each; all around breakpoints."""
    draw = np.random.default_rng(seed)
    size = 1 << 16
    for start in range(0, 1 << 32, size * stride):
        bits = start + stride * np.arange(size) + draw.integers(0, stride, size)
        yield bits.astype(np.uint32).view(np.float32)
    yield whole(np.concatenate([around(breakpoints(32), 100), specials(np.float32)]))


def doubles(count: int, seed: int) -> Array:
    """float64 numbers: random bits, random sizes where functions bend, breakpoints."""
    draw = np.random.default_rng(seed)
    sign = draw.choice([-1.0, 1.0], count)
    fixed = np.concatenate([around(breakpoints(64), 2), specials(np.float64)])
    parts = (
        draw.integers(0, 1 << 64, count, dtype=np.uint64).view(np.float64),
        sign * np.exp2(draw.uniform(-60, 10.5, count)),
        draw.uniform(-40, 40, count),
        draw.uniform(-1.5, 1.5, count),
        1 + sign * np.exp2(draw.uniform(-52, -1, count)),
        draw.choice(fixed, count),
    )
    return whole(np.concatenate(parts))


def breakpoints(bits: int) -> Array:
    """Every number at which some function changes its way, of both signs."""
    ln2, root = float(np.log(2)), 2.0**0.5
    points = [*functions.LIMITS[bits], 0.5, 1.0, root, 1 / root, root - 1, 1 - 1 / root]
    points += [tables.TAIL_END[bits], tables.TANH_SPLIT[bits], tables.ERF_SPLIT[bits]]
    points += [tables.TAIL_MIDDLE[bits], tables.TAIL_SHIFT[bits]]
    last, ends = (155, 127) if bits == 32 else (1100, 1023)
    points += [k * ln2 / 2 for k in range(2 * last)] + [2.0**k for k in range(1 - ends, ends)]
    both = [sign * point for point in points for sign in (1, -1)]
    return np.array(both, f"f{bits // 8}")


def around(points: Array, reach: int) -> Array:
    """The `reach` numbers on either side of each point, and itself."""
    integer = np.dtype(f"i{points.itemsize}")
    near = points.view(integer)[:, None] + np.arange(-reach, reach + 1, dtype=integer)
    return np.ascontiguousarray(near.ravel()).view(points.dtype)


def specials(dtype: type) -> Array:
    """Zeros, subnormals, ends of the range, infinities, NaN."""
    info = np.finfo(dtype)
    tiny = info.smallest_subnormal
    sizes = [0.0, tiny, 3 * tiny, info.tiny / 2, info.tiny, info.max, np.inf, np.nan]
    return np.array([sign * x for x in sizes for sign in (1, -1)], dtype)


def whole(x: Array) -> Array:
    """The numbers, and ones up to whole vectors of any width."""
    return np.ascontiguousarray(np.concatenate([x, np.ones(-x.size % 64, x.dtype)]))
