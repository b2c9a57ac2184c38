"""Compile the vector functions for this machine, as loops over arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from chainrule.emit.llvm import functions
from chainrule.emit.llvm.lanes import REAL, Block, Real, llvm_functions

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

LOOP = """
define void @{loop}(ptr noalias %x, ptr noalias %y, i64 %n) {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %body, label %done
body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %from = getelementptr {element}, ptr %x, i64 %i
  %to = getelementptr {element}, ptr %y, i64 %i
  %a = load {kind}, ptr %from, align {align}
  %b = call {kind} @{name}({kind} %a)
  store {kind} %b, ptr %to, align {align}
  %next = add i64 %i, {step}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %body, label %done
done:
  ret void
}}
"""


def module_text(real: Real, lanes: int | None) -> str:
    """All functions and a loop around each, for one format and one number of lanes."""
    named = {
        functions.llvm_name(function, real, lanes): describe
        for function, describe in functions.FUNCTIONS.items()
    }
    text = llvm_functions(named, real, lanes)
    parts = [*sorted(text.declarations), text.functions]
    kind = Block(real, lanes).type(REAL)
    for function in functions.FUNCTIONS:
        name = functions.llvm_name(function, real, lanes)
        words = {"element": real.llvm, "kind": kind, "align": real.bits // 8, "step": lanes or 1}
        parts.append(LOOP.format(loop=f"loop_{function}", name=name, **words))
    return "\n".join(parts)


def host_machine(features: str | None = None, cpu: str | None = None) -> llvm.TargetMachine:
    """A target machine; None means what this processor has.

    LLVM fuses a product and a sum only where an instruction allows it; none here does.
    """
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name() if cpu is None else cpu,
        features=llvm.get_host_cpu_features().flatten() if features is None else features,
        opt=3,
        jit=True,
    )


@dataclass(frozen=True)
class Library:
    """Machine code of all functions for one format; keeps the engine that owns it alive."""

    engine: Any
    real: Real
    lanes: int | None
    assembly: str

    def __call__(
        self, function: str, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """`function` of every element. The length of x must be a multiple of the lanes."""
        if x.size % (self.lanes or 1):
            raise ValueError(f"{x.size} elements are no multiple of {self.lanes} lanes")
        out = np.empty_like(x) if y is None else y
        self.loop(function)(x.ctypes.data, out.ctypes.data, x.size)
        return out

    def loop(self, function: str) -> Callable[[int, int, int], None]:
        """The native loop itself: addresses of input and output, number of elements."""
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        return signature(self.engine.get_function_address(f"loop_{function}"))


def compile_library(
    real: Real, lanes: int | None, machine: llvm.TargetMachine | None = None
) -> Library:
    """Parse, optimise (level 3) and compile for this machine, or for the machine given."""
    machine = host_machine() if machine is None else machine
    module = llvm.parse_assembly(module_text(real, lanes))
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3))
    passes.getModulePassManager().run(module, passes)
    assembly = machine.emit_assembly(module)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return Library(engine, real, lanes, assembly)
