r"""The equations of both passes with an index for every axis, and sums written as sums.

Networks of dense layers get numbered layers (`chainrule.emit.layered`). All others keep their own
names, with a letter for each axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from chainrule.emit.form import DEEPEST, Entry, Indexed, axes_of, cost_symbol
from chainrule.emit.indexed import IndexPrinter, safe_beside_log, sizes_shown
from chainrule.emit.layered import Layered
from chainrule.emit.symbols import EXAMPLE_LETTER, Partial, Shown, letters, symbol, words
from chainrule.expr import Expr, postorder
from chainrule.plan.derived import Derived
from chainrule.plan.layers import Layer, examples_axis, layered
from chainrule.plan.program import LEAVES, program

SUMS = ("contract", "sum", "softmax", "log_softmax", "logsumexp", "mean")


def indexed(found: Derived) -> Indexed:
    """Both passes in index notation: by layers where there are any.

    Raises:
        ParameterError: an operation moves entries about in a way that no index expresses.
    """
    params = {*found.grads, *found.definition.params}
    layers = layered(found.value, params, examples_axis(found.definition))
    if layers and not _clashes(found, layers):
        return Layered(found, layers).indexed()
    return _General(found).indexed()


def _clashes(found: Derived, layers: tuple[Layer, ...]) -> bool:
    """Whether another value has a name that layers need: a^{(1)}, or C."""
    above = postorder(found.value, known=[layers[-1].a])
    others = [x.name for x in above if x.op == "input"]
    return any(symbol(name, ()).base in ("a", "w", "z", "b", "C") for name in others)


def _meeting(roots: list[Expr]) -> Iterator[set[str]]:
    """Axes that stand in one operation."""
    for node in postorder(*roots):
        yield {axis for x in (node, *node.inputs) for axis in x.axes}


def _shared(roots: list[Expr], named: Mapping[Expr, str]) -> dict[Expr, str]:
    """Names for sums that stand in more than one place: written once, they are easier to read."""
    uses = dict.fromkeys(postorder(*roots), 0)
    for node in tuple(uses):
        for x in node.inputs:
            uses[x] += 1
    heavy = [e for e, n in uses.items() if n > 1 and e.op in SUMS and e not in named]
    taken = {name.replace("_", "") for name in named.values()}  # t_1 and t1 are one symbol
    free = (name for i in itertools.count(1) if (name := f"t{i}") not in taken)
    return dict(zip(heavy, free, strict=False))


class _General:
    """Any network: its own names, one letter for each axis."""

    def __init__(self, found: Derived) -> None:
        self.found = found
        self.cost = cost_symbol(found)
        roots = [found.value, *found.names, *found.grads.values(), *found.cotangents.values()]
        axes = axes_of(roots)
        self.low = not set(axes)
        examples = examples_axis(found.definition)
        first = {examples: EXAMPLE_LETTER} if examples in axes else {}
        taken = words([*found.names.values(), *(x.name for x in found.definition.inputs)])
        taken |= sizes_shown(roots)
        if EXAMPLE_LETTER in taken:
            first = {}
        self.letters, spare = letters(axes, taken, first, _meeting(roots))
        self.named = {e: n for e, n in found.names.items() if e is not found.value}
        self.named |= _shared([found.value, *found.grads.values()], self.named)
        self.printer = IndexPrinter(
            {
                e: symbol(n, e.axes, self.low)
                for e, n in found.names.items()
                if e is not found.value
            },
            self.letters,
            spare,
            safe=safe_beside_log(found.definition.root),
        )

    def indexed(self) -> Indexed:
        forward = tuple(self._forward())
        backward = tuple(self._backward())
        return Indexed(forward, backward, tuple(self._entries()))

    def _forward(self) -> Iterator[str]:
        found, p = self.found, self.printer
        below = set(postorder(found.value, *found.names))
        named = {e: n for e, n in self.named.items() if e.op not in LEAVES and e in below}
        outputs = {"": found.value, **{n: e for e, n in named.items()}}
        names = {e: n for e, n in self.named.items() if e.op not in LEAVES}
        for line in program("", (), outputs, names, DEEPEST, share=False).lines:
            if line.value is not found.value:
                self.named.setdefault(line.value, line.name)
                shown = symbol(line.name, line.value.axes, self.low)
                yield self._line(p.names.get(line.value, shown), line.value)
                p.names.setdefault(line.value, shown)
        yield self._line(self.cost, found.value)

    def _line(self, shown: Shown, value: Expr) -> str:
        scope = self.printer.scope(value.axes)
        self.printer.begin()
        return f"{shown.tex(scope)} &= {self.printer.definition(value, scope).text}"

    def _backward(self) -> Iterator[str]:
        found, p = self.found, self.printer
        wanted: dict[Expr, Partial] = {}
        for derivatives in (found.cotangents, found.grads):
            for name, e in derivatives.items():
                if e.op not in LEAVES and e not in p.names:
                    wanted[e] = Partial(self.cost, symbol(name, e.axes, self.low))
        outputs = dict(found.grads)
        names = {e: f"g{i}" for i, e in enumerate(wanted)}
        for line in program("", (), outputs, {**self.named, **names}, DEEPEST, share=False).lines:
            if line.value not in p.names:
                shown = wanted.get(line.value) or symbol(line.name, line.value.axes, self.low)
                yield self._line(shown, line.value)
                p.names[line.value] = shown
        for name, e in found.grads.items():
            own = Partial(self.cost, symbol(name, e.axes, self.low))
            if wanted.get(e) != own:
                scope = p.scope(e.axes)
                yield f"{own.tex(scope)} &= {p.tex(e, scope).text}"

    def _entries(self) -> Iterator[Entry]:
        found, scope = self.found, self.letters
        names = {x: x.name for x in found.definition.inputs} | dict(found.names)
        order = {e: n for n, e in enumerate(postorder(found.value, *found.names))}
        for e, name in sorted(names.items(), key=lambda pair: order.get(pair[0], -1)):
            if e is not found.value:
                role = "input" if e.op == "input" else "value of the forward pass"
                role = "parameter" if name in found.definition.params else role
                yield Entry(symbol(name, e.axes, self.low), scope, e, name, role)
        yield Entry(self.cost, scope, found.value, "", "the cost")
        for derivatives in (found.cotangents, found.grads):
            for name, e in derivatives.items():
                shown = Partial(self.cost, symbol(name, e.axes, self.low))
                yield Entry(shown, scope, e, f"d{name}", f"derivative with respect to {name}")
