"""What a network says about rows, and how far it is off: compiled, or with the reference executor.

A network nearly always treats each row by itself; then rows are taken in chunks of a fixed size.
One that does not (it subtracts the mean of the batch, say) sees all rows at once and runs with the
reference executor: it would have to be compiled for every number of rows anew.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chainrule.differentiate import keep
from chainrule.errors import GraphError
from chainrule.expr import Expr
from chainrule.plan.program import Program
from chainrule.run.bind import Array
from chainrule.run.reference import VALUE, Reference, ReferenceByRow
from chainrule.training import runners
from chainrule.training.data import Rows
from chainrule.training.step import (
    PREDICTION,
    PROBABILITIES,
    evaluation_program,
    prediction_program,
    row_losses_program,
)
from chainrule.training.task import Task

if TYPE_CHECKING:
    from chainrule.run.byrow import ByRow

KEPT = 32  # networks whose code stays in memory


def predicted(
    task: Task,
    values: Mapping[str, Array],
    X: Array,
    engine: str = "compiled",
    threads: int | None = None,
) -> tuple[Array, Array | None]:
    """Predictions for rows, examples first, and probabilities where the loss gives some.

    What a row gets does not depend on the other rows, nor on the number of threads.

    Args:
        values: parameters by name.
        threads: how many threads share the rows; None: as many as pay.

    Raises:
        ParameterError: the definition does not say what it predicts.
    """
    found = _predictor(task, _engine(engine), threads)(values, {task.X.name: X})
    return found[VALUE], found.get(PROBABILITIES)


def losses(
    task: Task,
    values: Mapping[str, Array],
    rows: Rows,
    engine: str = "compiled",
    threads: int | None = None,
) -> tuple[float, Array | None]:
    """The loss on rows that are not trained on, and their predictions where these are known."""
    function = _row_losses(task, _engine(engine), threads)
    if function is None:
        loss, outputs = _whole_loss(task).run({**values, **rows.inputs(task)})
        return float(loss), outputs.get(PREDICTION)
    given = {task.X.name: rows.X, task.y.name: rows.y}
    if rows.weights is not None and task.weights is not None:
        given[task.weights.name] = rows.weights
    found = function(values, given)
    total = found[VALUE].sum(dtype=np.float64)
    return float(total / len(rows) if task.reduction == "mean" else total), found[PREDICTION]


def _engine(asked: str) -> str:
    return "compiled" if asked == "compiled" and runners.llvm_is_here() else "reference"


@functools.lru_cache(KEPT)
def _predictor(task: Task, engine: str, threads: int | None) -> ByRow | ReferenceByRow:
    found = prediction_program(task)
    X = (task.X.name,)
    if not by_itself(found.outputs[0][1], task.examples):
        return ReferenceByRow(found, X, task.examples, at_once=None)
    return _by_row(found, X, task.examples, engine, threads)


@functools.lru_cache(KEPT)
def _row_losses(task: Task, engine: str, threads: int | None) -> ByRow | ReferenceByRow | None:
    """None where the loss is not made of one for each row."""
    plain = task.loss is task.definition.root and task.prediction is not None
    if not plain or not by_itself(task.at_rest().prediction, task.examples):
        return None
    data = [x.name for x in (task.X, task.y, task.weights) if x is not None]
    return _by_row(row_losses_program(task), data, task.examples, engine, threads)


@functools.lru_cache(KEPT)
def _whole_loss(task: Task) -> Reference:
    return Reference(evaluation_program(task))


def _by_row(
    found: Program,
    by_row: tuple[str, ...] | list[str],
    examples: str,
    engine: str,
    threads: int | None,
) -> ByRow | ReferenceByRow:
    if engine == "reference":
        return ReferenceByRow(found, by_row, examples)
    from chainrule.run.byrow import ByRow  # brings LLVM

    return ByRow(found, by_row, examples, threads, soon=True)


def by_itself(value: Expr | None, examples: str) -> bool:
    """Whether each entry along `examples` is made of entries at its own place only.

    >>> from chainrule.nn import mlp
    >>> from chainrule.expr import input_
    >>> from chainrule.ops.structure import mean
    >>> x = input_("x", "m")
    >>> by_itself(mlp([4, 3]).root, "m"), by_itself(x - mean(x), "m")
    (True, False)
    """
    if value is None:
        return False
    try:
        return keep(value, examples)[value] is value
    except GraphError:
        return False
