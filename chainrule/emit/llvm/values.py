"""The value of an expression at given indices, as instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from chainrule.emit.llvm import functions, keyed
from chainrule.emit.llvm.builder import BOOL, FLOAT, INT, Builder, Val
from chainrule.emit.llvm.lanes import Description
from chainrule.emit.llvm.places import Env, Index, Place
from chainrule.emit.llvm.turned import load_turned
from chainrule.expr import Expr


class Values:
    """Computes expressions at indices.

    Args:
        places: where inputs and stored values lie.
        sizes: the size of each axis.
    """

    def __init__(self, b: Builder, places: Mapping[Expr, Place], sizes: Mapping[str, int]) -> None:
        self.b, self.places, self.sizes = b, places, sizes

    def value(self, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
        """`node` at `env`; lanes outside `mask` may hold anything; `known` are values at hand."""
        if node in known:
            return known[node]
        if node.op == "const":
            return self.b.number(node["value"])
        if node in self.places:
            v = self.load(node, env, mask)
            # truth values are stored as 0 and 1
            return self.b.compare("une", v, self.b.number(0.0)) if node.kind == "bool" else v
        return self.computed(node, env, mask, known)

    def computed(self, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
        """As `value`, even where `node` is also stored."""
        placed = _PLACED.get(node.op)
        if placed:
            return placed(self, node, env, mask, known)
        args = [self.value(x, env, mask, known) for x in node.inputs]
        return SCALARS[node.op](self.b, *args)

    def number_of(self, index: Index | Val) -> Val:
        """An index as a whole number, one for each lane where it runs along the lanes."""
        if isinstance(index, Val):
            return index
        v = index.base or self.b.whole(0)
        if index.offset:
            v = (
                self.b.binary("add", v, self.b.whole(index.offset))
                if index.base
                else self.b.whole(index.offset)
            )
        return self.b.binary("add", v, self.b.lane_numbers()) if index.lane else v

    def moved(self, index: Index | Val, by: int) -> Index | Val:
        """The index plus a constant."""
        if isinstance(index, Index):
            return replace(index, offset=index.offset + by, first=index.first + by)
        return self.b.binary("add", index, self.b.whole(by))

    def _address(self, node: Expr, env: Env) -> tuple[str, int, int, Val | None]:
        """Pointer to the entry of the first lane, its scope, the step between lanes, offsets."""
        b, place = self.b, self.places[node]
        size = 8 if place.kind == INT else b.bytes
        lane_step, offset, scattered = 0, 0, None
        terms: list[tuple[Val, int]] = []
        for axis, stride in zip(place.axes, place.strides, strict=True):
            index = env[axis]
            if isinstance(index, Val):
                if not index.vector:
                    terms.append((index, stride))
                    continue
                part = b.binary("mul", index, b.whole(stride * size))
                scattered = part if scattered is None else b.binary("add", scattered, part)
                continue
            if index.base is not None:
                terms.append((index.base, stride))
            offset += index.offset * stride
            lane_step += stride if index.lane else 0
        pointer, depth = place.base, place.depth
        for v, stride in sorted(terms, key=lambda term: term[0].depth):
            depth = max(depth, v.depth)
            byte = b.op(f"mul i64 {v.ssa}, {stride * size}", v.depth)
            pointer = b.op(f"getelementptr i8, ptr {pointer}, i64 {byte}", depth)
        if offset:
            pointer = b.op(f"getelementptr i8, ptr {pointer}, i64 {offset * size}", depth)
        return pointer, depth, lane_step, scattered

    def _whole(self, node: Expr, env: Env) -> bool:
        """Whether a whole vector may be touched although only some of its lanes are wanted."""
        place = self.places[node]
        index = env[place.axes[-1]] if place.axes else None
        return place.padded and isinstance(index, Index) and index.offset % self.b.lanes == 0

    def load(self, node: Expr, env: Env, mask: Val | None) -> Val:
        """The stored entry at `env`."""
        b, kind = self.b, self.places[node].kind
        size = 8 if kind == INT else b.bytes
        pointer, depth, step, scattered = self._address(node, env)
        vector = bool(step) or scattered is not None
        if step == 1 and scattered is None and self._whole(node, env):
            mask = None
        if step > 1 and scattered is None and kind == FLOAT:
            turned = load_turned(b, self.places[node], env, lambda e: self._address(node, e)[:2])
            if turned is not None:
                return turned
        kind_name = b.type(kind, vector)
        if not vector or (step == 1 and scattered is None and mask is None):
            code = f"load {kind_name}, ptr {pointer}, align {size}"
            return Val(b.op(code, depth), kind, vector, depth)
        lanes = b.type(BOOL, True)
        m = b.splat(mask).ssa if mask else "splat (i1 true)"
        suffix = f"v{b.lanes}{'i64' if kind == INT else b.real.suffix}"
        tail = f"i32 {size}, {lanes} {m}, {kind_name} zeroinitializer"
        if step == 1 and scattered is None:
            name = f"@llvm.masked.load.{suffix}.p0"
            b.declares.add(f"declare {kind_name} {name}(ptr, i32 immarg, {lanes}, {kind_name})")
            return Val(
                b.op(f"call {kind_name} {name}(ptr {pointer}, {tail})", depth), kind, True, depth
            )
        offsets = b.lane_numbers(step * size)
        if scattered is not None:
            offsets = b.binary("add", scattered, offsets) if step else scattered
            depth = max(depth, offsets.depth)
        where = f"<{b.lanes} x ptr>"
        pointers = b.op(
            f"getelementptr i8, ptr {pointer}, {b.type(INT, True)} {offsets.ssa}", depth
        )
        name = f"@llvm.masked.gather.{suffix}.v{b.lanes}p0"
        b.declares.add(f"declare {kind_name} {name}({where}, i32 immarg, {lanes}, {kind_name})")
        return Val(
            b.op(f"call {kind_name} {name}({where} {pointers}, {tail})", depth), kind, True, depth
        )

    def pointer(self, node: Expr, env: Env) -> str:
        """The address of one stored entry."""
        return self._address(node, env)[0]

    def ask_for(self, node: Expr, env: Env) -> None:
        """Have the cache fetch an entry that will be overwritten soon."""
        self.b.declares.add(
            "declare void @llvm.prefetch.p0(ptr, i32 immarg, i32 immarg, i32 immarg)"
        )
        write, keep, data = 1, 3, 1  # to be written; as near as can be; not code
        at = f"ptr {self.pointer(node, env)}, i32 {write}, i32 {keep}, i32 {data}"
        self.b.do(f"call void @llvm.prefetch.p0({at})")

    def store(self, node: Expr, env: Env, v: Val, mask: Val | None) -> None:
        """Write an entry, or one for each lane in `mask`."""
        b = self.b
        kind = self.places[node].kind
        size = 8 if kind == INT else b.bytes
        v = v if kind == INT else b.real_of(v)
        pointer, _, step, scattered = self._address(node, env)
        if step == 0 and scattered is None:
            b.do(f"store {b.type(kind, False)} {v.ssa}, ptr {pointer}, align {size}")
            return
        mask = None if step == 1 and self._whole(node, env) else mask
        v, kind_name, lanes = b.splat(v), b.type(kind, True), b.type(BOOL, True)
        if step == 1 and mask is None:
            b.do(f"store {kind_name} {v.ssa}, ptr {pointer}, align {size}")
            return
        suffix = f"v{b.lanes}{'i64' if kind == INT else b.real.suffix}"
        m = b.splat(mask).ssa if mask else "splat (i1 true)"
        if step != 1:
            where = f"<{b.lanes} x ptr>"
            offsets = b.lane_numbers(step * size).ssa
            code = f"getelementptr i8, ptr {pointer}, {b.type(INT, True)} {offsets}"
            pointers = b.op(code, b.depth)
            name = f"@llvm.masked.scatter.{suffix}.v{b.lanes}p0"
            b.declares.add(f"declare void {name}({kind_name}, {where}, i32 immarg, {lanes})")
            tail = f"{where} {pointers}, i32 {size}, {lanes} {m}"
            b.do(f"call void {name}({kind_name} {v.ssa}, {tail})")
            return
        name = f"@llvm.masked.store.{suffix}.p0"
        b.declares.add(f"declare void {name}({kind_name}, ptr, i32 immarg, {lanes})")
        b.do(f"call void {name}({kind_name} {v.ssa}, ptr {pointer}, i32 {size}, {lanes} {m})")


Placed = Callable[[Values, Expr, Env, "Val | None", Mapping[Expr, Val]], Val]


def _same(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    return s.value(node.inputs[0], env, mask, known)


def _rename(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    old = {new: axis for axis, new in node["to"]}
    return s.value(node.inputs[0], {old.get(a, a): env[a] for a in node.axes}, mask, known)


def _one_hot(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    label = s.value(node.inputs[0], env, mask, known)
    return s.b.compare("eq", label, s.number_of(env[node["axis"]]))


def _merge(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    """One index back into several, the last running fastest."""
    rest, inner = s.number_of(env[node["into"]]), dict(env)
    for axis in reversed(node["axes"]):
        count = s.b.whole(s.sizes[axis])
        inner[axis] = s.b.binary("urem", rest, count)
        rest = s.b.binary("udiv", rest, count)
    return s.value(node.inputs[0], inner, mask, known)


def _split(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    """Several indices into one."""
    total = s.b.whole(0)
    for axis in node["into"]:
        scaled = s.b.binary("mul", total, s.b.whole(s.sizes[axis]))
        total = s.b.binary("add", scaled, s.number_of(env[axis]))
    return s.value(node.inputs[0], {**env, node["axis"]: total}, mask, known)


def _start(s: Values, node: Expr) -> int:
    return int(node["start"]) + sum(s.sizes[axis] for axis in node["after"])


def _slice(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    index = s.moved(env[node["into"]], _start(s, node))
    return s.value(node.inputs[0], {**env, node["axis"]: index}, mask, known)


def _within(
    s: Values,
    x: Expr,
    axis: str,
    into: str,
    start: int,
    env: Env,
    mask: Val | None,
    known: Mapping[Expr, Val],
) -> tuple[Val, Val]:
    """Whether the index along `into` falls on `x`, and the entry there (any if not)."""
    b, size = s.b, s.sizes[axis]
    shifted = s.number_of(s.moved(env[into], -start))
    there = b.compare("ult", shifted, b.whole(size))
    safe = b.select(there, shifted, b.whole(0))
    return there, b.real_of(s.value(x, {**env, axis: safe}, mask, known))


def _pad(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    x, axis, into = node.inputs[0], node["axis"], node["into"]
    there, entry = _within(s, x, axis, into, _start(s, node), env, mask, known)
    return s.b.select(there, entry, s.b.number(0.0))


def _concat(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    total, start = s.b.number(0.0), 0
    for x, axis in zip(node.inputs, node["over"], strict=True):
        there, entry = _within(s, x, axis, node["into"], start, env, mask, known)
        total = s.b.select(there, entry, total)
        start += s.sizes[axis]
    return total


def _gather(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    x, index = node.inputs
    at = s.value(index, env, mask, known)
    return s.value(x, {**env, node["axis"]: at}, mask, known)


def _uniform(s: Values, node: Expr, env: Env, mask: Val | None, known: Mapping[Expr, Val]) -> Val:
    """The number of an entry depends on its place in C order."""
    flat = s.b.whole(0)
    for axis in node.axes:
        scaled = s.b.binary("mul", flat, s.b.whole(s.sizes[axis]))
        flat = s.b.binary("add", scaled, s.number_of(env[axis]))
    key = s.value(node.inputs[1], env, mask, known)
    return keyed.uniform(s.b, key, flat, node["stream"])


_PLACED: dict[str, Placed] = {
    "uniform": _uniform,
    "transpose": _same,
    "expand": _same,
    "stop_gradient": _same,
    "rename": _rename,
    "one_hot": _one_hot,
    "merge": _merge,
    "split": _split,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
}


def _arithmetic(word: str) -> Callable[..., Val]:
    return lambda b, x, y: b.binary(word, b.real_of(x), b.real_of(y))


def _extreme(word: str) -> Callable[..., Val]:
    """The larger or smaller one, the first of equal ones; NaN wins, as in NumPy."""

    def spell(b: Builder, x: Val, y: Val) -> Val:
        x, y = b.real_of(x), b.real_of(y)
        first = b.compare(word, x, y)
        if x.ssa.startswith("%"):
            first = b.binary("or", first, b.compare("uno", x, x))
        return b.select(first, x, y)

    return spell


def _compare(word: str) -> Callable[..., Val]:
    def spell(b: Builder, x: Val, y: Val) -> Val:
        if x.kind == INT and y.kind == INT:
            return b.compare(word.removeprefix("o"), x, y)
        return b.compare(word, b.real_of(x), b.real_of(y))

    return spell


def _sign(b: Builder, x: Val) -> Val:
    zero = b.number(0.0)
    none = b.binary("fadd", x, zero)  # 0 for −0 as well, NaN for NaN
    size = b.select(b.compare("ogt", x, zero), b.number(1.0), none)
    return b.select(b.compare("olt", x, zero), b.number(-1.0), size)


def _ours(describe: Description) -> Callable[..., Val]:
    return lambda b, x: b.inline(describe, b.real_of(x))


SCALARS: dict[str, Callable[..., Val]] = {
    "add": _arithmetic("fadd"),
    "sub": _arithmetic("fsub"),
    "mul": _arithmetic("fmul"),
    "div": _arithmetic("fdiv"),
    "neg": lambda b, x: b.negative(b.real_of(x)),
    "pow": lambda b, x, y: b.intrinsic("pow", b.real_of(x), b.real_of(y)),
    "maximum": _extreme("oge"),
    "minimum": _extreme("ole"),
    "where": lambda b, c, x, y: b.select(c, b.real_of(x), b.real_of(y)),
    "gt": _compare("ogt"),
    "ge": _compare("oge"),
    "lt": _compare("olt"),
    "le": _compare("ole"),
    "eq": _compare("oeq"),
    "abs": lambda b, x: b.intrinsic("fabs", b.real_of(x)),
    "sqrt": lambda b, x: b.intrinsic("sqrt", b.real_of(x)),
    "sign": lambda b, x: _sign(b, b.real_of(x)),
    **{name: _ours(describe) for name, describe in functions.FUNCTIONS.items()},
}
