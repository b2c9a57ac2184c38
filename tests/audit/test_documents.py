"""Whole documents: what an audit finds in them, line by line."""

from pathlib import Path

import pytest

import chainrule as cr

HERE = Path(__file__).parent
DOCUMENTS = HERE / "documents"
SEEDS = HERE.parents[2] / "shared/seeds"


def verdicts(report) -> dict[int, str]:
    return {e.line: e.status for e in report.equations}


def seed(start: str) -> Path:
    found = sorted(SEEDS.glob(f"{start}_*.txt"))
    if not found:
        pytest.skip("the source documents are not beside this checkout")
    return found[0]


@pytest.mark.seed("003-01", "003-08", "003-09", "003-11", "003-12", "003-14", "003-15", "003-16")
def test_the_source_document_003_has_four_models_and_twelve_correct_gradients():
    report = cr.audit(seed("003"))
    assert len(report.models) == 4
    assert [e.status for e in report.gradients] == ["correct"] * 12
    assert report.ok
    assert not report.unclear
    assert dict(report.models[3].shapes) == {
        "W_1": "k×n", "X": "n×m", "b_1": "k×1", "Z": "k×m", "A": "k×m", "w_2": "1×k",
        "b_2": "1×1", "ŷ": "1×m", "y": "1×m", "L": "1×1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [(r"\frac{2}{m}", r"\frac{1}{m}"), (r"\hat{y} - y", r"y - \hat{y}"), ("&= ", "&= -")],
)
def test_each_gradient_of_the_source_document_003_altered_is_found(old, new):
    path = seed("003")
    lines = path.read_text(encoding="utf-8").split("\n")
    for finding in cr.audit(path).gradients:
        changed = list(lines)
        assert old in changed[finding.line - 1]
        changed[finding.line - 1] = changed[finding.line - 1].replace(old, new)
        report = cr.audit("\n".join(changed), diagnose=False)
        assert [e.line for e in report.wrong] == [finding.line]


@pytest.mark.seed("001-09", "001-10", "001-11", "001-12", "001-13")
def test_the_source_document_001_is_checked_against_what_its_words_say():
    report = cr.audit(seed("001"))
    assert [e.status for e in report.gradients] == ["correct"] * 5
    (model,) = report.models
    assert any("squared error" in text for text in model.assumed)
    assert any("weighted sums" in text for text in model.assumed)


@pytest.mark.seed("002-01", "002-02")
def test_the_source_document_002_is_linear_and_leaves_one_claim_open():
    report = cr.audit(seed("002"))
    assert [e.status for e in report.gradients] == ["correct"] + ["not interpreted"] * 2
    assert all("c_k" in e.reason for e in report.unclear)


def test_the_source_document_000_holds_no_equations():
    assert cr.audit(seed("000")).summary == "no equations found"


def test_an_article_with_examples_in_rows_macros_and_softmax_is_right():
    report = cr.audit(DOCUMENTS / "softmax_rows.tex")
    assert [e.status for e in report.gradients] == ["correct"] * 7
    assert len(report.models) == 1
    assert any("probabilities" in note for note in report.notes)


def test_notes_with_indices_are_right():
    report = cr.audit(DOCUMENTS / "indices.md")
    assert [e.status for e in report.gradients] == ["correct"] * 6


def test_notes_layer_by_layer_are_right():
    report = cr.audit(DOCUMENTS / "nielsen.md")
    assert verdicts(report) == {
        3: "model", 5: "model", 6: "model", 10: "model", 16: "correct", 20: "correct",
        24: "correct", 28: "correct", 29: "correct", 31: "model", 33: "correct", 37: "correct",
    }  # fmt: skip


def test_five_planted_errors_are_found_named_and_mended():
    report = cr.audit(DOCUMENTS / "five_errors.md")
    assert {e.line: e.diagnosis for e in report.wrong} == {
        21: r"the sign of \frac{y}{a} is wrong",
        23: "the factor 1/m is missing",
        40: r"y and \hat{y} are swapped",
        42: "w_2 must be transposed",
        46: "Z_1 should be A_1",
    }
    assert all(e.right for e in report.wrong)
    assert "(1×k)(1×m) do not multiply" in report.wrong[3].reason
    text = (DOCUMENTS / "five_errors.md").read_text(encoding="utf-8")
    for finding in report.wrong:  # the right forms put in their places make the document right
        right = finding.right.split(" = ", 1)[1]
        lines = text.split("\n")
        end = r" \\" if lines[finding.line - 1].endswith(r"\\") else ""
        left = lines[finding.line - 1].split("&=")[0]
        lines[finding.line - 1] = f"{left}&= {right}{end}"
        text = "\n".join(lines)
    assert cr.audit(text).ok


@pytest.mark.parametrize(
    ("line", "wrong", "mistake"),
    [
        (16, r"\delta^l = \frac{\partial C}{\partial z^l}", None),
        (20, r"\delta^L = (a^L - y)", "σ'"),
        (20, r"\delta^L = 2 (a^L - y) \odot \sigma'(z^L)", "2"),
        (24, r"\delta^l = (w^{l+1} \delta^{l+1}) \odot \sigma'(z^l)", "transposed"),
        (24, r"\delta^l = ((w^{l})^T \delta^{l+1}) \odot \sigma'(z^l)", "should be"),
        (24, r"\delta^l = ((w^{l+1})^T \delta^{l+1}) \odot \sigma'(z^{l+1})", "should be"),
        (24, r"\delta^l = ((w^{l+1})^T \delta^{l+1}) \odot \sigma(z^l)", "derived"),
        (29, r"\frac{\partial C}{\partial w^l} = \delta^l (a^l)^T", "should be"),
        (29, r"\frac{\partial C}{\partial w^l} = \delta^l a^{l-1}", "transposed"),
        (33, r"\sigma'(z) = \sigma(z) (1 + \sigma(z))", "sign"),
        (37, r"w^l \leftarrow w^l + \eta \frac{\partial C}{\partial w^l}", ""),
    ],
)
def test_a_slip_in_the_notes_layer_by_layer_is_found(line, wrong, mistake):
    lines = (DOCUMENTS / "nielsen.md").read_text(encoding="utf-8").split("\n")
    lines[line - 1] = f"$$ {wrong} $$"
    report = cr.audit("\n".join(lines))
    if mistake is None:
        assert report.ok
        return
    assert [e.line for e in report.wrong] == [line]
    if mistake == "σ'":
        assert r"\odot \sigma'(z^L)" in report.wrong[0].right
    else:
        assert mistake in report.wrong[0].diagnosis


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (r"\frac{\partial C}{\partial a_j} &= y_j - a_j", "swapped"),
        (r"\frac{\partial C}{\partial z_j} &= (a_j - y_j) a_j (1 + a_j)", "sign"),
        (r"\frac{\partial z_j}{\partial w_{jk}} &= x_j", ""),
        (r"\frac{\partial C}{\partial w_{jk}} &= \frac{\partial C}{\partial z_j} a_j", ""),
        (r"\frac{\partial C}{\partial x_k} &= \sum_k w_{jk} \frac{\partial C}{\partial z_j}", ""),
    ],
)
def test_a_slip_in_notes_with_indices_is_found(wrong, mistake):
    text = (DOCUMENTS / "indices.md").read_text(encoding="utf-8")
    left = wrong.split("&=")[0].strip()
    lines = [wrong + r" \\" if row.startswith(left) else row for row in text.split("\n")]
    (found,) = cr.audit("\n".join(lines)).wrong
    assert mistake in found.diagnosis


COURSE = r"""
$X$ has shape $(n, m)$, $Y$ has shape $(1, m)$, $\sigma$ is the sigmoid.
$$Z^{[1]} = W^{[1]} X + b^{[1]}$$
$$A^{[1]} = \tanh(Z^{[1]})$$
$$Z^{[2]} = W^{[2]} A^{[1]} + b^{[2]}$$
$$A^{[2]} = \sigma(Z^{[2]})$$
$$J = -\frac{1}{m} \sum \left( Y \odot \log A^{[2]} + (1-Y) \odot \log (1 - A^{[2]}) \right)$$
$$dZ^{[2]} = A^{[2]} - Y$$
$$dW^{[2]} = \frac{1}{m} dZ^{[2]} A^{[1]T}$$
$$db^{[2]} = \frac{1}{m} \text{np.sum}(dZ^{[2]}, axis=1, keepdims=True)$$
$$dZ^{[1]} = W^{[2]T} dZ^{[2]} * g^{[1]\prime}(Z^{[1]})$$
$$dW^{[1]} = \frac{1}{m} dZ^{[1]} X^T$$
"""


def test_dz_may_be_the_derivative_of_one_example_if_the_rest_follows():
    report = cr.audit(COURSE)
    assert report.ok
    assert not report.unclear
    assert any(note.startswith("dZ^2, dZ^1: as defined here") for note in report.notes)
    wrong = COURSE.replace(r"\frac{1}{m} dZ^{[1]} X^T", r"dZ^{[1]} X^T")
    assert not cr.audit(wrong).ok


def test_a_chain_net_is_read_for_every_layer():
    text = r"""
$$ h_i = \sigma(w_i h_{i-1} + b_i) $$ with $h_0 = x$, $\sigma$ the sigmoid, and

$$ L = (h_n - y)^2 $$

$$ \frac{dL}{dw_i} = \frac{dL}{dh_i} \sigma'(w_i h_{i-1} + b_i) h_{i-1} $$
$$ \frac{dL}{dh_i} = \frac{dL}{dh_{i+1}} \sigma'(w_{i+1} h_i + b_{i+1}) w_{i+1} $$
"""
    assert [e.status for e in cr.audit(text).gradients] == ["correct"] * 2
    wrong = cr.audit(text.replace(r"b_{i+1}) w_{i+1}", r"b_{i+1}) w_i")).wrong
    assert [e.diagnosis for e in wrong] == ["w_i should be w_{i+1}"]


def test_softmax_and_its_jacobian_in_indices():
    text = r"""
$$ p_j = \frac{e^{z_j}}{\sum_k e^{z_k}}, \qquad L = -\sum_j y_j \log p_j $$
$$ \frac{\partial L}{\partial z_j} = p_j - y_j $$
$$ \frac{\partial p_j}{\partial z_k} = p_j (\delta_{jk} - p_k) $$
"""
    assert cr.audit(text).ok
    assert not cr.audit(text.replace("p_j - y_j", "y_j - p_j")).ok
    assert not cr.audit(text.replace(r"\delta_{jk} - p_k", r"\delta_{jk} + p_k")).ok


def test_plain_text_is_read_too():
    text = """Logistic regression

  z = w^T x + b
  a = sigmoid(z)
  L = -(y log(a) + (1 - y) log(1 - a))
  dL/dz = a - y
  dL/dw = (a - y) x
  dL/db = y - a
"""
    report = cr.audit(text)
    assert [e.status for e in report.gradients] == ["correct", "correct", "wrong"]
    assert report.wrong[0].line == 8


REALISTIC = r"""
# Notes

## Softmax regression

Let $X \in \mathbb{R}^{N \times D}$, $W \in \mathbb{R}^{D \times C}$, $b \in \mathbb{R}^{C}$, and
$Y$ one-hot of shape $(N, C)$. Some use ReLU elsewhere.

$$
\begin{align*}
S &= XW + b \\
P &= \text{softmax}(S) \\
L &= -\frac{1}{N} \sum_{i} \sum_{j} Y_{ij} \log P_{ij} + \frac{\lambda}{2} \|W\|_F^2
\end{align*}
$$
$$ \frac{\partial L}{\partial S} = \frac{1}{N}(P - Y) $$
$$ \frac{\partial L}{\partial W} = X^\top \frac{\partial L}{\partial S} + \lambda W $$

## One example

Now $z = W x + b$, $a = \text{ReLU}(z)$ and $\ell = \frac12 \lVert a - t \rVert_2^2$.

$$\frac{\partial \ell}{\partial z} = (a - t) \odot \mathbf{1}[z > 0]$$
$$\nabla_W \ell = \left( (a - t) \odot \mathbf{1}[z > 0] \right) x^\top$$
$$\nabla_b \ell = \nabla_z \ell$$

## Identities

$$ f = x^\top A x $$
$$ \frac{\partial f}{\partial x} = (A + A^\top) x $$
$$ \frac{\partial f}{\partial A} = x x^\top $$
$$ \frac{d}{dx} \tanh(x) = 1 - \tanh^2(x) $$
$$ \frac{d\sigma}{dx} = \sigma(x)(1-\sigma(x)) $$
$$ \sigma'(x) = \frac{e^{-x}}{(1+e^{-x})^2} $$

## Least squares

$$ L(w) = \|Xw - y\|^2 $$
$$ \nabla L = 2 X^T (Xw - y) $$
"""


def test_notes_in_many_notations_are_right():
    report = cr.audit(REALISTIC)
    assert report.ok, report
    assert not report.unclear, report
    assert len(report.models) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"+ \lambda W $$", r"+ 2 \lambda W $$"),
        (r"\frac{1}{N}(P - Y)", "P - Y"),
        (r"\right) x^\top", r"\right) x"),
        ("(A + A^\\top) x", "2 A x"),
        (r"\frac{\partial f}{\partial A} = x x^\top", r"\frac{\partial f}{\partial A} = x^\top x"),
        (r"1 - \tanh^2(x)", r"1 + \tanh^2(x)"),
        (r"\sigma(x)(1-\sigma(x))", r"\sigma(x)(1+\sigma(x))"),
        ("(1+e^{-x})^2", "(1+e^{-x})"),
        (r"\odot \mathbf{1}[z > 0]$$", r"\odot \mathbf{1}[z < 0]$$"),
    ],
)
def test_a_slip_in_notes_in_many_notations_is_found(old, new):
    assert REALISTIC.count(old) == 1
    assert len(cr.audit(REALISTIC.replace(old, new), diagnose=False).wrong) == 1


@pytest.mark.parametrize("sign", ["*", r"\cdot", ""])
def test_the_products_of_a_cross_entropy_are_entry_by_entry_however_they_are_written(sign):
    text = rf"""
$$Z = W X + b$$
$$A = \sigma(Z)$$
$$J = -\frac{{1}}{{m}} \sum(Y {sign} \log(A) + (1-Y) {sign} \log(1-A))$$
$$\frac{{\partial J}}{{\partial W}} = \frac{{1}}{{m}}(A - Y)X^T$$
"""
    assert [e.status for e in cr.audit(text).gradients] == ["correct"]
    wrong = cr.audit(text.replace("(A - Y)X^T", "(Y - A)X^T"))
    assert [e.status for e in wrong.gradients] == ["wrong"]


def test_a_wrong_dz_that_nothing_builds_on_is_no_definition():
    text = r"""
$$Z = W X + b$$
$$A = \tanh(Z)$$
$$L = \frac{1}{2}\|A - Y\|^2$$
$$dZ = (A - Y) \odot (1 - A)$$
"""
    assert [e.status for e in cr.audit(text).gradients] == ["wrong"]


def test_a_dz_that_nothing_builds_on_is_not_passed_because_others_are_definitions():
    without = COURSE[: COURSE.index("$$dW^{[1]}")]
    for text in (without, without.replace(r"* g^{[1]\prime}(Z^{[1]})", "* Z^{[1]}")):
        report = cr.audit(text)
        assert [e.equation.text[:8] for e in report.unclear] == ["dZ^{[1]}"]
        assert [n[:5] for n in report.notes if "as defined" in n] == ["dZ^2:"]


@pytest.mark.parametrize("nabla", [r"\nabla J(w)", r"\nabla_w J", "∇J(w)"])
def test_a_gradient_with_its_argument_is_by_that(nabla):
    text = rf"""
$$J(w) = \frac{{1}}{{2m}} \|Xw - y\|^2$$
$${nabla} = \frac{{1}}{{m}} X^T (Xw - y)$$
"""
    assert [e.status for e in cr.audit(text).gradients] == ["correct"]
    wrong = cr.audit(text.replace(r"\frac{1}{m} X^T", "X^T"))
    assert [e.status for e in wrong.gradients] == ["wrong"]
