"""What losses share: axes, sample weights, and the mean or sum over examples.

The mean is over examples; everything else is summed. Each loss says so in its equation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.errors import ParameterError, ShapeError
from chainrule.expr import EXAMPLES, Axes, Expr, const, describe_axes
from chainrule.ops.record import PRODUCT, Cotangents, Layout, Mistake, Op, Tex, register
from chainrule.ops.structure import onto, size, sum_

REDUCTIONS = ("mean", "sum")
Pointwise = Callable[..., Expr]


def reduction_options(name: str) -> Any:
    """Checks reduction and the axis of the examples for the loss called `name`."""

    def prepare(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["reduction"] not in REDUCTIONS:
            raise ParameterError(
                f"reduction must be mean or sum, got {attrs['reduction']!r}", where=name
            )
        if attrs["reduction"] == "mean" and attrs["examples"] not in inputs[0].axes:
            some = (inputs[0].axes or (EXAMPLES,))[-1]
            hint = f"Name it: {name}(…, examples='{some}'), or use reduction='sum'"
            missing = f"no axis {attrs['examples']!r} that counts the examples"
            what = f"{describe_axes(inputs[0])} has {missing}"
            raise ShapeError(what, where=name, hint=hint)
        return attrs

    return prepare


def same_axes(name: str) -> Any:
    """Shape rule of losses: prediction and target have the same axes, nothing is broadcast."""

    def rule(prediction: Expr, target: Expr, *weights: Expr, **_: Any) -> Axes:
        if set(prediction.axes) != set(target.axes):
            raise _mismatch(name, prediction, target)
        check_weights(name, prediction, weights)
        return ()

    return rule


def _mismatch(name: str, prediction: Expr, target: Expr) -> ShapeError:
    shown = [f"({', '.join(x.axes)})" for x in (prediction, target)]
    what = f"prediction {shown[0]} and target {shown[1]}"
    axes = prediction.axes
    narrow, wide = sorted((prediction, target), key=lambda x: len(x.axes))
    if not set(narrow.axes) < set(wide.axes):
        return ShapeError(f"{what} have different axes", where=name)
    index = ", ".join(":" if axis in narrow.axes else "None" for axis in wide.axes)
    role = "target" if narrow is target else "prediction"
    hint = f"Use {role}[{index}] and declare it with axes '{' '.join(wide.axes)}'"
    error = ShapeError(f"{what} would broadcast to ({', '.join(wide.axes)})", where=name, hint=hint)
    if target.op == "input":
        sizes = (
            f"{a}={prediction.sizes[a]}" if a in prediction.sizes and a != "1" else a for a in axes
        )
        error.mends = target.name, " ".join(sizes)
    return error


def check_weights(name: str, prediction: Expr, weights: tuple[Expr, ...]) -> None:
    """Raise a ShapeError if sample weights have an axis that the prediction lacks."""
    for w in weights:
        if not set(w.axes) <= set(prediction.axes):
            raise ShapeError(
                f"weights {describe_axes(w)} have an axis that {describe_axes(prediction)} has not",
                where=name,
            )


def reduced(each: Expr, weights: tuple[Expr, ...], examples: str, reduction: str) -> Expr:
    """The sum of `each`, weighted if there are weights, divided by the examples for a mean."""
    total = sum_(each * weights[0] if weights else each)
    return total / size(examples) if reduction == "mean" else total


def scaled(
    g: Expr, factor: float, slope: Expr, weights: tuple[Expr, ...], examples: str, reduction: str
) -> Expr:
    """g · (factor/m) · slope, as the documents write it: the factor stands in front, unmerged."""
    scale = const(factor) / size(examples) if reduction == "mean" else const(factor)
    weighted = slope * weights[0] if weights else slope
    return scale * g * weighted


def to_weights(g: Expr, each: Expr, weights: Expr, examples: str, reduction: str) -> Expr:
    """What sample weights receive: the loss of each entry, scaled as the loss is."""
    scale = const(1) / size(examples) if reduction == "mean" else const(1)
    return onto(scale * g * each, weights.axes)


def normalised(norm: str, each: str, sign: str = "") -> Tex:
    """The equation: `norm` where it says it all, else a sum over `each`; 1/m for a mean."""

    def tex(attrs: Mapping[str, Any], inputs: tuple[Expr, ...]) -> str:
        mean = sign + (r"\frac{{1}}{{{examples}}}" if attrs["reduction"] == "mean" else "")
        if len(inputs) > 2:
            return rf"{mean}\sum {{2:pow}} \odot {each}"
        return mean + (norm or rf"\sum {each}")

    return tex


PAIRS = (
    Layout(("o m", "o m")),
    Layout(("m o", "o m")),
    Layout(("m", "m")),
    Layout(("1 m", "1 m")),
    Layout(("o m", "o m"), {"reduction": "sum"}),
    Layout(("o", "o"), {"reduction": "sum"}),
    Layout(("o m", "o m", "m")),
    Layout(("b o", "b o"), {"examples": "b"}),
)
PAIR_MISTAKES = (
    Mistake(("m 1", "m"), "prediction (m, 1) and target (m) would broadcast to (m, 1)"),
    Mistake(("m", "m int"), "is int, expected float"),
    Mistake(("b o", "b o"), "has no axis 'm' that counts the examples"),
    Mistake(("m", "m"), "reduction must be mean or sum", {"reduction": "average"}),
)


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
    """Register a loss that is a sum of `each`(prediction, target).

    Its derivatives are factor · `slope` and factor · `target_slope`.
    """
    own = dict(attrs or {})

    def split_attrs(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, str]]:
        return {k: given[k] for k in own}, (given["examples"], given["reduction"])

    def body(p: Expr, t: Expr, *w: Expr, **given: Any) -> Expr:
        mine, how = split_attrs(given)
        return reduced(each(p, t, **mine), w, *how)

    def vjp(g: Expr, y: Expr, p: Expr, t: Expr, *w: Expr, **given: Any) -> Cotangents:
        mine, how = split_attrs(given)
        to_p = scaled(g, factor, slope(p, t, **mine), w, *how)
        to_t = scaled(g, factor, target_slope(p, t, **mine), w, *how)
        to_w = [to_weights(g, each(p, t, **mine), w[0], *how)] if w else []
        return (to_p, to_t, *to_w)

    own_layouts = [Layout(("o m", "o m", "o"), {k: 1.5 * v for k, v in own.items()})] if own else []
    return register(
        Op(
            name,
            summary=summary,
            axes=same_axes(name),
            arity=(2, 3),
            attrs={**own, "examples": EXAMPLES, "reduction": "mean"},
            keywords=("weights",),
            prepare=reduction_options(name),
            body=body,
            vjp=vjp,
            tex=tex,
            binds=PRODUCT,
            layouts=(*PAIRS, *own_layouts),
            mistakes=PAIR_MISTAKES,
            source=source,
            **parts,
        )
    )
