"""chainrule's reference executor: the NumPy that it prints, run as it stands."""

from __future__ import annotations

from chainrule.bench.engines import Run
from chainrule.bench.engines.ours import prepared
from chainrule.bench.workloads import Problem


def prepare(problem: Problem, threads: int) -> Run:
    """The same steps, not compiled."""
    return prepared(problem, threads, "reference")
