"""Layers: the names they give, how parameters start, and one object for one network."""

import numpy as np
import pytest

from chainrule.definition import with_loss
from chainrule.errors import GraphError, ParameterError
from chainrule.expr import LONGEST_NAME, Definition, input_
from chainrule.netfile import define, parse_net
from chainrule.nn import (
    ACTIVATIONS,
    OUTPUTS,
    default_for,
    dense,
    dropout,
    mlp,
    network,
    without_dropout,
)
from chainrule.ops import OPS, cross_entropy
from chainrule.ops.activations import relu, sigmoid

MLP_TEXT = """
net mlp
param W_1: n=64 h_1=32
param b_1: h_1=32
param W_2: h_1=32 c=10
param b_2: c=10
input X: m n=64

Z_1 = X @ W_1 + b_1
A_1 = relu(Z_1)
Z_2 = A_1 @ W_2 + b_2
return Z_2
"""


def by_hand(W_1: "n=64 h_1=32", b_1: "h_1=32", W_2: "h_1=32 c=10", b_2: "c=10", X: "m n=64"):
    Z_1 = X @ W_1 + b_1
    A_1 = relu(Z_1)
    Z_2 = A_1 @ W_2 + b_2
    return Z_2


@pytest.mark.seed("000-01", "000-24")
def test_three_ways_to_write_a_network_give_one_object():
    layers = mlp([64, 32, 10])
    assert parse_net(MLP_TEXT) is layers
    assert define(by_hand, params=["W_1", "b_1", "W_2", "b_2"], name="mlp") is layers


def test_three_ways_to_write_a_network_with_a_loss_give_one_object(request):
    def loss(W_1: "n=64 h_1=32", b_1: "h_1=32", W_2: "h_1=32 c=10", b_2: "c=10",
             X: "m n=64", y: "m int"):  # fmt: skip
        Z_1 = X @ W_1 + b_1
        A_1 = relu(Z_1)
        Z_2 = A_1 @ W_2 + b_2
        return cross_entropy(Z_2, y)

    layers = with_loss(mlp([64, 32, 10]), "cross_entropy")
    assert define(request.config.rootpath / "examples/mlp.net") is layers
    assert define(loss, params=["W_1", "b_1", "W_2", "b_2"], name="mlp") is layers


def test_values_and_axes_of_an_mlp():
    net = mlp([4, 3, 5, 2], "tanh", "sigmoid")
    assert [name for name, _ in net.values] == ["Z_1", "A_1", "Z_2", "A_2", "Z_3", "y_hat"]
    assert net.root.op == "sigmoid"
    assert [x.axes for x in net.inputs if x.name.startswith("W")] == [
        ("n", "h_1"),
        ("h_1", "h_2"),
        ("h_2", "c"),
    ]
    assert net.root.axes == ("m", "c")
    assert net.params == ("W_1", "b_1", "W_2", "b_2", "W_3", "b_3")


def test_an_mlp_without_hidden_layers_is_a_linear_model():
    net = mlp([4, 3])
    assert net.names()[net.root] == "Z_1"
    assert net.params == ("W_1", "b_1")


def test_widths_may_come_from_numpy():
    assert mlp(np.array([4, 3, 2])) is mlp((4, 3, 2))


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_activation(output):
    net = mlp([4, 3, 2], output=output)
    assert net.names()[net.root] == ("Z_2" if output == "identity" else "y_hat")


@pytest.mark.seed("000-25")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_weights_start_as_the_activation_asks(activation):
    net = mlp([4, 3, 2], activation)
    assert net.init == (
        ("W_1", default_for(activation), "n", "h_1"),
        ("b_1", "zeros", "", ""),
        ("W_2", "glorot_uniform", "h_1", "c"),
        ("b_2", "zeros", "", ""),
    )


def test_every_initialiser_that_is_chosen_exists():
    initialisers = pytest.importorskip("chainrule.training.init").INITIALISERS
    chosen = {default_for(name) for name in OUTPUTS} | {"zeros", "normal", "constant"}
    assert chosen <= set(initialisers)


def test_an_initialiser_can_be_named():
    net = mlp([4, 3, 2], init="orthogonal")
    assert [how for _, how, *_ in net.init] == ["orthogonal", "zeros", "orthogonal", "zeros"]
    assert net.init[0] == ("W_1", "orthogonal", "n", "h_1")


def test_parameters_start_by_their_place_in_the_graph():
    net = parse_net("""
        param table: v d
        param gain: d
        param shift: d
        param W: k d
        param scale:
        input index: m int
        E = gather(table, index, axis="v")
        N = gain * E + shift
        H = relu(scale * (N @ W.T))
        return sum(H) + 0.01 * sum(W * W)
    """)
    assert {name: start for name, *start in net.init} == {
        "table": ["normal", "", ""],
        "gain": ["constant:c=1", "", ""],
        "shift": ["zeros", "", ""],
        "W": ["he_normal", "d", "k"],
        "scale": ["he_normal", "", ""],
    }


def test_dropout_takes_a_key_and_is_absent_at_prediction():
    net = mlp([4, 3, 3, 2], dropout=0.5)
    assert net.inputs[-1].name == "key"
    assert net.inputs[-1].kind == "int"
    streams = [v["stream"] for _, v in net.values if v.op == "dropout"]
    assert streams == [1, 2]
    assert without_dropout(net) is mlp([4, 3, 3, 2])
    assert without_dropout(mlp([4, 3])) is mlp([4, 3])


def test_dropout_of_a_network_with_a_loss_is_removed_too():
    trained = with_loss(mlp([4, 3, 2], dropout=0.25), "mse")
    assert without_dropout(trained) is with_loss(mlp([4, 3, 2]), "mse")


def test_a_key_that_something_else_uses_stays():
    text = "input key: int\ninput x: m\nD = dropout(x, key, 0.5)\n"
    net = parse_net(text + 'return D + sum(one_hot(key, axis="q", size=3))')
    assert [x.name for x in without_dropout(net).inputs] == ["key", "x"]


def test_the_dropout_layer_shares_one_key():
    x = input_("x", "m k")
    assert dropout(dropout(x, 0.5), 0.5, stream=1).inputs[1] is dropout(x, 0.5).inputs[1]


def test_a_deep_network():
    net = mlp([2] + [2] * 1000 + [1], "tanh", dropout=0.1)
    assert len(net.params) == 2002
    assert without_dropout(net) is mlp([2] + [2] * 1000 + [1], "tanh")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([64, 0, 10],), "widths[1] must be a whole number ≥ 1, got 0"),
        (([64, -3, 10],), "widths[1] must be a whole number ≥ 1, got -3"),
        (([64, 2.5, 10],), "widths[1] must be a whole number ≥ 1, got 2.5"),
        (([64, True],), "widths[1] must be a whole number ≥ 1, got True"),
        (([],), "widths must name the inputs and the outputs at least, got []"),
        ((64,), "widths must name the inputs and the outputs at least, got [64]"),
        (([4, 2], "rellu"), "activation 'rellu' is not known. Did you mean 'relu'?"),
        (([4, 2], "relu", "soft_max"), "output 'soft_max' is not known. Did you mean 'softmax'?"),
        (([4, 2], "softmax"), "activation 'softmax' is not known"),
        (([4, 2], "relu", None, 1.0), "dropout must be in [0, 1), got 1.0"),
        (([4, 2], "relu", None, float("nan")), "dropout must be in [0, 1), got nan"),
        (([4, 2], "relu", None, "half"), "dropout must be in [0, 1), got 'half'"),
    ],
)
def test_bad_arguments_of_an_mlp(arguments, says):
    with pytest.raises(ParameterError) as caught:
        mlp(*arguments)
    assert says in str(caught.value)


def test_all_problems_are_named_at_once():
    with pytest.raises(ParameterError) as caught:
        mlp([0, 2], "rellu", "what", -1)
    assert str(caught.value).count("; ") == 3


def test_a_dense_layer_on_its_own():
    x = input_("X", "m n=4")
    layer = dense(x, 3, OPS["relu"], name="1")
    assert layer is mlp([4, 3, 1]).values[1][1]
    assert dense(x, 3, "softmax", name="1")["over"] == ("h_1",)
    with pytest.raises(ParameterError, match=r"layer '1': units must be .*; activation 'x'"):
        dense(x, 0, "x", name="1")
    with pytest.raises(GraphError, match="needs a value with axes, got a scalar"):
        dense(input_("x", ""), 3, name="1")


def test_a_network_must_declare_what_it_uses():
    w, x = input_("w", ""), input_("x", "m")
    with pytest.raises(GraphError, match="input 'x' is used, but the definition does not declare"):
        network(w * x, [w], name="line")
    with pytest.raises(GraphError, match="two inputs are called 'x'"):
        network(w * x, [w, x, input_("x", "k")], name="line")
    with pytest.raises(GraphError, match="input 'x' is used"):
        network(w * x, [w, input_("x", "k")], name="line")


def test_odd_labels_are_accepted_and_long_names_are_not():
    odd = input_('"""); import os; os.system("x"); #', "m")
    net = network(sigmoid(odd), [odd], name="</script>", values=[("\\input{/etc/passwd}", 2 * odd)])
    assert isinstance(net, Definition)
    x = input_("x", "m")
    long = "a" * (LONGEST_NAME + 1)
    with pytest.raises(GraphError, match="201 characters long"):
        network(x, [x], name=long)
    with pytest.raises(GraphError, match="201 characters long"):
        network(sigmoid(x), [x], name="x", values=[(long, sigmoid(x))])
