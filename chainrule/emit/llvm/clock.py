"""Reading the clock between the kernels of a step, where the plan has one."""

from __future__ import annotations

from chainrule.plan.clock import TICKS
from chainrule.plan.steps import StepPlan


class Clock:
    """Writes the readings of one step in their order; nothing for a plan without a clock."""

    def __init__(self, plan: StepPlan) -> None:
        self.counter = plan.clock
        self.readings = 0
        if self.counter:
            self.slot = list(plan.buffers).index(TICKS)
            self.pitch = plan.buffers[TICKS].pitch

    @property
    def declares(self) -> set[str]:
        """What the module must declare for it."""
        return {f"declare i64 @{self.counter}()"} if self.counter else set()

    def begin(self) -> list[str]:
        """The lines that start the clock."""
        if not self.counter:
            return []
        return [
            f"  %ticks.at = getelementptr ptr, ptr %table, i64 {self.slot}",
            "  %ticks = load ptr, ptr %ticks.at, align 8",
            f"  %own = mul i64 %part, {self.pitch}",
            f"  %tick0 = call i64 @{self.counter}()",
        ]

    def lap(self, number: int) -> list[str]:
        """The lines that add what has gone by since the last reading to a lap."""
        if not self.counter:
            return []
        self.readings += 1
        i = self.readings
        return [
            f"  %tick{i} = call i64 @{self.counter}()",
            f"  %took{i} = sub i64 %tick{i}, %tick{i - 1}",
            f"  %place{i} = add i64 %own, {number}",
            f"  %lap{i} = getelementptr i64, ptr %ticks, i64 %place{i}",
            f"  %before{i} = load i64, ptr %lap{i}, align 8",
            f"  %sum{i} = add i64 %before{i}, %took{i}",
            f"  store i64 %sum{i}, ptr %lap{i}, align 8",
        ]
