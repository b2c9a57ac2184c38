"""What is wrong with an answer, and how much of the points it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.diagnose.checking import check_backward
from chainrule.diagnose.factors import factor_means, factor_name
from chainrule.errors import ChainruleError
from chainrule.exercises.network import SIZES, Network
from chainrule.expr import EXAMPLES
from chainrule.run.bind import Array

# What share of the points an answer with one mistake keeps: those below, or `ONE_MISTAKE`.
KEEPS = {
    "sign": 0.8,
    "factor": 0.8,
    "transposed": 0.7,
    "missing transpose": 0.7,
    "missing sum": 0.6,
    "mean": 0.6,
    "shape": 0.6,
    "zero gradient": 0.0,
}
ONE_MISTAKE = 0.5
# kinds that say nothing about the formula, or so little that anything could be said to be it
# ("shape" is said here by `simple`, where the entries at least are right)
NO_MISTAKE = (
    "unexplained",
    "raises",
    "non-deterministic",
    "stale value",
    "wrong upstream",
    "shape",
)


@dataclass(frozen=True)
class Finding:
    """One mistake: its kind, a sentence about it, and the share of the points that are kept."""

    kind: str
    says: str

    @property
    def keeps(self) -> float:
        """The share of the points."""
        return KEEPS.get(self.kind, ONE_MISTAKE)


def close(a: Array, b: Array) -> bool:
    """Whether two values are the same up to rounding."""
    if a.shape != b.shape or not np.isfinite(a).all():
        return False
    scale = float(np.max(np.abs(b), initial=0.0))
    return bool(np.max(np.abs(a - b), initial=0.0) <= 1e-9 * max(scale, 1e-3))


def simple(name: str, yours: Sequence[Array], true: Sequence[Array]) -> Finding | None:
    """Mistakes that show in the numbers: a factor, a transpose, examples that were not summed."""
    pairs = list(zip(yours, true, strict=True))
    if all(y.shape == t.shape for y, t in pairs):
        return _multiple(name, pairs)
    if all(close(y.T, t) for y, t in pairs):
        return Finding("transposed", f"{name} comes out transposed: {_shapes(pairs[0])}")
    for axis, what in ((1, "columns"), (0, "rows"), (None, "entries")):
        found = _summed(name, pairs, axis, what)
        if found is not None:
            return found
    same = [(y.reshape(-1), t.reshape(-1)) for y, t in pairs]
    if all(y.size == t.size and close(y, t) for y, t in same):
        return Finding(
            "shape", f"{name} has the right entries in another shape: {_shapes(pairs[0])}"
        )
    return None


def _summed(
    name: str, pairs: Sequence[tuple[Array, Array]], axis: int | None, what: str
) -> Finding | None:
    """Whether the sum over an axis, or over everything, would make it right."""
    if any(y.ndim != 2 or y.size <= t.size for y, t in pairs):
        return None
    summed = [(y.sum(axis=axis).reshape(-1), t.reshape(-1)) for y, t in pairs]
    if any(s.shape != t.shape for s, t in summed):
        return None
    says = f"the sum over the {what} is missing in {name}: {_shapes(pairs[0])}"
    if all(close(s, t) for s, t in summed):
        return Finding("missing sum", says)
    factor = _multiple(f"{name}, summed,", summed)
    return Finding("missing sum", f"{says}. Besides, {factor.says}") if factor else None


def _shapes(pair: tuple[Array, Array]) -> str:
    yours, true = (" × ".join(map(str, a.shape)) or "a number" for a in pair)
    return f"with the sizes used here yours is {yours}, the right one {true}"


def _multiple(name: str, pairs: Sequence[tuple[Array, Array]]) -> Finding | None:
    ratios: list[float] = []
    for yours, true in pairs:
        large = np.abs(true) > 1e-9 * float(np.max(np.abs(true), initial=0.0))
        if not large.any() or not close(np.where(large, 0, yours), np.where(large, 0, true)):
            return None
        ratios += (yours[large] / true[large]).tolist()
    factor = float(np.median(ratios))
    if not np.isfinite(factor) or max(abs(r - factor) for r in ratios) > 1e-8 * max(
        abs(factor), 1e-9
    ):
        return None
    if abs(factor) < 1e-12:
        return Finding("zero gradient", f"your {name} is 0 everywhere")
    if abs(factor + 1) < 1e-9:
        return Finding("sign", f"your {name} has the wrong sign in every entry")
    called = factor_name(factor, SIZES)
    number = f"{factor:.3f}".replace("-", "−")
    means = f" ({called})" if called and called not in ("1", "2") else ""
    every = " in every entry" if pairs[0][1].size > 1 else ""
    return Finding(
        "factor", f"your {name} is {number}{means} times the right one{every}{_hint(called)}"
    )


SQUARES = {
    "2": "the ½ in front of the loss cancels the 2 of the square, or a 2 was counted twice",
    "½": "the derivative of a square brings a 2",
}


def _hint(called: str) -> str:
    """What usually stands behind a factor in these problems."""
    says = SQUARES.get(called) or factor_means(called, (EXAMPLES,))
    return f": {says}" if says else ""


Backward = Callable[[Network, Mapping[str, Array]], Array]


def searched(network: Network, of: str, backward: Backward) -> Finding | None:
    """The mistake that a search over changes of the true derivation finds.

    Args:
        network: what the answer is about.
        of: the value by which is derived.
        backward: the answer at arrays of a network.
    """
    cut = network.cut(of)
    shape = tuple(cut.size(a) for a in cut.named[of].axes)

    def mine(**arrays: Array) -> dict[str, Array]:
        found = backward(cut, arrays)
        return {of: found.reshape(shape) if found.size == np.prod(shape) else found}

    try:
        report = check_backward(cut.definition, mine, cut.points[0], wrt=[of])
    except ChainruleError:
        return None
    mistakes = [m for m in report.mistakes if m.kind != "raises"]
    if len(mistakes) != 1 or mistakes[0].kind in NO_MISTAKE:
        return None
    [mistake] = mistakes
    sentence = mistake.sentence.removeprefix(f"{mistake.kind}: ")
    if sentence.startswith("d"):
        sentence = f"your {sentence}"
    sentence = sentence.replace(f"d{of} ", f"{network.called(of)} ", 1)
    yours = f"\nYours amounts to {mistake.yours}" if mistake.yours else ""
    return Finding(mistake.kind, f"{mistake.kind}: {sentence}{yours}")
