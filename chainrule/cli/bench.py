"""`chainrule bench`: what a training step costs here, and what it costs elsewhere."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from chainrule.cli.options import names
from chainrule.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from chainrule.bench.engines import Engine

T = TypeVar("T")
Line = dict[str, Any]
FEW = 3  # rounds that show the order of things in a minute or two


def bench(
    *workloads: Annotated[str, Parameter(name="WORKLOAD", negative=())],
    engines: Annotated[str | None, Parameter(metavar="NAME,…")] = None,
    threads: Annotated[str | None, Parameter(metavar="N,…")] = None,
    rounds: Annotated[int, Parameter(metavar="N")] = FEW,
    scaling: bool = False,
    where: Annotated[str | None, Parameter(metavar="WORKLOAD")] = None,
    record: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Time a training step of chainrule, and of other libraries that are installed.

    Every engine starts from the same weights and sees the same rows in the same order, in a process
    of its own; the processes take turns. Figures are medians of microseconds per step, gathering
    the rows and updating the weights included. Where the losses of an engine are not those of NumPy
    in float64 its figure is void and the exit code is 1.

    All workloads take a minute or two on a machine that has nothing else to do; these are

        nielsen_b10 mnist_b128 wide_b256 tabular_b32 sgd_b1 digits_full deep_b64

    and these the engines, of which reference and torch.compile only run if they are named:

        chainrule reference numpy sklearn torch torch.compile jax

    Args:
        workloads: Which of the workloads; all of them if none is named.
        engines: Which engines, with commas between them; "all" for every one.
        threads: Numbers of threads, each measured; as many as there are processors if not given.
        rounds: How many times each engine takes its turn.
        scaling: Time chainrule alone over batches and widths instead.
        where: Say instead where the time of a step of this workload goes, kernel by kernel.
        record: Also append every line of JSON to this file.
        json: Print one JSON object a line; its kind is machine, missing, workload, result,
            left_out, scaling, where, kernel or summary.
    """
    from chainrule.bench.machine import cores
    from chainrule.bench.session import contest_lines, scaling_lines
    from chainrule.bench.workloads import WORKLOADS
    from chainrule.cli.benchtext import overview
    from chainrule.cli.output import show

    if rounds < 1:
        raise ParameterError(f"--rounds must be a whole number ≥ 1, got {rounds}")
    counts = _counts(threads) or [cores()]
    _refuse_both(where=where, scaling=scaling, others=workloads or engines)
    if scaling:
        lines = scaling_lines(counts, rounds, _say)
    elif where is not None:
        from chainrule.bench.where import where_lines

        workload = _known(where, WORKLOADS, "--where")
        lines = chain(*(where_lines(workload, count, rounds, _say) for count in counts))
    else:
        trained = [_known(x, WORKLOADS, "WORKLOAD") for x in dict.fromkeys(workloads or WORKLOADS)]
        lines = contest_lines(trained, _engines(engines), counts, rounds, _say)
    found = _shown(lines, record, json=json)
    if not json and found[-1]["kind"] == "summary":
        show("\n" + overview(found))
    return 1 if any(line.get("void") for line in found) else 0


def _refuse_both(*, where: str | None, scaling: bool, others: object) -> None:
    """--where and --scaling time chainrule alone, on networks of their own."""
    for option, given in (("--where", where is not None), ("--scaling", scaling)):
        if given and (others or (where is not None and scaling)):
            what = f"{option} times chainrule alone, on one network"
            raise ParameterError(what, hint="Leave out --engines and everything else that is timed")


def _shown(lines: Iterator[Line], record: Path | None, *, json: bool) -> list[Line]:
    """Print and record each line as soon as it is there; returns all of them."""
    from chainrule.cli.benchtext import told
    from chainrule.cli.output import show

    found = []
    with ExitStack() as stack:
        stack.callback(_say, "")  # Ctrl-C leaves no half line
        file = None if record is None else stack.enter_context(record.open("a", encoding="utf-8"))
        for line in lines:
            _say("")
            text = jsons.dumps(line, allow_nan=False)
            if file is not None:
                print(text, file=file, flush=True)
            show(text if json else told(line))
            sys.stdout.flush()
            found.append(line)
    return found


def _engines(text: str | None) -> list[Engine]:
    from chainrule.bench.engines import ENGINES

    if text is None:
        return [engine for engine in ENGINES.values() if engine.usual]
    if text == "all":
        return list(ENGINES.values())
    named = dict.fromkeys(names(text, "--engines") or ())
    chosen = [_known(name, ENGINES, "--engines") for name in named]
    if not any(engine.installed for engine in chosen):
        missing = ", ".join(engine.name for engine in chosen)
        hint = f"Install one: {' or '.join(dict.fromkeys(engine.install for engine in chosen))}"
        raise ParameterError(f"--engines: {missing} is not installed", hint=hint)
    return chosen


def _known(name: str, known: Mapping[str, T], option: str) -> T:
    if name in known:
        return known[name]
    hint = did_you_mean(name, known) or f"There are: {', '.join(known)}"
    raise ParameterError(f"{option}: {name!r} is not known", hint=hint)


def _counts(text: str | None) -> list[int]:
    found = names(text, "--threads") or []
    if not all(count.isdecimal() and 1 <= int(count) <= 1024 for count in found):
        raise ParameterError(f"--threads takes numbers ≥ 1 such as 1,2, got {text!r}")
    return list(dict.fromkeys(int(count) for count in found))


def _say(text: str) -> None:
    """Where a run is, on a terminal; the next line takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
