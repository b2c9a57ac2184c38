"""The most arithmetic that this machine does: multiply-adds that wait for nothing but themselves.

A loop of independent chains acc ← a · acc + b in vector registers, without memory. Every figure in
GFLOP/s counts a fused multiply-add as two operations, in float32.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

FLOP_PER_LANE = 2
TURNS = 2_000_000  # some 10 ms: long against starting a thread, short against a busy neighbour
REPEATS = 40


def _shape() -> tuple[int, int]:
    """Lanes of a vector register, and how many chains fit beside the factors.

    Two units with a latency of four cycles need eight chains; more do no harm while they fit.
    """
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 24
    return (8, 12) if features.get("avx2") else (4, 12)


def loop_text(lanes: int, chains: int) -> str:
    """LLVM IR of `float peak(i64 turns, float x)`."""
    vector, each = f"<{lanes} x float>", range(chains)
    phis = "\n".join(f"  %p{i} = phi {vector} [%start, %entry], [%q{i}, %loop]" for i in each)
    fmas = "\n".join(
        f"  %q{i} = call {vector} @fma({vector} %a, {vector} %p{i}, {vector} %a)" for i in each
    ).replace("@fma", f"@llvm.fma.v{lanes}f32")
    sums = [f"  %s0 = fadd {vector} %q0, %q1"]
    sums += [f"  %s{i - 1} = fadd {vector} %s{i - 2}, %q{i}" for i in range(2, chains)]
    added = "\n".join(sums)
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define float @peak(i64 %turns, float %x) {{
entry:
  %one = insertelement {vector} undef, float %x, i32 0
  %a = shufflevector {vector} %one, {vector} undef, <{lanes} x i32> zeroinitializer
  %start = fadd {vector} %a, %a
  br label %loop
loop:
  %turn = phi i64 [0, %entry], [%next, %loop]
{phis}
{fmas}
  %next = add i64 %turn, 1
  %more = icmp slt i64 %next, %turns
  br i1 %more, label %loop, label %done
done:
{added}
  %result = extractelement {vector} %s{chains - 2}, i32 0
  ret float %result
}}
"""


def compiled(text: str, name: str, *signature: Any) -> tuple[Any, Any]:
    """A function of a module in LLVM IR, and what keeps its code alive.

    Args:
        signature: its types in ctypes, that of the result first.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(*signature)  # frees the GIL
    return kind(engine.get_function_address(name)), engine


def peak_gflops(threads: int) -> float:
    """GFLOP/s of that many threads together: the best of several tries.

    >>> peak_gflops(1) > 1
    True
    """
    lanes, chains = _shape()
    text = loop_text(lanes, chains)
    function, _alive = compiled(text, "peak", ctypes.c_float, ctypes.c_int64, ctypes.c_float)
    best = min(_seconds(function, threads) for _ in range(REPEATS))
    return threads * TURNS * chains * lanes * FLOP_PER_LANE / best / 1e9


def _seconds(function: Any, threads: int) -> float:
    """From the moment that all threads are there until the last has finished."""
    gate = threading.Barrier(threads + 1)

    def work() -> None:
        gate.wait()
        function(TURNS, 0.5)
        gate.wait()

    team = [threading.Thread(target=work) for _ in range(threads)]
    for thread in team:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    gate.wait()
    took = time.perf_counter() - began
    for thread in team:
        thread.join()
    return took
