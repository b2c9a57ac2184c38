"""A topic about shapes and numbers of parameters."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from chainrule.exercises.draw import Draw
from chainrule.exercises.parts import Part, Problem, Shape, Slip, Value


def parameter_count(draw: Draw, level: int) -> Problem:
    """A network of dense layers: shapes of weights and gradients, numbers of parameters."""
    sizes = [draw.whole(3, 12), *(draw.whole(2, 9) for _ in range(level)), draw.whole(1, 4)]
    for i in range(1, len(sizes)):  # neighbours differ, so that a transpose shows
        sizes[i] += sizes[i] == sizes[i - 1]
    m, rows = draw.pick((5, 8, 20, 32)), level > 1 and draw.pick([False, True])
    layers = list(pairwise(sizes))
    weights = sum(a * b for a, b in layers)
    biases = sum(sizes[1:])
    at = draw.whole(1, len(layers))
    fan_in, fan_out = layers[at - 1]
    chain = r" \to ".join(map(str, sizes))
    product = "A_{l-1} W_l + b_l" if rows else "W_l A_{l-1} + b_l"
    given = (
        f"A network of dense layers has the sizes ${chain}$: "
        f"${sizes[0]}$ inputs and ${sizes[-1]}$ output{'s' * (sizes[-1] != 1)}. Layer $l$ computes "
        f"$Z_l = {product}$ and $A_l = \\sigma(Z_l)$, with $A_0 = X$. It is trained on $m = {m}$ "
        f"examples at once, which are the {'rows' if rows else 'columns'} of $X$."
    )
    shape = (fan_in, fan_out) if rows else (fan_out, fan_in)
    wide = (m, fan_out) if rows else (fan_out, m)
    sums = " + ".join(f"{a} \\cdot {b}" for a, b in layers)
    total = weights + biases
    parts: tuple[Part, ...] = (
        Shape(
            f"Which shape has $W_{at}$?", 1, shape,
            f"It takes ${fan_in}$ numbers to ${fan_out}$: ${shape[0]} \\times {shape[1]}$.",
        ),
        Shape(
            f"Which shape has $\\frac{{\\partial\\mathcal{{L}}}}{{\\partial Z_{at}}}$?", 2, wide,
            f"That of $Z_{at}$, ${fan_out}$ numbers for each of ${m}$ examples: "
            f"${wide[0]} \\times {wide[1]}$.",
        ),
        Value(
            "How many parameters are there, weights and biases?", 3, lambda own: Fraction(total),
            f"Weights ${sums} = {weights}$, biases ${' + '.join(map(str, sizes[1:]))} = {biases}$: "
            f"${total}$.",
            slips=(
                Slip(lambda own: Fraction(weights), "the biases are missing"),
                Slip(lambda own: Fraction(biases), "the weights are missing"),
                Slip(lambda own: Fraction(weights + sum(sizes)), "the inputs have no biases"),
                Slip(lambda own: Fraction(total * m), "parameters do not depend on the examples"),
            ),
        ),
        Value(
            "How many numbers are in all their derivatives together?", 1, lambda own: own["c"],
            f"One for each parameter, however many examples there are: ${total}$.",
            slips=(Slip(lambda own: own["c"] * m, "they are summed over the examples"),),
        ),
        Value(
            "How many multiplications do the products of matrices in one forward pass take?", 2,
            lambda own: Fraction(weights * m),
            f"Each weight is used once for each example: ${weights} \\cdot {m} = {weights * m}$.",
            slips=(
                Slip(lambda own: Fraction(weights), "that is for one example"),
                Slip(lambda own: Fraction(total * m), "biases are added, not multiplied"),
            ),
        ),
    )  # fmt: skip
    return Problem("Shapes and numbers of parameters", given, parts if level > 1 else parts[:4])
