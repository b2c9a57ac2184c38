"""Gradients of a function that could not be written down: worked out from its values alone.

Differences extrapolated to step 0 (Ridders 1982), from both sides: where the slopes differ there is
a kink, and what lies between them is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from chainrule.check.named import Array
from chainrule.check.oracle import RIDDERS_SAFETY, extrapolated
from chainrule.diagnose.calling import Function, called
from chainrule.diagnose.comparing import Compared
from chainrule.diagnose.factors import factor_name
from chainrule.diagnose.facts import facts
from chainrule.diagnose.kinks import Kinks
from chainrule.diagnose.precision import EPS, SAMPLES, Truth
from chainrule.diagnose.report import Mistake
from chainrule.diagnose.trace import first_of
from chainrule.errors import ResourceError

LEVELS = 10  # steps, each half the one before
FIRST_STEP = 2.0**-4  # relative to the size of the values
ROUGH_STEP = 2.0**-18  # relative: some last places of float32; its cube is below that of float64
MOST_ENTRIES = 2000  # for each of which the function is called some twenty times
CLOSE = 1e-4  # relative: how near a factor must be to be called by its name
SAME = 1e-6  # relative: how near ratios must be to be one factor

Loss = Callable[[Mapping[str, Array]], float]
Gradient = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def loss_of(function: Function, upstream: Array | float) -> Loss:
    """The number that is differentiated: the loss, or the weighted result."""

    def loss(arrays: Mapping[str, Array]) -> float:
        result, _ = called(function, {n: a.copy() for n, a in arrays.items()})
        value = np.asarray(first_of(result), np.float64)
        return float(np.sum(value * upstream))

    return loss


def truth_from_values(
    loss: Loss, arrays: Mapping[str, Array], wrt: Sequence[str], yours: Gradient
) -> Truth:
    """Gradients at one point from values of the loss.

    Args:
        yours: the hand-written gradients at other arrays, which say how sensitive they are to
            rounding errors of their inputs.

    Raises:
        ResourceError: there are too many entries for that.
    """
    wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    total = sum(wide[n].size for n in wide if n in wrt)
    if total > MOST_ENTRIES:
        what = (
            f"{total} entries are too many to work out from values alone (at most {MOST_ENTRIES})"
        )
        raise ResourceError(what, hint="Check at smaller arrays")
    base = loss(wide)
    jitter = _jitter(loss, wide, wrt, base)
    grads, floor, near = {}, {}, {}
    for name in wrt:
        found = [_slopes(loss, wide, name, i, base, jitter) for i in range(wide[name].size)]
        shape = wide[name].shape
        value, left, right, error = (np.array(x).reshape(shape) for x in zip(*found, strict=True))
        grads[name], floor[name] = value, RIDDERS_SAFETY * error
        near[name] = np.stack([left - value, right - value])
    noise = _noise(yours, wide, wrt)
    none = {n: g[None] for n, g in grads.items()}
    empty = {n: np.zeros((0, *g.shape)) for n, g in grads.items()}
    return Truth(base, grads, noise, Kinks(none, near, empty), floor)


def _jitter(loss: Loss, arrays: Mapping[str, Array], wrt: Sequence[str], base: float) -> float:
    """How much rounding errors change the loss: those of the inputs, and those within it.

    A function that computes in float32 inside does not follow small steps smoothly: differences of
    the third order show it, or that its values are numbers of float32.
    """
    draw = np.random.default_rng(0)
    worst, values = 0.0, [base]
    for _ in range(3):
        signs = {n: _signs(draw, arrays[n]) for n in wrt}

        def at(step: float, signs: Mapping[str, Array] = signs) -> float:
            return loss(
                {n: a * (1 + step * signs[n]) if n in wrt else a for n, a in arrays.items()}
            )

        one, two, three = (at(k * ROUGH_STEP) for k in (1, 2, 3))
        values += [one, two, three]
        bent = three - 3 * two + 3 * one - base
        worst = max(worst, abs(at(EPS["float64"]) - base), abs(bent))
    with np.errstate(over="ignore"):
        coarse = all(float(np.float32(x)) == x for x in values)
    return 4 * EPS["float32" if coarse else "float64"] * abs(base) + worst


def _signs(draw: np.random.Generator, like: Array) -> Array:
    return np.where(draw.random(like.shape) < 0.5, -1.0, 1.0)


def _noise(yours: Gradient, arrays: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
    """How much the hand-written gradients move with errors of float32 in their inputs."""
    draw = np.random.default_rng(1)
    base = yours(arrays)
    worst = {n: np.abs(base[n]) * EPS["float32"] for n in wrt}
    for _ in range(SAMPLES // 2):
        near = {
            n: a * (1 + EPS["float32"] * _signs(draw, a)) if a.dtype.kind == "f" else a
            for n, a in arrays.items()
        }
        moved = yours(near)
        for n in wrt:
            if moved[n].shape == worst[n].shape:
                worst[n] = np.maximum(worst[n], np.abs(moved[n] - base[n]))
    return worst


def _slopes(
    loss: Loss, arrays: Mapping[str, Array], name: str, entry: int, base: float, jitter: float
) -> tuple[float, float, float, float]:
    """The derivative with respect to one entry, the slopes to both sides, and its error."""
    values = arrays[name]
    size = max(abs(float(values.flat[entry])), float(np.sqrt(np.mean(values**2))) or 1.0)
    rows: dict[str, list[Array]] = {"central": [], "left": [], "right": []}
    noise: list[Array] = []
    for level in range(LEVELS):
        h = size * FIRST_STEP / 2**level
        above, below = (_moved(loss, arrays, name, entry, s * h) for s in (1, -1))
        rows["central"].append(np.array([(above - below) / (2 * h)]))
        rows["right"].append(np.array([(above - base) / h]))
        rows["left"].append(np.array([(base - below) / h]))
        noise.append(np.array([jitter / h]))
    value, error = (float(x[0]) for x in extrapolated(rows["central"], noise, 4.0))
    right, right_error = (float(x[0]) for x in extrapolated(rows["right"], noise, 2.0))
    left, left_error = (float(x[0]) for x in extrapolated(rows["left"], noise, 2.0))
    if abs(right - left) > RIDDERS_SAFETY * (right_error + left_error):
        return (left + right) / 2, left, right, right_error + left_error
    return value, value, value, error


def _moved(loss: Loss, arrays: Mapping[str, Array], name: str, entry: int, step: float) -> float:
    moved = arrays[name].copy()
    moved.flat[entry] += step
    return loss({**arrays, name: moved})


def from_numbers(
    names: Sequence[str],
    theirs: Sequence[Mapping[str, Array]],
    found: Compared,
    sizes: Mapping[str, int],
) -> list[Mistake]:
    """What the numbers alone say: a factor common to all, one for each, or facts."""
    wrong = [n for n in names if not found.lines[n].ok]
    factors = {n: _factor(n, theirs, found) for n in wrong}
    known = [f for f in factors.values() if f is not None]
    if len(wrong) > 1 and len(known) == len(wrong) and np.ptp(known) <= SAME * abs(known[0]):
        return [_multiple(tuple(wrong), known[0], theirs, sizes)]
    return [
        facts(n, theirs, found) if f is None else _multiple((n,), f, theirs, sizes)
        for n, f in factors.items()
    ]


def _factor(name: str, theirs: Sequence[Mapping[str, Array]], found: Compared) -> float | None:
    yours = np.concatenate([t[name].ravel() for t in theirs])
    true = np.concatenate([c[name].ravel() for c in found.chosen])
    square = float(true @ true)
    if not np.isfinite(yours).all() or not square:
        return None
    factor = float(yours @ true) / square
    close = max(found.close[name], SAME * float(np.max(np.abs(yours), initial=0.0)))
    return factor if np.max(np.abs(yours - factor * true)) <= (1 + abs(factor)) * close else None


def _multiple(
    names: tuple[str, ...],
    factor: float,
    theirs: Sequence[Mapping[str, Array]],
    sizes: Mapping[str, int],
) -> Mistake:
    entries = sum(theirs[0][n].size for n in names)
    shown, where = _named(factor, sizes)
    listed = ", ".join(f"d{n}" for n in names)
    kind = "sign" if abs(factor + 1) < 1e-4 else "zero gradient" if not factor else "factor"
    says = f"{kind}: {listed} {'is' if len(names) == 1 else 'are'} {shown} times what "
    says += f"{'it' if len(names) == 1 else 'they'} should be{where}"
    evidence = f"{listed}: {factor:.3f} times the true gradient in all {entries} entries"
    return Mistake(names[0], names, kind, says.replace("-", "−"), evidence.replace("-", "−"))


def _named(factor: float, sizes: Mapping[str, int]) -> tuple[str, str]:
    """What a factor is called, and the size that it may come from."""
    plain = factor_name(factor, {}, CLOSE) or f"{factor:.5g}"
    found = [(factor_name(factor, {"m": n}, CLOSE), where, n) for where, n in sizes.items()]
    sized = [each for each in found if "m" in each[0]]
    if not sized:
        return plain, ""
    shown, where, n = min(sized, key=lambda each: len(each[0]))
    return plain, f", which is {shown} for m = {n}, the size of {where}"
