"""Arithmetic, powers, exponentials, order: scalar primitives that every emitter knows."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import GraphError
from chainrule.expr import Expr, describe
from chainrule.ops.record import (
    BINARY,
    BINARY_MISTAKES,
    HADAMARD,
    POWER,
    SUM,
    UNARY,
    UNARY_MISTAKES,
    Cancellation,
    Cotangents,
    Edge,
    Layout,
    Mistake,
    Op,
    elementwise,
    register,
)

INF, NAN = math.inf, math.nan
DLMF = "NIST Digital Library of Mathematical Functions"


def unary(name: str, **parts: object) -> Op:
    """Register an elementwise function of one value."""
    parts = {"layouts": UNARY, "mistakes": UNARY_MISTAKES, "axes": elementwise(name), **parts}
    return register(Op(name, **parts))  # type: ignore[arg-type]


def binary(name: str, **parts: object) -> Op:
    """Register an elementwise function of two values."""
    given = {"layouts": BINARY, "mistakes": BINARY_MISTAKES, "axes": elementwise(name), **parts}
    return register(Op(name, arity=(2, 2), **given))  # type: ignore[arg-type]


add = binary(
    "add",
    summary="Sum of two values.",
    vjp=lambda g, y, a, b: (g, g),
    tex="{0:sum} + {1:sum}",
    binds=SUM,
    source="linearity of the derivative",
)
sub = binary(
    "sub",
    summary="Difference of two values.",
    vjp=lambda g, y, a, b: (g, -g),
    tex="{0:sum} - {1:had}",
    binds=SUM,
    source="linearity of the derivative",
)
mul = binary(
    "mul",
    summary="Product, element by element (⊙).",
    vjp=lambda g, y, a, b: (g * b, g * a),
    tex="{0:prod}{1:prod}",
    tex_array=r"{0:left} \odot {1:pow}",
    binds=HADAMARD,
    source="product rule",
)


def _not_by_zero(inputs: tuple[Expr, ...], attrs: dict[str, Any]) -> dict[str, Any]:
    if inputs[1].op == "const" and inputs[1]["value"] == 0:
        raise GraphError(f"{describe(inputs[0])} is divided by the number 0", where="div")
    return attrs


div = binary(
    "div",
    prepare=_not_by_zero,
    summary="Quotient, element by element.",
    vjp=lambda g, y, a, b: (g / b, -(g * y / b)),
    tex=r"\frac{{{0}}}{{{1}}}",
    binds=POWER,
    domain=((-3, 3), (0.3, 3)),
    source="quotient rule, written with the quotient itself: d(a/b)/db = −(a/b)/b",
)
neg = unary(
    "neg",
    summary="Negative.",
    vjp=lambda g, y, x: (-g,),
    tex="-{0:had}",
    binds=SUM,
    edges=(Edge(INF, -INF, -1), Edge(-INF, INF, -1)),
    source="linearity of the derivative",
)


def _pow_vjp(g: Expr, y: Expr, a: Expr, b: Expr) -> Cotangents:
    to_base = g * b * a ** (b - 1)
    if b.op != "const" or b["value"] == 0:  # 0^0 is 1 like its neighbours: slope 0, not 0 · 0^(−1)
        to_base = where(eq(b, 0), 0, to_base)
    # at a = 0 the logarithm is infinite, but 0^b does not move with b > 0: slope 0, not 0 · ∞
    never_zero = a.op == "const" and a["value"] != 0
    to_exponent = g * y * log(a if never_zero else where(eq(a, 0), 1, a))
    return to_base, to_exponent


pow_ = binary(
    "pow",
    summary="Power, element by element.",
    vjp=_pow_vjp,
    tex="{0:atom}^{{{1}}}",
    tex_array=r"{0:atom}^{{\odot {1}}}",
    binds=POWER,
    domain=((0.3, 3), (-2, 2)),
    source="d(a^b) = b a^(b−1) da + a^b ln a db",
)
exp = unary(
    "exp",
    summary="Exponential.",
    vjp=lambda g, y, x: (g * y,),
    tex=r"e^{{{0}}}",
    binds=POWER,
    edges=(Edge(0, 1, 1), Edge(-INF, 0, 0), Edge(INF, INF, INF)),
    source=f"{DLMF}, 4.7.7",
)
log = unary(
    "log",
    summary="Natural logarithm.",
    vjp=lambda g, y, x: (g / x,),
    tex=r"\log{0:call}",
    domain=((0.05, 4),),
    edges=(Edge(1, 0, 1), Edge(0, -INF, INF), Edge(INF, INF, 0)),
    source=f"{DLMF}, 4.7.1",
)
log1p = unary(
    "log1p",
    summary="log(1 + x), exact near 0.",
    vjp=lambda g, y, x: (g / (1 + x),),
    tex=r"\log\left(1 + {0:sum}\right)",
    domain=((-0.9, 4),),
    edges=(Edge(0, 0, 1), Edge(-1, -INF, INF), Edge(1e-300, 1e-300, 1), Edge(INF, INF, 0)),
    source=f"{DLMF}, 4.7.1",
)
expm1 = unary(
    "expm1",
    summary="exp(x) − 1, exact near 0.",
    vjp=lambda g, y, x: (g * exp(x),),
    tex=r"\left(e^{{{0}}} - 1\right)",
    edges=(
        Edge(0, 0, 1),
        Edge(-INF, -1, 0),
        Edge(INF, INF, INF),
        Edge(1e-300, 1e-300, 1),
    ),
    source=f"{DLMF}, 4.7.7; e^x rather than y + 1, which loses e^x below x = −37",
)
sqrt = unary(
    "sqrt",
    summary="Square root.",
    vjp=lambda g, y, x: (g / (2 * y),),
    tex=r"\sqrt{{{0}}}",
    domain=((0.05, 4),),
    edges=(Edge(0, 0, INF), Edge(4, 2, 0.25), Edge(INF, INF, 0)),
    source=f"{DLMF}, 4.4(iii)",
)
square = unary(
    "square",
    summary="Square, element by element.",
    body=lambda x: x * x,
    vjp=lambda g, y, x: (g * (2 * x),),
    tex="{0:atom}^2",
    tex_array=r"{0:atom}^{{\odot 2}}",
    binds=POWER,
    edges=(Edge(0, 0, 0), Edge(-INF, INF, -INF), Edge(INF, INF, INF)),
    source="product rule",
)
tanh = unary(
    "tanh",
    summary="Hyperbolic tangent.",
    vjp=lambda g, y, x: (g * (1 - square(y)),),
    tex=r"\tanh{0:call}",
    edges=(Edge(0, 0, 1), Edge(INF, 1, 0), Edge(-INF, -1, 0)),
    cancels=Cancellation("1 − y² where y is near −1 or 1", slope=1.2),
    source=f"{DLMF}, 4.34.8, in terms of the value",
)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)  # DLMF 7.2.1
erf = unary(
    "erf",
    summary="Error function.",
    vjp=lambda g, y, x: (g * (TWO_OVER_SQRT_PI * exp(-square(x))),),
    tex=r"\operatorname{{erf}}{0:call}",
    edges=(Edge(0, 0, TWO_OVER_SQRT_PI), Edge(INF, 1, 0), Edge(-INF, -1, 0)),
    source=f"{DLMF}, 7.2.1",
)
sign = unary(
    "sign",
    summary="−1, 0 or 1. Its derivative is 0 except at the jump.",
    vjp=None,
    tex=r"\operatorname{{sign}}{0:call}",
    no_gradient="it is constant on each side of 0",
    smooth=False,
    edges=(Edge(0, 0, 0), Edge(INF, 1, 0), Edge(-INF, -1, 0)),
    source="choice at 0: 0",
)
abs_ = unary(
    "abs",
    summary="Absolute value; slope 0 at 0.",
    vjp=lambda g, y, x: (g * sign(x),),
    tex=r"\lvert {0} \rvert",
    smooth=False,
    edges=(Edge(0, 0, 0), Edge(-INF, INF, -1), Edge(INF, INF, 1)),
    source="subgradient; 0 at the kink, the middle of [−1, 1]",
)
maximum = binary(
    "maximum",
    summary="The larger of two values; where they are equal the first one receives the gradient.",
    vjp=lambda g, y, a, b: (g * (a >= b), g * (a < b)),
    tex=r"\max\left({0}, {1}\right)",
    smooth=False,
    source="subgradient; ties go to the first",
)
minimum = binary(
    "minimum",
    summary="The smaller of two values; where they are equal the first one receives the gradient.",
    vjp=lambda g, y, a, b: (g * (a <= b), g * (a > b)),
    tex=r"\min\left({0}, {1}\right)",
    smooth=False,
    source="subgradient; ties go to the first",
)
clip = unary(
    "clip",
    summary="x limited to [low, high]; slope 1 at the limits.",
    attrs={"low": ..., "high": ...},
    body=lambda x, low, high: minimum(maximum(x, low), high),
    vjp=lambda g, y, x, low, high: (g * (x >= low) * (x <= high),),
    tex=r"\operatorname{{clip}}_{{[{low}, {high}]}}{0:call}",
    layouts=tuple(Layout(u.inputs, {"low": -1.0, "high": 1.5}) for u in UNARY),
    mistakes=(
        *(Mistake(m.inputs, m.says, {"low": 0, "high": 1}) for m in UNARY_MISTAKES),
        Mistake(("m",), "needs high", {"low": 0}),
    ),
    smooth=False,
    edges=(Edge(-1, -1, 1), Edge(1.5, 1.5, 1), Edge(INF, 1.5, 0), Edge(-INF, -1, 0)),
    source="minimum(maximum(x, low), high)",
)


def _compare(name: str, tex: str, summary: str) -> Op:
    return binary(
        name,
        summary=summary,
        tex=rf"\left[{{0}} {tex} {{1}}\right]",
        kind="bool",
        no_gradient="it jumps between 0 and 1",
        takes=(("float", "bool"),) if name != "eq" else (("float", "bool", "int"),),
        mistakes=BINARY_MISTAKES[:2],
        smooth=False,
        source="Iverson bracket: 1 where true, 0 where not",
    )


gt = _compare("gt", ">", "1 where a > b, else 0.")
ge = _compare("ge", r"\geq", "1 where a ≥ b, else 0.")
lt = _compare("lt", "<", "1 where a < b, else 0.")
le = _compare("le", r"\leq", "1 where a ≤ b, else 0.")
eq = _compare("eq", "=", "1 where a = b, else 0.")

where: Op = register(
    Op(
        "where",
        summary="a where the condition holds, else b.",
        axes=elementwise("where"),
        arity=(3, 3),
        takes=(("bool",), ("float", "bool")),
        vjp=lambda g, y, c, a, b: (None, where(c, g, 0), where(c, 0, g)),
        tex=r"\operatorname{{where}}\left({0}, {1}, {2}\right)",
        layouts=(
            Layout(("k m bool", "k m", "k m")),
            Layout(("k m bool", "k m", "")),
            Layout(("m bool", "k m", "k m")),
            Layout(("bool", "", "")),
        ),
        mistakes=(
            Mistake(("k", "k", "k"), "is float, expected bool"),
            Mistake(("k m bool", "k m", "o"), "the axes differ"),
        ),
        source="each branch receives the gradient where it was chosen",
    )
)
