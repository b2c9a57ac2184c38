"""The formulas at which derivations end: those that the equations print, and how one gets there."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from chainrule.emit.equations import forward_pass, partial, written
from chainrule.emit.tex import Printer
from chainrule.explain.identities import below, identities, rebuilt
from chainrule.explain.lines import Line, Term
from chainrule.explain.network import Network
from chainrule.explain.rules import ORDER, SAME, SIMPLIFICATION, Words, listed, math
from chainrule.expr import Expr

MOST_PATHS = 24  # terms that are simplified one identity at a time; more go to the formula at once
MOST_SUBSTITUTIONS = 12  # one after the other; more would be longer than what they explain


class Finals:
    """The formula for each target, over inputs, values and symbols of other derivatives."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._symbol = {partial(name): net.symbol[x] for x, name in net.targets.items()}
        self._inserted: dict[Expr, Expr] = {}
        self._formula: dict[Expr, Expr] = {}
        printer = Printer(net.equations_names, net.orientation)
        for _ in forward_pass(net.found, printer):
            pass  # the printer learns the names of deep values
        for x, name in printer.names.items():
            net.equations_names.setdefault(x, name)
            net.names.setdefault(x, name)
        before: tuple[str, Expr, Expr] | None = None
        for symbol, expr, _ in written(net.found, printer):
            # the printer learns a symbol after its line, and none where all lines are short
            if before is not None and printer.names.get(before[1]) == before[0]:
                self._learn(*before)
            before = symbol, expr, self._with_symbols(expr)
            if symbol in self._symbol:
                self._formula.setdefault(expr, before[2])

    def _learn(self, symbol: str, expr: Expr, formula: Expr) -> None:
        """From here on `expr` is written as `symbol`."""
        if symbol in self._symbol:
            self._inserted.setdefault(expr, self._symbol[symbol])
        else:
            self._net.abbreviations[symbol] = formula
            self._net.names[formula] = self._net.equations_names[formula] = symbol
            self._inserted[expr] = formula

    def _with_symbols(self, expr: Expr) -> Expr:
        own = self._inserted.pop(expr, None)
        formula = inserted(expr, self._inserted, self._net.names)
        if own is not None:
            self._inserted[expr] = own
        return formula

    def formula(self, x: Expr) -> Expr | None:
        """What the derivative with respect to `x` is at last; None for a value named here."""
        net = self._net
        if x in net.added:
            return None
        name = net.targets[x]
        expr = net.found.grads[name] if name in net.found.grads else net.found.cotangents[name]
        alone = self._inserted.get(expr)
        if alone is not None and alone is not net.symbol[x] and x in net.wrt:
            return alone  # the equations say: the same as that of another
        if expr not in self._formula:
            self._formula[expr] = self._with_symbols(expr) if self._inserted else expr
        return self._formula[expr]


def inserted(expr: Expr, new: Mapping[Expr, Expr], leaves: Container[Expr]) -> Expr:
    """`expr` with others in the place of some expressions below it."""
    stops = _Either(new, leaves)
    done: dict[Expr, Expr] = {}
    for node in below(expr, stops):
        if node in new:
            done[node] = new[node]
        elif node in leaves and node is not expr:
            done[node] = node
        else:
            done[node] = rebuilt(node, tuple(done[x] for x in node.inputs))
    return done[expr]


class _Either:
    """What is in one of two containers."""

    def __init__(self, *parts: Container[Expr]) -> None:
        self._parts = parts

    def __contains__(self, x: object) -> bool:
        return any(x in part for part in self._parts)


def last_lines(
    net: Network,
    start: Expr,
    paths: int,
    formula: Expr | None,
    known: Mapping[Expr, Expr],
    words: Words,
) -> Iterator[Line]:
    """From an expression in derivatives found before to the formula that the equations print.

    Args:
        paths: how many terms `start` has.
        known: what each symbol was found to be.
    """
    leaves = net.names
    current = start
    for line in () if paths > MOST_PATHS else _simplified(current, leaves, final=False):
        yield line
        current = line.terms[0].cotangent
    if formula is None or current is formula:
        return
    wanted = symbols_in(formula, net)
    there = [] if paths > MOST_PATHS else list(_substituted(net, current, formula, known, words))
    if there and there[-1].closed is formula:
        yield from there
        return
    names = [math(net.names[s]) for s in wanted if s not in symbols_in(current, net)]
    if names:
        stand = "stands" if len(names) == 1 else "stand"
        why = f"{listed(names)} {stand} for what was found above."
        yield Line(SAME, why, (Term(formula),), final=True)
    else:
        yield Line(ORDER, "Written as the equations have it.", (Term(formula),), final=True)


def _substituted(
    net: Network, current: Expr, formula: Expr, known: Mapping[Expr, Expr], words: Words
) -> Iterator[Line]:
    """Lines that replace symbols which the formula has not by what they were found to be."""
    leaves = net.names
    wanted = symbols_in(formula, net)
    for _ in range(MOST_SUBSTITUTIONS):
        surplus = [s for s in symbols_in(current, net) if s not in wanted and s in known]
        if not surplus or current is formula:
            return
        current = inserted(current, {s: known[s] for s in surplus}, {})
        names = [net.names[s] for s in surplus]
        yield Line(*words.substitution(names), (Term(current),), final=True)
        for line in _simplified(current, leaves, final=True):
            yield line
            current = line.terms[0].cotangent


def _simplified(expr: Expr, leaves: Container[Expr], *, final: bool) -> Iterator[Line]:
    for says, simpler in identities(expr, leaves):
        yield Line(SIMPLIFICATION, f"{says[:1].upper()}{says[1:]}.", (Term(simpler),), final=final)


def symbols_in(expr: Expr, net: Network) -> list[Expr]:
    """The symbols of derivatives in an expression, in the order in which they stand."""
    return [x for x in below(expr, net.equations_names) if x in net.symbols]
