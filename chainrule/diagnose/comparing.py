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
        chosen: the true gradients at each point, with the slopes at kinks that the hand took.
        coarse: parameters that are right to float32 only, with the largest relative difference.
    """

    lines: Mapping[str, Line]
    close: Mapping[str, float]
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
) -> Compared:
    """Compare them.

    Args:
        theirs: the hand-written gradients at each point, in the shapes of the true ones.
        dtypes: the float type in which each of them was computed.
    """
    names = list(theirs[0])
    chosen = []
    for truth, grads in zip(truths, theirs, strict=True):
        loose = {n: truth.tolerance(n, "float32") for n in names}
        chosen.append(truth.kinks.chosen(truth.grads, grads, loose))
    lines, close, coarse = {}, {}, {}
    for name in names:
        lines[name], close[name], relative = _line(name, theirs, truths, chosen, dtypes[name])
        if relative:
            coarse[name] = relative
    return Compared(lines, close, chosen, coarse)


def _line(
    name: str,
    theirs: Sequence[Mapping[str, Array]],
    truths: Sequence[Truth],
    chosen: Sequence[Mapping[str, Array]],
    dtype: str,
) -> tuple[Line, float, float]:
    """The line, the largest tolerance, and how coarse it is if only right to float32."""
    entries = at_kink = 0
    wrong: Array = np.zeros(theirs[0][name].shape, bool)
    worst: tuple[float, float, float, float, float, tuple[int, ...]] | None = None
    close = relative = 0.0
    for mine, truth, near in zip(theirs, truths, chosen, strict=True):
        yours, true = mine[name], near[name]
        tight, loose = truth.tolerance(name, dtype), truth.tolerance(name, "float32")
        error = truth.kinks.outside(name, yours, true)
        with np.errstate(all="ignore"):
            bad = ~(error <= loose)
            ratio = np.where(np.isfinite(error), error / loose, np.inf)
        entries = yours.size
        wrong = wrong | bad
        at_kink = max(at_kink, truth.kinks.count(name))
        scale = float(np.max(np.abs(true), initial=0.0))
        if scale and not bad.any() and (error > tight).any():
            relative = max(relative, float(error.max()) / scale)
        close = max(close, float(np.max(tight, initial=0.0)))
        if ratio.size:
            at = int(np.argmax(ratio))
            index = tuple(int(i) for i in np.unravel_index(at, yours.shape))
            found = (
                float(ratio.flat[at]), float(np.abs(yours - true).flat[at]),
                float(loose.flat[at] if relative else tight.flat[at]), float(yours.flat[at]),
                float(true.flat[at]), index,
            )  # fmt: skip
            if worst is None or found[0] > worst[0]:
                worst = found
    if worst is None:
        return Line(name, entries, 0, 0.0, 0.0, None, None, (), at_kink), close, relative
    _, error_at, tolerance, yours_at, true_at, index = worst
    line = Line(
        name, entries, int(wrong.sum()), error_at, tolerance, yours_at, true_at, index, at_kink
    )
    return line, close, relative
