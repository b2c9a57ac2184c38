"""An engine with a planted mistake: it trains with half of the learning rate."""

from dataclasses import replace

from chainrule.bench.engines import Run, by_hand
from chainrule.bench.workloads import Problem


def prepare(problem: Problem, threads: int) -> Run:
    workload = replace(problem.workload, lr=problem.workload.lr / 2)
    return by_hand.prepare(replace(problem, workload=workload), threads)
