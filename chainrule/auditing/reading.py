"""From a document to statements: equations parsed as each part of the document means its letters.

δ and dW become the derivatives for which they stand.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.auditing import prose
from chainrule.auditing.assign import canonical
from chainrule.auditing.document import Document, Section
from chainrule.auditing.layers import Layers, layers
from chainrule.auditing.names import pretty
from chainrule.auditing.notation import COUNT, EVERYTHING, plain
from chainrule.auditing.rows import Equation, equations
from chainrule.auditing.scope import units
from chainrule.auditing.statements import (
    FUNCTIONS,
    INDEX_LETTERS,
    LOSS_NAMES,
    Statement,
    derivative,
    function_definition,
    read,
    symbol,
    symbols_of,
)  # fmt: skip
from chainrule.texmath.evaluate import Meaning
from chainrule.texmath.tree import Condition, Node, Number, Summation, Symbol, walk

_SUBSCRIPTED = re.compile(r"(?<![A-Za-z\\])([fgh])\s*_|\\(phi|psi)\s*_")
_PRIMED = re.compile(r"(?<![A-Za-z])\\?(f|g|h|phi|psi)\b\s*(?:_\w)?\s*(?:\^\s*\{?\s*\\prime|['′])")
_FUNCTION_LETTERS = re.compile(r"(?<![A-Za-z\\])([fgh])\b|\\(phi|psi|sigma)\b")


@dataclass
class Part:
    """A part of a document: what its outermost headings divide it into.

    Attributes:
        number: from 0.
        title: its outermost heading.
        statements: its equations in order.
        layers, indices: letters that count layers and entries.
        told: what its words say about shapes.
        prose: its words.
        words: the same for each section, with the line where it begins.
        headings: its sections, and whether they hold equations.
        aliases: names that stand for derivatives.
        stated: names that an equation says to be derivatives, as δ = ∂C/∂z does.
        notes: what had to be assumed.
    """

    number: int
    title: str = ""
    statements: list[Statement] = field(default_factory=list)
    layers: Layers = field(default_factory=Layers)
    indices: frozenset[str] = frozenset()
    told: list[prose.Shape] = field(default_factory=list)
    prose: str = ""
    words: list[tuple[int, str]] = field(default_factory=list)
    headings: list[tuple[Section, bool]] = field(default_factory=list)
    stated: set[str] = field(default_factory=set)
    aliases: dict[str, tuple[Symbol, Symbol]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def says(self, pattern: str) -> tuple[int, str] | None:
        """(line, words) of the first place where its words match a pattern."""
        for line, text in self.words:
            match = re.search(pattern, text, re.I)
            if match:
                return line + text.count("\n", 0, match.start()), match[0]
        return None


def read_parts(document: Document) -> list[Part]:
    """The parts of a document with their statements."""
    listed = [
        [e for f in section.formulas for e in equations(f) if e.relations or _shown(e)]
        for section in document.sections
    ]
    stated = [
        (bool([e for e in each if e.display]), any(_defines(e) for e in each)) for each in listed
    ]
    numbers = units(document.sections, stated)
    parts: dict[int, Part] = {}
    found: list[tuple[Equation, int, int]] = []
    for index, (section, number) in enumerate(zip(document.sections, numbers, strict=True)):
        part = parts.setdefault(number, Part(number))
        part.headings.append((section, bool(stated[index][0])))
        part.told += prose.shapes(section.prose)
        part.prose += section.prose + "\n"
        part.words.append((section.line, section.prose))
        found += [(e, index, number) for e in listed[index]]
    for part in parts.values():
        part.title = _title([s for s, _ in part.headings], [s for s, full in part.headings if full])
    for part in parts.values():
        texts = [plain(s.text).text for e, _, n in found if n == part.number for s in e.sides]
        part.layers = layers(texts)
    names = _names(found)
    for place, (equation, index, number) in enumerate(found):
        part = parts[number]
        part.statements.append(read(equation, index, place, part.layers, names))
    for part in parts.values():
        part.indices = _indices(part)
    _alias(list(parts.values()))
    return list(parts.values())


def _shown(equation: Equation) -> bool:
    return equation.display and len(equation.text) > 1


def _defines(equation: Equation) -> bool:
    """Whether it says what a symbol is: that symbol stands alone on the left."""
    left = equation.sides[0].text
    derived = re.search(r"\\partial|\\nabla|∂|∇|\bd\w+\s*/\s*d|\\delta|δ|^\\?frac\{d", left)
    formula = equation.display or re.search(r"\w\s*[+-]\s*\w|\(", equation.sides[-1].text)
    return bool(
        formula and equation.relations[:1] == ("=",) and not derived and len(left) < 40
    ) and not prose.shapes(f"${equation.text}$")


def _title(every: Sequence[Section], full: Sequence[Section]) -> str:
    """The heading of a part: of the one section with equations, else what holds them all."""
    common = full[0].titles if full else every[0].titles
    for section in full:
        same = [a for a, b in zip(common, section.titles, strict=False) if a == b]
        common = common[: len(same)]
    return common[-1] if common else every[0].title


def _names(found: Sequence[tuple[Equation, int, int]]) -> frozenset[str]:
    """Letters that usually are functions but are symbols here: they stand alone on a left side."""
    alone = {canonical(e.sides[0].text).split("_")[0] for e, _, _ in found if len(e.sides) > 1}
    text = " ".join(side.text for e, _, _ in found for side in e.sides)
    below = {m[1] or m[2] for m in _SUBSCRIPTED.finditer(text)} - {
        m[1] for m in _PRIMED.finditer(text)
    }
    return frozenset({"f", "g", "h", "phi", "psi"} & (alone | below))


def _indices(part: Part) -> frozenset[str]:
    """Letters that count entries: summed over, or below two different symbols of one equation."""
    found: set[str] = set()
    for statement in part.statements:
        for instance in statement.instances:
            below: dict[str, set[str]] = {}
            for side in instance.sides:
                for node in walk(side):
                    if isinstance(node, Summation):
                        found.update(node.index)
                    elif isinstance(node, Condition) and isinstance(node.right, Symbol):
                        if len(node.right.key) == 1:
                            below.setdefault(node.right.key, set()).add("condition")
                    elif isinstance(node, Symbol):
                        for letter in node.below:
                            if isinstance(letter, Symbol):
                                below.setdefault(letter.key, set()).add(node.base)
            shared = {k for k, bases in below.items() if len(bases) > 1 and len(k) == 1}
            found |= shared & INDEX_LETTERS
    return frozenset(found & INDEX_LETTERS)


# δ and dW


def _alias(parts: Sequence[Part]) -> None:
    """Read δ^l as ∂C/∂z^l and dW as ∂C/∂W where the document means it."""
    loss = ""
    for part in parts:
        loss = _loss(part) or loss
        aliases = _aliases(part, loss)
        if aliases:
            part.aliases = aliases
            _use(part, aliases)
            shown = {_generic(k) for k in aliases if "/" not in k and k not in part.stated}
            for key in sorted(shown):
                upper, lower = aliases[next(k for k in aliases if _generic(k) == key)]
                what = f"∂{pretty(upper.key)}/∂{pretty(_generic(lower.key))}"
                part.notes.append(f"{pretty(key)} is read as {what}")


def _use(part: Part, aliases: Mapping[str, tuple[Symbol, Symbol]]) -> None:
    for statement in part.statements:
        if statement.instances:
            statement.aliases = aliases
            statement.instances = statement.again(tuple(s.text for s in statement.spelled))


def by_definition(part: Part) -> list[str]:
    """Read δ and dZ as their own equations define them instead of as derivatives.

    In many notes dZ is the derivative of one example's loss, and 1/m comes later.

    Returns:
        The names that are read otherwise now; none if there are none that equations define.
    """
    plain_names = [
        instance.sides[0]
        for s in part.statements
        if s.instances
        for instance in dataclasses.replace(s, aliases={}).again(tuple(x.text for x in s.spelled))
    ]
    own = {side.key for side in plain_names if isinstance(side, Symbol)}
    defined = {s.defines for s in part.statements} | {
        i.sides[0].key
        for s in part.statements
        if set(s.equation.relations) == {"="}
        for i in s.instances
        if isinstance(i.sides[0], Symbol)
    }
    changed = [
        k for k, (_, lower) in part.aliases.items()
        if k in own and k not in part.stated and lower.key in defined and "/" not in k
    ]  # fmt: skip
    if changed:
        _use(part, {k: v for k, v in part.aliases.items() if k not in changed})
    return changed


def as_derivatives(part: Part) -> None:
    """Undo `by_definition`."""
    _use(part, part.aliases)


def _generic(key: str) -> str:
    """A name for all layers: delta^(2) → delta^(l)."""
    return re.sub(r"\^\(\d\)", "^(l)", key)


def _loss(part: Part) -> str:
    """What is derived in a part: the usual numerator, else a definition called like a loss."""
    counts: dict[str, int] = {}
    for statement in part.statements:
        for instance in statement.instances[:1]:
            for each in instance.symbols:
                pair = derivative(each.key)
                if pair and pair[0] in LOSS_NAMES:
                    counts[pair[0]] = counts.get(pair[0], 0) + 1
    if counts:
        return max(counts, key=lambda key: counts[key])
    named = [s.defines for s in part.statements if s.defines in LOSS_NAMES]
    return named[-1] if named else ""


def _aliases(part: Part, loss: str) -> dict[str, tuple[Symbol, Symbol]]:
    """Names that stand for derivatives: by an equation that says so, else by convention."""
    found: dict[str, tuple[Symbol, Symbol]] = {}
    all_keys = {s.key: s for x in part.statements for i in x.instances for s in i.symbols}
    for statement in part.statements:
        for instance in statement.instances:
            sides = [s for s in instance.sides if isinstance(s, Symbol)]
            names = [s for s in instance.sides[:1] if isinstance(s, Symbol)]
            names = [s for s in names if not derivative(s.key)]
            meant = [pair for s in sides if (pair := derivative(s.key))]
            if names and meant and names[0].base in ("delta", "g", "e", "Delta", "G"):
                found[names[0].key] = (symbol(meant[0][0]), symbol(meant[0][1]))
                part.stated.add(names[0].key)
    for key in all_keys:  # dσ/dx is the derivative of a function
        pair = derivative(key)
        if pair and pair[0] in FUNCTIONS and pair[0] not in all_keys:
            found[key] = (symbol(pair[0]), symbol(pair[1]))
    for key in all_keys:  # ∇_a C means the last layer's a
        pair = derivative(key)
        last = f"{pair[1]}^({COUNT})" if pair else ""
        if pair and last in all_keys and pair[1] not in all_keys and pair[1] != EVERYTHING:
            found[key] = (symbol(pair[0]), all_keys[last])
    if not loss:
        return found
    for key, node in all_keys.items():
        if key in found or derivative(key):
            continue
        if node.base == "delta" and not _kronecker(node, part.indices):
            for base in ("z", "Z"):
                target = dataclasses.replace(node, base=base, key=base + key[len("delta") :])
                if _stem(target.key, part) in {_stem(k, part) for k in all_keys}:
                    found[key] = (symbol(loss), target)
                    break
        elif node.base[:1] == "d" and key[1:] in all_keys and len(node.base) > 1:
            found[key] = (symbol(loss), symbol(key[1:]))
    return found


def _kronecker(node: Symbol, indices: frozenset[str]) -> bool:
    return len(node.below) == 2 and all(
        isinstance(x, Symbol) and x.key in indices for x in node.below
    )


def _stem(key: str, part: Part) -> str:
    head, _, layer = key.partition("^")
    base, *below = head.split("_")
    kept = [b for b in below if not all(c in part.indices for c in b)]
    return "_".join([base, *kept]) + ("^" + layer if layer else "")


# functions


def functions_of(parts: Sequence[Part], upto: int) -> tuple[dict[str, Meaning], list[str]]:
    """What function letters stand for in a part, and what had to be assumed.

    An equation says it (``f(x) = …``), or words do ("the sigmoid function").
    """
    meanings: dict[str, Meaning] = {}
    notes: list[str] = []
    told: list[str] = []
    said = ""
    for part in parts[: upto + 1]:
        told += prose.functions(part.prose)
        said = prose.sigma(part.prose) or said
        for statement in part.statements:
            found = function_definition(statement)
            if found and found[0] in ("sigma", "f", "g", "h", "phi", "psi"):
                meanings[found[0]] = _callable(*found[1:])
    used = {
        m[1] or m[2]
        for s in parts[upto].statements
        for side in s.equation.sides
        for m in _FUNCTION_LETTERS.finditer(side.text)
    }
    if "sigma" in used and "sigma" not in meanings:
        meanings["sigma"] = said if said not in ("", "softmax") else "sigmoid"
        if not said and "sigmoid" not in told:
            notes.append("σ is read as the sigmoid: the text does not say what it is")
    for letter in ("f", "g", "h", "phi", "psi"):
        meanings.setdefault(letter, _any)
    return meanings, notes


def _any(x: np.ndarray) -> np.ndarray:
    """Some smooth function: what holds for it holds for any."""
    return np.asarray(np.tanh(0.9 * x) + 0.1 * x * x)


def _callable(argument: str, body: Node) -> Callable[[np.ndarray], np.ndarray]:
    from chainrule.texmath import evaluate

    def value(x: np.ndarray) -> np.ndarray:
        flat = np.asarray(x).reshape(-1, 1)
        found = evaluate(body, {argument: flat})
        return np.broadcast_to(found, flat.shape).reshape(np.shape(x))

    return value


def is_number(node: Node) -> bool:
    """Whether no symbol stands in it."""
    return not any(isinstance(x, Symbol) for x in walk(node)) and any(
        isinstance(x, Number) for x in walk(node)
    )


def equal_texts(statements: Iterable[Statement]) -> Iterator[str]:
    """The texts of statements without blanks."""
    for statement in statements:
        yield "".join(statement.equation.text.split())


__all__ = ["Part", "functions_of", "is_number", "read_parts", "symbols_of"]
