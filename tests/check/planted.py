"""One mistake each, and the nearest network without it: what every lint rule is tested on."""

from __future__ import annotations

from typing import NamedTuple

HEAD = """
param W_1: n k
param b_1: k
param W_2: k c
param b_2: c
input X: m n
"""
LABELS = "input y: m int\n"
ROWS = "input y: m c\n"
HIDDEN = "Z = X @ W_1 + b_1\nA = relu(Z)\n"
LOGITS = HEAD + LABELS + HIDDEN + "S = A @ W_2 + b_2\n"
VALUES = HEAD + ROWS + HIDDEN + "S = A @ W_2 + b_2\n"
LAYERS = HEAD + HIDDEN + "S = A @ W_2 + b_2\n"
LINEAR = "param w: n\nparam b:\ninput X: m n\ninput y: m\nz = X @ w + b\n"


class Planted(NamedTuple):
    """A rule, a network with its mistake, the value that is named, and a network without."""

    code: str
    wrong: str
    where: str
    right: str


def pair(code: str, head: str, wrong: str, right: str, where: str = "return") -> Planted:
    return Planted(code, head + wrong, where, head + right)


PLANTED = [
    # the last layer and the loss
    pair(
        "double-softmax", LOGITS,
        'p = softmax(S, over="c")\nreturn cross_entropy(p, y)',
        "return cross_entropy(S, y)",
    ),
    pair(
        "double-softmax", LOGITS,
        'p = softmax(2 * S, over="c")\nreturn cross_entropy(p / 0.5, y)',
        "return cross_entropy(S / 0.5, y)",
    ),
    pair(
        "double-softmax", VALUES,
        'p = softmax(S, over="c")\nq = log_softmax(p, over="c")\nreturn -sum(y * q) / size("m")',
        'q = log_softmax(S, over="c")\nreturn -sum(y * q) / size("m")',
        "q",
    ),
    pair(
        "double-softmax", VALUES,
        'p = softmax(S, over="c")\nq = softmax(p, over="c")\nreturn kl(q, y)',
        'p = softmax(S, over="c")\nreturn kl(p, y)',
        "q",
    ),
    pair(
        "activation-before-logits", VALUES,
        "p = sigmoid(S)\nreturn bce_logits(p, y)",
        "p = sigmoid(S)\nreturn bce(p, y)",
    ),
    pair(
        "activation-before-logits", LOGITS,
        "return cross_entropy(sigmoid(S), y)",
        "return cross_entropy(S, y)",
    ),
    pair(
        "activation-before-logits", VALUES,
        'return bce_logits(softmax(S, over="c"), y)',
        "return bce_logits(S, y)",
    ),
    pair(
        "bounded-logits", LOGITS,
        "return cross_entropy(tanh(S), y)",
        "return cross_entropy(30 * tanh(S / 30), y)",
    ),
    pair(
        "bounded-logits", VALUES,
        "return bce_logits(relu(S), y)",
        "return bce_logits(S, y)",
    ),
    pair("not-probabilities", VALUES, "return bce(S, y)", "return bce(sigmoid(S), y)"),
    pair("not-probabilities", VALUES, "return bce(tanh(S), y)", "return bce((1 + tanh(S)) / 2, y)"),
    pair("not-probabilities", VALUES, "return kl(S, y)", 'return kl(softmax(S, over="c"), y)'),
    pair(
        "unreachable-probabilities", VALUES,
        "return bce(sigmoid(relu(S)), y)",
        "return bce(clip(sigmoid(S), 0.000001, 0.999999), y)",
    ),
    pair(
        "softmax-axis", VALUES,
        'p = softmax(S, over="m")\nreturn mse(p, y)',
        'p = softmax(S, over="c")\nreturn mse(p, y)',
        "p",
    ),
    pair(
        "softmax-axis", VALUES,
        'return cross_entropy(S, y, over="m")',
        'return cross_entropy(S, y, over="c")',
    ),
    Planted(
        "softmax-of-one",
        "param W: n c=1\ninput X: m n\ninput y: m c=1\nreturn mse(softmax(X @ W, over='c'), y)",
        "return",
        "param W: n c=2\ninput X: m n\ninput y: m c=2\nreturn mse(softmax(X @ W, over='c'), y)",
    ),
    Planted(
        "softmax-of-one",
        "param W: n c=1\ninput X: m n\ninput y: m int\nreturn cross_entropy(X @ W, y)",
        "return",
        "param W: n c=1\ninput X: m n\ninput y: m c=1\nreturn bce_logits(X @ W, y)",
    ),
    pair(
        "unstable-log", VALUES,
        'q = log(softmax(S, over="c"))\nreturn -sum(y * q) / size("m")',
        'q = log_softmax(S, over="c")\nreturn -sum(y * q) / size("m")',
        "q",
    ),
    pair("unstable-log", LAYERS, "return -mean(log(sigmoid(S)))", "return -mean(log_sigmoid(S))"),
    pair("unstable-log", LAYERS, "return mean(log(1 + exp(S)))", "return mean(log(1 + square(S)))"),
    pair("unstable-log", LAYERS, "return mean(log1p(exp(S)))", "return mean(softplus(S))"),
    pair(
        "unstable-log", LAYERS,
        'return mean(log(sum(exp(S), over="c")))',
        'return mean(logsumexp(S, over="c"))',
    ),
    pair(
        "softmax-by-hand", VALUES,
        'p = exp(S) / expand(sum(exp(S), over="c"), "m c")\nreturn mse(p, y)',
        'M = expand(max(S, over="c"), "m c")\nE = exp(minimum(S - M, 0))\n'
        'p = E / expand(sum(E, over="c"), "m c")\nreturn mse(p, y)',
        "p",
    ),
    pair(
        "activation-with-its-loss", VALUES,
        "return bce(sigmoid(S), y)",
        "return bce_logits(S, y)",
    ),
    # what reaches the loss
    Planted(
        "prediction-target",
        "param w: n 1\ninput X: m n\ninput y: m\nz = X @ w\nreturn mse(z, y)",
        "return",
        "param w: n\ninput X: m n\ninput y: m\nz = X @ w\nreturn mse(z, y)",
    ),
    Planted(
        "axes",
        HEAD + LABELS + "Z = W_1 @ X\nreturn cross_entropy(Z, y)",
        "Z",
        HEAD + LABELS + HIDDEN + "return cross_entropy(A @ W_2 + b_2, y)",
    ),
    Planted(
        "graph",
        "param w:\ninput x: m\na = w * c\nb = a + x\nc = b\nreturn mean(c)",
        "return",
        "param w:\ninput x: m\na = w * x\nb = a + x\nc = b\nreturn mean(c)",
    ),
    pair(
        "unused-parameter", HEAD + "param W_3: k k2\n" + LABELS + HIDDEN,
        "return cross_entropy(A @ W_2 + b_2, y)",
        "B = A @ W_3\nreturn cross_entropy(A @ W_2 + b_2, y) + mean(square(B))",
        "W_3",
    ),
    pair(
        "unused-input", HEAD + "input t: m\n" + LABELS + HIDDEN,
        "return cross_entropy(A @ W_2 + b_2, y)",
        "return cross_entropy(A @ W_2 + b_2, y, weights=t)",
        "t",
    ),
    pair(
        "unused-value", LOGITS,
        'p = softmax(S, over="c")\nreturn cross_entropy(S, y)',
        "p = S\nreturn cross_entropy(p, y)",
        "p",
    ),
    pair(
        "no-gradient", LINEAR, "s = sign(z)\nreturn mse(s, y)", "s = tanh(z)\nreturn mse(s, y)", "s"
    ),
    pair(
        "no-gradient", LINEAR, "return mse(stop_gradient(z), y)",
        "return mse(z + stop_gradient(z), y)",
    ),
    pair(
        "no-effect", VALUES,
        "D = X @ W_1 + b_1 - X @ W_1\nreturn mse(relu(D) @ W_2 + b_2, y)",
        "D = X @ W_1 + b_1 - mean(X)\nreturn mse(relu(D) @ W_2 + b_2, y)",
        "W_1",
    ),
    pair(
        "no-effect", LINEAR,
        'e = z - mean(z, over="m")\nreturn mse(e, y)',
        "e = z - mean(y)\nreturn mse(e, y)",
        "b",
    ),
    pair(
        "no-effect",
        "param W: n c\nparam b:\ninput X: m n\ninput y: m int\n",
        "return cross_entropy(X @ W + b, y)",
        "return cross_entropy(X @ W * b, y)",
        "b",
    ),
    pair(
        "cancels-itself", VALUES,
        "D = S - S\nreturn mse(D + S, y)",
        "D = S - y\nreturn mse(D + S, y)",
        "D",
    ),
    pair(
        "cancels-itself", VALUES,
        'D = concat(A, rename(A, k="j"), over="k j", into="q")\nreturn mean(D) + mse(S, y)',
        'D = concat(A, rename(Z, k="j"), over="k j", into="q")\nreturn mean(D) + mse(S, y)',
        "D",
    ),
    # layers
    Planted(
        "symmetric-init",
        LOGITS.replace("W_1: n k", "W_1: n k init=zeros").replace("W_2: k c", "W_2: k c init=zeros")
        + "return cross_entropy(S, y)",
        "W_1",
        LOGITS.replace("W_2: k c", "W_2: k c init=zeros") + "return cross_entropy(S, y)",
    ),
    Planted(
        "stuck-at-start",
        LOGITS.replace("W_1: n k", "W_1: n k init=zeros") + "return cross_entropy(S, y)",
        "W_1",
        LOGITS.replace("relu", "tanh").replace("W_1: n k", "W_1: n k init=zeros")
        + "return cross_entropy(S, y)",
    ),
    Planted(
        "symmetric-init",
        "param W: n k init=constant:c=0.1\nparam v: k init=ones\ninput X: m n\ninput y: m\n"
        "return mse(tanh(X @ W) @ v, y)",
        "W",
        "param W: n\ninput X: m n\ninput y: m\nreturn mse(X @ W, y)",
    ),
    Planted(
        "linear-stack",
        VALUES.replace("relu(Z)", "Z") + "return mse(S, y)",
        "S",
        VALUES + "return mse(S, y)",
    ),
    pair(
        "same-value-twice", LOGITS,
        "B = relu(X @ W_1 + b_1)\nreturn cross_entropy(S, y) + mean(B)",
        "B = tanh(X @ W_1 + b_1)\nC = B\nreturn cross_entropy(S, y) + mean(C)",
        "B",
    ),
    pair(
        "sum-loss", VALUES, 'return mse(S, y, reduction="sum")', "return mse(S, y)"
    ),
    pair("sum-loss", VALUES, "return sum_squares(S, y)", 'return sum_squares(S, y) / size("m")'),
    pair(
        "penalised-bias", VALUES,
        "return mse(S, y) + 0.1 * sum(square(b_1)) + 0.1 * sum(square(W_1))",
        "return mse(S, y) + 0.1 * sum(square(W_1)) + 0.1 * sum(square(W_2))",
        "b_1",
    ),
    pair(
        "squashed-twice", VALUES, "return mse(sigmoid(tanh(S)), y)", "return mse(sigmoid(S), y)"
    ),
    pair("squashed-twice", VALUES, "return mse(relu(relu(S)), y)", "return mse(relu(tanh(S)), y)"),
]  # fmt: skip
