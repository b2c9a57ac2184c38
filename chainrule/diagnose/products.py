"""Products of arrays that are written down."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.diagnose.shaping import LETTERS, reshaped
from chainrule.diagnose.tape import Node, Tape, Untraceable
from chainrule.diagnose.tracer import Tracer, node_of


def matmul(tape: Tape, a: Any, b: Any) -> Tracer:
    """a @ b with NumPy's rules for vectors and stacks of matrices."""
    x, y = node_of(tape, a), node_of(tape, b)
    np.matmul(x.value, y.value)  # refuses what does not fit, in NumPy's words
    batch = max(x.value.ndim, y.value.ndim, 2) - 2
    stack = LETTERS[:batch]
    left = "i" if x.value.ndim == 1 else ""
    left = "y" if x.value.ndim == 1 else stack[batch - (x.value.ndim - 2) :] + "xy"
    right = "y" if y.value.ndim == 1 else stack[batch - (y.value.ndim - 2) :] + "yz"
    out = stack + ("x" if x.value.ndim > 1 else "") + ("z" if y.value.ndim > 1 else "")
    return Tracer(tape.product(x, y, left, right, out), tape)


def dot(tape: Tape, a: Any, b: Any) -> Any:
    """np.dot for numbers, vectors and matrices."""
    x, y = node_of(tape, a), node_of(tape, b)
    if x.value.ndim == 0 or y.value.ndim == 0:
        return np.multiply(a, b)
    if x.value.ndim > 2 or y.value.ndim > 2:
        raise Untraceable("it uses np.dot of more than two axes")
    return matmul(tape, a, b)


def outer(tape: Tape, a: Any, b: Any) -> Tracer:
    """np.outer: every product of two entries."""
    x, y = (flat(tape, node_of(tape, v)) for v in (a, b))
    return Tracer(tape.product(x, y, "a", "b", "ab"), tape)


def flat(tape: Tape, x: Node) -> Node:
    """All entries along one axis."""
    return reshaped(tape, x, (x.value.size,))


def inner(tape: Tape, a: Any, b: Any) -> Any:
    """np.inner and np.vdot of vectors."""
    x, y = flat(tape, node_of(tape, a)), flat(tape, node_of(tape, b))
    return Tracer(tape.product(x, y, "a", "a", ""), tape)


def einsum(tape: Tape, text: Any, *operands: Any, **_: Any) -> Tracer:
    """np.einsum with letters."""
    if not isinstance(text, str) or "." in text:
        raise Untraceable("it uses np.einsum without letters, or with dots")
    text = text.replace(" ", "")
    left, arrow, out = text.partition("->")
    labels = left.split(",")
    if not arrow:
        every = "".join(labels)
        out = "".join(sorted(x for x in set(every) if every.count(x) == 1))
    nodes = [node_of(tape, x) for x in operands]
    one = tape.own(1.0)
    node, mine = nodes[0], labels[0]
    rest = list(zip(nodes[1:], labels[1:], strict=True)) or [(one, "")]
    while rest:
        other, theirs = rest.pop(0)
        needed = out + "".join(label for _, label in rest)
        both = "".join(dict.fromkeys(mine + theirs))
        kept = out if not rest else "".join(x for x in both if x in needed)
        node, mine = tape.product(node, other, mine, theirs, kept), kept
    return Tracer(node, tape)


def tensordot(tape: Tape, a: Any, b: Any, axes: Any = 2) -> Tracer:
    """np.tensordot."""
    x, y = node_of(tape, a), node_of(tape, b)
    over: tuple[list[int], ...]
    if isinstance(axes, int | np.integer):
        over = (list(range(x.value.ndim - axes, x.value.ndim)), list(range(axes)))
    else:
        over = tuple([int(i)] if np.ndim(i) == 0 else [int(j) for j in i] for i in axes)
    left = list(LETTERS[: x.value.ndim])
    right = list(LETTERS[x.value.ndim : x.value.ndim + y.value.ndim])
    for i, j in zip(*over, strict=True):
        right[j] = left[i]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return Tracer(tape.product(x, y, "".join(left), "".join(right), "".join(out)), tape)
