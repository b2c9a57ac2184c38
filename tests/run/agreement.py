"""What compiled code may differ by from the text that is shown, on random networks.

Both compute the same expressions, each with roundings of its own: sums in another order, products
and sums fused, functions that err by up to 2 ULP. How much such roundings change a result is found
by drawing them: the network is evaluated in double precision with a random error in every
operation and every partial sum (Parker 1997, Monte Carlo arithmetic; `chainrule.check`), SAMPLES
times. An entry that is 0 or tiny because large terms cancel is thus judged by those terms, and one
that nothing rounds must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import Named, Run
from chainrule.differentiate import reverse
from chainrule.plan.program import Program, program
from chainrule.plan.simplify import simplify
from chainrule.run.machine import Machine
from chainrule.run.reference import Reference
from tests import randomgraphs

SAMPLES = 8
# Largest drawn error of 8 against an actual one, both sums of the same terms with random factors.
SPREADS = 30.0
AT_SIGHT = 16.0  # ε of an entry itself: a graph of this size has more roundings; needs no drawing


@dataclass(frozen=True)
class Case:
    """A program with the value and all gradients of a random network, and arrays for it."""

    program: Program
    given: Mapping[str, np.ndarray]


def case(
    seed: int, dtype: str, largest: int = 4, most_steps: int = randomgraphs.MOST_STEPS
) -> Case:
    """The network of this seed, with arrays of this float type."""
    g = randomgraphs.graph(seed, largest, most_steps)
    received = reverse(g.root, g.real).wrt
    simple = simplify([g.root, *received.values()])
    outputs = {"": simple[g.root], **{x.name: simple[received[x]] for x in g.real}}
    whole = program("random_graph", list(g.given), outputs, {})
    arrays = {
        x.name: np.asarray(a, dtype if x.kind == "float" else None) for x, a in g.given.items()
    }
    return Case(whole, arrays)


def mismatches(c: Case, dtype: str, threads: int, spreads: float = SPREADS) -> dict[str, float]:
    """Outputs that differ by more than roundings do: by how many spreads."""
    first, rest = Machine(c.program, threads)(**c.given)
    return beyond(c, {"": first, **rest}, dtype, spreads)


def beyond(
    c: Case, compiled: Mapping[str, np.ndarray], dtype: str, spreads: float = SPREADS
) -> dict[str, float]:
    """The same of outputs that somebody else has computed."""
    wanted, others = Reference(c.program)(**c.given)
    reference = {"": wanted, **others}
    off = {name: _off(compiled[name], reference[name]) for name in reference}
    eps = np.finfo(dtype).eps
    sizes = {name: np.abs(np.asarray(reference[name], float)) for name in reference}
    if all(np.all(off[name] <= AT_SIGHT * eps * sizes[name]) for name in off):
        return {}
    drawn = spread(c, dtype)
    found = {}
    for name, size in sizes.items():
        limit = drawn[name] + AT_SIGHT * eps * size
        with np.errstate(all="ignore"):
            worst = np.max(np.where(off[name] > 0, off[name] / limit, 0.0), initial=0.0)
        if not worst <= spreads:
            found[name] = float(worst)
    return found


def _off(compiled: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """|difference|; infinite where shapes or types differ or one of them is no number."""
    if compiled.shape != reference.shape or compiled.dtype != reference.dtype:
        return np.full(reference.shape, np.inf)
    off = np.abs(compiled.astype(float) - reference.astype(float))
    return np.where(np.isfinite(off), off, np.inf)


def spread(c: Case, dtype: str) -> dict[str, np.ndarray]:
    """The largest change of each entry of each output under `SAMPLES` draws of roundings."""
    graph = Graph([value for _, value in c.program.outputs], c.program.inputs)
    values = {
        x.name: Named(np.asarray(c.given[x.name], float if x.kind == "float" else None), x.axes)
        for x in c.program.inputs
    }
    run = Run(graph.sizes(c.given), dtype)
    exact = graph(values, run)
    rng = np.random.default_rng(0)
    noisy = graph(values, run.again(rng, float(np.finfo(dtype).eps), SAMPLES))
    found = {}
    for (name, value), plain, moved in zip(c.program.outputs, exact, noisy, strict=True):
        axes = value.axes
        changes = np.abs(moved.at(("∗", *axes)) - plain.at(("∗", *axes)))
        found[name] = changes.max(axis=0)
    return found
