"""All derivatives of a network, each as a chain of equal lines, from the loss down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chainrule.explain.finals import Finals, last_lines, symbols_in
from chainrule.explain.lines import Line, local_lines
from chainrule.explain.network import Network
from chainrule.explain.rules import Words
from chainrule.expr import Expr


@dataclass(frozen=True)
class Chain:
    """The derivative with respect to one value.

    Attributes:
        name: of the value.
        target: the value, as defined.
        symbol: what stands for its derivative.
        above: the named values, or the loss, that it acts on first.
        lines: what the derivative is, line by line.
        result: the last line: a formula over inputs, values and derivatives found before.
    """

    name: str
    target: Expr
    symbol: Expr
    above: tuple[Expr, ...]
    lines: tuple[Line, ...]
    result: Expr


def chains(net: Network) -> tuple[Chain, ...]:
    """Every chain, each after those that it uses."""
    finals = Finals(net)
    words = Words(net)
    known: dict[Expr, Expr] = {}
    found = []
    for x in _in_order(net, finals):
        chain = _chain(net, x, finals, known, words)
        known[chain.symbol] = chain.result
        found.append(chain)
    return tuple(found)


def _chain(net: Network, x: Expr, finals: Finals, known: dict[Expr, Expr], words: Words) -> Chain:
    lines = list(local_lines(net, x, words))
    start = lines[-1].closed
    assert start is not None  # below the last operation nothing is open
    lines += last_lines(net, start, len(lines[-1].terms), finals.formula(x), known, words)
    result = lines[-1].closed
    assert result is not None
    lines[-1] = replace(lines[-1], final=x not in net.added)
    above, _ = net.between(x)
    return Chain(net.targets[x], x, net.symbol[x], tuple(above), tuple(lines), result)


def _in_order(net: Network, finals: Finals) -> Iterator[Expr]:
    """The targets, each after all whose derivatives its lines or its formula use.

    Parameters come as soon as they can, so that each stands near the value that it makes.
    """
    owner = {symbol: x for x, symbol in net.symbol.items()}
    needs: dict[Expr, set[Expr]] = {}
    for x in net.targets:
        above, _ = net.between(x)
        formula = finals.formula(x)
        used = symbols_in(formula, net) if formula is not None else []
        needs[x] = {v for v in above if v is not net.root} | {owner[s] for s in used} - {x}
    waiting = [*net.wrt, *net.backward()]
    done: set[Expr] = set()
    while waiting:
        ready = next((x for x in waiting if needs[x] <= done), waiting[-1])
        waiting.remove(ready)
        done.add(ready)
        yield ready
