"""Gradients as a hand-written pass returns them, made comparable; what is wrong with their form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.calling import Outcome, by_name
from chainrule.diagnose.report import Mistake


@dataclass(frozen=True)
class Form:
    """The gradients of one parameter at all points, brought into its shape where possible.

    Attributes:
        grads: one for each point; None where they cannot be compared.
        mistake: what is wrong with type or shape; None if nothing is.
        dtype: the float type they came in.
    """

    grads: tuple[Array, ...] | None
    mistake: Mistake | None
    dtype: str


def form(
    name: str, values: Sequence[Any], shapes: Sequence[tuple[int, ...]], true: Sequence[Array]
) -> Form:
    """Check type and shape of what was returned for one parameter.

    Args:
        true: the true gradients, in the shape of the parameter.
    """
    arrays = []
    for value in values:
        if value is None:
            sentence = f"missing gradient: nothing is returned for {name}"
            return Form(
                None, _mistake(name, "missing gradient", sentence, "backward gave None"), ""
            )
        array = _array(value)
        if isinstance(array, str):
            return Form(None, _mistake(name, "dtype", f"dtype: d{name} {array}", array), "")
        arrays.append(array)
    dtype = (
        "float32"
        if any(a.dtype.itemsize < 8 and a.dtype.kind == "f" for a in arrays)
        else "float64"
    )
    wide = [a.astype(np.float64) for a in arrays]
    if all(a.shape == s for a, s in zip(wide, shapes, strict=True)):
        return Form(tuple(wide), None, dtype)
    if all(a.size == 1 and np.prod(s) == 1 for a, s in zip(wide, shapes, strict=True)):
        return Form(tuple(a.reshape(s) for a, s in zip(wide, shapes, strict=True)), None, dtype)
    fixed, kind, says = _reshaped(name, wide, shapes, true)
    evidence = f"returned {wide[0].shape} for input {name} {shapes[0]}{_fits(fixed, true)}"
    return Form(fixed, _mistake(name, kind, f"{kind}: {says}", evidence), dtype)


def exchange(
    grads: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    shapes: Mapping[str, Sequence[tuple[int, ...]]],
    true: Sequence[Mapping[str, Array]],
) -> tuple[list[dict[str, Any]], list[Mistake]]:
    """Results that stand in each other's place put right, and said."""
    new, pairs = [dict(g) for g in grads], []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            if not all(_crossed(g, t, a, b) for g, t in zip(new, true, strict=True)):
                continue
            for g in new:
                g[a], g[b] = g[b], g[a]
            pairs.append((a, b))
    if not pairs:
        return new, []
    said = "; ".join(
        f"what is returned for {a} is the gradient of {b}, and vice versa" for a, b in pairs
    )
    evidence = "; ".join(
        f"d{a} equals the true gradient of {b}, d{b} that of {a}" for a, b in pairs
    )
    which = tuple(n for pair in pairs for n in pair)
    mistake = Mistake(pairs[0][0], which, "swapped results", f"swapped results: {said}", evidence)
    return new, [mistake]


def _crossed(grads: Mapping[str, Any], true: Mapping[str, Array], a: str, b: str) -> bool:
    return (
        _matches(grads[a], true[b])
        and _matches(grads[b], true[a])
        and not (_matches(grads[a], true[a]) or _matches(grads[b], true[b]))
    )


def _matches(value: Any, true: Array) -> bool:
    array = None if value is None else _array(value)
    if array is None or isinstance(array, str) or array.shape != true.shape:
        return False
    scale = float(np.max(np.abs(true), initial=0.0))
    return bool(scale and np.max(np.abs(array - true), initial=0.0) <= 1e-6 * scale)


def _array(value: Any) -> Array | str:
    """The value as real numbers, or what it is instead."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return f"is no array of numbers ({type(value).__name__})"
    if array.dtype.kind in "iub":
        return f"is of type {array.dtype}: gradients are real numbers"
    return array if array.dtype.kind == "f" else f"is of type {array.dtype}, expected real numbers"


def _mistake(name: str, kind: str, sentence: str, evidence: str) -> Mistake:
    return Mistake(name, (name,), kind, sentence, evidence)


Shapes = Sequence[tuple[int, ...]]


def _reshaped(
    name: str, arrays: Sequence[Array], shapes: Shapes, true: Sequence[Array]
) -> tuple[tuple[Array, ...] | None, str, str]:
    """The arrays in the shape of the parameter, what sort of mistake that was, and in words."""
    pairs = list(zip(arrays, shapes, strict=True))
    if all(a.ndim > 1 and a.T.shape == s for a, s in pairs):
        return tuple(a.T for a in arrays), "missing transpose", f"d{name} comes out transposed"
    if all(_tight(a.shape) == _tight(s) for a, s in pairs):
        says = f"d{name} has shape {arrays[0].shape}, {name} has {shapes[0]}"
        return tuple(a.reshape(s) for a, s in pairs), "shape", says
    best: tuple[float, tuple[Array, ...]] | None = None
    for axis in range(max(a.ndim for a in arrays)):
        if all(axis < a.ndim and _tight(np.delete(a.shape, axis)) == _tight(s) for a, s in pairs):
            summed = tuple(a.sum(axis=axis).reshape(s) for a, s in pairs)
            distance = sum(float(np.abs(x - t).sum()) for x, t in zip(summed, true, strict=True))
            if best is None or distance < best[0]:
                best = distance, summed
    if best is not None:
        says = f"d{name} has one row for each example: did you forget to sum over the batch?"
        return best[1], "missing sum", says
    says = f"d{name} has shape {arrays[0].shape}, {name} has {shapes[0]}"
    if all(len(_tight(a.shape)) == len(_tight(s)) for a, s in pairs):
        says += ": was it summed over the wrong axis?"
    return None, "shape", says


def _tight(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in shape if n != 1)


def _fits(fixed: tuple[Array, ...] | None, true: Sequence[Array]) -> str:
    if fixed is None:
        return ""
    scale = max(float(np.max(np.abs(t), initial=0.0)) for t in true)
    far = max(float(np.max(np.abs(a - t), initial=0.0)) for a, t in zip(fixed, true, strict=True))
    return (
        f"; brought into that shape it is right (difference {far:.0e})"
        if far <= 1e-6 * scale
        else ""
    )


def hygiene(
    outcomes: Sequence[Outcome], again: Outcome, wrt: Sequence[str], where: str
) -> list[Mistake]:
    """What a backward pass does besides computing.

    It may change its inputs, share their memory, or give something else each time.
    """
    one, two = by_name(outcomes[0].raw, wrt, where), by_name(again.raw, wrt, where)
    found = []
    changed = list(dict.fromkeys(n for o in outcomes for n in o.changed))
    for name in changed:
        says = f"changes its input: after the calls {name} holds other values"
        found.append(Mistake("", (), "mutates input", says, f"{name} before and after differ"))
    for name, value in one.items():
        owner = _owner(value, outcomes[0].inputs)
        if owner:
            says = f"shares memory: d{name} lies in the memory of the input {owner}; return a copy"
            evidence = f"np.shares_memory(d{name}, {owner})"
            found.append(Mistake(name, (name,), "aliases input", says, evidence))
    worst, which = 0.0, ""
    pairs = [("the loss", outcomes[0].value, again.value)]
    pairs += [(f"d{n}", one[n], two[n]) for n in wrt]
    for name, first, second in pairs:
        far = _apart(first, second)
        if far > worst:
            worst, which = far, name
    if worst:
        says = (
            "non-deterministic: two calls with the same input differ "
            f"(max {worst:.2g} in {which}): fix the randomness (use rng=)"
        )
        found.append(Mistake("", (), "non-deterministic", says, f"{which} of two calls"))
    return found


def _owner(value: Any, inputs: Mapping[str, Any]) -> str:
    if not isinstance(value, np.ndarray) or not value.size:
        return ""
    return next(
        (
            n
            for n, a in inputs.items()
            if isinstance(a, np.ndarray) and np.may_share_memory(value, a)
        ),
        "",
    )


def _apart(one: Any, two: Any) -> float:
    try:
        a, b = np.asarray(one, np.complex128), np.asarray(two, np.complex128)
    except (TypeError, ValueError):
        return 0.0
    if a.shape != b.shape:
        return float("inf")
    both = np.isfinite(a) & np.isfinite(b)
    if (np.isfinite(a) != np.isfinite(b)).any():
        return float("inf")
    return float(np.max(np.abs(a[both] - b[both]), initial=0.0))
