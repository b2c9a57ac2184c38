"""`chainrule eval`: how good a trained network is on rows whose target is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.cli.options import Json
from chainrule.cli.reading import USUAL, Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CLASSES = 30  # a wider confusion table cannot be read


def evaluate(
    run_dir: Annotated[Path, Parameter(name="RUN_DIR")],
    source: Annotated[str, Parameter(name="DATA")],
    /,
    *,
    json: Json = False,
    reading: Reading = USUAL,
) -> None:
    """Compare a network's predictions with the targets of a file.

    Prints loss and metrics, and for classes how often each was taken for each.

        chainrule eval runs/flowers-1 held_out.csv

    Args:
        run_dir: What `chainrule train` wrote.
        source: A file with the columns of the one that was trained on, or digits.
    """
    from chainrule.cli.model import load_model, measured
    from chainrule.cli.output import show, show_json, table
    from chainrule.cli.summary import METRICS
    from chainrule.io.load import load

    run, preparation = load_model(run_dir)
    target = preparation.target
    column = target.name.removeprefix("column ") if source.endswith(".npy") else None
    dataset = load(source, target=column, need_target=False, **reading.csv())
    X, y = dataset.inputs(preparation.features), dataset.targets(target)
    found = measured(run, preparation, X, y)
    counts = _confusion(run.predict(X), y, len(target.classes)) if target.classes else None
    if json:
        shown: dict[str, Any] = {"rows": len(y), **found}
        if counts is not None:
            shown |= {"classes": list(target.classes), "confusion": counts}
        show_json(shown)
        return
    rows = [[METRICS[name], f"{value:.4f}"] for name, value in found.items()]
    show(table(["rows", f"{len(y):,}"], rows, [1]))
    if counts is not None and len(counts) <= MOST_CLASSES:
        show()
        show(_confusion_table(counts, preparation.classes))


def _confusion(predicted: NDArray[Any], true: NDArray[Any], classes: int) -> NDArray[Any]:
    """How many rows of each class (down) were taken for each class (across)."""
    import numpy as np

    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def _confusion_table(counts: NDArray[Any], labels: list[str]) -> str:
    from chainrule.cli.output import table

    head = ["true \\ predicted", *labels, "right"]
    rows = []
    for i, label in enumerate(labels):
        total = int(counts[i].sum())
        right = f"{counts[i, i] / total:.1%}" if total else "–"
        rows.append([label, *(str(n) if n else "·" for n in counts[i]), right])
    return table(head, rows, range(1, len(head)))
