"""What index notation prints is computed line by line, and is the gradient."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.emit.index import indexed
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference
from tests.notations.nets import layered
from tests.notations.reader import Reader, Values

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = 300
TOLERANCE = 1e-12


def turned(entry, array):
    """An array in the order in which its symbol writes its indices."""
    return np.transpose(array, [entry.expr.axes.index(axis) for axis in entry.shown.axes])


def given(form, found, arrays, sizes):
    """The symbols of the inputs, with their arrays."""
    values = Values(sizes, scalars=not any(x.axes for x in found.definition.inputs))
    for entry in form.entries:
        if entry.name in arrays:
            values.set(entry.tex, turned(entry, arrays[entry.name]))
    return values


def gradients_as_printed(found, arrays, sizes):
    """Every gradient, computed from the printed lines alone, axes as in the array."""
    form = indexed(found)
    values = given(form, found, arrays, sizes)
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


NETS = (
    "cs230/univariate", "cs230/multivariate", "cs230/two_linear", "cs230/two_sigmoid",
    "logistic", "mlp", "chain",
)  # fmt: skip


def arrays_for(definition, seed=0):
    rng = np.random.default_rng(seed)
    small = {"m": 5, "n": 3, "k": 4, "k_in": 4, "o": 2, "q": 3, "1": 1}
    small |= {axis: n for x in definition.inputs for axis, n in x.sizes.items()}
    arrays = {}
    for x in definition.inputs:
        shape = [small.get(axis, 3) for axis in x.axes]
        drawn = rng.normal(size=shape) * 0.6
        arrays[x.name] = rng.integers(0, 2, shape) if x.kind == "int" else drawn
    return arrays, small


@pytest.mark.parametrize("name", NETS)
def test_the_examples_are_computed_from_what_is_printed(name):
    definition = cr.define(EXAMPLES / f"{name}.net")
    assert_printed_is_computed(definition, *arrays_for(definition))


def residual(W_1: "k n", W_2: "k k_in", b: "k", v: "k", X: "n m", y: "m"):
    A = cr.tanh(W_1 @ X)
    B = A + cr.tanh(W_2 @ cr.rename(A, k="k_in") + b)
    return cr.mse(v @ B, y) + 0.1 * cr.sum(cr.square(W_1))


def shared(W: "k n", V: "n k", X: "n m"):
    """One matrix twice, and the input is the target."""
    A = cr.sigmoid(W @ X)
    return cr.mse(V @ cr.tanh(W @ (V @ A)), X)


def attention(W: "n q", X: "m n", Y: "m q"):
    H = X @ W
    scores = cr.contract(H, cr.rename(H, m="p"), "q")
    weights = cr.softmax(scores, "p")
    return cr.mse(cr.contract(weights, cr.rename(H, m="p"), "p"), Y)


def weighted(W: "n o", c: "o", X: "m n", y: "m int", weights: "m"):
    Z = X @ W + c
    return cr.cross_entropy(Z, y, weights=weights)


def by_hand(W: "o n", X: "n m", T: "o m"):
    """Softmax and its logarithm written out, and a penalty."""
    Z = W @ X
    P = cr.softmax(Z, "o")
    loss = -cr.sum(T * cr.log(P)) / cr.size("m")
    return loss + 0.01 * cr.sum(cr.square(W))


def one_example(W: "k n", v: "k", x: "n", y: ""):
    a = cr.sigmoid(W @ x)
    return cr.square(cr.sum(v * a) - y)


def letters_taken(i: "k n", j: "k", l: "n m", p: "k m"):
    """Names that are letters of indices."""
    return cr.mean(cr.square(cr.tanh(i @ l + j) - cr.square(i @ l)) * p)


def called_c(C: "k m", W: "k n", X: "n m"):
    return cr.mse(W @ X, C)


@pytest.mark.parametrize(
    "net",
    [residual, shared, attention, weighted, by_hand, one_example, letters_taken, called_c],
    ids=lambda f: f.__name__,
)
def test_networks_that_are_no_chain_of_layers_are_computed_from_what_is_printed(net):
    real = [x.name for x in cr.define(net).inputs if x.kind == "float"]
    definition = cr.define(
        net, params=[n for n in real if n not in ("X", "y", "Y", "T", "weights", "p")]
    )
    form = assert_printed_is_computed(definition, *arrays_for(definition))
    assert bool(form.layers) == (net in (weighted, one_example))


def test_no_letter_is_two_things_in_one_line():
    form = indexed(derived(cr.define(letters_taken)))
    used = {x for line in (*form.forward, *form.backward) for x in line.split("_{")[1:]}
    indices = "".join(x.split("}")[0] for x in used)
    assert not set(indices) & set("ijlp")


def test_layers_are_found_whatever_the_names_and_the_order_of_axes():
    def net(V: "q n", U: "q p", alpha: "q", beta: "p", Inputs: "b n", T: "b p"):
        hidden = cr.tanh(alpha + Inputs @ V.T)
        return cr.mse(hidden @ U + beta, T, examples="b")

    d = cr.derive(net, wrt=["V", "U", "alpha", "beta"])
    text = d.text("index")
    assert "z⁽¹⁾ᵢⱼ = Σₖ w⁽¹⁾ⱼₖ a⁽⁰⁾ᵢₖ + b⁽¹⁾ⱼ" in text
    assert "∂C/∂a⁽¹⁾ᵢₖ = Σⱼ ∂z⁽²⁾ᵢⱼ/∂a⁽¹⁾ᵢₖ · ∂a⁽²⁾ᵢⱼ/∂z⁽²⁾ᵢⱼ · ∂C/∂a⁽²⁾ᵢⱼ" in text
    rows = {row.name: row for row in d.dictionary().rows}
    assert (rows["U"].entry, rows["V"].entry) == ("U[k, j]", "V[j, k]")


def test_only_what_is_asked_for_is_derived():
    text = cr.derive(EXAMPLES / "cs230/two_sigmoid.net", wrt=["b_2"]).text("index")
    assert "∂C/∂b⁽²⁾ =" in text
    assert "∂C/∂w" not in text
    assert "∂C/∂a⁽¹⁾" not in text


def test_the_input_may_be_asked_for():
    definition = cr.define(EXAMPLES / "cs230/two_sigmoid.net", params=["W_1", "X"])
    form = assert_printed_is_computed(definition, *arrays_for(definition))
    assert form.layers


def test_one_line_alone():
    d = cr.derive(EXAMPLES / "cs230/two_sigmoid.net")
    line = d.latex(only="b_1", notation="index")
    assert line.startswith(r"\frac{\partial C}{\partial b^{(1)}_{j}} &= \sum_{i}")


def test_what_has_no_indices_is_refused_by_name():
    def net(E: "v d", words: "m int", y: "m d"):
        return cr.mse(cr.gather(E, words, "v"), y)

    with pytest.raises(cr.ChainruleError, match="gather moves entries about"):
        cr.derive(net, wrt=["E"]).latex(notation="index")


def test_a_wrong_sign_a_lost_sum_and_a_swapped_index_are_found():
    """The reader is worth something: it refuses lines that are wrong in one place."""
    definition = cr.define(EXAMPLES / "cs230/two_sigmoid.net")
    arrays, sizes = arrays_for(definition)
    found = derived(definition)
    form = indexed(found)
    true = gradients_as_printed(found, arrays, sizes)[0]["W_1"]
    for old, new in (
        (r"(1 - a^{(1)}_{ji})", r"(1 + a^{(1)}_{ji})"),
        (r"\sum_{i} a^{(0)}_{ki}", r"a^{(0)}_{ki}"),
        (r"= \frac{2}{m}", r"= \frac{1}{m}"),
        (r"w^{(1)}_{jk} a^{(0)}_{ki}", r"w^{(1)}_{jk} a^{(0)}_{kj}"),
    ):
        values = given(form, found, arrays, sizes)
        lines = [line.replace(old, new) for line in (*form.forward, *form.backward)]
        assert lines != [*form.forward, *form.backward], old
        try:
            for line in lines:
                values.learn(line)
        except AssertionError:
            continue
        assert np.abs(values.known["∂C[0]/∂w(1)"] - true).max() > 1e-6, old


@pytest.mark.seed("000-18", "000-20", "000-22")
@pytest.mark.parametrize("seed", range(20))
def test_scalar_networks_are_the_same_in_all_notations(seed):
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 5))
    lines = ["net chain", "input x:", "input y:"]
    before = "x"
    for i in range(1, depth + 1):
        lines += [f"param w_{i}:", f"param b_{i}:"]
    for i in range(1, depth + 1):
        f = rng.choice(["sigmoid", "tanh", "relu", "softplus", "silu"])
        lines.append(f"h_{i} = {f}(w_{i} * {before} + b_{i})")
        before = f"h_{i}"
    lines.append(f"return square({before} - y)")
    d = cr.derive(cr.parse_net("\n".join(lines)))
    arrays = {x.name: rng.normal() for x in d.definition.inputs}
    _, gradients = d(**arrays)
    for notation in ("chain", "index"):
        for name, value in computed(d, notation, arrays).items():
            assert abs(value - gradients[name]) <= TOLERANCE * max(1, abs(value)), (notation, name)


def computed(d, notation, arrays):
    """The gradients of a scalar network from the printed lines, taken in any order that works."""
    values = Values({}, scalars=True)
    for name, value in arrays.items():
        values.set(name, value)
    shown = d.json(notation)
    waiting = [x for x in (*shown["forward"], *shown["backward"]) if "_i" not in x]
    waiting = [x for x in waiting if "_{i" not in x]
    while waiting:
        left = []
        for line in waiting:
            start, *rights = line.split(" = ") if " &= " not in line else _sides(line)
            try:
                values.learn(f"{start} &= {rights[-1]}")
            except AssertionError:
                left.append(line)
        assert len(left) < len(waiting), left
        waiting = left
    cost = "L" if notation == "chain" else "C"
    return {name: float(values.known[f"∂{cost}[0]/∂{name}"]) for name in d.wrt}


def _sides(line):
    start, rest = line.split(" &= ")
    return [start, *rest.split(" = ")]
