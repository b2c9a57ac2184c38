"""Distinct labels: collected from training rows, numbered, and what an unseen one gets told."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.io.wording import label, listed, quoted

UNSEEN = -1


def collect(texts: Iterable[str], where: str) -> tuple[str, ...]:
    """The distinct texts, sorted. Raises DataError if two differ only in blanks or NFC."""
    levels = sorted(set(texts))
    twins: defaultdict[str, list[str]] = defaultdict(list)
    for level in levels:
        twins[" ".join(unicodedata.normalize("NFC", level).split())].append(level)
    for same in twins.values():
        if len(same) > 1:
            raise DataError(
                f"{quoted(same[0])} and {quoted(same[1])} differ only in blanks or in the way "
                "an accent is stored: would they be one label or two",
                where=where,
                hint="Write them alike in the file",
            )
    return tuple(levels)


def number(values: Iterable[object], levels: Sequence[object]) -> NDArray[np.int64]:
    """The index in `levels` of each value, `UNSEEN` where it is none of them."""
    index: Mapping[object, int] = {level: i for i, level in enumerate(levels)}
    return np.array([index.get(value, UNSEEN) for value in values], dtype=np.int64)


def unseen_error(
    value: object, levels: Sequence[object], row: int, where: str, hint: str = ""
) -> DataError:
    """The error for a label or category that was not there in training."""
    return DataError(
        f"label {label(value)} (row {row}) was not seen in training. Known: {listed(levels, 20)}",
        where=where,
        hint=hint,
    )
