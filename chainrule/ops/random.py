"""Randomness that is a pure function of a key: dropout and the numbers it needs."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ParameterError
from chainrule.expr import Expr
from chainrule.ops.record import Layout, Mistake, Op, register

_KEYED = (("float", "bool"), ("int",))

uniform = register(
    Op(
        "uniform",
        summary="Random numbers in [0, 1) with the axes of x, fixed by the key and the stream.",
        attrs={"stream": 0},
        arity=(2, 2),
        takes=_KEYED,
        axes=lambda x, key, stream: x.axes,
        tex=r"U_{{{stream}}}",
        no_gradient="it does not depend on the values of x",
        layouts=(Layout(("k m", "int")), Layout(("m", "int"), {"stream": 3})),
        mistakes=(Mistake(("k m", "k"), "is float, expected int"),),
        source="counter-based generator Philox4x32-10, Salmon et al. 2011",
    )
)


def _check_rate(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    rate = attrs["rate"]
    if not 0 <= rate < 1:
        raise ParameterError(f"rate must be in [0, 1), got {rate}", where="dropout")
    return {**attrs, "rate": float(rate)}


def _mask(x: Expr, key: Expr, rate: float, stream: int) -> Expr:
    return (uniform(x, key, stream) >= rate) / (1 - rate)


dropout = register(
    Op(
        "dropout",
        summary="Each entry is 0 with probability `rate`, else divided by 1 − rate.",
        attrs={"rate": ..., "stream": 0},
        prepare=_check_rate,
        arity=(2, 2),
        takes=_KEYED,
        axes=lambda x, key, rate, stream: x.axes,
        body=lambda x, key, rate, stream: x * _mask(x, key, rate, stream),
        vjp=lambda g, y, x, key, rate, stream: (g * _mask(x, key, rate, stream), None),
        tex=r"\operatorname{{dropout}}_{{{rate}}}{0:call}",
        layouts=(
            Layout(("k m", "int"), {"rate": 0.5}),
            Layout(("m", "int"), {"rate": 0.25, "stream": 2}),
        ),
        mistakes=(
            Mistake(("k m", "int"), "rate must be in [0, 1), got 1.0", {"rate": 1.0}),
            Mistake(("k m", "k"), "is float, expected int", {"rate": 0.5}),
        ),
        source="Srivastava et al. 2014, in the inverted form that needs nothing at prediction",
    )
)
