"""`train`: what users call."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import BatchSizeWarning, DivergenceError, ParameterError
from chainrule.netfile import Definable, write_net
from chainrule.run.waiting import thread_count
from chainrule.training.data import Rows, features, float_type, split, weights_of
from chainrule.training.loop import Callback, Loop, Plan
from chainrule.training.metrics import chosen, told
from chainrule.training.optimizers import Optimizer
from chainrule.training.origin import Origin
from chainrule.training.parameters import axis_sizes, initial_values
from chainrule.training.progress import Mode, Progress
from chainrule.training.result import Run
from chainrule.training.rundir import RunDirectory
from chainrule.training.schedules import Schedule
from chainrule.training.settings import BatchSize, EarlyStopping, settings, stopping_of
from chainrule.training.step import Limits
from chainrule.training.targets import kind_of, labelled, targets
from chainrule.training.task import Task, task_of, with_weights
from chainrule.training.toml import Plain

Validation = float | tuple[object, object] | None


def train(
    net: Definable,
    X: object,  # (n_samples, n_features): examples are rows, whatever the definition says
    y: object,  # (n_samples,) labels 0, 1, …, or numbers; or (n_samples, n_outputs) numbers
    *,
    loss: str | None = None,  # "cross_entropy", "mse", …; None if the definition ends in one
    optimizer: str | Optimizer = "adam",  # or cr.Adam(1e-3), or "adam:lr=0.001"
    schedule: str | Schedule | None = None,  # "cosine", "step:drop=0.5,every=10", …
    batch_size: BatchSize | None = None,  # 1: stochastic, "all": gradient descent; None: 32
    epochs: int = 20,
    seed: int = 0,  # initial values, order of rows, dropout and the split are functions of it
    validation: Validation = None,  # a fraction of the rows, or (X, y)
    sample_weight: object = None,  # one for each row; multiplies its loss, as it is
    l1: float = 0.0,  # adds l1 · Σ|w| over weights (not biases) to the loss
    l2: float = 0.0,  # adds l2/2 · Σw²
    weight_decay: float = 0.0,  # w ← … − η · weight_decay · w, all parameters
    clip_norm: float | None = None,  # the norm of all gradients together at most
    clip_value: float | None = None,  # every entry of a gradient at most
    early_stopping: int | EarlyStopping | None = None,  # epochs without improvement to wait
    restore_best: bool = True,  # with early stopping: the weights of the best epoch
    metrics: Iterable[str] | None = None,  # None: accuracy, or r2 and mae
    callbacks: Iterable[Callback] = (),  # called with an EpochView; True stops
    progress: Mode = "auto",
    threads: int | None = None,  # None: as many as pay; the result is the same for any number
    dtype: object = None,  # None: float32 if X is, else float64
    sizes: Mapping[str, int] | None = None,  # of axes that nothing else tells
    start: Mapping[str, object] | None = None,  # values to begin with, by name
    run_dir: str | os.PathLike[str] | None = None,  # where to write the run
    overwrite: bool = False,  # replace a run that is there
    preprocessing: str = "",  # kept with the model as it is
    source: Mapping[str, str] | None = None,  # of the data: name, sha256, …; kept in run.toml
    options: Mapping[str, Plain] | None = None,  # what else was asked for; kept in run.toml
    origin: Origin | None = None,  # what messages call rows and columns; None: as X has them
) -> Run:
    """Train a network on data by following its own derivation.

    Labels become one-hot for a loss of real numbers (half_mse, …). Ctrl-C ends after a whole step.

    Raises:
        ParameterError: options outside of what they allow, an axis without a size.
        ShapeError, DTypeError, DataError: the data do not fit the network or each other.
        DivergenceError: a loss or weight is not finite; `error.run` holds the last that are.
        CheckpointError: `run_dir` holds a run already or cannot be written to.

    >>> from chainrule.nn import mlp
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> run = train(mlp([1, 1]), X, y, loss="mse", optimizer="sgd:lr=0.1", progress="off")
    >>> assert run.history[-1]["loss"] < 0.1
    """
    limits = Limits(l1, l2, weight_decay, clip_value, clip_norm)
    stop = stopping_of(early_stopping, restore_best)
    checked = settings(optimizer, schedule, batch_size, epochs, seed, stop, limits)
    task, start, sizes = task_of(net, loss), start or {}, sizes or {}
    task, rows, known = _prepared(task, X, y, sample_weight, sizes, start, dtype)
    rows, numbers, held_out = _split(task, rows, validation, seed, known)
    values = initial_values(task, known, start, seed, rows.X.dtype)
    _warn_if_cut(batch_size, len(rows))
    about = (known, chosen(task, metrics), preprocessing, dict(source or {}))
    plan = Plan(task, checked, rows, numbers, held_out, values, *about, origin or Origin.of(X))
    return _run(plan, threads, list(callbacks), progress, dict(options or {}), run_dir, overwrite)


Sizes = dict[str, int]


def _prepared(
    task: Task,
    X: object,
    y: object,
    sample_weight: object,
    given: Mapping[str, int],
    start: Mapping[str, object],
    dtype: object,
) -> tuple[Task, Rows, Sizes]:
    """The task with all that the data say about it, the rows, and the size of every known axis."""
    if sample_weight is not None and task.weights is None:
        task = with_weights(task)
    if sample_weight is None and task.weights is not None:
        what = f"{task.definition.name} weighs its examples ({task.weights.name})"
        raise ParameterError(what, hint="Give sample_weight")
    kind = float_type(X, dtype)
    inputs = features(X, task, kind)
    begun = [x for x in task.definition.inputs if x.name in start]
    shapes = [(x, np.asarray(start[x.name]).shape) for x in begun]
    sizes = axis_sizes(task, given, [(task.X, inputs.shape[1:]), *shapes])
    task = replace(task, kind=kind_of(task, labelled(y), sizes))
    wanted = targets(y, task, len(inputs), sizes, kind)
    sizes |= axis_sizes(task, sizes, [(task.y, wanted.shape[1:])])
    weights = None if sample_weight is None else weights_of(sample_weight, len(inputs), kind)
    return task, Rows(inputs, wanted, weights), sizes


def _split(
    task: Task, rows: Rows, validation: Validation, seed: int, sizes: Sizes
) -> tuple[Rows, NDArray[np.int64], Rows | None]:
    """The rows to train on, their numbers in the caller's data, and those held out."""
    everything = np.arange(len(rows))
    if validation is None:
        return rows, everything, None
    if isinstance(validation, tuple | list):
        if len(validation) != 2:
            raise ParameterError(f"validation needs X and y, got {len(validation)} parts")
        dtype = rows.X.dtype
        X = features(validation[0], task, dtype, "validation X")
        y = targets(validation[1], task, len(X), sizes, dtype, "validation y")
        weights = None if rows.weights is None else np.ones(len(X), dtype)
        return rows, everything, Rows(X, y, weights)
    if isinstance(validation, bool) or not isinstance(validation, int | float):
        what = f"validation must be a fraction, (X, y) or None, got {validation!r}"
        raise ParameterError(what)
    labels = None if task.kind == "numbers" or task.y.axes[1:] else told(task, rows.y)
    train_rows, held_out = split(len(rows), validation, seed, labels)
    return rows.take(train_rows), train_rows, rows.take(held_out)


def _warn_if_cut(batch_size: BatchSize | None, rows: int) -> None:
    if batch_size is not None and batch_size != "all" and batch_size > rows:
        what = f"batch_size {batch_size} is more than the {rows} rows: all are one batch"
        warnings.warn(what, BatchSizeWarning, stacklevel=3)


def _run(
    plan: Plan,
    threads: int | None,
    callbacks: list[Callback],
    progress: Mode,
    options: Mapping[str, Plain],
    run_dir: str | os.PathLike[str] | None,
    overwrite: bool,
) -> Run:
    """The training itself, with its run directory if there is to be one."""
    loop, directory = Loop(replace(plan, threads=thread_count(threads), soon=True)), None
    shown = Progress(plan.settings.epochs, plan.steps_per_epoch, mode=progress)
    if run_dir is not None:
        write_net(plan.task.definition)  # what cannot be saved is refused before the first step
        hint = "Nothing was trained: choose another directory"
        directory = RunDirectory.create(run_dir, overwrite=overwrite, hint=hint)
    try:
        run = _complete(loop.run(callbacks, shown, directory), options)
    except DivergenceError as error:
        error.run = _complete(error.run, options)
        if directory is not None:
            directory.finish(error.run)
        raise
    if directory is not None:
        directory.finish(run)
    return run


def _complete(run: Run, options: Mapping[str, Plain]) -> Run:
    """The run with what the loop does not know: the name of its loss, what else was asked for."""
    loss = {"loss": run.task.loss_name} if run.task.loss_name else {}
    return replace(run, settings={**loss, **run.settings}, options=options)
