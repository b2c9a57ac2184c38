"""Softmax cross-entropy, for labels that are whole numbers and for rows of target probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import ParameterError, ShapeError
from chainrule.expr import EXAMPLES, Axes, Expr, describe_axes
from chainrule.ops.activations import log_softmax, softmax
from chainrule.ops.arithmetic import eq, where
from chainrule.ops.loss_record import (
    check_weights,
    normalised,
    reduced,
    reduction_options,
    scaled,
    to_weights,
)
from chainrule.ops.record import PRODUCT, Cotangents, Layout, Mistake, Op, register
from chainrule.ops.structure import one_hot, refuse, size, sum_, transpose


def _class_axis(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    attrs = reduction_options("cross_entropy")(inputs, attrs)
    logits, target = inputs[:2]
    other = target.axes if target.kind == "int" else (attrs["examples"],)
    classes = [axis for axis in logits.axes if axis not in other]
    if attrs["over"] is None:
        if len(classes) != 1:
            hint = "Name the axis of the classes: over=…"
            both = f"{describe_axes(logits)} and {describe_axes(target)}"
            what = f"{both} leave {len(classes)} axes for classes"
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
        wanted = ", ".join(sorted(expected))
        got = describe_axes(target)
        what = f"logits {describe_axes(logits)} need targets with axes ({wanted}), got {got}"
        raise ShapeError(what, where="cross_entropy")
    check_weights("cross_entropy", logits, weights)
    return ()


def _targets(logits: Expr, target: Expr, over: str, smoothing: float) -> Expr:
    spread = one_hot(target, over, logits.sizes.get(over)) if target.kind == "int" else target
    aligned = transpose(spread, logits.axes)
    return (1 - smoothing) * aligned + smoothing / size(over) if smoothing else aligned


def _surprise(wanted: Expr, log_p: Expr) -> Expr:
    # a class that is ruled out (logit −∞) and not wanted costs nothing: 0 · log 0 is 0 here
    return -(wanted * where(eq(wanted, 0), 0, log_p))


def _cross_entropy_body(
    z: Expr, t: Expr, *w: Expr, over: str, label_smoothing: float, examples: str, reduction: str
) -> Expr:
    each = _surprise(_targets(z, t, over, label_smoothing), log_softmax(z, over))
    return reduced(each, w, examples, reduction)


def plain_cross_entropy(
    z: Expr, t: Expr, *w: Expr, over: str, label_smoothing: float, examples: str, reduction: str
) -> Expr:
    """The body as books write it: without the case of a class that is ruled out and not wanted."""
    each = -(_targets(z, t, over, label_smoothing) * log_softmax(z, over))
    return reduced(each, w, examples, reduction)


def _cross_entropy_vjp(
    g: Expr, y: Expr, z: Expr, t: Expr, *w: Expr,
    over: str, label_smoothing: float, examples: str, reduction: str,
) -> Cotangents:  # fmt: skip
    wanted = _targets(z, t, over, label_smoothing)
    # labels make targets that sum to 1; given targets need not
    mass = softmax(z, over) if t.kind == "int" else softmax(z, over) * sum_(wanted, over)
    to_z = scaled(g, 1, mass - wanted, w, examples, reduction)
    log_p = log_softmax(z, over)
    to_t = None
    if t.kind != "int":
        to_t = scaled(g, label_smoothing - 1, log_p, w, examples, reduction)
        to_t = transpose(to_t, t.axes)
    to_w = [to_weights(g, _surprise(wanted, log_p), w[0], examples, reduction)] if w else []
    return (to_z, to_t, *to_w)


def _cross_entropy_tex(attrs: Mapping[str, Any], inputs: tuple[Expr, ...]) -> str:
    log_p = r"\log\operatorname{{softmax}}{0:call}"
    each = log_p + "_{{{1}}}" if inputs[1].kind == "int" else r"{1:pow} \odot " + log_p
    if attrs["label_smoothing"]:
        wanted = (
            r"\operatorname{{onehot}}_{{{over}}}{1:call}" if inputs[1].kind == "int" else "{1:had}"
        )
        smoothed = r"(1 - {label_smoothing})" + wanted + r" + \frac{{{label_smoothing}}}{{{over}}}"
        each = rf"\left({smoothed}\right) \odot {log_p}"
    pattern = normalised("", each, "-")
    return pattern if isinstance(pattern, str) else pattern(attrs, inputs)


cross_entropy = register(
    Op(
        "cross_entropy",
        summary="−log of the softmax probability of the right class, given as label or row.",
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
