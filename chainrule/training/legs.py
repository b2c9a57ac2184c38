"""Steps that can be walked again: the same bits each time, so any state on the way can be had."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.run.bind import Array
from chainrule.training.stretch import Numbers, Runner, Stretch


@dataclass(frozen=True)
class Now:
    """Where training stands after a whole step: how many there were, and all values."""

    steps: int
    values: Mapping[str, Array]

    @property
    def lost(self) -> list[str]:
        """Names of the values that are not finite."""
        return [name for name, value in self.values.items() if not np.isfinite(value).all()]


@dataclass(frozen=True)
class Leg:
    """Steps in a row, all over batches of one size.

    Attributes:
        start: where training stood before them.
        order: the rows that they see.
        numbers: of each step.
    """

    epoch: int
    runner: Runner
    start: Now
    order: NDArray[np.int64]
    numbers: Numbers
    size: int

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, step: int) -> NDArray[np.int64]:
        """The rows that a step sees; it is counted from 0."""
        return self.order[step * self.size : (step + 1) * self.size]

    def after(self, stretch: Stretch) -> Now:
        """Where training stands after a stretch from the start."""
        done = len(stretch.losses)
        return Now(self.start.steps + done, {**self.start.values, **stretch.values})

    def walked(self, now: Now, first: int, last: int) -> Now:
        """Where training stands after `last` of the steps, if it is `now` after `first`.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        if first == last:
            return now
        order = self.order[first * self.size : last * self.size]
        stretch = self.runner.run(now.values, order, self.numbers.between(first, last))
        if stretch.interrupted:
            raise KeyboardInterrupt
        return Now(now.steps + last - first, {**now.values, **stretch.values})

    def last_good(self, stretch: Stretch) -> tuple[int, Now] | None:
        """The step that lost a finite number, counted from 0, and where training stood before it.

        None if all is finite. A loss can stay finite when weights do not: a saturated unit hides an
        infinite one, until the end or for some steps.
        """
        done = len(stretch.losses)
        if done and not math.isfinite(stretch.losses[-1]):
            before = self.walked(self.start, 0, done - 1)
            return (done - 1, before) if not before.lost else self._bisected(done - 1)
        return self._bisected(done) if self.after(stretch).lost else None

    def _bisected(self, lost: int) -> tuple[int, Now]:
        """The same, if values are not finite after `lost` steps: what is lost stays lost."""
        good, now = 0, self.start
        while lost - good > 1:
            middle = (good + lost) // 2
            there = self.walked(now, good, middle)
            if there.lost:
                lost = middle
            else:
                good, now = middle, there
        return good, now


class Trail:
    """The legs that hold the last steps.

    Args:
        steps: how many must be there to walk again, besides those of the last leg.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.legs: list[Leg] = []

    def add(self, leg: Leg) -> None:
        """Go on with a leg; what lies too far back is forgotten."""
        self.legs.append(leg)
        while sum(len(later) for later in self.legs[1:]) >= self.steps:
            del self.legs[0]

    def until(self, leg: Leg, step: int) -> Iterator[tuple[Leg, int, Now]]:
        """The last steps up to this one of a leg that is not added yet, and what was before each.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        past = [(earlier, i) for earlier in self.legs for i in range(len(earlier))]
        wanted = [*past, *((leg, i) for i in range(step + 1))][-self.steps - 1 :]
        now, at = wanted[0][0].start, 0
        for where, i in wanted:
            if i == 0:
                now, at = where.start, 0
            now, at = where.walked(now, at, i), i
            yield where, i, now
