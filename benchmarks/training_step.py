"""The claim: a training step costs less here than elsewhere.

    python -m benchmarks.training_step [--only NAME,…] [--engines NAME,…] [--threads 1,2]
                                       [--rounds N] [--json] [--scaling]

Each workload is trained by every engine that is installed, with each number of threads, in
processes side by side that take turns. Figures are medians of microseconds per step, gathering the
rows and updating the weights included. Every engine starts from the same weights and sees the same
rows in the same order; where the losses of its first calls are not those of NumPy in float64, its
figure is void and the exit code is 1.

With --json every line of standard output is one object, its `kind` is machine, workload, result,
left_out, missing, scaling or summary; `python -m benchmarks.report` makes a page of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.contest import Contestant, Line, contest
from benchmarks.engines import ENGINES, OURS, Engine
from benchmarks.machine import cores, machine
from benchmarks.scaling import scaling
from benchmarks.summary import advantages, best, number, summary, workload_line
from benchmarks.workloads import WORKLOADS, Workload
from chainrule.cli.output import table

Emit = Callable[[Line], None]


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        wrong = [name for name in text.split(",") if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not one of {', '.join(known)}")
        return text.split(",")

    return names


def _counts(text: str) -> list[int]:
    counts = [int(count) for count in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("threads and rounds are counted from 1")
    return counts


def _count(text: str) -> int:
    return _counts(text)[0]


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.training_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    workloads, engines = list(WORKLOADS), list(ENGINES)
    add("--only", type=_names(workloads), default=workloads, metavar="NAME,…", help="workloads")
    add("--engines", type=_names(engines), default=engines, metavar="NAME,…", help="engines")
    add("--threads", type=_counts, default=None, metavar="N,…", help="1 and all cores if not given")
    add("--rounds", type=_count, default=15, metavar="N", help="slices of each engine (15)")
    add("--json", action="store_true", help="one JSON object a line")
    add("--scaling", action="store_true", help="chainrule alone, over batches and widths")
    return found


def lines(
    workloads: Sequence[Workload], engines: Sequence[Engine], threads: Sequence[int], rounds: int
) -> Iterator[Line]:
    """All lines of a run, each as soon as it is known."""
    about = machine(list(threads), rounds)
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


def scaling_lines(threads: int, rounds: int) -> Iterator[Line]:
    """All lines of a run with --scaling."""
    about = machine([threads], rounds)
    yield about
    yield from scaling(threads, rounds, about["peak_gflops"], say)


def say(text: str) -> None:
    """Where a run is, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def told(line: Line) -> str:
    """A line as text."""
    if line["kind"] == "machine":
        peaks = [f"{value:.0f} ({n})" for n, value in line["peak_gflops"].items()]
        where = f"{line['processor']}, {line['cores']} cores, {' '.join(line['features'])}"
        where += f"; load {line['load'] or 0.0:.1f}"
        return f"{where}\nFMA peak in GFLOP/s (threads): {', '.join(peaks)}"
    if line["kind"] == "missing":
        return f"{line['engine']} is not installed: {line['install']}"
    if line["kind"] == "workload":
        at_peak, reach = number(line["at_peak_us"]), number(line["reach_us"])
        about = f"arithmetic at the peak {at_peak} µs, to reach {reach} µs"
        return f"\n{line['workload']}: {line['description']}; {about}"
    if line["kind"] == "left_out":
        return f"  {line['engine']} ({line['threads']}) left out: {line['reason']}"
    if line["kind"] == "scaling":
        figure = f"{number(line['us_per_step'])} µs, {line['gflops']:.0f} GFLOP/s"
        shape = f"width {line['width']}, batch {line['batch']}"
        return f"{shape}: {figure}, {100 * line['of_peak']:.0f} % of the peak"
    if line["kind"] == "summary":
        mean = line["geometric_mean"]
        ratio = "no figure" if mean is None else f"{mean:.2f}"
        return f"\nbest peer over {OURS}, geometric mean: {ratio}"
    low, high = (number(value) for value in line["us_quartiles"])
    figures = f"{number(line['us_per_step'])} µs ({low}–{high})"
    rest = f"first call {line['first_call_s']:.2f} s, {line['peak_rss_mb']:.0f} MB"
    loss = "none" if line["final_loss"] is None else f"{line['final_loss']:.6f}"
    void = f"  VOID: {line['reason']}" if line["void"] else ""
    who = f"  {line['engine']} ({line['threads']})"
    return f"{who:<20}{figures:<30}{rest}, loss {loss}{void}"


def overview(found: Sequence[Line]) -> str:
    """Workloads against engines: medians of the better number of threads, and the ratio."""
    chosen, ratios = best(found), advantages(found)
    present = {line["engine"] for engines in chosen.values() for line in engines.values()}
    names = [name for name in ENGINES if name in present]
    rows = []
    for workload, engines in chosen.items():
        cells = [number(engines[n]["us_per_step"]) if n in engines else "–" for n in names]
        ratio = f"{ratios[workload]:.2f}" if workload in ratios else "–"
        rows.append([workload, *cells, ratio])
    return table(["µs per step", *names, "ratio"], rows, range(1, len(names) + 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    threads = options.threads or sorted({1, cores()})
    if options.scaling:
        produced = scaling_lines(max(threads), options.rounds)
    else:
        workloads = [WORKLOADS[name] for name in options.only]
        engines = [ENGINES[name] for name in options.engines]
        produced = lines(workloads, engines, threads, options.rounds)
    found = []
    for line in produced:
        say("")
        print(json.dumps(line, allow_nan=False) if options.json else told(line), flush=True)
        found.append(line)
    if not options.json and best(found):
        print("\n" + overview(found))
    return 1 if any(line.get("void") for line in found) else 0


if __name__ == "__main__":
    sys.exit(main())
