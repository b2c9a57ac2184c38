"""Reductions of one tile, kept in registers while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chainrule.emit.llvm.builder import FLOAT, INT, Builder, Val
from chainrule.emit.llvm.places import Env, Index
from chainrule.emit.llvm.values import Values
from chainrule.expr import Axes, Expr

LEAF = 32  # consecutive examples that are summed in order; leaves are then added pairwise
UNROLLED = 4  # positions in one turn of a loop
GROUP = 4  # leaves that are written out; a power of two
Cell = tuple[int, int]  # row and vector within a tile


class Reduction:
    """The reduction of a kernel for the cells of one tile, all in registers.

    Sums over features run in index order. Sums over examples are taken over leaves of `LEAF` rows
    in order, and the leaves are added as a binary counter carries: a tree that depends on the
    number of rows alone.
    """

    def __init__(
        self, b: Builder, root: Expr | None, values: Values, sizes: Mapping[str, int], examples: str
    ) -> None:
        self.b, self.root, self.values, self.sizes = b, root, values, sizes
        self.examples = examples

    def write(
        self,
        cells: Sequence[Cell],
        envs: Mapping[Cell, Env],
        masks: Mapping[Cell, Val | None],
        vector: bool,
    ) -> dict[Cell, Val]:
        """The reduced value of each cell."""
        if self.root is None:
            return {}
        self.cells, self.masks, self.vector = cells, masks, vector
        over: Axes = self.root["over"]
        self.type = self.b.type(FLOAT, vector)
        self.index_type = self.b.type(INT, vector)
        tree = self.examples in over and self.sizes[self.examples] > LEAF
        adds = self.root.op in ("sum", "contract")
        if tree and adds:
            features = tuple(axis for axis in over if axis != self.examples)
            registers = self._tree(features, envs)
        else:
            # examples outermost: the features of one example are added up first
            order = sorted(over, key=lambda axis: axis != self.examples)
            registers = self._nest(order, envs, self._start())
        return {
            c: Val(x, INT if self.root.op == "argmax" else FLOAT, vector, self.b.depth)
            for c, x in zip(cells, registers[: len(cells)], strict=True)
        }

    def _start(self) -> list[str]:
        """First values of the registers; argmax has the positions first, then the values."""
        assert self.root is not None
        extreme = {"max": float("-inf"), "argmax": float("-inf"), "min": float("inf")}
        first = self.b.number(extreme.get(self.root.op, 0.0))
        x = self.b.splat(first).ssa if self.vector else first.ssa
        if self.root.op != "argmax":
            return [x] * len(self.cells)
        zero = "zeroinitializer" if self.vector else "0"
        return [zero] * len(self.cells) + [x] * len(self.cells)

    def _types(self, registers: Sequence[str]) -> list[tuple[str, str]]:
        kinds = [self.type] * len(registers)
        if self.root is not None and self.root.op == "argmax":
            kinds[: len(self.cells)] = [self.index_type] * len(self.cells)
        return list(zip(kinds, registers, strict=True))

    def _nest(
        self, axes: Sequence[str], envs: Mapping[Cell, Env], registers: Sequence[str]
    ) -> list[str]:
        """Loops over `axes`; a register holds what its cell has accumulated."""
        if not axes:
            return self._accumulated(envs, registers)
        axis = axes[0]
        if len(axes) > 1 and axis == self.examples and self.root is not None:
            return self._by_example(axes, envs, registers)

        def one(index: Index, carried: list[str]) -> list[str]:
            return self._nest(axes[1:], {c: {**e, axis: index} for c, e in envs.items()}, carried)

        return self._along(self.b.whole(0), self.sizes[axis], one, registers)

    def _along(
        self,
        start: Val,
        count: int,
        body: Callable[[Index, list[str]], list[str]],
        registers: Sequence[str],
    ) -> list[str]:
        """`count` positions from `start` on, several in each turn of a loop.

        Fewer turns cost less, and short loops of a known length end without surprise.
        """
        b, each = self.b, self._unrolled()
        whole = count - count % each

        def run(base: Val, length: int, carried: list[str]) -> list[str]:
            for i in range(length):
                carried = body(Index(base, i, count=length), carried)
            return carried

        if whole:
            stop = b.binary("add", start, b.whole(whole))
            registers = b.loop(
                start.ssa,
                stop.ssa,
                each,
                lambda p, carried: run(p, each, carried),
                self._types(registers),
            )
        return run(b.binary("add", start, b.whole(whole)), count - whole, list(registers))

    def _unrolled(self) -> int:
        """Positions in one turn: as many as make a block where operands are turned."""
        assert self.root is not None
        lanes_only = len(self.cells) == len({v for _, v in self.cells})
        return self.b.lanes if lanes_only and self.vector else UNROLLED

    def _by_example(
        self, axes: Sequence[str], envs: Mapping[Cell, Env], registers: Sequence[str]
    ) -> list[str]:
        """The features of one example make one number before examples are added up."""
        size = str(self.sizes[axes[0]])

        def body(p: Val, carried: list[str]) -> list[str]:
            here = {c: {**e, axes[0]: Index(p)} for c, e in envs.items()}
            own = self._nest(axes[1:], here, self._start())
            return [self._add(x, y) for x, y in zip(carried, own, strict=True)]

        return self.b.loop("0", size, 1, body, self._types(registers))

    def _add(self, x: str, y: str) -> str:
        return self.b.op(f"fadd {self.type} {x}, {y}", self.b.depth)

    def _accumulated(self, envs: Mapping[Cell, Env], registers: Sequence[str]) -> list[str]:
        assert self.root is not None
        step = {"contract": self._product, "argmax": None}.get(self.root.op, self._plain)
        if step is None:
            return self._position(envs, registers)
        return [
            step(envs[c], self.masks[c], Val(x, FLOAT, self.vector, self.b.depth))
            for c, x in zip(self.cells, registers, strict=True)
        ]

    def _operand(self, x: Expr, env: Env, mask: Val | None) -> Val:
        v = self.b.real_of(self.values.value(x, env, mask, {}))
        return self.b.splat(v) if self.vector else v

    def _product(self, env: Env, mask: Val | None, total: Val) -> str:
        assert self.root is not None
        left, right = (self._operand(x, env, mask) for x in self.root.inputs)
        return self.b.intrinsic("fma", left, right, total).ssa

    def _plain(self, env: Env, mask: Val | None, total: Val) -> str:
        assert self.root is not None
        x = self._operand(self.root.inputs[0], env, mask)
        if self.root.op == "sum":
            return self.b.binary("fadd", total, x).ssa
        return self._better(x, total).ssa

    def _better(self, x: Val, best: Val) -> Val:
        """x where it beats the best so far, which wins when equal; NaN beats all and stays."""
        assert self.root is not None
        wins = self._wins(x, best)
        return self.b.select(wins, x, best)

    def _wins(self, x: Val, best: Val) -> Val:
        assert self.root is not None
        word = "ult" if self.root.op == "min" else "ugt"  # unordered: NaN wins over a number
        return self.b.binary(
            "and", self.b.compare(word, x, best), self.b.compare("ord", best, best)
        )

    def _position(self, envs: Mapping[Cell, Env], registers: Sequence[str]) -> list[str]:
        assert self.root is not None
        axis, count = self.root["over"][0], len(self.cells)
        places, bests = [], []
        for c, place, best in zip(self.cells, registers[:count], registers[count:], strict=True):
            x = self._operand(self.root.inputs[0], envs[c], self.masks[c])
            top = Val(best, FLOAT, self.vector, self.b.depth)
            wins = self._wins(x, top)
            index = self.values.number_of(envs[c][axis])
            index = self.b.splat(index) if self.vector else index
            places.append(
                self.b.select(wins, index, Val(place, INT, self.vector, self.b.depth)).ssa
            )
            bests.append(self.b.select(wins, x, top).ssa)
        return [*places, *bests]

    def _tree(self, features: Axes, envs: Mapping[Cell, Env]) -> list[str]:
        """Leaves of `LEAF` examples, added pairwise: level l of the memory holds 2^l leaves.

        `GROUP` leaves at a time are written out, for there it is known at once which sums each leaf
        is added to; whole groups are then carried by their number, in a loop. The last leaves, at
        most a group of them, stay in registers until the end.
        """
        b, rows = self.b, self.sizes[self.examples]
        leaves = -(-rows // LEAF)
        looped = (leaves - 1) // GROUP
        last = leaves - looped * GROUP
        self.counter = b.stack_slot(f"[{leaves.bit_length() * len(self.cells)} x {self.type}]")
        self.current = b.stack_slot(f"[{len(self.cells)} x {self.type}]")

        def leaf(first: Val, count: int) -> list[str]:

            def row(index: Index, carried: list[str]) -> list[str]:
                here = {c: {**e, self.examples: index} for c, e in envs.items()}
                if not features:
                    return self._accumulated(here, carried)
                own = self._nest(features, here, self._start())
                return self._sums(carried, own)

            return self._along(first, count, row, self._start())

        def group(first: Val, count: int, short: int) -> list[str]:
            """`count` leaves, the last of them of `short` examples; its sum, not yet put away."""
            total: list[str] = []
            for i in range(count):
                if i:
                    self._put(total, _ones(i - 1))
                start = b.binary("add", first, b.whole(i * LEAF))
                total = leaf(start, short if i == count - 1 else LEAF)
                total = self._with_levels(range(_ones(i)), total)
            return total

        def one(k: Val, _: list[str]) -> None:
            self._carry(group(b.binary("mul", k, b.whole(GROUP * LEAF)), GROUP, LEAF), k)

        if looped:
            b.loop("0", str(looped), 1, one)
        total = group(b.whole(looped * GROUP * LEAF), last, rows - (leaves - 1) * LEAF)
        done = _ones(last - 1)
        left = [level for level in range(leaves.bit_length()) if (leaves - 1) >> level & 1]
        return self._with_levels([level for level in left if level >= done], total)

    def _sums(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        return [self._add(x, y) for x, y in zip(left, right, strict=True)]

    def _slot(self, memory: str, level: Val, cell: int) -> str:
        """The address of one cell of one level."""
        place = self.b.binary("mul", level, self.b.whole(len(self.cells)))
        place = self.b.binary("add", place, self.b.whole(cell))
        code = f"getelementptr {self.type}, ptr {memory}, i64 {place.ssa}"
        return self.b.op(code, place.depth)

    def _put(self, sums: Sequence[str], level: int) -> None:
        """Put sums at a level."""
        for i, x in enumerate(sums):
            slot = self._slot(self.counter, self.b.whole(level), i)
            self.b.do(f"store {self.type} {x}, ptr {slot}")

    def _with_levels(self, levels: Iterable[int], total: list[str]) -> list[str]:
        """`total`, to which the sums of these levels are added in turn."""
        for level in levels:
            slots = (self._slot(self.counter, self.b.whole(level), i) for i in range(len(total)))
            total = self._sums([self.b.reload(self.type, slot) for slot in slots], total)
        return total

    def _carry(self, sums: list[str], number: Val) -> None:
        """Add a group as 1 is added to a binary counter that stands at `number`.

        For as many lowest bits of the number as are 1 it takes the sum of that level along; then
        it is put at the next level.
        """
        b, cells = self.b, range(len(self.cells))
        here = [self._slot(self.current, b.whole(0), i) for i in cells]
        for slot, x in zip(here, sums, strict=True):
            b.do(f"store {self.type} {x}, ptr {slot}")
        flipped = b.binary("xor", number, b.whole(-1))
        b.declares.add("declare i64 @llvm.cttz.i64(i64, i1 immarg)")
        code = f"call i64 @llvm.cttz.i64(i64 {flipped.ssa}, i1 true)"
        ones = Val(b.op(code, flipped.depth), INT, False, flipped.depth)
        first = b.whole(_ones(GROUP - 1))
        top = b.binary("add", first, ones)

        def take_along(level: Val, _: list[str]) -> None:
            for i in cells:
                held = b.reload(self.type, self._slot(self.counter, level, i))
                mine = b.reload(self.type, here[i])
                b.do(f"store {self.type} {self._add(held, mine)}, ptr {here[i]}")

        b.loop(first.ssa, top.ssa, 1, take_along)
        for i in cells:
            mine = b.reload(self.type, here[i])
            b.do(f"store {self.type} {mine}, ptr {self._slot(self.counter, top, i)}")


def _ones(number: int) -> int:
    """How many lowest bits are 1.

    >>> [_ones(n) for n in (0, 1, 2, 3, 7)]
    [0, 1, 0, 2, 3]
    """
    return (~number & number + 1).bit_length() - 1
