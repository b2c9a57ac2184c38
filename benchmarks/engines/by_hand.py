"""NumPy as one writes it by hand: chainrule/cli/by_hand.py, which `chainrule bench` uses too."""

from __future__ import annotations

from benchmarks.engines import NotExpressible, Run
from benchmarks.workloads import Problem
from chainrule.cli.by_hand import Perceptron


def prepare(problem: Problem, threads: int) -> Run:
    """The network of `problem`; float64 if its arrays are."""
    w = problem.workload
    loss: str = w.loss
    lr, scale = w.lr, 1.0
    if w.output == "sigmoid":
        # By hand there is σ with ½ mse: with twice the rate the same step of SGD, bit for bit.
        if (w.loss, w.rule) != ("mse", "sgd"):
            raise NotExpressible("σ outputs are written with mse and SGD only")
        loss, lr, scale = "half_mse", 2 * w.lr, 2.0
    network = Perceptron(problem.start, w.activation, loss, w.rule, lr)
    X, y = problem.X, problem.y_rows

    def run(start: int, steps: int) -> list[float]:
        if w.full:
            return [scale * network.step(X, y) for _ in range(steps)]
        order = problem.order.rows(start, steps)
        return [scale * network.step(X[rows], y[rows]) for rows in order]

    return run
