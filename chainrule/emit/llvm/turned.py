"""Arrays whose neighbours in memory are not neighbours among the lanes, turned in registers.

Where lanes run along one axis and memory along another, one vector would have to be gathered entry
by entry. A block of as many vectors as they have lanes is loaded as it lies instead, and turned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chainrule.emit.llvm.builder import BOOL, FLOAT, Builder, Val
from chainrule.emit.llvm.places import Env, Index, Place

Address = Callable[[Env], tuple[str, int]]


def load_turned(b: Builder, place: Place, env: Env, address: Address) -> Val | None:
    """One vector of a block; None where `env` does not show a run of positions to make it of.

    Args:
        address: pointer to the entry at an environment, and the scope where it is known.
    """
    inner, lane_axes = place.axes[-1], [a for a in place.axes if _has_lanes(env[a])]
    along = env[inner]
    if place.strides[-1] != 1 or len(lane_axes) != 1 or not isinstance(along, Index):
        return None
    outer = env[lane_axes[0]]
    assert isinstance(outer, Index)
    if along.lane or along.count < 2:
        return None
    which, row = divmod(along.offset - along.first, b.lanes)
    first = along.first + which * b.lanes
    width = min(b.lanes, along.first + along.count - first)
    height = min(b.lanes, outer.count or b.lanes)
    found = []
    for lane in range(height):
        one = replace(outer, offset=outer.offset + lane, lane=False)
        here = {**env, lane_axes[0]: one, inner: replace(along, offset=first)}
        found.append(address(here))
    depth = max(depth for _, depth in found)
    names = b.once(
        f"turned {found[0][0]} {height} {width}",
        depth,
        lambda: turned(b, [_load(b, pointer, width, depth) for pointer, _ in found], depth),
    )
    return Val(names[row], FLOAT, True, depth)


def _has_lanes(index: Index | Val) -> bool:
    return isinstance(index, Index) and index.lane


def _load(b: Builder, pointer: str, width: int, depth: int) -> str:
    """`width` entries that lie next to each other; what comes after them is 0."""
    kind, lanes = b.type(FLOAT, True), b.type(BOOL, True)
    if width == b.lanes:
        return b.op(f"load {kind}, ptr {pointer}, align {b.bytes}", depth)
    name = f"@llvm.masked.load.v{b.lanes}{b.real.suffix}.p0"
    b.declares.add(f"declare {kind} {name}(ptr, i32 immarg, {lanes}, {kind})")
    mask = b.first_lanes(width).ssa
    tail = f"i32 {b.bytes}, {lanes} {mask}, {kind} zeroinitializer"
    return b.op(f"call {kind} {name}(ptr {pointer}, {tail})", depth)


def turned(b: Builder, rows: Sequence[str], depth: int) -> list[str]:
    """Vector i holds lane i of each of `rows`; rows that are missing count as 0.

    Halves of the block that lie across its diagonal change places, then those of its quarters,
    and so on (Eklundh 1972): lanes · log2(lanes) shuffles.
    """
    kind, lanes = b.type(FLOAT, True), b.lanes
    block = [*rows, *["zeroinitializer"] * (lanes - len(rows))]
    distance = lanes // 2
    while distance:
        low = [j if not j & distance else lanes + j - distance for j in range(lanes)]
        high = [j + distance if not j & distance else lanes + j for j in range(lanes)]
        for i in range(lanes):
            if i & distance:
                continue
            one, other = block[i], block[i + distance]
            for at, order in ((i, low), (i + distance, high)):
                mask = ", ".join(f"i32 {j}" for j in order)
                code = f"shufflevector {kind} {one}, {kind} {other}, <{lanes} x i32> <{mask}>"
                block[at] = b.op(code, depth)
        distance //= 2
    return block
