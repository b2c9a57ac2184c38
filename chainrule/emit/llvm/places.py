"""Where an entry lies: positions along axes, and addresses of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.emit.llvm.builder import Val
from chainrule.expr import Axes


@dataclass(frozen=True)
class Index:
    """A position along one axis: base + offset, and + the number of the lane if `lane`.

    Attributes:
        first, count: a run of positions, base + first and those after it, all of which exist and
            of which this is one; with `lane` the lanes that exist. 0: nothing is known.
    """

    base: Val | None = None
    offset: int = 0
    lane: bool = False
    first: int = 0
    count: int = 0


Env = Mapping[str, "Index | Val"]


@dataclass(frozen=True)
class Place:
    """Where the entries of a value lie: address of the first, axes in order, steps in entries.

    Attributes:
        depth: the scope from which on they lie there.
    """

    base: str
    axes: Axes
    strides: tuple[int, ...]
    kind: str
    padded: bool = False
    depth: int = 0
