"""Rows 51 to 53 of the list of bad input: what backward passes of users get, word for word."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DTypeError, GradientMismatch, ParameterError

X = {"x": np.linspace(-3, 3, 41)[:-1]}


def swish(x):
    return x / (1 + np.exp(-x))


def message(forward, backward, arrays=None, **options) -> str:
    report = cr.check_backward(forward, backward, arrays, **options)
    with pytest.raises(GradientMismatch) as caught:
        report.raise_if_wrong()
    return str(caught.value)


def test_a_missing_term():
    def backward(g, x):
        return g / (1 + np.exp(-x))

    text = message(swish, backward, X)
    assert text.startswith("backward of 'swish' is wrong for input x: yours ")
    assert " at x[" in text
    assert "relative error" in text
    assert "all 40 entries differ, by factors from" in text
    assert "Likely: missing term: dx is computed without the term x ⊙ σ(x) ⊙ (1 - σ(x))" in text


def test_one_factor_in_all_entries():
    def backward(g, x):
        s = 1 / (1 + np.exp(-x))
        return 0.57 * g * (s + x * s * (1 - s))

    text = message(swish, backward, X)
    assert "all 40 entries differ, by the factor 0.57)" in text
    assert "Likely: factor: dx is 0.57 times what it should be" in text


def loss(W, X):
    return (np.tanh(X @ W.T) ** 2).sum()


def point():
    rng = np.random.default_rng(1)
    return {"W": rng.normal(size=(3, 5)), "X": rng.normal(size=(7, 5))}


def right(W, X):
    H = np.tanh(X @ W.T)
    return (2 * H * (1 - H**2)).T @ X


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (
            lambda g: g.sum(0),
            "shape: dW has shape (5,), W has (3, 5) (returned (5,) for input W (3, 5))",
        ),
        (
            lambda g: np.stack([g / 7] * 7),
            "did you forget to sum over the batch? (returned (7, 3, 5) for input W (3, 5); "
            "brought into that shape it is right",
        ),
        (lambda g: g.T.copy(), "missing transpose: dW comes out transposed (returned (5, 3)"),
        (lambda g: None, "missing gradient: nothing is returned for W"),
        (lambda g: g.astype(int), "dtype: dW is of type int64: gradients are real numbers"),
        (lambda g: g + 0j, "dtype: dW is of type complex128, expected real numbers"),
        (lambda g: [[1, 2], [3]], "dtype: dW is no array of numbers (list)"),
        (lambda g: "text", "dtype: dW is of type <U4, expected real numbers"),
        (lambda g: g * np.nan, "unexplained: dW is wrong"),
        (lambda g: 0 * g, "zero gradient: dW is 0 everywhere"),
    ],
)
def test_a_result_of_the_wrong_form(result, says):
    assert says in message(loss, lambda W, X: {"W": result(right(W, X))}, point(), wrt=["W"])


def test_a_result_in_the_memory_of_an_input():
    def backward(W, X):
        W[:] = right(W, X)
        return {"W": W}

    text = message(loss, backward, point())
    assert "changes its input: after the calls W holds other values" in text
    assert "shares memory: dW lies in the memory of the input W; return a copy" in text


def test_an_input_that_is_changed():
    def backward(W, X):
        g = right(W, X)
        X *= 2
        return {"W": g}

    assert "changes its input: after the calls X holds other values" in message(
        loss, backward, point()
    )


def test_randomness():
    rng = np.random.default_rng(0)

    def backward(W, X):
        return {"W": right(W, X) * (1 + 0.1 * rng.normal())}

    text = message(loss, backward, point())
    assert "non-deterministic: two calls with the same input differ (max " in text
    assert "fix the randomness (use rng=)" in text


def test_a_forward_function_that_is_random_is_found_too():
    rng = np.random.default_rng(0)
    text = message(lambda W, X: loss(W, X) + rng.normal(), lambda W, X: {"W": right(W, X)}, point())
    assert "non-deterministic: two calls with the same input differ" in text


def test_a_function_that_stops():
    def backward(W, X):
        return {"W": W @ X}

    text = message(loss, backward, point())
    assert "raises: backward raised ValueError: matmul" in text
    assert "(test_backward.py line " in text


@pytest.mark.parametrize(
    ("backward", "options", "says"),
    [
        (lambda W, Q: W, {}, "argument 'Q' of backward is no input of forward (W, X)"),
        (lambda cache: cache, {}, "forward returns no cache beside the loss"),
        (lambda W, X: (W, X, W), {"wrt": ["W", "X"]}, "returned 3 values for 2 gradients (W, X)"),
        (lambda W, X: (W, X, W), {}, "it is not clear which gradients backward returns"),
        (lambda W, X: W, {"wrt": ["V"]}, "no input is called 'V'"),
        (lambda W, X: W, {"dtype": "float16", "wrt": ["W"]}, "dtype must be float64 or float32"),
    ],
)
def test_a_call_that_is_not_clear(backward, options, says):
    with pytest.raises(ParameterError) as caught:
        cr.check_backward(loss, backward, point(), **options)
    assert says in str(caught.value)


def test_arrays_that_are_missing_or_of_the_wrong_kind():
    with pytest.raises(ParameterError, match=r"the shapes of W, X are not known\. Give arrays="):
        cr.check_backward(loss, right, wrt=["W"])
    with pytest.raises(ParameterError, match="no input is called 'Z'"):
        cr.check_backward(loss, right, {**point(), "Z": np.ones(2)}, wrt=["W"])
    with pytest.raises(DTypeError, match="W holds int64 values: they have no derivative"):
        cr.check_backward(loss, right, {**point(), "W": np.ones((3, 5), int)}, wrt=["W"])
    with pytest.raises(DTypeError, match="X has dtype <U1, expected numbers"):
        cr.check_backward(loss, right, {**point(), "X": np.array(["a"])}, wrt=["W"])
