"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.cli.output import safe
from chainrule.errors import DataFileNotFoundError, ParameterError, did_you_mean

if TYPE_CHECKING:
    from chainrule.expr import Definition

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print the result as JSON.")]
Output = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="Write the result into this file instead."),
]
Overwrite = Annotated[
    bool, Parameter(name="--overwrite", negative=(), help="Replace the file that --output names.")
]
Seed = Annotated[int, Parameter(name="--seed", help="The same seed gives the same result.")]

Sizes = Annotated[
    str | None,
    Parameter(metavar="m=32,n=784", help="Sizes of axes that FILE does not give."),
]
FloatType = Annotated[Literal["float32", "float64"], Parameter(help="The float type of the code.")]

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


def sizes_of(text: str | None, definition: Definition) -> dict[str, int]:
    """The sizes in ``m=32,n=784``.

    Raises:
        ParameterError: a part is no axis of an input with a size ≥ 1, or says otherwise than the
            file.
    """
    declared = {axis: size for x in definition.inputs for axis, size in x.sizes.items()}
    axes = {axis for x in definition.inputs for axis in x.axes}
    found = {}
    for part in names(text, "--sizes") or ():
        axis, _, size = (word.strip() for word in part.partition("="))
        if not size.isdecimal() or not 1 <= int(size) < 2**31:
            raise ParameterError(f"--sizes takes sizes such as m=32,n=784, got {part!r}")
        if axis not in axes:
            hint = did_you_mean(axis, axes) or f"It has: {', '.join(sorted(axes))}"
            raise ParameterError(f"the network has no axis {axis!r}", where="--sizes", hint=hint)
        found[axis] = int(size)
        if declared.get(axis, found[axis]) != found[axis]:
            what = f"axis {axis!r} has size {declared[axis]} in the file, {size} in --sizes"
            raise ParameterError(what)
    return found


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
