"""Random layered networks and others, each with arrays: a pure function of a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.expr import Definition, Expr, Spec, input_
from chainrule.nn import network
from chainrule.ops import OPS

ACTIVATIONS = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu",
    "softplus", "log_sigmoid", "identity",
)  # fmt: skip
LOSSES = (
    "mse", "half_mse", "mae", "huber", "log_cosh", "poisson", "bce_logits", "hinge",
    "sum_squares", "cross_entropy", "bce", "kl",
)  # fmt: skip
WEIGHTS = ("W", "A", "theta", "kernel")


@dataclass(frozen=True)
class Net:
    definition: Definition
    arrays: dict[str, np.ndarray]
    sizes: dict[str, int]


def layered(seed: int) -> Net:
    """Up to three dense layers, examples as rows or columns, with names and losses of all kinds."""
    rng = np.random.default_rng(seed)
    depth, place = int(rng.integers(1, 4)), rng.choice(["rows", "columns"])
    axes = ["n", *(f"h_{i}" for i in range(1, depth)), str(rng.choice(["o", "q"]))]
    sizes = {axis: int(rng.integers(2, 5)) for axis in axes} | {"m": int(rng.integers(2, 6))}
    loss = str(rng.choice(LOSSES))
    word = str(rng.choice(WEIGHTS))
    x = input_("X", " ".join(_order("n", place)))
    params: list[Expr] = []
    values: list[tuple[str, Expr]] = []
    for i in range(1, depth + 1):
        x, made = _dense(rng, x, axes[i - 1], axes[i], f"{word}_{i}", f"c_{i}", place)
        params += made
        values.append((f"Z_{i}", x))
        how = str(rng.choice(ACTIVATIONS))
        if i < depth and how != "identity":
            x = OPS[how](x)
            values.append((f"H_{i}", x))
    x, extra = _output(rng, x, loss, axes[-1])
    values += extra
    root, target = _loss(rng, x, loss, axes[-1], place)
    inputs = (*params, input_("X", " ".join(_order("n", place))), target)
    definition = network(root, inputs, name="net", values=values,
                         params=[p.name for p in params])  # fmt: skip
    return Net(definition, _arrays(rng, definition, sizes, loss), sizes)


def _order(axis: str, place: str) -> tuple[str, ...]:
    return (axis, "m") if place == "columns" else ("m", axis)


def _dense(rng, x, origin, to, weights, bias, place):
    first = bool(rng.integers(2))
    W = input_(weights, f"{to} {origin}" if first else f"{origin} {to}")
    by_to = W if first else W.T
    z = by_to @ x if place == "columns" else x @ (W.T if first else W)
    if not rng.integers(4):
        return z, [W]
    b = input_(bias, to)
    return (z + b if rng.integers(2) else b + z), [W, b]


def _output(rng, x, loss, axis):
    if loss == "bce":
        a = OPS["sigmoid"](x)
    elif loss == "kl" or (loss == "mse" and rng.integers(3) == 0):
        a = OPS["softmax"](x, over=axis)
    elif loss in ("mse", "mae", "half_mse") and rng.integers(2):
        a = OPS[str(rng.choice(["sigmoid", "tanh"]))](x)
    else:
        return x, []
    return a, [("y_hat", a)]


def _loss(rng, x, loss, axis, place):
    reduction = {} if loss == "sum_squares" or rng.integers(2) else {"reduction": "sum"}
    if loss == "cross_entropy":
        target = input_("y", Spec(("m",), {}, "int"))
        smooth = {"label_smoothing": 0.1} if rng.integers(3) == 0 else {}
        return OPS[loss](x, target, over=axis, **reduction, **smooth), target
    target = input_("y", " ".join(_order(axis, place)))
    return OPS[loss](x, target, **reduction), target


def _arrays(rng, definition, sizes, loss):
    arrays = {}
    for x in definition.inputs:
        shape = [sizes[axis] for axis in x.axes]
        if x.kind == "int":
            arrays[x.name] = rng.integers(0, sizes[definition.root["over"]], shape)
        elif x.name == "y" and loss in ("bce", "kl", "bce_logits"):
            arrays[x.name] = rng.uniform(0.1, 0.9, shape)
        else:
            arrays[x.name] = 0.6 * rng.normal(size=shape)  # the oracles are for moderate numbers
    return arrays
