"""The float64 functions, and the long double reference, against mpmath with 60 digits.

python precise.py [points per sample]        one line a function: errors in ULP
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from exhaustive import BOUND_ULP, JUDGE, ORDER, doubles, pointer

from benchmarks.functions.compiled import compile_library
from chainrule.emit.llvm.lanes import FLOAT64

mp.mp.dps = 60
Exact = Callable[[Any], Any]
EXACT: dict[str, Exact] = {
    "exp": mp.exp,
    "log": lambda x: mp.log(x) if x > 0 else mp.nan,
    "log1p": lambda x: mp.log1p(x) if x > -1 else mp.nan,
    "expm1": mp.expm1,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 50 else max(x, mp.mpf(0)),
}
SMALLEST = 2.0**-1074


def to_mp(x: np.longdouble) -> Any:
    """A long double, exactly: as two doubles and an exponent."""
    fraction, exponent = np.frexp(x)
    high = float(fraction)
    return mp.ldexp(mp.mpf(high) + float(fraction - high), int(exponent))


def main() -> int:
    """Compare; the points are the first of each sample of `doubles`."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    library = compile_library(FLOAT64, 8)
    failed = False
    for which, function in enumerate(ORDER):
        ours = reference = 0.0
        for block in doubles(6400, seed=3):
            x = np.ascontiguousarray(block[: count // 64 * 64 + 64])
            y = library(function, x)
            wide = np.empty(x.size, np.longdouble)
            size = ctypes.c_int64(x.size)
            JUDGE.reference64(ctypes.c_int(which), pointer(x), pointer(wide), size)
            for point, result, long_result in zip(x, y, wide, strict=True):
                if not np.isfinite(point) or not np.isfinite(result):
                    continue  # the special cases are judged in exhaustive.py
                exact = EXACT[function](mp.mpf(float(point)))
                ulp = max(float(np.spacing(np.float64(abs(result)))), SMALLEST)
                ours = max(ours, float(abs(mp.mpf(float(result)) - exact) / ulp))
                reference = max(reference, float(abs(to_mp(long_result) - exact) / ulp))
        failed |= ours > BOUND_ULP
        print(f"{function:9} ours {ours:.4f}   long double reference {reference:.6f}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
