"""Networks with kinks, their backward passes by hand, and points exactly at the kinks.

At a kink each backward pass follows a convention c, the slope there: 0, ½ or 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import chainrule as cr


@dataclass(frozen=True)
class Kinked:
    """A definition, its backward pass with a convention, and shapes."""

    loss: Callable
    backward: Callable
    shapes: dict[str, tuple[int, ...]]
    wrt: tuple[str, ...]


def step(z, c):
    """The slope of relu, with c at 0."""
    return np.where(z == 0, np.asarray(c, z.dtype), (z > 0).astype(z.dtype))


def signum(z, c):
    """The slope of |z|, with 2c − 1 at 0."""
    return np.where(z == 0, np.asarray(2 * c - 1, z.dtype), np.sign(z))


def relu_net(W1: "k n", b1: "k", w2: "o k", b2: "o", X: "n m", y: "o m"):
    A = cr.relu(W1 @ X + b1)
    return cr.mse(w2 @ A + b2, y)


def relu_net_backward(a, c):
    Z = a["W1"] @ a["X"] + a["b1"][:, None]
    A = np.maximum(Z, 0)
    e = 2 * (a["w2"] @ A + a["b2"][:, None] - a["y"]) / a["X"].shape[1]
    D = (a["w2"].T @ e) * step(Z, c)
    return {"W1": D @ a["X"].T, "b1": D.sum(1), "w2": e @ A.T, "b2": e.sum(1)}


def deep_relu(U: "k n", V: "h k", w: "h", X: "n m", y: "m"):
    return cr.half_mse(w @ cr.relu(V @ cr.relu(U @ X)), y)


def deep_relu_backward(a, c):
    Z = a["U"] @ a["X"]
    A = np.maximum(Z, 0)
    S = a["V"] @ A
    H = np.maximum(S, 0)
    e = (a["w"] @ H - a["y"]) / a["y"].size
    D = a["w"][:, None] * e * step(S, c)
    F = (a["V"].T @ D) * step(Z, c)
    return {"U": F @ a["X"].T, "V": D @ A.T, "w": H @ e}


def classifier(W1: "n k", b1: "k", W2: "k c=3", b2: "c", X: "m n", t: "m int"):
    return cr.cross_entropy(cr.relu(X @ W1 + b1) @ W2 + b2, t)


def classifier_backward(a, c):
    Z = a["X"] @ a["W1"] + a["b1"]
    H = Z * (Z > 0)
    S = H @ a["W2"] + a["b2"]
    E = np.exp(S - S.max(1, keepdims=True))
    P = E / E.sum(1, keepdims=True)
    P[np.arange(len(P)), a["t"]] -= 1
    P /= len(P)
    D = (P @ a["W2"].T) * step(Z, c)
    return {"W1": a["X"].T @ D, "b1": D.sum(0), "W2": H.T @ P, "b2": P.sum(0)}


def absolute(w: "n", b: "", X: "m n", y: "m"):
    return cr.mae(X @ w + b, y)


def absolute_backward(a, c):
    s = signum(a["X"] @ a["w"] + a["b"] - a["y"], c) / np.float32(len(a["y"]))
    return {"w": s @ a["X"], "b": s.sum()}


def margins(w: "n", b: "", X: "m n", y: "m"):
    return cr.mean(cr.relu(1 - y * (X @ w + b)), "m")


def margins_backward(a, c):
    s = -a["y"] * step(1 - a["y"] * (a["X"] @ a["w"] + a["b"]), c) / np.float32(len(a["y"]))
    return {"w": a["X"].T @ s, "b": s.sum()}


def largest(W: "k n", X: "m n", g: "m"):
    return cr.sum(g * cr.max(X @ cr.transpose(W), "k"))


def largest_backward(a, c):
    S = a["X"] @ a["W"].T
    M = (S.max(1, keepdims=True) == S).astype(S.dtype)
    first, last = np.zeros_like(M), np.zeros_like(M)
    rows = np.arange(len(M))
    first[rows, M.argmax(1)] = 1
    last[rows, M.shape[1] - 1 - M[:, ::-1].argmax(1)] = 1
    share = {0: first, 1: last}.get(c, M / M.sum(1, keepdims=True))
    return {"W": (share * a["g"][:, None]).T @ a["X"]}


def leaky(W: "k n", v: "k", X: "n m", y: "m"):
    return cr.mse(v @ cr.leaky_relu(W @ X, slope=0.1), y)


def leaky_backward(a, c):
    Z = a["W"] @ a["X"]
    A = np.where(Z > 0, Z, np.float32(0.1) * Z)
    e = 2 * (a["v"] @ A - a["y"]) / np.float32(a["y"].size)
    slope = np.float32(0.1) + np.float32(0.9) * step(Z, c)
    return {"W": (a["v"][:, None] * e * slope) @ a["X"].T, "v": A @ e}


def smooth(W1: "k n", b1: "k", w2: "k", b2: "", X: "n m", y: "m"):
    A = cr.sigmoid(W1 @ X + b1)
    return cr.mse(w2 @ A + b2, y)


def smooth_backward(a, c):
    A = 1 / (1 + np.exp(-(a["W1"] @ a["X"] + a["b1"][:, None])))
    e = 2 * (a["w2"] @ A + a["b2"] - a["y"]) / np.float32(a["y"].size)
    D = a["w2"][:, None] * e * A * (1 - A)
    return {"W1": D @ a["X"].T, "b1": D.sum(1), "w2": A @ e, "b2": e.sum()}


def tanh_chain(U: "k n", V: "h k", w: "h", X: "n m", y: "m"):
    return cr.half_mse(w @ cr.tanh(V @ cr.tanh(U @ X)), y)


def tanh_chain_backward(a, c):
    A = np.tanh(a["U"] @ a["X"])
    H = np.tanh(a["V"] @ A)
    e = (a["w"] @ H - a["y"]) / np.float32(a["y"].size)
    D = a["w"][:, None] * e * (1 - H**2)
    F = (a["V"].T @ D) * (1 - A**2)
    return {"U": F @ a["X"].T, "V": D @ A.T, "w": H @ e}


def logistic(w: "n", b: "", X: "m n", y: "m"):
    return cr.bce_logits(X @ w + b, y)


def logistic_backward(a, c):
    r = (1 / (1 + np.exp(-(a["X"] @ a["w"] + a["b"]))) - a["y"]) / np.float32(len(a["y"]))
    return {"w": a["X"].T @ r, "b": r.sum()}


TWO = {"W1": (3, 4), "b1": (3,), "w2": (2, 3), "b2": (2,), "X": (4, 5), "y": (2, 5)}
DEEP = {"U": (3, 4), "V": (4, 3), "w": (4,), "X": (4, 5), "y": (5,)}
LINE = {"w": (4,), "b": (), "X": (6, 4), "y": (6,)}
NETWORKS = (
    Kinked(relu_net, relu_net_backward, TWO, ("W1", "b1", "w2", "b2")),
    Kinked(deep_relu, deep_relu_backward, DEEP, ("U", "V", "w")),
    Kinked(
        classifier,
        classifier_backward,
        {"W1": (4, 5), "b1": (5,), "W2": (5, 3), "b2": (3,), "X": (6, 4), "t": (6,)},
        ("W1", "b1", "W2", "b2"),
    ),
    Kinked(absolute, absolute_backward, LINE, ("w", "b")),
    Kinked(margins, margins_backward, LINE, ("w", "b")),
    Kinked(largest, largest_backward, {"W": (4, 3), "X": (5, 3), "g": (5,)}, ("W",)),
    Kinked(leaky, leaky_backward, {"W": (4, 3), "v": (4,), "X": (3, 6), "y": (6,)}, ("W", "v")),
    Kinked(
        smooth,
        smooth_backward,
        {"W1": (3, 4), "b1": (3,), "w2": (3,), "b2": (), "X": (4, 6), "y": (6,)},
        ("W1", "b1", "w2", "b2"),
    ),
    Kinked(tanh_chain, tanh_chain_backward, DEEP, ("U", "V", "w")),
    Kinked(logistic, logistic_backward, LINE, ("w", "b")),
)


def point(network: Kinked, rng: np.random.Generator, kind: int) -> dict[str, np.ndarray]:
    """Arrays in float32: anywhere, or such that many sums are exactly 0 or equal.

    kind 0, 1: anywhere; 2: small whole numbers, so that sums are 0 or tie; 3: examples that are 0,
    or twice the same, and no biases; 4: a unit without weights.
    """
    found = {}
    for name, shape in network.shapes.items():
        if name == "t":
            found[name] = rng.integers(0, 3, size=shape)
        elif kind == 2:
            found[name] = rng.integers(-2, 3, size=shape).astype(np.float32)
        else:
            found[name] = rng.normal(size=shape).astype(np.float32)
    if kind == 2 and network.loss in (smooth, tanh_chain):  # where nothing is saturated
        found = {n: a / np.float32(4) for n, a in found.items()}
    if network.loss in (margins, logistic):
        found["y"] = np.where(found["y"] > 0, 1, -1 if network.loss is margins else 0)
        found["y"] = found["y"].astype(np.float32)
    if kind == 3:
        examples_last = network.shapes["X"][-1] == network.shapes.get("y", (0,))[-1]
        X = found["X"].T if examples_last else found["X"]
        X[0], X[2] = 0, X[1]
        for name in ("b1", "b"):
            if name in found:
                found[name] = np.zeros_like(found[name])
        if network.loss is absolute:
            found["y"][0] = 0
    if kind == 4:
        first = found[network.wrt[0]]
        first[..., 0] = 0
        if network.loss is largest:
            first[1] = first[0]
    return found
