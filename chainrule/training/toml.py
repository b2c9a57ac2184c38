"""TOML as run files use it: tables of plain values. Reading is `tomllib`'s.

Written here because the standard library reads TOML and does not write it, and what is needed is
twenty lines: one level of tables, text, numbers and truth values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

Plain = str | bool | int | float
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dumps(document: Mapping[str, Plain | Mapping[str, Plain]]) -> str:
    """The text of a document: plain values first, then one table for each mapping.

    >>> print(dumps({"format": 1, "model": {"file": "a.b", "scale": 1e-08, "done": True}}))
    format = 1
    <BLANKLINE>
    [model]
    file = "a.b"
    scale = 1e-08
    done = true
    <BLANKLINE>
    """
    top = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    parts = [_lines(top)]
    for key, value in document.items():
        if isinstance(value, Mapping):
            parts.append(f"[{_key(key)}]\n{_lines(value)}")
    return "\n".join(part for part in parts if part)


def _lines(table: Mapping[str, Plain]) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Plain) -> str:
    if isinstance(value, str):
        # JSON's escapes are TOML's too; TOML also wants DEL escaped, which JSON does not
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return repr(float(value)) if math.isfinite(value) else str(float(value))
