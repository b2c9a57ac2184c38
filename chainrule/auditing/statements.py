"""Equations as statements about symbols: parsed, with what their left side is."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.auditing.layers import Layers
from chainrule.auditing.notation import Spelled, plain
from chainrule.auditing.rows import Equation
from chainrule.errors import FormulaError
from chainrule.texmath import parse
from chainrule.texmath.tree import (
    Add,
    Call,
    Hadamard,
    Negative,
    Node,
    Number,
    Product,
    Summation,
    Symbol,
    Transpose,
    walk,
)  # fmt: skip

_DERIVATIVE = re.compile(r"d(?P<upper>.+?)/d(?P<lower>.+)")
_OF = re.compile(r"(\\mathcal\s*\{?\s*[A-Z]\s*\}?|\\?[A-Za-z]+)\s*\([^()=]{1,200}\)")
_KEY = re.compile(
    r"(?P<base>[^_^]+?(?:_(?:hat|bar|tilde|dot))*)(?:_(?P<below>[^^]+))?(?:\^\((?P<layer>.*)\))?"
)
LOSS_NAMES = (
    "L",
    "J",
    "C",
    "E",
    "ell",
    "loss",
    "cost",
    "Loss",
    "Cost",
    "R",
    "Q",
    "l",
    "S",
    "F",
    "MSE",
)
FUNCTIONS = frozenset(("sigma", "tanh", "sigmoid", "relu", "phi", "psi", "exp", "log", "softplus"))
INDEX_LETTERS = frozenset("ijklmnpqrstuvabcho")


@dataclass(frozen=True)
class Instance:
    """A statement for one layer, or the statement itself where it names none.

    Attributes:
        label: ``l = 2``, or "".
        sides: the trees of the sides.
        texts: what they were parsed from.
    """

    label: str
    sides: tuple[Node, ...]
    texts: tuple[str, ...]

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols of all sides, each key once; what stands in subscripts is none."""
        found = {s.key: s for side in self.sides for s in symbols_of(side)}
        return tuple(found.values())


@dataclass
class Statement:
    """An equation of the document.

    Attributes:
        equation: as written.
        section: number of its section in the document.
        place: its rank among all equations.
        spelled: its sides as they are parsed.
        instances: for every layer; none if it cannot be read.
        problem: why it cannot be read.
    """

    equation: Equation
    section: int
    place: int
    spelled: tuple[Spelled, ...]
    instances: tuple[Instance, ...] = ()
    problem: str = ""
    layers: Layers = field(default_factory=Layers)
    names: frozenset[str] = frozenset()
    aliases: Mapping[str, tuple[Symbol, Symbol]] = field(default_factory=dict)

    @property
    def left(self) -> Node | None:
        """The tree of the left side, of the first layer."""
        return self.instances[0].sides[0] if self.instances else None

    @property
    def defines(self) -> str:
        """The key of the symbol alone on the left; "" if something else stands there."""
        left = self.left
        return left.key if isinstance(left, Symbol) and not derivative(left.key) else ""

    def again(self, texts: tuple[str, ...]) -> tuple[Instance, ...]:
        """The instances that other texts of the sides would have.

        Raises:
            FormulaError: a text cannot be parsed.
        """
        found = []
        for label, sides in self.layers.instances(texts):
            trees = tuple(aliased(parse(side, names=self.names), self.aliases) for side in sides)
            found.append(Instance(label, trees, sides))
        return tuple(found)


def rewrite(root: Node, change: Callable[[Node], Node]) -> Node:
    """A tree with every node replaced by what `change` makes of it, parts first."""
    known: dict[int, Node] = {}
    todo: list[tuple[Node, bool]] = [(root, False)]
    while todo:
        node, ready = todo.pop()
        below = () if isinstance(node, Symbol) else node.parts
        if not ready:
            todo.append((node, True))
            todo.extend((part, False) for part in below)
            continue
        new = node
        if any(known[id(part)] is not part for part in below):
            changed: dict[str, Any] = {}
            for each in dataclasses.fields(node):
                value = getattr(node, each.name)
                if isinstance(value, Node):
                    changed[each.name] = known.get(id(value), value)
                elif isinstance(value, tuple) and any(isinstance(x, Node) for x in value):
                    changed[each.name] = tuple(known.get(id(x), x) for x in value)
            new = dataclasses.replace(node, **changed)
        known[id(node)] = change(new)
    return known[id(root)]


def entry_by_entry(root: Node) -> Node:
    r"""``\sum Y \log A``, a cross-entropy, with ⊙: no loss adds up the entries of such a product.

    A product with a transpose in it is left as it is.
    """

    def with_logarithm(node: Node) -> Node:
        plain_product = isinstance(node, Product) and not {"@", "/"} & set(node.signs)
        if not plain_product or any(isinstance(x, Transpose) for x in walk(node)):
            return node
        assert isinstance(node, Product)
        logarithm = any(isinstance(x, Call) and x.function == "log" for x in node.factors)
        return Hadamard(node.factors, at=node.at) if logarithm else node

    def summed(node: Node) -> Node:
        if isinstance(node, Summation) or (isinstance(node, Call) and node.function == "sum"):
            return rewrite(node, with_logarithm)
        return node

    return rewrite(root, summed)


def as_derivative(upper: Symbol, lower: Symbol, at: tuple[int, int] = (0, 0)) -> Symbol:
    """∂upper/∂lower as one symbol."""
    key = f"d{upper.key}/d{lower.key}"
    base = f"d{upper.base}/d{lower.base}"
    layer = lower.layer or upper.layer
    return Symbol(base, (*upper.below, *lower.below), layer, key, at=at)


def aliased(node: Node, aliases: Mapping[str, tuple[Symbol, Symbol]]) -> Node:
    """A formula with derivatives in the place of the names that stand for them."""

    def change(part: Node) -> Node:
        if isinstance(part, Symbol) and part.key in aliases:
            upper, lower = aliases[part.key]
            if upper.key in FUNCTIONS:  # dσ/dx is σ′(x)
                return Call(upper.key, (lower,), 1, at=part.at)
            return as_derivative(upper, lower, at=part.at)
        return part

    return rewrite(node, change) if aliases else node


def read(
    equation: Equation, section: int, place: int, layers: Layers, names: frozenset[str]
) -> Statement:
    """The statement that an equation makes; its `problem` says why it cannot be read."""
    spelled = tuple(plain(side.text) for side in equation.sides)
    loss = _OF.fullmatch(spelled[0].text.strip())
    if loss and loss[1].strip("\\").removeprefix("mathcal{").strip("{} ") in LOSS_NAMES:
        spelled = (dataclasses.replace(spelled[0], text=loss[1]), *spelled[1:])  # J(θ)
    statement = Statement(equation, section, place, spelled, layers=layers, names=names)
    if equation.problem:
        statement.problem = equation.problem
        return statement
    empty = [side for side in spelled if not side.text.strip()]
    if empty:
        statement.problem = "one side is empty"
        return statement
    try:
        statement.instances = statement.again(tuple(side.text for side in spelled))
    except FormulaError as error:
        statement.problem = f"not read as a formula: {first_line(error)}"
    return statement


def first_line(error: Exception) -> str:
    """A message without the excerpt below it."""
    return str(error).split("\n")[0]


def derivative(key: str) -> tuple[str, str] | None:
    """("L", "W_1") for "dL/dW_1"; None for other names.

    >>> derivative("dL/dW_1"), derivative("delta")
    (('L', 'W_1'), None)
    """
    match = _DERIVATIVE.fullmatch(key)
    return (match["upper"], match["lower"]) if match else None


@functools.cache
def symbol(key: str) -> Symbol:
    """The symbol with a canonical name."""
    match = _KEY.fullmatch(key)
    if match is None:
        return Symbol(key, key=key)
    base, below, layer = match["base"], match["below"] or "", match["layer"] or ""
    word = base.split("_")[0]
    letter = word if len(word) == 1 else rf"\{word}"
    for accent in base.split("_")[1:]:
        letter = rf"\{accent}{{{letter}}}"
    text = letter + (f"_{{{','.join(below.split('_'))}}}" if below else "")
    text += f"^{{({layer})}}" if layer else ""
    try:
        found = parse(text)
    except FormulaError:
        return Symbol(key, key=key)
    return found if isinstance(found, Symbol) and found.key == key else Symbol(key, key=key)


def symbols_of(node: Node) -> Iterator[Symbol]:
    """The symbols of a tree, without those in subscripts and layers."""
    todo = [node]
    while todo:
        found = todo.pop()
        if isinstance(found, Symbol):
            yield found
        else:
            todo.extend(reversed(found.parts))


def claims_derivative(statement: Statement) -> bool:
    """Whether a derivative stands on the left of something that could not be read."""
    try:
        left = parse(statement.spelled[0].text, names=statement.names)
    except FormulaError:
        return False
    return any(derivative(s.key) for s in symbols_of(left))


def function_definition(statement: Statement) -> tuple[str, str, Node] | None:
    """(function, argument, body) of ``f(x) = …``; None if it is none."""
    if len(statement.instances) != 1 or len(statement.instances[0].sides) < 2:
        return None
    left, right = statement.instances[0].sides[:2]
    if not isinstance(left, Call) or left.primes or len(left.args) != 1 or left.below:
        return None
    argument = left.args[0]
    if not isinstance(argument, Symbol):
        return None
    return left.function, argument.key, right


def is_update(statement: Statement) -> bool:
    """Whether it is a step of gradient descent: ``w ← w − η ∂L/∂w``."""
    if not statement.instances or len(statement.instances[0].sides) != 2:
        return False
    left, right = statement.instances[0].sides
    if not isinstance(left, Symbol) or derivative(left.key):
        return False
    keys = {s.key for s in symbols_of(right)}
    assigned = statement.equation.relations[0] == "←"
    derived = any(derivative(k) for k in keys)
    again = any(s.base == left.base for s in symbols_of(right)) and isinstance(right, Add)
    return (left.key in keys and (assigned or derived)) or (again and derived)


def bare(node: Node) -> Symbol | None:
    """The symbol that a side consists of, its sign aside."""
    while isinstance(node, Negative):
        node = node.of
    return node if isinstance(node, Symbol) else None


def has_numbers_only(node: Node) -> bool:
    """Whether no symbol stands in it."""
    return all(isinstance(x, Number) or not isinstance(x, Symbol | Call) for x in walk(node))


def uses(nodes: Iterable[Node]) -> set[str]:
    """The keys of all symbols in some trees."""
    return {s.key for node in nodes for s in symbols_of(node)}
