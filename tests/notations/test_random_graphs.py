"""Index notation of random graphs over all operations: what can be printed is what is computed."""

import numpy as np
import pytest

from chainrule.emit.index import indexed
from chainrule.errors import GraphError, ParameterError
from chainrule.expr import Definition, postorder
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference
from tests.notations.reader import Reader, Values
from tests.notations.test_index import given, turned
from tests.randomgraphs import graph

SEEDS = 240
# Operations without indices, and random numbers, which stand for themselves.
UNREAD = ("uniform", "dropout")
TOLERANCE = 1e-10  # of what cancels in these graphs; a wrong index or sign is off by far more


def printed(seed):
    """True if the graph of this seed was printed and computed, None if it has no such notation."""
    g = graph(seed, largest=3)
    inputs = tuple(x for x in postorder(g.root) if x.op == "input")
    real = tuple(x.name for x in inputs if x.kind == "float")
    definition = Definition("random", g.root, inputs, (), real)
    arrays = {x.name: g.given[x] for x in inputs}
    if any(x.op in UNREAD for x in postorder(g.root)):
        return None
    try:
        found = derived(definition)
        form = indexed(found)
    except (ParameterError, GraphError):  # no indices, or no gradient at all
        return None
    sizes = {axis: n for x, a in g.given.items() for axis, n in zip(x.axes, a.shape, strict=True)}
    sizes |= {axis: n for x in postorder(g.root) for axis, n in x.sizes.items()}
    values = given(form, found, arrays, sizes)
    if not form.layers:  # one letter for each axis
        letters = form.entries[0].letters
        values.runs = {x: sizes[axis] for axis, x in letters.items() if axis in sizes}
    for line in (*form.forward, *form.backward):
        values.learn(line, tolerance=TOLERANCE)
    _, gradients = Reference(found.program)(**arrays)
    for entry in form.entries:
        name = entry.name.removeprefix("d")
        if entry.name.startswith("d") and name in gradients:
            got = values.known[Reader(entry.tex, values).symbol()[0]]
            wanted = turned(entry, gradients[name]) if not form.layers else gradients[name]
            scale = max(1.0, float(np.abs(wanted).max(initial=0)))
            if form.layers:
                got = np.transpose(got, [entry.shown.by.axes.index(a) for a in entry.expr.axes])
            assert np.abs(got - wanted).max(initial=0) <= TOLERANCE * scale, (seed, name)
    return True


@pytest.mark.parametrize("block", range(6))
def test_random_graphs_are_printed_as_they_are_computed(block):
    done = [printed(seed) for seed in range(block, SEEDS, 6)]
    assert done.count(True) >= 4  # most graphs draw random numbers or move entries about


def test_a_sum_inside_a_sum_over_the_same_axis_gets_another_letter():
    values = Values({"m": 3})
    values.set("x_{i}", np.array([1.0, 2.0, 3.0]))
    values.learn(r"y &= \sum_{i} x_{i}\sum_{j} x_{j}")
    assert values.known["y"] == 36
