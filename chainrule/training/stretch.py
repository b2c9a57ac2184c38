"""Steps in a row, and what they give: with the reference executor, or as machine code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.nn import KEY
from chainrule.run.bind import Array
from chainrule.run.reference import Reference
from chainrule.training.step import Step

LOSS = "loss"


@dataclass(frozen=True)
class Numbers:
    """What changes from step to step besides the rows, for some steps in a row.

    Attributes:
        first: number of the first of them, from 1.
        eta: the learning rate of each.
        key: the key of each for random numbers; None where none are drawn.
    """

    first: int
    eta: NDArray[np.float64]
    key: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.eta)

    def between(self, start: int, stop: int) -> Numbers:
        """Those of steps `start` to `stop`, counted from 0."""
        key = None if self.key is None else self.key[start:stop]
        return Numbers(self.first + start, self.eta[start:stop], key)

    def key_of(self, i: int) -> int | None:
        """The key of step i, counted from 0."""
        return None if self.key is None else int(self.key[i])


@dataclass(frozen=True)
class Stretch:
    """What some steps in a row gave.

    Attributes:
        losses: one for each finished step.
        outputs: other results of every step, by name; the steps are the first axis.
        values: parameters and state after the last finished step.
        interrupted: whether Ctrl-C cut it short, after a whole step.
    """

    losses: Array
    outputs: Mapping[str, Array]
    values: Mapping[str, Array]
    interrupted: bool = False


Watch = Callable[[int, float], None]
"""Is called now and then with the number of finished steps and the last loss."""


class Runner(Protocol):
    """Runs steps over batches of one size."""

    def run(
        self,
        values: Mapping[str, Array],
        order: NDArray[np.int64],
        numbers: Numbers,
        watch: Watch | None = None,
    ) -> Stretch:
        """Steps over `order`, a whole number of batches; stops after a loss that is not finite.

        Args:
            values: parameters, state and fixed inputs; they are not changed.
            numbers: of each step.
        """
        ...


class ReferenceRunner:
    """Steps with the reference executor: the text that is shown, once for each batch.

    Args:
        step: what one step computes.
        data: inputs that hold one entry for each row, by name: an array with the rows first, and
            which axis of the input they are.
        batch: rows in one step.
    """

    def __init__(self, step: Step, data: Mapping[str, tuple[Array, int]], batch: int) -> None:
        self.step, self.data, self.batch = step, data, batch
        self.reference = Reference(step.program)
        self.state = [key for key, _ in step.program.outputs if key in self._inputs]
        self.extra = [k for k, _ in step.program.outputs[1:] if k not in self._inputs]

    @property
    def _inputs(self) -> set[str]:
        return {x.name for x in self.step.program.inputs}

    def run(
        self,
        values: Mapping[str, Array],
        order: NDArray[np.int64],
        numbers: Numbers,
        watch: Watch | None = None,
    ) -> Stretch:
        """See `Runner`."""
        now = dict(values)
        losses: list[float] = []
        found: dict[str, list[Array]] = {name: [] for name in self.extra}
        interrupted = False
        try:
            for i in range(len(numbers)):
                rows = order[i * self.batch : (i + 1) * self.batch]
                loss, outputs = self.reference.run(self._given(now, rows, numbers, i))
                now |= {name: outputs[name] for name in self.state}
                losses.append(float(loss))
                for name, made in found.items():
                    made.append(outputs[name])
                if watch is not None:
                    watch(len(losses), losses[-1])
                if not math.isfinite(losses[-1]):
                    break
        except KeyboardInterrupt:
            interrupted = True
        done = len(losses)
        extra = {name: np.array(made[:done]) for name, made in found.items()}
        return Stretch(np.array(losses), extra, {n: now[n] for n in self.state}, interrupted)

    def _given(
        self, now: Mapping[str, Array], rows: NDArray[np.int64], numbers: Numbers, i: int
    ) -> dict[str, Any]:
        given: dict[str, Any] = dict(now)
        for name, (array, axis) in self.data.items():
            batch = array if len(rows) == len(array) else array[rows]
            given[name] = np.moveaxis(batch, 0, axis)
        given |= {self.step.t: float(numbers.first + i), self.step.eta: float(numbers.eta[i])}
        if (key := numbers.key_of(i)) is not None:
            given[KEY] = key
        return given
