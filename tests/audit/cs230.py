"""Notes of ours in the notation of CS230: four models and their twelve gradients.

Each gradient comes with twelve alterations in one place and with rewritings that change nothing.
All of them are built with `algebra`, so that a second opinion on each is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from tests.audit.algebra import T, number, over, total

SIZES = {"n": 3, "m": 5, "k": 4}

PROSE = {
    "one": r"""
Take $m$ examples: $x = (x_1, \dots, x_m)$ and $y = (y_1, \dots, y_m)$ are row vectors. We look for
scalar parameters $w$ and $b$.
""",
    "many": r"""
Let $X$ be a matrix of shape $(n,m)$ and $y$ still a row vector of shape $(1,m)$. The weights are
a row vector of shape $(1,n)$. The bias is a scalar.
""",
    "linear": r"""
A hidden variable $Z$ of shape $(k,m)$ comes from a weight matrix $W_1$ of shape $(k,n)$ and
bias $b_1$ of shape $(k,1)$ broadcasted to $(k,m)$; $X$ and $y$ are as before.
""",
    "sigmoid": r"""
The same with a sigmoid function between the layers. The output is denoted $A$.
""",
}
FORWARD = {
    "one": [r"\hat{y} &= wx + b", r"\mathcal{L} &= \frac{1}{m}||\hat{y} - y||^2"],
    "many": [r"\hat{y} &= wX + b", r"\mathcal{L} &= \frac{1}{m}||\hat{y} - y||^2"],
    "linear": [
        r"Z &= W_1 X + b_1",
        r"\hat{y} &= w_2Z + b_2",
        r"\mathcal{L} &= \frac{1}{m}||\hat{y} - y||^2",
    ],
    "sigmoid": [
        r"Z &= W_1 X + b_1",
        r"A &= \sigma(Z)",
        r"\hat{y} &= w_2A + b_2",
        r"\mathcal{L} &= \frac{1}{m}||\hat{y} - y||^2",
    ],
}


def values(model: str, seed: int = 0) -> SimpleNamespace:
    """The symbols of a model as formulas with values."""
    draw = np.random.default_rng(seed)
    n, m, k = SIZES.values()

    def array(tex: str, *shape: int) -> T:
        return T(tex, draw.standard_normal(shape))

    s = SimpleNamespace(
        y=array("y", 1, m), one=T(r"\vec{1}", np.ones((m, 1))), m=T("m", np.full((1, 1), float(m)))
    )
    s.n, s.k = (T(c, np.full((1, 1), float(SIZES[c]))) for c in "nk")
    if model == "one":
        s.x, s.w, s.b = array("x", 1, m), array("w", 1, 1), array("b", 1, 1)
        s.y_hat = T(r"\hat{y}", s.w.value * s.x.value + s.b.value)
        return s
    s.X = array("X", n, m)
    if model == "many":
        s.w, s.b = array("w", 1, n), array("b", 1, 1)
        s.y_hat = T(r"\hat{y}", s.w.value @ s.X.value + s.b.value)
        return s
    s.W_1, s.b_1, s.w_2, s.b_2 = (
        array("W_1", k, n),
        array("b_1", k, 1),
        array("w_2", 1, k),
        array("b_2", 1, 1),
    )
    s.Z = T("Z", s.W_1.value @ s.X.value + s.b_1.value)
    s.A = T("A", 1 / (1 + np.exp(-s.Z.value))) if model == "sigmoid" else s.Z
    s.y_hat = T(r"\hat{y}", s.w_2.value @ s.A.value + s.b_2.value)
    return s


Forms = Callable[[SimpleNamespace], list[T]]


@dataclass(frozen=True)
class Gradient:
    """One of the twelve: its model and parameter, the right form, alterations, rewritings."""

    model: str
    by: str
    right: Callable[[SimpleNamespace], T]
    altered: Forms
    rewritten: Forms

    @property
    def name(self) -> str:
        return f"{self.model}-{self.by}"


def _bias(s: SimpleNamespace) -> T:
    return over(2, s.m) @ (s.y_hat - s.y) @ s.one


def _bias_altered(s: SimpleNamespace) -> list[T]:
    e = s.y_hat - s.y
    data = getattr(s, "x", None) or s.X
    return [
        over(1, s.m) @ e @ s.one,
        number(2) @ e @ s.one,
        over(2, s.m) @ (s.y - s.y_hat) @ s.one,
        over(2, s.m) @ (s.y_hat + s.y) @ s.one,
        over(2, s.m) @ e,
        over(2, s.m) @ e @ data.T,
        -(over(2, s.m) @ e @ s.one),
        over(2, s.m) @ s.y_hat @ s.one,
        over(3, s.m) @ e @ s.one,
        over(2, s.m) @ (e * e) @ s.one,
        s.m @ e @ s.one,
        over(2, s.m) @ (s.y_hat - s.one) @ s.one,
    ]


def _bias_rewritten(s: SimpleNamespace) -> list[T]:
    e, c = s.y_hat - s.y, over(2, s.m)
    return [
        e @ s.one @ c,
        c @ e @ s.one,
        (c @ e) @ s.one,
        T(rf"-{c.tex}({s.y.tex} - {s.y_hat.tex})\vec{{1}}", _bias(s).value),
        c @ s.y_hat @ s.one - c @ s.y @ s.one,
        c @ s.one.T @ e.T,
        c @ total(e),
        T(r"\frac{2}{m} \sum_{i=1}^{m} (\hat{y}_i - y_i)", _bias(s).value),
        over(1, s.m) @ (e + e) @ s.one,
        T(r"2 \cdot \frac{1}{m} \cdot (\hat{y} - y) \cdot \vec{1}", _bias(s).value),
        T(r"\frac{2 (\hat{y} - y)\vec{1}}{m}", _bias(s).value),
        (e @ s.one @ c).T,
    ]


def _weights(data: str, error: str = "e") -> tuple[Callable[[SimpleNamespace], T], Forms, Forms]:
    """(2/m)(ŷ − y) x^T with x, X, Z or A for the data."""

    def right(s: SimpleNamespace) -> T:
        return over(2, s.m) @ (s.y_hat - s.y) @ getattr(s, data).T

    def altered(s: SimpleNamespace) -> list[T]:
        e, x = s.y_hat - s.y, getattr(s, data)
        other = {"A": s.Z, "Z": s.X}[data] if data in "AZ" else s.y
        return [
            over(1, s.m) @ e @ x.T,
            number(2) @ e @ x.T,
            over(2, s.m) @ (s.y - s.y_hat) @ x.T,
            over(2, s.m) @ (s.y_hat + s.y) @ x.T,
            over(2, s.m) @ e @ x,
            over(2, s.m) @ e @ other.T,
            -(over(2, s.m) @ e @ x.T),
            over(2, s.m) @ s.y_hat @ x.T,
            over(2, s.m) @ e @ s.one,
            over(2, s.m) @ (e * e) @ x.T,
            over(2, s.m) @ x.T @ e,
            over(2, s.m) @ x @ e.T if data != "x" else over(2, s.m) @ e,
        ]

    def rewritten(s: SimpleNamespace) -> list[T]:
        e, x, c = s.y_hat - s.y, getattr(s, data), over(2, s.m)
        whole = right(s).value
        return [
            e @ x.T @ c,
            c @ (e @ x.T),
            (c @ e) @ x.T,
            T(rf"-{c.tex}({s.y.tex} - {s.y_hat.tex}){x.T.tex}", whole),
            c @ s.y_hat @ x.T - c @ s.y @ x.T,
            (c @ x @ e.T).T,
            (x @ (c @ e).T).T,
            over(1, s.m) @ (e + e) @ x.T,
            T(rf"2 \cdot \frac{{1}}{{m}} \cdot (\hat{{y}} - y) \cdot {x.T.tex}", whole),
            T(rf"\frac{{2 (\hat{{y}} - y){x.T.tex}}}{{m}}", whole),
            over(1, s.m) @ e @ x.T + over(1, s.m) @ e @ x.T,
            T(rf"\frac{{2}}{{m}}\left[(\hat{{y}} - y){x.tex}^{{\top}}\right]", whole),
        ]

    return right, altered, rewritten


def _hidden(last: str) -> tuple[Callable[[SimpleNamespace], T], Forms, Forms]:
    """w_2^T (2/m)(ŷ − y) X^T, or 1 in the place of X^T for the bias: the linear network."""

    def end(s: SimpleNamespace) -> T:
        return s.X.T if last == "X" else s.one

    def right(s: SimpleNamespace) -> T:
        return s.w_2.T @ over(2, s.m) @ (s.y_hat - s.y) @ end(s)

    def altered(s: SimpleNamespace) -> list[T]:
        e, w, c, x = s.y_hat - s.y, s.w_2.T, over(2, s.m), end(s)
        return [
            w @ over(1, s.m) @ e @ x,
            w @ number(2) @ e @ x,
            w @ c @ (s.y - s.y_hat) @ x,
            w @ c @ (s.y_hat + s.y) @ x,
            s.w_2 @ c @ e @ x,
            c @ e @ x,
            -(w @ c @ e @ x),
            w @ c @ s.y_hat @ x,
            w @ c @ e,
            c @ e @ w @ x,
            w @ c @ e @ (s.Z.T if last == "X" else s.X.T),
            w @ c @ (e * e) @ x,
        ]

    def rewritten(s: SimpleNamespace) -> list[T]:
        e, w, c, x = s.y_hat - s.y, s.w_2.T, over(2, s.m), end(s)
        whole = right(s).value
        return [
            c @ w @ e @ x,
            w @ (c @ (e @ x)),
            (c @ w) @ (e @ x),
            T(rf"-{w.tex}{c.tex}({s.y.tex} - {s.y_hat.tex}){x.tex}", whole),
            c @ w @ s.y_hat @ x - c @ w @ s.y @ x,
            (c @ x.T @ e.T @ s.w_2).T,
            (x.T @ (w @ c @ e).T).T,
            w @ over(1, s.m) @ (e + e) @ x,
            T(rf"2 \cdot \frac{{1}}{{m}} \cdot {w.tex} \cdot (\hat{{y}} - y) \cdot {x.tex}", whole),
            T(rf"\frac{{2 {w.tex} (\hat{{y}} - y){x.tex}}}{{m}}", whole),
            w @ over(1, s.m) @ e @ x + w @ over(1, s.m) @ e @ x,
            w @ e @ x @ c,
        ]

    return right, altered, rewritten


def _activated(last: str) -> tuple[Callable[[SimpleNamespace], T], Forms, Forms]:
    """((w_2^T (2/m)(ŷ − y)) ⊙ A ⊙ (1 − A)) X^T, or 1 for the bias: the sigmoid network."""

    def end(s: SimpleNamespace) -> T:
        return s.X.T if last == "X" else s.one

    def right(s: SimpleNamespace) -> T:
        return (s.w_2.T @ over(2, s.m) @ (s.y_hat - s.y) * s.A * (number(1) - s.A)) @ end(s)

    def altered(s: SimpleNamespace) -> list[T]:
        e, w, c, A, x = s.y_hat - s.y, s.w_2.T, over(2, s.m), s.A, end(s)
        back, rest = w @ c @ e, number(1) - s.A
        return [
            (w @ over(1, s.m) @ e * A * rest) @ x,
            (w @ number(2) @ e * A * rest) @ x,
            (w @ c @ (s.y - s.y_hat) * A * rest) @ x,
            (back * A * (number(1) + A)) @ x,
            (s.w_2 @ c @ e * A * rest) @ x,
            (back * rest) @ x,
            (back * A) @ x,
            (back * s.Z * rest) @ x,
            (back * A * (number(1) - s.Z)) @ x,
            back * A * rest,
            x @ (back * A * rest),
            (back * A * A * rest) @ x,
        ]

    def rewritten(s: SimpleNamespace) -> list[T]:
        e, w, c, A, x = s.y_hat - s.y, s.w_2.T, over(2, s.m), s.A, end(s)
        back, rest, whole = w @ c @ e, number(1) - s.A, right(s).value
        error = rf"\left({w.tex}{c.tex}(\hat{{y}} - y)\right)"
        swapped = rf"\left({w.tex}{c.tex}(y - \hat{{y}})\right)"
        dotted = rf"{w.tex}\cdot\frac{{2}}{{m}}\cdot(\hat{{y}} - y)"
        return [
            c @ ((w @ e * A * rest) @ x),
            (A * rest * back) @ x,
            (back * (A - A * A)) @ x,
            (A * back * rest) @ x,
            T(rf"-\left({swapped}\odot A\odot(1 - A)\right){x.tex}", whole),
            (back * A) @ x - (back * A * A) @ x,
            (x.T @ (back * A * rest).T).T,
            (w @ over(1, s.m) @ (e + e) * A * rest) @ x,
            T(rf"\left({error}\odot \sigma'(Z)\right){x.tex}", whole),
            T(rf"\left({error}\odot \sigma(Z)\odot(1 - \sigma(Z))\right){x.tex}", whole),
            T(rf"\left({dotted}\odot A\odot (1 - A)\right)\cdot {x.tex}", whole),
            T(rf"-\left({error}\odot A\odot(A - 1)\right){x.tex}", whole),
        ]

    return right, altered, rewritten


BIAS = (_bias, _bias_altered, _bias_rewritten)
GRADIENTS = (
    Gradient("one", "w", *_weights("x")),
    Gradient("one", "b", *BIAS),
    Gradient("many", "w", *_weights("X")),
    Gradient("many", "b", *BIAS),
    Gradient("linear", "W_1", *_hidden("X")),
    Gradient("linear", "b_1", *_hidden("1")),
    Gradient("linear", "w_2", *_weights("Z")),
    Gradient("linear", "b_2", *BIAS),
    Gradient("sigmoid", "W_1", *_activated("X")),
    Gradient("sigmoid", "b_1", *_activated("1")),
    Gradient("sigmoid", "w_2", *_weights("A")),
    Gradient("sigmoid", "b_2", *BIAS),
)


def document(model: str, backward: dict[str, str]) -> str:
    """Notes on one model, with what the models before it say in words."""
    parts = []
    for name, words in PROSE.items():
        parts.append(f"# Model {name}\n{words}")
        if name == model:
            lines = [
                rf"\frac{{\partial\mathcal{{L}}}}{{\partial {by}}} &= {text}"
                for by, text in backward.items()
            ]
            for title, rows in (("Forward", FORWARD[name]), ("Backward", lines)):
                body = "\\\\\\\\\n".join(rows)
                parts.append(f"### {title}\n\n$$\\begin{{align}}\n{body}\n\\end{{align}}$$\n")
            break
    return "\n".join(parts)


def notes(model: str, **changed: str) -> str:
    """The notes on a model with the right gradients, except those that are given."""
    s = values(model)
    right = {g.by: g.right(s).tex for g in GRADIENTS if g.model == model}
    return document(model, right | changed)
