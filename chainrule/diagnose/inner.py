"""Mistakes within the formula of one step: an operand left out, a sign turned, a sum forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.diagnose.passes import Change, Place
from chainrule.diagnose.scene import Edit, Scene, edit
from chainrule.differentiate import substitute
from chainrule.errors import ChainruleError
from chainrule.expr import Expr, const, postorder
from chainrule.ops import OPS, onto


def inside(scene: Scene, place: Place, g: Expr) -> Iterator[Edit]:
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
                yield edit(place, kind, says, _with_g(whole, g), 0.0)


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
    if e.op == "where":
        condition, a, b = e.inputs
        where, zero = OPS["where"], const(0)
        name = scene.call(condition)
        if e.axes in (a.axes, b.axes):
            yield where(condition, a, zero), "wrong term", f"with 0 where {name} does not hold"
            yield where(condition, zero, b), "wrong term", f"with 0 where {name} holds"
            yield where(condition, b, a), "wrong term", f"with both sides of {name} exchanged"
            yield onto(a, e.axes), "missing derivative", f"as if {name} held everywhere"
            yield onto(b, e.axes), "missing derivative", f"as if {name} held nowhere"
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
