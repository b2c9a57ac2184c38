"""Mistakes that hands make, as changes of single steps of the true backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from chainrule.diagnose.inner import inside
from chainrule.diagnose.passes import Change, Place
from chainrule.diagnose.scene import COSTS, FIRST, LAST, LINEAR, Edit, Rule, Scene, edit
from chainrule.expr import Axes, Expr, input_, postorder
from chainrule.ops import OPS, contraction, onto
from chainrule.ops.indexing import rename


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
    yield from _on_top(scene, place)
    yield from _of_examples(scene, place)
    yield from _of_result(scene, place)
    if node.op not in ("contract", *LINEAR):
        yield from inside(scene, place, g)


def _of_function(scene: Scene, place: Place, g: Expr) -> Iterator[Edit]:
    """Of y = φ(x): φ′ left out, twice, or at another value."""
    node, x = place[0], place[0].inputs[0]
    rule = OPS[node.op].vjp
    assert rule is not None
    attrs = dict(node.attrs)

    def at(y: Expr, z: Expr) -> Change:
        return lambda up: rule(up, y, z, **attrs)[0]

    name, label = scene.call(node), f"{node.op}′({scene.call(x)})"
    yield edit(
        place,
        "missing derivative",
        f"without {label}, the derivative of the activation",
        lambda up: up,
    )
    for value, where in ((node, name), (x, scene.call(x))):
        says = f"with {where} where {label} belongs"
        yield edit(place, "wrong cached value", says, _scaled(value), 0.3)
    once = at(node, x)
    yield edit(
        place,
        "doubled derivative",
        f"with {label} twice",
        lambda up: rule(once(up), node, x, **attrs)[0],
    )
    uses_y, uses_x = _uses(rule, node, x, attrs)
    if uses_y:
        says = f"with {scene.call(x)} where {name} belongs in {label}"
        yield edit(place, "derivative at wrong value", says, at(x, x))
    again = OPS[node.op](node, **attrs)
    says = f"with {node.op}′ at {name} instead of at {scene.call(x)}"
    yield edit(place, "derivative at wrong value", says, at(again, node), 0.1)
    for value, fitted in scene.like(node, scene.notable):
        if value in (node, x):
            continue
        says = f"with {scene.call(value)} where {name} belongs in {label}"
        if uses_y:
            yield edit(place, "derivative at wrong value", says, at(fitted, x), 0.3)
        if uses_x or value.op != node.op:
            says = f"with {node.op}′ at {scene.call(value)} instead of at {scene.call(x)}"
            there = OPS[node.op](fitted, **attrs)
            yield edit(place, "derivative at wrong value", says, at(there, fitted), 0.4)
    if node in scene.before:
        says = f"with {name} of an earlier call in {label}"
        earlier_x = scene.before.get(x, x)
        yield edit(place, "stale value", says, at(scene.before[node], earlier_x))


def _on_top(scene: Scene, place: Place) -> Iterator[Edit]:
    """A factor v, v ⊙ (1 − v) or 1 − v² that does not belong there."""
    node, index = place
    x, rule = node.inputs[index], OPS[node.op].vjp
    if rule is None or not x.axes or x.op == "input":
        return

    def times(factor: Expr) -> Change:
        def change(up: Expr) -> Expr | None:
            part = rule(up, node, *node.inputs, **dict(node.attrs))[index]
            return None if part is None else onto(part, x.axes) * factor

        return change

    for value, v in scene.like(x, scene.notable):
        name = scene.call(value)
        for factor, says in (
            (v, name), (1 - v, f"1 − {name}"), (v * (1 - v), f"{name} ⊙ (1 − {name})"),
            (1 - v * v, f"1 − {name}²"),
        ):  # fmt: skip
            yield edit(place, "extra factor", f"with the factor {says} on top", times(factor))


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

    yield edit(place, "missing transpose", "transposed", change)


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
        yield edit(place, "doubled derivative", says, change)


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
        yield edit(place, "missing term", f"without the factor {name}", lambda up: up)
    if len(other.axes) == 2 and scene.shape(other)[0] == scene.shape(other)[1]:
        a, b = other.axes
        turned = rename(other, **{a: b, b: a})
        says = f"with {name} where its transpose belongs"
        yield edit(place, "missing transpose", says, times(turned))
    for value, fitted in scene.like(other, scene.notable):
        says = f"with {scene.call(value)} where {name} belongs"
        extra = 0.2 if other.op == "input" and other.name in scene.current.grads else 0.0
        yield edit(place, "wrong cached value", says, times(fitted), extra)
    if other in scene.before:
        says = f"with {name} of an earlier call"
        yield edit(place, "stale value", says, times(scene.before[other]))
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
        says = f"from {scene.arriving(value)} where {scene.arriving(node)} belongs"

        def change(up: Expr, wrong: Expr = wrong) -> Expr | None:
            return rule(wrong, node, *node.inputs, **dict(node.attrs))[index]

        near = 0.0 if _one_step(node, value) else 0.4
        yield edit(place, "wrong upstream", says, change, near)


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
        yield edit(place, "missing sum", says, change)
