"""Update rules: how a parameter moves once its gradient is known, one record each.

A rule is written with the same expressions as a network, so it is shown as equations, printed as
code, and becomes part of the training step like everything else. Where the literature and the
libraries disagree on what a name means, the rule has an option for it, and says whose reading is
whose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Final

from chainrule.emit.tex import Printer, label
from chainrule.expr import Expr, const, input_, postorder
from chainrule.ops import OPS
from chainrule.training.spelling import Option, Record, positive

Lines = dict[str, Expr]
"""What one step computes, by name and in order: new values under the names of the parameter (w)
and of its state, everything else under a name of its own."""

Symbols = Any
"""What a step is written with: w, g, the state, t, eta and the options under their symbols are
expressions; options that are words are text."""


@dataclass(frozen=True)
class Rule(Record):
    """One update rule.

    Attributes:
        symbols: for each option that is a number, what the equations call it.
        state: what is kept for each parameter from step to step, beginning with zeros; a dialect
            that does not need one of them leaves it out.
        step: from the symbols to the lines of one step.
        formula: LaTeX of one step as the defaults have it, read off `step`.
    """

    formula: str = field(init=False, repr=False)
    symbols: Mapping[str, str]
    state: tuple[str, ...]
    step: Callable[[Symbols], Lines]

    def __post_init__(self) -> None:
        defaults = {name: option.default for name, option in self.options.items() if option}
        object.__setattr__(self, "formula", r" \\ ".join(equations(self, defaults)))


def symbols_of(rule: Rule, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a step is given for its options: words as they are, numbers under their symbols."""
    found: dict[str, Any] = {"eta_0": const(options["lr"])}
    for name, value in options.items():
        if isinstance(value, str):
            found[name] = value
        elif name != "lr":
            found[rule.symbols[name]] = const(value)
    return found


def take(rule: Rule, symbols: Mapping[str, Any]) -> Lines:
    """The lines of one step, written with `symbols`."""
    return rule.step(SimpleNamespace(**symbols))


def written(rule: Rule, options: Mapping[str, Any]) -> tuple[tuple[Expr, ...], Lines]:
    """One step with every number as a symbol: the inputs that it uses, and its lines."""
    plain = ("w", "g", *rule.state, "t", "eta", "eta_0", *rule.symbols.values())
    inputs = {name: input_(name.removesuffix("_"), "") for name in plain}
    lines = take(rule, {**symbols_of(rule, options), **inputs})
    below = set(postorder(*lines.values()))
    return tuple(x for x in inputs.values() if x in below), lines


def equations(rule: Rule, options: Mapping[str, Any]) -> list[str]:
    """The lines of one step as LaTeX: ← gives a new value to what is kept, = names a result."""
    names: dict[Expr, str] = {}
    texts = []
    for name, value in written(rule, options)[1].items():
        sign = r"\leftarrow" if name in ("w", *rule.state) else "="
        texts.append(f"{label(name)} {sign} {Printer(names, {}).definition(value).text}")
        names[value] = label(name)
    return texts


sqrt, square, maximum = OPS["sqrt"], OPS["square"], OPS["maximum"]


def _sgd(x: Symbols) -> Lines:
    return {"w": x.w - x.eta * x.g}


def _momentum(x: Symbols) -> Lines:
    if x.dialect == "pytorch":
        v = x.mu * x.v + x.g
        return {"v": v, "w": x.w - x.eta * v}
    v = x.mu * x.v - x.eta * x.g
    return {"v": v, "w": x.w + v}


def _ema_momentum(x: Symbols) -> Lines:
    v = x.beta * x.v + (1 - x.beta) * x.g
    if x.bias_correction == "off":
        return {"v": v, "w": x.w - x.eta * v}
    v_hat = v / (1 - x.beta**x.t)
    return {"v": v, "v_hat": v_hat, "w": x.w - x.eta * v_hat}


def _nesterov(x: Symbols) -> Lines:
    if x.dialect == "pytorch":
        v = x.mu * x.v + x.g
        return {"v": v, "w": x.w - x.eta * (x.g + x.mu * v)}
    v = x.mu * x.v - x.eta * x.g
    return {"v": v, "w": x.w + (x.mu * v - x.eta * x.g)}


def _root(x: Symbols, s: Expr) -> Expr:
    """The square root of `s`, kept away from 0 by ε added outside or inside."""
    return sqrt(s + x.epsilon) if x.eps_at == "inside" else sqrt(s) + x.epsilon


def _rmsprop(x: Symbols) -> Lines:
    s = x.rho * x.s + (1 - x.rho) * square(x.g)
    if x.centered == "off":
        return {"s": s, "w": x.w - x.eta * x.g / _root(x, s)}
    g_bar = x.rho * x.g_bar + (1 - x.rho) * x.g
    # at least 0 in exact arithmetic; rounding may take it below
    variance = maximum(s - square(g_bar), 0)
    return {"s": s, "g_bar": g_bar, "w": x.w - x.eta * x.g / _root(x, variance)}


def _adagrad(x: Symbols) -> Lines:
    s = x.s + square(x.g)
    return {"s": s, "w": x.w - x.eta * x.g / _root(x, s)}


def _adam_direction(x: Symbols) -> tuple[Lines, Expr]:
    """The moments, and the step that they ask for before the learning rate."""
    m = x.beta_1 * x.m + (1 - x.beta_1) * x.g
    v = x.beta_2 * x.v + (1 - x.beta_2) * square(x.g)
    lines = {"m": m, "v": v}
    if x.bias_correction == "off":
        return lines, m / (sqrt(v) + x.epsilon if x.eps_at == "hat" else _root(x, v))
    if x.eps_at == "hat":
        scale = (1 - x.beta_2**x.t) ** 0.5 / (1 - x.beta_1**x.t)
        return lines, scale * (m / (sqrt(v) + x.epsilon))
    m_hat, v_hat = m / (1 - x.beta_1**x.t), v / (1 - x.beta_2**x.t)
    return {**lines, "m_hat": m_hat, "v_hat": v_hat}, m_hat / _root(x, v_hat)


def _adam(x: Symbols) -> Lines:
    lines, direction = _adam_direction(x)
    return {**lines, "w": x.w - x.eta * direction}


def _adamw(x: Symbols) -> Lines:
    lines, direction = _adam_direction(x)
    if x.decay == "paper":
        return {**lines, "w": x.w - (x.eta * direction + x.eta / x.eta_0 * x.lambda_ * x.w)}
    return {**lines, "w": x.w - x.eta * (direction + x.lambda_ * x.w)}


def _part(default: float, means: str) -> Option:
    return Option(default, means, "in [0, 1)", lambda value: 0 <= value < 1)


def _switch(default: str, means: str) -> Option:
    return Option(default, means, words=("off", "on"))


def _eps(default: float) -> Option:
    return positive(default, "keeps the divisor away from 0")


LR: Final = positive(0.01, "learning rate")
DIALECT: Final = Option(
    "paper",
    "paper: the velocity holds η·gradient; pytorch: it holds the gradient, and η multiplies it "
    "later (they differ once η changes)",
    words=("paper", "pytorch"),
)
EPS_AT: Final = Option(
    "outside",
    "outside: √s + ε (PyTorch); inside: √(s + ε) (Graves 2013)",
    words=("outside", "inside"),
)
BETAS: Final = {
    "beta1": _part(0.9, "how much of the mean of gradients is kept"),
    "beta2": _part(0.999, "how much of the mean of squares is kept"),
    "eps": _eps(1e-8),
    "eps_at": replace(
        EPS_AT,
        means="outside: √v̂ + ε (algorithm 1); inside: √(v̂ + ε); hat: √v + ε before the bias "
        "correction (section 2, TensorFlow's epsilon hat)",
        words=("outside", "inside", "hat"),
    ),
    "bias_correction": _switch("on", "divide the means by 1 − βᵗ"),
}
ADAM_SYMBOLS: Final = {"beta1": "beta_1", "beta2": "beta_2", "eps": "epsilon"}
_MOMENTUM: Final = {"lr": LR, "momentum": _part(0.9, "how much velocity is kept")}


_RECORDS: Final = (
    Rule(
        name="sgd",
        source="Cauchy 1847; Robbins & Monro 1951",
        options={"lr": LR},
        symbols={},
        state=(),
        step=_sgd,
    ),
    Rule(
        name="momentum",
        source="Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013, eq. 1-2",
        options={**_MOMENTUM, "dialect": DIALECT},
        symbols={"momentum": "mu"},
        state=("v",),
        step=_momentum,
    ),
    Rule(
        name="ema_momentum",
        source="Kingma & Ba 2015, the first moment of algorithm 1; the momentum of CS230",
        options={
            "lr": LR,
            "beta": _part(0.9, "how much of the mean is kept"),
            "bias_correction": _switch("off", "divide the mean by 1 − βᵗ"),
        },
        symbols={"beta": "beta"},
        state=("v",),
        step=_ema_momentum,
    ),
    Rule(
        name="nesterov",
        source="Nesterov 1983; Bengio, Boulanger-Lewandowski & Pascanu 2013, eq. 6-7: w is the "
        "point looked ahead to, at which the gradient is taken",
        options={**_MOMENTUM, "dialect": DIALECT},
        symbols={"momentum": "mu"},
        state=("v",),
        step=_nesterov,
    ),
    Rule(
        name="rmsprop",
        source="Tieleman & Hinton 2012, lecture 6e; centred, ε inside: Graves 2013, eq. 38-41",
        options={
            "lr": replace(LR, default=0.001),
            "rho": _part(0.9, "how much of the mean of squares is kept"),
            "eps": _eps(1e-8),
            "eps_at": EPS_AT,
            "centered": _switch("off", "divide by the standard deviation, not the root mean"),
        },
        symbols={"rho": "rho", "eps": "epsilon"},
        state=("s", "g_bar"),
        step=_rmsprop,
    ),
    Rule(
        name="adagrad",
        source="Duchi, Hazan & Singer 2011, section 1.3; ε outside the root as in PyTorch",
        options={"lr": LR, "eps": _eps(1e-10), "eps_at": EPS_AT},
        symbols={"eps": "epsilon"},
        state=("s",),
        step=_adagrad,
    ),
    Rule(
        name="adam",
        source="Kingma & Ba 2015, algorithm 1",
        options={"lr": replace(LR, default=0.001), **BETAS},
        symbols=ADAM_SYMBOLS,
        state=("m", "v"),
        step=_adam,
    ),
    Rule(
        name="adamw",
        source="Loshchilov & Hutter 2019, algorithm 2",
        options={
            "lr": replace(LR, default=0.001),
            **BETAS,
            "weight_decay": Option(0.01, "λ", ">= 0", lambda value: value >= 0),
            "decay": Option(
                "pytorch",
                "pytorch: the decay is multiplied by the learning rate; paper: only by what "
                "the schedule makes of it",
                words=("pytorch", "paper"),
            ),
        },
        symbols={**ADAM_SYMBOLS, "weight_decay": "lambda_"},
        state=("m", "v"),
        step=_adamw,
    ),
)
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for rule in _RECORDS}
