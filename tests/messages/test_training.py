"""Rows 55 and 56 of the list of bad input: what training that diverges says, word for word."""

from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DivergenceError, ParameterError
from chainrule.training import SGD, train
from chainrule.training.data import row_order
from chainrule.training.origin import Origin
from tests.run.engines import trained


def straight(w: "", x: "m", y: "m"):
    return cr.mse(w * x, y)


def logarithms(w: "n", X: "m n", y: "m"):
    features = cr.log(X)
    return cr.mse(features @ w, y)


def saturated(w: "", x: "m", y: "m"):
    return cr.mse(cr.tanh(w * x), y)


def deep(v: "", w: "", x: "m", y: "m"):
    h = w * x
    y_hat = v * h
    return cr.mse(y_hat, y)


def squared(w: "", x: "m", y: "m"):
    out = cr.square(w * x)
    return cr.mae(out, y)


def exploding(w: "", x: "m", y: "m"):
    out = cr.exp(w * x)
    return cr.mse(out, y)


BY = ("compiled", "reference")


def divergence(net, X, y, by="compiled", **options):
    with pytest.raises(DivergenceError) as caught:
        trained(net, X, y, by=by, **options)
    return caught.value


@pytest.mark.parametrize("by", BY)
def test_row_55_a_learning_rate_that_is_too_high(by):
    """w ← w − 10⁶ · 2(w − 0): every step multiplies w by −2·10⁶ and more."""
    error = divergence(straight, [1.0] * 64, [0.0] * 64, by, optimizer=SGD(1e6), start={"w": 1.0})
    steps = 25  # (2·10⁶)^(2·25) > 10³⁰⁸ > (2·10⁶)^(2·24)
    assert error.run.steps == steps
    order = row_order(64, 32, 0, (steps) // 2)
    rows = ", ".join(str(i) for i in order[32 * (steps % 2) :][:3])
    norms = " → ".join(f"{2 * 1999999.0**k:.2g}" for k in (steps - 2, steps - 1, steps))
    assert str(error) == (
        f"loss became inf at step 26 (epoch 13, rows {rows}, …). "
        "First non-finite value: op mul in mse (forward), input max 3.4e+157. "
        f"Gradient norm in the last 3 steps: {norms}. "
        "Lower lr (now 1e+06; a safe first try is 0.01) or set clip_norm. "
        "The weights of step 25 are kept in error.run"
    )
    assert error.exit_code == 4
    assert np.isfinite(error.run.params["w"])


def test_row_55_an_operation_inside_of_the_one_that_the_network_names():
    x, start = np.full(4, 1e200), {"w": 1e5}
    error = divergence(squared, x, np.ones(4), start=start, batch_size="all")
    assert str(error) == (
        "loss became inf at step 1 (epoch 1, rows 0–3). "
        "First non-finite value: op mul in square of 'out' (forward), input max 1e+205. "
        "Lower lr (now 0.001; a safe first try is 0.0001) or set clip_norm. "
        "The initial weights are kept in error.run"
    )


def test_row_55_the_advice_knows_what_is_limited_already():
    limits = {"clip_norm": 1e300}
    error = divergence(straight, [1.0] * 9, [0.0] * 9, optimizer=SGD(1e6), epochs=99, **limits)
    assert "Lower lr (now 1e+06; a safe first try is 0.01) or clip_norm (now 1e+300). " in str(
        error
    )


@pytest.mark.parametrize("by", BY)
def test_row_55_a_step_that_overflows_on_its_way_back_only(by):
    """Loss 10²⁷⁰, ∂L/∂h about 10²⁷⁰, ∂L/∂w = x · ∂L/∂h beyond 10³⁰⁸."""
    start = {"v": 1e135, "w": 1e-200}
    error = divergence(
        deep,
        [1e200] * 4,
        [0.0] * 4,
        by,
        start=start,
        optimizer=SGD(0.1),
        batch_size="all",
        epochs=3,
    )
    assert str(error) == (
        "w became -inf at step 1 (epoch 1, rows 0–3). "
        "First non-finite value: op matmul in 'dw' (backward), input max 5e+269. "
        "Lower lr (now 0.1; a safe first try is 0.01) or set clip_norm. "
        "The initial weights are kept in error.run"
    )
    assert error.run.params["w"] == 1e-200


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("planted", range(0, 40, 7))
def test_row_55_a_weight_that_is_lost_behind_a_finite_loss_is_found_at_its_step(by, planted):
    """tanh hides an infinite w: tanh(∞ · 10⁻³) is 1, and its slope is 0."""
    X, y = np.full(40, 1e-3), np.zeros(40)
    X[planted], y[planted] = 1e300, 1
    options = {"batch_size": 1, "epochs": 1, "start": {"w": 0.0}, "seed": 4}
    error = divergence(saturated, X, y, by, optimizer=SGD(1e10), **options)
    step = 1 + int(np.flatnonzero(row_order(40, 1, 4, 0) == planted)[0])
    assert str(error).startswith(f"w became inf at step {step} (epoch 1, row {planted}). ")
    assert "First non-finite value: op mul in 'w_new' (update), input max 2e+300. " in str(error)
    assert error.run.steps == step - 1
    assert error.run.params["w"] == 0


@pytest.mark.parametrize("by", BY)
def test_row_56_one_row_of_a_batch(by):
    X = np.random.default_rng(0).uniform(0.5, 2, (96, 3))
    X[48, 2] = 0
    options = {"optimizer": SGD(0.01), "start": {"w": [0.0, 0.0, 0.0]}}
    error = divergence(logarithms, X, np.zeros(96), by, **options)
    order = row_order(96, 32, 0, 0)
    step = 1 + int(np.flatnonzero(order == 48)[0]) // 32
    rows = ", ".join(str(i) for i in order[32 * (step - 1) :][:3])
    largest = np.abs(X[order[32 * (step - 1) : 32 * step]]).max()
    text = str(error)
    assert text.startswith(f"loss became nan at step {step} (epoch 1, rows {rows}, …). ")
    assert (
        f"First non-finite value: op log in 'features' (forward), input max {largest:.2g}, "
        "in row 48: X[48, 2] = 0. "
    ) in text
    assert "Mend or leave out such rows: this value depends on no parameter. " in text
    assert text.endswith("are kept in error.run")


def test_row_56_rows_of_a_file_and_names_of_columns():
    X = np.ones((8, 3))
    X[5, 2] = X[6, 2] = 0
    origin = Origin(
        np.arange(48_206, 48_214), np.arange(48_208, 48_216), "train.csv", ["x0", "x1", "x2"]
    )
    with pytest.raises(DivergenceError) as caught:
        train(logarithms, X, np.zeros(8), batch_size="all", origin=origin, progress="off")
    assert (
        "loss became inf at step 1 (epoch 1, rows 48206–48213). "
        "First non-finite value: op log in 'features' (forward), input max 1, in 2 of 8 rows, "
        "first row 48211 (line 48213 of train.csv): x2 = 0. "
    ) in str(caught.value)


def test_row_56_rows_are_numbered_as_the_caller_numbers_them_and_columns_of_frames_have_names():
    class Frame(SimpleNamespace):
        def __array__(self, dtype=None, copy=None):
            return self.values

    X = np.ones((100, 2))
    X[37, 1] = 0
    frame = Frame(values=X, columns=["age", "income"])
    with pytest.raises(DivergenceError, match=r"in row 37: income = 0\. "):
        train(logarithms, frame, np.zeros(100), validation=0.2, seed=1, progress="off")


def test_row_56_a_target_that_has_no_logarithm():
    def rates(w: "", x: "m", y: "m"):
        return cr.mse(w * x, cr.log(y))

    y = np.ones(10)
    y[3] = 0
    error = divergence(rates, np.ones(10), y, batch_size="all")
    assert "op log in mse" not in str(error)
    assert "op log" in str(error)
    assert "in row 3: y[3] = 0. Mend or leave out such rows" in str(error)


def test_a_row_that_fails_by_what_was_learned_is_named_but_not_blamed():
    x = np.array([1.0, 1, 1, 800])
    error = divergence(exploding, x, np.ones(4), start={"w": 1.0}, batch_size="all")
    assert "op exp in 'out' (forward), input max 8e+02, in row 3. " in str(error)
    assert "Lower lr (now 0.001; a safe first try is 0.0001) or set clip_norm. " in str(error)


def test_a_logarithm_of_0_behind_a_branch_that_is_not_taken_is_not_blamed():
    def guarded(w: "", x: "m", y: "m"):
        safe = cr.where(x > 0, cr.log(x), 0.0)
        return cr.mse(w * safe * 1e200, y)

    x = np.array([0.0, 3.0, 3.0])
    error = divergence(guarded, x, np.ones(3), start={"w": 1.0}, batch_size="all")
    assert "op log" not in str(error)


@pytest.mark.parametrize("kind", [cr.Classifier, cr.Regressor])
def test_estimators_say_it_in_their_own_words(kind):
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    model = kind(optimizer="sgd", learning_rate=1e30, epochs=50, random_state=0)
    with pytest.raises(DivergenceError) as caught:
        model.fit(X, y)
    assert "Lower learning_rate (now 1e+30; a safe first try is 0.01). " in str(caught.value)
    assert "clip_norm" not in str(caught.value)
    assert np.isfinite(caught.value.run.params["W_1"]).all()


def test_values_to_start_with_must_be_finite():
    with pytest.raises(ParameterError) as caught:
        train(straight, [1.0], [1.0], start={"w": np.inf}, progress="off")
    assert str(caught.value) == "start['w'] is not finite"
