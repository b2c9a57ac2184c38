"""Examples as columns or rows: the same numbers, transposed."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ParameterError
from chainrule.explain.examples import in_order, place_of, with_examples
from chainrule.expr import postorder
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference
from tests.notations.nets import layered
from tests.notations.test_index import assert_printed_is_computed, attention, residual, weighted

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = 60


def laid_out(arrays, definition, turned):
    """The same values for the turned definition."""
    return {
        x.name: np.transpose(
            arrays[x.name], [definition.input[x.name].axes.index(axis) for axis in x.axes]
        )
        for x in turned.inputs
    }


def assert_equivalent(definition, place, arrays):
    turned = with_examples(definition, place)
    at = laid_out(arrays, definition, turned)
    before, after = derived(definition), derived(turned, list(derived(definition).grads))
    loss, gradients = Reference(before.program)(**arrays)
    other, other_gradients = Reference(after.program)(**at)
    assert abs(loss - other) <= 1e-12 * max(1, abs(loss))
    for name, gradient in gradients.items():
        order = [definition.input[name].axes.index(axis) for axis in turned.input[name].axes]
        expected = np.transpose(gradient, order)
        scale = max(1.0, np.abs(expected).max(initial=0))
        assert np.abs(other_gradients[name] - expected).max(initial=0) <= 1e-12 * scale
    return turned, at


@pytest.mark.parametrize("block", range(4))
def test_random_networks_have_the_same_gradients_in_both_layouts(block):
    for seed in range(block, NETWORKS, 4):
        net = layered(seed)
        for place in ("columns", "rows"):
            turned, at = assert_equivalent(net.definition, place, net.arrays)
            assert place_of(turned) == place
            for x in postorder(turned.root):
                if "m" in x.axes:
                    assert x.axes.index("m") == (0 if place == "rows" else len(x.axes) - 1)
            assert_printed_is_computed(turned, at, net.sizes)


def labels(W: "n c=2", X: "m n", y: "m int"):
    T = cr.one_hot(y, "c", 2)
    Z = X @ W
    return -cr.sum(T * cr.log_softmax(Z, "c")) / cr.size("m")


@pytest.mark.parametrize("net", [residual, attention, weighted, labels], ids=lambda f: f.__name__)
def test_other_networks_are_laid_out_too(net):
    definition = cr.define(net)
    rng = np.random.default_rng(2)
    sizes = {"m": 5, "n": 3, "k": 4, "k_in": 4}
    arrays = {
        x.name: rng.integers(0, 2, [sizes.get(a, 2) for a in x.axes])
        if x.kind == "int"
        else 0.5 * rng.normal(size=[sizes.get(a, 2) for a in x.axes])
        for x in definition.inputs
    }
    for place in ("columns", "rows"):
        turned, _ = assert_equivalent(definition, place, arrays)
        for name, value in turned.values:
            assert value.axes == in_order(dict(definition.values)[name].axes, place, "m")


def test_there_and_back_is_the_same_definition():
    for name in ("two_sigmoid", "multivariate", "two_linear"):
        definition = cr.define(EXAMPLES / f"cs230/{name}.net")
        assert with_examples(with_examples(definition, "rows"), "columns") is definition
        assert with_examples(definition, "columns") is definition
    mlp = cr.define(EXAMPLES / "mlp.net")
    assert with_examples(mlp, "rows") is mlp


def test_rows_are_written_as_data_tables_are():
    d = cr.derive(EXAMPLES / "cs230/two_sigmoid.net")
    text = d.text(examples="rows")
    assert "Z = XW₁ᵀ + b₁" in text
    assert "ŷ = Aw₂ᵀ + b₂" in text
    assert "Z = W₁ X + b₁" in d.text(examples="columns")
    assert d.text(examples="columns") == d.text()


def test_a_logit_network_is_laid_out_as_columns():
    d = cr.derive(EXAMPLES / "mlp.net")
    assert "Z₁ = W₁ᵀ X + b₁" in d.text(examples="columns")


@pytest.mark.parametrize("place", ["left", "", "Rows"])
def test_other_places_are_refused(place):
    with pytest.raises(ParameterError, match="columns or rows"):
        cr.derive(EXAMPLES / "mlp.net").latex(examples=place)


def test_without_examples_there_is_nothing_to_lay_out():
    with pytest.raises(ParameterError, match="no input has axis 'm'"):
        cr.derive(EXAMPLES / "chain.net").text(examples="rows")


def test_another_axis_may_count_the_examples():
    def net(W: "o n", X: "n b", y: "o b"):
        return cr.mse(W @ X, y, examples="b")

    assert cr.with_examples(net, "rows").input["X"].axes == ("b", "n")


def test_a_network_without_a_loss_is_laid_out():
    turned = cr.with_examples(cr.mlp([4, 3, 2]), "columns")
    assert turned.root.axes == ("c", "m")
    assert turned.params == cr.mlp([4, 3, 2]).params


def test_a_parameter_keeps_its_array_even_if_it_has_the_axis_of_the_examples():
    net = cr.parse_net('param w: k n\ninput x: n\ninput y: k\nreturn mse(w @ x, y, examples="k")')
    for place in ("rows", "columns"):
        assert cr.with_examples(net, place).input["w"].axes == ("k", "n")


def test_names_with_marks_above_can_be_read_back():
    def line(θ: "n", X: "n m", y: "m"):
        ŷ = θ @ X
        return cr.mse(ŷ, y)

    assert cr.derive(line, wrt=["θ"]).round_trip().ok
