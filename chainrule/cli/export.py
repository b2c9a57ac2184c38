"""`chainrule export`: a network as one C file that needs nothing but a compiler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.cli.options import (
    FloatType,
    Json,
    Output,
    Overwrite,
    Sizes,
    network_file,
    refuse_loss,
    sizes_of,
)
from chainrule.errors import ParameterError

if TYPE_CHECKING:
    from chainrule.emit.c.file import Call
    from chainrule.training.result import Run

What = Literal["predict", "step"]


def export(
    path: Annotated[Path, Parameter(name="RUN_DIR|FILE")],
    /,
    *,
    what: What = "predict",
    output: Output = None,
    batch_size: Annotated[int | None, Parameter(metavar="N")] = None,
    optimizer: Annotated[str | None, Parameter(metavar="NAME")] = None,
    sizes: Sizes = None,
    dtype: FloatType | None = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a network as one C file that needs nothing but a C compiler.

    predict: a trained network with its weights inside, void NAME_predict(const float *X, float
    *out). step: one training step, which changes weights and the state of the update rule in place;
    for a trained network with the options that it was trained with. The head of the file says how
    to call it.

        chainrule export runs/digits-1 -o digits.c
        chainrule export examples/cs230/two_sigmoid.net --what step --sizes m=32,n=4,k=3 -o step.c

    Args:
        path: What `chainrule train` wrote, or a network, FILE.net.
        what: What the C file computes.
        batch_size: Rows in one call (default: 1 to predict, as in training for a step).
        optimizer: The update rule of a step for FILE.net (default: sgd).
    """
    from chainrule.cli.output import json_text, safe, write
    from chainrule.emit.c.file import source

    if batch_size is not None and batch_size < 1:
        raise ParameterError(f"--batch-size must be a whole number ≥ 1, got {batch_size}")
    if output is not None:
        read = sorted(path.iterdir()) if path.is_dir() else [path]
        refuse_loss(output, read, overwrite=overwrite)
    if path.suffix == ".net":
        if what == "predict":
            hint = f"Train it first, or export a step: --what step {safe(str(path))}"
            raise ParameterError("a network in a file has no weights to predict with", hint=hint)
        call = _step_of_file(path, optimizer or "sgd", sizes, batch_size, dtype or "float32")
    else:
        given = {"--optimizer": optimizer, "--sizes": sizes, "--dtype": dtype}
        extra = [option for option, value in given.items() if value is not None]
        if extra:
            raise ParameterError(f"{' and '.join(extra)}: the run says that itself")
        call = _of_run(path, what, batch_size)
    text = source(call).rstrip()
    about = {"network": call.network, "what": what, "sizes": dict(call.plan.sizes)}
    if output is not None:
        write(text, output)
    if json or output is None:
        place = {"text": text} if output is None else {"file": str(output)}
        write(json_text({**about, **place}) if json else text, None)


def _step_of_file(
    path: Path, optimizer: str, sizes: str | None, batch_size: int | None, dtype: str
) -> Call:
    from chainrule.netfile import define
    from chainrule.training.exported import step_as_c
    from chainrule.training.optimizers import Optimizer
    from chainrule.training.step import Limits
    from chainrule.training.task import task_of

    definition = define(network_file(path, ".net"))
    task = task_of(definition, None)
    given = sizes_of(sizes, definition)
    if batch_size is not None and given.setdefault(task.examples, batch_size) != batch_size:
        what = f"--batch-size {batch_size} and --sizes {task.examples}={given[task.examples]}"
        raise ParameterError(f"{what} differ")
    itemsize = 4 if dtype == "float32" else 8
    return step_as_c(task, Optimizer.of(optimizer), Limits(), given, itemsize)


def _of_run(path: Path, what: What, batch_size: int | None) -> Call:
    from chainrule.training.exported import prediction_as_c, step_as_c
    from chainrule.training.optimizers import Optimizer
    from chainrule.training.rundir import load_run
    from chainrule.training.settings import DEFAULT_BATCH
    from chainrule.training.step import Limits

    run = load_run(path)
    if what == "predict":
        return prediction_as_c(run, batch_size or 1, _prepared(run, path.name))
    trained = run.settings.get("batch_size", DEFAULT_BATCH)
    if batch_size is None and trained == "all":
        hint = "Say how many rows a step takes: --batch-size N"
        raise ParameterError("the network was trained on all rows at once", hint=hint)
    names = Limits.__dataclass_fields__
    limits = Limits(**{name: v for name, v in run.settings.items() if name in names})
    given = {**run.sizes, run.task.examples: batch_size or int(trained)}
    rule = Optimizer.of(str(run.settings["optimizer"]))
    return step_as_c(run.task, rule, limits, given, run.dtype.itemsize)


def _prepared(run: Run, where: str) -> list[str]:
    """How a row of the user's table becomes X, and what the outputs mean."""
    from chainrule.cli.model import Preparation
    from chainrule.io.features import Numeric

    if not run.preprocessing:
        return ["X holds the features as they were in training."]
    found = Preparation.of(run.preprocessing, where)
    names, columns = found.features.names, {c.name: c for c in found.features.columns}
    lines = [
        "",
        f"X holds {len(names)} features: {names[0]} to {names[-1]}, scaled as in training.",
    ]
    if found.features.preprocess != "none":
        lines = ["", f"X holds {len(names)} features:"]
        for i, name in enumerate(names):
            column = columns.get(name)
            how = f"1 where {name}, else 0"
            if isinstance(column, Numeric):
                how = f"({name} - {column.mean!r}) / {column.std!r}"
            lines.append(f"X[{i}] = {how}")
    target = found.target
    if target.task == "classification":
        lines += ["", f"Classes of {target.name}, in order: {', '.join(found.classes)}"]
    elif (target.mean, target.std) != (0.0, 1.0):
        lines += ["", f"{target.name} = out * {target.std!r} + {target.mean!r}"]
    return lines
