"""Plans of whole steps: they keep their own rules, and a broken one is refused."""

from dataclasses import replace

import numpy as np
import pytest

from chainrule.errors import GraphError
from chainrule.expr import EXAMPLES, const, input_
from chainrule.nn import mlp
from chainrule.ops import sum_
from chainrule.ops.activations import tanh
from chainrule.plan.steps import check, plan_step
from chainrule.plan.tiles import Processor
from tests.run.engines import compiled_step, data

CPU = Processor(32, 16, 2)
X, W = input_("X", "n m"), input_("W", "k n")
SIZES = {"n": 20, "m": 40, "k": 24}


def plan_of(outputs, threads=2, inputs=(X, W), sizes=SIZES, itemsize=4):
    named = {x.name: x for x in inputs}
    return plan_step(named, outputs, sizes, itemsize, CPU, threads, EXAMPLES)


@pytest.fixture(scope="module")
def plan():
    X, y = data(70, 20, 10)
    options = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 33, "threads": 3}
    return compiled_step(mlp([20, 33, 17, 10], "relu"), X, y, **options).plan


def supplied(plan):
    """What the caller gives: neither made by a kernel first nor in the arena."""
    stored = {plan.buffer_of[x] for k in plan.kernels for x in k.stores}
    read = {plan.buffer_of[x] for x in plan.buffer_of if x.op == "input"}
    return {name for name, b in plan.buffers.items() if b.offset is None} - (stored - read)


def test_a_plan_keeps_its_rules(plan):
    assert check(plan, supplied(plan)) is None  # it raises where a rule is broken


def test_every_wait_is_needed_and_each_that_is_removed_is_noticed(plan):
    planned = [i for i, wait in enumerate(plan.wait) if wait]
    assert planned
    for i in planned:
        fewer = tuple(wait and j != i for j, wait in enumerate(plan.wait))
        with pytest.raises(GraphError, match="do not wait"):
            check(replace(plan, wait=fewer), supplied(plan))


def test_a_value_read_before_it_is_written_is_noticed(plan):
    with pytest.raises(GraphError, match="read before it is written"):
        check(replace(plan, kernels=plan.kernels[::-1], shapes=plan.shapes[::-1]), supplied(plan))


def test_two_values_moved_to_one_place_are_noticed(plan):
    moved = {n: b if b.offset is None else replace(b, offset=0) for n, b in plan.buffers.items()}
    with pytest.raises(GraphError, match="overlap in memory"):
        check(replace(plan, buffers=moved), supplied(plan))


def test_no_place_reaches_beyond_the_arena(plan):
    for b in plan.buffers.values():
        assert b.offset is None or b.offset + b.bytes <= plan.arena_bytes


def test_a_plan_prints_its_kernels_and_waits(plan):
    lines = str(plan).splitlines()
    assert lines[0] == f"3 threads, arena {plan.arena_bytes:,} bytes"
    assert lines.count("    wait") == sum(plan.wait)
    assert len(lines) == 1 + len(plan.kernels) + sum(plan.wait)
    assert any(line.startswith("m_W_1 v_W_1 W_1") for line in lines)


def test_one_thread_never_waits_in_print():
    shown = str(plan_of({"Y": tanh(W @ X), "s": sum_(tanh(W @ X), ("m",))}, threads=1))
    assert shown.startswith("1 thread, arena")
    assert "wait" not in shown


def test_inputs_numbers_and_repeated_results_are_copied():
    outputs = {"a": X, "b": X, "c": const(2), "d": tanh(X), "e": tanh(X)}
    plan = plan_of(outputs, inputs=(X,))
    assert set(outputs) <= set(plan.buffers)
    assert len(set(plan.buffer_of.values())) == len(plan.buffer_of)


def test_small_steps_run_on_one_thread_and_large_ones_on_all():
    large = {"n": 1000, "m": 1000, "k": 1000}
    assert plan_of({"Y": W @ X}, threads=None).threads == 1
    assert plan_of({"Y": W @ X}, threads=None, sizes=large).threads == CPU.cores


def test_a_chain_of_many_layers_needs_the_room_of_a_few():
    x = X
    for _ in range(30):
        x = tanh(sum_(tanh(W @ x), ("k",)) + X)
    plan = plan_of({"Y": x}, threads=1)
    one = plan.itemsize * SIZES["k"] * SIZES["m"]  # the largest value
    assert plan.arena_bytes <= 3 * (one + 64)


@pytest.mark.parametrize("itemsize", [4, 8])
def test_buffers_have_room_for_their_entries(itemsize):
    plan = plan_of({"Y": tanh(W @ X)}, itemsize=itemsize)
    y = plan.buffers["Y"]
    assert (y.axes, y.shape, y.kind) == (("k", "m"), (24, 40), "f")
    assert y.bytes >= int(np.prod(y.shape)) * itemsize
    assert y.strides[-1] == 1
