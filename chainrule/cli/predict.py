"""`chainrule predict`: what a trained network says about new rows."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from chainrule.cli.options import Json, Overwrite, refuse_loss
from chainrule.cli.reading import USUAL, Reading
from chainrule.errors import ParameterError


def predict(
    run_dir: Annotated[Path, Parameter(name="RUN_DIR")],
    source: Annotated[str, Parameter(name="DATA")],
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    overwrite: Overwrite = False,
    proba: bool = False,
    json: Json = False,
    reading: Reading = USUAL,
) -> None:
    """Predict the target for each row of a file: labels for classes, numbers otherwise.

    Columns are found by their names and prepared as in training; the target column may be there
    and is not looked at. There is one line for each row, in the same order.

        chainrule predict runs/flowers-1 new_flowers.csv -o predicted.csv

    Args:
        run_dir: What `chainrule train` wrote.
        source: A file like the one that was trained on, or digits.
        output: Write a CSV file instead of printing it.
        proba: Add the probability of each class.
    """
    from chainrule.cli.model import load_model
    from chainrule.cli.output import note, show_json
    from chainrule.io.csvwrite import write_csv
    from chainrule.io.load import load
    from chainrule.training.rundir import METRICS, MODEL, SETTINGS

    run_files = [run_dir / name for name in (SETTINGS, METRICS, MODEL)]
    refuse_loss(output, [Path(source), *run_files], overwrite=overwrite)
    run, preparation = load_model(run_dir)
    if proba and preparation.target.task == "regression":
        raise ParameterError("--proba is for classes; this network predicts numbers")
    dataset = load(source, need_target=False, **reading.csv())
    X = dataset.inputs(preparation.features)
    columns: dict[str, Any] = {preparation.target.name: preparation.target.decode(run.predict(X))}
    if proba:
        shares = run.predict_proba(X)
        columns |= {f"P({label})": shares[:, i] for i, label in enumerate(preparation.classes)}
    if json:
        table = {name: values.tolist() for name, values in columns.items()}
        show_json({"target": preparation.target.name, "rows": len(X), "columns": table})
    if output is not None:
        write_csv(output, columns)
        note(f"{len(X):,} predictions in {output}")
    elif not json:
        sys.stdout.write(_printable(columns))


def _printable(columns: dict[str, Any]) -> str:
    """The CSV; on a terminal without anything that it would obey."""
    from chainrule.cli.output import safe
    from chainrule.io.csvwrite import write_csv

    text = StringIO()
    write_csv(text, columns)
    return safe(text.getvalue()) if sys.stdout.isatty() else text.getvalue()
