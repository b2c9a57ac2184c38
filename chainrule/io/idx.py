"""IDX files, the format of MNIST: sizes checked against the file before anything is allocated.

Source of the format: LeCun, Cortes, Burges, "The MNIST database", section "File formats".
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, ResourceError
from chainrule.io.files import MAX_EXPANSION, FileBytes, expand_gzip, looks_like, read_bytes
from chainrule.io.wording import named

# Third byte of the magic number → element type; all of it is big-endian.
ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 8


def is_idx(data: bytes) -> bool:
    """Whether the first four bytes are an IDX magic number."""
    return (
        len(data) >= 4
        and data[:2] == b"\x00\x00"
        and data[2] in ELEMENTS
        and 1 <= data[3] <= MAX_AXES
    )


def read_idx(path: str | os.PathLike[str], *, max_expansion: int = MAX_EXPANSION) -> NDArray[Any]:
    """The array in an IDX file, gzipped or not, in native byte order and read-only.

    Raises:
        DataError: it is not IDX, or its length is not what its header says.
        ResourceError: it would grow more than `max_expansion` times when decompressed.
    """
    return parse_idx(read_bytes(path), max_expansion=max_expansion)


def parse_idx(file: FileBytes, *, max_expansion: int = MAX_EXPANSION) -> NDArray[Any]:
    """As `read_idx`, from the bytes of a file."""
    zipped = looks_like(file.data) == "gzip"
    head = expand_gzip(file.data, file.name, stop_after=4 + 4 * MAX_AXES) if zipped else file.data
    dtype, shape, start = _header(head, file.name)
    expected = start + dtype.itemsize * math.prod(shape)
    data = file.data
    if zipped:
        if expected > max_expansion * len(data):
            raise ResourceError(
                f"header says {expected:,} bytes, more than {max_expansion}× the file "
                f"(limit max_expansion={max_expansion})",
                where=named(file.name),
            )
        data = expand_gzip(data, file.name, max_expansion=max_expansion)
    if len(data) != expected:
        sizes = " × ".join(f"{size:,}" for size in shape)
        fault = "truncated" if len(data) < expected else "longer than its header says"
        raise DataError(
            f"the file is {fault}: {sizes} elements need {expected:,} bytes, it has {len(data):,}",
            where=named(file.name),
        )
    if expected == start:
        return np.empty(shape, dtype.newbyteorder("="))
    values = np.frombuffer(data, dtype=dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(head: bytes, name: str) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Element type, shape, and where the elements begin."""
    if not is_idx(head):
        found = head[:4].hex(" ") or "nothing"
        raise DataError(
            f"this is not an IDX file: it begins with {found}, expected 00 00, an element type "
            "(08 for bytes) and the number of axes",
            where=named(name),
        )
    n_axes = head[3]
    start = 4 + 4 * n_axes
    if len(head) < start:
        raise DataError(
            f"the file is truncated: its header needs {start} bytes, it has {len(head)}",
            where=named(name),
        )
    return np.dtype(ELEMENTS[head[2]]), struct.unpack_from(f">{n_axes}I", head, 4), start


def labels_path(images: Path) -> Path | None:
    """The file of labels beside a file of images, gzipped or not; None if there is none.

    ``train-images-idx3-ubyte.gz`` → ``train-labels-idx1-ubyte.gz`` or ``train-labels-idx1-ubyte``.
    """
    return next((path for path in _label_candidates(images) if path.is_file()), None)


def _label_candidates(images: Path) -> list[Path]:
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    other = name.removesuffix(".gz") if name.endswith(".gz") else name + ".gz"
    return [images.with_name(n) for n in (name, other) if n != images.name]


def labels_not_found(images: Path) -> DataError:
    """The error for images without labels: says which files were looked for."""
    tried = [named(path.name) for path in _label_candidates(images) if "labels" in path.name]
    looked = (
        f"looked for {' and '.join(tried)} beside it"
        if tried
        else ("its name has no 'images' that 'labels' could replace")
    )
    return DataError(f"no labels found for {named(images.name)}: {looked}")


def check_images(images: NDArray[Any], name: str) -> None:
    """Raise DataError if the array is no set of images."""
    if images.ndim < 2:
        raise DataError(
            f"{named(name)} holds one number per example, not images",
            hint="Name the file of images; the labels beside it are found",
        )


def check_pair(
    images: NDArray[Any], labels: NDArray[Any], images_name: str, labels_name: str
) -> None:
    """Raise DataError unless there is one label for each image."""
    if labels.ndim != 1:
        raise DataError(f"{named(labels_name)} has {labels.ndim} axes, labels have 1")
    if len(images) != len(labels):
        raise DataError(
            f"{named(images_name)} has {len(images):,} images, "
            f"{named(labels_name)} has {len(labels):,} labels"
        )
