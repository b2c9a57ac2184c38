"""Sixty wrong backward passes: the right parameter, and the mistake by its name."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnose.scene import COSTS
from chainrule.errors import GradientMismatch
from tests.diagnose.networks import CHAIN, NETWORKS, TWO_LAYER, Mistake, Network, buggy

LOCALISED, NAMED = 57, 51  # of sixty


def check(network: Network, mistake: Mistake | None = None, **options):
    forward, backward = network.functions(mistake)
    return cr.check_backward(forward, backward, network.arrays, wrt=network.wrt, **options)


def names_it(report, mistake: Mistake) -> bool:
    """Whether the report is about this mistake and no other."""
    (first, *more) = report.mistakes or (None,)
    if first is None or more or first.kind not in mistake.kinds:
        return False
    return all(words in first.sentence + first.evidence for words in mistake.says)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_the_passes_into_which_mistakes_are_put_are_right(network):
    report = check(network)
    assert report.ok, str(report)


def test_sixty_mistakes_are_found_at_the_right_parameter_and_named():
    cases = [(n, m, check(n, m)) for n, m in buggy()]
    assert len(cases) == 60
    found = [m.first == report.first for _, m, report in cases]
    named = [f and names_it(report, m) for f, (_, m, report) in zip(found, cases, strict=True)]
    lost = "\n\n".join(
        f"{n.name}: {m.new}\n{r}" for (n, m, r), ok in zip(cases, named, strict=True) if not ok
    )
    assert sum(found) >= LOCALISED, lost
    assert sum(named) >= NAMED, lost
    assert all(not report.ok for *_, report in cases)
    kinds = {m.kind for *_, report in cases for m in report.mistakes}
    assert set(COSTS) - {"extra factor"} <= kinds  # of every kind one is among them


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mistake_is_named_in_either_float_type(dtype):
    report = check(TWO_LAYER, TWO_LAYER.mistakes[2], dtype=dtype)
    assert names_it(report, TWO_LAYER.mistakes[2]), str(report)


def test_several_mistakes_are_all_named_nearest_to_the_loss_first():
    forward, _ = TWO_LAYER.functions()
    text = TWO_LAYER.backward
    for old, new in (
        ("dw2 = dy @ A.T", "dw2 = 3 * dy @ A.T"),
        ("dA * A * (1 - A)", "dA * Z * (1 - Z)"),
        ("dW1 = dZ @ X.T", "dW1 = -dZ @ X.T"),
    ):
        text = text.replace(old, new)
    names = {"np": np}
    exec(text, names)
    report = cr.check_backward(forward, names["backward"], TWO_LAYER.arrays)
    kinds = [(m.parameter, m.kind) for m in report.mistakes]
    assert kinds == [("w2", "factor"), ("b1", "derivative at wrong value"), ("W1", "sign")]
    assert report.first == "w2"


def test_what_no_single_mistake_explains_is_said_to_be_unexplained():
    forward, _ = TWO_LAYER.functions()
    text = TWO_LAYER.backward.replace("dW1 = dZ @ X.T", "dW1 = dZ @ X.T\n    dW1[1] = 0.25")
    names = {"np": np}
    exec(text, names)
    report = cr.check_backward(forward, names["backward"], TWO_LAYER.arrays)
    (mistake,) = report.mistakes
    assert (mistake.parameter, mistake.kind) == ("W1", "unexplained")
    assert "4 of 12 entries differ" in mistake.evidence
    assert "rank 1" in mistake.evidence
    assert "only rows 1 are wrong" in mistake.evidence


def test_the_evidence_is_in_numbers_and_the_formulas_are_right_and_theirs():
    report = check(TWO_LAYER, TWO_LAYER.mistakes[1])
    (mistake,) = report.mistakes
    assert mistake.evidence == (
        "db2, dw2, db1 and dW1 are 6.000 times the true gradients in all 19 entries"
    )
    assert mistake.right == "∂L/∂ŷ = (2/m)(ŷ - y)"
    assert mistake.yours.replace(" ", "").startswith("∂L/∂ŷ=m")
    assert mistake.latex.startswith(r"\frac{\partial\mathcal{L}}{\partial \hat{y}} &= ")


def test_a_factor_that_is_no_known_number_is_given_in_digits():
    forward, _ = CHAIN.functions()
    names = {"np": np}
    exec(CHAIN.backward.replace("dW4 = d4", "dW4 = 0.37 * d4"), names)
    report = cr.check_backward(forward, names["backward"], CHAIN.arrays, wrt=CHAIN.wrt)
    assert report.mistakes[0].sentence == "factor: dW4 is 0.37 times what it should be"


def test_a_wrong_pass_raises_and_a_right_one_does_not():
    check(TWO_LAYER).raise_if_wrong()
    with pytest.raises(
        GradientMismatch, match="backward of 'forward' is wrong for input b1: yours"
    ):
        check(TWO_LAYER, TWO_LAYER.mistakes[2]).raise_if_wrong()


def test_the_same_seed_gives_the_same_report():
    forward, backward = TWO_LAYER.functions(TWO_LAYER.mistakes[3])
    arrays = TWO_LAYER.arrays(np.random.default_rng(1))  # other points are moved from here
    first, second, other = (
        cr.check_backward(forward, backward, arrays, seed=seed) for seed in (5, 5, 6)
    )
    assert first == second
    assert first.json() == second.json()
    assert first != other


def test_an_axis_of_one_entry_is_no_obstacle():
    """Files may call such an axis 1, as in w_2: 1 k."""
    report = cr.check_backward(
        cr.parse_net(
            "net n\nparam w: 1 n\ninput X: n m\ninput y: 1 m\nz = w @ X\nreturn mse(z, y)"
        ),
        lambda w, X, y: {"w": (w @ X - y) @ X.T / X.shape[1] + X[:1, :1] * 0 + w * 1e-3},
    )
    assert [mistake.parameter for mistake in report.mistakes] == ["w"]
