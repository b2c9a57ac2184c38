"""Five networks as people write them in NumPy, and twelve mistakes that people make in each.

A mistake is a line of the right backward pass written otherwise: (old text, new text, the
parameter that is wrong first in the order of the backward pass, kinds that name it, words that the
report must contain).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Mistake:
    """One line written wrongly."""

    old: str
    new: str
    first: str
    kinds: tuple[str, ...]
    says: tuple[str, ...] = ()
    before: str = ""  # lines in front of the functions


@dataclass(frozen=True)
class Network:
    """A forward and a right backward pass, as text, and arrays for them."""

    name: str
    forward: str
    backward: str
    arrays: Callable[[np.random.Generator], dict[str, Any]]
    wrt: tuple[str, ...]
    mistakes: tuple[Mistake, ...]

    def functions(self, mistake: Mistake | None = None) -> tuple[Any, Any]:
        """Both functions, with one mistake or none."""
        backward = self.backward
        if mistake is not None:
            assert backward.count(mistake.old) >= 1, (self.name, mistake.old)
            backward = backward.replace(mistake.old, mistake.new)
        names: dict[str, Any] = {"np": np}
        before = mistake.before if mistake is not None else ""
        exec(textwrap.dedent(before) + self.forward + backward, names)
        return names["forward"], names["backward"]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


LOGISTIC = Network(
    "logistic",
    """
def forward(w, b, X, y):
    z = X @ w + b
    a = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
""",
    """
def backward(w, b, X, y):
    m = X.shape[0]
    z = X @ w + b
    a = 1 / (1 + np.exp(-z))
    dz = (a - y) / m
    dw = X.T @ dz
    db = dz.sum()
    return dw, db
""",
    lambda rng: {
        "w": rng.normal(size=4),
        "b": rng.normal(),
        "X": rng.normal(size=(7, 4)),
        "y": rng.integers(0, 2, size=7).astype(float),
    },
    ("w", "b"),
    (
        Mistake("dz = (a - y) / m", "dz = a - y", "b", ("factor",), ("1/m is missing",)),
        Mistake("dw = X.T @ dz", "dw = 2 * X.T @ dz", "w", ("factor",), ("2 times",)),
        Mistake("dz = (a - y) / m", "dz = (y - a) / m", "b", ("sign",)),
        Mistake("dz = (a - y) / m", "dz = (a - y) * a * (1 - a) / m", "b", ("doubled derivative",)),
        Mistake("dz = (a - y) / m", "dz = a / m", "b", ("missing term",), ("without the term y",)),
        Mistake(
            "dz = (a - y) / m",
            "dz = (z - y) / m",
            "b",
            ("wrong cached value", "derivative at wrong value"),
            ("with z where a belongs",),
        ),
        Mistake("db = dz.sum()", "db = dz.mean()", "b", ("factor",), ("1/m times",)),
        Mistake("db = dz.sum()", "db = dz[0]", "b", ("missing sum",), ("first example only",)),
        Mistake("dw = X.T @ dz", "dw = X.T * dz", "w", ("missing sum",), ("sum over the batch",)),
        Mistake("dw = X.T @ dz", "dw = X.T @ dz + 0.1 * w", "w", ("extra term",), ("0.1·w",)),
        Mistake(
            "    a = 1 / (1 + np.exp(-z))\n    dz",
            "    a = CACHE.setdefault('a', 1 / (1 + np.exp(-z)))\n    dz",
            "b",
            ("stale value",),
            ("a of an earlier call",),
            "CACHE = {}\n",
        ),
        Mistake("return dw, db", "return dw, -db", "b", ("sign",)),
    ),
)

TWO_LAYER = Network(
    "two_layer",
    """
def forward(W1, b1, w2, b2, X, y):
    Z = W1 @ X + b1
    A = 1 / (1 + np.exp(-Z))
    y_hat = w2 @ A + b2
    loss = np.sum((y_hat - y) ** 2) / X.shape[1]
    return loss, (Z, A, y_hat)
""",
    """
def backward(cache, W1, w2, X, y):
    Z, A, y_hat = cache
    m = X.shape[1]
    dy = 2 / m * (y_hat - y)
    dw2 = dy @ A.T
    db2 = dy.sum(axis=1, keepdims=True)
    dA = w2.T @ dy
    dZ = dA * A * (1 - A)
    dW1 = dZ @ X.T
    db1 = dZ.sum(axis=1, keepdims=True)
    return {"W1": dW1, "b1": db1, "w2": dw2, "b2": db2}
""",
    lambda rng: {
        "W1": rng.normal(size=(3, 4)),
        "b1": rng.normal(size=(3, 1)),
        "w2": rng.normal(size=(1, 3)),
        "b2": rng.normal(size=(1, 1)),
        "X": rng.normal(size=(4, 6)),
        "y": rng.normal(size=(1, 6)),
    },
    ("W1", "b1", "w2", "b2"),
    (
        Mistake("2 / m * (y_hat", "1 / m * (y_hat", "b2", ("factor",), ("½",)),
        Mistake("2 / m * (y_hat", "2 * (y_hat", "b2", ("factor",), ("1/m is missing",)),
        Mistake("dA * A * (1 - A)", "dA", "b1", ("missing derivative",), ("sigmoid",)),
        Mistake(
            "dA * A * (1 - A)", "dA * Z * (1 - Z)", "b1", ("derivative at wrong value",), ("Z",)
        ),
        Mistake("dA * A * (1 - A)", "dA * (A * (1 - A)) ** 2", "b1", ("doubled derivative",)),
        Mistake("dA * A * (1 - A)", "dA * (1 - A)", "b1", ("missing term",), ("A",)),
        Mistake("dw2 = dy @ A.T", "dw2 = dy @ Z.T", "w2", ("wrong cached value",), ("Z", "A")),
        Mistake(
            "db1 = dZ.sum(axis=1, keepdims=True)", "db1 = dZ", "b1", ("missing sum",), ("batch",)
        ),
        Mistake(
            "db1 = dZ.sum(axis=1, keepdims=True)",
            "db1 = dZ[:, -1:]",
            "b1",
            ("missing sum",),
            ("last example",),
        ),
        Mistake("dW1 = dZ @ X.T", "dW1 = X @ dZ.T", "W1", ("missing transpose",)),
        Mistake("dW1 = dZ @ X.T", "dW1 = dA @ X.T", "W1", ("wrong upstream",), ("dA", "dZ")),
        Mistake(
            "dA = w2.T @ dy",
            "w2 = w2 - 0.5 * dw2\n    dA = w2.T @ dy",
            "b1",
            ("stale value",),
            ("0.5·dw2",),
        ),
    ),
)

CLASSIFIER = Network(
    "classifier",
    """
def forward(W1, b1, W2, b2, X, labels):
    Z1 = X.dot(W1) + b1
    H = np.maximum(0, Z1)
    S = H.dot(W2) + b2
    S = S - S.max(axis=1, keepdims=True)
    P = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
    loss = -np.log(P[np.arange(len(labels)), labels]).mean()
    return loss, {"Z1": Z1, "H": H, "P": P}
""",
    """
def backward(Z1, H, P, W2, X, labels):
    m = len(labels)
    dS = P.copy()
    dS[np.arange(m), labels] -= 1
    dS /= m
    dW2 = H.T.dot(dS)
    db2 = dS.sum(axis=0)
    dH = dS.dot(W2.T)
    dZ1 = dH * (Z1 > 0)
    dW1 = X.T.dot(dZ1)
    db1 = dZ1.sum(axis=0)
    return dW1, db1, dW2, db2
""",
    lambda rng: {
        "W1": rng.normal(size=(4, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 3)),
        "b2": rng.normal(size=3),
        "X": rng.normal(size=(9, 4)),
        "labels": rng.integers(0, 3, size=9),
    },
    ("W1", "b1", "W2", "b2"),
    (
        Mistake("    dS /= m\n", "", "b2", ("factor",), ("1/m is missing",)),
        Mistake("    dS[np.arange(m), labels] -= 1\n", "", "b2", ("missing term",)),
        Mistake(
            "dS[np.arange(m), labels] -= 1", "dS[np.arange(m), labels] += 1", "b2", ("wrong term",)
        ),
        Mistake("dH * (Z1 > 0)", "dH", "b1", ("missing derivative",), ("relu",)),
        Mistake(
            "dW2 = H.T.dot(dS)", "dW2 = Z1.T.dot(dS)", "W2", ("wrong cached value",), ("Z1", "H")
        ),
        Mistake(
            "dH * (Z1 > 0)", "dH * H", "b1", ("wrong cached value", "derivative at wrong value")
        ),
        Mistake("dW2 = H.T.dot(dS)", "dW2 = dS.T.dot(H)", "W2", ("missing transpose",)),
        Mistake("db2 = dS.sum(axis=0)", "db2 = dS[0]", "b2", ("missing sum",), ("first",)),
        Mistake("db1 = dZ1.sum(axis=0)", "db1 = dZ1.mean(axis=0)", "b1", ("factor",), ("1/m",)),
        Mistake("dW1 = X.T.dot(dZ1)", "dW1 = X.T.dot(dH)", "W1", ("wrong upstream",), ("dH",)),
        Mistake("dH = dS.dot(W2.T)", "dH = -dS.dot(W2.T)", "b1", ("sign",)),
        Mistake(
            "return dW1, db1, dW2, db2", "return dW2, db2, dW1, db1", "b2", ("swapped results",)
        ),
    ),
)

CHAIN = Network(
    "tanh_chain",
    """
def forward(W1, W2, W3, W4, X, Y):
    H1 = np.tanh(W1 @ X)
    H2 = np.tanh(W2 @ H1)
    H3 = np.tanh(W3 @ H2)
    H4 = np.tanh(W4 @ H3)
    loss = 0.5 * np.mean(np.sum((H4 - Y) ** 2, axis=0))
    return loss, [H1, H2, H3, H4]
""",
    """
def backward(cache, W1, W2, W3, W4, X, Y):
    H1, H2, H3, H4 = cache
    d4 = (H4 - Y) / X.shape[1] * (1 - H4 ** 2)
    dW4 = d4 @ H3.T
    d3 = (W4.T @ d4) * (1 - H3 ** 2)
    dW3 = d3 @ H2.T
    d2 = (W3.T @ d3) * (1 - H2 ** 2)
    dW2 = d2 @ H1.T
    d1 = (W2.T @ d2) * (1 - H1 ** 2)
    dW1 = d1 @ X.T
    return [dW1, dW2, dW3, dW4]
""",
    lambda rng: {
        **{f"W{i}": rng.normal(size=(5, 5)) / 2 for i in range(1, 5)},
        "X": rng.normal(size=(5, 6)),
        "Y": rng.normal(size=(5, 6)),
    },
    ("W1", "W2", "W3", "W4"),
    (
        Mistake("(W3.T @ d3)", "(W3 @ d3)", "W2", ("missing transpose",), ("W3",)),
        Mistake("(W4.T @ d4)", "(W3.T @ d4)", "W3", ("wrong cached value",), ("W3", "W4")),
        Mistake("dW3 = d3 @ H2.T", "dW3 = d3 @ H3.T", "W3", ("wrong cached value",), ("H3", "H2")),
        Mistake("dW1 = d1 @ X.T", "dW1 = d1 @ H1.T", "W1", ("wrong cached value",), ("H1", "X")),
        Mistake("(1 - H2 ** 2)", "(1 - H2)", "W2", ("wrong term",), ("square",)),
        Mistake("(1 - H3 ** 2)", "(1 + H3 ** 2)", "W3", ("wrong term",)),
        Mistake(
            "(1 - H2 ** 2)", "(1 - np.tanh(H2) ** 2)", "W2", ("derivative at wrong value",), ("H2",)
        ),
        Mistake(
            "(1 - H1 ** 2)", "(1 - (W1 @ X) ** 2)", "W1", ("derivative at wrong value",), ("W1",)
        ),
        Mistake(" * (1 - H4 ** 2)", "", "W4", ("missing derivative",), ("tanh",)),
        Mistake(
            "dW2 = d2 @ H1.T",
            "dW2 = (d2 @ H1.T).T",
            "W2",
            ("missing transpose", "swapped operands"),
        ),
        Mistake("dW2 = d2 @ H1.T", "dW2 = d3 @ H1.T", "W2", ("wrong upstream",)),
        Mistake("(H4 - Y) / X.shape[1]", "(H4 - Y)", "W4", ("factor",), ("1/m is missing",)),
    ),
)

SKIP = Network(
    "shared_skip",
    """
def forward(W, U, b, X, Y):
    A = W @ X + b
    H = np.tanh(A)
    B = W @ H + b
    G = np.tanh(B) + H
    out = U @ G
    loss = np.mean((out - Y) ** 2)
    return loss, dict(A=A, H=H, B=B, G=G, out=out)
""",
    """
def backward(A, H, B, G, out, W, U, b, X, Y):
    dout = 2 * (out - Y) / Y.size
    dU = dout @ G.T
    dG = U.T @ dout
    dB = dG * (1 - np.tanh(B) ** 2)
    dH = dG + W.T @ dB
    dA = dH * (1 - H ** 2)
    dW = dB @ H.T + dA @ X.T
    db = dB.sum(axis=1, keepdims=True) + dA.sum(axis=1, keepdims=True)
    return {"dW": dW, "dU": dU, "db": db}
""",
    lambda rng: {
        "W": rng.normal(size=(4, 4)) / 2,
        "U": rng.normal(size=(3, 4)),
        "b": rng.normal(size=(4, 1)),
        "X": rng.normal(size=(4, 7)),
        "Y": rng.normal(size=(3, 7)),
    },
    ("W", "U", "b"),
    (
        Mistake("dH = dG + W.T @ dB", "dH = W.T @ dB", "b", ("missing path",)),
        Mistake("dH = dG + W.T @ dB", "dH = dG", "b", ("missing path",)),
        Mistake("dH = dG + W.T @ dB", "dH = 2 * dG + W.T @ dB", "b", ("double-counted path",)),
        Mistake("dW = dB @ H.T + dA @ X.T", "dW = dB @ H.T", "W", ("missing path",)),
        Mistake("dW = dB @ H.T + dA @ X.T", "dW = dA @ X.T", "W", ("missing path",)),
        Mistake(
            "+ dA.sum(axis=1, keepdims=True)",
            "+ 2 * dA.sum(axis=1, keepdims=True)",
            "b",
            ("double-counted path",),
        ),
        Mistake("dH = dG + W.T @ dB", "dH = dG + W @ dB", "b", ("missing transpose",), ("W",)),
        Mistake("2 * (out - Y) / Y.size", "2 * (out - Y) / Y.shape[1]", "U", ("factor",)),
        Mistake("dU = dout @ G.T", "dU = dout @ H.T", "U", ("wrong cached value",), ("H", "G")),
        Mistake("dH = dG + W.T @ dB", "dH = dG - W.T @ dB", "b", ("sign",)),
        Mistake(
            "dB = dG * (1 - np.tanh(B) ** 2)",
            "dB = dG * (1 - G ** 2)",
            "b",
            ("derivative at wrong value", "wrong cached value"),
            ("G",),
        ),
        Mistake("dA = dH * (1 - H ** 2)", "dA = dH", "b", ("missing derivative",), ("tanh",)),
    ),
)

NETWORKS = (LOGISTIC, TWO_LAYER, CLASSIFIER, CHAIN, SKIP)


def buggy() -> Iterator[tuple[Network, Mistake]]:
    """All sixty."""
    for network in NETWORKS:
        for mistake in network.mistakes:
            yield network, mistake
