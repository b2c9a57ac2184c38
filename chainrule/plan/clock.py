"""A plan whose code says where its time goes: threads read a clock around every kernel."""

from __future__ import annotations

from dataclasses import replace

from chainrule.plan.steps import StepPlan
from chainrule.plan.storage import Buffer

TICKS = "ticks of laps"  # a buffer that the caller supplies and sets to 0
LINE = 8  # whole numbers in a cache line: threads do not write into each other's


def clocked(plan: StepPlan, counter: str) -> StepPlan:
    """The same plan with a clock: the same bits in every other buffer.

    Laps are added up in the buffer TICKS, (thread, lap): before kernel i comes lap 2i, waiting for
    other threads, its own is lap 2i + 1, and the last is the wait at the end of the step.

    Args:
        counter: what LLVM calls the clock of the processor.
    """
    laps = 2 * len(plan.kernels) + 1
    pitch = -(-laps // LINE) * LINE
    shape, room = (plan.threads, laps), 8 * plan.threads * pitch
    ticks = Buffer(TICKS, ("thread", "lap"), shape, "i", room, None, pitch)
    return replace(plan, clock=counter, buffers={**plan.buffers, TICKS: ticks})
