"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.cli.output import safe
from chainrule.errors import DataFileNotFoundError, ParameterError, did_you_mean

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print the result as JSON.")]
Output = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="Write the result into this file instead."),
]
Overwrite = Annotated[
    bool, Parameter(name="--overwrite", negative=(), help="Replace the file that --output names.")
]
Seed = Annotated[int, Parameter(name="--seed", help="The same seed gives the same result.")]

NET = ".net"


def names(text: str | None, option: str) -> list[str] | None:
    """The names in ``W_1,b_1``; None stays None.

    Raises:
        ParameterError: a name is empty.
    """
    if text is None:
        return None
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise ParameterError(f"{option} takes names with commas between them, got {text!r}")
    return found


def refuse_loss(output: Path | None, inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse an output that would take the place of an input, or of any file if not told to.

    Pipes and terminals hold nothing that could be lost.

    Raises:
        ParameterError: the output is one of the inputs, or it is there and `overwrite` is False.
    """
    if output is None or not output.is_file():
        return
    shown = safe(repr(str(output)))
    if any(source.exists() and output.samefile(source) for source in inputs):
        what = f"--output {shown} is a file that this command reads"
        raise ParameterError(what, hint="Choose another file")
    if not overwrite:
        hint = "Choose another file, or say --overwrite"
        raise ParameterError(f"--output {shown} is there already", hint=hint)


def network_file(path: Path, *suffixes: str) -> Path:
    """`path`, which must name a file that ends in one of `suffixes`.

    Raises:
        ParameterError: it ends in something else, or is a folder.
        DataFileNotFoundError: there is no such file; names a similar one.
    """
    shown = safe(repr(str(path)))
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in suffixes)
        hint = f"It holds {', '.join(inside)}" if inside else ""
        raise ParameterError(f"{shown} is a folder, expected a file", hint=hint)
    if not path.exists():
        beside = sorted(p.name for s in suffixes for p in path.parent.glob(f"*{s}"))
        what = f"network file {safe(repr(path.name))} not found in {safe(repr(str(path.parent)))}"
        raise DataFileNotFoundError(what, hint=did_you_mean(path.name, beside))
    if path.suffix not in suffixes:
        wanted = " or ".join(f"FILE{suffix}" for suffix in suffixes)
        raise ParameterError(f"{shown} is no network: expected {wanted}")
    return path
