"""Definitions from functions: names, options, errors, and one object for one network."""

import cProfile
import functools
import gc
import importlib.util
import sys
import weakref

import pytest

import chainrule.ops as ops
from chainrule.definition import LOSSES, with_loss
from chainrule.errors import GraphError, ParameterError, ShapeError
from chainrule.expr import const, input_
from chainrule.netfile import define, parse_net
from chainrule.nn import dense, mlp
from chainrule.ops.activations import relu, sigmoid
from chainrule.ops.losses import mse

HERE = "test_definition.py:"


def two_sigmoid(W_1: "k n", b_1: "k", w_2: "1 k", b_2: "", X: "n m", y: "1 m"):
    Z = W_1 @ X + b_1
    A = sigmoid(Z)
    y_hat = w_2 @ A + b_2
    return mse(y_hat, y)


PARAMS = ["W_1", "b_1", "w_2", "b_2"]


@pytest.mark.seed("003-15", "000-24")
def test_local_variables_name_the_values_in_the_order_in_which_they_are_written():
    net = define(two_sigmoid, params=PARAMS)
    assert [name for name, _ in net.values] == ["Z", "A", "y_hat"]
    assert [x.name for x in net.inputs] == ["W_1", "b_1", "w_2", "b_2", "X", "y"]
    assert net.name == "two_sigmoid"
    assert net.params == tuple(PARAMS)


def test_the_same_function_twice_is_one_object():
    assert define(two_sigmoid, params=PARAMS) is define(two_sigmoid, params=reversed(PARAMS))
    assert define(two_sigmoid) is not define(two_sigmoid, params=PARAMS)


def test_a_function_and_a_file_give_one_object(request):
    path = request.config.rootpath / "examples/cs230/two_sigmoid.net"
    assert define(two_sigmoid, params=PARAMS) is define(path) is define(str(path))


def test_a_definition_comes_back_as_it_is_unless_something_else_is_asked_for():
    net = define(two_sigmoid, params=PARAMS)
    assert define(net) is net
    assert define(net, name="other").name == "other"
    assert define(net, frozen=["b_2"]).params == ("W_1", "b_1", "w_2")
    assert define(net, params="W_1").params == ("W_1",)


def test_frozen_inputs_are_not_parameters():
    net = define(two_sigmoid, params=PARAMS, frozen="W_1")
    assert net.params == ("b_1", "w_2", "b_2")
    assert "W_1" in net.input


def test_definitions_that_nobody_holds_are_forgotten():
    def line(w: "", x: "m"):
        return w * x

    reference = weakref.ref(define(line, name="forgotten"))
    gc.collect()
    assert reference() is None


def test_a_parameter_with_a_default_is_an_option_and_no_input():
    def scaled(w: "", x: "m", factor=3, *, squash=False):
        z = factor * w * x
        return relu(z) if squash else z

    net = define(scaled)
    assert [x.name for x in net.inputs] == ["w", "x"]
    assert net.root is 3 * net.input["w"] * net.input["x"]
    squashed = define(functools.partial(scaled, squash=True))
    assert squashed.root is relu(net.root)
    assert squashed.name == "scaled"


def test_what_is_no_expression_and_what_is_an_input_gets_no_name():
    def line(w: "", x: "m"):
        count = 3
        alias = x
        half = const(0.5)
        x = x * count
        y_hat = w * x + half
        _ = alias
        return y_hat

    assert [name for name, _ in define(line).values] == ["y_hat"]


def test_a_variable_that_is_assigned_again_names_the_last_value_and_stands_last():
    def deep(w: "", x: "m"):
        a = x
        for _ in range(3):
            z = w * a
            a = sigmoid(z)
        return a

    net = define(deep)
    assert [name for name, _ in net.values] == ["z", "a"]
    assert dict(net.values)["a"] is net.root


def test_variables_that_inner_functions_use_are_named_too():
    def outer(w: "", x: "m"):
        z = w * x
        a = (lambda: relu(z))()
        return a

    assert [name for name, _ in define(outer).values] == ["z", "a"]


def test_decorated_functions_and_methods_are_looked_through():
    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    class Model:
        def line(self, w: "", x: "m"):
            z = w * x
            return z

    @decorator
    def line(w: "", x: "m"):
        z = w * x
        return z

    assert define(line) is define(Model().line)


def test_quoted_annotations_are_read_under_the_future_import(tmp_path):
    file = tmp_path / "postponed.py"
    file.write_text(
        "from __future__ import annotations\n"
        "def line(w: '', x: \"m\"):\n    return w * x\n"
        "def bare(w: k):\n    return w\n"
    )
    spec = importlib.util.spec_from_file_location("postponed", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert define(module.line) is parse_net("net line\ninput w:\ninput x: m\nreturn w * x")
    with pytest.raises(ShapeError, match=r"postponed.py:4: the annotation of 'w' is 'k'"):
        define(module.bare)


def test_the_profiler_that_was_set_is_set_again():
    def mine(frame, event, arg):
        return None

    sys.setprofile(mine)
    try:
        define(two_sigmoid)
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(None)


def test_cprofile_goes_on_after_a_definition():
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        define(two_sigmoid)
        sorted([1])
    finally:
        profiler.disable()
    assert any("sorted" in str(entry.code) for entry in profiler.getstats())
    assert sys.getprofile() is None


def test_the_profiler_is_restored_after_an_error():
    def broken(W: "k n"):
        return W @ W

    with pytest.raises(ShapeError):
        define(broken)
    assert sys.getprofile() is None


def test_layers_inside_a_function_bring_their_parameters():
    def net(X: "m n=4"):
        hidden = dense(X, 3, "tanh", name="a")
        y_hat = dense(hidden, 1, name="b", axis="o")
        return y_hat

    made = define(net)
    assert [x.name for x in made.inputs] == ["X", "W_a", "b_a", "W_b", "b_b"]
    assert made.params == ("W_a", "b_a", "W_b", "b_b")
    assert define(net, params=["W_a"]).params == ("W_a",)


def no_annotation(W, x: "m"):
    return W * x


def not_axes(W: float):
    return W


def bad_axes(W: "k k"):
    return W


def nothing(x: "m"):
    relu(x)


def two(x: "m"):
    return x, x


def number(x: "m"):
    return 3


def generator(x: "m"):
    yield x


async def coroutine(x: "m"):
    return x


def star(*xs: "m"):
    return xs[0]


@pytest.mark.parametrize(
    ("function", "error", "says"),
    [
        (no_annotation, GraphError, "parameter 'W' has no annotation. Write its axes in quotes"),
        (not_axes, ShapeError, "the annotation of 'W' is <class 'float'>, expected axes"),
        (bad_axes, ShapeError, "parameter 'W': axis 'k' appears twice in 'k k'"),
        (nothing, GraphError, "must return an expression, got None (is a return missing?)"),
        (two, GraphError, "two must return an expression, got tuple"),
        (number, GraphError, "number must return an expression, got int"),
        (generator, GraphError, "generator is a generator or async function"),
        (coroutine, GraphError, "coroutine is a generator or async function"),
        (star, GraphError, "*xs: 'm' does not say which inputs there are"),
    ],
)
def test_a_function_that_is_no_definition_is_refused_with_file_and_line(function, error, says):
    with pytest.raises(error) as caught:
        define(function)
    assert says in str(caught.value)
    assert f"{HERE}{function.__code__.co_firstlineno}" in caught.value.where


def test_an_error_inside_the_function_names_the_line_where_it_happens():
    def broken(W: "k n", X: "p m"):
        scaled = 2 * X
        return W @ scaled

    with pytest.raises(ShapeError, match="matmul of W") as caught:
        define(broken)
    assert caught.value.where.endswith(f"{HERE}{broken.__code__.co_firstlineno + 2}")


@pytest.mark.parametrize("thing", [len, 3, "model.txt", "net x\nreturn x"])
def test_what_cannot_be_a_definition_is_refused(thing):
    with pytest.raises((GraphError, ParameterError)):
        define(thing)


def test_unknown_parameters_are_named_all_at_once():
    with pytest.raises(ParameterError, match=r"'W1' is not an input. Did you mean 'W_1'.*'q' is"):
        define(two_sigmoid, params=["W1", "q"])
    with pytest.raises(ParameterError, match="frozen 'W1' is not an input"):
        define(two_sigmoid, params=PARAMS, frozen=["W1"])
    with pytest.raises(ParameterError, match="params is not given"):
        define(two_sigmoid, frozen=["W_1"])


def test_whole_numbers_are_not_trained():
    def pick(table: "v d", index: "m int"):
        return ops.OPS["gather"](table, index, "v")

    with pytest.raises(ParameterError, match="'index' is int: only real numbers are trained"):
        define(pick, params=["table", "index"])


def test_ten_thousand_nodes_built_in_python():
    def deep(w: "", x: "m"):
        h = x
        for _ in range(10_000):
            h = sigmoid(w * h)
        return ops.sum_(h)

    net = define(deep, params=["w"])
    assert net.init == (("w", "glorot_uniform", "", ""),)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_brings_a_target_with_the_axes_it_needs(loss):
    net = with_loss(mlp([4, 3, 2]), loss)
    target = net.input["y"]
    assert net.root.op == loss
    assert net.root.axes == ()
    labels = loss == "cross_entropy"
    assert target.axes == (("m",) if labels else ("m", "c"))
    assert target.kind == ("int" if labels else "float")
    assert net.init == mlp([4, 3, 2]).init


def test_options_of_a_loss_are_passed_on():
    net = with_loss(mlp([4, 3]), "cross_entropy", reduction="sum", label_smoothing=0.1)
    assert net.root["reduction"] == "sum"
    assert net.root["label_smoothing"] == 0.1


def test_a_loss_on_columns_has_its_examples_last():
    def scores(W: "c=3 n", X: "n m"):
        z = W @ X
        return z

    assert with_loss(define(scores), "cross_entropy").input["y"].axes == ("m",)


def test_losses_that_do_not_fit_are_refused():
    net = mlp([4, 3])
    with pytest.raises(ParameterError, match="Did you mean 'cross_entropy'"):
        with_loss(net, "crossentropy")
    with pytest.raises(ParameterError, match="has no option 'smoothing'"):
        with_loss(net, "cross_entropy", smoothing=0.1)
    with pytest.raises(GraphError, match="ends in the loss mse already"):
        with_loss(with_loss(net, "mse"), "mse")
    with pytest.raises(GraphError, match="has an input 'y' already"):
        with_loss(parse_net("input y: m\nreturn 2 * y"), "mse")


def test_an_input_of_a_closure_is_taken_along():
    scale = input_("scale", "")

    def line(x: "m"):
        return scale * x

    net = define(line)
    assert [x.name for x in net.inputs] == ["x", "scale"]
