"""The claim: a training step costs less here than elsewhere.

    python -m benchmarks.training_step [--rounds N] [--lines FILE] [--judge]

Over the seven workloads of `chainrule bench`, each engine with its better number of threads: the
best peer takes at least 2.5 times as long as chainrule (geometric mean), at least 1.3 times as long
on each, and the widest network runs at 75 % or more of the multiply-adds that the processor does at
all, measured in the same run.

Runs `chainrule bench` with every engine that is installed, its --scaling, and --where for each
workload, then benchmarks/prediction.py and benchmarks/first_step.py, and keeps their lines of JSON
in docs/performance.jsonl, of which `python -m benchmarks.report` makes a page. Says what is missed
and by how much, and ends with exit code 1 then. With --judge nothing is measured: the lines that
are there are judged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from benchmarks.command import parser
from benchmarks.first_step import first_step_lines
from benchmarks.prediction import prediction_lines
from chainrule.bench.engines import OURS
from chainrule.bench.machine import cores
from chainrule.bench.summary import Line, advantages, best, peaks, summary
from chainrule.bench.workloads import WORKLOADS
from chainrule.cli import main as chainrule

LINES = Path(__file__).parents[1] / "docs" / "performance.jsonl"
ROUNDS = 15
MEAN, EACH = 2.5, 1.3  # of the best peer's time over ours
WIDE, OF_PEAK = "wide_b256", 0.75


def read(path: Path) -> list[Line]:
    """The objects of a file, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def missed(lines: Sequence[Line]) -> list[str]:
    """What the lines do not show, each with by how much; empty if the claim is met."""
    ratios, mean = advantages(lines), summary(lines)["geometric_mean"]
    found = [_short(f"{name}: best peer over {OURS}", ratios.get(name), EACH) for name in WORKLOADS]
    found.append(_short("geometric mean of best peer over chainrule", mean, MEAN))
    found.append(_short(f"{WIDE}: part of the FMA peak", part_of_peak(lines, WIDE), OF_PEAK))
    return [text for text in found if text]


def part_of_peak(lines: Sequence[Line], workload: str) -> float | None:
    """How much of the measured peak of its threads chainrule reaches; None without a figure."""
    ours = best(lines).get(workload, {}).get(OURS)
    if ours is None:
        return None
    gflops = WORKLOADS[workload].flop / ours["us_per_step"] / 1e3
    return float(gflops / peaks(lines)[str(ours["threads"])])


def _short(what: str, value: float | None, claimed: float) -> str:
    if value is None:
        return f"{what}: no figure, claimed {claimed}"
    if value >= claimed:
        return ""
    return f"{what}: {value:.2f}, claimed {claimed}: short by {100 * (1 - value / claimed):.0f} %"


def measure(path: Path, rounds: int) -> None:
    """Run the benchmarks; their lines take the place of those in `path` when all are there."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    threads = ",".join(str(count) for count in sorted({1, cores()}))
    commands = [["--engines", "all", "--threads", threads], ["--scaling", "--threads", threads]]
    commands += [["--where", name] for name in WORKLOADS]
    for command in commands:
        code = chainrule(["bench", *command, "--rounds", str(rounds), "--record", str(part)])
        if code > 1:  # 1: a figure is void, which the lines say
            sys.exit(code)
    with part.open("a", encoding="utf-8") as file:
        for line in chain(prediction_lines(rounds), first_step_lines(rounds)):
            print(json.dumps(line), file=file)
    part.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    command = parser("training_step", __doc__, ROUNDS)
    command.add_argument(
        "--lines", type=Path, default=LINES, metavar="FILE", help=f"({LINES.name})"
    )
    command.add_argument("--judge", action="store_true", help="measure nothing")
    options = command.parse_args(arguments)
    if not options.judge:
        measure(options.lines, options.rounds)
    lines = read(options.lines)
    for line in lines:
        if line["kind"] == "missing":
            print(f"not compared with {line['engine']}: {line['install']}")
    short = missed(lines)
    print("\n".join(["the claim is not met:", *short] if short else ["the claim is met"]))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
