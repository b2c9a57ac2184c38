"""Topics with numbers that come out short when they are computed by hand."""

from __future__ import annotations

from fractions import Fraction

from chainrule.exercise.draw import Draw
from chainrule.exercise.parts import Own, Problem, Slip, Value
from chainrule.exercise.wording import decimal, signed, tex

LOSSES = {
    "mse": (r"\frac{1}{m}\sum_{i=1}^{m} (\hat{y}_i - y_i)^2", lambda m: Fraction(1, m)),
    "half": (r"\frac{1}{2m}\sum_{i=1}^{m} (\hat{y}_i - y_i)^2", lambda m: Fraction(1, 2 * m)),
    "sum": (r"\sum_{i=1}^{m} (\hat{y}_i - y_i)^2", lambda m: Fraction(1)),
}
"""A loss of squares, and what stands before its sum."""
RATES = (Fraction(1, 10), Fraction(1, 5), Fraction(1, 2), Fraction(1, 4), Fraction(1, 100))


def _list(numbers: list[Fraction]) -> str:
    return ", ".join(tex(x) for x in numbers)


def gradient_step(draw: Draw, level: int) -> Problem:
    """One step of gradient descent for a line through a few points, in numbers."""
    m = draw.pick((2, 4)) if level < 3 else draw.pick((4, 5))
    shown, scale = LOSSES[draw.pick(sorted(LOSSES))]
    before = scale(m)
    xs = [Fraction(x) for x in draw.several(range(-2, 4), m)]
    w, b = Fraction(draw.pick((-1, 1, 2))), Fraction(draw.pick((0, 1)) if level > 1 else 0)
    misses = [Fraction(draw.whole(-2, 2)) for _ in xs]
    if not any(e * x for e, x in zip(misses, xs, strict=True)):
        misses = [Fraction(2 if x > 0 else 1) for x in xs]
    if not sum(misses):
        misses[0] += 1
    ys = [w * x + b - e for x, e in zip(xs, misses, strict=True)]
    rate = draw.pick(RATES)
    dw = 2 * before * sum(e * x for e, x in zip(misses, xs, strict=True))
    db = 2 * before * sum(misses)
    loss = before * sum(e * e for e in misses)
    given = (
        f"The line $\\hat{{y}} = wx + b$ is fitted to $m = {m}$ points with "
        f"$x = ({_list(xs)})$ and $y = ({_list(ys)})$. The loss is\n\n"
        f"$$\\mathcal{{L}} = {shown}$$\n\n"
        f"Gradient descent starts at $w = {tex(w)}$, $b = {tex(b)}$, with the learning rate "
        f"$\\eta = {tex(rate)}$."
    )
    errors = f"The errors $\\hat{{y}}_i - y_i$ are ${_list(misses)}$."
    times = f"{tex(2 * before)} \\cdot "
    terms = " + ".join(f"{signed(e)} \\cdot {signed(x)}" for e, x in zip(misses, xs, strict=True))
    parts = (
        Value(
            "Compute the loss at the start.", 2, lambda own: loss,
            f"{errors} So $\\mathcal{{L}} = {tex(before)} \\cdot ("
            + " + ".join(f"{signed(e)}^2" for e in misses) + f") = {tex(loss)}$.",
            slips=(Slip(lambda own: loss / before, _FRONT),) if before != 1 else (),
        ),
        Value(
            r"Compute $\frac{\partial\mathcal{L}}{\partial w}$ there.", 3, lambda own: dw,
            f"Each square brings a factor 2 and its error, and $\\hat{{y}}_i$ changes with $w$ at "
            f"the rate $x_i$: ${times}({terms}) = {tex(dw)}$.",
            slips=_slips(dw, before, m, sum(misses) * 2 * before, "x"),
        ),
        Value(
            r"Compute $\frac{\partial\mathcal{L}}{\partial b}$ there.", 2, lambda own: db,
            f"The rate at which $\\hat{{y}}_i$ changes with $b$ is 1: ${times}("
            + " + ".join(signed(e) for e in misses) + f") = {tex(db)}$.",
            slips=_slips(db, before, m, dw, ""),
        ),
        Value(
            "Make one step. What is $w$ then?", 2, lambda own: w - rate * own["b"],
            f"$w - \\eta\\,\\frac{{\\partial\\mathcal{{L}}}}{{\\partial w}} = {tex(w)} - "
            f"{tex(rate)} \\cdot {signed(dw)} = {tex(w - rate * dw)}$.",
            slips=_steps(w, rate, "b"),
        ),
        Value(
            "And what is $b$ then?", 1, lambda own: b - rate * own["c"],
            f"${tex(b)} - {tex(rate)} \\cdot {signed(db)} = {tex(b - rate * db)}$.",
            slips=_steps(b, rate, "c"),
        ),
    )  # fmt: skip
    return Problem("One step of gradient descent", given, parts)


_FRONT = "the factor in front of the sum is missing"


def _slips(right: Fraction, before: Fraction, m: int, other: Fraction, inner: str) -> list[Slip]:
    """What usual mistakes make of a derivative of squares."""
    found = [Slip(lambda own: right / 2, "the 2 that the derivative of a square brings is missing")]
    if before != 1:
        found.append(Slip(lambda own: right / before, _FRONT))
        found.append(Slip(lambda own: right * m, "it was summed over the examples, not averaged"))
    if inner and other != right:
        says = "the inner derivative is missing: each error is to be multiplied by its x"
        found.append(Slip(lambda own: other, says))
    return found


def _steps(start: Fraction, rate: Fraction, label: str) -> list[Slip]:
    """What usual mistakes make of a step."""
    return [
        Slip(lambda own: start + rate * own[label], "the step goes up: it is minus the gradient"),
        Slip(lambda own: start - own[label], "the learning rate is missing"),
        Slip(lambda own: -rate * own[label], "this is the change, not the new value"),
    ]
