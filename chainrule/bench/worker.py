"""One engine in a process of its own: a line of JSON in, a line of JSON out.

    {"module": …, "workload": {…}, "data": PATH, "threads": 2, "float64": false}   first
        → {"ready": true} | {"left_out": "why it cannot"}
    {"check": calls}
        → {"losses": [mean of each call], "seconds": [of each call], "prepare_s": …}
    {"calls": n}    a slice of the timing: as many calls to warm up, then those that count
        → {"seconds": …, "steps": …}
    {"end": true}
        → {"peak_rss_mb": …}

Whatever an engine or its compiler prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from chainrule.bench.engines import NotExpressible, Run
from chainrule.bench.workloads import Problem, Workload, load

Message = dict[str, Any]


class Trial:
    """An engine under way: how many steps it has taken, and what it needs to go on."""

    def __init__(self, order: Message) -> None:
        fields = order["workload"]
        self.workload = Workload(**{**fields, "widths": tuple(fields["widths"])})
        problem = load(self.workload, Path(order["data"]))
        self.problem: Problem = problem.astype("float64") if order["float64"] else problem
        engine = importlib.import_module(order["module"])
        began = time.perf_counter()
        self.run: Run = engine.prepare(self.problem, order["threads"])
        self.prepare_s = time.perf_counter() - began
        self.done = 0

    def call(self) -> tuple[float, float]:
        """One call: seconds, and the mean of its losses (not a number if one was none)."""
        steps = self.workload.steps
        self.problem.order.rows(self.done, steps)  # drawn before the clock starts
        began = time.perf_counter()
        losses = self.run(self.done, steps)
        seconds = time.perf_counter() - began
        self.done += steps
        return seconds, math.fsum(losses) / len(losses)

    def check(self, calls: int) -> Message:
        """The first calls, with their losses."""
        seconds, losses = zip(*(self.call() for _ in range(calls)), strict=True)
        return {"losses": losses, "seconds": seconds, "prepare_s": self.prepare_s}

    def slice(self, calls: int) -> Message:
        """Some calls, timed together.

        As many come before them: after a pause processors wake slowly, and caches are cold. A
        training that takes longer than some milliseconds does not see that.
        """
        for _ in range(calls):
            self.call()
        seconds = math.fsum(self.call()[0] for _ in range(calls))
        return {"seconds": seconds, "steps": calls * self.workload.steps}


def peak_rss_mb() -> float:
    """The most memory that this process has held, in MB.

    VmHWM where there is one: on Linux `ru_maxrss` of a process begins with that of its parent.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        found = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(found.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def answer(requests: TextIO, replies: TextIO) -> None:
    """Serve until there is nothing left to read."""

    def reply(message: Message) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        trial = Trial(json.loads(requests.readline()))
    except NotExpressible as reason:
        return reply({"left_out": str(reason)})
    reply({"ready": True})
    for line in requests:
        request = json.loads(line)
        if "check" in request:
            reply(trial.check(request["check"]))
        elif "calls" in request:
            reply(trial.slice(request["calls"]))
        else:
            return reply({"peak_rss_mb": peak_rss_mb()})
    return None


def main() -> None:
    """Keep the pipe for replies; send all else that is printed to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)
        answer(sys.stdin, replies)


if __name__ == "__main__":
    main()
