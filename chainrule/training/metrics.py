"""Numbers that say how good predictions are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from chainrule.errors import ParameterError, did_you_mean
from chainrule.run.bind import Array
from chainrule.training.data import Rows
from chainrule.training.predictors import losses
from chainrule.training.task import Kind, Task


def _accuracy(target: Array, predicted: Array) -> float:
    return float(np.mean(target == predicted))


def _mae(target: Array, predicted: Array) -> float:
    return float(np.mean(np.abs(target - predicted)))


def _rmse(target: Array, predicted: Array) -> float:
    return float(np.sqrt(np.mean(np.square(target - predicted))))


def _r2(target: Array, predicted: Array) -> float:
    """1 − residual / total sum of squares, averaged over outputs.

    A constant target counts 1 if it is met and 0 if not, as in scikit-learn's r2_score.
    """
    left = np.square(target - predicted).sum(axis=0)
    total = np.square(target - target.mean(axis=0)).sum(axis=0)
    constant = np.where(left == 0, 1.0, 0.0)
    return float(np.mean(np.where(total == 0, constant, 1 - left / np.where(total == 0, 1, total))))


@dataclass(frozen=True)
class Metric:
    """One metric: of (target, prediction) as classes or as numbers."""

    function: Callable[[Array, Array], float]
    kinds: tuple[Kind, ...]


LABELS: Final[tuple[Kind, ...]] = ("classes", "binary")
METRICS: Final[Mapping[str, Metric]] = {
    "accuracy": Metric(_accuracy, LABELS),
    "r2": Metric(_r2, ("numbers",)),
    "mae": Metric(_mae, ("numbers",)),
    "rmse": Metric(_rmse, ("numbers",)),
}
DEFAULTS: Final = {"classes": ("accuracy",), "binary": ("accuracy",), "numbers": ("r2", "mae")}


def chosen(task: Task, names: Iterable[str] | None) -> tuple[str, ...]:
    """The metrics to report, those that suit the task if none are named.

    Raises:
        ParameterError: a metric is unknown, or means nothing for this task.
    """
    if task.prediction is None:
        return ()
    if names is None:
        return DEFAULTS[task.kind]
    for name in (names := tuple([names] if isinstance(names, str) else names)):
        if name not in METRICS:
            hint = did_you_mean(name, METRICS) or f"Known: {', '.join(METRICS)}"
            raise ParameterError(f"metric {name!r} is not known", where="metrics", hint=hint)
        if task.kind not in METRICS[name].kinds:
            fitting = ", ".join(m for m in METRICS if task.kind in METRICS[m].kinds)
            what = f"{name} means nothing for {task.kind}; these do: {fitting}"
            raise ParameterError(what, where="metrics")
    return names


def decided(task: Task, scores: Array) -> Array:
    """What predictions (examples first) say: class numbers, or the numbers themselves."""
    if task.kind == "classes":
        return _largest(task, scores)
    if task.kind == "numbers":
        return scores
    threshold = 0.5 if task.loss_name == "bce" else 0.0
    return (scores > threshold).reshape(len(scores)).astype(np.int64)


def told(task: Task, y: Array) -> Array:
    """What targets (examples first, as the loss gets them) say, in the form of `decided`."""
    if task.kind == "numbers" or task.y.kind == "int":
        return y
    if task.kind == "classes":
        return _largest(task, y)
    threshold = 0.0 if task.loss_name == "hinge" else 0.5
    return (y > threshold).reshape(len(y)).astype(np.int64)


def _largest(task: Task, scores: Array) -> Array:
    """The place of the largest entry along the axis of the classes."""
    place = scores.ndim - 1
    if task.prediction is not None and task.loss is not None and task.loss_name == "cross_entropy":
        place = task.prediction.axes.index(task.loss["over"])
    return np.asarray(scores.argmax(axis=place))


def measured(task: Task, names: Iterable[str], y: Array, scores: Array) -> dict[str, float]:
    """The metrics called `names`; y and scores have examples first."""
    target, predicted = told(task, y), decided(task, scores)
    if task.kind == "numbers":  # same axes, perhaps in another order, or one output without an axis
        predicted = predicted.reshape(len(predicted), -1)
        target = _ordered_as_prediction(task, target).reshape(len(target), -1)
    return {name: METRICS[name].function(target, predicted) for name in names}


def _ordered_as_prediction(task: Task, y: Array) -> Array:
    if task.prediction is None:
        return y
    rest = [axis for axis in task.y.axes if axis != task.examples]
    places = [1 + rest.index(axis) for axis in task.prediction.axes[1:]]
    return np.transpose(y, (0, *places))


def evaluated(
    task: Task,
    values: Mapping[str, Array],
    rows: Rows,
    names: Iterable[str],
    engine: str = "compiled",
    threads: int | None = None,
) -> dict[str, float]:
    """Loss and metrics on rows that are not trained on.

    Args:
        values: parameters by name.
        engine, threads: see `chainrule.training.predictors`.
    """
    loss, scores = losses(task, values, rows, engine, threads)
    found = {"loss": loss}
    if scores is not None and names:
        found |= measured(task, names, rows.y, scores)
    return found
