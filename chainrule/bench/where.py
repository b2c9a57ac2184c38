"""Where the time of a training step goes: every kernel by the clock of each thread."""

from __future__ import annotations

import ctypes
import math
import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.bench.contest import Line, Say
from chainrule.bench.engines.ours import runner_of, stretch_of
from chainrule.bench.machine import machine
from chainrule.bench.peak import compiled
from chainrule.bench.summary import workload_line
from chainrule.bench.workloads import Workload, problem_of
from chainrule.errors import ParameterError
from chainrule.plan.clock import TICKS, clocked
from chainrule.plan.kernels import Kernel
from chainrule.plan.steps import StepPlan
from chainrule.run.built import built_plan
from chainrule.run.engine import Engine
from chainrule.training.compiled import Compiled
from chainrule.training.stretch import LOSS

# Arm keeps programs from its counter of cycles; the other one runs at a fixed rate as well.
STEADY = platform.machine().lower() in ("aarch64", "arm64")
COUNTER = "llvm.readsteadycounter" if STEADY else "llvm.readcyclecounter"
CALIBRATION_S = 0.05


def where_lines(workload: Workload, threads: int, rounds: int, say: Say) -> Iterator[Line]:
    """The machine, the workload, the step as a whole, and a line for each kernel.

    In every round the step runs for a call as it is, and for another with a clock that is read
    around each kernel; all figures are medians over the rounds.

    Raises:
        ParameterError: there is no machine code here.
    """
    about = machine([threads], rounds)
    yield about
    yield workload_line(workload, about["peak_gflops"][str(threads)])
    say(f"{workload.name}: compiles")
    problem = problem_of(workload)
    runner, values = runner_of(problem, threads, "compiled")
    if not isinstance(runner, Compiled):
        raise ParameterError("there is no machine code to time", hint="pip install llvmlite")
    stretch = stretch_of(problem, 0, workload.steps)
    plan = clocked(runner.plan, COUNTER)
    engine = Engine(built_plan(plan, runner.recipe.per_step, LOSS))
    arrays, block = runner.arrays(values, *stretch)
    ticks = arrays[TICKS] = np.zeros(plan.buffers[TICKS].room, np.int64)
    per_us, wholes, parts = ticks_per_us(), [], []
    for number in range(rounds + 1):
        say(f"{workload.name}: round {number} of {rounds}")
        began = time.perf_counter()
        runner.run(values, *stretch)
        wholes.append(1e6 * (time.perf_counter() - began) / workload.steps)
        ticks[...] = 0
        engine.run(arrays, workload.steps, block=block)
        parts.append(ticks / per_us / workload.steps)
    laps = np.median(parts[1:], axis=0)  # the first round warms up
    yield from _lines(workload, plan, statistics.median(wholes[1:]), laps)


def ticks_per_us() -> float:
    """How fast the clock of the kernels runs."""
    text = f"""
declare i64 @{COUNTER}()
define i64 @now() {{
  %now = call i64 @{COUNTER}()
  ret i64 %now
}}
"""
    now, _alive = compiled(text, "now", ctypes.c_int64)
    first, began = now(), time.perf_counter()
    time.sleep(CALIBRATION_S)
    last, ended = now(), time.perf_counter()
    return float(last - first) / (1e6 * (ended - began))


def _lines(
    workload: Workload, plan: StepPlan, us_per_step: float, laps: NDArray[np.floating[Any]]
) -> Iterator[Line]:
    """Args: laps: microseconds a step, (thread, lap)."""
    waits, works = laps[:, : 2 * len(plan.kernels) : 2], laps[:, 1 : 2 * len(plan.kernels) : 2]
    last = laps[:, 2 * len(plan.kernels)]
    yield {
        "kind": "where",
        "workload": workload.name,
        "threads": plan.threads,
        "us_per_step": us_per_step,
        "kernels_us": float(works.sum(axis=1).mean()),
        "waits_us": float((waits.sum(axis=1) + last).mean()),
        "clocked_us": float(laps.sum(axis=1).max()),
    }
    for number, k in enumerate(plan.kernels):
        us, flop = works[:, number], flop_of(k, plan.sizes)
        slowest = float(us.max())
        yield {
            "kind": "kernel",
            "workload": workload.name,
            "threads": plan.threads,
            "number": number,
            "kernel": f"{' '.join(plan.buffer_of[x] for x in k.stores)} {str(k).split(':')[0]}",
            "wait_us": waits[:, number].tolist(),
            "us": us.tolist(),
            "share": float(us.mean() / works.sum(axis=1).mean()),
            "gflops": flop / slowest / 1e3 if flop and slowest else None,
        }


def flop_of(k: Kernel, sizes: Mapping[str, int]) -> float:
    """Multiplications and additions of the product of a kernel; 0 if it has none."""
    if k.root is None or k.root.op != "contract":
        return 0.0
    return 2.0 * math.prod(sizes[axis] for axis in (*k.root.axes, *k.root["over"]))
