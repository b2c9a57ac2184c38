"""Functions of rows: the same bits in any company, no compiling for a new number of rows."""

import threading

import numpy as np
import pytest

from chainrule.definition import with_loss
from chainrule.netfile import define
from chainrule.nn import mlp
from chainrule.ops.activations import sigmoid, softmax
from chainrule.ops.arithmetic import sqrt
from chainrule.ops.losses import mse
from chainrule.ops.structure import mean
from chainrule.run import byrow
from chainrule.run.byrow import FEW, MANY, ByRow
from chainrule.run.reference import VALUE, ReferenceByRow
from chainrule.training import predictors
from chainrule.training.data import Rows
from chainrule.training.predictors import losses, predicted
from chainrule.training.step import prediction_program, row_losses_program
from chainrule.training.task import task_of, with_weights
from tests.run import agreement
from tests.run.engines import sha


def columns(W_1: "k=33 n=20", b_1: "k", w_2: "1 k", b_2: "", X: "n m", y: "1 m"):
    A = sigmoid(W_1 @ X + b_1)
    return mse(w_2 @ A + b_2, y)


def centred(w: "n=20", X: "m n", y: "m"):
    z = X @ w
    return mse(z - mean(z), y)


def across(w: "n=20", X: "m n", y: "m"):
    return mse(softmax(X @ w, "m"), y)


def rooted(w: "n=20", X: "m n", y: "m"):
    return sqrt(mse(X @ w, y))


TASKS = {
    "relu_cross_entropy": (mlp([20, 33, 10], "relu"), "cross_entropy"),
    "tanh_mse": (mlp([20, 17, 17, 1], "tanh"), "mse"),
    "gelu_bce": (mlp([20, 9, 1], "gelu"), "bce_logits"),
    "columns": (define(columns), None),
}
COUNTS = (1, 2, FEW - 1, FEW, FEW + 1, MANY - 1, MANY, MANY + 1, 359, 360, 3 * MANY + 5)
MOST = max(COUNTS)


def task(name):
    return task_of(*TASKS[name])


def values_for(t, dtype):
    rng = np.random.default_rng(3)
    params = [t.definition.input[name] for name in t.definition.params]
    return {
        x.name: (rng.standard_normal([x.sizes.get(a, 33) for a in x.axes]) / 2).astype(dtype)
        for x in params
    }


def rows_for(t, count, dtype):
    """Rows and targets as training holds them: rows first."""
    rng = np.random.default_rng(count)
    X = rng.standard_normal((count, 20)).astype(dtype)
    if t.y.kind == "int":
        return X, rng.integers(0, 10, count)
    rest = [1 for axis in t.y.axes if axis != t.examples]
    return X, rng.random((count, *rest)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TASKS)
def test_a_row_gets_the_same_bits_in_any_company_and_for_any_number_of_threads(name, dtype):
    t = task(name)
    values, (X, _) = values_for(t, dtype), rows_for(t, MOST, dtype)
    wanted = predicted(t, values, X, threads=1)
    for threads in (1, 2, 3):
        for count in COUNTS:
            scores, shares = predicted(t, values, X[-count:], threads=threads)
            assert scores.tobytes() == wanted[0][-count:].tobytes()
            assert shares is None or shares.tobytes() == wanted[1][-count:].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TASKS)
def test_losses_of_rows_are_the_same_bits_for_any_number_of_threads(name, dtype):
    t = task(name)
    values, (X, y) = values_for(t, dtype), rows_for(t, MOST, dtype)
    found = {sha({"loss": losses(t, values, Rows(X, y), threads=n)[0]}) for n in (1, 2, 3)}
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("count", [1, FEW + 1, MANY + FEW + 1])
def test_compiled_and_reference_agree_to_what_roundings_do(name, dtype, count):
    t = task(name)
    values, (X, y) = values_for(t, dtype), rows_for(t, count, dtype)
    data = {t.X.name: X, t.y.name: y}
    for whole in (prediction_program(t), row_losses_program(t)):
        rows = {x.name: data[x.name] for x in whole.inputs if x.name in data}
        found = ByRow(whole, list(rows), t.examples)(values, rows)
        compiled = {"" if key == VALUE else key: value for key, value in found.items()}
        axes = {x.name: x.axes.index(t.examples) for x in whole.inputs if x.name in rows}
        given = {n: np.moveaxis(a, 0, axes[n]) for n, a in rows.items()}
        kept = {x.name: values[x.name] for x in whole.inputs if x.name in values}
        case = agreement.Case(whole, {**kept, **given})
        assert agreement.beyond(case, compiled, dtype) == {}
        compiled[""][-1] *= 2  # a loss of 1e-6 is the difference of numbers near 1
        assert agreement.beyond(case, compiled, dtype), "a mistake in the last row is seen"


def test_no_number_of_rows_is_compiled_for_but_two(monkeypatch):
    made = []
    built = byrow.built

    def counted(recipe, *args):
        made.append(recipe.sizes["m"])
        return built(recipe, *args)

    monkeypatch.setattr(byrow, "built", counted)
    t = task("relu_cross_entropy")
    values = values_for(t, "float32")
    predict = ByRow(prediction_program(t), ["X"], "m")
    for count in (1, 2, 5, MANY - 1):
        predict(values, {"X": rows_for(t, count, "float32")[0]})
    assert made == [FEW]
    for count in (359, 360, 1000, MANY):
        predict(values, {"X": rows_for(t, count, "float32")[0]})
    assert made == [FEW, MANY]


def test_networks_that_are_equal_share_their_code():
    first, again = (task_of(mlp([20, 33, 10], "relu"), "cross_entropy") for _ in range(2))
    assert predictors._predictor(first, "compiled", None) is predictors._predictor(
        again, "compiled", None
    )


def test_threads_of_the_caller_do_not_disturb_each_other():
    t = task("relu_cross_entropy")
    values = values_for(t, "float32")
    sets = [rows_for(t, 1000 + i, "float32")[0] for i in range(4)]
    wanted = [predicted(t, values, X)[0] for X in sets]
    wrong = []

    def work(i):
        found = (predicted(t, values, sets[i])[0] for _ in range(30))
        wrong.extend(i for scores in found if scores.tobytes() != wanted[i].tobytes())

    team = [threading.Thread(target=work, args=(i,)) for i in range(len(sets))]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert not wrong


def test_what_is_not_finite_in_one_row_stays_in_that_row():
    t = task("relu_cross_entropy")
    values, (X, _) = values_for(t, "float32"), rows_for(t, 2 * MANY, "float32")
    wanted = predicted(t, values, X)[0]
    X = X.copy()
    X[5] = np.inf
    found = predicted(t, values, X)[0]
    assert not np.isfinite(found[5]).all()
    assert np.delete(found, 5, axis=0).tobytes() == np.delete(wanted, 5, axis=0).tobytes()


@pytest.mark.parametrize("net", [centred, across])
def test_rows_that_depend_on_each_other_are_taken_all_at_once(net):
    t = task_of(define(net), None)
    assert isinstance(predictors._predictor(t, "compiled", None), ReferenceByRow)
    values, (X, y) = values_for(t, "float64"), rows_for(t, 5000, "float64")
    z = X @ values["w"]
    wanted = z - z.mean() if net is centred else np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(predicted(t, values, X)[0], wanted, rtol=1e-9, atol=1e-9)
    loss, scores = losses(t, values, Rows(X, y))
    np.testing.assert_allclose(loss, np.mean((wanted - y) ** 2), rtol=1e-9)
    np.testing.assert_allclose(scores, wanted, rtol=1e-9, atol=1e-9)


def test_a_loss_inside_of_something_else_is_that_of_all_rows_together():
    t = task_of(define(rooted), None)
    values, (X, y) = values_for(t, "float64"), rows_for(t, 700, "float64")
    wanted = np.sqrt(np.mean((X @ values["w"] - y) ** 2))
    assert losses(t, values, Rows(X, y))[0] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("loss", ["mse", "sum_squares"])
def test_losses_of_rows_are_averaged_or_added_up_as_the_loss_is(loss):
    t = task_of(with_loss(mlp([20, 1]), loss), None)
    values, (X, y) = values_for(t, "float64"), rows_for(t, 700, "float64")
    squares = (X @ values["W_1"] + values["b_1"] - y) ** 2
    wanted = squares.mean() if loss == "mse" else squares.sum()
    assert losses(t, values, Rows(X, y))[0] == pytest.approx(wanted, rel=1e-12)


def test_weights_multiply_the_losses_of_rows():
    t = with_weights(task_of(mlp([20, 1]), "mse"))
    values, (X, y) = values_for(t, "float64"), rows_for(t, 300, "float64")
    weights = np.linspace(0, 2, 300)
    squares = (X @ values["W_1"] + values["b_1"] - y)[:, 0] ** 2
    found = losses(t, values, Rows(X, y, weights))[0]
    assert found == pytest.approx((weights * squares).mean(), rel=1e-12)
