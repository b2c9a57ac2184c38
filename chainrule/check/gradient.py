"""Check every derivative of a network against an independent one.

Under test are the gradients that the reference executor computes in the float type asked for; the
oracle reads only the forward definition (`chainrule.check.oracle`). Tolerances are no constants:
rounding errors are simulated in both computations (Monte Carlo arithmetic, Parker 1997: every
operation's result is moved by a random part of its last places), and what they change is what may
differ. So sums of large terms that cancel get the room they need, and a relative error of 1e-3
stands out in float32 too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from chainrule.check.draw import INTERVALS, draw
from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.check.oracle import SAMPLES, Oracle, Slopes
from chainrule.check.report import DIRECTIONS, Entry, Finding, Report
from chainrule.errors import DataError, ParameterError, did_you_mean
from chainrule.expr import Expr
from chainrule.plan.derived import Derived
from chainrule.run.bind import bind
from chainrule.run.keyed import permutation, uniform
from chainrule.run.reference import Reference

__all__ = ["Entry", "Finding", "Report", "check_gradients"]

DTYPES = ("float64", "float32")
ATTEMPTS = 3  # points tried with values of either sign, and as many in smaller intervals
ALL_ENTRIES = 400  # up to so many parameters every one is compared by itself
FEWEST = 8  # entries of each parameter that are compared by themselves in a larger network
RANDOM_DIRECTIONS = 8  # then: an error in any single entry is in all of them
SAFETY = 8.0  # between the largest change in eight simulations and what an actual rounding may do
# where the slope is infinite, as of √x at 0, a complex step finds a number beyond this
STEEP = 1e10
# of decisions close to a kink; combinations that are not drawn get half the width more each side
HULL_SAMPLES = 24


@dataclass(frozen=True)
class Probe:
    """Directions in which derivatives are compared.

    Attributes:
        parameter: what moves: a name or `DIRECTIONS`.
        labels: an index for each direction.
        moves: for each input that moves, (directions, *axes of the input).
        scale: the size of the values that move, for the step of differences.
    """

    parameter: str
    labels: tuple[tuple[int, ...], ...]
    moves: Mapping[str, Array]
    scale: Array

    def __getitem__(self, some: Array) -> Probe:
        labels = tuple(label for label, chosen in zip(self.labels, some, strict=True) if chosen)
        return Probe(
            self.parameter, labels, {n: m[some] for n, m in self.moves.items()}, self.scale[some]
        )

    def along(self, grads: Mapping[str, Array]) -> Array:
        """The derivatives that gradients (…, *axes) imply: (…, directions)."""
        total: Array = np.zeros(())
        for name, move in self.moves.items():
            count = move[0].ndim
            leading = grads[name].shape[: grads[name].ndim - count]
            flat = grads[name].reshape(*leading, -1).astype(np.float64)
            total = total + flat @ move.reshape(len(move), -1).T
        return total


@dataclass(frozen=True)
class Comparison:
    """A probe's derivatives, those of the oracle, and what became of each."""

    probe: Probe
    derived: Array
    independent: Array
    error: Array
    tolerance: Array
    kink: Array

    @property
    def wrong(self) -> Array:
        """Which derivatives disagree; NaN does."""
        return ~(self.error <= self.tolerance)

    def findings(self) -> list[Finding]:
        """One for each direction."""
        columns = (self.derived, self.independent, self.error, self.tolerance)
        numbers = zip(*(c.tolist() for c in columns), strict=True)
        return [
            Finding(self.probe.parameter, label, *values)
            for label, values in zip(self.probe.labels, numbers, strict=True)
        ]


def check_gradients(
    derived: Derived,
    *,
    seed: int = 0,
    dtype: str = "float64",
    arrays: Mapping[str, object] | None = None,
) -> Report:
    """Compare the loss and every derivative with independent ones at a random point.

    Args:
        derived: a network with its derivatives.
        seed: fixes sizes and values.
        dtype: float type of the derivatives under test.
        arrays: values for all or some inputs instead of random ones.

    Raises:
        ParameterError: `dtype` is neither float32 nor float64, or `arrays` names no input.
        DataError: no point was found at which loss and gradients are finite.
    """
    if dtype not in DTYPES:
        raise ParameterError(
            f"dtype must be float64 or float32, got {dtype!r}", hint=did_you_mean(dtype, DTYPES)
        )
    given = _given(derived, arrays or {}, dtype)
    with np.errstate(
        all="ignore"
    ):  # a wrong derivative may be infinite: it is reported, not warned of
        check = _Check(derived, given, seed, dtype)
        value, entries = check.value(), tuple(check.entries())
    return Report(derived.definition.name, dtype, check.sizes, tuple(given), seed, value, entries)


def _given(derived: Derived, arrays: Mapping[str, object], dtype: str) -> dict[str, Array]:
    inputs = derived.definition.inputs
    known = all(name in derived.definition.input for name in arrays)
    wanted = [x for x in inputs if x.name in arrays] if known else inputs
    bound = bind(wanted, arrays, where=derived.definition.name)
    return {x.name: _typed(bound[x.name], x, dtype) for x in wanted}


def _typed(array: Array, x: Expr, dtype: str) -> Array:
    return array.astype(dtype) if x.kind == "float" else array


class _Check:
    """One check at one point."""

    def __init__(self, derived: Derived, given: Mapping[str, Array], seed: int, dtype: str) -> None:
        self._derived, self._seed, self._dtype = derived, seed, dtype
        self._inputs, self._given = derived.definition.inputs, given
        self._eps = float(np.finfo(dtype).eps)
        # what underflows on the way is lost
        self._smallest = float(np.finfo(dtype).smallest_normal)
        graph = Graph([derived.definition.root], self._inputs)
        self._arrays, self._value, self._grads = self._point(graph, given)
        wrt = [derived.definition.input[name] for name in derived.grads]
        self._oracle = Oracle(graph, self._inputs, self._arrays, wrt, dtype)
        self._simulate()

    def _point(
        self, graph: Graph, given: Mapping[str, Array]
    ) -> tuple[dict[str, Array], float, dict[str, Array]]:
        """Values at which the loss and all its derivatives are finite, and these.

        If the loss is finite nowhere with all derivatives, the first point where it is: the oracle
            will tell.
        """
        reference = Reference(self._derived.program)
        candidate = None
        for interval in INTERVALS:
            for attempt in range(ATTEMPTS):
                drawn = draw(graph, self._inputs, given, self._seed, interval, attempt)
                arrays = {x.name: _typed(drawn[x.name], x, self._dtype) for x in self._inputs}
                value, grads = reference(**arrays)
                point = arrays, float(value), grads
                if np.isfinite(value) and all(np.isfinite(g).all() for g in grads.values()):
                    return point
                if np.isfinite(value) and candidate is None:
                    candidate = point
        return candidate or self._nowhere("loss")

    def _nowhere(self, what: str) -> NoReturn:
        given = len(self._given) == len(self._inputs)
        at = (
            "at the values given"
            if given
            else f"at any of {len(INTERVALS) * ATTEMPTS} points drawn"
        )
        hint = "" if given else "Pass values: check(arrays={'X': …})"
        raise DataError(
            f"the {what} is not finite {at}", where=self._derived.definition.name, hint=hint
        )

    def _simulate(self) -> None:
        """Loss and gradients with simulated rounding errors: (samples, …) changes."""
        graph = Graph([self._derived.value, *self._derived.grads.values()], self._inputs)
        self.sizes = {
            axis: n for axis, n in graph.sizes(self._arrays).items() if axis in _axes(self._inputs)
        }
        wide = {
            x.name: Named(
                self._arrays[x.name].astype(np.float64)
                if x.kind == "float"
                else self._arrays[x.name],
                x.axes,
            )
            for x in self._inputs
        }
        exact = Run(graph.sizes(self._arrays), self._dtype)
        base = graph(wide, exact)
        noise = np.random.default_rng(self._seed)
        found = []
        for _ in range(SAMPLES):
            run = exact.again(noise, self._eps)
            found.append(graph(wide, run))
        changes = []
        for i, (root, node) in enumerate(zip(base, graph.roots, strict=True)):
            axes = (POINTS, *node.axes)
            exact_values = root.at(axes).astype(np.float64)
            changes.append(np.concatenate([sample[i].at(axes) - exact_values for sample in found]))
        self._value_noise = float(np.abs(changes[0]).max())
        self._changes = dict(zip(self._derived.grads, changes[1:], strict=True))

    def value(self) -> Finding:
        """The loss, compared."""
        tolerance = SAFETY * (self._value_noise + self._oracle.rounding) + self._smallest
        independent = self._oracle.value
        return Finding(
            "loss", (), self._value, independent, abs(self._value - independent), tolerance
        )

    def entries(self) -> Iterator[Entry]:
        """A line for each parameter; for a large network one more for random directions."""
        total = sum(g.size for g in self._grads.values())
        share = max(FEWEST, ALL_ENTRIES // len(self._grads)) if total > ALL_ENTRIES else ALL_ENTRIES
        found = {}
        for epoch, name in enumerate(self._grads):
            size = self._grads[name].size
            order = (
                permutation(self._seed, epoch, size, purpose="check")
                if size > share
                else np.arange(size)
            )
            found[name] = self._entries_of(name, np.sort(order[:share]))
        together = [self._compare(p) for p in self._directions()] if total > ALL_ENTRIES else []
        for comparison in together:
            for name, index in self._blame(comparison, found):
                found[name].append(self._compare(self._single(name, np.array([index]))))
        for name, comparisons in found.items():
            yield self._line(name, comparisons, self._grads[name].size)
        if together:
            yield self._line(DIRECTIONS, together, RANDOM_DIRECTIONS)

    def _entries_of(self, name: str, flat: Array) -> list[Comparison]:
        size = self._oracle.at_once
        return [
            self._compare(self._single(name, flat[i : i + size])) for i in range(0, len(flat), size)
        ]

    def _single(self, name: str, flat: Array) -> Probe:
        """One entry of one parameter at a time."""
        values = self._arrays[name].astype(np.float64)
        moves = np.zeros((len(flat), values.size))
        moves[np.arange(len(flat)), flat] = 1.0
        labels = tuple(tuple(int(i) for i in np.unravel_index(at, values.shape)) for at in flat)
        scale = np.maximum(np.abs(values.ravel()[flat]), _size_of(values))
        return Probe(name, labels, {name: moves.reshape(len(flat), *values.shape)}, scale)

    def _directions(self) -> Iterator[Probe]:
        """Random signs for all entries of all parameters at once, times the parameters' sizes."""
        for number in range(RANDOM_DIRECTIONS):
            moves = {}
            for stream, name in enumerate(self._grads):
                values = self._arrays[name].astype(np.float64)
                signs = np.where(
                    uniform(self._seed, "check", number, values.shape, stream=stream) < 0.5,
                    -1.0,
                    1.0,
                )
                moves[name] = (signs * _size_of(values))[None]
            yield Probe(DIRECTIONS, ((number,),), moves, np.ones(1))

    def _compare(self, probe: Probe) -> Comparison:
        derived = probe.along(self._grads)
        slopes = self._oracle.slopes(probe.moves, probe.scale)
        infinite = ~np.isfinite(slopes.value) | (np.isinf(derived) & (np.abs(slopes.value) > STEEP))
        if infinite.any():
            self._nowhere(f"derivative with respect to {probe.parameter}")
        noise = np.abs(probe.along(self._changes)).max(axis=0)
        tolerance = SAFETY * noise + slopes.error + self._smallest
        kink = np.abs(slopes.right - slopes.left) > tolerance
        error = _outside(derived, slopes)
        found = Comparison(probe, derived, slopes.value, error, tolerance, kink)
        return self._second_look(found) if found.wrong.any() else found

    def _second_look(self, found: Comparison) -> Comparison:
        """Where they disagree: how sure the oracle is, and kinks within rounding errors."""
        wrong = found.wrong
        some = found.probe[wrong]
        tolerance = found.tolerance.copy()
        tolerance[wrong] += SAFETY * self._oracle.doubt(some.moves, some.scale)
        error, kink = found.error.copy(), found.kink.copy()
        slopes, near = self._oracle.nearby(some.moves, self._eps, HULL_SAMPLES)
        if near.any():
            low, high = slopes.min(axis=0), slopes.max(axis=0)
            beyond = np.abs(found.derived[wrong] - (low + high) / 2) - (high - low)
            error[wrong] = np.where(near, np.maximum(beyond, 0.0), error[wrong])
            kink[wrong] |= near
        return Comparison(found.probe, found.derived, found.independent, error, tolerance, kink)

    def _blame(
        self, found: Comparison, single: Mapping[str, Sequence[Comparison]]
    ) -> Iterator[tuple[str, int]]:
        """If a direction disagrees and no entry compared does: one that is wrong, by halving."""
        if not found.wrong.any() or any(c.wrong.any() for each in single.values() for c in each):
            return
        for name, move in found.probe.moves.items():
            low, high = 0, move.size
            if not self._part(name, move, low, high).wrong.any():
                continue
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (low, middle)
                    if self._part(name, move, low, middle).wrong.any()
                    else (middle, high)
                )
            yield name, low
            return

    def _part(self, name: str, move: Array, low: int, high: int) -> Comparison:
        part = np.zeros(move.size)
        part[low:high] = move.ravel()[low:high]
        return self._compare(
            Probe(DIRECTIONS, ((0,),), {name: part.reshape(move.shape)}, np.ones(1))
        )

    def _line(self, name: str, comparisons: Sequence[Comparison], total: int) -> Entry:
        findings = [f for c in comparisons for f in c.findings()]
        return Entry(
            name,
            self._oracle.method,
            len(findings),
            total,
            sum(not f.ok for f in findings),
            max((f.error for f in findings), default=0.0),
            sum(int(c.kink.sum()) for c in comparisons),
            max(findings, key=lambda f: f.ratio, default=None),
        )


def _axes(inputs: Sequence[Expr]) -> set[str]:
    return {axis for x in inputs for axis in x.axes}


def _size_of(values: Array) -> float:
    """The root of the mean square; 1 where all are 0."""
    return float(np.sqrt(np.mean(values**2))) or 1.0 if values.size else 1.0


def _outside(derived: Array, slopes: Slopes) -> Array:
    """How far outside the slopes to both sides and the oracle's own choice a derivative is."""
    slopes_found = np.array([slopes.value, slopes.left, slopes.right])
    below, above = slopes_found.min(axis=0) - derived, derived - slopes_found.max(axis=0)
    return np.asarray(np.maximum(np.maximum(below, above), 0.0))
