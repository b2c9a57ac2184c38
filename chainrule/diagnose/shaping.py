"""What NumPy does to shapes, for values that are written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.diagnose.tape import Node, Tape, Untraceable
from chainrule.diagnose.tracer import Tracer, node_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def transposed(tape: Tape, x: Any, *axes: Any) -> Tracer:
    """np.transpose."""
    node = node_of(tape, x)
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
    places = (
        range(node.value.ndim)[::-1] if order is None else [int(a) % node.value.ndim for a in order]
    )
    return Tracer(tape.view(node, places), tape)


def swapped(tape: Tape, x: Any, first: int, second: int) -> Tracer:
    """np.swapaxes."""
    node = node_of(tape, x)
    places = list(range(node.value.ndim))
    places[first], places[second] = places[second], places[first]
    return Tracer(tape.view(node, places), tape)


def moved(tape: Tape, x: Any, source: Any, target: Any) -> Tracer:
    """np.moveaxis."""
    node = node_of(tape, x)
    places = np.moveaxis(np.empty([1] * node.value.ndim), source, target)  # checks the numbers
    order = list(range(node.value.ndim))
    for s, t in zip(np.atleast_1d(source), np.atleast_1d(target), strict=True):
        order.insert(int(t) % places.ndim, order.pop(order.index(int(s) % places.ndim)))
    return Tracer(tape.view(node, order), tape)


def expanded(tape: Tape, x: Any, axis: Any) -> Tracer:
    """np.expand_dims."""
    node = node_of(tape, x)
    many = axis if isinstance(axis, tuple | list) else (axis,)
    total = node.value.ndim + len(many)
    new = {int(a) % total for a in many}
    old = iter(range(node.value.ndim))
    return Tracer(tape.view(node, [None if i in new else next(old) for i in range(total)]), tape)


def squeezed(tape: Tape, x: Any, axis: Any = None) -> Tracer:
    """np.squeeze."""
    node = node_of(tape, x)
    ones = [i for i, n in enumerate(node.value.shape) if n == 1]
    gone = ones if axis is None else axes_of(axis, node.value.ndim)
    return Tracer(tape.view(node, [i for i in range(node.value.ndim) if i not in gone]), tape)


def reshape(tape: Tape, x: Any, *shape: Any, order: str = "C", **_: Any) -> Tracer:
    """x.reshape(…) where axes are joined, or axes of size 1 come or go."""
    if order != "C":
        raise Untraceable("it reshapes in another order")
    wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return Tracer(reshaped(tape, node_of(tape, x), tuple(int(n) for n in wanted)), tape)


def reshaped(tape: Tape, x: Node, shape: tuple[int, ...]) -> Node:
    """A value in another shape."""
    value = x.value.reshape(shape)
    groups: list[list[int]] = []
    at = 0
    for size in value.shape:
        group: list[int] = []
        product = 1
        while product < size and at < x.value.ndim:
            product *= x.value.shape[at]
            group.append(at)
            at += 1
        if product != size:
            raise Untraceable("it splits an axis by reshaping")
        groups.append(group)
    if all(sum(x.value.shape[i] != 1 for i in group) <= 1 for group in groups):
        wide = [[i for i in group if x.value.shape[i] != 1] for group in groups]
        return tape.view(x, [group[0] if group else None for group in wide])
    return tape.merged(x, groups, value)


def broadcast_to(tape: Tape, x: Any, shape: Any, **_: Any) -> Any:
    """np.broadcast_to."""
    return x + np.zeros(tuple(int(n) for n in np.atleast_1d(shape)))


def at_least(ndim: int) -> Callable[..., Any]:
    """np.atleast_1d, np.atleast_2d."""

    def apply(tape: Tape, x: Any) -> Any:
        node = node_of(tape, x)
        missing = ndim - node.value.ndim
        if missing <= 0:
            return x
        return Tracer(tape.view(node, [*[None] * missing, *range(node.value.ndim)]), tape)

    return apply


def concatenated(tape: Tape, xs: Any, axis: Any = 0, **_: Any) -> Any:
    """Joined arrays: each times a matrix that puts it in its place, added up."""
    nodes = [node_of(tape, x) for x in xs]
    at = int(axis) % nodes[0].value.ndim
    total = sum(n.value.shape[at] for n in nodes)
    labels = LETTERS[: nodes[0].value.ndim]
    start, result = 0, None
    for node in nodes:
        size = node.value.shape[at]
        place = np.eye(total)[:, start : start + size]
        start += size
        out = labels.replace(labels[at], "z")
        part = Tracer(tape.product(node, tape.own(place), labels, "z" + labels[at], out), tape)
        result = part if result is None else result + part
    return result


def stacked(tape: Tape, xs: Any, axis: int = 0, **_: Any) -> Any:
    """np.stack."""
    return concatenated(tape, [expanded(tape, x, axis) for x in xs], axis)


def rows(tape: Tape, xs: Any, **_: Any) -> Any:
    """np.vstack."""
    return concatenated(tape, [at_least(2)(tape, x) for x in xs], 0)


def side_by_side(tape: Tape, xs: Any, **_: Any) -> Any:
    """np.hstack."""
    return concatenated(tape, xs, 0 if node_of(tape, xs[0]).value.ndim == 1 else 1)


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` names, none of them negative."""
    if axis is None:
        return tuple(range(ndim))
    many = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(sorted(int(a) % ndim for a in many))
