"""The true backward pass, in which what one input of one operation receives can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chainrule.differentiate import depends_on
from chainrule.expr import Definition, Expr, const, postorder
from chainrule.ops import OPS, expand, onto

Place = tuple[Expr, int]
"""A step of the backward pass: what input number … of this operation receives."""
Change = Callable[[Expr], Expr | None]
"""What it receives instead, from the derivative with respect to the operation's result."""


@dataclass(frozen=True)
class Pass:
    """One backward pass, true or changed.

    Attributes:
        grads: the derivative with respect to each parameter, by name.
        received: the derivative with respect to every value on the way.
        parts: what each step contributes.
    """

    grads: Mapping[str, Expr]
    received: Mapping[Expr, Expr]
    parts: Mapping[Place, Expr]


class Backward:
    """Backward passes of one definition.

    Args:
        wrt: the inputs in question, by name.
    """

    def __init__(self, definition: Definition, wrt: Sequence[str]) -> None:
        self.definition = definition
        self.wrt = [definition.input[name] for name in wrt]
        self.forward = tuple(postorder(definition.root))
        self.moving = depends_on(definition.root, self.wrt)
        self._parts: dict[tuple[Expr, Expr], list[tuple[int, Expr]]] = {}

    def run(self, changes: Mapping[Place, Change]) -> Pass:
        """The pass with some steps replaced."""
        root = self.definition.root
        received: dict[Expr, Expr] = {root: const(1)}
        parts: dict[Place, Expr] = {}
        for node in reversed(self.forward):
            if node not in received or node not in self.moving or not node.inputs:
                continue
            g = received[node]
            for index, true in self.contributions(node, g):
                change = changes.get((node, index))
                part = true if change is None else change(g)
                if part is None:
                    continue
                target = node.inputs[index]
                part = onto(part, target.axes)
                parts[node, index] = part
                before = received.get(target)
                received[target] = part if before is None else before + part
        zero = const(0)
        grads = {x.name: received.get(x, expand(zero, x.axes)) for x in self.wrt}
        return Pass(grads, received, parts)

    def contributions(self, node: Expr, g: Expr) -> list[tuple[int, Expr]]:
        """What each input receives from `node`, by its position."""
        known = self._parts.get((node, g))
        if known is None:
            known = self._parts[node, g] = list(self._worked_out(node, g))
        return known

    def _worked_out(self, node: Expr, g: Expr) -> list[tuple[int, Expr]]:
        rule = OPS[node.op].vjp
        if rule is None:
            return []
        parts = rule(g, node, *node.inputs, **dict(node.attrs))
        pairs = enumerate(zip(node.inputs, parts, strict=True))
        return [
            (i, onto(part, x.axes))
            for i, (x, part) in pairs
            if part is not None and x in self.moving
        ]

    def reached(self, node: Expr) -> frozenset[str]:
        """The parameters whose derivatives go through the derivative of `node`."""
        below = set(postorder(node))
        return frozenset(x.name for x in self.wrt if x in below)

    def order(self) -> list[str]:
        """The parameters in the order in which the backward pass meets them."""
        last: dict[Expr, int] = {}
        for place, node in enumerate(self.forward):
            for x in node.inputs:
                last[x] = place
        # what is only passed on (a transpose, a rename) is where its user is
        for node in reversed(self.forward):
            if node.op in ("transpose", "rename", "expand", "merge") and node in last:
                last[node.inputs[0]] = max(last.get(node.inputs[0], 0), last[node])
        return [x.name for x in sorted(self.wrt, key=lambda x: -last.get(x, -1))]
