"""Pairs of a forward and a backward function in a Python file that `chainrule check` runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chainrule.errors import ParameterError

if TYPE_CHECKING:
    from chainrule.diagnose.report import BackwardReport

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Functions:
    """One pair, and what the file says about it.

    Attributes:
        name: "" for `forward` and `backward`, x for `forward_x` and `backward_x`, or for `x` and
            `x_backward`.
        arrays: `arrays` or `arrays_x`; None if the file has neither.
        wrt: `wrt` or `wrt_x`; None if the file has neither.
    """

    name: str
    forward: Any
    backward: Any
    arrays: Any
    wrt: Any


def pairs(module: ModuleType) -> list[Functions]:
    """The pairs in a file, in the order in which their backward functions stand.

    Raises:
        ParameterError: a backward function has no forward function.
    """
    return list(_pairs(vars(module), module.__name__))


def _pairs(names: dict[str, Any], module: str) -> Iterator[Functions]:
    for name, value in names.items():
        if not callable(value) or getattr(value, "__module__", module) != module:
            continue
        found = _forward_of(name, names)
        if found is None:
            continue
        label, forward = found
        if forward is None:
            wanted = f"{FORWARD}_{label}" if label else FORWARD
            what = f"{name} has no forward function: expected one called {wanted!r}"
            raise ParameterError(what, hint=f"Write it, or call it {wanted}")
        own = {
            key: names.get(f"{key}_{label}", names.get(key)) if label else names.get(key)
            for key in ("arrays", "wrt")
        }
        yield Functions(label, forward, value, own["arrays"], own["wrt"])


def _forward_of(name: str, names: dict[str, Any]) -> tuple[str, Any] | None:
    """The label of a backward function and its forward function; None if it is no such function."""
    if name == BACKWARD:
        return "", names.get(FORWARD)
    if name.startswith(f"{BACKWARD}_"):
        label = name.removeprefix(f"{BACKWARD}_")
        return label, names.get(f"{FORWARD}_{label}", names.get(label))
    if name.endswith(f"_{BACKWARD}") and name.removesuffix(f"_{BACKWARD}") in names:
        label = name.removesuffix(f"_{BACKWARD}")
        return label, names[label]
    return None


def reports(found: list[Functions], seed: int, dtype: str) -> list[BackwardReport]:
    """The check of each pair; what the functions print goes to standard error."""
    from chainrule.diagnose.checking import check_backward

    with contextlib.redirect_stdout(sys.stderr):
        return [
            check_backward(
                pair.forward,
                pair.backward,
                pair.arrays,
                wrt=pair.wrt,
                seed=seed,
                dtype=dtype,
                name=pair.name or None,
            )
            for pair in found
        ]
