"""What `Classifier` and `Regressor` share: rows in, a trained network, outputs for rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.estimators.contract import Estimator
from chainrule.estimators.learning import BATCH_SIZE, Examples, held_out, learn, outputs_of
from chainrule.estimators.options import Options, read
from chainrule.estimators.rows import (
    Scale,
    Weights,
    check_length,
    features,
    standardised,
    warn_of_scales,
    weights_of,
)
from chainrule.estimators.targets import Labels, Numbers
from chainrule.io.arrays import frame_columns
from chainrule.ops import Op
from chainrule.training import EarlyStopping, Optimizer, Schedule

Array = NDArray[Any]
RandomState = int | np.random.RandomState | np.random.Generator | None

Coding = TypeVar("Coding", bound=Labels | Numbers)


class Network(Estimator, ABC, Generic[Coding]):
    """A multilayer perceptron that is trained on rows; what it predicts is for others to say."""

    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_iter_: int
    loss_curve_: list[float]
    history_: list[dict[str, float]]
    params_: dict[str, Array]
    X_mean_: NDArray[np.float64] | None
    X_std_: NDArray[np.float64] | None
    activation_: str

    def __init__(
        self,
        hidden: Sequence[int] = (32,),
        activation: str | Op = "relu",
        optimizer: str | Optimizer = "adam",
        learning_rate: float | None = None,
        batch_size: int | Literal["all"] = BATCH_SIZE,
        epochs: int = 20,
        l2: float = 0.0,
        dropout: float = 0.0,
        validation: float | tuple[Any, ...] | None = None,
        early_stopping: int | EarlyStopping | None = None,
        schedule: str | Schedule | None = None,
        preprocess: Literal["standard"] | None = "standard",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.l2 = l2
        self.dropout = dropout
        self.validation = validation
        self.early_stopping = early_stopping
        self.schedule = schedule
        self.preprocess = preprocess
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows.

        Args:
            X: features (n_samples, n_features): an array, nested lists or a data frame.
            y: one target for each row.
            sample_weight: how much each row counts (n_samples,); rows of weight 0 are left out.

        Raises:
            ParameterError: naming every parameter that is wrong; or a weight that is.
            DataError, ShapeError, DTypeError: what is wrong with X or y, and where.
            DivergenceError: training left the finite numbers.
        """
        options = read(vars(self))
        names = frame_columns(X)
        rows = features(X, estimator=self._name)
        y = self._checked(y)
        check_length(y, len(rows))
        weights = self._weighted(options, y, weights_of(sample_weight, len(rows)))
        training = Examples(rows, y, weights).that_count()
        validation: Examples | None = None
        target = self._coding(y, training)
        if isinstance(options.validation, tuple):
            validation = self._validation(options.validation, names, rows.shape[1])
        elif options.validation is not None:
            labels = training.y if isinstance(target, Labels) else None
            share, seed = options.validation, options.random_state
            training, validation = held_out(training, share, seed, labels)
            target = self._coding(y, training)
        warn_of_scales(training.X, names, standardise=options.preprocess is not None)
        self._train(options, training, validation, target, names)
        return self

    def _validation(
        self, given: tuple[Any, ...], names: Sequence[str] | None, n_features: int
    ) -> Examples:
        """Rows that the caller holds out: (X, y)."""
        place = "validation "
        rows = features(
            given[0], names=names, n_features=n_features, name=f"{place}X", estimator=self._name
        )
        y = self._checked(given[1], f"{place}y")
        check_length(y, len(rows), place)
        return Examples(rows, y)

    def _train(
        self,
        options: Options,
        training: Examples,
        validation: Examples | None,
        target: Coding,
        names: Sequence[str] | None,
    ) -> None:
        """Train on rows in the user's terms, and keep what was learned."""
        scale = Scale.of(training.X, training.weights) if options.preprocess else None

        def as_seen(examples: Examples) -> Examples:
            X = standardised(examples.X, scale, names)
            return Examples(X, target.encode(examples.y), examples.weights, examples.numbers)

        held = as_seen(validation) if validation is not None else None
        run = learn(options, as_seen(training), held, target, names or ())
        vars(self).pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = training.X.shape[1]
        self.X_mean_ = scale.mean if scale else None
        self.X_std_ = scale.std if scale else None
        self.activation_ = options.activation
        self.params_ = run.params
        self.history_ = run.history
        self.loss_curve_ = [entry["loss"] for entry in run.history]
        self.n_iter_ = len(run.history)
        self._keep(target)
        self.seed_ = options.random_state

    def _outputs(self, X: Any, loss: str) -> tuple[Array, Array | None]:
        """What the network puts out for rows, and that as probabilities."""
        self._require_fitted()
        names = getattr(self, "feature_names_in_", None)
        rows = features(X, names=names, n_features=self.n_features_in_, estimator=self._name)
        scale = None
        if self.X_mean_ is not None and self.X_std_ is not None:
            scale = Scale(self.X_mean_, self.X_std_)
        rows = standardised(rows, scale, names)
        return outputs_of(self.params_, self.activation_, loss, rows)

    @abstractmethod
    def _checked(self, y: Any, name: str = "y") -> Array:
        """The target as an array that can be used."""

    @abstractmethod
    def _weighted(self, options: Options, y: Array, weights: Weights | None) -> Weights | None:
        """The weights of the rows, None if all count the same."""

    @abstractmethod
    def _coding(self, y: Array, training: Examples) -> Coding:
        """How the network sees the target; y are all rows, `training` those that are trained on."""

    @abstractmethod
    def _keep(self, target: Coding) -> None:
        """Set the attributes that prediction needs to give the user's terms."""
