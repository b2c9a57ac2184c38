"""LLVM IR text to object code, and object code to functions in memory."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

FULL, QUICK = 2, 0  # effort of the compiler: QUICK takes a quarter of the time for each line


@dataclass(frozen=True)
class Host:
    """This processor.

    Attributes:
        name, features: as LLVM calls them.
        register_bytes: bytes of one vector register.
        registers: how many vector registers there are.
    """

    name: str
    features: str
    register_bytes: int
    registers: int


@functools.cache
def host() -> Host:
    """What this processor offers."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    wide = bool(features.get("avx512f") and features.get("avx512vl"))
    width = 64 if wide else 32 if features.get("avx2") else 16
    plenty = wide or not features.get("sse2")  # AVX-512 and NEON have 32, AVX2 has 16
    return Host(llvm.get_host_cpu_name(), features.flatten(), width, 32 if plenty else 16)


def _machine(effort: int) -> Any:
    """A description of the target; an engine takes it over, so each needs one of its own."""
    here = host()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=here.name, features=here.features, opt=effort)


def object_code(text: str, effort: int) -> bytes:
    """LLVM IR compiled for this processor: an object file."""
    host()
    return bytes(_machine(effort).emit_object(llvm.parse_assembly(text)))


class Code:
    """Compiled functions, ready to be called; they live as long as this object.

    Args:
        code: an object file that `object_code` made on this machine. Nothing about it is checked.
    """

    def __init__(self, code: bytes) -> None:
        host()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(FULL))
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins."""
        return int(self._engine.get_function_address(name))
