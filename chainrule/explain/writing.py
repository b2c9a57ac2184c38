"""One line of a derivation as an equation with its factors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.emit.pieces import MARK, Tex, label
from chainrule.emit.plain import plain
from chainrule.explain.factors import Factor, FactorPrinter, Remembering, settled
from chainrule.explain.lines import FUNCTION, Line, Term
from chainrule.explain.network import Network, shape_axes
from chainrule.explain.rules import primed
from chainrule.expr import Expr
from chainrule.ops.record import ATOM, POWER, PRODUCT
from chainrule.plan.program import LEAVES
from chainrule.plan.simplify import is_const

LONGEST_ABOVE = 24  # characters of LaTeX that still fit above the bar of ∂(…)/∂x
DOT = r" \cdot "


@dataclass(frozen=True)
class Written:
    """The right-hand side of a line.

    Attributes:
        marked: LaTeX with marks around the factors.
        factors: what they are, in the order in which they stand.
    """

    marked: str
    factors: tuple[Factor, ...]

    @property
    def latex(self) -> str:
        """LaTeX without shapes, as the equations have it."""
        return MARK.sub("", self.marked)

    @property
    def text(self) -> str:
        """The equation in plain characters."""
        return primed(plain(self.latex))

    def shaped(self) -> str:
        """LaTeX with the shape beneath every factor; • marks what the forward pass stored."""
        text = re.sub("(\ue012)(?=\ue010)", r"\1\\,", self.marked)  # shapes do not touch
        for i, factor in enumerate(self.factors):
            start, end = f"\ue010{i}\ue011", "\ue012"
            at = text.index(start)
            stop = text.index(end, at)
            body = text[at + len(start) : stop]
            dot = r"\,\bullet" if factor.stored else ""
            shape = f"{factor.shape}{dot}".removeprefix(r"\,")
            new = rf"\underset{{{shape}}}{{{body}}}" if shape else body
            text = text[:at] + new + text[stop + len(end) :]
        return text


class Writer:
    """Writes the lines of one network."""

    def __init__(self, net: Network) -> None:
        self._net = net
        forward = set(net.simple.values())
        self.stored = {x: n for x, n in net.names.items() if x in forward and x.op not in LEAVES}
        self._symbols = net.symbols
        self._plain = {
            final: Remembering(names, net.orientation)
            for final, names in ((True, net.equations_names), (False, net.names))
        }

    def written(self, line: Line, x: Expr) -> Written:
        """The right-hand side of a line about the derivative with respect to `x`."""
        plain_printer = self._plain[line.final]
        printer = FactorPrinter(plain_printer, self._net.orientation, self.stored, self._symbols)
        count = len(line.terms)
        texts = [self._term(printer, t, x, line, i, count) for i, t in enumerate(line.terms, 1)]
        marked, factors = settled(" + ".join(texts), printer.factors)
        return Written(marked, tuple(factors))

    def _term(
        self, printer: FactorPrinter, term: Term, x: Expr, line: Line, i: int, count: int
    ) -> str:
        if term.through is None:
            return printer.tex(term.cotangent).text
        one = is_const(term.cotangent, 1)
        if line.spelling == FUNCTION:
            return self._as_functions(printer, term, x, i if count > 1 else 0, one=one)
        rate = self._rate(printer, term.through, x)
        return rate if one else printer.tex(term.cotangent).at(PRODUCT) + DOT + rate

    def _rate(self, printer: FactorPrinter, c: Expr, x: Expr) -> str:
        """∂c/∂x, or ∂/∂x (c) where c is too long to stand above the bar."""
        own = label(self._net.targets[x])
        shown = self._net.shown(c)
        if c in self._net.targets:
            upper = rf"\partial {label(self._net.targets[c])}"
        else:
            tex = self._plain[False].definition(shown)
            short = len(tex.text) <= LONGEST_ABOVE and not tex.tall
            if not short or c is self._net.root:
                inner = tex.inside() if tex.text.startswith("-") else tex.at(PRODUCT)
                text = rf"\frac{{\partial}}{{\partial {own}}}{inner}"
                return printer.marked(Tex(text, PRODUCT), self._map(c, x)).text
            upper = rf"\partial {tex.at(ATOM)}"
        text = rf"\frac{{{upper}}}{{\partial {own}}}"
        return printer.marked(Tex(text, POWER), self._map(c, x)).text

    def _as_functions(
        self, printer: FactorPrinter, term: Term, x: Expr, i: int, *, one: bool
    ) -> str:
        assert term.through is not None
        own = label(self._net.targets[x])
        g, f = self._net.letters.outer, self._net.letters.inner
        inner = f"{f}_{i}" if i else f
        if one:  # the loss itself: x stands in a place of its own
            own_shape = shape_axes(x.axes, self._net.orientation)
            direct = Factor("", own_shape, x.sizes)
            return printer.marked(Tex(rf"\partial_{i} {g}", POWER), direct).text
        rate = printer.marked(Tex(f"{inner}'({own})", POWER), self._map(term.through, x)).text
        outer = rf"\partial_{i} {g}" if i else f"{g}'({f}({own}))"
        factor = printer.factor(term.cotangent)
        return printer.marked(Tex(outer, POWER), factor).text + DOT + rate

    def _map(self, c: Expr, x: Expr) -> Factor:
        """The shape of ∂c/∂x: from changes of x to changes of c."""
        places = self._net.orientation
        sizes: Mapping[str, int] = {**x.sizes, **c.sizes}
        return Factor("", shape_axes(c.axes, places), sizes, shape_axes(x.axes, places))
