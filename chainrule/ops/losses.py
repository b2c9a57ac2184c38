"""Losses for numbers: each is a table entry, its value and slope for one prediction and target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.expr import Expr
from chainrule.ops.activations import sigmoid, softplus
from chainrule.ops.arithmetic import (
    abs_,
    clip,
    eq,
    exp,
    log,
    log1p,
    maximum,
    sign,
    square,
    tanh,
    where,
)
from chainrule.ops.loss_record import loss, normalised, same_axes
from chainrule.ops.record import PRODUCT, Layout, Mistake, Op, register
from chainrule.ops.structure import sum_

_DIFFERENCE = r"\left({0:sum} - {1:had}\right)"
mse = loss(
    "mse",
    "Mean over examples of the squared distance: (1/m) ‖ŷ − y‖².",
    lambda p, t: square(p - t),
    lambda p, t: p - t,
    lambda p, t: t - p,
    normalised("||{0:sum} - {1:had}||^2", _DIFFERENCE + r"^{{\odot 2}}"),
    "CS230 section 2",
    factor=2,
)


def _half_mse_tex(attrs: Mapping[str, Any], inputs: tuple[Expr, ...]) -> str:
    scale = r"\frac{{1}}{{2{examples}}}" if attrs["reduction"] == "mean" else r"\frac{{1}}{{2}}"
    if len(inputs) > 2:
        return scale + r"\sum {2:pow} \odot " + _DIFFERENCE + r"^{{\odot 2}}"
    return scale + "||{0:sum} - {1:had}||^2"


half_mse = loss(
    "half_mse",
    "Half the mean squared distance: (1/2m) ‖ŷ − y‖².",
    lambda p, t: 0.5 * square(p - t),
    lambda p, t: p - t,
    lambda p, t: t - p,
    _half_mse_tex,
    "Nielsen 2015, eq. 6",
)
mae = loss(
    "mae",
    "Mean over examples of the absolute error; slope 0 where it is 0.",
    lambda p, t: abs_(p - t),
    lambda p, t: sign(p - t),
    lambda p, t: sign(t - p),
    normalised("||{0:sum} - {1:had}||_1", r"\lvert {0:sum} - {1:had} \rvert"),
    "least absolute deviations; 0 at the kink",
    smooth=False,
)


def _huber(p: Expr, t: Expr, delta: float) -> Expr:
    far = abs_(p - t)
    return where(far <= delta, 0.5 * square(p - t), delta * (far - 0.5 * delta))


huber = loss(
    "huber",
    "Half the square within delta of the target, linear beyond.",
    _huber,
    lambda p, t, delta: clip(p - t, -delta, delta),
    lambda p, t, delta: clip(t - p, -delta, delta),
    normalised("", r"\operatorname{{huber}}_{{{delta}}}\left({0:sum} - {1:had}\right)"),
    "Huber 1964",
    attrs={"delta": 1.0},
)
log_cosh = loss(
    "log_cosh",
    "log cosh of the error: a square near 0, linear far away.",
    lambda p, t: abs_(p - t) + log1p(exp(-2 * abs_(p - t))) - math.log(2),
    lambda p, t: tanh(p - t),
    lambda p, t: tanh(t - p),
    normalised("", r"\log\cosh\left({0:sum} - {1:had}\right)"),
    "d log cosh x = tanh x",
)
poisson = loss(
    "poisson",
    "Negative log-likelihood of counts, the prediction being the log of the rate (without log y!).",
    lambda p, t: exp(p) - t * p,
    lambda p, t: exp(p) - t,
    lambda p, t: -p,
    normalised("", r"\left(e^{{{0}}} - {1:pow} \odot {0:pow}\right)"),
    "Nelder & Wedderburn 1972; log y! does not depend on the prediction",
)


def _bce(p: Expr, t: Expr) -> Expr:
    # 0 · log 0 is 0 here, as in the limit: the logarithm is not taken where its factor is 0
    return -(t * log(where(eq(t, 0), 1, p)) + (1 - t) * log(where(eq(t, 1), 1, 1 - p)))


def _bce_slope(p: Expr, t: Expr) -> Expr:
    return (1 - t) / where(eq(t, 1), 1, 1 - p) - t / where(eq(t, 0), 1, p)


_UNIT = ((0.05, 0.95), (0.05, 0.95), (0.2, 2.0))
bce = loss(
    "bce",
    "Binary cross-entropy of probabilities.",
    _bce,
    _bce_slope,
    lambda p, t: log(1 - p) - log(p),
    normalised(
        "", r"\left({1:pow} \odot \log{0:call} + (1 - {1:had}) \odot \log(1 - {0:had})\right)", "-"
    ),
    "Bernoulli log-likelihood",
    domain=_UNIT,
)
bce_logits = loss(
    "bce_logits",
    "Binary cross-entropy of logits, without overflow.",
    lambda p, t: softplus(p) - t * p,
    lambda p, t: sigmoid(p) - t,
    lambda p, t: -p,
    normalised("", r"\left(\operatorname{{softplus}}{0:call} - {1:pow} \odot {0:pow}\right)"),
    "−t log σ(z) − (1 − t) log(1 − σ(z)) = softplus(z) − t z",
)
hinge = loss(
    "hinge",
    "max(0, 1 − y ŷ) for targets −1 and 1; slope 0 at the kink.",
    lambda p, t: maximum(0, 1 - t * p),
    lambda p, t: -t * (1 - t * p > 0),
    lambda p, t: -p * (1 - t * p > 0),
    normalised("", r"\max\left(0, 1 - {1:pow} \odot {0:pow}\right)"),
    "Cortes & Vapnik 1995",
    smooth=False,
)


def _log_ratio(p: Expr, t: Expr) -> Expr:
    return log(where(eq(t, 0), 1, t) / where(eq(t, 0), 1, p))


kl = loss(
    "kl",
    "Kullback–Leibler divergence of the prediction from the target, both probabilities.",
    lambda p, t: t * _log_ratio(p, t),
    lambda p, t: -(t / where(eq(t, 0), 1, p)),
    lambda p, t: where(eq(t, 0), 0, _log_ratio(p, t) + 1),
    normalised("", r"{1:pow} \odot \log\frac{{{1}}}{{{0}}}"),
    "Kullback & Leibler 1951; 0 log 0 = 0: what has no mass contributes nothing",
    domain=_UNIT,
)
sum_squares = register(
    Op(
        "sum_squares",
        summary="Sum of the squared errors, no mean: ‖ŷ − y‖².",
        axes=lambda p, t: same_axes("sum_squares")(p, t),
        arity=(2, 2),
        body=lambda p, t: sum_(square(p - t)),
        vjp=lambda g, y, p, t: (2 * g * (p - t), 2 * g * (t - p)),
        tex="||{0:sum} - {1:had}||^2",
        binds=PRODUCT,
        layouts=(Layout(("o m", "o m")), Layout(("m", "m")), Layout(("", ""))),
        mistakes=(Mistake(("m 1", "m"), "would broadcast to (m, 1)"),),
        source="least squares, Legendre 1805",
    )
)
