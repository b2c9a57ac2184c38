"""What index notation prints is computed line by line, and is the gradient."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.emit.index import indexed
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference
from tests.notations.nets import layered
from tests.notations.reader import Values

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = 300
TOLERANCE = 1e-12


def turned(entry, array):
    """An array in the order in which its symbol writes its indices."""
    return np.transpose(array, [entry.expr.axes.index(axis) for axis in entry.shown.axes])


def gradients_as_printed(found, arrays, sizes):
    """Every gradient, computed from the printed lines alone, axes as in the array."""
    form = indexed(found)
    values = Values(sizes, scalars=not any(x.axes for x in found.definition.inputs))
    for entry in form.entries:
        if entry.name in arrays:
            values.set(entry.tex, turned(entry, arrays[entry.name]))
    for line in (*form.forward, *form.backward):
        values.learn(line)
    wanted = {}
    for entry in form.entries:
        name = entry.name.removeprefix("d")
        if entry.name.startswith("d") and name in found.grads:
            key, _ = _symbol(entry, values)
            got = values.known[key]
            order = [entry.shown.by.axes.index(axis) for axis in entry.expr.axes]
            wanted[name] = np.transpose(got, order)
    return wanted, form


def _symbol(entry, values):
    from tests.notations.reader import Reader

    return Reader(entry.tex, values).symbol()


def assert_printed_is_computed(definition, arrays, sizes):
    found = derived(definition)
    printed, form = gradients_as_printed(found, arrays, sizes)
    _, gradients = Reference(found.program)(**arrays)
    assert set(printed) == set(gradients)
    for name, gradient in gradients.items():
        scale = max(1.0, float(np.abs(gradient).max(initial=0)))
        assert np.shape(printed[name]) == np.shape(gradient)
        assert np.abs(printed[name] - gradient).max(initial=0) <= TOLERANCE * scale, name
    return form


@pytest.mark.seed("001-10", "001-11", "001-12", "001-13", "001-14", "001-15")
@pytest.mark.parametrize("block", range(10))
def test_every_line_of_layered_networks_is_true_and_ends_in_the_gradient(block):
    for seed in range(block, NETWORKS, 10):
        net = layered(seed)
        form = assert_printed_is_computed(net.definition, net.arrays, net.sizes)
        assert form.layers, seed
