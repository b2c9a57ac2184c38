"""Engines side by side on one workload: interleaved, and void where they do not agree."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule.bench.engines import ENGINES, Engine
from chainrule.bench.machine import cores
from chainrule.bench.workloads import Workload, problem_of

CHECKED_CALLS = 3
# Relative, on the mean loss of each checked call: float32 against float64. See `verdict`.
TOLERANCE = 3e-3
SLICE_S = 0.02
PAUSE_S = 0.05  # threads that spin while they wait for work sleep by then: OpenBLAS's take 30 ms

Say = Callable[[str], None]
Line = dict[str, Any]


class Failure(Exception):
    """A worker that has gone, or could not begin; says why."""


@dataclass(frozen=True)
class Contestant:
    """An engine with a number of threads."""

    engine: Engine
    threads: int

    def __str__(self) -> str:
        return f"{self.engine.name}/{self.threads}"


class Worker:
    """A process of `chainrule.bench.worker`."""

    def __init__(self, contestant: Contestant, errors: Path) -> None:
        self.contestant, self.errors = contestant, errors
        with errors.open("wb") as log:
            self.process = subprocess.Popen(
                # -P: a file of the user's that is called torch.py is not PyTorch
                [sys.executable, "-P", "-m", "chainrule.bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=contestant.engine.environment(contestant.threads),
                text=True,
                encoding="utf-8",
            )

    def ask(self, request: Line) -> Line:
        """Send a line, wait for its reply.

        Raises:
            Failure: the process ended instead; with the last line that it wrote.
        """
        requests, replies = self.process.stdin, self.process.stdout
        assert requests is not None
        assert replies is not None
        try:
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            line = replies.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()  # what it has to say is written by then
            said = self.errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise Failure(said[-1] if said else f"ended with code {code}")
        reply: Line = json.loads(line)
        if "left_out" in reply:
            raise Failure(f"not expressible: {reply['left_out']}")
        return reply

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.communicate()


@dataclass
class Runner:
    """A contestant that has passed its first calls."""

    contestant: Contestant
    worker: Worker
    checked: Line
    calls: int
    us: list[float]


def expected(workload: Workload, data: Path, folder: Path) -> list[float]:
    """Mean losses of the first calls by NumPy in float64: what everybody is compared with."""
    by_hand = Contestant(ENGINES["numpy"], cores())
    with _started(by_hand, workload, data, folder, True) as worker:
        losses: list[float] = worker.ask({"check": CHECKED_CALLS})["losses"]
    return losses


def verdict(losses: Sequence[float], reference: Sequence[float]) -> str:
    """Why a figure is void; "" if it is not.

    The mean losses of the first calls (each an epoch or more, 75 to 19,200 steps in all) must be
    within TOLERANCE of those in float64, relatively. Rounding to float32 moves them by 4e-4 in the
    deepest network and 2e-5 in the others; that scikit-learn adds Adam's ε before it corrects the
    bias moves the deepest by 2e-3. A learning rate that is wrong by 5 % moves one of them by 8e-3
    at least.
    """
    for call, (ours, theirs) in enumerate(zip(losses, reference, strict=True), 1):
        if not math.isfinite(ours) or abs(ours - theirs) > TOLERANCE * abs(theirs):
            return f"mean loss of call {call} is {ours:.6g}, in float64 it is {theirs:.6g}"
    return ""


def contest(
    workload: Workload,
    contestants: Sequence[Contestant],
    rounds: int,
    say: Say,
    compare: bool = True,
) -> list[Line]:
    """One line for each contestant: what it took, or why it was left out.

    All processes live side by side; in each round each takes a slice of at least SLICE_S, after as
    long to warm up, one after the other, so that a busy moment of the machine meets all of them
    alike. `compare` is whether losses are held against those in float64, which takes a while for
    large networks.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        data = folder / "problem.npz"
        problem_of(workload).save(data)
        say(f"{workload.name}: losses in float64")
        reference = expected(workload, data, folder) if compare else None
        runners, lines = [], []
        for contestant in contestants:
            say(f"{workload.name}: {contestant} prepares")
            started = _started(contestant, workload, data, folder)
            try:
                worker = stack.enter_context(started)
                checked = worker.ask({"check": CHECKED_CALLS})
            except Failure as reason:
                lines.append(_left_out(workload, contestant, str(reason)))
                continue
            calls = math.ceil(SLICE_S / min(checked["seconds"][1:]))
            runners.append(Runner(contestant, worker, checked, calls, []))
        for number in range(1, rounds + 1):
            say(f"{workload.name}: round {number} of {rounds}")
            for runner in tuple(runners):
                time.sleep(PAUSE_S)
                try:
                    took = runner.worker.ask({"calls": runner.calls})
                except Failure as reason:
                    lines.append(_left_out(workload, runner.contestant, str(reason)))
                    runners.remove(runner)
                    continue
                runner.us.append(1e6 * took["seconds"] / took["steps"])
        return [_result(workload, runner, reference) for runner in runners] + lines


@contextmanager
def _started(
    contestant: Contestant, workload: Workload, data: Path, folder: Path, float64: bool = False
) -> Iterator[Worker]:
    worker = Worker(contestant, folder / f"{contestant.engine.name}-{contestant.threads}.log")
    try:
        order = {"module": contestant.engine.module, "threads": contestant.threads}
        task = {"workload": asdict(workload), "data": str(data), "float64": float64}
        worker.ask(order | task)
        yield worker
    finally:
        worker.close()


def _left_out(workload: Workload, contestant: Contestant, reason: str) -> Line:
    who = {"engine": contestant.engine.name, "threads": contestant.threads}
    return {"kind": "left_out", "workload": workload.name, **who, "reason": reason}


def _result(workload: Workload, runner: Runner, reference: Sequence[float] | None) -> Line:
    """The figures of one contestant.

    first_call_s is what preparing and the first call take beyond a later call: building, tracing
    and compiling, without importing the package.
    """
    checked, contestant = runner.checked, runner.contestant
    first, *later = checked["seconds"]
    us = statistics.median(runner.us)
    several = runner.us if len(runner.us) > 1 else 2 * runner.us
    low, _, high = statistics.quantiles(several, n=4, method="inclusive")
    last = checked["losses"][-1]
    reason = verdict(checked["losses"], reference) if reference is not None else ""
    return {
        "kind": "result",
        "workload": workload.name,
        "engine": contestant.engine.name,
        "threads": contestant.threads,
        "us_per_step": us,
        "us_quartiles": [low, high],
        "first_call_s": max(0.0, checked["prepare_s"] + first - statistics.median(later)),
        "peak_rss_mb": runner.worker.ask({"end": True})["peak_rss_mb"],
        "final_loss": last if math.isfinite(last) else None,  # JSON has no other numbers
        "void": bool(reason),
        "reason": reason,
        "peer": contestant.engine.peer,
    }
