"""Data for one training: read, divided, and prepared by what the training rows alone say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.model import Preparation
from chainrule.errors import DataError, ParameterError
from chainrule.io.wording import plural
from chainrule.training.data import split
from chainrule.training.origin import Origin

if TYPE_CHECKING:
    from chainrule.io.dataset import Dataset

Array = NDArray[Any]
PARTS = ("training", "validation", "test")


class Part(NamedTuple):
    """Rows as the network sees them: features (n_rows, n_features), target (n_rows,)."""

    X: Array
    y: Array


@dataclass(frozen=True)
class Prepared:
    """Data that are ready to train on.

    Attributes:
        dataset: as it was read.
        preparation: what turns such data into numbers and predictions into the user's terms.
        parts: by name; validation and test are absent where no rows were asked for.
        numbers: the rows of the data set that are trained on.
    """

    dataset: Dataset
    preparation: Preparation
    parts: dict[str, Part]
    numbers: Array

    @property
    def origin(self) -> Origin:
        """What messages call the rows and columns that are trained on."""
        table, features = self.dataset.table, self.preparation.features
        return Origin(
            self.numbers,
            None if table is None else table.lines[self.numbers],
            self.dataset.name,
            features.names,
            features.preprocess == "standard",
        )


def prepared(
    dataset: Dataset, *, validation: float, test: float, seed: int, unknown: str
) -> Prepared:
    """Divide the rows, learn the preparation from those for training, and apply it to all.

    A category that only validation or test rows have counts as none of those known, with a
    warning: what a rare category does must not depend on the seed.

    Raises:
        ParameterError: the shares leave no rows to train on.
        DataError: the data cannot be used; nothing has been written.
    """
    rows = divided(dataset, validation=validation, test=test, seed=seed)
    features = dataset.fit_features(rows["training"], unknown=unknown)  # type: ignore[arg-type]
    target = dataset.fit_target(rows["training"])
    if dataset.task == "classification":
        known = dataset.fit_target()
        if len(target.classes) < len(known.classes):
            lost = next(c for c in known.classes if c not in target.classes)
            what = (
                f"class {lost!r} is in none of the {plural(len(rows['training']), 'training row')}"
            )
            hint = f"Hold out fewer rows or merge classes{known.or_regression}"
            raise DataError(what, where=dataset.name, hint=hint)
    parts = {}
    for name, chosen in rows.items():
        loosely = None if name == "training" else "ignore"
        X = dataset.inputs(features, chosen, unknown=loosely)  # type: ignore[arg-type]
        parts[name] = Part(X, dataset.targets(target, chosen))
    return Prepared(dataset, Preparation(features, target), parts, rows["training"])


def divided(dataset: Dataset, *, validation: float, test: float, seed: int) -> dict[str, Array]:
    """The rows of each part, a pure function of the arguments; every class gives its share.

    Raises:
        ParameterError: a share is not in [0, 1), or nothing is left to train on.
        DataError: a class has a single row, so it could not be in two parts.
    """
    problems = [
        f"{option} must be in [0, 1), got {share:g}"
        for option, share in (("--validation", validation), ("--test", test))
        if not 0 <= share < 1
    ]
    held = validation + test
    if not problems and held >= 1:
        problems.append(
            f"--validation {validation:g} and --test {test:g} leave no rows to train on"
        )
    if problems:
        raise ParameterError("; ".join(problems))
    n = len(dataset)
    shares = {
        name: share for name, share in zip(PARTS[1:], (validation, test), strict=True) if share
    }
    if not shares:
        return {"training": dataset.rows}
    strata = dataset.strata(tuple(shares))
    if n * min(shares.values()) < 1 or n - round(n * held) < 1:
        hint = "Say --validation 0 --test 0 to train on all of them"
        raise DataError(f"{plural(n, 'row')} are too few to hold some out", hint=hint)
    training, others = split(n, held, seed, strata)
    found = {"training": training}
    if len(shares) == 1:
        found |= dict.fromkeys(shares, others)
    else:
        labels = None if strata is None else strata[others]
        if labels is not None and np.unique(labels, return_counts=True)[1].min() < 2:
            labels = None  # a class with one row among these cannot be in both parts
        first, second = split(len(others), test / held, seed, labels)
        found |= {"validation": others[first], "test": others[second]}
    return {name: dataset.rows[chosen] for name, chosen in found.items()}
