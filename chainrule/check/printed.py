"""What is printed, read back: the equations shown are evaluated and compared with the code.

The equations are parsed by `chainrule.texmath`, which knows nothing of the printers, and evaluated
line by line, each from the lines before it, as a reader with pencil and paper would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.check.draw import draw
from chainrule.check.evaluate import Graph
from chainrule.emit.equations import equations
from chainrule.emit.plain import plain
from chainrule.emit.tex import orientations
from chainrule.errors import FormulaError, GraphError
from chainrule.expr import EXAMPLES, Expr, postorder
from chainrule.plan.derived import Derived
from chainrule.run.reference import Reference
from chainrule.texmath import Symbol, evaluate, evaluate_open, name, parse_equation, spell

Array = np.ndarray[Any, np.dtype[Any]]

WITHOUT_NOTATION = frozenset(
    "merge split cut slice pad gather scatter_add uniform dropout argmax".split()
)
"""Operations that matrices have no notation for."""
MOST_AXES = 2


def obstacles(found: Derived) -> frozenset[str]:
    """Operations of a derivation that no equation between matrices can say."""
    nodes = tuple(postorder(found.value, *found.grads.values()))
    wide = {x.op for x in nodes if len(x.axes) > MOST_AXES}
    return frozenset({x.op for x in nodes} & WITHOUT_NOTATION | wide)


@dataclass(frozen=True)
class Reading:
    """How the names in the equations of a derivation are to be read.

    Attributes:
        axes: the axes of every input and every named value, by canonical name.
        sizes: of the axes.
        orientation: row or column, for values with one axis.
        examples: whether the examples of matrices are "columns" or "rows".
        labels: inputs that hold class labels.
    """

    axes: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, int]
    orientation: Mapping[str, str]
    examples: str
    labels: frozenset[str]

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of a named value."""
        return tuple(self.sizes[a] for a in self.axes[key])

    def written(self, key: str) -> tuple[int, ...]:
        """Its shape in equations: one axis is a row or a column."""
        shape = self.shape(key)
        if len(shape) != 1:
            return shape
        return (1, *shape) if self.orientation[key] == "row" else (*shape, 1)


def reading(found: Derived, sizes: Mapping[str, int]) -> Reading:
    """The dictionary of the equations of a derivation."""
    turned = orientations([found.value, *found.names])
    axes = {name(label): expr.axes for expr, label in found.names.items()}
    axes |= {name(x.name): x.axes for x in found.definition.inputs}
    loss = name("L")
    axes |= {f"d{loss}/d{key}": a for key, a in axes.items()}
    axes[loss] = ()
    one_axis = {key: turned.get(a[0], "column") for key, a in axes.items() if len(a) == 1}
    examples = "columns" if turned.get(EXAMPLES, "row") == "row" else "rows"
    labels = frozenset(name(x.name) for x in found.definition.inputs if x.kind == "int")
    return Reading(axes, sizes, one_axis, examples, labels)


def read_back(lines: Iterable[str], how: Reading, given: Mapping[str, Array]) -> dict[str, Array]:
    """The value of every left side, computed from the equations as they are printed.

    Args:
        lines: ``left &= right`` in LaTeX or in plain characters, in order.
        how: the dictionary.
        given: the inputs by canonical name.

    Raises:
        FormulaError, ShapeError: a line cannot be read or evaluated.
    """
    values: dict[str, Any] = {**{name(a): np.asarray(n) for a, n in how.sizes.items()}, **given}
    settings: dict[str, Any] = {
        "orientation": how.orientation,
        "examples": how.examples,
        "axes": how.axes,
        "labels": how.labels,
    }
    found: dict[str, Array] = {}
    for line in lines:
        left, right = parse_equation(line, [*values, *how.axes])
        if not isinstance(left, Symbol):
            raise FormulaError(f"{spell(left)!r} on the left is not one name")
        if left.key in how.axes:
            value = evaluate(right, values, **settings, shape=how.written(left.key))
            found[left.key] = values[left.key] = value.reshape(how.shape(left.key))
        else:  # a line of its own for a part that has no name in the network
            values[left.key] = evaluate_open(right, values, **settings)
    return found


def printed_lines(found: Derived) -> dict[str, tuple[str, ...]]:
    """The lines of both passes, in LaTeX and in plain characters."""
    shown = equations(found)
    latex = (*shown.forward, *shown.backward)
    return {"LaTeX": latex, "text": tuple(plain(line) for line in latex)}


@dataclass(frozen=True)
class RoundTrip:
    """What reading the printed equations back found.

    Attributes:
        errors: (notation, name) → the largest difference, relative to the largest entry.
        tolerance: up to which `ok` holds.
    """

    errors: Mapping[tuple[str, str], float]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether every printed equation gives what the code gives."""
        return all(e <= self.tolerance for e in self.errors.values())

    @property
    def worst(self) -> float:
        """The largest difference."""
        return max(self.errors.values(), default=0.0)

    def __str__(self) -> str:
        if self.ok:
            count = len({key for _, key in self.errors})
            return (
                f"ok: {count} printed equations, read back from LaTeX and from plain characters, "
                f"give what the code gives (worst relative difference {self.worst:.1e})"
            )
        wrong = [
            f"{how}: {key} is off by {e:.1e}"
            for (how, key), e in self.errors.items()
            if not e <= self.tolerance
        ]
        return "\n".join(["the equations printed are not what the code computes", *wrong])


TOLERANCE = 1e-9  # relative to the largest entry: any misprint is larger, any rounding smaller


def round_trip(found: Derived, seed: int = 0) -> RoundTrip:
    """Read the equations of a derivation back and compare every gradient with the code.

    Raises:
        GraphError: an operation has no notation between matrices.
    """
    missing = sorted(obstacles(found))
    if missing:
        what = f"{', '.join(missing)} cannot be written with matrices of two axes"
        raise GraphError(what, where=found.definition.name)
    inputs = found.definition.inputs
    arrays = draw(Graph([found.value, *found.grads.values()], inputs), inputs, {}, seed)
    value, grads = Reference(found.program)(**arrays)
    wanted = {"L": value, **{f"dL/d{name(n)}": g for n, g in grads.items()}}
    how = reading(found, sizes_of(inputs, arrays, found))
    given = {name(x.name): np.asarray(arrays[x.name]) for x in inputs}
    errors = {}
    for notation, lines in printed_lines(found).items():
        values = read_back(lines, how, given)
        for key, true in wanted.items():
            errors[notation, key] = _difference(values[key], np.asarray(true))
    return RoundTrip(errors, TOLERANCE)


def _difference(got: Array, true: Array) -> float:
    if got.shape != true.shape:
        return np.inf
    scale = np.abs(true).max(initial=0.0) or 1.0
    return float(np.abs(got - true).max(initial=0.0) / scale)


def sizes_of(inputs: Sequence[Expr], arrays: Mapping[str, Array], found: Derived) -> dict[str, int]:
    """The size of every axis of a derivation at these arrays."""
    sizes = {"1": 1}
    for node in postorder(found.value, *found.grads.values()):
        sizes |= node.sizes
    for x in inputs:
        sizes |= dict(zip(x.axes, np.shape(arrays[x.name]), strict=True))
    for node in postorder(found.value, *found.grads.values()):
        if node.op == "rename":
            for old, new in node["to"]:
                sizes.setdefault(new, sizes[old])
    return sizes
