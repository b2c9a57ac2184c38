"""From any source of a definition to what can be understood of it, mistakes included."""

from __future__ import annotations

import dis
import os
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chainrule.definition import Function, from_function, function_name
from chainrule.errors import ChainruleError, DataError
from chainrule.expr import Definition, input_
from chainrule.netfile import Definable, read_text
from chainrule.netfile.survey import MOST_MENDS, RESULT, Survey, mends, survey_net, survey_of


def survey(source: Definable, params: Iterable[str] | None = None) -> Survey:
    """What `source` says, as far as it can be understood.

    Args:
        source: a path of a ``.net`` file, an annotated function, or a definition.
        params: names of the parameters, if the source does not say or says otherwise.

    Raises:
        FormulaError: a ``.net`` file that is not in that format.
        DataFileNotFoundError: there is no such file.
    """
    if isinstance(source, str | os.PathLike):
        found = survey_net(read_text(source), name=Path(source).name)
    elif isinstance(source, Definition):
        found = survey_of(source)
    else:
        return _of_function(source, list(params or ()))
    return found if params is None else replaced(found, params=tuple(params))


def replaced(found: Survey, **parts: Any) -> Survey:
    """A survey with some parts replaced."""
    return Survey(**{**vars(found), **parts})


def _of_function(function: Function, params: list[str]) -> Survey:
    problems: list[tuple[str, ChainruleError]] = []
    running = function
    for _ in range(MOST_MENDS):
        try:
            definition = from_function(running)
        except ChainruleError as error:
            problems.append((RESULT, error))
            mended = mends(error)
            if mended is None or not isinstance(running, types.FunctionType):
                return Survey(function_name(function), None, {}, problems=tuple(problems))
            running = _redeclared(running, *mended)
            continue
        found = survey_of(definition)
        trained = tuple(params) or found.params
        lines = _lines(function)
        return replaced(found, params=trained, problems=tuple(problems), lines=lines)
    raise DataError(f"{function_name(function)} cannot be read")  # pragma: no cover


def _redeclared(function: types.FunctionType, name: str, axes: str) -> types.FunctionType:
    """The same function with other axes for one of its parameters."""
    input_(name, axes)  # refuses axes that are none
    copy = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    quoted = function.__annotations__.get(name, "")[:1] in tuple("'\"")
    copy.__annotations__ = {**function.__annotations__, name: repr(axes) if quoted else axes}
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _lines(function: Function) -> dict[str, int]:
    """The line of the file in which each local variable was last assigned, and of the return."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return {}
    lines = dict.fromkeys(code.co_varnames[: code.co_argcount], code.co_firstlineno)
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        positions = instruction.positions
        line = positions.lineno or line if positions else line
        if instruction.opname.startswith("STORE_FAST"):
            target = instruction.argval
            stored = target if isinstance(target, tuple) else (target,)
            stored = stored[:1] if "LOAD" in instruction.opname else stored
            lines.update(dict.fromkeys(stored, line))
        elif instruction.opname.startswith("RETURN"):
            lines[RESULT] = line
    return lines
