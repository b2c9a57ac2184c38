"""Gradients against true ones: rounding errors and kinks are not mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.precision import Truth
from chainrule.diagnose.report import Line


@dataclass(frozen=True)
class Compared:
    """All gradients compared at all points.

    Attributes:
        lines: one for each parameter.
        close: for each parameter how near is near enough, for the search of mistakes.
        loose: the same for code that computes in float32 inside.
        chosen: the true gradients at each point, with the slopes at kinks that the hand took.
        coarse: parameters that are right to float32 only, with the largest relative difference.
    """

    lines: Mapping[str, Line]
    close: Mapping[str, float]
    loose: Mapping[str, float]
    chosen: Sequence[Mapping[str, Array]]
    coarse: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """Whether all are right."""
        return all(line.ok for line in self.lines.values())


def compared(
    theirs: Sequence[Mapping[str, Array]],
    truths: Sequence[Truth],
    dtypes: Mapping[str, str],
    values: Sequence[Mapping[str, Array]] = (),
) -> Compared:
    """Compare them.

    Args:
        theirs: the hand-written gradients at each point, in the shapes of the true ones.
        dtypes: the float type in which each of them was computed.
        values: the parameters at each point.
    """
    names = list(theirs[0])
    chosen = []
    for truth, grads in zip(truths, theirs, strict=True):
        room = {n: truth.tolerance(n, "float32") for n in names}
        chosen.append(truth.kinks.chosen(truth.grads, grads, room))
    lines, close, coarse = {}, {}, {}
    loose = {
        n: max(float(np.max(t.tolerance(n, "float32"), initial=0.0)) for t in truths) for n in names
    }
    for name in names:
        lines[name], close[name], relative = _line(
            name, theirs, truths, chosen, dtypes[name], values
        )
        if relative:
            coarse[name] = relative
    return Compared(lines, close, loose, chosen, coarse)


def _line(
    name: str,
    theirs: Sequence[Mapping[str, Array]],
    truths: Sequence[Truth],
    chosen: Sequence[Mapping[str, Array]],
    dtype: str,
    values: Sequence[Mapping[str, Array]],
) -> tuple[Line, float, float]:
    """The line, the largest tolerance, and how coarse it is if only right to float32."""
    yours, true = (np.stack([g[name] for g in grads]) for grads in (theirs, chosen))
    tight = np.stack([t.tolerance(name, dtype) for t in truths])
    loose = np.stack([t.tolerance(name, "float32") for t in truths])
    pairs = zip(truths, yours, true, strict=True)
    error = np.stack([t.kinks.outside(name, mine, right) for t, mine, right in pairs])
    wrong = ~(error <= loose)
    close = float(np.max(tight, initial=0.0))
    size = float(np.max(np.abs(true), initial=0.0))
    coarse = bool(size) and not wrong.any() and bool((error > tight).any())
    kinks = max(t.kinks.count(name) for t in truths)
    if not error.size:
        return Line(name, 0, 0, 0.0, 0.0, None, None, (), kinks), close, 0.0
    with np.errstate(all="ignore"):
        far = np.where(np.isfinite(error), error / loose, np.inf)
        ratio = (yours / true)[wrong & (np.abs(true) > loose)]
    at = np.unravel_index(int(np.argmax(far)), error.shape)
    point, index = int(at[0]), tuple(int(i) for i in at[1:])
    line = Line(
        name,
        yours[0].size,
        int(wrong.any(axis=0).sum()),
        float(np.abs(yours - true)[at]),
        float((loose if coarse else tight)[at]),
        float(yours[at]),
        float(true[at]),
        index,
        kinks,
        float(np.reshape(values[point][name], yours[0].shape)[index]) if values else None,
        (float(ratio.min()), float(ratio.max())) if ratio.size else None,
    )
    return line, close, float(error.max()) / size if coarse else 0.0
