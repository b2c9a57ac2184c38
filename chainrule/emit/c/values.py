"""The value of an expression at given indices, as C."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from chainrule.emit.c.text import (
    ATOM,
    BOOL,
    BOTH,
    COMPARE,
    EQUAL,
    FLOAT,
    INT,
    PRODUCT,
    SUM,
    UNARY,
    Lines,
    Names,
    Text,
    binary,
    call,
    choice,
    number,
    whole,
)
from chainrule.emit.llvm.functions import FUNCTIONS, c_name
from chainrule.emit.llvm.lanes import Real
from chainrule.expr import Axes, Expr

LONGEST_LINE = 48  # characters of an expression before a part of it gets a line of its own
Env = Mapping[str, Text]
Ask = tuple[Expr, Env]
Steps = Generator[Ask, Text, Text]
"""Asks for values of other expressions, each at its own indices, and returns its own."""


@dataclass(frozen=True)
class Place:
    """Where the entries of a value lie: what the array is called, its axes in storage order.

    Attributes:
        number: whether it is no array but the one number itself.
    """

    name: str
    axes: Axes
    kind: str
    number: bool = False


class Values:
    """Writes what expressions are at indices; longer ones and those used again get a line.

    Args:
        places: where inputs and stored values lie.
        sizes: the size of each axis.
        shown: how each size is written.
        uses: how many other expressions read each one.
        helpers: functions that the text calls are noted here.
    """

    def __init__(
        self,
        real: Real,
        places: Mapping[Expr, Place],
        sizes: Mapping[str, int],
        shown: Mapping[str, str],
        uses: Mapping[Expr, int],
        names: Names,
        helpers: set[tuple[str, Real]],
    ) -> None:
        self.real, self.places, self.sizes, self.shown = real, places, sizes, shown
        self.uses, self.names, self.helpers = uses, names, helpers
        self.lines = Lines()
        self.known: dict[Expr, Text] = {}
        self._found: dict[tuple[Expr, tuple[str, ...]], Text] = {}

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A block of code; what has a line in it is not known outside."""
        outside = dict(self._found)
        with self.lines.block(head):
            yield
        self._found = outside

    def value(self, node: Expr, env: Env) -> Text:
        """`node` at `env`: read if it is stored, else computed."""
        return self._answer(self._looked_up(node, env))

    def computed(self, node: Expr, env: Env) -> Text:
        """As `value`, even where `node` is also stored."""
        return self._answer(_steps(self, node, env))

    def _answer(self, first: Steps) -> Text:
        """Run steps and the steps they ask for: a loop, because expressions can be deep."""
        pending, answer = [first], None
        while pending:
            try:
                asked = pending[-1].send(answer)  # type: ignore[arg-type]
            except StopIteration as done:
                pending.pop()
                answer = cast(Text, done.value)
            else:
                pending.append(self._looked_up(*asked))
                answer = None
        assert answer is not None
        return answer

    def _looked_up(self, node: Expr, env: Env) -> Steps:
        if node in self.known:
            return self.known[node]
        if node.op == "const":
            return number(node["value"], self.real)
        if node in self.places:
            return self.load(node, env)
        key = (node, tuple(env[axis].text for axis in node.axes))
        if key not in self._found:
            text = yield from _steps(self, node, env)
            used_again = self.uses.get(node, 0) > 1 and not text.text.isidentifier()
            if used_again or len(text.text) > LONGEST_LINE:
                text = self.local(text)
            self._found[key] = text
        return self._found[key]

    def local(self, text: Text, label: str = "v") -> Text:
        """A line of its own for a value; returns its name."""
        kind = {FLOAT: self.real.c, INT: "int64_t", BOOL: "int"}[text.kind]
        name = self.names.fresh(label)
        self.lines.add(f"const {kind} {name} = {text.text};")
        return Text(name, ATOM, text.kind)

    def load(self, node: Expr, env: Env) -> Text:
        """The stored entry at `env`."""
        place = self.places[node]
        text = Text(self.entry(node, env), ATOM, place.kind)
        # truth values are stored as 0 and 1
        return binary("!=", EQUAL, text, self.number(0), BOOL) if node.kind == "bool" else text

    def entry(self, node: Expr, env: Env) -> str:
        """How the stored entry at `env` is written."""
        place = self.places[node]
        if place.number:
            return place.name
        return f"{place.name}[{self.flat(place.axes, env).text}]"

    def flat(self, axes: Axes, env: Env) -> Text:
        """The number of an entry in C order."""
        total: Text | None = None
        for axis in axes:
            if self.sizes[axis] == 1:
                continue
            if total is None:
                total = env[axis]
            else:
                total = binary("*", PRODUCT, total, self.size(axis), INT)
                total = binary("+", SUM, total, env[axis], INT)
        return total or whole(0)

    def size(self, axis: str) -> Text:
        """The size of an axis."""
        return Text(self.shown[axis], ATOM, INT) if axis in self.shown else whole(self.sizes[axis])

    def number(self, value: float) -> Text:
        """A real constant."""
        return number(value, self.real)

    def real_of(self, x: Text) -> Text:
        """A truth value or whole number as a real number."""
        return x if x.kind == FLOAT else Text(f"({self.real.c}){x.at(UNARY)}", UNARY)

    def helper(self, name: str, *arguments: Text, kind: str = FLOAT) -> Text:
        """A call of one of the functions that stand before the kernels."""
        self.helpers.add((name, self.real))
        return call(c_name(name, self.real), *arguments, kind=kind)

    def library(self, name: str, *arguments: Text) -> Text:
        """A call of a function of <math.h>."""
        return call(name + self.real.c_suffix, *arguments)


def _steps(s: Values, node: Expr, env: Env) -> Steps:
    placed = _PLACED.get(node.op)
    if placed:
        return (yield from placed(s, node, env))
    operands = []
    for x in node.inputs:
        operands.append((yield x, env))  # noqa: PERF401 - a comprehension cannot ask
    return SCALARS[node.op](s, *operands)


def _same(s: Values, node: Expr, env: Env) -> Steps:
    return (yield node.inputs[0], env)


def _rename(s: Values, node: Expr, env: Env) -> Steps:
    old = {new: axis for axis, new in node["to"]}
    return (yield node.inputs[0], {old.get(a, a): env[a] for a in node.axes})


def _one_hot(s: Values, node: Expr, env: Env) -> Steps:
    label = yield node.inputs[0], env
    return binary("==", EQUAL, label, env[node["axis"]], BOOL)


def _merge(s: Values, node: Expr, env: Env) -> Steps:
    """One index back into several, the last running fastest."""
    rest, inner = env[node["into"]], dict(env)
    for axis in reversed(node["axes"]):
        if s.sizes[axis] == 1:
            inner[axis] = whole(0)
            continue
        inner[axis] = binary("%", PRODUCT, rest, s.size(axis), INT)
        rest = binary("/", PRODUCT, rest, s.size(axis), INT)
    return (yield node.inputs[0], inner)


def _split(s: Values, node: Expr, env: Env) -> Steps:
    """Several indices into one."""
    return (yield node.inputs[0], {**env, node["axis"]: s.flat(node["into"], env)})


def _start(s: Values, node: Expr) -> int:
    return int(node["start"]) + sum(s.sizes[axis] for axis in node["after"])


def _slice(s: Values, node: Expr, env: Env) -> Steps:
    start = _start(s, node)
    index = env[node["into"]]
    moved = binary("+", SUM, index, whole(start), INT) if start else index
    return (yield node.inputs[0], {**env, node["axis"]: moved})


def _within(s: Values, index: Text, axis: str, start: int) -> tuple[Text, Text]:
    """Whether an index less `start` is a position along `axis`, and one that is (0 otherwise)."""
    moved = s.local(binary("-", SUM, index, whole(start), INT), "at")
    low = binary(">=", COMPARE, moved, whole(0), BOOL)
    high = binary("<", COMPARE, moved, s.size(axis), BOOL)
    there = s.local(binary("&&", BOTH, low, high, BOOL), "there")
    return there, s.local(choice(there, moved, whole(0)), "safe")


def _pad(s: Values, node: Expr, env: Env) -> Steps:
    axis = node["axis"]
    there, safe = _within(s, env[node["into"]], axis, _start(s, node))
    entry = yield node.inputs[0], {**env, axis: safe}
    return choice(there, s.real_of(entry), s.number(0))


def _concat(s: Values, node: Expr, env: Env) -> Steps:
    total, start = s.number(0), 0
    for x, axis in zip(node.inputs, node["over"], strict=True):
        there, safe = _within(s, env[node["into"]], axis, start)
        entry = yield x, {**env, axis: safe}
        total = s.local(choice(there, s.real_of(entry), total))
        start += s.sizes[axis]
    return total


def _gather(s: Values, node: Expr, env: Env) -> Steps:
    x, index = node.inputs
    at = yield index, env
    return (yield x, {**env, node["axis"]: s.local(at, "row")})


def _uniform(s: Values, node: Expr, env: Env) -> Steps:
    """The number of an entry depends on its place in C order."""
    key = yield node.inputs[1], env
    bits = [Text(f"(uint64_t){x.at(UNARY)}", UNARY, INT) for x in (key, s.flat(node.axes, env))]
    return s.helper("uniform", *bits, whole(node["stream"]))


_PLACED: dict[str, Callable[[Values, Expr, Env], Steps]] = {
    "uniform": _uniform,
    "transpose": _same,
    "expand": _same,
    "stop_gradient": _same,
    "rename": _rename,
    "one_hot": _one_hot,
    "merge": _merge,
    "split": _split,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
}

Scalar = Callable[..., Text]


def _arithmetic(sign: str, level: int) -> Scalar:
    return lambda s, x, y: binary(sign, level, s.real_of(x), s.real_of(y), FLOAT)


def _neg(s: Values, x: Text) -> Text:
    x = s.real_of(x)
    return Text(f"-{x.at(ATOM)}", UNARY)


def _compare(sign: str) -> Scalar:
    level = EQUAL if sign == "==" else COMPARE

    def spell(s: Values, x: Text, y: Text) -> Text:
        if x.kind != INT or y.kind != INT:
            x, y = s.real_of(x), s.real_of(y)
        return binary(sign, level, x, y, BOOL)

    return spell


def _where(s: Values, c: Text, x: Text, y: Text) -> Text:
    return choice(c, s.real_of(x), s.real_of(y))


def _helper(name: str) -> Scalar:
    return lambda s, *xs: s.helper(name, *(s.real_of(x) for x in xs))


def _library(name: str) -> Scalar:
    return lambda s, *xs: s.library(name, *(s.real_of(x) for x in xs))


SCALARS: dict[str, Scalar] = {
    "add": _arithmetic("+", SUM),
    "sub": _arithmetic("-", SUM),
    "mul": _arithmetic("*", PRODUCT),
    "div": _arithmetic("/", PRODUCT),
    "neg": _neg,
    "where": _where,
    **{
        op: _compare(sign)
        for op, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="), ("eq", "=="))
    },
    **{name: _library(c) for name, c in (("pow", "pow"), ("abs", "fabs"), ("sqrt", "sqrt"))},
    **{name: _helper(name) for name in ("maximum", "minimum", "sign", *FUNCTIONS)},
}
