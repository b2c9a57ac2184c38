"""Everything that shows a network, brought back to numbers: LaTeX, plain text, Python, code.

Networks are compiled a group at a time (they share sizes, see `printednets.GROUP`), and the Python
of a whole chunk runs in one process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.check.printed import printed_lines, read_back, reading, sizes_of
from chainrule.emit.python import source
from chainrule.expr import Expr, Spec, input_, make, rewrite
from chainrule.plan.derived import Derived
from chainrule.plan.program import program
from chainrule.run.machine import Machine
from chainrule.texmath import name
from tests.run import agreement

TOLERANCE = 1e-12  # of an entry and of what its terms are worth
DRIVER = Path(__file__).with_name("driver.py")
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shown:
    """A derivation and arrays for its inputs."""

    seed: int
    found: Derived
    given: Mapping[str, np.ndarray]


def key(output: str) -> str:
    """The name that equations have for an output of the program."""
    return f"dL/d{name(output)}" if output else "L"


def read_from_print(shown: Shown) -> dict[str, Values]:
    """Loss and gradients from each notation."""
    inputs = shown.found.definition.inputs
    how = reading(shown.found, sizes_of(inputs, shown.given, shown.found))
    given = {name(k): a for k, a in shown.given.items()}
    return {
        notation: read_back(lines, how, given)
        for notation, lines in printed_lines(shown.found).items()
    }


def run_python(chunk: Sequence[Shown], folder: Path) -> list[Values]:
    """Loss and gradients of each from the Python that is shown, run in another process."""
    arrays = {}
    for at, shown in enumerate(chunk):
        (folder / f"{at}.py").write_text(source(shown.found.program), encoding="utf-8")
        arrays |= {f"{at} {k}": a for k, a in shown.given.items()}
    np.savez(folder / "given.npz", **arrays)
    subprocess.run([sys.executable, DRIVER, folder, str(len(chunk))], check=True, timeout=300)
    found: list[Values] = [{} for _ in chunk]
    with np.load(folder / "found.npz", allow_pickle=False) as results:
        for label in results.files:
            at, _, output = label.partition(" ")
            found[int(at)][key(output)] = results[label]
    return found


def run_compiled(group: Sequence[Shown]) -> list[Values]:
    """Loss and gradients of each from machine code; one compilation for all of them."""
    inputs, outputs, given = [], {}, {}
    for at, shown in enumerate(group):
        found = shown.found
        own = _renamed([found.value, *found.grads.values(), *found.definition.inputs], at)
        inputs += [own[x] for x in found.definition.inputs]
        outputs[f"{at} "] = own[found.value]
        outputs |= {f"{at} {k}": own[g] for k, g in found.grads.items()}
        given |= {f"{k}_of_{at}": a for k, a in shown.given.items()}
    first, rest = Machine(program("group", inputs, outputs, {}), 1)(**given)
    results: list[Values] = [{} for _ in group]
    for label, array in {next(iter(outputs)): first, **rest}.items():
        at, _, output = label.partition(" ")
        results[int(at)][key(output)] = array
    return results


def _renamed(exprs: Sequence[Expr], at: int) -> dict[Expr, Expr]:
    """The same expressions of inputs that no other network of the group has."""

    def step(node: Expr, new: tuple[Expr, ...]) -> Expr:
        if node.op == "input":
            return input_(f"{node.name}_of_{at}", Spec(node.axes, node.sizes, node.kind))
        return make(node.op, new, node.attrs, node.axes, node.sizes, node.kind)

    return rewrite(exprs, step)


def differing(shown: Shown, values: Values, compiled: Values) -> list[str]:
    """Outputs that are not what the compiled gradient is, to 1e-12 of their scale.

    The scale of an entry is its size and, where it is small because large terms cancel, what random
    roundings of ε change in it, divided by ε (see `tests.run.agreement`).
    """
    close = all(
        values[k].shape == a.shape and np.all(np.abs(values[k] - a) <= TOLERANCE * np.abs(a))
        for k, a in compiled.items()
    )
    if close:
        return []
    drawn = agreement.spread(agreement.Case(shown.found.program, shown.given), "float64")
    eps = np.finfo(float).eps
    bad = []
    for output, changes in drawn.items():
        true, got = compiled[key(output)], values[key(output)]
        if got.shape != true.shape:
            bad.append(f"{key(output)}: shape {got.shape} instead of {true.shape}")
            continue
        off = np.abs(got - true)
        if not np.all(off <= TOLERANCE * (np.abs(true) + changes / eps)):
            bad.append(f"{key(output)} is off by {off.max():.1e} of {np.abs(true).max():.1e}")
    return bad
