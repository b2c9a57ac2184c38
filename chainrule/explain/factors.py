"""Equations with a shape under every factor.

The printer of the equations is reused: what it writes for a factor is put between marks, and the
marks become the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from chainrule.emit.pieces import MARK, Tex
from chainrule.emit.tex import Printer
from chainrule.explain.network import shape_axes
from chainrule.explain.rules import shape_tex
from chainrule.expr import Expr

# What is written factor by factor; of anything else the shape of the whole is shown.
_PRODUCTS = frozenset({"mul", "contract", "transpose", "sum", "expand", "neg"})
_TERMS = frozenset({"add", "sub"})
_PIECE = re.compile("\ue010([0-9]+)\ue011([^\ue010\ue012]*)\ue012")
_BEHIND = re.compile(r"\^\\intercal|\^\{(?:[^{}]|\{[^{}]*\})*\}|_\{[^{}]*\}|\^[0-9]")
_INTERCAL = r"^\intercal"


@dataclass(frozen=True)
class Factor:
    """One factor as it stands in an equation.

    Attributes:
        tex: how it is written.
        axes: its axes as a matrix has them there, a transpose already turned: ("k", "1").
        sizes: those that are known.
        onto: of a derivative ∂c/∂x, the axes of x; `axes` are then those of c.
        stored: the values of the forward pass that it reads.
    """

    tex: str
    axes: tuple[str, ...] = ()
    sizes: Mapping[str, int] | None = None
    onto: tuple[str, ...] | None = None
    stored: tuple[str, ...] = ()

    @property
    def shape(self) -> str:
        """The shape in LaTeX; "" for a number."""
        if not self.axes and not self.onto:
            return ""
        own = shape_tex(self.axes, self.sizes) or "1"
        if self.onto is None:
            return own
        return rf"{shape_tex(self.onto, self.sizes) or '1'} \to {own}"


class Remembering(Printer):
    """Prints everything once: lines of one derivation have most of their parts in common."""

    def __init__(self, names: Mapping[Expr, str], orientation: Mapping[str, str]) -> None:
        super().__init__(names, orientation)
        self._known: dict[Expr, Tex] = {}

    def definition(self, node: Expr) -> Tex:
        """`node` by what it is made of."""
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = super().definition(node)
        return found


class FactorPrinter(Printer):
    """Prints like the equations, with marks around factors; `factors` says what they are."""

    def __init__(
        self,
        plain: Printer,
        orientation: dict[str, str],
        stored: Mapping[Expr, str],
        symbols: frozenset[Expr],
    ) -> None:
        super().__init__({}, orientation)
        self.names, self._plain = plain.names, plain
        self._places = orientation
        self._stored, self._symbols = stored, symbols
        self.factors: list[Factor] = []

    def tex(self, node: Expr) -> Tex:
        """`node` as an equation, marked if it is one factor."""
        if node not in self.names and self._opened(node):
            return super().tex(node)
        return self.marked(self._plain.tex(node), self.factor(node))

    def definition(self, node: Expr) -> Tex:
        """`node` by what it is made of; vectors of ones are factors too."""
        tex = super().definition(node)
        if node.op not in ("sum", "expand"):
            return tex
        wide = node.inputs[0].axes if node.op == "sum" else node.axes
        if not 1 <= len(wide) <= 2:
            return tex
        first, last = (wide[0], wide[-1]) if node.op == "expand" else (wide[-1], wide[0])
        return Tex(self._with_ones(tex.text, (first, "1"), ("1", last)), tex.binds)

    def _with_ones(self, text: str, column: tuple[str, str], row: tuple[str, str]) -> str:
        pieces = re.split("(\ue010[0-9]+\ue011[^\ue012]*\ue012)", text)
        for i in range(0, len(pieces), 2):
            pieces[i] = re.sub(
                r"\\vec\{1\}(\^\\intercal)?",
                lambda m: self.marked(Tex(m[0], 0), Factor(m[0], row if m[1] else column)).text,
                pieces[i],
            )
        return "".join(pieces)

    def _opened(self, node: Expr) -> bool:
        """Whether the factors inside are shown."""
        if node.op in _PRODUCTS:
            return len(node.axes) <= 2 and any(x.op != "const" for x in node.inputs)
        if node.op not in _TERMS:
            return False
        return any(x in self._symbols or x.op == "contract" for x in self._inside(node))

    def factor(self, node: Expr) -> Factor:
        """What there is to say about `node` as a factor."""
        axes = shape_axes(node.axes, self._places)
        stored = [self._stored[x] for x in self._inside(node) if x in self._stored]
        return Factor("", axes, node.sizes, stored=tuple(stored))

    def _inside(self, node: Expr) -> Iterator[Expr]:
        """What an expression is written with: everything down to what has a name."""
        todo, seen = [node], set[Expr]()
        while todo:
            x = todo.pop()
            if x not in seen:
                seen.add(x)
                yield x
                if x not in self.names:
                    todo.extend(reversed(x.inputs))

    def marked(self, tex: Tex, factor: Factor) -> Tex:
        """A piece between marks; those inside it are taken away."""
        turned = tex.turned and self.marked(tex.turned, replace(factor, axes=factor.axes[::-1]))
        self.factors.append(factor)
        bare = MARK.sub("", tex.text)
        return Tex(f"\ue010{len(self.factors) - 1}\ue011{bare}\ue012", tex.binds, turned)


def settled(text: str, factors: list[Factor]) -> tuple[str, list[Factor]]:
    """A marked equation whose marks include parentheses, transposes and powers of their factors.

    Returns:
        The equation, its marks numbered in the order in which they stand, and the factors so.
    """
    found: list[Factor] = []
    pieces: list[str] = []
    at = 0
    while (match := _PIECE.search(text, at)) is not None:
        pieces.append(text[at : match.start()])
        factor, body, at = factors[int(match[1])], match[2], match.end()
        factor, body, at = _grown(text, at, factor, body, pieces)
        pieces.append(f"\ue010{len(found)}\ue011{body}\ue012")
        found.append(replace(factor, tex=body))
    return "".join([*pieces, text[at:]]), found


def _grown(
    text: str, at: int, factor: Factor, body: str, pieces: list[str]
) -> tuple[Factor, str, int]:
    """A factor with what belongs to it on both sides."""
    while True:
        behind = _BEHIND.match(text, at)
        if behind is not None:
            body += behind[0]
            at = behind.end()
            if behind[0] == _INTERCAL:
                factor = replace(factor, axes=factor.axes[::-1])
            continue
        pair = next(
            (
                (left, right)
                for left, right in ((r"\left(", r"\right)"), ("(", ")"))
                if pieces[-1].endswith(left) and text.startswith(right, at)
            ),
            None,
        )
        if pair is None:
            return factor, body, at
        pieces[-1] = pieces[-1].removesuffix(pair[0])
        body = f"{pair[0]}{body}{pair[1]}"
        at += len(pair[1])
