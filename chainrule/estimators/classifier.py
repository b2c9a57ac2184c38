"""`Classifier`: labels from features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ParameterError
from chainrule.estimators.learning import BATCH_SIZE, Examples
from chainrule.estimators.network import Network, RandomState
from chainrule.estimators.options import Options
from chainrule.estimators.rows import Weights, check_length, weights_of
from chainrule.estimators.targets import Labels, check_labels, class_weights
from chainrule.io.arrays import Floats
from chainrule.ops import Op
from chainrule.training import EarlyStopping, Optimizer, Schedule

Array = NDArray[Any]


class Classifier(Network[Labels]):
    """A classifier with the contract of scikit-learn: a multilayer perceptron.

    With two classes the network has one output, the logit of the second class, and is trained with
    binary cross-entropy; with more it has one for each class and softmax cross-entropy. Without
    hidden layers that is logistic regression. Parameters are checked at `fit`, all at once.

    Args:
        hidden: units of each hidden layer; () for none.
        activation: of the hidden layers: "relu", "tanh", "sigmoid", …
        optimizer: an update rule such as ``cr.Adam()``, or its text form.
        learning_rate: None for that of the optimizer, 0.01 if only its name is given.
        batch_size: rows in each step, or "all". At most all rows are taken.
        epochs: passes over the rows.
        l2: λ₂ of the penalty λ₂/2 Σw² on the weights (not on biases), added to the mean loss.
        dropout: share of each hidden layer's values that training leaves out, in [0, 1).
        validation: the share of the rows to measure on after each epoch and not to train on, of
            each class alike; or such rows: (X, y). They all count the same.
        early_stopping: epochs without improvement of the validation loss (of the training loss if
            there is no validation) after which training stops and the best weights are taken.
        schedule: of the learning rate, such as "cosine".
        preprocess: "standard" gives every feature mean 0 and standard deviation 1 over the rows
            trained on; None leaves them as they are.
        random_state: a seed, or NumPy's RandomState or Generator to draw one from; None for a fresh
            one. The same seed gives the same model.
        verbose: above 0 shows progress.
        class_weight: a weight for each label, or "balanced"; multiplies `sample_weight`.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_, feature_names_in_: of the rows fitted on; names if they were a data frame.
        params_: the weights by name, W_1 (n_features, n_units), b_1 (n_units,), W_2, …
        X_mean_, X_std_: (n_features,) what is subtracted and divided by first, None without
            preprocessing.
        history_: one dict for each epoch: loss, metrics, learning rate, seconds.
        loss_curve_, n_iter_: the loss after each epoch, and how many there were.
        seed_: fit again with this as random_state for the same model.

    Sums, means and steps are in float32 if X is float32, else in float64.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> model = Classifier(hidden=(), learning_rate=0.1, epochs=50, random_state=0).fit(X, y)
    >>> model.predict([[-1.0], [4.0]])
    array(['low', 'high'], dtype='<U4')
    """

    _estimator_type: ClassVar[str] = "classifier"
    classes_: Array

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
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
    ) -> None:
        super().__init__(
            hidden,
            activation,
            optimizer,
            learning_rate,
            batch_size,
            epochs,
            l2,
            dropout,
            validation,
            early_stopping,
            schedule,
            preprocess,
            random_state,
            verbose,
        )
        self.class_weight = class_weight

    def predict(self, X: Any) -> Array:
        """The label of each row (n_samples,).

        Raises:
            NotFittedError: `fit` was not called.
            DataError, ShapeError, DTypeError: what is wrong with X, and where.
        """
        found = self.predict_proba(X)
        labels: Array = self.classes_[found.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class (n_samples, n_classes), in the order of `classes_`.

        Raises: as `predict`.
        """
        self._require_fitted()
        found = self._outputs(X, Labels(self.classes_).loss)[1]
        assert found is not None, "both losses of labels read outputs as probabilities"
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the share of rows (by weight) whose label is predicted.

        Raises: as `predict`; ShapeError if X and y differ in length; ParameterError for weights.
        """
        predicted = self.predict(X)
        labels = self._checked(y)
        check_length(labels, len(predicted))
        hits = [a == b for a, b in zip(predicted.tolist(), labels.tolist(), strict=True)]
        return float(np.average(hits, weights=weights_of(sample_weight, len(hits))))

    def _checked(self, y: Any, name: str = "y") -> Array:
        return check_labels(y, self._name, name)

    def _weighted(self, options: Options, y: Array, weights: Weights | None) -> Weights | None:
        if options.class_weight is None:
            return weights
        by_class = class_weights(options.class_weight, y, weights)
        combined = by_class if weights is None else by_class * weights
        if not combined.any():
            raise ParameterError("sum of weights is 0: class_weight leaves no row to learn from")
        return combined

    def _coding(self, y: Array, training: Examples) -> Labels:
        return Labels.of(y, training.y)

    def _keep(self, target: Labels) -> None:
        self.classes_ = target.classes
