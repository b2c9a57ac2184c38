"""Bytes of a data file: found, read whole, watched for change, expanded within limits, recognised.

Nothing here looks inside a file further than its first bytes. What could run code when opened is
refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from chainrule.errors import (
    DataError,
    DataFileNotFoundError,
    ResourceError,
    UnsafeFileError,
    did_you_mean,
)
from chainrule.io.wording import named

CHUNK = 1 << 20
MAX_EXPANSION = 100
# Below this much text a high ratio is ordinary (a short file of zeros) and harms nobody.
HARMLESS_EXPANDED_BYTES = 1 << 20

# First bytes of formats that are not tables of text; sources: the formats' own specifications.
MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x93NUMPY", "NumPy .npy"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF", "PDF"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"\xd0\xcf\x11\xe0", "old Excel or Word"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
# PROTO opcode with protocols 2 to 5 (PEP 307, 3154, 574); older protocols have no signature.
PICKLE = tuple(b"\x80" + bytes([protocol]) for protocol in (2, 3, 4, 5))


class FileBytes(NamedTuple):
    """A file as it was read: its name, its bytes and their SHA-256 in hexadecimal."""

    name: str
    data: bytes
    sha256: str


def read_bytes(
    path: str | os.PathLike[str], *, watch: Callable[[bytes], None] | None = None
) -> FileBytes:
    """Read a whole file once.

    Args:
        path: a regular file.
        watch: is shown each chunk as it is read and may raise, so that a hopeless file is left
            early.

    Raises:
        DataFileNotFoundError: there is no such file; the message names a similar one beside it.
        DataError: it is not a regular file, cannot be read, or changed while it was read.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            return _read_stream(stream, file.name, watch)
    except FileNotFoundError:
        raise not_found(file) from None
    except IsADirectoryError:
        raise DataError(f"{named(str(path))} is a directory, not a data file") from None
    except DataError:  # a ValueError too, but said already
        raise
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise DataError(f"{named(str(path))} cannot be read: {reason}") from problem


def _read_stream(stream: BinaryIO, name: str, watch: Callable[[bytes], None] | None) -> FileBytes:
    before = os.fstat(stream.fileno())
    if not stat.S_ISREG(before.st_mode):
        raise DataError(f"{named(name)} is not a regular file", hint="Save its content first")
    chunks, digest = [], hashlib.sha256()
    while chunk := stream.read(CHUNK):
        if watch is not None:
            watch(chunk)
        digest.update(chunk)
        chunks.append(chunk)
    after = os.fstat(stream.fileno())
    data = b"".join(chunks)
    if not before.st_size == len(data) == after.st_size:
        size = after.st_size if after.st_size != before.st_size else len(data)
        sizes = f"size {before.st_size:,} → {size:,}"
        raise DataError(f"file changed while being read ({sizes})", where=named(name))
    if before.st_mtime_ns != after.st_mtime_ns:
        raise DataError("file changed while being read (same size, written to)", where=named(name))
    return FileBytes(name, data, digest.hexdigest())


def not_found(path: Path, also: tuple[str, ...] = ()) -> DataFileNotFoundError:
    """The error for a file that does not exist, with a similar name from its folder or `also`."""
    folder = path.parent
    try:
        beside = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return DataFileNotFoundError(
            f"data file {named(path.name)} not found: there is no folder {named(str(folder))}"
        )
    return DataFileNotFoundError(
        f"data file {named(path.name)} not found in {folder.resolve()}",
        hint=did_you_mean(path.name, (*beside, *also)),
    )


def expand_gzip(
    data: bytes,
    name: str,
    *,
    max_expansion: int = MAX_EXPANSION,
    stop_after: int | None = None,
    watch: Callable[[bytes], None] | None = None,
) -> bytes:
    """The content of gzip data (all its members), at most `max_expansion` times its size.

    `stop_after` ends early, once that many bytes are there (the last chunk may pass it).
    """
    limit = max(max_expansion * len(data), HARMLESS_EXPANDED_BYTES)
    chunks: list[bytes] = []
    total, rest = 0, data
    try:
        while rest:
            member = zlib.decompressobj(wbits=31)  # 31: a gzip header and checksum are required
            while not member.eof and (stop_after is None or total < stop_after):
                chunk = member.decompress(rest, CHUNK)
                rest = member.unconsumed_tail
                if not chunk and not rest and not member.eof:
                    raise DataError("the gzip data ends too early", where=named(name))
                total += len(chunk)
                if total > limit:
                    raise ResourceError(
                        f"decompressed size passed {max_expansion}× the file "
                        f"(limit max_expansion={max_expansion})",
                        where=named(name),
                    )
                if watch is not None:
                    watch(chunk)
                chunks.append(chunk)
            rest = member.unused_data.lstrip(b"\x00") if member.eof else b""
    except zlib.error as problem:
        raise DataError(f"damaged gzip data ({problem})", where=named(name)) from None
    return b"".join(chunks)


def looks_like(data: bytes) -> str:
    """What the first bytes say the file is, or "" if they say nothing."""
    if data.startswith(PICKLE):
        return "pickle"
    return next((kind for magic, kind in MAGIC if data.startswith(magic)), "")


def refuse_pickle(
    data: bytes, name: str, convert: str = 'numpy.savez("data.npz", X=X, y=y)'
) -> None:
    """Raise UnsafeFileError if the bytes are a pickle, or a zip file with one, as PyTorch writes.

    Decided by content, not by the ending of the name. `convert` is the call that the message
    recommends.
    """
    archive_of_pickles = looks_like(data) == "zip" and b"/data.pkl" in data
    if data.startswith(PICKLE) or archive_of_pickles:
        raise UnsafeFileError(
            f"{named(name)} is a pickle: loading it can run arbitrary code, "
            "so chainrule never does",
            hint=f"Convert it where you trust it: {convert}",
        )
