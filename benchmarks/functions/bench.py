"""Nanoseconds per element over 4096 elements, against NumPy and SciPy where they have the function.

python bench.py        prints one row a function
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from benchmarks.functions.compiled import compile_library
from chainrule.emit.llvm import functions
from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64

Array = np.ndarray[Any, Any]
SIZE = 4096
PEERS: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "softplus": lambda x, out: np.logaddexp(x, x.dtype.type(0), out=out),
    "erf": special.erf,
    "gelu": lambda x, out: np.multiply(x, special.ndtr(x), out=out),
}


def nanoseconds(call: Callable[[], object], budget_s: float = 0.15) -> float:
    """The best of several runs, per element; the best, because the machine is shared."""
    best = float("inf")
    end = time.perf_counter() + budget_s
    while time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(20):
            call()
        best = min(best, (time.perf_counter() - begin) / 20)
    return best / SIZE * 1e9


def main() -> None:
    """Print the table."""
    print("function    f32 x16   numpy f32   f64 x8   numpy f64   (ns per element)")
    libraries = {np.float32: compile_library(FLOAT32, 16), np.float64: compile_library(FLOAT64, 8)}
    draw = np.random.default_rng(0).uniform(-6, 6, SIZE)
    for function in functions.FUNCTIONS:
        cells = []
        for kind, library in libraries.items():
            x = (np.abs(draw) if function.startswith("log") else draw).astype(kind)
            y = np.empty_like(x)
            cells += [
                nanoseconds(partial(library.loop(function), x.ctypes.data, y.ctypes.data, SIZE)),
                nanoseconds(partial(PEERS[function], x, out=y)),
            ]
        print(f"{function:10} {cells[0]:8.3f} {cells[1]:10.3f} {cells[2]:10.3f} {cells[3]:10.3f}")


if __name__ == "__main__":
    main()
