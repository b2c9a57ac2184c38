"""What estimators learn, keep and give back."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleWarning, DataError
from chainrule.estimators.rows import Scale
from chainrule.io.load import load
from chainrule.training.progress import Progress

ROOT = Path(__file__).parents[2]


class Frame:
    """As much of a data frame as chainrule looks at."""

    def __init__(self, X, columns):
        self.columns = list(columns)
        self.values = np.asarray(X)

    def to_numpy(self):
        return self.values


def blobs(n=120, k=3, seed=0):
    """Points (n, 2) around k centres, and which centre."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    centres = 4 * np.column_stack([np.cos(2 * np.pi * y / k), np.sin(2 * np.pi * y / k)])
    return centres + rng.normal(size=(n, 2)), y


def line(n=100, seed=0):
    """X (n, 3) and y (n,), which is linear in X but for a little noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1, 10, 100] + [0, 5, 0]
    return X, X @ [1.0, -0.5, 0.02] + 7 + 0.1 * rng.normal(size=n)


def test_scikit_learn_is_not_imported():
    code = (
        "import sys, chainrule as cr; cr.Classifier(epochs=1).fit([[0.0], [1.0]], [0, 1]); "
        "m = cr.Regressor()\n"
        "try: m.predict([[1.0]])\n"
        "except ValueError as e: print(type(e).__module__, e)\n"
        "sys.exit('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "chainrule.errors this Regressor is not fitted yet; call fit first\n"


def test_the_bundled_digits_are_learned_with_the_defaults():
    digits = load("digits")
    order = np.random.default_rng(0).permutation(len(digits))
    train, held_out = order[:1350], order[1350:]
    model = cr.Classifier(random_state=0).fit(digits.X[train], digits.y[train])
    assert model.score(digits.X[held_out], digits.y[held_out]) >= 0.96
    assert (model.n_features_in_, model.n_iter_) == (64, 20)
    assert model.params_["W_1"].shape == (64, 32)
    assert model.params_["b_2"].shape == (10,)


@pytest.mark.seed("000-05")
def test_probabilities_of_all_classes_sum_to_1_and_the_largest_is_predicted():
    for k in (2, 3):
        X, y = blobs(k=k)
        model = cr.Classifier(random_state=0).fit(X, y)
        p = model.predict_proba(X)
        assert p.shape == (120, k)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
        assert model.predict(X).tolist() == p.argmax(axis=1).tolist()
        assert model.score(X, y) > 0.95


@pytest.mark.seed("000-05", "000-07")
def test_without_hidden_layers_two_classes_are_logistic_regression_with_one_optimum():
    X, y = blobs(k=2)
    y = y ^ (np.arange(len(y)) % 7 == 0)  # not separable: the optimum is finite
    options = {"hidden": (), "batch_size": "all", "learning_rate": 0.1, "epochs": 1000}
    models = [cr.Classifier(**options, random_state=seed).fit(X, y) for seed in (1, 2)]
    W, b = models[0].params_["W_1"], models[0].params_["b_1"]
    assert (W.shape, b.shape) == ((2, 1), (1,))
    np.testing.assert_allclose(W, models[1].params_["W_1"], rtol=1e-6)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    p = 1 / (1 + np.exp(-(standard @ W + b)))
    np.testing.assert_allclose(models[0].predict_proba(X)[:, 1:], p, rtol=1e-9)
    np.testing.assert_allclose(standard.T @ (p[:, 0] - y), 0, atol=1e-6)  # the gradient is 0


@pytest.mark.seed("000-04", "003-04")
def test_without_hidden_layers_a_regression_converges_to_least_squares():
    X, y = line()
    # Not many more epochs: once a gradient is nothing but rounding, Adam divides it by the root of
    # what its squares have decayed to, and then takes a step of up to the learning rate again.
    model = cr.Regressor(hidden=(), batch_size="all", learning_rate=0.05, epochs=1000)
    model.set_params(random_state=0).fit(X, y)
    ones = np.column_stack([X, np.ones(len(X))])
    exact = ones @ np.linalg.lstsq(ones, y)[0]
    np.testing.assert_allclose(model.predict(X), exact, rtol=1e-9, atol=1e-9 * np.std(y))
    assert model.score(X, y) > 0.99


@pytest.mark.seed("000-09")
@pytest.mark.parametrize("batch_size", ["all", 1, 25, 32])
def test_gradient_descent_stochastic_and_mini_batch_are_one_parameter(batch_size):
    X, y = line()
    model = cr.Regressor(hidden=(), batch_size=batch_size, epochs=60, random_state=0)
    assert model.fit(X, y).loss_curve_[-1] < model.loss_curve_[0]
    assert len(model.loss_curve_) == len(model.history_) == model.n_iter_ == 60


def test_several_outputs_in_the_units_of_the_user():
    X, y = line()
    Y = np.column_stack([y, 1000 * y + 5, -y])
    model = cr.Regressor(random_state=0, epochs=100).fit(X, Y)
    assert model.predict(X).shape == (100, 3)
    assert model.score(X, Y) > 0.95
    np.testing.assert_allclose(model.y_mean_, Y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.y_std_, Y.std(axis=0), rtol=1e-12)


def test_a_constant_target_is_predicted_as_it_is():
    X, _ = line()
    model = cr.Regressor(hidden=(), epochs=200, random_state=0).fit(X, np.full(len(X), 3.5))
    np.testing.assert_allclose(model.predict(X), 3.5, atol=0.01)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["red", "green", "blue"]),
        np.array(["red", "green", "blue"], dtype=object),
        np.array([30, 10, -20]),
        np.array([1.0, 2.0, 5.0]),
        np.array([False, True]),
        np.array([7, 3], dtype=object),
    ],
    ids=lambda labels: f"{labels.dtype}",
)
def test_labels_come_back_as_they_went_in(labels):
    X, y = blobs(k=len(labels))
    model = cr.Classifier(random_state=0).fit(X, labels[y])
    assert model.classes_.tolist() == sorted(labels.tolist())
    predicted = model.predict(X)
    assert set(predicted.tolist()) == set(labels.tolist())
    assert predicted.dtype.kind == ("i" if labels.tolist() == [7, 3] else labels.dtype.kind)
    assert model.score(X, labels[y].tolist()) > 0.95


@pytest.mark.parametrize("kind", [cr.Classifier, cr.Regressor])
def test_the_same_random_state_gives_the_same_bits(kind):
    X, y = blobs()
    options = {"dropout": 0.2, "validation": 0.2, "epochs": 3}

    def params(random_state):
        model = kind(**options, random_state=random_state).fit(X, y)
        return {name: value.tobytes() for name, value in model.params_.items()}

    assert params(5) == params(np.int64(5))
    assert params(5) != params(6)
    for make in (np.random.RandomState, np.random.default_rng):
        assert params(make(0)) == params(make(0))
        generator = make(0)
        assert params(generator) != params(generator)


def test_a_seed_that_nobody_chose_is_recorded():
    X, y = blobs()
    first, second = (cr.Classifier(epochs=1).fit(X, y) for _ in range(2))
    assert first.seed_ != second.seed_
    again = cr.Classifier(epochs=1, random_state=first.seed_).fit(X, y)
    assert again.params_["W_1"].tobytes() == first.params_["W_1"].tobytes()


def test_fit_starts_afresh_and_leaves_its_arguments_alone():
    X, y = blobs()
    names = Frame(X, ["a", "b"])
    weights = np.ones(len(y))
    before = X.tobytes(), y.tobytes(), weights.tobytes()
    model = cr.Classifier(epochs=2, random_state=0).fit(names, y, sample_weight=weights)
    first = model.params_["W_1"].tobytes()
    assert model.fit(X, y, sample_weight=weights).params_["W_1"].tobytes() == first
    assert not hasattr(model, "feature_names_in_")
    assert (X.tobytes(), y.tobytes(), weights.tobytes()) == before


@pytest.mark.parametrize("kind", [cr.Classifier, cr.Regressor])
def test_float32_stays_float32_and_is_near_float64(kind):
    X, y = blobs()
    # 1200 steps: enough for both to arrive, for their initial values are not the same numbers
    options = {"hidden": (), "l2": 0.1, "batch_size": "all", "epochs": 1200, "random_state": 0}
    single = kind(**options).fit(X.astype(np.float32), y)
    double = kind(**options).fit(X, y)
    assert {value.dtype for value in single.params_.values()} == {np.dtype(np.float32)}
    assert {value.dtype for value in double.params_.values()} == {np.dtype(np.float64)}
    give = "predict_proba" if kind is cr.Classifier else "predict"
    found = getattr(single, give)(X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, getattr(double, give)(X), atol=1e-3)


def test_columns_of_a_data_frame_are_found_by_name():
    X, y = line()
    model = cr.Regressor(random_state=0).fit(Frame(X, ["a", "b", "c"]), y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.feature_names_in_.dtype == object
    swapped = Frame(X[:, [2, 0, 1]], ["c", "a", "b"])
    assert model.predict(swapped).tolist() == model.predict(Frame(X, ["a", "b", "c"])).tolist()


def test_names_on_one_side_only_are_warned_of():
    X, y = line()
    model = cr.Regressor(epochs=1).fit(Frame(X, ["a", "b", "c"]), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Regressor was"):
        model.predict(X)
    model.fit(X, y)
    with pytest.warns(UserWarning, match="X has feature names, but Regressor was fitted without"):
        model.predict(Frame(X, ["a", "b", "c"]))


@pytest.mark.parametrize("kind", [cr.Classifier, cr.Regressor])
def test_a_weight_is_as_many_rows_and_weight_0_is_no_row(kind):
    X, y = blobs(n=30)
    weights = np.arange(30) % 4
    options = {"batch_size": "all", "random_state": 0, "activation": "tanh", "l2": 0.01}
    weighted = kind(**options).fit(X, y, sample_weight=weights)
    repeated = kind(**options).fit(X.repeat(weights, axis=0), y.repeat(weights))
    for name, value in weighted.params_.items():
        np.testing.assert_allclose(value, repeated.params_[name], rtol=1e-9, atol=1e-12)
    kept = weights > 0
    mini = kind(random_state=0, batch_size=8)
    left_out = mini.fit(X[kept], y[kept], sample_weight=weights[kept]).params_["W_1"].tobytes()
    assert mini.fit(X, y, sample_weight=weights).params_["W_1"].tobytes() == left_out


def test_the_scale_of_weights_does_not_matter():
    X, y = blobs()
    weights = 0.5 + np.arange(len(y)) % 3
    model = cr.Classifier(random_state=0)
    small = model.fit(X, y, sample_weight=weights).params_["W_1"].tobytes()
    assert model.fit(X, y, sample_weight=2.0**900 * weights).params_["W_1"].tobytes() == small


def test_class_weights_multiply_sample_weights():
    X, y = blobs(k=2)
    own = np.linspace(0.5, 1.5, len(y))
    options = {"random_state": 0, "epochs": 2}
    by_class = cr.Classifier(class_weight={1: 3.0}, **options).fit(X, y, sample_weight=own)
    by_row = cr.Classifier(**options).fit(X, y, sample_weight=own * np.where(y == 1, 3.0, 1.0))
    assert by_class.params_["W_1"].tobytes() == by_row.params_["W_1"].tobytes()


def test_balanced_classes_weigh_the_same_in_total():
    X, y = blobs(n=90, k=3)
    X, y = X[15:], y[15:]
    y[y == 2] = 1  # one third against two
    share = np.where(y == 0, len(y) / 2 / (y == 0).sum(), len(y) / 2 / (y == 1).sum())
    balanced = cr.Classifier(class_weight="balanced", random_state=0, epochs=2).fit(X, y)
    by_row = cr.Classifier(random_state=0, epochs=2).fit(X, y, sample_weight=share)
    for name, value in balanced.params_.items():
        np.testing.assert_allclose(value, by_row.params_[name], rtol=1e-9)


def test_a_validation_share_is_of_each_class_alike_and_not_trained_on():
    X, y = blobs(n=100, k=2)
    X[:, 1] += np.where(np.arange(100) == 17, 1e6, 0)  # one row that would change every mean
    model = cr.Classifier(validation=0.2, epochs=2, random_state=3).fit(X, y)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(model.history_[0])
    means = [cr.Classifier(validation=0.2, epochs=1, random_state=s).fit(X, y) for s in range(12)]
    seen = [abs(m.X_mean_[1]) > 1000 for m in means]
    assert 0 < sum(seen) < 12  # sometimes held out, and then no part of the preprocessing


def test_validation_rows_may_be_given_and_early_stopping_takes_the_best_weights():
    X, y = line()
    given = (Frame(X[:30, [1, 0, 2]], ["b", "a", "c"]), y[:30])
    model = cr.Regressor(validation=given, early_stopping=3, epochs=400, random_state=0)
    model.fit(Frame(X[30:], ["a", "b", "c"]), y[30:])
    losses = [entry["val_loss"] for entry in model.history_]
    assert model.n_iter_ < 400
    assert model.n_iter_ - 1 - int(np.argmin(losses)) == 3
    left = (y[:30] - model.predict(given[0])) / model.y_std_
    assert np.mean(left**2) == pytest.approx(min(losses), rel=1e-9)


def test_training_options_reach_the_training():
    X, y = blobs()
    model = cr.Classifier(
        optimizer="momentum:momentum=0.5", learning_rate=0.2, schedule="step:drop=0.5,every=1",
        epochs=3, l2=0.1, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert [entry["lr"] for entry in model.history_] == [0.2, 0.1, 0.05]
    assert model.history_[0]["penalty"] > 0
    plain = cr.Classifier(optimizer="adam", epochs=1).fit(X, y)
    own = cr.Classifier(optimizer=cr.Adam(0.002), epochs=1).fit(X, y)
    text = cr.Classifier(optimizer="adam:beta1=0.8", epochs=1).fit(X, y)
    assert [m.history_[0]["lr"] for m in (plain, own, text)] == [0.01, 0.002, 0.001]


def test_progress_is_shown_when_asked_for(capsys):
    X, y = blobs()
    cr.Classifier(epochs=1, verbose=0).fit(X, y)
    assert capsys.readouterr() == ("", "")
    cr.Classifier(epochs=1, verbose=1).fit(X, y)
    out, err = capsys.readouterr()
    assert out == ""
    assert "loss" in err


def test_without_preprocessing_the_network_sees_what_was_given():
    X, y = line()
    model = cr.Regressor(hidden=(), preprocess=None, epochs=1, random_state=0).fit(X, y)
    assert model.X_mean_ is None
    inside = X @ model.params_["W_1"] + model.params_["b_1"]
    expected = inside[:, 0] * model.y_std_ + model.y_mean_
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


def test_parameters_changed_after_fit_do_not_change_predictions():
    X, y = line()
    model = cr.Regressor(random_state=0, epochs=2).fit(X, y)
    before = model.predict(X).tolist()
    model.set_params(activation="tanh", hidden=(3, 3), preprocess=None)
    assert model.predict(X).tolist() == before


def test_parameters_are_kept_as_given_and_shown_where_they_differ_from_the_defaults():
    hidden = [8]
    model = cr.Classifier(hidden=hidden, epochs=5)
    assert model.hidden is hidden
    assert model.get_params()["epochs"] == 5
    assert list(model.get_params()) == list(inspect.signature(cr.Classifier).parameters)
    assert repr(model) == "Classifier(hidden=[8], epochs=5)"
    assert "class_weight" not in cr.Regressor().get_params()


def test_a_class_derived_by_a_user_may_have_parameters_of_its_own():
    class Named(cr.Regressor):
        def __init__(self, title="none", epochs=1):
            super().__init__(epochs=epochs, hidden=())
            self.title = title

    X, y = line()
    assert Named(title="mine").fit(X, y).predict(X).shape == (100,)
    assert repr(Named("mine")) == "Named(title='mine')"


def test_a_failed_fit_leaves_what_was_learned_before():
    X, y = line()
    model = cr.Regressor(random_state=0, epochs=2).fit(X, y)
    before = model.predict(X).tolist()
    with pytest.raises(DataError):
        model.fit(X * np.nan, y)
    assert model.predict(X).tolist() == before


def test_an_interrupted_training_gives_a_model_and_says_so(monkeypatch):
    X, y = line()
    calls = iter(range(100))

    def interrupted(*_args, **_options):
        if next(calls) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "step", interrupted)
    model = cr.Regressor(random_state=0, epochs=50)
    with pytest.warns(
        ChainruleWarning, match=r"training was interrupted after step \d+: the model"
    ):
        model.fit(X, y)
    assert 1 <= model.n_iter_ < 50
    assert model.predict(X).shape == (100,)


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_the_scale_of_numbers_near_the_ends_of_the_range(size):
    values = np.array([[-1.0, 7.0], [0.5, 7.0], [1.0, 7.0]]) * size
    scale = Scale.of(values, None)
    np.testing.assert_allclose(scale.std, [np.std(values[:, 0] / size) * size, 1.0], rtol=1e-12)
    standard = scale.apply(values)
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(standard.std(axis=0), [1, 0], rtol=1e-12)
    np.testing.assert_allclose(scale.undo(standard), values, rtol=1e-12)
