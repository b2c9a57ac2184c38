"""Learning-rate schedules: pure functions of (step, epoch, total steps), one record each.

A schedule gives a factor on the learning rate η₀ that the update rule was given: η = η₀ · factor.
Step t counts updates and epoch e passes over the data, both from 0; T is the number of updates of
the whole training. In the formulas u is e or t, as the option `per` says.

Only `plateau` looks at results. What it remembers is a value that the training loop holds: see
`start` and `update`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, NamedTuple

from chainrule.errors import ParameterError
from chainrule.training.spelling import Choice, Option, Record, count, fraction, positive


@dataclass(frozen=True)
class PlateauState:
    """What `plateau` remembers; plain numbers, so that a checkpoint can hold them.

    Attributes:
        factor: the factor now.
        best: the best metric so far, None before the first.
        waited: how many metrics in a row were no improvement.
    """

    factor: float = 1.0
    best: float | None = None
    waited: int = 0


class Moment(NamedTuple):
    """Where training is: step and epoch from 0, all steps, and the state of `plateau`."""

    step: int
    epoch: int
    total: int
    state: PlateauState | None = None


@dataclass(frozen=True)
class ScheduleRecord(Record):
    """One schedule: `function` gives the factor from the moment and the options."""

    function: Callable[[Moment, Mapping[str, Any]], float]


def _half_cosine(part: float) -> float:
    """From 1 at 0 to 0 at 1 along half a cosine."""
    return 0.5 * (1.0 + math.cos(math.pi * part))


def _counter(at: Moment, options: Mapping[str, Any]) -> int:
    return at.step if options["per"] == "step" else at.epoch


def _step(at: Moment, options: Mapping[str, Any]) -> float:
    return float(options["drop"] ** (_counter(at, options) // int(options["every"])))


def _exponential(at: Moment, options: Mapping[str, Any]) -> float:
    return float(options["decay"] ** _counter(at, options))


def _inverse_time(at: Moment, options: Mapping[str, Any]) -> float:
    return float(1.0 / (1.0 + options["decay"] * _counter(at, options)))


def _cosine(at: Moment, options: Mapping[str, Any]) -> float:
    floor = options["floor"]
    return float(floor + (1.0 - floor) * _half_cosine(min(at.step / at.total, 1.0)))


def _one_cycle(at: Moment, options: Mapping[str, Any]) -> float:
    start, end, peak = options["start"], options["end"], options["up"] * at.total
    if at.step < peak:
        return float(1.0 - (1.0 - start) * _half_cosine(at.step / peak))
    after = min((at.step - peak) / (at.total - peak), 1.0)
    return float(end + (1.0 - end) * _half_cosine(after))


def _warmup(at: Moment, options: Mapping[str, Any]) -> float:
    steps = int(options["steps"])
    if at.step < steps:
        scale, step = (at.step + 1) / steps, 0
    else:
        scale, step = 1.0, at.step - steps
    rest = at._replace(step=step, total=max(at.total - steps, 1))
    return scale * _factor(options["then"], rest)


def _plateau(at: Moment, options: Mapping[str, Any]) -> float:
    if at.state is None:
        raise ParameterError("schedule 'plateau' needs the state that start() and update() give")
    return at.state.factor


ANNEALING: Final = (
    'Stanford CS231n course notes, "Neural networks part 3", annealing the learning rate'
)
PER: Final = Option("epoch", "what is counted", words=("epoch", "step"))
DROP: Final = Option(0.1, "factor of each drop", "in (0, 1]", lambda value: 0 < value <= 1)

_RECORDS: Final = (
    ScheduleRecord("constant", r"\eta = \eta_0", "by definition", {}, lambda at, options: 1.0),
    ScheduleRecord(
        "step",
        r"\eta = \eta_0 \cdot \mathrm{drop}^{\lfloor u / \mathrm{every} \rfloor}",
        ANNEALING,
        {
            "drop": replace(DROP, default=0.5),
            "every": count(10, "epochs or steps between drops"),
            "per": PER,
        },
        _step,
    ),
    ScheduleRecord(
        "exponential",
        r"\eta = \eta_0 \cdot \mathrm{decay}^{u}",
        ANNEALING,
        {"decay": replace(DROP, default=0.95, means="factor of each epoch or step"), "per": PER},
        _exponential,
    ),
    ScheduleRecord(
        "inverse_time",
        r"\eta = \frac{\eta_0}{1 + \mathrm{decay} \cdot u}",
        ANNEALING + "; Robbins & Monro 1951",
        {"decay": positive(0.1, "how fast: the rate is halved at u = 1/decay"), "per": PER},
        _inverse_time,
    ),
    ScheduleRecord(
        "cosine",
        r"\eta = \eta_0 \left(\mathrm{floor} + (1 - \mathrm{floor}) "
        r"\frac{1}{2}\left(1 + \cos \frac{\pi t}{T}\right)\right)",
        'Loshchilov & Hutter 2017, "SGDR", eq. 5, without restarts',
        {"floor": fraction(0.0, "factor that the end approaches")},
        _cosine,
    ),
    ScheduleRecord(
        "warmup",
        r"\eta = \begin{cases}"
        r"\eta_0 \frac{t + 1}{\mathrm{steps}} \cdot \mathrm{then}(0) & t < \mathrm{steps} \\ "
        r"\eta_0 \cdot \mathrm{then}(t - \mathrm{steps}) & t \ge \mathrm{steps}\end{cases}",
        'Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2, gradual warmup',
        {"steps": count(100, "steps of linear rise"), "then": None},
        _warmup,
    ),
    ScheduleRecord(
        "one_cycle",
        r"\eta = \begin{cases}"
        r"\eta_0 \left(1 - (1 - \mathrm{start}) "
        r"\frac{1}{2}\left(1 + \cos \frac{\pi t}{p}\right)\right) & t < p \\ "
        r"\eta_0 \left(\mathrm{end} + (1 - \mathrm{end}) "
        r"\frac{1}{2}\left(1 + \cos \frac{\pi (t - p)}{T - p}\right)\right) & t \ge p"
        r"\end{cases},\quad p = \mathrm{up} \cdot T",
        'Smith & Topin 2018, "Super-convergence", with cosine instead of linear slopes; '
        "momentum is not cycled",
        {
            "up": Option(0.3, "part of training that rises", "in [0, 1)", lambda v: 0 <= v < 1),
            "start": fraction(0.04, "factor at step 0"),
            "end": fraction(4e-6, "factor that the end approaches"),
        },
        _one_cycle,
    ),
    ScheduleRecord(
        "plateau",
        r"\eta \leftarrow \mathrm{drop} \cdot \eta \;\text{ after }\; \mathrm{patience} "
        r"\;\text{ metrics in a row above }\; \mathrm{best} - \mathrm{delta}",
        'He, Zhang, Ren & Sun 2016, "Deep residual learning", section 3.4: '
        "divided by 10 when the error plateaus",
        {
            "drop": DROP,
            "patience": count(10, "epochs without improvement before a drop"),
            "delta": Option(1e-4, "least improvement", ">= 0", lambda value: value >= 0),
            "floor": fraction(0.0, "least factor"),
        },
        _plateau,
    ),
)
SCHEDULES: Final[Mapping[str, ScheduleRecord]] = {record.name: record for record in _RECORDS}


class Schedule(Choice):
    """A learning-rate schedule with its options: a name of `SCHEDULES`.

    >>> str(Schedule("warmup", steps=100, then="cosine"))
    'warmup:steps=100,then=cosine:floor=0.0'
    >>> Schedule.of("step:drop=0.5,every=10") == Schedule("step", drop=0.5, every=10)
    True
    """

    kind: ClassVar[str] = "schedule"
    table: ClassVar[Mapping[str, Record]] = SCHEDULES


def factor(
    schedule: str | Schedule,
    step: int,
    epoch: int,
    total_steps: int,
    state: PlateauState | None = None,
) -> float:
    """What the learning rate is multiplied by for the update number `step`.

    Args:
        schedule: a `Schedule` or its text form.
        step, epoch: counted from 0.
        total_steps: updates of the whole training, at least 1; a step past it has the factor of the
            end.
        state: for `plateau`, alone or after a warm-up: from `start` and `update`.

    Raises:
        ParameterError: an unknown schedule, a negative step or epoch, no steps at all, `plateau`
            without state.

    >>> [round(factor("cosine", t, 0, 4), 3) for t in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    if step < 0 or epoch < 0 or total_steps < 1:
        raise ParameterError(
            "step and epoch must be >= 0 and total_steps >= 1, "
            f"got step={step}, epoch={epoch}, total_steps={total_steps}"
        )
    return _factor(Schedule.of(schedule), Moment(step, epoch, total_steps, state))


def start(schedule: str | Schedule) -> PlateauState | None:
    """The state to begin with: None unless the schedule is, or ends in, `plateau`."""
    return PlateauState() if _last(Schedule.of(schedule)).name == "plateau" else None


def update(
    schedule: str | Schedule, state: PlateauState | None, metric: float
) -> PlateauState | None:
    """The state after an epoch whose metric (less is better, such as the validation loss) is known.

    A metric that is not a number is no improvement.

    >>> once = update("plateau:patience=1", PlateauState(), 0.5)
    >>> update("plateau:patience=1", once, 0.6)
    PlateauState(factor=0.1, best=0.5, waited=0)
    """
    if state is None:
        return None
    options = _last(Schedule.of(schedule)).options
    if not math.isnan(metric) and (state.best is None or metric < state.best - options["delta"]):
        return replace(state, best=float(metric), waited=0)
    if state.waited + 1 < options["patience"]:
        return replace(state, waited=state.waited + 1)
    lowered = max(state.factor * options["drop"], options["floor"])
    return replace(state, factor=float(lowered), waited=0)


def _factor(schedule: Schedule, at: Moment) -> float:
    return SCHEDULES[schedule.name].function(at, schedule.options)


def _last(schedule: Schedule) -> Schedule:
    """The schedule after a warm-up, or the schedule itself."""
    inner: Schedule = schedule.options.get("then", schedule)
    return inner
