"""The training loop: epochs of steps, what is measured after each, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from chainrule.run import keyed
from chainrule.run.bind import Array
from chainrule.training import schedules
from chainrule.training.data import Rows, parts, row_order
from chainrule.training.diverged import NORMS, diverged
from chainrule.training.legs import Leg, Now, Trail
from chainrule.training.metrics import evaluated, measured
from chainrule.training.origin import Origin
from chainrule.training.progress import Progress
from chainrule.training.result import History, Run
from chainrule.training.rundir import RunDirectory
from chainrule.training.runners import runner_for
from chainrule.training.settings import Settings
from chainrule.training.step import training_step
from chainrule.training.stretch import Numbers, Runner, Stretch
from chainrule.training.task import Task


@dataclass(frozen=True)
class EpochView:
    """What a callback sees after each epoch; nothing in it can be changed.

    Attributes:
        epoch, epochs: the number of this one, from 1, and how many are planned.
        metrics: the entry of the history.
        params: the parameters now, by name; arrays that cannot be written to.
    """

    epoch: int
    epochs: int
    metrics: Mapping[str, float]
    params: Mapping[str, Array]


Callback = Callable[[EpochView], object]
"""Is called after each epoch; training stops if it returns True."""


@dataclass(frozen=True)
class Plan:
    """Everything that a training needs, checked.

    Attributes:
        rows, numbers: what is trained on, and which rows of the caller's data these are.
        start: values of parameters and of inputs held fixed, by name.
        origin: what messages call the rows of the caller's data.
        soon: whether steps begin soon, or only with the fastest code.
    """

    task: Task
    settings: Settings
    rows: Rows
    numbers: NDArray[np.int64]
    held_out: Rows | None
    start: Mapping[str, Array]
    sizes: Mapping[str, int]
    metrics: tuple[str, ...]
    preprocessing: str
    source: Mapping[str, str]
    origin: Origin
    engine: str = "compiled"
    threads: int | None = None
    soon: bool = False

    @property
    def batch_size(self) -> int:
        """Rows in each step but the last of an epoch."""
        size = self.settings.batch_size
        return len(self.rows) if size == "all" else min(size, len(self.rows))

    @property
    def steps_per_epoch(self) -> int:
        """Updates in each epoch."""
        return math.ceil(len(self.rows) / self.batch_size)


@dataclass
class Best:
    """The epoch with the lowest monitored loss so far, and how many came after it."""

    epoch: int = 0
    loss: float = math.inf
    now: Now | None = None

    def improved(self, epoch: int, loss: float, now: Now, min_delta: float) -> None:
        """Take the epoch if its loss is lower; a loss that is not a number never is."""
        if self.now is None or loss < self.loss - min_delta:
            self.epoch, self.now = epoch, now
            self.loss = math.inf if math.isnan(loss) else loss


class Watcher:
    """Tells a progress display of steps that finished since it last heard."""

    def __init__(self, shown: Progress) -> None:
        self.shown, self.seen = shown, 0

    def __call__(self, done: int, loss: float) -> None:
        """`done` steps have finished, the last of them with this loss."""
        if done > self.seen:
            self.shown.step(loss, steps=done - self.seen)
            self.seen = done


class Loop:
    """A training under way. `now` changes once for each step, so stopping anywhere is safe."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.step = training_step(plan.task, plan.settings.optimizer, plan.settings.limits)
        self._runners: dict[int, Runner] = {}
        self.trail = Trail(NORMS)
        state = {slot: np.zeros_like(plan.start[name]) for slot, name in self.step.state.items()}
        self.now = Now(0, {**plan.start, **state})
        self.plateau = schedules.start(plan.settings.schedule)
        self.history: History = []
        self.best = Best()
        self.stopped_early = False

    def run(
        self, callbacks: Sequence[Callback], progress: Progress, directory: RunDirectory | None
    ) -> Run:
        """All epochs, or as many as the user, early stopping and the callbacks allow.

        Raises:
            DivergenceError: see `_run`.
        """
        settings = self.plan.settings
        interrupted = False
        try:
            with progress as shown:
                for epoch in range(1, settings.epochs + 1):
                    entry = self._epoch(epoch, shown)
                    if directory is not None:
                        directory.append(entry)
                    if self._stops(epoch, entry, callbacks):
                        self.stopped_early = epoch < settings.epochs
                        break
        except KeyboardInterrupt:
            interrupted = True
        stopping = settings.early_stopping
        chosen = stopping is not None and stopping.restore_best and not interrupted
        best = self.best.now if chosen else None
        result = self.result(best or self.now, interrupted)
        return replace(result, best_epoch=self.best.epoch) if best else result

    def result(self, now: Now, interrupted: bool = False) -> Run:
        """The run with the values of `now`."""
        return Run(
            task=self.plan.task,
            values={name: now.values[name] for name in self.plan.start},
            sizes=self.plan.sizes,
            history=self.history,
            settings=self.plan.settings.as_text(),
            steps=now.steps,
            interrupted=interrupted,
            stopped_early=self.stopped_early,
            preprocessing=self.plan.preprocessing,
            source=self.plan.source,
        )

    def _epoch(self, epoch: int, shown: Progress) -> dict[str, float]:
        """One pass over the rows and what is measured after it: the new entry of the history.

        Loss and metrics of the training rows are those of the steps, taken while the weights moved;
        validation is measured at the end.
        """
        began, plan, task = time.perf_counter(), self.plan, self.plan.task
        order = row_order(len(plan.rows), plan.batch_size, plan.settings.seed, epoch - 1)
        losses, penalties, lr = 0.0, 0.0, self._learning_rate(epoch, self.now.steps)
        scores: list[Array] = []
        for size, part in parts(order, plan.batch_size):
            numbers = self._numbers(epoch, self.now.steps, len(part) // size)
            stretch = self._run(epoch, size, part, numbers, shown)
            share = size / len(plan.rows)
            factor = share if task.reduction == "mean" else 1.0
            losses += factor * float(stretch.losses.sum(dtype=np.float64))
            if self.step.penalty:
                penalties += share * float(stretch.outputs[self.step.penalty].sum())
            if self.step.prediction:
                scores += list(stretch.outputs[self.step.prediction])
            lr = float(numbers.eta[-1])
        entry: dict[str, float] = {"epoch": epoch, "loss": losses}
        if self.step.penalty:
            entry["penalty"] = penalties
        if scores and plan.metrics:
            y = plan.rows.y[order]
            entry |= measured(task, plan.metrics, y, np.concatenate(scores))
        if plan.held_out is not None:
            by, values = (plan.engine, plan.threads), self.now.values
            found = evaluated(task, values, plan.held_out, plan.metrics, *by)
            entry |= {f"val_{name}": value for name, value in found.items()}
        self.history.append({**entry, "lr": lr, "seconds": time.perf_counter() - began})
        shown.epoch(epoch, {name: value for name, value in entry.items() if name != "epoch"})
        return self.history[-1]

    def _learning_rate(self, epoch: int, steps: int) -> float:
        settings = self.plan.settings
        total = settings.epochs * self.plan.steps_per_epoch
        at = (steps, epoch - 1, total, self.plateau)
        return settings.optimizer.lr * schedules.factor(settings.schedule, *at)

    def _numbers(self, epoch: int, steps: int, count: int) -> Numbers:
        """What the `count` steps after `steps` are given."""
        after = range(steps, steps + count)
        if self.plan.settings.schedule.name == "constant":
            eta = np.full(count, self._learning_rate(epoch, steps))
        else:
            eta = np.array([self._learning_rate(epoch, step) for step in after])
        key = None
        if self.plan.task.uses_key:
            key = keyed.keys(self.plan.settings.seed, "dropout", steps + 1, count)
        return Numbers(steps + 1, eta, key)

    def _run(
        self,
        epoch: int,
        size: int,
        order: NDArray[np.int64],
        numbers: Numbers,
        shown: Progress,
    ) -> Stretch:
        """Updates over batches of one size; afterwards `now` is the state after the last one.

        Raises:
            DivergenceError: a loss or a weight was not finite; `error.run` is the run with the last
                weights that were.
            KeyboardInterrupt: Ctrl-C, after a whole step; `now` is the state then.
        """
        watch = Watcher(shown)
        leg = Leg(epoch, self._runner(size), self.now, order, numbers, size)
        stretch = leg.runner.run(self.now.values, order, numbers, watch)
        done = len(stretch.losses)
        after = leg.after(stretch)
        if stretch.interrupted:
            self.now = self.now if after.lost else after
            raise KeyboardInterrupt
        if (lost := diverged(self.plan, self.step, self.trail, leg, stretch)) is not None:
            report, good = lost
            error = report.error()
            error.run = self.result(good)
            raise error
        self.trail.add(leg)
        self.now = after
        watch(done, float(stretch.losses[-1]))
        return stretch

    def _runner(self, size: int) -> Runner:
        """What runs batches of this size; made once."""
        if size not in self._runners:
            self._runners[size] = runner_for(self.plan, self.step, size)
        return self._runners[size]

    def _stops(self, epoch: int, entry: Mapping[str, float], callbacks: Sequence[Callback]) -> bool:
        """Whether training ends after this epoch; every callback is asked."""
        monitored = entry.get("val_loss", entry["loss"])
        settings, stopping = self.plan.settings, self.plan.settings.early_stopping
        self.plateau = schedules.update(settings.schedule, self.plateau, monitored)
        stops = False
        if stopping is not None:
            self.best.improved(epoch, monitored, self.now, stopping.min_delta)
            stops = epoch - self.best.epoch >= stopping.patience
        for callback in callbacks:
            stops |= callback(self._view(epoch, entry)) is True
        return stops

    def _view(self, epoch: int, entry: Mapping[str, float]) -> EpochView:
        params = {name: self.now.values[name].view() for name in self.plan.task.definition.params}
        for array in params.values():
            array.flags.writeable = False
        frozen = MappingProxyType(dict(entry))
        return EpochView(epoch, self.plan.settings.epochs, frozen, MappingProxyType(params))
