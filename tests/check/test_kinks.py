"""At a kink there are two slopes: what lies between them is right, what does not is wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chainrule.check.gradient import Report, check_gradients
from chainrule.expr import Expr, input_
from chainrule.ops import OPS, Op, matmul, replaced, sum_
from chainrule.ops.structure import max_
from chainrule.plan.derived import derived
from tests.check import nets

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
x = input_("x", "m")
POINT = {"x": np.array([0.0, 1.25, -0.75, 0.0])}


def at_kink(root: Expr, dtype: str = "float64", **arrays: np.ndarray) -> Report:
    return check_gradients(
        derived(nets.net("kink", root, "x", x)), dtype=dtype, arrays={**POINT, **arrays}
    )


# functions with a kink at 0, and for how many of the two zeros the slopes differ
KINKED = {
    "relu": (lambda x: OPS["relu"](x), 2),
    "abs": (lambda x: OPS["abs"](x), 2),
    "leaky_relu": (lambda x: OPS["leaky_relu"](x), 2),
    "selu": (lambda x: OPS["selu"](x), 2),
    "elu": (lambda x: OPS["elu"](x), 0),
    "maximum": (lambda x: OPS["maximum"](x, 0), 2),
    "minimum": (lambda x: OPS["minimum"](2 * x, x), 2),
    "clip": (lambda x: OPS["clip"](x, 0, 1), 2),
    "where": (lambda x: OPS["where"](x > 0, 3 * x, x), 2),
    "sigmoid": (lambda x: OPS["sigmoid"](x), 0),
    "softplus": (lambda x: OPS["softplus"](x), 0),
    "difference of relus": (lambda x: OPS["relu"](x) - OPS["relu"](-x), 0),
    "relu after erf": (lambda x: OPS["relu"](OPS["erf"](x)), 2),
    "abs after erf": (lambda x: OPS["abs"](OPS["erf"](x)), 2),
}


@DTYPES
@pytest.mark.parametrize("name", KINKED)
def test_no_false_alarm_at_a_kink(name: str, dtype: str) -> None:
    function, kinks = KINKED[name]
    report = at_kink(sum_(function(x)), dtype)
    assert report.ok, str(report)
    assert report.kinks == kinks


def test_the_report_counts_kinks() -> None:
    report = at_kink(sum_(OPS["relu"](x)))
    assert report.entries[0].kinks == 2
    assert str(report).splitlines()[2].split()[-2:] == ["2", "ok"]


@DTYPES
def test_equal_entries_of_a_maximum_are_no_false_alarm(dtype: str) -> None:
    root = max_(x, "m") * 2
    for values in ([2.0, 2.0, 1.0], [3.0, 3.0, 3.0], [0.0, -0.0, -1.0]):
        report = at_kink(root, dtype, x=np.array(values))
        assert report.ok, str(report)
        assert report.kinks >= 2


@DTYPES
def test_relu_of_nothing_but_zeros_is_no_false_alarm(dtype: str) -> None:
    """All weights 0: every hidden value of every example stands exactly at the kink."""
    net = derived(nets.columns("relu"))
    for seed in range(5):
        zeros = {"W_1": np.zeros((5, 3)), "b_1": np.zeros(5)}
        report = check_gradients(net, seed=seed, dtype=dtype, arrays=zeros)
        assert report.ok, str(report)


def test_a_relu_that_is_always_at_zero_is_no_false_alarm() -> None:
    assert check_gradients(derived(nets.scaled_zero())).ok


def split_evenly(op: Op) -> Op:
    """Ties divided between both sides, as some libraries do."""

    def vjp(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
        tie = OPS["where"](OPS["eq"](a, b), 0.5, 0)
        return g * ((a > b) + tie), g * ((a < b) + tie)

    return dataclasses.replace(op, vjp=vjp)


@DTYPES
def test_another_choice_between_the_two_slopes_is_right(dtype: str) -> None:
    with replaced(split_evenly(OPS["maximum"])):
        report = at_kink(sum_(OPS["maximum"](x, 0)), dtype)
    assert report.ok, str(report)
    assert report.kinks == 2


@DTYPES
@pytest.mark.parametrize("slope", [-0.2, 1.2])
def test_a_slope_outside_both_is_wrong(slope: float, dtype: str) -> None:
    def vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
        return (g * OPS["where"](OPS["eq"](x, 0), slope, x > 0),)

    with replaced(dataclasses.replace(OPS["relu"], vjp=vjp)):
        for function in (OPS["relu"], lambda x: OPS["erf"](OPS["relu"](x))):
            report = at_kink(sum_(function(x)), dtype)
            assert not report.ok
            assert report.entries[0].wrong == 2
            assert report.worst.label in ("x[0]", "x[3]")
            assert report.worst.error == pytest.approx(0.2, rel=0.2)


@DTYPES
def test_a_wrong_derivative_is_found_between_kinks(dtype: str) -> None:
    wrong = dataclasses.replace(OPS["relu"], vjp=lambda g, y, x: (1.001 * g * (x > 0),))
    with replaced(wrong):
        report = at_kink(sum_(OPS["relu"](x)), dtype)
    assert not report.ok
    assert report.worst.label == "x[1]"


def test_a_kink_closer_than_rounding_is_no_false_alarm() -> None:
    """W @ X is zero on paper; in float32 it is whatever the order of the sum makes of it."""
    W, X = input_("W", "k n"), input_("X", "n m")
    definition = nets.net("near", sum_(OPS["relu"](matmul(W, X)) * 3), "W", W, X)
    row = np.array([0.1, 0.2, 0.3, -0.6])
    column = np.array([1.0, 1.0, 1.0, 1.0])
    for scale in (1.0, 1 / 3, 0.7, 1e4):
        arrays = {"W": np.tile(row, (3, 1)), "X": np.tile(scale * column[:, None], (1, 5))}
        for dtype in ("float64", "float32"):
            report = check_gradients(derived(definition), dtype=dtype, arrays=arrays)
            assert report.ok, str(report)


@DTYPES
@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-4, 1e-5])
def test_differences_do_not_step_over_a_kink_nearby(distance: float, dtype: str) -> None:
    root = sum_(OPS["relu"](OPS["erf"](x)) * 2)
    for side in (-distance, distance):
        report = at_kink(root, dtype, x=np.array([side, 1.0]))
        assert report.ok, str(report)
        assert report.kinks == 0


def test_random_points_and_points_at_kinks_give_no_false_alarm_in_float32() -> None:
    definition = derived(nets.columns("relu", "mae"))
    values = np.random.default_rng(3)
    for seed in range(60):
        coarse = values.integers(-2, 3, (4, 3)) / 2, values.integers(-2, 3, (3, 6)) / 2
        arrays = {"W_1": coarse[0], "X": coarse[1], "b_1": np.zeros(4)} if seed % 2 else {}
        report = check_gradients(definition, seed=seed, dtype="float32", arrays=arrays)
        assert report.ok, str(report)
