"""The claim: predicting many rows costs little more than the arithmetic of the forward pass.

    python -m benchmarks.prediction [--rounds N] [--json]

The networks of some workloads of `chainrule bench` predict all their rows at once (probabilities
too, where they have some): by the function behind `Run.predict` with as many threads as pay, by
NumPy as one writes it, and by PyTorch where it is installed. They take turns, and the best of all
turns counts: in one process the threads of one library are in the way of those of the next.
chainrule is the fastest on each network, and on those with large products it reaches 60 % of the
multiply-adds that the processor does at all. Where it does not the exit code is 1.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.command import parser
from chainrule.bench.contest import PAUSE_S
from chainrule.bench.engines import OURS
from chainrule.bench.engines.by_hand import ACTIVATIONS
from chainrule.bench.engines.ours import plan_of
from chainrule.bench.machine import cores, machine
from chainrule.bench.summary import Line, number
from chainrule.bench.workloads import WORKLOADS, Problem, problem_of
from chainrule.cli.output import table
from chainrule.training.predictors import predicted

ROUNDS = 9
NAMES = ("mnist_b128", "wide_b256", "tabular_b32", "digits_full")
LARGE, OF_PEAK = ("mnist_b128", "wide_b256"), 0.6
SLICE_S = 0.02
TOLERANCE = 1e-4  # of the largest score: float32 in another order of sums

Forward = Callable[[], object]


def ours(problem: Problem) -> Forward:
    """The scores by the code that `Run.predict` runs."""
    task = plan_of(problem, "compiled", cores()).task
    return lambda: predicted(task, problem.start, problem.X)[0]


def by_hand(problem: Problem) -> Forward:
    """The scores by NumPy."""
    activate = ACTIVATIONS[problem.workload.activation][0]
    classes = problem.workload.loss == "cross_entropy"

    def forward() -> object:
        h = problem.X
        for layer in range(1, problem.layers + 1):
            h = h @ problem.start[f"W_{layer}"] + problem.start[f"b_{layer}"]
            h = activate(h) if layer < problem.layers else h
        if classes:
            exp = np.exp(h - h.max(axis=1, keepdims=True))
            exp /= exp.sum(axis=1, keepdims=True)
        return h

    return forward


def torch(problem: Problem) -> Forward:
    """The scores by PyTorch, without a record for gradients."""
    import torch

    classes = problem.workload.loss == "cross_entropy"
    parts: list[torch.nn.Module] = []
    kinds = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    for layer in range(1, problem.layers + 1):
        W, b = (torch.from_numpy(problem.start[f"{name}_{layer}"]) for name in "Wb")
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data, linear.bias.data = W.T.contiguous(), b
        parts += [linear, kinds[problem.workload.activation]()]
    network, X = torch.nn.Sequential(*parts[:-1]).eval(), torch.from_numpy(problem.X)

    def forward() -> object:
        with torch.inference_mode():
            scores = network(X)
            if classes:
                torch.softmax(scores, 1)
            return scores.numpy()

    return forward


ENGINES = {OURS: ours, "numpy": by_hand, "torch": torch}


def seconds(forward: Forward) -> float:
    """Of one call, over calls that take `SLICE_S` together, after as long to warm up."""
    for _ in ("warm", "timed"):
        calls, began = 0, time.perf_counter()
        while not calls or time.perf_counter() - began < SLICE_S:
            forward()
            calls += 1
        each_s = (time.perf_counter() - began) / calls
    return each_s


def measured(name: str, rounds: int) -> dict[str, float]:
    """The least seconds of each engine; all give the same scores."""
    problem = problem_of(WORKLOADS[name])
    here = [e for e in ENGINES if e != "torch" or importlib.util.find_spec("torch")]
    forwards = {engine: ENGINES[engine](problem) for engine in here}
    scores = {engine: np.asarray(forward()) for engine, forward in forwards.items()}
    for engine, found in scores.items():
        scale = np.abs(scores["numpy"]).max()
        if not np.abs(found - scores["numpy"]).max() <= TOLERANCE * scale:
            raise RuntimeError(f"{name}: {engine} does not predict what NumPy does")
    took: dict[str, list[float]] = {engine: [] for engine in here}
    for _ in range(max(rounds, 1)):
        for engine, forward in forwards.items():
            time.sleep(PAUSE_S)
            took[engine].append(seconds(forward))
    return {engine: min(all_s) for engine, all_s in took.items()}


def prediction_lines(rounds: int) -> Iterator[Line]:
    """One line for each network."""
    for name in NAMES:
        w, found = WORKLOADS[name], measured(name, rounds)
        flop = 2 * w.rows * sum(a * b for a, b in zip(w.widths, w.widths[1:], strict=False))
        speed = flop / found[OURS] / 1e9
        yield {"kind": "prediction", "workload": name, "rows": w.rows, "gflops": speed, "s": found}


def missed(lines: Sequence[Line], peak_gflops: float) -> list[str]:
    """What the lines do not show."""
    short = []
    for line in lines:
        name, own = line["workload"], line["s"][OURS]
        quicker = [engine for engine, s in line["s"].items() if s < own]
        short += [f"{name}: {' and '.join(quicker)} took less time"] if quicker else []
        part = line["gflops"] / peak_gflops
        if name in LARGE and part < OF_PEAK:
            short.append(f"{name}: {100 * part:.0f} % of the peak, claimed {100 * OF_PEAK:.0f} %")
    return short


def heads(lines: Sequence[Line]) -> list[str]:
    """The heads of a table of lines."""
    return ["", "rows", *_engines(lines), "of the peak"]


def cells(line: Line, lines: Sequence[Line], peak_gflops: float) -> list[str]:
    """A line as a row of that table."""
    times = [f"{number(1e3 * line['s'][engine])} ms" for engine in _engines(lines)]
    part = f"{100 * line['gflops'] / peak_gflops:.0f} %"
    return [line["workload"], str(line["rows"]), *times, part]


def _engines(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(engine for line in lines for engine in line["s"]))


def main(arguments: list[str] | None = None) -> int:
    """Measure and say."""
    command = parser("prediction", __doc__, ROUNDS)
    command.add_argument("--json", action="store_true")
    options = command.parse_args(arguments)
    about = machine([cores()], options.rounds)
    peak = max(about["peak_gflops"].values())
    lines = list(prediction_lines(options.rounds))
    if options.json:
        print("\n".join(json.dumps(line) for line in [about, *lines]))
    else:
        print(table(heads(lines), [cells(line, lines, peak) for line in lines]))
    short = missed(lines, peak)
    if not options.json:
        print("\n".join(["the claim is not met:", *short] if short else ["the claim is met"]))
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
