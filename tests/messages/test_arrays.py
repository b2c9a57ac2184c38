"""Rows 27 to 37 of the list of bad input: what arrays that are wrong get, word for word."""

import numpy as np
import pytest

from chainrule.errors import (
    DataError,
    DTypeError,
    PrecisionWarning,
    ShapeError,
)
from chainrule.io.arrays import check_X, check_X_y, check_y


class Frame:
    """As much of a data frame as chainrule looks at."""

    def __init__(self, **columns):
        self.columns = list(columns)
        self.values = np.array(list(columns.values())).T

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
    return str(caught.value)


def with_values(shape, **values):
    X = np.zeros(shape)
    X[17:20, 4] = list(values.values())
    return X


def test_row_27_nan_in_X():
    X = with_values((30, 6), a=np.nan, b=np.nan, c=np.nan)
    assert message(check_X, X) == "Input X contains NaN: 3 values, first at X[17, 4]"
    frame = Frame(**{name: X[:, i] for i, name in enumerate(["a", "b", "c", "d", "bmi", "f"])})
    text = "Input X contains NaN: 3 values, first at X[17, 4] (column 'bmi')"
    assert message(check_X, frame) == text
    with pytest.raises(ValueError, match="contains NaN"):
        check_X(X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_27_infinity_in_X(dtype):
    X = with_values((30, 6), a=np.inf, b=-np.inf, c=1).astype(dtype)
    assert message(check_X, X) == (
        f"Input X contains infinity or a value too large for dtype('{dtype}'): 2 values, "
        "first at X[17, 4]"
    )


def test_row_27_finite_values_whose_sum_is_infinite_pass():
    X = np.full((4, 1), 1e308)
    assert check_X(X).tolist() == X.tolist()


def test_row_28_nan_in_y():
    y = [1.0, 2, 3, 4, 5, np.nan]
    assert message(check_y, y) == "Input y contains NaN: 1 value, first at y[5]"
    y = ["yes", "no", None]
    assert message(check_y, y) == "Input y contains NaN: a missing label, first at y[2]"
    y = np.array(["yes", np.nan], dtype=object)
    assert message(check_y, y) == "Input y contains NaN: a missing label, first at y[1]"


def test_row_29_X_that_is_not_a_matrix():
    assert message(check_X, np.zeros(10), kind=ShapeError) == (
        "X must be 2-D (samples, features), got shape (10,). Reshape your data: "
        "one feature: X.reshape(-1, 1); one sample: X.reshape(1, -1)"
    )
    assert message(check_X, np.zeros((2, 3, 4)), kind=ShapeError) == (
        "X must be 2-D (samples, features), got shape (2, 3, 4). "
        "Reshape your data: X.reshape(len(X), -1)"
    )
    text = "X must be 2-D (samples, features), got shape ()"
    assert message(check_X, 3.0, kind=ShapeError) == text
    text = "X cannot be made an array: its rows have different lengths"
    assert message(check_X, [[1, 2], [3]], kind=ShapeError) == text


def test_row_29_y_that_is_not_a_vector():
    assert message(check_y, np.zeros((5, 1)), kind=ShapeError) == (
        "y must be 1-D (samples,), got shape (5, 1). Use y.ravel()"
    )


def test_row_30_X_and_y_of_different_lengths():
    text = "X has 100 rows, y has 99"
    assert message(check_X_y, np.zeros((100, 2)), np.zeros(99), kind=ShapeError) == text


def test_row_31_text_and_objects_in_X():
    X = [[1.0, 2.0, "abc"]]
    assert message(check_X, np.array(X, dtype=object), kind=DTypeError) == (
        "X[0, 2] is 'abc' (str): the argument must be an array in which no string or object "
        "stands for a number"
    )
    assert message(check_X, [["1", "2"]], kind=DTypeError).startswith("X[0, 0] is '1' (str): ")
    X[0][2] = {"foo": "bar"}
    assert message(check_X, X, kind=DTypeError).startswith("X[0, 2] is {'foo': 'bar'} (dict): ")
    X[0][2] = None
    assert message(check_X, X, kind=DTypeError).startswith("X[0, 2] is None (NoneType): ")


def test_row_31_objects_that_are_numbers_are_accepted():
    X = np.array([[1, 2.5, True, np.float32(0.5)]], dtype=object)
    assert check_X(X).tolist() == [[1.0, 2.5, 1.0, 0.5]]


def test_row_31_labels_of_mixed_types():
    y = np.array(["yes", 1], dtype=object)
    assert message(check_y, y, kind=DTypeError) == "y[1] is 1 (int), among labels of text"


def test_row_31_complex_numbers():
    text = "Complex data not supported (X.dtype=complex128). Use X.real, or both parts as features"
    assert message(check_X, np.zeros((2, 2), complex), kind=DTypeError) == text
    with pytest.raises(ValueError, match="Complex data not supported"):
        check_X(np.zeros((2, 2), complex))


def test_row_31_masks_and_records_are_not_dropped_silently():
    masked = np.ma.masked_array([[1.0, 2.0]], mask=[[False, True]])
    assert message(check_X, masked, kind=DTypeError) == (
        "X is a masked array, and its mask would be lost. "
        "Use X.filled(np.nan) and handle the missing values first"
    )
    records = np.zeros((2, 2), dtype=[("a", "f8")])
    text = "X has dtype [('a', '<f8')]: numbers are needed"
    assert message(check_X, records, kind=DTypeError) == text


def test_row_32_booleans_and_integers_become_float64():
    for dtype in (bool, "i1", "u1", "i2", "i4", "u4", "i8", "u8", "f2"):
        X = check_X(np.eye(3).astype(dtype))
        assert X.dtype == np.float64
        assert X.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_row_32_integers_that_float64_cannot_hold(dtype):
    with pytest.warns(PrecisionWarning) as caught:
        check_X(np.array([[0, 2**53], [2**53 + 1, 2**62 + 1]], dtype=dtype))
    assert [str(w.message) for w in caught] == [
        "X: 9007199254740993 cannot be stored exactly as float64 (2 values)"
    ]


def test_row_32_a_long_double_that_float64_cannot_hold():
    huge = np.array([[np.longdouble(10) ** 400]])
    if not np.isfinite(huge).all():
        pytest.skip("long double is float64 on this machine")
    assert message(check_X, huge) == (
        "Input X contains infinity or a value too large for dtype('float64'): 1 value, "
        "first at X[0, 0]"
    )


@pytest.mark.parametrize("dtype", ["datetime64[D]", "timedelta64[s]"])
def test_row_32_dates(dtype):
    assert message(check_X, np.zeros((2, 1), dtype), kind=DTypeError) == (
        f"X has dtype {dtype}: convert dates to numbers first, e.g. days since the first one: "
        "(x - x.min()) / np.timedelta64(1, 'D')"
    )


def test_row_33_a_sparse_matrix_is_not_expanded():
    text = "sparse input is not supported; X.toarray() needs 3.2 GiB"
    assert message(check_X, Sparse(), kind=DTypeError) == text


def test_row_34_no_samples():
    text = "found 0 samples (shape (0, 5)); at least 1 is required in X"
    assert message(check_X, np.zeros((0, 5))) == text
    text = "found 0 samples (shape (0,)); at least 1 is required in y"
    assert message(check_y, []) == text


def test_row_34_no_features():
    text = "found 0 feature(s) (shape=(15, 0)) while a minimum of 1 is required in X"
    assert message(check_X, np.zeros((15, 0))) == text


def unaligned(X):
    raw = np.zeros(X.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[:] = X
    assert view.flags.aligned == (X.itemsize == 1)
    return view


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "read-only": read_only,
    "columns first": np.asfortranarray,
    "negative strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda X: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
    "unaligned": unaligned,
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_35_the_memory_layout_changes_no_bit(layout, dtype):
    X = (np.random.default_rng(0).normal(size=(7, 5)) * 3).astype(dtype)
    given = LAYOUTS[layout](X)
    before = given.tobytes()
    checked = check_X(given)
    assert checked.tobytes() == check_X(X).tobytes()
    assert checked.dtype == (dtype if "float" in dtype else "float64")
    assert checked.dtype.isnative
    assert checked.flags.c_contiguous
    assert checked.flags.aligned
    assert given.tobytes() == before


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_row_35_the_memory_layout_of_y_changes_no_bit(dtype):
    y = np.arange(9).astype(dtype)
    for given in (y[::-1].copy()[::-1], y.astype(y.dtype.newbyteorder()), unaligned(y)):
        checked = check_y(given)
        assert checked.tobytes() == y.tobytes()
        assert checked.dtype == y.dtype
        assert checked.flags.aligned
        assert checked.flags.c_contiguous


def test_row_37_the_wrong_number_of_features():
    X = np.zeros((2, 7))
    assert message(check_X, X, n_features=6, kind=ShapeError) == (
        "X has 7 features, but model is expecting 6 features as input"
    )
    names = np.array(["a", "b", "c", "d", "e", "f"], dtype=object)
    assert message(
        check_X, X, n_features=6, feature_names=names, estimator="Classifier", kind=ShapeError
    ) == (
        "X has 7 features, but Classifier is expecting 6 features as input "
        "(fitted names: a, b, c, d, e, f)"
    )


def test_row_21_columns_of_a_data_frame_are_put_in_order():
    X = check_X(Frame(b=[3.0, 4.0], a=[1.0, 2.0]), n_features=2, feature_names=["a", "b"])
    assert X.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert X.flags.c_contiguous


def test_row_21_columns_of_a_data_frame_that_are_missing_or_extra():
    frame = Frame(ages=[1.0], b=[2.0], note=[3.0])
    assert message(check_X, frame, feature_names=["age", "b"]) == (
        "the feature names of X should match those that were passed during fit: "
        "1 feature missing: age; 2 features unseen at fit: ages, note. Did you mean 'ages'?"
    )


def test_row_21_a_data_frame_whose_names_are_partly_text():
    frame = Frame(a=[1.0], b=[2.0])
    frame.columns = ["a", 1]
    text = "column names must all be text, or none. Feature names are only supported if all"
    assert message(check_X, frame, kind=DTypeError).startswith(text)
    frame.columns = [0, 1]
    assert check_X(frame).tolist() == [[1.0, 2.0]]


def test_labels_stay_what_they_are():
    assert check_y([3, 1, 2]).dtype.kind == "i"
    assert check_y([True, False]).dtype == bool
    assert check_y(["b", "a"]).tolist() == ["b", "a"]
