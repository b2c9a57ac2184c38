"""Formulas at arrays: products, ones, indices, functions and their derivatives, the documents."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import FormulaError, ShapeError
from chainrule.ops import OPS
from chainrule.texmath import evaluate, name, parse, parse_align, parse_equation
from chainrule.texmath.functions import POINTWISE

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT.parent / "shared/seeds/003_8698ff9f6a18090f.txt"
RNG = np.random.default_rng(1)
K, N, M = 3, 4, 5
AT = {
    "W": RNG.normal(size=(K, N)), "X": RNG.normal(size=(N, M)), "b": RNG.normal(size=(K, 1)),
    "v": RNG.normal(size=K), "u": RNG.normal(size=K), "r": RNG.normal(size=(1, M)),
    "Z": RNG.normal(size=(K, M)), "s": 1.7, "m": M,
}  # fmt: skip
W, X, b, v, u, r, Z = (AT[k] for k in "WXbvurZ")


def value(text, **options):
    return evaluate(parse(text, AT), AT, **options)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("W X + b", W @ X + b),
        ("sW", 1.7 * W),
        ("Z + b + r", Z + b + r),
        (r"Z \odot b", Z * b),
        ("v^T Z", (v @ Z)[None]),
        (r"v \cdot u", v @ u),
        ("v u^T", np.outer(v, u)),
        (r"Z\vec{1}", Z.sum(1)[:, None]),
        (r"\vec{1}^T Z", Z.sum(0)[None]),
        (r"\vec{1}^T Z \vec{1}", Z.sum()),
        (r"Z + b\vec{1}^T", Z + b),
        (r"Z - \vec{1} r", Z - r),
        (r"\vec{1}_3^T Z", Z.sum(0)[None]),
        (r"\|Z\|_F^2", np.sum(Z**2)),
        (r"\|Z\|_1", np.abs(Z).sum()),
        (r"\|v\|", np.linalg.norm(v)),
        (r"\frac{Z}{m}", Z / M),
        ("Z^2", Z**2),
        (r"Z^{\odot 3}", Z**3),
        (r"\sum Z", Z.sum()),
        (r"\sum_{i=1}^{m} i", 15),
        (r"\sum_{i} v_i u_i", v @ u),
        (r"\sum_{i=1}^{3}\sum_{j=1}^{m} Z_{ij}", Z.sum()),
        (r"\sum_{i=2}^{3} v_i", v[1:].sum()),
        (r"\sum_{i=1}^{2} (v_{i+1} - v_i)", v[2] - v[0]),
        (r"\max(Z, 0)", np.maximum(Z, 0)),
        (r"\max Z", Z.max()),
        (r"\operatorname{mean}(Z)", Z.mean()),
        (r"(W^T b)_2", (W.T @ b)[1, 0]),
        (r"W_{12}", W[0, 1]),
        (r"[Z > 0] \odot Z", np.maximum(Z, 0)),
        (r"\operatorname{diag}(v) Z", np.diag(v) @ Z),
        (r"[v; u]", np.concatenate([v, u])[:, None]),
        ("3 v", 3 * v[:, None]),
        (r"\frac{1}{m}\sum_{i=1}^m r_i r^{(i)}", (r**2).mean()),
    ],
)
def test_the_value_of_a_formula(text, wanted):
    np.testing.assert_allclose(value(text), wanted, rtol=1e-12)


def test_free_indices_make_axes_in_the_order_of_the_text_or_as_asked():
    np.testing.assert_allclose(value(r"\sum_k W_{ki} Z_{kj}"), W.T @ Z, rtol=1e-12)
    turned = value(r"\sum_k W_{kj} Z_{ki}", indices=("i", "j"))
    np.testing.assert_allclose(turned, Z.T @ W, rtol=1e-12)
    np.testing.assert_allclose(value("v_j u_k"), np.outer(v, u), rtol=1e-12)
    np.testing.assert_allclose(value("(W^T v)_j"), W.T @ v, rtol=1e-12)
    np.testing.assert_allclose(value(r"\sum_k W_{kj}(v_k - u_k)"), (v - u) @ W, rtol=1e-12)


def test_layers_are_found_by_their_number():
    at = {"W^(2)": 3.0, "a_1": 2.0, "a_2": 5.0, "l": 2, "delta^(3)": RNG.normal(size=3)}
    assert evaluate(parse(r"W^{(l)} a^{(l-1)}"), at) == 6
    assert evaluate(parse(r"W^{[2]}a^{(2)}"), at) == 15
    np.testing.assert_allclose(evaluate(parse(r"\delta_j^{(l+1)}"), at), at["delta^(3)"])


def test_examples_stand_in_columns_or_rows():
    text = r"\sum_{i=1}^{m} X^{(i)} r^{(i)}"
    np.testing.assert_allclose(value(text), X @ r.T, rtol=1e-12)
    rows = AT | {"X": X.T, "r": r.T}
    np.testing.assert_allclose(evaluate(parse(text), rows, examples="rows"), X @ r.T, rtol=1e-12)
    np.testing.assert_allclose(value("X_j^{(i)}", indices=("j", "i")), X)
    soft = np.exp(Z) / np.exp(Z).sum(0)
    np.testing.assert_allclose(value(r"\operatorname{softmax}(Z)"), soft, rtol=1e-12)
    soft = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    np.testing.assert_allclose(value("softmax(Z)", examples="rows"), soft, rtol=1e-12)


def test_labels_pick_the_entry_of_their_class():
    at = AT | {"y": np.array([0, 2, 1, 1, 0])}
    picked = evaluate(parse("Z_{y}", at), at, orientation={"y": "row"})
    assert picked.ravel().tolist() == Z[at["y"], np.arange(M)].tolist()
    hot = evaluate(parse(r"\operatorname{onehot}_{3}(y)", at), at, orientation="row")
    assert hot.tolist() == np.eye(3)[:, at["y"]].tolist()


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("X W", 3, r"X \(4 × 5\) and W \(3 × 4\): 5 columns against 3 rows"),
        (r"b + Z \odot X", 13, r"Z \(3 × 5\) and X \(4 × 5\)"),
        ("b + r", 5, r"b \(3 × 1\) and r \(1 × 5\)"),
        (r"v \odot r", 9, "multiplied element by element"),
        (r"\vec{1}^T\vec{1}", 10, "the length of the ones is not known"),
        (r"s\vec{1}", 1, "its size is not known"),
        (r"v_4 + v_{9}", 1, "index 4 is outside 1 … 3"),
        ("v_{ij}", 1, "2 indices, but the value has 1 axes"),
    ],
)
def test_shapes_that_do_not_fit_name_both_factors_and_the_place(text, column, says):
    with pytest.raises(ShapeError, match=says) as error:
        value(text)
    if "ones make" not in str(error.value):
        assert error.value.where == f"column {column}"


def test_sums_of_too_many_terms_are_refused():
    with pytest.raises(ShapeError, match="more than 1000000 terms"):
        value(r"\sum_{i=1}^{900}\sum_{j=1}^{900}\sum_{k=1}^{900} i j k")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q + 1", "'q' has no value"),
        ("zz(v)", "'z' has no value"),
        ("f(v)", "the function 'f' is not known"),
        (r"\operatorname{sofmax}(v)", "'sofmax' has no value"),
        ("W^{-1}", "the inverse of a matrix"),
        (r"\operatorname{softmax}'(v)", "is not known for this function"),
        (r"\sum_q v_2", "how far the index 'q' runs"),
    ],
)
def test_what_has_no_meaning_is_refused(text, says):
    with pytest.raises(FormulaError, match=says):
        value(text)


def test_a_shape_that_is_asked_for_gives_ones_their_length():
    np.testing.assert_array_equal(value(r"s\vec{1}", shape=(4,)), np.full(4, 1.7))
    np.testing.assert_array_equal(value(r"s\vec{1}\vec{1}^T", shape=(2, 3)), np.full((2, 3), 1.7))
    assert value("v^T u", shape=()).shape == ()
    with pytest.raises(ShapeError, match="the result is 3 × 1, expected 4"):
        value("v", shape=(4,))


def test_functions_of_a_document_are_what_it_says_they_are():
    at = {"z": np.array([-1.0, 2.0])}
    relu = evaluate(parse(r"\sigma(z)"), at, functions={"sigma": "relu"})
    assert relu.ravel().tolist() == [0, 2]
    cubed = {"f": lambda x: x**3}
    assert evaluate(parse("f(z)"), at, functions=cubed).ravel().tolist() == [-1, 8]
    slope = evaluate(parse("f'(z)"), at, functions=cubed)
    np.testing.assert_allclose(slope.ravel(), [3, 12], rtol=1e-14)
    layered = evaluate(parse("g^{[1]}(z)"), at, functions={"g^(1)": "tanh"})
    np.testing.assert_allclose(layered.ravel(), np.tanh(at["z"]))
    pair = {"f": (np.sin, np.cos)}
    np.testing.assert_allclose(
        evaluate(parse("f'(z)"), at, functions=pair).ravel(), np.cos(at["z"])
    )


POINTS = np.array([-2.3, -0.7, -0.2, 0.3, 1.1, 2.6])


@pytest.mark.parametrize("function", sorted(POINTWISE))
def test_derivatives_agree_with_complex_steps_and_values_with_the_operations(function):
    at = np.abs(POINTS) if function in ("log", "sqrt") else POINTS
    evaluated, slope = POINTWISE[function]
    step = np.imag(evaluated(at + 1e-200j)) / 1e-200 if function not in ("sign", "step") else 0 * at
    if function == "stop":
        step = 0 * at
    np.testing.assert_allclose(slope(at), step, rtol=1e-12, atol=1e-15)
    if function in OPS:

        def network(x: "m"):
            return cr.sum(OPS[function](x) * x)

        if not OPS[function].no_gradient:
            loss, _ = cr.derive(network)(x=at)
            np.testing.assert_allclose(np.sum(evaluated(at) * at), loss, rtol=1e-13)


def test_a_complex_step_goes_through_a_whole_formula():
    text = parse(r"\frac{1}{m}\|\sigma(W X + b) - Z\|^2 + \sum \max(0, Z)")
    moved = {**AT, "b": b + np.array([[1e-200j], [0], [0]])}
    slope = np.imag(evaluate(text, moved)) / 1e-200
    a = 1 / (1 + np.exp(-(W @ X + b)))
    wanted = (2 / M * (a - Z) * a * (1 - a)).sum(1)[0]
    np.testing.assert_allclose(slope, wanted, rtol=1e-12)


def cs230():
    models, lines = {}, []
    for line in (ROOT / "tests/golden/cs230.tex").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            lines = models.setdefault(line.strip("[]"), [])
        elif not line.startswith("%"):
            lines.append(line)
    return models


@pytest.mark.seed("003-08", "003-09", "003-11", "003-12", "003-14", "003-15", "003-16", "003-17")
@pytest.mark.parametrize("model", cs230())
def test_the_equations_of_the_document_have_the_values_of_the_gradients(model):
    """The twelve gradient equations of four models, from the document's own LaTeX."""
    d = cr.derive(ROOT / f"examples/cs230/{model}.net")
    rng = np.random.default_rng(2)
    sizes = {"m": 5, "n": 4, "k": 3, "1": 1}
    inputs = d.definition.inputs
    arrays = {x.name: rng.normal(size=[sizes[a] for a in x.axes]) for x in inputs}
    loss, grads = d(**arrays)
    at = {name(k): a for k, a in arrays.items()} | {"m": 5}
    rows = {name(x.name): "row" for x in inputs if x.axes == ("m",)} | {"y_hat": "row"}
    for line in cs230()[model]:
        left, right = parse_equation(line, at)
        at[left.key] = evaluate(right, at, orientation=rows)
    np.testing.assert_allclose(np.squeeze(at["L"]), loss, rtol=1e-12)
    for parameter, grad in grads.items():
        found = at[f"dL/d{name(parameter)}"]
        np.testing.assert_allclose(np.reshape(found, grad.shape), grad, rtol=1e-12)


@pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the source documents are not beside the checkout"
)
def test_the_document_itself_has_twelve_gradient_equations():
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = [part for part in text.split("$$") if r"\begin{align}" in part]
    found = [e for block in blocks for e in parse_align(block)]
    assert len(found) == 23
    assert sum(e.left.key.startswith("dL/d") for e in found) == 12
