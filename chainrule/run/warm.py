"""Steps that begin at once: with code that is compiled soon, then with code that is fast.

Compiling a network with all effort, in the tiles that are fastest, takes 0.1 to 1 s; with little
effort, in small tiles, a tenth of that, and its steps take some times as long. Nobody knows how
many there will be, so it is done as one rents skis: the quick code is used for about as long as the
other takes to compile. Together that is about twice what the best choice would have taken at worst
(Karlin, Manasse, Rudolph & Sleator 1988, competitive snoopy caching); where a single step would
take the quick code long, it is not made at all. The bits are the same: the
order of additions does not depend on tiles.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping

import numpy as np

from chainrule.plan.steps import StepPlan
from chainrule.plan.storage import Storage
from chainrule.plan.tiles import work
from chainrule.run.block import Block
from chainrule.run.built import built, stored
from chainrule.run.engine import Array, Engine
from chainrule.run.jit import FULL, QUICK
from chainrule.run.recipe import Recipe

# How long compiling with all effort takes, for each byte of quick code: 0.3 s for 25 kB.
FULL_S_PER_BYTE = 12e-6

# A step of which the quick code would take this long is worth compiling for, for Ctrl-C waits for
# the step under way; and what arithmetic the quick code does in a second, on each thread.
LONG_STEP_S = 0.25
QUICK_PER_S = 4e9


def _quick_step_s(plan: StepPlan) -> float:
    keep = set(plan.buffer_of)
    total = sum(work(k, keep, plan.sizes) for k in plan.kernels)
    return total / (QUICK_PER_S * plan.threads)


class WarmEngine:
    """The same as the `Engine` of the code of a recipe, but ready sooner."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        fast, quick = stored(recipe, FULL), None
        if fast is None:
            quick = stored(recipe, QUICK)
            if quick is None and _quick_step_s(recipe.plan) > LONG_STEP_S:
                fast = built(recipe)
        self._fast = None if fast is None else Engine(fast)
        self._quick = self._fast or Engine(quick or built(recipe, QUICK))
        self._left_s = FULL_S_PER_BYTE * self._quick.code_bytes  # the quick code may run so long
        self._finishing = threading.Lock()
        self._asked = False
        # how many steps of a run are behind, and what runs now: set together, Ctrl-C may come
        self._now = (0, self._quick)

    @property
    def storage(self) -> Storage:
        """What the code works in that runs now. What the caller supplies is the same in both."""
        return (self._fast or self._quick).storage

    @property
    def pace_s(self) -> float | None:
        """What a step of the last run took; None before the first with the code that is used."""
        return (self._fast or self._quick).pace_s

    @property
    def done(self) -> int:
        """How many steps of the run that began last are finished."""
        behind, engine = self._now
        return behind + engine.done

    def stop(self) -> None:
        """Ask the run that began last to end after the step that it is in."""
        self._asked = True
        self._now[1].stop()

    def clear(self) -> None:
        """Forget the last run: nothing is done, and nobody has asked to stop."""
        self._asked = False
        engine = self._fast or self._quick
        engine.clear()
        self._now = (0, engine)

    def run(
        self,
        arrays: Mapping[str, Array],
        steps: int = 1,
        watch: Callable[[int], None] | None = None,
        *,
        block: Block | None = None,
        wait: bool = True,
    ) -> int:
        """See `Engine.run`; the code may change between two steps."""
        if self._fast is None and self._left_s <= 0:
            self.finish()
        if self._fast is not None:
            self._now = (0, self._fast)
            return self._fast.run(arrays, steps, watch, block=block, wait=wait)
        done = self._quickly(arrays, steps, watch, block, wait)
        if done == steps or self._asked or not self._finite(arrays, done):
            return done
        fast = self.finish()
        fast.clear()
        self._now = (done, fast)
        rest = {n: self._after(n, a, done) for n, a in arrays.items()}
        told = None if watch is None else lambda n: watch(done + n)
        return done + fast.run(rest, steps - done, told, block=block, wait=wait)

    def finish(self) -> Engine:
        """Compile with all effort now, if that is not done; what runs from now on."""
        with self._finishing:
            if self._fast is None:
                self._fast = Engine(built(self._recipe))
                self._quick = self._fast  # gives the arena of the quick code back
            return self._fast

    def _quickly(
        self,
        arrays: Mapping[str, Array],
        steps: int,
        watch: Callable[[int], None] | None,
        block: Block | None,
        wait: bool,
    ) -> int:
        """Run with the quick code until the time for it is up; how many steps were finished."""
        quick, began = self._quick, time.perf_counter()
        self._now = (0, quick)

        def told(done: int) -> None:
            if time.perf_counter() - began > self._left_s:
                quick.stop()
            if watch is not None:
                watch(done)

        done = quick.run(arrays, steps, told, block=block, wait=wait)
        self._left_s -= time.perf_counter() - began
        return done

    def _finite(self, arrays: Mapping[str, Array], done: int) -> bool:
        """Whether the loss after the last step was finite: if not, the steps end."""
        loss = self._recipe.loss
        last = self._after(loss, arrays[loss], done - 1)
        return bool(np.isfinite(last.flat[0]))

    def _after(self, name: str, array: Array, done: int) -> Array:
        """What an array holds for the steps after the first `done`."""
        if name not in self._recipe.per_step:
            return array
        each = math.prod(self.storage.buffers[name].shape)
        return array.reshape(-1)[done * each :]
