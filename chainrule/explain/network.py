"""What a derivation line by line is about: named values, and what stands between them.

The derivation is cut at values with names. Between such a value and those above it that it acts on
first (its `above`) lie a few operations, and the lines of its derivative go through these one by
one. Values that the definition leaves without a name although they are used twice, or deep below
the next name, are called u_1, u_2, … here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chainrule.emit.equations import names_of, partial
from chainrule.emit.tex import COLUMN, ROW, Printer, Tex, label, orientations
from chainrule.expr import EXAMPLES, Expr, Spec, input_, postorder
from chainrule.ops import OPS
from chainrule.ops.record import PRODUCT
from chainrule.plan.derived import Derived
from chainrule.plan.program import LEAVES, program
from chainrule.plan.simplify import simplify

DEEPEST = 5  # operations below a name before a value in between gets one
# what begins the internal names of symbols: no definition has an input of such a name by accident
_PRIVATE = "\ue010"
_FOR_VALUES = "uvpqs" + "abcdefghijklmnortwxyz"
_FOR_FUNCTIONS = (
    ("h", "F", r"\Phi"),
    ("g", "G", r"\psi"),
    ("f", "q", r"\phi"),
    ("x", "t", r"\xi", r"\tau"),
)


@dataclass(frozen=True)
class Letters:
    """h, g, f and x of h(x) = g(f(x)), or others where the network has values called so."""

    whole: str
    outer: str
    inner: str
    variable: str

    @classmethod
    def beside(cls, names: Iterable[str]) -> Letters:
        """Letters that begin none of `names`, as far as there are such."""
        taken = {name.split("_")[0] for name in names}
        chosen = (
            next((x for x in some if x.removeprefix("\\") not in taken), some[0])
            for some in _FOR_FUNCTIONS
        )
        return cls(*chosen)


class Network:
    """One derived network with its values, the symbols for their derivatives, and their names.

    Attributes:
        found: the network with its derivatives.
        root: its loss, as defined.
        targets: every value with a section of its own, as defined, with its name; those whose
            derivative is asked for last.
        wrt: those of them that are asked for.
        simple: what each value of the forward pass is simplified to, which is how it is shown.
        symbol: for each target an input that stands for its derivative.
        symbols: all of these.
        slopes: inputs that stand for σ′(z), with the operation σ(z) that each belongs to.
        abbreviations: parts of formulas that the equations give a line of their own.
        names: how values and symbols are written.
        orientation: how values with one axis are written.
        added: the names given here, with their values.
        letters: of the functions in the chain rule.
    """

    def __init__(self, found: Derived) -> None:
        self.found = found
        self.root = found.definition.root
        self._order = {node: i for i, node in enumerate(postorder(self.root))}
        self._moving = found.gradients.cotangents
        self.letters = Letters.beside([*found.definition.input, *dict(found.definition.values)])
        self.simple = dict(simplify(self._order))
        self.names, orientation = names_of(found)
        places = orientations([self.root, *found.definition.inputs])
        self.orientation = _Places({**places, **orientation})
        self.wrt = {found.definition.input[name]: name for name in found.grads}
        self.targets = self._named()
        self.added = self._add_names()
        self.symbol = {x: self._symbol(i, x, n) for i, (x, n) in enumerate(self.targets.items())}
        self.symbols = frozenset(self.symbol.values())
        added = {self.simple[v] for v in self.added}
        self.equations_names = {x: n for x, n in self.names.items() if x not in added}
        self.slopes: dict[Expr, Expr] = {}
        self.abbreviations: dict[str, Expr] = {}
        self._consumers = self._uses()

    def _named(self) -> dict[Expr, str]:
        named: dict[Expr, str] = {}
        for name, x in self.found.definition.values:
            if x in self._moving and x is not self.root and x not in self.wrt:
                named.setdefault(x, name)
        return {**named, **self.wrt}

    def _add_names(self) -> dict[Expr, str]:
        lines = program("", (), {"": self.root}, self.targets, DEEPEST).lines
        taken = {x.name for x in self.found.definition.inputs} | set(self.targets.values())
        letters = (c * n for n in itertools.count(1) for c in _FOR_VALUES)
        letter = next(c for c in letters if not any(n.startswith(f"{c}_") for n in taken))
        bare = [
            line.value
            for line in lines
            if line.value in self._moving
            and line.value not in self.targets
            and line.value is not self.root
            and self.simple[line.value].op not in LEAVES
            and self.simple[line.value] not in self.names
        ]
        added = {x: f"{letter}_{i}" for i, x in enumerate(bare, 1)}
        self.targets = {**added, **self.targets}
        self.names = {self.simple[x]: label(name) for x, name in added.items()} | self.names
        return added

    def _symbol(self, number: int, x: Expr, name: str) -> Expr:
        symbol = input_(f"{_PRIVATE}{number}", Spec(x.axes, x.sizes))
        self.names[symbol] = partial(name)
        return symbol

    def _uses(self) -> dict[Expr, list[Expr]]:
        uses: dict[Expr, list[Expr]] = {}
        for node in self._moving:
            for x in dict.fromkeys(node.inputs):
                if x in self._moving:
                    uses.setdefault(x, []).append(node)
        return uses

    def stops(self, node: Expr) -> bool:
        """Whether the derivation is cut at this value."""
        return node is self.root or node in self.targets

    def between(self, x: Expr) -> tuple[list[Expr], list[Expr]]:
        """The operations from `x` up to the next names: those with a name, and the others.

        Each later than what it is made of, so that going through them backwards is reverse mode.
        """
        seen: set[Expr] = set()
        todo = [x]
        while todo:
            for node in self._consumers.get(todo.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    if not self.stops(node):
                        todo.append(node)
        ordered = sorted(seen, key=self._order.__getitem__, reverse=True)
        above = [n for n in ordered if self.stops(n)]
        return above, [n for n in ordered if not self.stops(n)]

    def backward(self) -> Iterator[Expr]:
        """The targets that are values of the forward pass, from the loss down."""
        values = [x for x in self.targets if x not in self.wrt]
        yield from sorted(values, key=self._order.__getitem__, reverse=True)

    def printer(self) -> Printer:
        """Prints with all names."""
        return Printer(self.names, self.orientation)

    def shown(self, node: Expr) -> Expr:
        """How a value of the forward pass is shown."""
        if node not in self.simple:
            self.simple |= simplify([node])
        return self.simple[node]

    def slope(self, node: Expr) -> Expr | None:
        r"""The symbol \sigma'(z) of an operation \sigma(z) that works entry by entry."""
        op = OPS[node.op]
        called = isinstance(op.tex, str) and op.tex.endswith("{0:call}") and len(node.inputs) == 1
        if not called or not any(layout.inputs == ("",) for layout in op.layouts):
            return None
        x = node.inputs[0]
        symbol = input_(f"{_PRIVATE}slope {len(self.slopes)}", Spec(x.axes, x.sizes))
        assert isinstance(op.tex, str)
        name = op.tex.removesuffix("{0:call}").format(**dict(node.attrs))
        inner = self.printer().tex(self.shown(x))
        self.slopes[symbol] = node
        self.names[symbol] = Tex(f"{name}'{inner.inside()}", PRODUCT).text
        return symbol


class _Places(dict[str, str]):
    """Whether an axis runs along rows or columns, for axes too that only the way back has."""

    def __missing__(self, axis: str) -> str:
        return ROW if axis == EXAMPLES else COLUMN


def shape_axes(axes: Sequence[str], orientation: dict[str, str]) -> tuple[str, ...]:
    """The axes as a matrix has them: a column k is k×1, a row m is 1×m."""
    if len(axes) != 1:
        return tuple(axes)
    return (axes[0], "1") if orientation[axes[0]] == COLUMN else ("1", axes[0])
