"""The loop: it follows the derivation, learns, stops when it should, and repeats itself."""

import importlib.resources
import math
import warnings

import numpy as np
import pytest

from chainrule.definition import with_loss
from chainrule.errors import BatchSizeWarning, DivergenceError, ParameterError
from chainrule.netfile import define
from chainrule.nn import mlp
from chainrule.ops.activations import sigmoid
from chainrule.ops.arithmetic import tanh
from chainrule.ops.losses import mse, sum_squares
from chainrule.run.keyed import normal, permutation
from chainrule.training import (
    SGD,
    Adam,
    AdamW,
    EarlyStopping,
    Momentum,
    train,
)
from chainrule.training.data import split


def line(w: "", b: "", x: "m", y: "m"):
    y_hat = w * x + b
    return mse(y_hat, y)


def multivariate(w: "1 n", b: "", X: "n m", y: "1 m"):
    y_hat = w @ X + b
    return mse(y_hat, y)


def two_sigmoid(W_1: "k n", b_1: "k", w_2: "o k", b_2: "", X: "n m", y: "o m"):
    Z = W_1 @ X + b_1
    A = sigmoid(Z)
    y_hat = w_2 @ A + b_2
    return mse(y_hat, y)


def numbers(n=60, features=4, seed=0):
    X = normal(seed, "check", 0, (n, features))
    y = X @ np.arange(1.0, features + 1) + 0.5 + 0.1 * normal(seed, "check", 1, n)
    return X, y


def quiet(*args, **options):
    return train(*args, **{"progress": "off", **options})


@pytest.fixture(scope="module")
def digits():
    data = importlib.resources.files("chainrule.io") / "data" / "digits.npz"
    with data.open("rb") as file, np.load(file) as arrays:
        X, y = arrays["images"] / 16, arrays["labels"]
    rows, held_out = split(len(X), 0.2, seed=0, labels=y)
    return X[rows], y[rows], X[held_out], y[held_out]


# Learning


@pytest.mark.seed("000-05", "000-06")
def test_it_learns_the_digits(digits):
    X, y, X_test, y_test = digits
    options = {"batch_size": 32, "epochs": 40, "validation": 0.1}
    run = quiet(mlp([64, 64, 10]), X, y, loss="cross_entropy", optimizer=Adam(3e-3), **options)
    assert np.mean(run.predict(X_test) == y_test) >= 0.97
    assert run.history[-1]["val_accuracy"] > 0.95
    probabilities = run.predict_proba(X_test)
    assert probabilities.shape == (len(X_test), 10)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(probabilities.argmax(axis=1), run.predict(X_test))


def test_it_learns_labels_with_a_loss_of_numbers(digits):
    X, y, X_test, y_test = digits
    net = mlp([64, 30, 10], "sigmoid", output="sigmoid")
    run = quiet(net, X, y, loss="half_mse", optimizer=SGD(3.0), batch_size=10, epochs=15)
    assert np.mean(run.predict(X_test) == y_test) > 0.93
    with pytest.raises(ParameterError, match="predicts no probabilities"):
        run.predict_proba(X_test)


@pytest.mark.seed("000-04")
def test_it_learns_numbers():
    X = np.linspace(-2, 2, 200)[:, None]
    y = np.sin(2 * X[:, 0])
    run = quiet(mlp([1, 32, 1], "tanh"), X, y, loss="mse", optimizer=Adam(0.02), epochs=150)
    assert run.history[-1]["r2"] > 0.99
    assert run.predict(X).shape == (200,)
    assert run.evaluate(X, y)["mae"] < 0.1


def test_it_learns_yes_and_no_as_labels_of_logistic_regression():
    X = normal(1, "check", 0, (300, 2))
    y = (X[:, 0] - X[:, 1] > 0.3).astype(int)
    run = quiet(mlp([2, 1]), X, y, loss="bce_logits", optimizer=Adam(0.05), epochs=60)
    assert run.history[-1]["accuracy"] > 0.97
    assert set(run.predict(X)) == {0, 1}
    assert run.predict_proba(X).shape == (300, 2)
    assert np.array_equal(run.predict_proba(X)[:, 1] > 0.5, run.predict(X) == 1)


# It is the derivation that runs


@pytest.mark.seed("000-09", "003-09")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradient_descent_is_what_one_would_write_by_hand(dtype):
    X, y = numbers()
    run = quiet(line, X[:, 0], y, optimizer=SGD(0.1), batch_size="all", epochs=50, dtype=dtype)
    w = b = np.array(0, dtype)
    w = w + run_start(line, X[:, 0], y, dtype)["w"]
    x, t = X[:, 0].astype(dtype), y.astype(dtype)
    for _ in range(50):
        error = w * x + b - t
        w, b = w - 0.1 * (2 / 60) * (error @ x), b - 0.1 * (2 / 60) * error.sum()
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert abs(run.params["w"] - w) < tolerance
    assert abs(run.params["b"] - b) < tolerance
    assert run.steps == 50


def run_start(net, X, y, dtype="float64", **options):
    """The values that a training starts with: one step whose rate is too small to be seen."""
    return quiet(net, X, y, optimizer=SGD(1e-300), epochs=1, dtype=dtype, **options).params


@pytest.mark.seed("000-09", "001-16")
@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_batches_of_any_size_follow_the_keyed_order(batch_size):
    X, y = numbers()
    options = {"optimizer": SGD(0.01), "batch_size": batch_size, "seed": 3}
    run = quiet(multivariate, X, y, epochs=3, **options)
    start = run_start(multivariate, X, y, seed=3)
    w, b = start["w"][0], float(start["b"])
    for epoch in range(3):
        order = permutation(3, epoch, 60) if batch_size < 60 else np.arange(60)
        for at in range(0, 60, batch_size):
            rows = order[at : at + batch_size]
            error = X[rows] @ w + b - y[rows]
            step = 0.01 * 2 / len(rows)
            w, b = w - step * error @ X[rows], b - step * error.sum()
    assert np.abs(run.params["w"][0] - w).max() < 1e-12
    assert abs(run.params["b"] - b) < 1e-12
    assert run.steps == 3 * math.ceil(60 / batch_size)


def test_one_batch_of_all_rows_is_gradient_descent():
    X, y = numbers()
    options = {"optimizer": Adam(0.01), "epochs": 5}
    whole = quiet(multivariate, X, y, batch_size="all", **options)
    counted = quiet(multivariate, X, y, batch_size=60, **options)
    assert whole.params["w"].tobytes() == counted.params["w"].tobytes()


@pytest.mark.seed("003-04")
def test_gradient_descent_reaches_the_closed_form_of_least_squares():
    X, y = numbers()
    run = quiet(multivariate, X, y, optimizer=SGD(0.1), batch_size="all", epochs=2000)
    closed = np.linalg.lstsq(np.column_stack([X, np.ones(60)]), y, rcond=None)[0]
    assert np.abs(np.append(run.params["w"][0], run.params["b"]) - closed).max() < 1e-10


def test_examples_may_be_columns_in_the_definition():
    X, y = numbers()
    columns = quiet(two_sigmoid, X, y, optimizer=SGD(0.05), epochs=3, sizes={"k": 5})
    start = run_start(two_sigmoid, X, y, sizes={"k": 5})
    rows = with_loss(mlp([4, 5, 1], "sigmoid"), "mse")
    same = {"W_1": start["W_1"].T, "b_1": start["b_1"], "W_2": start["w_2"].T, "b_2": np.zeros(1)}
    other = quiet(rows, X, y, optimizer=SGD(0.05), epochs=3, start=same)
    assert np.allclose(columns.params["W_1"].T, other.params["W_1"], rtol=0, atol=1e-13)
    assert np.allclose(columns.predict(X), other.predict(X), rtol=0, atol=1e-12)


def test_l2_adds_its_multiple_of_the_weights_to_the_gradient_and_spares_biases():
    X, y = numbers()
    options = {"optimizer": SGD(0.1), "batch_size": "all", "epochs": 1}
    start = run_start(multivariate, X, y)
    plain = quiet(multivariate, X, y, **options)
    decayed = quiet(multivariate, X, y, l2=0.3, **options)
    expected = plain.params["w"] - 0.1 * 0.3 * start["w"]
    assert np.abs(decayed.params["w"] - expected).max() < 1e-14
    assert decayed.params["b"] == plain.params["b"]
    assert decayed.history[0]["penalty"] == pytest.approx(0.15 * (start["w"] ** 2).sum())
    assert decayed.history[0]["loss"] == plain.history[0]["loss"]


def test_l1_adds_its_multiple_of_the_signs():
    X, y = numbers()
    options = {"optimizer": SGD(0.1), "batch_size": "all", "epochs": 1}
    start = run_start(multivariate, X, y)
    difference = quiet(multivariate, X, y, l1=0.3, **options).params["w"]
    difference = difference - quiet(multivariate, X, y, **options).params["w"]
    assert np.abs(difference + 0.1 * 0.3 * np.sign(start["w"])).max() < 1e-14


def test_decoupled_decay_is_that_of_adamw():
    X, y = numbers()
    ours = quiet(multivariate, X, y, optimizer=Adam(0.01), weight_decay=0.1, epochs=4)
    theirs = quiet(multivariate, X, y, optimizer=AdamW(0.01, weight_decay=0.1), epochs=4)
    assert np.abs(ours.params["w"] - theirs.params["w"]).max() < 1e-14


def test_the_norm_of_all_gradients_together_is_limited():
    X, y = numbers()
    start = run_start(multivariate, X, y)
    options = {"optimizer": SGD(1.0), "batch_size": "all", "epochs": 1}
    clipped = quiet(multivariate, X, y, clip_norm=0.5, **options).params
    free = quiet(multivariate, X, y, **options).params
    moved = [np.append(p["w"] - start["w"], p["b"] - start["b"]) for p in (clipped, free)]
    assert np.linalg.norm(moved[0]) == pytest.approx(0.5, rel=1e-12)
    assert np.allclose(moved[0] / 0.5, moved[1] / np.linalg.norm(moved[1]), rtol=1e-12)
    loose = quiet(multivariate, X, y, clip_norm=1e6, **options).params
    assert loose["w"].tobytes() == free["w"].tobytes()


def test_every_entry_of_a_gradient_is_limited():
    X, y = numbers()
    start = run_start(multivariate, X, y)
    options = {"optimizer": SGD(1.0), "batch_size": "all", "epochs": 1}
    clipped = quiet(multivariate, X, y, clip_value=0.01, **options).params
    assert np.abs(clipped["w"] - start["w"]).max() == pytest.approx(0.01)


def test_weights_of_examples_multiply_their_losses():
    X, y = numbers()
    options = {"optimizer": SGD(0.05), "batch_size": "all", "epochs": 20}
    weights = np.where(np.arange(60) < 30, 2.0, 0.0)
    half = quiet(multivariate, X[:30], y[:30], **options)
    weighed = quiet(multivariate, X, y, sample_weight=weights, **options)
    assert np.abs(half.params["w"] - weighed.params["w"]).max() < 1e-12
    assert weighed.evaluate(X, y)["loss"] > 0


def test_a_sum_over_examples_is_reported_as_a_sum():
    def total(w: "", b: "", x: "m", y: "m"):
        return sum_squares(w * x + b, y)

    X, y = numbers()
    run = quiet(
        total, X[:, 0], y, optimizer=SGD(1e-9), batch_size=7, epochs=1, validation=(X[:, :1], y)
    )
    assert run.history[0]["val_loss"] == pytest.approx(run.history[0]["loss"], rel=1e-5)
    assert run.history[0]["loss"] == pytest.approx(
        60 * np.mean((run.predict(X[:, 0]) - y) ** 2), rel=1e-5
    )


def test_a_parameter_marked_as_frozen_keeps_its_value():
    net = define(two_sigmoid, params=["w_2", "b_2", "W_1", "b_1"], frozen=["W_1", "b_1"])
    X, y = numbers()
    fixed = {"W_1": normal(0, "init", 0, (5, 4)), "b_1": np.zeros(5)}
    run = quiet(net, X, y, start=fixed, epochs=2)
    assert set(run.params) == {"w_2", "b_2"}
    assert np.array_equal(run.values["W_1"], fixed["W_1"])
    with pytest.raises(ParameterError, match=r"'W_1' is neither trained nor data.*start="):
        quiet(net, X, y, sizes={"k": 5})


# Dropout


def test_dropout_changes_every_step_and_is_absent_at_prediction():
    X, y = numbers(200)
    net = mlp([4, 64, 1], "tanh", dropout=0.5)
    run = quiet(net, X, y, loss="mse", optimizer=SGD(1e-300), epochs=3, batch_size="all")
    losses = [entry["loss"] for entry in run.history]
    assert len(set(losses)) == 3
    again = quiet(net, X, y, loss="mse", optimizer=SGD(1e-300), epochs=3, batch_size="all")
    assert [entry["loss"] for entry in again.history] == losses
    assert run.predict(X).tobytes() == run.predict(X).tobytes()


# When it stops


def test_early_stopping_hands_back_the_best_weights():
    X, y = numbers(40)
    noise = normal(9, "check", 0, 40)
    validation = (X[20:], y[20:])
    options = {"optimizer": Adam(0.05), "epochs": 400, "validation": validation}
    net = mlp([4, 64, 1])
    run = quiet(net, X[:20], y[:20] + 3 * noise[:20], loss="mse", early_stopping=5, **options)
    losses = [entry["val_loss"] for entry in run.history]
    assert run.stopped_early
    assert len(losses) == run.best_epoch + 5
    assert min(losses) == losses[run.best_epoch - 1]
    assert run.evaluate(*validation)["loss"] == pytest.approx(min(losses), rel=1e-12)
    last = quiet(
        net,
        X[:20],
        y[:20] + 3 * noise[:20],
        loss="mse",
        early_stopping=5,
        restore_best=False,
        **options,
    )
    assert last.evaluate(*validation)["loss"] == pytest.approx(losses[-1], rel=1e-12)


def test_early_stopping_watches_the_training_loss_where_nothing_is_held_out():
    X, y = numbers()
    stopping = EarlyStopping(patience=3, min_delta=1e6)
    run = quiet(multivariate, X, y, epochs=50, early_stopping=stopping)
    assert len(run.history) == 4
    assert run.best_epoch == 1


def test_a_callback_sees_each_epoch_and_may_stop():
    X, y = numbers()
    seen = []

    def watch(view):
        seen.append((view.epoch, view.epochs, view.metrics["loss"], float(view.params["b"])))
        with pytest.raises(ValueError, match="read-only"):
            view.params["w"][0, 0] = 0
        with pytest.raises(TypeError):
            view.metrics["loss"] = 0
        return view.epoch == 3

    run = quiet(multivariate, X, y, epochs=10, callbacks=[watch])
    assert [number for number, *_ in seen] == [1, 2, 3]
    assert [loss for *_, loss, _ in seen] == [entry["loss"] for entry in run.history]
    assert run.stopped_early
    assert seen[-1][-1] == run.params["b"]


def test_ctrl_c_returns_a_run_with_the_weights_of_a_whole_step():
    X, y = numbers()

    def interrupt(view):
        if view.epoch == 4:
            raise KeyboardInterrupt

    run = quiet(multivariate, X, y, epochs=10, callbacks=[interrupt])
    four = quiet(multivariate, X, y, epochs=4)
    assert run.interrupted
    assert not four.interrupted
    assert len(run.history) == 4
    assert run.params["w"].tobytes() == four.params["w"].tobytes()


def test_ctrl_c_within_an_epoch_keeps_whole_steps(monkeypatch):
    from chainrule.run.reference import Reference

    X, y = numbers()
    run_program, calls = Reference.run, []

    def interrupted(self, arrays):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return run_program(self, arrays)

    options = {"batch_size": 20, "optimizer": Momentum(0.1)}
    monkeypatch.setattr("chainrule.training.runners.llvm_is_here", lambda: False)
    with monkeypatch.context() as patch:
        patch.setattr(Reference, "run", interrupted)
        run = quiet(multivariate, X, y, epochs=10, **options)
    whole = quiet(multivariate, X, y, epochs=1, **options)
    assert run.interrupted
    assert run.steps == 3
    assert run.params["w"].tobytes() == whole.params["w"].tobytes()
    assert run.predict(X).shape == (60,)


def test_divergence_names_the_place_and_keeps_the_last_finite_weights():
    X, y = numbers()
    with pytest.raises(DivergenceError) as error:
        quiet(multivariate, X, y, optimizer=SGD(1e6), batch_size=10, epochs=50)
    text = str(error.value)
    for fact in (
        "loss became inf at step",
        "epoch",
        "rows",
        "Gradient norm",
        "Lower lr (now 1e+06; a safe first try is 0.01) or set clip_norm",
    ):
        assert fact in text
    assert error.value.exit_code == 4
    run = error.value.run
    assert np.isfinite(run.params["w"]).all()
    assert run.steps > 0
    assert f"at step {run.steps + 1} " in text


def test_divergence_at_the_first_step_keeps_the_start():
    X, y = numbers()
    with pytest.raises(DivergenceError, match="at step 1 ") as error:
        quiet(line, X[:, 0], y, start={"w": 1e200})
    assert error.value.run.params["w"] == 1e200
    assert error.value.run.steps == 0


def test_weights_that_are_lost_behind_a_finite_loss_are_noticed():
    def saturated(w: "", x: "m", y: "m"):
        return mse(tanh(w * x), y)

    x = np.full(4, 1e308)
    with pytest.raises(DivergenceError, match=r"w became -?inf at step 1 "):
        quiet(saturated, x, np.array([1.0, 1, 1, -1]), start={"w": 1e-308}, optimizer=SGD(1e308))


def test_the_rows_that_diverge_are_numbered_as_the_caller_numbers_them():
    X, y = numbers()
    X[37] = 1e200
    with pytest.raises(DivergenceError, match="row 37"):
        quiet(multivariate, X, y, batch_size=1, validation=(X[:3], y[:3]), optimizer=SGD(1e-3))


# Schedules


def test_a_schedule_moves_the_learning_rate():
    X, y = numbers()
    run = quiet(multivariate, X, y, optimizer=SGD(0.1), schedule="step:drop=0.5,every=2", epochs=6)
    assert [entry["lr"] for entry in run.history] == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]


def test_a_plateau_of_the_loss_lowers_the_learning_rate():
    X, y = numbers()
    plateau = "plateau:patience=2,drop=0.1,delta=1e9"
    run = quiet(multivariate, X, y, optimizer=SGD(0.1), schedule=plateau, epochs=6)
    rates = [entry["lr"] for entry in run.history]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_the_rate_after_a_schedule_is_what_the_steps_use():
    X, y = numbers()
    start = run_start(multivariate, X, y)
    options = {"batch_size": "all", "epochs": 1}
    whole = quiet(multivariate, X, y, optimizer=SGD(0.1), **options).params["w"] - start["w"]
    warm = quiet(
        multivariate, X, y, optimizer=SGD(0.1), schedule="warmup:steps=4,then=constant", **options
    )
    assert np.allclose(warm.params["w"] - start["w"], whole / 4, rtol=1e-12)


# Determinism


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_seed_gives_the_same_bits(dtype):
    X, y = numbers()
    options = {"loss": "mse", "epochs": 3, "validation": 0.2, "dtype": dtype}
    net = mlp([4, 8, 1], dropout=0.2)
    runs = [quiet(net, X, y, seed=seed, **options) for seed in (5, 5, 6)]
    first, second, other = ([run.params[n].tobytes() for n in run.params] for run in runs)
    assert first == second
    assert first != other
    losses = [[{**e, "seconds": 0} for e in run.history] for run in runs]
    assert losses[0] == losses[1]
    assert runs[0].params["W_1"].dtype == dtype


def test_no_global_random_state_is_read_or_moved():
    X, y = numbers()
    state = np.random.get_state
    before = state()[1].tobytes()
    first = quiet(mlp([4, 8, 1]), X, y, loss="mse", epochs=1)
    assert state()[1].tobytes() == before
    second = quiet(mlp([4, 8, 1]), X, y, loss="mse", epochs=1)
    assert first.params["W_1"].tobytes() == second.params["W_1"].tobytes()


def test_inputs_are_left_as_they_were_and_layout_does_not_matter():
    X, y = numbers()
    kept = X.copy()
    plain = quiet(multivariate, X, y, epochs=2)
    assert np.array_equal(X, kept)
    reversed_twice = X[::-1][::-1]
    for odd in (np.asfortranarray(X), X.astype(">f8"), reversed_twice):
        other = quiet(multivariate, odd, y, epochs=2)
        assert other.params["w"].tobytes() == plain.params["w"].tobytes()
    X.flags.writeable = False
    quiet(multivariate, X, y, epochs=1)


# Options


def test_all_wrong_options_are_named_at_once():
    X, y = numbers()
    wrong = {"optimizer": "sgd:lr=-1", "batch_size": 0, "epochs": -3, "seed": -1, "l2": math.nan}
    with pytest.raises(ParameterError) as error:
        quiet(multivariate, X, y, clip_norm=0, early_stopping=0, schedule="cosin", **wrong)
    for fact in (
        "lr must be > 0 and finite, got -1",
        "batch_size must be a whole number ≥ 1 or 'all', got 0",
        "epochs must be a whole number ≥ 1, got -3",
        "seed must be a whole number from 0 to 2**64 - 1, got -1",
        "l2 must be ≥ 0 and finite, got nan",
        "clip_norm must be > 0 and finite, got 0",
        "early_stopping must be a whole number of epochs ≥ 1, got 0",
        "Did you mean 'cosine'?",
    ):
        assert fact in str(error.value)


def test_a_batch_larger_than_the_data_is_said_and_cut():
    X, y = numbers()
    with pytest.warns(BatchSizeWarning, match=r"batch_size 100 is more than the 60 rows"):
        run = quiet(multivariate, X, y, batch_size=100, epochs=2)
    assert run.steps == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"net": mlp([4, 1])}, "ends in a prediction"),
        ({"net": mlp([4, 1]), "loss": "mes"}, "Did you mean"),
        ({"loss": "mae"}, "ends in mse already"),
        ({"sizes": {"q": 3}}, "no axis 'q'"),
        ({"start": {"v": 3}}, "no parameter is called 'v'"),
        ({"metrics": ["accuracy"]}, "accuracy means nothing for numbers"),
        ({"metrics": ["r3"]}, "metric 'r3' is not known. Known: accuracy, r2"),
        ({"validation": 1.5}, "validation must be a fraction"),
        ({"validation": "some"}, "validation must be a fraction"),
        ({"weight_decay": 0.1, "optimizer": "adamw"}, "weight_decay is given twice"),
        ({"net": two_sigmoid}, "axis 'k' of W_1 has no size. Give it: sizes={'k': 32}"),
        ({"progress": "of"}, "progress must be one of"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, says):
    X, y = numbers()
    with pytest.raises(ParameterError) as error:
        quiet(**{"net": multivariate, "X": X, "y": y, **options})
    assert says in str(error.value)


def test_training_is_silent_and_warns_of_nothing(capsys):
    X, y = numbers()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(multivariate, X, y, epochs=2)
    assert capsys.readouterr() == ("", "")


def test_progress_shows_the_metrics_on_standard_error(capsys):
    X, y = numbers()
    train(multivariate, X, y, epochs=2, validation=0.2, progress="plain")
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 2/2" in err
    assert "val_r2" in err
