"""Running a NumPy function once on values that write themselves down."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np

from chainrule.check.named import Array
from chainrule.definition import restore_profiler
from chainrule.diagnose.tape import Node, Tape, Untraceable
from chainrule.diagnose.tracer import Tracer

Function = Callable[..., Any]


@dataclass(frozen=True)
class Trace:
    """What a function did: its tape, its result, and its local variables by name."""

    tape: Tape
    result: Node
    names: Mapping[str, Node]


def trace(
    function: Function, arrays: Mapping[str, Array], axes: Mapping[str, tuple[str, ...]]
) -> Trace:
    """Run `function` on `arrays` (by name) and write down what it computes.

    Args:
        axes: names of the axes of inputs, where they are known.

    Raises:
        Untraceable: it does something that cannot be written down.
    """
    tape = Tape()
    given: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            wide = array.astype(np.float64)
            given[name] = Tracer(tape.input(name, wide, axes.get(name, ())), tape)
        else:
            given[name] = array.copy()
            tape.known[id(given[name])] = name
            tape.kept.append(given[name])
    result, names = _run(function, given, tape)
    value = first_of(result)
    return Trace(tape, _node(value, tape), names)


def first_of(result: Any) -> Any:
    """The loss of what a forward function returns: (loss, cache) or the loss alone."""
    return result[0] if isinstance(result, tuple) and result else result


def _node(value: Any, tape: Tape) -> Node:
    if isinstance(value, Tracer):
        return value.node
    if isinstance(value, float | np.floating):  # it left as a number: float(loss), loss.item()
        for node in reversed(tape.escaped):
            if float(node.value.reshape(())) == float(value):
                return node
    raise Untraceable("its result does not come from NumPy operations on its inputs")


def _run(function: Function, given: Mapping[str, Any], tape: Tape) -> tuple[Any, dict[str, Node]]:
    """The result, and the local variables of the function when it returned."""
    code = _code(function)
    seen: dict[str, Node] = {}

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is code:
            for name, value in frame.f_locals.items():
                if isinstance(value, Tracer) and value.tape is tape:
                    seen[name] = value.node

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with np.errstate(all="ignore"):
            result = function(**given)
    except Untraceable:
        raise
    except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
        raise Untraceable(f"{type(error).__name__}: {error}") from error
    finally:
        restore_profiler(before)
    return result, seen


def _code(function: Function) -> CodeType | None:
    body = inspect.unwrap(function)
    code = getattr(body, "__code__", None)
    return code if isinstance(code, CodeType) else None
