"""The chain rule: from an expression to expressions of its derivatives.

Reverse mode walks the graph once, from the root back, and asks each operation's record what its
inputs receive. Every expression made on the way remembers why it exists (`Why`). Forward mode and
second derivatives need no rules of their own: reverse mode is linear in its cotangent, so
differentiating it again gives both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chainrule.errors import GraphError
from chainrule.expr import Expr, Spec, const, describe_axes, input_, postorder, rewrite
from chainrule.ops import OPS, body_of, contraction, expand, onto, sum_, transpose


@dataclass(frozen=True)
class Why:
    """Why an expression exists: it is what input `index` of `node` receives by `rule`."""

    node: Expr
    index: int
    rule: str


@dataclass(frozen=True)
class Gradients:
    """Result of reverse mode.

    Attributes:
        value: what was differentiated.
        wrt: what each input in question receives, by the expression that it is.
        cotangents: the same for every expression on the way.
        why: for each expression made on the way, the first reason for it.
    """

    value: Expr
    wrt: Mapping[Expr, Expr]
    cotangents: Mapping[Expr, Expr]
    why: Mapping[Expr, Why] = field(default_factory=dict)


def reverse(root: Expr, wrt: Iterable[Expr], seed: Expr | None = None) -> Gradients:
    """Reverse mode: how `root` changes with each of `wrt`.

    Args:
        root: any expression; one with axes needs a `seed`.
        seed: the cotangent of `root`, with the axes of `root`; 1 for a scalar.

    Raises:
        GraphError: `root` has axes and no seed is given.
    """
    wrt = tuple(wrt)
    if root.axes and seed is None:
        shown = ", ".join(root.axes)
        hint = "reduce it with mean(…) or sum(…)"
        raise GraphError(f"loss has axes ({shown}): {hint}")
    moving = depends_on(root, wrt)
    received: dict[Expr, Expr] = {root: const(1) if seed is None else seed}
    why: dict[Expr, Why] = {}
    for node in reversed(tuple(postorder(root))):
        if node not in received or node not in moving or not node.inputs:
            continue
        for index, part in _contributions(node, received[node], moving):
            target = node.inputs[index]
            why.setdefault(part, Why(node, index, node.op))
            before = received.get(target)
            received[target] = part if before is None else before + part
            why.setdefault(received[target], Why(node, index, "paths"))
    zero = const(0)
    gradients = {x: received[x] if x in received else expand(zero, x.axes) for x in wrt}
    return Gradients(root, gradients, {x: g for x, g in received.items() if x in moving}, why)


def _contributions(node: Expr, cotangent: Expr, moving: set[Expr]) -> Iterable[tuple[int, Expr]]:
    """What each moving input of `node` receives, with the axes of that input."""
    rule = OPS[node.op].vjp
    if rule is None:
        return
    parts = rule(cotangent, node, *node.inputs, **dict(node.attrs))
    for index, (x, part) in enumerate(zip(node.inputs, parts, strict=True)):
        if part is not None and x in moving:
            yield index, onto(part, x.axes)


def depends_on(root: Expr, wrt: Iterable[Expr]) -> set[Expr]:
    """The expressions below `root` that contain one of `wrt`, `wrt` included."""
    moving = set(wrt)
    for node in postorder(root):
        if any(x in moving for x in node.inputs):
            moving.add(node)
    return moving


def forward(root: Expr, tangents: Mapping[Expr, Expr]) -> Expr:
    """Forward mode: the derivative of `root` along `tangents`, with the axes of `root`.

    Reverse mode gives Σ ⟨u, J v⟩ for a cotangent u; it is linear in u, so its derivative with
    respect to u is J v.
    """
    cotangent = input_("u̇", Spec(root.axes, root.sizes))
    received = reverse(root, tangents, seed=cotangent).wrt
    total = const(0)
    for x, tangent in tangents.items():
        total = total + sum_(received[x] * onto(tangent, x.axes), x.axes)
    return reverse(total, [cotangent]).wrt[cotangent]


def hvp(root: Expr, tangents: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
    """Second derivatives of a scalar times a vector: how each gradient changes along `tangents`."""
    first = reverse(root, tangents).wrt
    slope = const(0)
    for x, tangent in tangents.items():
        slope = slope + sum_(first[x] * onto(tangent, x.axes), x.axes)
    return dict(reverse(slope, tangents).wrt)


def keep(root: Expr, axis: str) -> dict[Expr, Expr]:
    """What `root`, and all below it, is for each entry along `axis` by itself.

    As if there were one entry, for all entries at once: sums over the axis are left out, its size
    is 1.

    Raises:
        GraphError: an operation mixes entries along the axis, so no single one has a value of its
            own.
    """

    def step(node: Expr, inputs: tuple[Expr, ...], within: Expr | None = None) -> Expr:
        # the operation that the definition names, not a part of its body
        written = node if within is None else within
        if node.op == "size" and node["axis"] == axis:
            return const(1)
        if not _mixes(node, axis):
            return alongside(node, inputs, axis)
        if node.op == "sum":
            over = tuple(a for a in node["over"] if a != axis)
            return sum_(inputs[0], over) if over else inputs[0]
        if node.op == "contract":
            a, b = inputs
            return contraction(a, b, (axis, *(a for a in node.axes if a != axis)))
        body = body_of(node)
        if body is None:
            what = f"{written.op} mixes entries along axis {axis!r}: one alone has no value"
            raise GraphError(what, where=describe_axes(written))
        known = dict(zip(node.inputs, inputs, strict=True))
        return rewrite_below([body], known, lambda n, xs: step(n, xs, written))[body]

    return rewrite([root], step)


def _mixes(node: Expr, axis: str) -> bool:
    """Whether the result, at one position along `axis`, depends on an input at other positions."""
    if all(axis not in x.axes for x in node.inputs):
        return False
    moved = node.op not in ("expand", "transpose") and axis in _words(node.attrs)
    return moved or axis not in node.axes


def _words(value: object) -> Iterator[object]:
    """Whatever stands in nested tuples."""
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, tuple):
            todo.extend(part)
        else:
            yield part


def alongside(node: Expr, inputs: tuple[Expr, ...], axis: str) -> Expr:
    """`node` on new inputs, of which some have one more axis: the same for each entry along it."""
    gained = [
        axis in new.axes and axis not in x.axes for x, new in zip(node.inputs, inputs, strict=True)
    ]
    if node.op == "uniform":  # random numbers depend on no value
        return node
    if not any(gained):
        return _rebuild(node, inputs)
    if node.op in ("transpose", "expand") and axis not in node["axes"]:
        return expand(inputs[0], (axis, *node["axes"]))
    if node.op == "merge":
        rest = tuple(a for a in inputs[0].axes if a != axis)
        return _rebuild(node, (transpose(inputs[0], (axis, *rest)),))
    if node.op == "gather" and axis in inputs[1].axes:
        chosen = OPS["one_hot"](inputs[1], node["axis"], inputs[0].sizes.get(node["axis"]))
        return contraction(chosen, inputs[0], node.axes)
    if len(inputs) == 1 or node.op in ("contract", "gather", "scatter_add"):
        return _rebuild(node, inputs)
    body = body_of(node)
    if body is not None:
        known = dict(zip(node.inputs, inputs, strict=True))
        return rewrite_below([body], known, lambda n, xs: alongside(n, xs, axis))[body]
    wide = tuple(expand(x, (axis, *(a for a in x.axes if a != axis))) for x in inputs)
    return _rebuild(node, wide)


Step = Callable[[Expr, tuple[Expr, ...]], Expr]


def rewrite_below(
    roots: Iterable[Expr], start: Mapping[Expr, Expr], step: Step
) -> dict[Expr, Expr]:
    """As `rewrite`, where what the expressions in `start` become is already known."""
    new = dict(start)
    for node in postorder(*roots):
        if node not in new:
            new[node] = step(node, tuple(new[x] for x in node.inputs))
    return new


def _rebuild(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    if inputs == node.inputs or node.op not in OPS:
        return node
    return OPS[node.op](*inputs, **dict(node.attrs))


def substitute(roots: Iterable[Expr], new: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
    """What everything below `roots` becomes when some expressions are replaced."""
    return rewrite_below(roots, new, _rebuild)
