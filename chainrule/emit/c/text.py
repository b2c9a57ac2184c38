"""C text: names that C takes, comments that nothing breaks out of, numbers, indented lines."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chainrule.emit.llvm.lanes import Real

FLOAT, INT, BOOL = "f", "i", "b"

# How tightly C binds: C11, 6.5.1 to 6.5.15, tightest last.
SELECT, EITHER, BOTH, EQUAL, COMPARE, SUM, PRODUCT, UNARY, ATOM = range(9)

LONGEST = 40  # characters of an identifier; C11 5.2.4.1 promises 31 for names seen elsewhere

_KEYWORDS = (
    "alignas alignof asm auto bool break case char class const constexpr continue default delete "
    "do double else enum extern false float for goto if inline int long new nullptr operator "
    "private protected public register restrict return short signed sizeof static static_assert "
    "struct switch template this thread_local throw true typedef typeof typename union unsigned "
    "using virtual void volatile while"
)
# What <math.h>, <stdint.h> and <string.h> declare on some system, or compilers define as macros.
_DECLARED = (
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh drem erf erfc exp exp10 "
    "exp2 expm1 fabs fdim finite floor fma fmax fmin fmod frexp gamma hypot ilogb j0 j1 jn ldexp "
    "lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter "
    "nexttoward pow pow10 remainder remquo rint round scalb scalbln scalbn signgam significand sin "
    "sincos sinh sqrt tan tanh tgamma trunc y0 y1 yn"
)
_OTHERS = (
    "I NULL NAN INFINITY HUGE_VAL BUFSIZ bcmp bcopy bzero errno ffs index rindex isfinite isinf "
    "isnan isnormal signbit linux unix i386 main memccpy memchr memcmp memcpy memmove memset "
    "size_t strcat strchr strcmp strcpy strdup strlen strsep strstr strtok "
    "bits_f32 bits_f64 real_f32 real_f64"
)
RESERVED = frozenset(
    [
        *_KEYWORDS.split(),
        *(name + suffix for name in _DECLARED.split() for suffix in ("", "f", "l")),
        *_OTHERS.split(),
        *(f"{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64, "max", "ptr")),
    ]
)


_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")  # not the suffix of 0.0f
_CONSTANT = re.compile(r" *const \w+ (?P<name>\w+) = ")


class Names:
    """Identifiers of one file: each is given out once."""

    def __init__(self, taken: Iterable[str] = RESERVED) -> None:
        self._taken = set(taken)

    def inside(self) -> Names:
        """Names for a function: those of the file are taken, new ones are its own."""
        return Names(self._taken)

    def fresh(self, label: str) -> str:
        """An identifier like `label`: letters, digits and _ stay, all else becomes _.

        >>> names = Names()
        >>> names.fresh("W_1"), names.fresh("W 1"), names.fresh("exp"), names.fresh("🙂")
        ('W_1', 'W_1_2', 'exp_2', 'x')
        """
        word = re.sub(r"[^A-Za-z0-9_]", "_", label)[:LONGEST].strip("_") or "x"
        ours = word.startswith("chainrule")  # what helpers are called
        word = f"x_{word}" if ours or not word[0].isalpha() else word
        unique, n = word, 1
        while unique in self._taken:
            n += 1
            unique = f"{word}_{n}"
        self._taken.add(unique)
        return unique


def comment(text: str) -> str:
    r"""Text of any origin made harmless inside ``/* … */``.

    Delimiters and trigraphs (``??/`` is a backslash) are broken up; what does not print is escaped,
    so no line ends early and no text runs backwards.

    >>> comment("*/ system() /*\n")
    '* / system() / *\\n'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    while any(pair in shown for pair in ("*/", "/*", "??")):
        shown = shown.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
    return shown


@dataclass(frozen=True)
class Text:
    """An expression in C, how tightly it binds, and whether it is real, whole or a truth value."""

    text: str
    binds: int = ATOM
    kind: str = FLOAT

    def at(self, level: int) -> str:
        """The expression, in parentheses where it binds looser than `level`."""
        return self.text if self.binds >= level else f"({self.text})"


def binary(sign: str, level: int, a: Text, b: Text, kind: str) -> Text:
    """``a sign b``; to the right of its own sign an operand is in parentheses.

    >>> binary("-", SUM, Text("a"), Text("b - c", SUM), FLOAT).text
    'a - (b - c)'
    """
    return Text(f"{a.at(level)} {sign} {b.at(level + 1)}", level, kind)


def choice(condition: Text, yes: Text, no: Text) -> Text:
    """``condition ? yes : no``."""
    parts = f"{condition.at(EITHER)} ? {yes.at(EITHER)} : {no.at(EITHER)}"
    return Text(parts, SELECT, yes.kind)


def call(name: str, *arguments: Text, kind: str = FLOAT) -> Text:
    """``name(a, b)``."""
    return Text(f"{name}({', '.join(x.text for x in arguments)})", ATOM, kind)


def whole(value: int) -> Text:
    """A whole number."""
    return Text(str(value), ATOM if value >= 0 else UNARY, INT)


def number(value: float, real: Real) -> Text:
    """A real number with as many digits as tell it apart from its neighbours.

    >>> from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64
    >>> number(0.1, FLOAT32).text, number(1, FLOAT64).text, number(-1e-40, FLOAT64).text
    ('0.1f', '1.0', '-1e-40')
    """
    if math.isinf(value):
        return Text("INFINITY" if value > 0 else "-INFINITY", ATOM if value > 0 else UNARY)
    if real.bits == 32:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    spelled = (f"{value:.{digits}g}" for digits in range(1, 18))
    shown = repr(next(x for x in map(float, spelled) if real.pattern(x) == real.pattern(value)))
    return Text(shown + real.c_suffix, UNARY if shown.startswith("-") else ATOM)


class Lines:
    """Lines of code under construction, indented by the blocks that are open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._indent = 1

    def add(self, line: str) -> None:
        """One line at the present depth."""
        self.lines.append("  " * self._indent + line)

    def needed(self) -> tuple[list[str], set[str]]:
        """The lines without constants that nothing below them reads, and every word in them."""
        kept: list[str] = []
        words: set[str] = set()
        for line in reversed(self.lines):
            constant = _CONSTANT.match(line)
            if constant is None or constant["name"] in words:
                kept.append(line)
                words.update(_WORD.findall(line))
        return kept[::-1], words

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Everything added inside stands in ``head { … }``."""
        self.add(f"{head} {{")
        self._indent += 1
        yield
        self._indent -= 1
        self.add("}")
