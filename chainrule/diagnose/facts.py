"""What is known of a wrong gradient that no single mistake explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.comparing import Compared
from chainrule.diagnose.report import Mistake

Grads = Sequence[Mapping[str, Array]]


def facts(name: str, theirs: Grads, found: Compared) -> Mistake:
    """Which entries are wrong, by how much, and what the difference looks like."""
    yours, true = theirs[0][name], found.chosen[0][name]
    line = found.lines[name]
    says = f"unexplained: d{name} is wrong, and no single mistake that is known here explains it"
    told = [f"{line.wrong} of {line.entries} entries differ"]
    with np.errstate(all="ignore"):
        ratio = (yours / true)[np.abs(true) > found.close[name]]
    if not np.isfinite(yours).all():
        told.append(f"{int((~np.isfinite(yours)).sum())} are not finite")
    elif ratio.size:
        told.append(f"yours over true ranges from {ratio.min():.4g} to {ratio.max():.4g}")
    difference = yours - true
    if difference.ndim == 2 and np.isfinite(difference).all() and min(difference.shape) > 1:
        singular = np.linalg.svd(difference, compute_uv=False)
        rank = int((singular > max(1e-9 * singular[0], found.close[name])).sum())
        if rank < min(difference.shape):
            told.append(f"the difference has rank {rank}")
        told += _rows(difference, found.close[name])
    return Mistake(name, (name,), "unexplained", says, "; ".join(told).replace("-", "−"))


def _rows(difference: Array, close: float) -> list[str]:
    """Rows or columns that are right, if some are."""
    told = []
    for axis, what in ((1, "rows"), (0, "columns")):
        wrong = (np.abs(difference) > close).any(axis=axis)
        if wrong.any() and not wrong.all():
            shown = ", ".join(map(str, np.flatnonzero(wrong)[:8]))
            told.append(f"only {what} {shown} are wrong")
    return told
