"""Schedules: values worked by hand, edges, and the text form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from chainrule.errors import ParameterError
from chainrule.training.init import Initialiser
from chainrule.training.schedules import SCHEDULES, PlateauState, Schedule, factor, start, update

HALF_ROOT = math.sqrt(0.5)

# schedule, step, epoch, total steps, factor worked by hand
BY_HAND = [
    ("constant", 0, 0, 1, 1.0),
    ("constant", 999, 9, 1000, 1.0),
    ("step:drop=0.5,every=10", 0, 0, 100, 1.0),
    ("step:drop=0.5,every=10", 99, 9, 100, 1.0),
    ("step:drop=0.5,every=10", 99, 10, 100, 0.5),
    ("step:drop=0.5,every=10", 99, 35, 100, 0.125),
    ("step:drop=0.1,every=3,per=step", 7, 0, 100, 0.01),
    ("exponential:decay=0.5", 1000, 3, 2000, 0.125),
    ("exponential:decay=0.5", 0, 0, 1, 1.0),
    ("exponential:decay=0.9,per=step", 2, 0, 100, 0.81),
    ("inverse_time:decay=0.25", 50, 4, 100, 0.5),
    ("inverse_time:decay=1,per=step", 3, 0, 100, 0.25),
    ("cosine", 0, 0, 8, 1.0),
    ("cosine", 2, 0, 8, 0.5 + 0.5 * HALF_ROOT),
    ("cosine", 4, 0, 8, 0.5),
    ("cosine", 6, 0, 8, 0.5 - 0.5 * HALF_ROOT),
    ("cosine", 8, 0, 8, 0.0),
    ("cosine", 80, 0, 8, 0.0),
    ("cosine:floor=0.2", 4, 0, 8, 0.6),
    ("cosine", 0, 0, 1, 1.0),
    ("warmup:steps=4,then=constant", 0, 0, 100, 0.25),
    ("warmup:steps=4,then=constant", 3, 0, 100, 1.0),
    ("warmup:steps=4,then=constant", 4, 0, 100, 1.0),
    ("warmup:steps=4,then=cosine", 3, 0, 12, 1.0),
    ("warmup:steps=4,then=cosine", 4, 0, 12, 1.0),
    ("warmup:steps=4,then=cosine", 8, 0, 12, 0.5),
    ("warmup:steps=4,then=step:drop=0.5,every=2", 50, 4, 100, 0.25),
    ("warmup:steps=10,then=cosine", 4, 0, 5, 0.5),
    ("warmup:steps=10,then=cosine", 0, 0, 1, 0.1),
    ("one_cycle:up=0.5,start=0.2,end=0", 0, 0, 8, 0.2),
    ("one_cycle:up=0.5,start=0.2,end=0", 2, 0, 8, 0.6),
    ("one_cycle:up=0.5,start=0.2,end=0", 4, 0, 8, 1.0),
    ("one_cycle:up=0.5,start=0.2,end=0.1", 6, 0, 8, 0.55),
    ("one_cycle:up=0.5,start=0.2,end=0.1", 8, 0, 8, 0.1),
    ("one_cycle:up=0", 0, 0, 8, 1.0),
    ("one_cycle", 0, 0, 1, 0.04),
]


@pytest.mark.parametrize(("schedule", "step", "epoch", "total", "expected"), BY_HAND)
def test_the_factor_is_the_one_worked_by_hand(schedule, step, epoch, total, expected):
    assert factor(schedule, step, epoch, total) == pytest.approx(expected, abs=1e-15)


def test_every_schedule_is_worked_by_hand_and_says_its_formula_and_source():
    assert {case[0].partition(":")[0] for case in BY_HAND} == set(SCHEDULES) - {"plateau"}
    for record in SCHEDULES.values():
        assert record.formula.startswith(r"\eta ")
        assert record.formula.count("{") == record.formula.count("}")
        assert record.source


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n != "plateau"])
@pytest.mark.parametrize("total", [1, 2, 3, 10, 1000])
def test_factors_stay_within_zero_and_one_and_depend_on_the_arguments_alone(name, total):
    schedule = Schedule(name, **({"then": "cosine", "steps": 3} if name == "warmup" else {}))
    factors = [factor(schedule, t, t // 4, total) for t in range(total)]
    assert all(0 < value <= 1 for value in factors), "no step is wasted"
    assert factors[::-1] == [factor(schedule, t, t // 4, total) for t in reversed(range(total))]


@pytest.mark.parametrize("name", ["step", "exponential", "inverse_time", "cosine"])
def test_annealing_never_rises(name):
    factors = [factor(name, t, t // 5, 200) for t in range(200)]
    assert factors == sorted(factors, reverse=True)


def test_one_cycle_rises_to_one_and_falls_to_the_end():
    factors = [factor("one_cycle", t, 0, 1000) for t in range(1001)]
    peak = factors.index(1.0)
    assert peak == 300
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == 4e-6


def test_warm_up_joins_the_next_schedule_without_a_jump():
    factors = [factor("warmup:steps=50,then=cosine", t, 0, 500) for t in range(500)]
    assert max(abs(b - a) for a, b in itertools.pairwise(factors)) <= 1 / 50 + 1e-12


def test_plateau_drops_after_patience_metrics_without_improvement():
    schedule = Schedule("plateau", drop=0.5, patience=2, delta=0.1)
    state = start(schedule)
    seen = []
    for metric in [1.0, 0.8, 0.75, 0.9, 0.9, 0.6, math.nan, math.inf, 0.65, 0.5001]:
        state = update(schedule, state, metric)
        seen.append((factor(schedule, 0, 0, 1, state), state.best, state.waited))
    assert seen == [
        (1.0, 1.0, 0),
        (1.0, 0.8, 0),
        (1.0, 0.8, 1),  # 0.05 better is less than delta
        (0.5, 0.8, 0),
        (0.5, 0.8, 1),
        (0.5, 0.6, 0),
        (0.5, 0.6, 1),
        (0.25, 0.6, 0),
        (0.25, 0.6, 1),
        (0.125, 0.6, 0),
    ]


def test_plateau_stops_at_its_floor():
    state = PlateauState()
    for _ in range(50):
        state = update("plateau:patience=1,floor=0.03", state, 1.0)
    assert state.factor == 0.03


def test_plateau_state_is_a_value():
    state = PlateauState(best=1.0)
    assert update("plateau", state, 2.0) == update("plateau", state, 2.0)
    assert state == PlateauState(best=1.0)


def test_plateau_works_after_a_warm_up():
    schedule = "warmup:steps=10,then=plateau:patience=1,drop=0.5"
    state = update(schedule, update(schedule, start(schedule), 1.0), 1.0)
    assert factor(schedule, 4, 0, 100, state) == 0.25
    assert factor(schedule, 20, 0, 100, state) == 0.5


def test_only_plateau_has_a_state():
    assert start("cosine") is None
    assert update("cosine", None, 1.0) is None
    with pytest.raises(ParameterError, match="needs the state that start"):
        factor("plateau", 0, 0, 1)


@pytest.mark.parametrize("spelling", [case[0] for case in BY_HAND] + ["plateau"])
def test_the_text_form_is_read_back(spelling):
    schedule = Schedule.of(spelling)
    assert Schedule.of(str(schedule)) == schedule
    assert hash(Schedule.of(str(schedule))) == hash(schedule)


def test_choices_are_values():
    assert Schedule("one_cycle", end=0) == Schedule("one_cycle", end=np.float32(0))
    assert Schedule("cosine", floor=0.5) != Schedule("cosine")
    assert Schedule("constant") != Initialiser("constant", c=1)
    assert repr(Schedule("step", every=np.int64(3))) == (
        "Schedule('step', drop=0.5, every=3, per='epoch')"
    )
    assert len({Schedule("cosine"), Schedule("cosine", floor=0.0), Schedule("constant")}) == 2


def test_spaces_are_allowed():
    assert Schedule.of(" step : drop = 0.5 , every = 3 ") == Schedule("step", drop=0.5, every=3)


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("cosin", "'cosin' is not a known schedule; known: constant, step, "),
        ("cosin", "Did you mean 'cosine'?"),
        ("", "'' is not a known schedule"),
        ("step:evry=3", "schedule 'step' has no option 'evry'; its options: drop, every, per."),
        ("step:evry=3", "Did you mean 'every'?"),
        ("step:drop", "schedule 'step:drop': expected KEY=VALUE, got 'drop'. Write for example "),
        ("step:drop", "Write for example 'step:drop=0.5,every=10,per=epoch'"),
        ("step:", "expected KEY=VALUE, got ''"),
        ("step:drop=0.5,", "expected KEY=VALUE, got ''"),
        ("step:drop,every=3", "expected KEY=VALUE, got 'drop'"),
        ("constant:", "Write for example 'constant'"),
        ("step:drop=0.5,drop=0.1", "option 'drop' is given twice"),
        ("step:drop=big", "schedule 'step': drop must be in (0, 1] and finite, got 'big'"),
        ("step:drop=0,every=0", "drop must be in (0, 1] and finite, got 0; every must be a whole "),
        ("step:every=2.5", "every must be a whole number >= 1 and finite, got 2.5"),
        ("exponential:decay=nan", "decay must be in (0, 1] and finite, got nan"),
        ("step:per=week", "per must be one of epoch, step, got 'week'"),
        ("warmup:steps=5", "schedule 'warmup': then must be given"),
        ("warmup:steps=5,then=cosin", "Did you mean 'cosine'?"),
        ("warmup:then=warmup:then=cosine", "then cannot hold 'warmup': only one level is possible"),
        ("warmup:" + "then=warmup:" * 100_000, "only one level is possible"),
        (3, "a schedule is a Schedule or its name, got 3"),
        (None, "a schedule is a Schedule or its name, got None"),
    ],
)  # fmt: skip
def test_wrong_spellings_are_refused_with_what_is_possible(spelling, message):
    with pytest.raises(ParameterError) as caught:
        Schedule.of(spelling)
    assert message in str(caught.value)


@pytest.mark.parametrize(("step", "epoch", "total"), [(-1, 0, 1), (0, -1, 1), (0, 0, 0)])
def test_moments_outside_training_are_refused(step, epoch, total):
    with pytest.raises(
        ParameterError, match=f"got step={step}, epoch={epoch}, total_steps={total}"
    ):
        factor("cosine", step, epoch, total)
