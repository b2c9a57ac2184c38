"""What a seed decides: choices that are the same on every machine and in every later version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Choices in order, each a function of the words it was made from and its place.

    >>> draw = Draw("linear-regression", 2, 7)
    >>> draw.pick(["a", "b"]) in "ab", 1 <= draw.whole(1, 3) <= 3
    (True, True)
    """

    def __init__(self, *made_from: object) -> None:
        self._key = "/".join(map(str, made_from))
        self._place = 0

    def _word(self) -> int:
        self._place += 1
        digest = hashlib.sha256(f"{self._key}/{self._place}".encode()).digest()
        return int.from_bytes(digest[:8], "big")

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self._word() % (high - low + 1)

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.whole(0, len(options) - 1)]

    def several(self, options: Sequence[T], count: int) -> list[T]:
        """So many different ones, in the order in which they were drawn."""
        left = list(options)
        return [left.pop(self.whole(0, len(left) - 1)) for _ in range(count)]
