"""The statements of a ``.net`` text, and the definition that they make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chainrule.definition import moved
from chainrule.errors import ChainruleError, FormulaError, GraphError, ShapeError
from chainrule.expr import Definition, Expr, input_, parse_axes
from chainrule.netfile.calls import form_of
from chainrule.netfile.formula import Formula, Parser, Value, evaluate
from chainrule.netfile.tokens import Source, checked_name, tokenize
from chainrule.nn import Init, network

DECLARATIONS = ("param", "frozen", "input")
NODES_SHOWN = 8  # of a path or a cycle in a message; the middle of a longer one is left out
_STATEMENT = re.compile(r"[ \t]*(?:(?P<word>net|param|frozen|input|return)\b(?![ \t]*=(?!=)))?")
_DECLARATION = re.compile(r"[ \t]*(?P<name>[^\s:#]*)[ \t]*(?P<colon>:?)(?P<axes>[^#]*)")
_OPTION = re.compile(r"(init|fan_in|fan_out)=(?![0-9]*\Z)(\S+)")


@dataclass
class Text:
    """What the statements read so far say."""

    source: Source
    name: str
    inputs: dict[str, Expr] = field(default_factory=dict)
    params: list[str] = field(default_factory=list)
    init: dict[str, str | Init] = field(default_factory=dict)
    equations: dict[str, Formula] = field(default_factory=dict)
    result: Formula | None = None


def parse_net(text: str, *, name: str = "<text>") -> Definition:
    r"""The definition that a text in the ``.net`` format writes down.

    Args:
        text: one statement a line: ``net``, ``param``, ``frozen``, ``input``, equations in any
            order, ``return``; ``#`` begins a comment.
        name: of the file, for messages; without a ``net`` line the definition is called like it.

    Raises:
        FormulaError: the text cannot be read; the message points at line and column.
        GraphError: a cycle, or a parameter without influence.
        ShapeError: axes do not fit; the message names the equation, its line and the way to it.

    >>> parse_net("param w:\ninput x: m\nreturn w * x").params
    ('w',)
    """
    label = "" if name == "<text>" else name
    read = read_statements(text, name=label)
    assert read.result is not None  # a text without a return is refused
    values: dict[str, Value] = dict(read.inputs)
    for equation in in_order(read):
        values[equation] = checked(read, equation, read.equations[equation], values)
    root = checked(read, "return", read.result, values)
    if not isinstance(root, Expr):
        what = f"the result is the number {root:g}, not an expression"
        raise read.source.error(what, read.result.line, 0)
    named = [(n, v) for n in read.equations if isinstance(v := values[n], Expr)]
    inputs = tuple(read.inputs.values())
    try:
        return network(
            root, inputs, name=read.name, values=named, params=read.params, init=read.init
        )
    except ChainruleError as error:
        raise moved(error, label) from error


def read_statements(text: str, *, name: str = "") -> Text:
    """The statements of a text; every name that a formula uses is declared somewhere.

    Raises:
        FormulaError: the text cannot be read, or uses a name that it does not declare.
    """
    read = Text(Source(text, name), name.removesuffix(".net") or "net")
    for number, line in enumerate(read.source.lines, 1):
        _read_statement(read, number, line)
    if read.result is None:
        last = len(read.source.lines)
        raise read.source.error("there is no return", last, 0, "End with: return mse(y_hat, y)")
    _check_names(read)
    return read


def _read_statement(read: Text, line: int, text: str) -> None:
    match = _STATEMENT.match(text)
    assert match is not None
    rest = match.end()
    if match["word"] == "net":
        read.name = _net_name(read.source, line, rest)
    elif match["word"] == "return":
        if read.result is not None:
            what = f"a second return (the first is in line {read.result.line})"
            raise read.source.error(what, line, match.start("word"))
        read.result = Parser(read.source, line, tokenize(read.source, line, rest)).formula()
    elif match["word"]:
        _declare(read, match["word"], line, rest)
    else:
        _equation(read, line)


def _net_name(source: Source, line: int, start: int) -> str:
    tokens = tokenize(source, line, start)
    if len(tokens) != 2 or tokens[0].kind not in ("name", "string"):
        raise source.error("expected one name after net", line, tokens[0].start)
    return tokens[0].text.strip("\"'") if tokens[0].kind == "string" else tokens[0].text


def _declare(read: Text, word: str, line: int, start: int) -> None:
    """``param W_1: n=64 h_1=32 init=he_normal``."""
    source = read.source
    match = _DECLARATION.match(source.lines[line - 1], start)
    assert match is not None
    name = match["name"]
    if not name or not match["colon"]:
        hint = f"Write {word} {name or 'W'}: k n"
        raise source.error(f"expected a name and ':' after {word}", line, match.end("name"), hint)
    if not re.fullmatch(r"[^\W\d]\w*", name):
        raise source.refused(name, line, match.start("name"))
    name = checked_name(source, name, line, match.start("name"))
    _new_name(source, name, line, match.start("name"))
    options = dict(_OPTION.fullmatch(w).groups() for w in match["axes"].split() if _is_option(w))  # type: ignore[union-attr,misc]
    axes = " ".join(w for w in match["axes"].split() if not _is_option(w))
    try:
        read.inputs[name] = input_(name, parse_axes(axes))
    except ShapeError as error:
        column = match.end("colon") + 1
        raise source.error(str(error), line, column) from None
    if word == "param":
        read.params.append(name)
    if not options:
        return
    if word != "param" or "init" not in options:
        what = "only a param has init=…, and fan_in=… and fan_out=… need it"
        raise source.error(what, line, match.end("colon") + 1)
    fans = options.get("fan_in"), options.get("fan_out")
    init = options["init"]
    read.init[name] = init if fans == (None, None) else (init, *_fans(read, line, name, fans))


def _is_option(word: str) -> bool:
    return _OPTION.fullmatch(word) is not None


def _fans(read: Text, line: int, name: str, fans: tuple[str | None, str | None]) -> tuple[str, str]:
    """Axes written with commas: ``fan_in=n,p``; ``none`` for no axis."""
    texts = ["" if fan in (None, "none") else str(fan).replace(",", " ") for fan in fans]
    for axis in " ".join(texts).split():
        if axis not in read.inputs[name].axes:
            what = f"{name} has no axis {axis!r} to count as a fan"
            raise read.source.error(what, line, 0)
    return texts[0], texts[1]


def _new_name(source: Source, name: str, line: int, column: int) -> None:
    if name in source.names:
        first = source.names[name]
        raise source.error(f"{name!r} is defined in line {first} already", line, column)
    source.names[name] = line


def _equation(read: Text, line: int) -> None:
    source = read.source
    text = source.lines[line - 1]
    if not text.strip() or text.lstrip().startswith("#"):
        return
    tokens = tokenize(source, line)
    if tokens[0].kind != "name" or tokens[1].text != "=":
        first = tokens[1] if tokens[0].kind == "name" else tokens[0]
        hint = "A line is: name = formula, param, frozen, input, net or return"
        what = f"{first.text[:40]!r} cannot stand here" if first.text else "this line does nothing"
        raise source.error(what, line, first.start, hint)
    formula = Parser(source, line, tokens[2:]).formula()
    _new_name(source, tokens[0].text, line, tokens[0].start)
    read.equations[tokens[0].text] = formula


def _check_names(read: Text) -> None:
    formulas = [*read.equations.values(), *([read.result] if read.result else [])]
    for formula in formulas:
        for token in formula.names:
            if token.text not in read.inputs and token.text not in read.equations:
                if form_of(token.text):
                    what = f"{token.text!r} is an operation"
                    hint = f"Write {token.text}(…)"
                    raise read.source.error(what, formula.line, token.start, hint)
                pool = [*read.inputs, *read.equations]
                axes = {axis for x in read.inputs.values() for axis in x.axes}
                hint = f'Axes stand in quotes: "{token.text}"' if token.text in axes else ""
                raise read.source.unknown(token, formula.line, () if hint else pool, hint)


def in_order(read: Text) -> Iterator[str]:
    """Names of equations, those that an equation uses before it.

    Raises:
        GraphError: an equation needs itself; names are listed in the way of the data.
    """
    done: set[str] = set()
    path: dict[str, Iterator[str]] = {}
    for first in read.equations:
        if first not in done:
            path[first] = _needs(read, first)
        while path:
            name = next(reversed(path))
            needed = next(path[name], None)
            if needed is None:
                del path[name]
                done.add(name)
                yield name
            elif needed in path:
                raise _cycle(read, list(path)[list(path).index(needed) :])
            elif needed not in done:
                path[needed] = _needs(read, needed)


def _needs(read: Text, name: str) -> Iterator[str]:
    return (t.text for t in read.equations[name].names if t.text in read.equations)


def _cycle(read: Text, names: list[str]) -> GraphError:
    flow = names[::-1]  # each name uses the next: data flows the other way
    start = flow.index(min(flow, key=lambda name: read.equations[name].line))
    flow = flow[start:] + flow[: start + 1]
    where = read.source.place(read.equations[flow[0]].line)
    return GraphError(f"cycle: {_arrows(flow)}", where=where)


def _arrows(names: list[str]) -> str:
    if len(names) > NODES_SHOWN:
        names = [*names[: NODES_SHOWN // 2], "…", *names[-NODES_SHOWN // 2 :]]
    return " → ".join(names)


def checked(
    read: Text, name: str, formula: Formula, values: Mapping[str, Value]
) -> Expr | int | float:
    """The value of a formula; what the rules of operations raise gets its place in the network."""
    try:
        return evaluate(read.source, formula, values)
    except FormulaError:
        raise
    except ChainruleError as error:
        line = read.source.place(formula.line)
        where = f"return ({line})" if name == "return" else f"layer {name!r} ({line})"
        path = _path_to(read, name, formula)
        raise moved(error, where, f" (path: {_arrows(path)})" if len(path) > 1 else "") from error


def _path_to(read: Text, name: str, formula: Formula) -> list[str]:
    """One way of the data to an equation: from an input, or the first name that it uses."""
    path = [name]
    while True:
        used = [token.text for token in formula.names]
        ranked = [n for n in used if n in read.equations]
        ranked += [n for n in used if n not in read.params]
        source = next(iter(ranked or used), None)
        if source is None:
            return path
        path.insert(0, source)
        if source not in read.equations:
            return path
        formula = read.equations[source]
