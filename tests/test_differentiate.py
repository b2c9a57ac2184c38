"""The chain rule on hand-picked networks: against oracles, against itself, and far out in depth."""

import time

import numpy as np
import pytest

from chainrule.differentiate import forward, hvp, keep, reverse
from chainrule.errors import GraphError
from chainrule.expr import Spec, const, input_, postorder
from chainrule.ops import OPS, expand, size, sum_
from chainrule.ops.activations import sigmoid, softmax
from chainrule.ops.arithmetic import exp, log, square, tanh
from chainrule.ops.indexing import concat, rename
from chainrule.ops.structure import max_, mean
from tests.ops.cases import run
from tests.oracles import derivatives
from tests.oracles.numbers import Dual, parts
from tests.oracles.textbook import evaluate

EPS = np.finfo(float).eps
DEPTH = 10_000
SECONDS = 10.0  # for deriving DEPTH operations on a busy machine; one second is usual


def arrays(inputs, sizes, seed=0):
    rng = np.random.default_rng(seed)
    return {
        x: rng.uniform(0.3, 1.7, [sizes[a] for a in x.axes]) * rng.choice([-1, 1]) for x in inputs
    }


def assert_gradient(root, given):
    """Reverse mode gives, for every real input, what dual numbers give."""
    real = list(given)
    received = reverse(root, real).wrt
    for x, actual in zip(real, run([received[x] for x in real], given), strict=True):
        wanted = derivatives.by_duals(root, given, np.asarray(1.0), x)
        np.testing.assert_allclose(
            actual, wanted, rtol=200 * EPS, atol=200 * EPS * np.abs(wanted).max()
        )


X, W, B = input_("X", "n m"), input_("W", "k n"), input_("b", "k")
SIZES = {"n": 3, "m": 4, "k": 2}


def test_a_value_used_twice_receives_from_both_uses():
    z = tanh(W @ X + B)
    assert_gradient(sum_(z * z + z), arrays([W, X, B], SIZES))


@pytest.mark.seed("001-15")
def test_sensitivity_is_the_sum_over_all_paths():
    w = input_("w", "o k")
    a, given = input_("a", "k"), {"k": 3, "o": 2}
    z = w @ a
    received = reverse(sum_(square(sigmoid(z))), [a, z])
    values = arrays([a, w], given)
    to_a, to_z = run([received.wrt[a], received.wrt[z]], values)
    np.testing.assert_allclose(to_a, sum(values[w][j] * to_z[j] for j in range(2)), rtol=8 * EPS)


def test_what_broadcasting_repeats_receives_the_sum():
    s = input_("s", "")
    given = arrays([s, B], SIZES) | arrays([X, W], SIZES, 1)
    assert_gradient(sum_((W @ X + B) * s + s * B), given)


def test_fan_out_to_a_hundred_uses():
    s = input_("s", "")
    total = const(0)
    for i in range(100):
        total = total + tanh(s * (0.01 * i))
    assert_gradient(total, arrays([s], {}))


def test_derivative_by_a_value_in_between():
    z = W @ X + B
    loss = sum_(square(z))
    given = arrays([W, X, B], SIZES)
    by_z, z_value = run([reverse(loss, [z]).wrt[z], z], given)
    np.testing.assert_allclose(by_z, 2 * z_value, rtol=4 * EPS)


def test_an_input_without_influence_receives_zeros_of_its_shape():
    other = input_("other", "n k")
    received = reverse(sum_(square(X)), [X, other]).wrt[other]
    assert received.axes == ("n", "k")
    (zeros,) = run([received], arrays([X, other], SIZES))
    assert not zeros.any()


def test_a_root_with_axes_needs_a_cotangent():
    with pytest.raises(GraphError, match=r"loss has axes \(n, m\): reduce it with mean"):
        reverse(X, [X])


@pytest.mark.seed("000-14")
def test_chain_rule_in_the_form_of_functions():
    """h(x) = g(f(x)): h′(x) = g′(f(x)) f′(x)."""
    x, y = input_("x", ""), input_("y", "")
    f, g = exp(x), tanh
    f_prime, g_prime = reverse(f, [x]).wrt[x], reverse(g(y), [y]).wrt[y]
    at = {x: np.asarray(0.3)}
    h_prime, inner, slope = run([reverse(g(f), [x]).wrt[x], f, f_prime], at)
    (outer,) = run([g_prime], {y: inner})
    np.testing.assert_allclose(h_prime, outer * slope, rtol=4 * EPS)


@pytest.mark.seed("000-15")
def test_chain_rule_in_the_form_of_leibniz():
    """dz/dx = dz/dy · dy/dx, with dz/dy as an expression of the backward pass."""
    x = input_("x", "")
    y = exp(x)
    z = tanh(y)
    both = reverse(z, [x])
    dz_dy, dy_dx = both.cotangents[y], reverse(y, [x]).wrt[x]
    dz_dx, product = run([both.wrt[x], dz_dy * dy_dx], {x: np.asarray(0.3)})
    np.testing.assert_allclose(dz_dx, product, rtol=4 * EPS)


@pytest.mark.seed("000-16", "000-18", "000-19", "000-20", "000-21")
def test_chain_of_single_units_obeys_the_recurrences_of_the_lecture():
    x = h = input_("x", "")
    weights, biases, units, sums = [], [], [x], []
    for i in range(5):
        weights.append(input_(f"w{i}", ""))
        biases.append(input_(f"b{i}", ""))
        sums.append(weights[i] * h + biases[i])
        h = sigmoid(sums[i])
        units.append(h)
    found = reverse(-log(h), [*weights, *biases])
    to = found.cotangents
    given = arrays([x, *weights, *biases], {})
    for i in range(5):
        slope = sigmoid(sums[i]) * (1 - sigmoid(sums[i]))
        pairs = [
            (found.wrt[weights[i]], to[units[i + 1]] * slope * units[i]),
            (found.wrt[biases[i]], to[units[i + 1]] * slope),
        ]
        pairs += [(to[units[i]], to[units[i + 1]] * slope * weights[i])] if i else []
        for ours, lecture in pairs:
            a, b = run([ours, lecture], given)
            np.testing.assert_allclose(a, b, rtol=16 * EPS)


@pytest.mark.seed("002-01", "002-02")
def test_the_gradient_is_linear():
    """∇(1/n)(c₁ + … + c_n) = (1/n)(∇c₁ + … + ∇c_n)."""
    w = input_("w", "k")
    costs = [sum_(tanh(w * (0.3 * i + 0.2))) for i in range(6)]
    total = costs[0]
    for c in costs[1:]:
        total = total + c
    given = arrays([w], SIZES)
    whole, *parts_ = run([reverse(e, [w]).wrt[w] for e in (total / 6, *costs)], given)
    np.testing.assert_allclose(whole, sum(parts_) / 6, rtol=16 * EPS)


def test_a_chain_of_ten_thousand_operations_is_derived_in_time():
    x = h = input_("x", "")
    start = time.perf_counter()
    for i in range(DEPTH):
        h = h + 1e-4 * sigmoid(h) if i % 2 else h * 0.99999
    received = reverse(h, [x]).wrt[x]
    assert time.perf_counter() - start < SECONDS
    slope, _ = run([received, h], {x: np.asarray(0.5)})
    exact = parts(evaluate([h], {x: Dual(np.asarray(0.5), np.asarray(1.0))})[h])[1]
    np.testing.assert_allclose(slope, exact, rtol=DEPTH * EPS)


def test_a_chain_of_ten_thousand_units_can_be_kept_apart_by_example():
    h = input_("x", "m")
    for _ in range(DEPTH):
        h = sigmoid(h)
    assert keep(mean(h), "m")[mean(h)].axes == ("m",)


@pytest.mark.parametrize("along", ["W", "X", "both"])
def test_forward_mode_agrees_with_dual_numbers(along):
    root = tanh(W @ X + B)
    given = arrays([W, X, B], SIZES)
    chosen = {"W": [W], "X": [X], "both": [W, X]}[along]
    tangents = {x: input_(f"t_{x.name}", Spec(x.axes, {})) for x in chosen}
    directions = arrays(tangents.values(), SIZES, 5)
    expression = forward(root, tangents)
    assert expression.axes == root.axes
    (actual,) = run([expression], given | directions)
    moved = {x: Dual(a, directions[tangents[x]]) if x in tangents else a for x, a in given.items()}
    wanted = parts(evaluate([root], moved)[root])[1]
    np.testing.assert_allclose(actual, wanted, rtol=64 * EPS, atol=64 * EPS)


def test_second_derivatives_times_a_vector_agree_with_duals_of_duals():
    root = sum_(square(tanh(W @ X + B)))
    given = arrays([W, X, B], SIZES)
    directions = arrays([W, B], SIZES, 5)
    tangents = {x: input_(f"t_{x.name}", Spec(x.axes, {})) for x in directions}
    found = hvp(root, tangents)
    named = given | {tangents[x]: a for x, a in directions.items()}
    for x, actual in zip(found, run(list(found.values()), named), strict=True):
        wanted = derivatives.second_by_duals(root, given, np.asarray(1.0), directions, x)
        np.testing.assert_allclose(
            actual, wanted, rtol=256 * EPS, atol=256 * EPS * np.abs(wanted).max()
        )


def test_second_derivatives_are_symmetric():
    root = sum_(exp(tanh(W @ X + B)))
    given = arrays([W, X, B], SIZES)
    u, v = input_("u", "k n"), input_("v", "k n")
    given |= arrays([u, v], SIZES, 5)
    along_u, along_v = hvp(root, {W: u})[W], hvp(root, {W: v})[W]
    a, b = run([sum_(along_u * v), sum_(along_v * u)], given)
    np.testing.assert_allclose(a, b, rtol=256 * EPS)


def test_equal_expressions_are_one_object():
    assert tanh(W @ X + B) is tanh(W @ X + B)
    assert const(0.0) is not const(-0.0)
    assert input_("W", "k n") is W
    assert input_("W", "k n=3") is not W


def test_deriving_twice_gives_the_same_objects():
    loss = sum_(square(tanh(W @ X + B)))
    first, second = reverse(loss, [W, B]), reverse(loss, [W, B])
    assert all(first.wrt[x] is second.wrt[x] for x in (W, B))
    assert first.cotangents == second.cotangents


def test_shared_work_is_derived_once():
    z = tanh(W @ X)
    once = reverse(sum_(z), [W]).wrt[W]
    twice = reverse(sum_(z) + sum_(z), [W]).wrt[W]
    assert sum(node.op == "tanh" for node in postorder(once)) == 1
    assert sum(node.op == "tanh" for node in postorder(twice)) == 1


def test_every_new_expression_knows_why_it_exists():
    z = W @ X + B
    loss = sum_(square(z))
    found = reverse(loss, [W, B])
    for x in (W, B, z):
        why = found.why[found.cotangents[x]]
        assert why.node.inputs[why.index] is x
        assert why.rule == why.node.op
    used_twice = reverse(sum_(z * z + z), [z])
    assert used_twice.why[used_twice.wrt[z]].rule == "paths"


class TestKeep:
    """What a value is for each example by itself."""

    def test_a_sum_over_examples_is_left_out(self):
        root = sum_(square(W @ X))
        assert keep(root, "m")[root].axes == ("m",)

    def test_the_number_of_examples_is_one(self):
        root = sum_(X) / size("m")
        kept, plain = keep(root, "m")[root], sum_(X, "n")
        a, b = run([kept, plain], arrays([X], SIZES))
        np.testing.assert_array_equal(a, b)

    def test_what_has_no_examples_stays(self):
        root = sum_(square(W)) + mean(X)
        assert keep(root, "m")[sum_(square(W))] is sum_(square(W))

    @pytest.mark.parametrize(
        ("name", "root"),
        [
            ("softmax", sum_(softmax(X, "m"))),
            ("logsumexp", sum_(OPS["logsumexp"](X, "m"))),
            ("max", sum_(max_(X, "m"))),
            ("argmax", sum_(1.0 * OPS["one_hot"](OPS["argmax"](X, "m"), "c", 4))),
            ("gather", sum_(OPS["gather"](X, input_("i", "p int"), "m"))),
            ("scatter_add", sum_(OPS["scatter_add"](X, input_("i", "m int"), "v", 3))),
            ("merge", sum_(square(OPS["merge"](X, "n m", "q")))),
            ("rename", sum_(rename(X, m="q"))),
            ("slice", sum_(OPS["slice"](X, "m", "q", 0, (), 2))),
            ("pad", sum_(OPS["pad"](X, "m", "q", size=9))),
            ("concat", sum_(concat(X, input_("Y", "n q"), over="m q", into="r"))),
        ],
    )
    def test_an_operation_that_mixes_examples_is_refused(self, name, root):
        with pytest.raises(GraphError, match=f"{name} mixes entries along axis 'm'"):
            keep(root, "m")


def test_expand_and_transpose_are_undone_in_the_backward_pass():
    s = input_("s", "k")
    wide = expand(s, ("m", "k"))
    assert reverse(sum_(wide * wide), [s]).wrt[s].axes == ("k",)
    t = reverse(sum_(X.T * X.T), [X]).wrt[X]
    assert t.axes == ("n", "m")
