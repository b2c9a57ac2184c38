"""Initialisers: each draws what its formula says, each parameter from its own key."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from chainrule.errors import DTypeError, ParameterError, ShapeError
from chainrule.nn import default_for
from chainrule.training.init import INITIALISERS, Initialiser, draw

FAN_IN, FAN_OUT = 300, 200

# By hand: the variance, and the largest magnitude for uniform ones (None: unbounded).
EXPECTED = {
    "normal": (1e-4, None),
    "normal:std=2.0": (4.0, None),
    "uniform": (0.1**2 / 12, 0.05),
    "uniform:low=-3,high=3": (3.0, 3.0),
    "lecun_normal": (1 / 300, None),
    "lecun_uniform": (1 / 300, 0.1),
    "glorot_normal": (2 / 500, None),
    "glorot_uniform": (2 / 500, math.sqrt(6 / 500)),
    "he_normal": (2 / 300, None),
    "he_normal:mode=fan_out": (2 / 200, None),
    "he_uniform": (2 / 300, math.sqrt(2) / 10),
    "he_uniform:mode=fan_out": (2 / 200, math.sqrt(3) / 10),
}

FORMULAS = {
    "zeros": r"W = 0",
    "constant": r"W = c",
    "normal": r"W \sim \mathcal{N}\left(0, \mathrm{std}^2\right)",
    "uniform": r"W \sim \mathcal{U}\left(\mathrm{low}, \mathrm{high}\right)",
    "lecun_normal": r"W \sim \mathcal{N}\left(0, \frac{1}{n_\mathrm{in}}\right)",
    "lecun_uniform": r"W \sim \mathcal{U}\left(-a, a\right),\quad "
    r"a = \sqrt{\frac{3}{n_\mathrm{in}}}",
    "glorot_normal": r"W \sim \mathcal{N}\left(0, \frac{2}{n_\mathrm{in} + n_\mathrm{out}}\right)",
    "glorot_uniform": r"W \sim \mathcal{U}\left(-a, a\right),\quad "
    r"a = \sqrt{\frac{6}{n_\mathrm{in} + n_\mathrm{out}}}",
    "he_normal": r"W \sim \mathcal{N}\left(0, \frac{2}{n_\mathrm{mode}}\right)",
    "he_uniform": r"W \sim \mathcal{U}\left(-a, a\right),\quad "
    r"a = \sqrt{\frac{6}{n_\mathrm{mode}}}",
    "orthogonal": r"W = \mathrm{gain} \cdot Q,\quad "
    r"Q^\intercal Q = I \;\text{or}\; Q Q^\intercal = I",
}


def value_of(fraction: str) -> float:
    r"""The number that ``\frac{a}{b}`` stands for, at the fans of these tests."""
    above, below = re.fullmatch(r"\\frac\{(\d)\}\{(.*)\}", fraction).groups()
    fans = {r"n_\mathrm{in}": FAN_IN, r"n_\mathrm{out}": FAN_OUT, r"n_\mathrm{mode}": FAN_IN}
    return int(above) / sum(fans[term] for term in below.split(" + "))


@pytest.mark.parametrize(("spelling", "expected"), EXPECTED.items())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mean_variance_and_bound_are_those_of_the_formula(spelling, expected, dtype):
    variance, bound = expected
    weights = draw(spelling, (FAN_OUT, FAN_IN), FAN_IN, FAN_OUT, 17, 3, dtype)
    assert weights.shape == (FAN_OUT, FAN_IN)
    assert weights.dtype == dtype
    # Of 60,000 numbers: the mean within 5 standard errors, the variance within 5 of √(2/60000)
    # (normal) or less.
    assert abs(weights.mean()) < 5 * math.sqrt(variance / weights.size)
    assert weights.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / weights.size))
    if bound is None:
        assert np.abs(weights).max() > 4 * math.sqrt(variance), "not truncated"
    else:
        assert 0.999 * bound < np.abs(weights).max() <= bound * (1 + 1e-6)


def test_every_record_is_covered_and_its_formula_and_source_are_shown():
    assert {name: record.formula for name, record in INITIALISERS.items()} == FORMULAS
    assert all(record.source for record in INITIALISERS.values())
    assert {s.partition(":")[0] for s in EXPECTED} == set(FORMULAS) - {
        "zeros",
        "constant",
        "orthogonal",
    }


@pytest.mark.parametrize("name", [n for n, record in INITIALISERS.items() if record.fans])
def test_the_formula_shown_evaluates_to_the_variance_drawn(name):
    formula = INITIALISERS[name].formula
    if r"\mathcal{U}" in formula:
        variance = value_of(formula.partition(r"a = \sqrt{")[2].removesuffix("}")) / 3
    else:
        variance = value_of(formula.partition("0, ")[2].removesuffix(r"\right)"))
    assert variance == pytest.approx(EXPECTED[name][0])


def test_zeros_and_constants_are_exact():
    assert draw("zeros", (3,), 0, 0, 1, 0, "float32").tolist() == [0, 0, 0]
    assert draw(Initialiser("constant", c=0.25), (2, 2), 1, 1, 1, 0).tolist() == [[0.25] * 2] * 2


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (1, 4), (4, 1), (6, 2, 3)])
def test_orthogonal_rows_or_columns_are_orthonormal_up_to_the_gain(shape):
    weights = draw("orthogonal:gain=1.5", shape, 1, 1, 4, 2).reshape(shape[0], -1) / 1.5
    short = weights if weights.shape[0] <= weights.shape[1] else weights.T
    np.testing.assert_allclose(short @ short.T, np.eye(short.shape[0]), atol=1e-14)


def test_orthogonal_matrices_are_uniform_over_the_group():
    entries = np.array([draw("orthogonal", (3, 3), 1, 1, seed, 0) for seed in range(3000)])
    # Under the Haar measure every entry has mean 0 and mean square 1/3, and half the determinants
    # are negative.
    np.testing.assert_allclose(entries.mean(axis=0), 0, atol=5 * math.sqrt(1 / 3 / 3000))
    np.testing.assert_allclose((entries**2).mean(axis=0), 1 / 3, atol=5 * 0.3 / math.sqrt(3000))
    assert abs((np.linalg.det(entries) < 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(3000)


def test_orthogonal_refuses_a_vector():
    with pytest.raises(ShapeError, match=r"at least two axes, got \(7,\)"):
        draw("orthogonal", (7,), 7, 1, 0, 0)


@pytest.mark.parametrize("name", [n for n in INITIALISERS if n not in ("zeros", "constant")])
def test_a_draw_is_a_function_of_seed_and_index(name):
    def weights(seed: int, index: int) -> np.ndarray:
        return draw(name, (6, 7), 7, 6, seed, index)

    assert np.array_equal(weights(5, 1), weights(5, 1))
    assert not np.array_equal(weights(5, 1), weights(6, 1))
    assert not np.array_equal(weights(5, 1), weights(5, 2))
    assert abs(np.corrcoef(weights(5, 1).ravel(), weights(5, 2).ravel())[0, 1]) < 0.8


def test_empty_parameters_are_allowed():
    assert draw("he_normal", (3, 0), 1, 3, 0, 0).shape == (3, 0)


@pytest.mark.seed("000-08")
def test_two_layers_of_the_same_shape_start_differently():
    first, second = (draw("glorot_uniform", (4, 4), 4, 4, 0, index) for index in (0, 2))
    assert not np.isclose(first, second).any()


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", "he_normal"),
        ("leaky_relu", "he_normal"),
        ("elu", "he_normal"),
        ("gelu", "he_normal"),
        ("silu", "he_normal"),
        ("softplus", "he_normal"),
        ("selu", "lecun_normal"),
        ("tanh", "glorot_uniform"),
        ("sigmoid", "glorot_uniform"),
        ("softmax", "glorot_uniform"),
        ("identity", "glorot_uniform"),
        ("a function of my own", "glorot_uniform"),
    ],
)
def test_the_default_suits_the_activation(activation, expected):
    assert default_for(activation) == expected
    assert expected in INITIALISERS


def test_he_keeps_the_scale_of_a_deep_relu_network():
    a = draw("normal:std=1", (100, 2000), 1, 1, 0, 0)
    for layer in range(1, 21):
        a = np.maximum(draw("he_normal", (100, 100), 100, 100, 0, layer) @ a, 0)
    assert 0.1 < (a**2).mean() < 10


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("he_norml", "'he_norml' is not a known initialiser; known: zeros, constant, normal, "),
        ("he_norml", "Did you mean 'he_normal'?"),
        ("constant", "initialiser 'constant': c must be given"),
        ("normal:std=-1", "initialiser 'normal': std must be > 0 and finite, got -1"),
        ("normal:std=nan", "initialiser 'normal': std must be > 0 and finite, got nan"),
        (
            "he_normal:mode=fanout",
            "mode must be one of fan_in, fan_out, got 'fanout' (Did you mean",
        ),
        ("uniform:low=2,high=1", "low must be below high, got low = 2, high = 1"),
        ("zeros:std=1", "initialiser 'zeros' has no option 'std'; its options: none"),
    ],
)
def test_wrong_spellings_are_refused_with_what_is_possible(spelling, message):
    with pytest.raises(ParameterError) as caught:
        draw(spelling, (2, 2), 2, 2, 0, 0)
    assert message in str(caught.value)


def test_fans_and_types_that_make_no_sense_are_refused():
    with pytest.raises(ParameterError, match="needs fans of at least 1, got fan_in = 0"):
        draw("he_normal", (2, 0), 0, 2, 0, 0)
    with pytest.raises(DTypeError, match="not int64"):
        draw("zeros", (2,), 1, 1, 0, 0, np.int64)
