"""Layered networks without mistakes, a pure function of a seed: what lint must keep quiet about."""

from __future__ import annotations

import random

import numpy as np

from chainrule.expr import Definition, Expr, Spec, input_
from chainrule.nn import ACTIVATIONS, dropout, network
from chainrule.ops import OPS, sum_
from chainrule.ops.activations import softmax
from chainrule.ops.structure import contract, mean

HIDDEN = [a for a in ACTIVATIONS if a not in ("identity", "log_sigmoid")]
HEADS = {
    "cross_entropy": ("",),
    "bce_logits": ("",),
    "bce": ("sigmoid",),
    "kl": ("softmax",),
    "hinge": ("",),
    "poisson": ("",),
    "mse": ("", "sigmoid", "tanh", "softplus"),
    "half_mse": ("", "sigmoid"),
    "mae": ("",),
    "huber": ("",),
    "log_cosh": ("", "tanh"),
}
"""The outputs that make sense before each loss."""


class Builder:
    """Draws a network layer by layer, examples as rows or as columns."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rows = self.rng.random() < 0.5
        self.params: list[Expr] = []
        self.values: list[tuple[str, Expr]] = []

    def param(self, name: str, axes: str) -> Expr:
        self.params.append(input_(name, axes))
        return self.params[-1]

    def axes(self, units: str) -> str:
        return f"m {units}" if self.rows else f"{units} m"

    def affine(self, x: Expr, old: str, new: str, name: str) -> Expr:
        W = self.param(f"W_{name}", f"{old} {new}" if self.rows else f"{new} {old}")
        z = contract(x, W, old) if self.rows else contract(W, x, old)
        return z + self.param(f"b_{name}", new) if self.rng.random() < 0.8 else z

    def named(self, name: str, x: Expr) -> Expr:
        self.values.append((name, x))
        return x

    def layer(self, x: Expr, old: str, i: int) -> tuple[Expr, str]:
        new = f"h_{i}"
        z = self.named(f"Z_{i}", self.affine(x, old, new, str(i)))
        if self.rng.random() < 0.2:  # every example by itself brought to mean 0, with a gain
            gain = self.param(f"g_{i}", new)
            z = self.named(f"N_{i}", gain * (z - mean(z, new)))
        a = self.named(f"A_{i}", OPS[self.rng.choice(HIDDEN)](z))
        if self.rng.random() < 0.15:
            a = self.named(f"D_{i}", dropout(a, 0.3, stream=i))
        if self.rng.random() < 0.2:  # a residual branch of the same width
            inner = self.affine(a, new, f"r_{i}", f"{i}r")
            back = self.affine(OPS["tanh"](inner), f"r_{i}", new, f"{i}s")
            a = self.named(f"R_{i}", a + back)
        return a, new


def sane(seed: int) -> tuple[Definition, dict[str, np.ndarray]]:
    """A network with a loss, and data that suit it."""
    b = Builder(seed)
    loss = b.rng.choice(list(HEADS))
    sizes = {"n": b.rng.randint(1, 6), "c": b.rng.randint(2, 4), "m": 40}
    examples = input_("X", Spec(tuple(b.axes("n").split()), {"n": sizes["n"]}))
    x, old = examples, "n"
    for i in range(b.rng.randint(0, 4)):
        x, old = b.layer(x, old, i)
    z = b.named("S", b.affine(x, old, "c", "out"))
    head = b.rng.choice(HEADS[loss])
    p = softmax(z, "c") if head == "softmax" else OPS[head](z) if head else z
    y = input_("y", "m int" if loss == "cross_entropy" else b.axes("c"))
    root = OPS[loss](p, y)
    weights = [w for w in b.params if len(w.axes) == 2]
    if b.rng.random() < 0.3:
        root = root + 0.01 * sum_(OPS["square"](b.rng.choice(weights)))
    b.values.append(("p", p))
    keys = {k for v in (root,) for k in _keys(v)}
    inputs = (*b.params, examples, y, *keys)
    names = [w.name for w in b.params]
    net = network(root, inputs, name=f"sane_{seed}", values=b.values, params=names)
    return net, _data(np.random.default_rng(seed), net, loss, head, sizes)


def _keys(root: Expr) -> list[Expr]:
    from chainrule.expr import postorder

    return [x for x in postorder(root) if x.op == "input" and x.name == "key"]


def _data(rng, net: Definition, loss: str, head: str, sizes: dict[str, int]):
    shape = {x.name: tuple(sizes[a] for a in x.axes) for x in net.inputs if x.name in ("X", "y")}
    X = rng.normal(0.3, 1.0, shape["X"])
    y = shape["y"]
    shares = rng.dirichlet(np.ones(sizes["c"]), sizes["m"])
    made = {
        "cross_entropy": lambda: rng.integers(0, sizes["c"], y),
        "bce": lambda: rng.integers(0, 2, y).astype(float),
        "bce_logits": lambda: rng.integers(0, 2, y).astype(float),
        "hinge": lambda: 2.0 * rng.integers(0, 2, y) - 1,
        "poisson": lambda: rng.poisson(3, y).astype(float),
        "kl": lambda: shares if net.input["y"].axes[0] == "m" else shares.T,
    }
    reach = {"sigmoid": (0, 1), "tanh": (-1, 1), "softplus": (0, 5)}.get(head, (-50, 50))
    return {"X": X, "y": made.get(loss, lambda: rng.uniform(*reach, y))()}
