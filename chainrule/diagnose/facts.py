"""What is known of a wrong gradient that no single mistake explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.comparing import Compared
from chainrule.diagnose.report import Mistake

Grads = Sequence[Mapping[str, Array]]


def swapped(names: Sequence[str], theirs: Grads, found: Compared) -> Mistake | None:
    """Two results of one shape that stand in each other's place."""
    wrong = [n for n in names if not found.lines[n].ok]
    for i, a in enumerate(wrong):
        for b in wrong[i + 1 :]:
            if theirs[0][a].shape == theirs[0][b].shape and all(
                _near(t[a], c[b], found.close[b]) and _near(t[b], c[a], found.close[a])
                for t, c in zip(theirs, found.chosen, strict=True)
            ):
                says = f"swapped results: what is returned for {a} is the gradient of {b}, and vice versa"
                evidence = (
                    f"d{a} equals the true gradient of {b} in all {theirs[0][a].size} entries"
                )
                if len(wrong) == 2:
                    return Mistake(a, (a, b), "swapped results", says, evidence)
    return None


def _near(a: Array, b: Array, close: float) -> bool:
    return bool(np.max(np.abs(a - b), initial=0.0) <= close)


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
