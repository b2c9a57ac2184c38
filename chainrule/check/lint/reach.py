"""Rules about what reaches the loss: axes that fit, inputs that are used, gradients that arrive."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.check.lint.record import Clue, rule
from chainrule.check.lint.still import stillness
from chainrule.check.lint.subject import Subject, base, of
from chainrule.errors import ShapeError
from chainrule.expr import Expr
from chainrule.netfile.survey import mends
from chainrule.ops import OPS


def _problems(s: Subject, *, mendable: bool | None, shapes: bool) -> Iterator[Clue]:
    for name, error in s.survey.problems:
        found = mends(error) is not None
        if isinstance(error, ShapeError) != shapes or (mendable is not None and found != mendable):
            continue
        do = error.hint
        if (mended := mends(error)) is not None:
            do = f"Declare {mended[0]}: {mended[1]}. Or: {error.hint[:1].lower()}{error.hint[1:]}"
        text = str(error).removesuffix(f". {error.hint}") if error.hint else str(error)
        yield Clue(text.removeprefix(f"{error.where}: ") if error.where else text, name, do)


@rule(
    code="prediction-target",
    level="error",
    title="prediction and target with different axes",
    looks_for="a loss whose prediction is (m, 1) and whose target is (m,), or the like",
    why="Other libraries broadcast the two to a matrix of all pairs (m, m) and compute a loss that "
    "looks reasonable and is wrong; chainrule refuses.",
    do="Give both the same axes.",
    source="broadcasting: (m, 1) − (m,) is (m, m)",
)
def _prediction_target(s: Subject) -> Iterator[Clue]:
    yield from _problems(s, mendable=True, shapes=True)


@rule(
    code="axes",
    level="error",
    title="axes that do not fit",
    looks_for="an operation whose inputs have axes that do not belong together",
    why="The value does not exist, so neither does the loss.",
    do="Transpose a factor, rename an axis, or say cr.expand where broadcasting is meant.",
    source="the shape rules of the operations",
)
def _axes(s: Subject) -> Iterator[Clue]:
    yield from _problems(s, mendable=False, shapes=True)


@rule(
    code="graph",
    level="error",
    title="no valid network",
    looks_for="a cycle, a loss that is a number, an option that does not exist, and the like",
    why="The network cannot be built.",
    do="Break the cycle, or end in an expression that depends on the inputs.",
    source="the rules of definitions",
)
def _graph(s: Subject) -> Iterator[Clue]:
    yield from _problems(s, mendable=None, shapes=False)


@rule(
    code="unused-parameter",
    level="error",
    title="a parameter that nothing uses",
    looks_for="a parameter that the loss is not made of",
    why="Its gradient would be 0: it never changes. Often another was written in its place.",
    do="Use it, remove it, or mark it frozen.",
    source="the derivative of a constant is 0",
)
def _unused_parameter(s: Subject) -> Iterator[Clue]:
    for name in s.survey.params:
        if name in s.inputs and s.inputs[name] not in s.below and name not in s.survey.lost:
            yield Clue(
                f"parameter {name!r} does not influence the loss (gradient would be 0)", name
            )


@rule(
    code="unused-input",
    level="warning",
    title="an input that nothing uses",
    looks_for="an input that the loss is not made of",
    why="Whoever calls the network has to supply it for nothing; perhaps another stands in its "
    "place.",
    do="Use it or remove it.",
    source="the definition",
)
def _unused_input(s: Subject) -> Iterator[Clue]:
    for name, x in s.inputs.items():
        if x not in s.below and name not in (*s.survey.params, *s.survey.lost):
            yield Clue(f"input {name!r} is used nowhere", name)


@rule(
    code="unused-value",
    level="hint",
    title="a value that nothing uses",
    looks_for="a named value that is not part of the result",
    why="It does no harm, but perhaps it was meant to be used.",
    do="Use it or remove it.",
    source="the definition",
)
def _unused_value(s: Subject) -> Iterator[Clue]:
    if s.survey.root is None:
        return
    for name, value in s.survey.values.items():
        if value not in s.below and name not in s.survey.lost:
            yield Clue(f"{name} = {s.formula(value)} is used nowhere", name)


@rule(
    code="no-gradient",
    level="error",
    title="a parameter behind an operation without gradient",
    looks_for="a parameter all of whose ways to the loss lead through argmax, sign, a comparison, "
    "stop_gradient or the like",
    why="The derivative of such a step is 0 almost everywhere: nothing below it can learn.",
    do="Put a smooth function in its place (softmax for argmax, sigmoid for >, tanh for sign), or "
    "mark the parameters frozen.",
    source="the records of the operations",
)
def _no_gradient(s: Subject) -> Iterator[Clue]:
    for obstacle, stuck in s.stuck.items():
        label = s.names.get(obstacle)
        where = f" in {label!r}" if label else ""
        what = f"{obstacle.op}{where} has zero gradient almost everywhere: {', '.join(stuck)} "
        what += f"cannot learn through it. The reason: {OPS[obstacle.op].no_gradient}"
        yield Clue(what, obstacle)


@rule(
    code="no-effect",
    level="error",
    title="a parameter whose effect cancels",
    looks_for="a parameter whose gradient is 0 at every one of several random points although the "
    "loss is made of it, such as a bias whose mean is subtracted afterwards",
    why="The loss is the same whatever its value is: it never changes.",
    do="Remove it, or look for a value that is used in the wrong place.",
    source="softmax(z + c) = softmax(z); (z + b) − mean(z + b) = z − mean(z)",
)
def _no_effect(s: Subject) -> Iterator[Clue]:
    stuck = {name for names in s.stuck.values() for name in names}
    for name in stillness(s):
        if name not in stuck:
            reason = _reason(s, s.inputs[name])
            yield Clue(f"the loss does not change with {name}{reason}", name)


def _reason(s: Subject, x: Expr) -> str:
    """Why the effect of `x` cancels, where one of the usual reasons is near it."""
    near, level = [], [x]
    for _ in range(6):
        level = [u for node in level for u in s.users.get(node, ())]
        near += level
    for node in near:
        if node.op in ("softmax", "log_softmax", "cross_entropy"):
            over = node["over"]
            over = over if isinstance(over, tuple) else (over,)
            if not set(over) & set(x.axes):
                return (
                    f": {node.op} over {' '.join(over)} takes no notice of what is added to all "
                    "entries alike"
                )
        if node.op == "sub" and _mean_of_itself(node):
            return f": {s.say(node)} takes away its own mean, and {x.name} with it"
        if node.op == "sub" and {x} <= set(_terms(node.inputs[0])) & set(_terms(node.inputs[1])):
            return f": {s.say(node)} has it on both sides"
    return ": what it adds in one place is taken away in another"


def _terms(node: Expr) -> list[Expr]:
    """Everything that is added up, multiplied or contracted in a value, a few levels down."""
    found, level = [node], [node]
    for _ in range(4):
        level = [x for n in level for x in n.inputs if n.op in _LINEAR]
        found += level
    return found


_LINEAR = ("add", "sub", "neg", "mul", "contract", "transpose", "expand", "rename")


def _mean_of_itself(node: Expr) -> bool:
    left, right = node.inputs
    while right.op == "expand":
        right = right.inputs[0]
    return right.op == "mean" and right.inputs[0] is left


@rule(
    code="cancels-itself",
    level="warning",
    title="a value against itself",
    looks_for="a − a, a / a, or the same value joined twice",
    why="The result does not depend on the value: probably one of the two was meant to be another.",
    do="Put the value that is meant in one of the places.",
    source="a − a = 0, a / a = 1",
)
def _cancels_itself(s: Subject) -> Iterator[Clue]:
    for node in of(s, "sub", "div", "concat"):
        joined = node.op == "concat"  # which gives each part an axis of its own
        sources = [base(x) if joined else x for x in node.inputs if x in s.moving]
        if len(sources) == len(node.inputs) and len(set(sources)) < len(sources):
            what = {"sub": "is 0", "div": "is 1", "concat": "holds the same values twice"}
            yield Clue(f"{s.say(node)} = {s.formula(node)} {what[node.op]}", node)
