"""A tree as text in plain characters, for messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.texmath import tree

SHORT = 40  # characters of a piece that a message shows


def spell(node: tree.Node) -> str:
    r"""A formula in plain characters; a long one is cut short.

    >>> from chainrule.texmath import parse
    >>> spell(parse(r"\frac{2}{m}(\hat{y} - y)x^\intercal"))
    '2/m (y_hat - y) x^T'
    """
    text = _SPELLINGS[type(node)](node)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def _inside(node: tree.Node) -> str:
    loose = isinstance(node, tree.Add | tree.Negative | tree.Product | tree.Hadamard)
    return f"({spell(node)})" if loose else spell(node)


def _sum(node: tree.Add) -> str:
    return " + ".join(spell(x) for x in node.terms).replace("+ -", "- ")


def _product(node: tree.Product) -> str:
    text = _factor(node.factors[0])
    for sign, factor in zip(node.signs, node.factors[1:], strict=True):
        text += f" {sign} " if sign else " "
        text += _factor(factor)
    return text


def _factor(node: tree.Node) -> str:
    return spell(node) if isinstance(node, tree.Product) else _inside(node)


def _call(node: tree.Call) -> str:
    below = f"_({', '.join(spell(x) for x in node.below)})" if node.below else ""
    return f"{node.function}{'′' * node.primes}{below}({', '.join(spell(x) for x in node.args)})"


def _entry(node: tree.Entry) -> str:
    return f"{_inside(node.of)}_{''.join(spell(x) for x in node.below)}"


_SPELLINGS: dict[type[tree.Node], Callable[[Any], str]] = {
    tree.Number: lambda x: f"{x.value:g}",
    tree.Ones: lambda x: "1⃗",
    tree.Symbol: lambda x: x.key,
    tree.Add: _sum,
    tree.Negative: lambda x: f"-{_inside(x.of)}",
    tree.Product: _product,
    tree.Hadamard: lambda x: " ⊙ ".join(_inside(f) for f in x.factors),
    tree.Fraction: lambda x: f"{_inside(x.upper)}/{_inside(x.lower)}",
    tree.Power: lambda x: f"{_inside(x.base)}^{_inside(x.exponent)}",
    tree.Transpose: lambda x: f"{_inside(x.of)}^T",
    tree.Norm: lambda x: f"‖{spell(x.of)}‖" + (f"_{x.order}" if x.order else ""),
    tree.Entry: _entry,
    tree.Call: _call,
    tree.Summation: lambda x: f"Σ_{''.join(x.index)} {spell(x.body)}",
    tree.Condition: lambda x: f"[{spell(x.left)} {x.relation} {spell(x.right)}]",
    tree.Stack: lambda x: f"[{'; '.join(spell(r) for r in x.rows)}]",
}
