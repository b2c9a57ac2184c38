"""Files that are either whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from chainrule.errors import UnsafeFileError

# First bytes of what frameworks save and loading could run code from, or is no safetensors file.
UNSAFE = (
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"PK\x03\x04", "a zip archive, as torch.save and Keras write"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that `path` holds either what it held before or all of `data`.

    Raises:
        OSError: it could not be written; what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself last; systems that cannot open folders do so on their own."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems refuse to; the file itself is on disk
    finally:
        os.close(handle)


def refuse_unsafe(data: bytes, name: str) -> None:
    """Raise UnsafeFileError if the content is of a format that can run code, whatever its name."""
    if data[8:9] == b"{":  # safetensors: its first bytes are a length, which may be 80 02
        return
    for magic, kind in UNSAFE:
        if data.startswith(magic):
            hint = "Convert it where you trust it: safetensors.torch.save_file(...)"
            what = f"{name!r} is {kind}: loading it can run arbitrary code, so chainrule never does"
            raise UnsafeFileError(what, hint=hint)
