"""NumPy's .npy and .npz files, read without numpy.load: no pickle, sizes checked before allocating.

Source of the format: NumPy Enhancement Proposal 1.
"""

from __future__ import annotations

import io
import lzma
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ChainruleError, DataError, ResourceError, UnsafeFileError
from chainrule.io.files import (
    HARMLESS_EXPANDED_BYTES,
    MAX_EXPANSION,
    FileBytes,
    looks_like,
    refuse_pickle,
)
from chainrule.io.wording import listed, named, quoted

# What numpy.save writes for arrays of plain elements, and nothing else that its reader would take.
HEADER = re.compile(
    r"\{'descr': '(?P<descr>[<>|=][biufcOSUVMm][0-9]{0,9}(?:\[[0-9A-Za-zμ]{1,9}\])?)', "
    r"'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:[0-9]{1,19},? ?){0,32})\), \}\s*"
)
MAX_HEADER_BYTES = 10_000
X_KEYS = ("X", "x", "images", "data")
Y_KEYS = ("y", "labels", "target")
# All that the zip and decompression modules raise on damaged input (found by changing bytes).
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


def parse_npy(data: bytes, name: str) -> NDArray[Any]:
    """The array in the bytes of a .npy file, read-only.

    Raises:
        UnsafeFileError: it holds Python objects, which only a pickle can store.
        DataError: the header is damaged, or the length is not what it says.
    """
    header, start = _header(data, name)
    match = HEADER.fullmatch(header)
    if match is None:
        records = " (records are not supported)" if "'descr': [" in header else ""
        raise DataError(
            f".npy header not understood{records}: {quoted(header.strip(), 80)}", where=named(name)
        )
    shape = tuple(int(size) for size in match["shape"].replace(",", " ").split())
    if match["descr"].startswith("|O"):
        raise UnsafeFileError(
            f"{named(name)} holds Python objects, that is a pickle: loading it can run arbitrary "
            "code, so chainrule never does",
            hint="Save numbers or text: X.astype(float)",
        )
    try:
        dtype = np.dtype(match["descr"])
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"no such dtype: {quoted(match['descr'])}", where=named(name)) from None
    return _elements(data, name, start, shape, dtype, match["fortran"] == "True")


def _header(data: bytes, name: str) -> tuple[str, int]:
    """The text of a .npy header and where the elements begin."""
    major = data[6] if len(data) > 6 else 0
    prefix = {1: "<H", 2: "<I", 3: "<I"}.get(major)
    first = 8 + (struct.calcsize(prefix) if prefix else 0)
    if not is_npy(data) or prefix is None or len(data) < first:
        raise DataError("damaged .npy header", where=named(name))
    (length,) = struct.unpack_from(prefix, data, 8)
    if first + length > min(len(data), MAX_HEADER_BYTES):
        raise DataError(f"damaged .npy header ({length:,} bytes long)", where=named(name))
    return data[first : first + length].decode("utf-8", "replace"), first + length


def _elements(
    data: bytes, name: str, start: int, shape: Sequence[int], dtype: np.dtype[Any], fortran: bool
) -> NDArray[Any]:
    expected = dtype.itemsize * math.prod(shape)
    # Elements of no size would let a small file stand for any number of them.
    countable = dtype.itemsize > 0 and max(shape, default=0) < 2**62
    if not countable or len(data) - start != expected:
        raise DataError(
            f"the file is damaged: shape {tuple(shape)} of {dtype} needs {expected:,} bytes after "
            f"the header, it has {len(data) - start:,}",
            where=named(name),
        )
    if expected == 0:
        return np.empty(shape, dtype)
    flat = np.frombuffer(data, dtype=dtype, offset=start)
    return flat.reshape(shape, order="F" if fortran else "C")


def is_npy(data: bytes) -> bool:
    """Whether the bytes begin as a .npy file does."""
    return looks_like(data) == "NumPy .npy"


def parse_npz(file: FileBytes, *, max_expansion: int = MAX_EXPANSION) -> dict[str, NDArray[Any]]:
    """All arrays of a .npz file by key. Raises as `parse_npy`, and ResourceError for a zip bomb."""
    refuse_pickle(file.data, file.name)
    try:
        contents = _entries(file, max_expansion)
    except ChainruleError:
        raise
    except DAMAGE as problem:
        raise DataError(f"damaged .npz file ({problem})", where=named(file.name)) from None
    return {key: parse_npy(content, f"{file.name}[{key}]") for key, content in contents.items()}


def _entries(file: FileBytes, max_expansion: int) -> dict[str, bytes]:
    """The bytes under each key, together at most `max_expansion` times the file."""
    budget = max(max_expansion * len(file.data), HARMLESS_EXPANDED_BYTES)
    contents = {}
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        _check_entries(archive, file.name)
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                content = stream.read(budget + 1)
            budget -= len(content)
            if budget < 0:
                raise ResourceError(
                    f"decompressed size passed {max_expansion}× the file "
                    f"(limit max_expansion={max_expansion})",
                    where=named(file.name),
                )
            contents[entry.filename.removesuffix(".npy")] = content
    return contents


def _check_entries(archive: zipfile.ZipFile, name: str) -> None:
    names = archive.namelist()
    foreign = [entry for entry in names if not entry.endswith(".npy")]
    if foreign:
        excel = " (an Excel workbook: save it as CSV)" if "[Content_Types].xml" in names else ""
        raise DataError(
            f"this zip file is not an .npz file{excel}: it holds {listed(foreign, 3)}",
            where=named(name),
        )


def pick(
    arrays: Mapping[str, NDArray[Any]], keys: Sequence[str], what: str, name: str
) -> NDArray[Any]:
    """The array under the first of `keys` that is there. Raises DataError listing the keys."""
    for key in keys:
        if key in arrays:
            return arrays[key]
    raise DataError(
        f"no array named {' or '.join(keys)} for the {what}. Keys: {listed(sorted(arrays))}",
        where=named(name),
    )
