"""When threads must wait for each other, and how long each stored value is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.expr import Expr
from chainrule.plan.kernels import Kernel, leaves
from chainrule.plan.lower import ELSEWHERE, LEAVES
from chainrule.plan.storage import LINE_BYTES, aligned


@dataclass(frozen=True)
class Access:
    """One kernel's use of one buffer.

    Attributes:
        axis: the axis along which the kernel is divided among threads, "" if thread 0 does all.
        own: whether each thread touches only entries at its own positions along that axis.
    """

    buffer: str
    writes: bool
    axis: str
    own: bool


def accesses(k: Kernel, axis: str, buffer_of: Mapping[Expr, str]) -> list[Access]:
    """Every buffer that a kernel reads or writes."""
    found = {Access(buffer_of[n], True, axis, axis in n.axes or not axis) for n in k.stores}
    for node in k.values:
        todo = [(x, True) for x in node.inputs]
        seen = set()
        while todo:
            x, straight = todo.pop()
            if (x, straight) in seen:
                continue
            seen.add((x, straight))
            if x in buffer_of and x not in k.values:
                own = straight and (axis in x.axes or not axis)
                found.add(Access(buffer_of[x], False, axis, own))
            elif x not in k.values and x.op not in LEAVES:
                direct = straight and x.op not in ELSEWHERE
                todo.extend((y, direct) for y in x.inputs)
    return sorted(found, key=lambda a: (a.buffer, a.writes, a.own))


def waits(
    kernels: Sequence[Kernel],
    axis_of: Mapping[Kernel, str],
    buffer_of: Mapping[Expr, str],
) -> list[bool]:
    """For each kernel whether all threads must have finished what came before it.

    They must unless every entry that it shares with an earlier kernel since the last wait belongs
    to the same thread in both.
    """
    since: list[Access] = []
    found = []
    for k in kernels:
        mine = accesses(k, axis_of[k], buffer_of)
        conflict = any(_conflict(a, b) for a in since for b in mine)
        found.append(conflict)
        since = mine if conflict else [*since, *mine]
    return found


def prepared_early(
    kernels: Sequence[Kernel], axis_of: Mapping[Kernel, str], buffer_of: Mapping[Expr, str]
) -> list[Kernel]:
    """The same kernels; those that read inputs alone come before the first wait of the others.

    Each copy of a transposed matrix would make all threads wait before it can be read; so does one
    wait for all copies, and there is one anyway.
    """
    stored = {x for k in kernels for x in k.stores}
    supplied = {name for x, name in buffer_of.items() if x.op == "input"}

    def alone_here(k: Kernel) -> bool:
        """Whether it reads inputs alone, and overwrites none that others read before."""
        if any(buffer_of[x] in supplied for x in k.stores):
            return False
        return not any(leaves(x, stored) - {*k.values} for x in k.values)

    alone = [alone_here(k) for k in kernels]
    start = alone.index(False) if False in alone else len(kernels)
    late = {k for k, free in zip(kernels[start:], alone[start:], strict=True) if free}
    others = [k for k in kernels if k not in late]
    waiting = zip(others, waits(others, axis_of, buffer_of), strict=True)
    first = next((kernels.index(k) for k, wait in waiting if wait), len(kernels))
    before, after = kernels[:first], kernels[first:]
    return [*before, *(k for k in after if k in late), *(k for k in after if k not in late)]


def _conflict(a: Access, b: Access) -> bool:
    if a.buffer != b.buffer or not (a.writes or b.writes):
        return False
    return not (a.axis == b.axis and a.own and b.own)


def lifetimes(
    kernels: Sequence[Kernel], wait: Sequence[bool], buffer_of: Mapping[Expr, str]
) -> dict[str, tuple[int, int]]:
    """First and last phase (stretch between waits) in which each buffer is used."""
    found: dict[str, tuple[int, int]] = {}
    phase = 0
    for k, waited in zip(kernels, wait, strict=True):
        phase += waited
        for access in accesses(k, "", buffer_of):
            first, _ = found.get(access.buffer, (phase, phase))
            found[access.buffer] = (first, phase)
    return found


def arena(needs: Mapping[str, tuple[int, tuple[int, int]]]) -> tuple[dict[str, int], int]:
    """Offsets of buffers in one block of memory, and its size in bytes.

    Args:
        needs: for each buffer its bytes and the first and last phase in which it is used.

    Buffers whose phases overlap do not overlap; the largest is placed first, each as low as it
    fits.

    >>> arena({"a": (100, (0, 1)), "b": (64, (2, 2)), "c": (10, (1, 2))})
    ({'a': 0, 'b': 0, 'c': 128}, 192)
    """
    placed: dict[str, tuple[int, int, tuple[int, int]]] = {}
    for name, (size, life) in sorted(needs.items(), key=lambda item: (-item[1][0], item[0])):
        room = max(aligned(size), LINE_BYTES)
        others = sorted(
            (start, stop)
            for start, stop, (first, last) in placed.values()
            if first <= life[1] and life[0] <= last
        )
        at = 0
        for start, stop in others:
            if at + room <= start:
                break
            at = max(at, stop)
        placed[name] = (at, at + room, life)
    total = max((stop for _, stop, _ in placed.values()), default=0)
    return {name: start for name, (start, _, _) in placed.items()}, total
