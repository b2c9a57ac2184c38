"""Parts of a gradient for each example and output: printed, computed, and added up."""

import math
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.check.outputs import adds_up
from chainrule.emit.outputs import by_output
from chainrule.errors import GraphError, ParameterError
from chainrule.plan.derived import derived
from tests.notations.nets import layered
from tests.notations.reader import Reader, Values

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = 200
TOLERANCE = 1e-12


def assert_close(got, wanted, what=""):
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    assert np.shape(got) == np.shape(wanted), what
    assert np.abs(np.asarray(got) - wanted).max(initial=0) <= TOLERANCE * scale, what


def is_mean(definition):
    root = definition.root
    return dict(root.attrs).get("reduction", "sum") == "mean"


@pytest.mark.seed("002-01", "002-02", "002-03", "002-15")
@pytest.mark.parametrize("block", range(5))
def test_parts_of_random_networks_add_up_to_examples_and_to_the_gradient(block):
    for seed in range(block, NETWORKS, 5):
        net = layered(seed)
        names = list(net.definition.params)
        f = cr.per_output(net.definition, names)
        terms, parts = f(**net.arrays)
        costs, each = cr.per_example(net.definition, names)(**net.arrays)
        loss, gradients = cr.derive(net.definition)(**net.arrays)
        assert_close(terms.sum(1), costs, seed)
        share = net.sizes["m"] if is_mean(net.definition) else 1
        assert_close(terms.sum() / share, loss, seed)
        for name in names:
            assert parts[name].shape == (*terms.shape, *gradients[name].shape)
            assert_close(parts[name].sum(1), each[name], (seed, name))
            assert_close(parts[name].sum((0, 1)) / share, gradients[name], (seed, name))


@pytest.mark.parametrize("seed", range(0, 200, 4))
def test_printed_lines_of_parts_are_true_and_end_in_the_gradient(seed):
    net = layered(seed)
    assert_printed(net.definition, net.arrays, net.sizes)


def assert_printed(definition, arrays, sizes):
    found = derived(definition)
    form = by_output(found)
    values = Values(sizes)
    for entry in form.entries:
        if entry.name in arrays:
            values.set(entry.tex, arrays[entry.name])
    lines = [line for line in (*form.forward, *form.backward) if r"\dots" not in line]
    for line in lines:
        if not line.startswith((r"\nabla", "c_{k} &= c_{k1}")):
            values.learn(line)
    _, gradients = cr.derive(definition)(**arrays)
    outputs = [e for e in form.entries if e.name.startswith("parts[")]
    numeric = cr.per_output(definition, list(found.grads))(**arrays)[1] if outputs else {}
    for entry in form.entries:
        name = entry.name.removeprefix("d")
        if entry.name.startswith("d") and name in found.grads:
            assert_close(values.known[Reader(entry.tex, values).symbol()[0]], gradients[name])
    for entry in outputs:
        name = entry.name.split("'")[1]
        key, indices = Reader(entry.tex, values).symbol()
        assert_close(values.known[key], own_rows(numeric[name], entry, indices), name)


def own_rows(parts, entry, indices):
    """The parts of the parameters of output j itself: those of another output are 0."""
    above = 2
    letters = [*entry.shown.of.axes, *entry.expr.axes]
    output = letters[1]
    if output in letters[above:] and output != "1":
        at = letters[above:].index(output) + above
        own = np.diagonal(parts, 0, 1, at)  # the common axis comes last
        assert np.count_nonzero(parts) <= own.size
        return np.moveaxis(own, -1, 1)
    kept = parts
    once = list(dict.fromkeys(letters))
    assert len(indices) == len(once)
    if letters.count("1") > 1:
        at = [i for i, axis in enumerate(letters) if axis == "1"][1]
        kept = kept.squeeze(at)
    return kept


@pytest.mark.seed("002-05", "002-06", "002-07", "002-08", "002-14")
@pytest.mark.parametrize(
    "name", ["cs230/univariate", "cs230/two_linear", "cs230/two_sigmoid", "logistic", "mlp"]
)
def test_examples_are_printed_in_parts(name):
    definition = cr.define(EXAMPLES / f"{name}.net")
    rng = np.random.default_rng(1)
    sizes = {"m": 5, "n": 3, "k": 4, "1": 1}
    sizes |= {axis: n for x in definition.inputs for axis, n in x.sizes.items()}
    arrays = {
        x.name: rng.integers(0, 10, [sizes[a] for a in x.axes])
        if x.kind == "int"
        else 0.6 * rng.normal(size=[sizes[a] for a in x.axes])
        for x in definition.inputs
    }
    assert_printed(definition, arrays, sizes)


def net(W_1: "k n", b_1: "k", W_2: "o k", b_2: "o", X: "n m", y: "o m"):
    A = cr.sigmoid(W_1 @ X + b_1)
    y_hat = cr.sigmoid(W_2 @ A + b_2)
    return cr.mse(y_hat, y)


SIZES = {"k": 4, "n": 3, "o": 2, "m": 5}
PARAMS = ["W_1", "b_1", "W_2", "b_2"]


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {x.name: rng.normal(size=[SIZES[a] for a in x.axes]) for x in cr.define(net).inputs}


@pytest.mark.seed("002-06", "002-07")
def test_nudges_of_prior_activations_are_asked_for_like_parameters():
    at = arrays()
    _, parts = cr.per_output(net, wrt=["A", "W_2"])(**at)
    assert parts["A"].shape == (5, 2, 4)
    A = 1 / (1 + np.exp(-(at["W_1"] @ at["X"] + at["b_1"][:, None])))
    y_hat = 1 / (1 + np.exp(-(at["W_2"] @ A + at["b_2"][:, None])))
    pull = 2 * (y_hat - at["y"]) * y_hat * (1 - y_hat)
    assert_close(parts["A"], np.einsum("jk,jl->kjl", pull, at["W_2"]))
    # weights in proportion to the activations that they multiply: 002-14
    own = np.einsum("kjjl->kjl", parts["W_2"])
    assert_close(own, np.einsum("jk,lk->kjl", pull, A))


@pytest.mark.seed("002-05")
def test_negative_gradients_are_what_the_lines_give():
    text = cr.derive(net, wrt=PARAMS).text("outputs")
    assert "-∂cₖⱼ/∂ŷⱼₖ = -2(ŷⱼₖ - yⱼₖ)" in text
    assert "-∂cₖⱼ/∂Aₗₖ = W⁽²⁾ⱼₗ" in text
    assert "∇cₖ = ∇cₖ₁ + … + ∇cₖₒ" in text
    assert "c = (1/m)(c₁ + … + cₘ)" in text


def test_the_print_says_that_the_parts_add_up():
    assert "the parts add up to the gradient" in cr.derive(net, wrt=PARAMS).text("outputs")


def test_parts_that_do_not_add_up_are_found(monkeypatch):
    import chainrule.check.outputs as module

    def half(*args):
        found, how = original(*args)
        grads = {name: 0.5 * g for name, g in found.grads.items()}
        return type(found)(**{**vars(found), "grads": grads}), how

    original = module.per_output
    monkeypatch.setattr(module, "per_output", half)
    checked = adds_up(cr.define(net, params=PARAMS))
    assert not checked.ok
    assert "DO NOT ADD UP" in str(checked)


def classes(W: "c n", b: "c", X: "n m", y: "m int"):
    z = W @ X + b
    return cr.cross_entropy(z, y)


def classes_by_hand(W: "c n", b: "c", X: "n m", Y: "c m"):
    p = cr.softmax(W @ X + b, "c")
    return -cr.sum(Y * cr.log(p)) / cr.size("m")


def test_softmax_with_cross_entropy_is_split_by_logits_so_that_every_class_pulls():
    rng = np.random.default_rng(3)
    at = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=3), "X": rng.normal(size=(2, 4))}
    y = np.array([0, 2, 1, 1])
    f = cr.per_output(classes, wrt=["W", "b"])
    terms, parts = f(**at, y=y)
    assert f.split == "logits"
    z = at["W"] @ at["X"] + at["b"][:, None]
    p = np.exp(z) / np.exp(z).sum(0)
    hot = np.eye(3)[y].T
    own = np.einsum("kjj->kj", parts["b"])
    assert_close(own, (p - hot).T)  # p_j − [j = y]
    assert np.all(own != 0)
    assert_close(terms, -(hot * np.log(p)).T)  # one term for each example is not 0
    assert np.count_nonzero(terms) == 4
    g = cr.per_output(classes_by_hand, wrt=["W", "b"])
    assert g.split == "logits"
    assert_close(g(**at, Y=hot)[1]["W"], parts["W"])


def test_the_split_is_named_in_the_print():
    assert "Split by what each logit receives" in cr.derive(classes, wrt=["W", "b"]).text("outputs")
    assert "Split by terms of the cost" in cr.derive(net, wrt=PARAMS).text("outputs")


def test_a_network_of_numbers_has_no_examples_to_split_by():
    net = cr.parse_net("param w:\ninput x:\ninput y:\nreturn square(w * x - y)")
    with pytest.raises(cr.ChainruleError, match="no input has axis 'm': there are no examples"):
        cr.derive(net).text("outputs")


def by_hand(W: "n c", X: "m n", y: "m c"):
    return -cr.mean(cr.sum(y * cr.log_softmax(X @ W, over="c"), over="c"))


def test_a_cross_entropy_written_by_hand_has_an_output_for_each_class():
    text = cr.derive(by_hand, wrt=["W"]).text("outputs")
    assert "k counts the examples, j the outputs." in text
    assert "classes whose target is 0" in text


def softmax_mse(W: "c n", X: "n m", Y: "c m"):
    return cr.mse(cr.softmax(W @ X, "c"), Y)


def test_softmax_with_squares_is_a_sum_over_outputs_that_all_see_every_logit():
    rng = np.random.default_rng(4)
    at = {"W": rng.normal(size=(3, 2)), "X": rng.normal(size=(2, 4)), "Y": rng.normal(size=(3, 4))}
    f = cr.per_output(softmax_mse, wrt=["W"])
    assert f.split == "costs"
    terms, parts = f(**at)
    z = at["W"] @ at["X"]
    assert_close(terms, ((np.exp(z) / np.exp(z).sum(0) - at["Y"]) ** 2).T)
    assert np.all(parts["W"] != 0)


def autoencoder(W: "k n", V: "n k", X: "n m"):
    x_hat = V @ cr.tanh(W @ X)
    return cr.mse(x_hat, X)


def test_an_axis_that_is_input_and_output_is_computed_but_not_printed():
    rng = np.random.default_rng(5)
    at = {"W": rng.normal(size=(2, 3)), "V": rng.normal(size=(3, 2)), "X": rng.normal(size=(3, 4))}
    _, parts = cr.per_output(autoencoder, wrt=["W", "V"])(**at)
    _, gradients = cr.derive(autoencoder, wrt=["W", "V"])(**at)
    for name in ("W", "V"):
        assert_close(parts[name].sum(1).mean(0), gradients[name])
    with pytest.raises(GraphError, match="counts the outputs and something"):
        cr.derive(autoencoder, wrt=["W", "V"]).text("outputs")


def mean_over_all(W: "o n", X: "n m", y: "o m"):
    return cr.mean(cr.square(W @ X - y))


def root_of_squares(W: "o n", X: "n m", y: "o m"):
    return cr.sqrt(cr.sum_squares(W @ X, y))


def one_number(W: "o n", X: "n m", y: "o m"):
    return cr.sum(cr.square(cr.sum(W @ X - y, "o")))


def penalty(W: "o n", X: "n m", y: "o m"):
    return cr.mse(W @ X, y) + cr.sum(cr.square(W))


def test_a_mean_over_outputs_keeps_its_share():
    rng = np.random.default_rng(6)
    at = {"W": rng.normal(size=(2, 3)), "X": rng.normal(size=(3, 4)), "y": rng.normal(size=(2, 4))}
    terms, parts = cr.per_output(mean_over_all, wrt=["W"])(**at)
    loss, gradients = cr.derive(mean_over_all, wrt=["W"])(**at)
    assert math.isclose(terms.sum(1).mean(), loss)
    assert_close(parts["W"].sum(1).mean(0), gradients["W"])


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        (root_of_squares, GraphError, "not a sum over axis 'm': sqrt mixes its terms"),
        (one_number, GraphError, "has one output"),
        (penalty, GraphError, "not a sum over examples"),
        (EXAMPLES / "cs230/univariate.net", GraphError, "has one output"),
    ],
)
def test_what_does_not_split_is_refused(source, kind, says):
    names = None if isinstance(source, Path) else ["W"]
    with pytest.raises(kind, match=says):
        cr.per_output(source, wrt=names)


def test_an_axis_of_outputs_that_does_not_exist_is_refused():
    with pytest.raises(ParameterError, match="has no axis 'p' of outputs"):
        cr.per_output(net, wrt=PARAMS, outputs="p")
    with pytest.raises(ParameterError, match="no input is called 'W_3'"):
        cr.per_output(net, wrt=["W_3"])


def test_what_runs_can_be_read():
    text = cr.per_output(net, wrt=["W_1"]).python()
    assert "output_positions" in text


def test_a_derivative_with_respect_to_a_value_is_in_the_steps():
    net = cr.parse_net("param w:\ninput x: m\ninput y: m\nh = w * x\nreturn mse(h, y)")
    with pytest.raises(cr.ChainruleError, match=r"'h' is a value of the forward pass.*steps\(\)"):
        cr.derive(net, wrt=["h"])
    assert "h" in [s.of for s in cr.derive(net).steps("h").sections]
