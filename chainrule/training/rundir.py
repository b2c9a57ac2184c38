"""A run on disk: what was asked for (run.toml), how it went (metrics.jsonl), and the model.

The model is a safetensors file that stands by itself: its metadata hold the network as .net text
and how its inputs are prepared. run.toml is written last and holds the model's checksum, so a
directory with a run.toml is complete.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import platform
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from chainrule.errors import (
    ChainruleError,
    CheckpointError,
    CheckpointWarning,
    CorruptFileError,
    VersionError,
)
from chainrule.netfile import parse_net, write_net
from chainrule.run.bind import Array, bind
from chainrule.training import toml
from chainrule.training.files import refuse_unsafe, write_whole
from chainrule.training.parameters import axis_sizes
from chainrule.training.result import Run
from chainrule.training.task import Task, task_of

FORMAT: Final = "chainrule-run"
FORMAT_VERSION: Final = 1
ABOUT: Final = "chainrule"
SETTINGS, METRICS, MODEL = "run.toml", "metrics.jsonl", "model.safetensors"
DAMAGED: Final = "Take the run from a copy that is whole, or train it again"
FLOATS: Final = (np.float32, np.float64)


@dataclass
class RunDirectory:
    """A directory that one training writes to."""

    path: Path
    failed: bool = False

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        hint: str = "Choose another directory",
    ) -> Self:
        """Make the directory, and be sure that it can be written to.

        Args:
            overwrite: remove the run that is there; nothing else in the directory is touched.
            hint: what to do if it cannot be written to.

        Raises:
            CheckpointError: there is a run already, or the directory cannot be written to.
        """
        path = Path(directory)
        files = [path / name for name in (SETTINGS, METRICS, MODEL)]
        there = [file.name for file in files if file.exists()]
        if there and not overwrite:
            what = f"{str(path)!r} holds a run ({', '.join(there)})"
            raise CheckpointError(what, hint="Choose another directory, or say overwrite=True")
        try:
            path.mkdir(parents=True, exist_ok=True)
            for file in files:
                file.unlink(missing_ok=True)
            write_whole(path / METRICS, b"")
        except OSError as error:
            what = f"cannot write to {str(path)!r}: {error.strerror or error}"
            raise CheckpointError(what, hint=hint) from error
        return cls(path)

    def append(self, entry: Mapping[str, float]) -> None:
        """Add the metrics of one epoch; a failure is a warning, because training matters more."""
        if self.failed:
            return
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(_json_line(entry))
        except OSError as error:
            self.failed = True
            reason = error.strerror or str(error)
            what = f"could not save the metrics of epoch {entry['epoch']}: {reason}"
            warnings.warn(what, CheckpointWarning, stacklevel=2)

    def finish(self, run: Run) -> None:
        """Write everything there is to know about the run.

        Raises:
            CheckpointError: a file cannot be written.
        """
        model = model_bytes(run)
        lines = "".join(_json_line(entry) for entry in run.history)
        try:
            write_whole(self.path / METRICS, lines.encode())
            write_whole(self.path / MODEL, model)
            write_whole(self.path / SETTINGS, toml.dumps(_about(run, model)).encode())
        except OSError as error:
            what = f"cannot write to {str(self.path)!r}: {error.strerror or error}"
            hint = "Make room there, or save the run elsewhere"
            raise CheckpointError(what, hint=hint) from error


def _json_line(entry: Mapping[str, float]) -> str:
    """JSON has no infinities: they are null."""
    finite = {key: value if math.isfinite(value) else None for key, value in entry.items()}
    return json.dumps(finite) + "\n"


def _about(run: Run, model: bytes) -> dict[str, Any]:
    last = run.history[-1] if run.history else {}
    result = {"epochs": len(run.history), "steps": run.steps, "interrupted": run.interrupted}
    result |= {"stopped_early": run.stopped_early}
    result |= {"best_epoch": run.best_epoch} if run.best_epoch is not None else {}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "chainrule": _version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "training": dict(run.settings),
        "options": dict(run.options),
        "sizes": dict(run.sizes),
        "data": dict(run.source),
        "result": result | {f"last_{k}": v for k, v in last.items() if k != "epoch"},
        "model": {"sha256": hashlib.sha256(model).hexdigest()},
    }


def _version() -> str:
    from importlib import metadata  # takes 20 ms, which the first step need not wait for

    try:
        return metadata.version("chainrule")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


def model_bytes(run: Run) -> bytes:
    """The model as a safetensors file: all values, and in the metadata what they mean."""
    from safetensors.numpy import save

    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "definition": write_net(run.definition),
        "kind": run.task.kind,
        "preprocessing": run.preprocessing,
    }
    # one entry: the library writes several in an order that changes from call to call
    metadata = {ABOUT: json.dumps(about, ensure_ascii=False)}
    return save({name: np.require(v, None, "C") for name, v in run.values.items()}, metadata)


def load_run(directory: str | os.PathLike[str]) -> Run:
    """The run that a training, or `Run.save`, wrote.

    Raises:
        CheckpointError: there is no run.
        CorruptFileError: a file is damaged; the message says which.
        VersionError: a newer version of chainrule wrote it.
        UnsafeFileError: the model is of a format that can run code.
    """
    path = Path(directory)
    if path.is_file():
        refuse_unsafe(_read(path), path.name)
        raise CheckpointError(f"{path.name!r} is a file", hint="Name the directory of a run")
    about = _settings(path)
    data = _read(path / MODEL)
    refuse_unsafe(data, MODEL)
    expected = str(_table(about, "model", path).get("sha256", ""))
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        what = f"{MODEL} is damaged: checksum {expected[:8]}… ≠ {actual[:8]}…"
        raise CorruptFileError(what, where=str(path), hint=DAMAGED)
    task, values, preprocessing = model_of(data, str(path))
    result = _table(about, "result", path)
    return Run(
        task=task,
        values=values,
        sizes=_sizes(task, values),
        history=_history(path / METRICS),
        settings=_table(about, "training", path),
        options=_table(about, "options", path),
        steps=int(result.get("steps", 0)),
        interrupted=bool(result.get("interrupted", False)),
        stopped_early=bool(result.get("stopped_early", False)),
        best_epoch=result.get("best_epoch"),
        preprocessing=preprocessing,
        source=_table(about, "data", path),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        what = f"no run in {str(path.parent)!r}: {path.name} is not there"
        hint = "Name the directory of a run, such as `chainrule train` and Run.save write"
        raise CheckpointError(what, hint=hint) from None
    except OSError as error:
        what = f"{str(path)!r} cannot be read: {error.strerror or error}"
        raise CheckpointError(what, hint="See who may read it, and what it is") from error


def _settings(path: Path) -> dict[str, Any]:
    data = _read(path / SETTINGS)
    try:
        about = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"{SETTINGS} is damaged: {error}"
        raise CorruptFileError(what, where=str(path), hint=DAMAGED) from None
    _check_format(about.get("format"), about.get("format_version"), SETTINGS, str(path))
    return about


def _check_format(name: object, version: object, file: str, where: str) -> None:
    if name != FORMAT or not str(version).isdecimal():
        what = f"not a run of chainrule: {file} has format {name!r}"
        raise CorruptFileError(what, where=where, hint="Name the directory of a run")
    if int(str(version)) > FORMAT_VERSION:
        what = f"{file} was written by a newer chainrule (format {version}), this one reads format"
        raise VersionError(f"{what} ≤ {FORMAT_VERSION}", where=where, hint="Update chainrule")


def _table(about: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = about.get(name, {})
    if not isinstance(table, dict):
        what = f"{SETTINGS} is damaged: {name} is no table"
        raise CorruptFileError(what, where=str(path), hint=DAMAGED)
    return table


def model_of(data: bytes, where: str = "") -> tuple[Task, dict[str, Array], str]:
    """The task, all values, and the text on preprocessing, of a model file in the folder `where`.

    Raises:
        CorruptFileError: the header, a tensor or the definition is not what it must be.
        VersionError: a newer version wrote it.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = json.loads(header["__metadata__"][ABOUT])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        what = f"{MODEL} is damaged: {error}"
        raise CorruptFileError(what, where=where, hint=DAMAGED) from None
    _check_format(about.get("format"), about.get("format_version"), MODEL, where)
    try:
        task = task_of(parse_net(about["definition"]), None)
        held = (*(task.definition.input[name] for name in task.definition.params), *task.held)
        values = bind(held, tensors, where=MODEL)
    except (ChainruleError, KeyError) as error:
        what = f"{MODEL} does not fit its definition: {error}"
        raise CorruptFileError(what, where=where, hint=DAMAGED) from error
    odd = [n for n in task.definition.params if values[n].dtype not in FLOATS]
    if odd or about.get("kind") not in ("classes", "binary", "numbers"):
        why = f"{odd[0]} has dtype {values[odd[0]].dtype}" if odd else "its kind is not known"
        raise CorruptFileError(f"{MODEL} is damaged: {why}", where=where, hint=DAMAGED)
    return replace(task, kind=about["kind"]), values, str(about.get("preprocessing", ""))


def _sizes(task: Task, values: Mapping[str, Array]) -> dict[str, int]:
    definition = task.definition
    sizes = axis_sizes(task, {}, [])
    for name, value in values.items():
        sizes |= dict(zip(definition.input[name].axes, value.shape, strict=True))
    return sizes


def _history(path: Path) -> list[dict[str, float]]:
    lines = _read(path).splitlines()
    try:
        entries = [json.loads(line) for line in lines]
        return [{k: math.nan if v is None else v for k, v in e.items()} for e in entries]
    except (ValueError, AttributeError) as error:
        what = f"{path.name} is damaged: {error}"
        raise CorruptFileError(what, where=str(path.parent), hint=DAMAGED) from None
