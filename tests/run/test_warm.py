"""Code that is there sooner: the same bits, and a change to the fast code that nobody notices."""

import numpy as np
import pytest

from chainrule.derivation import derive
from chainrule.emit.llvm.module import write_module
from chainrule.errors import DivergenceError
from chainrule.nn import mlp
from chainrule.plan.steps import check
from chainrule.plan.tiles import SMALL_ROWS
from chainrule.run import built, cache, jit, warm
from chainrule.run.engine import Engine
from chainrule.run.machine import Machine
from chainrule.run.warm import WarmEngine
from chainrule.training.predictors import predicted
from chainrule.training.runners import fast_at_once
from tests.run.engines import compiled_step, data, loop_of, sha, some_steps, trained
from tests.run.test_threads import NETS, arrays_for

THREADS = (1, 2)
NET = mlp([20, 33, 10], "relu")
CLASSES = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 10}
MANY = 60_000  # steps that take longer than it takes to notice that time is up


@pytest.fixture
def efforts(monkeypatch):
    """The effort of every compilation."""
    found = []

    def object_code(text, effort):
        found.append(effort)
        return jit.object_code(text, effort)

    monkeypatch.setattr(built, "object_code", object_code)
    return found


def patience(monkeypatch, seconds_per_byte):
    """How long the quick code may run."""
    monkeypatch.setattr(warm, "FULL_S_PER_BYTE", seconds_per_byte)


@pytest.mark.parametrize(
    ("batch", "threads", "dtype"),
    [(1, 1, np.float32), (33, 2, np.float64), (200, 1, np.float32), (200, 3, np.float64)],
)
@pytest.mark.parametrize("name", NETS)
def test_gradients_have_the_same_bits_in_small_tiles_with_little_effort(
    name, batch, dtype, threads, monkeypatch
):
    given = arrays_for(NETS[name], batch, dtype)

    def bits():
        value, grads = derive(NETS[name]).compile(threads=threads)(**given)
        return sha({"loss": value, **grads})

    fast = bits()

    def small(self, sizes, itemsize):
        recipe = self.recipe(dict(sizes), itemsize)
        plan = recipe.plan
        assert any(s.rows > SMALL_ROWS or s.vectors > 1 for s in plan.shapes)
        assert plan.small.arena_bytes <= plan.arena_bytes
        check(plan.small, {x.name for x in self.program.inputs})
        return Engine(built.built(recipe, jit.QUICK))

    monkeypatch.setattr(Machine, "_compiled", small)
    assert bits() == fast


def test_small_tiles_need_a_smaller_part_of_the_code():
    plan = compiled_step(
        mlp([784, 128, 10]), *data(256, 784, 10), **CLASSES | {"batch_size": 128}
    ).plan
    lines = [len(write_module(p, [], "loss").splitlines()) for p in (plan.small, plan)]
    assert lines[0] < 0.6 * lines[1]


def test_no_row_is_left_over_for_code_of_its_own():
    """17 rows take no more code than 16: the last one in tiles of two would be written again."""
    steps = [compiled_step(NET, *data(50, 20, 10), **CLASSES | {"batch_size": n}) for n in (16, 17)]
    lines = [len(write_module(step.plan.small, [], "loss").splitlines()) for step in steps]
    assert lines[1] < 1.25 * lines[0]


@pytest.mark.parametrize(("threads", "seconds_per_byte"), [(1, 0.0), (2, 1e-9), (3, 1e3)])
def test_training_has_the_same_bits_whenever_the_code_changes(
    threads, seconds_per_byte, monkeypatch, efforts
):
    X, y = data(103, 20, 10)
    options = {"epochs": 4, "threads": threads, "validation": 0.2, **CLASSES}
    wanted = trained(NET, X, y, **options)
    efforts.clear()
    patience(monkeypatch, seconds_per_byte)
    found = trained(NET, X, y, soon=True, **options)
    assert sha(found.values) == sha(wanted.values)
    history = [
        [{k: v for k, v in e.items() if k != "seconds"} for e in run.history]
        for run in (found, wanted)
    ]
    assert history[0] == history[1]
    assert jit.QUICK in efforts
    assert (jit.FULL in efforts) == (seconds_per_byte < 1)


@pytest.mark.parametrize("threads", THREADS)
def test_the_code_changes_between_two_steps_of_one_run(threads, monkeypatch, efforts):
    X, y = data(100, 20, 10)
    loop = loop_of(NET, X, y, threads=threads, soon=True, **CLASSES)
    patience(monkeypatch, 1e-9)
    told = []
    stretch = some_steps(loop, 10, MANY, lambda done, loss: told.append((done, loss)))
    assert efforts == [jit.QUICK, jit.FULL]
    behind, now = loop._runner(10).engine._now
    assert 0 < behind < MANY
    assert behind + now.done == loop._runner(10).engine.done == MANY
    wanted = some_steps(loop_of(NET, X, y, threads=threads, **CLASSES), 10, MANY)
    np.testing.assert_array_equal(stretch.losses, wanted.losses)
    assert sha(stretch.values) == sha(wanted.values)
    assert told == sorted(told)
    assert all(loss == wanted.losses[done - 1] for done, loss in told)


def test_a_lost_loss_ends_the_run_in_the_quick_code(monkeypatch, efforts):
    X, y = data(60, 20, 0)
    options = {"loss": "mse", "optimizer": "sgd:lr=30", "batch_size": 15, "epochs": 50}
    steps = []
    for soon in (False, True):
        with pytest.raises(DivergenceError) as caught:
            trained(mlp([20, 1]), X, y, soon=soon, **options)
        steps.append(caught.value.run.steps)
    assert steps[0] == steps[1] > 5
    assert efforts == [jit.FULL, jit.QUICK]


def test_no_step_is_added_after_a_lost_loss_when_time_is_up_too(monkeypatch):
    """A watcher that holds the thread until all is over: the request to stop comes too late."""
    X, y = data(60, 20, 0)
    options = {"loss": "mse", "optimizer": "sgd:lr=30", "batch_size": 15}
    lost = [
        len(some_steps(loop_of(mlp([20, 1]), X, y, soon=soon, **options), 15, 500).losses)
        for soon in (False, True)
    ]
    assert lost[0] == lost[1] < 500


@pytest.mark.parametrize("threads", THREADS)
def test_a_request_to_stop_ends_the_run_before_the_code_changes(threads, efforts):
    loop = loop_of(NET, *data(100, 20, 10), threads=threads, soon=True, **CLASSES)
    runner = loop._runner(10)
    stretch = some_steps(loop, 10, MANY, lambda done, loss: runner.engine.stop())
    assert 1 <= len(stretch.losses) < MANY
    assert efforts == [jit.QUICK]
    assert len(some_steps(loop, 10, 5).losses) == 5


@pytest.mark.parametrize("when", ["quick", "compiling", "fast"])
def test_ctrl_c_leaves_the_values_of_the_steps_that_are_counted(when, monkeypatch):
    X, y = data(100, 20, 10)
    loop = loop_of(NET, X, y, soon=True, **CLASSES)
    runner = loop._runner(10)
    patience(monkeypatch, 1e3 if when == "quick" else 1e-9)

    def interrupt(*_):
        raise KeyboardInterrupt

    def watch(done, loss):
        if when == "quick" or (when == "fast" and runner.engine._now[0]):
            interrupt()

    if when == "compiling":
        monkeypatch.setattr(built, "write_module", interrupt)
    stretch = some_steps(loop, 10, 4 * MANY, watch)
    done = len(stretch.losses)
    assert stretch.interrupted
    assert 1 <= done < 4 * MANY
    monkeypatch.undo()
    wanted = some_steps(loop_of(NET, X, y, **CLASSES), 10, done)
    np.testing.assert_array_equal(stretch.losses, wanted.losses)
    assert sha(stretch.values) == sha(wanted.values)


def test_code_that_was_compiled_with_all_effort_is_used_at_once(tmp_path, monkeypatch, efforts):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "code"))
    loop = loop_of(NET, *data(100, 20, 10), soon=True, **CLASSES)
    assert efforts == []
    assert loop._runner(10).engine.finish() is loop._runner(10).engine._fast
    assert efforts == [jit.QUICK, jit.FULL]
    again = loop_of(NET, *data(100, 20, 10), soon=True, **CLASSES)
    assert len(some_steps(again, 10, 3).losses) == 3
    assert efforts == [jit.QUICK, jit.FULL]
    assert isinstance(again._runner(10).engine, WarmEngine)


def test_who_measures_steps_gets_the_fast_code_at_once(efforts):
    loop = loop_of(NET, *data(100, 20, 10), soon=True, **CLASSES)
    with fast_at_once():
        some_steps(loop, 10, 3)
    assert efforts == [jit.FULL]
    other = loop_of(NET, *data(100, 20, 10), soon=True, **CLASSES)
    some_steps(other, 10, 3)
    assert efforts == [jit.FULL, jit.QUICK]


@pytest.mark.parametrize("threads", [1, 3])
def test_predictions_have_the_same_bits_while_the_code_changes(threads, monkeypatch, efforts):
    X, y = data(700, 20, 10)
    run = trained(NET, X[:50], y[:50], **CLASSES)
    task, values = run.task, run.values
    wanted, _ = predicted(task, values, X, threads=threads)
    assert set(efforts[-2:]) == {jit.QUICK}
    patience(monkeypatch, -1.0)
    fresh = trained(mlp([20, 33, 10], "relu"), X[:50], y[:50], **CLASSES | {"seed": 1})
    for _ in range(3):
        found, _ = predicted(fresh.task, values, X, threads=threads)
        np.testing.assert_array_equal(found, wanted)


def test_a_step_that_quick_code_would_take_long_for_is_compiled_for_at_once(efforts):
    """The same network, with 16,000 rows in a step (4 GFLOP) and with 100."""
    for rows, effort in ((16_000, jit.FULL), (100, jit.QUICK)):
        efforts.clear()
        options = {"loss": "cross_entropy", "optimizer": "sgd", "batch_size": "all"}
        loop = loop_of(mlp([200, 200, 10], "relu"), *data(rows, 200, 10), soon=True, **options)
        loop._runner(rows)
        assert efforts == [effort]
