"""Results to standard output, all else to standard error, in characters that they can show."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from chainrule.errors import ChainruleError, CheckpointError

# Arguments that are also options, as hints write them: name=value, name="a" | "b", name=["a"].
_ARGUMENT = re.compile(
    r"\b(sep|decimal|encoding|na_values|on_bad_rows|max_line_bytes|max_expansion|missing|unknown"
    r"|task|target|validation|test|overwrite|leave_out)="
    r'(\[[^\]]*\]|"[^"]*"(?: \| "[^"]*")*|\w+|…)'
)


def prepare() -> None:
    """Let both streams write any character: what their encoding lacks comes out as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def close(code: int) -> int:
    """Flush standard output; returns `code`. A reader that has gone is nobody's error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer has no reader: Python must not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def show(text: str = "") -> None:
    """One result, on standard output, without anything that a terminal would obey."""
    print(safe(text))


def show_json(value: object) -> None:
    """A result as JSON on standard output; numbers that are not finite become null."""
    print(json_text(value))


def json_text(value: object) -> str:
    """A value as indented JSON, in characters that standard output has."""
    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    return json.dumps(_plain(value), indent=2, ensure_ascii=not unicode, allow_nan=False)


def _plain(value: Any) -> Any:
    """The value as JSON knows it: no NumPy types, no infinities."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def note(text: str) -> None:
    """Something worth saying that is no result, on standard error."""
    print(safe(text), file=sys.stderr)


def complain(text: str) -> None:
    """An error, on standard error, in one message."""
    note(f"chainrule: {as_options(text)}")


def complain_json(error: ChainruleError) -> None:
    """The error for programs that asked for JSON, on standard output."""
    parts = {"code": error.code, "message": as_options(str(error))}
    parts |= {"where": error.where, "hint": as_options(error.hint)}
    show_json({"error": {**parts, "exit_code": error.exit_code}})


def complain_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line on standard error (the signature is that of `warnings.showwarning`)."""
    note(f"warning: {as_options(str(message))}")


def as_options(text: str) -> str:
    """What a message says about arguments of functions, as options of the command line.

    >>> as_options('choose missing="drop" | "mean"; use sep=";", decimal=","')
    'choose --missing drop|mean; use --sep ";", --decimal ","'
    """
    return _ARGUMENT.sub(_option, text)


def _option(match: re.Match[str]) -> str:
    name, value = match[1].replace("_", "-"), match[2]
    if name == "overwrite":
        return "--overwrite"
    if value == "None":
        return f"--{name} 0"
    listed = ",".join(re.findall(r'"([^"]*)"', value)) if value.startswith("[") else ""
    plain = listed or value.replace('" | "', "|").strip('"')
    if not re.fullmatch(r"[\w|./…-][\w|./…,-]*", plain):
        plain = f'"{plain}"'
    return f"--{name}={plain}" if plain.startswith("-") else f"--{name} {plain}"


def safe(text: str) -> str:
    r"""`text` without anything that a terminal would obey, line breaks and tabs excepted.

    >>> safe("a\x1b[2Jb.csv")
    'a\\x1b[2Jb.csv'
    """
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def write(text: str, path: Path | None) -> None:
    """Put a result into a file, or on standard output if `path` is None.

    Raises:
        CheckpointError: the file cannot be written.
    """
    if path is None:
        show(text)
        return
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as problem:
        what = f"{safe(repr(str(path)))} cannot be written: {problem.strerror or problem}"
        raise CheckpointError(what) from problem


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
) -> str:
    """Columns under their names, as wide as needed; those in `right` are aligned to the right.

    >>> print(table(["layer", "units"], [["h_1", "64"], ["c", "10"]], right=[1]))
    layer  units
    h_1       64
    c         10
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(width(line[i]) for line in lines) for i in range(len(head))]

    def padded(text: str, i: int) -> str:
        gap = " " * (widths[i] - width(text))
        return gap + text if i in right else text + gap

    texts = ["  ".join(padded(x, i) for i, x in enumerate(line)).rstrip() for line in lines]
    return "\n".join(texts)


def too_wide(text: str) -> bool:
    """Whether standard output is a terminal that would break lines of the text."""
    room = shutil.get_terminal_size().columns
    return sys.stdout.isatty() and any(width(line) > room for line in text.splitlines())


def columns(most: int = 100) -> int:
    """How many columns a text may take: those of the terminal, 80 where there is none."""
    return max(40, min(most, shutil.get_terminal_size(fallback=(80, 24)).columns))


def width(text: str) -> int:
    """How many columns a text takes: accents stand above the character before them."""
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
