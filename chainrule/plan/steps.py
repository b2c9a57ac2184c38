"""A step of computation at fixed sizes: kernels in order, buffers, and one block of memory."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from chainrule.errors import GraphError
from chainrule.expr import Expr
from chainrule.ops import OPS
from chainrule.plan.kernels import Kernel, kernels
from chainrule.plan.lower import lower
from chainrule.plan.phases import (
    Access,
    accesses,
    arena,
    lifetimes,
    prepared_early,
    waits,
)
from chainrule.plan.storage import LINE_BYTES, Buffer, Storage, aligned
from chainrule.plan.tiles import (
    NEAR_BYTES,
    Processor,
    Shape,
    shape_of,
    split_axis,
    threads_for,
    work,
)

SAME_SET = 512  # bytes: an eighth of a way of a first-level cache


@dataclass(frozen=True)
class StepPlan:
    """Kernels, buffers and when to wait.

    Attributes:
        wait: for each kernel whether threads wait for each other before it.
        buffer_of: for each input and stored value the name of its buffer.
        arena_bytes: the size of the block for everything that the caller does not supply.
        panel_bytes: how much of it, at its end, is for the copies that each thread makes of parts
            of a right side (`Shape.panel`).
        clock: see `chainrule.plan.clock`.
    """

    kernels: tuple[Kernel, ...]
    shapes: tuple[Shape, ...]
    wait: tuple[bool, ...]
    buffer_of: Mapping[Expr, str]
    buffers: Mapping[str, Buffer]
    sizes: Mapping[str, int]
    arena_bytes: int
    panel_bytes: int
    threads: int
    itemsize: int
    clock: str = ""

    @property
    def small(self) -> StepPlan:
        """The same in small tiles: less code, slower steps, the same bits and buffers."""

        def small(shape: Shape, k: Kernel) -> Shape:
            return shape.small(self.sizes[k.axes[-2]] if len(k.axes) > 1 else 1)

        return replace(
            self,
            shapes=tuple(small(*cut) for cut in zip(self.shapes, self.kernels, strict=True)),
            arena_bytes=self.arena_bytes - self.threads * self.panel_bytes,
            panel_bytes=0,
        )

    @property
    def storage(self) -> Storage:
        """What it works in."""
        sizes = (self.arena_bytes, self.panel_bytes, self.threads, self.itemsize)
        return Storage(self.buffers, *sizes)

    def __str__(self) -> str:
        rows = [
            f"{self.threads} thread{'s' * (self.threads > 1)}, arena {self.arena_bytes:,} bytes"
        ]
        for k, shape, wait in zip(self.kernels, self.shapes, self.wait, strict=True):
            rows += ["    wait"] if wait and self.threads > 1 else []
            into = " ".join(self.buffer_of[x] for x in k.stores)
            panel = f", panels of {self.buffer_of[shape.panel]}" if shape.panel is not None else ""
            rows.append(f"{into:<12} {k}   [{shape.rows} × {shape.vectors}{panel}]")
        return "\n".join(rows)


def plan_step(
    inputs: Mapping[str, Expr],
    outputs: Mapping[str, Expr],
    sizes: Mapping[str, int],
    itemsize: int,
    cpu: Processor,
    threads: int | None,
    examples: str,
    padded: Collection[str] = (),
) -> StepPlan:
    """Divide a graph into kernels and find a place for every value.

    Args:
        inputs: what the caller supplies, by name.
        outputs: results by name; one with the name of an input overwrites it.
        itemsize: bytes of a real number, 4 or 8.
        threads: how many threads to use; None: as many as pay, at most the cores there are.
        padded: names of inputs whose rows the caller pads to whole vectors (`Buffer.pitch`).

    Raises:
        GraphError: a plan that breaks its own rules (see `check`).
    """
    lowered = lower(outputs.values(), sizes, examples)
    roots = _computed({name: lowered[root] for name, root in outputs.items()})
    cut, roots = kernels(roots, {name: name for name in roots if name in inputs})
    buffer_of, owned = _buffers(inputs, roots, cut)
    lanes = cpu.register_bytes // itemsize
    keep = set(buffer_of)
    total = sum(work(k, keep, sizes) for k in cut)
    if threads != 1:
        trial = [shape_of(k, keep, sizes, lanes, threads or 2, examples, cpu) for k in cut]
        axes = _axes(cut, sizes, trial)
        early = prepared_early(cut, axes, buffer_of)
        pauses = sum(waits(early, axes, buffer_of))
        threads = threads or threads_for(total, pauses, cpu.cores)
        cut = early if threads > 1 else cut
    described = _described(buffer_of, sizes, itemsize, lanes, {*owned, *padded})
    far = sum(described[name].bytes for name in roots if name in inputs) > NEAR_BYTES
    shapes = [shape_of(k, keep, sizes, lanes, threads, examples, cpu, far) for k in cut]
    wait = waits(cut, _axes(cut, sizes, shapes), buffer_of)
    lives = lifetimes(cut, wait if threads > 1 else [True] * len(cut), buffer_of)
    offsets, size = arena({name: (described[name].bytes, lives[name]) for name in owned})
    buffers = {name: replace(b, offset=offsets.get(name)) for name, b in described.items()}
    panels = aligned(max((shape.panel_entries for shape in shapes), default=0) * itemsize)
    plan = StepPlan(
        tuple(cut),
        tuple(shapes),
        tuple(wait),
        buffer_of,
        buffers,
        dict(sizes),
        size + threads * panels,
        panels,
        threads,
        itemsize,
    )
    check(plan, set(inputs))
    return plan


def _axes(
    cut: Sequence[Kernel], sizes: Mapping[str, int], shapes: Sequence[Shape]
) -> dict[Kernel, str]:
    return {k: split_axis(k, sizes, shape) for k, shape in zip(cut, shapes, strict=True)}


def _computed(roots: Mapping[str, Expr]) -> dict[str, Expr]:
    """Roots of which some kernel computes each: inputs, numbers and repeated roots are copied."""
    found: dict[str, Expr] = {}
    for name, root in roots.items():
        if root.op in ("input", "const"):
            root = OPS["stop_gradient"](root)
        while root in found.values():
            root = OPS["stop_gradient"](root)
        found[name] = root
    return found


def _buffers(
    inputs: Mapping[str, Expr], roots: Mapping[str, Expr], cut: Sequence[Kernel]
) -> tuple[dict[Expr, str], list[str]]:
    """The buffer of every input and stored value, and which of them the arena holds."""
    buffer_of = {x: name for name, x in inputs.items()}
    for name, root in roots.items():
        buffer_of.setdefault(root, name)
    owned: list[str] = []
    for k in cut:
        for node in k.stores:
            if node not in buffer_of:
                owned.append(f"t{len(owned) + 1}")
                buffer_of[node] = owned[-1]
    return buffer_of, owned


def _described(
    buffer_of: Mapping[Expr, str],
    sizes: Mapping[str, int],
    itemsize: int,
    lanes: int,
    padded: Collection[str],
) -> dict[str, Buffer]:
    found: dict[str, Buffer] = {}
    for node, name in buffer_of.items():
        shape = tuple(sizes[axis] for axis in node.axes)
        kind = "i" if node.kind == "int" else "f"
        pitch = shape[-1] if shape else 1
        if kind == "f" and name in padded and pitch > 1:
            pitch = _padded(pitch, math.prod(shape[:-1]), lanes, itemsize)
        room = math.prod(shape[:-1]) * pitch * (8 if kind == "i" else itemsize)
        found.setdefault(name, Buffer(name, node.axes, shape, kind, room, None, pitch))
    return found


def _padded(entries: int, rows: int, lanes: int, itemsize: int) -> int:
    """Entries from one row to the next: whole vectors, and columns that lie apart in a cache.

    Lines at a distance of `SAME_SET` bytes share a few places of a first-level cache, so that a
    tile could not keep those of one column together: one line more between rows spreads them.
    """
    pitch = -(-entries // lanes) * lanes
    if pitch * itemsize % SAME_SET == 0 and rows * pitch * itemsize > NEAR_BYTES // 4:
        pitch += LINE_BYTES // itemsize
    return pitch


def check(plan: StepPlan, inputs: set[str]) -> None:
    """Raise a GraphError if the plan breaks its own rules.

    Everything is written before it is read, threads wait wherever one needs what another wrote,
    and buffers that are needed at the same time do not overlap.
    """
    written = set(inputs)
    since: list[Access] = []
    axes = _axes(plan.kernels, plan.sizes, plan.shapes)
    for k, wait in zip(plan.kernels, plan.wait, strict=True):
        since = [] if wait else since
        mine = accesses(k, axes[k], plan.buffer_of)
        for a in mine:
            if not a.writes and a.buffer not in written:
                raise GraphError(f"{a.buffer} is read before it is written", where=str(k))
            clash = (e for e in since if e.buffer == a.buffer and (e.writes or a.writes))
            if any(e.axis != a.axis or not (e.own and a.own) for e in clash):
                raise GraphError(f"threads do not wait for {a.buffer}", where=str(k))
        written |= {plan.buffer_of[x] for x in k.stores}
        since += mine
    _check_overlaps(plan)


def _check_overlaps(plan: StepPlan) -> None:
    wait = plan.wait if plan.threads > 1 else [True] * len(plan.kernels)
    lives = lifetimes(plan.kernels, wait, plan.buffer_of)
    placed = [(b.offset, b) for b in plan.buffers.values() if b.offset is not None]
    placed.sort(key=lambda pair: pair[0])
    for i, (start, b) in enumerate(placed):
        for other, c in placed[i + 1 :]:
            if other >= start + b.bytes:
                break
            (first, last), (begin, end) = lives[b.name], lives[c.name]
            if first <= end and begin <= last:
                raise GraphError(f"{b.name} and {c.name} overlap in memory")
