"""Write docs/performance.md from the lines of a run.

    python -m benchmarks.training_step
    python -m benchmarks.report [--lines docs/performance.jsonl] [--out docs/performance.md]

What a missed figure needs to have said about it stands in benchmarks/notes.md, and is put into the
page as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import first_step, prediction
from benchmarks.plot import Panel, figure
from benchmarks.training_step import EACH, LINES, MEAN, OF_PEAK, WIDE, missed, read
from chainrule.bench.engines import ENGINES, OURS
from chainrule.bench.scaling import BATCH, WIDTH
from chainrule.bench.summary import Line, advantages, best, fastest_peer, number, peaks, summary
from chainrule.bench.workloads import REACH_GFLOPS

ROOT = Path(__file__).parents[1]
PAGE, NOTES = ROOT / "docs" / "performance.md", ROOT / "benchmarks" / "notes.md"

HEAD = """# Performance

<!-- written by python -m benchmarks.report: do not edit -->

Microseconds per training step, gathering the rows and updating the weights included: medians over
{rounds} slices of at least 20 ms, each after as long to warm up, taken in turns by processes that
live side by side. For each engine the better number of threads that it may use is shown, in
brackets. Every engine starts from the same weights and sees the same rows in the same order; the
losses of its first calls agree with those of NumPy in float64, or its figure is left out as void.

- machine: {processor}, {cores} cores ({features}), {system}; load when the run began {load:.1f}
- date: {date}
- versions: {versions}
- peak of fused multiply-adds, measured with it: {peaks}
"""
COLUMNS = (
    "The best peer is bold; the ratio is its time over that of chainrule. The goals were set on a "
    "machine with a peak of {peak:.0f} GFLOP/s; the last column has them in proportion to the peak "
    "measured here."
)
CLAIM = (
    "The claim: the best peer takes at least {mean} times as long as chainrule (geometric mean), "
    "at least {each} times as long on each workload, and {wide} runs at {part:.0f} % of the peak "
    "or more. "
)
SHARE = 0.03  # of a step: kernels that take less are not listed
HOW = """
## How to measure it

    pip install {packages}
    python -m benchmarks.training_step
    python -m benchmarks.report

The first takes about 20 minutes. What is not installed is named and left out.
"""


def page(lines: Sequence[Line], picture: str, notes: str = "") -> str:
    """The text of the page.

    Args:
        picture: the path of the plot, from the page.
    """
    parts = [_head(lines)]
    if any(line["kind"] == "result" for line in lines):
        parts += [_comparison(lines), _claim(lines), _costs(lines), _left_out(lines)]
    if any(line["kind"] == "scaling" for line in lines):
        parts.append(_scaling(lines, picture))
    if any(line["kind"] == "where" for line in lines):
        parts.append(_where(lines))
    parts += [_prediction(lines), _first_step(lines)]
    packages = sorted({engine.package for engine in ENGINES.values() if engine.package})
    return "\n".join([*parts, notes, HOW.format(packages=" ".join(packages))]).rstrip() + "\n"


def _head(lines: Sequence[Line]) -> str:
    about: dict[str, Any] = next(line for line in lines if line["kind"] == "machine")
    threads = {"1": "one thread"}
    told = [
        f"{value:.0f} GFLOP/s ({threads.get(n, f'{n} threads')})"
        for n, value in peaks(lines).items()
    ]
    return HEAD.format(
        **{name: about[name] for name in ("rounds", "processor", "cores", "system", "date")},
        load=about["load"] or 0.0,
        features=", ".join(about["features"]),
        versions=", ".join(f"{name} {value}" for name, value in about["versions"].items()),
        peaks=", ".join(told),
    )


def _comparison(lines: Sequence[Line]) -> str:
    """Every engine, the ratio, and what is missed."""
    chosen, ratios = best(lines), advantages(lines)
    highest = max(peaks(lines).values())
    about = {line["workload"]: line for line in lines if line["kind"] == "workload"}
    present = {name for engines in chosen.values() for name in engines}
    names = [name for name in ENGINES if name in present]
    rows = []
    for workload, engines in chosen.items():
        cells = []
        for name in names:
            line = engines.get(name)
            text = f"{number(line['us_per_step'])} ({line['threads']})" if line else "–"
            cells.append(f"**{text}**" if line and line is fastest_peer(engines) else text)
        ratio = f"{ratios[workload]:.2f}" if workload in ratios else "–"
        goal, ours = about[workload], engines.get(OURS)
        reach, at_peak = goal["reach_us"], number(goal["flop"] / highest / 1e3)
        goals = [_reached(us, ours) for us in (reach, reach * REACH_GFLOPS / highest)]
        rows.append([f"{workload}: {goal['description']}", *cells, ratio, at_peak, *goals])
    head = ["µs per step", *names, "ratio", "arithmetic at the peak", "goal", "goal for this peak"]
    mean = summary(lines)["geometric_mean"]
    end = "" if mean is None else f"\n\nGeometric mean of the ratios: **{mean:.2f}**."
    said = f"\n\n{COLUMNS.format(peak=REACH_GFLOPS)}"
    return f"\n## Against others\n\n{_table(head, rows)}{said}{end}\n"


def _claim(lines: Sequence[Line]) -> str:
    """What benchmarks/training_step.py claims, and whether the lines show it."""
    short = missed(lines)
    said = CLAIM.format(mean=MEAN, each=EACH, wide=WIDE, part=100 * OF_PEAK)
    verdict = "Not met here:" if short else "Met here."
    return "\n".join([said + verdict, "", *(f"- {text}" for text in short)]).rstrip() + "\n"


def _reached(reach_us: float, ours: Line | None) -> str:
    if ours is None or not reach_us:
        return number(reach_us) if reach_us else "–"
    over = ours["us_per_step"] / reach_us
    return f"{number(reach_us)}: " + ("met" if over <= 1 else f"missed, {over:.2f} times as long")


def _costs(lines: Sequence[Line]) -> str:
    """What stands beside the time of a step."""
    rows = [
        [
            workload,
            f"{engine} ({line['threads']})",
            number(line["us_per_step"]),
            "–".join(number(value) for value in line["us_quartiles"]),
            f"{line['first_call_s']:.2f}",
            f"{line['peak_rss_mb']:.0f}",
            f"{line['final_loss']:.6f}",
        ]
        for workload, engines in best(lines).items()
        for engine, line in engines.items()
    ]
    head = ["workload", "engine", "µs", "quartiles", "first call, s", "peak memory, MB", "loss"]
    said = (
        "First call: what preparing and the first call took beyond a later call (tracing, "
        "compiling), without the import. Loss: mean of the last call that was compared."
    )
    return f"\n## First call, memory, loss\n\n{said}\n\n{_table(head, rows)}\n"


def _left_out(lines: Sequence[Line]) -> str:
    """Who has no figure, and why: once for each reason."""
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if line["kind"] == "missing":
            reasons.setdefault(f"{line['engine']} is not installed", [])
        elif line["kind"] == "left_out" or line.get("void"):
            state = "void: " if line.get("void") else ""
            places = reasons.setdefault(f"{line['engine']}: {state}{line['reason']}", [])
            places += [line["workload"]] if line["workload"] not in places else []
    if not reasons:
        return ""
    told = [f"- {why}" + (f" ({', '.join(at)})" if at else "") for why, at in reasons.items()]
    return "\n".join(["\n## Left out\n", *told, ""])


def _scaling(lines: Sequence[Line], picture: str) -> str:
    measured = peaks(lines)
    found = sorted(
        (line for line in lines if line["kind"] == "scaling"),
        key=lambda line: (line["width"], line["batch"]),
    )
    rows = [
        [
            *(str(line[key]) for key in ("width", "batch", "threads")),
            number(line["us_per_step"]),
            f"{line['gflops']:.0f}",
            f"{100 * line['gflops'] / measured[str(line['threads'])]:.0f} %",
        ]
        for line in found
    ]
    head = ["width", "batch", "threads", "µs per step", "GFLOP/s", "of the measured peak"]
    said = "w-w-w-10 relu, cross-entropy, Adam, by chainrule alone."
    shown = f"![cost against batch and width]({picture})"
    return f"\n## Cost against batch and width\n\n{said}\n\n{shown}\n\n{_table(head, rows)}\n"


def _where(lines: Sequence[Line]) -> str:
    """The kernels of each workload that take a part worth naming."""
    wholes = {line["workload"]: line for line in lines if line["kind"] == "where"}
    rows = []
    for line in (line for line in lines if line["kind"] == "kernel"):
        whole = wholes[line["workload"]]
        if line["share"] < SHARE:
            continue
        us = " ".join(number(value) for value in line["us"])
        speed = f"{line['gflops']:.0f}" if line["gflops"] else "–"
        share = f"{100 * line['share']:.0f} %"
        rows.append([line["workload"], str(whole["threads"]), line["kernel"], us, speed, share])
    head = ["workload", "threads", "kernel", "µs of each thread", "GFLOP/s", "of all kernels"]
    waits = ", ".join(f"{name} {number(line['waits_us'])}" for name, line in wholes.items())
    said = (
        "What each kernel stores, its loops, and how long they take (`chainrule bench --where`); "
        f"those below {100 * SHARE:.0f} % are left out. Threads wait for each other, µs per step: "
    )
    return f"\n## Where the time goes\n\n{said}{waits}.\n\n{_table(head, rows)}\n"


def _prediction(lines: Sequence[Line]) -> str:
    found = [line for line in lines if line["kind"] == "prediction"]
    if not found:
        return ""
    peak = max(peaks(lines).values())
    rows = [prediction.cells(line, found, peak) for line in found]
    said = (
        "All rows at once, probabilities included, best of all turns (`benchmarks/prediction.py`)."
    )
    return f"\n## Prediction\n\n{said}\n\n{_table(prediction.heads(found), rows)}\n"


def _first_step(lines: Sequence[Line]) -> str:
    rows = [first_step.cells(line) for line in lines if line["kind"] == "first_step"]
    if not rows:
        return ""
    said = "From the call, or from the start of the process (`benchmarks/first_step.py`)."
    return f"\n## The first step\n\n{said}\n\n{_table(first_step.HEADS, rows)}\n"


def plot(lines: Sequence[Line]) -> str:
    """Cost against batch at one width, and against width at one batch, as SVG; "" without lines."""
    found = [line for line in lines if line["kind"] == "scaling"]
    batches = [(x["batch"], x["us_per_step"] / 1e3) for x in found if x["width"] == WIDTH]
    widths = [(x["width"], x["us_per_step"] / 1e3) for x in found if x["batch"] == BATCH]
    if not batches or not widths:
        return ""
    unit = "ms per step"
    over_batch = Panel(f"width {WIDTH}", "batch", unit, batches, 1, "proportional")
    over_width = Panel(f"batch {BATCH}", "width", unit, widths, 2, "its square")
    return figure([over_batch, over_width])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    parser.add_argument("--lines", type=Path, default=LINES, help="what training_step recorded")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--notes", type=Path, default=NOTES, help="text to put into the page")
    options = parser.parse_args(arguments)
    lines = read(options.lines)
    drawn, picture = plot(lines), options.out.with_name(f"{options.out.stem}-scaling.svg")
    notes = options.notes.read_text(encoding="utf-8") if options.notes.exists() else ""
    options.out.write_text(page(lines, picture.name, notes), encoding="utf-8")
    if drawn:
        picture.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
