"""Tokens into a tree: sums of products of factors; factors are in `factors`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from chainrule.errors import FormulaError
from chainrule.texmath import tree
from chainrule.texmath.limits import DEEPEST, refused
from chainrule.texmath.tokens import Lexer, Token

RELATIONS = frozenset("=<>≤≥≠")
CLOSING = {"(": ")", "[": "]", "{": "}", "⦃": "⦄", "|": "|", "‖": "‖"}
_TIMES = frozenset("·*@/")
_STARTS = frozenset("([{⦃Σ∂∇√")
_SAID = {"end": "the end", "⦃": r"\{", "⦄": r"\}", "⊤": "a transpose", "⊤ after": "a transpose"}


class Reader:
    """A position in the tokens of one formula, and what may be read there."""

    def __init__(self, text: str, names: Iterable[str] = ()) -> None:
        lexer = Lexer(text, names)
        self.text = text
        self.names = lexer.names
        self.tokens = lexer.tokens()
        self.at = 0
        self.open: list[str] = []
        self.depth = 0

    # tokens

    @property
    def now(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.at]

    @property
    def ahead(self) -> Token:
        """The token after it."""
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def sees(self, *signs: str) -> bool:
        """Whether one of these signs comes next."""
        return self.now.kind == "sign" and self.now.text in signs

    def take(self) -> Token:
        """The next token, which is then read; the end is never passed."""
        token = self.now
        if token.kind != "end":
            self.at += 1
        return token

    def accept(self, *signs: str) -> Token | None:
        """One of these signs if it comes next."""
        return self.take() if self.sees(*signs) else None

    def expect(self, sign: str) -> Token:
        """This sign.

        Raises:
            FormulaError: something else comes next.
        """
        if not self.sees(sign):
            raise self.unexpected(f'"{_SAID.get(sign, sign)}"')
        return self.take()

    def unexpected(self, wanted: str, hint: str = "") -> FormulaError:
        """The error for a token that does not fit here."""
        found = "the formula ends" if self.now.kind == "end" else f"found {self._said(self.now)}"
        return refused(self.text, self.now.start, f"{found}, expected {wanted}", hint)

    def _said(self, token: Token) -> str:
        written = self.text[token.start : token.end].strip() or _SAID.get(token.text, token.text)
        return f'"{written if len(written) <= 40 else written[:40] + "…"}"'

    @contextmanager
    def deeper(self, bracket: str = "") -> Iterator[None]:
        """One level further inside; `bracket` is the one that was opened."""
        self.depth += 1
        if self.depth > DEEPEST:
            what = f"more than {DEEPEST} levels inside one another"
            raise refused(self.text, self.now.start, what, "Give parts of it names of their own")
        self.open.append(bracket)
        yield
        self.open.pop()
        self.depth -= 1

    def span(self, start: int) -> tree.Span:
        """From `start` to the end of what was read."""
        return start, max(start, self.tokens[self.at - 1].end if self.at else start)

    # sums and products

    def expression(self) -> tree.Node:
        """Terms with + and − between them."""
        start = self.now.start
        terms = [self._signed(self.hadamard)]
        while self.sees("+", "-"):
            begin, sign = self.now.start, self.take().text
            term = self._signed(self.hadamard)
            terms.append(tree.Negative(term, at=self.span(begin)) if sign == "-" else term)
        return terms[0] if len(terms) == 1 else tree.Add(tuple(terms), at=self.span(start))

    def _signed(self, read: Callable[[], tree.Node]) -> tree.Node:
        start, minus = self.now.start, 0
        while self.sees("+", "-"):
            minus += self.take().text == "-"
        found = read()
        return tree.Negative(found, at=self.span(start)) if minus % 2 else found

    def hadamard(self) -> tree.Node:
        """Products with ⊙ between them."""
        start, factors = self.now.start, [self.product()]
        while self.accept("⊙"):
            factors.append(self._signed(self.product))
        return (
            factors[0] if len(factors) == 1 else tree.Hadamard(tuple(factors), at=self.span(start))
        )

    def product(self) -> tree.Node:
        """Factors side by side, or with ·, *, @ or / between them."""
        start, factors, signs = self.now.start, [self.factor()], []
        while True:
            if self.now.kind == "sign" and self.now.text in _TIMES:
                sign = self.take().text
                factors.append(self._signed(self.close if sign == "/" else self.factor))
            elif self.starts_factor():
                sign = ""
                factors.append(self.factor())
            else:
                break
            signs.append(sign)
        if len(factors) == 1:
            return factors[0]
        return tree.Product(tuple(factors), tuple(signs), at=self.span(start))

    def starts_factor(self) -> bool:
        """Whether a factor may begin here without a sign before it."""
        token = self.now
        if token.kind == "number":
            hint = r"Write \cdot or * before a number"
            raise refused(self.text, token.start, f"the number {token.text} after a factor", hint)
        if token.kind != "sign":
            return token.kind != "end" and not (
                token.kind == "command" and token.text in ("\\", "end", "begin")
            )
        if token.text in ("|", "‖"):
            return not (self.open and self.open[-1] == token.text)
        return token.text in _STARTS

    def starts_argument(self) -> bool:
        """Whether what a function without brackets is applied to may begin here."""
        return self.now.kind == "number" or self.starts_factor()

    def close(self) -> tree.Node:
        """What a / or a function without brackets takes: a factor, or a number and a symbol."""
        start, first = self.now.start, self.now
        found = self.factor()
        if first.kind == "number" and self.now.kind in ("symbol", "word") and not self.now.spaced:
            second = self.factor()
            return tree.Product((found, second), ("",), at=self.span(start))
        return found

    def factor(self) -> tree.Node:
        """A primary with its powers, transposes and indices."""
        from chainrule.texmath.factors import primary

        return primary(self)

    def group(self, opening: str) -> tree.Node:
        """What stands in a bracket that was just opened, and the bracket's end.

        A relation makes it a `Condition`, semicolons a `Stack`.
        """
        start = self.tokens[self.at - 1].start
        with self.deeper(opening):
            rows = [self.expression()]
            if self.now.kind == "sign" and self.now.text in RELATIONS:
                relation = self.take().text
                right = self.expression()
                rows = [tree.Condition(rows[0], relation, right, at=self.span(start))]
            while opening == "[" and self.accept(";"):
                rows.append(self.expression())
        self.expect(CLOSING[opening])
        if len(rows) > 1:
            return tree.Stack(tuple(rows), at=self.span(start))
        return rows[0]

    def listed(self, opening: str) -> tuple[tree.Node, ...]:
        """Expressions with commas between them, to the end of a bracket that was just opened."""
        with self.deeper(opening):
            found = [self.expression()]
            while self.accept(","):
                found.append(self.expression())
        self.expect(CLOSING[opening])
        return tuple(found)

    def called_after(self) -> bool:
        """Whether a ( follows the bracket that opens here: clip[0, 1](x)."""
        depth = 0
        for i in range(self.at, len(self.tokens)):
            text = self.tokens[i].text if self.tokens[i].kind == "sign" else ""
            depth += (text == "[") - (text == "]")
            if text == "]" and not depth:
                return self.tokens[i + 1].kind == "sign" and self.tokens[i + 1].text == "("
        return False

    def finished(self) -> None:
        """Refuse what is left over at the end; a full stop or comma there says nothing."""
        while self.sees(".", ",", ";"):
            self.take()
        if self.now.kind != "end":
            raise self.unexpected("an operation or the end of the formula")


def chain(reader: Reader) -> list[tree.Node]:
    """Expressions with = between them, to the end of the formula."""
    while reader.accept("&"):
        pass
    found = [reader.expression()]
    while True:
        while reader.accept("&"):
            pass
        if not reader.accept("="):
            break
        while reader.accept("&"):
            pass
        found.append(reader.expression())
    reader.finished()
    return found
