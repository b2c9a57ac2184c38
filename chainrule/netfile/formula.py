"""Formulas: tokens into steps, steps into an expression. Python never sees the text."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from chainrule.errors import FormulaError
from chainrule.expr import Expr
from chainrule.netfile.calls import call, call_names, form_of
from chainrule.netfile.tokens import Source, Token

DEEPEST = 64
LARGEST_WHOLE = 2**53  # float64 holds every whole number up to here
COMPARISONS = (">", ">=", "<", "<=")
SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "@": operator.matmul,
    "^": operator.pow,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

Value = Expr | int | float | str | tuple[Any, ...]


class Step(NamedTuple):
    """One step of a formula in postfix order; `start` and `end` are its columns."""

    do: str
    what: Any
    start: int
    end: int


class Formula(NamedTuple):
    """The steps of one formula and the names it uses, as they stand in the line."""

    line: int
    steps: list[Step]
    names: list[Token]


class Parser:
    """Reads one formula of a line by recursive descent; recursion ends at `DEEPEST`."""

    def __init__(self, source: Source, line: int, tokens: Sequence[Token]) -> None:
        self.source = source
        self.line = line
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.steps: list[Step] = []
        self.names: list[Token] = []

    @property
    def next(self) -> Token:
        """The token that has not been read yet."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """Read one token."""
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def found(self, *signs: str) -> bool:
        """Whether the next token is one of `signs`."""
        return self.next.kind == "sign" and self.next.text in signs

    def expected(self, wanted: str) -> FormulaError:
        """The next token is not what has to stand there."""
        token = self.next
        if token.kind == "end":
            return self.source.error(
                f"the line ends where {wanted} was expected", self.line, token.end
            )
        if token.text == "=" and self.tokens[self.at + 1].text == "=":
            hint = "Write eq(a, b)"
            return self.source.error("'==' is not an operator", self.line, token.start, hint)
        what = f"expected {wanted}, found {token.text[:40]!r}"
        return self.source.error(what, self.line, token.start)

    def add(self, do: str, what: Any, token: Token, end: int | None = None) -> None:
        """Append a step that `token` stands for."""
        self.steps.append(Step(do, what, token.start, token.end if end is None else end))

    def formula(self) -> Formula:
        """The whole rest of the line."""
        self.comparison()
        if self.next.kind != "end":
            raise self.expected("an operator or the end of the line")
        return Formula(self.line, self.steps, self.names)

    def deeper(self, rule: Callable[[], None]) -> None:
        """Apply a rule one level down."""
        self.depth += 1
        if self.depth > DEEPEST:
            what = f"nesting deeper than {DEEPEST}"
            raise self.source.error(what, self.line, self.next.start)
        rule()
        self.depth -= 1

    def comparison(self) -> None:
        """Two sums with > >= < or <= between them, or one."""
        self.chain(("+", "-"), self.product)
        if self.found(*COMPARISONS):
            sign = self.take()
            self.chain(("+", "-"), self.product)
            self.add("sign", sign.text, sign)
            if self.found(*COMPARISONS):
                hint = "Write (a < b) * (b < c)"
                what = "a comparison cannot be compared again"
                raise self.source.error(what, self.line, self.next.start, hint)

    def product(self) -> None:
        """Factors joined by * / @."""
        self.chain(("*", "/", "@"), self.unary)

    def chain(self, signs: tuple[str, ...], rule: Callable[[], None]) -> None:
        """What `rule` reads, joined by `signs`, from left to right."""
        rule()
        while self.found(*signs):
            sign = self.take()
            rule()
            self.add("sign", sign.text, sign)

    def unary(self) -> None:
        """A power, with signs in front: −x² is −(x²)."""
        if self.found("-", "+"):
            sign = self.take()
            self.deeper(self.unary)
            if sign.text == "-":
                self.add("negative", None, sign)
        else:
            self.power()

    def power(self) -> None:
        """A value, raised to what follows ^ or **: 2^3^2 is 2^(3^2)."""
        self.value()
        while self.found("."):
            self.take()
            token = self.take()
            if token.kind != "name" or token.text != "T":
                text = token.text or "."
                raise self.source.refused(text, self.line, token.start)
            self.add("turn", None, token)
        if self.found("^", "**"):
            sign = self.take()
            self.deeper(self.unary)
            self.add("sign", "^", sign)

    def value(self) -> None:
        """A number, a name, a call, text or something in parentheses."""
        token = self.next
        if token.kind == "number":
            self.add("push", self.number(self.take()), token)
        elif token.kind == "string":
            self.add("push", self.take().text[1:-1], token)
        elif token.kind == "name":
            self.take()
            if self.found("("):
                self.deeper(lambda: self.call(token))
            else:
                self.names.append(token)
                self.add("name", token.text, token)
        elif self.found("("):
            self.deeper(self.group)
        else:
            raise self.expected("a value")

    def number(self, token: Token) -> int | float:
        """The value of a number; whole numbers stay whole."""
        if self.next.kind in ("name", "number") and self.next.start == token.end:
            what = f"{token.text!r} runs into {self.next.text[:40]!r}"
            raise self.source.error(what, self.line, self.next.start, "Write * between them")
        value = float(token.text)
        if not math.isfinite(value):
            shown = token.text[:40]
            raise self.source.error(f"constant {shown} is not finite", self.line, token.start)
        return int(value) if token.text.isdigit() and value <= LARGEST_WHOLE else value

    def group(self) -> None:
        """A formula in parentheses, or a tuple: with a comma, or empty."""
        opened = self.take()
        count, comma = 0, False
        while not self.found(")"):
            self.comparison()
            count += 1
            if not self.found(","):
                break
            self.take()
            comma = True
        end = self.close(opened)
        if comma or not count:
            self.steps.append(Step("tuple", count, opened.start, end))
        else:
            self.steps.append(Step("group", None, opened.start, end))

    def close(self, opened: Token) -> int:
        """Read the closing parenthesis; the column behind it."""
        if not self.found(")"):
            if self.next.kind == "end":
                what = "this parenthesis is never closed"
                raise self.source.error(what, self.line, opened.start)
            raise self.expected("',' or ')'")
        return self.take().end

    def call(self, name: Token) -> None:
        """``name(operands, option=value)``."""
        if form_of(name.text) is None:
            if name.text in self.source.names:
                what = f"{name.text!r} is a value, not an operation"
                hint = "Multiply with * or @"
                raise self.source.error(what, self.line, name.start, hint)
            hint = f"Operations: {', '.join(call_names()[:12])}, …"
            raise self.source.unknown(name, self.line, call_names(), hint)
        opened = self.take()
        operands, keys = 0, []
        while not self.found(")"):
            if self.next.kind == "name" and self.tokens[self.at + 1].text == "=":
                key = self.take()
                self.take()
                if key.text in keys:
                    what = f"option {key.text!r} is given twice"
                    raise self.source.error(what, self.line, key.start)
                keys.append(key.text)
            elif keys:
                what = "an option is followed by an operand without a name"
                raise self.source.error(what, self.line, self.next.start)
            else:
                operands += 1
            self.comparison()
            if not self.found(","):
                break
            self.take()
        end = self.close(opened)
        self.add("call", (name.text, operands, tuple(keys)), name, end)


class Item(NamedTuple):
    """A value on the stack and the columns of the text that it stands for."""

    value: Value
    start: int
    end: int


def evaluate(source: Source, formula: Formula, names: Mapping[str, Value]) -> Expr | int | float:
    """The expression, or the plain number, that the formula means.

    Raises:
        FormulaError: a constant that is not finite, text where a value is needed.
        ChainruleError: what the rules of the operations raise.
    """
    stack: list[Item] = []
    for step in formula.steps:
        if step.do == "push":
            stack.append(Item(step.what, step.start, step.end))
        elif step.do == "name":
            stack.append(Item(names[step.what], step.start, step.end))
        elif step.do == "group":
            stack.append(Item(stack.pop().value, step.start, step.end))
        elif step.do == "tuple":
            parts = _pop(stack, step.what)
            for part in parts:
                if isinstance(part.value, Expr):
                    raise source.error(
                        "a tuple holds numbers and text only", formula.line, part.start
                    )
            stack.append(Item(tuple(part.value for part in parts), step.start, step.end))
        elif step.do == "call":
            name, count, keys = step.what
            options = _pop(stack, len(keys))
            operands = [item.value for item in _pop(stack, count)]
            given = {key: item.value for key, item in zip(keys, options, strict=True)}
            stack.append(Item(call(name, operands, given), step.start, step.end))
        elif step.do == "sign":
            right, left = stack.pop(), stack.pop()
            stack.append(_apply(source, formula.line, step.what, left, right))
        else:
            item = stack.pop()
            value = _plain(source, formula.line, item)
            start = min(step.start, item.start)
            end = max(step.end, item.end)
            if step.do == "negative":
                stack.append(Item(-value, start, end))
            elif isinstance(value, Expr):
                stack.append(Item(value.T, start, end))
            else:
                raise source.error("a number has no transpose", formula.line, item.start)
    return _plain(source, formula.line, stack.pop())


def _pop(stack: list[Item], count: int) -> list[Item]:
    items = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return items


def _plain(source: Source, line: int, item: Item) -> Expr | int | float:
    if isinstance(item.value, str | tuple):
        kind = "text" if isinstance(item.value, str) else "a tuple"
        what = f"{kind} can only be an argument of an operation"
        raise source.error(what, line, item.start)
    return item.value


def _apply(source: Source, line: int, sign: str, left: Item, right: Item) -> Item:
    a, b = (_plain(source, line, item) for item in (left, right))
    if isinstance(a, Expr) or isinstance(b, Expr):
        if sign == "@" and not (isinstance(a, Expr) and isinstance(b, Expr)):
            raise source.error(
                "@ needs two values with axes", line, left.start, "Use * for a number"
            )
        # as Python does it: `0 > x` asks x, so that a function and a .net file give one object
        return Item(SIGNS[sign](a, b), left.start, right.end)
    if sign in COMPARISONS or sign == "@":
        raise source.error(f"{sign} between two numbers", line, left.start)
    return Item(_folded(source, line, sign, left, right), left.start, right.end)


def _folded(source: Source, line: int, sign: str, left: Item, right: Item) -> int | float:
    """The number that two numbers make. Powers are of floats: those of whole numbers grow long."""
    a, b = left.value, right.value
    assert isinstance(a, int | float)
    assert isinstance(b, int | float)
    shown = source.lines[line - 1][left.start : right.end].replace("**", "^")
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    try:
        result = math.pow(a, b) if sign == "^" else SIGNS[sign](float(a), float(b))
    except (OverflowError, ZeroDivisionError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        raise source.error(f"constant {shown} is not finite", line, left.start)
    whole = isinstance(a, int) and isinstance(b, int) and sign != "/" and result.is_integer()
    return int(result) if whole and abs(result) <= LARGEST_WHOLE else float(result)
