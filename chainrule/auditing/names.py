"""Canonical names for a reader."""

from __future__ import annotations

import unicodedata

from chainrule.texmath.characters import GREEK_LETTERS

_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "dot": "\u0307"}


def pretty(key: str) -> str:
    """A canonical name for a reader: y_hat → ŷ.

    >>> pretty("y_hat"), pretty("W_1"), pretty("delta^(l)"), pretty("a^(l-1)")
    ('ŷ', 'W_1', 'δ^l', 'a^(l-1)')
    """
    head, _, layer = key.partition("^(")
    base, *rest = head.split("_")
    base = GREEK_LETTERS.get(base, base)
    while rest and rest[0] in _ACCENTS:
        base += _ACCENTS[rest.pop(0)]
    above = f"^{layer.rstrip(')')}" if len(layer) == 2 else f"^({layer}" if layer else ""
    return unicodedata.normalize("NFC", "_".join([base, *rest])) + above
