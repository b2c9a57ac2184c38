"""A change of the true pass in words and formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from chainrule.diagnose.factors import factor_means, factor_name
from chainrule.diagnose.passes import Pass
from chainrule.diagnose.report import Mistake
from chainrule.diagnose.search import Found, Theirs
from chainrule.differentiate import substitute
from chainrule.emit.equations import partial
from chainrule.emit.plain import plain
from chainrule.emit.tex import Printer, label, orientations
from chainrule.errors import ChainruleError
from chainrule.expr import Definition, Expr, const, postorder
from chainrule.ops import expand
from chainrule.plan.simplify import simplify

LONGEST = 300  # characters of a formula that helps


class Words:
    """Names and formulas of one way to write the network."""

    def __init__(
        self, definition: Definition, truth: Pass, sizes: Mapping[str, int], ones: Sequence[Expr]
    ) -> None:
        self.definition, self.sizes = definition, sizes
        self.ones = {e: expand(const(1), e.axes) for e in ones}
        self.names = definition.names()
        nodes = [definition.root, *(e for _, e in definition.values)]
        self.orientation = orientations([*nodes, *truth.grads.values(), *truth.received.values()])

    def call(self, e: Expr) -> str:
        """A value by its name, else by what it is made of."""
        if e in self.names and e is not self.definition.root:
            return self.names[e]
        names = {x: label(n) for x, n in self.names.items() if x is not self.definition.root}
        try:
            text = plain(Printer(names, self.orientation).tex(e).text)
        except (ChainruleError, KeyError, IndexError):
            return e.op
        return text if len(text) <= 40 else f"{e.op} of {len(text)} characters"

    def formula(self, name: str, e: Expr, passes: Pass) -> tuple[str, str]:
        """The derivative with respect to a value, as plain characters and as LaTeX."""
        named = [*self.definition.inputs, *(v for _, v in self.definition.values)]
        cotangents = {
            passes.received[v]: partial(self.names[v])
            for v in named
            if v in passes.received and v in self.names and self.names[v] != name
        }
        roots = [e, *cotangents, *(v for v in self.names)]
        short = substitute(roots, self.ones | self._rounded(e))
        simplified = simplify(short[x] for x in roots)
        simple = {x: simplified[short[x]] for x in roots}
        names = {
            simple[x]: label(n) for x, n in self.names.items() if x is not self.definition.root
        }
        for x, text in cotangents.items():
            if simple[x].axes and simple[x] is not simple[e]:
                names.setdefault(simple[x], text)
        orientation = orientations([*names, *simplified.values()])
        printed = Printer(names, {**self.orientation, **orientation}).definition(simple[e]).text
        line = f"{partial(name)} &= {printed}"
        return plain(line), line

    def _rounded(self, e: Expr) -> dict[Expr, Expr]:
        """Long numbers with as many digits as a reader wants."""
        return {
            x: const(float(f"{x['value']:.6g}"))
            for x in postorder(e)
            if x.op == "const" and math.isfinite(x["value"])
        }

    def mistake(self, found: Found, before: Pass, after: Pass, theirs: Theirs) -> Mistake:
        """What was found, as a report has it."""
        node = found.places[0][0]
        x = found.target
        shown = self._shown(found, x)
        right = yours = ("", "")
        try:
            if isinstance(shown, str):
                right = self.formula(shown, before.grads[shown], before)
                yours = self.formula(shown, after.grads[shown], after)
            else:
                right = self.formula(self.names[shown], before.received[shown], before)
                yours = self.formula(self.names[shown], after.received[shown], after)
        except (ChainruleError, KeyError, IndexError):
            pass
        if max(len(right[0]), len(yours[0])) > LONGEST or right == yours:
            yours = ("", "")
        if len(right[0]) > LONGEST:
            right = ("", "")
        return Mistake(
            found.explains[0],
            found.explains,
            found.kind,
            self._sentence(found, x, node),
            self._evidence(found, theirs),
            right[0],
            yours[0],
            right[1],
            yours[1],
        )

    def _shown(self, found: Found, x: Expr) -> Expr | str:
        if x.op != "input" and x in self.names:
            return x
        return x.name if x.op == "input" else found.explains[0]

    def _what(self, found: Found, x: Expr) -> str:
        """``dW2`` or ``dZ1 (and with it db1, dW1)``."""
        if x.op == "input":
            return f"d{x.name}"
        if x not in self.names:
            return _listed([f"d{p}" for p in found.explains])
        name = f"d{self.call(x)}"
        rest = ", ".join(f"d{p}" for p in found.explains)
        return f"{name} (and with it {rest})"

    def _sentence(self, found: Found, x: Expr, node: Expr) -> str:
        what, edit, factor = self._what(found, x), found.edit, self._factor(found)
        many = x.op != "input" and x not in self.names and len(found.explains) > 1
        is_, has, lacks = ("are", "have", "lack") if many else ("is", "has", "lacks")
        if edit is not None:
            says = edit.says.replace("{factor}", _signed(found.factor))
            also = "" if found.factor == 1 or edit.additive else f", and times {factor}"
            return f"{found.kind}: {what} {is_} computed {says}{also}"
        kind = found.kind
        if kind == "missing path":
            return f"{kind}: {what} {lacks} what comes through {self.call(node)}"
        if kind == "zero gradient":
            return f"{kind}: {what} {is_} 0 everywhere"
        if kind == "double-counted path":
            return f"{kind}: in {what} the path through {self.call(node)} counts twice"
        if kind == "sign" and not found.whole:
            return f"{kind}: in {what} what comes through {self.call(node)} has the wrong sign"
        if kind == "sign":
            return f"{kind}: {what} {has} the wrong sign"
        times = f"{factor} times what {'they' if many else 'it'} should be"
        return f"{kind}: {what} {is_} {times}{self._meaning(factor)}"

    def _factor(self, found: Found) -> str:
        return factor_name(found.factor, self.sizes) or f"{found.factor:.6g}".replace("-", "−")

    def _meaning(self, factor: str) -> str:
        says = factor_means(factor, self.sizes)
        return f": {says}" if says else ""

    def _evidence(self, found: Found, theirs: Theirs) -> str:
        entries = sum(theirs.column(p).size for p in found.explains) // len(theirs.points)
        names = _listed([f"d{p}" for p in found.explains])
        many = len(found.explains) > 1
        if found.edit is None and found.kind in ("factor", "sign") and found.whole:
            is_ = "are" if many else "is"
            gradients = "gradients" if many else "gradient"
            number = f"{found.factor:.3f}".replace("-", "−")
            if abs(found.factor) < 0.01 or abs(found.factor) >= 1e4:
                number = f"{found.factor:.4g}"
            return f"{names} {is_} {number} times the true {gradients} in all {entries} entries"
        largest = found.error * max(theirs.close[p] for p in found.explains)
        difference = f"largest difference {largest:.0e}" if largest else "no difference"
        return (
            f"computed so, the true derivation gives your {names}: {difference} in {entries} "
            f"entries at each of {len(theirs.points)} points"
        )


def _signed(number: float) -> str:
    return f"{'−' if number < 0 else '+'} {abs(number):.4g}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
