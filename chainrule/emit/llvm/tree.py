"""Sums over many examples: leaves in order, then pairwise, as a binary counter carries."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

from chainrule.emit.llvm.builder import INT, Builder, Val
from chainrule.plan.tiles import GROUP, LEAF, groups_before_last, kept_levels

Leaf = Callable[[Val, int], list[str]]
"""The sums of so many examples from a first one on, for every cell of a tile."""
Kept = Callable[[Val, int], str]
"""The address of what is kept at a level for one cell, from the level of whole groups on."""


class Tree:
    """Leaves of `LEAF` examples, added pairwise: level l holds the sums of 2^l leaves.

    The tree depends on the number of examples alone. `GROUP` leaves at a time are written out, for
    there it is known at once which sums each leaf is added to; whole groups are then carried by
    their number. The last leaves, at most a group of them, stay in registers until the end.

    Args:
        type: of a sum in LLVM.
        cells: how many sums there are side by side.
        kept: where sums of whole groups are; None: in the frame of the function.
    """

    def __init__(
        self, b: Builder, type: str, cells: int, rows: int, leaf: Leaf, kept: Kept | None
    ) -> None:
        self.b, self.type, self.cells, self.leaf = b, type, cells, leaf
        self.leaves = -(-rows // LEAF)
        self.groups = groups_before_last(rows)
        self.short = rows - (self.leaves - 1) * LEAF  # examples of the last leaf
        self._inner = b.stack_slot(f"[{_ones(GROUP - 1) * cells} x {type}]")
        self._current = b.stack_slot(f"[{cells} x {type}]")
        outer = b.stack_slot(f"[{kept_levels(rows) * cells} x {type}]") if kept is None else ""
        self._kept = kept or functools.partial(self._slot, outer)

    def whole(self) -> list[str]:
        """The sums of all examples."""
        if self.groups:
            self.b.loop("0", str(self.groups), 1, lambda k, _: self.keep_group(k))
        return self.rest()

    def keep_group(self, number: Val) -> None:
        """Sum the group of this number and add it to what is kept."""
        first = self.b.binary("mul", number, self.b.whole(GROUP * LEAF))
        self._carry(self._group(first, GROUP, LEAF), number)

    def rest(self) -> list[str]:
        """The last leaves, and all that is kept."""
        last = self.leaves - self.groups * GROUP
        total = self._group(self.b.whole(self.groups * GROUP * LEAF), last, self.short)
        done = _ones(last - 1)
        left = [x for x in range(self.leaves.bit_length()) if (self.leaves - 1) >> x & 1]
        return self._with_levels([x for x in left if x >= done], total)

    def _group(self, first: Val, count: int, short: int) -> list[str]:
        """`count` leaves, the last of them of `short` examples; its sum, not yet put away."""
        total: list[str] = []
        for i in range(count):
            if i:
                self._store(total, self._level(_ones(i - 1)))
            start = self.b.binary("add", first, self.b.whole(i * LEAF))
            total = self.leaf(start, short if i == count - 1 else LEAF)
            total = self._with_levels(range(_ones(i)), total)
        return total

    def _carry(self, sums: list[str], number: Val) -> None:
        """Add a group as 1 is added to a binary counter that stands at `number`.

        For as many lowest bits of the number as are 1 it takes the sum of that level along; then
        it is put at the next level.
        """
        b = self.b
        self._store(sums, self._here)
        flipped = b.binary("xor", number, b.whole(-1))
        b.declares.add("declare i64 @llvm.cttz.i64(i64, i1 immarg)")
        code = f"call i64 @llvm.cttz.i64(i64 {flipped.ssa}, i1 true)"
        ones = Val(b.op(code, flipped.depth), INT, False, flipped.depth)

        def take_along(level: Val, _: list[str]) -> None:
            held = self._load(functools.partial(self._kept, level))
            self._store(b.sums(self.type, held, self._load(self._here)), self._here)

        b.loop("0", ones.ssa, 1, take_along)
        self._store(self._load(self._here), functools.partial(self._kept, ones))

    def _with_levels(self, levels: Iterable[int], total: list[str]) -> list[str]:
        """`total`, to which the sums of these levels are added in turn."""
        for level in levels:
            total = self.b.sums(self.type, self._load(self._level(level)), total)
        return total

    def _level(self, level: int) -> Callable[[int], str]:
        """The address of each cell of one level."""
        within = _ones(GROUP - 1)
        if level < within:
            return functools.partial(self._slot, self._inner, self.b.whole(level))
        return functools.partial(self._kept, self.b.whole(level - within))

    def _here(self, cell: int) -> str:
        return self._slot(self._current, self.b.whole(0), cell)

    def _slot(self, memory: str, level: Val, cell: int) -> str:
        place = self.b.binary("mul", level, self.b.whole(self.cells))
        place = self.b.binary("add", place, self.b.whole(cell))
        return self.b.op(f"getelementptr {self.type}, ptr {memory}, i64 {place.ssa}", place.depth)

    def _load(self, at: Callable[[int], str]) -> list[str]:
        return [self.b.reload(self.type, at(cell)) for cell in range(self.cells)]

    def _store(self, sums: Sequence[str], at: Callable[[int], str]) -> None:
        for cell, x in enumerate(sums):
            self.b.do(f"store {self.type} {x}, ptr {at(cell)}")


def _ones(number: int) -> int:
    """How many lowest bits are 1.

    >>> [_ones(n) for n in (0, 1, 2, 3, 7)]
    [0, 1, 0, 2, 3]
    """
    return (~number & number + 1).bit_length() - 1
