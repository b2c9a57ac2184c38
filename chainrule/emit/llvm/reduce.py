"""Reductions of one tile, kept in registers while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chainrule.emit.llvm.builder import FLOAT, INT, Builder, Val
from chainrule.emit.llvm.places import Env, Index
from chainrule.emit.llvm.tree import Kept, Tree
from chainrule.emit.llvm.values import Values
from chainrule.expr import Axes, Expr
from chainrule.plan.tiles import LEAF

UNROLLED = 4  # positions in one turn of a loop
Cell = tuple[int, int]  # row and vector within a tile


@dataclass(frozen=True)
class Tile:
    """The cells of a tile, where each is, which lanes of it exist, and whether it has any."""

    cells: Sequence[Cell]
    envs: Mapping[Cell, Env]
    masks: Mapping[Cell, Val | None]
    vector: bool


class Reduction:
    """The reduction of a kernel for the cells of one tile, all in registers.

    Sums over features run in index order, sums over many examples as a `Tree` says.
    """

    def __init__(
        self,
        b: Builder,
        root: Expr | None,
        values: Values,
        sizes: Mapping[str, int],
        examples: str,
        tile: Tile,
    ) -> None:
        self.b, self.root, self.values, self.sizes = b, root, values, sizes
        self.examples = examples
        self.cells, self.envs, self.masks = tile.cells, tile.envs, tile.masks
        self.vector = tile.vector
        self.type = b.type(FLOAT, tile.vector)
        self.index_type = b.type(INT, tile.vector)

    def write(self, kept: Kept | None = None) -> dict[Cell, Val]:
        """The reduced value of each cell; with `kept`, all groups but the last are there."""
        if self.root is None:
            return {}
        over: Axes = self.root["over"]
        tree = self.examples in over and self.sizes[self.examples] > LEAF
        if tree and self.root.op in ("sum", "contract"):
            features = tuple(axis for axis in over if axis != self.examples)
            found = self._tree(features, kept)
            registers = found.whole() if kept is None else found.rest()
        else:
            # examples outermost: the features of one example are added up first
            order = sorted(over, key=lambda axis: axis != self.examples)
            registers = self._nest(order, self.envs, self._start())
        kind = INT if self.root.op == "argmax" else FLOAT
        return {
            c: Val(x, kind, self.vector, self.b.depth)
            for c, x in zip(self.cells, registers[: len(self.cells)], strict=True)
        }

    def keep_group(self, number: Val, kept: Kept) -> None:
        """One group of leaves of a sum over examples alone, added to what is `kept` of a tile."""
        self._tree((), kept).keep_group(number)

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
            return self.b.sums(self.type, carried, own)

        return self.b.loop("0", size, 1, body, self._types(registers))

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

    def _tree(self, features: Axes, kept: Kept | None) -> Tree:
        """Leaves of `LEAF` examples, and how they are added."""

        def leaf(first: Val, count: int) -> list[str]:
            def row(index: Index, carried: list[str]) -> list[str]:
                here = {c: {**e, self.examples: index} for c, e in self.envs.items()}
                if not features:
                    return self._accumulated(here, carried)
                own = self._nest(features, here, self._start())
                return self.b.sums(self.type, carried, own)

            return self._along(first, count, row, self._start())

        rows = self.sizes[self.examples]
        return Tree(self.b, self.type, len(self.cells), rows, leaf, kept)
