"""`Regressor`: numbers from features."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ShapeError
from chainrule.estimators.learning import Examples
from chainrule.estimators.network import Network
from chainrule.estimators.options import Options
from chainrule.estimators.rows import Scale, Weights, check_length, weights_of
from chainrule.estimators.targets import Numbers, check_numbers, columns
from chainrule.io.arrays import Floats
from chainrule.io.wording import plural

Array = NDArray[Any]


class Regressor(Network[Numbers]):
    """A regressor with the contract of scikit-learn: a multilayer perceptron, squared error.

    The network sees targets with mean 0 and standard deviation 1 over the rows trained on;
    predictions are in the user's units. Without hidden layers that is linear regression. y may have
    several columns: the network then has one output for each. Parameters are checked at `fit`, all
    at once.

    Args:
        hidden: units of each hidden layer; () for none.
        activation: of the hidden layers: "relu", "tanh", "sigmoid", …
        optimizer: an update rule such as ``cr.Adam()``, or its text form.
        learning_rate: None for that of the optimizer, 0.01 if only its name is given.
        batch_size: rows in each step, or "all". At most all rows are taken.
        epochs: passes over the rows.
        l2: λ₂ of the penalty λ₂/2 Σw² on the weights (not on biases), added to the mean loss.
        dropout: share of each hidden layer's values that training leaves out, in [0, 1).
        validation: the share of the rows to measure on after each epoch and not to train on; or
            such rows: (X, y). They all count the same.
        early_stopping: epochs without improvement of the validation loss (of the training loss if
            there is no validation) after which training stops and the best weights are taken.
        schedule: of the learning rate, such as "cosine".
        preprocess: "standard" gives every feature mean 0 and standard deviation 1 over the rows
            trained on; None leaves them as they are.
        random_state: a seed, or NumPy's RandomState or Generator to draw one from; None for a fresh
            one. The same seed gives the same model.
        verbose: above 0 shows progress.

    Attributes:
        n_features_in_, feature_names_in_: of the rows fitted on; names if they were a data frame.
        params_: the weights by name, W_1 (n_features, n_units), b_1 (n_units,), W_2, …
        X_mean_, X_std_: (n_features,) what is subtracted and divided by first, None without
            preprocessing.
        y_mean_, y_std_: (n_outputs,) the same for y, always.
        history_: one dict for each epoch: loss, metrics, learning rate, seconds; in standardised y.
        loss_curve_, n_iter_: the loss after each epoch, and how many there were.
        seed_: fit again with this as random_state for the same model.

    Sums, means and steps are in float32 if X is float32, else in float64.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [10.0, 30.0, 50.0, 70.0]
    >>> model = Regressor(hidden=(), learning_rate=0.1, epochs=200, random_state=0).fit(X, y)
    >>> model.predict([[4.0]]).round(1)
    array([90.])
    """

    _estimator_type: ClassVar[str] = "regressor"
    y_mean_: NDArray[np.float64]
    y_std_: NDArray[np.float64]
    y_is_flat_: bool

    def predict(self, X: Any) -> Floats:
        """The numbers that are predicted: (n_samples,), or (n_samples, n_outputs) as y was given.

        Raises:
            NotFittedError: `fit` was not called.
            DataError, ShapeError, DTypeError: what is wrong with X, and where.
        """
        values = self._outputs(X, Numbers.loss)[0]
        return Numbers(Scale(self.y_mean_, self.y_std_), self.y_is_flat_).decode(values)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R²: 1 − Σ(y − ŷ)² / Σ(y − mean of y)², by weight, averaged over outputs.

        A constant y scores 1 if it is met and 0 if not.

        Raises: as `predict`; ShapeError if X and y differ in shape; ParameterError for weights.
        """
        predicted = columns(self.predict(X)).astype(np.float64)
        wanted = columns(self._checked(y)).astype(np.float64)
        check_length(wanted, len(predicted))
        if wanted.shape != predicted.shape:
            given, known = wanted.shape[1], predicted.shape[1]
            raise ShapeError(f"y has {plural(given, 'output')}, the model predicts {known}")
        weights = weights_of(sample_weight, len(wanted))
        left = np.average(np.square(wanted - predicted), axis=0, weights=weights)
        spread = np.square(wanted - np.average(wanted, axis=0, weights=weights))
        total = np.average(spread, axis=0, weights=weights)
        constant = np.where(left == 0, 1.0, 0.0)
        varied = 1 - left / np.where(total == 0, 1.0, total)
        return float(np.where(total == 0, constant, varied).mean())

    def _checked(self, y: Any, name: str = "y") -> Array:
        return check_numbers(y, self._name, name)

    def _weighted(self, options: Options, y: Array, weights: Weights | None) -> Weights | None:
        return weights

    def _coding(self, y: Array, training: Examples) -> Numbers:
        return Numbers(Scale.of(columns(training.y), training.weights), y.ndim == 1)

    def _keep(self, target: Numbers) -> None:
        self.y_mean_, self.y_std_ = target.scale.mean, target.scale.std
        self.y_is_flat_ = target.flat
