"""Several arrays in one block of memory, so that all are copied at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.plan.storage import LINE_BYTES, Buffer, aligned

Array = NDArray[Any]


class Layout:
    """Where in a block each of some buffers lies.

    Args:
        buffers: what is kept there, with the padding of their rows.
        real: the float type; whole numbers are int64.
    """

    def __init__(self, buffers: Sequence[Buffer], real: np.dtype[Any]) -> None:
        self.bytes = 0
        self.offsets: dict[str, int] = {}
        self._shapes: list[tuple[str, tuple[int, ...], np.dtype[Any], tuple[int, ...]]] = []
        for b in buffers:
            dtype = real if b.kind == "f" else np.dtype(np.int64)
            strides = tuple(step * dtype.itemsize for step in b.strides)
            self._shapes.append((b.name, b.shape, dtype, strides))
            self.offsets[b.name] = self.bytes
            self.bytes += aligned(b.bytes)

    def views(self, memory: NDArray[np.uint8]) -> dict[str, Array]:
        """The arrays in a block, without their padding."""
        return {
            name: np.ndarray(shape, dtype, memory, self.offsets[name], strides)
            for name, shape, dtype, strides in self._shapes
        }


class Block:
    """The arrays of a layout.

    Args:
        values: what they hold at first; not changed.
        last: another block of this layout. Where `values` are its arrays it is copied at once.

    Attributes:
        arrays: by name, without padding. What stands in the padding does not matter.
        addresses: by name, in bytes.
    """

    def __init__(
        self, layout: Layout, values: Mapping[str, Array], last: Block | None = None
    ) -> None:
        room = np.empty(layout.bytes + LINE_BYTES, np.uint8)
        start = -room.ctypes.data % LINE_BYTES  # so its arrays begin where cache lines do
        self._memory = room[start : start + layout.bytes]
        self.arrays = layout.views(self._memory)
        if last is not None and all(values[n] is a for n, a in last.arrays.items()):
            self._memory[:] = last._memory
        else:
            self._memory[:] = 0
            for name, array in self.arrays.items():
                array[...] = values[name]
        at = self._memory.ctypes.data
        self.addresses = {name: at + offset for name, offset in layout.offsets.items()}
