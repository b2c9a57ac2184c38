"""Topics with numbers that come out short when they are computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from chainrule.exercises.draw import Draw
from chainrule.exercises.parts import Own, Problem, Slip, Value
from chainrule.exercises.wording import signed, tex

LOSSES: dict[str, tuple[str, Callable[[int], Fraction]]] = {
    "mse": (r"\frac{1}{m}\sum_{i=1}^{m} (\hat{y}_i - y_i)^2", lambda m: Fraction(1, m)),
    "half": (r"\frac{1}{2m}\sum_{i=1}^{m} (\hat{y}_i - y_i)^2", lambda m: Fraction(1, 2 * m)),
    "sum": (r"\sum_{i=1}^{m} (\hat{y}_i - y_i)^2", lambda m: Fraction(1)),
}
"""A loss of squares, and what stands before its sum."""
FRONT = "the factor in front of the sum is missing"
TWO = "the 2 that the derivative of a square brings is missing"
UP = "the step goes up: it is minus the gradient"
RATES = (Fraction(1, 10), Fraction(1, 5), Fraction(1, 2), Fraction(1, 4), Fraction(1, 100))


def _list(numbers: list[Fraction]) -> str:
    return ", ".join(tex(x) for x in numbers)


def gradient_step(draw: Draw, level: int) -> Problem:
    """One step of gradient descent for a line through a few points, in numbers."""
    m = draw.pick((2, 4)) if level < 3 else draw.pick((3, 4, 5))
    shown, scale = LOSSES[draw.pick(sorted(LOSSES))]
    before = scale(m)
    places = 3 if before.denominator % 3 == 0 else None  # thirds are asked for in decimals
    xs = [Fraction(x) for x in draw.several(range(-2, 4), m)]
    w, b = Fraction(draw.pick((-1, 1, 2))), Fraction(draw.pick((0, 1)) if level > 1 else 0)
    misses = [Fraction(0)] * m
    while not sum(misses) or not sum(e * x for e, x in zip(misses, xs, strict=True)):
        misses = [Fraction(draw.whole(-2, 2)) for _ in xs]  # until no derivative is 0
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
        f"$\\eta = {tex(rate)}$." + (" Give numbers to 3 decimals." if places else "")
    )
    errors = f"The errors $\\hat{{y}}_i - y_i$ are ${_list(misses)}$."
    times = f"{tex(2 * before)} \\cdot "
    terms = " + ".join(f"{signed(e)} \\cdot {signed(x)}" for e, x in zip(misses, xs, strict=True))
    parts = (
        Value(
            "Compute the loss at the start.", 2, lambda own: loss,
            f"{errors} So $\\mathcal{{L}} = {tex(before)} \\cdot ("
            + " + ".join(f"{signed(e)}^2" for e in misses) + f") = {tex(loss)}$.",
            places=places, slips=(Slip(lambda own: loss / before, FRONT),) if before != 1 else (),
        ),
        Value(
            r"Compute $\frac{\partial\mathcal{L}}{\partial w}$ there.", 3, lambda own: dw,
            f"Each square brings a factor 2 and its error, and $\\hat{{y}}_i$ changes with $w$ at "
            f"the rate $x_i$: ${times}({terms}) = {tex(dw)}$.",
            places=places, slips=_slips(dw, before, m, sum(misses) * 2 * before, "x"),
        ),
        Value(
            r"Compute $\frac{\partial\mathcal{L}}{\partial b}$ there.", 2, lambda own: db,
            f"The rate at which $\\hat{{y}}_i$ changes with $b$ is 1: ${times}("
            + " + ".join(signed(e) for e in misses) + f") = {tex(db)}$.",
            places=places, slips=_slips(db, before, m, dw, ""),
        ),
        Value(
            "Make one step. What is $w$ then?", 2, lambda own: w - rate * own["b"],
            f"$w - \\eta\\,\\frac{{\\partial\\mathcal{{L}}}}{{\\partial w}} = {tex(w)} - "
            f"{tex(rate)} \\cdot {signed(dw)} = {tex(w - rate * dw)}$.",
            places=places, slips=_steps(w, rate, "b"),
        ),
        Value(
            "And what is $b$ then?", 1, lambda own: b - rate * own["c"],
            f"${tex(b)} - {tex(rate)} \\cdot {signed(db)} = {tex(b - rate * db)}$.",
            places=places, slips=_steps(b, rate, "c"),
        ),
    )  # fmt: skip
    return Problem("One step of gradient descent", given, parts)


def _slips(right: Fraction, before: Fraction, m: int, other: Fraction, inner: str) -> list[Slip]:
    """What usual mistakes make of a derivative of squares."""
    found = [Slip(lambda own: right / 2, TWO)]
    if before != 1:
        found.append(Slip(lambda own: right / before, FRONT))
        found.append(Slip(lambda own: right * m, "it was summed over the examples, not averaged"))
    if inner and other != right:
        says = "the inner derivative is missing: each error is to be multiplied by its x"
        found.append(Slip(lambda own: other, says))
    return found


def _steps(start: Fraction, rate: Fraction, label: str) -> list[Slip]:
    """What usual mistakes make of a step."""
    return [
        Slip(lambda own: start + rate * own[label], UP),
        Slip(lambda own: start - own[label], "the learning rate is missing"),
        Slip(lambda own: -rate * own[label], "this is the change, not the new value"),
    ]


def per_example(draw: Draw, level: int) -> Problem:
    """The derivative of the mean is the mean of the derivatives; one step each way."""
    count = {1: 2, 2: 3, 3: 4}[level]
    w = Fraction(draw.pick((1, 2, -1)))
    xs = [Fraction(x) for x in draw.several((-2, -1, 1, 2, 3, 4), count)]
    misses = [Fraction(draw.pick((-3, -2, -1, 1, 2, 3))) for _ in xs]
    each = [2 * e * x for e, x in zip(misses, xs, strict=True)]
    if sum(each) % count:  # a mean that comes out whole
        misses = [e * count for e in misses]
        each = [2 * e * x for e, x in zip(misses, xs, strict=True)]
    if not sum(each):
        misses[0], each[0] = 2 * misses[0], 2 * each[0]
    ys = [w * x - e for x, e in zip(xs, misses, strict=True)]
    rate = draw.pick(RATES)
    at = draw.whole(1, count)
    mean = sum(each, Fraction(0)) / count
    given = (
        f"The model $a = wx$ has the loss $c_k = (wx_k - y_k)^2$ on example $k$, and "
        f"$\\mathcal{{L}} = \\frac{{1}}{{{count}}}\\sum_k c_k$. There are ${count}$ examples with "
        f"$x = ({_list(xs)})$ and $y = ({_list(ys)})$; now $w = {tex(w)}$."
    )
    one = each[at - 1]
    shown = " + ".join(signed(x) for x in each)
    parts = (
        Value(
            f"Find $\\frac{{\\partial c_{at}}}{{\\partial w}}$.", 2, lambda own: one,
            f"$2(wx_{at} - y_{at})x_{at} = 2 \\cdot {signed(misses[at - 1])} \\cdot "
            f"{signed(xs[at - 1])} = {tex(one)}$.",
            slips=(
                Slip(lambda own: one / 2, TWO),
                Slip(lambda own: 2 * misses[at - 1], f"the inner derivative $x_{at}$ is missing"),
                Slip(lambda own: one / count, "this is its share of the mean"),
            ),
        ),
        Value(
            r"Find $\frac{\partial\mathcal{L}}{\partial w}$.", 3, lambda own: mean,
            f"The mean of all of them: $\\frac{{1}}{{{count}}}({shown}) = {tex(mean)}$.",
            slips=(Slip(lambda own: mean * count, "this is their sum: divide by their number"),),
        ),
        Value(
            f"A step of stochastic gradient descent uses example {at} alone, with "
            f"$\\eta = {tex(rate)}$. What is $w$ after it?", 2, lambda own: w - rate * own["a"],
            f"${tex(w)} - {tex(rate)} \\cdot {signed(one)} = {tex(w - rate * one)}$.",
            slips=_steps(w, rate, "a"),
        ),
        Value(
            "A step with all examples starts from the same $w$. What is $w$ after that?", 2,
            lambda own: w - rate * own["b"],
            f"${tex(w)} - {tex(rate)} \\cdot {signed(mean)} = {tex(w - rate * mean)}$.",
            slips=_steps(w, rate, "b"),
        ),
    )  # fmt: skip
    return Problem("One example or all of them", given, parts)


def random_search(draw: Draw, level: int) -> Problem:
    """Trying parameters against following the gradient, in numbers."""
    best = Fraction(draw.pick((-2, 1, 2, 3)))
    curve = Fraction(draw.pick((1, 2)))
    tried = [best + Fraction(d) for d in draw.several((-4, -3, 2, 3, 5, -5), 3)]
    losses = [curve * (t - best) ** 2 for t in tried]
    lowest = min(losses)
    at = tried[losses.index(lowest)]
    ties = losses.count(lowest) > 1
    if ties:
        tried = [best + 2, best - 3, best + 5]
        losses = [curve * (t - best) ** 2 for t in tried]
        lowest, at = min(losses), best + 2
    rate = draw.pick((Fraction(1, 10), Fraction(1, 8), Fraction(1, 5)))
    count, values = draw.pick((3, 4, 6)) + level, draw.pick((2, 3, 10))
    slope = 2 * curve * (at - best)

    def after(own: Own) -> Fraction:
        return curve * (at - rate * own["b"] - best) ** 2

    new = at - rate * slope
    then = after({"b": slope})
    front = "" if curve == 1 else tex(curve)
    minus = f"- {tex(best)}" if best > 0 else f"+ {tex(-best)}"
    given = (
        f"The loss of a model with one weight is $\\mathcal{{L}}(w) = {front}(w {minus})^2$. "
        f"Somebody tries three weights at random, $w = {_list(tried)}$, and keeps the one with the "
        "lowest loss."
    )
    parts = (
        Value(
            "What is the lowest of the three losses?", 1, lambda own: lowest,
            f"The losses are ${_list(losses)}$; the lowest is ${tex(lowest)}$, at $w = {tex(at)}$.",
            slips=(Slip(lambda own: at, "this is the weight, not its loss"),),
        ),
        Value(
            r"What is $\frac{d\mathcal{L}}{dw}$ at that weight?", 2, lambda own: slope,
            f"${tex(2 * curve)}(w {minus}) = {tex(slope)}$. One derivative says in which direction "
            "to go, and trying says nothing about that.",
            slips=(Slip(lambda own: slope / 2, TWO),),
        ),
        Value(
            f"One step of gradient descent from there, with $\\eta = {tex(rate)}$: what is the "
            "loss then?", 3, after,
            f"$w$ becomes ${tex(at)} - {tex(rate)} \\cdot {signed(slope)} = {tex(new)}$, where the "
            f"loss is ${tex(then)}$: one step brings it to ${tex(then / lowest)}$ of what it was.",
            slips=(
                Slip(lambda own: at - rate * own["b"], "this is the new weight, not its loss"),
                Slip(
                    lambda own: curve * (at + rate * own["b"] - best) ** 2,
                    UP,
                ),
            ),
        ),
        _combinations(count, values),
    )  # fmt: skip
    return Problem("Is random search a good idea?", given, parts)


def _combinations(count: int, values: int) -> Value:
    """How many losses a search over a grid computes."""
    return Value(
        f"A model with {count} weights is searched by trying {values} values of each, in all "
        "combinations. How many losses are computed?", 2, lambda own: Fraction(values**count),
        f"${values}^{{{count}}} = {values**count}$. So trying is no good idea with more than a "
        "few weights, while one backward pass gives the derivatives with respect to all of "
        "them at a few times the cost of one loss.",
        slips=(
            Slip(lambda own: Fraction(values * count), "combinations multiply: it is a power"),
            Slip(lambda own: Fraction(count**values), "base and exponent are exchanged"),
        ),
    )  # fmt: skip
