"""What is printed is what is computed: one odd network for each way a printer could lie."""

import numpy as np
import pytest

import chainrule as cr


def lines(network, **options):
    return [line.strip() for line in cr.derive(network, **options).text().splitlines()]


def test_a_gradient_that_is_a_factor_later_keeps_its_own_name():
    shown = lines("examples/chain.net")
    assert "∂L/∂h₃ = ∂L/∂b₄ w₄" in shown
    assert "∂L/∂w₂ = ∂L/∂b₂ h₁" in shown


def two_alike(a: "", b: "", c: "", x: "m", y: "m"):
    h = cr.tanh((a + b) * x + c)
    g = cr.tanh(h * h + c)
    return cr.mse(g * h + c, y)


def test_parameters_with_one_gradient_each_get_a_line():
    d = cr.derive(two_alike, wrt=["a", "b", "c"])
    shown = [line.split(" =")[0] for line in d.text().splitlines()]
    assert {"  ∂L/∂a", "  ∂L/∂b", "  ∂L/∂c"} <= set(shown)
    assert d.latex(only="a").startswith(r"\frac{\partial\mathcal{L}}{\partial a} &=")


def penalty(w: "1 n"):
    return 0.1 * cr.sum(cr.square(w)) + 10 * cr.sum(w**2)


def test_a_number_does_not_merge_with_the_vector_of_ones():
    latex = cr.derive(penalty).latex()
    assert r"0.1\vec{1}" not in latex
    assert "20w" in latex


def exact(v: ""):
    return 1.0000001 * v + 1234567 * v**2


def test_constants_are_shown_with_all_their_digits():
    latex = cr.derive(exact).latex()
    assert "1.0000001v" in latex
    assert "1234567v^{2}" in latex


def to_the_right(w: ""):
    return w * 2 + w * 1e-7


def test_a_number_on_the_right_stands_apart():
    assert r"w \cdot 2 + w \cdot 1 \cdot 10^{-7}" in cr.derive(to_the_right).latex()


def power_of_two(z: ""):
    return 2**z


def test_the_power_of_a_number_needs_no_case():
    d = cr.derive(power_of_two)
    assert "where" not in d.latex() + d.python()
    assert lines(power_of_two)[-1] == "∂L/∂z = 2^z log(2)"


@pytest.mark.parametrize(("call", "says"), [
    (lambda w: np.dot(w, w), "np.dot cannot take an expression"),
    (lambda w: cr.sum(np.exp(w)), "np.exp cannot take an expression"),
    (lambda w: cr.sum(w * (w == 3)), "== and != compare expressions as objects"),
    (lambda w: w[None], "expressions have no positions"),
    (lambda w: cr.sum(w / 0), "divided by the number 0"),
])  # fmt: skip
def test_what_is_no_part_of_a_definition_is_refused(call, says):
    def net(w: "n"):
        return call(w)

    with pytest.raises(cr.ChainruleError, match=says):
        cr.derive(net)


def test_numbers_of_numpy_are_numbers():
    def net(w: "n"):
        return cr.sum(np.float64(2) * w + np.int64(3) * w)

    assert cr.derive(net)(w=np.ones(2))[0] == 10


def test_a_cut_beyond_the_end_is_refused():
    def net(w: "n", X: "m q"):
        return cr.sum(cr.cut(X, "q", "n", 1, 30) * w)

    with pytest.raises(cr.ChainruleError, match="entries up to 30 along axis 'q' do not exist"):
        cr.derive(net, wrt=["w"])(w=np.ones(29), X=np.ones((2, 5)))


def test_printing_a_deep_network_takes_linear_time():
    def deep(x: ""):
        return x

    import time

    def seconds(depth):
        text = ["net deep", "param h_0:"]
        text += [f"h_{i + 1} = tanh(1.5 * h_{i})" for i in range(depth)]
        d = cr.derive(cr.parse_net("\n".join([*text, f"return h_{depth}"])))
        start = time.process_time()
        d.latex()
        return time.process_time() - start

    assert seconds(4000) < 12 * seconds(1000)
