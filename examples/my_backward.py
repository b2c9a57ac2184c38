"""A two-layer network with its backward pass written by hand, and one mistake in it.

chainrule check examples/my_backward.py
"""

import numpy as np


def forward(W1: "k n", b1: "k 1", w2: "1 k", b2: "1 1", X: "n m", y: "1 m"):
    Z = W1 @ X + b1
    A = 1 / (1 + np.exp(-Z))
    y_hat = w2 @ A + b2
    loss = np.mean((y_hat - y) ** 2)
    return loss, (Z, A, y_hat)


def backward(cache, w2, X, y):
    Z, A, y_hat = cache
    m = X.shape[1]
    dy = 2 / m * (y_hat - y)
    dw2 = dy @ A.T
    db2 = dy.sum(axis=1, keepdims=True)
    dA = w2.T @ dy
    dZ = dA * Z * (1 - Z)
    dW1 = dZ @ X.T
    db1 = dZ.sum(axis=1, keepdims=True)
    return {"W1": dW1, "b1": db1, "w2": dw2, "b2": db2}
