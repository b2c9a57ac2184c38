"""What is said when training leaves the finite numbers: where, why, and what to try."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import DivergenceError
from chainrule.nn import KEY
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference
from chainrule.training.legs import Leg, Now, Trail
from chainrule.training.replay import Culprit, culprit
from chainrule.training.rules import RULES
from chainrule.training.step import Step
from chainrule.training.stretch import Stretch

if TYPE_CHECKING:
    from chainrule.training.loop import Plan

NORMS = 3  # steps of which the norm of the gradient is told
LESS = 10  # by how much the learning rate goes down if it is no higher than usual


@dataclass(frozen=True)
class Report:
    """The facts of a divergence, in words that suit whoever asked for the training.

    Attributes:
        facts: where it happened and what happened first.
        by_data: whether the value that was lost depends on no parameter.
        lr, safe: the learning rate, and one to try.
        clip_norm: the limit in force, None if there is none.
        kept: how many steps the weights that are kept have taken.
    """

    facts: str
    by_data: bool
    lr: float
    safe: float
    clip_norm: float | None
    kept: int

    def error(
        self, kept: str = "error.run", lr: str = "lr", clip_norm: str = "clip_norm"
    ) -> DivergenceError:
        """The error.

        Args:
            kept: where the weights are.
            lr, clip_norm: what these options are called there; "" for one that is not offered.
        """
        rate = f"Lower {lr} (now {self.lr:g}; a safe first try is {self.safe:g})"
        if self.by_data:
            advice = "Mend or leave out such rows: this value depends on no parameter"
        elif not clip_norm:
            advice = rate
        elif self.clip_norm is None:
            advice = f"{rate} or set {clip_norm}"
        else:
            advice = f"{rate} or {clip_norm} (now {self.clip_norm:g})"
        weights = f"weights of step {self.kept}" if self.kept else "initial weights"
        found = DivergenceError(self.facts, hint=f"{advice}. The {weights} are kept in {kept}")
        found.report = self
        return found


def reworded(error: DivergenceError, **words: str) -> DivergenceError:
    """The same error in other words: see `Report.error`."""
    if not isinstance(error.report, Report):
        return error
    found = error.report.error(**words)
    found.run = error.run
    return found


def diverged(
    plan: Plan, step: Step, trail: Trail, leg: Leg, stretch: Stretch
) -> tuple[Report, Now] | None:
    """Why a stretch of steps lost a finite number, and the last values that were finite.

    The step where it happened is found by walking the stretch again, and replayed with the
    reference executor. None if everything is finite.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    at = leg.last_good(stretch)
    if at is None:
        return None
    number, good = at
    count, lr = leg.numbers.first + number, float(leg.numbers.eta[number])
    of_step = {step.t: float(count), step.eta: lr}
    found = culprit(plan.task, step, {**_inputs(plan, leg, number, good), **of_step})
    facts = [
        f"{_what(leg, stretch, number, good)} at step {count} "
        f"(epoch {leg.epoch}, {plan.origin.rows(plan.numbers[leg.rows(number)])})",
        _first(plan, leg, number, found),
        _growth(_norms(plan, trail.until(leg, number))),
    ]
    by_data = found is not None and found.rows is not None and not found.learned
    clip_norm = plan.settings.limits.clip_norm
    text = ". ".join(fact for fact in facts if fact)
    return Report(text, by_data, lr, _safe(plan, lr), clip_norm, good.steps), good


def _safe(plan: Plan, lr: float) -> float:
    """A learning rate to try: what the rule usually has, or less if that is no less."""
    option = RULES[plan.settings.optimizer.name].options["lr"]
    usual = option.default if option is not None else lr
    return usual if isinstance(usual, float) and usual < lr else lr / LESS


def _what(leg: Leg, stretch: Stretch, number: int, good: Now) -> str:
    """What is lost."""
    if number < len(stretch.losses) and not math.isfinite(stretch.losses[number]):
        return f"loss became {float(stretch.losses[number])}"
    after = leg.walked(good, number, number + 1)
    value = after.values[after.lost[0]]
    return f"{after.lost[0]} became {float(value[~np.isfinite(value)].flat[0])}"


def _first(plan: Plan, leg: Leg, number: int, found: Culprit | None) -> str:
    """The operation that failed first, and the row where it did if not all rows did."""
    if found is None:
        return "With NumPy all values of this step are finite: they are close to overflow"
    said = f"First non-finite value: {found}"
    batch = leg.rows(number)
    if found.rows is None or not len(found.rows) or (len(found.rows) == len(batch) > 1):
        return said
    row = int(plan.numbers[batch[found.rows[0]]])
    where = plan.origin.row(row)
    if found.cell is not None:
        data, index, value = found.cell
        where += f": {plan.origin.cell(data, row, index, value)}"
    if len(found.rows) == 1:
        return f"{said}, in {where}"
    return f"{said}, in {len(found.rows)} of {len(batch)} rows, first {where}"


def _growth(norms: Sequence[float]) -> str:
    """How the gradient grew; a last one that is not finite says nothing new."""
    known = list(norms[:-1] if norms and not math.isfinite(norms[-1]) else norms)[-NORMS:]
    if not known:
        return ""
    shown = " → ".join(f"{norm:.2g}" for norm in known)
    return (
        f"Gradient norm in the last {len(known)} steps: {shown}"
        if len(known) > 1
        else (f"Gradient norm: {shown}")
    )


def _inputs(plan: Plan, leg: Leg, number: int, now: Now) -> dict[str, Any]:
    """Inputs of the network, and the state of the rule, in a step."""
    given: dict[str, Any] = {**now.values, **plan.rows.take(leg.rows(number)).inputs(plan.task)}
    key = leg.numbers.key_of(number)
    return given if key is None else {**given, KEY: key}


def _norms(plan: Plan, steps: Iterable[tuple[Leg, int, Now]]) -> list[float]:
    """The norm of the gradient of the loss in each step, without penalties and limits."""
    definition = plan.task.definition
    run = Reference(derived(definition, definition.params).program)
    found = []
    for leg, number, now in steps:
        gradients = run.run(_inputs(plan, leg, number, now))[1].values()
        largest = max(float(np.abs(g).max(initial=0.0)) for g in gradients)
        scale = largest if math.isfinite(largest) and largest else 1.0  # squares could overflow
        squares = (np.square(g.astype(np.float64) / scale).sum() for g in gradients)
        found.append(scale * math.sqrt(math.fsum(squares)) if math.isfinite(largest) else largest)
    return found
