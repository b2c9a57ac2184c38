"""Text into trees and equations."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from chainrule.errors import FormulaError
from chainrule.texmath.lines import read
from chainrule.texmath.names import of_word
from chainrule.texmath.parser import Reader, chain
from chainrule.texmath.tree import Equation, Node, Symbol

NAMES_KEPT = 2048  # canonical names that are not worked out again


def parse(text: str, names: Iterable[str] = ()) -> Node:
    r"""The syntax tree of an expression.

    Ambiguities are settled so: letters side by side are factors unless they spell one of `names` or
    a function; ``f(x)``, ``g(x)``, ``h(x)``, ``σ(x)``, ``φ(x)``, ``ψ(x)`` are functions unless
    the letter is one of `names`, any other ``a(x)`` is a product; ``1/2m`` is 1/(2m), ``1/2 m``
    and ``1/2*m`` are m/2; ``log 2x`` is log(2x), ``log x y`` is (log x) y; ``dW`` is a derivative
    unless d is one of `names`; ``X^T`` is a transpose unless T is one of `names`; ``⊙`` binds
    looser than factors side by side; a Σ reaches to the next + or −.

    Args:
        text: LaTeX, plain characters, or what is typed on a keyboard.
        names: names that are known, in any spelling.

    Raises:
        FormulaError: it cannot be read; `where` is the column, counted from 1.

    >>> from chainrule.texmath import Number, Product, Symbol
    >>> parse("2x") == Product((Number(2), Symbol("x", key="x")), signs=("",))
    True
    """
    reader = Reader(text, _known(names))
    found = reader.expression()
    reader.finished()
    return found


def parse_equation(text: str, names: Iterable[str] = ()) -> tuple[Node, Node]:
    r"""Both sides of an equation; of a chain a = b = c the first and the last.

    Raises:
        FormulaError: it cannot be read or is no equation.

    >>> left, right = parse_equation(r"\frac{\partial L}{\partial b} &= 2(\hat{y} - y)\vec{1}")
    >>> left.key
    'dL/db'
    """
    sides = parse_chain(text, names)
    if len(sides) < 2:
        raise FormulaError('expected an equation, found no "="')
    return sides[0], sides[-1]


def parse_chain(text: str, names: Iterable[str] = ()) -> list[Node]:
    """The sides of a = b = c; one if there is no "=".

    Raises:
        FormulaError: it cannot be read.

    >>> len(parse_chain("a = b = c"))
    3
    """
    return chain(Reader(text, _known(names)))


def parse_align(text: str, names: Iterable[str] = ()) -> list[Equation]:
    r"""The equations of an align environment, of display mathematics, or of lines of them.

    Lines end with ``\\``; of a chain a = b = c there are two equations. Labels, comments,
    ``\nonumber`` and alignment marks say nothing. Use `statements` for the lines as they stand, to
    read them one by one.

    Raises:
        FormulaError: a line cannot be read; `where` is line and column.

    >>> text = r"\begin{align} z &= w x + b \\ a &= \sigma(z) \end{align}"
    >>> [equation.left.key for equation in parse_align(text)]
    ['z', 'a']
    """
    return read(text, _known(names))


@functools.lru_cache(NAMES_KEPT)
def name(symbol: str) -> str:
    r"""The canonical name of a symbol, the same for every way of writing it.

    Raises:
        FormulaError: it is more than one symbol.

    >>> name(r"\hat y"), name("ŷ"), name("y_hat"), name("yhat")
    ('y_hat', 'y_hat', 'y_hat', 'y_hat')
    """
    word = symbol.strip()
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", word):
        return of_word(word)
    derivative = re.fullmatch(r"d([^/]+)/d([^/]+)", word)
    if derivative:
        return f"d{name(derivative[1])}/d{name(derivative[2])}"
    try:
        found = parse(re.sub(r"\^\(([A-Za-z0-9+-]+)\)$", r"^[\1]", word))
    except FormulaError:
        if "\\" in symbol or len(symbol) > 200:
            raise
        return symbol
    if not isinstance(found, Symbol):
        if "\\" in symbol or "^" in symbol:
            raise FormulaError(f"{symbol[:80]!r} is not one symbol")
        return symbol
    return found.key


def _known(names: Iterable[str]) -> list[str]:
    return [known for given in names for known in {given, name(given)}]
