"""The parameters of an estimator, read at `fit`: every problem is found before one is reported."""

from __future__ import annotations

import math
import operator
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np

from chainrule.errors import ParameterError, did_you_mean
from chainrule.nn import ACTIVATIONS
from chainrule.training import EarlyStopping, Optimizer, Schedule

LARGEST_SEED = 2**64 - 1
# With Adam's own 0.001, 20 epochs on a few hundred rows end long before the loss does.
LEARNING_RATE = 0.01
DRAWN_BITS = 32  # seeds that nobody chose: enough to tell runs apart, short enough to type


@dataclass(frozen=True)
class Options:
    """Checked parameters; `class_weight` stays None in a regression."""

    hidden: tuple[int, ...]
    activation: str
    optimizer: Optimizer
    learning_rate: float | None
    batch_size: int | Literal["all"]
    epochs: int
    l2: float
    dropout: float
    validation: float | tuple[Any, ...] | None
    early_stopping: EarlyStopping | None
    schedule: Schedule | None
    preprocess: Literal["standard"] | None
    random_state: int
    verbose: int
    class_weight: Mapping[Any, float] | Literal["balanced"] | None = None

    @property
    def rule(self) -> Optimizer:
        """The update rule with the learning rate that was asked for."""
        if self.learning_rate is None:
            return self.optimizer
        changed = {**self.optimizer.options, "lr": self.learning_rate}
        return Optimizer(self.optimizer.name, **changed)


def read(attributes: Mapping[str, Any]) -> Options:
    """The parameters among the attributes of an estimator, checked.

    Raises:
        ParameterError: naming every parameter that is wrong.

    >>> read({"epochs": -3, "dropout": 1.5})
    Traceback (most recent call last):
      ...
    chainrule.errors.ParameterError: epochs must be a whole number ≥ 1, got -3; dropout must be ...
    """
    values: dict[str, Any] = {}
    problems = []
    for name in (name for name in READERS if name in attributes):
        try:
            values[name] = READERS[name](name, attributes[name])
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError("; ".join(problems))
    return Options(**values)


def _number(accepts: Callable[[float], bool], rule: str) -> Callable[[str, Any], float]:
    def reader(name: str, value: Any) -> float:
        real = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        if not real or not math.isfinite(value) or not accepts(value):
            raise ParameterError(f"{name} must be {rule}, got {_shown(value)}")
        return float(value)

    return reader


def _whole(name: str, value: Any) -> int:
    try:
        whole = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        whole = 0
    if whole < 1:
        raise ParameterError(f"{name} must be a whole number ≥ 1, got {_shown(value)}")
    return whole


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _hidden(name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        return (_whole(name, value),)
    problems, widths = [], []
    for i, width in enumerate(value):
        try:
            widths.append(_whole(f"{name}[{i}]", width))
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError("; ".join(problems))
    return tuple(widths)


def _activation(name: str, value: Any) -> str:
    activation = str(getattr(value, "name", value))
    if activation not in ACTIVATIONS:
        hint = did_you_mean(activation, ACTIVATIONS) or f"Known: {', '.join(ACTIVATIONS)}"
        raise ParameterError(f"{name} {activation!r} is not known ({hint})")
    return activation


def _optimizer(name: str, value: Any) -> Optimizer:
    """The rule as it is; at `LEARNING_RATE` if only its name is given."""
    rule = Optimizer.of(value)
    if not isinstance(value, str) or ":" in value:
        return rule
    return Optimizer(rule.name, lr=LEARNING_RATE)


def _batch_size(name: str, value: Any) -> int | Literal["all"]:
    if isinstance(value, str):
        if value != "all":
            raise ParameterError(f'{name} must be a whole number ≥ 1 or "all", got {value!r}')
        return "all"
    return _whole(name, value)


def _validation(name: str, value: Any) -> float | tuple[Any, ...] | None:
    if value is None:
        return None
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ParameterError(f"{name} must be a share or (X, y), got {len(value)} parts")
        return tuple(value)
    return _number(lambda share: 0 < share < 1, "in (0, 1), or (X, y)")(name, value)


def _early_stopping(name: str, value: Any) -> EarlyStopping | None:
    if value is None or isinstance(value, EarlyStopping):
        return value
    return EarlyStopping(patience=_whole(name, value))


def _schedule(name: str, value: Any) -> Schedule | None:
    return None if value is None else Schedule.of(value)


def _preprocess(name: str, value: Any) -> Literal["standard"] | None:
    if value is None:
        return None
    if not isinstance(value, str) or value != "standard":
        raise ParameterError(f'{name} must be "standard" or None, got {_shown(value)}')
    return "standard"


def _seed(name: str, value: Any) -> int:
    """A seed: as given, drawn from the generator that is given, or drawn afresh."""
    if value is None:
        return secrets.randbits(DRAWN_BITS)
    if isinstance(value, np.random.RandomState):
        return int(value.randint(2**31))
    if isinstance(value, np.random.Generator):
        return int(value.integers(2**DRAWN_BITS))
    try:
        seed = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        seed = -1
    if not 0 <= seed <= LARGEST_SEED:
        what = "None, a whole number from 0 to 2⁶⁴ − 1, or NumPy's RandomState or Generator"
        raise ParameterError(f"{name} must be {what}, got {_shown(value)}")
    return seed


def _verbose(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ParameterError(f"{name} must be a whole number, got {_shown(value)}") from None


def _class_weight(name: str, value: Any) -> Mapping[Any, float] | Literal["balanced"] | None:
    if value is None or (isinstance(value, str) and value == "balanced"):
        return value  # type: ignore[return-value]
    if not isinstance(value, Mapping):
        what = f'{name} must be None, "balanced" or a weight for each label'
        raise ParameterError(f"{what}, got {_shown(value)}")
    weight = _number(lambda number: number >= 0, "≥ 0 and finite")
    return {label: weight(f"{name}[{label!r}]", number) for label, number in value.items()}


_POSITIVE = _number(lambda number: number > 0, "> 0 and finite")
READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "hidden": _hidden,
    "activation": _activation,
    "optimizer": _optimizer,
    "learning_rate": lambda name, value: value if value is None else _POSITIVE(name, value),
    "batch_size": _batch_size,
    "epochs": _whole,
    "l2": _number(lambda number: number >= 0, "≥ 0 and finite"),
    "dropout": _number(lambda number: 0 <= number < 1, "in [0, 1)"),
    "validation": _validation,
    "early_stopping": _early_stopping,
    "schedule": _schedule,
    "preprocess": _preprocess,
    "random_state": _seed,
    "verbose": _verbose,
    "class_weight": _class_weight,
}
