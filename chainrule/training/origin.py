"""Where rows come from, so that a message can say which one it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAMED = 3  # rows of a batch that a message names


@dataclass(frozen=True, eq=False)
class Origin:
    """What the rows of X are called outside of training.

    Attributes:
        numbers: for each row its number, counted from 0; None if it is its place in X.
        lines: for each row its line in a file; None if it has none.
        file: the name of that file.
        columns: the names of the features, () if they have none.
        standardised: whether values are standardised, so not those of the file.
    """

    numbers: NDArray[np.int64] | None = None
    lines: NDArray[np.int64] | None = None
    file: str = ""
    columns: Sequence[str] = ()
    standardised: bool = False

    @classmethod
    def of(cls, X: object) -> Origin:
        """Rows of a caller's X: columns have names if it is a data frame."""
        return cls(columns=tuple(str(name) for name in getattr(X, "columns", ())))

    def number(self, row: int) -> int:
        """What a row of X is called."""
        return row if self.numbers is None else int(self.numbers[row])

    def row(self, row: int) -> str:
        """One row of X.

        >>> Origin(lines=np.array([2, 3, 5]), file="train.csv").row(2)
        'row 2 (line 5 of train.csv)'
        """
        line = "" if self.lines is None else f" (line {self.lines[row]} of {self.file})"
        return f"row {self.number(row)}{line}"

    def cell(self, data: str, row: int, index: Sequence[int], value: float) -> str:
        """One value of "X" or "y" and the place where it stands.

        >>> Origin().cell("X", 7, (2,), 0.0), Origin(columns=["a", "b"]).cell("X", 7, (1,), 0.0)
        ('X[7, 2] = 0', 'b = 0')
        """
        if data == "X" and len(index) == 1 and self.columns:
            name = self.columns[index[0]]
        else:
            name = f"{data}[{', '.join(map(str, (self.number(row), *index)))}]"
        return f"{name} = {value:g}" + (" (standardised)" if self.standardised else "")

    def rows(self, rows: NDArray[np.int64]) -> str:
        """The rows of a batch.

        >>> Origin().rows(np.arange(192, 224)), Origin().rows(np.array([5, 93, 12, 40]))
        ('rows 192–223', 'rows 5, 93, 12, …')
        """
        numbers = [self.number(int(row)) for row in rows]
        if len(numbers) == 1:
            return f"row {numbers[0]}"
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return f"rows {numbers[0]}–{numbers[-1]}"
        shown = ", ".join(map(str, numbers[:NAMED]))
        return f"rows {shown}{', …' if len(numbers) > NAMED else ''}"
