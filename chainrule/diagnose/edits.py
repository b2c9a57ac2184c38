"""Mistakes that hands make, as changes of single steps of the true backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chainrule.diagnose.passes import Backward, Change, Pass, Place
from chainrule.differentiate import substitute
from chainrule.errors import ChainruleError
from chainrule.expr import Axes, Expr, input_, postorder
from chainrule.ops import OPS, contraction, onto
from chainrule.ops.indexing import rename

# Steps that only pass on what arrives: nothing about them can be forgotten but the step itself.
LINEAR = frozenset(
    "add sub neg sum mean expand transpose rename merge split slice pad concat where max min "
    "stop_gradient gather scatter_add".split()
)
FIRST, LAST = "e_first", "e_last"  # 1 at one example, 0 at all others
BEFORE = "__before"  # what a value was in the call before
MOST_VALUES = 24  # of the same shape, that could have been mistaken for one another
Rule = Callable[..., Sequence[Expr | None]]

# How simple an explanation is: of several that fit, the one with the smallest number is named.
COSTS = {
    "factor": 1.0, "sign": 1.0, "missing path": 1.0, "double-counted path": 1.0,
    "missing derivative": 1.2, "doubled derivative": 1.6, "derivative at wrong value": 1.8,
    "missing transpose": 1.5, "missing sum": 1.5, "wrong cached value": 2.0,
    "stale value": 2.2, "extra term": 2.4, "wrong upstream": 1.9, "missing term": 2.1,
    "wrong term": 2.6,
}  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One change of one step.

    Attributes:
        place: the step.
        change: what it contributes instead.
        kind: what sort of mistake that is, a key of `COSTS`.
        says: what was done, in words; {name} of values are filled in.
        cost: how far-fetched it is.
        additive: whether some multiple of it comes on top of the true step.
    """

    place: Place
    change: Change
    kind: str
    says: str
    cost: float
    additive: bool = False


@dataclass(frozen=True)
class Scene:
    """What edits are made from.

    Attributes:
        backward: the network.
        current: its pass, with the mistakes found so far.
        sizes: of all axes.
        call: how a value is called.
        before: values of the call before, by the value they are of.
    """

    backward: Backward
    current: Pass
    sizes: Mapping[str, int]
    call: Callable[[Expr], str]
    before: Mapping[Expr, Expr]
    notable: Sequence[Expr]
    examples: str

    def shape(self, x: Expr) -> tuple[int, ...]:
        """Sizes of the axes of `x`."""
        return tuple(self.sizes.get(axis, 1) for axis in x.axes)

    def like(self, wanted: Expr, pool: Sequence[Expr]) -> Iterator[tuple[Expr, Expr]]:
        """Values of the same shape as `wanted`, and the same with its axes."""
        count = 0
        for value in pool:
            if value is wanted or value.kind == "bool" or self.shape(value) != self.shape(wanted):
                continue
            to = {a: b for a, b in zip(value.axes, wanted.axes, strict=True) if a != b}
            yield value, rename(value, **to) if to else value
            count += 1
            if count == MOST_VALUES:
                return


def edits(scene: Scene, place: Place) -> Iterator[Edit]:
    """Every change of one step that is tried, the plain factor apart."""
    node = place[0]
    if node not in scene.current.received:
        return
    g = scene.current.received[node]
    op = OPS[node.op]
    if op.arity == (1, 1) and node.op not in LINEAR and node.inputs[0].axes == node.axes:
        yield from _of_function(scene, place, g)
    if node.op in ("contract", "mul"):
        yield from _of_product(scene, place, g)
    yield from _of_upstream(scene, place, g)
    yield from _once_more(scene, place)
    yield from _of_examples(scene, place)
    yield from _of_result(scene, place)
    if node.op not in ("contract", *LINEAR):
        yield from _inside(scene, place, g)


def _edit(place: Place, kind: str, says: str, change: Change, extra: float = 0.0) -> Edit:
    return Edit(place, change, kind, says, COSTS[kind] + extra)


def _of_function(scene: Scene, place: Place, g: Expr) -> Iterator[Edit]:
    """Of y = φ(x): φ′ left out, twice, or at another value."""
    node, x = place[0], place[0].inputs[0]
    rule = OPS[node.op].vjp
    assert rule is not None
    attrs = dict(node.attrs)

    def at(y: Expr, z: Expr) -> Change:
        return lambda up: rule(up, y, z, **attrs)[0]

    name, label = scene.call(node), f"{node.op}′({scene.call(x)})"
    yield _edit(
        place, "missing derivative", f"without the derivative of {node.op}, {label}", lambda up: up
    )
    for value, where in ((node, name), (x, scene.call(x))):
        says = f"with {where} where {label} belongs"
        yield _edit(place, "wrong cached value", says, _scaled(value), 0.3)
    once = at(node, x)
    yield _edit(
        place,
        "doubled derivative",
        f"with {label} twice",
        lambda up: rule(once(up), node, x, **attrs)[0],
    )
    uses_y, uses_x = _uses(rule, node, x, attrs)
    if uses_y:
        says = f"with {scene.call(x)} where {name} belongs in {label}"
        yield _edit(place, "derivative at wrong value", says, at(x, x))
    again = OPS[node.op](node, **attrs)
    says = f"with {node.op}′ at {name} instead of at {scene.call(x)}"
    yield _edit(place, "derivative at wrong value", says, at(again, node), 0.1)
    for value, fitted in scene.like(node, scene.notable):
        if value in (node, x):
            continue
        says = f"with {scene.call(value)} where {name} belongs in {label}"
        if uses_y:
            yield _edit(place, "derivative at wrong value", says, at(fitted, x), 0.3)
        if uses_x or value.op != node.op:
            says = f"with {node.op}′ at {scene.call(value)} instead of at {scene.call(x)}"
            there = OPS[node.op](fitted, **attrs)
            yield _edit(place, "derivative at wrong value", says, at(there, fitted), 0.4)
    if node in scene.before:
        says = f"with {name} of an earlier call in {label}"
        earlier_x = scene.before.get(x, x)
        yield _edit(place, "stale value", says, at(scene.before[node], earlier_x))


def _of_result(scene: Scene, place: Place) -> Iterator[Edit]:
    """The transpose of a square gradient."""
    node, index = place
    x, rule = node.inputs[index], OPS[node.op].vjp
    if x.op != "input" or len(x.axes) != 2 or len(set(scene.shape(x))) != 1 or rule is None:
        return
    a, b = x.axes

    def change(up: Expr) -> Expr | None:
        part = rule(up, node, *node.inputs, **dict(node.attrs))[index]
        return None if part is None else rename(part, **{a: b, b: a})

    yield _edit(place, "missing transpose", "transposed", change)


def _once_more(scene: Scene, place: Place) -> Iterator[Edit]:
    """A loss of logits has σ′ in it already: A − y is dZ, and not dA."""
    node, index = place
    x = node.inputs[index]
    for y in scene.notable:
        rule = OPS[y.op].vjp if y.inputs[:1] == (x,) and y is not node else None
        if rule is None or y.axes != x.axes or y.op in LINEAR or len(y.inputs) != 1:
            continue
        mine = OPS[node.op].vjp
        assert mine is not None

        def change(up: Expr, rule: Rule = rule, mine: Rule = mine, y: Expr = y) -> Expr | None:
            part = mine(up, node, *node.inputs, **dict(node.attrs))[index]
            return None if part is None else rule(part, y, x, **dict(y.attrs))[0]

        says = f"with {y.op}′({scene.call(x)}), which the loss has in it already"
        yield _edit(place, "doubled derivative", says, change)


def _scaled(value: Expr) -> Change:
    return lambda up: up * value


def _uses(
    rule: Callable[..., object], y: Expr, x: Expr, attrs: Mapping[str, object]
) -> tuple[bool, bool]:
    """Whether the rule looks at the value, and whether at the argument."""
    up, other_y, other_x = (input_(n, " ".join(y.axes)) for n in ("ġ", "ẏ", "ẋ"))
    part = rule(up, other_y, other_x, **attrs)[0]  # type: ignore[index]
    below = set(postorder(part))
    return other_y in below, other_x in below


def _of_product(scene: Scene, place: Place, g: Expr) -> Iterator[Edit]:
    """Of a product: another factor, its transpose, or its value of an earlier call."""
    node, index = place
    if len(node.inputs) != 2:
        return
    other, mine = node.inputs[1 - index], node.inputs[index]
    axes: Axes = mine.axes

    def times(factor: Expr) -> Change:
        if node.op == "mul":
            return lambda up: up * factor
        return lambda up: (
            contraction(up, factor, axes) if index == 0 else contraction(factor, up, axes)
        )

    name = scene.call(other)
    if mine.op == "input" and mine.name in scene.current.grads:
        says = f"with {{factor}}·{scene.call(mine)} on top, which is no part of the loss"
        yield Edit(place, lambda up: mine, "extra term", says, COSTS["extra term"], additive=True)
    if node.op == "mul" and set(other.axes) <= set(node.axes):
        yield _edit(place, "missing term", f"without the factor {name}", lambda up: up)
    if len(other.axes) == 2 and scene.shape(other)[0] == scene.shape(other)[1]:
        a, b = other.axes
        turned = rename(other, **{a: b, b: a})
        says = f"with {name} where its transpose belongs"
        yield _edit(place, "missing transpose", says, times(turned))
    for value, fitted in scene.like(other, scene.notable):
        says = f"with {scene.call(value)} where {name} belongs"
        extra = 0.2 if other.op == "input" and other.name in scene.current.grads else 0.0
        yield _edit(place, "wrong cached value", says, times(fitted), extra)
    if other in scene.before:
        says = f"with {name} of an earlier call"
        yield _edit(place, "stale value", says, times(scene.before[other]))
    if other.op == "input" and other.name in scene.current.grads:
        step = times(scene.current.grads[other.name])
        says = f"with {name} {{factor}}·d{name}: {name} after its update"
        yield Edit(place, step, "stale value", says, COSTS["stale value"] + 0.3, additive=True)


def _of_upstream(scene: Scene, place: Place, g: Expr) -> Iterator[Edit]:
    """The right step, but from the derivative with respect to another value."""
    node, index = place
    if node.op not in ("contract", "add", "sub", "expand", "transpose", "sum", "mul"):
        return
    rule = OPS[node.op].vjp
    if rule is None:
        return
    true = scene.current.received[node]
    for value, received in scene.current.received.items():
        if received is true or not value.axes or value in (node,):
            continue
        if scene.shape(value) != scene.shape(node):
            continue
        to = {a: b for a, b in zip(value.axes, node.axes, strict=True) if a != b}
        wrong = rename(received, **to) if to else received
        says = f"from d{scene.call(value)} where d{scene.call(node)} belongs"

        def change(up: Expr, wrong: Expr = wrong) -> Expr | None:
            return rule(wrong, node, *node.inputs, **dict(node.attrs))[index]

        near = 0.0 if _one_step(node, value) else 0.4
        yield _edit(place, "wrong upstream", says, change, near)


def _one_step(node: Expr, value: Expr) -> bool:
    return node in value.inputs or value in node.inputs


def _of_examples(scene: Scene, place: Place) -> Iterator[Edit]:
    """One example in place of the sum over all."""
    node, index = place
    axis, target = scene.examples, node.inputs[index]
    if axis not in node.axes or axis in target.axes:
        return
    rule = OPS[node.op].vjp
    assert rule is not None
    for name, which in ((FIRST, "first"), (LAST, "last")):
        only = input_(name, axis)

        def change(up: Expr, only: Expr = only) -> Expr | None:
            return rule(up * only, node, *node.inputs, **dict(node.attrs))[index]

        says = f"with the {which} example only, where all are summed"
        yield _edit(place, "missing sum", says, change)


def _inside(scene: Scene, place: Place, g: Expr) -> Iterator[Edit]:
    """Within the formula of one step: an operand left out, a sign turned, a sum forgotten."""
    part = scene.current.parts.get(place)
    if part is None:
        return
    stop = {*scene.backward.forward, *scene.notable, g}
    inner = list(postorder(part, known=stop))
    for e in inner:
        if e.op not in OPS:
            continue
        for new, kind, says in (*_alternatives(scene, e, g), *_mistaken(scene, e)):
            try:
                whole = _replaced(inner, part, e, new)
            except ChainruleError:
                continue
            if g in set(postorder(whole, known=stop - {g})):
                yield _edit(place, kind, says, _with_g(whole, g), 0.0)


def _mistaken(scene: Scene, e: Expr) -> Iterator[tuple[Expr, str, str]]:
    """One operand of `e` mistaken for another value, or for what it was in an earlier call."""
    for i, x in enumerate(e.inputs):
        if x not in scene.notable:
            continue
        name = scene.call(x)
        others = [(v, fitted, "wrong cached value") for v, fitted in scene.like(x, scene.notable)]
        if x in scene.before:
            others.append((x, scene.before[x], "stale value"))
        for value, fitted, kind in others:
            inputs = (*e.inputs[:i], fitted, *e.inputs[i + 1 :])
            says = f"with {scene.call(value)} where {name} belongs"
            if kind == "stale value":
                says = f"with {name} of an earlier call"
            yield OPS[e.op](*inputs, **dict(e.attrs)), kind, says


def _with_g(whole: Expr, g: Expr) -> Change:
    return lambda up: whole if up is g else substitute([whole], {g: up})[whole]


def _alternatives(scene: Scene, e: Expr, g: Expr) -> Iterator[tuple[Expr, str, str]]:
    if e.op in ("mul", "div", "add", "sub"):
        a, b = e.inputs
        for kept, gone in ((a, b), (b, a)):
            if kept is not g and gone is g and e.op in ("mul", "div"):
                continue
            if gone.op in ("const", "size") and e.op in ("mul", "div"):
                continue  # a factor: found as such
            what = {"mul": "factor", "div": "factor"}.get(e.op, "term")
            says = f"without the {what} {scene.call(gone)}"
            kind = "missing term"
            if e.op == "sub" and kept is b:
                yield onto(-b, e.axes), kind, says
            else:
                yield onto(kept, e.axes), kind, says
    if e.op in ("add", "sub"):
        a, b = e.inputs
        other = OPS["sub" if e.op == "add" else "add"](a, b)
        sign = "−" if e.op == "add" else "+"
        yield (
            other,
            "wrong term",
            f"with {scene.call(a)} {sign} {scene.call(b)} for {scene.call(e)}",
        )
    if e.op == "square":
        yield e.inputs[0], "wrong term", f"with {scene.call(e.inputs[0])} for its square"
    if e.op == "sum":
        yield e.inputs[0], "missing sum", "without the sum inside it"


def _replaced(inner: Sequence[Expr], part: Expr, old: Expr, new: Expr) -> Expr:
    known: dict[Expr, Expr] = {old: new}
    for e in inner:
        if e not in known and e.op in OPS:
            inputs = tuple(known.get(x, x) for x in e.inputs)
            known[e] = e if inputs == e.inputs else OPS[e.op](*inputs, **dict(e.attrs))
    return known.get(part, part)
