"""Exact values and slopes at kinks, ties, zeros and infinities, for several operands.

`Edge` in the records covers functions of one number. Here stand the others: each line gives the
arrays, the value, and what each real input receives for a cotangent of ones. The check uses
`COTANGENT` instead of 1, so that a rule that forgets it is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf, log

import numpy as np

from chainrule.differentiate import reverse
from chainrule.expr import Spec, const, input_
from chainrule.ops import OPS, expand
from tests.ops.cases import run

COTANGENT = 1.25  # exact in binary, so results are exact too
SUMMED = {"reduction": "sum"}
ALONG = {"over": "a"}


@dataclass(frozen=True)
class Kink:
    """`op` at `arrays`: its value, and what each real input receives for a cotangent of ones."""

    op: str
    arrays: tuple
    value: object
    slopes: tuple
    attrs: dict = field(default_factory=dict)
    axes: tuple = ()

    def __str__(self):
        return f"{self.op}-{self.arrays}-{self.attrs.get('reduction', '')}"


def pair(op, a, b, value, *slopes):
    """A loss or function of two numbers, each given as one entry."""
    if "examples" in OPS[op].attrs:
        return Kink(op, ([a], [b]), value, tuple([s] for s in slopes), SUMMED)
    return Kink(op, (a, b), value, slopes)


PLAIN = (
    pair("pow", 0.0, 3.0, 0.0, 0.0, 0.0),
    pair("pow", 0.0, 1.0, 0.0, 1.0, 0.0),
    pair("pow", 0.0, 0.0, 1.0, 0.0, 0.0),
    pair("pow", 2.0, 0.0, 1.0, 0.0, log(2.0)),
    pair("pow", -2.0, 2.0, 4.0, -4.0, np.nan),
    pair("maximum", 1.0, 1.0, 1.0, 1.0, 0.0),
    pair("maximum", 1.0, 2.0, 2.0, 0.0, 1.0),
    pair("maximum", -inf, 2.0, 2.0, 0.0, 1.0),
    pair("maximum", inf, inf, inf, 1.0, 0.0),
    pair("minimum", 1.0, 1.0, 1.0, 1.0, 0.0),
    pair("minimum", 1.0, 2.0, 1.0, 1.0, 0.0),
    pair("minimum", -inf, 2.0, -inf, 1.0, 0.0),
    pair("div", 0.0, 4.0, 0.0, 0.25, 0.0),
    pair("div", 1.0, inf, 0.0, 0.0, 0.0),
    Kink("where", (True, 2.0, np.nan), 2.0, (1.0, 0.0)),
    Kink("where", (False, inf, 3.0), 3.0, (0.0, 1.0)),
    Kink("max", ([1.0, 3.0, 3.0, 2.0],), 3.0, ([0, 1, 0, 0],), ALONG),
    Kink("max", ([-inf, -inf],), -inf, ([1, 0],), ALONG),
    Kink("max", ([0.0, -0.0],), 0.0, ([1, 0],), ALONG),
    Kink("min", ([3.0, 1.0, 1.0],), 1.0, ([0, 1, 0],), ALONG),
    Kink("min", ([inf, inf],), inf, ([1, 0],), ALONG),
    Kink("argmax", ([1.0, 3.0, 3.0],), 1, ([0, 0, 0],), ALONG),
    Kink("softmax", ([0.0, -inf],), [1.0, 0.0], ([0, 0],), ALONG),
    Kink("softmax", ([1e4, 0.0],), [1.0, 0.0], ([0, 0],), ALONG),
    Kink("softmax", ([-1e4, -1e4],), [0.5, 0.5], ([0, 0],), ALONG),
    Kink("log_softmax", ([0.0, -inf],), [0.0, -inf], ([-1, 1],), ALONG),
    Kink("log_softmax", ([1e4, 0.0],), [0.0, -1e4], ([-1, 1],), ALONG),
    Kink("logsumexp", ([0.0, -inf],), 0.0, ([1, 0],), ALONG),
    Kink("logsumexp", ([1e4, 0.0],), 1e4, ([1, 0],), ALONG),
    Kink("logsumexp", ([-inf, -inf],), -inf, ([np.nan, np.nan],), ALONG),
    pair("mae", 2.0, 2.0, 0.0, 0.0, 0.0),
    pair("mae", inf, 2.0, inf, 1.0, -1.0),
    pair("huber", 3.0, 2.0, 0.5, 1.0, -1.0),
    pair("huber", 1.0, 2.0, 0.5, -1.0, 1.0),
    pair("huber", inf, 2.0, inf, 1.0, -1.0),
    pair("log_cosh", 2.0, 2.0, 0.0, 0.0, 0.0),
    pair("log_cosh", 1e4, 0.0, 1e4 - log(2), 1.0, -1.0),
    pair("log_cosh", -1e4, 0.0, 1e4 - log(2), -1.0, 1.0),
    pair("bce", 0.0, 0.0, 0.0, 1.0, inf),
    pair("bce", 1.0, 1.0, 0.0, -1.0, -inf),
    pair("bce", 0.0, 1.0, inf, -inf, inf),
    pair("bce", 1.0, 0.0, inf, inf, -inf),
    pair("bce_logits", 1e4, 1.0, 0.0, 0.0, -1e4),
    pair("bce_logits", 1e4, 0.0, 1e4, 1.0, -1e4),
    pair("bce_logits", -1e4, 1.0, 1e4, -1.0, 1e4),
    pair("hinge", 1.0, 1.0, 0.0, 0.0, 0.0),
    pair("hinge", -1.0, -1.0, 0.0, 0.0, 0.0),
    pair("hinge", 0.0, 1.0, 1.0, -1.0, 0.0),
    pair("kl", 0.5, 0.0, 0.0, 0.0, 0.0),
    pair("kl", 0.0, 0.0, 0.0, 0.0, 0.0),
    pair("kl", 0.0, 0.5, inf, -inf, inf),
    pair("kl", 0.5, 0.5, 0.0, -1.0, 1.0),
    Kink("cross_entropy", ([1e4, 0.0], 1), 1e4, ([1, -1],), SUMMED),
    Kink("cross_entropy", ([1e4, 0.0], 0), 0.0, ([0, 0],), SUMMED),
    Kink("cross_entropy", ([0.0, -inf], 0), 0.0, ([0, 0],), SUMMED),
    Kink("cross_entropy", ([0.0, -inf], [1.0, 0.0]), 0.0, ([0, 0], [0, inf]), SUMMED),
)


def of_one_example(kink):
    """The same loss as a mean over one example."""
    if kink.op == "cross_entropy":
        axes = ("m a", "m" if np.ndim(kink.arrays[1]) == 0 else "m a")
        arrays, slopes = (
            [np.asarray(a)[None] for a in part] for part in (kink.arrays, kink.slopes)
        )
        return replace(kink, arrays=tuple(arrays), slopes=tuple(slopes), attrs={}, axes=axes)
    return replace(kink, attrs={"examples": "a"})


def weighted(kink):
    """The same loss with a weight, which multiplies value and slopes, and receives the value."""
    scalar = kink.op == "cross_entropy" and not kink.axes
    weight = 2.0 if scalar else [2.0]
    slopes = [2 * np.asarray(s) for s in kink.slopes]
    return replace(
        kink,
        arrays=(*kink.arrays, weight),
        value=2 * kink.value,
        slopes=(*slopes, np.full(np.shape(weight), kink.value)),
        axes=(*kink.axes, "m") if kink.axes else (),
    )


LOSSES = [kink for kink in PLAIN if "weights" in OPS[kink.op].keywords]
MEANS = [of_one_example(kink) for kink in LOSSES]
KINKS = (*PLAIN, *MEANS, *(weighted(kink) for kink in (*LOSSES, *MEANS)))


def assert_kink(kink, dtype=np.float64):
    """The engine gives the value and slopes stated, to two roundings."""
    arrays = [np.asarray(a) for a in kink.arrays]
    kinds = {"b": "bool", "i": "int", "f": "float"}
    axes = kink.axes or ["a" * a.ndim for a in arrays]
    specs = [
        Spec(tuple(t.split()), {}, kinds[a.dtype.kind]) for t, a in zip(axes, arrays, strict=True)
    ]
    inputs = [input_(f"x{i}", spec) for i, spec in enumerate(specs)]
    node = OPS[kink.op](*inputs, **kink.attrs)
    real = [x for x in inputs if x.kind == "float"]
    received = reverse(node, real, seed=expand(const(COTANGENT), node.axes)).wrt
    outputs = [node, *(received[x] for x in real)]
    value, *slopes = run(outputs, dict(zip(inputs, arrays, strict=True)), dtype)
    assert_same(value, kink.value, f"value of {kink}", dtype)
    for slope, stated in zip(slopes, kink.slopes, strict=True):
        assert_same(slope, COTANGENT * np.asarray(stated), f"slope of {kink}", dtype)


def assert_same(actual, stated, what, dtype):
    """Equal, NaN for NaN, or two roundings apart."""
    stated = np.asarray(stated)
    assert np.shape(actual) == stated.shape, (
        f"{what} has shape {np.shape(actual)}, stated {stated.shape}"
    )
    near = np.isclose(actual, stated, rtol=2 * np.finfo(dtype).eps, atol=0, equal_nan=True)
    assert np.all(near), f"{what} is {actual}, stated {stated}"
