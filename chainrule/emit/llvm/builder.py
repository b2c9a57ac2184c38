"""One LLVM function under construction.

Code is a stack of scopes: the function, and in it the loops that are open. An instruction goes
into the outermost scope in which all its operands are known, so what does not change in a loop is
computed before it, and the same instruction is never written twice in one scope.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64, REAL, Block, Description

FLOAT, INT, BOOL = "f", "i", "b"


@dataclass(frozen=True)
class Val:
    """A value in a register: a number or one number for each lane, and the scope that makes it."""

    ssa: str
    kind: str
    vector: bool
    depth: int


class Builder:
    """Writes one function.

    Args:
        lanes: how many entries one vector register holds.
        bits: 32 or 64, the float type.
        serial: a number that no other function of the module has.
    """

    def __init__(self, lanes: int, bits: int, serial: int = 0) -> None:
        self.lanes, self.bits = lanes, bits
        self.real = FLOAT32 if bits == 32 else FLOAT64
        self.bytes = bits // 8
        self.declares: set[str] = set()
        self._scopes: list[list[str]] = [[]]
        self._known: list[dict[str, str]] = [{}]
        self._made: list[dict[str, list[str]]] = [{}]
        self._serial = serial
        self._count = 0

    @property
    def depth(self) -> int:
        """How many loops are open."""
        return len(self._scopes) - 1

    def text(self) -> str:
        """The lines of the function."""
        return "\n".join(self._scopes[0])

    def type(self, kind: str, vector: bool) -> str:
        """The LLVM type of a value."""
        element = {FLOAT: self.real.llvm, INT: "i64", BOOL: "i1"}[kind]
        return f"<{self.lanes} x {element}>" if vector else element

    def fresh(self) -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"%v{self._count}"

    def op(self, code: str, depth: int) -> str:
        """The register that holds the result of an instruction in the scope `depth`."""
        found = self._known[depth].get(code)
        if found is None:
            found = self.fresh()
            self._scopes[depth].append(f"  {found} = {code}")
            self._known[depth][code] = found
        return found

    def once(self, key: str, depth: int, make: Callable[[], list[str]]) -> list[str]:
        """The registers of several instructions in the scope `depth`, written the first time."""
        if key not in self._made[depth]:
            self._made[depth][key] = make()
        return self._made[depth][key]

    def do(self, code: str) -> None:
        """An instruction without result, here."""
        self._scopes[-1].append(f"  {code}")

    def loop(
        self,
        start: str,
        stop: str,
        step: int,
        body: Callable[[Val, list[str]], Sequence[str] | None],
        carried: Sequence[tuple[str, str]] = (),
    ) -> list[str]:
        """for index in range(start, stop, step).

        Args:
            body: (index, carried values) → their new values.
            carried: type and first value of each register that lives through the loop.

        Returns:
            The registers after the loop.
        """
        self._count += 1
        k = self._count
        self._scopes.append([])
        self._known.append({})
        self._made.append({})
        names = [f"%c{k}.{j}" for j in range(len(carried))]
        new = body(Val(f"%i{k}", INT, False, self.depth), names) or ()
        self._known.pop()
        self._made.pop()
        inside = self._scopes.pop()
        phis = [
            f"  {name} = phi {kind} [ {first}, %pre{k} ], [ {last}, %latch{k} ]"
            for name, (kind, first), last in zip(names, carried, new, strict=True)
        ]
        self._scopes[-1] += [
            f"  br label %pre{k}",
            f"pre{k}:",
            f"  br label %head{k}",
            f"head{k}:",
            f"  %i{k} = phi i64 [ {start}, %pre{k} ], [ %n{k}, %latch{k} ]",
            *phis,
            f"  %t{k} = icmp slt i64 %i{k}, {stop}",
            f"  br i1 %t{k}, label %body{k}, label %done{k}",
            f"body{k}:",
            *inside,
            f"  br label %latch{k}",
            f"latch{k}:",
            f"  %n{k} = add i64 %i{k}, {step}",
            f"  br label %head{k}",
            f"done{k}:",
        ]
        return names

    def number(self, value: float) -> Val:
        """A float constant, rounded to the float type."""
        if self.bits == 32:
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        pattern = struct.unpack("<Q", struct.pack("<d", value))[0]
        return Val(f"0x{pattern:016X}", FLOAT, False, 0)

    def whole(self, value: int) -> Val:
        """An integer constant."""
        return Val(str(value), INT, False, 0)

    def splat(self, v: Val) -> Val:
        """The value in every lane."""
        if v.vector:
            return v
        kind = self.type(v.kind, True)
        if not v.ssa.startswith("%"):
            literal = f"splat ({self.type(v.kind, False)} {v.ssa})"
            return Val(literal, v.kind, True, 0)
        one = self.op(
            f"insertelement {kind} poison, {self.type(v.kind, False)} {v.ssa}, i32 0", v.depth
        )
        mask = f"<{self.lanes} x i32> zeroinitializer"
        code = f"shufflevector {kind} {one}, {kind} poison, {mask}"
        return Val(self.op(code, v.depth), v.kind, True, v.depth)

    def lane_numbers(self, stride: int = 1) -> Val:
        """0, 1 · stride, 2 · stride and so on."""
        listed = ", ".join(f"i64 {j * stride}" for j in range(self.lanes))
        return Val(f"<{listed}>", INT, True, 0)

    def first_lanes(self, count: int) -> Val:
        """True in the first `count` lanes."""
        listed = ", ".join(f"i1 {'true' if j < count else 'false'}" for j in range(self.lanes))
        return Val(f"<{listed}>", BOOL, True, 0)

    def match(self, *values: Val) -> list[Val]:
        """The values, all of them vectors if one is."""
        return [self.splat(v) for v in values] if any(v.vector for v in values) else list(values)

    def binary(self, word: str, a: Val, b: Val) -> Val:
        """An instruction of two operands: ``fadd``, ``fmul``, ``add`` and the like."""
        if word == "add" and a.kind == INT and not a.vector and not b.vector:
            if not a.ssa.startswith("%") and not b.ssa.startswith("%"):
                return self.whole(int(a.ssa) + int(b.ssa))
            if "0" in (a.ssa, b.ssa):
                return b if a.ssa == "0" else a
        if word == "mul" and a.kind == INT and "0" in (a.ssa, b.ssa):
            return self.whole(0)
        a, b = self.match(a, b)
        depth = max(a.depth, b.depth)
        code = f"{word} {self.type(a.kind, a.vector)} {a.ssa}, {b.ssa}"
        return Val(self.op(code, depth), a.kind, a.vector, depth)

    def compare(self, word: str, a: Val, b: Val) -> Val:
        """``fcmp`` or ``icmp`` by the kind of the operands."""
        a, b = self.match(a, b)
        depth = max(a.depth, b.depth)
        instruction = "icmp" if a.kind == INT else "fcmp"
        code = f"{instruction} {word} {self.type(a.kind, a.vector)} {a.ssa}, {b.ssa}"
        return Val(self.op(code, depth), BOOL, a.vector, depth)

    def select(self, c: Val, a: Val, b: Val) -> Val:
        """`a` where `c`, else `b`."""
        if not c.vector:
            a, b = self.match(a, b)
        else:
            c, a, b = self.match(c, a, b)
        depth = max(c.depth, a.depth, b.depth)
        kind = self.type(a.kind, a.vector)
        code = f"select {self.type(BOOL, c.vector)} {c.ssa}, {kind} {a.ssa}, {kind} {b.ssa}"
        return Val(self.op(code, depth), a.kind, a.vector, depth)

    def real_of(self, v: Val) -> Val:
        """A truth value or whole number as a float."""
        if v.kind == FLOAT:
            return v
        word = "uitofp" if v.kind == BOOL else "sitofp"
        target = self.type(FLOAT, v.vector)
        code = f"{word} {self.type(v.kind, v.vector)} {v.ssa} to {target}"
        return Val(self.op(code, v.depth), FLOAT, v.vector, v.depth)

    def negative(self, v: Val) -> Val:
        """−v."""
        return Val(
            self.op(f"fneg {self.type(FLOAT, v.vector)} {v.ssa}", v.depth), FLOAT, v.vector, v.depth
        )

    def intrinsic(self, name: str, *values: Val) -> Val:
        """``llvm.fma``, ``llvm.sqrt`` … on floats."""
        values = tuple(self.match(*values))
        vector, depth = values[0].vector, max(v.depth for v in values)
        kind = self.type(FLOAT, vector)
        full = f"@llvm.{name}.{f'v{self.lanes}' if vector else ''}{self.real.suffix}"
        self.declares.add(f"declare {kind} {full}({', '.join([kind] * len(values))})")
        operands = ", ".join(f"{kind} {v.ssa}" for v in values)
        return Val(self.op(f"call {kind} {full}({operands})", depth), FLOAT, vector, depth)

    def inline(self, describe: Description, x: Val) -> Val:
        """One of our own functions, written out here."""
        key = f"{describe.__name__} {x.ssa} {x.vector}"
        found = self._known[x.depth].get(key)
        if found is None:
            self._count += 1
            block = Block(self.real, self.lanes if x.vector else None, prefix=f"m{self._count}.")
            result = describe(block, block.value(x.ssa, REAL))
            self._scopes[x.depth] += [f"  {line}" for line in block.lines]
            self.declares |= block.used
            found = self._known[x.depth][key] = result.name
        return Val(found, FLOAT, x.vector, x.depth)

    def sums(self, kind: str, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """The sums of two rows of registers, here."""
        pairs = zip(left, right, strict=True)
        return [self.op(f"fadd {kind} {x}, {y}", self.depth) for x, y in pairs]

    def stack_slot(self, kind: str) -> str:
        """Room for one value in the frame of the function."""
        slot = self.fresh()
        self._scopes[0].insert(0, f"  {slot} = alloca {kind}")
        return slot

    def alias(self, pointer: str) -> str:
        """The same address under a name that is known only from here on."""
        found = self.fresh()
        self._scopes[-1].append(f"  {found} = getelementptr i8, ptr {pointer}, i64 0")
        return found

    def reload(self, kind: str, pointer: str) -> str:
        """A load that is done here and now: what lies there changes."""
        found = self.fresh()
        self._scopes[-1].append(f"  {found} = load {kind}, ptr {pointer}")
        return found
