"""Formulas as they are written: the same mathematics in different spellings is the same tree."""

import contextlib
import time

import numpy as np
import pytest

from chainrule.errors import FormulaError
from chainrule.texmath import (
    Add,
    Call,
    Condition,
    Product,
    Summation,
    Symbol,
    Transpose,
    evaluate,
    name,
    parse,
    parse_align,
    parse_chain,
    parse_equation,
    symbols,
    tree,
    walk,
)

NAMES = {
    "y_hat": (r"\hat{y}", r"\hat y", "y_hat", "yhat", "ŷ", r"{\hat{y}}", r"\hat{\mathbf{y}}"),
    "W_1": ("W_{1}", "W_1", "W1", "W₁", r"\mathbf{W}_1", r"\boldsymbol{W}_{1}", r"{W}_1"),
    "W^(1)": ("W^{[1]}", "W^{(1)}", "W^[1]", r"\mathbf{W}^{[1]}"),
    "x": ("x", r"\vec{x}", r"\mathbf{x}", r"\boldsymbol{x}", r"\vec x"),
    "sigma_1": (r"\sigma_1", "σ₁", "sigma_1", r"\sigma_{1}"),
    "w_out": (r"w_{\mathrm{out}}", "w_out", r"w_{\text{out}}"),
    "a_j^(l)": ("a_j^{(l)}", "a^{(l)}_j", r"a_{j}^{(l)}", "a_j^(l)"),
    "w_jk^(l-1)": ("w_{jk}^{(l-1)}", "w^{(l-1)}_{jk}"),
    "dL/dW_1": (
        r"\frac{\partial\mathcal{L}}{\partial W_1}", r"\frac{dL}{dW_1}", "∂L/∂W₁", "dL/dW1",
        r"\nabla_{W_1} L", r"\nabla_{W_1}\mathcal{L}", r"\frac{\partial}{\partial W_1} L",
        r"\dfrac{\mathrm{d}L}{\mathrm{d}W_{1}}", r"\frac{\partial L(W, b)}{\partial W_1}",
    ),
    "dW_1": ("dW_1", "dW1", "dW₁", "dW_{1}"),
    "delta_j^(l)": (r"\delta_j^{(l)}", "δ_j^{(l)}"),
    "b_10": ("b_{10}", "b_10", "b10", "b₁₀"),
    "Theta_2": (r"\Theta_2", "Θ₂", "Theta_2"),
    "hidden_1": (r"\mathrm{hidden}_1", "hidden_1", r"\text{hidden}_{1}"),
}  # fmt: skip


@pytest.mark.parametrize(("canonical", "written"), [(k, w) for k, v in NAMES.items() for w in v])
def test_a_symbol_has_one_name_however_it_is_written(canonical, written):
    assert name(written) == canonical
    assert name(canonical) == canonical


SAME = [
    (r"\frac{2}{m}(\hat{y} - y)x^\intercal", "(2/m)(ŷ - y)xᵀ", "2/m (yhat - y) x.T",
     r"2/m \cdot (\hat y-y) \, x^{\top}", r"\tfrac{2}{m}\left(\hat{y}-y\right)x^{\mathsf{T}}",
     r"\frac2m(\hat y - y) x^T", r"2(\hat y - y)x^{\mathrm T}/m"),
    (r"(W_2^T d) \odot A \odot (1-A)", r"(W_2^\top d) \circ A \circ (1-A)", "(W₂ᵀd) ⊙ A ⊙ (1 - A)",
     r"\big(W_2^T d\big) \odot A \odot \bigl(1-A\bigr)", "(W2.T @ d) * A * (1 - A)"),
    (r"\sigma(Wx+b)", "σ(Wx + b)", "sigma(W*x + b)", r"\sigma\left(W x + b\right)",
     r"\operatorname{sigmoid}(Wx+b)", "sigmoid(W @ x + b)", "1/(1 + np.exp(-(W @ x + b)))"),
    (r"\frac{1}{2m}\|a - y\|^2", "1/(2m) ||a - y||^2", "1/2m ‖a - y‖²", "1/(2*m) * ||a-y||**2",
     r"\frac{1}{2m}\lVert a-y \rVert_2^2", r"\frac1{2m}\sum_i (a_i - y_i)^2",
     r"\frac{1}{2m}\sum (a - y)^{\odot 2}", "np.sum((a - y)**2)/(2*m)"),
    (r"e^{-x} + \log 2x", "exp(-x) + ln(2x)", "e^(-x) + log(2*x)"),
    (r"\sum_{j=1}^{k} W_{ji} d_j", r"\sum_j W_{ji}d_j", r"\sum\limits_{j} W_{j i} \, d_{j}"),
    (r"d\,\vec{1}^\intercal", r"d \mathbf{1}^T", "d1⃗ᵀ"),
    (r"\mathbb{1}[x > 0]", r"\mathbb{1}_{x > 0}", r"[x > 0]", r"1[x > 0]", r"\mathbf 1\{x>0\}"),
    (r"\max(0, x)", r"\max\{0, x\}", "max(0, x)", r"\mathrm{ReLU}(x)", "np.maximum(0, x)"),
    (r"|x|", r"\lvert x \rvert", r"\left|x\right|", "abs(x)", "np.abs(x)"),
    (r"\sigma'(x)", r"\sigma^{\prime}(x)", "σ'(x)", "sigma'(x)", r"\sigma(x)\odot(1-\sigma(x))"),
]  # fmt: skip
RNG = np.random.default_rng(0)
AT = {
    "m": 4.0, "y_hat": RNG.normal(size=(1, 4)), "y": RNG.normal(size=(1, 4)),
    "x": RNG.uniform(0.2, 1, (1, 4)), "W_2": RNG.normal(size=(4, 3)), "d": RNG.normal(size=(4, 1)),
    "A": RNG.normal(size=(3, 1)), "W": RNG.normal(size=(4, 3)), "b": RNG.normal(size=(4, 1)),
    "a": RNG.normal(size=(1, 4)),
}  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda s: s[0])
def test_different_spellings_mean_the_same(spellings):
    at = dict(AT)
    if "W" in spellings[0] and "x" in spellings[0]:
        at["x"] = RNG.normal(size=(3, 1))
    shape = (4, 5) if spellings[0].startswith("d") else None
    values = [evaluate(parse(text, at), at, shape=shape) for text in spellings]
    for text, value in zip(spellings, values, strict=True):
        np.testing.assert_allclose(value, values[0], rtol=1e-13, err_msg=text)


def test_what_is_ambiguous_is_settled_by_names():
    assert isinstance(parse("f(x)"), Call)
    assert isinstance(parse("f(x)", names=["f", "x"]), Product)
    assert isinstance(parse("a(x)"), Product)
    assert symbols(parse("ab")) == ("a", "b")
    assert symbols(parse("ab", names=["ab"])) == ("ab",)
    assert isinstance(parse("X^T"), Transpose)
    assert symbols(parse("X^T", names=["X", "T"])) == ("X", "T")
    assert parse("dW") == Symbol("dW", key="dW")
    assert symbols(parse("dW", names=["d", "W"])) == ("d", "W")
    assert evaluate(parse("1/2m"), {"m": 4}) == 1 / 8
    assert evaluate(parse("1/2 m"), {"m": 4}) == evaluate(parse("1/2*m"), {"m": 4}) == 2
    assert evaluate(parse("log x y"), {"x": 2.0, "y": 3.0}) == 3 * np.log(2)


def test_a_sum_reaches_to_the_next_plus():
    found = parse(r"\frac{1}{m}\sum_i a_i b_i + c")
    assert isinstance(found, Add)
    assert any(isinstance(x, Summation) for x in walk(found.terms[0]))


def test_align_environments_comments_labels_and_chains():
    text = r"""
    \begin{align} % the forward pass
        z &= W x + b \label{eq:z} \nonumber \\
        a &= \sigma(z), \\[4pt]
        \frac{\partial L}{\partial z} &= (a - y) = a - y. \tag{3}
    \end{align}
    $$ c = \frac{1}{2} $$
    \[ d = 2 \]
    """
    found = parse_align(text)
    assert [e.left.key for e in found[:3]] == ["z", "a", "dL/dz"]
    assert [e.number for e in found] == list(range(1, len(found) + 1))
    assert [e.line for e in found] == [3, 4, 5, 5, 7, 8]
    assert found[-1].left.key == "d"


def test_double_backslashes_escaped_in_markdown_end_a_line_too():
    assert len(parse_align("a &= b\\\\\\\\\nc &= d")) == 2


def test_an_equation_has_two_sides_and_a_chain_more():
    assert [side.key for side in parse_chain("a = b = c")] == ["a", "b", "c"]
    assert [side.key for side in parse_equation("a = b = c")] == ["a", "c"]
    with pytest.raises(FormulaError, match='no "="'):
        parse_equation("a + b")


def test_positions_are_columns_of_the_text():
    text = r"\frac{2}{m} W_1"
    product = parse(text)
    start, end = product.factors[1].at
    assert text[start:end] == "W_1"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("a + ", 4, "the formula ends, expected a number, a name or a bracket"),
        ("(a + b", 7, 'the formula ends, expected "\\)"'),
        ("a ) b", 3, 'found "\\)", expected an operation'),
        (r"\frac{a}", 9, "the formula ends"),
        (r"\foo x", 1, "is not understood"),
        ("a ? b", 3, '"\\?" is not allowed'),
        ("x 2", 3, "the number 2 after a factor"),
        (r"\sum_{1} x", 1, "not an index"),
        ("", 1, "the formula ends"),
        ("x_", 3, "expected a subscript"),
        ("x^", 3, "expected an exponent"),
        (r"\frac{\partial L}{W}", 19, "expected a derivative"),
        ("|a + b", 7, "the formula ends"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_column(text, column, says):
    with pytest.raises(FormulaError, match=says) as error:
        parse(text)
    if column != 1:
        assert error.value.where == f"column {column}"


HOSTILE = {
    "deep brackets": "(" * 100_000,
    "deep fractions": r"\frac{" * 3_000 + "1",
    "deep powers": "x^{" * 5_000,
    "deep braces": "{" * 19_000,
    "many minus": "-" * 19_000,
    "roots": r"\sqrt" * 3_000 + "x",
    "functions": r"\log" * 4_000 + "x",
    "sums": r"\sum_i" * 3_000 + "x",
    "accents": r"\hat" * 4_000 + "x",
    "megabytes": "a+" * 1_000_000,
    "bars": "|" * 19_000,
    "norms": "‖" * 19_000,
    "subscripts": "x_" * 9_000,
    "nested subscripts": "x_{" * 6_000,
    "primes": "f" + "'" * 19_000,
    "fonts": r"\mathbf{" * 2_400,
    "indicators": r"\mathbb{1}[" * 1_700,
    "stacks": "[" * 19_000,
    "functions of functions": "f(" * 9_000,
    "products": "a" * 19_999,
    "numbers": "9" * 19_999,
    "exponents": "1e9999999",
    "differentials": "d" * 19_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_formulas_are_refused_or_read_at_once(kind):
    began = time.perf_counter()
    with contextlib.suppress(FormulaError):
        parse(HOSTILE[kind])
    assert time.perf_counter() - began < 1.5  # seconds; a shared machine is slow


def test_sixty_levels_are_read_and_seventy_are_not():
    assert evaluate(parse("(" * 60 + "x" + ")" * 60), {"x": 2.0}) == 2
    with pytest.raises(FormulaError, match="more than 64 levels"):
        parse("(" * 70 + "x" + ")" * 70)


def test_a_condition_is_one_where_it_holds():
    assert isinstance(parse("[a > b]"), Condition)
    values = evaluate(parse(r"[x \leq 1]"), {"x": np.array([0.0, 1.0, 2.0])})
    assert values.ravel().tolist() == [1, 1, 0]


@pytest.mark.parametrize("text", ["dZ^T", r"dZ_2^\top", "∂L/∂W^T"])
def test_the_transpose_of_a_derivative_needs_no_declaration(text):
    assert isinstance(parse(text), tree.Transpose)
