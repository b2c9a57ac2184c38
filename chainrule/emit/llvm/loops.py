"""The loops of one kernel: tiles of rows by vectors, divided among threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chainrule.emit.llvm.builder import FLOAT, INT, Builder, Val
from chainrule.emit.llvm.places import Env, Index, Place
from chainrule.emit.llvm.reduce import Cell, Reduction, Tile
from chainrule.emit.llvm.scatter import Scatter
from chainrule.emit.llvm.tree import Kept
from chainrule.emit.llvm.values import Values
from chainrule.expr import Axes, Expr
from chainrule.plan.kernels import Kernel
from chainrule.plan.lower import LEAVES, POLYNOMIALS
from chainrule.plan.storage import LINE_BYTES
from chainrule.plan.tiles import Shape, even, groups_before_last, kept_levels, split_axis

PANEL = "%panel"  # where this thread copies the columns that a tile needs
PANEL_AXIS = "column of the panel"


def write_kernel(
    b: Builder, k: Kernel, places: Mapping[Expr, Place], sizes: Mapping[str, int], shape: Shape
) -> None:
    """Write the loops of `k`; ``%part`` is the number of the thread."""
    values = Values(b, places, sizes)
    if k.root is not None and k.root.op == "scatter_add":
        Scatter(b, k, values, sizes).write()
        return
    _Tiles(b, k, values, sizes, shape).write()


Rows = Sequence[Index | None]
"""The rows of a tile; None where a kernel has none."""


@dataclass(frozen=True)
class Columns:
    """The columns of a tile.

    Attributes:
        first: position of the first one; None where a kernel has no axis.
        width: how many vectors.
        tail: how many lanes of the last one are filled, 0 for all.
    """

    first: Val | None
    width: int
    tail: int

    def at(self, v: int, lanes: int) -> Index:
        """The positions of vector `v`."""
        filled = self.tail if self.partly(v) else lanes
        if self.first is None or self.first.ssa.startswith("%"):
            return Index(self.first, v * lanes, lane=True, count=filled)
        return Index(None, int(self.first.ssa) + v * lanes, lane=True, count=filled)

    def partly(self, v: int) -> bool:
        """Whether vector `v` is not filled."""
        return bool(self.tail) and v == self.width - 1


class _Tiles:
    """A kernel whose entries are computed tile by tile."""

    def __init__(
        self, b: Builder, k: Kernel, values: Values, sizes: Mapping[str, int], shape: Shape
    ) -> None:
        self.b, self.k, self.values, self.sizes, self.shape = b, k, values, sizes, shape
        self.lane_axis = k.axes[-1] if k.axes else ""
        self.row_axis = k.axes[-2] if len(k.axes) > 1 else ""
        self.split = split_axis(k, sizes, shape)
        self.long = _is_long(k)

    def write(self) -> None:
        """Rows, and columns within rows; further axes around both."""
        if not self.split:
            self._only_first_thread()
        elif self.split == self.row_axis:
            self._outer(self.k.axes[:-2], {})
        else:
            size = self.sizes[self.lane_axis]
            self._shared(
                size, lambda at, n: self._columns(at, n, lambda c: self._tile({}, [None], c))
            )

    def _only_first_thread(self) -> None:
        """What cannot be divided is done by thread 0: the others' loop is empty."""
        self._once(0, lambda: self._outer(self.k.axes[:-2], {}))

    def _once(self, part: int, body: Callable[[], None]) -> None:
        b = self.b
        mine = b.op(f"icmp eq i64 %part, {part}", 0)
        once = b.op(f"zext i1 {mine} to i64", 0)
        b.loop("0", once, 1, lambda _, __: body())

    def _shared(self, size: int, body: Callable[[Val, int], None]) -> None:
        """Every thread takes the same number; what is left over goes to the last."""
        b, threads = self.b, self.shape.threads
        chunk = self.shape.chunk(size)
        body(Val(b.op(f"mul i64 %part, {chunk}", 0), INT, False, 0), chunk)
        if size > chunk * threads:
            start = b.whole(chunk * threads)
            self._once(threads - 1, lambda: body(start, size - chunk * threads))

    def _outer(self, axes: Axes, env: dict[str, Index | Val]) -> None:
        if not axes:
            self._row_blocks(env)
            return
        size = str(self.sizes[axes[0]])
        self.b.loop("0", size, 1, lambda i, _: self._outer(axes[1:], {**env, axes[0]: Index(i)}))

    def _row_blocks(self, env: dict[str, Index | Val]) -> None:
        zero, width = self.b.whole(0), self.sizes.get(self.lane_axis, 1)
        if not self.row_axis:
            self._columns(zero, width, lambda columns: self._tile(env, [None], columns))
        elif self.split == self.row_axis:
            size = self.sizes[self.row_axis]
            self._shared(size, lambda at, n: self._block(env, at, n))
        else:
            self._block(env, zero, self.sizes[self.row_axis])

    def _all_tiles(self, start: Val, count: int, body: Callable[[Rows, Columns], None]) -> None:
        zero, width = self.b.whole(0), self.sizes[self.lane_axis]
        self._rows(start, count, lambda rows: self._columns(zero, width, lambda c: body(rows, c)))

    def _by_groups(self, env: Env, start: Val, count: int) -> None:
        """Group by group of examples all tiles of `count` rows, then what is left of the sums."""
        b = self.b
        pitch = -(-self.sizes[self.lane_axis] // b.lanes)
        kind = b.type(FLOAT, True)
        examples = self.sizes[self.shape.examples]
        memory = b.stack_slot(f"[{kept_levels(examples) * count * pitch} x {kind}]")

        def kept_of(rows: Rows, columns: Columns) -> Kept:
            first, width = rows[0], columns.width
            assert first is not None
            assert first.base is not None
            assert columns.first is not None
            row = b.binary("sub", first.base, start)
            left = b.binary("mul", row, b.whole(pitch * b.lanes))
            corner = b.binary("add", left, columns.first)

            def kept(level: Val, cell: int) -> str:
                r, v = divmod(cell, width)
                here = b.binary("add", corner, b.whole((r * pitch + v) * b.lanes))
                there = b.binary("mul", level, b.whole(count * pitch * b.lanes))
                place = b.binary("add", there, here)
                code = f"getelementptr {b.type(FLOAT, False)}, ptr {memory}, i64 {place.ssa}"
                return b.op(code, place.depth)

            return kept

        def one(k: Val, _: list[str]) -> None:
            def tile(rows: Rows, columns: Columns) -> None:
                sums = self._reduction(self._cells(env, rows, columns), self.values)
                sums.keep_group(k, kept_of(rows, columns))

            self._all_tiles(start, count, tile)

        b.loop("0", str(groups_before_last(examples)), 1, one)
        self._all_tiles(
            start, count, lambda rows, c: self._tile(env, rows, c, kept=kept_of(rows, c))
        )

    def _block(self, env: Env, start: Val, count: int) -> None:
        """All columns of `count` rows: row by row, or with a panel column by column."""
        if self.shape.by_groups:
            self._by_groups(env, start, count)
            return
        zero, width = self.b.whole(0), self.sizes[self.lane_axis]
        if self.shape.panel is None:
            self._all_tiles(start, count, lambda rows, columns: self._tile(env, rows, columns))
            return
        for run in self._runs(zero, width):
            self._panels(env, (start, count), *run)

    def _panels(
        self, env: Env, rows: tuple[Val, int], low: Val, high: Val, width: int, tail: int
    ) -> None:
        """Tiles of one width: as many of them side by side as panels have room for, then the next.

        All rows take their columns from the copies, so what a tile reads from the left side stays
        near for all tiles of a row (Goto & van de Geijn 2008, Anatomy of High-Performance Matrix
        Multiplication).
        """
        b, right, root = self.b, self.shape.panel, self.k.root
        assert right is not None
        assert root is not None
        (over,) = root["over"]
        step = width * b.lanes

        def copied(panel: str, first: Val, j: Val) -> Values:
            """Values that take the right side from the copy of the columns from `j` on."""
            entries = b.binary("mul", b.binary("sub", j, first), b.whole(self.sizes[over]))
            byte = b.binary("mul", entries, b.whole(b.bytes))
            base = b.op(f"getelementptr i8, ptr {panel}, i64 {byte.ssa}", b.depth)
            place = Place(base, (over, PANEL_AXIS), (step, 1), FLOAT, padded=True, depth=b.depth)
            return Values(b, {**self.values.places, right: place}, self.sizes)

        def group(first: Val, _: list[str]) -> None:
            beyond = b.binary("add", first, b.whole(self.shape.panels * step))
            stop = b.select(b.compare("slt", beyond, high), beyond, high).ssa

            def copy(j: Val, _: list[str]) -> None:
                self._copy(Columns(j, width, tail), copied(PANEL, first, j))

            b.loop(first.ssa, stop, step, copy)
            panel = b.alias(PANEL)  # a name that is known only now: nothing is read before

            def across(rows: Rows) -> None:
                def tile(j: Val, _: list[str]) -> None:
                    self._tile(env, rows, Columns(j, width, tail), copied(panel, first, j))

                b.loop(first.ssa, stop, step, tile)

            self._rows(*rows, across)

        b.loop(low.ssa, high.ssa, self.shape.panels * step, group)

    def _rows(self, start: Val, count: int, body: Callable[[Rows], None]) -> None:
        """Tiles of nearly equal height."""
        b, done = self.b, 0
        for height, tiles in even(count, self.shape.rows):
            low = b.binary("add", start, b.whole(done))
            high = b.binary("add", low, b.whole(height * tiles))

            def tile(i: Val, _: list[str], height: int = height) -> None:
                body([Index(i, r, count=height) for r in range(height)])

            b.loop(low.ssa, high.ssa, height, tile)
            done += height * tiles

    def _columns(self, start: Val, size: int, body: Callable[[Columns], None]) -> None:
        """Vectors of entries from `start` on; the last one may be partly filled."""
        b, lanes = self.b, self.b.lanes
        if not self.lane_axis:
            body(Columns(None, 1, 0))
            return
        for low, high, width, tail in self._runs(start, size):
            if tail:
                body(Columns(low, width, tail))
                continue

            def tile(j: Val, _: list[str], width: int = width) -> None:
                body(Columns(j, width, 0))

            b.loop(low.ssa, high.ssa, width * lanes, tile)

    def _runs(self, start: Val, size: int) -> Iterator[tuple[Val, Val, int, int]]:
        """(first, end, width, tail): tiles of the same width, the last one alone if it has a tail.

        Widths are nearly equal.
        """
        b, lanes = self.b, self.b.lanes
        whole, tail = divmod(size, lanes)
        done = 0
        for width, tiles in even(whole + bool(tail), self.shape.vectors):
            last = done + width * tiles == whole + bool(tail)
            plain = tiles - 1 if tail and last else tiles
            low = b.binary("add", start, b.whole(done * lanes))
            high = b.binary("add", start, b.whole((done + width * plain) * lanes))
            if plain:
                yield low, high, width, 0
            if plain < tiles:
                yield high, b.binary("add", high, b.whole(width * lanes)), width, tail
            done += width * tiles

    def _copy(self, columns: Columns, copied: Values) -> None:
        """Copy columns of the right side; those that do not exist are 0."""
        b, right, root = self.b, self.shape.panel, self.k.root
        assert right is not None
        assert root is not None
        (over,) = root["over"]

        def row(p: Val, _: list[str]) -> None:
            for v in range(columns.width):
                here, there = columns.at(v, b.lanes), _in_panel(v, b.lanes)
                mask = b.first_lanes(columns.tail) if columns.partly(v) else None
                x = self.values.load(right, {over: Index(p), self.lane_axis: here}, mask)
                copied.store(right, {over: Index(p), PANEL_AXIS: there}, x, None)

        b.loop("0", str(self.sizes[over]), 1, row)

    def _cells(self, env: Env, rows: Rows, columns: Columns) -> Tile:
        lanes = self.b.lanes
        cells = [(r, v) for r in range(len(rows)) for v in range(columns.width)]
        envs: dict[Cell, Env] = {}
        for r, v in cells:
            here = {**env, PANEL_AXIS: _in_panel(v, lanes)}
            row = rows[r]
            if row is not None:
                here[self.row_axis] = row
            if columns.first is not None:
                here[self.lane_axis] = columns.at(v, lanes)
            envs[r, v] = here
        masks = {
            c: self.b.first_lanes(columns.tail) if columns.partly(c[1]) else None for c in cells
        }
        return Tile(cells, envs, masks, columns.first is not None)

    def _reduction(self, tile: Tile, operands: Values) -> Reduction:
        return Reduction(self.b, self.k.root, operands, self.sizes, self.shape.examples, tile)

    def _tile(
        self,
        env: Env,
        rows: Rows,
        columns: Columns,
        operands: Values | None = None,
        kept: Kept | None = None,
    ) -> None:
        """All cells of one tile; a reduction takes its values from `operands`."""
        tile = self._cells(env, rows, columns)
        if self.shape.ahead:
            self._ask_for(tile)
        found = self._reduction(tile, operands or self.values).write(kept)
        if self.long and found and len(rows) > 1:
            self._finish_by_rows(rows, tile, found)
            return
        for cell in tile.cells:
            self._finish(tile.envs[cell], tile.masks[cell], found.get(cell))

    def _ask_for(self, tile: Tile) -> None:
        """Have the cache fetch what the tile will overwrite while the reduction runs."""
        each = max(1, LINE_BYTES // (self.b.lanes * self.b.bytes))  # vectors in a cache line
        for cell in tile.cells:
            if cell[1] % each == 0:
                for node in self.k.stores:
                    self.values.ask_for(node, tile.envs[cell])

    def _finish_by_rows(self, rows: Rows, tile: Tile, found: Mapping[Cell, Val]) -> None:
        """A long finish is written once for a row and looped over, through a corner of memory."""
        b, cells = self.b, tile.cells
        width = 1 + max(v for _, v in cells)
        kind = b.type(FLOAT, tile.vector)
        corner = b.stack_slot(f"[{len(cells)} x {kind}]")
        for i, cell in enumerate(cells):
            at = b.op(f"getelementptr {kind}, ptr {corner}, i64 {i}", 0)
            b.do(f"store {kind} {found[cell].ssa}, ptr {at}")
        first = rows[0]
        assert first is not None
        base = first.base
        assert base is not None

        def row(r: Val, _: list[str]) -> None:
            index = Index(b.binary("add", base, r))
            for v in range(width):
                place = b.binary("add", b.binary("mul", r, b.whole(width)), b.whole(v))
                at = b.op(f"getelementptr {kind}, ptr {corner}, i64 {place.ssa}", b.depth)
                held = Val(b.reload(kind, at), FLOAT, tile.vector, b.depth)
                self._finish({**tile.envs[0, v], self.row_axis: index}, tile.masks[0, v], held)

        b.loop("0", str(len(rows)), 1, row)

    def _finish(self, env: Env, mask: Val | None, reduced: Val | None) -> None:
        known: dict[Expr, Val] = {}
        for node in self.k.values:
            if node is self.k.root and reduced is not None:
                known[node] = reduced
            else:
                known[node] = self.values.computed(node, env, mask, known)
        for node in self.k.stores:
            self.values.store(node, env, known[node], mask)


def _is_long(k: Kernel) -> bool:
    """Whether finishing one entry takes many instructions: a function of ours, say."""
    stop = {k.root, *k.stores} if k.root is not None else set()
    todo = [x for n in k.values if n is not k.root for x in (n, *n.inputs)]
    seen: set[Expr] = set()
    while todo:
        node = todo.pop()
        if node in seen or node is k.root or node.op in LEAVES:
            continue
        seen.add(node)
        if node.op in POLYNOMIALS:
            return True
        if node not in stop or node in k.values:
            todo.extend(node.inputs)
    return False


def _in_panel(v: int, lanes: int) -> Index:
    return Index(None, v * lanes, lane=True)
