"""How kernels are cut: what stays in registers, what each thread does, whether threads pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from chainrule.expr import Axes, Expr
from chainrule.plan.kernels import Kernel, base, inside, leaves
from chainrule.plan.lower import POLYNOMIALS

LEAF = 32  # consecutive examples that are summed in order; leaves are then added pairwise
GROUP = 4  # leaves that are summed at once; a power of two
TURNED_ROWS = 16  # rows of a tile that is transposed: entries of one cache line in float32
GATHERED_ROWS = 4  # rows that are fetched at the same time from wherever they lie
SUMS = 8  # independent sums that keep the arithmetic busy: 4 cycles for each term, two at a time
SMALL_ROWS = 2  # rows of a tile where code is to be short
MOST_ROWS = 14  # rows of a tile: with 2 vectors each, 28 of 32 registers hold sums
SPARE_REGISTERS = 4  # for the right operand, one broadcast number and what the compiler needs
PANEL_TILES = 4  # tiles that must share a copied panel: fewer do not repay the copying
PANEL_BYTES = 16_384  # half a first-level cache: what is smaller stays there without being copied
PANELS_BYTES = 131_072  # a quarter of a second-level cache: copies that all rows take columns from
POLYNOMIAL_WORK = 12  # arithmetic of one of our functions, for one entry
KEPT_BYTES = 65_536  # for the sums of groups of examples, in the frame of a function
NEAR_BYTES = 131_072  # a kernel that overwrites more in all does not find it in its caches
LONG = 16  # terms of a sum that take as long as a cache line that comes from far away
WAIT_WORK = 250_000  # operations that one core does while threads wait for each other once
LEAST_GAIN = 1.25  # how much faster the arithmetic must get for a second thread to pay


@dataclass(frozen=True)
class Processor:
    """What plans must know of a processor: vector registers, their bytes, cores."""

    register_bytes: int
    registers: int
    cores: int


@dataclass(frozen=True)
class Shape:
    """How one kernel is cut.

    Attributes:
        rows, vectors: the tile that stays in registers.
        threads: how many share the work.
        examples: the axis whose sums are taken leaf by leaf.
        lanes: entries in one vector register.
        panel: the right side of a product, if its columns that a tile needs are first copied to
            lie next to each other: then all rows take them from there before the next columns.
        panels: how many tiles side by side take their columns from copies at the same time.
        panel_entries: room for these copies.
        ahead: whether what a tile overwrites is fetched into the cache while it is computed.
        by_groups: whether a sum over many examples goes from group to group of leaves, all tiles
            for each, so that operands larger than a cache are read once instead of for each tile.
    """

    rows: int
    vectors: int
    threads: int
    examples: str
    lanes: int
    panel: Expr | None = None
    panels: int = 0
    panel_entries: int = 0
    ahead: bool = False
    by_groups: bool = False

    @property
    def has_panel(self) -> bool:
        """Whether there are copies."""
        return self.panel is not None

    def small(self, size: int) -> Shape:
        """The same with little to write for `size` rows: no row is left over, nothing is copied.

        How work is divided among threads stays the same.
        """
        rows = 1 if self.chunk(size) % SMALL_ROWS else min(self.rows, SMALL_ROWS)
        return Shape(rows, 1, self.threads, self.examples, self.lanes)

    def chunk(self, size: int) -> int:
        """How many of `size` entries each thread takes; the last one also takes what is left."""
        if self.threads == 1:
            return size  # nothing is left, so there is no code for it
        each = size // self.threads
        return each - each % self.lanes if each >= self.lanes else each


def shape_of(
    k: Kernel,
    keep: Set[Expr],
    sizes: Mapping[str, int],
    lanes: int,
    threads: int,
    examples: str,
    cpu: Processor,
    far: bool = False,
) -> Shape:
    """Tiles as large as the registers allow, so that each loaded number is used often.

    What only moves entries takes one row at a time, but when it turns rows into columns a tile of
    `TURNED_ROWS` uses every cache line that it touches.
    """
    columns = max(1, -(-sizes[k.axes[-1]] // lanes)) if k.axes else 1
    most = max(1, sizes[k.axes[-2]]) if len(k.axes) > 1 else 1
    rows, vectors = 1, min(columns, 2)
    if k.root is not None:
        vectors = min(columns, max(2, SUMS // most))
        rows = min((cpu.registers - SPARE_REGISTERS) // vectors, MOST_ROWS)
    elif any(_turned(x, k.axes) for n in k.values for x in leaves(n, keep)):
        rows, vectors = TURNED_ROWS, 1
    elif any(x.op == "gather" for n in k.values for x in (n, *inside(n, keep))):
        rows = GATHERED_ROWS
    terms = _count(k.root["over"], sizes) if k.root is not None and k.root.op == "contract" else 0
    shape = Shape(rows, vectors, threads, examples, lanes, ahead=far and terms >= LONG)
    if _by_groups(k, sizes, shape, examples, cpu.register_bytes // lanes):
        return replace(shape, by_groups=True)
    right = right_side(k, keep)
    if right is None or shape.chunk(sizes[k.axes[0]]) < PANEL_TILES * rows:
        return shape
    if _count(right.axes, sizes) * cpu.register_bytes // lanes <= PANEL_BYTES:
        return shape
    one = terms * vectors * lanes
    room = PANELS_BYTES // (one * cpu.register_bytes // lanes)
    panels = max(1, min(-(-columns // vectors), room))
    return replace(shape, panel=right, panels=panels, panel_entries=panels * one)


def _by_groups(
    k: Kernel, sizes: Mapping[str, int], shape: Shape, examples: str, itemsize: int
) -> bool:
    """Whether a product over examples reads more than stays near, and makes little of it."""
    if k.root is None or k.root.op != "contract" or tuple(k.root["over"]) != (examples,):
        return False
    if len(k.axes) != 2 or not 0 < kept_entries(k, sizes, shape) * itemsize <= KEPT_BYTES:
        return False
    return sum(sizes[axis] for axis in k.axes) * sizes[examples] * itemsize > NEAR_BYTES


def kept_entries(k: Kernel, sizes: Mapping[str, int], shape: Shape) -> int:
    """Entries of the sums of groups that a thread has room for, rows in whole vectors; 0: no group.

    The last thread has room for what is left over too, and thread 0 for all that is not divided.
    """
    levels = kept_levels(sizes[shape.examples])
    rows, columns = (sizes[axis] for axis in k.axes)
    each = shape.chunk(rows)
    most = rows - each * (shape.threads - 1) if each else rows
    return levels * most * -(-columns // shape.lanes) * shape.lanes


def groups_before_last(rows: int) -> int:
    """How many whole groups of leaves are summed and kept before the last leaves.

    >>> groups_before_last(128), groups_before_last(129)
    (0, 1)
    """
    return (-(-rows // LEAF) - 1) // GROUP


def kept_levels(rows: int) -> int:
    """How many levels of a tree of groups are in use at some time.

    >>> kept_levels(128), kept_levels(129), kept_levels(1797)
    (0, 1, 4)
    """
    return groups_before_last(rows).bit_length()


def right_side(k: Kernel, keep: Set[Expr]) -> Expr | None:
    """The stored operand of a product of two matrices that runs along the lanes.

    >>> from chainrule.expr import input_
    >>> W, X = input_("W", "k n"), input_("X", "n m")
    >>> right_side(Kernel(("k", "m"), W @ X, (W @ X,), (W @ X,)), {W, X}) is X
    True
    """
    if k.root is None or k.root.op != "contract" or len(k.axes) != 2:
        return None
    wanted = {*k.root["over"], k.axes[-1]}
    for x in map(base, k.root.inputs):
        if x in keep and len(wanted) == 2 and set(x.axes) == wanted and x.kind == "float":
            return x
    return None


def _turned(x: Expr, axes: Axes) -> bool:
    return len(x.axes) > 1 and axes[-1] in x.axes and x.axes[-1] != axes[-1]


def even(size: int, most: int) -> list[tuple[int, int]]:
    """(height, count): `size` rows in as few tiles as possible, nearly equal, of at most `most`.

    >>> even(30, 14), even(10, 14)
    ([(10, 3)], [(10, 1)])
    """
    if size == 0:
        return []
    tiles = -(-size // most)
    low, taller = divmod(size, tiles)
    return [(h, n) for h, n in ((low + 1, taller), (low, tiles - taller)) if n and h]


def split_axis(k: Kernel, sizes: Mapping[str, int], shape: Shape) -> str:
    """The axis that is divided among threads; "" where thread 0 does all."""
    if k.root is not None and k.root.op == "scatter_add":
        return ""
    if len(k.axes) > 1:
        return k.axes[-2] if shape.chunk(sizes[k.axes[-2]]) else ""
    if k.axes and shape.chunk(sizes[k.axes[0]]) >= shape.lanes:
        return k.axes[0]
    return ""


def work(k: Kernel, keep: set[Expr], sizes: Mapping[str, int]) -> int:
    """Arithmetic operations of a kernel, an estimate: a multiply-add counts as two."""
    entries = _count(k.axes, sizes)
    total = 0
    for node in k.values:
        if node is k.root:
            total += 2 * entries * _count(node["over"], sizes) if "over" in dict(node.attrs) else 0
        below = [n for n in inside(node, keep) if n.axes] + [node]
        total += entries * sum(POLYNOMIAL_WORK if n.op in POLYNOMIALS else 1 for n in below)
    return total


def _count(axes: Sequence[str], sizes: Mapping[str, int]) -> int:
    count = 1
    for axis in axes:
        count *= sizes[axis]
    return count


def threads_for(total_work: int, waits: int, most: int) -> int:
    """As many threads as make the step faster by `LEAST_GAIN`, waiting included."""
    best = 1
    for threads in range(2, most + 1):
        shared = total_work / threads + (waits + 1) * WAIT_WORK
        if total_work > LEAST_GAIN * shared:
            best = threads
    return best
