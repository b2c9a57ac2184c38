"""Activation functions and the softmax family.

A derivative is written with the value wherever that is shorter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.expr import Axes, Expr
from chainrule.ops.arithmetic import (
    DLMF,
    INF,
    abs_,
    erf,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    square,
    tanh,
    unary,
    where,
)
from chainrule.ops.record import (
    UNARY,
    UNARY_MISTAKES,
    Cancellation,
    Edge,
    Layout,
    Mistake,
    Op,
    Tex,
    register,
)
from chainrule.ops.structure import expand, max_, names, require, stop_gradient, sum_

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)  # tanh form of GELU, Hendrycks & Gimpel 2016
GELU_CUBIC = 0.044715  # same
SELU_ALPHA = (
    1.6732632423543772848170429916717  # Klambauer et al. 2017, fixed point of mean 0, variance 1
)
SELU_SCALE = 1.0507009873554804934193349852946  # same


def _sigmoid_body(x: Expr) -> Expr:
    small = exp(-abs_(x))  # at most 1, so nothing overflows on either side
    return where(x >= 0, 1, small) / (1 + small)


sigmoid = unary(
    "sigmoid",
    summary="Logistic function 1 / (1 + e^(−x)).",
    body=_sigmoid_body,
    vjp=lambda g, y, x: (g * y * (1 - y),),
    tex=r"\sigma{0:call}",
    edges=(Edge(0, 0.5, 0.25), Edge(INF, 1, 0), Edge(-INF, 0, 0)),
    cancels=Cancellation("1 − y where y is near 1", slope=0.3),
    source="CS230 section 2: σ′ = σ ⊙ (1 − σ)",
)
relu = unary(
    "relu",
    summary="max(0, x); slope 0 at 0.",
    body=lambda x: maximum(0, x),
    vjp=lambda g, y, x: (g * (x > 0),),
    tex=r"\operatorname{{relu}}{0:call}",
    smooth=False,
    edges=(Edge(0, 0, 0), Edge(INF, INF, 1), Edge(-INF, 0, 0)),
    source="Nair & Hinton 2010; 0 at the kink",
)


def _with(op_attrs: dict[str, float]) -> dict[str, Any]:
    layouts = tuple(Layout(u.inputs, op_attrs) for u in UNARY)
    mistakes = tuple(Mistake(m.inputs, m.says, op_attrs) for m in UNARY_MISTAKES)
    return {"layouts": layouts, "mistakes": mistakes}


def _with_option(function: str, option: str, usual: float) -> Tex:
    """The equation of a function whose option stands below it unless it has its usual value."""

    def tex(attrs: Mapping[str, Any], inputs: tuple[Expr, ...]) -> str:
        below = "" if float(attrs[option]) == usual else rf"_{{{{{{{option}}}}}}}"
        return rf"\operatorname{{{{{function}}}}}{below}{{0:call}}"

    return tex


leaky_relu = unary(
    "leaky_relu",
    summary="x where positive, slope · x elsewhere; at 0 the derivative is the slope.",
    layouts=(*UNARY, Layout(("k m",), {"slope": 0.3})),
    attrs={"slope": 0.01},
    body=lambda x, slope: where(x > 0, x, slope * x),
    vjp=lambda g, y, x, slope: (where(x > 0, g, slope * g),),
    tex=_with_option("lrelu", "slope", 0.01),
    smooth=False,
    edges=(Edge(0, 0, 0.01), Edge(INF, INF, 1), Edge(-INF, -INF, 0.01)),
    source="Maas, Hannun & Ng 2013",
)
elu = unary(
    "elu",
    summary="x where positive, α(e^x − 1) elsewhere.",
    layouts=(*UNARY, Layout(("k m",), {"alpha": 1.7})),
    attrs={"alpha": 1.0},
    body=lambda x, alpha: where(x > 0, x, alpha * expm1(minimum(x, 0))),
    vjp=lambda g, y, x, alpha: (where(x > 0, g, g * alpha * exp(minimum(x, 0))),),
    tex=_with_option("elu", "alpha", 1.0),
    smooth=False,
    edges=(Edge(0, 0, 1), Edge(INF, INF, 1), Edge(-INF, -1, 0)),
    source="Clevert, Unterthiner & Hochreiter 2016",
)
selu = unary(
    "selu",
    summary="Scaled elu that keeps mean 0 and variance 1.",
    body=lambda x: SELU_SCALE * where(x > 0, x, SELU_ALPHA * expm1(minimum(x, 0))),
    vjp=lambda g, y, x: (
        where(x > 0, SELU_SCALE * g, SELU_SCALE * SELU_ALPHA * g * exp(minimum(x, 0))),
    ),
    tex=r"\operatorname{{selu}}{0:call}",
    smooth=False,
    edges=(
        Edge(0, 0, SELU_SCALE * SELU_ALPHA),
        Edge(INF, INF, SELU_SCALE),
        Edge(-INF, -SELU_SCALE * SELU_ALPHA, 0),
    ),
    source="Klambauer et al. 2017",
)


def normal_cdf(x: Expr) -> Expr:
    """Φ(x) = (1 + erf(x/√2)) / 2."""
    return 0.5 * (1 + erf(x / math.sqrt(2)))


def _gelu_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    density = exp(-0.5 * square(x)) / math.sqrt(2 * math.pi)
    return (g * (normal_cdf(x) + x * density),)


gelu = unary(
    "gelu",
    summary="x Φ(x), with Φ the normal distribution function.",
    body=lambda x: x * normal_cdf(x),
    vjp=_gelu_vjp,
    tex=r"\operatorname{{gelu}}{0:call}",
    edges=(Edge(0, 0, 0.5), Edge(40, 40, 1), Edge(-40, 0, 0)),
    cancels=Cancellation("1 + erf(x/√2) where x < 0", value=1.0, slope=1.2),
    source="Hendrycks & Gimpel 2016",
)


def _gelu_bend(x: Expr) -> Expr:
    return tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * (x * square(x))))


def _gelu_tanh_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    bend = _gelu_bend(x)
    inner = SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * square(x))
    return (g * (0.5 * (1 + bend) + 0.5 * x * (1 - square(bend)) * inner),)


gelu_tanh = unary(
    "gelu_tanh",
    summary="Gelu with Φ replaced by a tanh.",
    body=lambda x: 0.5 * x * (1 + _gelu_bend(x)),
    vjp=_gelu_tanh_vjp,
    tex=r"\operatorname{{gelu}}_{{\tanh}}{0:call}",
    edges=(Edge(0, 0, 0.5), Edge(40, 40, 1), Edge(-40, 0, 0)),
    cancels=Cancellation("1 + tanh where x < 0, and 1 − tanh² on both sides", value=1.0, slope=1.2),
    source="Hendrycks & Gimpel 2016",
)


def _silu_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    s = sigmoid(x)
    return (g * (s + x * s * (1 - s)),)


silu = unary(
    "silu",
    summary="x σ(x), also called swish.",
    body=lambda x: x * sigmoid(x),
    vjp=_silu_vjp,
    tex=r"\operatorname{{silu}}{0:call}",
    edges=(Edge(0, 0, 0.5), Edge(60, 60, 1)),
    cancels=Cancellation("1 − σ(x) where x > 0, which is then multiplied by x", slope=0.7),
    source="Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017",
)
softplus = unary(
    "softplus",
    summary="log(1 + e^x), a smooth relu.",
    body=lambda x: maximum(x, 0) + log1p(exp(-abs_(x))),
    vjp=lambda g, y, x: (g * sigmoid(x),),
    tex=r"\operatorname{{softplus}}{0:call}",
    edges=(Edge(0, math.log(2), 0.5), Edge(INF, INF, 1), Edge(-INF, 0, 0)),
    source="Dugas et al. 2001",
)
log_sigmoid = unary(
    "log_sigmoid",
    summary="log σ(x), exact where σ(x) is near 0.",
    body=lambda x: minimum(x, 0) - log1p(exp(-abs_(x))),
    vjp=lambda g, y, x: (g * sigmoid(-x),),
    tex=r"\log\sigma{0:call}",
    edges=(Edge(0, -math.log(2), 0.5), Edge(INF, 0, 0), Edge(-INF, -INF, 1)),
    source="d log σ = 1 − σ(x) = σ(−x)",
)


def _along(op: str) -> Any:
    def rule(x: Expr, over: Axes) -> Axes:
        require(op, x, *over)
        return x.axes

    return rule


def _one_axis(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    return {"over": names(attrs["over"])}


def shift(x: Expr, over: Axes) -> Expr:
    """The largest entry, or 0 where it is infinite: without it exp could overflow."""
    largest = max_(x, over)
    return stop_gradient(where(abs_(largest) < INF, largest, 0))


def _softmax_body(x: Expr, over: Axes) -> Expr:
    e = exp(x - shift(x, over))
    return e / sum_(e, over)


_OVER: dict[str, Any] = {
    "attrs": {"over": ...},
    "prepare": _one_axis,
    "layouts": (
        Layout(("m k",), {"over": "k"}),
        Layout(("k m",), {"over": "k"}),
        Layout(("k",), {"over": "k"}),
        Layout(("m 1",), {"over": "1"}),
    ),
    "mistakes": (
        Mistake(("m k",), "has no axis 'q'", {"over": "q"}),
        Mistake(("m k",), "needs over"),
    ),
}
softmax = register(
    Op(
        "softmax",
        summary="e^x divided by its sum along an axis: probabilities.",
        axes=_along("softmax"),
        body=_softmax_body,
        vjp=lambda g, y, x, over: (y * (g - sum_(g * y, over)),),
        tex=r"\operatorname{{softmax}}{0:call}",
        source="Bridle 1990; ∂y_i/∂x_j = y_i (δ_ij − y_j)",
        **_OVER,
    )
)
log_softmax = register(
    Op(
        "log_softmax",
        summary="x − logsumexp(x) along an axis: log probabilities.",
        axes=_along("log_softmax"),
        body=lambda x, over: x - logsumexp(x, over),
        vjp=lambda g, y, x, over: (g - exp(y) * sum_(g, over),),
        tex=r"\log\operatorname{{softmax}}{0:call}",
        source="the derivative of softmax divided by its value",
        **_OVER,
    )
)


def _reduced(x: Expr, over: Axes) -> Axes:
    require("logsumexp", x, *over)
    return tuple(axis for axis in x.axes if axis not in over)


def _logsumexp_body(x: Expr, over: Axes) -> Expr:
    c = shift(x, over)
    return c + log(sum_(exp(x - c), over))


logsumexp: Op = register(
    Op(
        "logsumexp",
        summary="log of the sum of e^x along an axis, without overflow.",
        axes=_reduced,
        body=_logsumexp_body,
        vjp=lambda g, y, x, over: (expand(g, x.axes) * exp(x - y),),
        tex=r"\operatorname{{logsumexp}}{0:call}",
        source=f"{DLMF}, 4.7; its gradient is the softmax",
        **_OVER,
    )
)
