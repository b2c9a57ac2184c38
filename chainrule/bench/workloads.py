"""What is trained in the benchmarks: networks as data, and the rows and weights they begin with.

Everything is drawn from `chainrule.run.keyed`, so every engine starts from the same weights and
sees the same rows in the same order, whichever process it runs in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.run import keyed

Floats = NDArray[np.floating[Any]]
Array = NDArray[Any]

SEED = 0
REACH_GFLOPS = 2 * 231.0  # the peak of the machine that the goals were set for
# Root mean square of a pixel of MNIST scaled to [0, 1]: √(0.1307² + 0.3081²) = 0.335.
PIXEL = np.float32(1 / 3)
# Variance of a weight times its fan-in: He et al. 2015 for relu, LeCun et al. 1998 for the others.
GAIN = {"relu": 2.0, "sigmoid": 1.0, "tanh": 1.0}


@dataclass(frozen=True)
class Workload:
    """A network, how it is trained, and on how much.

    Attributes:
        widths: inputs, units of the hidden layers, outputs.
        activation: of the hidden layers.
        output: activation of the last layer, "" for none.
        loss: mse is (1/m) ‖ŷ − y‖², on one-hot rows if there are classes; cross_entropy is the
            mean over the examples, on labels.
        rule: sgd, or adam with β₁ = 0.9, β₂ = 0.999, ε = 1e-8 (Kingma & Ba 2015, algorithm 1).
        rows: examples in the data set; a multiple of `batch`.
        data: images: numbers as large as MNIST's pixels; digits: the bundled ones; table: standard
            normal columns. The targets of images and tables follow from a linear map of the row.
        steps: training steps in one call of an engine; a multiple of the steps of an epoch.
        reach_us: microseconds per step that the compiled engine is to reach with two cores of
            REACH_GFLOPS together.
    """

    name: str
    widths: tuple[int, ...]
    activation: str
    output: str
    loss: Literal["mse", "cross_entropy"]
    rule: Literal["sgd", "adam"]
    lr: float
    batch: int
    rows: int
    data: Literal["images", "digits", "table"]
    steps: int
    reach_us: float = 0.0

    def __post_init__(self) -> None:
        if self.rows % self.batch or self.steps % self.steps_per_epoch:
            raise ValueError(f"{self.name}: a call is whole epochs, an epoch is whole batches")

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the rows."""
        return self.rows // self.batch

    @property
    def full(self) -> bool:
        """Whether every step takes all rows, in their own order: there is nothing to gather."""
        return self.batch == self.rows

    @property
    def classes(self) -> bool:
        """Whether the targets are labels (one-hot rows for mse) rather than numbers."""
        return self.widths[-1] > 1

    @property
    def flop(self) -> float:
        """Multiplications and additions of the products of one step.

        Each layer has three of 2·m·n·k (forward, gradient of the weights, gradient of the input),
        the first layer two, for its input needs no gradient.
        """
        products = [
            (2 if i == 0 else 3) * 2.0 * self.batch * n * k
            for i, (n, k) in enumerate(zip(self.widths, self.widths[1:], strict=False))
        ]
        return sum(products)


def _workload(name: str, widths: Iterable[int], activation: str, *rest: Any) -> Workload:
    return Workload(name, tuple(widths), activation, *rest)


DEEP = (64, *[64] * 20, 10)
WORKLOADS = {
    workload.name: workload
    for workload in (
        _workload("nielsen_b10", (784, 30, 10), "sigmoid",
                  "sigmoid", "mse", "sgd", 1.5, 10, 6400, "images", 640, 10.0),
        _workload("mnist_b128", (784, 128, 10), "relu",
                  "", "cross_entropy", "adam", 1e-3, 128, 12800, "images", 100, 145.0),
        _workload("wide_b256", (784, 1024, 1024, 10), "relu",
                  "", "cross_entropy", "adam", 3e-4, 256, 6400, "images", 25, 6400.0),
        _workload("tabular_b32", (32, 64, 64, 1), "tanh",
                  "", "mse", "adam", 1e-3, 32, 6400, "table", 200, 9.0),
        _workload("sgd_b1", (784, 30, 10), "sigmoid",
                  "sigmoid", "mse", "sgd", 0.1, 1, 6400, "images", 6400, 2.0),
        _workload("digits_full", (64, 32, 10), "relu",
                  "", "cross_entropy", "sgd", 0.5, 1797, 1797, "digits", 32, 60.0),
        _workload("deep_b64", DEEP, "relu",
                  "", "cross_entropy", "adam", 1e-4, 64, 6400, "table", 100, 125.0),
    )
}  # fmt: skip


@dataclass
class Order:
    """Which rows each step takes: `keyed.permutation` of every epoch, cut into batches."""

    workload: Workload
    epochs: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def rows(self, start: int, steps: int) -> NDArray[np.int64]:
        """Row numbers of `steps` steps from number `start` (from 0): (steps, batch).

        Both are multiples of the steps of an epoch. Epochs are kept, so that asking beforehand
        takes the drawing out of what is timed.
        """
        length, w = self.workload.steps_per_epoch, self.workload
        wanted = range(start // length, (start + steps) // length)
        for epoch in wanted:
            if epoch not in self.epochs:
                drawn = np.arange(w.rows) if w.full else keyed.permutation(SEED, epoch, w.rows)
                self.epochs[epoch] = drawn.reshape(length, w.batch)
        self.epochs = {epoch: self.epochs[epoch] for epoch in wanted}
        return np.concatenate([self.epochs[epoch] for epoch in wanted])


@dataclass(frozen=True)
class Problem:
    """A workload with its rows and first weights.

    Attributes:
        X: (rows, inputs).
        y: labels (rows,) of int64, or numbers (rows, outputs).
        start: W_1 (inputs, units), b_1 (units,), W_2 …
    """

    workload: Workload
    X: Floats
    y: Array
    start: dict[str, Floats]
    order: Order

    @property
    def y_rows(self) -> Array:
        """The targets as the loss compares them: labels for cross-entropy, else rows of floats."""
        if self.workload.loss == "cross_entropy" or self.y.ndim == 2:
            return self.y
        return np.eye(self.workload.widths[-1], dtype=self.X.dtype)[self.y]

    @property
    def layers(self) -> int:
        """How many pairs of weights and biases there are."""
        return len(self.workload.widths) - 1

    def astype(self, dtype: Any) -> Problem:
        """The same numbers in another float type."""
        y = self.y if self.y.ndim == 1 else self.y.astype(dtype)
        start = {name: value.astype(dtype) for name, value in self.start.items()}
        return replace(self, X=self.X.astype(dtype), y=y, start=start)

    def save(self, path: Path) -> None:
        """Write the arrays as .npz."""
        np.savez(path, X=self.X, y=self.y, **self.start)  # type: ignore[arg-type]


def problem_of(workload: Workload) -> Problem:
    """Draw rows, targets and first weights, in float32."""
    X, y = _data(workload)
    return Problem(workload, X, y, _start(workload), Order(workload))


def load(workload: Workload, path: Path) -> Problem:
    """Read what `Problem.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        values = dict(arrays.items())
    return Problem(workload, values.pop("X"), values.pop("y"), values, Order(workload))


def _data(workload: Workload) -> tuple[Floats, Array]:
    n, k, rows = workload.widths[0], workload.widths[-1], workload.rows
    if workload.data == "digits":
        from chainrule.io.load import load as load_digits

        digits = load_digits("digits")
        return np.asarray(digits.X, np.float32)[:rows], np.asarray(digits.y, np.int64)[:rows]
    X = keyed.normal(SEED, "check", 0, (rows, n), np.float32)
    truth = X @ keyed.normal(SEED, "check", 1, (n, k), np.float32)
    if workload.data == "images":
        X *= PIXEL
    if not workload.classes:
        return X, np.tanh(truth / truth.std()).astype(np.float32)
    return X, truth.argmax(axis=1)


def _start(workload: Workload) -> dict[str, Floats]:
    start: dict[str, Floats] = {}
    for i, (n, k) in enumerate(zip(workload.widths, workload.widths[1:], strict=False), 1):
        spread = np.float32((GAIN[workload.activation] / n) ** 0.5)
        start[f"W_{i}"] = spread * keyed.normal(SEED, "init", 0, (n, k), np.float32, stream=i)
        start[f"b_{i}"] = np.zeros(k, np.float32)
    return start
