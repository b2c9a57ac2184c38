"""How far the vector functions are from the exact results: all of float32, samples of float64.

    python exhaustive.py sample  [function …]   every 256th float32, and everything near breakpoints
    python exhaustive.py all     [function …]   all 2^32 floats
    python exhaustive.py double  [function …]   float64: random and structured samples

Prints one line a function: the largest error in ULP and where. Exit code 1 when it exceeds 2.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.functions import judge
from benchmarks.functions.compiled import Library, compile_library
from chainrule.emit.llvm import functions, tables
from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64

Array = np.ndarray[Any, Any]
BLOCK = 1 << 20
BOUND_ULP = 2.0
JUDGE = judge.load()
for _judge in (JUDGE.judge32, JUDGE.judge64):
    _judge.restype = ctypes.c_double
ORDER = list(functions.FUNCTIONS)


def from_c(name: str) -> Callable[[Array], Array]:
    """A reference of floats in double that NumPy lacks."""

    def reference(x: Array) -> Array:
        out = np.empty(x.size, np.float64)
        getattr(JUDGE, name)(pointer(x), pointer(out), ctypes.c_int64(x.size))
        return out

    return reference


def pointer(array: Array) -> ctypes.c_void_p:
    """Where an array begins."""
    return ctypes.c_void_p(array.ctypes.data)


def sigmoid(x: Array) -> Array:
    """1/(1 + e^-x) in double: floats do not overflow there where it matters."""
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    """max(x, 0) + log1p(e^-|x|) in double."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def double(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`f` of the floats as doubles."""
    return lambda x: f(x.astype(np.float64))


# Errors of NumPy's doubles (a few 2^-53) are 2^-27 of a float ULP or so: far below what matters.
REFERENCES: dict[str, Callable[[Array], Array]] = {
    "exp": double(np.exp),
    "log": double(np.log),
    "log1p": double(np.log1p),
    "expm1": double(np.expm1),
    "tanh": double(np.tanh),
    "sigmoid": double(sigmoid),
    "softplus": double(softplus),
    "erf": from_c("erf_double"),
    "gelu": from_c("gelu_double"),
}


def breakpoints(bits: int) -> Array:
    """Every number at which some function changes its way, of both signs."""
    limits = functions.LIMITS[bits]
    ln2 = float(np.log(2))
    points = [*limits, tables.TAIL_END[bits], tables.TANH_SPLIT[bits], tables.ERF_SPLIT[bits]]
    points += [0.5, 1.0, 2.0**0.5, 0.5**0.5, 2.0**0.5 - 1, 1 - 0.5**0.5, tables.TAIL_MIDDLE[bits]]
    last = 1100 if bits == 64 else 155
    points += [(k + 0.5) * ln2 for k in range(last)] + [k * ln2 for k in range(last)]
    points += [2.0**k for k in range(-1022 if bits == 64 else -126, 1023 if bits == 64 else 127)]
    kind = np.dtype(f"f{bits // 8}").type
    return np.array([p * s for p in points for s in (1, -1)], kind)


def around(points: Array, reach: int) -> Array:
    """The `reach` numbers on either side of each point."""
    integer = np.dtype(f"i{points.itemsize}").type
    near = points.view(integer)[:, None] + np.arange(-reach, reach + 1, dtype=integer)
    return np.ascontiguousarray(near.ravel()).view(points.dtype)


def specials(kind: type[Any]) -> Array:
    """Zeros, ends of the range, infinities, several NaNs."""
    info = np.finfo(kind)
    plus = [0.0, info.smallest_subnormal, info.tiny, info.max, np.inf, np.nan]
    return np.array([*plus, *(-x for x in plus)], kind)


def whole_blocks(x: Array) -> Iterator[Array]:
    """Blocks whose lengths are multiples of 64, the last one filled up with ones."""
    for start in range(0, x.size, BLOCK):
        part = x[start : start + BLOCK]
        fill = -part.size % 64
        yield np.concatenate([part, np.ones(fill, x.dtype)]) if fill else part


def floats(exhaustive: bool) -> Iterator[Array]:
    """Blocks of float32 inputs."""
    if exhaustive:
        for start in range(0, 1 << 32, BLOCK):
            yield np.arange(start, start + BLOCK, dtype=np.uint64).astype(np.uint32).view("f4")
        return
    offset = np.random.default_rng().integers(256)
    bits = np.arange(offset, 1 << 32, 256, dtype=np.uint64).astype(np.uint32)
    yield from whole_blocks(bits.view("f4"))
    yield from whole_blocks(np.concatenate([around(breakpoints(32), 200), specials(np.float32)]))


def doubles(count: int, seed: int) -> Iterator[Array]:
    """Blocks of float64 inputs: random bits, random sizes where the functions bend, breakpoints."""
    draw = np.random.default_rng(seed)
    sign = draw.choice([-1.0, 1.0], count)
    random_bits = draw.integers(0, 1 << 64, count, dtype=np.uint64).view(np.float64)
    spread = sign * np.exp2(draw.uniform(-60, 10.5, count))
    even = draw.uniform(-40, 40, count)
    near_zero = draw.uniform(-1.5, 1.5, count)
    near_one = 1 + sign * np.exp2(draw.uniform(-52, -1, count))
    fixed = np.concatenate([around(breakpoints(64), 20), specials(np.float64)])
    for x in (random_bits, spread, even, near_zero, near_one, fixed):
        yield from whole_blocks(np.ascontiguousarray(x))


def worst_float32(library: Library, function: str, exhaustive: bool) -> tuple[float, float]:
    """The largest error in ULP and its input."""
    reference = REFERENCES[function]
    worst, where, found = 0.0, 0.0, ctypes.c_float()
    for x in floats(exhaustive):
        with np.errstate(all="ignore"):
            exact = reference(x)
        y = library(function, x)
        size = ctypes.c_int64(x.size)
        error = JUDGE.judge32(pointer(x), pointer(y), pointer(exact), size, ctypes.byref(found))
        if error > worst:
            worst, where = error, found.value
    return worst, where


def worst_float64(library: Library, function: str, count: int, seed: int) -> tuple[float, float]:
    """The largest error in ULP against long double, and its input."""
    worst, where, found = 0.0, 0.0, ctypes.c_double()
    which = ctypes.c_int(ORDER.index(function))
    for x in doubles(count, seed):
        exact = np.empty(x.size, np.longdouble)
        size = ctypes.c_int64(x.size)
        JUDGE.reference64(which, pointer(x), pointer(exact), size)
        y = library(function, x)
        error = JUDGE.judge64(pointer(x), pointer(y), pointer(exact), size, ctypes.byref(found))
        if error > worst:
            worst, where = error, found.value
    return worst, where


def main() -> int:
    """Measure the functions named on the command line, or all."""
    how, *chosen = sys.argv[1:] or ["sample"]
    real = FLOAT64 if how == "double" else FLOAT32
    library = compile_library(real, 8 if how == "double" else 16)
    failed = False
    for function in chosen or ORDER:
        begin = time.perf_counter()
        if how == "double":
            worst, where = worst_float64(library, function, 2_000_000, seed=1)
        else:
            worst, where = worst_float32(library, function, how == "all")
        took = time.perf_counter() - begin
        failed |= worst > BOUND_ULP
        print(
            f"{function:9} {worst:14.4f} ULP at {where!r} = {where.hex()}  ({took:.1f} s)",
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
