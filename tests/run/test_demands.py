"""What a network asks of its arrays beyond axes and types is checked before anything runs."""

import time

import numpy as np
import pytest

from chainrule.errors import DataError, ShapeError
from chainrule.expr import input_
from chainrule.ops import OPS, losses, sum_
from chainrule.ops.indexing import concat, cut, gather, rename
from chainrule.ops.structure import max_, mean, one_hot
from chainrule.plan.program import program
from chainrule.run.demands import demands
from chainrule.run.reference import Reference

X, T, ROWS = input_("X", "m n"), input_("T", "m n"), input_("rows", "m int")
CHAIN, SECONDS = 5_000, 10.0


def call(root, inputs, **given):
    return Reference(program("net", inputs, {"": root}, {}))(**given)[0]


def sized(m, n):
    return np.zeros((m, n))


@pytest.mark.parametrize(
    ("op", "root"),
    [
        ("mean", mean(X, "m")),
        ("max", sum_(max_(X, "m"))),
        ("mse", losses.mse(X, T)),
        ("softmax", sum_(OPS["softmax"](X, "m"))),
        ("cross_entropy", OPS["cross_entropy"](X, T)),
    ],
)
def test_no_entries_where_one_is_needed(op, root):
    with pytest.raises(DataError) as caught:
        call(root, [X, T], X=sized(0, 3), T=sized(0, 3))
    assert str(caught.value) == f"{op}: found 0 entries along axis 'm'; at least 1 is required"


@pytest.mark.parametrize("root", [sum_(X), sum_(X * T), losses.mse(X, T, reduction="sum")])
def test_a_sum_of_nothing_is_zero(root):
    assert call(root, [X, T], X=sized(0, 3), T=sized(0, 3)) == 0


def test_an_axis_made_by_an_operation_counts_too():
    root = sum_(max_(rename(X, n="p"), "p"))
    with pytest.raises(DataError, match="max: found 0 entries along axis 'p'"):
        call(root, [X], X=sized(3, 0))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 7, 9], "rows[1] is 7, but axis 'n' has positions 0 to 2 (2 like this)"),
        ([0, -1, 1], "rows[1] is -1, but axis 'n' has positions 0 to 2"),
    ],
)
def test_labels_that_name_no_class(labels, said):
    with pytest.raises(DataError) as caught:
        call(OPS["cross_entropy"](X, ROWS), [X, ROWS], X=sized(3, 3), rows=np.array(labels))
    assert str(caught.value) == said


def test_rows_that_are_not_in_the_table():
    table = input_("table", "v d")
    root = sum_(gather(table, ROWS, "v"))
    with pytest.raises(DataError, match=r"rows\[0\] is 4, but axis 'v' has positions 0 to 3"):
        call(root, [table, ROWS], table=sized(4, 2), rows=np.array([4, 0]))


def test_a_single_label_that_is_wrong():
    label = input_("label", "int")
    with pytest.raises(DataError, match="label is 5, but axis 'c' has positions 0 to 2"):
        call(sum_(one_hot(label, "c", 3) * 1.0), [label], label=5)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (rename(X, n="p") * input_("P", "p"), "rename: makes 3 along axis 'p', elsewhere it has 4"),
        (
            concat(X, rename(T, n="q"), over="n q", into="p") * input_("P", "p"),
            "concat: makes 6 along axis 'p', elsewhere it has 4",
        ),
        (
            cut(X, "n", "p", 0, 2) * input_("P", "p"),
            "slice: makes 2 along axis 'p', elsewhere it has 4",
        ),
    ],
)
def test_an_axis_cannot_have_two_sizes(root, said):
    with pytest.raises(ShapeError) as caught:
        call(sum_(root), [X, T, input_("P", "p")], X=sized(2, 3), T=sized(2, 3), P=np.zeros(4))
    assert str(caught.value) == said


def test_demands_of_a_deep_network_are_found_in_time():
    h = X
    for _ in range(CHAIN):
        h = OPS["softmax"](h, "n")
    start = time.perf_counter()
    assert dict(demands([h]).entries) == {"n": "softmax"}
    assert time.perf_counter() - start < SECONDS
