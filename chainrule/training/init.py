"""Initial values of parameters: one record for each way to draw them.

Every number is a function of (seed, position of the parameter, position within it), so adding a
parameter at the end of a network leaves the initial values of all others as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.errors import ParameterError, ShapeError
from chainrule.run import keyed
from chainrule.training.spelling import Choice, Option, Record, positive

Floats = NDArray[Any]


@dataclass(frozen=True)
class Draw:
    """What an initialiser is given: shape, fans, key, type and the options chosen."""

    shape: tuple[int, ...]
    fan_in: int
    fan_out: int
    seed: int
    index: int
    dtype: np.dtype[Any]
    options: Mapping[str, Any]

    def normal(self) -> Floats:
        """Standard normal numbers of the parameter's shape and key."""
        return keyed.normal(self.seed, "init", 0, self.shape, self.dtype, stream=self.index)

    def uniform(self) -> Floats:
        """Numbers in [0, 1) of the parameter's shape and key."""
        return keyed.uniform(self.seed, "init", 0, self.shape, self.dtype, stream=self.index)

    def scaled(self, values: Floats, factor: float, shift: float = 0.0) -> Floats:
        """shift + factor · values, in the parameter's own type."""
        scale, offset = (np.asarray(number, self.dtype) for number in (factor, shift))
        return np.asarray(values * scale + offset)

    @property
    def chosen_fan(self) -> int:
        """`fan_in` or `fan_out`, as the option `mode` says."""
        return self.fan_in if self.options["mode"] == "fan_in" else self.fan_out


@dataclass(frozen=True)
class InitialiserRecord(Record):
    """One way to draw initial values; `fans` says whether fan_in and fan_out are used."""

    function: Callable[[Draw], Floats]
    fans: bool = False


def _within(draw: Draw, limit: float) -> Floats:
    """Uniform in [−limit, limit)."""
    return draw.scaled(draw.uniform(), 2.0 * limit, -limit)


def _uniform(draw: Draw) -> Floats:
    low, high = draw.options["low"], draw.options["high"]
    if not low < high:
        raise ParameterError(f"low must be below high, got low = {low!r}, high = {high!r}")
    return draw.scaled(draw.uniform(), high - low, low)


def _orthogonal(draw: Draw) -> Floats:
    """The orthogonal factor of a normal matrix, first axis × all others.

    The signs make the diagonal of R positive: then the result is uniform over orthogonal matrices
    (Mezzadri 2007).
    """
    if len(draw.shape) < 2:
        raise ShapeError(f"orthogonal needs a parameter with at least two axes, got {draw.shape}")
    rows, columns = draw.shape[0], math.prod(draw.shape[1:])
    tall = keyed.normal(
        draw.seed, "init", 0, (max(rows, columns), min(rows, columns)), stream=draw.index
    )
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    matrix = np.ascontiguousarray(q if rows >= columns else q.T).reshape(draw.shape)
    return np.asarray(draw.options["gain"] * matrix, draw.dtype)


LECUN: Final = 'LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.6'
GLOROT: Final = (
    'Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural '
    'networks", eq. '
)
HE: Final = 'He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", eq. '
SAXE: Final = (
    'Saxe, McClelland & Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in '
    'deep linear neural networks"'
)
DEFINITION: Final = "by definition"
MODE: Final = {"mode": Option("fan_in", "which fan sets the variance", words=("fan_in", "fan_out"))}

_RECORDS: Final = (
    InitialiserRecord("zeros", r"W = 0", DEFINITION, {}, lambda d: np.zeros(d.shape, d.dtype)),
    InitialiserRecord(
        "constant",
        r"W = c",
        DEFINITION,
        {"c": Option(..., "the value", sample="0.1")},
        lambda d: np.full(d.shape, d.options["c"], d.dtype),
    ),
    InitialiserRecord(
        "normal",
        r"W \sim \mathcal{N}\left(0, \mathrm{std}^2\right)",
        DEFINITION,
        {"std": positive(0.01, "standard deviation")},
        lambda d: d.scaled(d.normal(), d.options["std"]),
    ),
    InitialiserRecord(
        "uniform",
        r"W \sim \mathcal{U}\left(\mathrm{low}, \mathrm{high}\right)",
        DEFINITION,
        {"low": Option(-0.05, "least value"), "high": Option(0.05, "upper bound")},
        _uniform,
    ),
    InitialiserRecord(
        "lecun_normal",
        r"W \sim \mathcal{N}\left(0, \frac{1}{n_\mathrm{in}}\right)",
        LECUN,
        {},
        lambda d: d.scaled(d.normal(), math.sqrt(1 / d.fan_in)),
        fans=True,
    ),
    InitialiserRecord(
        "lecun_uniform",
        r"W \sim \mathcal{U}\left(-a, a\right),\quad a = \sqrt{\frac{3}{n_\mathrm{in}}}",
        LECUN,
        {},
        lambda d: _within(d, math.sqrt(3 / d.fan_in)),
        fans=True,
    ),
    InitialiserRecord(
        "glorot_normal",
        r"W \sim \mathcal{N}\left(0, \frac{2}{n_\mathrm{in} + n_\mathrm{out}}\right)",
        GLOROT + "12",
        {},
        lambda d: d.scaled(d.normal(), math.sqrt(2 / (d.fan_in + d.fan_out))),
        fans=True,
    ),
    InitialiserRecord(
        "glorot_uniform",
        r"W \sim \mathcal{U}\left(-a, a\right),\quad "
        r"a = \sqrt{\frac{6}{n_\mathrm{in} + n_\mathrm{out}}}",
        GLOROT + "16",
        {},
        lambda d: _within(d, math.sqrt(6 / (d.fan_in + d.fan_out))),
        fans=True,
    ),
    InitialiserRecord(
        "he_normal",
        r"W \sim \mathcal{N}\left(0, \frac{2}{n_\mathrm{mode}}\right)",
        HE + "10 (fan_in), 14 (fan_out)",
        MODE,
        lambda d: d.scaled(d.normal(), math.sqrt(2 / d.chosen_fan)),
        fans=True,
    ),
    InitialiserRecord(
        "he_uniform",
        r"W \sim \mathcal{U}\left(-a, a\right),\quad a = \sqrt{\frac{6}{n_\mathrm{mode}}}",
        HE + "10 (fan_in), 14 (fan_out): the uniform distribution of the same variance",
        MODE,
        lambda d: _within(d, math.sqrt(6 / d.chosen_fan)),
        fans=True,
    ),
    InitialiserRecord(
        "orthogonal",
        r"W = \mathrm{gain} \cdot Q,\quad Q^\intercal Q = I \;\text{or}\; Q Q^\intercal = I",
        SAXE,
        {"gain": positive(1.0, "factor on the orthogonal matrix")},
        _orthogonal,
    ),
)
INITIALISERS: Final[Mapping[str, InitialiserRecord]] = {record.name: record for record in _RECORDS}


class Initialiser(Choice):
    """A way to draw initial values, with its options: a name of `INITIALISERS`.

    >>> Initialiser("normal", std=0.1)
    Initialiser('normal', std=0.1)
    >>> Initialiser.of("he_normal:mode=fan_out") == Initialiser("he_normal", mode="fan_out")
    True
    """

    kind: ClassVar[str] = "initialiser"
    table: ClassVar[Mapping[str, Record]] = INITIALISERS


def draw(
    initialiser: str | Initialiser,
    shape: tuple[int, ...],
    fan_in: int,
    fan_out: int,
    seed: int,
    index: int,
    dtype: DTypeLike = np.float64,
) -> Floats:
    """The initial value of parameter number `index` of a network.

    Args:
        initialiser: an `Initialiser`, its name, or its text form such as ``"normal:std=0.1"``.
        shape: of the parameter; `orthogonal` takes the first axis against all others.
        fan_in, fan_out: how many inputs each unit has, and how many units each input feeds.
        seed: 0 … 2⁶⁴ − 1.
        index: position of the parameter in the network; parameters with different positions are
            independent.
        dtype: float32 or float64. Matrices from `orthogonal` are computed in float64 by LAPACK; all
            else has the same bits on every machine.

    Raises:
        ParameterError: an unknown initialiser or option, a fan below 1, a seed out of range.
        DTypeError: a dtype other than float32 and float64.
        ShapeError: `orthogonal` of a parameter with fewer than two axes.

    >>> draw("constant:c=0.5", (2,), 1, 1, seed=0, index=0)
    array([0.5, 0.5])
    """
    choice = Initialiser.of(initialiser)
    record = INITIALISERS[choice.name]
    if record.fans and min(fan_in, fan_out) < 1:
        raise ParameterError(
            f"{choice.name} needs fans of at least 1, got fan_in = {fan_in}, fan_out = {fan_out}"
        )
    given = Draw(shape, fan_in, fan_out, seed, index, keyed.float_type(dtype), choice.options)
    return record.function(given)
