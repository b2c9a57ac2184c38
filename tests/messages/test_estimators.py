"""Rows 19, 21 and 27 to 41 of the list of bad input, at the estimators: word for word."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import (
    BatchSizeWarning,
    DataConversionWarning,
    DataError,
    DTypeError,
    NotFittedError,
    ParameterError,
    ScaleWarning,
    ShapeError,
)

X = np.arange(40.0).reshape(10, 4) % 7
LABELS = np.arange(10) % 2
NUMBERS = np.linspace(0, 1, 10)
KINDS = [(cr.Classifier, LABELS), (cr.Regressor, NUMBERS)]
both = pytest.mark.parametrize(("kind", "y"), KINDS, ids=["classifier", "regressor"])


class Frame:
    """As much of a data frame as chainrule looks at."""

    def __init__(self, X, columns):
        self.columns = list(columns)
        self.values = np.asarray(X)

    def to_numpy(self):
        return self.values


class Sparse:
    """As much of a scipy sparse matrix as chainrule looks at."""

    nnz = 3
    shape = (4295, 100_000)

    def toarray(self):
        raise AssertionError("not to be called: it would need gigabytes")


def message(call, *args, kind=DataError, **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    assert type(caught.value) is kind or kind is NotFittedError
    return str(caught.value)


def with_value(value):
    changed = X.copy()
    changed[7, 3] = value
    return changed


@both
def test_row_27_nan_and_infinity_in_X(kind, y):
    model = kind(epochs=1)
    text = "Input X contains NaN: 1 value, first at X[7, 3]"
    assert message(model.fit, with_value(np.nan), y) == text
    named = Frame(with_value(np.nan), ["age", "sex", "height", "bmi"])
    assert message(model.fit, named, y) == f"{text} (column 'bmi')"
    model.fit(X, y)
    assert message(model.predict, with_value(np.nan)) == text
    assert message(model.predict, with_value(-np.inf)) == (
        "Input X contains infinity or a value too large for dtype('float64'): 1 value, "
        "first at X[7, 3]"
    )
    assert message(model.score, with_value(np.nan), y) == text


@both
def test_row_27_a_value_that_overflows_when_it_is_standardised(kind, y):
    model = kind(epochs=1).fit(X / 100, y)
    assert message(model.predict, with_value(1.7e308)) == (
        "Input standardised X contains infinity or a value too large for dtype('float64'): "
        "1 value, first at standardised X[7, 3]"
    )


def test_row_28_nan_in_y():
    y = NUMBERS.copy()
    y[5] = np.nan
    for kind in (cr.Classifier, cr.Regressor):
        assert message(kind().fit, X, y) == "Input y contains NaN: 1 value, first at y[5]"
    assert message(cr.Regressor().fit, X, np.column_stack([NUMBERS, y])) == (
        "Input y contains NaN: 1 value, first at y[5, 1]"
    )
    text = "Input y contains NaN: a missing label, first at y[1]"
    assert message(cr.Classifier().fit, X, ["a", None, *"abababab"]) == text


@both
def test_row_29_X_that_is_not_a_matrix(kind, y):
    text = (
        "X must be 2-D (samples, features), got shape (10,). Reshape your data: "
        "one feature: X.reshape(-1, 1); one sample: X.reshape(1, -1)"
    )
    assert message(kind().fit, X[:, 0], y, kind=ShapeError) == text
    model = kind(epochs=1).fit(X, y)
    assert "got shape (4,)" in message(model.predict, X[0], kind=ShapeError)


def test_row_29_y_of_the_wrong_shape():
    assert message(cr.Classifier().fit, X, np.eye(10), kind=ShapeError) == (
        "y must be 1-D (samples,), got shape (10, 10): one label for each row. "
        "One-hot rows: y.argmax(axis=1)"
    )
    text = "y cannot be made an array: its rows have different lengths"
    assert message(cr.Regressor().fit, X, [[1, 2], [3]], kind=ShapeError) == text
    model = cr.Regressor(epochs=1).fit(X, np.column_stack([NUMBERS, NUMBERS]))
    text = "y has 1 output, the model predicts 2"
    assert message(model.score, X, NUMBERS, kind=ShapeError) == text


@both
def test_row_29_a_column_is_taken_for_a_vector_with_a_warning(kind, y):
    model = kind(epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="column-vector") as caught:
        model.fit(X, y[:, None])
    assert [str(w.message) for w in caught] == [
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples,), for example using y.ravel()"
    ]
    assert caught[0].category.__name__ == DataConversionWarning.__name__
    assert caught[0].filename == __file__
    assert model.predict(X).tolist() == kind(epochs=1, random_state=0).fit(X, y).predict(X).tolist()


@both
def test_row_30_X_and_y_of_different_lengths(kind, y):
    assert message(kind().fit, X, y[:9], kind=ShapeError) == "X has 10 rows, y has 9"
    model = kind(epochs=1).fit(X, y)
    assert message(model.score, X, y[:9], kind=ShapeError) == "X has 10 rows, y has 9"
    held_out = kind(validation=(X, y[:9]))
    text = "validation X has 10 rows, y has 9"
    assert message(held_out.fit, X, y, kind=ShapeError) == text


@both
def test_row_31_text_objects_and_complex_numbers_in_X(kind, y):
    rows = X.astype(object)
    rows[0, 2] = "abc"
    assert message(kind().fit, rows, y, kind=DTypeError) == (
        "X[0, 2] is 'abc' (str): the argument must be an array in which no string or object "
        "stands for a number"
    )
    with pytest.raises(ValueError, match=r"Complex data not supported \(X.dtype=complex128\)"):
        kind().fit(X.astype(complex), y)


def test_row_31_targets_of_the_wrong_type():
    assert message(cr.Regressor().fit, X, list("ababababab"), kind=DTypeError) == (
        "y[0] is 'a' (str): a regression needs numbers. To predict labels use cr.Classifier"
    )
    assert message(cr.Classifier().fit, X, NUMBERS) == (
        "Unknown label type: y holds continuous numbers (y[1] = 0.1111111111111111); a classifier "
        "needs labels: text, whole numbers or truth values. To predict numbers use cr.Regressor"
    )
    mixed = np.array(["a", 1] * 5, dtype=object)
    text = "y[1] is 1 (int), among labels of text"
    assert message(cr.Classifier().fit, X, mixed, kind=DTypeError) == text
    text = "sparse y is not supported. Use y.toarray()"
    assert message(cr.Regressor().fit, X, Sparse(), kind=DTypeError) == text


@both
def test_row_31_no_y(kind, y):
    text = f"{kind.__name__} requires y to be passed, but the target y is None"
    assert message(kind().fit, X, None) == text


@both
def test_row_32_dates_and_whole_numbers(kind, y):
    text = message(kind().fit, X.astype("datetime64[D]"), y, kind=DTypeError)
    assert text.startswith("X has dtype datetime64[D]: convert dates to numbers first, e.g. days")
    params = [
        kind(epochs=1, random_state=0).fit(rows, y).params_["W_1"].tolist()
        for rows in (X, X.astype(np.int32), X.tolist(), X.astype(object))
    ]
    assert params[0] == params[1] == params[2] == params[3]


@both
def test_row_33_a_sparse_matrix_is_not_expanded(kind, y):
    text = "sparse input is not supported; X.toarray() needs 3.2 GiB"
    assert message(kind().fit, Sparse(), y, kind=DTypeError) == text


@both
def test_row_34_no_samples_and_no_features(kind, y):
    text = "found 0 samples (shape (0, 5)); at least 1 is required in X"
    assert message(kind().fit, np.zeros((0, 5)), y[:0]) == text
    text = "found 0 feature(s) (shape=(10, 0)) while a minimum of 1 is required in X"
    assert message(kind().fit, np.zeros((10, 0)), y) == text


def test_row_17_a_single_class():
    assert message(cr.Classifier().fit, X, ["yes"] * 10) == (
        'y has only 1 class, "yes", in all 10 rows: nothing to learn. '
        "A classifier needs rows of at least 2 classes"
    )
    assert message(cr.Classifier().fit, X, LABELS, sample_weight=LABELS) == (
        "y has only 1 class, 1, in all 5 rows that count: nothing to learn. "
        "A classifier needs rows of at least 2 classes"
    )


def test_row_18_a_class_with_one_row_cannot_be_split():
    y = ["often"] * 9 + ["rare"]
    text = "class 'rare' has 1 row; a validation split needs ≥ 2"
    assert text in message(cr.Classifier(validation=0.2).fit, X, y)


def test_row_19_a_label_of_the_validation_rows_that_training_does_not_have():
    model = cr.Classifier(validation=(X[:2], ["blue", "purple"]))
    assert message(model.fit, X, ["red", "blue"] * 5) == (
        'y: label "purple" (row 1) was not seen in training. Known: blue, red'
    )


@both
def test_row_21_columns_of_a_data_frame_that_are_missing_or_extra(kind, y):
    model = kind(epochs=1).fit(Frame(X, ["age", "sex", "height", "bmi"]), y)
    assert message(model.predict, Frame(X, ["ages", "sex", "height", "bmi"])) == (
        "the feature names of X should match those that were passed during fit: "
        "1 feature missing: age; 1 feature unseen at fit: ages. Did you mean 'ages'?"
    )


LAYOUTS = {
    "columns first": np.asfortranarray,
    "negative strides": lambda x: x[::-1].copy()[::-1],
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


@both
@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_35_the_memory_layout_changes_no_bit(layout, kind, y):
    change = LAYOUTS[layout]
    plain = kind(epochs=2, random_state=0).fit(X, y)
    other = kind(epochs=2, random_state=0).fit(change(X), change(y))
    assert other.params_["W_1"].tobytes() == plain.params_["W_1"].tobytes()
    assert other.predict(change(X)).tobytes() == plain.predict(X).tobytes()


def test_row_36_before_fit():
    text = "this Classifier is not fitted yet; call fit first"
    model = cr.Classifier()
    for call in (model.predict, model.predict_proba):
        assert message(call, X, kind=NotFittedError) == text
    assert message(model.score, X, LABELS, kind=NotFittedError) == text
    text = "this Regressor is not fitted yet; call fit first"
    assert message(cr.Regressor().predict, X, kind=NotFittedError) == text
    with pytest.raises(AttributeError, match="not fitted"):
        cr.Regressor().predict(X)


@both
def test_row_37_the_wrong_number_of_features(kind, y):
    model = kind(epochs=1).fit(X, y)
    name = kind.__name__
    text = f"X has 3 features, but {name} is expecting 4 features as input"
    assert message(model.predict, X[:, :3], kind=ShapeError) == text
    model.fit(Frame(X, ["age", "sex", "height", "bmi"]), y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = message(model.predict, X[:, :3], kind=ShapeError)
    assert found == f"{text} (fitted names: age, sex, height, bmi)"


WRONG = {
    "hidden[0] must be a whole number ≥ 1, got 0": {"hidden": (0,)},
    "hidden must be a whole number ≥ 1, got 'ab'": {"hidden": "ab"},
    "hidden[1] must be a whole number ≥ 1, got 2.5; hidden[2] must be a whole number ≥ 1, got -1": {
        "hidden": (4, 2.5, -1)
    },
    "activation 'rellu' is not known (Did you mean 'relu'?)": {"activation": "rellu"},
    "learning_rate must be > 0 and finite, got -1": {"learning_rate": -1},
    "learning_rate must be > 0 and finite, got nan": {"learning_rate": np.float64("nan")},
    "learning_rate must be > 0 and finite, got 'fast'": {"learning_rate": "fast"},
    "batch_size must be a whole number ≥ 1, got 0": {"batch_size": 0},
    "batch_size must be a whole number ≥ 1 or \"all\", got 'auto'": {"batch_size": "auto"},
    "epochs must be a whole number ≥ 1, got -3": {"epochs": -3},
    "epochs must be a whole number ≥ 1, got True": {"epochs": True},
    "l2 must be ≥ 0 and finite, got -0.1": {"l2": -0.1},
    "dropout must be in [0, 1), got 1.0": {"dropout": 1.0},
    "validation must be in (0, 1), or (X, y), got 1.5": {"validation": 1.5},
    "validation must be a share or (X, y), got 3 parts": {"validation": (1, 2, 3)},
    "early_stopping must be a whole number ≥ 1, got 0": {"early_stopping": 0},
    "preprocess must be \"standard\" or None, got 'minmax'": {"preprocess": "minmax"},
    "random_state must be None, a whole number from 0 to 2⁶⁴ − 1, or NumPy's RandomState or "
    "Generator, got -1": {"random_state": -1},
    "verbose must be a whole number, got 'yes'": {"verbose": "yes"},
}


@both
@pytest.mark.parametrize("text", WRONG)
def test_row_38_a_parameter_that_is_wrong_is_told_at_fit(text, kind, y):
    model = kind(**WRONG[text])
    assert message(model.fit, X, y, kind=ParameterError) == text


@both
def test_row_38_an_unknown_optimizer_or_schedule(kind, y):
    text = message(kind(optimizer="adm").fit, X, y, kind=ParameterError)
    assert text.startswith("'adm' is not a known optimizer; known: sgd, ")
    assert text.endswith(". Did you mean 'adam'?")
    text = message(kind(schedule="cosin").fit, X, y, kind=ParameterError)
    assert text.startswith("'cosin' is not a known schedule; known: constant, ")


@both
def test_row_38_every_problem_is_told_at_once(kind, y):
    model = kind(
        hidden=(0,), learning_rate=float("nan"), batch_size=0, epochs=-3,
        optimizer="momentum:momentum=1.5",
    )  # fmt: skip
    assert message(model.fit, X, y, kind=ParameterError) == (
        "hidden[0] must be a whole number ≥ 1, got 0; "
        "optimizer 'momentum': momentum must be in [0, 1) and finite, got 1.5; "
        "learning_rate must be > 0 and finite, got nan; "
        "batch_size must be a whole number ≥ 1, got 0; "
        "epochs must be a whole number ≥ 1, got -3"
    )


def test_row_38_class_weights():
    def found(class_weight):
        return message(cr.Classifier(class_weight=class_weight).fit, X, LABELS, kind=ParameterError)

    assert found({0: -1.0, 1: "x"}) == "class_weight[0] must be ≥ 0 and finite, got -1.0"
    text = 'class_weight must be None, "balanced" or a weight for each label, got [1, 2]'
    assert found([1, 2]) == text
    assert found({"1": 3.0}) == 'class_weight names "1", which is no label of y: 0, 1'
    text = "sum of weights is 0: class_weight leaves no row to learn from"
    assert found({0: 0, 1: 0}) == text


def test_row_38_a_parameter_that_does_not_exist():
    assert message(cr.Regressor().set_params, epoch=5, l2=1, kind=ParameterError) == (
        "'epoch' is no parameter of Regressor; it has hidden, activation, optimizer, "
        "learning_rate, batch_size, epochs, l2, dropout, validation, early_stopping, schedule, "
        "preprocess, random_state, verbose. Did you mean 'epochs'?"
    )


@both
def test_row_39_a_batch_larger_than_all_rows(kind, y):
    with pytest.warns(BatchSizeWarning) as caught:
        kind(epochs=1, batch_size=64).fit(X, y)
    text = "batch_size 64 is more than the 10 rows: all are one batch"
    assert [str(w.message) for w in caught] == [text]
    kind(epochs=1).fit(X, y)  # the default means "at most 32"


@both
def test_row_40_sample_weights_that_are_wrong(kind, y):
    def found(weights):
        return message(kind().fit, X, y, sample_weight=weights, kind=ParameterError)

    ones = np.ones(10)
    ones[3] = -1
    assert found(ones) == "sample_weight[3] = -1.0: weights must be ≥ 0"
    ones[3] = np.inf
    assert found(ones) == "sample_weight[3] = inf: weights must be finite"
    assert found(np.zeros(10)) == (
        "sum of weights is 0: every sample_weight is zero, so there is nothing to learn from"
    )
    assert found(np.ones(9)) == "sample_weight has 9 values, X has 10 rows"
    text = "sample_weight must be 1-D (samples,) or a single number, got shape (10, 2)"
    assert found(np.ones((10, 2))) == text
    model = kind(epochs=1).fit(X, y)
    text = "sample_weight has 9 values, X has 10 rows"
    assert message(model.score, X, y, np.ones(9), kind=ParameterError) == text


@both
def test_row_41_constant_features(kind, y):
    def warned(rows):
        with pytest.warns(ScaleWarning) as caught:
            kind(epochs=1).fit(rows, y)
        assert caught[0].filename == __file__
        return [str(w.message) for w in caught]

    rows = X.copy()
    rows[:, 1] = 3
    assert warned(rows) == [
        "column 1 has std 0: it is 3.0 in all 10 rows, so nothing can be learned from it"
    ]
    rows[:, 2] = -1
    assert warned(Frame(rows, ["age", "sex", "height", "bmi"])) == [
        "2 columns have std 0 ('sex', 'height'): they are constant, so nothing can be learned "
        "from them"
    ]
    rows[:, 1:3] = 0  # a pixel at the border, a level that is absent
    kind(epochs=1).fit(rows, y)


@both
def test_row_41_features_whose_scales_are_too_far_apart(kind, y):
    rows = Frame(X * [1, 1, 1e6, 1e-6], ["age", "sex", "salary", "rate"])
    text = "column 'salary' is 10^12 times column 'rate': standardise (preprocess=\"standard\")"
    with pytest.warns(ScaleWarning) as caught:
        kind(epochs=1, preprocess=None, learning_rate=1e-9).fit(rows, y)
    assert [str(w.message) for w in caught] == [text]
    kind(epochs=1).fit(rows, y)
