"""Optimisers: an update rule with its options, as users choose it, see it and put it to work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from chainrule.emit.python import source
from chainrule.errors import ParameterError
from chainrule.expr import Expr
from chainrule.plan.program import program
from chainrule.training.rules import RULES, Lines, equations, symbols_of, take, written
from chainrule.training.spelling import Choice, Record

Dialect = Literal["paper", "pytorch"]


class Optimizer(Choice):
    """An update rule with its options: a name of `RULES`.

    >>> Optimizer("sgd", lr=0.5)
    Optimizer('sgd', lr=0.5)
    >>> Optimizer.of("momentum:lr=0.1,momentum=0.8") == Momentum(0.1, 0.8)
    True
    """

    kind: ClassVar[str] = "optimizer"
    table: ClassVar[Mapping[str, Record]] = RULES

    @classmethod
    def _value(cls, record: Record, key: str, given: Any) -> Any:
        """True and False are welcome where the option is on or off."""
        if isinstance(given, bool):
            return "on" if given else "off"
        return super()._value(record, key, given)

    @property
    def lr(self) -> float:
        """The learning rate before any schedule."""
        return float(self.options["lr"])

    @property
    def state(self) -> tuple[str, ...]:
        """What is kept for each parameter from step to step."""
        rule = RULES[self.name]
        lines = written(rule, self.options)[1]
        return tuple(name for name in rule.state if name in lines)

    def step(self, w: Expr, g: Expr, state: Mapping[str, Expr], t: Expr, eta: Expr) -> Lines:
        """One step of one parameter, with the options as numbers.

        Args:
            w, g: the parameter and its gradient, with the same axes.
            state: what is kept, by name, with the axes of the parameter.
            t, eta: scalars: the number of this step, from 1, and the learning rate now.

        Returns:
            New values under "w" and the names of the state; other names are intermediate values.
        """
        rule = RULES[self.name]
        unused = dict.fromkeys(rule.state, w)  # a dialect never reads the state that it leaves out
        symbols = {**symbols_of(rule, self.options), **unused, **state}
        return take(rule, {**symbols, "w": w, "g": g, "t": t, "eta": eta})

    def latex(self) -> str:
        r"""One step as equations.

        >>> print(SGD(0.1).latex())
        \begin{align}
            w &\leftarrow w - \eta g
        \end{align}
        """
        lines = equations(RULES[self.name], self.options)
        aligned = [line.replace(r" \leftarrow ", r" &\leftarrow ", 1) for line in lines]
        aligned = [line if "&" in line else line.replace(" = ", " &= ", 1) for line in aligned]
        return "\\begin{align}\n" + " \\\\\n".join(f"\t{x}" for x in aligned) + "\n\\end{align}"

    def _repr_latex_(self) -> str:
        return "$$\n" + self.latex().replace("{align}", "{aligned}") + "\n$$"

    def python(self) -> str:
        """NumPy source of one step: a function that returns the new parameter and its state."""
        rule = RULES[self.name]
        inputs, lines = written(rule, self.options)
        outputs = {"": lines["w"], **{name: lines[name] for name in self.state}}
        kept = ("w", *self.state)
        names = {x: f"{name}_new" if name in kept else name for name, x in lines.items()}
        return source(program(self.name, inputs, outputs, names))


def SGD(
    lr: float = 0.01, momentum: float = 0.0, nesterov: bool = False, dialect: Dialect = "paper"
) -> Optimizer:
    """Gradient descent: w ← w − ηg; with momentum v ← μv − ηg, w ← w + v, or Nesterov's form.

    Raises:
        ParameterError: options outside their ranges, or nesterov without momentum.

    >>> SGD(0.1, momentum=0.9, nesterov=True).name
    'nesterov'
    """
    if nesterov and momentum == 0:
        raise ParameterError("nesterov needs a momentum above 0", where="SGD")
    if momentum == 0:
        return Optimizer("sgd", lr=lr)
    name = "nesterov" if nesterov else "momentum"
    return Optimizer(name, lr=lr, momentum=momentum, dialect=dialect)


def Momentum(
    lr: float = 0.01,
    momentum: float = 0.9,
    *,
    ema: bool = False,
    bias_correction: bool = False,
    dialect: Dialect = "paper",
) -> Optimizer:
    """Heavy ball: v ← μv − ηg, w ← w + v; with `ema` a mean: v ← βv + (1 − β)g, w ← w − ηv.

    Raises:
        ParameterError: options outside their ranges, or bias_correction without ema.
    """
    if ema:
        correction = {"bias_correction": bias_correction}
        return Optimizer("ema_momentum", lr=lr, beta=momentum, **correction)
    if bias_correction:
        raise ParameterError("bias_correction needs ema=True", where="Momentum")
    return Optimizer("momentum", lr=lr, momentum=momentum, dialect=dialect)


def Nesterov(lr: float = 0.01, momentum: float = 0.9, *, dialect: Dialect = "paper") -> Optimizer:
    """Nesterov's momentum, at the point looked ahead to: v ← μv − ηg, w ← w + μv − ηg.

    Raises:
        ParameterError: options outside their ranges.
    """
    return Optimizer("nesterov", lr=lr, momentum=momentum, dialect=dialect)


def RMSprop(
    lr: float = 0.001,
    rho: float = 0.9,
    eps: float = 1e-8,
    *,
    eps_at: Literal["outside", "inside"] = "outside",
    centered: bool = False,
) -> Optimizer:
    """RMSprop: s ← ρs + (1 − ρ)g², w ← w − ηg/(√s + ε).

    Raises:
        ParameterError: options outside their ranges.
    """
    return Optimizer("rmsprop", lr=lr, rho=rho, eps=eps, eps_at=eps_at, centered=centered)


def Adagrad(
    lr: float = 0.01, eps: float = 1e-10, *, eps_at: Literal["outside", "inside"] = "outside"
) -> Optimizer:
    """Adagrad: s ← s + g², w ← w − ηg/(√s + ε).

    Raises:
        ParameterError: options outside their ranges.
    """
    return Optimizer("adagrad", lr=lr, eps=eps, eps_at=eps_at)


def Adam(
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    *,
    eps_at: Literal["outside", "inside", "hat"] = "outside",
    bias_correction: bool = True,
) -> Optimizer:
    """Adam: means of gradients and squares, w ← w − η m̂/(√v̂ + ε).

    Raises:
        ParameterError: options outside their ranges.

    >>> str(Adam(0.01))
    'adam:lr=0.01,beta1=0.9,beta2=0.999,eps=1e-08,eps_at=outside,bias_correction=on'
    """
    return Optimizer(
        "adam",
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        eps_at=eps_at,
        bias_correction=bias_correction,
    )


def AdamW(
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    *,
    decay: Literal["pytorch", "paper"] = "pytorch",
) -> Optimizer:
    """Adam with decoupled weight decay: w ← w − η(m̂/(√v̂ + ε) + λw).

    Raises:
        ParameterError: options outside their ranges.
    """
    options = {"beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
    return Optimizer("adamw", lr=lr, decay=decay, **options)
