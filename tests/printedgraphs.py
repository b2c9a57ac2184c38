"""Random graphs of at most two axes: those that an equation between matrices can say."""

from __future__ import annotations

from chainrule.expr import Definition, postorder
from tests.randomgraphs import Graph, grow, joined
from tests.randomsteps import Grower

AXES = "km"
STEPS = 8


def graph(seed: int, largest: int = 4) -> Graph:
    """The graph of this seed, over every operation, with inputs of two axes or fewer."""
    g = Grower(seed, largest)
    for _ in range(int(g.rng.integers(2, 4))):
        g.pool.append(g.source("float", g.some_axes(AXES)))
    for _ in range(int(g.rng.integers(1, STEPS + 1))):
        grow(g)
    root = joined(g)
    real = [x for x in g.given if x.kind == "float"]
    return Graph(seed, root, g.given, {x: g.given[x] for x in real})


def definition(g: Graph) -> Definition:
    """The graph as a network: what it does not use is left out."""
    used = set(postorder(g.root))
    return Definition(f"graph_{g.seed}", g.root, tuple(x for x in g.given if x in used))
