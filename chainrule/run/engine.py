"""Steps as machine code: compiled for their sizes, run many at a time in one call."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.emit.llvm.barrier import CALL, DONE, LEAST, MOST, REST, RUN, SIZE, STOP
from chainrule.plan.storage import LINE_BYTES, Storage, aligned
from chainrule.run.block import Block
from chainrule.run.built import Built
from chainrule.run.jit import Code
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

    def __init__(self, storage: Storage) -> None:
        self.shared = np.zeros(SIZE, np.int64)
        how = waiting(storage.threads)
        self.shared[[REST, CALL, LEAST, MOST]] = how.rest, how.number, how.least, how.most
        self.arena = np.zeros(storage.arena_bytes + LINE_BYTES, np.uint8)
        base = aligned(self.arena.ctypes.data)
        places = [b.offset for b in storage.buffers.values()]
        self.tables = np.empty((storage.threads, len(places) + 1), np.int64)
        self.tables[:, :-1] = [0 if at is None else base + at for at in places]
        self.tables[:, -1] = [base + storage.panel_offset(i) for i in range(storage.threads)]

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
    """Steps as machine code. Several threads of the caller may run it at the same time.

    Args:
        built: the code; see `chainrule.run.built`.

    Attributes:
        storage: what the code works in.
        code_bytes: the size of the object code.
        pace_s: what a step of the last run took; None before the first.
    """

    def __init__(self, built: Built) -> None:
        self.storage = built.storage
        self.code_bytes = len(built.code)
        self._code = Code(built.code)
        self._steps = STEPS(self._code.address("steps"))
        buffers = self.storage.buffers.values()
        self._given = [b.name for b in buffers if b.offset is None]
        self._slots = [i for i, b in enumerate(buffers) if b.offset is None]
        self._current = Memory(self.storage)
        self._idle = [self._current]
        self.pace_s: float | None = None

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
            arrays: one for each buffer that the arena does not hold, contiguous, of its
                shape; those of which each step has its own part hold `steps` parts.
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
        calls = [partial(self._call, lives, part, steps) for part in range(self.storage.threads)]
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
            return Memory(self.storage)

    def _call(self, lives: tuple[Memory, object, object], part: int, steps: int) -> None:
        """The work of one thread."""
        memory = lives[0]
        self._steps(memory.shared.ctypes.data, memory.tables[part].ctypes.data, part, steps)
