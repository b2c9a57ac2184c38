"""Small networks for the tests of the check, built by hand."""

from __future__ import annotations

from chainrule.expr import Definition, Expr, const, input_
from chainrule.ops import OPS, matmul, sum_
from chainrule.ops.indexing import concat, cut, rename, split
from chainrule.ops.structure import expand, max_, mean, transpose

ACTIVATIONS = (
    "sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus",
    "log_sigmoid", "tanh", "erf", "abs", "square", "exp",
)  # fmt: skip
LOSSES = (
    "mse",
    "half_mse",
    "mae",
    "huber",
    "log_cosh",
    "poisson",
    "bce_logits",
    "hinge",
    "sum_squares",
)


def net(name: str, root: Expr, params: str, *inputs: Expr, **values: Expr) -> Definition:
    return Definition(name, root, inputs, tuple(values.items()), tuple(params.split()))


def columns(activation: str, loss: str = "mse") -> Definition:
    """Two layers, examples as columns."""
    W_1, b_1, w_2, b_2 = (
        input_(n, a) for n, a in (("W_1", "k n"), ("b_1", "k"), ("w_2", "o k"), ("b_2", ""))
    )
    X, y = input_("X", "n m"), input_("y", "o m")
    A = OPS[activation](matmul(W_1, X) + b_1)
    root = OPS[loss](matmul(w_2, A) + b_2, y)
    return net("columns", root, "W_1 b_1 w_2 b_2", W_1, b_1, w_2, b_2, X, y, A=A)


def rows(activation: str, **loss: float) -> Definition:
    """Two layers, examples as rows, labels as classes."""
    W_1, b_1, W_2, b_2 = (
        input_(n, a) for n, a in (("W_1", "n k"), ("b_1", "k"), ("W_2", "k c"), ("b_2", "c"))
    )
    X, y = input_("X", "m n"), input_("y", "m int")
    root = OPS["cross_entropy"](matmul(OPS[activation](matmul(X, W_1) + b_1), W_2) + b_2, y, **loss)
    return net("rows", root, "W_1 b_1 W_2 b_2", W_1, b_1, W_2, b_2, X, y)


def chain(depth: int, activation: str = "sigmoid") -> Definition:
    """One node a layer: h_i = σ(w_i h_{i−1} + b_i)."""
    x, y = input_("x", ""), input_("y", "")
    h, params = x, []
    for i in range(depth):
        params += [input_(f"w_{i}", ""), input_(f"b_{i}", "")]
        h = OPS[activation](params[-2] * h + params[-1])
    return net("chain", OPS["square"](h - y), " ".join(p.name for p in params), *params, x, y)


def with_dropout() -> Definition:
    W, X, key = input_("W", "k n"), input_("X", "n m"), input_("key", "int")
    A = OPS["dropout"](OPS["tanh"](matmul(W, X)), key, 0.5)
    return net("with_dropout", mean(OPS["square"](A)), "W", W, X, key)


def embedding() -> Definition:
    """Looked up, joined, cut, divided, normalised: what moves values about."""
    E, v, words = input_("E", "v d"), input_("u", "m q"), input_("words", "m int")
    joined = concat(OPS["gather"](E, words, "v"), v, over="d q", into="r")
    best = max_(joined, "r")
    first = cut(OPS["softmax"](joined, "r"), "r", "s", 0, 2)
    hot = OPS["one_hot"](words, "z", 5)
    root = mean(OPS["square"](first)) + mean(best) + sum_(expand(best, "m z") * hot) / 7
    return net("embedding", root, "E u", E, v, words)


def heads() -> Definition:
    """One axis divided into two and renamed, contracted with itself: a little attention."""
    W, X = input_("W", "n q"), input_("X", "m n")
    H = split(matmul(X, W), "q", "h e", h=2)
    scores = OPS["contract"](H, rename(H, m="p"), "e")
    weights = OPS["softmax"](scores, "p")
    root = mean(OPS["contract"](weights, rename(H, m="p"), "p") * transpose(H, "h m e"))
    return net("heads", root, "W", W, X)


def stopped() -> Definition:
    x, w = input_("x", "m"), input_("w", "m")
    return net("stopped", sum_(OPS["stop_gradient"](x * w) * w + OPS["erf"](w)), "w", x, w)


def scaled_zero() -> Definition:
    """relu at exactly 0, everywhere and always."""
    W, X = input_("W", "k m"), input_("X", "k m")
    return net("scaled_zero", mean(OPS["relu"](W * const(0) * X) + W), "W", W, X)
