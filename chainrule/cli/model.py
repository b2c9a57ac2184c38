"""What is kept with a network: how its inputs are prepared and what its outputs mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from chainrule.errors import CheckpointError, CorruptFileError, VersionError
from chainrule.io.features import Features
from chainrule.io.target import Target
from chainrule.training.rundir import DAMAGED

if TYPE_CHECKING:
    from chainrule.training.result import Run

Array = NDArray[Any]
FORMAT = 1


class Preparation(msgspec.Struct, frozen=True):
    """Everything between the user's table and the network's arrays, learned from training rows.

    Attributes:
        features: what the inputs go through.
        target: what the outputs mean.
        version: of this record's format.
    """

    features: Features
    target: Target
    version: int = FORMAT

    @property
    def classes(self) -> list[str]:
        """The labels as text, in the order of the class numbers; [] in a regression."""
        return [str(label) for label in self.target.classes]

    def text(self) -> str:
        """The record as JSON, for the model file."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def of(cls, text: str, where: str) -> Preparation:
        """The record that a model file holds.

        Raises:
            CheckpointError: the model was trained from Python, without one.
            CorruptFileError: it is damaged.
            VersionError: a newer version wrote it.
        """
        if not text:
            hint = "Use it from Python: cr.load_run(…).predict(X)"
            what = "the model does not say how its inputs were prepared: it was trained on arrays"
            raise CheckpointError(what, where=where, hint=hint)
        try:
            found = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            what = f"the preparation is damaged: {error}"
            raise CorruptFileError(what, where=where, hint=DAMAGED) from None
        if found.version > FORMAT:
            what = f"the preparation has format {found.version}, this version knows ≤ {FORMAT}"
            raise VersionError(what, where=where, hint="Use a newer chainrule")
        return found


def load_model(directory: Path) -> tuple[Run, Preparation]:
    """A trained network and how its inputs are prepared.

    Raises:
        CheckpointError: there is no run, or it is damaged.
    """
    from chainrule.training.rundir import load_run

    run = load_run(directory)
    return run, Preparation.of(run.preprocessing, str(directory))


def measured(run: Run, preparation: Preparation, X: Array, y: Array) -> dict[str, float]:
    """Loss, and metrics in the user's terms, on rows (y encoded as the target says).

    The loss is the one that was trained, on the scale that the network sees; rmse and mae are in
    the units of the target.
    """
    found = {"loss": run.evaluate(X, y)["loss"]}
    if preparation.target.task == "classification":
        return found | {"accuracy": float(np.mean(run.predict(X) == y))}
    truth, guess = (preparation.target.decode(values) for values in (y, run.predict(X)))
    error = guess - truth
    spread = float(np.sum(np.square(truth - truth.mean())))
    left = float(np.sum(np.square(error)))
    return found | {
        "rmse": float(np.sqrt(left / len(error))),
        "mae": float(np.mean(np.abs(error))),
        # a constant target counts 1 if it is met and 0 if not, as in scikit-learn's r2_score
        "r2": 1 - left / spread if spread else float(left == 0),
    }
