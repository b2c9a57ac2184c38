"""Steps as machine code: compiled for their sizes, run many at a time in one call."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.emit.llvm.barrier import CALL, DONE, REST, RUN, SIZE, SPINS, STOP
from chainrule.emit.llvm.module import write_module
from chainrule.plan.steps import StepPlan
from chainrule.run.jit import Code
from chainrule.run.waiting import spread_out, waiting

Array = NDArray[Any]
POLL_S = 0.05  # how often the watching thread looks at the clock, and at Ctrl-C
STEPS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Engine:
    """A plan as machine code.

    Args:
        plan: what to run.
        per_step: names of buffers of which every step has its own part, one after the other.
        loss: name of the buffer whose first number ends the run when it is not finite.

    Attributes:
        text: the LLVM IR.
    """

    def __init__(self, plan: StepPlan, per_step: Sequence[str], loss: str) -> None:
        self.plan = plan
        self.text = write_module(plan, per_step, loss)
        self._code = Code(self.text)
        self._steps = STEPS(self._code.address("steps"))
        self._shared = np.zeros(SIZE, np.int64)
        how = waiting(plan.threads)
        self._shared[[REST, CALL, SPINS]] = how.rest, how.number, how.spins
        self._arena = np.zeros(plan.arena_bytes + 64, np.uint8)

    @property
    def done(self) -> int:
        """How many steps of the run under way, or of the last one, are finished."""
        return int(self._shared[DONE])

    def stop(self) -> None:
        """Ask a run under way to end after the step that it is in."""
        self._shared[STOP] = 1

    def run(
        self,
        arrays: Mapping[str, Array],
        steps: int = 1,
        watch: Callable[[int], None] | None = None,
    ) -> int:
        """Run steps on arrays in place; the GIL is free meanwhile.

        Args:
            arrays: one for each buffer that the arena does not hold, contiguous, of the plan's
                shapes; those of `per_step` hold `steps` parts.
            watch: is called now and then with the number of finished steps.

        Returns:
            How many steps were finished: less than `steps` if the loss was not finite after the
            last of them, or if `stop` was called.

        Raises:
            KeyboardInterrupt: Ctrl-C, after the step that was under way.
        """
        self.clear()
        tables = [self._table(arrays, part) for part in range(self.plan.threads)]
        if watch is None and self.plan.threads == 1:
            self._call(tables[0], 0, steps)
            return self.done
        go, cancelled = threading.Event(), threading.Event()
        ends = [threading.Event() for _ in tables]

        def work(part: int) -> None:
            spread_out(part, len(tables))
            go.wait()
            if not cancelled.is_set():
                self._call(tables[part], part, steps)
            ends[part].set()

        team = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(tables))]
        try:
            for thread in team:
                thread.start()
            go.set()
            self._watch(ends[0], watch)
        except BaseException:
            if not go.is_set():  # some have not started: the others would wait for them forever
                cancelled.set()
                go.set()
            self.stop()
            raise
        finally:
            if not cancelled.is_set():
                _wait_for(ends)
        return self.done

    def clear(self) -> None:
        """Forget the last run: nothing is done, and nobody has asked to stop."""
        self._shared[:RUN] = 0

    def _watch(self, end: threading.Event, watch: Callable[[int], None] | None) -> None:
        while not end.wait(POLL_S):
            if watch is not None:
                watch(self.done)

    def _call(self, table: Any, part: int, steps: int) -> None:
        self._steps(self._shared.ctypes.data, ctypes.addressof(table), part, steps)

    def _table(self, arrays: Mapping[str, Array], part: int) -> Any:
        base = -(-self._arena.ctypes.data // 64) * 64
        table = (ctypes.c_void_p * (len(self.plan.buffers) + 1))()
        table[len(self.plan.buffers)] = base + self.plan.panel_offset(part)
        for slot, buffer in enumerate(self.plan.buffers.values()):
            at = buffer.offset
            table[slot] = arrays[buffer.name].ctypes.data if at is None else base + at
        return table


def _wait_for(ends: Sequence[threading.Event]) -> None:
    """Wait for all threads: what they work on is given back afterwards, so Ctrl-C must wait too.

    Not by `Thread.join`: interrupted once, it takes a running thread for finished (CPython 3.11).
    """
    interrupt: KeyboardInterrupt | None = None
    for end in ends:
        while not end.is_set():
            try:
                end.wait()
            except KeyboardInterrupt as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt
