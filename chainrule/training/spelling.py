"""Choices with options, in code and in text: ``Schedule("step", drop=0.5)``, ``"step:drop=0.5"``.

The text form is for the command line and run files:

    choice  = NAME [":" option {"," option}]
    option  = KEY "=" VALUE

An option that holds a choice itself takes the rest of the text:
``"warmup:steps=100,then=step:drop=0.5,every=10"``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import EllipsisType, MappingProxyType
from typing import Any, ClassVar, Final, Self

from chainrule.errors import ParameterError, did_you_mean


@dataclass(frozen=True)
class Option:
    """One option of a choice.

    Attributes:
        default: what it is when not given, `...` if it must be given.
        means: one line for the reference.
        rule: what it must be, in words; messages say "must be …".
        accepts: whether a value obeys the rule.
        words: the values of an option that is a word, () for a number.
        sample: a value for examples where there is no default.
    """

    default: float | str | EllipsisType
    means: str
    rule: str = "finite"
    accepts: Callable[[float], bool] = lambda value: True
    words: tuple[str, ...] = ()
    sample: str = "1"

    def problem(self, value: Any) -> str:
        """What is wrong with a value, in words that follow the option's name; "" if nothing is."""
        if self.words:
            wrong = value not in self.words
            rule, hint = "one of " + ", ".join(self.words), did_you_mean(str(value), self.words)
        else:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            wrong = not (number and math.isfinite(value) and self.accepts(value))
            rule, hint = self.rule if self.rule == "finite" else f"{self.rule} and finite", ""
        return f"must be {rule}, got {value!r}" + f" ({hint})" * bool(hint) if wrong else ""


def positive(default: float | EllipsisType, means: str) -> Option:
    """An option that is a number above 0."""
    return Option(default, means, "> 0", lambda value: value > 0)


def fraction(default: float | EllipsisType, means: str) -> Option:
    """An option that is a number from 0 to 1."""
    return Option(default, means, "in [0, 1]", lambda value: 0 <= value <= 1)


def count(default: int | EllipsisType, means: str) -> Option:
    """An option that is a whole number from 1 up."""
    rule = "a whole number >= 1"
    return Option(default, means, rule, lambda value: value >= 1 and value == int(value))


@dataclass(frozen=True)
class Record:
    """What every choice says about itself; each table adds the function.

    Attributes:
        name: how it is chosen.
        formula: LaTeX, with the options under their mathematical names.
        source: where the formula comes from.
        options: by name; `None` stands for an option that is a choice of the same table.
    """

    name: str
    formula: str
    source: str
    options: Mapping[str, Option | None]


class Choice:
    """A name from a table of records, with checked options; a value: equal if name and options are.

    Raises:
        ParameterError: an unknown name or option (with the nearest known one), a missing option, or
            values outside what the options allow (all of them at once).
    """

    kind: ClassVar[str]
    table: ClassVar[Mapping[str, Record]]
    name: Final[str]
    options: Final[Mapping[str, Any]]

    def __init__(self, name: str, **options: Any) -> None:
        record = self._record(name)
        unknown = [key for key in options if key not in record.options]
        if unknown:
            known = ", ".join(record.options) or "none"
            raise ParameterError(
                f"{self.kind} {name!r} has no option {unknown[0]!r}; its options: {known}",
                hint=did_you_mean(unknown[0], record.options),
            )
        filled = {key: self._value(record, key, options.get(key, ...)) for key in record.options}
        problems = [
            f"{key} {problem}"
            for key, option in record.options.items()
            if (problem := self._problem(option, filled[key]))
        ]
        if problems:
            raise ParameterError("; ".join(problems), where=f"{self.kind} {name!r}")
        self.name = name
        self.options = MappingProxyType(filled)

    @classmethod
    def _value(cls, record: Record, key: str, given: Any) -> Any:
        """What an option becomes: the default if it is not given, a choice if it holds one."""
        option = record.options[key]
        if option is not None:
            return option.default if given is ... else _plain(given)
        inner = given.name if isinstance(given, Choice) else str(given).partition(":")[0].strip()
        if inner in cls.table and None in cls.table[inner].options.values():
            raise ParameterError(
                f"{key} cannot hold {inner!r}: only one level is possible",
                where=f"{cls.kind} {record.name!r}",
            )
        return given if given is ... else cls.of(given)

    @staticmethod
    def _problem(option: Option | None, value: Any) -> str:
        if value is ...:
            return "must be given"
        return option.problem(value) if option else ""

    @classmethod
    def of(cls, choice: str | Self) -> Self:
        """A choice as it is, or the one that a text spells.

        Raises:
            ParameterError: the text is not ``NAME`` or ``NAME:KEY=VALUE,…``, or the choice is
                wrong.
        """
        if isinstance(choice, cls):
            return choice
        if not isinstance(choice, str):
            raise ParameterError(f"a {cls.kind} is a {cls.__name__} or its name, got {choice!r}")
        return cls._parse(choice)

    @classmethod
    def _parse(cls, text: str) -> Self:
        name, colon, rest = text.strip().partition(":")
        name = name.strip()
        record = cls._record(name)
        where = f"{cls.kind} {text!r}"
        options: dict[str, Any] = {}
        while colon:
            key, equals, after = (part.strip() for part in rest.partition("="))
            if not equals or not key or "," in key:
                raise ParameterError(
                    f"expected KEY=VALUE, got {rest.split(',')[0]!r}",
                    where=where,
                    hint=f"Write for example {cls._example(record)!r}",
                )
            if key in options:
                raise ParameterError(f"option {key!r} is given twice", where=where)
            if key in record.options and record.options[key] is None:
                options[key], colon = after, ""
            else:
                value, colon, rest = after.partition(",")
                options[key] = _number_or_word(value.strip())
        return cls(name, **options)

    @classmethod
    def _record(cls, name: str) -> Record:
        if name not in cls.table:
            raise ParameterError(
                f"{name!r} is not a known {cls.kind}; known: {', '.join(cls.table)}",
                hint=did_you_mean(str(name), cls.table),
            )
        return cls.table[name]

    @classmethod
    def _example(cls, record: Record) -> str:
        """A text that chooses the record, with every option."""

        def sample(option: Option | None) -> str:
            if option is None:
                return next(name for name, other in cls.table.items() if not other.options)
            return option.sample if option.default is ... else _text(option.default)

        written = [f"{key}={sample(option)}" for key, option in record.options.items()]
        return f"{record.name}:{','.join(written)}" if written else record.name

    def __str__(self) -> str:
        """The text form, with every option written out; `of` reads it back."""
        written = ",".join(f"{key}={_text(value)}" for key, value in self.options.items())
        return f"{self.name}:{written}" if written else self.name

    def __repr__(self) -> str:
        written = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"{type(self).__name__}({self.name!r}{written})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Choice) or self.kind != other.kind:
            return NotImplemented
        return (self.name, self.options) == (other.name, other.options)

    def __hash__(self) -> int:
        return hash((self.kind, self.name, *self.options.items()))

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Copies are made from the text form, which says everything."""
        return type(self).of, (str(self),)


def _plain(value: Any) -> Any:
    """Numbers of other libraries as Python's own; everything else as it is."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _text(value: object) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)


def _number_or_word(text: str) -> float | str:
    """An int if the text spells one, else a float, else the text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
