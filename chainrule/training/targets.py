"""Targets as the loss compares them with predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.errors import DataError, DTypeError, ShapeError
from chainrule.run.bind import Array
from chainrule.training.data import finite_floats, numbers, refuse_nothing
from chainrule.training.task import Kind, Task

NUMBER_LABELS = (
    "Use cr.Classifier, which takes labels of text, or number them: "
    "classes, {0} = np.unique({0}, return_inverse=True)"
)
BINARY_LOSSES = ("bce", "bce_logits", "hinge")
# Losses of real numbers for which a class label may be written as 1 for its unit and 0 elsewhere.
LABEL_LOSSES = (
    *("mse", "half_mse", "sum_squares", "mae", "huber", "log_cosh", "kl"),
    *BINARY_LOSSES,
)


def labelled(y: object) -> bool:
    """Whether y holds labels: one whole number or truth value for each row."""
    array = np.asarray(y)
    return array.dtype.kind in "biu" and (array.ndim == 1 or array.shape[1:] == (1,))


def kind_of(task: Task, labels: bool, sizes: Mapping[str, int]) -> Kind:
    """What the prediction means, from the loss, the outputs, and whether y holds labels.

    With a loss of real numbers and one output for each class labels are written one-hot; with one
    output only losses of yes and no read them as labels.
    """
    outputs = known_classes(task, sizes) or 1
    if task.loss_name == "cross_entropy":
        return "classes"
    if labels and outputs > 1 and task.loss_name in LABEL_LOSSES:
        return "classes"
    return "binary" if outputs == 1 and task.loss_name in BINARY_LOSSES else "numbers"


def targets(
    y: object,
    task: Task,
    n_rows: int,
    sizes: Mapping[str, int],
    dtype: np.dtype[Any],
    name: str = "y",
) -> Array:
    """y as rows in the form that the loss compares with the prediction.

    Labels 0 … c − 1 stay labels for a loss that takes labels; for a loss of real numbers they are
    written one-hot (for hinge 1 and −1 in place of 1 and 0).

    Raises:
        ShapeError, DTypeError, DataError: what is wrong and where.
    """
    array = numbers(y, name, NUMBER_LABELS.format(name))
    rest = [axis for axis in task.y.axes if axis != task.examples]
    if array.ndim > 0 and len(array) != n_rows:
        raise ShapeError(f"X has {n_rows} rows, {name} has {len(array)}")
    refuse_nothing(array, name)
    if array.ndim == 2 and array.shape[1] == 1 and (not rest or labelled(array)):
        array = array[:, 0]
    if task.kind != "numbers" and labelled(array):
        count = known_classes(task, sizes)
        _check_labels(array, 2 if task.kind == "binary" else count, name, task)
        array = array.astype(np.int64)
        if task.y.kind == "int":
            return array
        array = _as_numbers(array, task.kind, count, task.loss_name, dtype)
    if task.y.kind == "int":
        what = f"{name} has dtype {array.dtype} and shape {array.shape}"
        hint = f"One-hot rows: {name}.argmax(axis=1)" if array.ndim == 2 else ""
        raise DTypeError(f"{what}, expected one label (a whole number) a row", hint=hint)
    if array.ndim == 1 and len(rest) == 1 and sizes.get(rest[0], 1) == 1:
        array = array[:, None]
    expected = [n_rows, *(sizes.get(axis) for axis in rest)]
    if array.ndim != len(expected) or any(
        e is not None and e != n for e, n in zip(expected, array.shape, strict=True)
    ):
        shown = ", ".join(
            str(e) if e is not None else a for e, a in zip(expected, ["m", *rest], strict=True)
        )
        raise ShapeError(f"{name} has shape {array.shape}, the network predicts ({shown})")
    floats = finite_floats(array, name, dtype)
    _check_range(floats, name, task.loss_name)
    return floats


def known_classes(task: Task, sizes: Mapping[str, int]) -> int | None:
    """How many classes the network tells apart, None if its sizes do not say."""
    known = {**(task.prediction.sizes if task.prediction is not None else {}), **sizes}
    return known.get(task.classes_axis)


def _check_labels(labels: Array, classes: int | None, name: str, task: Task) -> None:
    limit = classes if classes is not None else int(labels.max()) + 1
    wrong = np.flatnonzero((labels < 0) | (labels >= limit))
    if wrong.size:
        row = int(wrong[0])
        reason = f"{task.loss_name} of one output" if task.kind == "binary" else "the network"
        hint = "Number the classes 0, 1, 2, …"
        what = f"label {labels[row]} ({name}[{row}]) is not one of 0 … {limit - 1}, as {reason}"
        raise DataError(f"{what} needs", hint=hint)


def _as_numbers(
    labels: Array, kind: Kind, classes: int | None, loss: str, dtype: np.dtype[Any]
) -> Array:
    """Labels as 1 and 0 (1 and −1 for hinge): one column for each class, or for yes and no."""
    if kind == "binary":
        ones = labels.astype(dtype)
    else:
        ones = np.zeros((len(labels), classes or int(labels.max()) + 1), dtype)
        ones[np.arange(len(labels)), labels] = 1
    return 2 * ones - 1 if loss == "hinge" else ones


def _check_range(y: Array, name: str, loss: str) -> None:
    """Losses that read targets as probabilities, or as 1 and −1, get nothing else."""
    if loss in ("bce", "bce_logits"):
        wrong, rule = (y < 0) | (y > 1), "in [0, 1]"
    elif loss == "hinge":
        wrong, rule = np.abs(y) != 1, "1 or -1"
    else:
        return
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = ", ".join(map(str, first))
        raise DataError(f"{name}[{place}] = {y[first]:g}: {loss} needs targets {rule}")
