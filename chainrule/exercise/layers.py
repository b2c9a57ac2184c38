"""Topics about layers of matrices: where sums, transposes and factors come from."""

from __future__ import annotations

from chainrule.exercise.draw import Draw
from chainrule.exercise.network import Network
from chainrule.exercise.parts import Formula, Problem, Shape
from chainrule.exercise.wording import forward, gradient, shapes, symbol

LOSSES = {
    "mse": ("mse({0}, {1})", r"\frac{2}{m}"),
    "half": ("half_mse({0}, {1})", r"\frac{1}{m}"),
    "sum": ("sum_squares({0}, {1})", "2"),
}
"""A loss of squares: how it is written, and the factor of its derivative."""
TARGETS = (("y", "y_hat"), ("t", "t_hat"), ("y", "a"), ("t", "z"))
HATTED = {"y_hat": r"\hat{y}", "t_hat": r"\hat{t}"}
WEIGHTS, DATA = ("W", "V", "U", "A"), ("X", "U", "D")
SLOPES = {
    "sigmoid": r"{0} \odot (1 - {0})",
    "tanh": r"(1 - {0} \odot {0})",
    "relu": r"[{1} > 0]",
}
"""The derivative of an activation, from its result and its argument."""


def _columns(rows: bool) -> str:
    return "rows" if rows else "columns"


def linear_regression(draw: Draw, level: int) -> Problem:
    """ŷ = wX + b with squares: ∂L/∂w and ∂L/∂b."""
    loss, factor = LOSSES[draw.pick(sorted(LOSSES))]
    y, guess = draw.pick(TARGETS)
    w, data = draw.pick(("w", "v")), draw.pick(DATA)
    rows = level > 1 and draw.pick([False, True])
    one = level == 1 and draw.pick([False, True])
    g = HATTED.get(guess, guess)
    r = f"{factor}({g} - {y})" if factor else f"({g} - {y})"
    if one:
        data = "x"
        text = f"net line\nparam {w}:\nparam b:\ninput x: m\ninput {y}: m\n\n"
        text += f"{guess} = {w} * x + b\nreturn {loss.format(guess, y)}"
        dw, db = rf"{r}x^\top", rf"{r}\vec{{1}}"
    elif rows:
        text = f"net rows\nparam {w}: n 1\nparam b:\ninput {data}: m n\ninput {y}: m 1\n\n"
        text += f"{guess} = {data} @ {w} + b\nreturn {loss.format(guess, y)}"
        dw, db = rf"{data}^\top {r}", rf"\vec{{1}}^\top {r}"
    else:
        text = f"net columns\nparam {w}: 1 n\nparam b:\ninput {data}: n m\ninput {y}: 1 m\n\n"
        text += f"{guess} = {w} @ {data} + b\nreturn {loss.format(guess, y)}"
        dw, db = rf"{r}{data}^\top", rf"{r}\vec{{1}}"
    network = Network(text, rows=rows)
    given = (
        f"Linear regression on $m$ examples, which are the {_columns(rows)} of {symbol(data)}; "
        f"{symbol(y)} holds the targets.\n\n{forward(network)}\n\n"
        f"Here {shapes(network, [data, w, 'b', y, guess])}."
    )
    first = Formula(f"Find {gradient(guess)}.", 2 if level < 3 else 1, guess, r)
    parts = (
        Formula(f"Find {gradient(w)}.", 3, w, dw, guess),
        Formula(f"Find {gradient('b')}.", 2, "b", db, guess),
    )
    asked = (first, *parts) if level < 3 else parts
    return Problem("Gradients of linear regression", given, asked, network)
