"""`chainrule check`: derivatives compared with independent ones, hand-written ones diagnosed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chainrule.cli.options import Json, Seed, network_file
from chainrule.errors import GraphError

if TYPE_CHECKING:
    from chainrule.check.report import Report
    from chainrule.diagnose.report import BackwardReport
    from chainrule.expr import Definition


def check(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    seed: Seed = 0,
    dtype: Literal["float32", "float64"] = "float64",
    json: Json = False,
) -> int:
    """Check every derivative of a network, or a backward pass that you wrote by hand.

    A network is compared with a complex step where the functions allow it and with differences
    with an error estimate elsewhere, at random values. Exit code 1 if a derivative is wrong.

    FILE.net is only read. FILE.py is run, because you name it here (but not what stands under
    `if __name__ == "__main__"`). Each function in it whose parameters are annotated with axes is
    checked. If it holds `forward` and `backward` (or `forward_x` and `backward_x`), the gradients
    that backward returns are compared with the true ones, and the mistakes in it are named; what
    else the file may hold (`arrays`, `wrt`) is in docs/diagnosis.md. What it prints goes to
    standard error.

        chainrule check examples/cs230/two_sigmoid.net --dtype float32
        chainrule check examples/my_backward.py

    Args:
        file: The network, FILE.net or FILE.py.
        dtype: The float type of the derivatives under test.
    """
    from chainrule.cli.backward import pairs, reports
    from chainrule.cli.output import show, show_json
    from chainrule.cli.userfile import blamed, run_file
    from chainrule.netfile import define

    path = network_file(file, ".net", ".py")
    module = None if path.suffix == ".net" else run_file(path)
    by_hand = [] if module is None else pairs(module)
    if module is None:
        found = [define(path)]
    else:
        used = [pair.forward for pair in by_hand]
        with blamed(path):
            found = list(_definitions(module, used))
        if not found and not by_hand:
            hint = 'Annotate every parameter with its axes: def loss(w: "n", X: "m n", y: "m")'
            raise GraphError(f"{path.name} holds no function annotated with axes", hint=hint)
    derivatives = _checked(found, path, seed, dtype, needed=not by_hand)
    backward = reports(by_hand, seed, dtype)
    every: list[Report | BackwardReport] = [*derivatives, *backward]
    ok = all(report.ok for report in every)
    if json:
        plain = {"ok": ok, "reports": [report.json() for report in derivatives]}
        show_json(plain | ({"backward": [r.json() for r in backward]} if by_hand else {}))
    else:
        show("\n\n".join(str(report) for report in every))
    return 0 if ok else 1


def _checked(
    found: list[Definition], path: Path, seed: int, dtype: str, *, needed: bool
) -> list[Report]:
    """The check of every definition that ends in a loss.

    Raises:
        GraphError: none does, and one is `needed`.
    """
    from chainrule.check.gradient import check_gradients
    from chainrule.cli.output import note
    from chainrule.plan.derived import derived

    losses = [definition for definition in found if not definition.root.axes]
    for definition in found:
        if definition not in losses:
            axes = ", ".join(definition.root.axes)
            note(f"{definition.name} is no loss (its result has axes {axes}): not checked")
    if not losses and needed:
        what = f"{path.name} defines no network that ends in a loss"
        raise GraphError(what, hint="End it in a number: return mse(y_hat, y)")
    return [check_gradients(derived(loss), seed=seed, dtype=dtype) for loss in losses]


def _definitions(module: ModuleType, used: list[Any]) -> Iterator[Definition]:
    """The definitions in a Python file, in the order in which they stand.

    Those `used` as the forward function of a backward function are left out.

    Raises:
        ChainruleError: one of them is wrong.
    """
    from chainrule.cli.userfile import is_definition
    from chainrule.expr import Definition
    from chainrule.netfile import define

    for value in vars(module).values():
        if any(value is forward for forward in used):
            continue
        if isinstance(value, Definition):
            yield value
        elif is_definition(value, module):
            yield define(value)
