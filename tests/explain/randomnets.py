"""Random layered networks, as a user would write them: a pure function of a seed."""

from __future__ import annotations

import random

from chainrule.expr import Definition
from chainrule.netfile import parse_net

ACTIVATIONS = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "softplus", "log_sigmoid",
    "gelu", "gelu_tanh",
)  # fmt: skip
LOSSES = ("mse", "half_mse", "mae", "huber", "log_cosh", "bce_logits", "hinge")


def random_net(seed: int) -> Definition:
    """One to three hidden layers; columns or rows, skips, a scale, a penalty, names or none."""
    draw = random.Random(seed)
    rows = draw.random() < 0.4
    lines, params, last = [], [], "n"
    before = "X"
    for i in range(1, draw.randint(1, 3) + 1):
        skip = i > 1 and draw.random() < 0.4
        unit = last if skip else f"k_{i}"
        params += [f"W_{i}: {last} {unit}" if rows and not skip else f"W_{i}: {unit} {last}"]
        params += [f"b_{i}: {unit}"]
        product = f"{before} @ W_{i}" if rows else f"W_{i} @ {before}"
        if skip:  # the same axes on both sides: a matrix of its own would need another name
            params[-2] = f"s_{i}: {unit}"
            product = f"s_{i} * {before}"
        activation = draw.choice(ACTIVATIONS)
        if draw.random() < 0.3:
            lines.append(f"A_{i} = {activation}({product} + b_{i})")
        else:
            lines += [f"Z_{i} = {product} + b_{i}", f"A_{i} = {activation}(Z_{i})"]
        if skip:
            lines.append(f"R_{i} = A_{i} + {before}")
        before, last = (f"R_{i}" if skip else f"A_{i}"), unit
    return parse_net("\n".join(_whole(draw, rows, params, lines, before, last)))


def _whole(
    draw: random.Random, rows: bool, params: list[str], lines: list[str], before: str, last: str
) -> list[str]:
    classes = draw.random() < 0.3
    params += [f"V: {last} c" if rows else f"V: c {last}"]
    lines.append(f"Z = {before} @ V" if rows else f"Z = V @ {before}")
    if draw.random() < 0.5:
        params.append("b: c" if draw.random() < 0.7 else "b:")
        lines[-1] += " + b"
    if draw.random() < 0.2:
        lines[-1] = lines[-1].replace("Z = ", "Z = 0.5 * (") + ")"
    target = "m int" if classes else "m c" if rows else "c m"
    name = "cross_entropy" if classes else draw.choice(LOSSES)
    loss = f"{name}(Z, y)"
    if draw.random() < 0.25:
        loss += " + 0.1 * sum(square(V))"
    inputs = ["input X: m n" if rows else "input X: n m", f"input y: {target}"]
    return ["net random", *(f"param {p}" for p in params), *inputs, *lines, f"return {loss}"]
