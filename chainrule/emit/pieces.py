"""Pieces of equations: names, numbers, transposes, and how tightly each binds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chainrule.ops.record import ATOM, HADAMARD, POWER, PRODUCT, SUM

GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
ACCENTS = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde"}
_SPECIAL = {c: rf"\{c}" for c in "#$%&_{}"} | {"\\": r"\backslash ", "~": r"\sim ", "^": r"\wedge "}
_LEVELS = {"sum": SUM, "had": HADAMARD, "prod": PRODUCT, "pow": POWER, "atom": ATOM}


def label(name: str) -> str:
    r"""A name as mathematics: y_hat → \hat{y}, alpha → \alpha; anything else is escaped.

    >>> label("y_hat"), label("b_10"), label("w_out")
    ('\\hat{y}', 'b_{10}', 'w_{\\mathrm{out}}')
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name):
        return rf"\text{{{escape(name)}}}"
    base, *rest = name.split("_")
    accents = [ACCENTS[word] for word in rest if word in ACCENTS]
    subscripts = [_word(word) for word in rest if word not in ACCENTS]
    match = re.fullmatch(r"([A-Za-z])([0-9]+)", base)
    if match:
        base, subscripts = match[1], [match[2], *subscripts]
    text = rf"{accents[0]}{{{_word(base)}}}" if accents else _word(base)
    if not subscripts:
        return text
    below = ", ".join(subscripts)
    return f"{text}_{below}" if len(below) == 1 else f"{text}_{{{below}}}"


def _word(word: str) -> str:
    if word in GREEK:
        return f"\\{word}"
    return word if len(word) == 1 or word.isdigit() else rf"\mathrm{{{word}}}"


def escape(text: str) -> str:
    """Text of any origin made harmless inside an equation."""
    return "".join(_SPECIAL.get(c, c) for c in text if c.isprintable())


@dataclass(frozen=True)
class Tex:
    """A piece of an equation and how tightly it binds."""

    text: str
    binds: int
    turned: Tex | None = None
    """What this is the transpose of."""

    @property
    def tall(self) -> bool:
        """Whether plain parentheses would be too small for it."""
        return r"\frac" in self.text or r"\left" in self.text or r"\sum" in self.text

    def inside(self) -> str:
        """The piece in parentheses."""
        return rf"\left({self.text}\right)" if self.tall else f"({self.text})"

    def at(self, level: int) -> str:
        """The piece, in parentheses where it binds looser than `level`."""
        return self.inside() if self.binds < level else self.text


_NUMBER_AT_END = re.compile(r"(?<![_0-9.])[0-9][0-9.]*$")
_WORD_AT_END = re.compile(r"\\[A-Za-z]+$|_\w$|_\{[^{}]*\}$")


# around a piece that a reader of the text wants to find again: no label contains these characters
MARK = re.compile("\ue010[0-9]+\ue011|\ue012")


def join(left: str, right: str) -> str:
    """Two factors side by side, kept apart where they would read as one word or one number."""
    first, second = MARK.sub("", left), MARK.sub("", right)
    if second[:1].isdigit() and first:
        return rf"{left} \cdot {right}"
    if second.startswith(r"\vec{1}") and _NUMBER_AT_END.search(first):
        return rf"{left} \cdot {right}"
    apart = _WORD_AT_END.search(first) and second[:1].isalpha()
    return f"{left} {right}" if apart else left + right


class Operand:
    """What a record's template formats: `{0:prod}`."""

    def __init__(self, tex: Tex) -> None:
        self.tex = tex

    def __format__(self, spec: str) -> str:
        if spec == "call":
            return self.tex.inside()
        if spec == "left":
            return self.tex.text if self.tex.binds == HADAMARD else self.tex.at(POWER)
        return self.tex.at(_LEVELS[spec]) if spec else self.tex.text


def transposed(tex: Tex) -> Tex:
    """The transpose of a piece; of a transpose what it was."""
    return tex.turned or Tex(rf"{tex.at(ATOM)}^\intercal", POWER, tex)


def number(value: float) -> Tex:
    """A constant, with all its digits: what is shown is what is computed with."""
    if value in (float("inf"), -float("inf")):
        return Tex(r"\infty", ATOM) if value > 0 else Tex(r"-\infty", SUM)
    text = repr(value).removesuffix(".0")
    if "e" in text:
        digits, power = text.split("e")
        return Tex(rf"{digits} \cdot 10^{{{int(power)}}}", SUM if value < 0 else PRODUCT)
    return Tex(text, SUM if value < 0 else ATOM)
