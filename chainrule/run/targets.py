"""What a module looks like as assembly, for this machine or for others that it need not be."""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm

from chainrule.run.jit import FULL, Host, host


@dataclass(frozen=True)
class Target:
    """A kind of processors, as the oldest of them that is common.

    Attributes:
        triple: how LLVM calls the architecture and the system.
        host: what such a processor offers.
    """

    triple: str
    host: Host


# AVX-512: Intel's servers since 2017, AMD since Zen 4; AVX2: since 2013 and Zen; NEON: 64-bit ARM.
TARGETS = {
    "avx512": Target("x86_64-unknown-linux-gnu", Host("skylake-avx512", "", 64, 32)),
    "avx2": Target("x86_64-unknown-linux-gnu", Host("haswell", "", 32, 16)),
    "neon": Target("aarch64-unknown-linux-gnu", Host("generic", "+neon", 16, 32)),
}


def assembly(text: str, kind: str | None = None) -> str:
    """The machine code of a module, as the compiler writes it.

    Args:
        text: LLVM IR.
        kind: one of `TARGETS`; None: this machine, as for `Code`.
    """
    here = TARGETS[kind].host if kind else host()
    if kind:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        target = llvm.Target.from_triple(TARGETS[kind].triple)
    else:
        target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=here.name, features=here.features, opt=FULL)
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.verify()
    return str(machine.emit_assembly(module))
