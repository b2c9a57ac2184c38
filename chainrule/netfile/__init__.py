"""The ``.net`` text format, and `define`, which takes a definition in any form."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from chainrule.definition import Function, from_function, without_frozen
from chainrule.errors import DataFileNotFoundError, FormulaError, ParameterError, did_you_mean
from chainrule.expr import Definition
from chainrule.netfile.text import parse_net
from chainrule.netfile.tokens import LONGEST_FILE
from chainrule.netfile.write import write_net
from chainrule.nn import revised

__all__ = ["Definable", "define", "parse_net", "read_net", "write_net"]

SUFFIX = ".net"
Definable = Definition | Function | str | os.PathLike[str]
"""The three ways to write a definition, and a definition itself."""


def define(
    source: Definable,
    *,
    params: Iterable[str] | None = None,
    frozen: Iterable[str] = (),
    name: str | None = None,
) -> Definition:
    r"""The definition that `source` writes down; equal ones are one object.

    Args:
        source: a Python function whose parameters are annotated with axes, the path of a ``.net``
            file, or a definition, which comes back as it is.
        params: the inputs that training changes, if `source` does not say or says otherwise.
        frozen: those of the parameters that training leaves alone after all.
        name: of the definition, in place of its own.

    Raises:
        FormulaError, GraphError, ShapeError, ParameterError: see `parse_net` and `from_function`.
        DataFileNotFoundError: there is no such file.

    >>> def line(w: "", x: "m"):
    ...     return w * x
    >>> define(line, params=["w"]) is parse_net("net line\nparam w:\ninput x: m\nreturn w * x")
    True
    """
    params = [params] if isinstance(params, str) else params
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not path.endswith(SUFFIX):
            hint = f"A path ends in {SUFFIX}; text of a definition goes to parse_net"
            raise ParameterError(f"{path[:60]!r} is no path of a {SUFFIX} file", hint=hint)
        source = read_net(path)
    if not isinstance(source, Definition):
        return from_function(source, params=params, frozen=frozen, name=name)
    kept = without_frozen(source.params if params is None else params, frozen, source.input)
    label = source.name if name is None else name
    if set(kept) == set(source.params) and label == source.name:
        return source
    return revised(source, name=label, params=kept)


def read_net(path: str | os.PathLike[str]) -> Definition:
    """The definition in a ``.net`` file: UTF-8, at most a megabyte.

    Raises:
        DataFileNotFoundError: there is no such file.
        FormulaError, GraphError, ShapeError: as `parse_net`.
    """
    return parse_net(read_text(path), name=Path(path).name)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a ``.net`` file.

    Raises:
        DataFileNotFoundError: there is no such file.
        FormulaError: it is larger than a megabyte, or not UTF-8.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        hint = did_you_mean(path.name, (p.name for p in path.parent.glob(f"*{SUFFIX}")))
        what = f"network file {path.name!r} not found in {str(path.parent)!r}"
        raise DataFileNotFoundError(what, hint=hint) from None
    if len(data) > LONGEST_FILE:
        raise FormulaError(f"file is larger than {LONGEST_FILE} bytes", where=path.name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise FormulaError(what, where=f"{path.name} line {line}") from None
