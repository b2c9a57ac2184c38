"""What `chainrule train` says at the end."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.model import measured
from chainrule.cli.output import table
from chainrule.io.wording import plural

if TYPE_CHECKING:
    from chainrule.cli.data import Prepared
    from chainrule.cli.network import Network
    from chainrule.training.result import Run

OVERFIT = 1.5  # a validation loss this many times its lowest is worth a word,
LATE = 0.8  # if that was not near the end anyway
PATIENCE = 10  # the usual one, and the least that is suggested
METRICS = {"loss": "loss", "accuracy": "accuracy", "rmse": "RMSE", "mae": "MAE", "r2": "R²"}


def outcome(run: Run, ready: Prepared, net: Network, source: str, place: Path) -> dict[str, Any]:
    """Everything there is to say about a training, as plain values."""
    preparation, dataset = ready.preparation, ready.dataset
    parts = {
        name: {"rows": len(part.y), **measured(run, preparation, part.X, part.y)}
        for name, part in ready.parts.items()
    }
    seconds = sum(entry.get("seconds", 0.0) for entry in run.history)
    return {
        "source": source,
        "task": preparation.target.task,
        "target": preparation.target.name,
        "classes": preparation.classes,
        "rows": len(dataset),
        "rows_dropped": dataset.dropped,
        "rows_skipped": dataset.skipped,
        "features": len(preparation.features.names),
        "layers": net.widths,
        "activation": net.activation if len(net.widths) > 2 else "",
        "parameters": sum(int(value.size) for value in run.params.values()),
        "loss": net.loss,
        "settings": dict(run.settings),
        "epochs": len(run.history),
        "steps": run.steps,
        "seconds": seconds,
        "interrupted": run.interrupted,
        "stopped_early": run.stopped_early,
        "best_epoch": run.best_epoch,
        "results": parts,
        "run_dir": str(place),
        "history": run.history,
    }


def page(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [_data(found), _network(found), _training(found), "", _table(found), ""]
    place = found["run_dir"]
    advice = _advice(found)
    lines += [advice, ""] if advice else []
    lines += [f"run directory  {place}", f"next           {_next(found)}"]
    return "\n".join(lines)


def _advice(found: dict[str, Any]) -> str:
    """What the history suggests to try; "" if nothing."""
    losses = [entry["val_loss"] for entry in found["history"] if "val_loss" in entry]
    watched = [math.inf if math.isnan(loss) else loss for loss in losses]
    if not watched or found["best_epoch"] is not None:
        return ""
    epoch, patience = _lowest(watched)
    best = watched[epoch - 1]
    if not math.isfinite(best) or watched[-1] < OVERFIT * best or epoch > LATE * len(watched):
        return ""
    patience = max(patience, PATIENCE)
    end = f", and ended after epoch {stop}" if (stop := epoch + patience) < len(watched) else ""
    return (
        f"The validation loss was lowest in epoch {epoch} ({best:.4g}, now {watched[-1]:.4g}): "
        f"--patience {patience} would have kept the weights of that epoch{end}."
    )


def _lowest(losses: Sequence[float]) -> tuple[int, int]:
    """The epoch with the lowest loss, from 1, and the least patience that leads there.

    That is the longest time, in epochs, from one improvement to the next on the way.

    >>> _lowest([3.0, 2.0, 2.5, 2.2, 1.0, 4.0])
    (5, 3)
    """
    best, longest = 1, 1
    for epoch, loss in enumerate(losses, start=1):
        if loss < losses[best - 1]:
            best, longest = epoch, max(longest, epoch - best)
    return best, longest


def _data(found: dict[str, Any]) -> str:
    kinds = len(found["classes"])
    what = plural(kinds, "class").replace("classs", "classes") if kinds else found["task"]
    lost = "".join(
        f", {found[key]:,} {why}"
        for key, why in (
            ("rows_dropped", "left out for missing cells"),
            ("rows_skipped", "skipped"),
        )
        if found[key]
    )
    size = f"{plural(found['rows'], 'row')}{lost}, {plural(found['features'], 'feature')}"
    return f"data           {Path(found['source']).name}: {size}, {what} ({found['target']})"


def _network(found: dict[str, Any]) -> str:
    widths = " ".join(["-".join(map(str, found["layers"])), found["activation"]]).strip()
    return (
        f"network        {widths}, {plural(found['parameters'], 'parameter')}, loss {found['loss']}"
    )


def _training(found: dict[str, Any]) -> str:
    settings = found["settings"]
    rule, _, options = str(settings["optimizer"]).partition(":")
    rate = options.split(",")[0].replace("lr=", "learning rate ")
    size = settings["batch_size"]
    per = "all rows" if size == "all" else plural(size, "row")
    end = f", stopped early, best epoch {found['best_epoch']}" if found["stopped_early"] else ""
    done = f"{plural(found['epochs'], 'epoch')} in {found['seconds']:.1f} s{end}"
    return f"training       {rule}, {rate}, {per} an update, {done}"


def _table(found: dict[str, Any]) -> str:
    parts = found["results"]
    metrics = [name for name in METRICS if name in next(iter(parts.values()))]
    head = ["", "rows", *(METRICS[name] for name in metrics)]
    rows = [
        [part, f"{values['rows']:,}", *(f"{values[name]:.4f}" for name in metrics)]
        for part, values in parts.items()
    ]
    return table(
        [h.rjust(9) if i > 1 else h for i, h in enumerate(head)], rows, range(1, len(head))
    )


def _next(found: dict[str, Any]) -> str:
    kind = Path(found["source"]).suffix
    source = "FILE" + (kind if kind in (".csv", ".tsv", ".npz", ".npy") else "")
    source = "digits" if found["source"] == "digits" else source
    return f"chainrule predict {shlex.quote(found['run_dir'])} {source}"
