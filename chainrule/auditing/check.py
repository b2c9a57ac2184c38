"""Every statement of a model compared with what the model's forward equations imply."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.auditing.assign import Assignment, Said, Shapes
from chainrule.auditing.notation import EVERYTHING
from chainrule.auditing.numbers import Numbers, Undefined, finite, uses_function
from chainrule.auditing.points import Array, Point
from chainrule.auditing.report import CORRECT, UNCLEAR, WRONG
from chainrule.auditing.scope import Model
from chainrule.auditing.sizes import Misfit, Unread
from chainrule.auditing.statements import (
    Instance,
    Statement,
    aliased,
    derivative,
    first_line,
    is_update,
    symbol,
    symbols_of,
)  # fmt: skip
from chainrule.errors import ChainruleError, FormulaError, ShapeError
from chainrule.texmath.evaluate import Meaning
from chainrule.texmath.tree import Call, Node, walk

POINTS = 3
STYLES = ("random", "positive")
# Between the change that moving the inputs by their last places makes and what may differ: a
# rewritten formula rounds in other places than the one it is compared with.
SAFETY = 256.0
LAST_PLACE = 2.0**-50
FAR = 1e-3


@dataclass(frozen=True)
class Outcome:
    """What became of one statement.

    Attributes:
        status: "correct", "wrong" or "not interpreted".
        reason: why it is wrong or not interpreted.
        side: which side is wrong, from 1.
        instance: for which layer.
        notes: what had to be assumed.
    """

    status: str
    reason: str = ""
    side: int = 1
    instance: Instance | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Checked:
    """A model with its outcomes.

    Attributes:
        numbers: the model at the shapes that were chosen; None if none fit.
        outcomes: one for every statement of the model, in its order.
        notes: what was assumed for the whole model.
        points: where it was compared.
        problem: why there are no shapes that fit.
    """

    model: Model
    numbers: Numbers | None
    outcomes: list[Outcome]
    notes: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    problem: str = ""

    @property
    def wrong(self) -> int:
        """How many statements are wrong."""
        return sum(outcome.status == WRONG for outcome in self.outcomes)

    @property
    def unclear(self) -> int:
        """How many statements could not be interpreted."""
        return sum(outcome.status == UNCLEAR for outcome in self.outcomes)


def check_model(
    model: Model,
    said: Said,
    indices: frozenset[str],
    functions: Mapping[str, Meaning],
    counts: Mapping[str, int],
) -> Checked:
    """Find shapes for a model and compare each of its statements with it.

    Of readings that cost the same the one counts that makes the fewest statements wrong.
    """
    shapes = Shapes(model, said, indices)
    found: list[Checked] = []
    softmax = any(uses_function(model, name) for name in ("softmax", "log_softmax", "logsumexp"))
    for assignment in shapes.best():
        used = [size for shape in assignment.shapes.values() for size in shape]
        assignment.sizes.name_all(used, [k.split("_")[0] for k in assignment.shapes])
        for examples in ("columns", "rows") if softmax else ("columns",):
            numbers = Numbers(model, shapes, assignment, functions, examples, counts)
            for simplex in ((), targets) if (targets := _targets(numbers)) else ((),):
                checked = _compared(numbers, assignment, simplex)
                if not checked.wrong and not checked.unclear:
                    return checked
                found.append(checked)
    if not found:
        reason = _why_unfit(model, shapes)
        outcomes = [Outcome(UNCLEAR, f"the model does not fit together: {reason}")] * len(
            model.checks
        )
        return Checked(model, None, outcomes, problem=reason)
    return min(found, key=lambda checked: (checked.wrong, checked.unclear))


def _compared(numbers: Numbers, assignment: Assignment, simplex: tuple[str, ...]) -> Checked:
    model = numbers.model
    points, trouble = _points(numbers, simplex)
    notes = []
    if simplex and points:
        names = ", ".join(simplex)
        notes.append(f"the entries of {names} are probabilities of classes: they sum to 1")
    if not points:
        outcomes = [Outcome(UNCLEAR, trouble)] * len(model.checks)
        return Checked(model, numbers, outcomes, notes, points, trouble)
    outcomes = []
    for index, (statement, instance) in enumerate(model.checks):
        how = compare_step if is_update(statement) else compare_any
        outcome = how(numbers, instance, points)
        misfit = assignment.misfits.get(index)
        if outcome.status == WRONG and misfit:
            outcome = _unfit(numbers, instance, misfit, outcome)
        outcomes.append(outcome)
    return Checked(model, numbers, outcomes, notes, points)


def _unfit(numbers: Numbers, instance: Instance, misfit: str, outcome: Outcome) -> Outcome:
    """What does not fit in a statement, with the names that its sizes have by now."""
    infer = numbers.shapes.inference(numbers.assignment.shapes, numbers.assignment.sizes.copy())
    try:
        infer.same(instance.sides)
    except Unread as again:
        return Outcome(UNCLEAR, str(again), instance=instance)
    except Misfit as again:
        misfit = str(again)
    return dataclasses.replace(outcome, reason=f"shapes do not fit: {misfit}")


def _targets(numbers: Numbers) -> tuple[str, ...]:
    """Leaves that may be probabilities of classes: what logarithms of outputs are weighted with."""
    model, shapes = numbers.model, numbers.assignment.shapes
    if not any(uses_function(model, name) for name in ("log", "log_softmax", "logsumexp")):
        return ()
    return tuple(
        leaf
        for leaf, shape in shapes.items()
        if leaf.split("^")[0].split("_")[0] in ("y", "Y", "t", "T")
        and leaf not in model.definitions
        and not numbers.assignment.sizes.is_number(shape)
    )


def _points(numbers: Numbers, simplex: Sequence[str]) -> tuple[list[Point], str]:
    """Points at which everything defined is a real number; why there are none."""
    trouble = "its values are not real numbers at any point tried"
    for style in STYLES:
        found = []
        for seed in range(4 * POINTS):
            point = numbers.point(seed, style, simplex)
            try:
                values = numbers.values(point)
            except ChainruleError as error:
                return [], f"the model cannot be evaluated: {first_line(error)}"
            if finite(values):
                found.append(point)
            if len(found) == POINTS:
                return found, ""
    return [], trouble


def compare_any(numbers: Numbers, instance: Instance, points: Sequence[Point]) -> Outcome:
    """The same as `compare`; a ∇ without an index may be that by any one of the leaves."""
    outcome = compare(numbers, instance, points)
    plain = [
        s for side in instance.sides for s in symbols_of(side)
        if (pair := derivative(s.key)) and pair[1] == EVERYTHING
    ]  # fmt: skip
    if outcome.status != WRONG or not plain:
        return outcome
    for leaf in numbers.model.leaves:
        uppers = {
            s.key: (symbol(pair[0]), symbol(leaf)) for s in plain if (pair := derivative(s.key))
        }
        sides = tuple(aliased(side, uppers) for side in instance.sides)
        other = compare(numbers, dataclasses.replace(instance, sides=sides), points)
        if other.status == CORRECT:
            note = f"∇ is read as the derivative by {leaf}"
            return dataclasses.replace(other, instance=instance, notes=(note,))
    if outcome.reason:  # a matrix where a change along a direction is one number
        what = "∇ has no index that says by what it derives"
        return Outcome(UNCLEAR, what, instance=instance)
    return outcome


def compare(numbers: Numbers, instance: Instance, points: Sequence[Point]) -> Outcome:
    """Hold all sides of a statement against the first one."""
    for point in points:
        try:
            values = known(numbers, instance.sides, point)
            first = numbers.evaluate(instance.sides[0], values)
        except Undefined as undefined:
            return Outcome(UNCLEAR, str(undefined), instance=instance)
        except ShapeError as error:
            return Outcome(WRONG, _shape_reason(error), 0, instance)
        except FormulaError as error:
            return Outcome(UNCLEAR, first_line(error), instance=instance)
        axes = _axes(numbers, instance.sides[0], values)
        for number, side in enumerate(instance.sides[1:], 1):
            outcome = _side(numbers, instance, number, side, first, values, point, axes)
            if outcome is not None:
                return outcome
    return Outcome(CORRECT, instance=instance)


def compare_step(numbers: Numbers, instance: Instance, points: Sequence[Point]) -> Outcome:
    """Whether a step such as ``w ← w − η ∂L/∂w`` goes down the gradient that it names.

    The gradient in it is moved: the right side must move against it, by the same positive factor in
    every entry. So decay and momentum beside it do not matter.
    """
    right = instance.sides[1]
    named = [s for s in symbols_of(right) if derivative(s.key)]
    if not named:
        return Outcome(UNCLEAR, "no derivative stands in this step", instance=instance)
    signs = set()
    for point in points:
        try:
            values = known(numbers, instance.sides, point)
            leaves = {k: np.abs(v) for k, v in point.values.items() if np.ndim(v) == 0}
            values = {**values, **leaves}
            gradient = values[named[0].key]
            shift = np.asarray(np.random.default_rng(7).uniform(1, 2, gradient.shape))
            moved = {**values, named[0].key: gradient + shift}
            change = numbers.evaluate(right, moved) - numbers.evaluate(right, values)
        except Undefined as undefined:
            return Outcome(UNCLEAR, str(undefined), instance=instance)
        except ShapeError as error:
            return Outcome(WRONG, _shape_reason(error), 1, instance)
        except (FormulaError, KeyError) as error:
            return Outcome(UNCLEAR, first_line(error), instance=instance)
        factors = np.asarray(change / shift if change.shape == gradient.shape else np.nan)
        if not np.allclose(factors, factors.flat[0], rtol=1e-6):
            what = "the step is no multiple of the derivative in it"
            return Outcome(UNCLEAR, what, instance=instance)
        signs.add(float(np.sign(factors.flat[0])))
    if signs == {1.0}:
        return Outcome(WRONG, "the step goes up the gradient: the sign is wrong", 1, instance)
    return Outcome(CORRECT if signs == {-1.0} else UNCLEAR, instance=instance)


def known(numbers: Numbers, sides: Sequence[Node], point: Point) -> dict[str, Array]:
    """The values of all symbols in some formulas: derivatives are the true ones.

    Raises:
        Undefined: a derivative is not defined by the model.
    """
    return {**numbers.values(point), **numbers.derivatives(sides, point)}


def _axes(numbers: Numbers, side: Node, values: Mapping[str, Array]) -> tuple[str, ...] | None:
    infer = numbers.shapes.inference(numbers.assignment.shapes, numbers.assignment.sizes.copy())
    try:
        return tuple(index for index, _ in infer(side).axes) or None
    except Misfit:
        return None


def _side(
    numbers: Numbers,
    instance: Instance,
    number: int,
    side: Node,
    first: Array,
    values: Mapping[str, Array],
    point: Point,
    axes: tuple[str, ...] | None,
) -> Outcome | None:
    try:
        value = numbers.evaluate(side, values, axes)
    except ShapeError as error:
        return Outcome(WRONG, _shape_reason(error), number, instance)
    except FormulaError as error:
        return Outcome(UNCLEAR, first_line(error), instance=instance)
    same = value.ndim == first.ndim and all(
        v in (1, f) for v, f in zip(value.shape[: len(axes or ())], first.shape, strict=False)
    )
    if same and axes:
        value = np.broadcast_to(
            value,
            np.broadcast_shapes(
                value.shape, (*first.shape[: len(axes)], *value.shape[len(axes) :])
            ),
        )
    if value.ndim == 0 and not any(True for _ in symbols_of(side)):  # 1 in every entry
        value = np.broadcast_to(value, first.shape)
    if value.shape != first.shape:
        what = f"the left side is {shown(first)}, the right side {shown(value)}"
        return Outcome(WRONG, what, number, instance)
    if not np.all(np.isfinite(value)):
        return None
    gap = np.max(np.abs(value - first), initial=0.0)
    largest = max(np.max(np.abs(first), initial=0.0), np.max(np.abs(value), initial=0.0))
    if gap <= LAST_PLACE * largest:
        return None
    if gap > FAR * largest:  # far beyond rounding: no need to measure it
        return Outcome(WRONG, "", number, instance)
    if not np.all(np.abs(value - first) <= _tolerance(numbers, side, values, first, value, axes)):
        return Outcome(WRONG, "", number, instance)
    return None


def _tolerance(
    numbers: Numbers,
    side: Node,
    values: Mapping[str, Array],
    first: Array,
    value: Array,
    axes: tuple[str, ...] | None,
) -> float:
    """How far two ways of computing the same may be apart, from moving inputs by last places."""
    noise = np.random.default_rng(1)
    largest = float(max(np.max(np.abs(first), initial=0), np.max(np.abs(value), initial=0)))
    change = 0.0
    for _ in range(2):
        moved = {
            k: v * (1 + LAST_PLACE * noise.choice([-1.0, 1.0], np.shape(v)))
            for k, v in values.items()
            if np.ndim(v) or v != np.round(np.real(v))
        }
        try:
            again = numbers.evaluate(side, {**values, **moved}, axes)
        except ChainruleError:
            break
        if again.shape == value.shape:
            change = max(change, float(np.max(np.abs(again - value), initial=0)))
    return SAFETY * (change + LAST_PLACE * largest) + 1e-13


def shown(array: Array) -> str:
    """Its shape, for a reader."""
    return "a number" if array.ndim == 0 else "×".join(str(n) for n in array.shape)


def _shape_reason(error: Exception) -> str:
    return f"shapes do not fit: {first_line(error)}"


def _why_unfit(model: Model, shapes: Shapes) -> str:
    """The first definition that nothing makes fit the ones before it."""
    kept: dict[str, object] = {}
    for key, definition in model.definitions.items():
        kept[key] = definition
        part = Model(model.title, model.unit, dict(list(model.definitions.items())[: len(kept)]))
        if not Shapes(part, shapes.said, shapes.indices).best(1):
            return f"no shapes make both sides of line {definition.line} fit"
    return "no shapes fit"


def functions_in(model: Model) -> set[str]:
    """Names of the functions that its formulas apply."""
    nodes = [d.node for d in model.definitions.values()]
    nodes += [side for _, instance in model.checks for side in instance.sides]
    return {x.function for node in nodes for x in walk(node) if isinstance(x, Call)}


def is_gradient(statement: Statement) -> bool:
    """Whether a derivative stands on its left side."""
    if not statement.instances:
        return False
    return any(derivative(s.key) for s in symbols_of(statement.instances[0].sides[0]))
