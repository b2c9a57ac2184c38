"""`chainrule train`: a file of data in, a trained network and what it can do out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from chainrule.cli.options import Json, Seed, names
from chainrule.cli.reading import USUAL, Reading
from chainrule.errors import DivergenceError, ParameterError

if TYPE_CHECKING:
    from chainrule.cli.data import Prepared
    from chainrule.cli.network import Network
    from chainrule.io.dataset import Dataset
    from chainrule.training.result import Run

DATA = Group("Data", sort_key=1)
NETWORK = Group("Network and loss", sort_key=2)
UPDATES = Group("Training", sort_key=3)
LIMITS = Group("Against overfitting", sort_key=4)
RESULTS = Group("Results", sort_key=5)
INTERRUPTED = 130
Share = Annotated[float, Parameter(metavar="SHARE")]
Number = Annotated[float | None, Parameter(metavar="X")]


@Parameter(name="*", group=DATA)
@dataclass(frozen=True)
class Data:
    """What is learned from.

    Args:
        target: The column to predict. Images bring their labels.
        task: Text, and whole numbers that repeat, are classes, other numbers a regression (auto).
        leave_out: Columns that are no features, such as names and row numbers.
        missing: What missing cells get: drop their rows, the mean, or the mean and a flag.
        unknown: What a category gets at prediction that training never had: ignore gives zeros.
        validation: Share of the rows that is watched during training, 0 for none.
        test: Share of the rows that is kept for the end, 0 for none.
    """

    target: Annotated[str | None, Parameter(metavar="COLUMN")] = None
    task: Literal["auto", "classification", "regression"] = "auto"
    leave_out: Annotated[str | None, Parameter(metavar="COLUMN,…")] = None
    missing: Literal["error", "drop", "mean", "flag"] = "error"
    unknown: Literal["error", "ignore"] = "error"
    validation: Share = 0.1
    test: Share = 0.2


@Parameter(name="*", group=NETWORK)
@dataclass(frozen=True)
class Shape:
    """What is trained.

    Args:
        hidden: Units of each hidden layer; "none" for a linear model.
        activation: Of the hidden layers: relu, sigmoid, tanh, gelu, … (`chainrule ops`).
        loss: Default: cross_entropy for classes, mse for numbers.
        dropout: Share of hidden values that training leaves out.
    """

    hidden: Annotated[str, Parameter(metavar="N,N")] = "128"
    activation: Annotated[str, Parameter(metavar="NAME")] = "relu"
    loss: Annotated[str | None, Parameter(metavar="NAME")] = None
    dropout: Annotated[float, Parameter(metavar="P", group=LIMITS)] = 0.0


@Parameter(name="*", group=UPDATES)
@dataclass(frozen=True)
class Updates:
    """How it is trained.

    Args:
        optimizer: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw, or with options:
            adam:beta1=0.8,eps=1e-6.
        lr: Learning rate; a first try that suits the optimizer if not given.
        momentum: For sgd, momentum and nesterov.
        schedule: How the rate changes: cosine, step:drop=0.5,every=10, one_cycle, plateau, …
        batch_size: Rows in each update: 1 is stochastic, all is gradient descent (default: 32).
        epochs: Passes over the rows; enough updates for the data if not given.
        clip_norm: Scale gradients down to this norm.
        patience: Stop after so many epochs without improvement and keep the best.
        l2: Adds l2/2 · Σw² to the loss.
        weight_decay: Shrinks weights outside of the gradient.
    """

    optimizer: Annotated[str, Parameter(metavar="NAME")] = "adam"
    lr: Number = None
    momentum: Number = None
    schedule: Annotated[str | None, Parameter(metavar="TEXT")] = None
    batch_size: Annotated[str | None, Parameter(metavar="N|all")] = None
    epochs: Annotated[int | None, Parameter(metavar="N")] = None
    clip_norm: Number = None
    patience: Annotated[int | None, Parameter(metavar="N", group=LIMITS)] = None
    l2: Annotated[float, Parameter(metavar="X", group=LIMITS)] = 0.0
    weight_decay: Annotated[float, Parameter(metavar="X", group=LIMITS)] = 0.0


@Parameter(name="*", group=RESULTS)
@dataclass(frozen=True)
class Results:
    """Where it goes.

    Args:
        out: The run directory; runs/DATA-1, runs/DATA-2, … if not given.
        overwrite: Replace the run in --out.
        quiet: No progress.
    """

    out: Annotated[Path | None, Parameter(metavar="RUN_DIR")] = None
    overwrite: bool = False
    quiet: bool = False


def train(
    source: Annotated[str, Parameter(name="DATA")],
    /,
    *,
    data: Data = Data(),
    shape: Shape = Shape(),
    updates: Updates = Updates(),
    seed: Annotated[Seed, Parameter(group=UPDATES)] = 0,
    threads: Annotated[int | None, Parameter(metavar="N", group=UPDATES)] = None,
    results: Results = Results(),
    json: Annotated[Json, Parameter(group=RESULTS)] = False,
    reading: Reading = USUAL,
) -> int:
    """Train a network on data and say how good it is on rows that it did not train on.

    DATA is digits (1797 handwritten digits that come with chainrule), a CSV, a .npz with X and y,
    a .npy, or images in MNIST's format with the labels beside them, gzipped or not. Preparation is
    learned from the training rows and kept with the network. Ctrl-C keeps what was learned so far.

        chainrule train digits
        chainrule train flowers.csv --target species --hidden 16 --epochs 100
        chainrule train houses.csv --target price --missing flag --loss huber

    Args:
        source: digits or a file.
        seed: Fixes division, initial weights and order of rows: same seed, same result.
        threads: How many threads to use; as many as pay if not given. The result is the same.
    """
    from chainrule.cli import network as choices
    from chainrule.cli.output import note, show, show_json
    from chainrule.cli.summary import outcome, page
    from chainrule.training.diverged import reworded

    hidden, batch = choices.hidden_units(shape.hidden), choices.batch(updates.batch_size)
    ready = _ready(source, data, reading, seed)
    net = choices.network(
        inputs=ready.parts["training"].X.shape[1],
        classes=len(ready.preparation.classes),
        hidden=hidden,
        activation=shape.activation,
        loss=shape.loss,
        dropout=shape.dropout,
    )
    place = results.out or _next_directory(source)
    asked = _asked(ready, net, data, shape, updates, seed, reading)
    try:
        run = _trained(ready, net, updates, batch, seed, threads, results, place, asked)
    except DivergenceError as error:
        words = {"kept": repr(str(place)), "lr": "--lr", "clip_norm": "--clip-norm"}
        raise reworded(error, **words) from error
    found = outcome(run, ready, net, source, place)
    if not results.quiet:
        note("")
    if run.interrupted:
        after = "1 epoch" if len(run.history) == 1 else f"{len(run.history)} epochs"
        note(f"interrupted in step {run.steps + 1}, after {after}: what was learned is saved")
    show_json(found) if json else show(page(found))
    return INTERRUPTED if run.interrupted else 0


def _ready(source: str, data: Data, reading: Reading, seed: int) -> Prepared:
    """The data, read and prepared."""
    from chainrule.cli.data import prepared
    from chainrule.io.load import load

    dataset = load(
        source,
        target=data.target,
        task=None if data.task == "auto" else data.task,
        leave_out=names(data.leave_out, "--leave-out") or (),
        missing=data.missing,
        **reading.csv(),
    )
    _refuse_unused(dataset, data)
    return prepared(
        dataset,
        validation=data.validation,
        test=data.test,
        seed=seed,
        unknown=data.unknown,
    )


def _refuse_unused(dataset: Dataset, data: Data) -> None:
    """Raise a ParameterError for options that would change nothing: they were meant to."""
    problems = []
    if dataset.image_shape and data.target not in (None, dataset.target):
        problems.append(f"--target {data.target!r}: images bring their labels")
    if dataset.table is None and data.leave_out is not None:
        problems.append("--leave-out is for tables")
    if dataset.table is None and data.missing != "error":
        problems.append("--missing is for tables")
    if data.task not in ("auto", dataset.task):
        problems.append(f"--task {data.task}: {dataset.name} holds classes")
    if problems:
        raise ParameterError("; ".join(problems))


def _trained(
    ready: Prepared,
    net: Network,
    updates: Updates,
    batch_size: int | str | None,
    seed: int,
    threads: int | None,
    results: Results,
    place: Path,
    asked: dict[str, Any],
) -> Run:
    """The trained network, which is written to `place`."""
    from chainrule.cli import network as choices
    from chainrule.training.training import train as train_network

    rows = ready.parts["training"]
    regression = ready.preparation.target.task == "regression"
    rule = choices.optimizer(
        updates.optimizer, lr=updates.lr, momentum=updates.momentum, regression=regression
    )
    return train_network(
        net.definition,
        rows.X,
        rows.y,
        loss=net.loss,
        optimizer=rule,
        schedule=updates.schedule,
        batch_size=batch_size,  # type: ignore[arg-type]
        epochs=choices.epochs_for(len(rows.y), batch_size)
        if updates.epochs is None
        else updates.epochs,
        seed=seed,
        validation=tuple(ready.parts["validation"]) if "validation" in ready.parts else None,  # type: ignore[arg-type]
        l2=updates.l2,
        weight_decay=updates.weight_decay,
        clip_norm=updates.clip_norm,
        early_stopping=updates.patience,
        progress="off" if results.quiet else "auto",
        threads=threads,
        run_dir=place,
        overwrite=results.overwrite,
        preprocessing=ready.preparation.text(),
        source={"name": ready.dataset.name, "sha256": ready.dataset.sha256, "seed": str(seed)},
        options=asked,
        origin=ready.origin,
    )


def _asked(
    ready: Prepared,
    net: Network,
    data: Data,
    shape: Shape,
    updates: Updates,
    seed: int,
    reading: Reading,
) -> dict[str, Any]:
    """The options of this training by name, with what was chosen where they left it open."""
    given = {**asdict(data), **asdict(shape), **asdict(updates), "seed": seed, **asdict(reading)}
    target = ready.preparation.target
    chosen = {**given, "target": target.name, "task": target.task, "loss": net.loss}
    return {name: value for name, value in chosen.items() if value is not None}


def _next_directory(source: str) -> Path:
    """runs/NAME-1, or the first number that is free."""
    stem = Path(source).name.split(".")[0]
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in stem) or "data"
    number = 1
    while (place := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return place
