"""`chainrule show`: what each stage between definition and code has made of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.cli.options import Json, Output, Overwrite, network_file, refuse_loss

Stage = Literal["expr", "derived", "plan", "python"]


def show(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    stage: Stage,
    json: Json = False,
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a network at one stage on its way from definition to code.

    The stages in order: expr, the graph as written, one operation a line; derived, the backward
    pass as the chain rule gives it, each line with its reason; plan, both passes as assignments in
    the order in which they run; python, the function that runs.

        chainrule show examples/cs230/two_sigmoid.net --stage plan

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
    found: Derived = derived(define(network_file(file, ".net")))
    if stage == "expr":
        text = listing.expression(found)
    elif stage == "derived":
        text = listing.derivation(found)
    elif stage == "plan":
        text = listing.lines(found.program)
    else:
        text = Derivation(found).python().rstrip()
    named = {"name": found.definition.name, "stage": stage, "text": text}
    write(json_text(named) if json else text, output)
