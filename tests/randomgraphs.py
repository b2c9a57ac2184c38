"""Random networks: a pure function of a seed, over every operation, shared nodes and broadcasts.

`graph(seed)` builds an expression step by step and evaluates it as it grows, with the oracle of
`tests.oracles`: a step whose values leave the moderate range, or that lies on a kink, is thrown
away. So every graph has a derivative at its arrays, and rounding cannot turn it into another one.

`python -m tests.randomgraphs SEED` replays one: prints the graph, the code and both derivatives.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.differentiate import reverse
from chainrule.expr import Expr, describe_axes, postorder
from chainrule.ops import OPS
from chainrule.plan.program import program
from chainrule.plan.simplify import simplify
from chainrule.run.reference import Reference
from tests.oracles.numbers import Dual, parts, primal
from tests.oracles.textbook import evaluate
from tests.randomsteps import STEPS, Grower, Unfit

MOST_STEPS = 25
TRIES = 6  # of one step before the graph goes on without it

# The derivative is a sum of terms g_i v_i, each the result of some hundred operations, whose
# rounding errors have either sign and mostly cancel. Over the first 10,000 seeds the worst is off
# by 20 ε Σ|g_i v_i|; a rule that is wrong by one part in a million would be off by 1e9.
ROUNDINGS = 300


@dataclass(frozen=True)
class Graph:
    """A scalar expression, arrays for its inputs, and a direction for each real one."""

    seed: int
    root: Expr
    given: Mapping[Expr, np.ndarray]
    directions: Mapping[Expr, np.ndarray]

    @property
    def real(self) -> list[Expr]:
        """The inputs that are differentiated."""
        return list(self.directions)


def graph(seed: int, largest: int = 4, most_steps: int = MOST_STEPS) -> Graph:
    """The graph of this seed, with axes of at most `largest` entries."""
    g = Grower(seed, largest)
    for _ in range(int(g.rng.integers(2, 5))):
        g.pool.append(g.source("float", g.some_axes("kmn")))
    for _ in range(int(g.rng.integers(2, most_steps + 1))):
        grow(g)
    root = joined(g)
    real = [x for x in g.given if x.kind == "float"]
    directions = {x: g.rng.uniform(-1, 1, g.given[x].shape) for x in real}
    return Graph(seed, root, g.given, directions)


def grow(g: Grower) -> None:
    """One more step, if one is found that fits."""
    for _ in range(TRIES):
        try:
            made = g.pick(STEPS)(g)
            if made.kind != "float" or np.size(g.value(made)) > g.most_entries:
                continue
        except Unfit:
            continue
        g.pool.append(made)
        return


def joined(g: Grower) -> Expr:
    """A scalar in which everything that nothing else uses takes part."""
    used = {x for node in postorder(*g.pool) for x in node.inputs}
    ends = [x for x in g.pool if x not in used]
    total = g.number() * OPS["mean"](ends[0])
    for x in ends[1:]:
        total = total + g.number() * OPS["mean"](OPS["tanh"](x))
    return total


def by_duals(g: Graph) -> tuple[float, float]:
    """Value and derivative along the directions, in forward mode."""
    moved = {x: Dual(a, g.directions[x]) if x in g.directions else a for x, a in g.given.items()}
    value = evaluate([g.root], moved)[g.root]
    return float(primal(value)), float(parts(value)[1])


def by_engine(g: Graph):
    """Value and gradients by reverse mode, simplified, emitted, executed; and the Python text."""
    received = reverse(g.root, g.real).wrt
    simple = simplify([g.root, *received.values()])
    outputs = {"": simple[g.root], **{x.name: simple[received[x]] for x in g.real}}
    function = Reference(program("random_graph", list(g.given), outputs, {}))
    value, grads = function(**{x.name: a for x, a in g.given.items()})
    return float(value), [grads[x.name] for x in g.real], function.text


def mismatch(g: Graph) -> float:
    """By how many ε of what is added up the two derivatives differ: fine below ROUNDINGS."""
    value, slope = by_duals(g)
    engine_value, grads, _ = by_engine(g)
    terms = [grad * g.directions[x] for x, grad in zip(g.real, grads, strict=True)]
    size = sum(float(np.abs(t).sum()) for t in terms) + abs(value) + 1e-3
    off = max(abs(sum(float(t.sum()) for t in terms) - slope), abs(engine_value - value))
    shapes = all(
        np.shape(grad) == np.shape(g.given[x]) for x, grad in zip(g.real, grads, strict=True)
    )
    return off / (np.finfo(float).eps * size) if shapes and np.isfinite(off) else np.inf


def replay(seed: int) -> str:
    """Everything about one seed, as text."""
    g = graph(seed)
    value, slope = by_duals(g)
    engine_value, grads, code = by_engine(g)
    along_ = sum(
        float((grad * g.directions[x]).sum()) for x, grad in zip(g.real, grads, strict=True)
    )
    lines = [
        f"{i:3} {describe_axes(node)}" for i, node in enumerate(postorder(g.root)) if node.inputs
    ]
    return "\n".join(
        [
            f"seed {seed}",
            *lines,
            code,
            f"value:      engine {engine_value!r}, duals {value!r}",
            f"derivative: engine {along_!r}, duals {slope!r}",
            f"mismatch:   {mismatch(g):.3g} roundings (fine below {ROUNDINGS:g})",
        ]
    )


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(replay(int(argument)))
