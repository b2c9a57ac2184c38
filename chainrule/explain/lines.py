"""The lines of one derivative: each is equal to the one before by one rule.

A line is a sum of terms. A term whose `through` is None is an expression; any other is a cotangent
times a derivative that is still open, ∂through/∂x. Going from the top down, each operation's record
is asked once what its inputs receive, so the sum keeps its value: that is reverse mode, written
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainrule.differentiate import substitute
from chainrule.explain.identities import apply
from chainrule.explain.network import Network
from chainrule.explain.rules import Words
from chainrule.expr import Expr, const
from chainrule.ops import OPS, expand, onto
from chainrule.plan.simplify import RULES, is_const

if TYPE_CHECKING:
    from chainrule.ops.record import Cotangents

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
        if any(term.through is not None for term in self.terms):
            return None
        return added([term.cotangent for term in self.terms])


class Cut:
    """What has been received so far, by value: the terms of a line."""

    def __init__(self, target: Expr) -> None:
        self.target = target
        self.received: dict[Expr, tuple[Expr, ...]] = {}

    def add(self, x: Expr, part: Expr) -> None:
        """Let `x` receive `part`, with the axes of `x`."""
        self.received[x] = (*self.received.get(x, ()), part)

    def take(self, x: Expr) -> Expr:
        """All that `x` has received, which then is no term any more."""
        return added(self.received.pop(x))

    def terms(self) -> tuple[Term, ...]:
        """The sum over all values on the cut; what the target itself has received comes first.

        Its parts stay apart: they are as many as there are paths, and nothing is nested so deep.
        """
        own = [Term(part) for part in self.received.get(self.target, ())]
        others = [Term(part, x) for x, parts in self.received.items() for part in parts]
        terms = (*own, *(term for term in others if term.through is not self.target))
        return terms or (Term(expand(const(0), self.target.axes)),)


def added(parts: Sequence[Expr]) -> Expr:
    """The sum of some expressions."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def local_lines(net: Network, x: Expr, words: Words) -> Iterator[Line]:
    """The lines from the chain rule to an expression in derivatives of the next named values."""
    above, inner = net.between(x)
    cut = Cut(x)
    for value in above:
        cut.add(value, ONE if value is net.root else net.symbol[value])
    yield from _chain_rule(net, x, above, cut, words)
    for batch in _batches({x, *inner}, [*above, *inner], cut):
        yield from _through(net, batch, {x, *inner}, cut, words)


def _batches(reached: set[Expr], nodes: list[Expr], cut: Cut) -> Iterator[list[Expr]]:
    """Operations in an order in which all that a value receives is there before it is passed on.

    Those that are of one kind and may come together do: paths that run alike are written alike.
    """
    waiting = dict.fromkeys(reached, 0)
    for node in nodes:
        for x in dict.fromkeys(node.inputs):
            if x in waiting:
                waiting[x] += 1
    left = dict.fromkeys(nodes)
    while left:
        ready = [n for n in left if not waiting.get(n, 0)]
        batch = [n for n in ready if n.op == ready[0].op]
        for node in batch:
            del left[node]
            for x in dict.fromkeys(node.inputs):
                if x in waiting:
                    waiting[x] -= 1
        batch = [n for n in batch if n in cut.received]
        if batch:
            yield batch


def _chain_rule(net: Network, x: Expr, above: list[Expr], cut: Cut, words: Words) -> Iterator[Line]:
    if above == [net.root]:
        yield Line(*words.loss(x), cut.terms())
        return
    rule, why, as_functions = words.chain(x, above)
    yield Line(f"{rule} (Leibniz)", why, cut.terms(), spelling=LEIBNIZ)
    yield Line(f"{rule} (functions)", as_functions, cut.terms(), spelling=FUNCTION)


def _through(
    net: Network, batch: list[Expr], reached: set[Expr], cut: Cut, words: Words
) -> Iterator[Line]:
    """Operations of one kind: their inputs receive what their record says."""
    passes = [p for n in batch if (p := _Pass.of(net, n, reached, cut)) is not None]
    if not passes:
        yield Line(*words.still(batch[0]), cut.terms(), batch[0].op)
        return
    more = len(passes) > 1
    first, op = passes[0], passes[0].node.op
    if first.slope is not None:
        before = dict(cut.received)
        for p in passes:
            slope = p.slope
            assert slope is not None
            cut.add(p.moving[0][1], slope if is_const(p.upstream, 1) else p.upstream * slope)
        yield Line(*words.entrywise(first.node), cut.terms(), op)
        cut.received = before
    wide: list[tuple[Expr, Expr]] = []
    for p in passes:
        wide += p.add(net, cut)
    indices = [i for i, _ in first.moving]
    own = first.parts[indices[0]]
    assert own is not None
    said = words.operation(first.node, indices, first.slope, own, first.upstream, more=more)
    yield Line(*said, cut.terms(), op)
    for repeated, x in wide:
        if repeated in cut.received:
            for part in cut.received.pop(repeated):
                cut.add(x, onto(part, x.axes))
    if wide:
        yield Line(*words.repeated(*wide[0], more=len(wide) > 1), cut.terms(), "expand")


@dataclass(frozen=True)
class _Pass:
    """One operation passing on what it received."""

    node: Expr
    upstream: Expr
    parts: Cotangents
    moving: tuple[tuple[int, Expr], ...]
    slope: Expr | None

    @classmethod
    def of(cls, net: Network, node: Expr, reached: set[Expr], cut: Cut) -> _Pass | None:
        """None if nothing that matters here receives anything."""
        upstream = cut.take(node)
        rule = OPS[node.op].vjp
        parts = rule(upstream, node, *node.inputs, **dict(node.attrs)) if rule else ()
        moving = tuple(
            (i, x)
            for i, (x, part) in enumerate(zip(node.inputs, parts, strict=False))
            if x in reached and part is not None
        )
        return cls(node, upstream, parts, moving, net.slope(node)) if moving else None

    def add(self, net: Network, cut: Cut) -> list[tuple[Expr, Expr]]:
        """Let the inputs receive their parts; returns what broadcasting repeated, and of what."""
        shown = {x: net.shown(x) for x in (self.node, *self.node.inputs)}
        wide = []
        for i, x in self.moving:
            raw = self.parts[i]
            assert raw is not None
            part = substitute([raw], shown)[raw]
            if is_const(self.upstream, 1):
                part = apply(RULES[0], part, ())
            target = x
            if set(part.axes) > set(x.axes):
                target = expand(x, part.axes)
                wide.append((target, x))
            cut.add(target, onto(part, target.axes))
        return wide
