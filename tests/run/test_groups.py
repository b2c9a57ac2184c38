"""Sums over many examples, group by group for all tiles: the tree of any other division."""

import re
from dataclasses import replace

import numpy as np
import pytest

from chainrule.emit.llvm.module import write_module
from chainrule.expr import input_
from chainrule.ops import OPS
from chainrule.plan.program import program
from chainrule.plan.tiles import GROUP, KEPT_BYTES, LEAF, groups_before_last
from chainrule.run.built import built_plan
from chainrule.run.engine import Engine
from chainrule.run.machine import Machine, slot
from tests.run.engines import with_little_effort

INPUTS = input_("A", "m n"), input_("C", "m k")
TILES_BYTES = 32_768  # for what single tiles keep
EXAMPLES = [GROUP * LEAF * 8, GROUP * LEAF * 9 + 1, 1797, 2047]
COLUMNS = [(64, 32, "float32"), (33, 10, "float64"), (7, 31, "float64")]


def machine(threads):
    A, C = INPUTS
    return Machine(program("product", INPUTS, {"": OPS["contract"](A, C, ("m",))}, {}), threads)


def random(m, n, k, dtype):
    rng = np.random.default_rng([m, n, k])
    shapes = {"A": (m, n), "C": (m, k)}
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def without_groups(made, given):
    """The same sums with all examples for one tile after the other."""
    m, n, k = (*given["A"].shape, given["C"].shape[1])
    plan = made.plan({"m": m, "n": n, "k": k}, given["A"].itemsize)
    assert [shape.by_groups for shape in plan.shapes] == [True]
    plain = replace(plan, shapes=tuple(replace(s, by_groups=False) for s in plan.shapes))
    result = np.empty((n, k), given["A"].dtype)
    Engine(built_plan(plain, [], slot("value"))).run({**given, slot("value"): result}, wait=False)
    return result


def in_pairs(leaves):
    """The leaves added as a binary counter carries, in NumPy."""
    waiting = []
    for number, leaf in enumerate(leaves):
        while number & 1:
            leaf, number = waiting.pop() + leaf, number >> 1
        waiting.append(leaf)
    total = waiting.pop()
    while waiting:
        total = waiting.pop() + total
    return total


@pytest.mark.parametrize(("n", "k", "dtype"), COLUMNS)
@pytest.mark.parametrize("m", EXAMPLES)
def test_sums_by_groups_have_the_bits_of_sums_tile_by_tile(m, n, k, dtype, monkeypatch):
    if dtype == "float64":
        with_little_effort(monkeypatch)
    given = random(m, n, k, dtype)
    wanted = without_groups(machine(1), given)
    for threads in (1, 3, 8):
        found, _ = machine(threads)(**given)
        np.testing.assert_array_equal(found, wanted, err_msg=f"{threads} threads")


@pytest.mark.parametrize("m", EXAMPLES)
def test_every_group_counts_once(m):
    """Whole numbers: no sum rounds, so a leaf that is missing or counted twice shows."""
    rng = np.random.default_rng(m)
    given = {"A": rng.integers(-9, 10, (m, 33)), "C": rng.integers(-9, 10, (m, 10))}
    given = {name: x.astype("float64") for name, x in given.items()}
    found, _ = machine(2)(**given)
    np.testing.assert_array_equal(found, given["A"].T @ given["C"])


@pytest.mark.parametrize("m", EXAMPLES)
def test_leaves_are_added_as_a_counter_carries(m):
    """Against the tree in NumPy: with one 1 in each leaf, only sums of leaves round."""
    rng = np.random.default_rng(m)
    given = random(m, 64, 32, "float32")
    given["A"][np.arange(m) % LEAF != 5] = 0
    given["C"] = rng.choice([0.5, 1.0, 2.0], (m, 32)).astype("float32")
    terms = given["A"][5::LEAF, :, None] * given["C"][5::LEAF, None, :]
    if m % LEAF and m % LEAF <= 5:
        terms = np.concatenate([terms, np.zeros((1, 64, 32), "float32")])
    found, _ = machine(2)(**given)
    np.testing.assert_array_equal(found, in_pairs(list(terms)))


@pytest.mark.parametrize(("threads", "rows"), [(100, 97), (16, 15 * 16), (16, 16 * 8)])
def test_sums_of_groups_fit_into_the_frame_however_rows_are_divided(threads, rows):
    """Threads without rows, rows that are left over for the last thread, and neither."""
    plan = machine(threads).plan({"m": 1797, "n": rows, "k": 512}, 4)
    text = write_module(plan, [], slot("value"))
    slots = re.findall(r"alloca \[(\d+) x <(\d+) x float>\]", text)
    assert slots
    assert sum(4 * int(count) * int(lanes) for count, lanes in slots) <= KEPT_BYTES + TILES_BYTES


def test_only_large_operands_with_a_small_result_go_by_groups():
    def by_groups(m, n, k):
        plan = machine(1).plan({"m": m, "n": n, "k": k}, 4)
        return plan.shapes[0].by_groups

    assert by_groups(1797, 64, 32)
    assert not by_groups(GROUP * LEAF, 784, 128), "the last group is all there is"
    assert not by_groups(1797, 8, 8), "the operands stay in a cache"
    assert not by_groups(1797, 784, 512), "the sums of groups do not"
    assert groups_before_last(1797) == 14
