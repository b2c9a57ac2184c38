"""How known networks fall into kernels, and that overwriting inputs never loses a value."""

import numpy as np
import pytest

from chainrule.derivation import derive
from chainrule.expr import Spec, input_
from chainrule.netfile import define
from chainrule.nn import mlp
from chainrule.ops import OPS, contraction, sum_
from chainrule.ops.activations import tanh
from chainrule.ops.arithmetic import exp, square
from chainrule.ops.indexing import rename
from chainrule.ops.losses import mse
from chainrule.plan.kernels import kernels, scattered
from chainrule.plan.lower import lower
from chainrule.plan.program import program
from chainrule.run.machine import Machine
from tests.run.engines import compiled_step, data, trained

CLASSIFIER = mlp([20, 33, 10], "relu")


@pytest.fixture(scope="module")
def adam_plan():
    X, y = data(70, 20, 10)
    options = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 32}
    return compiled_step(CLASSIFIER, X, y, **options).plan


def writing(plan, name):
    """The kernel that stores a buffer, and all buffers that it stores."""
    (k,) = [k for k in plan.kernels if name in {plan.buffer_of[x] for x in k.stores}]
    return k, {plan.buffer_of[x] for x in k.stores}


@pytest.mark.parametrize("name", ["W_1", "W_2"])
def test_adam_updates_weights_and_moments_inside_the_product_that_gives_the_gradient(
    adam_plan, name
):
    k, stored = writing(adam_plan, name)
    assert k.root.op == "contract"
    assert stored == {name, f"m_{name}", f"v_{name}"}, "the gradient itself is never stored"


@pytest.mark.parametrize("name", ["b_1", "b_2"])
def test_adam_updates_biases_inside_the_sum_over_examples(adam_plan, name):
    k, stored = writing(adam_plan, name)
    assert (k.root.op, k.root["over"]) == ("sum", ("m",))
    assert stored == {name, f"m_{name}", f"v_{name}"}


def test_bias_and_activation_are_computed_in_the_product_before_them(adam_plan):
    hidden = [k for k in adam_plan.kernels if k.root is not None and k.axes == ("m", "h_1")]
    forward, backward = hidden
    assert [x.op for x in forward.stores] == ["maximum"]
    assert [x.op for x in backward.stores] == ["mul"], "the slope of relu joins the product"


def test_softmax_cross_entropy_takes_a_maximum_an_exponential_and_two_sums(adam_plan):
    rows = [k for k in adam_plan.kernels if k.axes == ("m",)]
    assert [k.root.op for k in rows] == ["max", "sum", "sum"]
    exps = [k for k in adam_plan.kernels if any(x.op == "exp" for x in k.stores)]
    assert len(exps) == 1, "e^z is computed once and used in the loss and its derivative"


def test_sgd_stores_no_gradient():
    X, y = data(70, 20, 0)
    net = mlp([20, 30, 1], "sigmoid")
    plan = compiled_step(net, X, y, loss="mse", optimizer="sgd:lr=0.1", batch_size=32).plan
    for name in ("W_1", "b_1", "W_2", "b_2"):
        assert writing(plan, name)[1] == {name}


@pytest.mark.parametrize(
    ("features", "batch", "copied"),
    [(20, 32, False), (784, 10, False), (784, 32, True), (64, 32, True), (128, 1, True)],
    ids=["few", "one image after another", "many", "rows of 256 bytes", "rows of 512 bytes"],
)
def test_rows_of_a_batch_are_copied_where_reading_them_often_would_cost_more(
    features, batch, copied
):
    X, y = data(40, features, 10)
    options = {"loss": "cross_entropy", "optimizer": "sgd", "batch_size": batch}
    plan = compiled_step(mlp([features, 12, 10], "relu"), X, y, **options).plan
    stored = {x.axes for k in plan.kernels for x in k.stores}
    assert (("m", "n") in stored) is copied


def test_copied_rows_keep_the_sign_of_zeros():
    W, rows = input_("W", "k n"), input_("i", Spec(("m",), {}, "int"))
    run = Machine(program("f", (W, rows), {"": 1.0 / OPS["gather"](W, rows, "k")}, {}), 1)
    found, _ = run(W=np.full((3, 64), -0.0), i=np.array([2, 0]))
    np.testing.assert_array_equal(found, np.full((2, 64), -np.inf))


def test_rows_of_an_input_that_is_overwritten_are_copied():
    """The product of the new weights needs the old rows."""
    W, rows, V = input_("W", "k n"), input_("i", Spec(("m",), {}, "int")), input_("V", "n h")
    picked = OPS["gather"](W, rows, "k") @ V
    low = lower([picked, W - 1.0], {"k": 9, "m": 5, "n": 3, "h": 4})
    for overwritten, products in ({}, 1), ({"W": "W"}, 2):
        cut, _ = kernels({"picked": low[picked], "W": low[W - 1.0]}, overwritten)
        made = [k for k in cut if k.axes in (("m", "n"), ("m", "h"))]
        assert len(made) == products


def test_every_kernel_stores_something_and_has_one_reduction_at_most(adam_plan):
    for k in adam_plan.kernels:
        assert k.stores
        assert all(x.op not in ("sum", "contract", "max") for x in k.values if x is not k.root)


def test_a_kernel_prints_its_loops_and_what_it_stores(adam_plan):
    k, _ = writing(adam_plan, "b_1")
    assert str(k).startswith("for h_1 over m: ((0.9 * m_b_1) + ")


# Overwriting. In each of these a new value needs an old one that another update replaces.


def tied(W: "k=7 n", b: "k", X: "n m", y: "n m"):
    """The same matrix in two places."""
    return mse(W.T @ tanh(W @ X + b), y)


def gram(W: "k=7 n", v: "1 k", X: "n m", y: "1 m"):
    """A penalty on W Wᵀ: each new row needs all old rows."""
    G = contraction(W, rename(W, k="k2"), ("k", "k2"))
    penalty = sum_(square(G), ("k", "k2"))
    return mse(v @ tanh(W @ X), y) + 0.1 * penalty


def coupled(A: "k=7 n", B: "k n", v: "1 k", X: "n m", y: "1 m"):
    """A's gradient is made of B and B's of A, with the same sum over examples."""
    return mse(v @ tanh((A + B) @ X), y) + 0.1 * sum_(A * B, ("k", "n"))


def crossed(a: "n", b: "n", v: "1 n", X: "n m", y: "1 m"):
    """As `coupled`, but the updates are kernels of their own: neither can be the first."""
    return mse(v @ tanh(a * X), y) + 0.1 * sum_(exp(a) * exp(b), ("n",))


def symmetric(W: "k=20 n", v: "1 k", X: "n m", y: "1 m"):
    """A penalty on W ⊙ Wᵀ: each new entry needs the old one across the diagonal."""
    return mse(v @ tanh(W @ X), y) + 0.1 * sum_(W * rename(W, k="n", n="k"), ("k", "n"))


def swapped(W: "k=20 n", V: "k n", v: "1 k", X: "n m", y: "1 m"):
    """V needs the old Wᵀ, and both are updated in one kernel: they have the same sum."""
    return mse(v @ tanh((W + V) @ X), y) + 0.1 * sum_(V * rename(W, k="n", n="k"), ("k", "n"))


HAZARDS = (tied, gram, coupled, crossed, symmetric, swapped)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("optimizer", ["sgd:lr=0.01", "momentum:lr=0.01", "adam"])
@pytest.mark.parametrize("net", HAZARDS, ids=lambda net: net.__name__)
def test_no_update_reads_what_another_has_overwritten(net, optimizer, threads):
    X, y = data(50, 20, 0, np.float64)
    definition, y = define(net), X if net is tied else y
    options = {"optimizer": optimizer, "batch_size": 16, "epochs": 3}
    compiled = trained(definition, X, y, threads=threads, **options)
    reference = trained(definition, X, y, by="reference", **options)
    for name, wanted in reference.values.items():
        # far below any effect of one update (1e-6), far above rounding (1e-15)
        np.testing.assert_allclose(compiled.values[name], wanted, rtol=1e-11, atol=1e-12)


def test_an_output_that_reads_its_input_elsewhere_is_computed_aside_and_copied():
    W = input_("W", "k n")
    root = lower([W - 0.1 * rename(W, k="n", n="k")], {"k": 3, "n": 3}).popitem()[1]
    assert scattered(root) == {"W"}
    cut, outputs = kernels({"W": root}, {"W": "W"})
    assert [k.stores[0].op for k in cut] == [root.op, "stop_gradient"]
    assert outputs["W"].inputs[0] is root


def test_of_two_outputs_that_need_each_others_input_one_is_computed_aside():
    a, b = input_("a", "k"), input_("b", "k")
    cut, outputs = kernels({"a": a + 2 * b, "b": b + 3 * a}, {"a": "a", "b": "b"})
    assert len(cut) == 3
    assert sum(x.op == "stop_gradient" for x in outputs.values()) == 1
    assert cut[-1].stores[0].op == "stop_gradient", "the copy comes last"


def both_ways(u: "k", v: "k", x: "k m", y: "k m"):
    """∂/∂u and ∂/∂v are one and the same expression."""
    return mse((u + v) * x, y)


def test_equal_gradients_are_two_arrays():
    d = derive(define(both_ways))
    rng = np.random.default_rng(0)
    shapes = {"u": 4, "v": 4, "x": (4, 9), "y": (4, 9)}
    given = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    _, grads = d.compile()(**given)
    _, wanted = d(**given)
    assert not np.shares_memory(grads["u"], grads["v"])
    for name in grads:
        np.testing.assert_allclose(grads[name], wanted[name], rtol=1e-13)


def test_kernels_that_need_each_others_values_are_not_made():
    """Joining both updates to their sums would let each wait for the other."""
    x = input_("x", "m k")
    first, second = sum_(x, ("m",)), sum_(exp(x), ("m",))
    low = lower([first * tanh(second), second * tanh(first)], {"m": 5, "k": 4})
    cut, _ = kernels({str(i): root for i, root in enumerate(low.values())}, {})
    done = set()
    for k in cut:
        needed = {x for n in k.values for x in n.inputs if x.op in ("sum", "max")}
        assert needed - set(k.values) <= done
        done |= set(k.stores)
    assert {OPS["sum"](x, ("m",)), OPS["sum"](exp(x), ("m",))} <= done
