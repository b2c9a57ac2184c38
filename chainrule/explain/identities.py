"""Simplification in single steps, so that each can be shown with the identity it uses."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chainrule.expr import Expr, postorder, rewrite
from chainrule.ops import OPS
from chainrule.plan.simplify import RULES, Rule, simplify

AT_MOST = 100  # identities in a row; each makes an expression smaller or moves a factor outwards
_BY_OP = {
    op: [rule for rule in RULES if op in rule.ops] for op in {o for r in RULES for o in r.ops}
}


def identities(expr: Expr, leaves: Collection[Expr]) -> Iterator[tuple[str, Expr]]:
    """What `expr` becomes, one identity of the table at a time, each applied wherever it fits.

    Args:
        leaves: expressions that are simple already; nothing below them is looked at.

    Yields:
        What the identity says, and the expression after it. The last one is what
        `plan.simplify` makes of `expr`.
    """
    end = simplify([expr])[expr]
    for _ in range(AT_MOST):
        rule = None if expr is end else _first(expr, leaves)
        if rule is None:
            break
        expr = apply(rule, expr, leaves)
        yield rule.says, expr
    if expr is not end:
        yield "several identities at once", end


def apply(rule: Rule, expr: Expr, leaves: Collection[Expr]) -> Expr:
    """One identity applied everywhere, from the inside out."""

    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        new = rebuilt(node, inputs)
        for _ in range(AT_MOST):
            better = rule.apply(new) if new.op in rule.ops else None
            if better is None:
                break
            new = better
        return new

    return rewrite([expr], step, known=[x for x in leaves if x is not expr])[expr]


def rebuilt(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """The operation of `node` on new inputs."""
    if inputs == node.inputs or node.op not in OPS:
        return node
    return OPS[node.op](*inputs, **dict(node.attrs))


def _first(expr: Expr, leaves: Collection[Expr]) -> Rule | None:
    known = [x for x in leaves if x is not expr]
    return next(
        (
            rule
            for node in postorder(expr, known=known)
            for rule in _BY_OP.get(node.op, ())
            if rule.apply(node) is not None
        ),
        None,
    )
