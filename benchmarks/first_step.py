"""The claim: the first step comes soon.

    python -m benchmarks.first_step [--rounds N] [--json]

A new network of two layers has taken its first step 150 ms after `cr.train` was called, 30 ms where
its code is in the cache; `chainrule train digits` has finished its first epoch 0.6 s after the
process was started. Every figure is the median over processes that have just been started, each
with a cache of its own: empty for the first of a pair ("cold"), as that one left it for the second
("cached"). Where a figure is above its goal the exit code is 1.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import parser
from chainrule.bench.machine import machine
from chainrule.bench.summary import Line
from chainrule.cli.output import table

ROOT = Path(__file__).parents[1]
ROUNDS = 7
LEAST_ROUNDS = 5
TIMEOUT_S = 120
COLD, CACHED = "cold", "cached"

# Another network is trained before, so that all is imported; one batch is one step.
CALL = """
import sys, time
import numpy as np
import chainrule as cr

def trained(widths, batch):
    rng = np.random.default_rng(0)
    X, y = rng.random((batch, widths[0]), dtype=np.float32), rng.integers(0, widths[-1], batch)
    net = cr.mlp(widths, activation="relu")
    began = time.perf_counter()
    run = cr.train(net, X, y, loss="cross_entropy", batch_size=batch, epochs=1, progress="off")
    assert run.steps == 1
    return time.perf_counter() - began

trained([5, 4, 3], 7)
*widths, batch = map(int, sys.argv[1:])
print(trained(widths, batch))
"""


@dataclass(frozen=True)
class Claim:
    """What is measured, and how long it may take, in seconds, without and with a cache."""

    name: str
    measure: Callable[[dict[str, str]], float]
    goals: dict[str, float]


def call(*sizes: int) -> Callable[[dict[str, str]], float]:
    """Seconds of `cr.train` for one step of a network: its widths, and the rows of the batch."""
    command = [sys.executable, "-c", CALL, *map(str, sizes)]

    def measure(environment: dict[str, str]) -> float:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        return float(result.stdout)

    return measure


def digits(environment: dict[str, str]) -> float:
    """Seconds from the start of `chainrule train digits` to the line of its first epoch."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "chainrule", "train", "digits", "--epochs", "1"]
        command += ["--out", str(Path(folder) / "run")]
        began = time.perf_counter()
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            seconds = time.perf_counter() - began
            rest = process.stderr.read()
        if not line.startswith("epoch 1/1 ") or process.returncode:
            raise RuntimeError(f"chainrule train digits said: {line}{rest}")
        return seconds


STEP_S = {COLD: 0.150, CACHED: 0.030}
CLAIMS = (
    Claim("first step, 784-128-10, batch 128", call(784, 128, 10, 128), STEP_S),
    Claim("first step, 64-32-10, batch 32", call(64, 32, 10, 32), STEP_S),
    Claim("chainrule train digits, first epoch", digits, {COLD: 0.6, CACHED: 0.6}),
)


def environment(folder: Path, cache: Path) -> dict[str, str]:
    """That of a user: modules are compiled to byte code once, and code has a cache."""
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    found |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    return found | {"CHAINRULE_CACHE": str(cache)}


def pairs(claim: Claim, folder: Path) -> Iterator[dict[str, float]]:
    """Seconds without and with a cache, again and again; the first pair fills the byte code."""
    number = 0
    while True:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            around = environment(folder, Path(own) / "code")
            found = {how: claim.measure(around) for how in (COLD, CACHED)}
        if number:
            yield found
        number += 1


def first_step_lines(rounds: int) -> Iterator[Line]:
    """One line for each claim, without and with a cache."""
    with tempfile.TemporaryDirectory() as folder:
        for claim in CLAIMS:
            endless = pairs(claim, Path(folder))
            found = [next(endless) for _ in range(max(rounds, LEAST_ROUNDS))]
            endless.close()
            for how, goal_s in claim.goals.items():
                seconds = [pair[how] for pair in found]
                line = {"kind": "first_step", "name": claim.name, "cache": how, "goal_s": goal_s}
                yield {**line, "median_s": statistics.median(seconds), "best_s": min(seconds)}


def main(arguments: list[str] | None = None) -> int:
    """Measure and say."""
    command = parser("first_step", __doc__, ROUNDS, LEAST_ROUNDS)
    command.add_argument("--json", action="store_true")
    options = command.parse_args(arguments)
    lines = list(first_step_lines(options.rounds))
    if options.json:
        about = machine([1], max(options.rounds, LEAST_ROUNDS))
        print("\n".join(json.dumps(line) for line in [about, *lines]))
    else:
        print(table(HEADS, [cells(line) for line in lines]))
    return int(any(line["median_s"] > line["goal_s"] for line in lines))


HEADS = ["", "cache", "median", "best", "goal"]


def cells(line: Line) -> list[str]:
    """A line as a row of a table."""
    times = (f"{1000 * line[key]:.0f} ms" for key in ("median_s", "best_s", "goal_s"))
    return [line["name"], line["cache"], *times]


if __name__ == "__main__":
    sys.exit(main())
