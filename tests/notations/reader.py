r"""Reads printed equations with indices and computes them: what a careful student would do.

Knows nothing of what prints them. `Values` holds arrays by symbol (the letter with what stands
above it), with one dimension for each index. A line is computed by looking up its symbols, putting
the letters of their indices side by side, and adding up where Σ says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tests.oracles.numbers import Dual, parts
from tests.oracles.textbook import ELEMENTWISE

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\S")
FUNCTIONS = {
    r"\sigma": "sigmoid",
    r"\tanh": "tanh",
    r"\log": "log",
    "relu": "relu",
    "lrelu": "leaky_relu",
    "elu": "elu",
    "selu": "selu",
    "gelu": "gelu",
    r"gelu_\tanh": "gelu_tanh",
    "silu": "silu",
    "softplus": "softplus",
    "erf": "erf",
    "sign": "sign",
    r"\log\sigma": "log_sigmoid",
}
DEFAULTS = {"leaky_relu": (0.01,), "elu": (1.0,)}
COMPARE = {"=": np.equal, ">": np.greater, "<": np.less, r"\geq": np.greater_equal,
           r"\leq": np.less_equal}  # fmt: skip


@dataclass(frozen=True)
class Indexed:
    """An array whose dimensions have letters."""

    letters: tuple[str, ...]
    array: np.ndarray


def align(*values: Indexed) -> tuple[tuple[str, ...], list[np.ndarray]]:
    letters = tuple(dict.fromkeys(x for v in values for x in v.letters))
    arrays = []
    for v in values:
        order = [v.letters.index(x) for x in letters if x in v.letters]
        shape = [v.array.shape[v.letters.index(x)] if x in v.letters else 1 for x in letters]
        arrays.append(v.array.transpose(order).reshape(shape))
    return letters, arrays


def combine(function, *values: Indexed) -> Indexed:
    letters, arrays = align(*values)
    return Indexed(letters, np.asarray(function(*np.broadcast_arrays(*arrays))))


class Values:
    """What symbols stand for, found line by line."""

    def __init__(self, sizes: dict[str, int], *, scalars: bool = False) -> None:
        self.sizes = sizes  # of axes, shown as numbers in equations
        self.scalars = scalars  # nothing has indices: what stands below belongs to the name
        self.known: dict[str, np.ndarray] = {}
        self.runs: dict[str, int] = {}  # how far letters run, where the dictionary says it

    def set(self, tex: str, array: np.ndarray) -> None:
        """The array of a symbol written with its letters, dimensions in the order of these."""
        key, indices = Reader(tex, self).symbol()
        array = np.asarray(array, float)
        assert array.ndim == len(indices), (tex, array.shape)
        self.known[key] = array

    def line(self, text: str) -> tuple[str, tuple[str, ...], list[np.ndarray]]:
        """What stands left, its letters, and the value of every right side, in their order."""
        reader = Reader(text.replace("&", ""), self)
        key, indices = reader.symbol()
        sides = []
        while reader.accept("="):
            value = reader.sum()
            free = [x for x in indices if x != "1"]
            assert set(value.letters) <= set(free), (text, value.letters)
            shape = tuple(reader.letter_sizes.get(x) or self._size(x, value) for x in free)
            order = [value.letters.index(x) for x in free if x in value.letters]
            wide = value.array.transpose(order).reshape(
                [n if x in value.letters else 1 for n, x in zip(shape, free, strict=True)]
            )
            full = np.broadcast_to(wide, shape)
            sides.append(full.reshape([1 if x == "1" else shape[free.index(x)] for x in indices]))
        assert sides, text
        assert reader.peek() == "", f"{text!r}: stuck at {reader.peek()!r}"
        return key, indices, sides

    def _size(self, letter: str, value: Indexed) -> int:
        if letter in self.runs:
            return self.runs[letter]
        assert letter in value.letters, f"nothing tells how far {letter} runs"
        return value.array.shape[value.letters.index(letter)]

    def learn(self, text: str, tolerance: float = 1e-12) -> None:
        """Compute a line, whose sides must agree, and remember the result."""
        key, _, sides = self.line(text)
        for other in sides[1:]:
            scale = max(1.0, float(np.abs(sides[0]).max(initial=0)))
            assert np.abs(other - sides[0]).max(initial=0) <= tolerance * scale, text
        value = sides[-1]
        if key.startswith("-"):
            key, value = key[1:], -value
        if key in self.known:
            scale = max(1.0, float(np.abs(value).max(initial=0)))
            assert np.abs(self.known[key] - value).max(initial=0) <= tolerance * scale, text
        self.known[key] = value


class Reader:
    """Recursive descent over the tokens of one line."""

    def __init__(self, text: str, values: Values) -> None:
        self.tokens = [t for t in TOKEN.findall(text) if t not in (r"\,", r"\ ")]
        self.at = 0
        self.values = values
        self.letter_sizes: dict[str, int] = {}
        if values.known:
            self._measure()

    def _measure(self) -> None:
        """How far each letter runs, from every symbol of the line that is known."""
        for start in range(len(self.tokens)):
            self.at = start
            try:
                key, indices = self.symbol()
            except (AssertionError, IndexError):
                continue
            array = self.values.known.get(key)
            if array is not None and array.ndim == len(indices):
                for letter, size in zip(indices, array.shape, strict=True):
                    if letter != "1":
                        assert self.letter_sizes.setdefault(letter, size) == size, letter
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def take(self, *expected: str) -> str:
        token = self.peek()
        assert token, self.tokens
        assert not expected or token in expected, (expected, token, self.tokens)
        self.at += 1
        return token

    def accept(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def group(self) -> list[str]:
        """The tokens of {…}, or one token."""
        if not self.accept("{"):
            return [self.take()]
        depth, found = 1, []
        while depth:
            token = self.take()
            depth += {"{": 1, "}": -1}.get(token, 0)
            found.append(token)
        return found[:-1]

    # symbols

    def is_derivative(self) -> bool:
        """∂C/∂w, or dL/dw between numbers."""
        what = self.peek(2)
        return self.peek() == r"\frac" and (
            what == r"\partial" or (what == "d" and self.values.scalars)
        )

    def symbol(self) -> tuple[str, tuple[str, ...]]:
        if self.is_derivative():
            self.take(r"\frac")
            self.take("{")
            self.take(r"\partial", "d")
            upper, above = self.symbol()
            self.take("}")
            self.take("{")
            self.take(r"\partial", "d")
            lower, below = self.symbol()
            self.take("}")
            return f"∂{upper}[{len(above)}]/∂{lower}", tuple(dict.fromkeys((*above, *below)))
        negative = "-" if self.accept("-") else ""
        if negative:
            key, indices = self.symbol()
            return f"-{key}", indices
        base = self.take()
        if base in (r"\hat", r"\bar", r"\tilde", r"\mathrm", r"\mathcal", r"\text"):
            base += "".join(self.group())
        assert re.fullmatch(r"[A-Za-z]|\\[A-Za-z]+.*", base), base
        assert base not in (r"\sum", r"\frac", r"\left", r"\right", r"\cdot", r"\partial", r"\sqrt")
        if self.peek() == "^" and self.peek(1) == "{" and self.peek(2) == "(":
            self.take("^")
            base += "".join(self.group())
            self.refuse_second_superscript()
        indices: tuple[str, ...] = ()
        if self.accept("_"):
            below = self.group()
            if self.values.scalars:
                return f"{base}_{''.join(below)}", ()
            indices = tuple(x for token in below for x in (token if token.isdigit() else [token]))
            if "(" in base:
                self.refuse_second_superscript()
        return base, indices

    def refuse_second_superscript(self) -> None:
        """TeX has no a^{(1)}_{j}^2: a power needs parentheses."""
        if self.peek() == "^":
            raise SyntaxError(f"double superscript at {self.tokens[self.at - 8 : self.at + 2]}")

    # expressions, loosest first

    def sum(self) -> Indexed:
        value = self.term()
        while self.peek() in ("+", "-"):
            sign = self.take()
            other = self.term()
            value = combine(np.add if sign == "+" else np.subtract, value, other)
        return value

    def term(self) -> Indexed:
        if self.accept("-"):
            return combine(np.negative, self.term())
        return self.product()

    def product(self) -> Indexed:
        if self.accept(r"\sum"):
            self.take("_")
            (letter,) = self.group()
            body = self.product()
            if letter not in body.letters:
                return combine(lambda x: x * self.letter_sizes[letter], body)
            at = body.letters.index(letter)
            rest = tuple(x for x in body.letters if x != letter)
            return Indexed(rest, body.array.sum(axis=at))
        value = self.power()
        while True:
            self.accept(r"\cdot")
            if self.peek() in ("", "+", "-", "=", ")", "]", "}", ",", r"\right", *COMPARE):
                return value
            if self.peek() == r"\rvert":
                return value
            other = self.product() if self.peek() == r"\sum" else self.power()
            value = combine(np.multiply, value, other)

    def power(self) -> Indexed:
        value = self.atom()
        if self.accept("^"):
            inner = Reader("", self.values)
            inner.tokens, inner.letter_sizes = self.group(), self.letter_sizes
            value = combine(np.power, value, inner.sum())
        return value

    def atom(self) -> Indexed:
        token = self.peek()
        if re.fullmatch(r"[0-9.]+", token):
            return Indexed((), np.asarray(float(self.take())))
        if token == "(":
            return self.between("(", ")")
        if token == r"\left":
            self.take()
            if self.peek() == "[":
                return self.bracket()
            self.take("(")
            value = self.sum()
            self.take(r"\right")
            self.take(")")
            return value
        if token == r"\lvert":
            self.take()
            value = self.sum()
            self.take(r"\rvert")
            return combine(np.abs, value)
        if token == r"\sqrt":
            self.take()
            return combine(np.sqrt, self.braced())
        if token == "e" and self.peek(1) == "^":
            self.take()
            self.take("^")
            return combine(np.exp, self.braced())
        if token == r"\frac" and not self.is_derivative():
            self.take()
            upper, lower = self.braced(), self.braced()
            return combine(np.divide, upper, lower)
        return self.named()

    def between(self, opening: str, closing: str) -> Indexed:
        self.take(opening)
        value = self.sum()
        self.take(closing)
        return value

    def braced(self) -> Indexed:
        if self.peek() != "{":
            return self.atom()
        return self.between("{", "}")

    def bracket(self) -> Indexed:
        self.take("[")
        left = self.sum()
        compare = COMPARE[self.take()]
        right = self.sum()
        self.take(r"\right")
        self.take("]")
        return combine(lambda a, b: compare(a, b).astype(float), left, right)

    def arguments(self) -> list[Indexed]:
        big = self.accept(r"\left")
        self.take("(")
        values = [self.sum()]
        while self.accept(","):
            values.append(self.sum())
        if big:
            self.take(r"\right")
        self.take(")")
        return values

    def named(self) -> Indexed:
        """A function, a symbol with a value, the size of an axis, or a letter as a number."""
        token = self.peek()
        if token in (r"\max", r"\min") and self.peek(1) != "_":
            self.take()
            return combine(np.maximum if token == r"\max" else np.minimum, *self.arguments())
        if token in (r"\max", r"\min"):
            return self.best(self.take())
        if (
            token == r"\operatorname"
            and "".join(self.tokens[self.at + 2 : self.at + 8]) == "argmax"
        ):
            self.at += 1
            return self.best("".join(self.group()))
        if token in (r"\sigma", r"\tanh", r"\log", r"\operatorname"):
            return self.function()
        start = self.at
        key, indices = self.symbol()
        if key in self.values.known:
            array = self.values.known[key]
            assert array.ndim == len(indices), (key, indices, array.shape)
            kept = tuple(x for x in indices if x != "1")
            assert len(set(kept)) == len(kept), (key, indices)
            at = tuple(0 if x == "1" else slice(None) for x in indices)
            return Indexed(kept, array[at])
        assert not indices, f"{self.tokens[start:]} is not known"
        sizes = self.values.runs | self.letter_sizes
        if key in sizes:  # a letter of the equation is no size of an axis in it
            return Indexed((key,), np.arange(sizes[key], dtype=float))
        assert key in self.values.sizes, f"{self.tokens[start:]} is not known"
        return Indexed((), np.asarray(float(self.values.sizes[key])))

    def best(self, which: str) -> Indexed:
        """The largest or smallest along one letter, or where it is: the first one, from 0."""
        self.take("_")
        (letter,) = self.group()
        value = self.power()
        pick = {r"\max": np.max, r"\min": np.min, "argmax": np.argmax}[which]
        at = value.letters.index(letter)
        return Indexed(tuple(x for x in value.letters if x != letter), pick(value.array, axis=at))

    def function(self) -> Indexed:
        name = self.take()
        if name == r"\operatorname":
            name = "".join(self.group())
        if name == r"\log" and self.peek() == r"\sigma":
            name += self.take()
        if self.accept("_"):
            below = "".join(self.group())
            name = f"{name}_{below}"
        prime = self.accept("'")
        args = self.arguments()
        if name.startswith("clip"):
            low, high = (float(x) for x in re.findall(r"-?[0-9.]+", name))
            return combine(lambda x: np.clip(x, low, high), *args)
        if name == "where":
            return combine(lambda c, a, b: np.where(c != 0, a, b), *args)
        if name == "stop":
            return args[0]
        with_option = re.fullmatch(r"(lrelu|elu)_([0-9.]+)", name)
        op = FUNCTIONS[with_option[1] if with_option else name]
        extra = (float(with_option[2]),) if with_option else DEFAULTS.get(op, ())

        def compute(x: np.ndarray) -> np.ndarray:
            if not prime:
                return ELEMENTWISE[op](x, *extra)
            return parts(ELEMENTWISE[op](Dual(x, np.ones_like(x)), *extra))[1]

        return combine(compute, *args)
