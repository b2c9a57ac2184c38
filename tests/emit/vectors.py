"""The functions of the machine code alone: loops over arrays, compiled as kernels are."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from chainrule.emit.llvm import functions
from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64, REAL, Block, Real
from chainrule.run import jit

REALS = {np.dtype(np.float32): FLOAT32, np.dtype(np.float64): FLOAT64}
SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

LOOP = """
define void @{loop}(ptr noalias %x, ptr noalias %y, i64 %n) {{
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %from = getelementptr {element}, ptr %x, i64 %i
  %to = getelementptr {element}, ptr %y, i64 %i
  %a = load {kind}, ptr %from, align {align}
{lines}
  store {kind} {result}, ptr %to, align {align}
  %next = add i64 %i, {step}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %body, label %done
done:
  ret void
}}
"""


def host_lanes(real: Real) -> int:
    """How many numbers one vector register of this machine holds."""
    return 8 * jit.host().register_bytes // real.bits


def text(real: Real, lanes: int | None) -> str:
    """A module with a loop for each function."""
    parts, declarations = [], set()
    for name, describe in functions.FUNCTIONS.items():
        block = Block(real, lanes)
        result = describe(block, block.value("%a"))
        words = {"element": real.llvm, "kind": block.type(REAL), "align": real.bits // 8}
        parts.append(
            LOOP.format(
                loop=f"loop_{name}",
                lines=block.text(),
                result=result.name,
                step=lanes or 1,
                **words,
            )
        )
        declarations |= block.used
    return "\n".join([*sorted(declarations), *parts])


@dataclass(frozen=True)
class Vectors:
    """Machine code of all functions for one float type."""

    code: jit.Code
    real: Real

    def __call__(self, function: str, x: np.ndarray) -> np.ndarray:
        """`function` of every number of an array of whole vectors (64 numbers suffice always)."""
        assert REALS[x.dtype] is self.real
        assert x.size
        assert x.size % 64 == 0, f"{x.size} numbers are no whole vectors"
        assert x.flags.c_contiguous
        y = np.empty_like(x)
        SIGNATURE(self.code.address(f"loop_{function}"))(x.ctypes.data, y.ctypes.data, x.size)
        return y


def vectors(dtype: type, lanes: int | None = 0) -> Vectors:
    """Compile for this machine.

    Args:
        lanes: numbers in one vector; 0: as many as a register holds; None: plain scalars.
    """
    real = REALS[np.dtype(dtype)]
    code = jit.object_code(text(real, host_lanes(real) if lanes == 0 else lanes), jit.FULL)
    return Vectors(jit.Code(code), real)
