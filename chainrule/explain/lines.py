"""The lines of one derivative: each is equal to the one before by one rule.

A line is a sum of terms. A term whose `through` is None is an expression; any other is a cotangent
times a derivative that is still open, ∂through/∂x. Going from the top down, each operation's record
is asked once what its inputs receive, so the sum keeps its value: that is reverse mode, written
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chainrule.differentiate import substitute
from chainrule.explain.identities import apply
from chainrule.explain.network import Network
from chainrule.explain.rules import Words
from chainrule.expr import Expr, const
from chainrule.ops import OPS, expand, onto
from chainrule.plan.simplify import RULES, is_const

LEIBNIZ, FUNCTION = "leibniz", "function"
ONE = const(1)


@dataclass(frozen=True)
class Term:
    """A cotangent, or a cotangent times the derivative of `through` that is still open."""

    cotangent: Expr
    through: Expr | None = None


@dataclass(frozen=True)
class Line:
    """One line of a derivation.

    Attributes:
        rule: the rule that makes it out of the line before.
        why: a sentence about it; mathematics stands between dollar signs.
        terms: what is added up.
        op: the operation whose record was asked, if one was.
        spelling: of the chain rule, for lines that differ in nothing else.
        final: whether it is written with the names of the equations only.
    """

    rule: str
    why: str
    terms: tuple[Term, ...]
    op: str = ""
    spelling: str = ""
    final: bool = False

    @property
    def closed(self) -> Expr | None:
        """The expression that the line is, if no derivative is open in it."""
        return self.terms[0].cotangent if self.terms[0].through is None else None


@dataclass
class Cut:
    """What has been received so far, by value: the terms of a line."""

    target: Expr
    received: dict[Expr, Expr] = field(default_factory=dict)

    def add(self, x: Expr, part: Expr) -> None:
        """Let `x` receive `part`, with the axes of `x`."""
        before = self.received.get(x)
        self.received[x] = part if before is None else before + part

    def terms(self) -> tuple[Term, ...]:
        """The sum over all values on the cut; what the target itself has received comes first."""
        own = [Term(self.received[self.target])] if self.target in self.received else []
        return (*own, *(Term(g, x) for x, g in self.received.items() if x is not self.target))


def local_lines(net: Network, x: Expr, words: Words) -> Iterator[Line]:
    """The lines from the chain rule to an expression in derivatives of the next named values."""
    above, inner = net.between(x)
    cut = Cut(x)
    for value in above:
        cut.add(value, ONE if value is net.root else net.symbol[value])
    yield from _chain_rule(net, x, above, cut, words)
    reached = {x, *inner}
    for node in (*above, *inner):
        if node in cut.received:
            yield from _through(net, node, reached, cut, words)


def _chain_rule(
    net: Network, x: Expr, above: list[Expr], cut: Cut, words: Words
) -> Iterator[Line]:
    if above == [net.root]:
        yield Line(*words.loss(x), cut.terms())
        return
    rule, why, as_functions = words.chain(x, above)
    yield Line(f"{rule} (Leibniz)", why, cut.terms(), spelling=LEIBNIZ)
    yield Line(f"{rule} (functions)", as_functions, cut.terms(), spelling=FUNCTION)


def _through(
    net: Network, node: Expr, reached: set[Expr], cut: Cut, words: Words
) -> Iterator[Line]:
    """One operation: its inputs receive what its record says."""
    rule = OPS[node.op].vjp
    if rule is None:
        return
    upstream = cut.received.pop(node)
    shown = {x: net.shown(x) for x in (node, *node.inputs)}
    parts = list(rule(upstream, node, *node.inputs, **dict(node.attrs)))
    moving = [
        (i, x)
        for i, x in enumerate(node.inputs)
        if x in reached and parts[i] is not None
    ]
    if not moving:
        return
    slope = net.slope(node)
    if slope is not None:
        before = dict(cut.received)
        cut.add(moving[0][1], slope if is_const(upstream, 1) else upstream * slope)
        yield Line(*words.entrywise(node, slope), cut.terms(), node.op)
        cut.received = before
    wide: list[tuple[Expr, Expr]] = []
    for i, x in moving:
        part = substitute([parts[i]], shown)[parts[i]]
        if is_const(upstream, 1):
            part = apply(RULES[0], part, ())
        if set(part.axes) > set(x.axes):
            repeated = expand(x, part.axes)
            wide.append((repeated, x))
            x = repeated
        cut.add(x, onto(part, x.axes))
    first = parts[moving[0][0]]
    named = words.operation(node, [i for i, _ in moving], slope, first, upstream)
    yield Line(*named, cut.terms(), node.op)
    for repeated, x in wide:
        cut.add(x, onto(cut.received.pop(repeated), x.axes))
        yield Line(*words.repeated(repeated, x), cut.terms(), "expand")
