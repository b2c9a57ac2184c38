"""Tiles fit the registers, rows are divided fairly, and threads are used where they pay."""

import pytest

from chainrule.expr import EXAMPLES, input_
from chainrule.ops import OPS, sum_
from chainrule.ops.activations import tanh
from chainrule.plan.kernels import Kernel
from chainrule.plan.tiles import (
    WAIT_WORK,
    Processor,
    Shape,
    even,
    shape_of,
    split_axis,
    threads_for,
    work,
)

AVX512, AVX2 = Processor(64, 32, 2), Processor(32, 16, 2)
X, W = input_("X", "n m"), input_("W", "k n")
PRODUCT = W @ X


def kernel(node):
    root = node if node.op in ("contract", "sum", "scatter_add") else None
    return Kernel(node.axes, root, (node,), (node,))


@pytest.mark.parametrize("most", [1, 4, 14, 16])
@pytest.mark.parametrize("size", [0, 1, 10, 30, 31, 97, 784, 1797])
def test_rows_are_divided_into_as_few_and_as_equal_tiles_as_possible(size, most):
    tiles = even(size, most)
    heights = [h for h, n in tiles for _ in range(n)]
    assert sum(heights) == size
    assert len(heights) == -(-size // most)
    assert max(heights, default=0) - min(heights, default=0) <= 1
    assert max(heights, default=0) <= most


@pytest.mark.parametrize("cpu", [AVX512, AVX2])
@pytest.mark.parametrize("columns", [1, 10, 16, 33, 1000])
def test_the_sums_of_a_tile_leave_registers_for_operands(cpu, columns):
    sizes = {"k": 100, "n": 50, "m": columns}
    shape = shape_of(kernel(PRODUCT), set(), sizes, cpu.register_bytes // 4, 1, EXAMPLES, cpu)
    assert 1 <= shape.rows * shape.vectors <= cpu.registers - 3
    assert (shape.vectors - 1) * shape.lanes < columns, "no vector without an entry"


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 16, 33, 100, 1797])
def test_the_parts_of_threads_cover_everything_once(size, threads):
    shape = Shape(14, 2, threads, EXAMPLES, 16)
    chunk = shape.chunk(size)
    assert 0 <= chunk * threads <= size
    assert chunk < shape.lanes or chunk % shape.lanes == 0 or chunk == size
    assert threads > 1 or chunk == size, "one thread leaves nothing to a second loop"


def test_kernels_are_divided_along_the_axis_before_the_last():
    shape = Shape(14, 2, 2, EXAMPLES, 16)
    sizes = {"k": 100, "n": 50, "m": 64}
    assert split_axis(kernel(PRODUCT), sizes, shape) == "k"
    assert split_axis(kernel(sum_(X, ("n",))), sizes, shape) == "m"
    assert split_axis(kernel(sum_(X, ("n", "m"))), sizes, shape) == ""


def test_what_is_too_small_to_divide_is_left_to_thread_0():
    shape = Shape(14, 2, 8, EXAMPLES, 16)
    sizes = {"k": 7, "n": 50, "m": 20}
    assert split_axis(kernel(PRODUCT), sizes, shape) == ""
    assert split_axis(kernel(sum_(X, ("n",))), sizes, shape) == ""


def test_adding_up_at_places_that_depend_on_values_is_left_to_thread_0():
    at = input_("at", "n int")
    scattered = OPS["scatter_add"](X, at, "n", 9)
    sizes = {"n": 50, "m": 64}
    assert split_axis(kernel(scattered), sizes, Shape(1, 1, 2, EXAMPLES, 16)) == ""


def test_work_counts_a_multiply_add_as_two_and_our_functions_as_several():
    sizes = {"k": 10, "n": 20, "m": 30}
    product = work(kernel(PRODUCT), set(), sizes)
    assert 2 * 10 * 20 * 30 <= product <= 1.1 * 2 * 10 * 20 * 30
    assert work(kernel(tanh(X)), set(), sizes) > 5 * work(kernel(X + 1.0), set(), sizes)


def test_threads_are_used_where_they_pay():
    assert threads_for(1000, 5, 2) == 1
    assert threads_for(1000 * WAIT_WORK, 5, 2) == 2
    assert threads_for(1000 * WAIT_WORK, 5, 8) == 8
    assert threads_for(10 * WAIT_WORK, 100, 8) == 1, "waiting costs more than the work"
