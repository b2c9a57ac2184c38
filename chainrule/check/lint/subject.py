"""The network that is looked at: its graph, who uses what, and what the user gave with it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.check.lint.ranges import Range, ranges
from chainrule.definition import LOSSES
from chainrule.differentiate import depends_on, reverse
from chainrule.expr import EXAMPLES, Definition, Expr, postorder
from chainrule.netfile.survey import RESULT, Survey
from chainrule.netfile.write import spelled
from chainrule.ops import OPS

Array = NDArray[Any]
SAME_VALUES = ("transpose", "expand", "rename", "merge", "split", "stop_gradient")
"""Operations that move values and do not change them."""
LABELLED = "cross_entropy"


@dataclass(frozen=True)
class Subject:
    """A network, and arrays for some of its inputs.

    Attributes:
        survey: what the definition says.
        arrays: values of inputs and parameters that were given.
        features: names of the columns of a table, in messages about data; () if not known.
    """

    survey: Survey
    arrays: Mapping[str, Array] = field(default_factory=dict)
    features: tuple[str, ...] = ()

    @property
    def inputs(self) -> Mapping[str, Expr]:
        """What the definition declares, by name."""
        return self.survey.inputs

    @functools.cached_property
    def roots(self) -> tuple[Expr, ...]:
        """The result; where that is not known, every value that is."""
        root = self.survey.root
        return tuple(self.survey.values.values()) if root is None else (root,)

    @functools.cached_property
    def nodes(self) -> tuple[Expr, ...]:
        """Every expression that the result is made of, each after its inputs."""
        return tuple(postorder(*self.roots))

    @functools.cached_property
    def below(self) -> frozenset[Expr]:
        """The same, to ask what is among them."""
        return frozenset(self.nodes)

    @functools.cached_property
    def users(self) -> Mapping[Expr, list[Expr]]:
        """The expressions that each one is an input of."""
        found: dict[Expr, list[Expr]] = {}
        for node in self.nodes:
            for x in dict.fromkeys(node.inputs):
                found.setdefault(x, []).append(node)
        return found

    @functools.cached_property
    def ranges(self) -> Mapping[Expr, Range]:
        """Between which numbers each expression lies."""
        return ranges(self.nodes)

    @functools.cached_property
    def names(self) -> Mapping[Expr, str]:
        """The name of every expression that has one."""
        found = {x: name for name, x in self.inputs.items()}
        for name, value in self.survey.values.items():
            found.setdefault(value, name)
        return found

    @functools.cached_property
    def losses(self) -> tuple[Expr, ...]:
        """Every comparison of a prediction with a target."""
        return tuple(node for node in self.nodes if node.op in LOSSES)

    @functools.cached_property
    def examples(self) -> str:
        """The axis that counts the examples; "" if there is none."""
        for loss in self.losses:
            axis = dict(loss.attrs).get("examples", EXAMPLES)
            if axis in loss.inputs[0].axes:
                return str(axis)
        return EXAMPLES if any(EXAMPLES in x.axes for x in self.inputs.values()) else ""

    @functools.cached_property
    def targets(self) -> frozenset[str]:
        """Names of the inputs that a loss takes as its target or as weights."""
        found = [base(x) for loss in self.losses for x in loss.inputs[1:]]
        return frozenset(x.name for x in found if x.op == "input")

    @functools.cached_property
    def params(self) -> tuple[str, ...]:
        """Names of the parameters: those declared, else all real inputs that are not data."""
        if self.survey.params:
            return tuple(p for p in self.survey.params if p in self.inputs)
        return tuple(
            name
            for name, x in self.inputs.items()
            if self.examples and x.kind == "float" and self.examples not in x.axes
            if name not in self.targets
        )

    @functools.cached_property
    def data(self) -> tuple[str, ...]:
        """Names of the inputs that are neither parameters nor targets, such as the features."""
        others = {*self.params, *self.targets}
        return tuple(name for name in self.inputs if name not in others)

    @functools.cached_property
    def moving(self) -> frozenset[Expr]:
        """Every expression that depends on a parameter, parameters included."""
        found = {self.inputs[p] for p in self.params}
        for node in self.nodes:
            if any(x in found for x in node.inputs):
                found.add(node)
        return frozenset(found)

    @functools.cached_property
    def stuck(self) -> Mapping[Expr, list[str]]:
        """Parameters that the loss depends on without a gradient, by the operation in the way."""
        root = self.survey.root
        if root is None or root.axes:
            return {}
        used = [self.inputs[p] for p in self.params if self.inputs[p] in self.below]
        arrives = reverse(root, used).cotangents
        found: dict[Expr, list[str]] = {}
        for x in used:
            if x not in arrives:
                depends = depends_on(root, [x])
                obstacles = (n for n in self.nodes if n in depends and n is not x)
                first = next(n for n in obstacles if OPS[n.op].no_gradient)
                found.setdefault(first, []).append(x.name)
        return found

    @functools.cached_property
    def definition(self) -> Definition | None:
        """The network without what is unused, if its result is known."""
        root = self.survey.root
        if root is None:
            return None
        inputs = tuple(x for x in self.inputs.values() if x in self.below)
        params = tuple(p for p in self.params if self.inputs[p] in self.below)
        values = tuple((n, v) for n, v in self.survey.values.items() if v in self.below)
        return Definition(self.survey.name, root, inputs, values, params)

    def say(self, expr: Expr) -> str:
        """The name of an expression, or its formula."""
        return self.names[expr] if expr in self.names else self.formula(expr)

    def formula(self, expr: Expr) -> str:
        """What an expression is made of, in terms of names."""
        return spelled(expr, self.names)

    def shown(self, expr: Expr) -> str:
        """``A = relu(Z)``: the name of an expression and what it is."""
        if expr.op == "input" or expr not in self.names:
            return self.say(expr)
        return f"{self.names[expr]} = {self.formula(expr)}"

    def place(self, at: Expr | str) -> tuple[str, int | None]:
        """Where an expression or a name stands: in the value it is part of, with its line."""
        name = at if isinstance(at, str) else self._owner(at)
        return name, self.survey.lines.get(name)

    def _owner(self, expr: Expr) -> str:
        """The name of `expr`, or of the first value that it is a part of."""
        level, seen = [expr], {expr}
        while level:
            named = [self.names[x] for x in level if x in self.names]
            if named:
                return named[0]
            level = [u for x in level for u in self.users.get(x, ()) if u not in seen]
            seen.update(level)
        return RESULT


def base(x: Expr) -> Expr:
    """`x` without what only moves its values between axes."""
    while x.op in SAME_VALUES:
        x = x.inputs[0]
    return x


def data_axes(subject: Subject, x: Expr) -> tuple[str, ...]:
    """The axes of `x` that do not count examples."""
    return tuple(axis for axis in x.axes if axis != subject.examples)


def by_unit(subject: Subject, axes: Sequence[str], array: Array) -> Array:
    """`array` as (examples, everything else)."""
    at = axes.index(subject.examples)
    moved = np.moveaxis(array, at, 0)
    return moved.reshape(moved.shape[0], -1)


def of(subject: Subject, *ops: str) -> Iterator[Expr]:
    """The expressions made by one of these operations."""
    return (node for node in subject.nodes if node.op in ops)
