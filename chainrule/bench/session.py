"""A whole run, line by line: the machine, who is missing, every workload, what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.bench.contest import Contestant, Line, Say, contest
from chainrule.bench.engines import Engine
from chainrule.bench.machine import machine
from chainrule.bench.scaling import scaling
from chainrule.bench.summary import summary, workload_line
from chainrule.bench.workloads import Workload


def contest_lines(
    workloads: Sequence[Workload],
    engines: Sequence[Engine],
    threads: Sequence[int],
    rounds: int,
    say: Say,
) -> Iterator[Line]:
    """Every engine on every workload with each number of threads; each line as soon as it is known.

    The `kind` of a line is machine, missing, workload, result, left_out or, at the end, summary.
    """
    about = machine(threads, rounds)
    yield about
    for engine in engines:
        if not engine.installed:
            yield {"kind": "missing", "engine": engine.name, "install": engine.install}
    here = [engine for engine in engines if engine.installed]
    contestants = [Contestant(engine, count) for engine in here for count in threads]
    results = []
    for workload in workloads:
        yield workload_line(workload, max(about["peak_gflops"].values()))
        for line in contest(workload, contestants, rounds, say):
            results.append(line)
            yield line
    yield summary(results)


def scaling_lines(threads: Sequence[int], rounds: int, say: Say) -> Iterator[Line]:
    """chainrule alone over batches and widths, with the largest number of threads."""
    count = max(threads)
    about = machine([count], rounds)
    yield about
    yield from scaling(count, rounds, about["peak_gflops"], say)
