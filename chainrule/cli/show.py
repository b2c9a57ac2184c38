"""`chainrule show`: what each stage between definition and code has made of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.cli.options import (
    FloatType,
    Json,
    Output,
    Overwrite,
    Sizes,
    network_file,
    refuse_loss,
    sizes_of,
)
from chainrule.errors import ParameterError

if TYPE_CHECKING:
    from chainrule.plan.program import Program

Stage = Literal["expr", "derived", "plan", "python", "c", "llvm", "asm"]
Kind = Literal["avx512", "avx2", "neon"]
OF_A_PROCESSOR = ("plan", "llvm", "asm")

_FOR = "The processor for which plan, llvm and asm are made; this machine's if not given."


def show(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    stage: Stage,
    sizes: Sizes = None,
    dtype: FloatType = "float32",
    kind: Annotated[Kind | None, Parameter(name="--for", help=_FOR)] = None,
    json: Json = False,
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a network at one stage on its way from definition to code.

    The stages in order: expr, the graph as written, one operation a line; derived, the backward
    pass as the chain rule gives it, each line with its reason; plan, both passes as assignments in
    the order in which they run, or, where all sizes are known, as the loops that run on this
    machine; python, the function that runs; c and llvm, these loops as a C file and as LLVM IR;
    asm, the machine code that LLVM makes of them.

        chainrule show examples/cs230/two_sigmoid.net --stage plan
        chainrule show examples/cs230/two_sigmoid.net --stage c --sizes m=32,n=4,k=3
        chainrule show examples/cs230/two_sigmoid.net --stage asm --sizes m=32,n=4,k=3 --for neon

    Args:
        file: The network, FILE.net.
        stage: How far along the way.
    """
    from chainrule.cli.output import json_text, write
    from chainrule.derivation import Derivation
    from chainrule.emit import listing
    from chainrule.netfile import define
    from chainrule.plan.derived import Derived, derived

    refuse_loss(output, [file], overwrite=overwrite)
    if kind and stage not in OF_A_PROCESSOR:
        what = f"--for {kind} says nothing about the stage {stage}, which is the same everywhere"
        raise ParameterError(what, hint=f"It is for {', '.join(OF_A_PROCESSOR)}")
    found: Derived = derived(define(network_file(file, ".net")))
    given = sizes_of(sizes, found.definition)
    if stage == "expr":
        text = listing.expression(found)
    elif stage == "derived":
        text = listing.derivation(found)
    elif stage == "python":
        text = Derivation(found).python().rstrip()
    else:
        text = _at_sizes(found.program, stage, given, 4 if dtype == "float32" else 8, kind)
    named = {"name": found.definition.name, "stage": stage, "text": text}
    write(json_text(named) if json else text, output)


def _at_sizes(
    program: Program, stage: Stage, given: dict[str, int], itemsize: int, kind: Kind | None
) -> str:
    """What runs at these sizes; the plan without them where they are not all known."""
    from chainrule.emit import listing
    from chainrule.emit.c.file import source
    from chainrule.emit.llvm.module import write_module
    from chainrule.plan.sizes import all_sizes, known_sizes
    from chainrule.run.machine import Machine, slot
    from chainrule.run.targets import assembly
    from chainrule.training.exported import gradients_as_c

    roots = [*(value for _, value in program.outputs), *program.inputs]
    if stage == "plan" and all_sizes(roots, given)[1]:
        return listing.lines(program)
    if stage == "c":
        return source(gradients_as_c(program, given, itemsize)).rstrip()
    plan = Machine(program).plan(known_sizes(roots, given), itemsize, kind)
    if stage == "plan":
        return str(plan)
    text = write_module(plan, (), slot("value")).rstrip()
    return assembly(text, kind).rstrip() if stage == "asm" else text
