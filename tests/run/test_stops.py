"""Runs that end early end after a whole step: lost losses, Ctrl-C, and `Engine.stop`."""

import faulthandler
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from chainrule.errors import DivergenceError
from chainrule.netfile import define
from chainrule.nn import mlp
from chainrule.ops.losses import mse
from chainrule.run import team
from tests.run.engines import data, loop_of, sha, some_steps, trained


def line(w: "", b: "", x: "m", y: "m"):
    return mse(w * x + b, y)


THREADS = (1, 2, 3)
NET = mlp([20, 33, 10], "relu")
CLASSES = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 10}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_lost_loss_stops_at_the_step_of_the_reference_with_the_weights_before_it(dtype, threads):
    X, y = data(60, 20, 0, dtype)
    options = {"loss": "mse", "optimizer": "sgd:lr=30", "batch_size": 16, "epochs": 50}
    net, errors = mlp([20, 1]), []
    for how in ({"by": "reference"}, {"threads": threads}):
        with pytest.raises(DivergenceError) as caught:
            trained(net, X, y, **how, **options)
        errors.append(caught.value)
    reference, compiled = errors
    assert reference.run.steps == compiled.run.steps > 5
    lost = f"at step {compiled.run.steps + 1} "
    assert lost in str(reference)
    assert lost in str(compiled)
    for name, wanted in reference.run.values.items():
        assert np.isfinite(compiled.run.values[name]).all()
        np.testing.assert_allclose(compiled.run.values[name], wanted, rtol=1e-3)


def stopping_after(runner, steps):
    """A watcher that asks for a stop as soon as so many steps are done."""

    def watch(done, loss):
        if done >= steps:
            runner.engine.stop()

    return watch


@pytest.mark.parametrize("threads", THREADS)
def test_stop_ends_a_run_after_a_whole_step_with_the_values_of_that_step(threads):
    loop = loop_of(NET, *data(100, 20, 10), threads=threads, **CLASSES)
    runner = loop._runner(10)
    count = 200_000
    stretch = some_steps(loop, 10, count, stopping_after(runner, 1))
    done = len(stretch.losses)
    assert 1 <= done < count
    assert not stretch.interrupted
    again = some_steps(loop, 10, done)
    assert sha(again.values) == sha(stretch.values)


def test_a_step_without_barriers_of_its_own_ends_on_all_threads_together():
    """Sums of a line are taken by thread 0 alone, which runs ahead of the others by a step."""
    X, y = np.linspace(0, 1, 8), np.linspace(1, 3, 8)
    for threads in (2, 3):
        loop = loop_of(define(line), X, y, threads=threads, optimizer="sgd", batch_size=1)
        runner = loop._runner(1)
        for _ in range(5):
            stretch = some_steps(loop, 1, 100_000, stopping_after(runner, 1))
            assert 1 <= len(stretch.losses) <= 100_000


def test_asking_for_a_stop_before_a_run_does_not_end_that_run():
    loop = loop_of(NET, *data(100, 20, 10), **CLASSES)
    loop._runner(10).engine.stop()
    assert len(some_steps(loop, 10, 30).losses) == 30


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_in_the_watcher_ends_the_run_first(error, threads):
    loop = loop_of(NET, *data(100, 20, 10), threads=threads, **CLASSES)

    def fail(done, loss):
        raise error

    if error is KeyboardInterrupt:
        stretch = some_steps(loop, 10, 200_000, fail)
        assert stretch.interrupted
        assert len(stretch.losses) < 200_000
    else:
        with pytest.raises(ValueError):
            some_steps(loop, 10, 200_000, fail)
        done = loop._runner(10).engine.done
        time.sleep(0.05)
        assert loop._runner(10).engine.done == done, "nothing runs any more"


CTRL_C = """
import json, os, signal, sys, threading, time
import numpy as np
from chainrule.nn import mlp
from tests.run.engines import data, loop_of
from chainrule.training.progress import Progress
from chainrule.training.data import row_order

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells may have switched it off
threads = int(sys.argv[1])
X, y = data(400_000, 20, 10, np.float64)
options = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 10, "epochs": 3}
loop = loop_of(mlp([20, 33, 10], "relu"), X, y, threads=threads, **options)
begun, engine, sent = loop.now, loop._runner(10).engine, []

def press():
    while engine.done < 50:
        time.sleep(0.001)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
run = loop.run([], Progress(3, 40_000, mode="off"), None)
seconds = time.perf_counter() - sent[0]

steps = run.steps
reference = loop_of(mlp([20, 33, 10], "relu"), X, y, by="reference", **options)
order = row_order(len(X), 10, 0, 0)[: 10 * steps]
numbers = loop._numbers(1, 0, steps)
wanted = reference._runner(10).run(begun.values, order, numbers).values
off = max(float(np.abs(wanted[n] - run.values[n]).max()) for n in run.params)
moved = min(float(np.abs(begun.values[n] - run.values[n]).max()) for n in run.params)
print(json.dumps([run.interrupted, seconds, steps, off, moved]))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_in_an_epoch_stops_within_a_second_with_the_weights_of_a_whole_step(threads):
    command = [sys.executable, "-W", "error", "-c", CTRL_C, str(threads)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    interrupted, seconds, steps, off, moved = json.loads(result.stdout)
    assert interrupted
    assert seconds < 1
    assert 50 <= steps < 40_000, "in the middle of the first epoch"
    assert off < 1e-9 < 1e-3 < moved, "the weights after so many steps of the reference"


@pytest.fixture
def a_minute():
    """Threads that wait for each other for ever end the process instead."""
    faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.usefixtures("a_minute")
def test_ctrl_c_between_the_parts_of_a_short_run_leaves_nobody_waiting(monkeypatch):
    """The moment at which some threads have begun and wait for one that has not."""
    loop = loop_of(NET, *data(100, 20, 10), threads=2, **CLASSES)
    for _ in range(2):
        some_steps(loop, 10, 30)  # its pace is known now: a run of 30 steps is short
    give, given = team.Helper.give, []

    def interrupted(helper, work):
        give(helper, work)
        given.append(work)
        if len(given) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(team.Helper, "give", interrupted)
    stretch = some_steps(loop, 10, 30)
    assert stretch.interrupted
    assert len(stretch.losses) < 30
    assert all(work.ended.is_set() for work in given)
    monkeypatch.undo()
    assert len(some_steps(loop, 10, 30).losses) == 30, "the helpers are free again"


def test_threads_that_may_not_move_stay_where_they_are(monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refused, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    loop = loop_of(NET, *data(100, 20, 10), threads=2, **CLASSES)
    assert len(some_steps(loop, 10, 30).losses) == 30
