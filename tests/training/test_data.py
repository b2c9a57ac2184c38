"""Rows, targets and splits: what is accepted, in which form it reaches the loss, what is said."""

import numpy as np
import pytest

from chainrule.definition import with_loss
from chainrule.errors import DataError, DTypeError, GraphError, ParameterError, ShapeError
from chainrule.netfile import define
from chainrule.nn import mlp
from chainrule.ops import OPS
from chainrule.ops.losses import mse
from chainrule.run.keyed import normal
from chainrule.training import train
from chainrule.training.data import batches, float_type, split
from chainrule.training.task import task_of

X = normal(0, "check", 0, (30, 4))
LABELS = np.arange(30) % 3


def fit(net, X, y, **options):
    return train(net, X, y, **{"progress": "off", "epochs": 1, **options})


def line(w: "", b: "", x: "m", y: "m"):
    return mse(w * x + b, y)


# What the network says about its data


def test_the_input_that_the_loss_compares_is_the_target():
    def reversed_order(y: "m", W: "n", X: "m n"):
        return mse(X @ W, y)

    task = task_of(reversed_order, None)
    assert (task.X.name, task.y.name, task.definition.params) == ("X", "y", ("W",))


def test_the_axis_of_the_examples_may_have_another_name():
    def rows(w: "n", X: "b n", y: "b"):
        return mse(X @ w, y, examples="b")

    assert task_of(rows, None).examples == "b"
    run = fit(rows, X, X[:, 0], epochs=300, optimizer="sgd:lr=0.1")
    assert np.allclose(run.predict(X), X[:, 0], atol=1e-3)


def test_marked_parameters_are_the_ones_that_are_trained():
    task = task_of(define(line, params=["w", "b"]), None)
    assert task.definition.params == ("w", "b")


def test_a_network_without_two_inputs_of_data_is_refused():
    def alone(w: "n", X: "m n"):
        return mse(X @ w, 0 * (X @ w))

    with pytest.raises(ParameterError, match="needs two inputs of data, X and y; found: X"):
        task_of(alone, None)


def test_a_network_without_parameters_is_refused():
    def nothing(X: "m", y: "m"):
        return mse(X, y)

    with pytest.raises(GraphError, match="nothing to learn"):
        task_of(nothing, None)


# Targets


@pytest.mark.parametrize("loss", ["mse", "half_mse", "mae", "huber", "bce_logits", "hinge"])
def test_labels_become_one_hot_for_a_loss_of_numbers(loss):
    low = -1.0 if loss == "hinge" else 0.0
    spread = np.full((30, 3), low)
    spread[np.arange(30), LABELS] = 1.0
    net, options = mlp([4, 3]), {"loss": loss, "optimizer": "sgd:lr=0.1"}
    labelled = fit(net, X, LABELS, **options)
    numbers = fit(net, X, spread, **options)
    assert labelled.params["W_1"].tobytes() == numbers.params["W_1"].tobytes()
    assert set(labelled.predict(X)) <= {0, 1, 2}
    assert "accuracy" in labelled.history[0]


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.int32])
def test_labels_of_any_whole_type_are_the_same(kind):
    runs = [fit(mlp([4, 3]), X, y, loss="cross_entropy") for y in (LABELS, LABELS.astype(kind))]
    assert runs[0].params["W_1"].tobytes() == runs[1].params["W_1"].tobytes()


def test_yes_and_no_may_be_truth_values():
    yes = X[:, 0] > 0
    for loss in ("bce_logits", "hinge"):
        run = fit(mlp([4, 1]), X, yes, loss=loss, epochs=200, optimizer="adam:lr=0.1")
        assert np.array_equal(run.predict(X), yes.astype(int))


def test_whole_numbers_stay_numbers_where_the_network_has_one_output():
    run = fit(line, X[:, 0], np.arange(30))
    assert set(run.history[0]) >= {"r2", "mae"}


def test_one_number_a_row_may_be_a_column():
    flat = fit(mlp([4, 1]), X, X[:, 0], loss="mse")
    column = fit(mlp([4, 1]), X, X[:, :1], loss="mse")
    assert flat.params["W_1"].tobytes() == column.params["W_1"].tobytes()
    flat = fit(line, X[:, 0], X[:, 1])
    column = fit(line, X[:, :1], X[:, 1:2])
    assert flat.params["w"] == column.params["w"]


def test_classes_on_the_first_axis_are_decided_along_it():
    def columns(W: "c=3 n", X: "n m", y: "m int"):
        return OPS["cross_entropy"](W @ X, y)

    run = fit(columns, X, LABELS, epochs=3)
    rows = fit(mlp([4, 3]), X, LABELS, loss="cross_entropy", epochs=1)
    assert run.predict(X).shape == rows.predict(X).shape == (30,)
    assert np.allclose(run.predict_proba(X).sum(axis=1), 1)
    assert run.predict_proba(X).shape == (30, 3)


@pytest.mark.parametrize(
    ("loss", "y", "error", "says"),
    [
        ("cross_entropy", LABELS + 1, DataError, "label 3 (y[2]) is not one of 0 … 2"),
        ("cross_entropy", LABELS - 1, DataError, "label -1 (y[0]) is not one of 0 … 2"),
        ("mse", LABELS * 9, DataError, "label 9 (y[1]) is not one of 0 … 2"),
        ("cross_entropy", LABELS * 1.0, DTypeError, "expected one label"),
        ("cross_entropy", np.eye(3)[LABELS], DTypeError, "y.argmax(axis=1)"),
        ("mse", X[:, :2], ShapeError, "y has shape (30, 2), the network predicts (30, 3)"),
        ("mse", X[:, 0], ShapeError, "y has shape (30,), the network predicts (30, 3)"),
        ("mse", X[:5], ShapeError, "X has 30 rows, y has 5"),
        ("mse", np.full((30, 3), np.nan), DataError, "y contains NaN: 90 values, first at y[0, 0]"),
        (
            "cross_entropy",
            ["a"] * 30,
            DTypeError,
            "y has dtype <U1: numbers are needed. Use cr.Classifier, which takes labels of text, "
            "or number them: classes, y = np.unique(y, return_inverse=True)",
        ),
        ("bce_logits", np.full((30, 3), 2.0), DataError, "bce_logits needs targets in [0, 1]"),
        ("hinge", np.zeros((30, 3)), DataError, "hinge needs targets 1 or -1"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, y, error, says):
    with pytest.raises(error) as caught:
        fit(mlp([4, 3]), X, y, loss=loss)
    assert says in str(caught.value)


def test_binary_labels_are_0_and_1():
    with pytest.raises(DataError, match=r"label 2 \(y\[2\]\) is not one of 0 … 1"):
        fit(mlp([4, 1]), X, LABELS, loss="bce_logits")


# Features


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (X[:, 0], ShapeError, "X must be 2-D (samples, n), got shape (30,)"),
        (X[:, 0], ShapeError, "X.reshape(-1, 1)"),
        (X[:, :3], ShapeError, "X has 3 along axis 'n', the network expects 4"),
        (X.reshape(30, 2, 2), ShapeError, "Use X.reshape(len(X), -1)"),
        (X[:0], DataError, "found 0 samples"),
        ([[1, 2], [3]], ShapeError, "rows have different lengths"),
        (X.astype(complex), DTypeError, "numbers are needed"),
    ],
)
def test_features_that_do_not_fit_are_refused(wrong, error, says):
    with pytest.raises(error) as caught:
        fit(mlp([4, 3]), wrong, LABELS[: len(wrong)], loss="cross_entropy")
    assert says in str(caught.value)


def test_the_first_bad_value_is_named():
    bad = X.copy()
    bad[17, 3] = np.nan
    bad[20, 0] = np.nan
    with pytest.raises(DataError, match=r"X contains NaN: 2 values, first at X\[17, 3\]"):
        fit(mlp([4, 3]), bad, LABELS, loss="cross_entropy")
    bad[17, 3] = bad[20, 0] = np.inf
    with pytest.raises(DataError, match="X contains infinity: 2 values"):
        fit(mlp([4, 3]), bad, LABELS, loss="cross_entropy")


def test_values_whose_sum_overflows_are_not_infinite():
    run = fit(
        mlp([4, 3]),
        np.full((30, 4), 1e308),
        LABELS,
        loss="cross_entropy",
        start={"W_1": np.zeros((4, 3)), "b_1": np.zeros(3)},
        optimizer="sgd:lr=1e-320",
        epochs=1,
    )
    assert run.steps == 1


def test_float32_stays_float32_and_everything_else_becomes_float64():
    assert float_type(X.astype(np.float32), None) == np.float32
    assert float_type(X, None) == np.float64
    assert float_type([[1, 2]], None) == np.float64
    with pytest.raises(DTypeError, match="float32 or float64, got float16"):
        float_type(X, np.float16)


def test_a_prediction_of_other_features_is_refused():
    run = fit(mlp([4, 3]), X, LABELS, loss="cross_entropy")
    with pytest.raises(ShapeError, match="the network expects 4"):
        run.predict(X[:, :2])


def test_many_rows_are_predicted_in_parts_with_the_same_result():
    run = fit(mlp([4, 3]), X, LABELS, loss="cross_entropy")
    many = np.tile(X, (400, 1))
    assert np.array_equal(run.predict(many), np.tile(run.predict(X), 400))
    assert run.evaluate(many, np.tile(LABELS, 400))["loss"] == pytest.approx(
        run.evaluate(X, LABELS)["loss"], rel=1e-12
    )


# Weights of examples


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (np.r_[np.ones(3), -1.0, np.ones(26)], "sample_weight[3] = -1.0: weights must be ≥ 0"),
        (np.zeros(30), "sum of weights is 0"),
        (np.ones(29), "expected one for each row: (30,)"),
        (np.full(30, np.nan), "weights must be ≥ 0 and finite"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights, says):
    with pytest.raises(ParameterError) as error:
        fit(mlp([4, 3]), X, LABELS, loss="cross_entropy", sample_weight=weights)
    assert says in str(error.value)


def test_weights_of_one_change_nothing():
    plain = fit(mlp([4, 3]), X, LABELS, loss="cross_entropy")
    ones = fit(mlp([4, 3]), X, LABELS, loss="cross_entropy", sample_weight=np.ones(30))
    assert np.allclose(plain.params["W_1"], ones.params["W_1"], rtol=0, atol=1e-15)


def test_a_network_that_weighs_its_examples_wants_the_weights():
    def weighed(W: "n", X: "m n", y: "m", importance: "m"):
        return mse(X @ W, y, weights=importance)

    with pytest.raises(ParameterError, match=r"weighs its examples \(importance\)"):
        fit(weighed, X, X[:, 0])
    assert fit(weighed, X, X[:, 0], sample_weight=np.ones(30)).steps == 1


def test_sum_squares_takes_no_weights():
    net = with_loss(mlp([4, 1]), "sum_squares")
    with pytest.raises(ParameterError, match="sum_squares takes no weights"):
        fit(net, X, X[:, 0], sample_weight=np.ones(30))


# Splits and batches


def test_a_split_is_keyed_complete_and_in_proportion():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows, held_out = split(1000, 0.2, seed=4, labels=labels)
    assert sorted([*rows, *held_out]) == list(range(1000))
    assert np.bincount(labels[held_out]).tolist() == [120, 60, 20]
    again = split(1000, 0.2, seed=4, labels=labels)
    assert np.array_equal(held_out, again[1])
    assert not np.array_equal(held_out, split(1000, 0.2, seed=5, labels=labels)[1])


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, 0.001, 0.999])
def test_a_split_leaves_rows_on_both_sides(fraction):
    with pytest.raises(ParameterError, match="leaves rows on both sides"):
        split(30, fraction, seed=0)


def test_a_class_with_one_row_cannot_be_split():
    labels = np.r_[np.zeros(29, int), 1]
    with pytest.raises(DataError, match="class '1' has 1 row; a validation split needs ≥ 2"):
        split(30, 0.2, seed=0, labels=labels)


@pytest.mark.seed("001-16", "002-16")
def test_an_epoch_visits_every_row_once_in_an_order_of_its_own():
    epochs = [np.concatenate(list(batches(10, 3, seed=1, epoch=e))) for e in range(3)]
    assert all(sorted(order) == list(range(10)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert [len(rows) for rows in batches(10, 3, seed=1, epoch=0)] == [3, 3, 3, 1]
