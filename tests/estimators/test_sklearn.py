"""scikit-learn's own checks and tools, on estimators that do not import it."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import NotFittedError

pytest.importorskip("sklearn", reason="scikit-learn comes with the extras 'sklearn' and 'dev'")

import joblib
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

ROOT = Path(__file__).parents[2]
# With mini-batches 2 × a row is not the same as the row with weight 2: the batches differ. They are
# checked where every step sees all rows; the defaults are checked as well.
CHECKED = [
    cr.Classifier(),
    cr.Classifier(batch_size="all", learning_rate=0.03, activation="tanh"),
    cr.Classifier(hidden=(), batch_size="all", learning_rate=0.5, epochs=60, preprocess=None),
    cr.Regressor(),
    cr.Regressor(batch_size="all", learning_rate=0.03, activation="tanh"),
    # Adam would magnify rounding: on centred data the gradient of the one bias is 0
    cr.Regressor(hidden=(), batch_size="all", optimizer="sgd", learning_rate=0.05),
]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.mark.parametrize("estimator", CHECKED, ids=repr)
def test_every_check_of_scikit_learn_passes(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # data of some checks are constant, or have one row
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    failed = [r for r in results if r["status"] not in ("passed", "skipped")]
    assert [(r["check_name"], r["exception"]) for r in failed] == []
    assert len(results) > 50


@pytest.mark.seed("000-04")
def test_digits_are_learned_with_the_defaults_as_well_as_scikit_learn_learns_them():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    ours = cr.Classifier(random_state=0).fit(X_train, y_train).score(X_test, y_test)
    theirs = MLPClassifier((32,), random_state=0, max_iter=400).fit(X_train, y_train)
    assert ours >= 0.96
    assert abs(ours - theirs.score(X_test, y_test)) < 0.03


def test_kind_and_tags():
    assert is_classifier(cr.Classifier())
    assert not is_regressor(cr.Classifier())
    assert is_regressor(cr.Regressor())
    assert cr.Regressor().__sklearn_tags__().target_tags.multi_output
    assert not cr.Classifier().__sklearn_tags__().target_tags.multi_output


def test_scores_are_those_of_scikit_learn(iris):
    X, y = iris
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    classifier = cr.Classifier(epochs=1, random_state=0).fit(X, y)
    predicted = classifier.predict(X)
    assert classifier.score(X, y) == accuracy_score(y, predicted)
    expected = accuracy_score(y, predicted, sample_weight=weights)
    assert classifier.score(X, y, sample_weight=weights) == pytest.approx(expected, rel=1e-12)
    for target in (X[:, 0], X[:, :2], np.column_stack([X[:, 0], np.zeros(len(X))])):
        regressor = cr.Regressor(epochs=1, random_state=0).fit(X, target)
        found = regressor.score(X, target, sample_weight=weights)
        expected = r2_score(target, regressor.predict(X), sample_weight=weights)
        assert found == pytest.approx(expected, rel=1e-9)


def test_a_clone_has_the_parameters_and_nothing_that_was_learned(iris):
    fitted = cr.Classifier(hidden=(8, 4), optimizer=cr.SGD(0.1), epochs=1).fit(*iris)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    check_is_fitted(fitted)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(copy)


def test_in_a_pipeline_and_cross_validation(iris):
    model = make_pipeline(MinMaxScaler(), cr.Classifier(preprocess=None, epochs=60))
    model.set_params(classifier__random_state=0)
    assert cross_val_score(model, *iris, cv=3).mean() > 0.9


def test_grid_search_over_processes(iris):
    grid = {"hidden": [(), (16,)], "optimizer": [cr.Adam(0.01), cr.SGD(0.05)]}
    search = GridSearchCV(cr.Classifier(random_state=0, epochs=40), grid, cv=3, n_jobs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib's own, of pools that it ends
        search.fit(*iris)
    assert search.best_score_ > 0.9
    assert set(search.best_params_) == set(grid)


def test_calibration(iris):
    X, y = iris
    model = CalibratedClassifierCV(cr.Classifier(random_state=0), cv=3).fit(X, y)
    assert model.predict_proba(X).shape == (150, 3)
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("kind", [cr.Classifier, cr.Regressor])
def test_what_joblib_stored_predicts_the_same_in_another_process(kind, iris, tmp_path):
    X, y = iris
    model = kind(random_state=0, epochs=2, activation="gelu").fit(X, y)
    np.save(tmp_path / "X.npy", X)
    joblib.dump(model, tmp_path / "model.joblib")
    code = (
        "import sys, joblib, numpy as np; folder = sys.argv[1]; "
        "model = joblib.load(folder + '/model.joblib'); "
        "np.save(folder + '/found.npy', model.predict(np.load(folder + '/X.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=60)
    assert np.load(tmp_path / "found.npy").tolist() == model.predict(X).tolist()


def test_not_fitted_is_scikit_learns_error_too_and_survives_a_change_of_process(tmp_path):
    with pytest.raises(SklearnNotFittedError) as caught:
        cr.Classifier().predict([[1.0]])
    assert isinstance(caught.value, NotFittedError)
    joblib.dump(caught.value, tmp_path / "error.joblib")
    again = joblib.load(tmp_path / "error.joblib")
    assert (str(again), isinstance(again, SklearnNotFittedError)) == (str(caught.value), True)
