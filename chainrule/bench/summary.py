"""What the lines of a run say together: best figures, ratios, their geometric mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.bench.engines import OURS
from chainrule.bench.workloads import REACH_GFLOPS, Workload

Line = dict[str, Any]


def workload_line(workload: Workload, peak_gflops: float) -> Line:
    """What a workload is, how long its products take at the peak of all threads, and the goal.

    The goal was set for a machine of another peak: `reach_here_us` is as far from this one's.
    """
    return {
        "kind": "workload",
        "workload": workload.name,
        "description": described(workload),
        "flop": workload.flop,
        "at_peak_us": workload.flop / peak_gflops / 1e3,
        "reach_us": workload.reach_us,
        "reach_here_us": workload.reach_us * REACH_GFLOPS / peak_gflops,
    }


def described(workload: Workload) -> str:
    """Layers, activation, loss, rule and batch in a line."""
    widths, parts = list(workload.widths), []
    while widths:
        count = next((i for i, width in enumerate(widths) if width != widths[0]), len(widths))
        parts.append(f"({widths[0]}×{count})" if count > 2 else "-".join([str(widths[0])] * count))
        del widths[:count]
    loss = workload.loss.replace("_", "-")
    rule = {"sgd": "SGD", "adam": "Adam"}[workload.rule]
    batch = f"all {workload.rows}" if workload.full else str(workload.batch)
    return f"{'-'.join(parts)} {workload.activation}, {loss}, {rule}, {batch}"


def best(lines: Iterable[Line]) -> dict[str, dict[str, Line]]:
    """For each workload and engine the number of threads with the lowest median; void ones not."""
    found: dict[str, dict[str, Line]] = {}
    for line in lines:
        if line["kind"] != "result" or line["void"]:
            continue
        engines = found.setdefault(line["workload"], {})
        kept = engines.get(line["engine"])
        if kept is None or line["us_per_step"] < kept["us_per_step"]:
            engines[line["engine"]] = line
    return found


def fastest_peer(engines: Mapping[str, Line]) -> Line | None:
    """The best of the others; None if there is none."""
    peers = [line for line in engines.values() if line["peer"]]
    return min(peers, key=lambda line: float(line["us_per_step"]), default=None)


def advantages(lines: Iterable[Line]) -> dict[str, float]:
    """How many times as long the best peer takes, for each workload where both have a figure."""
    found = {}
    for workload, engines in best(lines).items():
        peer = fastest_peer(engines)
        if peer is not None and OURS in engines:
            found[workload] = peer["us_per_step"] / engines[OURS]["us_per_step"]
    return found


def summary(lines: Iterable[Line]) -> Line:
    """The last line of a run.

    >>> common = {"kind": "result", "workload": "a", "void": False}
    >>> ours = {**common, "engine": "chainrule", "peer": False, "us_per_step": 2.0}
    >>> theirs = {**common, "engine": "numpy", "peer": True, "us_per_step": 6.0}
    >>> summary([ours, theirs])["geometric_mean"]
    3.0
    """
    ratios = advantages(lines)
    mean = None
    if ratios:
        mean = math.exp(math.fsum(math.log(ratio) for ratio in ratios.values()) / len(ratios))
        mean = round(mean, 6)
    return {"kind": "summary", "advantages": ratios, "geometric_mean": mean}


def peaks(lines: Iterable[Line]) -> dict[str, float]:
    """GFLOP/s by number of threads: the most that any of the runs in `lines` measured.

    On a machine that others use as well, a peak can be measured too low, never too high.
    """
    found: dict[str, float] = {}
    for line in lines:
        for count, value in line.get("peak_gflops", {}).items():
            found[count] = max(value, found.get(count, 0.0))
    return found


def number(value: float) -> str:
    """Three digits: 1.23, 12.3, 123, 1,230.

    >>> [number(x) for x in (0.5, 1.234, 12.34, 123.4, 12345.6)]
    ['0.50', '1.23', '12.3', '123', '12,300']
    """
    if value >= 1000:
        digits = 10 ** (len(str(int(value))) - 3)
        return f"{round(value / digits) * digits:,}"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
