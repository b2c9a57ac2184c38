"""The clock of a plan: laps that are those of the kernels, in code that computes the same."""

import time

import numpy as np
import pytest

from chainrule.bench.engines import ours
from chainrule.bench.engines.ours import runner_of, stretch_of
from chainrule.bench.where import COUNTER, flop_of, ticks_per_us
from chainrule.bench.workloads import WORKLOADS, problem_of
from chainrule.emit.llvm.module import write_module
from chainrule.plan.clock import TICKS, clocked
from chainrule.run.built import built_plan
from chainrule.run.engine import Engine
from chainrule.training.stretch import LOSS
from tests.bench.small import scaled_down

WORKLOAD = scaled_down(WORKLOADS["deep_b64"])


@pytest.fixture(params=[1, 2])
def timed(request, monkeypatch):
    """A network, run as it is and with a clock: runner, arrays of both, seconds with the clock."""

    def run(engine, given):
        arrays, block = given
        engine.run(arrays, WORKLOAD.steps, block=block)
        return {**arrays, **block.arrays}

    monkeypatch.setattr(ours, "cores", lambda: 99)  # or one thread would pay more than two
    problem = problem_of(WORKLOAD)
    runner, values = runner_of(problem, request.param, "compiled")
    stretch = stretch_of(problem, 0, WORKLOAD.steps)
    plain, arrays = runner.arrays(values, *stretch), runner.arrays(values, *stretch)
    assert runner.plan.threads == request.param
    plain = run(runner.engine, plain)
    plan = clocked(runner.plan, COUNTER)
    arrays[0][TICKS] = np.zeros(plan.buffers[TICKS].room, np.int64)
    engine = Engine(built_plan(plan, runner.recipe.per_step, LOSS))
    began = time.perf_counter()
    arrays = run(engine, arrays)
    return runner, plain, arrays, time.perf_counter() - began


def test_a_clock_changes_no_bit_of_what_is_computed(timed):
    _, plain, arrays, _ = timed
    assert set(arrays) == {*plain, TICKS}
    assert all(arrays[name].tobytes() == plain[name].tobytes() for name in plain)


def test_every_kernel_has_a_lap_and_waits_have_one_where_threads_wait(timed):
    runner, _, arrays, seconds = timed
    plan, ticks = runner.plan, arrays[TICKS]
    assert (len(ticks), any(plan.wait)) == (plan.threads, True)
    count = len(plan.kernels)
    assert (ticks[:, 1 : 2 * count : 2] > 0).any(axis=0).all()
    waits = (ticks[:, : 2 * count : 2] > 0).all(axis=0)
    assert waits.tolist() == [plan.threads > 1 and wait for wait in plan.wait]
    assert (ticks[:, 2 * count] > 0).all()
    assert not ticks[:, 2 * count + 1 :].any()
    assert ticks.sum(axis=1).max() / ticks_per_us() < 1.01e6 * seconds


def test_a_plan_without_a_clock_reads_none():
    runner, _ = runner_of(problem_of(WORKLOAD), 1, "compiled")
    plain = write_module(runner.plan, runner.recipe.per_step, LOSS)
    assert COUNTER not in plain
    text = write_module(clocked(runner.plan, COUNTER), runner.recipe.per_step, LOSS)
    assert text.count(f"call i64 @{COUNTER}()") == 2 + len(runner.plan.kernels)


def test_the_products_of_the_kernels_are_those_of_the_workload():
    runner, _ = runner_of(problem_of(WORKLOAD), 1, "compiled")
    plan = runner.plan
    total = sum(flop_of(k, plan.sizes) for k in plan.kernels)
    assert total == pytest.approx(WORKLOAD.flop, rel=0.02)  # the loss may be a product too
