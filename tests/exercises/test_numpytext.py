"""Typed NumPy is computed as NumPy would, and nothing else is."""

import time

import numpy as np
import pytest

from chainrule.errors import ChainruleError, FormulaError, ShapeError
from chainrule.exercises.numpytext import FUNCTIONS, evaluate_numpy

AT = {
    "X": np.arange(12.0).reshape(3, 4) / 7 - 0.5,
    "dZ": np.cos(np.arange(8.0)).reshape(2, 4),
    "m": np.asarray(4.0),
}

SAME = (
    "dZ @ X.T", "np.dot(dZ, X.T)", "dZ.dot(X.T) / m", "np.sum(dZ, axis=1, keepdims=True)",
    "dZ.sum(1)", "numpy.mean(dZ, axis=-1)", "np.exp(-X) ** 2", "1 / (1 + np.exp(-X))",
    "np.maximum(X, 0) * (X > 0)", "np.where(X >= 0, X, 0.5 * X)", "np.outer(X, dZ)",
    "np.transpose(X) * +2 - 1e-3", "X.shape[1] + X.size", "np.sum(X, axis=(0, 1))",
    "(X == X.max()) - np.sqrt(np.abs(X))", "np.max(X, 0)", "len(X) * X",
)  # fmt: skip


@pytest.mark.parametrize("text", SAME)
def test_an_expression_has_the_value_that_numpy_gives_it(text):
    true = eval(text, {"np": np, "numpy": np, "len": len}, dict(AT))  # ours, above
    np.testing.assert_array_equal(evaluate_numpy(text, AT), true)


def test_functions_that_numpy_lacks_are_what_their_names_say():
    p = evaluate_numpy("softmax(X, axis=0)", AT)
    np.testing.assert_allclose(p.sum(axis=0), 1)
    np.testing.assert_array_equal(evaluate_numpy("relu(X)", AT), np.maximum(AT["X"], 0))
    np.testing.assert_allclose(evaluate_numpy("sigmoid(X)", AT), 1 / (1 + np.exp(-AT["X"])))


REFUSED = (
    ("__import__('os').system('x')", "'__import__' is no function here|not possible"),
    ("X.__class__", ".__class__ is not possible here"),
    ("X.T.__init__", "__init__ is not possible"),
    ("lambda: 1", "Lambda is nothing that an answer can contain"),
    ("[x for x in X]", "ListComp is nothing"),
    ("X[0]", "entries and slices are not possible here"),
    ("X.shape[7]", "has no side 7"),
    ("np.load('x')", "np.load is not possible here"),
    ("np.random.rand(3)", "cannot be called|not possible"),
    ("(X if X else X)", "IfExp"),
    ("X := 3", "no NumPy expression"),
    ("np.sum(*X)", "write every argument out"),
    ("np.sum(X, out=X)", "has no option 'out'"),
    ("np.sum(X, axis=1.5)", "no whole number"),
    ("'a' * 9", "'a' is no number"),
    ("sgmoid(X)", "Did you mean 'sigmoid'?"),
    ("dz @ X.T", "Did you mean 'dZ'?"),
    ("9**9**9**9", "cannot be computed"),
    ("1/0", "cannot be computed: it gives inf"),
    ("(-8)**(1/3)", "cannot be computed: it gives nan"),
    ("X // 2", "the operations are"),
    ("np.exp(X, X)", "exp takes 1 array"),
    ("", "no NumPy expression"),
    ("\0", "no NumPy expression"),
    ("\ud800", "no NumPy expression"),
)


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_everything_else_is_refused_with_its_column(text, message):
    with pytest.raises(FormulaError, match=message) as caught:
        evaluate_numpy(text, AT)
    assert caught.value.where.startswith("column ")
    assert "^" in str(caught.value)


def test_the_caret_stands_below_the_place_also_behind_other_letters():
    with pytest.raises(FormulaError) as caught:
        evaluate_numpy("ŷ + ŷ * Xx", {"ŷ": np.ones(2), "X": np.ones(2)})
    *_, excerpt, caret = str(caught.value).split("\n")
    assert excerpt[caret.index("^") :] == "Xx"


def test_shapes_that_do_not_fit_are_both_named():
    with pytest.raises(ShapeError, match=r"\(2, 4\) and \(3, 4\) do not fit in a matrix product"):
        evaluate_numpy("dZ @ X", AT)


HOSTILE = (
    "(" * 100_000, "-" * 1_900 + "1", "+".join(["1"] * 900), "X." * 900, "((((" * 400 + "X",
    "np.outer(np.outer(X,X),np.outer(X,X))", "np.exp(" * 300, "1" * 1_999, "[" * 1_999,
    "np.outer(X, np.outer(X, np.outer(X, X)))", "not " * 450 + "X", "x" * 1_000_000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(ChainruleError):
        evaluate_numpy(text, AT)
    assert time.perf_counter() - start < 0.2


def test_the_largest_result_that_is_computed_is_small():
    small = {"a": np.ones((40, 50))}  # the most entries that a result may have
    start = time.perf_counter()
    with pytest.raises(FormulaError, match="a result of 4000000 entries"):
        evaluate_numpy("np.outer(a, a)", small)
    assert time.perf_counter() - start < 1


def test_no_function_is_offered_that_can_touch_files_or_code():
    assert not {"load", "save", "fromfile", "memmap", "vectorize", "eval"} & set(FUNCTIONS)
