"""What training hands back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.errors import ParameterError
from chainrule.expr import Definition
from chainrule.run.bind import Array
from chainrule.training.data import Rows, features
from chainrule.training.metrics import chosen, decided, evaluated
from chainrule.training.predictors import predicted
from chainrule.training.targets import targets
from chainrule.training.task import Task
from chainrule.training.toml import Plain

History = list[dict[str, float]]


@dataclass(frozen=True)
class Run:
    """A trained network.

    Attributes:
        task: what was learned.
        values: parameters, and inputs that were held fixed, by name.
        sizes: the sizes of its axes.
        history: a dict for each finished epoch: epoch (from 1), loss, metrics, val_…, lr, seconds.
        settings: loss and options of the training as plain values.
        options: what else was asked for, as given to `train`.
        interrupted: whether the user stopped it; the weights are those after a whole step.
        stopped_early: whether early stopping or a callback ended it before the last epoch.
        best_epoch: the epoch of these weights where early stopping chose them.
        preprocessing, source: as given to `train`.
    """

    task: Task
    values: Mapping[str, Array]
    sizes: Mapping[str, int]
    history: History
    settings: Mapping[str, Any]
    steps: int = 0
    interrupted: bool = False
    stopped_early: bool = False
    best_epoch: int | None = None
    preprocessing: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def definition(self) -> Definition:
        """The network with its loss."""
        return self.task.definition

    @property
    def params(self) -> dict[str, Array]:
        """The trained parameters by name."""
        return {name: self.values[name] for name in self.definition.params}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of the parameters."""
        return self.values[self.definition.params[0]].dtype

    def predict(self, X: object) -> Array:
        """For each row of X the number of its class, or the numbers that the network predicts.

        Args:
            X: (n_samples, n_features), as in training.

        Returns:
            (n_samples,) class numbers; else (n_samples, n_outputs), or (n_samples,) where the
            network has one output.

        Raises:
            ShapeError, DTypeError, DataError: X does not fit.
        """
        decisions = decided(self.task, self.scores(X))
        single = self.task.kind == "numbers" and decisions.ndim == 2 and decisions.shape[1] == 1
        return decisions[:, 0] if single else decisions

    def scores(self, X: object) -> Array:
        """What the network itself puts out for each row of X: logits, probabilities or numbers."""
        rows = features(X, self.task, self.dtype)
        return predicted(self.task, self.values, rows)[0]

    def predict_proba(self, X: object) -> Array:
        """The probability of each class, (n_samples, n_classes).

        Raises:
            ParameterError: the loss does not read the outputs as probabilities.
            ShapeError, DTypeError, DataError: X does not fit.
        """
        rows = features(X, self.task, self.dtype)
        found = predicted(self.task, self.values, rows)[1]
        if found is None:
            hint = "Train with cross_entropy, bce or bce_logits"
            what = f"a network trained with {self.task.loss_name} predicts no probabilities"
            raise ParameterError(what, hint=hint)
        if self.task.kind == "binary":
            yes = found.reshape(len(found))
            return np.stack([1 - yes, yes], axis=1)
        return found

    def evaluate(self, X: object, y: object) -> dict[str, float]:
        """Loss and metrics on these rows.

        Raises:
            ShapeError, DTypeError, DataError: X or y do not fit.
        """
        rows = features(X, self.task, self.dtype)
        wanted = targets(y, self.task, len(rows), dict(self.sizes), self.dtype)
        names = chosen(self.task, None)
        unit = None if self.task.weights is None else np.ones(len(rows), self.dtype)
        return evaluated(self.task, self.values, Rows(rows, wanted, unit), names)

    def save(self, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a run directory that `load_run` reads.

        Raises:
            CheckpointError: there is a run already (unless `overwrite`), or it cannot be written.
        """
        from chainrule.training.rundir import RunDirectory

        RunDirectory.create(directory, overwrite=overwrite).finish(self)

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else {}
        shown = "".join(f", {k} {v:.4g}" for k, v in last.items() if k not in ("epoch", "seconds"))
        return f"<Run of {self.definition.name}: {len(self.history)} epochs{shown}>"
