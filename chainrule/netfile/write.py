"""A definition as the text of a ``.net`` file, which reads back as the same object."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from typing import NamedTuple

from chainrule.errors import FormulaError, GraphError
from chainrule.expr import Definition, Expr, postorder
from chainrule.netfile.formula import LARGEST_WHOLE
from chainrule.netfile.text import parse_net
from chainrule.netfile.tokens import LONGEST_STATEMENT
from chainrule.nn import initial, revised
from chainrule.ops import OPS

COMPARISON, SUM, PRODUCT, NEGATIVE, POWER, ATOM = range(6)


class Piece(NamedTuple):
    """A formula and how tightly it binds."""

    text: str
    binds: int


INFIX = {
    "add": ("+", SUM, SUM, PRODUCT),
    "sub": ("-", SUM, SUM, PRODUCT),
    "mul": ("*", PRODUCT, PRODUCT, NEGATIVE),
    "div": ("/", PRODUCT, PRODUCT, NEGATIVE),
    "pow": ("^", POWER, ATOM, NEGATIVE),
    "gt": (">", COMPARISON, SUM, SUM),
    "ge": (">=", COMPARISON, SUM, SUM),
    "lt": ("<", COMPARISON, SUM, SUM),
    "le": ("<=", COMPARISON, SUM, SUM),
}
"""Sign, how tightly it binds, and how tightly its two sides must bind to need no parentheses."""


def write_net(definition: Definition) -> str:
    r"""The text of `definition`; `parse_net` of it is the same object.

    Raises:
        GraphError: the definition cannot be written: a name that is no identifier, or an unnamed
            part that is too long or nested too deeply for one line.

    >>> print(write_net(parse_net("net line\nparam w:\ninput x: m\nreturn w * x")))
    net line
    param w:
    input x: m
    <BLANKLINE>
    return w * x
    <BLANKLINE>
    """
    original = revised(definition)
    text = _text(original)
    try:
        same = parse_net(text) is original
    except (FormulaError, GraphError) as error:
        hint = "Name its values, with identifiers"
        what = f"{original.name} cannot be written as text: {str(error).splitlines()[0]}"
        raise GraphError(what, hint=hint) from error
    if not same:
        what = f"{original.name} cannot be written as text: it would read as another definition"
        raise GraphError(what)
    return text


def spelled(expr: Expr, names: Mapping[Expr, str], *, longest: int = 60) -> str:
    """The formula of `expr` in terms of `names`; what makes it longer than `longest` is "…".

    >>> from chainrule.expr import input_
    >>> spelled(input_("w", "") * input_("x", "m") + 1, {})
    'w * x + 1'
    """
    pieces: dict[Expr, Piece] = {}
    for node in postorder(expr, known=[x for x in names if x is not expr]):
        inputs = [Piece(names[x], ATOM) if x in names else pieces[x] for x in node.inputs]
        try:
            piece = _spelled(node, inputs)
        except GraphError:
            piece = Piece("…", ATOM)
        shorter = piece if len(piece.text) <= longest else _call(node, [Piece("…", ATOM)])
        pieces[node] = shorter if len(shorter.text) <= longest else Piece("…", ATOM)
    return pieces[expr].text


def _text(definition: Definition) -> str:
    quote = "'" if '"' in definition.name else '"'
    plain = definition.name.isidentifier() and not keyword.iskeyword(definition.name)
    name = definition.name if plain else f"{quote}{definition.name}{quote}"
    lines = [f"net {name}", *_declarations(definition), ""]
    names = definition.names()
    formulas = _formulas(definition, names)
    for value, expr in definition.values:
        own = names[expr] == value
        lines.append(f"{value} = {formulas[expr].text if own else names[expr]}")
    root = definition.root
    lines.append(f"return {names[root] if root in names else formulas[root].text}")
    return "\n".join(lines) + "\n"


def _declarations(definition: Definition) -> list[str]:
    below = tuple(postorder(definition.root))
    given = definition.input
    usual = {
        name: start for name, *start in initial(below, [given[p] for p in definition.params], {})
    }
    chosen = {name: start for name, *start in definition.init}
    lines = []
    for x in definition.inputs:
        words = [f"{a}={x.sizes[a]}" if a in x.sizes and a != "1" else a for a in x.axes]
        words += [x.kind] if x.kind != "float" else []
        if x.name in chosen and chosen[x.name] != usual[x.name]:
            words += _init_words(chosen[x.name], usual[x.name])
        word = "param" if x.name in definition.params else "input"
        lines.append(f"{word} {x.name}: {' '.join(words)}".rstrip())
    return lines


def _init_words(chosen: list[str], usual: list[str]) -> list[str]:
    words = [f"init={chosen[0]}"]
    if chosen[1:] != usual[1:]:
        fans = zip(("fan_in", "fan_out"), chosen[1:], strict=True)
        words += [f"{option}={axes.replace(' ', ',') or 'none'}" for option, axes in fans]
    return words


def _formulas(definition: Definition, names: Mapping[Expr, str]) -> dict[Expr, Piece]:
    """The formula of every expression, written with the names of those below it."""
    formulas: dict[Expr, Piece] = {}
    pieces: dict[Expr, Piece] = {}
    for node in postorder(definition.root, *(value for _, value in definition.values)):
        formulas[node] = _spelled(node, [pieces[x] for x in node.inputs])
        if len(formulas[node].text) > LONGEST_STATEMENT:
            hint = "Give its parts names"
            what = f"{definition.name} cannot be written as text: an unnamed part is too long"
            raise GraphError(what, hint=hint)
        pieces[node] = Piece(names[node], ATOM) if node in names else formulas[node]
    return formulas


def _spelled(node: Expr, inputs: list[Piece]) -> Piece:
    if node.op == "input":
        return Piece(node.name, ATOM)
    if node.op == "const":
        return _number(node["value"])
    if node.op == "size":
        return Piece(f'size("{node["axis"]}")', ATOM)
    numbers = [x.op == "const" for x in node.inputs]
    if all(numbers) and numbers:
        return _call(node, inputs)  # the signs would compute with numbers at once
    if node.op in INFIX and not (numbers[0] and INFIX[node.op][1] == COMPARISON):
        sign, binds, left, right = INFIX[node.op]
        return Piece(f"{_within(inputs[0], left)} {sign} {_within(inputs[1], right)}", binds)
    if node.op == "neg":
        return Piece(f"-{_within(inputs[0], NEGATIVE)}", NEGATIVE)
    if node.op == "transpose" and node["axes"] == node.inputs[0].axes[::-1] and len(node.axes) == 2:
        return Piece(f"{_within(inputs[0], ATOM)}.T", ATOM)
    if node.op == "contract":
        a, b = node.inputs
        if a.axes and b.axes and node["over"] == (a.axes[-1],) == (b.axes[0],):
            sides = _within(inputs[0], PRODUCT), _within(inputs[1], NEGATIVE)
            return Piece(" @ ".join(sides), PRODUCT)
    return _call(node, inputs)


def _within(piece: Piece, binds: int) -> str:
    return piece.text if piece.binds >= binds else f"({piece.text})"


def _number(value: float) -> Piece:
    if not math.isfinite(value):
        raise GraphError(f"the constant {value:g} cannot be written as text")
    whole = value.is_integer() and abs(value) <= LARGEST_WHOLE and not _is_minus_zero(value)
    text = str(int(value)) if whole else repr(value)
    return Piece(text, NEGATIVE if text.startswith("-") else ATOM)


def _is_minus_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _call(node: Expr, inputs: list[Piece]) -> Piece:
    op = OPS[node.op]
    fewest = op.arity[0]
    words = [piece.text for piece in inputs]
    if op.keywords:
        named = zip(op.keywords, words[fewest:], strict=False)
        words = [*words[:fewest], *(f"{key}={text}" for key, text in named)]
    for key, value in node.attrs:
        if key not in op.attrs or op.attrs[key] != value:
            words += _option(key, value)
    return Piece(f"{node.op}({', '.join(words)})", ATOM)


def _option(key: str, value: object) -> list[str]:
    if key in ("to", "sizes") and isinstance(value, tuple) and () != value == tuple(sorted(value)):
        names = [str(pair[0]) for pair in value]
        if all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
            return [f"{name}={_literal(part)}" for name, part in value]
    if key in ("over", "axes", "into") and isinstance(value, tuple):
        return [f'{key}="{" ".join(value)}"']
    return [f"{key}={_literal(value)}"]


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        comma = "," if len(value) == 1 else ""
        return f"({', '.join(_literal(part) for part in value)}{comma})"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int | float):
        return str(value) if isinstance(value, int) else _number(value).text
    raise GraphError(f"the option {value!r} cannot be written as text")
