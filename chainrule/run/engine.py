"""Steps as machine code: compiled for their sizes, run many at a time in one call."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.emit.llvm.barrier import CALL, DONE, LEAST, MOST, REST, RUN, SIZE, STOP
from chainrule.emit.llvm.module import write_module
from chainrule.plan.steps import StepPlan
from chainrule.run.block import Block
from chainrule.run.cache import opened
from chainrule.run.identity import identity
from chainrule.run.jit import FULL, Code, object_code
from chainrule.run.team import PATIENCE_S, together
from chainrule.run.waiting import waiting

Array = NDArray[Any]
STEPS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Memory:
    """What one run works in besides the caller's arrays.

    Attributes:
        shared: what threads share.
        arena: what kernels hand to each other.
        tables: for each thread the address of every buffer, and last that of its room for panels.
    """

    def __init__(self, plan: StepPlan) -> None:
        self.shared = np.zeros(SIZE, np.int64)
        how = waiting(plan.threads)
        self.shared[[REST, CALL, LEAST, MOST]] = how.rest, how.number, how.least, how.most
        self.arena = np.zeros(plan.arena_bytes + 64, np.uint8)
        base = -(-self.arena.ctypes.data // 64) * 64
        places = [b.offset for b in plan.buffers.values()]
        self.tables = np.empty((plan.threads, len(places) + 1), np.int64)
        self.tables[:, :-1] = [0 if at is None else base + at for at in places]
        self.tables[:, -1] = [base + plan.panel_offset(part) for part in range(plan.threads)]

    @property
    def done(self) -> int:
        """How many steps are finished."""
        return int(self.shared[DONE])

    def stop(self) -> None:
        """Ask the run to end after the step that it is in."""
        self.shared[STOP] = 1

    def clear(self) -> None:
        """Forget the last run: nothing is done, and nobody has asked to stop."""
        self.shared[:RUN] = 0


class Engine:
    """A plan as machine code. Several threads of the caller may run it at the same time.

    Args:
        plan: what to run.
        per_step: names of buffers of which every step has its own part, one after the other.
        loss: name of the buffer whose first number ends the run when it is not finite.
        effort: of the compiler; None: FULL.
        code: the object code, if it is there already.

    Attributes:
        code_bytes: the size of the object code.
        pace_s: what a step of the last run took; None before the first.
    """

    def __init__(
        self,
        plan: StepPlan,
        per_step: Sequence[str],
        loss: str,
        effort: int | None = None,
        code: bytes | None = None,
    ) -> None:
        self.plan, self._per_step, self._loss = plan, per_step, loss
        if code is None:
            code = self._object_code(FULL if effort is None else effort)
        self.code_bytes = len(code)
        self._code = Code(code)
        self._steps = STEPS(self._code.address("steps"))
        self._given = [b.name for b in plan.buffers.values() if b.offset is None]
        self._slots = [i for i, b in enumerate(plan.buffers.values()) if b.offset is None]
        self._current = Memory(plan)
        self._idle = [self._current]
        self.pace_s: float | None = None

    @classmethod
    def stored(cls, plan: StepPlan, per_step: Sequence[str], loss: str) -> Engine | None:
        """The engine, compiled with all effort, if its code is in the cache."""
        cache = opened().cache
        key = None if cache is None else identity(plan, per_step, loss, FULL)
        code = None if cache is None or key is None else cache.get(key)
        return None if code is None else cls(plan, per_step, loss, FULL, code)

    @functools.cached_property
    def text(self) -> str:
        """The LLVM IR."""
        return write_module(self.plan, self._per_step, self._loss)

    def _object_code(self, effort: int) -> bytes:
        """From the cache, where it is there already."""
        cache = opened().cache
        key = None
        if cache is not None:
            key = identity(self.plan, self._per_step, self._loss, effort)
        if cache is None or key is None:
            return object_code(self.text, effort)
        code = cache.get(key)
        if code is None:
            code = object_code(self.text, effort)
            cache.put(key, code)
        return code

    @property
    def done(self) -> int:
        """How many steps of the run that began last are finished."""
        return self._current.done

    def stop(self) -> None:
        """Ask the run that began last to end after the step that it is in."""
        self._current.stop()

    def clear(self) -> None:
        """Forget the last run: nothing is done, and nobody has asked to stop."""
        self._current.clear()

    def run(
        self,
        arrays: Mapping[str, Array],
        steps: int = 1,
        watch: Callable[[int], None] | None = None,
        *,
        block: Block | None = None,
        wait: bool = True,
    ) -> int:
        """Run steps on arrays in place; the GIL is free meanwhile.

        Args:
            arrays: one for each buffer that the arena does not hold, contiguous, of the plan's
                shapes; those of `per_step` hold `steps` parts.
            watch: is called now and then with the number of finished steps, if that takes long.
            block: has more of them.
            wait: whether Ctrl-C waits for the step under way. If not, that step goes on in the
                background and what it writes must not be used.

        Returns:
            How many steps were finished: less than `steps` if the loss was not finite after the
            last of them, or if `stop` was called.

        Raises:
            KeyboardInterrupt: Ctrl-C, within `PATIENCE_S` and what is left of one step.
        """
        memory = self._taken()
        self._current = memory
        memory.clear()
        began = time.perf_counter()
        addresses = {name: array.ctypes.data for name, array in arrays.items()}
        addresses |= {} if block is None else block.addresses
        memory.tables[:, self._slots] = [addresses[name] for name in self._given]
        lives = (memory, arrays, block)  # as long as the calls
        calls = [partial(self._call, lives, part, steps) for part in range(self.plan.threads)]
        told = None if watch is None else lambda: watch(memory.done)
        # Python sees Ctrl-C only between native calls, so one that takes long is made elsewhere
        short = self.pace_s is not None and steps * self.pace_s < PATIENCE_S
        if short and len(calls) == 1:
            calls[0]()
        else:
            together(calls, memory.stop, told, wait=wait)
        self.pace_s = (time.perf_counter() - began) / max(memory.done, 1)
        self._idle.append(memory)
        return memory.done

    def _taken(self) -> Memory:
        """Memory that no other run works in."""
        try:
            return self._idle.pop()
        except IndexError:
            return Memory(self.plan)

    def _call(self, lives: tuple[Memory, object, object], part: int, steps: int) -> None:
        """The work of one thread."""
        memory = lives[0]
        self._steps(memory.shared.ctypes.data, memory.tables[part].ctypes.data, part, steps)
