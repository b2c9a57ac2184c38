"""How this system lets a thread sleep until another one wakes it: for `emit.llvm.barrier`."""

from __future__ import annotations

import ctypes
import operator
import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass

from chainrule.errors import ParameterError

# How often a thread looks before it sleeps: some 10 µs, about as long as sleeping and waking takes
# at best, so at worst twice the best choice (Karlin, Manasse, McGeoch & Owicki 1990, competitive
# spinning); and 100 µs, what waking a virtual processor takes.
LEAST_SPINS, MOST_SPINS = 20_000, 200_000
MOST_THREADS = 1024
FUTEX = {"x86_64": 202, "aarch64": 98}  # numbers of the system call: asm/unistd.h


@dataclass(frozen=True)
class Waiting:
    """What a barrier is given.

    Attributes:
        rest, number: the function that sleeps and wakes, and its first argument.
        least, most: how often a thread looks before it sleeps; see `emit.llvm.barrier`.
    """

    rest: int
    number: int
    least: int
    most: int


def waiting(threads: int) -> Waiting:
    """For a team of so many threads: with more of them than processors nobody looks twice."""
    spins = (LEAST_SPINS, MOST_SPINS) if threads <= processors() else (0, 0)
    number = FUTEX.get(platform.machine(), 0) if sys.platform == "linux" else 0
    if number:
        return Waiting(_address(ctypes.CDLL(None).syscall), number, *spins)
    if sys.platform == "win32":
        return Waiting(_address(ctypes.WinDLL("kernel32").SwitchToThread), 0, *spins)
    return Waiting(_address(ctypes.CDLL(None).sched_yield), 0, *spins)


def spread_out(part: int, threads: int) -> None:
    """Move the calling thread to a processor of its own where the team needs all of them.

    Systems put a thread next to the one that made or woke it and move it away some milliseconds
    later, which may be longer than the work takes. It may be moved again at any time: this is no
    pinning, for then it would have to share that processor with whatever else begins there.
    """
    if threads == 1 or not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):  # not allowed here, or the processors have just changed: no harm
        allowed = os.sched_getaffinity(0)
        if threads == len(allowed):
            os.sched_setaffinity(0, {sorted(allowed)[part]})
            os.sched_setaffinity(0, allowed)


def thread_count(threads: object) -> int | None:
    """`threads` as an int, or None; NumPy integers are welcome, bool and floats are not.

    Raises:
        ParameterError: it is neither None nor a number of threads.

    >>> thread_count(2)
    2
    >>> thread_count(0)
    Traceback (most recent call last):
    chainrule.errors.ParameterError: threads must be a whole number from 1 to 1024, got 0
    """
    if threads is None:
        return None
    try:
        count = 0 if isinstance(threads, bool) else operator.index(threads)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if not 1 <= count <= MOST_THREADS:
        what = f"threads must be a whole number from 1 to {MOST_THREADS}, got {threads!r}"
        raise ParameterError(what)
    return count


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]
