"""The claim: cost grows linearly with the batch and with the square of the width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from chainrule.bench.contest import Contestant, Line, Say, contest
from chainrule.bench.engines import ENGINES, OURS
from chainrule.bench.workloads import WORKLOADS, Workload

WIDE = "wide_b256"
WIDTH, BATCH = 1024, 256
WIDTHS = (256, 512, 1024, 2048)
BATCHES = (32, 64, 128, 256, 512, 1024)
STEPS = 4


def grid() -> Iterator[Workload]:
    """The wide network, with as many inputs as units, with other batches and other widths."""
    shapes = {*((WIDTH, batch) for batch in BATCHES), *((width, BATCH) for width in WIDTHS)}
    for width, batch in sorted(shapes):
        yield replace(
            WORKLOADS[WIDE],
            name=f"wide_{width}_b{batch}",
            widths=(width, width, width, 10),
            batch=batch,
            rows=STEPS * batch,
            steps=STEPS,
        )


def scaling(threads: int, rounds: int, peaks: Mapping[str, float], say: Say) -> Iterator[Line]:
    """One line for each shape: microseconds, GFLOP/s and the part of the peak that this is."""
    for workload in grid():
        contestants = [Contestant(ENGINES[OURS], threads)]
        for line in contest(workload, contestants, rounds, say, compare=False):
            if line["kind"] != "result":
                yield line
                continue
            gflops = workload.flop / line["us_per_step"] / 1e3
            yield {
                "kind": "scaling",
                "width": workload.widths[1],
                "batch": workload.batch,
                "threads": threads,
                "us_per_step": line["us_per_step"],
                "gflops": gflops,
                "of_peak": gflops / peaks[str(threads)],
            }
