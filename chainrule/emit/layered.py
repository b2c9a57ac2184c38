r"""Dense layers in the notation of the notes on neural networks: a_j^{(l)}, w_{jk}^{(l)}.

Each derivative is the product of three factors that are named first and evaluated then:
∂C/∂w = Σ ∂z/∂w · ∂a/∂z · ∂C/∂a.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chainrule.differentiate import reverse
from chainrule.emit.form import Entry, Indexed
from chainrule.emit.indexed import IndexPrinter, safe_beside_log, sizes_shown
from chainrule.emit.symbols import (
    EXAMPLE_LETTER,
    LETTERS,
    Partial,
    Scope,
    Symbol,
    letters,
    symbol,
    words,
)
from chainrule.emit.tex import Tex
from chainrule.expr import Expr, Spec, const, input_, postorder
from chainrule.ops import OPS
from chainrule.ops.record import PRODUCT
from chainrule.plan.derived import Derived
from chainrule.plan.layers import LOGIT_LOSSES, Layer, examples_axis
from chainrule.plan.simplify import is_const, simplify

DOT = r" \cdot "


class Layered:
    """Dense layers: superscripts count them, j is a neuron, k one of the layer before."""

    def __init__(self, found: Derived, layers: tuple[Layer, ...]) -> None:
        self.found, self.layers = found, layers
        self.cost = Symbol("C")
        last = layers[-1]
        logits = last.a is last.z and found.definition.root.op in LOGIT_LOSSES
        self.top = "z" if logits else "a"
        self.examples = tuple(axis for axis in last.a.axes if axis != last.to)
        self.safe = safe_beside_log(found.value)
        self.above = tuple(postorder(found.value, known=[last.a]))
        taken = words(x.name for x in self.above if x.op == "input") | sizes_shown([found.value])
        pool = [x for x in LETTERS if x not in taken]
        self.j, self.k = pool[0], pool[1]
        self.taken = taken | {self.j, self.k}
        axis = examples_axis(found.definition)
        self.first = {axis: EXAMPLE_LETTER} if axis in self.examples and "i" not in taken else {}
        self.names: dict[Expr, Symbol | Partial] = {}
        for number in range(len(layers) + 1):
            self.names.setdefault(self._value(number), self.a(number))
        for number, layer in enumerate(layers, 1):
            if layer.z is not layer.a:
                self.names[layer.z] = self.z(number)
        for x in self.above:
            if x.op == "input":
                self.names.setdefault(x, symbol(x.name, x.axes))

    def _value(self, number: int) -> Expr:
        return self.layers[0].before if number == 0 else self.layers[number - 1].a

    def a(self, number: int) -> Symbol:
        """a^{(l)}; z^{(L)} where the loss takes the weighted sums of the last layer."""
        base = self.top if number == len(self.layers) else "a"
        return Symbol(base, str(number), self._value(number).axes)

    def z(self, number: int) -> Symbol:
        """z^{(l)}."""
        return Symbol("z", str(number), self.layers[number - 1].z.axes)

    def w(self, number: int) -> Symbol:
        """w^{(l)}, to before from."""
        layer = self.layers[number - 1]
        axes = (layer.to, layer.origin) if layer.to else (layer.origin,)
        return Symbol("w", str(number), axes)

    def b(self, number: int) -> Symbol | None:
        """b^{(l)}, None without a bias."""
        bias = self.layers[number - 1].bias
        return None if bias is None else Symbol("b", str(number), bias.axes)

    def letters(self, number: int) -> tuple[dict[str, str], tuple[str, ...]]:
        """The letters in the equations of one layer."""
        layer = self.layers[number - 1]
        first = {**self.first, layer.origin: self.k}
        if layer.to:
            first[layer.to] = self.j
        last = number == len(self.layers)
        rest = dict.fromkeys(a for x in self.above for a in x.axes) if last else self.examples
        return letters(rest, self.taken, first)

    def printer(self, number: int) -> IndexPrinter:
        """Prints what stands in the equations of one layer."""
        given, spare = self.letters(number)
        return IndexPrinter(self.names, given, spare, safe=self.safe)

    def indexed(self) -> Indexed:
        """The lines, and what their symbols are."""
        return Indexed(
            tuple(self._forward()), tuple(self._backward()), tuple(self._entries()), self.layers
        )

    def _forward(self) -> Iterator[str]:
        for number, layer in enumerate(self.layers, 1):
            p = self.printer(number)
            scope = p.scope(layer.z.axes)
            summed = _sum_over([layer.origin], p, scope)
            inner = {**scope, layer.origin: self.k}
            weighted = f"{self.w(number).tex(inner)} {self.a(number - 1).tex(inner)}"
            bias = self.b(number)
            plus = f" + {bias.tex(scope)}" if bias is not None else ""
            yield f"{self.z(number).tex(scope)} &= {summed}{weighted}{plus}"
            if self.a(number) != self.z(number):
                value = self._activation(p, layer, number, scope)
                yield f"{self.a(number).tex(scope)} &= {value}"
        last = self.printer(len(self.layers))
        yield f"{self.cost.tex({})} &= {last.definition(self.found.value, {}).text}"

    def _activation(self, p: IndexPrinter, layer: Layer, number: int, scope: Scope) -> str:
        if layer.a is layer.z:
            return self.z(number).tex(scope)
        return p.definition(layer.a, scope).text

    def _backward(self) -> Iterator[str]:
        wanted = set(self.found.grads)
        lowest = next(
            n
            for n, layer in enumerate(self.layers, 1)
            if {x.name for x in (layer.weights, layer.bias, layer.before) if x is not None
                and x.op == "input"} & wanted
        )  # fmt: skip
        yield self._cost_line()
        for number in range(len(self.layers), lowest - 1, -1):
            yield from self._layer_lines(number, wanted, down=number > lowest)

    def _cost_line(self) -> str:
        number, last = len(self.layers), self.layers[-1]
        p = self.printer(number)
        by = reverse(self.found.value, [last.a]).wrt[last.a]
        scope = p.scope(last.a.axes)
        left = Partial(self.cost, self.a(number)).tex(scope)
        return f"{left} &= {p.tex(simplify([by])[by], scope).text}"

    def _layer_lines(self, number: int, wanted: set[str], down: bool) -> Iterator[str]:
        layer, p = self.layers[number - 1], self.printer(number)
        step = _Step(self, number, p)
        pairs = ((layer.weights, self.w(number)), (layer.bias, self.b(number)))
        asked = [by for x, by in pairs if by is not None and x is not None and x.name in wanted]
        if down or (layer.before.op == "input" and layer.before.name in wanted):
            asked.append(self.a(number - 1))
        yield from step.activation()
        yield from (step.weighted(by) for by in asked)
        yield from (step.line(by) for by in asked)

    def _entries(self) -> Iterator[Entry]:
        names = {x: x.name for x in self.found.definition.inputs} | dict(self.found.names)
        first = self.layers[0].before
        start = self.letters(1)[0]
        role = f"input {self.k}: neuron {self.k} of layer 0"
        yield Entry(self.a(0), start, first, names.get(first, ""), role, "input")
        for number, layer in enumerate(self.layers, 1):
            yield from self._entries_of(number, layer, names)
        last = self.letters(len(self.layers))[0]
        for x, shown in self.names.items():
            if x.op == "input" and x is not first:
                yield Entry(shown, last, x, x.name, "what the loss compares with")
        yield Entry(self.cost, {}, self.found.value, "", "the cost")
        yield from self._derivatives()

    def _entries_of(self, number: int, layer: Layer, names: Mapping[Expr, str]) -> Iterator[Entry]:
        scope = self.letters(number)[0]
        j = self.j if layer.to not in ("", "1") else "1"
        neuron = f"neuron {j} of layer {number}"
        way = f"to {neuron} from neuron {self.k} of layer {number - 1}"
        yield Entry(
            self.w(number),
            scope,
            layer.weights,
            layer.weights.name,
            f"weight {way}",
            f"weight of layer {number}",
        )
        bias, z, a = self.b(number), self.z(number), self.a(number)
        if bias is not None and layer.bias is not None:
            yield Entry(
                bias,
                scope,
                layer.bias,
                layer.bias.name,
                f"bias of {neuron}",
                f"bias of layer {number}",
            )
        same = layer.a is layer.z
        yield Entry(
            z,
            scope,
            layer.z,
            names.get(layer.z, ""),
            f"weighted sum of {neuron}",
            f"weighted sum of layer {number}",
        )
        if a != z:
            of = f"activation of {neuron}" + (" (f is the identity)" if same else "")
            yield Entry(
                a, scope, layer.a, names.get(layer.a, ""), of, f"activation of layer {number}"
            )

    def _derivatives(self) -> Iterator[Entry]:
        for number, layer in enumerate(self.layers, 1):
            scope = self.letters(number)[0]
            for x, by in ((layer.weights, self.w(number)), (layer.bias, self.b(number))):
                if x is not None and by is not None and x.name in self.found.grads:
                    shown = Partial(self.cost, by)
                    grad = self.found.grads[x.name]
                    role = f"derivative with respect to {x.name}"
                    yield Entry(shown, scope, grad, f"d{x.name}", role)
        first = self.layers[0].before
        if first.name in self.found.grads:
            grad = self.found.grads[first.name]
            shown = Partial(self.cost, self.a(0))
            yield Entry(shown, self.letters(1)[0], grad, f"d{first.name}", "of the input")


def _sum_over(axes: Iterable[str], p: IndexPrinter, scope: Scope) -> str:
    return p.bind(axes, scope)[0]


class _Step:
    """The chain rule in one layer: ∂z/∂w · ∂a/∂z · ∂C/∂a, named, then evaluated."""

    def __init__(self, net: Layered, number: int, p: IndexPrinter) -> None:
        self.net, self.number, self.p = net, number, p
        self.layer = net.layers[number - 1]
        self.z, self.a = net.z(number), net.a(number)
        self.scope = p.scope((*self.layer.z.axes, self.layer.origin))
        self.mixes = self.layer.a is not self.layer.z and self.layer.a.op in (
            "softmax",
            "log_softmax",
        )
        self.slope = None if self.mixes or self.a == self.z else self._slope()

    def _slope(self) -> Tex:
        if self.layer.a is self.layer.z:
            return Tex("1", PRODUCT)
        node = self.layer.a
        rule = OPS[node.op].vjp
        assert rule is not None  # an activation has a derivative
        part = rule(const(1), node, *node.inputs, **dict(node.attrs))[0]
        assert part is not None
        simple = simplify([part])[part]
        return Tex("1", PRODUCT) if is_const(simple, 1) else self.p.tex(simple, self.scope)

    @property
    def upstream(self) -> Symbol:
        """What the derivative of the cost is known for, when the weights are asked for."""
        return self.z if self.mixes or self.a == self.z else self.a

    def weighted(self, by: Symbol) -> str:
        """∂z/∂by: what the weighted sum changes by."""
        return f"{Partial(self.z, by).tex(self.scope)} &= {self._factor(by, self.scope).text}"

    def activation(self) -> Iterator[str]:
        """∂a/∂z, or ∂C/∂z where every a depends on every z."""
        if self.mixes:
            yield self._mixed()
        elif self.slope is not None:
            left = Partial(self.a, self.z).tex(self.scope)
            named = self._prime()
            yield f"{left} &= " + " = ".join(x for x in (named, self.slope.text) if x)

    def _prime(self) -> str:
        """f'(z), for a function that is written f(z)."""
        if self.layer.a is self.layer.z:
            return ""
        called = self.p.definition(self.layer.a, self.scope).text
        argument = f"({self.z.tex(self.scope)})"
        return f"{called.removesuffix(argument)}'{argument}" if called.endswith(argument) else ""

    def _mixed(self) -> str:
        node, net = self.layer.a, self.net
        received = input_("∂C/∂a", Spec(node.axes, node.sizes))
        rule = OPS[node.op].vjp
        assert rule is not None  # an activation has a derivative
        part = rule(received, node, *node.inputs, **dict(node.attrs))[0]
        assert part is not None
        simple = simplify([part])[part]
        p = net.printer(self.number)
        p.names[received] = Partial(net.cost, self.a)
        scope = p.scope(node.axes)
        return f"{Partial(net.cost, self.z).tex(scope)} &= {p.tex(simple, scope).text}"

    def line(self, by: Symbol) -> str:
        """∂C/∂by: the factors by name, then what they are."""
        over = [axis for axis in self.layer.z.axes if axis not in by.axes]
        scope = {axis: x for axis, x in self.scope.items() if axis in by.axes}
        sums, inner = self.p.bind(over, scope)
        inner = {**self.scope, **inner}
        named = [Partial(self.z, by).tex(inner)]
        shown = [self._factor(by, inner)]
        if self.slope is not None:
            named.append(Partial(self.a, self.z).tex(inner))
            shown.append(self.slope)
        received = Partial(self.net.cost, self.upstream).tex(inner)
        left = Partial(self.net.cost, by).tex(scope)
        pieces = [x.at(PRODUCT) for x in shown if x.text != "1"]
        rights = (DOT.join([*named, received]), DOT.join([*pieces, received]))
        return f"{left} &= " + " = ".join(f"{sums}{right}" for right in rights)

    def _factor(self, by: Symbol, scope: Scope) -> Tex:
        """∂z/∂by: the activation for a weight, 1 for a bias, the weight for an activation."""
        if by.base == "w":
            return Tex(self.net.a(self.number - 1).tex(scope), PRODUCT)
        if by.base == "b":
            return Tex("1", PRODUCT)
        return Tex(self.net.w(self.number).tex(scope), PRODUCT)
