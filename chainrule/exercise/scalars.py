"""Topics about numbers: the chain rule, chains of single units, derivatives in output form."""

from __future__ import annotations

from chainrule.exercise.draw import Draw
from chainrule.exercise.network import Network
from chainrule.exercise.parts import Formula, Problem
from chainrule.exercise.wording import symbol

# activation: (.net, how it is shown, the derivative from the result, a derivation)
OUTPUT_FORMS = {
    "sigmoid": (
        "sigmoid({0})",
        r"\sigma({0}) = \frac{{1}}{{1 + e^{{-{0}}}}}",
        "{1}(1 - {1})",
        r"$\frac{{d}}{{d{0}}} (1 + e^{{-{0}}})^{{-1}} = \frac{{e^{{-{0}}}}}{{(1 + e^{{-{0}}})^2}}"
        r" = {1} \cdot \frac{{e^{{-{0}}}}}{{1 + e^{{-{0}}}}}$, and the last factor is $1 - {1}$.",
    ),
    "tanh": (
        "tanh({0})",
        r"\tanh({0})",
        "1 - {1}^2",
        r"$\tanh = \frac{{\sinh}}{{\cosh}}$, so by the quotient rule "
        r"$\frac{{\cosh^2 {0} - \sinh^2 {0}}}{{\cosh^2 {0}}} = 1 - \tanh^2 {0} = 1 - {1}^2$.",
    ),
    "scaled": (
        "{2} * sigmoid({0})",
        r"{2}\,\sigma({0})",
        "{1}(1 - \\frac{{{1}}}{{{2}}})",
        r"With $s = \sigma({0})$ it is ${2} s (1 - s)$, and $s = {1}/{2}$.",
    ),
    "centred": (
        "2 * sigmoid({0}) - 1",
        r"2\,\sigma({0}) - 1",
        "\\frac{{(1 + {1})(1 - {1})}}{{2}}",
        r"With $s = \sigma({0})$ it is $2 s (1 - s)$, and $s = (1 + {1})/2$.",
    ),
    "softplus": (
        "softplus({0})",
        r"\log(1 + e^{{{0}}})",
        "1 - e^{{-{1}}}",
        r"It is $\frac{{e^{{{0}}}}}{{1 + e^{{{0}}}}}$, and $e^{{{1}}} = 1 + e^{{{0}}}$: "
        r"$\frac{{e^{{{1}}} - 1}}{{e^{{{1}}}}} = 1 - e^{{-{1}}}$.",
    ),
    "exponential": (
        "exp({2} * {0})",
        r"e^{{{2}{0}}}",
        "{2}{1}",
        r"It is ${2}e^{{{2}{0}}}$, and $e^{{{2}{0}}} = {1}$.",
    ),
    "squashed": (
        "tanh({2} * {0})",
        r"\tanh({2}{0})",
        "{2}(1 - {1}^2)",
        r"The chain rule gives ${2}(1 - \tanh^2({2}{0}))$.",
    ),
}
EASY = ("sigmoid", "tanh", "exponential")


def activation_derivative(draw: Draw, level: int) -> Problem:
    """a = f(z): da/dz written with a alone."""
    kind = draw.pick(EASY if level == 1 else sorted(OUTPUT_FORMS))
    z, a = draw.pick((("z", "a"), ("u", "h"), ("x", "s"), ("v", "p")))
    factor = draw.pick((2, 3, 4, 5))
    net, shown, answer, why = OUTPUT_FORMS[kind]

    def put(text: str) -> str:
        return text.format(z, a, factor)

    network = Network(f"net unit\ninput {z}:\n\n{a} = {put(net)}\nloss = 1 * {a}\nreturn loss")
    given = (
        f"A unit computes ${a} = {put(shown)}$. The forward pass stores {symbol(a)} and forgets "
        f"{symbol(z)}, so the backward pass needs the derivative from {symbol(a)} alone."
    )
    solution = f"{put(why)} So $\\frac{{d{a}}}{{d{z}}} = {put(answer)}$."
    ask = f"Write $\\frac{{d{a}}}{{d{z}}}$ as a function of {symbol(a)} only."
    part = Formula(ask, 4, z, put(answer), only=(a,), solution=solution)
    return Problem("A derivative in output form", given, (part,), network)
