r"""The equations in parts: c is a mean over examples, c_k a sum over outputs, so is their gradient.

Negative gradients come first: −∂c_kj/∂a is the nudge that output j asks of an activation for
example k, and −∂c_kj/∂w the one that it asks of a weight. The gradient itself is minus their sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chainrule.differentiate import keep, reverse
from chainrule.emit.form import DEEPEST, Entry, Indexed, axes_of
from chainrule.emit.indexed import IndexPrinter, safe_beside_log, sizes_shown
from chainrule.emit.plain import plain_indices
from chainrule.emit.symbols import (
    Partial,
    Scope,
    Shown,
    Symbol,
    letter_of,
    letters,
    symbol,
    words,
)
from chainrule.emit.tex import label
from chainrule.errors import GraphError
from chainrule.expr import Expr, Spec, input_, postorder
from chainrule.ops import OPS, contraction
from chainrule.ops.cross_entropy import plain_cross_entropy
from chainrule.ops.record import ATOM, SUM
from chainrule.plan.derived import Derived
from chainrule.plan.layers import examples_axis
from chainrule.plan.outputs import LOGITS, SOFTMAX, Split, split, summed
from chainrule.plan.program import LEAVES, program
from chainrule.plan.simplify import simplify

PART = "output part"  # the axis of the parts where it is not that of the outputs
EXAMPLE, OUTPUT = "k", "j"  # as the document that splits costs this way calls them


def by_output(found: Derived) -> Indexed:
    """Both passes, split by examples and outputs.

    Raises:
        GraphError: the cost does not split (see `chainrule.plan.outputs.split`), or the axis of the
            outputs counts something else as well.
    """
    definition = found.definition
    root = definition.root
    if root.op == "cross_entropy":  # as books write it
        root = plain_cross_entropy(*root.inputs, **dict(root.attrs))
    plain = replace(definition, root=root)
    how = split(plain, list(found.grads), examples_axis(definition))
    if how.outputs and _counts_twice(how.outputs, _below_softmax(how.value)):
        what = f"axis {how.outputs!r} counts the outputs and something that they are made of"
        hint = f"Rename one: cr.rename(x, {how.outputs}='…'); cr.per_output takes it as it is"
        raise GraphError(what, where=found.definition.name, hint=hint)
    return _Parts(found, how).indexed()


def _below_softmax(value: Expr) -> Expr:
    """The outputs, or the logits where a softmax makes each output depend on all of them."""
    return value.inputs[0] if value.op in SOFTMAX else value


def _counts_twice(axis: str, value: Expr) -> bool:
    """Whether the axis of the outputs counts something else below them."""
    return axis != "1" and any(
        axis in (summed(node) if axis in node.axes else x.axes)
        for node in postorder(value)
        for x in node.inputs
    )


def _rest(x: Expr, axis: str) -> tuple[str, ...]:
    return tuple(a for a in x.axes if a != axis)


@dataclass(frozen=True)
class _At:
    """A symbol at one fixed letter of an axis."""

    shown: Partial
    axis: str
    letter: str
    binds: int = SUM

    def tex(self, scope: Scope) -> str:
        return self.shown.tex({**scope, self.axis: self.letter})


@dataclass(frozen=True)
class _Letter:
    """A position, shown as the letter that counts it."""

    letter: str
    binds: int = ATOM

    def tex(self, scope: Scope) -> str:
        return self.letter


class _Parts:
    """The equations of one derivation in parts."""

    def __init__(self, found: Derived, how: Split) -> None:
        self.found, self.how = found, how
        definition = found.definition
        names = {e: n for e, n in definition.names().items() if e is not definition.root}
        self.inputs = [definition.input[name] for name in found.grads]
        self.value = how.kept[how.value]
        self.mixed = self.value.op in SOFTMAX and how.outputs in summed(self.value)
        self.start = self.value.inputs[0] if self.mixed else self.value
        self.axis = PART if self.mixed else how.outputs  # what an output is called by
        self.names = {how.kept[e]: n for e, n in names.items() if e in how.kept}
        self.received = input_("∂c/∂outputs", Spec(self.start.axes, self.start.sizes))
        back = reverse(self.start, self.inputs, seed=self.received)
        slope = reverse(definition.root, [how.value]).wrt[how.value]
        slope = keep(slope, how.examples)[slope]
        below = {e for e in postorder(self.start) if e in self.names and e in back.cotangents} - {
            self.start
        }
        self.wanted = {e: back.cotangents[e] for e in self.names if e in below}
        self.wanted |= {x: back.wrt[x] for x in self.inputs}
        roots = [*self.names, self.value, how.cost, how.terms, -slope, *self.wanted.values()]
        roots += [self._through_softmax()] if self.mixed else []
        self.simple = simplify(roots)
        self.slope = self.simple[-slope]
        self._letters(roots)

    def _through_softmax(self) -> Expr:
        """What logit l receives from output j: ([j = l] − a_l) a_j times what a_j does."""
        axis, node = self.how.outputs, self.value
        self.position = input_("position", Spec((PART,), {}, "int"))
        self.above = input_("∂c/∂a", Spec((*_rest(node, axis), PART), {}))
        chosen = OPS["one_hot"](self.position, axis, node.sizes.get(axis))
        rule = OPS[node.op].vjp
        assert rule is not None  # softmax has a derivative
        part = rule(contraction(chosen, self.above, (PART, *node.axes)), node, *node.inputs,
                    **dict(node.attrs))[0]  # fmt: skip
        assert part is not None
        self.logits = part
        return part

    def _letters(self, roots: list[Expr]) -> None:
        how = self.how
        shown = [self.simple[x] for x in roots]
        names = [*self.names.values(), *(x.name for x in self.found.definition.inputs)]
        taken = words(names) | sizes_shown(shown)
        first = {how.examples: EXAMPLE} | ({self.axis: OUTPUT} if self.axis else {})
        first = {axis: x for axis, x in first.items() if x not in taken and axis != "1"}
        given, spare = letters(axes_of([*shown, *self.names]), taken, first)
        counts = {self._count(axis) for axis in (how.examples, how.outputs) if axis}
        cost = next(x for x in ("c", r"\ell", r"\mathcal{C}") if x not in {*names, *counts})
        both = (how.examples, self.axis) if self.axis else (how.examples,)
        self.whole, self.each = Symbol(cost), Symbol(cost, "", (how.examples,))
        self.part = Symbol(cost, "", both)
        known = {self.simple[e]: symbol(n, e.axes) for e, n in self.names.items()}
        if self.simple[self.value] not in known:
            base = "z" if how.by == LOGITS else "a"
            known[self.simple[self.value]] = Symbol(base, "", self.value.axes)
        if self.simple[self.start] not in known:
            known[self.simple[self.start]] = Symbol("z", "", self.start.axes)
        self.symbols = {e: s for e, s in known.items() if e.op != "const"}
        free = {*both} - {"1"}
        safe = safe_beside_log(self.found.definition.root)
        self.forward = IndexPrinter(dict(self.symbols), given, spare, safe=safe)
        self.printer = IndexPrinter(dict(self.symbols), given, spare, free=free, safe=safe)
        self.scope = self.printer.scope(both)

    def indexed(self) -> Indexed:
        forward = tuple(self._costs()) + tuple(self._forward())
        return Indexed(forward, tuple(self._backward()), tuple(self._entries()), (), self._notes())

    def _count(self, axis: str) -> str:
        size = next((n.sizes[axis] for n in postorder(self.value) if axis in n.sizes), None)
        return "1" if axis == "1" else str(size) if size else label(axis)

    def _many(self, first: str, last: str) -> str:
        return rf"{first} + \dots + {last}" if last != first else first

    def _costs(self) -> Iterator[str]:
        c, how = self.whole.base, self.how
        yield f"{c} &= " + self._over_examples(c)
        if how.outputs:
            yield f"{self.each.tex(self.scope)} &= {self._over_outputs(c)}"

    def _over_examples(self, c: str) -> str:
        m = label(self.how.examples)
        terms = self._many(f"{c}_{{1}}", f"{c}_{{{m}}}")
        return rf"\frac{{1}}{{{m}}}({terms})" if self.how.mean else terms

    def _over_outputs(self, c: str) -> str:
        k = letter_of(self.how.examples, self.scope)
        last = self._count(self.how.outputs)
        comma = ", " if len(last) > 1 else ""
        return self._many(f"{c}_{{{k}1}}", f"{c}_{{{k}{comma}{last}}}")

    def _forward(self) -> Iterator[str]:
        p = self.forward
        p.names = {e: s for e, s in p.names.items() if e.op == "input"}
        lines = {e: s for e, s in self.symbols.items() if e.op not in LEAVES}
        inside = set(postorder(self.simple[self.value]))
        for e in postorder(*lines):
            if e in lines and e in inside:
                yield self._line(p, lines[e], e)
                p.names[e] = lines[e]
        for e in postorder(*lines):
            if e in lines and e not in p.names and e in set(postorder(self.simple[self.how.terms])):
                yield self._line(p, lines[e], e)
                p.names[e] = lines[e]
        terms = self.simple[self.how.terms]
        yield f"{self.part.tex(self.scope)} &= {p.tex(terms, self._output_scope()).text}"

    def _output_scope(self) -> dict[str, str]:
        """The letters where an entry of the outputs is output j itself."""
        own = {self.how.outputs: self.scope[self.axis]} if self.mixed else {}
        return {**self.scope, **own}

    def _line(self, p: IndexPrinter, shown: Shown, e: Expr) -> str:
        scope = p.scope(e.axes)
        p.begin()
        return f"{shown.tex(scope)} &= {p.definition(e, scope).text}"

    def _nudge(self, of: Expr) -> Partial:
        return Partial(self.part, self.symbols[self.simple[of]], negative=True)

    def _backward(self) -> Iterator[str]:
        c = self.whole.base
        gradient = rf"\nabla {c}"
        yield f"{gradient} &= {self._over_examples(gradient)}"
        if self.how.outputs:
            yield f"\\nabla {self.each.tex(self.scope)} &= {self._over_outputs(gradient)}"
        p = self.printer
        start = self._nudge(self.value)
        scope = {**self.scope, **p.scope(self.value.axes), **self._output_scope()}
        p.begin()
        yield f"{start.tex(scope)} &= {self.forward.tex(self.slope, scope).text}"
        if self.mixed:
            yield self._softmax_line(start, scope[self.how.outputs])
            start = self._nudge(self.start)
        p.names[self.received] = start
        yield from self._parts(p)
        yield from self._sums()

    def _softmax_line(self, above: Partial, letter: str) -> str:
        """∂c_kj/∂z_lk from ∂c_kj/∂a_jk."""
        axis, p = self.how.outputs, self.printer
        p.names[self.simple[self.above]] = _At(above, axis, letter)
        p.names[self.simple[self.position]] = _Letter(letter)
        scope = {**self.scope, **p.scope(self.start.axes)}
        p.begin()
        right = p.tex(self.simple[self.logits], scope).text
        return f"{self._nudge(self.start).tex(scope)} &= {right}"

    def _parts(self, p: IndexPrinter) -> Iterator[str]:
        """The nudge for each value and each parameter, in the order in which they are found."""
        received = {self.simple[g]: e for e, g in self.wanted.items() if e not in self.inputs}
        received |= {self.simple[g]: e for e, g in self.wanted.items()
                     if self.simple[g] not in received}  # fmt: skip
        outputs = {f"g{i}": g for i, g in enumerate(received)}
        names = {g: name for name, g in outputs.items()} | {
            e: f"v{i}" for i, e in enumerate(self.symbols)
        }
        for line in program("", (), outputs, names, DEEPEST, share=False).lines:
            if line.value in p.names:
                continue
            of = received.get(line.value)
            shown = self._nudge(of) if of is not None else symbol(line.name, line.value.axes)
            scope = {**self.scope, **p.scope(line.value.axes)}
            yield f"{shown.tex(scope)} &= {p.definition(line.value, scope).text}"
            p.names[line.value] = shown
        for e in self.wanted:  # what receives the same as another
            g = self.simple[self.wanted[e]]
            if received.get(g) is not e:
                scope = {**self.scope, **p.scope(g.axes)}
                yield f"{self._nudge(e).tex(scope)} &= {p.tex(g, scope).text}"

    def _sums(self) -> Iterator[str]:
        """Minus the gradient: the parts of all examples and outputs together."""
        for x in self.inputs:
            by = self.symbols[self.simple[x]]
            scope = self.forward.scope(x.axes)
            over = [axis for axis in self.part.axes if axis not in x.axes]
            sums, inner = self.forward.bind(over, scope)
            part = self._nudge(x).tex({**self.scope, **inner})
            share = rf"\frac{{1}}{{{label(self.how.examples)}}}" if self.how.mean else ""
            left = Partial(self.whole, by, negative=True).tex(scope)
            inside = rf"\left({part}\right)" if sums or share else part
            yield f"{left} &= {share}{sums}{inside}"

    def _notes(self) -> tuple[str, ...]:
        how = self.how
        k, j = (letter_of(axis, self.scope) if axis else "" for axis in (how.examples, self.axis))
        if how.outputs in ("", "1"):
            return (
                f"{k} counts the examples. There is one output: the cost is not split further.",
            )
        notes = [f"{k} counts the examples, {j} the outputs."]
        value = self.symbols[self.simple[self.value]].tex({**self.printer.letters, **self.scope})
        if how.by == LOGITS:
            c, ck = self.part.tex(self.scope), self.each.tex(self.scope)
            parts = [rf"\frac{{\partial {up}}}{{\partial {down}}}"
                     for up, down in ((c, "x"), (ck, value), (value, "x"))]  # fmt: skip
            notes.append(
                "Split by what each logit receives, because the terms of the cost are 0 for all "
                "classes whose target is 0: here "
                + plain_indices(rf"{parts[0]} = {parts[1]} \cdot {parts[2]}.")
            )
        else:
            notes.append("Split by terms of the cost: each looks at one output only.")
        if self.mixed:
            notes.append("The softmax makes every output depend on all logits.")
        elif any(how.outputs in x.axes for x in self.inputs):
            notes.append(f"For parameters of another output than {j} the part is 0.")
        notes.append("The lines give negative gradients, the directions of descent.")
        return tuple(notes)

    def _entries(self) -> Iterator[Entry]:
        scope = {**self.printer.letters}
        for e, shown in self.symbols.items():
            name = shown_name(self.names, self.simple, e)
            yield Entry(shown, scope, e, name, "")
        yield Entry(self.whole, scope, self.found.value, "", "")
        for x in self.inputs:
            whole = Partial(self.whole, self.symbols[self.simple[x]])
            yield Entry(whole, scope, x, f"d{x.name}", "")
        for x in self.inputs if self.how.outputs else ():
            part = Partial(self.part, self.symbols[self.simple[x]])
            role = "part of one example and one output: cr.per_output"
            yield Entry(part, scope, x, f"parts[{x.name!r}]", role)


def shown_name(names: dict[Expr, str], simple: dict[Expr, Expr], e: Expr) -> str:
    """The name in the definition of a simplified value."""
    return next((n for x, n in names.items() if simple[x] is e), "")
