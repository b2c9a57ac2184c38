"""Arrays over named axes, and how one evaluation computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.expr import Axes

Array = NDArray[Any]
# the axis of the points at which everything is evaluated at once; no definition can call one so
POINTS = "∗"
# largest rounding error simulated, in eps: NumPy's exp, log, tanh err by up to 4 ulp = 2 eps
NOISE = 2.0


@dataclass(frozen=True)
class Named:
    """An array and the names of its axes, in the order in which the array has them."""

    array: Array
    axes: Axes

    def at(self, axes: Axes) -> Array:
        """The array with its axes in the order of `axes` and size 1 along those that it lacks."""
        kept = [a for a in axes if a in self.axes]
        turned = self.array.transpose([self.axes.index(a) for a in kept])
        return turned.reshape([turned.shape[kept.index(a)] if a in self.axes else 1 for a in axes])


@dataclass
class Run:
    """How one evaluation computes, and what it met.

    Attributes:
        sizes: the size of every axis.
        dtype: float type whose random numbers `uniform` gives.
        towards: decide ties by the direction of the perturbation (its imaginary part) instead of in
            a fixed way.
        frozen: values behind stop_gradient, to be used instead of computing them.
        replay: decisions to be used instead of deciding.
        noise: source of simulated rounding errors, None for none; eps: their unit.
        decisions, stopped: what was decided, and what stood behind stop_gradient, in order.
        tied: for each point, whether a decision was a tie between values that the perturbation
            moves apart.
    """

    sizes: Mapping[str, int]
    dtype: str = "float64"
    towards: bool = False
    frozen: Iterator[Named] | None = None
    replay: Iterator[Named] | None = None
    noise: np.random.Generator | None = None
    eps: float = 0.0
    points: int = 1
    decisions: list[Named] = field(default_factory=list)
    stopped: list[Named] = field(default_factory=list)
    tied: Array = field(default_factory=lambda: np.zeros(1, bool))

    def again(self, noise: np.random.Generator, eps: float, points: int = 1) -> Run:
        """A run that decides and stops as this one did, with simulated rounding errors."""
        return Run(
            self.sizes,
            self.dtype,
            frozen=iter(self.stopped),
            replay=iter(self.decisions),
            noise=noise,
            eps=eps,
            points=points,
        )

    def order(self, z: Array) -> Array:
        """What decisions compare: real parts; NumPy orders equal ones by their imaginary parts."""
        return z if self.towards or z.dtype.kind != "c" else z.real

    def decide(self, decision: Named) -> Named:
        """`decision`, or the one to be repeated."""
        chosen = next(self.replay) if self.replay else decision
        self.decisions.append(chosen)
        return chosen

    def watch(self, tied: Array, axes: Axes) -> None:
        """Note at which points there was a tie."""
        if POINTS in axes and tied.any():
            others = tuple(i for i, axis in enumerate(axes) if axis != POINTS)
            per_point = tied.any(axis=others)
            self.tied = self.tied | per_point

    def added(self, parts: Array, terms: int) -> Array:
        """The sum of `parts` (parts, …), which themselves are sums, of so many `terms` in all.

        Each addition rounds its partial sum, in the worst order one term after the other: the
        errors of n additions make up eps √(Σ S²) over the partial sums S (Higham & Mary 2019).
        """
        if self.noise is None:
            return np.asarray(parts.sum(axis=0))
        partial = np.cumsum(parts, axis=0)
        each = terms / len(parts)
        size = np.sqrt(each * np.sum(partial.real**2, axis=0))
        if partial.dtype.kind == "c":
            size = size + 1j * np.sqrt(each * np.sum(partial.imag**2, axis=0))
        return np.asarray(partial[-1] + self.eps * self.noise.uniform(-1, 1, size.shape) * size)

    def rounded(self, x: Named) -> Named:
        """`x` with simulated rounding errors, other ones at every point.

        Source: Monte Carlo arithmetic, Parker 1997.
        """
        if self.noise is None or x.array.dtype.kind not in "fc":
            return x
        axes = x.axes if POINTS in x.axes else (POINTS, *x.axes)
        array = x.at(axes)
        shape = tuple(
            self.points if a == POINTS else n for a, n in zip(axes, array.shape, strict=True)
        )
        return Named(array * (1 + NOISE * self.eps * self.noise.uniform(-1, 1, shape)), axes)
