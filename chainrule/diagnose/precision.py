"""How far a right gradient may be from the true one: what rounding errors can do.

Rounding errors are simulated in the derivation (Monte Carlo arithmetic, as in
`chainrule.check.gradient`): sums that cancel get the room that they need, and no constant decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.diagnose.passes import Backward
from chainrule.expr import Definition
from chainrule.plan.simplify import simplify

SAMPLES = 8  # of simulated rounding errors
# Between the largest change in the simulations and what other code may do: it adds up in another
# order, and may take a formula that cancels more.
SAFETY = 16.0
EPS = {"float64": float(np.finfo(np.float64).eps), "float32": float(np.finfo(np.float32).eps)}


@dataclass(frozen=True)
class Truth:
    """The loss and its gradients at one point, and how sure they are.

    Attributes:
        value: the loss.
        grads: by name.
        noise: how much simulated rounding errors of float32 change each entry, by name.
        run: what was decided on the way.
    """

    value: float
    grads: Mapping[str, Array]
    noise: Mapping[str, Array]
    value_noise: float
    run: Run

    def tolerance(self, name: str, dtype: str) -> Array:
        """How far each entry may be off, in this float type."""
        part = SAFETY * EPS[dtype] / EPS["float32"]
        smallest = float(np.finfo(dtype).smallest_normal)
        noise = self.noise[name]
        # an entry in which everything is 0 may well be 1e-9 where all others are 1
        floor = 0.05 * float(np.max(noise, initial=0.0))
        return np.asarray(part * (noise + floor) + smallest)


def truth(definition: Definition, wrt: Sequence[str], arrays: Mapping[str, Array]) -> Truth:
    """The loss and its gradients in float64, and again with simulated errors."""
    found = Backward(definition, wrt).run({}).grads
    simple = simplify([definition.root, *found.values()])
    grads = {n: simple[e] for n, e in found.items()}
    inputs = definition.inputs
    graph = Graph([simple[definition.root], *grads.values()], inputs)
    wide = {
        x.name: Named(np.asarray(arrays[x.name], np.float64 if x.kind == "float" else None), x.axes)
        for x in inputs
    }
    exact = Run(graph.sizes({n: v.array for n, v in wide.items()}))
    base = graph(wide, exact)
    noise = np.random.default_rng(0)
    again = exact.again(noise, EPS["float32"], SAMPLES)
    moved = graph(_repeated(wide), again)
    shapes = [tuple(exact.sizes.get(a, 1) for a in e.axes) for e in graph.roots]
    exacts, changes = [], []
    for root, sample, e, shape in zip(base, moved, graph.roots, shapes, strict=True):
        first = np.broadcast_to(np.asarray(root.at(e.axes), np.float64), shape)
        other = np.asarray(sample.at((POINTS, *e.axes)), np.float64)
        exacts.append(np.array(first))
        with np.errstate(all="ignore"):
            changes.append(np.abs(np.broadcast_to(other, (SAMPLES, *shape)) - first).max(axis=0))
    names = list(grads)
    return Truth(
        float(exacts[0]),
        dict(zip(names, exacts[1:], strict=True)),
        dict(zip(names, changes[1:], strict=True)),
        float(changes[0]),
        exact,
    )


def surest(first: Truth, second: Truth) -> Truth:
    """The same gradients worked out in two ways: the better values, and the room both need."""
    noise = {n: np.maximum(e, second.noise[n]) for n, e in first.noise.items()}
    better = first if _total(first) < _total(second) else second
    return replace(better, noise={n: np.nan_to_num(e, posinf=0.0) for n, e in noise.items()})


def _total(one: Truth) -> float:
    total = sum(float(np.sum(e)) for e in one.noise.values())
    return total if np.isfinite(total) else np.inf


def _repeated(values: Mapping[str, Named]) -> dict[str, Named]:
    """The same values at every sample: rounding is what differs."""
    return {
        name: v
        if v.array.dtype.kind != "f"
        else Named(np.broadcast_to(v.array, (SAMPLES, *v.array.shape)), (POINTS, *v.axes))
        for name, v in values.items()
    }
