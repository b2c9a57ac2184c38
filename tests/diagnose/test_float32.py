"""An honest check in float32: no false alarm, not even at kinks, and no error of 1e-3 missed."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnose.comparing import compared
from chainrule.diagnose.precision import Prepared
from chainrule.netfile import define
from tests.diagnose import kinked

KINDS = 5
CONVENTIONS = (0, 1, 0.5)
PLANTED = np.float32(1e-3)  # relative
AT_ONCE = 100  # points in one evaluation


def wrong(grads, truth, wrt) -> list[str]:
    """The gradients that the check calls wrong."""
    theirs = {n: np.asarray(grads[n], np.float64) for n in wrt}
    found = compared([theirs], [truth], dict.fromkeys(wrt, "float32"))
    return [n for n, line in found.lines.items() if not line.ok]


def counts(network: kinked.Kinked, points: int) -> tuple[int, int, int, int]:
    """False alarms, planted errors, those found, and points at a kink."""
    prepared = Prepared(define(network.loss), network.wrt)
    rng = np.random.default_rng(11)
    alarms = planted = found = kinks = 0
    for start in range(0, points, AT_ONCE):
        here = [kinked.point(network, rng, (start + i) % KINDS) for i in range(AT_ONCE)]
        for i, (arrays, truth) in enumerate(zip(here, prepared(here), strict=True)):
            grads = network.backward(arrays, CONVENTIONS[(start // AT_ONCE + i) % 3])
            kinks += any(truth.kinks.count(n) for n in network.wrt)
            assert all(g.dtype == np.float32 for g in grads.values())
            alarms += bool(wrong(grads, truth, network.wrt))
            # not in a single number: a sum that cancels to 1e-3 of its terms has no digits for it
            wide = [n for n in network.wrt if arrays[n].size > 1]
            name = wide[i % len(wide)]
            off = {**grads, name: grads[name] * (1 + PLANTED)}
            if np.any(grads[name]):
                planted += 1
                found += name in wrong(off, truth, network.wrt)
    return alarms, planted, found, kinks


@pytest.mark.parametrize("network", kinked.NETWORKS, ids=lambda n: n.loss.__name__)
def test_ten_thousand_checks_in_float32_without_a_false_alarm_or_a_missed_error(network):
    points = 10_000 // len(kinked.NETWORKS)
    alarms, planted, found, _ = counts(network, points)
    assert alarms == 0
    assert planted > 0.9 * points
    assert found == planted


def test_many_of_the_points_lie_exactly_at_kinks():
    found = {n.loss.__name__: counts(n, AT_ONCE)[-1] for n in kinked.NETWORKS[:7]}
    assert min(found.values()) > 0.02 * AT_ONCE, found
    assert sum(found.values()) > 0.2 * AT_ONCE * len(found), found


@pytest.mark.parametrize("rounded", [np.float32, lambda x: float(np.float32(x)) * 0.3])
def test_a_loss_that_is_rounded_to_float32_raises_no_alarm_and_hides_no_factor(rounded):
    """NumPy's scalar types cannot be traced, so the gradients are worked out from values."""

    def forward(W, X, y):
        return rounded(np.mean((np.tanh(X @ W) - y) ** 2))

    def backward(W, X, y):
        H = np.tanh(X @ W)
        return [scale * X.T @ (2 * (H - y) / y.size * (1 - H * H))]

    draw = np.random.default_rng(0).normal
    arrays = {"W": draw(size=(4, 3)), "X": draw(size=(6, 4)), "y": draw(size=(6, 3))}
    scale = 1.0 if rounded is np.float32 else 0.3
    report = cr.check_backward(forward, backward, arrays, wrt=["W"])
    assert report.ok, str(report)
    assert "from values" in str(report)
    scale *= 1.1
    assert not cr.check_backward(forward, backward, arrays, wrt=["W"]).ok
