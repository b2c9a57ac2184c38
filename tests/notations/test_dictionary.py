"""What each symbol is in the other notations and in the code; what is easily mistaken."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from tests.notations.nets import layered

EXAMPLES = Path(__file__).parents[2] / "examples"
TWO_SIGMOID = EXAMPLES / "cs230/two_sigmoid.net"


def row(d, name, **options):
    return next(r for r in d.dictionary(**options).rows if r.name == name)


@pytest.mark.seed("001-14")
def test_a_weight_is_named_in_every_notation_and_in_the_code():
    found = row(cr.derive(TWO_SIGMOID), "W_1")
    assert found.symbols["index"] == "w^{(1)}_{jk}"
    assert found.symbols["matrix"] == "W_1"
    assert (found.entry, found.axes) == ("W_1[j, k]", ("k", "n"))
    assert found.meaning == "weight to neuron j of layer 1 from neuron k of layer 0"
    derivative = row(cr.derive(TWO_SIGMOID), "dW_1")
    assert derivative.symbols["matrix"] == r"\frac{\partial \mathcal{L}}{\partial W_1}"
    assert derivative.entry == "dW_1[j, k]"
    stored = row(cr.derive(TWO_SIGMOID), "A")
    assert stored.symbols["index"] == "a^{(1)}_{ji}"


@pytest.mark.parametrize("seed", range(60))
def test_the_entry_named_is_where_the_arrays_have_it(seed):
    """w_jk is the weight that, moved, moves the sum of neuron j in proportion to input k."""
    net = layered(seed)
    d = cr.derive(net.definition)
    sizes, letters = net.sizes, {}
    for r in d.dictionary().rows:
        if "[" in r.entry:
            inside = r.entry.split("[")[1].rstrip("]").split(", ")
            assert len(inside) == len(r.axes)
            letters[r.name] = dict(zip(inside, r.axes, strict=True))
    first = d.dictionary().rows[1]
    assert first.symbols["index"].endswith("_{jk}")
    axes = letters[first.name]
    assert axes["k"] == "n"
    assert sizes[axes["j"]] == net.arrays[first.name].shape[first.axes.index(axes["j"])]


def test_names_of_derivatives_are_those_of_the_code():
    d = cr.derive(TWO_SIGMOID)
    code = d.python()
    for r in d.dictionary().rows:
        if r.name:
            assert f"{r.name} = " in code or f"{r.name}," in code or f"{r.name})" in code, r.name


def notes(source, **options):
    given = options.pop("wrt", None)
    return " ".join(cr.derive(source, wrt=given).dictionary(**options).notes)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("cr.mse(y_hat, y)", "a mean over the m examples: 1/m comes into the backward pass"),
        ("cr.mse(y_hat, y)", "no factor ½ in it: the slope of a square is 2(ŷ − y)"),
        ("cr.half_mse(y_hat, y)", "has the factor ½"),
        ("cr.mse(y_hat, y, reduction='sum')", "no derivative has a factor 1/m"),
        ("cr.sum_squares(y_hat, y)", "no derivative has a factor 1/m"),
    ],
)
def test_normalisation_is_said(loss, says):
    formula = loss.replace("cr.", "").replace("'", '"')
    text = f"net t\nparam W: o n\ninput X: n m\ninput y: o m\ny_hat = W @ X\nreturn {formula}"
    assert says in notes(cr.parse_net(text))


def test_which_index_leads_where_and_what_the_functions_are_is_said():
    said = notes(TWO_SIGMOID)
    assert "Stored (to, from), as w_jk is written: W_1, w_2" in said
    assert "f: sigmoid in layer 1, identity in layer 2. σ is the logistic function" in said
    said = notes(EXAMPLES / "mlp.net")
    assert "Stored (from, to), so w_jk is [k, j] there: W_1, W_2" in said
    assert "relu′(0) = 0" in said
    assert "Classes count from 0" in said


def test_another_layout_says_what_is_turned():
    said = notes(TWO_SIGMOID, examples="rows")
    assert "X is (m, n) here and (n, m) in the definition: give its transpose" in said
    assert "Parameters, and so their gradients, are the same arrays" in said
    assert "transpose" not in notes(TWO_SIGMOID, examples="columns")


def test_parts_are_in_the_dictionary_of_outputs():
    rows = cr.derive(EXAMPLES / "mlp.net").dictionary("outputs").rows
    part = next(r for r in rows if r.name == "parts['W_1']")
    assert part.axes == ("m", "c", "n", "h_1")
    whole = next(r for r in rows if r.name == "dW_1")
    assert whole.symbols["outputs"].startswith(r"\frac{\partial c}{\partial W^{(1)}")


@pytest.mark.parametrize("notation", ["Index", "foo", None])
def test_a_notation_that_does_not_exist_has_no_dictionary(notation):
    with pytest.raises(cr.ChainruleError, match=f"notation {notation!r} is not known"):
        cr.derive(TWO_SIGMOID).dictionary(notation)


def test_a_network_of_matrices_has_no_dictionary_of_the_chain():
    with pytest.raises(cr.ChainruleError, match=r"notation 'chain': .* is not a number"):
        cr.derive(TWO_SIGMOID).dictionary("chain")


SOFT_TARGETS = """net soft
param W: n c
param b: c
input X: m n
input y: m c
P = softmax(X @ W + b, over="c")
return -mean(sum(y * log(P), over="c"))
"""


@pytest.mark.parametrize("notation", ["index", "outputs"])
def test_only_the_cost_is_the_value_returned(notation):
    text = cr.derive(cr.parse_net(SOFT_TARGETS)).dictionary(notation).text()
    (line,) = [line for line in text.splitlines() if "the value returned" in line]
    assert line.endswith("the cost")
    assert "without a name" in text


def test_the_cost_has_a_letter_that_nothing_else_has():
    d = cr.derive(cr.parse_net(SOFT_TARGETS))  # c counts the classes
    (cost,) = [r for r in d.dictionary("outputs").rows if r.meaning == "the cost"]
    assert cost.symbols["outputs"] == r"\ell"
    assert "ℓₖ = ℓₖ₁ + … + ℓ_kc" in d.text("outputs")


def test_scalars_have_the_notation_of_the_chain():
    found = row(cr.derive(EXAMPLES / "chain.net"), "dw_2", notation="chain")
    assert found.symbols["chain"] == r"\frac{dL}{dw_2}"


def test_a_network_without_indices_still_has_a_dictionary():
    def net(E: "v d", words: "m int", y: "m d"):
        return cr.mse(cr.gather(E, words, "v"), y)

    d = cr.derive(net, wrt=["E"])
    assert d.dictionary("matrix").notations == ("matrix",)
    with pytest.raises(cr.ChainruleError, match="no equation with indices"):
        d.dictionary("index")


def test_the_dictionary_is_plain_values_in_json():
    import json

    shown = cr.derive(TWO_SIGMOID).json("index", "rows")
    assert json.loads(json.dumps(shown))["dictionary"]["rows"][1]["entry"] == "W_1[j, k]"
    assert shown["inputs"]["X"] == ["m", "n"]


def test_text_fits_a_terminal_of_80_columns():
    for name, notation in (("cs230/two_sigmoid", "index"), ("mlp", "index"), ("mlp", "outputs")):
        d = cr.derive(EXAMPLES / f"{name}.net")
        for line in (d.text(notation) + "\n" + d.dictionary(notation).text()).splitlines():
            assert len(line) <= 80, line


def test_latex_of_the_table_has_as_many_cells_in_every_row():
    table = cr.derive(TWO_SIGMOID).dictionary().latex()
    rows = [line for line in table.splitlines() if line.startswith("\t")]
    assert {line.count("&") for line in rows} == {3}
    assert np.all(["_" not in line.split(r"\texttt{")[-1].split("}")[0].replace(r"\_", "")
                   for line in rows])  # fmt: skip
