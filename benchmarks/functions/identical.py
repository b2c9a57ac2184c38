"""The same bits for every lane, width, processor and language; the processor's state unchanged.

python identical.py        prints one line a check; exit code 1 when one fails
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from exhaustive import JUDGE, around, breakpoints, pointer, specials

from benchmarks.functions.compiled import Library, compile_library, host_machine, module_text
from chainrule.emit.llvm import functions
from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64, Real, c_function, c_prelude

Array = np.ndarray[Any, Any]
# Targets that cannot be run here: their code must be vector code without library calls.
FOREIGN = {
    "aarch64-linux-gnu": ("generic", "+neon", FLOAT32, 4, ("fmla\tv",), "\tbl\t"),
    "x86_64-linux-gnu": ("haswell", "", FLOAT32, 8, ("vfmadd", "ymm"), "call"),
}


def inputs(real: Real, count: int) -> Array:
    """Random bit patterns (so all kinds of NaN too) and everything near breakpoints."""
    draw = np.random.default_rng(7)
    bits = draw.integers(0, 1 << real.bits, count, dtype=np.uint64)
    kind = np.dtype(f"f{real.bits // 8}")
    random_bits = bits.astype(f"u{real.bits // 8}").view(kind)
    spread = draw.uniform(-20, 20, count).astype(kind)
    points = np.concatenate([around(breakpoints(real.bits), 3), specials(kind.type)])
    x = np.concatenate([random_bits, spread, points])
    return np.ascontiguousarray(x[: x.size // 64 * 64])


def same(a: Array, b: Array) -> bool:
    """Whether all bits agree."""
    return a.tobytes() == b.tobytes()


def widths_agree(real: Real, x: Array, expected: dict[str, Array]) -> bool:
    """Every number of lanes, and every position within them."""
    good = True
    for lanes in (None, 1, 2, 4, 8, 16, 32):
        library = compile_library(real, lanes)
        for function, y in expected.items():
            good &= same(library(function, x), y)
            for shift in (1, 5, 11):
                good &= same(library(function, np.roll(x, shift)), np.roll(y, shift))
    return good


def without_fma(real: Real, x: Array, expected: dict[str, Array]) -> bool:
    """A processor of 2003: llvm.fma is a call into the C library."""
    plain = compile_library(real, 4, host_machine(features="", cpu="x86-64"))
    assert "vfmadd" not in plain.assembly, "the plain build must not contain FMA instructions"
    return all(same(plain(function, x), y) for function, y in expected.items())


def c_agrees(real: Real, x: Array, expected: dict[str, Array]) -> bool:
    """The printed C, compiled strictly; NaN may differ in its payload between compilers."""
    parts = ["#include <math.h>\n#include <stdint.h>\n#include <string.h>\n", c_prelude(real)]
    for function, describe in functions.FUNCTIONS.items():
        name = functions.c_name(function, real)
        parts.append(c_function(name, describe, real))
        parts.append(
            f"void loop_{function}(const {real.c} *x, {real.c} *y, int64_t n);\n"
            f"void loop_{function}(const {real.c} *x, {real.c} *y, int64_t n) {{\n"
            f"  for (int64_t i = 0; i < n; ++i) y[i] = {name}(x[i]);\n}}\n"
        )
    flags = "-std=c11 -O3 -march=native -ffp-contract=off -Wall -Wextra -Werror -shared -fPIC"
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder, "f.c"), Path(folder, "f.so")
        source.write_text("\n".join(parts))
        subprocess.run(["cc", *flags.split(), str(source), "-o", str(binary), "-lm"], check=True)
        library = ctypes.CDLL(str(binary))
    good = True
    for function, expected_y in expected.items():
        y = np.empty_like(x)
        getattr(library, f"loop_{function}")(pointer(x), pointer(y), ctypes.c_int64(x.size))
        nan = np.isnan(expected_y)
        good &= same(y[~nan], expected_y[~nan]) and bool(np.isnan(y[nan]).all())
    return good


def state_unchanged(library: Library, x: Array) -> bool:
    """The control bits of MXCSR (rounding, flush to zero, masks); flags 0…5 may be raised."""
    before = JUDGE.mxcsr() & ~0x3F
    for function in functions.FUNCTIONS:
        library(function, x)
    return bool(before == JUDGE.mxcsr() & ~0x3F)


def foreign_code() -> bool:
    """AVX2 and NEON: vector instructions with FMA, no calls."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    good = True
    for triple, (cpu, features, real, lanes, wanted, unwanted) in FOREIGN.items():
        machine = llvm.Target.from_triple(triple).create_target_machine(
            cpu=cpu, features=features, opt=3
        )
        module = llvm.parse_assembly(module_text(real, lanes))
        module.triple = triple
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3))
        passes.getModulePassManager().run(module, passes)
        code = machine.emit_assembly(module)
        good &= all(word in code for word in wanted) and unwanted not in code
    return good


def main() -> int:
    """Run all checks."""
    results = {"AVX2 and NEON code": foreign_code()}
    for real, lanes in ((FLOAT32, 16), (FLOAT64, 8)):
        x = inputs(real, 40_000)
        library = compile_library(real, lanes)
        expected = {function: library(function, x) for function in functions.FUNCTIONS}
        results[f"{real.c}: widths and positions"] = widths_agree(real, x, expected)
        results[f"{real.c}: without FMA"] = without_fma(real, x, expected)
        results[f"{real.c}: printed C"] = c_agrees(real, x, expected)
        results[f"{real.c}: MXCSR"] = state_unchanged(library, x)
    for check, good in results.items():
        print(f"{check:32} {'same' if good else 'DIFFERENT'}")
    return int(not all(results.values()))


if __name__ == "__main__":
    sys.exit(main())
