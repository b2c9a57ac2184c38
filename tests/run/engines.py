"""Trainings with an engine and a number of threads of one's choice, and what they leave."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from dataclasses import replace
from unittest import mock

import numpy as np

from chainrule.run import built, jit
from chainrule.training import Run, train
from chainrule.training.compiled import Compiled
from chainrule.training.data import row_order
from chainrule.training.loop import Loop
from chainrule.training.stretch import Stretch

training = importlib.import_module("chainrule.training.training")


class _Ready(Exception):
    """Carries the plan of a training out of `train` before the first step."""


def loop_of(
    net, X, y, *, by: str = "compiled", threads: int | None = None, soon: bool = False, **options
) -> Loop:
    """The loop of a training that has not begun."""
    made = mock.Mock(side_effect=_Ready)
    with mock.patch.object(training, "Loop", made), contextlib.suppress(_Ready):
        train(net, X, y, **{"progress": "off", **options})
    return Loop(replace(made.call_args.args[0], engine=by, threads=threads, soon=soon))


def trained(
    net, X, y, *, by: str = "compiled", threads: int | None = None, soon: bool = False, **options
) -> Run:
    """`cr.train` without a display, by one engine."""

    def loop(plan):
        return Loop(replace(plan, engine=by, threads=threads, soon=soon))

    with mock.patch.object(training, "Loop", loop):
        return train(net, X, y, **{"progress": "off", **options})


def compiled_step(net, X, y, *, threads: int | None = 1, batch_size: int, **options) -> Compiled:
    """What runs the steps of a training on whole batches: plan and engine."""
    loop = loop_of(net, X, y, threads=threads, batch_size=batch_size, **options)
    return loop._runner(batch_size)


def text_of(runner: Compiled) -> str:
    """The LLVM IR of a training step in the fastest tiles."""
    return built.write_module(runner.plan, runner.recipe.per_step, runner.recipe.loss)


def some_steps(loop: Loop, batch: int, count: int, watch=None) -> Stretch:
    """The first steps of a loop, all on whole batches; the loop does not change."""
    whole = len(loop.plan.rows) // batch * batch
    order = np.resize(row_order(len(loop.plan.rows), batch, 0, 0)[:whole], count * batch)
    numbers = loop._numbers(1, 0, count)
    return loop._runner(batch).run(loop.now.values, order, numbers, watch)


def with_little_effort(monkeypatch) -> None:
    """The compiler takes a third of its time: choosing instructions is LLVM's affair."""
    monkeypatch.setattr(built, "object_code", lambda text, _: jit.object_code(text, jit.QUICK))


def sha(arrays) -> str:
    """One SHA-256 over names, shapes, types and bits."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {a.shape} {a.dtype}".encode())
        digest.update(a.tobytes())
    return digest.hexdigest()


def data(rows: int, features: int, classes: int, dtype=np.float32):
    """Rows from a normal distribution, and labels or (classes = 0) numbers."""
    rng = np.random.default_rng([rows, features, classes])
    X = rng.standard_normal((rows, features)).astype(dtype)
    if classes:
        return X, rng.integers(0, classes, rows)
    return X, np.tanh(X[:, 0] - 0.5 * X[:, 1]) + 0.1 * rng.standard_normal(rows).astype(dtype)
