"""Definitions that a text gives in words only: "squared error", "weighted sums + biases".

They are used where derivatives would otherwise mean nothing, and a report says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.auditing.reading import Part
from chainrule.auditing.scope import Definition, Scope
from chainrule.auditing.statements import derivative, symbol
from chainrule.texmath import parse
from chainrule.texmath.tree import Call, Node, Symbol, walk

SQUARED = r"squared?[ -]error|quadratic cost|mean[ -]square|\bMSE\b|sum of squares"
WEIGHTED = r"weighted (sums?|inputs?)|linear (function|combination)"
TARGETS = ("y", "t", "Y")
CELL = ("w", "W")


def assumed(parts: Sequence[Part], part: Part, scope: Scope, place: int) -> Iterator[Definition]:
    """What derivatives in a part need and its equations do not say, as far as its words do.

    Args:
        parts: all parts of the document, `part` one of them.
        scope: the definitions that equations make.
        place: the rank that the new definitions get.
    """
    pairs = list(_pairs(part))
    asked = dict.fromkeys(upper for upper, _, _ in pairs)
    for upper in asked:
        if upper in scope or not symbol(upper).key.isidentifier():
            continue
        lowers = {low: sides for up, low, sides in pairs if up == upper}
        found = (
            _activation(upper, lowers)
            or _weighted(parts, upper, lowers)
            or _cost(parts, upper, lowers, pairs)
        )
        if found:
            text, why = found
            yield Definition(upper, parse(text), place, 0, f"{upper} = {text}", why)


def _pairs(part: Part) -> Iterator[tuple[str, str, tuple[Node, ...]]]:
    for statement in part.statements:
        for instance in statement.instances[:1]:
            for side in instance.sides:
                for each in walk(side):
                    pair = derivative(each.key) if isinstance(each, Symbol) else None
                    if pair:
                        yield *pair, instance.sides


def _activation(upper: str, lowers: dict[str, tuple[Node, ...]]) -> tuple[str, str] | None:
    """∂a/∂z = f′(z) says that a is f(z)."""
    for lower, sides in lowers.items():
        for side in sides:
            if isinstance(side, Call) and side.primes == 1 and len(side.args) == 1:
                argument = side.args[0]
                if isinstance(argument, Symbol) and argument.key == lower:
                    name = "\\" + side.function if len(side.function) > 1 else side.function
                    text = f"{name}({lower})"
                    return (
                        text,
                        f"{upper} = {side.function}({lower}) is what the derivative implies",
                    )
    return None


def _weighted(
    parts: Sequence[Part], upper: str, lowers: dict[str, tuple[Node, ...]]
) -> tuple[str, str] | None:
    """z = w a + b, where the words speak of weighted sums."""
    told = _said(parts, WEIGHTED)
    weight = next((low for low in lowers if low[:1] in CELL), "")
    if not told or not weight:
        return None
    others = [s for s in lowers[weight] if isinstance(s, Symbol) and not derivative(s.key)]
    if len(others) != 1:
        return None
    before = others[0]
    bias = next((low for low in lowers if low[:1] == "b"), "b")
    layer = f"^{{({_layer(before.key)})}}" if "^" in before.key else ""
    text = f"{weight} {before.key.split('^')[0]}{layer} + {bias}"
    return text, f"{upper} = {weight}·{before.key} + {bias}: line {told[0]} says “{told[1]}”"


def _layer(key: str) -> str:
    return key.partition("^(")[2].rstrip(")")


def _cost(
    parts: Sequence[Part],
    upper: str,
    lowers: dict[str, tuple[Node, ...]],
    pairs: Sequence[tuple[str, str, tuple[Node, ...]]],
) -> tuple[str, str] | None:
    """C = (a − y)², where the words speak of the squared error."""
    told = _said(parts, SQUARED)
    keys = {x.key for _, _, sides in pairs for s in sides for x in walk(s) if isinstance(x, Symbol)}
    target = next((t for t in TARGETS if t in keys), "")
    output = next((low for low in lowers if low[:1] in ("a", "y", "h", "o")), "")
    if not told or not target or not output:
        return None
    return f"({output} - {target})^2", (
        f"{upper} = ({output} − {target})²: line {told[0]} says “{told[1]}”"
    )


def _said(parts: Sequence[Part], pattern: str) -> tuple[int, str] | None:
    for part in parts:
        found = part.says(pattern)
        if found:
            return found
    return None
