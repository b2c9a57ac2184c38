"""What a lint rule is, what it finds, and the report of all that was found."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chainrule.errors import ParameterError
from chainrule.expr import Expr

if TYPE_CHECKING:
    from chainrule.check.lint.subject import Subject

LEVELS = ("error", "warning", "hint")
"""The network cannot do what it is for; it is probably not meant; it is worth knowing."""
COLUMNS = 80
INDENT = 10


@dataclass(frozen=True)
class Clue:
    """A place at which a rule applies.

    Attributes:
        what: the fact, with the names of the network in it.
        at: the expression it is about, or the name of a value or an input; "" for the whole.
        do: what to write instead, where that is more than the rule says in general.
    """

    what: str
    at: Expr | str = ""
    do: str = ""


@dataclass(frozen=True)
class Rule:
    """One structural mistake: what it looks like, why it hurts, and what to do.

    Attributes:
        code: a stable name.
        level: one of `LEVELS`.
        title: the mistake in a few words.
        looks_for: when exactly it is reported.
        why: what goes wrong because of it.
        do: what to do in general.
        source: where that is known from.
        find: the places at which it applies.
    """

    code: str
    level: str
    title: str
    looks_for: str
    why: str
    do: str
    source: str
    find: Callable[[Subject], Iterator[Clue]]

    def __post_init__(self) -> None:
        missing = [name for name, value in vars(self).items() if not value]
        if missing or self.level not in LEVELS:
            what = f"the rule is incomplete: {', '.join(missing) or 'level'}"
            raise ParameterError(what, where=self.code)


def rule(**parts: Any) -> Callable[[Callable[[Subject], Iterator[Clue]]], Rule]:
    """Makes the function that finds the places of a mistake the last part of its record."""
    return lambda find: Rule(find=find, **parts)


@dataclass(frozen=True)
class Finding:
    """One mistake in one place.

    Attributes:
        code, level, title: of the rule.
        where: name of the value, parameter or input; "" for the network as a whole.
        line: of the file in which that is defined; None if it is not known.
        what: the fact.
        why: what goes wrong because of it.
        do: what to do about it.
    """

    code: str
    level: str
    title: str
    where: str
    line: int | None
    what: str
    why: str
    do: str

    @property
    def place(self) -> str:
        """``line 7: A``, as far as it is known."""
        return ": ".join(x for x in (f"line {self.line}" if self.line else "", self.where) if x)

    def __str__(self) -> str:
        head = f"{self.level:<{INDENT - 2}}  {self.place}" + (" " if self.place else "")
        lines = [f"{head}({self.code})" if self.place else f"{head}{self.code}"]
        for label, text in (("", self.what), ("why: ", self.why), ("do: ", self.do)):
            start = " " * INDENT + label
            wrap = textwrap.TextWrapper(COLUMNS, break_long_words=False, break_on_hyphens=False)
            wrap.initial_indent, wrap.subsequent_indent = start, " " * len(start)
            lines += wrap.wrap(text)
        return "\n".join(lines)


@dataclass(frozen=True)
class LintReport:
    """What lint found in one network.

    Attributes:
        name: the network.
        findings: errors first, then warnings, then hints.
        skipped: what could not be looked at, and why.
    """

    name: str
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is nothing worse than a hint."""
        return not self.errors and not self.warnings

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the network from doing what it is for."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is probably not meant."""
        return self._of("warning")

    @property
    def hints(self) -> tuple[Finding, ...]:
        """What is worth knowing, and often meant."""
        return self._of("hint")

    def _of(self, level: str) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.level == level)

    def codes(self) -> list[str]:
        """The codes of all findings, in order."""
        return [f.code for f in self.findings]

    def json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "name": self.name,
            "ok": self.ok,
            "findings": [asdict(f) for f in self.findings],
            "skipped": list(self.skipped),
        }

    def __str__(self) -> str:
        counts: Mapping[str, int] = {level: len(self._of(level)) for level in LEVELS}
        said = [f"{n} {level}{'s' * (n != 1)}" for level, n in counts.items() if n]
        title = f"{self.name}: {', '.join(said) or 'nothing found'}"
        notes = [textwrap.fill(f"not looked at: {s}", COLUMNS) for s in self.skipped]
        return "\n\n".join([title, *(str(f) for f in self.findings), *notes])
