"""Bytes of a text file to text: lines of bounded length, no NUL, no guessed encoding."""

from __future__ import annotations

import codecs

from chainrule.errors import DataError, ParameterError, ResourceError
from chainrule.io.files import looks_like

BOMS_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What an ordinary spreadsheet cannot write on one line; far below what exhausts memory.
MAX_LINE_BYTES = 16 * 2**20


class LineLimit:
    """Watches chunks of a file go by and raises once a line is longer than `max_bytes`.

    Files that are plainly not text by their first chunk are let pass: they have no lines.
    """

    def __init__(self, where: str, max_bytes: int = MAX_LINE_BYTES) -> None:
        self.where, self.max_bytes = where, max_bytes
        self.line, self.length = 1, 0
        self.applies: bool | None = None

    def __call__(self, chunk: bytes) -> None:
        """See the next chunk. Raises ResourceError."""
        if self.applies is None:
            self.applies = not looks_like(chunk) and b"\x00" not in chunk
        if self.applies:
            for start in range(0, len(chunk), self.max_bytes):
                self._piece(chunk[start : start + self.max_bytes])

    def _piece(self, piece: bytes) -> None:
        # A piece is no longer than a line may be: only its first line can be too long.
        ends = [i for i in (piece.find(b"\n"), piece.find(b"\r")) if i >= 0]
        if self.length + (min(ends) if ends else len(piece)) > self.max_bytes:
            raise ResourceError(
                f"line {self.line:,} is longer than {_size(self.max_bytes)} (max_line_bytes); "
                "is the separator right?",
                where=self.where,
            )
        feeds = piece.count(b"\n")
        self.line += feeds or piece.count(b"\r")
        if ends:
            self.length = len(piece) - 1 - max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        else:
            self.length += len(piece)


def _size(n_bytes: int) -> str:
    return f"{n_bytes >> 20} MiB" if n_bytes % (1 << 20) == 0 else f"{n_bytes:,} bytes"


def decode(data: bytes, encoding: str, where: str) -> str:
    """The text of a file; a byte order mark is removed.

    Raises:
        DataError: the bytes are not text in this encoding; says where and which encoding it may be.
        ParameterError: there is no such text encoding.
    """
    codec = _codec_name(encoding)
    wide = codec.startswith(("utf-16", "utf-32"))
    if not wide:
        _refuse_binary(data, where)
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as problem:
        raise _undecodable(problem, data, encoding, where) from None
    except UnicodeError as problem:
        raise DataError(f"not {encoding} text ({problem})", where=where) from None
    if wide and "\x00" in text:
        at = text.index("\x00")
        raise DataError(f"NUL character at position {at}: this is not a text file", where=where)
    return text.removeprefix("\ufeff")


def _codec_name(encoding: str) -> str:
    try:
        "".encode(encoding)  # refuses the codecs that are not text encodings, such as "zlib"
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError):
        raise ParameterError(
            f"encoding {encoding!r} is not known", hint='For example "utf-8", "latin-1", "utf-16"'
        ) from None


def _refuse_binary(data: bytes, where: str) -> None:
    if data.startswith(BOMS_UTF16):
        raise DataError(
            f'file looks like UTF-16 (BOM {data[0]:02x} {data[1]:02x}): encoding="utf-16"',
            where=where,
        )
    at = data.find(b"\x00")
    kind = looks_like(data)
    if at >= 0:
        if not kind and len(data) >= 4 and data[1:4:2] == b"\x00\x00" and data[0] and data[2]:
            kind = 'UTF-16 without BOM, encoding="utf-16-le"'
        hint = f" (looks like: {kind})" if kind else ""
        raise DataError(f"NUL byte at offset {at}: this is not a text file{hint}", where=where)
    if kind:
        raise DataError(f"this is not a text file (looks like: {kind})", where=where)


def _undecodable(problem: UnicodeDecodeError, data: bytes, encoding: str, where: str) -> DataError:
    before = data[: problem.start]
    line = before.count(b"\n") + 1
    start = before.rfind(b"\n") + 1
    # Characters of a line, not bytes: what an editor shows as the column.
    column = len(before[start:].decode(encoding, "replace")) + 1
    utf8 = codecs.lookup(encoding).name == "utf-8"
    return DataError(
        f"line {line} column {column}: byte 0x{data[problem.start]:02x} is not "
        f"{'UTF-8' if utf8 else encoding}",
        where=where,
        hint='If the file is Latin-1 use encoding="latin-1"' if utf8 else "",
    )
