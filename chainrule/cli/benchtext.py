"""The lines of a benchmark as text, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.bench.engines import ENGINES, OURS
from chainrule.bench.summary import advantages, best, number
from chainrule.cli.output import table

Line = dict[str, Any]


def told(line: Line) -> str:
    """A line as text."""
    return TEXTS[line["kind"]](line)


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


def _machine(line: Line) -> str:
    peaks = [f"{value:.0f} ({n})" for n, value in line["peak_gflops"].items()]
    where = f"{line['processor']}, {line['cores']} cores, {' '.join(line['features'])}"
    where += f"; load {line['load'] or 0.0:.1f}"
    return f"{where}\nFMA peak in GFLOP/s (threads): {', '.join(peaks)}"


def _missing(line: Line) -> str:
    return f"{line['engine']} is not installed: {line['install']}"


def _workload(line: Line) -> str:
    at_peak, reach = number(line["at_peak_us"]), number(line["reach_here_us"])
    about = f"arithmetic at the peak {at_peak} µs, goal {reach} µs"
    return f"\n{line['workload']}: {line['description']}; {about}"


def _left_out(line: Line) -> str:
    return f"  {line['engine']} ({line['threads']}) left out: {line['reason']}"


def _scaling(line: Line) -> str:
    figure = f"{number(line['us_per_step'])} µs, {line['gflops']:.0f} GFLOP/s"
    shape = f"width {line['width']}, batch {line['batch']}"
    return f"{shape}: {figure}, {100 * line['of_peak']:.0f} % of the peak"


def _summary(line: Line) -> str:
    mean = line["geometric_mean"]
    ratio = "no figure" if mean is None else f"{mean:.2f}"
    return f"\nbest peer over {OURS}, geometric mean: {ratio}"


def _result(line: Line) -> str:
    low, high = (number(value) for value in line["us_quartiles"])
    figures = f"{number(line['us_per_step'])} µs ({low}–{high})"
    rest = f"first call {line['first_call_s']:.2f} s, {line['peak_rss_mb']:.0f} MB"
    loss = "none" if line["final_loss"] is None else f"{line['final_loss']:.6f}"
    void = f"  VOID: {line['reason']}" if line["void"] else ""
    who = f"  {line['engine']} ({line['threads']})"
    return f"{who:<20}{figures:<30}{rest}, loss {loss}{void}"


def _where(line: Line) -> str:
    whole, kernels, waits = (line[name] for name in ("us_per_step", "kernels_us", "waits_us"))
    rest = max(whole - kernels - waits, 0.0)
    count = line["threads"]
    parts = f"kernels {number(kernels)}, waiting for each other {number(waits)}"
    threads = f"{count} thread{'s' * (count > 1)}"
    return f"{number(whole)} µs per step with {threads}: {parts}, around them {number(rest)}"


def _kernel(line: Line) -> str:
    waited = f" (after waiting {_each(line['wait_us'])})" if any(line["wait_us"]) else ""
    speed = "" if line["gflops"] is None else f"{line['gflops']:.0f} GFLOP/s"
    figures = f"{100 * line['share']:5.1f} %  {_each(line['us']):<16}{speed:<14}"
    return f"  {figures}{line['kernel']}{waited}"


def _each(values: Sequence[float]) -> str:
    """The figures of the threads."""
    return " ".join(number(value) for value in values) + " µs"


TEXTS: dict[str, Callable[[Line], str]] = {
    "machine": _machine,
    "missing": _missing,
    "workload": _workload,
    "result": _result,
    "left_out": _left_out,
    "scaling": _scaling,
    "summary": _summary,
    "where": _where,
    "kernel": _kernel,
}
