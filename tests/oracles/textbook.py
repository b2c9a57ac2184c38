"""What every operation means, from the textbook, over the numbers of `tests.oracles.numbers`.

`evaluate` walks a graph and knows nothing of records, emitters or plans: only names of operations,
their attributes and their axes. It does not try to avoid overflow: arguments in tests are moderate.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from chainrule.expr import postorder
from chainrule.run.keyed import uniform_like
from tests.oracles.numbers import (
    Dual,
    absolute,
    bilinear,
    erf,
    exp,
    expm1,
    larger,
    linear,
    log,
    log1p,
    power,
    primal,
    smaller,
    sqrt,
    tanh,
    where,
)


def sigma(x):
    return 1.0 / (1.0 + exp(-x))


def heaviside(condition):
    return np.where(condition, 1.0, 0.0)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

ELEMENTWISE = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda x: -x,
    "pow": power,
    "exp": exp,
    "log": log,
    "log1p": log1p,
    "expm1": expm1,
    "sqrt": sqrt,
    "square": lambda x: x * x,
    "tanh": tanh,
    "erf": erf,
    "sign": lambda x: np.sign(primal(x)),
    "abs": absolute,
    "maximum": larger,
    "minimum": smaller,
    "clip": lambda x, low, high: where(
        primal(x) < low, low + 0.0 * x, where(primal(x) > high, high + 0.0 * x, x)
    ),
    "gt": lambda a, b: heaviside(primal(a) > primal(b)),
    "ge": lambda a, b: heaviside(primal(a) >= primal(b)),
    "lt": lambda a, b: heaviside(primal(a) < primal(b)),
    "le": lambda a, b: heaviside(primal(a) <= primal(b)),
    "eq": lambda a, b: heaviside(primal(a) == primal(b)),
    "where": lambda c, a, b: where(primal(c) != 0, a, b),
    "sigmoid": sigma,
    "relu": lambda x: where(primal(x) > 0, x, 0.0 * x),
    "leaky_relu": lambda x, slope: where(primal(x) > 0, x, slope * x),
    "elu": lambda x, alpha: where(primal(x) > 0, x, alpha * (exp(x) - 1.0)),
    "selu": lambda x: SELU_SCALE * where(primal(x) > 0, x, SELU_ALPHA * (exp(x) - 1.0)),
    "gelu": lambda x: 0.5 * x * (1.0 + erf(x * math.sqrt(0.5))),
    "gelu_tanh": lambda x: (
        0.5 * x * (1.0 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    ),
    "silu": lambda x: x * sigma(x),
    "softplus": lambda x: log(1.0 + exp(x)),
    "log_sigmoid": lambda x: log(sigma(x)),
    "stop_gradient": lambda x: stopped(x),
}

EACH = {
    "mse": lambda p, t: (p - t) * (p - t),
    "half_mse": lambda p, t: (p - t) * (p - t) / 2.0,
    "sum_squares": lambda p, t: (p - t) * (p - t),
    "mae": lambda p, t: absolute(p - t),
    "huber": lambda p, t, delta: where(
        primal(absolute(p - t)) < delta,
        (p - t) * (p - t) / 2.0,
        delta * absolute(p - t) - delta * delta / 2.0,
    ),
    "log_cosh": lambda p, t: log((exp(p - t) + exp(t - p)) / 2.0),
    "poisson": lambda p, t: exp(p) - t * p,
    "bce": lambda p, t: -t * log(p) - (1.0 - t) * log(1.0 - p),
    "bce_logits": lambda p, t: -t * log(sigma(p)) - (1.0 - t) * log(sigma(-p)),
    "hinge": lambda p, t: larger(0.0 * p, 1.0 - t * p),
    "kl": lambda p, t: t * log(t) - t * log(p),
}


def stopped(x):
    """The value, which moves with nothing."""
    while isinstance(x, Dual):
        x = x.value
    return np.real(x) if np.iscomplexobj(x) else x


def ordered(x, axes, wanted):
    """`x` with its axes in the order of `wanted`, which may have more: those become 1 long."""
    place = [axes.index(a) for a in wanted if a in axes]
    at = tuple(slice(None) if a in axes else None for a in wanted)
    return linear(lambda v: np.transpose(np.asarray(v), place)[at], x)


def spread(x, axes, wanted, sizes):
    """`x` repeated along all of `wanted`."""
    shape = tuple(sizes[a] for a in wanted)
    return linear(lambda v: np.broadcast_to(v, shape), ordered(x, axes, wanted))


def total(x, axes, over):
    """Σ over some axes."""
    return linear(lambda v: np.sum(v, axis=tuple(axes.index(a) for a in over)), x)


def extreme(sign, x, axes, over):
    """The first largest (sign 1) or smallest (−1) entry along one axis."""
    at = axes.index(over[0])
    index = np.expand_dims(np.argmax(sign * primal(x), axis=at), at)
    return linear(lambda v: np.take_along_axis(v, index, at).squeeze(at), x)


def softmax(x, axes, over):
    e = exp(x)
    shape = tuple(a if a not in over else None for a in axes)
    return e / linear(lambda v: np.sum(v, axis=shape.index(None), keepdims=True), e)


def contraction(node, a, b):
    letters = {
        axis: chr(97 + i)
        for i, axis in enumerate(dict.fromkeys(node.inputs[0].axes + node.inputs[1].axes))
    }
    left, right, out = ("".join(letters[x] for x in e.axes) for e in (*node.inputs, node))
    return bilinear(functools.partial(np.einsum, f"{left},{right}->{out}"), a, b)


def one_hot(labels, size):
    return (np.asarray(labels)[..., None] == np.arange(size)).astype(float)


def loss(node, sizes, p, t, *weights, each, examples="", reduction="sum", **attrs):
    axes = node.inputs[0].axes
    entries = each(p, ordered(t, node.inputs[1].axes, axes), **attrs)
    return reduced(node, sizes, entries, axes, weights, examples, reduction)


def reduced(node, sizes, entries, axes, weights, examples, reduction):
    for w in weights:
        entries = entries * spread(w, node.inputs[2].axes, axes, sizes)
    value = total(entries, axes, axes)
    return value / float(sizes[examples]) if reduction == "mean" else value


def cross_entropy(node, sizes, z, t, *weights, over, label_smoothing, examples, reduction):
    axes, labels = node.inputs[0].axes, node.inputs[1]
    classes = sizes[over]
    wanted = one_hot(t, classes) if labels.kind == "int" else t
    wanted = ordered(wanted, (*labels.axes, over) if labels.kind == "int" else labels.axes, axes)
    wanted = wanted * (1.0 - label_smoothing) + label_smoothing / classes
    entries = -wanted * log(softmax(z, axes, (over,)))
    return reduced(node, sizes, entries, axes, weights, examples, reduction)


def concat(node, *xs):
    wanted = [tuple(own if a == node["into"] else a for a in node.axes) for own in node["over"]]
    moved = [ordered(x, e.axes, w) for x, e, w in zip(xs, node.inputs, wanted, strict=True)]
    at = node.axes.index(node["into"])
    if not any(isinstance(x, Dual) for x in moved):
        return np.concatenate(moved, axis=at)
    pairs = [x if isinstance(x, Dual) else Dual(x, 0.0 * x) for x in moved]
    deep = any(isinstance(part, Dual) for x in pairs for part in (x.value, x.tangent))
    if deep:
        pairs = [Dual(as_dual(x.value), as_dual(x.tangent)) for x in pairs]
        return Dual(joined([x.value for x in pairs], at), joined([x.tangent for x in pairs], at))
    return joined(pairs, at)


def as_dual(x):
    return x if isinstance(x, Dual) else Dual(x, 0.0 * x)


def joined(pairs, at):
    return Dual(
        np.concatenate([x.value for x in pairs], at), np.concatenate([x.tangent for x in pairs], at)
    )


def sliced(node, sizes, x):
    at = node.inputs[0].axes.index(node["axis"])
    start = node["start"] + sum(sizes[a] for a in node["after"])
    length = node["stop"] - node["start"] if node["stop"] is not None else sizes[node["into"]]
    return linear(lambda v: v[(slice(None),) * at + (slice(start, start + length),)], x)


def padded(node, sizes, x):
    at = node.axes.index(node["into"])
    start = node["start"] + sum(sizes[a] for a in node["after"])

    def place(v):
        out = np.zeros((*v.shape[:at], sizes[node["into"]], *v.shape[at + 1 :]), v.dtype)
        out[(slice(None),) * at + (slice(start, start + v.shape[at]),)] = v
        return out

    return linear(place, x)


def scattered(node, sizes, x, index):
    source = node.inputs[0].axes
    rest = tuple(a for a in source if a not in node.inputs[1].axes)
    moved = ordered(x, source, (*node.inputs[1].axes, *rest))
    one = one_hot(index, sizes[node["axis"]])
    k = np.ndim(index)
    return linear(
        lambda v: np.tensordot(np.moveaxis(one, -1, 0), v, axes=(range(1, k + 1), range(k))), moved
    )


def reshaped(node, sizes, x):
    shape = list(np.shape(primal(x)))
    at = node.inputs[0].axes.index(node["axes"][0] if node.op == "merge" else node["axis"])
    if node.op == "merge":
        shape[at : at + len(node["axes"])] = [math.prod(sizes[a] for a in node["axes"])]
    else:
        known = dict(node["sizes"])
        free = shape[at] // max(math.prod(known.values()), 1)
        shape[at : at + 1] = [known.get(a, sizes.get(a, free)) for a in node["into"]]
    return linear(lambda v: v.reshape(shape), x)


OTHERS = {
    "sum": lambda n, s, x: total(x, n.inputs[0].axes, n["over"]),
    "mean": lambda n, s, x: (
        total(x, n.inputs[0].axes, n["over"]) / float(math.prod(s[a] for a in n["over"]))
    ),
    "max": lambda n, s, x: extreme(1, x, n.inputs[0].axes, n["over"]),
    "min": lambda n, s, x: extreme(-1, x, n.inputs[0].axes, n["over"]),
    "argmax": lambda n, s, x: np.argmax(primal(x), axis=n.inputs[0].axes.index(n["over"][0])),
    "softmax": lambda n, s, x: softmax(x, n.axes, n["over"]),
    "log_softmax": lambda n, s, x: log(softmax(x, n.axes, n["over"])),
    "logsumexp": lambda n, s, x: log(total(exp(x), n.inputs[0].axes, n["over"])),
    "contract": lambda n, s, a, b: contraction(n, a, b),
    "transpose": lambda n, s, x: ordered(x, n.inputs[0].axes, n.axes),
    "expand": lambda n, s, x: spread(x, n.inputs[0].axes, n.axes, s),
    "one_hot": lambda n, s, x: one_hot(x, s[n["axis"]]),
    "rename": lambda n, s, x: x,
    "merge": reshaped,
    "split": reshaped,
    "slice": sliced,
    "pad": padded,
    "concat": lambda n, s, *xs: concat(n, *xs),
    "gather": lambda n, s, x, i: linear(
        lambda v: np.take(v, i, n.inputs[0].axes.index(n["axis"])), x
    ),
    "scatter_add": scattered,
    "uniform": lambda n, s, x, key: drawn(n, s, key),
    "dropout": lambda n, s, x, key: (
        x * (heaviside(drawn(n, s, key) >= n["rate"]) / (1 - n["rate"]))
    ),
    "cross_entropy": lambda n, s, *xs: cross_entropy(n, s, *xs, **dict(n.attrs)),
}


def drawn(node, sizes, key):
    shape = tuple(sizes[a] for a in node.axes)
    return uniform_like(shape, np.float64, int(key), 0, node["stream"])


def value_of(node, sizes, xs):
    """What one operation gives."""
    if node.op in ELEMENTWISE:
        full = [spread(x, e.axes, node.axes, sizes) for x, e in zip(xs, node.inputs, strict=True)]
        return ELEMENTWISE[node.op](*full, **dict(node.attrs))
    if node.op in EACH:
        return loss(node, sizes, *xs, each=EACH[node.op], **dict(node.attrs))
    return OTHERS[node.op](node, sizes, *xs)


def evaluate(roots, given):
    """The value of everything below `roots`: a dict from expression to number.

    Args:
        roots: expressions.
        given: for each input expression, an array or a Dual.
    """
    sizes = {}
    for x, array in given.items():
        sizes |= dict(zip(x.axes, np.shape(primal(array)), strict=True))
    values = {}
    for node in postorder(*roots):
        if node.op == "input":
            value = given[node]
            values[node] = np.asarray(value, float) if node.kind == "bool" else value
        elif node.op == "const":
            values[node] = np.asarray(node["value"])
        elif node.op == "size":
            values[node] = np.asarray(float(sizes[node["axis"]]))
        else:
            sizes |= node.sizes
            values[node] = value_of(node, sizes, [values[x] for x in node.inputs])
            sizes |= dict(zip(node.axes, np.shape(primal(values[node])), strict=True))
    return values
