"""Compiled code on disk, so that the same program is compiled once on a machine.

What is stored runs as it is when it is loaded. So the directory must belong to the user alone, and
a file counts only if its digest is right and it says that it is what was asked for. Everything that
goes wrong here, a full disk or a damaged file, costs the time to compile and nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import stat
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chainrule.errors import ChainruleWarning

VARIABLE = "CHAINRULE_CACHE"  # names the directory, or says OFF
OFF = ("off", "0")
MAGIC = b"chainrule code 1"  # the number changes with the layout of a file
ENDING = ".code"
MOST_BYTES = 256 << 20  # of all files: some thousand networks
FORGOTTEN_S = 3600  # a file that was begun so long ago will not be finished
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_serial = itertools.count()


@dataclass(frozen=True)
class Entry:
    """One stored file: its size in bytes, and when it was last used, in seconds since 1970."""

    path: Path
    size: int
    used: float


class ObjectCache:
    """Files of object code in one directory, each under the digest of what it was made of.

    Several processes may use the directory at the same time.

    Args:
        folder: a private directory.
        most_bytes: what all files may take; those used longest ago are removed.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def get(self, key: str) -> bytes | None:
        """The code stored under a key of 64 hexadecimal digits; None if there is none.

        What is stored there and is not what was stored is removed.
        """
        path = self._path(key)
        try:
            data = _own_bytes(path, self.most_bytes)
            code = None if data is None else _verified(data, key)
            if code is None:
                path.unlink(missing_ok=True)
            else:
                os.utime(path)
        except OSError:
            return None
        return code

    def put(self, key: str, code: bytes) -> None:
        """Store code under a key, if there is room."""
        data = _header(key, code) + code
        if len(data) > self.most_bytes:
            return
        temporary = self.folder / f".{key}.{os.getpid()}.{next(_serial)}"
        try:
            try:
                _write_new(temporary, data)
                temporary.replace(self._path(key))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            self._make_room()
        except OSError:
            return

    def entries(self) -> list[Entry]:
        """What is stored, that which was used longest ago first."""
        found = [e for e in self._files() if e.path.name.endswith(ENDING)]
        return sorted(found, key=lambda e: e.used)

    def _files(self) -> Iterator[Entry]:
        """All files, those that are being written too."""
        with os.scandir(self.folder) as files:
            for file in files:
                try:
                    about = file.stat(follow_symlinks=False)
                except OSError:  # another process removed it
                    continue
                if stat.S_ISREG(about.st_mode):
                    yield Entry(Path(file.path), about.st_size, about.st_mtime)

    def _make_room(self) -> None:
        for e in list(self._files()):
            if e.path.name.startswith(".") and e.used < time.time() - FORGOTTEN_S:
                e.path.unlink(missing_ok=True)
        stored = self.entries()
        total = sum(e.size for e in stored)
        for e in stored:
            if total <= self.most_bytes:
                return
            e.path.unlink(missing_ok=True)
            total -= e.size

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{ENDING}"


def _header(key: str, code: bytes) -> bytes:
    """Of fixed length: the format, the key, how much follows, and the digest of what follows."""
    length = len(code).to_bytes(8, "little")
    return MAGIC + bytes.fromhex(key) + length + hashlib.sha256(code).digest()


def _verified(data: bytes, key: str) -> bytes | None:
    """The code in a file, if all of it is there and none of it has changed."""
    code = data[len(_header(key, b"")) :]
    return code if data.startswith(_header(key, code)) else None


def _own_bytes(path: Path, most: int) -> bytes | None:
    """A whole file; None if it is no file of ours.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_BINARY"))
    with open(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most or _foreign(about):
            return None
        return file.read(about.st_size)


def _write_new(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flag("O_NOFOLLOW") | _flag("O_BINARY")
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)


def _flag(name: str) -> int:
    """A flag of `os.open` where the system has it."""
    return int(getattr(os, name, 0))


def _foreign(about: os.stat_result) -> bool:
    """Whether others own it or may write to it. Windows keeps a user's folders private itself."""
    if not hasattr(os, "getuid"):
        return False
    return about.st_uid != os.getuid() or bool(about.st_mode & OTHERS_MAY_WRITE)


@dataclass(frozen=True)
class Opened:
    """What came of opening the cache.

    Attributes:
        cache: None where there is none.
        why: why not.
    """

    cache: ObjectCache | None
    why: str = ""


def opened() -> Opened:
    """The cache of this user, made if need be; warns once of a directory that it refuses."""
    return _opened(*(os.environ.get(name, "") for name in (VARIABLE, "XDG_CACHE_HOME", "HOME")))


@functools.cache
def _opened(asked: str, caches: str, _home: str) -> Opened:
    if asked.lower() in OFF:
        return Opened(None, f"off ({VARIABLE}={asked})")
    try:
        folder = Path(asked) if asked else _default(caches)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except (OSError, RuntimeError) as error:  # no home, or nothing can be written there
        return Opened(None, f"off: {error}")
    problem = ""
    if not stat.S_ISDIR(about.st_mode):
        problem = "is a link, not a directory"
    elif _foreign(about):
        problem = "belongs to another user, or others may write to it (chmod 700 makes it private)"
    if not problem:
        return Opened(ObjectCache(folder))
    what = f"{folder} {problem}: compiled code is neither kept nor taken there"
    hint = f"Name another with {VARIABLE}, or {VARIABLE}=off"
    warnings.warn(f"{what}. {hint}", ChainruleWarning, stacklevel=2)
    return Opened(None, f"refused: {folder} {problem}")


def _default(caches: str) -> Path:
    """As the XDG Base Directory Specification says: a path that is not absolute is ignored."""
    base = Path(caches) if os.path.isabs(caches) else Path.home() / ".cache"
    return base / "chainrule" / "code"
