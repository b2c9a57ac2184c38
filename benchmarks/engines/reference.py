"""chainrule's reference executor: the NumPy that it prints, run as it stands."""

from __future__ import annotations

from benchmarks.engines import Run
from benchmarks.engines.ours import prepared
from benchmarks.workloads import Problem


def prepare(problem: Problem, threads: int) -> Run:
    """The same steps, not compiled."""
    return prepared(problem, threads, "reference")
