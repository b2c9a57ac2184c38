"""Sizes of axes as unknowns, and which of them are the same: unification.

A size is a whole number for an unknown, `ONE` for 1. Unknowns stand for sizes that differ unless
something makes them equal: an unknown never becomes 1, so that what is a number, a vector or a
matrix is settled before sizes are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

ONE = 0
LETTERS = "mnkpqrsdhijlcguv"  # for sizes that a text does not name
Shape = tuple[int, int]
NUMBER: Shape = (ONE, ONE)


class Misfit(Exception):
    """Two sizes that would have to be equal and cannot be."""


class Unread(Misfit):
    """A notation that this reader does not know, such as S_i for a row of a matrix."""


@dataclass
class Sizes:
    """Unknown sizes.

    Attributes:
        parent: the union-find forest: what an unknown was found to equal.
        names: of roots: the letter or number by which the text calls the size.
    """

    parent: list[int] = field(default_factory=lambda: [ONE])
    names: dict[int, str] = field(default_factory=lambda: {ONE: "1"})

    def copy(self) -> Sizes:
        """One that can be changed by itself."""
        return Sizes(list(self.parent), dict(self.names))

    def new(self, name: str = "") -> int:
        """An unknown; the one that is already called `name`, if it is given."""
        if name == "1":
            return ONE
        for size, known in self.names.items():
            if name and known == name:
                return self.root(size)
        self.parent.append(len(self.parent))
        if name:
            self.names[len(self.parent) - 1] = name
        return len(self.parent) - 1

    def root(self, size: int) -> int:
        """What stands for a size and all that equal it."""
        while self.parent[size] != size:
            size = self.parent[size]
        return size

    def name(self, size: int) -> str:
        """How the text calls it; "" if it does not."""
        return self.names.get(self.root(size), "")

    def same(self, a: int, b: int) -> bool:
        """Whether two sizes are known to be equal."""
        return self.root(a) == self.root(b)

    def unify(self, a: int, b: int) -> bool:
        """Make two sizes equal; False if they cannot be."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return True
        if ONE in (a, b):
            return False
        names = [self.names[x] for x in (a, b) if x in self.names]
        if len(names) == 2:  # two letters are two sizes
            return False
        if b in self.names:
            a, b = b, a
        self.parent[b] = a
        return True

    def shown(self, shape: Shape) -> str:
        """``k×m``; sizes without a name are dots."""
        return "×".join(self.name(size) or "·" for size in shape)

    def name_all(self, used: Iterable[int], taken: Iterable[str]) -> None:
        """Call every size that has no name by a letter that means nothing else."""
        known = {*self.names.values(), *taken}
        letters = (x for x in LETTERS if x not in known)
        for size in used:
            root = self.root(size)
            if root not in self.names:
                self.names[root] = next(letters, "")

    def is_number(self, shape: Shape) -> bool:
        """Whether it is 1×1."""
        return self.root(shape[0]) == ONE == self.root(shape[1])
