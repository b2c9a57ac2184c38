r"""One expression as an equation between numbers: every axis is an index, every sum is written.

What an operation looks like stands in its record; here is only what indices change: products of
matrices are sums, a transpose is the same entry, broadcasting is an index that is not there.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chainrule.emit.symbols import Scope, Shown, Symbol, letter_of, run_together, symbol
from chainrule.emit.tex import Tex, join, label, number
from chainrule.errors import ParameterError
from chainrule.expr import Expr, postorder
from chainrule.ops import OPS, body_of, sum_
from chainrule.ops.arithmetic import exp, log
from chainrule.ops.cross_entropy import plain_cross_entropy
from chainrule.ops.record import ATOM, HADAMARD, POWER, PRODUCT, SUM, is_elementwise

LOOSE = HADAMARD  # a sum takes in all factors after it, so as a factor it stands in parentheses
_LEVELS = {"sum": SUM, "had": HADAMARD, "prod": PRODUCT, "pow": POWER, "atom": ATOM, "left": POWER}


def sizes_shown(roots: Iterable[Expr]) -> set[str]:
    """Axes whose number of entries is a value in the equations, or in the losses in them."""
    found = {n["axis"] for n in postorder(*roots) if n.op == "size"}
    for node in postorder(*roots):
        inner = in_numbers(node) if node.op in OPS else None
        if inner is not None and inner is not node:
            found |= {n["axis"] for n in postorder(inner) if n.op == "size"}
    return found


class IndexPrinter:
    """Prints expressions with indices; those with a name are printed as it.

    Attributes:
        names: the symbol of each expression that has one.
        letters: which letter an axis has if nothing speaks against it.
        spare: letters for axes that appear a second time, under a sum.
        free: axes that are not summed: for each of their entries there is an equation.
        safe: expressions that may be 0 beside a logarithm: 0 · log 0 = 0 is not written out.
    """

    def __init__(
        self,
        names: Mapping[Expr, Shown],
        letters: Mapping[str, str],
        spare: Iterable[str] = (),
        free: Iterable[str] = (),
        safe: Iterable[Expr] = (),
    ) -> None:
        self.names = dict(names)
        self.letters = letters
        self.spare = tuple(spare)
        self.free = frozenset(free)
        self.safe = frozenset(safe)
        self.meant: dict[str, str] = {}

    def begin(self) -> None:
        """Start a line: within it a letter runs over one axis only."""
        self.meant = {}

    def scope(self, axes: Iterable[str]) -> dict[str, str]:
        """The letters of the axes on the left of an equation."""
        return {axis: self.letters[axis] for axis in axes if axis != "1"}

    def tex(self, node: Expr, scope: Scope) -> Tex:
        """`node` where the letters of `scope` are in use."""
        if node in self.names:
            shown = self.names[node]
            return Tex(shown.tex(scope), shown.binds)
        return self.definition(node, scope)

    def definition(self, node: Expr, scope: Scope) -> Tex:
        """`node` by what it is made of, even if it has a name.

        Raises:
            ParameterError: it cannot be written with indices.
        """
        special = _BY_OP.get(node.op)
        if special is not None:
            return special(self, node, scope)
        op = OPS[node.op]
        if is_elementwise(op) or node.op == "stop_gradient":
            return self._from_record(node, scope)
        inner = in_numbers(node)
        if inner is None:
            what = f"{node.op} moves entries about: no equation with indices says how"
            raise ParameterError(what, hint="Use notation='matrix'")
        return self.tex(inner, scope)

    def _from_record(self, node: Expr, scope: Scope) -> Tex:
        op = OPS[node.op]
        attrs = {k: v for k, v in node.attrs if not isinstance(v, tuple)}
        template = op.tex if isinstance(op.tex, str) else op.tex(attrs, node.inputs)
        operands = [_Operand(self.tex(x, scope)) for x in node.inputs]
        binds = PRODUCT if template.startswith(r"\frac") else op.binds
        return Tex(string.Formatter().vformat(template, operands, attrs), binds)

    def bind(self, over: Iterable[str], scope: Scope) -> tuple[str, dict[str, str]]:
        """The sums over axes, and the letters under them; none is in use outside."""
        inner = dict(scope)
        bound: list[str] = []
        for axis in over:
            if axis == "1" or axis in self.free:
                continue
            used = {*scope.values(), *bound}
            choice = [x for x in (self.letters[axis], *self.spare) if x not in used]
            choice.sort(key=lambda x: self.meant.get(x, axis) != axis)  # the same axis first
            if not choice:
                raise ParameterError(
                    "more sums inside each other than there are letters",
                    hint="Use notation='matrix'",
                )
            if axis in inner:  # its letter outside stays in use
                inner[f" {inner[axis]}"] = inner[axis]
            inner[axis] = choice[0]
            self.meant[choice[0]] = axis
            bound.append(choice[0])
        return "".join(rf"\sum_{{{x}}} " for x in bound), inner


class _Operand:
    """What a record's template formats: `{0:prod}`."""

    def __init__(self, tex: Tex) -> None:
        self.tex = tex

    def __format__(self, spec: str) -> str:
        if spec == "call":
            return self.tex.inside()
        return self.tex.at(_LEVELS[spec]) if spec else self.tex.text


def in_numbers(node: Expr) -> Expr | None:
    """What an operation on whole arrays says in operations on numbers and sums.

    For softmax and its relatives the definition of the mathematics books: what their bodies do
    against overflow changes no value.
    """
    written = _PLAIN.get(node.op)
    return written(*node.inputs, **dict(node.attrs)) if written else body_of(node)


_PLAIN: dict[str, Callable[..., Expr]] = {
    "softmax": lambda x, over: exp(x) / sum_(exp(x), over),
    "log_softmax": lambda x, over: x - log(sum_(exp(x), over)),
    "logsumexp": lambda x, over: log(sum_(exp(x), over)),
    "cross_entropy": plain_cross_entropy,
}


def product(a: Tex, b: Tex) -> Tex:
    """Two factors; a sum may only be the last of them."""
    if b.binds == LOOSE:
        return Tex(join(a.at(PRODUCT), b.text), LOOSE)
    return Tex(join(a.at(PRODUCT), b.at(PRODUCT)), PRODUCT)


def _input(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    shown = symbol(node.name, node.axes)
    return Tex(shown.tex(scope), shown.binds)


def _mul(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    """1 · [a > b], which makes a number of what is true or false, is [a > b]."""
    factors = [x for x in node.inputs if not (x.op == "const" and x["value"] == 1)]
    terms = [p.tex(x, scope) for x in factors]
    return product(*terms) if len(terms) == 2 else (terms or [number(1)])[0]


def _div(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    upper, lower = (p.tex(x, scope) for x in node.inputs)
    share = Tex(rf"\frac{{1}}{{{lower.text}}}", PRODUCT)
    if _is_negative_sum(node.inputs[0]) and upper.binds == SUM:
        return Tex("-" + product(share, Tex(upper.text.removeprefix("-"), LOOSE)).text, SUM)
    if node.inputs[1].op in ("size", "const") and upper.binds == LOOSE:
        return product(share, upper)
    return Tex(rf"\frac{{{upper.text}}}{{{lower.text}}}", PRODUCT)


def _summed(p: IndexPrinter, over: Iterable[str], scope: Scope, *factors: Expr) -> Tex:
    sums, inner = p.bind(over, scope)
    if not sums:
        return _product_of(p, inner, factors)
    negative = len(factors) == 1 and factors[0].op == "neg" and factors[0] not in p.names
    tex = _product_of(p, inner, factors[0].inputs if negative else factors)
    bound = [axis for axis in over if axis != "1" and axis not in p.free]
    equal = [axis for axis in bound if not mentions(tex.text, inner[axis])]
    for axis in equal:  # as many equal terms as the axis has entries
        sums = sums.replace(rf"\sum_{{{inner[axis]}}} ", "")
        tex = product(Tex(label(axis), ATOM), tex)
    summed = Tex(sums + tex.at(LOOSE), LOOSE) if sums else tex
    return Tex(f"-{summed.at(HADAMARD)}", SUM) if negative else summed


def _product_of(p: IndexPrinter, scope: Scope, factors: tuple[Expr, ...]) -> Tex:
    terms = [p.tex(x, scope) for x in factors]
    return product(*terms) if len(terms) == 2 else terms[0]


def mentions(text: str, letter: str) -> bool:
    r"""Whether an equation has the index.

    >>> mentions(r"\tanh(x_{jl})", "l"), mentions(r"\tanh(x_{j})", "l")
    (True, False)
    """
    alone = re.escape(letter) + r"(?![A-Za-z])" if letter.startswith("\\") else re.escape(letter)
    return re.search(rf"_\{{[^{{}}]*{alone}[^{{}}]*\}}|= {alone}\\right\]", text) is not None


def _is_negative_sum(node: Expr) -> bool:
    """Whether the sign of what is summed stands in front of the sum."""
    return node.op == "sum" and node.inputs[0].op == "neg"


def _contract(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    return _summed(p, node["over"], scope, *node.inputs)


def _sum(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    return _summed(p, node["over"], scope, *node.inputs)


def _same(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    return p.tex(node.inputs[0], scope)


def _rename(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    new = dict(node["to"])
    before = {old: scope[name] for old, name in new.items() if name in scope}
    kept = {axis: letter for axis, letter in scope.items() if axis not in new.values()}
    return p.tex(node.inputs[0], {**kept, **before})


def _one_hot(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    index = letter_of(node["axis"], scope)
    return Tex(rf"\left[{p.tex(node.inputs[0], scope).text} = {index}\right]", ATOM)


def _best(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    _, inner = p.bind(node["over"], scope)
    names = {"max": r"\max", "min": r"\min", "argmax": r"\operatorname{argmax}"}
    index = run_together(letter_of(axis, inner) for axis in node["over"])
    return Tex(f"{names[node.op]}_{{{index}}} {p.tex(node.inputs[0], inner).at(POWER)}", LOOSE)


def _where(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    """0 · log 0 = 0 is understood in the losses that say so."""
    condition = node.inputs[0]
    if condition.op == "eq" and condition.inputs[0] in p.safe and condition.inputs[1].op == "const":
        return p.tex(node.inputs[2], scope)
    return p._from_record(node, scope)


def _uniform(p: IndexPrinter, node: Expr, scope: Scope) -> Tex:
    return Tex(Symbol("U", str(node["stream"]), node.axes).tex(scope), POWER)


_BY_OP: dict[str, Callable[[IndexPrinter, Expr, Scope], Tex]] = {
    "input": _input,
    "const": lambda p, node, scope: number(node["value"]),
    "size": lambda p, node, scope: Tex(label(node["axis"]), ATOM),
    "mul": _mul,
    "div": _div,
    "contract": _contract,
    "sum": _sum,
    "expand": _same,
    "transpose": _same,
    "rename": _rename,
    "one_hot": _one_hot,
    "max": _best,
    "min": _best,
    "argmax": _best,
    "where": _where,
    "uniform": _uniform,
}


def safe_beside_log(root: Expr) -> tuple[Expr, ...]:
    """The targets of losses in which 0 · log 0 counts as 0."""
    losses: tuple[Any, ...] = tuple(n for n in postorder(root) if n.op in ("bce", "kl"))
    return tuple(n.inputs[1] for n in losses)
