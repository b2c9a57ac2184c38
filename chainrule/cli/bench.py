"""`chainrule bench`: what a training step costs here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.cli.options import Json
from chainrule.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 2000  # enough that an epoch is long against the clock, small enough for the cache
AGREE = 1e-6  # relative, after all epochs in float64: the same steps, rounded differently


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained.

    Attributes:
        widths: inputs, units of the hidden layers, outputs.
        output: activation of the last layer, "" for none.
    """

    name: str
    widths: tuple[int, ...]
    activation: str
    output: str
    loss: str
    rule: str
    lr: float
    batch: int


WORKLOADS = (
    Workload("nielsen_b10", (784, 30, 10), "sigmoid", "sigmoid", "half_mse", "sgd", 0.5, 10),
    Workload("digits_b32", (64, 128, 10), "relu", "", "cross_entropy", "adam", 1e-3, 32),
    Workload("tabular_b32", (32, 64, 64, 1), "tanh", "", "mse", "adam", 1e-3, 32),
)


def bench(*, epochs: Annotated[int, Parameter(metavar="N")] = 5, json: Json = False) -> int:
    """Time a training step against NumPy written by hand.

    Both start from the same weights and see the same rows in the same order, an epoch of one after
    an epoch of the other. If the final losses differ the figures are void and the exit code is 1.

    Args:
        epochs: Epochs of 2,000 rows for each; the medians of their steps are shown.
    """
    from chainrule.cli.output import show, show_json, table

    if epochs < 1:
        raise ParameterError(f"--epochs must be a whole number ≥ 1, got {epochs}")
    found = [measure(workload, epochs) for workload in WORKLOADS]
    if json:
        show_json(found)
    else:
        head = ["workload", "chainrule µs/step", "NumPy by hand µs/step", "ratio", "final loss", ""]
        show(table(head, [_row(line) for line in found], range(1, 5)))
        show("\nratio: time of the reference executor over that of NumPy written by hand")
    return 0 if all(line["agrees"] for line in found) else 1


def _row(line: dict[str, Any]) -> list[str]:
    times = [f"{line[f'{engine}_us_per_step']:.1f}" for engine in ("chainrule", "numpy")]
    verdict = "same loss" if line["agrees"] else "VOID: the losses differ"
    return [line["workload"], *times, f"{line['ratio']:.2f}", f"{line['final_loss']:.6f}", verdict]


def measure(workload: Workload, epochs: int) -> dict[str, Any]:
    """Microseconds per step of both, and whether their losses agree."""
    import statistics

    from chainrule.cli.by_hand import Perceptron
    from chainrule.nn import mlp
    from chainrule.training.data import batches
    from chainrule.training.loop import EpochView
    from chainrule.training.optimizers import Optimizer
    from chainrule.training.runners import fast_at_once
    from chainrule.training.training import train

    X, y, labels = _data(workload)
    hand: Perceptron | None = None
    times: dict[str, list[float]] = {"chainrule": [], "numpy": []}
    losses: list[float] = []
    start = _start(workload)
    hand = Perceptron(start, workload.activation, workload.loss, workload.rule, workload.lr)

    def by_hand(view: EpochView) -> None:
        """After each epoch of chainrule, the same epoch by hand."""
        order = list(batches(ROWS, workload.batch, 0, view.epoch - 1))
        began = time.perf_counter()
        losses.append(hand.epoch(X, y, order))
        times["numpy"].append((time.perf_counter() - began) / len(order))
        times["chainrule"].append(view.metrics["seconds"] / len(order))

    net = mlp(list(workload.widths), workload.activation, workload.output or None)
    with fast_at_once():
        run = train(
            net,
            X,
            y if labels is None else labels,
            loss=workload.loss,
            optimizer=Optimizer(workload.rule, lr=workload.lr),
            batch_size=workload.batch,
            epochs=epochs,
            seed=0,
            start=start,
            callbacks=[by_hand],
            progress="off",
            metrics=(),
        )
    ours, theirs = run.history[-1]["loss"], losses[-1]
    medians = {engine: 1e6 * statistics.median(found) for engine, found in times.items()}
    return {
        "workload": workload.name,
        **{f"{engine}_us_per_step": value for engine, value in medians.items()},
        "ratio": medians["chainrule"] / medians["numpy"],
        "final_loss": ours,
        "final_loss_by_hand": theirs,
        "agrees": abs(ours - theirs) <= AGREE * abs(theirs),
    }


def _data(workload: Workload) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Rows, targets as the loss by hand takes them, and labels where chainrule is given those."""
    import numpy as np

    from chainrule.run import keyed

    X = keyed.normal(0, "check", 0, (ROWS, workload.widths[0]))
    truth = X @ keyed.normal(0, "check", 1, (workload.widths[0], workload.widths[-1]))
    if workload.widths[-1] == 1:
        return X, np.tanh(truth / truth.std()), None
    labels = truth.argmax(axis=1)
    if workload.loss == "cross_entropy":
        return X, labels, labels
    return X, np.eye(workload.widths[-1])[labels], labels


def _start(workload: Workload) -> dict[str, NDArray[Any]]:
    """The weights that both begin with."""
    import numpy as np

    from chainrule.run import keyed

    start: dict[str, NDArray[Any]] = {}
    for i, (n, k) in enumerate(zip(workload.widths, workload.widths[1:], strict=False), 1):
        start[f"W_{i}"] = keyed.normal(0, "init", 0, (n, k), stream=i) / n**0.5
        start[f"b_{i}"] = np.zeros(k)
    return start
