"""Where the values of a step lie: what must be known to run its code, whatever it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.expr import Axes

LINE_BYTES = 64


def aligned(size: int) -> int:
    """`size` in whole cache lines."""
    return -(-size // LINE_BYTES) * LINE_BYTES


@dataclass(frozen=True)
class Buffer:
    """One array of a step.

    Attributes:
        axes, shape: in storage order, the last one without gaps.
        kind: "f" for real numbers, "i" for whole ones.
        bytes: how much room it takes.
        offset: its place in the arena; None if the caller supplies it.
        pitch: entries from one row to the next: more than a row has where rows are padded to whole
            vectors. What stands in the padding is written but never read.
    """

    name: str
    axes: Axes
    shape: tuple[int, ...]
    kind: str
    bytes: int
    offset: int | None
    pitch: int

    @property
    def padded(self) -> bool:
        """Whether whole vectors may be read and written everywhere."""
        return bool(self.shape) and self.pitch > self.shape[-1]

    @property
    def room(self) -> tuple[int, ...]:
        """The shape with its padding."""
        return (*self.shape[:-1], self.pitch) if self.shape else ()

    @property
    def strides(self) -> tuple[int, ...]:
        """Entries from one position to the next, along each axis."""
        steps, step = [], 1
        for size in reversed(self.room):
            steps.append(step)
            step *= size
        return tuple(reversed(steps))


@dataclass(frozen=True)
class Storage:
    """All that a step works in.

    Attributes:
        buffers: by name, in the order in which the code is given their addresses.
        arena_bytes, panel_bytes, threads, itemsize: see `chainrule.plan.steps.StepPlan`.
    """

    buffers: Mapping[str, Buffer]
    arena_bytes: int
    panel_bytes: int
    threads: int
    itemsize: int

    def panel_offset(self, part: int) -> int:
        """Where the arena has room for the copies of one thread."""
        return self.arena_bytes - (self.threads - part) * self.panel_bytes
