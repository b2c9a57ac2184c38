"""An engine with a planted mistake: it trains with half of the learning rate."""

from dataclasses import replace

from benchmarks.engines import Run, by_hand
from benchmarks.workloads import Problem


def prepare(problem: Problem, threads: int) -> Run:
    workload = replace(problem.workload, lr=problem.workload.lr / 2)
    return by_hand.prepare(replace(problem, workload=workload), threads)
