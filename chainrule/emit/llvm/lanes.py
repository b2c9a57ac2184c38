"""Straight-line arithmetic on lanes: written once with operators, printed as LLVM IR or as C.

A description is a Python function from `Value` to `Value`. Run on a `Block` it leaves one line per
primitive, so the same description serves float32 and float64, one lane or sixteen, and both
languages. No line carries a fast-math flag: every lane gets the same bits on every machine.

    >>> block = Block(FLOAT32, lanes=4)
    >>> x = block.value("%x", REAL)
    >>> y = block.fma(x, x, 1.0)
    >>> print(block.text())
      %t0 = call <4 x float> @llvm.fma.v4f32(<4 x float> %x, <4 x float> %x, \
<4 x float> splat (float 0x3FF0000000000000))
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# What a value is: a real number, an integer of the same width, or a truth value.
REAL, INT, MASK = "R", "I", "M"


@dataclass(frozen=True)
class Real:
    """A binary floating-point format (IEEE 754) and its names in the two languages."""

    llvm: str
    suffix: str
    c: str
    c_suffix: str
    bits: int
    fraction: int  # bits stored after the point

    @property
    def bias(self) -> int:
        """What is added to an exponent before it is stored: 127 or 1023."""
        return int(2 ** (self.bits - self.fraction - 2)) - 1

    @property
    def shifter(self) -> float:
        """1.5·2^fraction: adding it leaves an integer in the low bits, rounded to nearest even.

        Known since the 1960s; Muller et al., Handbook of Floating-Point Arithmetic, 2nd ed., 4.2.
        """
        return 1.5 * 2.0**self.fraction

    def holds(self, value: float) -> bool:
        """Whether `value` is a number of this format (or NaN): constants are never rounded here."""
        if self.bits == 64 or math.isnan(value):
            return True
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)

    def pattern(self, value: float) -> int:
        """The bits of `value` in this format, as a signed integer."""
        real, integer = ("f", "i") if self.bits == 32 else ("d", "q")
        return int(struct.unpack("<" + integer, struct.pack("<" + real, value))[0])


FLOAT32 = Real("float", "f32", "float", "f", 32, 23)
FLOAT64 = Real("double", "f64", "double", "", 64, 52)


class Primitive(NamedTuple):
    """One operation: kinds of its operands, kind of its result, and how each language says it."""

    takes: str
    gives: str
    llvm: str
    c: str


# {R} {I} {M} are the types, {s} the suffix of intrinsics; in C {f} is the suffix of library
# functions and {u} the unsigned integer: there, signed overflow and left shifts are undefined.
PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive("RR", REAL, "fadd {R} {0}, {1}", "{0} + {1}"),
    "sub": Primitive("RR", REAL, "fsub {R} {0}, {1}", "{0} - {1}"),
    "mul": Primitive("RR", REAL, "fmul {R} {0}, {1}", "{0} * {1}"),
    "div": Primitive("RR", REAL, "fdiv {R} {0}, {1}", "{0} / {1}"),
    "neg": Primitive("R", REAL, "fneg {R} {0}", "-{0}"),
    "fma": Primitive(
        "RRR",
        REAL,
        "call {R} @llvm.fma.{s}({R} {0}, {R} {1}, {R} {2})",
        "fma{f}({0}, {1}, {2})",
    ),
    "abs": Primitive("R", REAL, "call {R} @llvm.fabs.{s}({R} {0})", "fabs{f}({0})"),
    "copysign": Primitive(
        "RR", REAL, "call {R} @llvm.copysign.{s}({R} {0}, {R} {1})", "copysign{f}({0}, {1})"
    ),
    "less": Primitive("RR", MASK, "fcmp olt {R} {0}, {1}", "{0} < {1}"),
    "equal": Primitive("RR", MASK, "fcmp oeq {R} {0}, {1}", "{0} == {1}"),
    "select": Primitive("MRR", REAL, "select {M} {0}, {R} {1}, {R} {2}", "{0} ? {1} : {2}"),
    "bits": Primitive("R", INT, "bitcast {R} {0} to {I}", "bits_{s}({0})"),
    "real": Primitive("I", REAL, "bitcast {I} {0} to {R}", "real_{s}({0})"),
    "iadd": Primitive("II", INT, "add {I} {0}, {1}", "({I})(({u}){0} + ({u}){1})"),
    "isub": Primitive("II", INT, "sub {I} {0}, {1}", "({I})(({u}){0} - ({u}){1})"),
    "shl": Primitive("II", INT, "shl {I} {0}, {1}", "({I})(({u}){0} << {1})"),
    "sar": Primitive("II", INT, "ashr {I} {0}, {1}", "{0} >> {1}"),
    "imin": Primitive(
        "II", INT, "call {I} @llvm.smin.{si}({I} {0}, {I} {1})", "{0} < {1} ? {0} : {1}"
    ),
}
INTRINSICS = ("fma", "abs", "copysign", "imin")

# From so many coefficients on, two shorter chains are faster (float64 log: 0.92 to 0.74 ns).
LONG_POLYNOMIAL = 8

# What C needs before the functions, once per format, after math.h, stdint.h and string.h.
C_PRELUDE = """\
static inline {I} bits_{s}({R} x) {{ {I} i; memcpy(&i, &x, sizeof i); return i; }}
static inline {R} real_{s}({I} i) {{ {R} x; memcpy(&x, &i, sizeof x); return x; }}
"""


@dataclass(frozen=True)
class Value:
    """A name of a line of `block`, or a literal. Python numbers next to it become literals."""

    block: Block
    name: str
    kind: str

    def _with(self, real: str, integer: str, other: Value | float, swap: bool = False) -> Value:
        primitive = real if self.kind == REAL else integer
        return self.block.line(primitive, *((other, self) if swap else (self, other)))

    def __add__(self, other: Value | float) -> Value:
        return self._with("add", "iadd", other)

    def __sub__(self, other: Value | float) -> Value:
        return self._with("sub", "isub", other)

    def __rsub__(self, other: float) -> Value:
        return self._with("sub", "isub", other, swap=True)

    def __mul__(self, other: Value | float) -> Value:
        return self.block.line("mul", self, other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.block.line("div", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self.block.line("div", other, self)

    def __neg__(self) -> Value:
        return self.block.line("neg", self)

    def __abs__(self) -> Value:
        return self.block.line("abs", self)

    def __lt__(self, other: Value | float) -> Value:
        return self.block.line("less", self, other)

    def __gt__(self, other: Value | float) -> Value:
        return self.block.line("less", other, self)

    def __lshift__(self, places: int) -> Value:
        return self.block.line("shl", self, places)

    def __rshift__(self, places: int) -> Value:
        """Arithmetic: the sign is copied, so it rounds downwards."""
        return self.block.line("sar", self, places)

    def equals(self, other: Value | float) -> Value:
        """Where both are the same number (+0 equals −0, NaN equals nothing)."""
        return self.block.line("equal", self, other)

    def bits(self) -> Value:
        """The bit pattern of a real number, as an integer."""
        return self.block.line("bits", self)

    def real(self) -> Value:
        """The real number whose bit pattern this integer is."""
        return self.block.line("real", self)


@dataclass
class Block:
    """Lines of straight-line code in one language, for one format and one number of lanes.

    `lanes` None means plain scalars (``float``); 1 means ``<1 x float>``. C is always scalar: its
    compiler makes the vectors. `prefix` keeps the names of several blocks in one function apart.
    """

    real: Real
    lanes: int | None = None
    language: str = "llvm"
    prefix: str = "t"
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)  # declarations of the intrinsics
    words: dict[str, str] = field(init=False)  # what stands for {R}, {s} … in PRIMITIVES

    def __post_init__(self) -> None:
        width = "" if self.lanes is None else f"v{self.lanes}"
        self.words = {
            **{kind: self.type(kind) for kind in (REAL, INT, MASK)},
            "s": width + self.real.suffix,
            "si": f"{width}i{self.real.bits}",
            "f": self.real.c_suffix,
            "u": f"uint{self.real.bits}_t",
        }

    def value(self, name: str, kind: str = REAL) -> Value:
        """What the surrounding code calls `name`."""
        return Value(self, name, kind)

    def type(self, kind: str) -> str:
        """How this language writes the type of a kind."""
        if self.language == "c":
            return {REAL: self.real.c, INT: f"int{self.real.bits}_t", MASK: "int"}[kind]
        element = {REAL: self.real.llvm, INT: f"i{self.real.bits}", MASK: "i1"}[kind]
        return element if self.lanes is None else f"<{self.lanes} x {element}>"

    def line(self, primitive: str, *operands: Value | float) -> Value:
        """Append one primitive and return its result."""
        spelling = PRIMITIVES[primitive]
        names = [self._spell(x, kind) for x, kind in zip(operands, spelling.takes, strict=True)]
        place = f"{self.prefix}{len(self.lines)}"
        result = self.words[spelling.gives]
        if self.language == "c":
            code = spelling.c.format(*names, **self.words)
            self.lines.append(f"const {result} {place} = {code};")
            return Value(self, place, spelling.gives)
        code = spelling.llvm.format(*names, **self.words)
        if primitive in INTRINSICS:
            types = ", ".join(self.words[kind] for kind in spelling.takes)
            called = code[code.index("@") : code.index("(")]
            self.used.add(f"declare {result} {called}({types})")
        self.lines.append(f"%{place} = {code}")
        return Value(self, f"%{place}", spelling.gives)

    def fma(self, a: Value | float, b: Value | float, c: Value | float) -> Value:
        """a·b + c, rounded once."""
        return self.line("fma", a, b, c)

    def select(self, where: Value, yes: Value | float, no: Value | float) -> Value:
        """`yes` where the mask is true, `no` elsewhere: both are computed."""
        return self.line("select", where, yes, no)

    def at_most(self, x: Value, bound: float) -> Value:
        """The smaller one; NaN stays NaN, because no comparison with it is true."""
        return self.select(x > bound, bound, x)

    def at_least(self, x: Value, bound: float) -> Value:
        """The larger one; NaN stays NaN."""
        return self.select(x < bound, bound, x)

    def copysign(self, size: Value, sign: Value) -> Value:
        """|size| with the sign bit of `sign`."""
        return self.line("copysign", size, sign)

    def imin(self, a: Value, b: int) -> Value:
        """The smaller of two integers."""
        return self.line("imin", a, b)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """c₀ + c₁x + c₂x² + … by Horner's rule, odd and even powers apart when there are many.

        Two chains of half the length keep the processor busy: Knuth, TAOCP 2, 4.6.4, eq. (7).
        """
        if len(coefficients) < LONG_POLYNOMIAL:
            return self._horner(x, coefficients)
        square = x * x
        even = self._horner(square, coefficients[0::2])
        return self.fma(self._horner(square, coefficients[1::2]), x, even)

    def _horner(self, x: Value, coefficients: Sequence[float]) -> Value:
        total: Value | float = coefficients[-1]
        for c in reversed(coefficients[:-1]):
            total = self.fma(total, x, c)
        assert isinstance(total, Value), "a polynomial has at least two coefficients"
        return total

    def text(self) -> str:
        """The lines, indented."""
        return "\n".join("  " + line for line in self.lines)

    def _spell(self, operand: Value | float, kind: str) -> str:
        if isinstance(operand, Value):
            if operand.kind != kind:
                raise TypeError(f"{operand.name} is of kind {operand.kind}, not {kind}")
            return operand.name
        if kind == REAL and not self.real.holds(operand):
            raise ValueError(f"the constant {operand!r} is no {self.real.c}: round it in tables.py")
        if self.language == "c":
            return c_number(operand, self.real) if kind == REAL else str(operand)
        literal, element = str(operand), f"i{self.real.bits}"
        if kind == REAL:
            # LLVM writes a float as the double of the same value.
            literal = f"0x{FLOAT64.pattern(operand) & (1 << 64) - 1:016X}"
            element = self.real.llvm
        return literal if self.lanes is None else f"splat ({element} {literal})"


def c_number(value: float, real: Real) -> str:
    """A real number in C, every bit of it."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return value.hex() + real.c_suffix


Description = Callable[[Block, Value], Value]


class LlvmText(NamedTuple):
    """Functions in LLVM's language, and the declarations they need (each once in a module)."""

    functions: str
    declarations: frozenset[str]


def llvm_functions(named: Mapping[str, Description], real: Real, lanes: int | None) -> LlvmText:
    """Internal functions of one argument that are inlined wherever they are called."""
    parts, declarations = [], set()
    for name, describe in named.items():
        block = Block(real, lanes)
        result = describe(block, block.value("%x"))
        kind = block.type(REAL)
        parts.append(
            f"define internal {kind} @{name}({kind} %x) alwaysinline nounwind {{\n"
            f"{block.text()}\n  ret {kind} {result.name}\n}}\n"
        )
        declarations |= block.used
    return LlvmText("\n".join(parts), frozenset(declarations))


def c_prelude(real: Real) -> str:
    """The helpers of `c_function` for one format."""
    return C_PRELUDE.format(I=f"int{real.bits}_t", R=real.c, s=real.suffix)


def c_function(name: str, describe: Description, real: Real) -> str:
    """The same as a C function of one number (compile with ``-ffp-contract=off``)."""
    block = Block(real, None, "c")
    result = describe(block, block.value("x"))
    kind = real.c
    return (
        f"static inline {kind} {name}({kind} x) {{\n{block.text()}\n  return {result.name};\n}}\n"
    )
