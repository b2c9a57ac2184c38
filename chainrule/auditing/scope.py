"""Which definition a symbol has where it is used, and the models that result.

A symbol means what the last equation before says it is; only if there is none before, what the
next one in the same part of the document says. So a section that builds on an earlier one inherits
what it does not define anew, and a section that defines a symbol again has a model of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chainrule.auditing.document import Section
from chainrule.auditing.statements import (
    Instance,
    Statement,
    derivative,
    rewrite,
    symbol,
    symbols_of,
)  # fmt: skip
from chainrule.texmath.names import whole
from chainrule.texmath.tree import Call, Node, Symbol, walk


@dataclass(frozen=True, eq=False)
class Definition:
    """What a symbol is.

    Attributes:
        key: its canonical name.
        node: the formula.
        place: the rank of its equation in the document; −1 if no equation says so.
        line: of the equation.
        text: of the formula as written.
        assumed: why it is taken to be so where no equation says it.
    """

    key: str
    node: Node
    place: int
    line: int
    text: str
    assumed: str = ""


@dataclass
class Model:
    """Definitions that belong together, and the statements made about them.

    Attributes:
        title: of the part of the document.
        unit: number of that part.
        definitions: by key, each after those that it uses.
        checks: statements to check against them, with the instances that this model covers.
    """

    title: str
    unit: int
    definitions: dict[str, Definition] = field(default_factory=dict)
    checks: list[tuple[Statement, Instance]] = field(default_factory=list)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The symbols that formulas use and nothing defines, in the order of their use."""
        nodes = [d.node for d in self.definitions.values()]
        nodes += [side for _, instance in self.checks for side in instance.sides]
        found: dict[str, None] = {}
        for node in nodes:
            for key in mentioned(node):
                if key not in self.definitions:
                    found[key] = None
        return tuple(found)


def mentioned(node: Node) -> list[str]:
    """Keys of symbols, those in derivatives too."""
    keys: list[str] = []
    for each in symbols_of(node):
        keys += derivative(each.key) or (each.key,)
    return keys


def units(sections: Sequence[Section], stated: Sequence[tuple[bool, bool]]) -> list[int]:
    """For every section the number of the part of the document that it belongs to.

    Parts are what the outermost headings divide the document into, those aside of which there is
    only one: a title. A part without definitions belongs to the one before it (its backward
    pass, say), and a part without equations to a part below its heading.

    Args:
        stated: for every section whether it has equations, and definitions among them.
    """
    outermost = 1
    for level in range(1, 7):
        if sum(1 for s in sections if s.level == level) > 1:
            outermost = level
            break
    found: list[int] = []
    number, begun, defined = 0, 0, False
    for index, section in enumerate(sections):
        if 0 < section.level <= outermost and index:
            holders = [section.titles[:depth] for depth in range(1, len(section.titles))]
            inside = index == 1 or any(sections[i].titles in holders for i in range(begun, index))
            empty = not any(stated[i][0] for i in range(index) if found[i] == number)
            equations, definitions = _ahead(sections, stated, index, outermost)
            if not (empty and inside) and not (defined and equations and not definitions):
                number, begun, defined = number + 1, index, False
        defined = defined or stated[index][1]
        found.append(number)
    return found


def _ahead(
    sections: Sequence[Section], stated: Sequence[tuple[bool, bool]], index: int, outermost: int
) -> tuple[bool, bool]:
    """Whether equations, and definitions, stand under this heading and those below it."""
    equations, definitions = stated[index]
    for after in range(index + 1, len(sections)):
        if sections[after].level <= outermost:
            break
        equations, definitions = equations or stated[after][0], definitions or stated[after][1]
    return equations, definitions


class Scope:
    """All definitions of a document."""

    def __init__(self, definitions: Iterable[Definition], unit_at: Sequence[int]) -> None:
        self._by_key: dict[str, list[Definition]] = {}
        for definition in definitions:
            self._by_key.setdefault(definition.key, []).append(definition)
        self._unit_at = unit_at  # by place

    def add(self, definition: Definition) -> None:
        """One more, that no equation of the document makes."""
        self._by_key.setdefault(definition.key, []).append(definition)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def of(self, key: str, place: int) -> Definition | None:
        """What `key` is at a place in the document."""
        known = self._by_key.get(key, ())
        before = [d for d in known if d.place <= place]
        if before:
            return max(before, key=lambda d: d.place)
        unit = self._unit_at[place]
        after = [d for d in known if self._unit_at[d.place] == unit]
        return min(after, key=lambda d: d.place) if after else None

    def meant(self, key: str, place: int) -> str:
        """The defined symbol that a name means: for w_jk it may be w; "" if there is none."""
        if self.of(key, place) is not None:
            return key
        stem = without_indices(key)
        return stem if self.of(stem, place) is not None else ""

    def closure(self, keys: Iterable[str], place: int, skip: int = -1) -> dict[str, Definition]:
        """The definitions of some symbols and of all that they use, each after what it uses.

        Args:
            skip: place of the statement whose own definition does not count.
        """
        found: dict[str, Definition] = {}
        done: set[str] = set()
        todo = [(key, False) for key in reversed(list(keys))]
        opened: set[str] = set()
        while todo:
            key, ready = todo.pop()
            if ready:
                definition = self.of(key, place)
                assert definition is not None
                found[key] = definition
                done.add(key)
                continue
            key = self.meant(key, place)
            definition = self.of(key, place)
            if key in done or key in opened or definition is None or definition.place == skip:
                continue
            opened.add(key)
            todo.append((key, True))
            todo += [(k, False) for k in reversed(mentioned(definition.node))]
        return found


def join(model: Model, more: dict[str, Definition]) -> bool:
    """Add definitions to a model; False if it defines one of the symbols otherwise."""
    known = model.definitions
    if any(key in known and known[key] is not d for key, d in more.items()):
        return False
    known.update({key: d for key, d in more.items() if key not in known})
    return True


LETTERS = ("f", "g", "h", "phi", "psi")  # functions that a text need not name


def bind_functions(model: Model) -> None:
    """Let g′(Z) be the derivative of what the model applies to Z, where it does not call that g."""
    applied: dict[str, str] = {}
    used: set[str] = set()
    for definition in model.definitions.values():
        for node in walk(definition.node):
            if isinstance(node, Call) and not node.primes:
                used.add(node.function)
                if len(node.args) == 1 and isinstance(node.args[0], Symbol):
                    applied[node.args[0].key] = node.function

    def change(node: Node) -> Node:
        if not isinstance(node, Call) or node.function.split("^")[0] not in LETTERS:
            return node
        argument = node.args[0] if len(node.args) == 1 else None
        if node.function in used or not isinstance(argument, Symbol) or not applied:
            return node
        function = applied.get(argument.key, node.function)
        return dataclasses.replace(node, function=function)

    for key, definition in model.definitions.items():
        new = rewrite(definition.node, change)
        if new is not definition.node:
            model.definitions[key] = dataclasses.replace(definition, node=new)
    model.checks = [
        (s, dataclasses.replace(i, sides=tuple(rewrite(side, change) for side in i.sides)))
        for s, i in model.checks
    ]


def without_indices(key: str) -> str:
    """A name without single letters below it: w_jk^(2) → w^(2)."""
    node = symbol(key)
    if not node.below or not all(isinstance(x, Symbol) and len(x.key) == 1 for x in node.below):
        return key
    layer = key.rpartition("^(")[2].rstrip(")") if node.layer is not None else ""
    return whole(node.base, (), layer)


def ordered(definitions: dict[str, Definition]) -> dict[str, Definition]:
    """Definitions, each after those that it uses."""
    found: dict[str, Definition] = {}
    opened: set[str] = set()
    todo = [(key, False) for key in reversed(list(definitions))]
    while todo:
        key, ready = todo.pop()
        key = key if key in definitions else without_indices(key)
        if ready:
            found.setdefault(key, definitions[key])
        elif key in definitions and key not in opened:
            opened.add(key)
            todo.append((key, True))
            todo += [(k, False) for k in reversed(mentioned(definitions[key].node))]
    return found
