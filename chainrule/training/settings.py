"""How a network is trained: every option, checked together before anything starts."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from chainrule.errors import ParameterError
from chainrule.training.optimizers import Optimizer
from chainrule.training.schedules import Schedule
from chainrule.training.step import Limits

BatchSize = int | Literal["all"]
DEFAULT_BATCH: Final = 32


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss (the training loss if nothing is held out) stops falling.

    Attributes:
        patience: epochs in a row without improvement after which training stops.
        min_delta: the least fall that counts.
        restore_best: hand back the weights of the best epoch, not of the last.

    Source: Prechelt 1998, "Early stopping - but when?", criterion UP in its simplest form.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True


@dataclass(frozen=True)
class Settings:
    """Checked options of a training; see `train` for what they mean."""

    optimizer: Optimizer
    schedule: Schedule
    batch_size: BatchSize
    epochs: int
    seed: int
    limits: Limits
    early_stopping: EarlyStopping | None

    def as_text(self) -> dict[str, Any]:
        """The options as plain values, for a run file; those that are off are left out."""
        limits = {name: value for name, value in vars(self.limits).items() if value}
        stopping = vars(self.early_stopping) if self.early_stopping else {}
        return {
            "optimizer": str(self.optimizer),
            "schedule": str(self.schedule),
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "seed": self.seed,
            **limits,
            **{f"early_stopping_{name}": value for name, value in stopping.items()},
        }


def stopping_of(given: int | EarlyStopping | None, restore_best: bool) -> EarlyStopping | None:
    """Early stopping from its short form, the patience."""
    if given is None or isinstance(given, EarlyStopping):
        return given
    return EarlyStopping(given, restore_best=restore_best)


def settings(
    optimizer: str | Optimizer,
    schedule: str | Schedule | None,
    batch_size: BatchSize | None,
    epochs: int,
    seed: int,
    early_stopping: EarlyStopping | None,
    limits: Limits,
) -> Settings:
    """The options, if they are all within what they allow.

    Raises:
        ParameterError: naming every one that is not.
    """
    batch_size = DEFAULT_BATCH if batch_size is None else batch_size
    problems: list[str] = []
    rule = _choice(Optimizer, optimizer, problems)
    plan = _choice(Schedule, schedule if schedule is not None else "constant", problems)
    if batch_size != "all" and _whole(batch_size) < 1:
        problems.append(f"batch_size must be a whole number ≥ 1 or 'all', got {batch_size!r}")
    if _whole(epochs) < 1:
        problems.append(f"epochs must be a whole number ≥ 1, got {epochs!r}")
    if not 0 <= _whole(seed) < 2**64:
        problems.append(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
    if early_stopping is not None and _whole(early_stopping.patience) < 1:
        got = early_stopping.patience
        problems.append(f"early_stopping must be a whole number of epochs ≥ 1, got {got!r}")
    if early_stopping is not None and not _within(early_stopping.min_delta, low_allowed=True):
        problems.append(f"min_delta must be ≥ 0 and finite, got {early_stopping.min_delta!r}")
    problems += _limit_problems(limits)
    if rule is not None and limits.weight_decay and rule.options.get("weight_decay"):
        problems.append("weight_decay is given twice: to the optimizer and to train")
    if problems or rule is None or plan is None:
        raise ParameterError("; ".join(problems))
    size: BatchSize = "all" if batch_size == "all" else _whole(batch_size)
    return Settings(rule, plan, size, _whole(epochs), _whole(seed), limits, early_stopping)


def _choice(kind: Any, given: object, problems: list[str]) -> Any:
    """The choice, or None with the reason among the problems."""
    try:
        return kind.of(given)
    except ParameterError as error:
        problems.append(str(error))
        return None


def _whole(value: object) -> int:
    """The whole number, −1 for what is none."""
    try:
        return -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return -1


def _within(value: object, low_allowed: bool) -> bool:
    """Whether a value is a finite number above 0, or 0 itself where that is allowed."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        return False
    return bool(math.isfinite(value) and (value > 0 or (low_allowed and value == 0)))


def _limit_problems(limits: Limits) -> list[str]:
    problems = []
    for name, value in vars(limits).items():
        clips = name.startswith("clip")
        if not (clips and value is None) and not _within(value, low_allowed=not clips):
            rule = "> 0" if clips else "≥ 0"
            problems.append(f"{name} must be {rule} and finite, got {value!r}")
    return problems
