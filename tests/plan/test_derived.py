"""Both passes of a network: refusals, names, and gradients of each example by itself."""

import numpy as np
import pytest

from chainrule.errors import GraphError, ParameterError
from chainrule.expr import Definition, input_
from chainrule.ops import OPS, losses, random, sum_
from chainrule.ops.activations import relu, sigmoid, softmax
from chainrule.ops.arithmetic import square, tanh
from chainrule.ops.indexing import concat, cut, gather, rename, split
from chainrule.ops.structure import argmax, mean, one_hot, stop_gradient, transpose
from chainrule.plan.derived import derived, per_example
from chainrule.run.reference import Reference

M = 5
SIZES = {"m": M, "n": 3, "k": 4, "o": 2, "v": 6, "d": 3, "1": 1}
EPS = np.finfo(float).eps


def definition(root, *inputs, values=(), params=()):
    return Definition("net", root, inputs, tuple(values), tuple(params))


W1, B1 = input_("W1", "k n"), input_("b1", "k")
W2, B2 = input_("W2", "o k"), input_("b2", "o")
V1 = input_("V1", "n k")
COLUMNS, TARGETS = input_("X", "n m"), input_("Y", "o m")
ROWS, ROW_TARGETS = input_("R", "m n"), input_("Q", "m o")
LABELS, WORDS, KEY = input_("labels", "m int"), input_("words", "m int"), input_("key", "int")
TABLE = input_("T", "v d")
WEIGHTS = input_("weights", "m")


def columns():
    return W2 @ tanh(W1 @ COLUMNS + B1) + B2


def rows():
    return tanh(ROWS @ W1.T + B1) @ W2.T + B2


HIDDEN = ROWS @ V1
JOINED = concat(rename(HIDDEN, k="k1"), rename(tanh(HIDDEN), k="k2"), over="k1 k2", into="kk")
PLAIN = (W1, B1, W2, B2)
CE = OPS["cross_entropy"]
NETS = {
    "columns mse": definition(losses.mse(columns(), TARGETS), *PLAIN, COLUMNS, TARGETS),
    "columns sum": definition(
        losses.half_mse(columns(), TARGETS, reduction="sum"), *PLAIN, COLUMNS, TARGETS
    ),
    "columns sum_squares": definition(
        losses.sum_squares(columns(), TARGETS), *PLAIN, COLUMNS, TARGETS
    ),
    "rows mse": definition(losses.mse(rows(), ROW_TARGETS), *PLAIN, ROWS, ROW_TARGETS),
    "rows huber": definition(
        losses.huber(rows(), ROW_TARGETS, delta=0.5), *PLAIN, ROWS, ROW_TARGETS
    ),
    "rows weighted": definition(
        losses.mae(rows(), ROW_TARGETS, weights=WEIGHTS), *PLAIN, ROWS, ROW_TARGETS, WEIGHTS
    ),
    "rows transposed weights": definition(
        losses.mse(ROWS @ V1 @ W2.T, ROW_TARGETS), V1, W2, ROWS, ROW_TARGETS
    ),
    "labels rows": definition(CE(rows(), LABELS), *PLAIN, ROWS, LABELS),
    "labels columns": definition(CE(columns(), LABELS), *PLAIN, COLUMNS, LABELS),
    "labels sum smooth": definition(
        CE(rows(), LABELS, reduction="sum", label_smoothing=0.1), *PLAIN, ROWS, LABELS
    ),
    "probabilities": definition(
        losses.bce(sigmoid(rows()), sigmoid(ROW_TARGETS)), *PLAIN, ROWS, ROW_TARGETS
    ),
    "penalty": definition(
        losses.mse(columns(), TARGETS) + 0.1 * sum_(square(W1)), *PLAIN, COLUMNS, TARGETS
    ),
    "written out": definition(mean(square(columns() - TARGETS)), *PLAIN, COLUMNS, TARGETS),
    "normalised": definition(
        mean(square((columns() - mean(columns(), "o")) * sigmoid(columns()))), *PLAIN, COLUMNS
    ),
    "table": definition(mean(square(tanh(gather(TABLE, WORDS, "v")))), TABLE, WORDS),
    "attention": definition(mean(square(softmax(ROWS @ V1, "k") @ transpose(W2))), V1, W2, ROWS),
    "joined and cut": definition(mean(square(cut(JOINED, "kk", "part", 1, 6))), V1, ROWS),
    "split": definition(mean(tanh(split(ROWS @ V1, "k", "p q", p=2))), V1, ROWS),
    "merged weights": definition(
        mean(square(OPS["merge"](V1 * sum_(ROWS, "m"), "n k", "q"))) + mean(ROWS @ V1), V1, ROWS
    ),
    "statistics": definition(mean(square(W1 @ mean(COLUMNS, "m") + B1)), W1, B1, COLUMNS),
}


def arrays(net, seed=0):
    """Random arrays for the inputs of a network."""
    rng = np.random.default_rng(seed)
    found = {}
    for x in net.inputs:
        shape = [SIZES[a] for a in x.axes]
        found[x.name] = rng.integers(0, 2, shape) if x.kind == "int" else rng.uniform(-1, 1, shape)
    return found


def one(net, given, i):
    """The arrays of example i alone: the axis stays, one long."""
    alone = {}
    for x in net.inputs:
        at = tuple(slice(i, i + 1) if a == "m" else slice(None) for a in x.axes)
        alone[x.name] = given[x.name][at]
    return alone


def names_of(net):
    """The inputs that are no data."""
    return [x.name for x in net.inputs if x.kind == "float" and "m" not in x.axes]


@pytest.mark.seed("002-03", "002-04", "001-08")
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_gradients_of_each_example_agree_with_a_loop_over_examples(net):
    given = arrays(net)
    values, grads = Reference(per_example(net, names_of(net)).program)(**given)
    whole = Reference(derived(net, names_of(net)).program)
    assert values.shape == (M,)
    for i in range(M):
        value, alone = whole(**one(net, given, i))
        np.testing.assert_allclose(values[i], value, rtol=64 * EPS, atol=64 * EPS)
        for name, grad in alone.items():
            np.testing.assert_allclose(grads[name][i], grad, rtol=64 * EPS, atol=64 * EPS)


@pytest.mark.seed("001-08", "002-02")
@pytest.mark.parametrize(
    "name", ["columns mse", "rows mse", "labels rows", "rows weighted", "table"]
)
def test_gradients_of_each_example_average_to_the_whole(name):
    net = NETS[name]
    given = arrays(net)
    _, apart = Reference(per_example(net, names_of(net)).program)(**given)
    _, whole = Reference(derived(net, names_of(net)).program)(**given)
    for key, grad in whole.items():
        np.testing.assert_allclose(apart[key].mean(axis=0), grad, rtol=64 * EPS, atol=64 * EPS)


@pytest.mark.parametrize("name", ["columns sum", "columns sum_squares", "labels sum smooth"])
def test_gradients_of_each_example_add_up_to_the_whole(name):
    net = NETS[name]
    given = arrays(net)
    _, apart = Reference(per_example(net, names_of(net)).program)(**given)
    _, whole = Reference(derived(net, names_of(net)).program)(**given)
    for key, grad in whole.items():
        np.testing.assert_allclose(apart[key].sum(axis=0), grad, rtol=64 * EPS, atol=64 * EPS)


def test_dropout_of_each_example_is_the_one_of_the_batch():
    net = definition(
        losses.mse(random.dropout(columns(), KEY, 0.5), TARGETS), *PLAIN, COLUMNS, TARGETS, KEY
    )
    given = arrays(net)
    _, apart = Reference(per_example(net, ["W1"]).program)(**given)
    _, whole = Reference(derived(net, ["W1"]).program)(**given)
    np.testing.assert_allclose(apart["W1"].mean(axis=0), whole["W1"], rtol=64 * EPS, atol=64 * EPS)


def test_dropout_of_a_weight_is_one_for_all_examples():
    net = definition(
        losses.mse(random.dropout(W1, KEY, 0.5) @ COLUMNS, V1.T @ COLUMNS), W1, V1, COLUMNS, KEY
    )
    given = arrays(net)
    _, apart = Reference(per_example(net, ["W1"]).program)(**given)
    _, whole = Reference(derived(net, ["W1"]).program)(**given)
    np.testing.assert_allclose(apart["W1"].mean(axis=0), whole["W1"], rtol=64 * EPS, atol=64 * EPS)


@pytest.mark.parametrize("name", ["columns mse", "rows mse"])
def test_examples_come_first_in_gradients_by_the_examples_themselves(name):
    net = NETS[name]
    data = net.inputs[-2]
    given = arrays(net)
    _, apart = Reference(per_example(net, [data.name]).program)(**given)
    _, whole = Reference(derived(net, [data.name]).program)(**given)
    wanted = whole[data.name] * M
    expected = wanted.T if data.axes[0] != "m" else wanted
    np.testing.assert_allclose(apart[data.name], expected, rtol=64 * EPS, atol=64 * EPS)


def test_an_operation_that_mixes_examples_is_named():
    net = definition(sum_(square(softmax(columns(), "m"))), *PLAIN, COLUMNS)
    with pytest.raises(GraphError, match="softmax mixes entries along axis 'm'"):
        per_example(net)


def test_a_loss_without_examples_is_refused():
    net = definition(sum_(square(W1)), W1)
    with pytest.raises(GraphError, match="net: the loss does not depend on axis 'm'"):
        per_example(net)


# MESSAGES row 45
def test_a_parameter_without_influence_is_named():
    net = definition(losses.mse(columns(), TARGETS), *PLAIN, input_("W3", "k n"), COLUMNS, TARGETS)
    for derive_ in (derived, per_example):
        with pytest.raises(GraphError) as caught:
            derive_(net, ["W1", "W3"])
        said = str(caught.value)
        assert "parameter 'W3' does not influence the loss (gradient would be 0)" in said
        assert "emove it or mark it frozen" in said


# MESSAGES row 46
@pytest.mark.parametrize(
    ("root", "shape"),
    [
        (columns(), "(o, m)"),
        (sum_(columns(), "o"), "(m)"),
        (one_hot(LABELS, "c", 32) * 2.0, "(m, c=32)"),
    ],
)
def test_a_loss_with_axes_says_which_and_what_to_do(root, shape):
    net = definition(root, *PLAIN, COLUMNS, LABELS)
    for derive_ in (derived, per_example):
        with pytest.raises(GraphError) as caught:
            derive_(net, ["W1"])
        assert f"loss has shape {shape}" in str(caught.value)
        assert "educe it with mean(…) or sum(…)" in str(caught.value)


# MESSAGES row 47
def test_an_operation_without_gradient_in_the_path_is_named_with_its_parameters():
    pick = argmax(columns(), "o")
    root = mean(one_hot(pick, "c", 2) * 1.5)
    net = definition(root, *PLAIN, COLUMNS, values=[("pick", pick)])
    with pytest.raises(GraphError) as caught:
        derived(net, ["W1", "W2"])
    assert (
        "argmax in 'pick' has zero gradient almost everywhere: W1, W2 cannot learn through it"
        in str(caught.value)
    )


def test_stop_gradient_in_the_only_path_is_named():
    net = definition(losses.mse(stop_gradient(columns()), TARGETS), *PLAIN, COLUMNS, TARGETS)
    with pytest.raises(GraphError, match="stop_gradient has zero gradient"):
        derived(net, ["W1"])


def test_one_open_path_is_enough():
    root = losses.mse(stop_gradient(columns()) * columns(), TARGETS)
    assert set(derived(definition(root, *PLAIN, COLUMNS, TARGETS), ["W1"]).grads) == {"W1"}


def test_derivatives_are_taken_by_the_parameters_unless_told_otherwise():
    net = definition(losses.mse(columns(), TARGETS), *PLAIN, COLUMNS, TARGETS, params=("W1", "b1"))
    assert list(derived(net).grads) == ["W1", "b1"]
    assert list(derived(NETS["columns mse"]).grads) == ["W1", "b1", "W2", "b2", "X", "Y"]
    assert list(derived(net, "W2").grads) == ["W2"]


def test_wrong_names_of_inputs_are_refused():
    net = NETS["labels rows"]
    with pytest.raises(ParameterError, match=r"no input is called 'W_1'\. Did you mean 'W1'"):
        derived(net, ["W_1"])
    with pytest.raises(ParameterError, match="'labels' holds int values"):
        derived(net, ["labels"])
    with pytest.raises(ParameterError, match="wrt names no input"):
        derived(net, [])


def test_relu_network_keeps_the_names_of_its_values():
    h = relu(W1 @ COLUMNS + B1)
    net = definition(losses.mse(W2 @ h + B2, TARGETS), *PLAIN, COLUMNS, TARGETS, values=[("H", h)])
    found = derived(net, ["W1"])
    assert "H" in found.names.values()
    assert "H" in found.cotangents
    assert {line.name for line in found.program.lines} >= {"H", "dH"}
