"""Topics about layers of matrices: where sums, transposes and factors come from."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from chainrule.emit.tex import label
from chainrule.exercises.draw import Draw
from chainrule.exercises.network import Network
from chainrule.exercises.parts import Formula, Problem, Shape, Slip, Value
from chainrule.exercises.wording import forward, gradient, shapes, symbol

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


SIGMOID = r" As usual $\sigma(z) = 1/(1 + e^{-z})$, entry by entry."


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
        dw, db = rf"{r}x^\intercal", rf"{r}\vec{{1}}"
    elif rows:
        text = f"net rows\nparam {w}: n 1\nparam b:\ninput {data}: m n\ninput {y}: m 1\n\n"
        text += f"{guess} = {data} @ {w} + b\nreturn {loss.format(guess, y)}"
        dw, db = rf"{data}^\intercal \cdot {r}", rf"\vec{{1}}^\intercal \cdot {r}"
    else:
        text = f"net columns\nparam {w}: 1 n\nparam b:\ninput {data}: n m\ninput {y}: 1 m\n\n"
        text += f"{guess} = {w} @ {data} + b\nreturn {loss.format(guess, y)}"
        dw, db = rf"{r}{data}^\intercal", rf"{r}\vec{{1}}"
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


def _net(params: dict[str, str], inputs: dict[str, str], *lines: str) -> str:
    """The text of a network."""
    head = [f"param {n}: {axes}" for n, axes in params.items()]
    head += [f"input {n}: {axes}" for n, axes in inputs.items()]
    return "\n".join(["net exercise", *head, "", *lines])


def _about(what: str, network: Network, names: list[str], rows: bool, data: str) -> str:
    """What is given: a sentence, the forward pass, and the shapes."""
    return (
        f"{what}: the $m$ examples are the {_columns(rows)} of {symbol(data)}.\n\n"
        f"{forward(network)}\n\nHere {shapes(network, names)}."
    )


def logistic_regression(draw: Draw, level: int) -> Problem:
    """p = σ(wX + b) with the cross-entropy of two classes."""
    w, data = draw.pick(("w", "v")), draw.pick(DATA)
    y, z, p = draw.pick((("y", "z", "p"), ("t", "z", "a"), ("y", "s", "p")))
    rows = level > 1 and draw.pick([False, True])
    mean = draw.pick([True, False])
    option = "" if mean else ', reduction="sum"'
    params = {w: "n 1" if rows else "1 n", "b": ""}
    inputs = {data: "m n" if rows else "n m", y: "m 1" if rows else "1 m"}
    lines = [f"{z} = {f'{data} @ {w}' if rows else f'{w} @ {data}'} + b", f"{p} = sigmoid({z})"]
    network = Network(
        _net(params, inputs, *lines, f"return bce_logits({z}, {y}{option})"),
        rows=rows,
        labels=y,
        shown=_net(params, inputs, *lines, f"return bce({p}, {y}{option})"),
    )
    factor = r"\frac{1}{m}" if mean else ""
    r = f"{factor}({p} - {y})"
    why = (
        rf"Entry by entry {gradient(p)} is "
        rf"${factor}\left(\frac{{1 - {y}}}{{1 - {p}}} - \frac{{{y}}}{{{p}}}\right)$, and "
        rf"$\frac{{d{p}}}{{d{z}}} = {p}(1 - {p})$. In the product the denominators cancel: "
        rf"${factor}((1 - {y}){p} - {y}(1 - {p})) = {r}$."
    )
    dw = rf"{data}^\intercal {r}" if rows else rf"{r}{data}^\intercal"
    db = rf"\vec{{1}}^\intercal {r}" if rows else rf"{r}\vec{{1}}"
    first = Formula(f"Find {gradient(z)}, as simple as you can.", 3, z, r, solution=why)
    parts = (
        Formula(f"Find {gradient(w)}.", 3, w, dw, z),
        Formula(f"Find {gradient('b')}.", 2, "b", db, z),
    )
    given = _about("Logistic regression", network, [data, w, "b", y, z, p], rows, data) + SIGMOID
    asked = (first, *parts) if level < 3 else parts
    return Problem("Logistic regression", given, asked, network)


def two_layer_linear(draw: Draw, level: int) -> Problem:
    """Two linear layers: the gradient goes through the weights of the second."""
    return _two_layers(draw, level, "")


def two_layer(draw: Draw, level: int) -> Problem:
    """Two layers with an activation between them."""
    return _two_layers(draw, level, draw.pick(sorted(SLOPES)))


def _two_layers(draw: Draw, level: int, activation: str) -> Problem:
    loss, factor = LOSSES[draw.pick(sorted(LOSSES))]
    first, data, y = draw.pick(("W", "V")), draw.pick(("X", "U")), draw.pick(("y", "t"))
    second, hidden = draw.pick(("w", "v")), draw.pick(("A", "H"))
    w1, b1, w2, b2, guess = f"{first}_1", "b_1", f"{second}_2", "b_2", f"{y}_hat"
    rows = level > 1 and draw.pick([False, True])
    out = hidden if activation else "Z"
    params = {w1: "n k" if rows else "k n", b1: "k", w2: "k 1" if rows else "1 k", b2: ""}
    inputs = {data: "m n" if rows else "n m", y: "m 1" if rows else "1 m"}
    lines = [f"Z = {_product(w1, data, rows)} + {b1}"]
    lines += [f"{out} = {activation}(Z)"] if activation else []
    lines += [f"{guess} = {_product(w2, out, rows)} + {b2}", f"return {loss.format(guess, y)}"]
    network = Network(_net(params, inputs, *lines), rows=rows)
    r = f"{factor}({HATTED[guess]} - {y})"
    slope = SLOPES[activation].format(out, "Z") if activation else ""
    back = rf"\left({r}{w2}^\intercal\right)" if rows else rf"\left({w2}^\intercal \cdot {r}\right)"
    dz = rf"\left({back} \odot {slope}\right)" if activation else back

    def weights(upstream: str, source: str) -> str:
        return (
            rf"{source}^\intercal \cdot {upstream}" if rows else rf"{upstream} {source}^\intercal"
        )

    def bias(upstream: str) -> str:
        return rf"\vec{{1}}^\intercal \cdot {upstream}" if rows else rf"{upstream}\vec{{1}}"

    guided = (
        Formula(f"Find {gradient(guess)}.", 1, guess, r),
        Formula(f"Find {gradient(w2)}.", 2, w2, weights(r, out), guess),
        Formula(f"Find {gradient(b2)}.", 1, b2, bias(r), guess),
    )
    hidden_part = Formula(f"Find {gradient('Z')}.", 3, "Z", dz, guess)
    last = (
        Formula(f"Find {gradient(w1)}.", 3, w1, weights(dz, data), "Z"),
        Formula(f"Find {gradient(b1)}.", 2, b1, bias(dz), "Z"),
    )
    asked = {
        1: (*guided, hidden_part, *last),
        2: (*guided[:2], hidden_part, *last),
        3: (guided[1], *last),
    }[level]
    if level == 3:
        asked = tuple(_alone(part) for part in asked)
    title = "Two layers with an activation" if activation else "Two linear layers"
    values = ["Z", out] if activation else ["Z"]
    given = _about(title, network, [data, w1, b1, w2, b2, y, *values], rows, data)
    given += SIGMOID if activation == "sigmoid" else ""
    return Problem(title, given, asked, network)


def _alone(part: Formula) -> Formula:
    """A part that builds on no earlier one."""
    return replace(part, follows="")


def _product(weights: str, data: str, rows: bool) -> str:
    return f"{data} @ {weights}" if rows else f"{weights} @ {data}"


def softmax_cross_entropy(draw: Draw, level: int) -> Problem:
    """P = softmax(WX + b) with the cross-entropy of one-hot targets."""
    w, data, p = draw.pick(("W", "V")), draw.pick(DATA), draw.pick(("P", "A"))
    w = "W" if w == data else w
    rows = level > 1 and draw.pick([False, True])
    mean = draw.pick([True, False])
    params = {w: "n c" if rows else "c n", "b": "c"}
    inputs = {data: "m n" if rows else "n m", "Y": "m c" if rows else "c m"}
    lines = [f"Z = {_product(w, data, rows)} + b", f'{p} = softmax(Z, over="c")']
    over = ' / size("m")' if mean else ""
    network = Network(
        _net(params, inputs, *lines, f"return -sum(Y * log({p})){over}"), rows=rows, one_hot="Y"
    )
    factor = r"\frac{1}{m}" if mean else ""
    r = f"{factor}({p} - Y)"
    why = (
        rf"For one example $\mathcal{{L}} = -\sum_j y_j \log p_j$, and "
        rf"$\frac{{\partial \log p_j}}{{\partial z_i}} = [i = j] - p_i$. So "
        rf"$\frac{{\partial\mathcal{{L}}}}{{\partial z_i}} = -y_i + p_i \sum_j y_j = p_i - y_i$, "
        rf"because the targets of an example sum to 1. For all of them: ${r}$."
    )
    dw = rf"{data}^\intercal {r}" if rows else rf"{r}{data}^\intercal"
    db = rf"\vec{{1}}^\intercal {r}" if rows else rf"{r}\vec{{1}}"
    first = Formula(f"Find {gradient('Z')}, as simple as you can.", 4, "Z", r, solution=why)
    parts = (
        Formula(f"Find {gradient(w)}.", 3, w, dw, "Z"),
        Formula(f"Find {gradient('b')}.", 2, "b", db, "Z"),
    )
    given = _about("Softmax regression", network, [data, w, "b", "Y", "Z"], rows, data)
    given += f" Each {'row' if rows else 'column'} of $Y$ has one 1 and is 0 elsewhere."
    asked = (first, *parts) if level < 3 else parts
    return Problem("Softmax and cross-entropy", given, asked, network)


def transpose(draw: Draw, level: int) -> Problem:
    """Where the transpose goes: the gradients of one layer from that of its result."""
    w, data = draw.pick(("W", "V")), draw.pick(DATA)
    kind = draw.pick({1: ("columns",), 2: ("columns", "rows"), 3: ("rows", "turned")}[level])
    rows = kind != "columns"
    params = {w: {"columns": "k n", "rows": "n k", "turned": "k n"}[kind]}
    inputs = {data: "m n" if rows else "n m", "G": "m k" if rows else "k m"}
    layer = f"{data} @ transpose({w})" if kind == "turned" else _product(w, data, rows)
    network = Network(_net(params, inputs, f"Z = {layer}", "return sum(G * Z)"), rows=rows)
    n, k, m = draw.several(range(2, 10), 3)
    z = {"columns": f"{w}{data}", "rows": f"{data}{w}", "turned": rf"{data}{w}^\intercal"}[kind]
    dw, dx = {
        "columns": (rf"G{data}^\intercal", rf"{w}^\intercal G"),
        "rows": (rf"{data}^\intercal G", rf"G{w}^\intercal"),
        "turned": (rf"G^\intercal {data}", f"G{w}"),
    }[kind]
    sizes = (n, k) if kind == "rows" else (k, n)
    given = (
        f"A layer computes $Z = {z}$ for $m$ examples, which are the {_columns(rows)} of "
        f"{symbol(data)}. The backward pass has found ${_upstream('Z')} = G$ already. Here "
        f"{shapes(network, [w, data, 'G'])}."
    )
    shape = Shape(
        f"With $n = {n}$, $k = {k}$ and $m = {m}$: which shape has {gradient(w)}?", 1, sizes,
        rf"That of {symbol(w)}, one derivative for each weight: ${sizes[0]} \times {sizes[1]}$.",
    )  # fmt: skip
    parts = (
        shape,
        Formula(f"Find {gradient(w)}.", 3, w, dw),
        Formula(f"Find {gradient(data)}.", 3, data, dx),
    )
    return Problem("Where does the transpose go?", given, parts, network)


def _upstream(name: str) -> str:
    return gradient(name).strip("$")


def bias(draw: Draw, level: int) -> Problem:
    """A bias that is broadcast over the examples receives the sum over them."""
    w, data, b = draw.pick(("W", "V")), draw.pick(DATA), draw.pick(("b", "c_0", "q"))
    rows = draw.pick([False, True])
    params = {w: "n k" if rows else "k n", b: "k"}
    inputs = {data: "m n" if rows else "n m", "G": "m k" if rows else "k m"}
    lines = (f"Z = {_product(w, data, rows)} + {b}", "return sum(G * Z)")
    network = Network(_net(params, inputs, *lines), rows=rows)
    z = f"{data}{w} + {label(b)}" if rows else f"{w}{data} + {label(b)}"
    k, m = (2, 3) if level == 1 else (3, 4)
    at, picked = draw.whole(1, k), [0]
    while not sum(picked):  # a sum of 0 could be had for nothing
        grid = [[draw.whole(-4, 6) for _ in range(m)] for _ in range(k)]
        picked = grid[at - 1]
    entries = [list(row) for row in zip(*grid, strict=True)] if rows else grid
    body = r" \\ ".join(" & ".join(map(str, row)) for row in entries)
    total, one = Fraction(sum(picked)), "row" if rows else "column"
    db = r"\vec{1}^\intercal G" if rows else r"G\vec{1}"
    given = (
        f"A layer computes $Z = {z}$: the bias {symbol(b)} is added to every {one} of the product, "
        f"for each of the $m$ examples. The backward pass has found ${_upstream('Z')} = G$ "
        f"already. Here {shapes(network, [b, 'G'])}."
    )
    numbers = (
        f"For $k = {k}$, $m = {m}$ and\n\n$$G = \\begin{{pmatrix}} {body} \\end{{pmatrix}}$$\n\n"
        f"what is entry {at} of {gradient(b)}?"
    )
    added = " + ".join(f"({x})" if x < 0 else str(x) for x in picked)
    mean = Slip(lambda own: total / m, "it was averaged over the examples; G has the 1/m already")
    first = Slip(lambda own: Fraction(picked[0]), "this is one example only: sum over all of them")
    parts = (
        Formula(f"Find {gradient(b)}.", 3, b, db),
        Value(
            numbers, 2, lambda own: total,
            f"The sum over the examples: ${added} = {total}$.", slips=(mean, first),
        ),
    )  # fmt: skip
    return Problem("A bias that is broadcast", given, parts, network)
