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

from chainrule.emit.llvm.barrier import CALL, DONE, REST, RUN, SIZE, SPINS, STOP
from chainrule.emit.llvm.module import write_module
from chainrule.plan.steps import StepPlan
from chainrule.run.cache import opened
from chainrule.run.identity import identity
from chainrule.run.jit import FULL, Code, object_code
from chainrule.run.team import PATIENCE_S, together
from chainrule.run.waiting import waiting

Array = NDArray[Any]
STEPS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Memory:
    """What one run works in besides the caller's arrays: the arena, and what threads share."""

    def __init__(self, arena_bytes: int, threads: int) -> None:
        self.shared = np.zeros(SIZE, np.int64)
        how = waiting(threads)
        self.shared[[REST, CALL, SPINS]] = how.rest, how.number, how.spins
        self.arena = np.zeros(arena_bytes + 64, np.uint8)

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
        effort: of the compiler.
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
        effort: int = FULL,
        code: bytes | None = None,
    ) -> None:
        self.plan, self._per_step, self._loss = plan, per_step, loss
        if code is None:
            code = self._object_code(effort)
        self.code_bytes = len(code)
        self._code = Code(code)
        self._steps = STEPS(self._code.address("steps"))
        self._current = Memory(plan.arena_bytes, plan.threads)
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
        wait: bool = True,
    ) -> int:
        """Run steps on arrays in place; the GIL is free meanwhile.

        Args:
            arrays: one for each buffer that the arena does not hold, contiguous, of the plan's
                shapes; those of `per_step` hold `steps` parts.
            watch: is called now and then with the number of finished steps, if that takes long.
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
        tables = [self._table(memory, arrays, part) for part in range(self.plan.threads)]
        calls = [partial(self._call, memory, arrays, t, i, steps) for i, t in enumerate(tables)]
        told = None if watch is None else lambda: watch(memory.done)
        # Python sees Ctrl-C only between native calls, so a call that takes long is made elsewhere;
        # starting a thread takes 0.1 ms, which would be long for one that does not
        short = self.pace_s is not None and steps * self.pace_s < PATIENCE_S
        if len(calls) == 1 and short:
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
            return Memory(self.plan.arena_bytes, self.plan.threads)

    def _call(
        self, memory: Memory, arrays: Mapping[str, Array], table: Any, part: int, steps: int
    ) -> None:
        """The work of one thread. `table` points to `arrays`, which live as long as the call."""
        self._steps(memory.shared.ctypes.data, ctypes.addressof(table), part, steps)

    def _table(self, memory: Memory, arrays: Mapping[str, Array], part: int) -> Any:
        base = -(-memory.arena.ctypes.data // 64) * 64
        table = (ctypes.c_void_p * (len(self.plan.buffers) + 1))()
        table[len(self.plan.buffers)] = base + self.plan.panel_offset(part)
        for slot, buffer in enumerate(self.plan.buffers.values()):
            at = buffer.offset
            table[slot] = arrays[buffer.name].ctypes.data if at is None else base + at
        return table
