"""Object code and what it works in: compiled, or as it was stored.

An entry of the cache is a header and the code. The header is the storage of the plan, so that
nothing has to be planned to run the code. It is read like everything from a file: an entry whose
header does not fit the recipe counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from chainrule.emit.llvm.module import write_module
from chainrule.plan.steps import StepPlan
from chainrule.plan.storage import LINE_BYTES, Buffer, Storage, aligned
from chainrule.run.cache import opened
from chainrule.run.jit import FULL, object_code
from chainrule.run.recipe import Recipe

LENGTH_BYTES = 8  # of the number at the beginning of an entry: how long its header is
_header = msgspec.json.Decoder(Storage)


@dataclass(frozen=True)
class Built:
    """Object code, and what it works in."""

    code: bytes
    storage: Storage


def built_plan(plan: StepPlan, per_step: Sequence[str], loss: str, effort: int = FULL) -> Built:
    """The code of a plan, whatever is stored.

    Args:
        per_step: names of buffers of which every step has its own part, one after the other.
        loss: name of the buffer whose first number ends the run when it is not finite.
        effort: of the compiler.
    """
    return Built(object_code(write_module(plan, per_step, loss), effort), plan.storage)


def built(recipe: Recipe, effort: int = FULL) -> Built:
    """The code of a recipe: from the cache, where it is there already.

    Args:
        effort: FULL: in the tiles that are fastest; QUICK: in small ones.
    """
    return stored(recipe, effort) or _made(recipe, effort)


def stored(recipe: Recipe, effort: int) -> Built | None:
    """The code of a recipe if it is in the cache."""
    cache, key = opened().cache, recipe.key(effort)
    data = None if cache is None or key is None else cache.get(key)
    return None if data is None else unpacked(data, recipe)


def _made(recipe: Recipe, effort: int) -> Built:
    """The code of a recipe, compiled, and stored for the next time."""
    plan = recipe.plan if effort == FULL else recipe.plan.small
    made = built_plan(plan, recipe.per_step, recipe.loss, effort)
    cache, key = opened().cache, recipe.key(effort)
    if cache is not None and key is not None:
        cache.put(key, packed(made))
    return made


def packed(made: Built) -> bytes:
    """Header and code as one entry."""
    header = msgspec.json.encode(made.storage)
    return len(header).to_bytes(LENGTH_BYTES, "little") + header + made.code


def unpacked(data: bytes, recipe: Recipe) -> Built | None:
    """Code and storage of an entry; None if these are not what the recipe would give."""
    end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    try:
        storage = _header.decode(data[LENGTH_BYTES:end])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Built(data[end:], storage) if fits(storage, recipe) else None


def fits(storage: Storage, recipe: Recipe) -> bool:
    """Whether it can be the storage of a recipe: every size follows from it or from the buffers."""
    buffers, threads = storage.buffers.values(), storage.threads
    return (
        storage.itemsize == recipe.itemsize
        and threads == (recipe.threads or min(max(threads, 1), recipe.cpu.cores))
        and all(name == b.name and _whole(b, recipe) for name, b in storage.buffers.items())
        and _as_supplied([b for b in buffers if b.offset is None], recipe)
        and 0 <= storage.panel_bytes <= recipe.cpu.register_bytes * sum(b.bytes for b in buffers)
        and storage.panel_offset(0) == max((_end(b) for b in buffers), default=0)
    )


def _whole(b: Buffer, recipe: Recipe) -> bool:
    """Whether a buffer has the sizes of its axes, and room and a place for them."""
    return (
        all(axis in recipe.sizes for axis in b.axes)
        and b.shape == tuple(recipe.sizes[axis] for axis in b.axes)
        and 0 <= b.pitch - (b.shape[-1] if b.shape else 1) <= 2 * LINE_BYTES
        and b.bytes == math.prod(b.room) * {"i": 8, "f": recipe.itemsize}.get(b.kind, -1)
        and (b.offset is None or (b.offset >= 0 and b.offset % LINE_BYTES == 0))
    )


def _as_supplied(given: Sequence[Buffer], recipe: Recipe) -> bool:
    """Whether these are the buffers of what the caller supplies, in the order of the recipe."""
    kinds = {True: "i", False: "f"}
    wanted = [(name, x.axes, kinds[x.kind == "int"]) for name, x in recipe.supplied.items()]
    return [(b.name, b.axes, b.kind) for b in given] == wanted


def _end(b: Buffer) -> int:
    """Where a buffer ends in the arena."""
    return 0 if b.offset is None else b.offset + max(aligned(b.bytes), LINE_BYTES)
