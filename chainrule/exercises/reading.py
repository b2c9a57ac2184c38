"""What somebody answered, as something that can be computed: formulas, numbers, shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from chainrule.errors import ChainruleError, FormulaError, ShapeError
from chainrule.exercises.network import Names
from chainrule.exercises.numpytext import evaluate_numpy, parse_numpy
from chainrule.run.bind import Array
from chainrule.texmath import evaluate, parse, parse_chain, symbols
from chainrule.texmath import name as canonical
from chainrule.texmath.tree import Node

LONGEST = 2_000  # characters of one answer
# what only NumPy has
_NUMPY = re.compile(r"\bnp\.|\bnumpy\.|@|\.T\b|\*\*|\baxis\b|\.(?:sum|dot|mean)\(")
_NAMED = re.compile(r"[A-Za-z_]\w*\s*=(?!=)")  # dW = …
_AROUND = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("```", "```"), ("`", "`"))
# derivatives by their whole names: \frac{dh}{du}, dL/dŷ
_LOSS = r"(?:[A-Za-zℒ]|\\mathcal\{L\})"
_FRACTION_RATE = re.compile(
    rf"\\[dt]?frac\s*\{{\s*(?:d|\\partial\s*){_LOSS}\s*\}}\s*\{{\s*(?:d|\\partial\s*)(\w+)\s*\}}"
)
_PLAIN_RATE = re.compile(rf"(?<![\w}}])[d∂]{_LOSS}/[d∂](\w+\u0302?)(?![\w{{^])")
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,3}))?")
_FRACTION = re.compile(r"([+-]?\d{1,18})\s*/\s*(\d{1,18})")
_SHAPE = re.compile(r"(?:[(\[]\s*)?(\d{1,6})\s*(?:,|×|x|\\times|by)\s*(\d{1,6})?\s*,?\s*(?:[)\]])?")


def bare(text: str) -> str:
    """An answer without what stands around it: dollar signs, backquotes, a full stop."""
    text = text.strip()
    while True:
        for left, right in _AROUND:
            if text.startswith(left) and text.endswith(right) and len(text) > len(left + right):
                text = text[len(left) : -len(right)].strip()
                break
        else:
            break
    return text[:-1].rstrip() if re.search(r"[^.\s]\.$", text) else text


@dataclass(frozen=True)
class Reading:
    """One way to read a formula.

    Attributes:
        text: the formula.
        tree: of LaTeX (also of plain characters); None if it is NumPy.
        refused: why it cannot be read so.
    """

    text: str
    tree: Node | None = None
    refused: FormulaError | None = None

    def value(self, names: Names, shape: tuple[int, ...]) -> Array:
        """Its value, in its own shape if that is another than `shape` up to sides of length 1.

        Raises:
            FormulaError: a name is not known, or something is not defined.
            ShapeError: shapes inside it do not fit.
        """
        if self.refused is not None:
            raise self.refused
        if self.tree is None:
            found = evaluate_numpy(self.text, _spelled(names))
        else:
            found = self._of_tree(self.tree, names, shape)
        if found.shape != shape and _tight(found.shape) == _tight(shape) and found.ndim < 2:
            return found.reshape(shape)
        return found.reshape(()) if found.size == 1 and not shape else found

    def uses(self) -> set[str]:
        """The names in it, as they are spelled."""
        if self.tree is not None:
            return set(symbols(self.tree))
        return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*(?!\w*[.(])", self.text)) - {"np", "numpy"}

    def _of_tree(self, tree: Node, names: Names, shape: tuple[int, ...]) -> Array:
        try:
            return np.asarray(evaluate(tree, names, shape=shape), np.float64)
        except ShapeError as error:
            try:
                return np.asarray(evaluate(tree, names), np.float64)
            except ChainruleError:
                raise error from None


def _tight(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _spelled(names: Names) -> Names:
    """Names as Python spells them: W_1 and W1, y_hat and yhat; not those like dL/dZ."""
    whole = {k: v for k, v in names.items() if k.isidentifier()}
    return {**whole, **{k.replace("_", ""): v for k, v in whole.items()}}


def readings(text: str, names: Iterable[str]) -> list[Reading]:
    """The ways to read a formula, the likelier first: one only if it has a backslash in it.

    Raises:
        FormulaError: it is too long.
    """
    text = bare(text)
    if len(text) > LONGEST:
        what = f"the answer is {len(text)} characters long (at most {LONGEST})"
        raise FormulaError(what, hint="Give the formula and nothing else")
    for rate in (_FRACTION_RATE, _PLAIN_RATE):
        text = rate.sub(lambda m: f" d{canonical(m[1])} ", text)
    both = [_latex] if "\\" in text else [_latex, _numpy]
    if _NUMPY.search(text):
        both.reverse()
    found: list[Reading] = []
    for read in both:
        try:
            found.append(read(text, list(names)))
        except FormulaError as error:
            found.append(Reading(text, refused=error))
    return found


def _latex(text: str, names: list[str]) -> Reading:
    sides = parse_chain(text, names)
    return Reading(text, sides[-1])


def _numpy(text: str, names: list[str]) -> Reading:
    named = _NAMED.match(text)
    formula = text[named.end() :].strip() if named else text
    parse_numpy(formula)
    return Reading(formula)


@dataclass(frozen=True)
class Number:
    """A number that was answered.

    Attributes:
        value: the number.
        places: decimals that were written; None if it is exact, as 1/3 is.
    """

    value: Fraction
    places: int | None


def number(text: str) -> Number:
    r"""The number that an answer is: 0.33, 1/3, \frac{1}{3}, w = -2, 1.5e-3, 2*3 + 1.

    Raises:
        FormulaError: it is none.

    >>> number("-0.25"), number("w = 1/3").value
    (Number(value=Fraction(-1, 4), places=2), Fraction(1, 3))
    """
    text = bare(text)
    if len(text) > LONGEST:
        raise FormulaError(f"the answer is {len(text)} characters long (at most {LONGEST})")
    text = re.split(r"[=≈]|\\approx", text)[-1].strip().replace("−", "-")
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        places = len(decimal[1] or decimal[2] or "") - int(decimal[3] or 0)
        return Number(Fraction(text), places)
    ratio = _FRACTION.fullmatch(text)
    if ratio and int(ratio[2]):
        return Number(Fraction(int(ratio[1]), int(ratio[2])), None)
    return Number(_computed(text), None)


def _computed(text: str) -> Fraction:
    """The value of an expression without names."""
    try:
        found = np.asarray(evaluate(parse(text), {}))
    except FormulaError as error:
        try:
            found = evaluate_numpy(text, {})
        except FormulaError:
            raise error from None
    if found.size != 1 or found.dtype.kind == "c" or not np.isfinite(found).all():
        raise FormulaError("this is no number", hint="Write it as 0.25, 1/4 or \\frac{1}{4}")
    return Fraction(float(found.reshape(()))).limit_denominator(10**9)


def shape_of(text: str) -> tuple[int, ...]:
    r"""The shape that an answer is: 3×4, (3, 4), 3 x 4, [3, 4].

    Raises:
        FormulaError: it is none.

    >>> shape_of("(3, 4)"), shape_of("3 x 4"), shape_of(r"$3 \times 4$")
    ((3, 4), (3, 4), (3, 4))
    """
    found = _SHAPE.fullmatch(re.split("=", bare(text)[:LONGEST])[-1].strip())
    if found is None:
        shown = "".join(c if c.isprintable() else "·" for c in text.strip()[:40])
        hint = "Write rows and columns, as 3 × 4 or (3, 4)"
        raise FormulaError(f"{shown!r} is no shape", hint=hint)
    return tuple(int(n) for n in found.groups() if n)
