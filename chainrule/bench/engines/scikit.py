"""scikit-learn's MLP: `partial_fit` on the rows of an epoch in order, which is its inner loop."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from chainrule.bench.engines import NotExpressible, Run
from chainrule.bench.workloads import Problem


def prepare(problem: Problem, threads: int) -> Run:
    """An MLP that starts from the weights of `problem`.

    `partial_fit` makes one pass in batches, in the order of the rows unless told to shuffle, and
    tells the mean loss of the pass.
    """
    w = problem.workload
    if w.output:
        raise NotExpressible("no sigmoid output with a squared loss")
    if w.loss == "mse" and (w.rule, w.widths[-1]) != ("adam", 1):
        raise NotExpressible("its squared loss is ½ of ours, a mean over outputs too")
    kind = MLPRegressor if w.loss == "mse" else MLPClassifier
    model = kind(
        hidden_layer_sizes=w.widths[1:-1],
        activation="logistic" if w.activation == "sigmoid" else w.activation,
        solver=w.rule,
        alpha=0.0,
        batch_size=w.batch,
        learning_rate_init=w.lr,
        momentum=0.0,
        shuffle=False,
    )
    X, y = problem.X, problem.y.ravel()
    more = {} if w.loss == "mse" else {"classes": np.arange(w.widths[-1])}
    warnings.simplefilter("ignore")  # that the first batch has fewer rows than batch_size
    model.partial_fit(X[:1], y[:1], **more)  # makes the arrays
    for i in range(problem.layers):
        model.coefs_[i][...] = problem.start[f"W_{i + 1}"]
        model.intercepts_[i][...] = problem.start[f"b_{i + 1}"]
    del model._optimizer  # remembers that first step; the next call makes a new one
    # ½ (ŷ − y)² has half of our gradient, which Adam divides out again.
    scale = 2.0 if w.loss == "mse" else 1.0

    def run(start: int, steps: int) -> list[float]:
        losses = []
        for epoch in np.split(problem.order.rows(start, steps), steps // w.steps_per_epoch):
            rows = epoch.ravel()
            model.partial_fit(*((X, y) if w.full else (X[rows], y[rows])))
            losses.append(scale * float(model.loss_))
        return losses

    return run
