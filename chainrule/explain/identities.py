"""Simplification in single steps, so that each can be shown with the identity it uses."""

from __future__ import annotations

from collections.abc import Container, Iterator

from chainrule.expr import Expr
from chainrule.ops import OPS
from chainrule.plan.simplify import RULES, Rule, simplify

AT_MOST = 100  # identities in a row; each makes an expression smaller or moves a factor outwards
_BY_OP = {
    op: [rule for rule in RULES if op in rule.ops] for op in {o for r in RULES for o in r.ops}
}


def below(root: Expr, stops: Container[Expr]) -> Iterator[Expr]:
    """Every node of `root` once, each after its inputs; of `stops` nothing but `root` is entered.

    Those that are met are given too. The stops may be many: they are only asked, never copied.
    """
    seen: set[Expr] = set()
    todo: list[Expr | tuple[Expr]] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple):
            yield node[0]
        elif node not in seen:
            seen.add(node)
            todo.append((node,))
            if node is root or node not in stops:
                todo.extend(reversed(node.inputs))


def identities(expr: Expr, leaves: Container[Expr]) -> Iterator[tuple[str, Expr]]:
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


def apply(rule: Rule, expr: Expr, leaves: Container[Expr]) -> Expr:
    """One identity applied everywhere, from the inside out."""
    new: dict[Expr, Expr] = {}
    for node in below(expr, leaves):
        if node in leaves and node is not expr:
            new[node] = node
            continue
        made = rebuilt(node, tuple(new[x] for x in node.inputs))
        for _ in range(AT_MOST):
            better = rule.apply(made) if made.op in rule.ops else None
            if better is None:
                break
            made = better
        new[node] = made
    return new[expr]


def rebuilt(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """The operation of `node` on new inputs."""
    if inputs == node.inputs or node.op not in OPS:
        return node
    return OPS[node.op](*inputs, **dict(node.attrs))


def _first(expr: Expr, leaves: Container[Expr]) -> Rule | None:
    return next(
        (
            rule
            for node in below(expr, leaves)
            if node is expr or node not in leaves
            for rule in _BY_OP.get(node.op, ())
            if rule.apply(node) is not None
        ),
        None,
    )
