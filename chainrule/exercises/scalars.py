"""Topics about numbers: the chain rule, chains of single units, derivatives in output form."""

from __future__ import annotations

from dataclasses import replace

from chainrule.exercises.draw import Draw
from chainrule.exercises.network import Network
from chainrule.exercises.parts import Formula, Problem
from chainrule.exercises.wording import display, gradient, symbol

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
        r"$\tanh = \frac{{\operatorname{{sinh}}}}{{\operatorname{{cosh}}}}$, and each of the two "
        r"is the derivative of the other: by the quotient rule it is "
        r"$1 - \frac{{\operatorname{{sinh}}^2 {0}}}{{\operatorname{{cosh}}^2 {0}}} = 1 - {1}^2$.",
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
    written, shown, answer, why = OUTPUT_FORMS[kind]

    def put(text: str) -> str:
        return text.format(z, a, factor)

    net = f"net unit\ninput {z}:\n\n{a} = {put(written)}\nloss = 1 * {a}\nreturn loss"
    network = Network(net, loss=a)
    given = (
        f"A unit computes ${a} = {put(shown)}$. The forward pass stores {symbol(a)} and forgets "
        f"{symbol(z)}, so the backward pass needs the derivative from {symbol(a)} alone."
    )
    solution = f"{put(why)} So $\\frac{{d{a}}}{{d{z}}} = {put(answer)}$."
    ask = f"Write $\\frac{{d{a}}}{{d{z}}}$ as a function of {symbol(a)} only."
    part = Formula(ask, 4, z, put(answer), only=(a,), solution=solution)
    return Problem("A derivative in output form", given, (part,), network)


# inner function: (.net, LaTeX, derivative); p and q are whole numbers
INNER = (
    ("{p} * {x} + {q}", "{p}{x} + {q}", "{p}"),
    ("{p} * {x}**2 + {q}", "{p}{x}^2 + {q}", "{2p}{x}"),
    ("exp({p} * {x})", "e^{{{p}{x}}}", "{p}e^{{{p}{x}}}"),
    ("{x}**2 + {p} * {x}", "{x}^2 + {p}{x}", "(2{x} + {p})"),
)
# outer function of u, whose value is positive where a logarithm needs it
OUTER = (
    ("{u}**2", "{u}^2", "2{u}"),
    ("{u}**3", "{u}^3", "3{u}^2"),
    ("tanh({u})", r"\tanh({u})", r"(1 - \tanh^2({u}))"),
    ("sigmoid({u})", r"\sigma({u})", r"\sigma({u})(1 - \sigma({u}))"),
    ("exp(-{u})", "e^{{-{u}}}", "(-e^{{-{u}}})"),
    ("log(1 + {u}**2)", r"\log(1 + {u}^2)", r"\frac{{2{u}}}{{1 + {u}^2}}"),
)


TRIES = 50  # until functions of functions have values that are neither huge nor next to nothing


def chain_rule(draw: Draw, level: int) -> Problem:
    """h(x) = g(f(x)), at level 3 with a third function: the derivatives on the way, and h′(x)."""
    for _ in range(TRIES):
        problem = _composed(draw, level)
        assert problem.network is not None
        if problem.network.moderate(p.of for p in problem.parts if isinstance(p, Formula)):
            break
    return problem


def _composed(draw: Draw, level: int) -> Problem:
    """One problem about functions of functions."""
    names = list(draw.pick((("x", "u", "v", "h"), ("t", "s", "r", "y"), ("x", "a", "q", "z"))))
    if level < 3:
        names.pop(2)
    p, q = draw.whole(2, 5), draw.whole(1, 4)
    x, h = names[0], names[-1]
    functions = [[t.format(x=x, p=p, q=q, **{"2p": 2 * p}) for t in draw.pick(INNER)]]
    for name, outer in zip(names[1:-1], draw.several(OUTER, 2), strict=False):
        functions.append([t.format(u=name) for t in outer])
    pairs = list(zip(names[1:], functions, strict=True))
    lines = [f"{name} = {f[0]}" for name, f in pairs]
    net = "\n".join(["net exercise", f"input {x}:", "", *lines, f"loss = 1 * {h}", "return loss"])
    shown = display([f"{name} &= {f[1]}" for name, f in pairs])
    given = f"Here {symbol(h)} is a function of {symbol(x)}:\n\n{shown}"
    parts: list[Formula] = []
    for at in range(len(names) - 2, -1, -1):
        answer = r" \cdot ".join(f[2] for f in reversed(functions[at:]))
        rate = rf"\frac{{d{h}}}{{d{names[at]}}}"
        steps = zip(names[:at:-1], names[-2 : at - 1 if at else None : -1], strict=True)
        way = r" \cdot ".join(rf"\frac{{d{a}}}{{d{b}}}" for a, b in steps)
        why = f"${rate} = {answer}$." if not parts else f"${rate} = {way} = {answer}$."
        follows = parts[-1].of if parts else ""
        points = 2 if at else 4
        parts.append(Formula(f"Find ${rate}$.", points, names[at], answer, follows, solution=why))
    if level == 3:  # the last function alone is not asked for
        parts = [replace(parts[1], follows=""), *parts[2:]]
    return Problem("The chain rule", given, tuple(parts), Network(net, loss=h))


HALVES = (
    (r"({h} - {y})^2", "sum_squares({h}, {y})", "2"),
    (r"\frac{{1}}{{2}}({h} - {y})^2", "0.5 * sum_squares({h}, {y})", ""),
)
UNITS = {
    "sigmoid": (r"\sigma", "{h}(1 - {h})"),
    "tanh": (r"\tanh", "(1 - {h}^2)"),
}


def chain_net(draw: Draw, level: int) -> Problem:
    """A chain of single units: the recurrence of dL/dh, and the weights on the way."""
    depth = level + 1
    h, w, x, y = draw.pick((("h", "w", "x", "y"), ("a", "w", "x", "t"), ("h", "v", "u", "y")))
    kind = draw.pick(sorted(UNITS))
    letter, slope = UNITS[kind]
    shown, loss, factor = draw.pick(HALVES)
    before = [x, *(f"{h}_{i}" for i in range(1, depth))]
    lines = [f"{h}_{i} = {kind}({w}_{i} * {before[i - 1]} + b_{i})" for i in range(1, depth + 1)]
    top = f"{h}_{depth}"
    params = "".join(f"param {w}_{i}:\nparam b_{i}:\n" for i in range(1, depth + 1))
    net = f"net exercise\n{params}input {x}:\ninput {y}:\n\n" + "\n".join(lines)
    network = Network(f"{net}\nreturn {loss.format(h=top, y=y)}")
    tops = [f"{h}_{i} &= {letter}({w}_{i} {before[i - 1]} + b_{i})" for i in range(1, depth + 1)]
    tops.append(rf"\mathcal{{L}} &= {shown.format(h=top, y=y)}")
    given = f"A chain of {depth} units, one number each:\n\n{display(tops)}"
    at = f"{factor}({top} - {y})"
    parts = [Formula(f"Find {gradient(top)}.", 1, top, at)]
    for i in range(depth, 1, -1):
        below = f"{h}_{i - 1}"
        at = f"{at} {slope.format(h=f'{h}_{i}')} {w}_{i}"
        ask = f"Find {gradient(below)}. You may use {gradient(f'{h}_{i}')}."
        parts.append(Formula(ask, 3 if i == depth else 2, below, at, f"{h}_{i}"))
    picked = draw.whole(1, depth - 1) if depth > 2 else 1
    unit = f"{h}_{picked}"
    found = next(p.answer for p in parts if p.of == unit)
    step = f"{found} {slope.format(h=unit)}"
    ask = f"Find {gradient(f'{w}_{picked}')}."
    parts.append(Formula(ask, 3, f"{w}_{picked}", f"{step} {before[picked - 1]}", unit))
    parts.append(Formula(f"Find {gradient(f'b_{picked}')}.", 2, f"b_{picked}", step, unit))
    return Problem("A chain of units", given, tuple(parts), network)


def two_paths(draw: Draw, level: int) -> Problem:
    """A unit that acts on the loss along two paths: its derivative sums over them."""
    x, a, y = draw.pick((("x", "a", "y"), ("u", "h", "t")))
    kind = draw.pick(sorted(UNITS))
    letter, slope = UNITS[kind]
    outer, outer_slope = (kind, slope) if level == 3 else ("", "")
    lines, shown = [f"{a} = {kind}(w_0 * {x})"], [f"{a} &= {letter}(w_0 {x})"]
    for i in (1, 2):
        inner = f"w_{i} * {a}"
        lines.append(f"s_{i} = {outer}({inner})" if outer else f"s_{i} = {inner}")
        tex = f"w_{i} {a}"
        shown.append(f"s_{i} &= {letter}({tex})" if outer else f"s_{i} &= {tex}")
    params = "param w_0:\nparam w_1:\nparam w_2:\n"
    net = f"net exercise\n{params}input {x}:\ninput {y}_1:\ninput {y}_2:\n\n" + "\n".join(lines)
    network = Network(f"{net}\nreturn sum_squares(s_1, {y}_1) + sum_squares(s_2, {y}_2)")
    shown.append(rf"\mathcal{{L}} &= (s_1 - {y}_1)^2 + (s_2 - {y}_2)^2")
    terms = [
        f"2(s_{i} - {y}_{i})" + (f" {outer_slope.format(h=f's_{i}')}" if outer else "") + f" w_{i}"
        for i in (1, 2)
    ]
    both = " + ".join(terms)
    given = f"One unit acts on two others:\n\n{display(shown)}"
    parts = (
        Formula(f"Find {gradient('s_1')}.", 1, "s_1", f"2(s_1 - {y}_1)"),
        Formula(f"Find {gradient(a)}.", 4, a, both),
        Formula(f"Find {gradient('w_0')}.", 3, "w_0", f"({both}) {slope.format(h=a)} {x}", a),
    )
    return Problem("Two paths to the loss", given, parts if level < 3 else parts[1:], network)
