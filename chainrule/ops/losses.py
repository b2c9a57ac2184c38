"""Losses. Each says its normalisation in its equation: the mean is over examples, everything else is summed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.errors import ParameterError, ShapeError
from chainrule.expr import EXAMPLES, Axes, Expr, const, describe_axes
from chainrule.ops.activations import log_softmax, sigmoid, softmax, softplus
from chainrule.ops.arithmetic import abs_, clip, eq, exp, log, log1p, maximum, sign, square, tanh, where
from chainrule.ops.record import PRODUCT, Cotangents, Layout, Mistake, Op, Tex, register
from chainrule.ops.structure import one_hot, onto, refuse, size, sum_, transpose

REDUCTIONS = ("mean", "sum")
Pointwise = Callable[..., Expr]


def _options(name: str) -> Any:
    def prepare(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["reduction"] not in REDUCTIONS:
            raise ParameterError(f"reduction must be mean or sum, got {attrs['reduction']!r}", where=name)
        if attrs["reduction"] == "mean" and attrs["examples"] not in inputs[0].axes:
            hint = f"Name it: {name}(…, examples='{(inputs[0].axes or ('m',))[-1]}'), or use reduction='sum'"
            what = f"{describe_axes(inputs[0])} has no axis {attrs['examples']!r} that counts the examples"
            raise ShapeError(what, where=name, hint=hint)
        return attrs

    return prepare


def _same_axes(name: str) -> Any:
    def rule(prediction: Expr, target: Expr, *weights: Expr, examples: str, **_: Any) -> Axes:
        if set(prediction.axes) != set(target.axes):
            widest = max(prediction.axes, target.axes, key=len)
            missing = [a for a in widest if a not in min(prediction.axes, target.axes, key=len)]
            index = ", ".join("None" if a in missing else ":" for a in widest)
            what = (
                f"prediction ({', '.join(prediction.axes)}) and target ({', '.join(target.axes)}) "
                f"would broadcast to ({', '.join(widest)})"
            )
            low = "target" if len(target.axes) < len(prediction.axes) else "prediction"
            hint = f"Use {low}[{index}] with {describe_axes(prediction)} and {describe_axes(target)}"
            raise ShapeError(what, where=name, hint=hint)
        _check_weights(name, prediction, weights)
        return ()

    return rule


def _check_weights(name: str, prediction: Expr, weights: tuple[Expr, ...]) -> None:
    for w in weights:
        if not set(w.axes) <= set(prediction.axes):
            raise ShapeError(
                f"weights {describe_axes(w)} have an axis that {describe_axes(prediction)} has not", where=name
            )


def _reduce(each: Expr, weights: tuple[Expr, ...], examples: str, reduction: str) -> Expr:
    total = sum_(each * weights[0] if weights else each)
    return total / size(examples) if reduction == "mean" else total


def _scaled(
    g: Expr, factor: float, slope: Expr, weights: tuple[Expr, ...], examples: str, reduction: str
) -> Expr:
    """g · (factor/m) · slope, as the documents write it: the factor stands in front, unmerged."""
    scale = const(factor) / size(examples) if reduction == "mean" else const(factor)
    weighted = slope * weights[0] if weights else slope
    return g * scale * weighted


def _weights_vjp(g: Expr, each: Expr, weights: Expr, examples: str, reduction: str) -> Expr:
    scale = const(1) / size(examples) if reduction == "mean" else const(1)
    return onto(g * scale * each, weights.axes)


def _normalised(norm: str, each: str) -> Tex:
    """The equation: `norm` where it says it all, else a sum over `each`, with 1/m in front of a mean."""

    def tex(attrs: Mapping[str, Any], inputs: tuple[Expr, ...]) -> str:
        mean = r"\frac{{1}}{{{examples}}}" if attrs["reduction"] == "mean" else ""
        if len(inputs) > 2:
            return rf"{mean}\sum {{2:pow}} \odot {each}"
        return mean + (norm or rf"\sum {each}")

    return tex


def loss(
    name: str,
    summary: str,
    each: Pointwise,
    slope: Pointwise,
    target_slope: Pointwise,
    tex: Tex,
    source: str,
    factor: float = 1.0,
    attrs: Mapping[str, Any] | None = None,
    **parts: Any,
) -> Op:
    """Register a loss that is a sum over entries: `each`(prediction, target) with derivatives factor · `slope`."""
    own = dict(attrs or {})

    def split_attrs(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, str]]:
        return {k: given[k] for k in own}, (given["examples"], given["reduction"])

    def body(p: Expr, t: Expr, *w: Expr, **given: Any) -> Expr:
        mine, how = split_attrs(given)
        return _reduce(each(p, t, **mine), w, *how)

    def vjp(g: Expr, y: Expr, p: Expr, t: Expr, *w: Expr, **given: Any) -> Cotangents:
        mine, how = split_attrs(given)
        to_p = _scaled(g, factor, slope(p, t, **mine), w, *how)
        to_t = _scaled(g, factor, target_slope(p, t, **mine), w, *how)
        to_w = [_weights_vjp(g, each(p, t, **mine), w[0], *how)] if w else []
        return (to_p, to_t, *to_w)

    layouts = (
        Layout(("o m", "o m")),
        Layout(("m o", "o m")),
        Layout(("m", "m")),
        Layout(("1 m", "1 m")),
        Layout(("o m", "o m"), {"reduction": "sum"}),
        Layout(("o", "o"), {"reduction": "sum"}),
        Layout(("o m", "o m", "m")),
        Layout(("b o", "b o"), {"examples": "b"}),
    )
    mistakes = (
        Mistake(("m 1", "m"), "prediction (m, 1) and target (m) would broadcast to (m, 1)"),
        Mistake(("m", "m int"), "is int, expected float"),
        Mistake(("b o", "b o"), "has no axis 'm' that counts the examples"),
        Mistake(("m", "m"), "reduction must be mean or sum", {"reduction": "average"}),
    )
    return register(
        Op(
            name,
            summary=summary,
            axes=_same_axes(name),
            arity=(2, 3),
            attrs={**own, "examples": EXAMPLES, "reduction": "mean"},
            keywords=("weights",),
            prepare=_options(name),
            body=body,
            vjp=vjp,
            tex=tex,
            binds=PRODUCT,
            layouts=layouts,
            mistakes=mistakes,
            source=source,
            **parts,
        )
    )


_DIFFERENCE = r"\left({0:sum} - {1:had}\right)"
mse = loss(
    "mse",
    "Mean over examples of the squared distance: (1/m) ‖ŷ − y‖².",
    lambda p, t: square(p - t),
    lambda p, t: p - t,
    lambda p, t: t - p,
    _normalised("||{0:sum} - {1:had}||^2", _DIFFERENCE + r"^{{\odot 2}}"),
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
    _normalised("||{0:sum} - {1:had}||_1", r"\lvert {0:sum} - {1:had} \rvert"),
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
    _normalised("", r"\operatorname{{huber}}_{{{delta:g}}}\left({0:sum} - {1:had}\right)"),
    "Huber 1964",
    attrs={"delta": 1.0},
)
log_cosh = loss(
    "log_cosh",
    "log cosh of the error: a square near 0, linear far away.",
    lambda p, t: abs_(p - t) + log1p(exp(-2 * abs_(p - t))) - math.log(2),
    lambda p, t: tanh(p - t),
    lambda p, t: tanh(t - p),
    _normalised("", r"\log\cosh\left({0:sum} - {1:had}\right)"),
    "d log cosh x = tanh x",
)
poisson = loss(
    "poisson",
    "Negative log-likelihood of counts, the prediction being the log of the rate (without log y!).",
    lambda p, t: exp(p) - t * p,
    lambda p, t: exp(p) - t,
    lambda p, t: -p,
    _normalised("", r"\left(e^{{{0}}} - {1:pow} \odot {0:pow}\right)"),
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
    _normalised("", r"-\left({1:pow} \odot \log{0:call} + (1 - {1:had}) \odot \log(1 - {0:had})\right)"),
    "Bernoulli log-likelihood",
    domain=_UNIT,
)
bce_logits = loss(
    "bce_logits",
    "Binary cross-entropy of logits, without overflow.",
    lambda p, t: softplus(p) - t * p,
    lambda p, t: sigmoid(p) - t,
    lambda p, t: -p,
    _normalised("", r"\left(\operatorname{{softplus}}{0:call} - {1:pow} \odot {0:pow}\right)"),
    "−t log σ(z) − (1 − t) log(1 − σ(z)) = softplus(z) − t z",
)
hinge = loss(
    "hinge",
    "max(0, 1 − y ŷ) for targets −1 and 1; slope 0 at the kink.",
    lambda p, t: maximum(0, 1 - t * p),
    lambda p, t: -t * (1 - t * p > 0),
    lambda p, t: -p * (1 - t * p > 0),
    _normalised("", r"\max\left(0, 1 - {1:pow} \odot {0:pow}\right)"),
    "Cortes & Vapnik 1995",
    smooth=False,
)


def _log_ratio(p: Expr, t: Expr) -> Expr:
    return log(where(eq(t, 0), 1, t) / where(eq(t, 0), 1, p))


kl = loss(
    "kl",
    "Kullback–Leibler divergence of the prediction from the target, both probabilities.",
    lambda p, t: t * _log_ratio(p, t),
    lambda p, t: -t / p,
    lambda p, t: _log_ratio(p, t) + 1,
    _normalised("", r"{1:pow} \odot \log\frac{{{1}}}{{{0}}}"),
    "Kullback & Leibler 1951; 0 log 0 = 0",
    domain=_UNIT,
)
sum_squares = register(
    Op(
        "sum_squares",
        summary="Sum of the squared errors, no mean: ‖ŷ − y‖².",
        axes=lambda p, t: _same_axes("sum_squares")(p, t, examples=""),
        arity=(2, 2),
        body=lambda p, t: sum_(square(p - t)),
        vjp=lambda g, y, p, t: (g * 2 * (p - t), g * 2 * (t - p)),
        tex="||{0:sum} - {1:had}||^2",
        binds=PRODUCT,
        layouts=(Layout(("o m", "o m")), Layout(("m", "m")), Layout(("", ""))),
        mistakes=(Mistake(("m 1", "m"), "would broadcast to (m, 1)"),),
        source="least squares, Legendre 1805",
    )
)


def _class_axis(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    attrs = _options("cross_entropy")(inputs, attrs)
    logits, target = inputs[:2]
    other = target.axes if target.kind == "int" else (attrs["examples"],)
    classes = [axis for axis in logits.axes if axis not in other]
    if attrs["over"] is None:
        if len(classes) != 1:
            hint = "Name the axis of the classes: over=…"
            what = f"{describe_axes(logits)} and {describe_axes(target)} leave {len(classes)} axes for classes"
            raise ShapeError(what, where="cross_entropy", hint=hint)
        attrs["over"] = classes[0]
    if not 0 <= attrs["label_smoothing"] < 1:
        what = f"label_smoothing must be in [0, 1), got {attrs['label_smoothing']}"
        raise ParameterError(what, where="cross_entropy")
    return {**attrs, "label_smoothing": float(attrs["label_smoothing"])}


def _cross_entropy_axes(logits: Expr, target: Expr, *weights: Expr, over: str, **_: Any) -> Axes:
    if target.kind == "int":
        refuse("cross_entropy", target, over)
        expected = set(logits.axes) - {over}
    else:
        expected = set(logits.axes)
    if set(target.axes) != expected:
        what = f"logits {describe_axes(logits)} need targets with axes ({', '.join(sorted(expected))}), got {describe_axes(target)}"
        raise ShapeError(what, where="cross_entropy")
    _check_weights("cross_entropy", logits, weights)
    return ()


def _targets(logits: Expr, target: Expr, over: str, smoothing: float) -> Expr:
    spread = one_hot(target, over, logits.sizes.get(over)) if target.kind == "int" else target
    aligned = transpose(spread, logits.axes)
    return (1 - smoothing) * aligned + smoothing / size(over) if smoothing else aligned


def _cross_entropy_body(
    z: Expr, t: Expr, *w: Expr, over: str, label_smoothing: float, examples: str, reduction: str
) -> Expr:
    each = -(_targets(z, t, over, label_smoothing) * log_softmax(z, over))
    return _reduce(each, w, examples, reduction)


def _cross_entropy_vjp(
    g: Expr, y: Expr, z: Expr, t: Expr, *w: Expr,
    over: str, label_smoothing: float, examples: str, reduction: str,
) -> Cotangents:  # fmt: skip
    wanted = _targets(z, t, over, label_smoothing)
    # labels make targets that sum to 1; given targets need not
    mass = softmax(z, over) if t.kind == "int" else softmax(z, over) * sum_(wanted, over)
    to_z = _scaled(g, 1, mass - wanted, w, examples, reduction)
    log_p = log_softmax(z, over)
    to_t = None
    if t.kind != "int":
        to_t = _scaled(g, label_smoothing - 1, log_p, w, examples, reduction)
        to_t = transpose(to_t, t.axes)
    to_w = [_weights_vjp(g, -(wanted * log_p), w[0], examples, reduction)] if w else []
    return (to_z, to_t, *to_w)


def _cross_entropy_tex(attrs: Mapping[str, Any], inputs: tuple[Expr, ...]) -> str:
    labels = inputs[1].kind == "int" and not attrs["label_smoothing"]
    log_p = r"-\log\operatorname{{softmax}}{0:call}"
    each = log_p + "_{{{1}}}" if labels else r"-{1:pow} \odot " + log_p[1:]
    normalised = _normalised("", each)
    return normalised if isinstance(normalised, str) else normalised(attrs, inputs)


cross_entropy = register(
    Op(
        "cross_entropy",
        summary="−log of the softmax probability of the right class; labels are whole numbers or one-hot rows.",
        axes=_cross_entropy_axes,
        arity=(2, 3),
        attrs={"over": None, "label_smoothing": 0.0, "examples": EXAMPLES, "reduction": "mean"},
        keywords=("weights",),
        takes=(("float",), ("int", "float", "bool"), ("float", "bool")),
        prepare=_class_axis,
        body=_cross_entropy_body,
        vjp=_cross_entropy_vjp,
        tex=_cross_entropy_tex,
        binds=PRODUCT,
        layouts=(
            Layout(("m c=4", "m int")),
            Layout(("c=4 m", "m int")),
            Layout(("m c=4", "m c=4")),
            Layout(("c=4 m", "m c=4")),
            Layout(("m c=4", "m int"), {"reduction": "sum"}),
            Layout(("m c=4", "m int"), {"label_smoothing": 0.1}),
            Layout(("m c=4", "m c=4"), {"label_smoothing": 0.1}),
            Layout(("m c=4", "m int", "m")),
            Layout(("m c=4", "m c=4", "m")),
            Layout(("c=4", "int"), {"reduction": "sum"}),
        ),
        mistakes=(
            Mistake(("m c", "q int"), "leave 2 axes for classes"),
            Mistake(("m c", "m int"), "label_smoothing must be in [0, 1)", {"label_smoothing": 1}),
            Mistake(("b c", "b int"), "has no axis 'm' that counts the examples"),
        ),
        source="Cox 1958; ∂L/∂z = (softmax(z) − y)/m",
    )
)
