"""The workloads: engines that do the same thing, on the same rows in the same order."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from chainrule.bench.contest import TOLERANCE, verdict
from chainrule.bench.engines import by_hand, ours, reference, scikit
from chainrule.bench.summary import described
from chainrule.bench.workloads import WORKLOADS, Order, Problem, problem_of
from chainrule.io.load import load
from chainrule.training.stretch import ReferenceRunner
from tests.bench.small import scaled_down, small_problem


def losses(module, problem: Problem, calls: int = 3) -> list[float]:
    run, steps = module.prepare(problem, 1), problem.workload.steps
    return [math.fsum(found) / len(found) for i in range(calls) if (found := run(i * steps, steps))]


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("engine", [reference, ours], ids=["reference", "compiled"])
def test_chainrule_and_numpy_by_hand_have_the_same_losses(name, engine):
    problem = small_problem(name)
    expected = losses(by_hand, problem.astype(np.float64))
    assert losses(engine, problem) == pytest.approx(expected, rel=1e-4)
    assert verdict(losses(by_hand, problem), expected) == ""


def test_each_engine_of_chainrule_is_the_one_it_says_with_as_many_threads(monkeypatch):
    problem = small_problem("mnist_b128")
    runner, _ = ours.runner_of(problem, 1, "reference")
    assert isinstance(runner, ReferenceRunner)
    monkeypatch.setattr(ours, "cores", lambda: 4)
    for threads in (1, 2, 3):
        runner, _ = ours.runner_of(problem, threads, "compiled")
        assert runner.plan.threads == threads
    assert ours.plan_of(problem, "compiled", 4).threads is None


@pytest.mark.parametrize("name", ["mnist_b128", "tabular_b32", "digits_full", "deep_b64"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scikit_learn_takes_the_same_steps(name):
    problem = small_problem(name)
    expected = losses(by_hand, problem.astype(np.float64))
    assert losses(scikit, problem) == pytest.approx(expected, rel=TOLERANCE)


def test_every_row_is_seen_once_an_epoch_in_another_order_each_time():
    workload = scaled_down(WORKLOADS["nielsen_b10"])
    order, length = Order(workload), workload.steps_per_epoch
    first, second = np.split(order.rows(0, 2 * length), 2)
    assert sorted(first.ravel()) == sorted(second.ravel()) == list(range(workload.rows))
    assert (first != second).any()
    assert (order.rows(length, length) == second).all()


def test_digits_are_scaled_where_they_are_read_and_nowhere_else(monkeypatch):
    half = replace(digits := load("digits"), X=digits.X / 2)
    monkeypatch.setattr(importlib.import_module("chainrule.io.load"), "load", lambda _: half)
    np.testing.assert_array_equal(problem_of(WORKLOADS["digits_full"]).X, half.X, strict=True)


def test_an_epoch_that_is_not_whole_batches_is_refused():
    with pytest.raises(ValueError, match="whole batches"):
        replace(WORKLOADS["nielsen_b10"], rows=6401)


def test_arithmetic_is_that_of_the_products():
    # 2·128·(784·128 + 128·10) twice, for the forward pass and the weights, and 2·128·128·10
    assert WORKLOADS["mnist_b128"].flop == 4 * 128 * (784 * 128 + 1280) + 2 * 128 * 1280
    assert described(WORKLOADS["deep_b64"]).startswith("(64×21)-10 relu, cross-entropy, Adam, 64")
