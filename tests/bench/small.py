"""The workloads in small, so that tests take seconds, and an engine that is wrong."""

from dataclasses import replace

from chainrule.bench.engines import Engine
from chainrule.bench.workloads import WORKLOADS, Problem, Workload, problem_of

WRONG = Engine("wrong", "tests.bench.wrong_rate")


def scaled_down(workload: Workload) -> Workload:
    """The same network but narrower and, if it is deep, with a few layers, on fewer rows."""
    first, *hidden, last = workload.widths
    widths = (min(first, 24), *(min(width, 12) for width in hidden[:4]), last)
    batch = 96 if workload.full else min(workload.batch, 16)
    rows = 6 * batch if not workload.full else batch
    return replace(workload, widths=widths, batch=batch, rows=rows, steps=2 * rows // batch)


def small_problem(name: str) -> Problem:
    """The workload of this name in small, with rows that fit it."""
    workload = scaled_down(WORKLOADS[name])
    if workload.data != "digits":
        return problem_of(workload)
    table = replace(workload, data="table")  # the digits have 64 columns
    return replace(problem_of(table), workload=workload)
