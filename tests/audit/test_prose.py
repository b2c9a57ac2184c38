"""What sentences say about shapes."""

import pytest

from chainrule.auditing.prose import functions, shapes

ROW_N, NUMBER = ("row", "1", "n"), ("scalar", "1", "1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a matrix $X$ of shape $(n, m)$", {"X": ("matrix", "n", "m")}),
        (r"$W \in \mathbb{R}^{k \times n}$", {"W": ("matrix", "k", "n")}),
        (r"$W, V \in \mathbb{R}^{k \times n}$", dict.fromkeys("WV", ("matrix", "k", "n"))),
        (r"$x \in \mathbb{R}^n$", {"x": ("vector", "n", "")}),
        (r"an $n \times m$ matrix", {}),
        (r"$x = (x_1, \dots, x_m)$ is the input", {"x": ("row", "1", "m")}),
        (r"the column vector $x = (x_1, \ldots, x_n)^T$", {"x": ("column", "n", "1")}),
        ("row vectors $x$ and $y$", {"x": ("row", "1", ""), "y": ("row", "1", "")}),
        ("$x$ and $y$ are row vectors", {"x": ("row", "1", ""), "y": ("row", "1", "")}),
        ("$w$ a row vector of shape $(1, n)$ and $b$ a scalar", {"w": ROW_N, "b": NUMBER}),
        ("The bias parameter is still a scalar.", {"b": NUMBER}),
        ("bias $b_1$ of shape $(k, 1)$ broadcasted to $(k, m)$", {"b_1": ("column", "k", "1")}),
        ("the weights are a vector of shape $(1,n)$", {"w": ROW_N}),
        ("Instead of a scalar $w$, it has a vector $v$", {"v": ("vector", "", "")}),
        ("the weight-bias vector $(w_1, b)$ computed here", {}),
        ("no mathematics at all", {}),
    ],
)  # fmt: skip
def test_a_sentence_says(text, said):
    found = {s.symbol: (s.kind, *s.sizes) for s in shapes(text)}
    assert found == said


def test_functions_are_found_by_name():
    assert functions("through the sigmoid function, not ReLU") == ["sigmoid", "relu"]
    assert functions("a logistic activation") == ["sigmoid"]
    assert functions("nothing of the kind") == []
