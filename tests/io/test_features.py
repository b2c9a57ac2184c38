"""Features and targets: learned from training rows, stored, applied at prediction."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import DataError, ParameterError, ShapeError, VersionError
from chainrule.io.columns import mean_and_std
from chainrule.io.features import Features, complete_rows
from chainrule.io.table import Table
from chainrule.io.target import Target, task_of

TABLE = Table.of(
    {
        "age": ["20", "30", "", "70", "1000"],
        "colour": ["red", "blue", "red", "", "blue"],
        "same": ["7", "7", "7", "7", "7"],
        "y": ["no", "yes", "no", "yes", "no"],
    },
    "a.csv",
)
TRAINING = np.array([0, 1, 2, 3])
COLUMNS = ["age", "colour", "same"]


def message(call, *args, kind=DataError, **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    return str(caught.value)


def fit(missing="mean", **options):
    return Features.fit(TABLE, COLUMNS, TRAINING, missing=missing, **options)


def test_means_and_levels_come_from_training_rows_alone():
    age, colour, same = fit().columns
    assert (age.mean, round(age.std, 9)) == (40.0, round(np.std([20, 30, 70]), 9))
    assert colour.levels == ("blue", "red")
    assert (same.mean, same.std) == (7.0, 1.0)


def test_a_row_that_is_no_training_row_changes_nothing():
    other = Table.of({n: [*TABLE.texts(n)[:4], "-5" if n != "colour" else "red"] for n in COLUMNS})
    assert Features.fit(other, COLUMNS, TRAINING, missing="mean").columns == fit().columns


def test_missing_cells_get_the_mean():
    X = fit().transform(TABLE)
    assert X.shape == (5, 4)
    assert X[2, 0] == 0.0  # the mean, standardised
    assert X[3, 1:3].tolist() == [1 / 3, 2 / 3]  # the shares of blue and red
    assert X[:, 3].tolist() == [0.0] * 5


def test_missing_cells_are_flagged_in_columns_of_their_own():
    features = fit("flag", preprocess="none")
    assert features.names == (
        "age", "age is missing", "colour=blue", "colour=red", "colour is missing", "same",
    )  # fmt: skip
    assert features.transform(TABLE, np.array([2, 3])).tolist() == [
        [40.0, 1.0, 0.0, 1.0, 0.0, 7.0],
        [70.0, 0.0, 0.0, 0.0, 1.0, 7.0],
    ]


def test_rows_with_missing_cells_are_left_out_of_training_but_never_of_prediction():
    assert complete_rows(TABLE, COLUMNS).tolist() == [0, 1, 4]
    features = fit("drop")
    assert features.columns[0].mean == 25.0
    assert features.transform(TABLE, np.array([0, 1, 4])).shape == (3, 4)
    assert message(features.transform, TABLE) == (
        "a.csv, column 'age': 1 of 5 values missing (first at line 4). "
        'The model has missing="drop": leave these rows out, '
        'or train with missing="mean" | "flag"'
    )


def test_a_column_that_was_never_missing_in_training_has_no_answer_to_a_missing_cell():
    new = Table.of({"age": ["1"], "colour": ["red"], "same": [""]}, "new.csv")
    assert message(fit("flag").transform, new).startswith(
        "new.csv, column 'same': 1 of 1 value missing (first at line 2). It was never missing"
    )
    assert fit("mean").transform(new)[0, 3] == 0.0


def test_a_column_without_values_cannot_be_a_feature():
    table = Table.of({"x": ["", "", "1"]}, "a.csv")
    assert message(Features.fit, table, ["x"], np.array([0, 1]), missing="mean") == (
        "a.csv, column 'x': no value in any of the 2 training rows. Leave 'x' out of the features"
    )


def test_too_many_levels_are_refused():
    table = Table.of({"name": [f"person {i}" for i in range(300)]}, "a.csv")
    assert message(Features.fit, table, ["name"]).startswith(
        "a.csv, column 'name': 300 different texts in 300 rows, more than max_levels=256 "
        '(first "person 0"). If it names the rows, leave the column out'
    )
    assert len(Features.fit(table, ["name"], max_levels=300).names) == 300


def test_labels_that_differ_only_in_blanks_are_refused():
    table = Table.of({"x": ["red", "red ", "blue"]}, "a.csv")
    assert '"red" and "red " differ only in blanks' in message(Features.fit, table, ["x"])
    table = Table.of({"y": ["red", "red ", "blue"]}, "a.csv")
    assert "differ only in blanks" in message(Target.fit, table, "y")


def test_numbers_that_are_only_labels_can_be_declared_so():
    table = Table.of({"zip": ["01", "1", "01"]})
    assert Features.fit(table, ["zip"], categorical=["zip"]).names == ("zip=01", "zip=1")


def test_features_and_target_survive_storage_as_json():
    for stored in (fit("flag", unknown="ignore"), Target.fit(TABLE, "y")):
        text = msgspec.json.encode(stored)
        assert msgspec.json.decode(text, type=type(stored)) == stored
    restored = msgspec.json.decode(msgspec.json.encode(fit()), type=Features)
    assert restored.transform(TABLE).tobytes() == fit().transform(TABLE).tobytes()


@pytest.mark.parametrize("kind", [Features, Target])
def test_what_a_newer_version_stored_is_refused(kind):
    stored = fit() if kind is Features else Target.fit(TABLE, "y")
    text = msgspec.json.encode(stored).replace(b'"version":1', b'"version":2')
    assert "format 2, this version knows ≤ 1" in message(
        msgspec.json.decode, text, type=kind, kind=VersionError
    )


@pytest.mark.parametrize("option", ["missing", "unknown", "preprocess"])
def test_options_outside_what_they_allow(option):
    text = message(Features.fit, TABLE, ["same"], **{option: "x"}, kind=ParameterError)
    assert text.startswith(f"{option} must be one of ")


def test_standardised_columns_have_mean_0_and_deviation_1():
    rng = np.random.default_rng(1)
    X = rng.normal(5, 30, size=(200, 3)) * [1, 1e150, 1e-150]
    standard = Features.fit_array(X).transform_array(X)
    assert np.abs(standard.mean(axis=0)).max() < 1e-12
    assert np.abs(standard.std(axis=0) - 1).max() < 1e-12


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_mean_and_deviation_are_finite_and_positive_for_any_numbers(values):
    mean, std = mean_and_std(np.array(values))
    assert np.isfinite(mean)
    assert min(values) <= mean * (1 + 1e-9) + 1e-300 or mean <= max(values)
    assert 0 < std < np.inf


def test_arrays_keep_their_type_and_their_number_of_columns():
    X = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    features = Features.fit_array(X, np.array([0, 1]), names=["a", "b"])
    assert features.transform_array(X).dtype == np.float32
    assert message(features.transform_array, X[:, :1], kind=ShapeError) == (
        "X has 1 feature, the model was fitted with 2 (names: a, b)"
    )
    untouched = Features.fit_array(X, preprocess="none")
    assert untouched.transform_array(X) is X
    assert message(fit().transform_array, X).startswith("the model has categorical columns")


def test_a_value_that_overflows_when_standardised_is_named():
    table = Table.of({"x": ["0", "1e-9"]}, "a.csv")
    new = Table.of({"x": ["1", "1e305"]}, "new.csv")
    assert message(Features.fit(table, ["x"]).transform, new).startswith(
        "new.csv line 3, column 'x': 1e+305 overflows float64 when standardised"
    )


@pytest.mark.seed("000-04")
@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["b", "a"], "classification", ("a", "b")),
        (["2", "1", "2", "1"], "classification", (1, 2)),
        (["3", "4", "5", "6", "7"], "regression", ()),
        (["2", "1", "2"], "regression", ()),
        (["1.5", "2"], "regression", ()),
        (["1.0", "2.0"], "regression", ()),
        ([str(i) for i in range(20)] * 2, "classification", tuple(range(20))),
        ([str(i) for i in range(21)] * 2, "regression", ()),
        ([str(i % 19) for i in range(37)], "regression", ()),
    ],
)
def test_the_target_decides_the_task(cells, task, classes):
    table = Table.of({"y": cells})
    target = Target.fit(table, "y")
    assert (target.task, target.classes, task_of(table, "y")) == (task, classes, task)


def test_the_task_can_be_set():
    table = Table.of({"y": ["1", "2", "3"]})
    assert Target.fit(table, "y", task="regression").classes == ()
    table = Table.of({"y": ["1.5", "2.5", "1.5"]})
    target = Target.fit(table, "y", task="classification")
    assert target.decode(target.encode(table)).tolist() == [1.5, 2.5, 1.5]
    table = Table.of({"y": ["1", "2", "3", "4", "5B"]})
    target = Target.fit(table, "y", task="classification")
    assert target.classes == ("1", "2", "3", "4", "5B")
    assert target.encode(table).tolist() == [0, 1, 2, 3, 4]


def test_a_regression_on_text_is_refused():
    table = Table.of({"y": ["yes", "no"]})
    assert message(Target.fit, table, "y", task="regression") == (
        'target \'y\' is text (first "yes"): a regression needs numbers. Use task="classification"'
    )


def test_text_in_a_target_of_numbers_is_refused():
    table = Table.of({"y": ["1", "2", "3", "n/a"]}, "a.csv")
    assert message(Target.fit, table, "y").startswith(
        "a.csv line 5, column 'y': \"n/a\" is not a number (1 of 4 rows)"
    )


def test_a_missing_target_is_refused():
    table = Table.of({"y": ["a", "b", ""]}, "a.csv")
    assert message(Target.fit, table, "y") == (
        "a.csv, column 'y': 1 of 3 values missing (first at line 4). "
        'A target cannot be filled in: choose missing="drop"'
    )
    target = Target.fit(table, "y", np.array([0, 1]))
    assert target.encode(table, np.array([1, 0])).tolist() == [1, 0]


def test_a_regression_target_is_standardised_and_restored():
    table = Table.of({"y": ["10.5", "20.5", "1000"]})
    target = Target.fit(table, "y", np.array([0, 1]))
    encoded = target.encode(table)
    assert encoded[:2].tolist() == [-1.0, 1.0]
    assert np.allclose(target.decode(encoded[:, None]), [10.5, 20.5, 1000], rtol=1e-15)
    plain = Target.fit(table, "y", standardise=False)
    assert plain.encode(table).tolist() == [10.5, 20.5, 1000.0]


def test_scores_are_decoded_by_their_largest():
    target = Target.fit(TABLE, "y")
    assert target.decode(np.array([[0.9, 0.1], [0.2, 0.8]])).tolist() == ["no", "yes"]
    assert message(target.decode, np.zeros((2, 3)), kind=ShapeError) == (
        "predictions have 3 columns for 2 classes"
    )


@pytest.mark.parametrize("y", [["b", "a", "b"], [3, 1, 3], [True, False, True], [0.5, 1.5, 0.5]])
def test_labels_of_an_array_are_decoded_to_what_they_were(y):
    values = np.array(y, dtype=object if isinstance(y[0], str) else None)
    target = Target.fit_array(values, task="classification")
    assert target.decode(target.encode_array(values)).tolist() == y
    restored = msgspec.json.decode(msgspec.json.encode(target), type=Target)
    assert restored.decode(restored.encode_array(values)).tolist() == y
