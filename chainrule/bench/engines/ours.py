"""chainrule as `cr.train` runs it: an epoch of steps in one native call, on as many threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.bench.engines import Run
from chainrule.bench.workloads import SEED, Problem
from chainrule.nn import mlp
from chainrule.training.data import Rows
from chainrule.training.loop import Plan
from chainrule.training.optimizers import Optimizer
from chainrule.training.parameters import axis_sizes
from chainrule.training.runners import runner_for
from chainrule.training.settings import settings
from chainrule.training.step import Limits, training_step
from chainrule.training.stretch import Numbers
from chainrule.training.task import task_of


def plan_of(problem: Problem, engine: str, threads: int) -> Plan:
    """What `cr.train` would be asked for."""
    w = problem.workload
    net = mlp(list(w.widths), w.activation, w.output or None)
    task = task_of(net, w.loss)
    rule = Optimizer(w.rule, lr=w.lr)
    options = settings(rule, None, w.batch, 1, SEED, None, Limits())
    rows, values = Rows(problem.X, problem.y_rows), problem.start
    shapes = [(x, values[x.name].shape) for x in task.definition.inputs if x.name in values]
    sizes = axis_sizes(task, {}, [(task.X, rows.X.shape[1:]), *shapes])
    numbers = np.arange(w.rows)
    about: Any = ((), "", {}, engine, threads)  # no metrics: only training is timed
    return Plan(task, options, rows, numbers, None, values, sizes, *about)


def prepared(problem: Problem, threads: int, engine: str) -> Run:
    """Steps by one of the executors of chainrule; the state goes from call to call."""
    w = problem.workload
    plan = plan_of(problem, engine, threads)
    step = training_step(plan.task, plan.settings.optimizer, plan.settings.limits)
    runner = runner_for(plan, step, w.batch)
    state = {slot: np.zeros_like(problem.start[name]) for slot, name in step.state.items()}
    values: Mapping[str, Any] = {**problem.start, **state}

    def run(start: int, steps: int) -> list[float]:
        nonlocal values
        order = problem.order.rows(start, steps).ravel()
        numbers = Numbers(start + 1, np.full(steps, w.lr))
        stretch = runner.run(values, order, numbers)
        values = stretch.values
        return list(stretch.losses.tolist())

    return run


def prepare(problem: Problem, threads: int) -> Run:
    """Machine code."""
    return prepared(problem, threads, "compiled")
