"""The size of every axis of a graph, from those of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from chainrule.errors import ParameterError
from chainrule.expr import Expr
from chainrule.plan.program import axis_sources


def known_sizes(roots: Iterable[Expr], given: Mapping[str, int]) -> dict[str, int]:
    """The size of every axis; see `all_sizes`.

    Raises:
        ParameterError: some are missing.
    """
    found, missing = all_sizes(roots, given)
    if missing:
        example = ",".join(f"{axis}=32" for axis in missing)
        axes = f"axis {missing[0]}" if len(missing) == 1 else f"axes {', '.join(missing)}"
        raise ParameterError(f"no size is known of {axes}", hint=f"Give it: --sizes {example}")
    return found


def all_sizes(roots: Iterable[Expr], given: Mapping[str, int]) -> tuple[dict[str, int], list[str]]:
    """What is known once the sizes in `given` are: those declared, and those operations make.

    Args:
        roots: results and inputs.

    Returns:
        The sizes, and the axes of inputs whose sizes are still missing, in order.

    >>> from chainrule.expr import input_
    >>> all_sizes([input_("X", "m n=4")], {}), all_sizes([input_("X", "m n=4")], {"m": 2})
    (({'n': 4}, ['m']), ({'n': 4, 'm': 2}, []))
    """
    sources = axis_sources(roots)
    found = {}
    for axis, (how, what) in sources.items():
        if how == "known":
            found[axis] = int(what)
        elif how == "input" and axis in what[0].sizes:
            found[axis] = what[0].sizes[axis]
    found |= {axis: size for axis, size in given.items() if axis not in found}
    missing = [a for a, (how, _) in sources.items() if how == "input" and a not in found]
    pending = [axis for axis in sources if axis not in found]
    progress = True
    while pending and progress:
        ready = [a for a in pending if all(b in found for b in _needs(*sources[a]))]
        found |= {axis: _made(*sources[axis], found) for axis in ready}
        pending = [axis for axis in pending if axis not in found]
        progress = bool(ready)
    return found, missing


def _needs(how: str, what: object) -> tuple[object, ...]:
    return (None,) if how == "input" else tuple(what)  # type: ignore[arg-type]


def _made(how: str, what: Iterable[str], found: Mapping[str, int]) -> int:
    parts = [found[axis] for axis in what]
    if how == "quotient":
        return parts[0] // max(math.prod(parts[1:]), 1)
    return sum(parts) if how == "sum" else math.prod(parts)
