"""The public check: right networks agree, wrong ones do not, and the report says where."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from chainrule.check.gradient import check_gradients
from chainrule.errors import DataError, GradientMismatch, ParameterError, ShapeError
from chainrule.expr import Definition, input_
from chainrule.ops import OPS, expand, matmul, replaced, sum_
from chainrule.plan.derived import derived
from tests.check import nets


def check(definition: Definition, **options: object) -> object:
    return check_gradients(derived(definition), **options)


def assert_agrees(definition: Definition, **options: object) -> None:
    report = check(definition, **options)
    assert report.ok, str(report)


@pytest.mark.seed("000-25")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_every_activation_agrees(activation: str, dtype: str) -> None:
    for seed in range(3):
        assert_agrees(nets.columns(activation), seed=seed, dtype=dtype)
        assert_agrees(nets.rows(activation), seed=seed, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", nets.LOSSES)
def test_every_loss_agrees(loss: str, dtype: str) -> None:
    for seed in range(3):
        assert_agrees(nets.columns("tanh", loss), seed=seed, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "definition",
    [
        nets.rows("relu", label_smoothing=0.2),
        nets.chain(6),
        nets.chain(40, "tanh"),
        nets.with_dropout(),
        nets.embedding(),
        nets.heads(),
        nets.stopped(),
        nets.columns("sigmoid", "bce"),
        nets.columns("sigmoid", "kl"),
    ],
    ids=lambda d: d.name,
)
def test_other_networks_agree(definition: Definition, dtype: str) -> None:
    for seed in range(3):
        assert_agrees(definition, seed=seed, dtype=dtype)


def test_a_chain_of_two_thousand_nodes_agrees() -> None:
    x = y = input_("x", "")
    for _ in range(2000):
        y = OPS["tanh"](y + 0.25)
    assert_agrees(nets.net("deep", y * y, "x", x))


def test_the_same_seed_gives_the_same_report() -> None:
    first, second = (check(nets.columns("gelu"), seed=4) for _ in range(2))
    assert first == second
    assert first != check(nets.columns("gelu"), seed=5)


@pytest.mark.parametrize("seed", range(4))
def test_sizes_are_different_small_numbers(seed: int) -> None:
    sizes = check(nets.columns("tanh"), seed=seed).sizes
    assert len(set(sizes.values())) == 4
    assert all(2 <= n <= 9 for n in sizes.values())


def test_declared_sizes_are_kept() -> None:
    W, X = input_("W", "k=3 n=7"), input_("X", "n m")
    report = check(nets.net("n", sum_(OPS["tanh"](matmul(W, X))), "W", W, X))
    assert (report.sizes["k"], report.sizes["n"]) == (3, 7)


def test_what_is_analytic_is_checked_by_complex_step() -> None:
    methods = {
        a: check(nets.columns(a)).entries[0].method for a in ("sigmoid", "relu", "gelu", "erf")
    }
    assert list(methods.values()) == ["complex step"] * 2 + ["differences"] * 2


def test_complex_step_is_exact_to_rounding_and_differences_to_nine_digits() -> None:
    for activation, most in (("sigmoid", 1e-13), ("gelu", 1e-7)):
        report = check(nets.columns(activation))
        assert all(entry.worst.tolerance < most for entry in report.entries)


def test_values_inside_the_domain_are_found() -> None:
    W, X = input_("W", "k n"), input_("X", "n m")
    definition = nets.net(
        "logs", sum_(OPS["log"](matmul(W, X)) * OPS["sqrt"](matmul(W, X))), "W", W, X
    )
    assert_agrees(definition)


def test_where_nothing_is_finite_the_report_says_how_to_pass_values() -> None:
    x = input_("x", "m")
    definition = nets.net("nowhere", sum_(OPS["log"](x * 0 - 2 + x / 9)), "x", x)
    with pytest.raises(DataError) as error:
        check(definition)
    assert str(error.value) == (
        "nowhere: the loss is not finite at any of 9 points drawn. "
        "Pass values: check(arrays={'X': …})"
    )
    assert_agrees(definition, arrays={"x": np.array([30.0, 41.5])})


def test_values_where_the_slope_is_infinite_are_named() -> None:
    x = input_("x", "m")
    definition = nets.net("root", sum_(OPS["sqrt"](x)), "x", x)
    with pytest.raises(
        DataError, match="derivative with respect to x is not finite at the values given"
    ):
        check(definition, arrays={"x": np.array([0.0, 1.0])})


def test_values_can_be_given_for_some_inputs() -> None:
    X = np.linspace(-1, 2, 10).reshape(2, 5)
    report = check(nets.columns("tanh"), arrays={"X": X})
    assert report.ok
    assert (report.sizes["n"], report.sizes["m"], report.arrays) == (2, 5, ("X",))


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ParameterError, match="dtype must be float64 or float32, got 'float16'"):
        check(nets.columns("tanh"), dtype="float16")
    with pytest.raises(ParameterError, match="no input is called 'x'"):
        check(nets.columns("tanh"), arrays={"x": np.ones(3)})
    with pytest.raises(ShapeError, match="expected axes"):
        check(nets.columns("tanh"), arrays={"X": np.ones(3)})


def forgotten(factor: float = 1.0) -> object:
    """tanh whose derivative is a constant factor."""
    return dataclasses.replace(OPS["tanh"], vjp=lambda g, y, x: (factor * g,))


def test_a_wrong_derivative_is_reported_by_parameter_and_index() -> None:
    with replaced(forgotten()):
        report = check(nets.columns("tanh"), seed=2)
    assert not report.ok
    wrong = {entry.parameter: entry.wrong for entry in report.entries}
    assert [name for name, count in wrong.items() if count] == ["W_1", "b_1"]
    worst = report.worst
    assert worst.parameter in ("W_1", "b_1")
    assert f"{worst.label}: derived" in str(report)
    assert "WRONG" in str(report)
    with pytest.raises(GradientMismatch) as error:
        report.raise_if_wrong()
    assert str(error.value).startswith(f"columns: gradient is wrong: {worst.label}: derived")
    assert str(error.value).endswith("Wrong: W_1, b_1")


def test_one_wrong_entry_is_the_one_reported() -> None:
    x = input_("x", "m=6")
    at = input_("at", "m=6 bool")
    wrong = dataclasses.replace(
        OPS["where"], vjp=lambda g, y, c, a, b: (None, 1.01 * OPS["where"](c, g, 0), 0 * g)
    )
    with replaced(wrong):
        definition = nets.net("one", sum_(OPS["where"](at, OPS["exp"](x), 0)), "x", x, at)
        report = check(definition, arrays={"at": np.arange(6) == 4})
    assert [(e.wrong, e.worst.label) for e in report.entries] == [(1, "x[4]")]
    assert report.worst.error == pytest.approx(0.01 * abs(report.worst.independent), rel=1e-6)


def test_a_derivative_that_is_not_a_number_is_wrong() -> None:
    wrong = dataclasses.replace(OPS["tanh"], vjp=lambda g, y, x: (g * (y - y) / (y - y),))
    with replaced(wrong):
        report = check(nets.columns("tanh"))
    assert not report.ok
    assert np.isnan(report.worst.derived)


def test_a_wrong_value_is_reported_too() -> None:
    """The executor runs the simplified graph: here its loss is not that of the definition."""
    found = derived(nets.columns("tanh"))
    report = check_gradients(dataclasses.replace(found, value=found.value * 1.001))
    assert not report.ok
    assert not report.value.ok
    with pytest.raises(GradientMismatch, match=r"columns: loss is wrong: loss: derived"):
        report.raise_if_wrong()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_in_a_large_network_every_entry_takes_part(dtype: str) -> None:
    W, X = input_("W", "k=60 n=50"), input_("X", "n m")
    at = np.zeros((60, 50), bool)
    at[17, 31] = True
    mask = input_("mask", "k=60 n=50 bool")
    V = OPS["where"](mask, W, W)
    definition = nets.net("large", sum_(OPS["tanh"](matmul(V, X)) * 0.1), "W", W, X, mask)
    assert_agrees(definition, dtype=dtype, arrays={"mask": at})
    wrong = dataclasses.replace(
        OPS["where"], vjp=lambda g, y, c, a, b: (None, OPS["where"](c, 1.5 * g, g) * 0.5, 0.5 * g)
    )
    with replaced(wrong):
        report = check(definition, dtype=dtype, arrays={"mask": at})
    assert not report.ok
    assert report.worst.label == "W[17, 31]"
    assert report.entries[0].checked < 3000


def test_a_report_is_plain_values_too() -> None:
    report = check(nets.columns("relu"))
    plain = json.loads(json.dumps(report.json()))
    assert plain["ok"] is True
    assert plain["worst"]["parameter"] == report.worst.parameter
    assert [e["parameter"] for e in plain["entries"]] == ["W_1", "b_1", "w_2", "b_2"]


def test_the_table_has_a_line_for_each_parameter() -> None:
    lines = str(check(nets.columns("sigmoid"))).splitlines()
    assert lines[0].startswith("columns: derivatives in float64 at ")
    assert [line.split()[0] for line in lines[2:6]] == ["W_1", "b_1", "w_2", "b_2"]
    assert lines[-1].startswith("agrees; worst: ")


def test_a_saturated_sigmoid_is_no_false_alarm() -> None:
    """Near a = 1 the factor a (1 − a) has lost its digits: that is rounding, not a mistake."""
    w, x = input_("w", "k"), input_("x", "")
    definition = nets.net("saturated", sum_(OPS["sigmoid"](w * x)), "w", w, x)
    for dtype in ("float64", "float32"):
        arrays = {"w": np.array([5.0, 15.0, 30.0, 36.0, -80.0]), "x": np.float64(1.0)}
        assert_agrees(definition, dtype=dtype, arrays=arrays)


def test_a_sum_that_cancels_is_no_false_alarm() -> None:
    w, X = input_("w", ""), input_("X", "m")
    centred = w * X - OPS["mean"](w * X, "m")
    definition = nets.net("cancels", sum_(centred + OPS["square"](centred)), "w", w, X)
    for dtype in ("float64", "float32"):
        arrays = {"X": 1000 + np.linspace(0, 1, 7), "w": np.float64(1.3)}
        assert_agrees(definition, dtype=dtype, arrays=arrays)


def test_an_input_that_is_used_twice_is_no_problem() -> None:
    x = input_("x", "m")
    assert_agrees(nets.net("twice", sum_(x * x * OPS["exp"](x) + expand(sum_(x), "m") * x), "x", x))
