"""Long native calls, each in a thread of its own, while this one listens for Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from chainrule.run.waiting import spread_out

POLL_S = 0.05  # how often the watching thread looks at the clock, and at Ctrl-C
PATIENCE_S = 0.1  # how long Ctrl-C may go unheard: what takes less is called where it is


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
    go, cancelled = threading.Event(), threading.Event()
    ends = [threading.Event() for _ in calls]
    failed: list[Exception] = []

    def work(part: int) -> None:
        spread_out(part, len(calls))
        go.wait()
        try:
            if not cancelled.is_set():
                calls[part]()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            failed.append(error)
        ends[part].set()

    team = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(calls))]
    try:
        for thread in team:
            thread.start()
        go.set()
        for end in ends:
            while not end.wait(POLL_S):
                if watch is not None:
                    watch()
    except BaseException:
        if not go.is_set():  # some have not started: the others would wait for them forever
            cancelled.set()
            go.set()
        stop()
        if wait and not cancelled.is_set():
            _wait_for(ends)
        raise
    if failed:
        raise failed[0]


def _wait_for(ends: Sequence[threading.Event]) -> None:
    """Wait for all threads: what they work on is given back afterwards, so Ctrl-C must wait too.

    Not by `Thread.join`: interrupted once, it takes a running thread for finished (CPython 3.11).
    """
    for end in ends:
        while not end.is_set():
            try:
                end.wait()
            except KeyboardInterrupt:  # asked for again: the first one is on its way already
                continue
