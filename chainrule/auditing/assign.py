"""Shapes for the symbols of a model: as the text says them, else such that its equations fit.

The cheapest assignment wins. What the text says costs nothing; what it does not say follows
conventions (capitals are matrices, a bias is repeated); an equation whose parts do not fit costs
so much that another reading is preferred if there is one. Assignments are taken in the order of
their cost (best first), so the first complete one is the best.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from chainrule.auditing import prose
from chainrule.auditing.infer import Inference, Kind, entry_axes
from chainrule.auditing.scope import Definition, Model, mentioned
from chainrule.auditing.sizes import NUMBER, ONE, Misfit, Shape, Sizes
from chainrule.auditing.statements import LOSS_NAMES, Instance, derivative, symbol, symbols_of
from chainrule.texmath.names import whole
from chainrule.texmath.tree import (
    Call,
    Hadamard,
    Node,
    Norm,
    Ones,
    Summation,
    Symbol,
    Transpose,
    walk,
)  # fmt: skip

MOST_STATES = 4_000
# So much does a reading cost in which an equation does not fit, one that contradicts the text, a
# bias along the examples, something repeated that is no bias. All wrong equations together cost
# less than reading a symbol as a number or a matrix as a row: no special case excuses them.
ANOTHER, MOST_MISFITS = 0.3, 5
MISFIT, CONTRADICTS, ODD, SPREAD = 10.0, 60.0, 25.0, 30.0
SIZE_NAMES = frozenset("mnNMBKkdDp")
CONSTANTS = ("e", "pi")
PLAIN_NUMBERS = frozenset(
    {"eta", "alpha", "lambda", "epsilon", "beta", "gamma", "mu", "rho", "tau"}
)


@dataclass
class Assignment:
    """Shapes of all symbols of a model.

    Attributes:
        shapes: by key (without indices), of leaves and of what is defined.
        sizes: what is known about the sizes of axes.
        misfits: (statement number, why) for statements whose parts do not fit.
        cost: how much it departs from the text and from conventions.
    """

    shapes: dict[str, Shape]
    sizes: Sizes
    misfits: dict[int, str] = field(default_factory=dict)
    cost: float = 0.0


@dataclass(frozen=True)
class Said:
    """What the text says about shapes, as it concerns one model.

    Attributes:
        own: statements in the part of the document that the model stands in.
        before: those of earlier parts.
    """

    own: tuple[prose.Shape, ...] = ()
    before: tuple[prose.Shape, ...] = ()


class Shapes:
    """The search for shapes of one model.

    Args:
        model: definitions and statements.
        said: what the text says about shapes.
        indices: letters that are indices in this part of the document.
    """

    def __init__(self, model: Model, said: Said, indices: frozenset[str]) -> None:
        self._model = model
        self.said = said
        self.indices = indices
        nodes = [d.node for d in model.definitions.values()]
        nodes += [side for _, instance in model.checks for side in instance.sides]
        self._ranks = self._used_ranks(nodes)
        self._plain = not any(_arrays(node) for node in nodes) and not any(self._ranks.values())
        self._defining = {
            self.split(symbol(k))[0]
            for d in model.definitions.values()
            for k in [d.key, *mentioned(d.node)]
        }
        self._steps = list(self._plan())

    def best(self, most: int = 4) -> list[Assignment]:
        """The cheapest assignments, at most `most` of them; none if no definitions fit."""
        ticket = count()
        heap: list[tuple[float, int, int, Assignment]] = [
            (0.0, 0, next(ticket), Assignment({}, Sizes()))
        ]
        found: list[Assignment] = []
        states = 0
        while heap and states < MOST_STATES and len(found) < most:
            cost, step, _, state = heapq.heappop(heap)
            states += 1
            if found and cost > found[0].cost + 1:
                break
            if step == -len(self._steps):
                found.append(state)
                continue
            for new in self._next(state, self._steps[-step]):
                heapq.heappush(heap, (new.cost, step - 1, next(ticket), new))
        return found

    def _plan(self) -> Iterator[str | Definition | tuple[int, Instance]]:
        """Leaves right before what uses them first, definitions in order, then statements."""
        seen: set[str] = set()
        for definition in self._model.definitions.values():
            yield from self._new_leaves([definition.node], seen)
            yield definition
        for number, (_, instance) in enumerate(self._model.checks):
            yield from self._new_leaves(instance.sides, seen)
            yield number, instance

    def _new_leaves(self, nodes: Sequence[Node], seen: set[str]) -> Iterator[str]:
        for node in nodes:
            for each in symbols_of(node):
                keys = derivative(each.key) or (each.key,)
                for key in keys:
                    stem = self.split(symbol(key) if len(keys) > 1 else each)[0]
                    if stem in CONSTANTS or self.kronecker(each):
                        continue
                    if stem not in seen and stem not in self._model.definitions:
                        seen.add(stem)
                        yield stem

    def split(self, node: Symbol) -> tuple[str, tuple[str, ...]]:
        """A symbol's key without indices, and these: w_jk^(2) → w^(2), (j, k)."""
        letters = tuple(
            x.key for x in node.below if isinstance(x, Symbol) and x.key in self.indices
        )
        if not letters or len(letters) != len(node.below):
            return node.key, ()
        layer = node.key.rpartition("^(")[2].rstrip(")") if node.layer is not None else ""
        return whole(node.base, (), layer), letters

    def kronecker(self, node: Symbol) -> bool:
        """Whether it is 1 where its two indices are equal, else 0."""
        stem, letters = self.split(node)
        return node.base == "delta" and len(letters) == 2 and stem not in self._model.definitions

    def _used_ranks(self, nodes: Sequence[Node]) -> dict[str, int]:
        ranks: dict[str, int] = {}
        for node in nodes:
            for each in symbols_of(node):
                pair = derivative(each.key)
                for part in (symbol(k) for k in pair) if pair else (each,):
                    stem, letters = self.split(part)
                    if letters:
                        ranks[stem] = len(letters)
        return ranks

    def _next(
        self, state: Assignment, step: str | Definition | tuple[int, Instance]
    ) -> Iterator[Assignment]:
        if isinstance(step, str):
            for cost, sizes, shape in self._candidates(step, state.sizes):
                yield Assignment(
                    {**state.shapes, step: shape}, sizes, state.misfits, state.cost + cost
                )
        elif isinstance(step, Definition):
            infer = self.inference(state.shapes, state.sizes.copy())
            try:
                kind = infer(step.node)
                shape, cost = self._defined(step, kind, infer)
            except Misfit:
                return
            stem = self.split(symbol(step.key))[0]
            yield Assignment(
                {**state.shapes, stem: shape},
                infer.sizes,
                state.misfits,
                state.cost + cost + _spread_cost(infer) + self._odd_bias(step, state, infer.sizes),
            )
        else:
            yield self._checked(state, *step)

    def _odd_bias(self, step: Definition, state: Assignment, sizes: Sizes) -> float:
        """A bias has an entry for each unit: it shares no axis with the input X."""
        inputs = {
            sizes.root(size)
            for key, shape in state.shapes.items()
            if key.split("_")[0] in ("x", "X")
            for size in shape
        } - {ONE}
        biases = (x.key for x in symbols_of(step.node) if x.base == "b")
        shared = any(
            sizes.root(size) in inputs
            for key in biases
            if key in state.shapes and not self._told(key, self.said.own)
            for size in state.shapes[key]
        )
        return ODD if shared else 0.0

    def _defined(self, step: Definition, kind: Kind, infer: Inference) -> tuple[Shape, float]:
        """The shape that a definition gives its symbol, held against what the text says."""
        stem, letters = self.split(symbol(step.key))
        shape = kind.shape
        if letters:
            axes = dict(kind.axes)
            if set(letters) != set(axes) or not infer.sizes.is_number(shape):
                raise Misfit("its two sides have different indices")
            shape = (axes[letters[0]], axes[letters[1]] if len(letters) > 1 else ONE)
        elif kind.axes:
            raise Misfit("an index stands on one side only")
        for told in self._told(stem, self.said.own):
            if not self._fits(told, shape, infer.sizes):
                return shape, CONTRADICTS
        loss = step.key in LOSS_NAMES and not letters and not infer.sizes.is_number(shape)
        return shape, ODD if loss else 0.0

    def _fits(self, told: prose.Shape, shape: Shape, sizes: Sizes) -> bool:
        ones = tuple(sizes.root(size) == ONE for size in shape)
        wanted = {
            prose.SCALAR: (True, True), prose.ROW: (True, False), prose.COLUMN: (False, True),
            prose.MATRIX: (False, False),
        }.get(told.kind)  # fmt: skip
        if wanted is not None and ones != wanted:
            return False
        return all(
            sizes.unify(size, sizes.new(name))
            for size, name in zip(shape, told.sizes, strict=True)
            if name
        )

    def _checked(self, state: Assignment, number: int, instance: Instance) -> Assignment:
        infer = self.inference(state.shapes, state.sizes.copy())
        try:
            infer.same(instance.sides)
        except Misfit as misfit:
            checks = self._model.checks
            again = any(checks[n][0] is checks[number][0] for n in state.misfits)  # another layer
            misfits = {**state.misfits, number: str(misfit)}
            more = 0.0 if again or len(misfits) > MOST_MISFITS else ANOTHER
            cost = state.cost + (more if state.misfits else MISFIT)
            return Assignment(state.shapes, state.sizes, misfits, cost)
        cost = state.cost + _spread_cost(infer)
        return Assignment(state.shapes, infer.sizes, state.misfits, cost)

    def inference(self, shapes: Mapping[str, Shape], sizes: Sizes) -> Inference:
        """Shapes of formulas where symbols have these."""
        return Inference(sizes, lambda node: self._kind(node, shapes, sizes))

    def _kind(self, node: Symbol, shapes: Mapping[str, Shape], sizes: Sizes) -> Kind:
        pair = derivative(node.key)
        if pair and node.key not in shapes:
            upper, lower = (self._kind(symbol(key), shapes, sizes) for key in pair)
            axes = dict(upper.axes)
            for letter, size in lower.axes:
                if not sizes.unify(axes.setdefault(letter, size), size):
                    raise Misfit(f"index {letter} runs over two different sizes")
            return Kind(_derivative_shape(upper.shape, lower.shape, sizes), tuple(axes.items()))
        stem, letters = self.split(node)
        if stem not in shapes:
            if self.kronecker(node):
                size = sizes.new()
                return Kind(NUMBER, tuple((letter, size) for letter in letters))
            return Kind()
        if not letters:
            return Kind(shapes[stem])
        return Kind(NUMBER, entry_axes(sizes, shapes[stem], list(letters), node.key))

    def _told(self, key: str, said: Sequence[prose.Shape]) -> list[prose.Shape]:
        """The last statement about a symbol: by its name, else by a noun."""
        named = [s for s in said if not s.noun and canonical(s.symbol) == key]
        if not named and key not in self._model.definitions:
            own = said is self.said.own
            named = [s for s in said if s.noun and (key[:1] if own else key) == s.symbol]
        return named[-1:]

    def _candidates(self, key: str, sizes: Sizes) -> Iterator[tuple[float, Sizes, Shape]]:
        own, before = self._told(key, self.said.own), self._told(key, self.said.before)
        told = (own or before)[:1]
        rank = self._ranks.get(key)
        extra = CONTRADICTS if own else 2.0 if before else 0.0
        for shape in told:
            for kind in (prose.ROW, prose.COLUMN) if shape.kind == prose.VECTOR else (shape.kind,):
                new = sizes.copy()
                yield 0.0, new, _shape(kind, shape.sizes, new)
        said = {t.kind for t in told}
        for kind, cost in self._conventions(key, rank).items():
            if kind not in said:
                new = sizes.copy()
                yield cost + extra, new, _shape(kind, ("", ""), new)

    def _conventions(self, key: str, rank: int | None) -> dict[str, float]:
        """What a symbol may be that the text says nothing of, and how unusual that is."""
        base = key.split("^")[0].split("_")[0]
        if rank is not None:
            return {prose.MATRIX: 0.0} if rank == 2 else {prose.COLUMN: 0.0, prose.ROW: 1.0}
        if base in PLAIN_NUMBERS or (base in SIZE_NAMES and key == base):
            return {prose.SCALAR: 0.0}
        if self._plain:
            return {prose.SCALAR: 0.0}
        if key not in self._defining:  # only claims are made about it: the simplest reading
            return {prose.SCALAR: 0.0, prose.COLUMN: 0.5, prose.ROW: 0.5, prose.MATRIX: 0.5}
        if base[:1].isupper():
            return {prose.MATRIX: 0.0, prose.COLUMN: 25.0, prose.ROW: 25.0, prose.SCALAR: 50.0}
        if base[:1] in "bc":
            return {prose.COLUMN: 0.4, prose.ROW: 0.4, prose.SCALAR: 1.0, prose.MATRIX: 4.0}
        if base[:1] in "wuv" and "^(" in key:  # of a layer among others
            return {prose.MATRIX: 0.0, prose.COLUMN: 12.0, prose.ROW: 12.0, prose.SCALAR: 24.0}
        if base[:1] in "wuv" or base == "theta":
            return {prose.COLUMN: 1.0, prose.ROW: 1.0, prose.MATRIX: 2.0, prose.SCALAR: 12.0}
        return {prose.COLUMN: 0.0, prose.ROW: 1.0, prose.MATRIX: 1.5, prose.SCALAR: 12.0}


@functools.cache
def canonical(text: str) -> str:
    """The canonical name of a symbol as it is written in running text."""
    from chainrule.errors import FormulaError
    from chainrule.texmath import parse

    try:
        found = parse(text)
    except FormulaError:
        return text
    return found.key if isinstance(found, Symbol) else text


def _shape(kind: str, names: tuple[str, str], sizes: Sizes) -> Shape:
    rows, columns = names
    if kind == prose.SCALAR:
        return NUMBER
    if kind == prose.ROW:
        return ONE, sizes.new(columns if columns != "1" else "")
    if kind == prose.COLUMN:
        return sizes.new(rows if rows != "1" else ""), ONE
    return sizes.new(rows), sizes.new(columns)


def _derivative_shape(upper: Shape, lower: Shape, sizes: Sizes) -> Shape:
    """The shape of a derivative: that of the parameter; a Jacobian of two columns."""
    if sizes.is_number(upper):
        return lower
    if sizes.is_number(lower):
        return upper
    if all(sizes.same(a, b) for a, b in zip(upper, lower, strict=True)):
        return upper
    if sizes.root(upper[1]) == ONE == sizes.root(lower[1]):
        return upper[0], lower[0]
    shown = sizes.shown
    raise Misfit(f"the derivative of {shown(upper)} by {shown(lower)} has more than two axes")


def _spread_cost(infer: Inference) -> float:
    """A bias may be repeated for every example; anything else that is, is suspicious."""
    cost = 0.0
    for term, _ in infer.spreads:
        literal = not any(isinstance(x, Symbol | Call) for x in walk(term))
        bias = isinstance(term, Symbol) and term.base[:1] in "bcB"
        cost += 0.0 if literal else 0.2 if bias else SPREAD
    return cost


def _arrays(node: Node) -> bool:
    """Whether a formula has something that only makes sense for vectors and matrices."""
    marks = (Transpose, Hadamard, Norm, Ones, Summation)
    return any(
        isinstance(x, marks)
        or (isinstance(x, Symbol) and x.base[:1].isupper() and not x.base.startswith("d")
            and x.base not in ("L", "J", "C", "E") and len(x.base.split("_")[0]) == 1)
        for x in walk(node)
    )  # fmt: skip
