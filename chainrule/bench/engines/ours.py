"""chainrule as `cr.train` runs it: an epoch of steps in one native call, on as many threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.bench.engines import Run
from chainrule.bench.machine import cores
from chainrule.bench.workloads import SEED, Problem
from chainrule.nn import mlp
from chainrule.training.data import Rows
from chainrule.training.loop import Plan
from chainrule.training.optimizers import Optimizer
from chainrule.training.origin import Origin
from chainrule.training.parameters import axis_sizes
from chainrule.training.runners import runner_for
from chainrule.training.settings import settings
from chainrule.training.step import Limits, training_step
from chainrule.training.stretch import Numbers, Runner
from chainrule.training.task import task_of


def plan_of(problem: Problem, engine: str, threads: int) -> Plan:
    """What `cr.train` would be asked for.

    On all the cores there are, as many threads are used as pay, which is what it does unasked.
    """
    w = problem.workload
    net = mlp(list(w.widths), w.activation, w.output or None)
    task = task_of(net, w.loss)
    rule = Optimizer(w.rule, lr=w.lr)
    options = settings(rule, None, w.batch, 1, SEED, None, Limits())
    rows, values = Rows(problem.X, problem.y_rows), problem.start
    shapes = [(x, values[x.name].shape) for x in task.definition.inputs if x.name in values]
    sizes = axis_sizes(task, {}, [(task.X, rows.X.shape[1:]), *shapes])
    return Plan(
        task,
        options,
        rows,
        np.arange(w.rows),
        held_out=None,
        start=values,
        sizes=sizes,
        metrics=(),  # only training is timed
        preprocessing="",
        source={},
        origin=Origin(),
        engine=engine,
        threads=None if threads >= cores() else threads,
    )


def runner_of(problem: Problem, threads: int, engine: str) -> tuple[Runner, dict[str, Any]]:
    """What takes the steps, and the values that it takes the first one from."""
    plan = plan_of(problem, engine, threads)
    step = training_step(plan.task, plan.settings.optimizer, plan.settings.limits)
    state = {slot: np.zeros_like(problem.start[name]) for slot, name in step.state.items()}
    return runner_for(plan, step, problem.workload.batch), {**problem.start, **state}


def stretch_of(problem: Problem, start: int, steps: int) -> tuple[NDArray[np.int64], Numbers]:
    """The rows of some steps, one after the other, and what else changes from step to step."""
    order = problem.order.rows(start, steps).ravel()
    return order, Numbers(start + 1, np.full(steps, problem.workload.lr))


def prepared(problem: Problem, threads: int, engine: str) -> Run:
    """Steps by one of the executors of chainrule; the state goes from call to call."""
    values: Mapping[str, Any]
    runner, values = runner_of(problem, threads, engine)

    def run(start: int, steps: int) -> list[float]:
        nonlocal values
        stretch = runner.run(values, *stretch_of(problem, start, steps))
        values = stretch.values
        return list(stretch.losses.tolist())

    return run


def prepare(problem: Problem, threads: int) -> Run:
    """Machine code."""
    return prepared(problem, threads, "compiled")
