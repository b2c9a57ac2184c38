"""One step again, value by value: which operation was the first to leave the finite numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.differentiate import depends_on
from chainrule.expr import Expr, Spec, input_, postorder
from chainrule.ops import OPS
from chainrule.plan.kernels import base
from chainrule.plan.lower import SCALAR
from chainrule.plan.program import program
from chainrule.run.bind import Array
from chainrule.run.reference import Reference
from chainrule.training.step import Step
from chainrule.training.task import Task

Phase = Literal["forward", "backward", "update"]
Values = Mapping[Expr, Array]
Cell = tuple[str, tuple[int, ...], float]
SPELLED = {"contract": "matmul"}  # operations whose own name users do not write


@dataclass(frozen=True)
class Culprit:
    """The first operation whose result is not finite though its inputs are.

    Attributes:
        op: its name.
        inside: the operation that the network names, of which this one is a part; "" if it is named
            itself.
        value: the name of the value that it belongs to, "" if nothing around it has one.
        largest: the largest magnitude of its inputs.
        rows: places in the batch where the result is not finite; None if it has no examples.
        cell: the one entry of the data that the first of these is made of: "X" or "y", its indices
            without that of the row, and what stands there. None if it is made of more.
        learned: whether it depends on a parameter.
    """

    op: str
    inside: str
    value: str
    phase: Phase
    largest: float
    rows: NDArray[np.int64] | None
    cell: Cell | None
    learned: bool

    def __str__(self) -> str:
        """What and where.

        >>> print(Culprit("exp", "softmax", "out", "forward", 89000, None, None, True))
        op exp in softmax of 'out' (forward), input max 8.9e+04
        """
        parts = f" in {self.inside}" * bool(self.inside)
        name = f" {'of' if self.inside else 'in'} {self.value!r}" * bool(self.value)
        return f"op {self.op}{parts}{name} ({self.phase}), input max {self.largest:.2g}"


def culprit(task: Task, step: Step, given: Mapping[str, Any]) -> Culprit | None:
    """Run a step with the reference executor and find the first operation that failed.

    Args:
        given: all inputs of the step by name, finite.

    Returns:
        None if loss and new values are finite: the step that failed rounded otherwise.
    """
    outputs = dict(step.program.outputs)
    loss = outputs[""]
    stages: dict[Phase, Iterable[Expr]] = {
        "forward": [outputs[key] for key in ("", step.prediction, step.penalty) if key in outputs],
        "backward": step.gradients.values(),
        "update": outputs.values(),
    }
    phase_of: dict[Expr, Phase] = {}
    for phase, roots in stages.items():
        for node in postorder(*roots):
            phase_of.setdefault(node, phase)
    known = {x: np.asarray(given[x.name]) for x in step.program.inputs}
    values = evaluated(list(phase_of), known)
    roots = [x for x in (loss, *outputs.values()) if lost(x, values)]
    found = first_lost(phase_of, roots[:1] if roots[:1] == [loss] else roots, values)
    if found is None:
        return None
    inner, outer_of, near = _innermost(found, values)
    learned = depends_on(found, [task.definition.input[name] for name in task.definition.params])
    return Culprit(
        SPELLED.get(inner.op, inner.op),
        "" if inner is found else found.op,
        _named(found, step, list(phase_of)),
        phase_of[found],
        _largest(inner, near),
        _rows(inner, near, task.examples),
        _cell(inner, near, outer_of, task),
        found in learned,
    )


def evaluated(nodes: Sequence[Expr], known: Values) -> dict[Expr, Array]:
    """The values of nodes, computed in their order; `known` are those of all inputs."""
    made = [node for node in nodes if node.inputs and node not in known]
    outputs = {"": made[0], **{f"{i}": node for i, node in enumerate(made[1:])}} if made else {}
    if not outputs:
        return dict(known)
    inputs = [x for x in known if x.op == "input"]
    run = Reference(program("replay", inputs, outputs, {}))
    first, rest = run.run({x.name: known[x] for x in inputs})
    return {**known, **dict(zip(made, (first, *rest.values()), strict=True))}


def lost(node: Expr, values: Values) -> bool:
    """Whether a value is known and somewhere not finite."""
    return node in values and not np.isfinite(values[node]).all()


def first_lost(order: Iterable[Expr], roots: Iterable[Expr], values: Values) -> Expr | None:
    """The first in `order` of what made `roots` not finite.

    Only what reaches them through values that are not finite counts: log 0 behind a `where` that
    takes the other branch has done no harm.
    """
    todo, guilty, seen = list(roots), set(), set[Expr]()
    while todo:
        node = todo.pop()
        if node in seen or not lost(node, values):
            continue
        seen.add(node)
        below = [x for x in node.inputs if lost(x, values)]
        todo += below
        if not below:
            guilty.add(node)
    return next((node for node in order if node in guilty), None)


def _innermost(node: Expr, values: Values) -> tuple[Expr, Mapping[Expr, Expr], Values]:
    """The operation inside of `node` that failed first.

    Returns:
        The operation, what its inputs stand for outside, and the values around it.
    """
    outer: dict[Expr, Expr] = {x: x for x in node.inputs}
    while node.op not in SCALAR and (op := OPS[node.op]).body is not None:
        fresh = [_fresh(f"u{i}", x, values) for i, x in enumerate(node.inputs)]
        body = op.body(*fresh, **dict(node.attrs))
        parts = list(postorder(body))
        known = {u: values[x] for u, x in zip(fresh, node.inputs, strict=True) if u.op == "input"}
        around = evaluated(parts, known)
        inner = first_lost(parts, [body], around)
        if inner is None or not inner.inputs:
            break  # the executor has another way of its own to compute it
        outer = {u: outer.get(x, x) for u, x in zip(fresh, node.inputs, strict=True)}
        node, values = inner, around
    return node, outer, values


def _fresh(name: str, x: Expr, values: Values) -> Expr:
    """An input in place of a value, its sizes known."""
    if x.op == "const":
        return x
    return input_(name, Spec(x.axes, dict(zip(x.axes, values[x].shape, strict=True)), x.kind))


def _named(node: Expr, step: Step, order: Sequence[Expr]) -> str:
    """The name of a value, or of the first one that is made of it and has one."""
    names = {x: name for x, name in step.program.name_of.items() if x.op != "input"}
    above = {node}
    for x in order:
        if above & {x, *x.inputs}:
            above.add(x)
            if x in names and not _temporary(names[x]):
                return names[x]
    return ""


def _temporary(name: str) -> bool:
    return name.startswith("t") and name[1:].isdecimal()


def _largest(node: Expr, values: Values) -> float:
    inputs = [values[x] if x in values else np.asarray(x["value"]) for x in node.inputs]
    return max((float(np.abs(a).max(initial=0.0)) for a in inputs), default=0.0)


def _rows(node: Expr, values: Values, examples: str) -> NDArray[np.int64] | None:
    if examples not in node.axes:
        return None
    bad = np.moveaxis(~np.isfinite(values[node]), node.axes.index(examples), 0)
    return np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))


def _cell(node: Expr, values: Values, outer: Mapping[Expr, Expr], task: Task) -> Cell | None:
    """The entry of the data of which the first entry that failed was made, alone."""
    if node.op not in SCALAR or task.examples not in node.axes:
        return None
    order = sorted(node.axes, key=lambda axis: axis != task.examples)
    bad = np.transpose(~np.isfinite(values[node]), [node.axes.index(axis) for axis in order])
    place = dict(zip(order, (int(i) for i in np.argwhere(bad)[0]), strict=True))
    for x in node.inputs:
        source = base(outer.get(base(x), base(x)))
        for name, data in (("X", task.X), ("y", task.y)):
            if source is data and set(x.axes) == set(data.axes):
                value = float(values[x][tuple(place[axis] for axis in x.axes)])
                return name, tuple(place[a] for a in data.axes if a != task.examples), value
    return None
