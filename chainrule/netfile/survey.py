"""All of a ``.net`` text that can be understood, and everything that is wrong with the rest.

`parse_net` stops at the first mistake. A reader who is asked what else is wrong goes on: an
equation that does not fit is left out with those that need it, a target whose axes are not those
of the prediction gets them, and a parameter without influence is no reason to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chainrule.errors import ChainruleError, FormulaError, GraphError, ShapeError
from chainrule.expr import Definition, Expr, input_, postorder
from chainrule.netfile.formula import Value
from chainrule.netfile.text import Text, checked, in_order, read_statements
from chainrule.netfile.tokens import Token
from chainrule.nn import initial

MOST_MENDS = 8
RESULT = "return"


@dataclass(frozen=True)
class Survey:
    """What a definition says, as far as it can be understood.

    Attributes:
        name: of the network.
        root: its result, None if that cannot be worked out.
        inputs: what it declares, by name.
        params: names of those that are trained.
        values: named results that could be worked out, each by the first of its names.
        init: how parameters start, as in `chainrule.expr.Definition`.
        lines: the line of each input, equation and of the ``return``; empty where it is not known.
        problems: the name of an equation and what is wrong with it.
        lost: names that equations use which could not be worked out: nothing is known of their use.
    """

    name: str
    root: Expr | None
    inputs: Mapping[str, Expr]
    params: tuple[str, ...] = ()
    values: Mapping[str, Expr] = field(default_factory=dict)
    init: tuple[tuple[str, str, str, str], ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[tuple[str, ChainruleError], ...] = ()
    lost: frozenset[str] = frozenset()


def survey_of(definition: Definition) -> Survey:
    """A definition that is valid."""
    return Survey(
        definition.name,
        definition.root,
        definition.input,
        definition.params,
        {name: value for value, name in _first_names(definition)},
        definition.init,
    )


def _first_names(definition: Definition) -> Iterator[tuple[Expr, str]]:
    """Values with the first of their names: `y_hat = A` in a function says nothing new."""
    names = definition.names()
    return ((value, name) for name, value in definition.values if names[value] == name)


def survey_net(text: str, *, name: str = "") -> Survey:
    r"""The network in a ``.net`` text, as far as it can be understood.

    Args:
        text: as for `parse_net`.
        name: of the file, for messages.

    Raises:
        FormulaError: the text is not in the ``.net`` format.

    >>> found = survey_net("param w:\nparam v:\ninput x: m\nz = w @ x\nreturn sum(w * x)")
    >>> [(name, str(error).split(":")[0]) for name, error in found.problems]
    [('z', "layer 'z' (line 4)")]
    """
    read = read_statements(text, name=name)
    problems: list[tuple[str, ChainruleError]] = []
    try:
        order = [*in_order(read), RESULT]
    except GraphError as cycle:
        order = []
        problems.append((RESULT, cycle))
    every = [read.result, *read.equations.values()]
    cyclic = {t.text for f in every if f for t in f.names} if not order else set[str]()
    for _ in range(MOST_MENDS):
        found = _evaluated(read, order)
        mended = next((m for _, error in found.problems if (m := mends(error))), None)
        if mended is None or mended[0] not in read.inputs:
            break
        problems += [(n, error) for n, error in found.problems if mends(error) == mended]
        read.inputs[mended[0]] = input_(*mended)
    known = [*found.values.values(), *(() if found.root is None else (found.root,))]
    params = [read.inputs[p] for p in read.params]
    assert read.result is not None  # a text without a return is refused
    lines = {**read.source.names, RESULT: read.result.line}
    return Survey(
        read.name,
        found.root,
        read.inputs,
        tuple(read.params),
        found.values,
        initial(tuple(postorder(*known)), params, read.init),
        lines,
        (*problems, *found.problems),
        found.lost | cyclic,
    )


@dataclass(frozen=True)
class _Found:
    root: Expr | None
    values: Mapping[str, Expr]
    problems: tuple[tuple[str, ChainruleError], ...]
    lost: frozenset[str]


def _evaluated(read: Text, order: list[str]) -> _Found:
    values: dict[str, Value] = dict(read.inputs)
    problems, lost = [], set()
    for name in order:
        formula = read.result if name == RESULT else read.equations[name]
        assert formula is not None  # a text without a return is refused
        used = [token.text for token in formula.names]
        if all(part in values for part in used):
            try:
                values[name] = checked(read, name, formula, values)
                continue
            except FormulaError:
                raise
            except ChainruleError as error:
                problems.append((name, error))
        lost.update(used)
    root = values.pop(RESULT, None)
    if RESULT in order and root is not None and not isinstance(root, Expr):
        problems.append((RESULT, GraphError(f"the result is the number {root:g}")))
    named = {n: v for n, v in values.items() if n in read.equations and isinstance(v, Expr)}
    renamed = [n for n in named if any(values.get(t.text) is named[n] for t in _used(read, n))]
    own = {n: v for n, v in named.items() if n not in renamed}
    return _Found(root if isinstance(root, Expr) else None, own, tuple(problems), frozenset(lost))


def _used(read: Text, name: str) -> tuple[Token, ...]:
    return tuple(read.equations[name].names)


def mends(error: BaseException | None) -> tuple[str, str] | None:
    """The input and the axes for it that would remove the error, where it says so."""
    while error is not None:
        if isinstance(error, ShapeError) and error.mends:
            return error.mends
        error = error.__cause__
    return None
