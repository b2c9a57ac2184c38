"""A wrong equation explained: numbers at which it fails, the mistake, and the right form."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from chainrule.auditing.assign import CONSTANTS
from chainrule.auditing.check import Checked, Outcome, compare, known
from chainrule.auditing.derived import derived
from chainrule.auditing.edits import edits
from chainrule.auditing.names import pretty
from chainrule.auditing.notation import EVERYTHING, restored
from chainrule.auditing.numbers import Numbers, Undefined
from chainrule.auditing.points import Array, Point
from chainrule.auditing.report import CORRECT, Finding
from chainrule.auditing.scope import mentioned
from chainrule.auditing.spans import Vocabulary, name_span, transpose_in
from chainrule.auditing.statements import Instance, Statement, derivative, symbols_of
from chainrule.errors import ChainruleError, FormulaError
from chainrule.texmath import parse
from chainrule.texmath.tree import Call, Symbol

MOST_EDITS = 1_500
SMALL_POINTS = 24
MOST_ENTRIES = 30  # of all inputs that an example lists; beyond, only those that the equation names
MOST_SHOWN = 6  # entries of the two sides
CLEAR = 1e-3  # of the larger side: what a reader sees as different


def explain(
    finding: Finding, statement: Statement, instance: Instance, outcome: Outcome, checked: Checked
) -> Finding:
    """The finding with a counter-example, a diagnosis and the right form."""
    numbers = checked.numbers
    assert numbers is not None
    example = counterexample(numbers, instance, outcome, checked.points)
    mistake, right = mended(statement, outcome, checked)
    right = right or _derived(statement, instance, checked)
    reason = outcome.reason or "the two sides differ"
    return dataclasses.replace(
        finding, example=example, diagnosis=mistake, right=right, reason=reason
    )


def mended(statement: Statement, outcome: Outcome, checked: Checked) -> tuple[str, str]:
    """The mistake and the whole equation with the one change that mends it; ("", "") if none."""
    side = max(outcome.side, 1)
    texts = [s.text for s in statement.spelled]
    try:
        root = parse(texts[side], names=statement.names)
    except FormulaError:
        return "", ""
    assert checked.numbers is not None
    words = vocabulary(statement, checked)
    tried: set[str] = set()
    for edit in edits(texts[side], root, words):
        if edit.text in tried:
            continue
        tried.add(edit.text)
        if len(tried) > MOST_EDITS:
            break
        if _holds(statement, [texts[0], edit.text], checked):
            right = restored(edit.text, statement.equation.sides[side].text)
            return edit.mistake, f"{statement.equation.sides[0].text} = {tidy(right)}"
    return "", ""


def _derived(statement: Statement, instance: Instance, checked: Checked) -> str:
    """The equation as chainrule derives it, if that reads back as the true derivative."""
    left = instance.sides[0]
    pair = derivative(left.key) if isinstance(left, Symbol) else None
    if not pair or len(statement.instances) != 1 or checked.numbers is None:
        return ""
    found = derived(checked.numbers, *pair)
    texts = [statement.spelled[0].text, found]
    if not found or not _holds(statement, texts, checked):
        return ""
    return f"{statement.equation.sides[0].text} = {tidy(found)}"


def _holds(statement: Statement, texts: Sequence[str], checked: Checked) -> bool:
    numbers = checked.numbers
    assert numbers is not None
    try:
        instances = statement.again(tuple(texts))
    except FormulaError:
        return False
    known_labels = {i.label for s, i in checked.model.checks if s is statement}
    instances = tuple(i for i in instances if i.label in known_labels)
    if not instances or any(_unknown(numbers, s) for i in instances for s in i.symbols):
        return False
    for points in (checked.points[:1], checked.points[1:]):
        for instance in instances:
            if compare(numbers, instance, points).status != CORRECT:
                return False
    return True


def _unknown(numbers: Numbers, node: Symbol) -> bool:
    """Whether the model has no such symbol."""
    if derivative(node.key) or node.key in CONSTANTS or numbers.shapes.kronecker(node):
        return False
    shapes = numbers.assignment.shapes
    return node.key not in shapes and numbers.shapes.split(node)[0] not in shapes


def tidy(text: str) -> str:
    """Without double blanks."""
    return " ".join(text.split())


def vocabulary(statement: Statement, checked: Checked) -> Vocabulary:
    """The names, activations and factors of the model, as the document writes them."""
    symbols: dict[str, str] = {}
    texts = [s.text for s in statement.spelled]
    for other, _ in checked.model.checks:
        texts += [s.text for s in other.spelled]
    places = sorted(d.text for d in checked.model.definitions.values())
    texts += places
    for key, written in _written(checked):
        symbols.setdefault(key, written)
    slopes: list[tuple[str, str]] = []
    for definition in checked.model.definitions.values():
        node = definition.node
        if isinstance(node, Call) and len(node.args) == 1 and isinstance(node.args[0], Symbol):
            out, into = symbols.get(definition.key), symbols.get(node.args[0].key)
            name = "\\sigma" if node.function == "sigma" else node.function
            layered = [_in_layer(into, i) for i in ("l", "L")] if into and "^" in into else []
            slopes += [(f"{name}'({x})", f"{name}'({x})") for x in layered]
            if out and into:
                if node.function in ("sigma", "sigmoid"):
                    slopes.append((f"{out} ⊙ (1 − {out})", rf"{out} \odot (1 - {out})"))
                    slopes.append((f"(1 − {out})", f"(1 - {out})"))
                    slopes.append((out, out))
                slopes.append((f"{name}'({into})", f"{name}'({into})"))
    assert checked.numbers is not None
    scales = [
        text
        for key in checked.numbers.assignment.shapes
        if len(key) == 1 and key in symbols and _is_count(checked.numbers, key)
        for text in (rf"\frac{{1}}{{{symbols[key]}}}", symbols[key])
    ]
    alike = _alike(checked.numbers, symbols)
    _all_layers(symbols, alike)
    return Vocabulary(
        symbols, tuple(slopes), tuple(scales), transpose_in(texts), alike, statement.layers.below
    )


def _alike(numbers: Numbers, keys: Mapping[str, str]) -> dict[str, list[str]]:
    """For every symbol those of the same shape."""
    sizes, shapes = numbers.assignment.sizes, numbers.assignment.shapes
    roots = {k: tuple(sizes.root(s) for s in shapes[k]) for k in keys if k in shapes}
    counts = set(sizes.names.values())
    return {
        k: [o for o in roots if o != k and roots[o] == roots[k] and o not in counts]
        for k in roots
        if k not in counts
    }


def _in_layer(written: str, letter: str) -> str:
    """a^{(2)} for every layer: a^{(l)}."""
    return re.sub(r"\(\d\)", f"({letter})", written)


def _all_layers(symbols: dict[str, str], alike: dict[str, list[str]]) -> None:
    """Add a^(l), a^(L) … beside a^(1), a^(2) …: what is alike in a layer is so in all."""
    for letter in ("l", "L", "l-1", "l+1"):
        for key in list(alike):
            if re.search(r"\^\(\d\)$", key):
                general = _in_layer(key, letter)
                symbols.setdefault(general, _in_layer(symbols[key], letter))
                layer = key.partition("^")[2]
                others = [o for o in alike[key] if o.partition("^")[2] == layer]
                alike.setdefault(general, [])
                alike[general] += [
                    new for o in others if (new := _in_layer(o, letter)) not in alike[general]
                ]
                for other in others:
                    symbols.setdefault(_in_layer(other, letter), _in_layer(symbols[other], letter))


def _is_count(numbers: Numbers, key: str) -> bool:
    return numbers.assignment.sizes.is_number(numbers.assignment.shapes[key]) and key in "mnNMBkK"


def _written(checked: Checked) -> Iterator[tuple[str, str]]:
    """Every symbol with the text it has where it is used first."""
    for statement, instance in checked.model.checks:
        del statement
        for side, text in zip(instance.sides, instance.texts, strict=True):
            for each in symbols_of(side):
                if not derivative(each.key) and each.at != (0, 0):
                    yield each.key, text[slice(*name_span(text, each))].strip()
    for definition in checked.model.definitions.values():
        for each in symbols_of(definition.node):
            if not derivative(each.key) and each.at[1] <= len(definition.text):
                written = definition.text[slice(*name_span(definition.text, each))].strip()
                if written:
                    yield each.key, written


# counter-examples


def counterexample(
    numbers: Numbers, instance: Instance, outcome: Outcome, points: Sequence[Point]
) -> str:
    """Small numbers at which the two sides differ, and by how much."""
    side = max(outcome.side, 1)
    if outcome.reason.startswith("shapes"):
        return ""
    for style in ("single", "whole", "random"):
        for seed in range(SMALL_POINTS):
            point = numbers.sample(seed, style) if style != "random" else points[seed % len(points)]
            found = _at(numbers, instance, side, point)
            if found:
                return found
    return ""


def _at(numbers: Numbers, instance: Instance, side: int, point: Point) -> str:
    try:
        values = known(numbers, instance.sides, point)
        left = numbers.evaluate(instance.sides[0], values)
        right = numbers.evaluate(instance.sides[side], values)
    except (ChainruleError, Undefined):
        return ""
    if left.shape != right.shape or not np.all(np.isfinite(left)) or not np.all(np.isfinite(right)):
        return ""
    largest = max(float(np.max(np.abs(left))), float(np.max(np.abs(right))))
    gap = np.abs(left - right)
    if not largest or np.max(gap) < CLEAR * largest or largest > 1e6:
        return ""
    return _told(numbers, instance, side, point, values, left, right)


def _told(
    numbers: Numbers,
    instance: Instance,
    side: int,
    point: Point,
    values: Mapping[str, Array],
    left: Array,
    right: Array,
) -> str:
    skipped = {*dict(point.sizes), EVERYTHING}
    keys = [k for k in point.values if k not in skipped and _matters(numbers, instance, k)]
    used = list(dict.fromkeys(s.key for s in symbols_of(instance.sides[side])))
    if sum(point.values[k].size for k in keys) > MOST_ENTRIES:
        keys = [k for k in keys if k in used]
    sizes = [f"{name} = {n}" for name, n in point.sizes]
    given = [f"{pretty(k)} = {matrix(point.values[k])}" for k in keys]
    computed = [k for k in used if k in values and k not in point.values]
    then = [f"{_called(k)} = {matrix(values[k])}" for k in computed]
    parts = ["all sizes 1"] if sizes and all(n == 1 for _, n in point.sizes) else sizes
    text = ", ".join([*parts, *given, *then])
    text = f"{text}: " if text else ""
    if left.size == 1:
        return f"{text}the left side is {matrix(left)}, the right side {matrix(right)}"
    place = np.unravel_index(int(np.argmax(np.abs(left - right))), left.shape)
    entry = ", ".join(str(int(i) + 1) for i in place)
    if left.size > MOST_SHOWN:
        numbers_there = f"is {number(left[place])}, that of the right side {number(right[place])}"
        return f"{text}entry ({entry}) of the left side {numbers_there}"
    return (
        f"{text}the left side is {matrix(left)}, the right side {matrix(right)}; "
        f"they differ most in entry ({entry}): {number(left[place])} and {number(right[place])}"
    )


def _called(key: str) -> str:
    pair = derivative(key)
    return f"∂{pretty(pair[0])}/∂{pretty(pair[1])}" if pair else pretty(key)


def _matters(numbers: Numbers, instance: Instance, key: str) -> bool:
    """Whether a side of a statement depends on a leaf."""
    used = {k for side in instance.sides for k in mentioned(side)}
    return key in used or any(numbers.depends(k, key) for k in used)


def number(value: float) -> str:
    """A number with at most four digits."""
    value = float(np.real(value))
    return f"{value:.4g}" if value != int(value) or abs(value) > 1e6 else f"{int(value)}"


def matrix(array: Array) -> str:
    """``[1 2; 3 4]``."""
    array = np.real(array)
    if array.ndim == 0 or array.size == 1:
        return number(array.reshape(-1)[0])
    rows = array.reshape(-1, array.shape[-1])
    return "[" + "; ".join(" ".join(number(x) for x in row) for row in rows) + "]"
