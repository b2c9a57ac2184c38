"""A derivation line by line: what `Derivation.steps` returns."""

from __future__ import annotations

import functools
import html
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chainrule.emit.equations import equations
from chainrule.emit.plain import plain
from chainrule.emit.plain import width as columns
from chainrule.emit.tex import label
from chainrule.errors import ParameterError, did_you_mean
from chainrule.explain.chains import Chain, chains
from chainrule.explain.factors import Factor
from chainrule.explain.finals import symbols_in
from chainrule.explain.layout import STORED, beside, rows, shortened, wrapped
from chainrule.explain.lines import FUNCTION, LEIBNIZ, Line
from chainrule.explain.network import Network, shape_axes
from chainrule.explain.rules import primed, sentence_text, shape_tex
from chainrule.explain.verify import Difference, StepsReport, verify
from chainrule.explain.writing import Writer, Written
from chainrule.expr import Expr
from chainrule.plan.derived import Derived
from chainrule.plan.program import LEAVES

SPELLINGS = ("both", FUNCTION, LEIBNIZ)
WIDTH = 80
LEGEND = "• reads a value that the forward pass has stored"


@dataclass(frozen=True)
class Reads:
    """What a derivative is made of.

    Attributes:
        stored: values of the forward pass.
        inputs: parameters, examples and targets.
        derivatives: derivatives that were found before.
    """

    stored: tuple[str, ...]
    inputs: tuple[str, ...]
    derivatives: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One line of a derivation, equal to the one before by one rule.

    Attributes:
        of: the value whose derivative it is.
        number: which line it is, counted from 1.
        rule: the rule.
        why: a sentence about it in plain characters.
        written: the right-hand side: `.latex`, `.text`, `.shaped()`.
        factors: its factors, each with its shape.
        why_latex: the sentence with its mathematics between dollar signs.
    """

    of: str
    number: int
    rule: str
    why: str
    written: Written
    factors: tuple[Factor, ...]
    why_latex: str

    @property
    def line(self) -> str:
        """The right-hand side in LaTeX."""
        return self.written.latex


@dataclass(frozen=True)
class Section:
    """The derivative with respect to one value: equal lines, the last as the equations print it.

    Attributes:
        of: the name of the value.
        shape: its shape in LaTeX, "" for a number.
        symbol: LaTeX of ∂L/∂value.
        way: how the value acts on the loss, as LaTeX: W_1, Z, …, L.
        steps: the lines.
        reads: what the last line reads, and what was used on the way.
    """

    of: str
    shape: str
    symbol: str
    way: tuple[str, ...]
    steps: tuple[Step, ...]
    reads: Reads


class Steps:
    """All derivatives of a network, each line by line, from the loss down.

    Iterating gives every `Step`; `sections` groups them by the value they belong to.
    """

    def __init__(
        self, found: Derived, only: str | Iterable[str] | None = None, spelling: str = "both"
    ) -> None:
        if spelling not in SPELLINGS:
            hint = did_you_mean(spelling, SPELLINGS) or f"There are: {', '.join(SPELLINGS)}"
            raise ParameterError(f"spelling {spelling!r} is not known", hint=hint)
        self._found, self._spelling = found, spelling
        self._net = Network(found)
        whole = chains(self._net)
        self._chains = whole if only is None else _needed(self._net, whole, _wanted(found, only))
        self._writer = Writer(self._net)

    @functools.cached_property
    def sections(self) -> tuple[Section, ...]:
        """One for each derivative, in the order in which they are found."""
        above = {c.target: c.above for c in self._chains}
        return tuple(self._section(chain, above) for chain in self._chains)

    def __iter__(self) -> Iterator[Step]:
        for section in self.sections:
            yield from section.steps

    def __len__(self) -> int:
        return sum(len(section.steps) for section in self.sections)

    def check(self, seed: int = 0, arrays: Mapping[str, object] | None = None) -> StepsReport:
        """Evaluate every line at a random point and compare it with the one before.

        The derivatives that lines speak of are found by moving the values, never by a rule.

        Args:
            seed: fixes the random sizes and values.
            arrays: values to evaluate at instead of random ones.

        Returns:
            A report: `.ok`, `.first` (the first line that differs), `str()`.

        Raises:
            DataError: no point was found at which everything is finite.
        """
        report = verify(self._net, self._chains, seed=seed, arrays=arrays)
        return replace(report, lines=len(self), first=report.first and self._found_at(report.first))

    def _found_at(self, difference: Difference) -> Difference:
        """The difference with the number that the line has among those that are shown."""
        (chain,) = (c for c in self._chains if c.name == difference.of)
        shown = sum(1 for i, _, _ in self._shown(chain) if i <= difference.line)
        return replace(difference, line=shown)

    def _shown(self, chain: Chain) -> Iterator[tuple[int, Line, Written]]:
        """The lines in the spelling that was asked for, with their numbers in the chain."""
        before = ""
        for i, line in enumerate(chain.lines, 1):
            if line.spelling and self._spelling not in ("both", line.spelling):
                continue
            written = self._writer.written(line, chain.target)
            if written.latex != before:  # else an axis of size 1 changed, or a repetition
                yield i, line, written
            before = written.latex

    def _section(self, chain: Chain, above: Mapping[Expr, tuple[Expr, ...]]) -> Section:
        net = self._net
        x = chain.target
        steps = [
            self._step(chain, number, line, written)
            for number, (_, line, written) in enumerate(self._shown(chain), 1)
        ]
        shape = shape_tex(shape_axes(x.axes, net.orientation), dict(x.sizes)) if x.axes else ""
        way = [label(chain.name)]
        while above.get(x) and len(above[x]) == 1 and above[x][0] is not net.root:
            (x,) = above[x]
            way.append(label(net.targets[x]))
        straight = above.get(x) == (net.root,)
        way = [*way, r"\mathcal{L}"] if straight else []
        symbol = net.names[chain.symbol]
        return Section(chain.name, shape, symbol, tuple(way), tuple(steps), self._reads(chain))

    def _step(self, chain: Chain, number: int, line: Line, written: Written) -> Step:
        why = sentence_text(line.why)
        return Step(chain.name, number, line.rule, why, written, written.factors, line.why)

    def _reads(self, chain: Chain) -> Reads:
        net = self._net
        stored, inputs = [], []
        for x in _inside(chain.result, self._writer.stored):
            if x in self._writer.stored:
                stored.append(self._writer.stored[x])
            elif x.op == "input" and x not in net.symbols:
                inputs.append(label(x.name))
        used = [net.symbol[v] for v in chain.above if v in net.symbol]
        used += [s for s in symbols_in(chain.result, net) if s not in used]
        return Reads(tuple(stored), tuple(inputs), tuple(net.names[s] for s in used))

    @property
    def abbreviations(self) -> tuple[tuple[str, str], ...]:
        """Names given to values and parts that the definition leaves without one."""
        net, printer = self._net, self._net.printer()
        return (
            *(
                (label(name), printer.definition(net.shown(x)).text)
                for x, name in net.added.items()
            ),
            *((name, printer.definition(x).text) for name, x in net.abbreviations.items()),
        )

    def json(self) -> dict[str, Any]:
        """Everything as plain values."""
        from chainrule.explain.pages import as_json

        return as_json(self, self._found.definition.name)

    def latex(self) -> str:
        """Two columns for each derivative: the lines with shapes beneath, and the rules."""
        from chainrule.explain.pages import as_latex

        return as_latex(self, equations(self._found).forward)

    def text(self, width: int = WIDTH) -> str:
        """Plain characters for a terminal of `width` columns."""
        parts = [self._forward(width)]
        parts += ["\n".join(_section_lines(section, width)) for section in self.sections]
        return "\n\n".join(parts)

    def _forward(self, width: int) -> str:
        lines = ["Forward Propagation"]
        lines += [f"  {primed(plain(line))}" for line in equations(self._found).forward]
        if self.abbreviations:
            lines += ["", "Names given here to values without one"]
            lines += [f"  {primed(plain(f'{n} &= {d}'))}" for n, d in self.abbreviations]
        lines += ["", "Backward Propagation, line by line", *wrapped(LEGEND, width, "  ")]
        return "\n".join(lines)

    def _repr_latex_(self) -> str:
        from chainrule.explain.pages import notebook

        return notebook(self)

    def _repr_html_(self) -> str:
        from chainrule.explain.pages import as_html

        return as_html(self, equations(self._found).forward)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        name = html.escape(self._found.definition.name)
        return f"<Steps of {name}: {len(self.sections)} derivatives, {len(self)} lines>"


def _inside(expr: Expr, stops: Container[Expr]) -> Iterator[Expr]:
    """Named values, symbols and inputs that an expression is written with."""
    seen: set[Expr] = set()
    todo = [expr]
    while todo:
        x = todo.pop()
        if x in seen:
            continue
        seen.add(x)
        if (x in stops and x is not expr) or x.op in LEAVES:
            yield x
        else:
            todo.extend(reversed(x.inputs))


def _wanted(found: Derived, only: str | Iterable[str]) -> list[str]:
    names = [only] if isinstance(only, str) else list(only)
    there = [*found.grads, *found.cotangents]
    for name in names:
        if name not in there:
            hint = did_you_mean(name, there) or f"There are: {', '.join(there)}"
            raise ParameterError(f"no derivative with respect to {name!r}", hint=hint)
    return names


def _needed(net: Network, whole: tuple[Chain, ...], names: list[str]) -> tuple[Chain, ...]:
    """The chains called so, and those whose results they use."""
    wanted = {c.symbol for c in whole if c.name in names}
    for chain in reversed(whole):
        if chain.symbol in wanted:
            wanted |= {net.symbol[v] for v in chain.above if v in net.symbol}
            wanted |= set(symbols_in(chain.result, net))
    return tuple(c for c in whole if c.symbol in wanted)


def _section_lines(section: Section, width: int) -> Iterator[str]:
    shape = f"   {primed(plain(section.shape))}" if section.shape else ""
    head = f"{plain(section.symbol)}{shape}"
    yield beside(head, shortened(section.way, width - columns(head) - 2), width)
    for step in section.steps:
        for i, (upper, lower) in enumerate(rows(step.written, width - 4)):
            text = f"  = {upper}" if i == 0 else f"    {upper}"
            yield text
            if lower:
                yield f"    {lower}"
        yield from wrapped(f"[{step.rule}] {step.why}", width, "      ")
    yield from wrapped(_read_text(section.reads), width, "  ")


def _read_text(reads: Reads) -> str:
    kinds = (
        (f"stored {STORED}", reads.stored),
        ("given", reads.inputs),
        ("derivatives found before", reads.derivatives),
    )
    said = [f"{what}: {', '.join(plain(n) for n in names)}" for what, names in kinds if names]
    return f"Reads {'; '.join(said)}." if said else ""
