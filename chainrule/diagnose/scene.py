"""What a change of the true backward pass is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chainrule.diagnose.passes import Backward, Change, Pass, Place
from chainrule.expr import Expr
from chainrule.ops.indexing import rename

# Steps that only pass on what arrives: nothing about them can be forgotten but the step itself.
LINEAR = frozenset(
    "add sub neg sum mean expand transpose rename merge split slice pad concat where max min "
    "stop_gradient gather scatter_add".split()
)
FIRST, LAST = "e_first", "e_last"  # 1 at one example, 0 at all others
BEFORE = "__before"  # what a value was in the call before
MOST_VALUES = 24  # of the same shape, that could have been mistaken for one another
Rule = Callable[..., Sequence[Expr | None]]

# How simple an explanation is: of several that fit, the one with the smallest number is named.
COSTS = {
    "factor": 1.0, "sign": 1.0, "missing path": 1.0, "double-counted path": 1.0,
    "missing derivative": 1.2, "doubled derivative": 1.6, "derivative at wrong value": 1.8,
    "missing transpose": 1.5, "missing sum": 1.5, "wrong cached value": 2.0,
    "stale value": 2.2, "extra term": 2.4, "wrong upstream": 1.9, "missing term": 2.1,
    "wrong term": 2.6, "extra factor": 2.7,
}  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One change of one step.

    Attributes:
        place: the step.
        change: what it contributes instead.
        kind: what sort of mistake that is, a key of `COSTS`.
        says: what was done, in words; {name} of values are filled in.
        cost: how far-fetched it is.
        additive: whether some multiple of it comes on top of the true step.
    """

    place: Place
    change: Change
    kind: str
    says: str
    cost: float
    additive: bool = False


@dataclass(frozen=True)
class Scene:
    """What edits are made from.

    Attributes:
        backward: the network.
        current: its pass, with the mistakes found so far.
        sizes: of all axes.
        call: how a value is called.
        before: values of the call before, by the value they are of.
    """

    backward: Backward
    current: Pass
    sizes: Mapping[str, int]
    call: Callable[[Expr], str]
    before: Mapping[Expr, Expr]
    notable: Sequence[Expr]
    examples: str

    def shape(self, x: Expr) -> tuple[int, ...]:
        """Sizes of the axes of `x`."""
        return tuple(self.sizes.get(axis, 1) for axis in x.axes)

    def arriving(self, x: Expr) -> str:
        """What the derivative with respect to a value is called."""
        name = self.call(x)
        return f"d{name}" if name.isidentifier() else f"what arrives at {name}"

    def like(self, wanted: Expr, pool: Sequence[Expr]) -> Iterator[tuple[Expr, Expr]]:
        """Values of the same shape as `wanted`, and the same with its axes."""
        count = 0
        for value in pool:
            if value is wanted or value.kind == "bool" or self.shape(value) != self.shape(wanted):
                continue
            to = {a: b for a, b in zip(value.axes, wanted.axes, strict=True) if a != b}
            yield value, rename(value, **to) if to else value
            count += 1
            if count == MOST_VALUES:
                return


def edit(place: Place, kind: str, says: str, change: Change, extra: float = 0.0) -> Edit:
    """The change of one step, with the cost of its kind."""
    return Edit(place, change, kind, says, COSTS[kind] + extra)
