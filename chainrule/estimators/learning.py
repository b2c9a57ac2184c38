"""From checked rows to a trained network, and from its parameters to outputs for new rows."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ChainruleWarning, DivergenceError
from chainrule.estimators.options import Options
from chainrule.estimators.rows import Weights, mean_one
from chainrule.estimators.targets import Labels, Numbers
from chainrule.io.arrays import Floats
from chainrule.nn import mlp
from chainrule.training import Run, train
from chainrule.training.data import split
from chainrule.training.diverged import reworded
from chainrule.training.origin import Origin
from chainrule.training.predictors import KEPT, predicted
from chainrule.training.task import Task, task_of

Array = NDArray[Any]
BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows with their targets and weights (None: all count the same).

    Attributes:
        numbers: which rows of the caller's X these are; None: all of them.
    """

    X: Floats
    y: Array
    weights: Weights | None = None
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[Any]) -> Examples:
        """Some of the rows: by number, or where a mask says so."""
        weights = None if self.weights is None else self.weights[rows]
        numbers = np.arange(len(self)) if self.numbers is None else self.numbers
        return Examples(self.X[rows], self.y[rows], weights, numbers[rows])

    def that_count(self) -> Examples:
        """Those whose weight is not 0: leaving a row out and giving it weight 0 are the same."""
        if self.weights is None or self.weights.all():
            return self
        return self.take(self.weights > 0)


def held_out(
    examples: Examples, share: float, seed: int, labels: Array | None
) -> tuple[Examples, Examples]:
    """The rows to train on, and those to validate with: of each label its share.

    Raises:
        ParameterError: one side would be empty.
        DataError: a label has a single row.
    """
    kept, held = split(len(examples), share, seed, labels)
    return examples.take(kept), examples.take(held)


def learn(
    options: Options,
    training: Examples,
    validation: Examples | None,
    target: Labels | Numbers,
    names: Sequence[str] = (),
) -> Run:
    """Train a multilayer perceptron on rows as it sees them; `names` are those of the features.

    The default batch size means "at most"; another one that is more than all rows is warned of.

    Raises:
        DivergenceError: training left the finite numbers.
    """
    widths = [training.X.shape[1], *options.hidden, target.outputs]
    size = options.batch_size
    if size == BATCH_SIZE:
        size = min(size, len(training))
    try:
        run = train(
            mlp(widths, options.activation, dropout=options.dropout),
            training.X,
            training.y,
            loss=target.loss,
            optimizer=options.rule,
            batch_size=size,
            epochs=options.epochs,
            seed=options.random_state,
            validation=None if validation is None else (validation.X, validation.y),
            sample_weight=None if training.weights is None else mean_one(training.weights),
            schedule=options.schedule,
            l2=options.l2,
            early_stopping=options.early_stopping,
            progress="auto" if options.verbose else "off",
            origin=Origin(
                training.numbers, columns=names, standardised=options.preprocess is not None
            ),
        )
    except DivergenceError as error:
        raise reworded(error, lr="learning_rate", clip_norm="") from error
    if run.interrupted:
        what = f"training was interrupted after step {run.steps}: the model is as it was then"
        warnings.warn(what, ChainruleWarning, stacklevel=4)
    return run


def outputs_of(
    params: Mapping[str, Array], activation: str, loss: str, X: Floats
) -> tuple[Array, Array | None]:
    """What the network puts out for rows (n_rows, n_outputs), and that as probabilities."""
    weights = [value for name, value in params.items() if name.startswith("W_")]
    widths = (len(weights[0]), *(weight.shape[1] for weight in weights))
    task = _task(widths, activation, loss)
    return predicted(task, params, X.astype(weights[0].dtype, copy=False))


@functools.lru_cache(maxsize=KEPT)
def _task(widths: tuple[int, ...], activation: str, loss: str) -> Task:
    """What was learned. Kept here, so that estimators hold nothing but plain values."""
    return task_of(mlp(widths, activation), loss)
