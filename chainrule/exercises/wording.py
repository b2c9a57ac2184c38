"""Sentences and formulas that problems share, as Markdown with LaTeX between dollar signs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from chainrule.emit.equations import equations, partial
from chainrule.emit.tex import label
from chainrule.exercises.network import Network


def forward(network: Network) -> str:
    """The equations of the forward pass as a display."""
    return display(equations(network.printed._derived).forward)


def display(lines: Sequence[str]) -> str:
    r"""Lines ``left &= right`` as a display.

    >>> print(display(["a &= b"]))
    $$
    \begin{aligned}
    a &= b
    \end{aligned}
    $$
    """
    return "$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$"


def gradient(of: str) -> str:
    r"""∂L/∂value between dollar signs."""
    return f"${partial(of)}$"


def symbol(name: str) -> str:
    """A name between dollar signs."""
    return f"${label(name)}$"


def shapes(network: Network, names: Sequence[str]) -> str:
    r"""``$X$ is $n \times m$, $b$ is a number``."""
    said = []
    for name in names:
        letters = network.letters(name)
        what = rf"${letters[0]} \times {letters[1]}$" if letters else "a number"
        said.append(f"{symbol(name)} is {what}")
    return listed(said)


def listed(words: Sequence[str]) -> str:
    """Words with commas, and 'and' before the last.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def tex(number: Fraction) -> str:
    r"""A number as LaTeX: a decimal if it is a short one, else a fraction.

    >>> tex(Fraction(-5, 4)), tex(Fraction(1, 3)), tex(Fraction(3))
    ('-1.25', '\\frac{1}{3}', '3')
    """
    text = decimal(number)
    if text:
        return text
    sign = "-" if number < 0 else ""
    return rf"{sign}\frac{{{abs(number.numerator)}}}{{{number.denominator}}}"


def decimal(number: Fraction) -> str:
    """The decimal that a number is exactly, with at most six places; "" if there is none."""
    scaled = number * 10**6
    if scaled.denominator != 1:
        return ""
    text = f"{float(number):.6f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def signed(number: Fraction) -> str:
    """A number as a factor or a term: in brackets if it is negative."""
    return f"({tex(number)})" if number < 0 else tex(number)
