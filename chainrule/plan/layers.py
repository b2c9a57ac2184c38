"""Dense layers found by structure: what is multiplied, added and activated, whatever the names."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from chainrule.expr import EXAMPLES, Definition, Expr, postorder
from chainrule.nn import OUTPUTS

LARGEST_LOSS = 20  # expressions that compare the output with the target; more are a network
LOGIT_LOSSES = ("cross_entropy", "bce_logits", "hinge", "poisson")
"""Losses that take what is before the last activation, so that z is what they compare."""


@dataclass(frozen=True)
class Layer:
    """One layer: z = W a + b, then f(z).

    Attributes:
        weights: the input W; `bias`: the input b, or None.
        before: the value that the layer reads.
        z: the weighted sum with the bias.
        a: f(z); z itself if there is no f.
        to: the axis of the neurons of this layer, "" for one neuron without an axis.
        origin: the axis of the neurons of the layer before.
    """

    weights: Expr
    bias: Expr | None
    before: Expr
    z: Expr
    a: Expr
    to: str
    origin: str

    @property
    def function(self) -> str:
        """The name of f, "identity" if there is none."""
        return "identity" if self.a is self.z else self.a.op


def examples_axis(definition: Definition) -> str:
    """The axis that counts the examples: the one of the loss, or m."""
    for node in postorder(definition.root):
        for name, value in node.attrs:
            if name == "examples":
                return str(value)
    return EXAMPLES


def layered(root: Expr, params: Collection[str], examples: str = EXAMPLES) -> tuple[Layer, ...]:
    """The layers from the input to the output, if the loss `root` has nothing else below it.

    Each value is used once, by the next layer, so the chain rule has one factor for each step; each
    parameter belongs to one layer. Otherwise there are no layers: ().

    Args:
        root: a loss.
        params: the names of what is trained or derived.
        examples: the axis that counts the examples: no weight has it.
    """
    users = _users(root)
    found = []
    for node in postorder(root):
        layer = _layer(node, users, params, examples) if node.op == "contract" else None
        if layer is not None:
            found.append(layer)
    return tuple(found) if _is_chain(found, root, users, params) else ()


def _through(node: Expr) -> Expr:
    """`node` without transposes: its entries have names, not places."""
    while node.op == "transpose":
        node = node.inputs[0]
    return node


def _users(root: Expr) -> dict[Expr, list[Expr]]:
    users: dict[Expr, list[Expr]] = {}
    for node in postorder(root):
        if node.op != "transpose":
            for x in node.inputs:
                users.setdefault(_through(x), []).append(node)
    return users


def _layer(
    node: Expr, users: Mapping[Expr, list[Expr]], params: Collection[str], examples: str
) -> Layer | None:
    if len(node["over"]) != 1:
        return None
    (origin,) = node["over"]
    sides = [_through(x) for x in node.inputs]
    weights = _weights(sides, params, examples)
    if weights is None:
        return None
    before = sides[1] if sides[0] is weights else sides[0]
    to = next((axis for axis in weights.axes if axis != origin), "")
    if to in before.axes or before.kind != "float":
        return None
    z, bias = _with_bias(node, users, to)
    return Layer(weights, bias, before, z, _activated(z, users, to), to, origin)


def _weights(sides: list[Expr], params: Collection[str], examples: str) -> Expr | None:
    """The side that is a matrix of weights: without examples, trained, with two axes.

    None where neither is, or both are, as in a product of parameters.
    """
    possible = [
        x
        for x in sides
        if x.op == "input" and x.kind == "float" and examples not in x.axes and len(x.axes) <= 2
    ]
    trained = [x for x in possible if x.name in params]
    possible = trained or possible
    wide = [x for x in possible if len(x.axes) == 2]
    possible = wide or possible
    return possible[0] if len(possible) == 1 else None


def _with_bias(node: Expr, users: Mapping[Expr, list[Expr]], to: str) -> tuple[Expr, Expr | None]:
    after = users.get(node, [])
    if len(after) == 1 and after[0].op == "add":
        others = [_through(x) for x in after[0].inputs if _through(x) is not node]
        for x in others:
            if x.op == "input" and x.kind == "float" and set(x.axes) <= {to}:
                return after[0], x
    return node, None


def _activated(z: Expr, users: Mapping[Expr, list[Expr]], to: str) -> Expr:
    after = users.get(z, [])
    if len(after) != 1 or after[0].op not in OUTPUTS:
        return z
    over = dict(after[0].attrs).get("over")
    return after[0] if over is None or over == (to,) else z


def _is_chain(
    layers: list[Layer],
    root: Expr,
    users: Mapping[Expr, list[Expr]],
    params: Collection[str],
) -> bool:
    """Whether each layer reads the one before and nothing else is between the inputs and root."""
    if not layers or layers[0].before.op != "input":
        return False
    for below, layer in itertools.pairwise(layers):
        once = len(users[below.a]) == 1 and len(users[below.z]) == 1
        if layer.before is not below.a or layer.origin != below.to or not once:
            return False
    last = layers[-1]
    if last.a is not last.z and len(users[last.z]) != 1:
        return False
    own = [x for layer in layers for x in (layer.weights, layer.bias) if x is not None]
    first = layers[0].before
    moved = [*own, first] if first.name in params else own
    if any(len(users[x]) != 1 for x in moved) or len(set(moved)) < len(moved):
        return False
    return _only_through(last.a, root, {x.name for x in moved}, params)


def _only_through(output: Expr, root: Expr, own: Collection[str], params: Iterable[str]) -> bool:
    """Whether the loss sees parameters through `output` only, and all of them are in layers."""
    above = list(postorder(root, known=[output]))
    if len(above) > LARGEST_LOSS or any(x.op in ("contract", "rename") for x in above):
        return False
    seen = {x.name for x in above if x.op == "input"}
    below = {x.name for x in postorder(output) if x.op == "input"}
    return not seen & set(own) and {p for p in params if p in seen | below} <= set(own)
