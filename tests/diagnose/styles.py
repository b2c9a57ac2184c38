"""Right backward passes in the styles in which people write them.

For each network: ways to write forward, and bodies of backward that compute gradients d<name> from
the inputs alone. `passes` combines them with ways to call and to return.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.diagnose.networks import CHAIN, CLASSIFIER, LOGISTIC, SKIP, TWO_LAYER, Network


@dataclass(frozen=True)
class Style:
    """A right pair, made from text."""

    name: str
    forward: Any
    backward: Any
    arrays: Any
    wrt: tuple[str, ...]
    dtype: str


# -- logistic regression ------------------------------------------------------------------------
LOGISTIC_FORWARDS = [
    LOGISTIC.forward,
    """
def forward(w, b, X, y):
    z = np.dot(X, w) + b
    return np.mean(np.logaddexp(0, z) - y * z)
""",
    """
def forward(w, b, X, y):
    p = np.where(X @ w + b > 0, 1 / (1 + np.exp(-np.abs(X @ w + b))),
                 np.exp(-np.abs(X @ w + b)) / (1 + np.exp(-np.abs(X @ w + b))))
    return float(-(np.log(p[y == 1]).sum() + np.log(1 - p[y == 0]).sum()) / len(y))
""",
    """
def forward(w, b, X, y):
    s = 2 * y - 1
    return np.log1p(np.exp(-s * (X.dot(w) + b))).sum() / X.shape[0]
""",
]
LOGISTIC_BACKWARDS = [
    """
p = 1 / (1 + np.exp(-(X @ w + b)))
dw, db = (p - y) @ X / len(y), np.mean(p - y)
""",
    """
dw, db = np.zeros_like(w), 0.0
for i in range(len(y)):
    z = b
    for j in range(len(w)):
        z += X[i, j] * w[j]
    r = 1 / (1 + np.exp(-z)) - y[i]
    for j in range(len(w)):
        dw[j] += r * X[i, j] / len(y)
    db += r / len(y)
""",
    """
Xb = np.hstack([X, np.ones((len(X), 1), X.dtype)])
p = 0.5 * (1 + np.tanh((Xb @ np.append(w, b)) / 2))
both = Xb.T @ (p - y) / len(X)
dw, db = both[:-1], both[-1]
""",
    """
s = 2 * y - 1
q = 1 / (1 + np.exp(s * (X @ w + b)))
dw = np.einsum('i,ij->j', -s * q, X) / X.shape[0]
db = (-s * q).mean()
""",
    """
e = np.exp(-(X @ w + b))
r = ((1 - y) - y * e) / (1 + e)
dw = sum(r[i] * X[i] for i in range(len(r))) / len(r)
db = np.add.reduce(r) / r.size
""",
]

# -- two layers, sigmoid, squared error -----------------------------------------------------------
TWO_LAYER_FORWARDS = [
    TWO_LAYER.forward,
    """
def sigmoid(x):
    return 0.5 * (np.tanh(x / 2) + 1)
def forward(W1, b1, w2, b2, X, y):
    r = w2.dot(sigmoid(W1.dot(X) + b1)) + b2 - y
    return np.vdot(r, r) / r.size
""",
    """
def forward(W1, b1, w2, b2, X, y):
    total = 0.0
    for i in range(X.shape[1]):
        a = 1 / (1 + np.exp(-(W1 @ X[:, i] + b1[:, 0])))
        total += (w2[0] @ a + b2[0, 0] - y[0, i]) ** 2
    return total / X.shape[1]
""",
    """
def forward(W1, b1, w2, b2, X, y):
    H = np.einsum('kn,nm->km', W1, X) + b1
    A = np.reciprocal(1 + np.exp(-H))
    return np.linalg.norm(np.einsum('ok,km->om', w2, A) + b2 - y) ** 2 / X.shape[1]
""",
]
TWO_LAYER_BACKWARDS = [
    """
A = 1 / (1 + np.exp(-(W1 @ X + b1)))
e = (2 / X.shape[1]) * (w2 @ A + b2 - y)
D = (A - A * A) * (w2.T * e)
db2, dw2, db1, dW1 = e.sum(axis=1, keepdims=True), e @ A.T, D.sum(1)[:, None], D @ X.T
""",
    """
A = 1 / (1 + np.exp(-(W1 @ X + b1)))
dW1, db1, dw2, db2 = (np.zeros_like(p) for p in (W1, b1, w2, b2))
for i in range(X.shape[1]):
    x, a = X[:, i], A[:, i]
    e = 2 * (w2[0] @ a + b2[0, 0] - y[0, i]) / X.shape[1]
    dw2[0] += e * a
    db2 += e
    d = e * w2[0] * a * (1 - a)
    dW1 += np.outer(d, x)
    db1[:, 0] += d
""",
    """
Z = W1 @ X + b1
s = np.exp(-Z) / (1 + np.exp(-Z)) ** 2
e = (w2 @ (1 / (1 + np.exp(-Z))) + b2 - y) / X.shape[1]
e = e + e
dW1 = np.einsum('k,m,km,nm->kn', w2[0], e[0], s, X)
db1 = np.einsum('k,m,km->k', w2[0], e[0], s).reshape(-1, 1)
dw2 = np.einsum('om,km->ok', e, 1 / (1 + np.exp(-Z)))
db2 = np.array([[e.sum()]])
""",
    """
Xt = X.T
A = 1 / (1 + np.exp(-(Xt.dot(W1.T) + b1.T)))
R = A.dot(w2.T) + b2 - y.T
dw2 = (2 * A.T.dot(R) / len(Xt)).T
db2 = 2 * R.mean(axis=0, keepdims=True)
D = R.dot(w2) * A * (1 - A)
dW1 = (2 * Xt.T.dot(D) / len(Xt)).T
db1 = 2 * D.mean(axis=0)[:, np.newaxis]
""",
    """
A = 1 / (1 + np.exp(-(W1 @ X + b1)))
e = w2 @ A + b2 - y
e *= 2
e /= X.shape[1]
db2 = e.sum(keepdims=True)
dw2 = np.tensordot(e, A, axes=([1], [1]))
D = np.multiply(np.kron(w2.T, e), A)
D -= D * A
dW1, db1 = np.dot(D, X.T), D @ np.ones((X.shape[1], 1), X.dtype)
""",
]

# -- classifier ---------------------------------------------------------------------------------
CLASSIFIER_FORWARDS = [
    CLASSIFIER.forward,
    """
def forward(W1, b1, W2, b2, X, labels):
    H = np.clip(X @ W1 + b1, 0, None)
    S = H @ W2 + b2
    top = np.max(S, axis=1)
    lse = top + np.log(np.sum(np.exp(S - top[:, None]), axis=1))
    return np.mean(lse - S[np.arange(len(labels)), labels])
""",
    """
def forward(W1, b1, W2, b2, X, labels):
    Y = np.eye(len(b2))[labels]
    Z = X @ W1 + b1
    H = Z * (Z > 0)
    E = np.exp(H @ W2 + b2)
    P = E / E.sum(1, keepdims=True)
    return -(Y * np.log(P)).sum() / Y.shape[0]
""",
    """
def forward(W1, b1, W2, b2, X, labels):
    Z = X @ W1 + b1
    H = np.where(Z > 0, Z, 0.0)
    S = np.dot(H, W2) + b2
    loss = 0
    for i in range(len(labels)):
        loss = loss - S[i, labels[i]] + np.log(np.exp(S[i]).sum())
    return loss / len(labels)
""",
]
CLASSIFIER_BACKWARDS = [
    """
Y = np.eye(len(b2))[labels]
Z = X @ W1 + b1
H = np.maximum(Z, 0)
E = np.exp(H @ W2 + b2)
D = (E / E.sum(1, keepdims=True) - Y) / len(Y)
G = D @ W2.T
G[Z <= 0] = 0
dW2, db2, dW1, db1 = H.T @ D, D.sum(0), X.T @ G, G.sum(0)
""",
    """
dW1, db1, dW2, db2 = (np.zeros_like(p) for p in (W1, b1, W2, b2))
for x, c in zip(X, labels):
    z = x @ W1 + b1
    h = z.clip(min=0)
    s = h @ W2 + b2
    p = np.exp(s - s.max())
    p /= p.sum()
    p[c] -= 1
    dW2 += np.outer(h, p) / len(X)
    db2 += p / len(X)
    g = np.where(z > 0, W2 @ p, 0) / len(X)
    dW1 += x[:, None] * g
    db1 += g
""",
    """
H = np.maximum(X @ W1 + b1, 0)
S = H @ W2 + b2
P = np.exp(S - np.log(np.exp(S).sum(axis=1))[:, None])
Y = (labels[:, None] == np.arange(P.shape[1])).astype(P.dtype)
dP = -Y / P / len(X)
dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
dW2 = np.einsum('mk,mc->kc', H, dS)
db2 = np.ones(len(X), X.dtype) @ dS
dZ = np.einsum('mc,kc->mk', dS, W2) * np.sign(H)
dW1, db1 = np.einsum('mn,mk->nk', X, dZ), np.einsum('mk->k', dZ)
""",
    """
Z = X @ W1 + b1
H = Z * (Z > 0)
S = H @ W2 + b2
P = np.exp(S) / np.sum(np.exp(S), 1, keepdims=True)
D = P.copy()
D[range(len(labels)), labels] = P[range(len(labels)), labels] - 1
dW2, db2 = H.T @ D / len(X), D.mean(0)
G = (D @ W2.T) * np.heaviside(Z, 0)
dW1, db1 = X.T @ G / len(X), G.mean(0)
""",
]

# -- chain of tanh layers -------------------------------------------------------------------------
CHAIN_FORWARDS = [
    CHAIN.forward,
    """
def forward(W1, W2, W3, W4, X, Y):
    A = X
    for W in (W1, W2, W3, W4):
        A = np.tanh(W.dot(A))
    return ((A - Y) ** 2).sum() / (2 * X.shape[1])
""",
    """
def forward(W1, W2, W3, W4, X, Y):
    At = X.T
    for W in [W1, W2, W3, W4]:
        E = np.exp(2 * np.matmul(At, W.T))
        At = (E - 1) / (E + 1)
    D = At.T - Y
    return 0.5 * np.einsum('ij,ij->', D, D) / D.shape[1]
""",
]
CHAIN_BACKWARDS = [
    """
Ws, As = [W1, W2, W3, W4], [X]
for W in Ws:
    As.append(np.tanh(W @ As[-1]))
G, grads = (As[-1] - Y) / X.shape[1], []
for W, below, here in zip(Ws[::-1], As[-2::-1], As[:0:-1]):
    G = G * (1 - here * here)
    grads.insert(0, G @ below.T)
    G = W.T @ G
dW1, dW2, dW3, dW4 = grads
""",
    """
dW1, dW2, dW3, dW4 = (np.zeros((5, 5), X.dtype) for _ in range(4))
for i in range(X.shape[1]):
    a = [X[:, i]]
    for W in (W1, W2, W3, W4):
        a.append(np.tanh(W @ a[-1]))
    g = a[4] - Y[:, i]
    for W, dW, k in ((W4, dW4, 4), (W3, dW3, 3), (W2, dW2, 2), (W1, dW1, 1)):
        g = g / np.cosh(W @ a[k - 1]) ** 2
        dW += np.outer(g, a[k - 1]) / X.shape[1]
        g = g @ W
""",
    """
H1 = np.tanh(W1 @ X); H2 = np.tanh(W2 @ H1); H3 = np.tanh(W3 @ H2); H4 = np.tanh(W4 @ H3)
m = X.shape[1]
d4 = (1 - H4) * (1 + H4) * (H4 - Y)
dW4 = np.einsum('am,bm->ab', d4, H3) / m
d3 = (1 - H3) * (1 + H3) * (d4.T @ W4).T
dW3 = np.einsum('am,bm->ab', d3, H2) / m
d2 = (1 - H2) * (1 + H2) * (d3.T @ W3).T
dW2 = np.einsum('am,bm->ab', d2, H1) / m
d1 = (1 - H1) * (1 + H1) * (d2.T @ W2).T
dW1 = np.einsum('am,bm->ab', d1, X) / m
""",
]

# -- shared weights and a skip connection ---------------------------------------------------------
SKIP_FORWARDS = [
    SKIP.forward,
    """
def forward(W, U, b, X, Y):
    H = np.tanh(W @ X + b)
    G = H + np.tanh(W @ H + b)
    return np.sum(np.square(U @ G - Y)) / Y.size
""",
    """
def forward(W, U, b, X, Y):
    h = np.tanh(X.T @ W.T + b.T)
    out = (np.tanh(h @ W.T + b[:, 0]) + h).dot(U.T)
    return ((out - Y.T) ** 2).mean(axis=0).mean()
""",
]
SKIP_BACKWARDS = [
    """
H = np.tanh(W @ X + b)
T = np.tanh(W @ H + b)
E = 2 * (U @ (T + H) - Y) / Y.size
G = U.T @ E
D = G * (1 - T * T)
F = (W.T @ D + G) * (1 - H * H)
dU = E @ (T + H).T
dW = np.hstack([F, D]) @ np.hstack([X, H]).T
db = np.hstack([F, D]).sum(axis=1, keepdims=True)
""",
    """
dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
for x, t in zip(X.T, Y.T):
    h = np.tanh(W @ x + b[:, 0])
    k = np.tanh(W @ h + b[:, 0])
    e = (U @ (h + k) - t) * 2 / Y.size
    dU += np.outer(e, h + k)
    g = e @ U
    d = g * (1 - k ** 2)
    dW += np.outer(d, h)
    db[:, 0] += d
    f = (g + d @ W) * (1 - h ** 2)
    dW += np.outer(f, x)
    db[:, 0] += f
""",
    """
H = np.tanh(W @ X + b); T = np.tanh(W @ H + b)
R = (U @ T + U @ H - Y) * (2.0 / np.prod(Y.shape))
dU = R @ T.T + R @ H.T
P = (U.T @ R) / np.cosh(W @ H + b) ** 2
Q = (U.T @ R) / np.cosh(W @ X + b) ** 2 + (W.T @ P) / np.cosh(W @ X + b) ** 2
dW = np.einsum('im,jm->ij', P, H) + np.einsum('im,jm->ij', Q, X)
db = np.sum(P + Q, axis=1).reshape(b.shape)
""",
]

FAMILIES = (
    (LOGISTIC, LOGISTIC_FORWARDS, LOGISTIC_BACKWARDS),
    (TWO_LAYER, TWO_LAYER_FORWARDS, TWO_LAYER_BACKWARDS),
    (CLASSIFIER, CLASSIFIER_FORWARDS, CLASSIFIER_BACKWARDS),
    (CHAIN, CHAIN_FORWARDS, CHAIN_BACKWARDS),
    (SKIP, SKIP_FORWARDS, SKIP_BACKWARDS),
)

RETURNS = {
    "tuple": "return {tuple}",
    "list": "return [{tuple}]",
    "dict": "return dict({names})",
    "d dict": "return dict({prefixed})",
    "copies in Fortran order": "return tuple(np.array(g, order='F') for g in ({tuple},))",
}
HEADS = {
    "inputs": "def backward({inputs}):",
    "reordered": "def backward(*, {reversed}):",
    "keywords": "def backward(**inputs):\n    {unpacked}",
    "cache": "def backward(cache):\n    {from_cache}",
    "upstream and cache": "def backward(dloss, cache):\n    {from_cache}",
}
LAYOUTS = {
    "plain": lambda a: a,
    "Fortran": lambda a: np.asfortranarray(a) if np.ndim(a) else a,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if np.ndim(a) else a,
}


def written(network: Network, body: str, head: str, result: str) -> str:
    """The text of a backward function."""
    inputs = list(network.arrays(np.random.default_rng(0)))
    texts = {
        "inputs": ", ".join(inputs),
        "reversed": ", ".join(inputs[::-1]),
        "unpacked": "; ".join(f"{n} = inputs[{n!r}]" for n in inputs),
        "from_cache": "; ".join(f"{n} = cache[{n!r}]" for n in inputs),
        "tuple": ", ".join(f"d{n}" for n in network.wrt),
        "names": ", ".join(f"{n}=d{n}" for n in network.wrt),
        "prefixed": ", ".join(f"d{n}=d{n}" for n in network.wrt),
    }
    lines = [HEADS[head].format(**texts), textwrap.indent(body.strip(), "    ")]
    return "\n".join([*lines, "    " + RETURNS[result].format(**texts)])


def caching(forward: str, network: Network) -> str:
    """A forward function that returns its inputs beside the loss."""
    inputs = ", ".join(network.arrays(np.random.default_rng(0)))
    return (
        forward.replace("def forward(", "def loss_of(")
        + f"""
def forward({inputs}):
    value = loss_of({inputs})
    return (value[0] if isinstance(value, tuple) else value), dict({_named(inputs)})
"""
    )


def _named(inputs: str) -> str:
    return ", ".join(f"{n}={n}" for n in inputs.split(", "))


def passes(count: int) -> Iterator[Style]:
    """So many right pairs; every way to write, call and return comes up."""
    rng = np.random.default_rng(7)
    heads, results, layouts = list(HEADS), list(RETURNS), list(LAYOUTS)
    for number in range(count):
        network, forwards, backwards = FAMILIES[number % len(FAMILIES)]
        turn = number // len(FAMILIES)
        forward, body = forwards[turn % len(forwards)], backwards[turn % len(backwards)]
        if turn >= len(forwards) * len(backwards):
            forward = forwards[rng.integers(len(forwards))]
            body = backwards[rng.integers(len(backwards))]
        head = heads[rng.integers(len(heads))]
        result, layout = results[rng.integers(len(results))], layouts[rng.integers(len(layouts))]
        dtype = "float32" if rng.random() < 0.35 else "float64"
        names: dict[str, Any] = {"np": np}
        text = caching(forward, network) if "cache" in head else forward
        exec(text + "\n" + written(network, body, head, result), names)

        def arrays(generator, network=network, layout=layout):
            return {n: LAYOUTS[layout](a) for n, a in network.arrays(generator).items()}

        yield Style(
            f"{number} {network.name} {turn} {head}, {result}, {layout}, {dtype}",
            names["forward"], names["backward"], arrays, network.wrt, dtype,
        )  # fmt: skip
