"""`chainrule derive`: both passes of a network as equations or code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.cli.options import Json, Output, Overwrite, names, network_file, refuse_loss
from chainrule.errors import ParameterError


def derive(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    wrt: Annotated[str | None, Parameter(metavar="W_1,b_1")] = None,
    latex: bool = False,
    python: bool = False,
    text: bool = False,
    json: Json = False,
    notation: Literal["matrix", "chain"] = "matrix",
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Show the equations or the code of both passes of a network.

    Every derivative is worked out from the definition in the file, nothing in which is ever
    executed. Without --latex, --python or --json the equations come in plain characters.

        chainrule derive examples/cs230/two_sigmoid.net
        chainrule derive examples/chain.net --notation chain --latex

    Args:
        file: The network, FILE.net: one line for each parameter, input and value.
        wrt: Derive with respect to these names only; all parameters if not given.
        latex: Equations as LaTeX (two align environments).
        python: The NumPy function that computes loss and gradients.
        text: Equations in plain characters (what is shown anyway).
        notation: matrix as in CS230, or chain: networks of single numbers as recurrences.
    """
    from chainrule.cli.output import json_text, write
    from chainrule.derivation import Derivation
    from chainrule.emit.equations import equations
    from chainrule.netfile import define
    from chainrule.plan.derived import derived

    chosen = {"--latex": latex, "--python": python, "--text": text, "--json": json}
    given = [option for option, on in chosen.items() if on]
    if len(given) > 1:
        raise ParameterError(f"{' and '.join(given)} exclude each other", hint="Choose one")
    refuse_loss(output, [file], overwrite=overwrite)
    found = derived(define(network_file(file, ".net")), names(wrt, "--wrt"))
    lines = equations(found, notation)
    if json:
        shown = {"forward": list(lines.forward), "backward": list(lines.backward)}
        write(json_text({**Derivation(found).json(), **shown, "notation": notation}), output)
    elif python:
        write(Derivation(found).python().rstrip(), output)
    else:
        write(lines.latex() if latex else lines.text(), output)
