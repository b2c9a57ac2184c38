"""NumPy as one writes it by hand: every derivative of a multilayer perceptron worked out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.bench.engines import Run
from chainrule.bench.workloads import Problem, Workload

Array = NDArray[Any]
Params = dict[str, Array]
Pair = tuple[Callable[[Array], Array], Callable[[Array], Array]]
"""An activation, and its derivative written with its value."""


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


ACTIVATIONS: dict[str, Pair] = {
    "sigmoid": (_sigmoid, lambda a: a * (1 - a)),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(a.dtype)),
}


def sigmoid_mse(z: Array, y: Array) -> tuple[float, Array]:
    """1/m ‖σ(z) − y‖² and its derivative by z."""
    a = _sigmoid(z)
    error = a - y
    return float((error * error).sum()) / len(z), error * a * (1 - a) * (2 / len(z))


def mse(z: Array, y: Array) -> tuple[float, Array]:
    """1/m ‖z − y‖² and its derivative by z."""
    error = z - y
    return float((error * error).sum()) / len(z), error * (2 / len(z))


def cross_entropy(z: Array, y: Array) -> tuple[float, Array]:
    """−1/m Σ log softmax(z)_y and its derivative by z."""
    rows = np.arange(len(z))
    z = z - z.max(axis=1, keepdims=True)
    exp = np.exp(z)
    total = exp.sum(axis=1, keepdims=True)
    loss = float((np.log(total[:, 0]) - z[rows, y]).mean())
    slope = exp / total
    slope[rows, y] -= 1
    return loss, slope / len(z)


# By the activation of the last layer and the loss.
LOSSES = {
    ("sigmoid", "mse"): sigmoid_mse,
    ("", "mse"): mse,
    ("", "cross_entropy"): cross_entropy,
}


class Sgd:
    """w ← w − ηg, in place."""

    def __init__(self, params: Params, lr: float) -> None:
        self.params, self.lr = params, lr

    def step(self, grads: Params) -> None:
        """One update."""
        for name, g in grads.items():
            self.params[name] -= self.lr * g


class Adam:
    """Kingma & Ba 2015, algorithm 1, in place."""

    def __init__(self, params: Params, lr: float) -> None:
        self.params, self.lr, self.t = params, lr, 0
        self.m = {name: np.zeros_like(w) for name, w in params.items()}
        self.v = {name: np.zeros_like(w) for name, w in params.items()}

    def step(self, grads: Params) -> None:
        """One update."""
        self.t += 1
        rest_1, rest_2 = 1 - 0.9**self.t, 1 - 0.999**self.t
        for name, g in grads.items():
            m, v = self.m[name], self.v[name]
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * (g * g)
            self.params[name] -= self.lr * (m / rest_1) / (np.sqrt(v / rest_2) + 1e-8)


RULES: dict[str, Callable[[Params, float], Sgd | Adam]] = {"sgd": Sgd, "adam": Adam}


class Perceptron:
    """The network, loss and rule of a workload, trained from copies of `start`."""

    def __init__(self, workload: Workload, start: Params) -> None:
        self.params = {name: value.copy() for name, value in start.items()}
        self.layers = len(start) // 2
        self.function, self.slope = ACTIVATIONS[workload.activation]
        self.loss = LOSSES[workload.output, workload.loss]
        self.rule = RULES[workload.rule](self.params, workload.lr)

    def step(self, X: Array, y: Array) -> float:
        """One update on these rows; returns their loss before it."""
        params, values = self.params, [X]
        for i in range(1, self.layers):
            values.append(self.function(values[-1] @ params[f"W_{i}"] + params[f"b_{i}"]))
        last = self.layers
        loss, delta = self.loss(values[-1] @ params[f"W_{last}"] + params[f"b_{last}"], y)
        grads: Params = {}
        for i in range(last, 0, -1):
            grads[f"W_{i}"] = values[i - 1].T @ delta
            grads[f"b_{i}"] = delta.sum(axis=0)
            if i > 1:
                delta = (delta @ params[f"W_{i}"].T) * self.slope(values[i - 1])
        self.rule.step(grads)
        return loss


def prepare(problem: Problem, threads: int) -> Run:
    """The network of `problem`; float64 if its arrays are."""
    w, X, y = problem.workload, problem.X, problem.y_rows
    network = Perceptron(w, problem.start)

    def run(start: int, steps: int) -> list[float]:
        if w.full:
            return [network.step(X, y) for _ in range(steps)]
        order = problem.order.rows(start, steps)
        return [network.step(X[rows], y[rows]) for rows in order]

    return run
