"""Native calls that run at the same time, each in a thread of its own."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from chainrule.run.waiting import spread_out

POLL_S = 0.05  # how often the watching thread looks at the clock, and at Ctrl-C
PATIENCE_S = 0.1  # how long Ctrl-C may go unheard: what takes less is called where it is


class Work:
    """A call that one thread makes, whoever is asked first: part `part` of a team's work."""

    def __init__(self, call: Callable[[], None], part: int, threads: int) -> None:
        self.call, self.place = call, (part, threads)
        self.error: Exception | None = None
        self.ended = threading.Event()
        self._free = threading.Lock()

    def do(self) -> None:
        """Make the call, unless somebody has begun to."""
        if not self._free.acquire(blocking=False):
            return
        try:
            spread_out(*self.place)
            self.call()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        finally:
            self.ended.set()


class Helper:
    """A thread that does what it is given, for as long as the process lives.

    Starting a thread takes 0.1 ms and more, waking one up a tenth of that.
    """

    def __init__(self) -> None:
        self._given: SimpleQueue[Work] = SimpleQueue()
        threading.Thread(target=self._serve, name="chainrule", daemon=True).start()

    def give(self, work: Work) -> None:
        """Something to do when it has done what it was given before."""
        self._given.put(work)

    def _serve(self) -> None:
        while True:
            self._given.get().do()


_resting: deque[Helper] = deque()
"""Helpers that nobody uses."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_resting.clear)  # threads stay behind


def together(
    calls: Sequence[Callable[[], None]],
    stop: Callable[[], None],
    watch: Callable[[], None] | None = None,
    *,
    wait: bool = True,
) -> None:
    """Make all calls at the same time and wait for them.

    Args:
        stop: asks the calls to end soon.
        watch: is called now and then meanwhile.
        wait: whether an error in this thread, Ctrl-C for one, waits until the calls have ended. If
            not, they go on in the background.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Exception: whatever `watch` raises, or the first of the calls that failed.
    """
    team = [Work(call, part, len(calls)) for part, call in enumerate(calls)]
    # this thread makes none of them: Ctrl-C might come before the call, and the others wait for it
    helpers = [_taken() for _ in team]
    try:
        _begin(team, helpers)
        for work in team:
            while not work.ended.wait(POLL_S):
                if watch is not None:
                    watch()
    except BaseException:
        stop()
        _begin(team, helpers)  # the others would wait forever for one that has not begun
        if wait:
            _wait_for(team)
        raise
    finally:
        free = (h for h, work in zip(helpers, team, strict=True) if work.ended.is_set())
        _resting.extend(free)
    for work in team:
        if work.error is not None:
            raise work.error


def _taken() -> Helper:
    try:
        return _resting.pop()
    except IndexError:
        return Helper()


def _begin(team: Sequence[Work], helpers: Sequence[Helper]) -> None:
    """Give each helper its work. Asked twice it is done once."""
    for work, helper in zip(team, helpers, strict=True):
        helper.give(work)


def _wait_for(team: Sequence[Work]) -> None:
    """Wait for all threads: what they work on is given back afterwards, so Ctrl-C must wait too."""
    for work in team:
        while not work.ended.is_set():
            try:
                work.ended.wait()
            except KeyboardInterrupt:  # asked for again: the first one is on its way already
                continue
