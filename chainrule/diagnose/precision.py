"""How far a right gradient may be from the true one: what rounding errors can do.

Rounding errors are simulated in the derivation (Monte Carlo arithmetic, as in
`chainrule.check.gradient`): sums that cancel get the room that they need, and no constant decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.diagnose.kinks import COMPARING, NONE, SIGNS, Kinks, kinks, operands, ties
from chainrule.diagnose.passes import Backward
from chainrule.expr import Definition, Expr, postorder
from chainrule.ops import OPS, expand, transpose
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
        kinks: what other conventions at kinks give.
        floor: what the method itself may be off by, by name.
    """

    value: float
    grads: Mapping[str, Array]
    noise: Mapping[str, Array]
    kinks: Kinks
    floor: Mapping[str, Array] = field(default_factory=dict)

    def tolerance(self, name: str, dtype: str) -> Array:
        """How far each entry may be off, in this float type."""
        part = SAFETY * EPS[dtype] / EPS["float32"]
        smallest = float(np.finfo(dtype).smallest_normal)
        noise = self.noise[name] + EPS["float32"] * self.kinks.room(name)
        # an entry in which everything is 0 may well be 1e-9 where all others are 1
        least = 0.05 * float(np.max(noise, initial=0.0))
        return np.asarray(part * (noise + least) + smallest + self.floor.get(name, 0.0))


def truths(
    definition: Definition, wrt: Sequence[str], points: Sequence[Mapping[str, Array]]
) -> list[Truth]:
    """Loss and gradients in float64 at some points, and again with simulated errors."""
    return Prepared(definition, wrt)(points)


class Prepared:
    """Loss and gradients of one definition, ready to be worked out at many points."""

    def __init__(self, definition: Definition, wrt: Sequence[str]) -> None:
        found = Backward(definition, wrt).run({}).grads
        simple = simplify([definition.root, *found.values()])
        self.inputs, self.names = definition.inputs, list(found)
        roots = [simple[definition.root], *(simple[e] for e in found.values())]
        first = Graph(roots, self.inputs)
        self.deciding = operands(first, self.names)
        self.gaps = {node: _gap(node) for _, node in self.deciding}
        self.graph = Graph([*roots, *self.gaps.values()], self.inputs)
        self._alone = any(node.op == "uniform" for node in first.nodes)

    def __call__(self, points: Sequence[Mapping[str, Array]]) -> list[Truth]:
        """At points with arrays of the same shapes."""
        if self._alone:  # the random numbers of dropout come from one key at a time
            return [t for p in points for t in self._together([p])]
        return self._together(points)

    def _together(self, points: Sequence[Mapping[str, Array]]) -> list[Truth]:
        wide = {x.name: self._stacked(x, points) for x in self.inputs}
        sizes = self.graph.sizes({x.name: np.asarray(points[0][x.name]) for x in self.inputs})
        exact = Run(sizes, points=len(points))
        base = self.graph(wide, exact)
        again = Run(
            sizes,
            frozen=iter([_repeated(v) for v in exact.stopped]),
            replay=iter([_repeated(v) for v in exact.decisions]),
            noise=np.random.default_rng(0),
            eps=EPS["float32"],
            points=len(points) * SAMPLES,
        )
        moved = self.graph({n: _repeated(v) for n, v in wide.items()}, again)
        values, changes = [], []
        for root, sample, e in zip(base, moved, self.graph.roots, strict=True):
            shape = tuple(sizes.get(a, e.sizes.get(a, 1)) for a in e.axes)
            here = np.asarray(root.at((POINTS, *e.axes)), np.float64)
            values.append(np.broadcast_to(here, (len(points), *shape)))
            there = np.asarray(sample.at((POINTS, *e.axes)), np.float64)
            there = np.broadcast_to(there, (len(points) * SAMPLES, *shape))
            there = there.reshape(len(points), SAMPLES, *shape)
            with np.errstate(all="ignore"):
                changes.append(np.abs(there - values[-1][:, None]).max(axis=1))
        return [self._truth(i, values, changes, wide, exact) for i in range(len(points))]

    def _stacked(self, x: Expr, points: Sequence[Mapping[str, Array]]) -> Named:
        if x.kind != "float" and self._alone:
            return Named(np.asarray(points[0][x.name]), x.axes)
        dtype = np.float64 if x.kind == "float" else None
        return Named(np.stack([np.asarray(p[x.name], dtype) for p in points]), (POINTS, *x.axes))

    def _truth(
        self, i: int, values: Sequence[Array], changes: Sequence[Array],
        wide: Mapping[str, Named], exact: Run,
    ) -> Truth:  # fmt: skip
        count = len(self.names)
        grads = {n: v[i] for n, v in zip(self.names, values[1 : 1 + count], strict=True)}
        noise = {n: v[i] for n, v in zip(self.names, changes[1 : 1 + count], strict=True)}
        own = NONE
        if self.deciding:
            gaps = {e: v[i] for e, v in zip(self.gaps, values[1 + count :], strict=True)}
            blur = {e: v[i] for e, v in zip(self.gaps, changes[1 + count :], strict=True)}
            decisions = [_at(d, i) for d in exact.decisions]
            here = {n: _at(v, i) for n, v in wide.items()}
            if any((gap == 0).any() for gap in gaps.values()):
                sharp = self._sharp(here, exact)
                blur = {e: np.zeros_like(b) if e in sharp else b for e, b in blur.items()}
            if found := ties(self.deciding, gaps, blur, decisions):
                first = Run(exact.sizes, exact.dtype, decisions=decisions)
                own = kinks(self.graph, self.names, found, here, first, grads)
        return Truth(float(values[0][i]), grads, noise, own)

    def _sharp(self, wide: Mapping[str, Named], exact: Run) -> set[Expr]:
        """The decisions before which nothing was rounded, not even in float32."""
        gaps = self.graph.roots[len(self.graph.roots) - len(self.gaps) :]
        every = Graph(tuple(postorder(*gaps)), self.inputs)
        values = every(wide, Run(exact.sizes, exact.dtype))
        sharp: set[Expr] = set()
        for node, value in zip(every.roots, values, strict=True):
            array = value.array
            with np.errstate(all="ignore"):
                kept = array.dtype.kind != "f" or bool((array == array.astype(np.float32)).all())
            if kept and all(x in sharp for x in node.inputs):
                sharp.add(node)
        return {e for e, gap in zip(self.gaps, gaps, strict=True) if gap in sharp}


def _at(value: Named, point: int) -> Named:
    """The value at one point."""
    if POINTS not in value.axes:
        return value
    axes = tuple(a for a in value.axes if a != POINTS)
    array = value.at((POINTS, *axes))
    return Named(array[min(point, len(array) - 1)], axes)


def _repeated(value: Named) -> Named:
    """The same at every sample: rounding is what differs."""
    if POINTS not in value.axes:
        return value
    return Named(np.repeat(value.array, SAMPLES, axis=value.axes.index(POINTS)), value.axes)


def _gap(node: Expr) -> Expr:
    """What is 0 at a tie: a − b, x, or how far each entry is from the largest (axis last)."""
    if node.op in COMPARING:
        a, b = node.inputs
        return expand(a - b, node.axes)
    x = node.inputs[0]
    if node.op in SIGNS:
        return x
    over = node["over"]
    largest = OPS["min" if node.op == "min" else "max"](x, over)
    return transpose(x - largest, (*node.axes, *over))


def surest(first: Truth, second: Truth) -> Truth:
    """The same gradients worked out in two ways: the better values, and the room both need."""
    noise = {n: np.maximum(e, second.noise[n]) for n, e in first.noise.items()}
    better = first if _total(first) < _total(second) else second
    if better is second and not second.kinks.conventions:
        better = replace(second, kinks=first.kinks)
    return replace(better, noise={n: np.nan_to_num(e, posinf=0.0) for n, e in noise.items()})


def _total(one: Truth) -> float:
    total = sum(float(np.sum(e)) for e in one.noise.values())
    return total if np.isfinite(total) else np.inf
