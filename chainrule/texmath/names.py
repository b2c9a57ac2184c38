"""Canonical names: one spelling for every way in which a symbol is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from chainrule.texmath.characters import ACCENTS, ENDINGS, GREEK

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_NUMBERED = re.compile(r"(d?[A-Za-z])([0-9]+)")
_ENDING = re.compile(rf"(d?[A-Za-z])({'|'.join(ENDINGS)})")


def of_word(word: str) -> str:
    """The canonical name of a word: W1 → W_1, yhat → y_hat, z_1_hat → z_hat_1.

    >>> of_word("W1"), of_word("y_hat"), of_word("w_out"), of_word("hidden1"), of_word("ŷ")
    ('W_1', 'y_hat', 'w_out', 'hidden1', 'y_hat')
    """
    word = _without_accent(GREEK.get(word, word))
    if not _IDENTIFIER.fullmatch(word):
        return word
    base, *rest = word.split("_")
    numbered, ending = _NUMBERED.fullmatch(base), _ENDING.fullmatch(base)
    if numbered:
        base, rest = numbered[1], [numbered[2], *rest]
    elif ending:
        base, rest = ending[1], [ending[2], *rest]
    accents = [part for part in rest if part in ENDINGS]
    return "_".join([base, *accents, *(part for part in rest if part not in ENDINGS)])


def _without_accent(word: str) -> str:
    """A letter with a mark above as a word: ŷ → y_hat."""
    apart = unicodedata.normalize("NFD", word)
    letter, mark = apart[:1], apart[1:]
    return f"{GREEK.get(letter, letter)}_{ACCENTS[mark]}" if mark in ACCENTS else word


def whole(base: str, below: Iterable[str], layer: str = "") -> str:
    """The key of a symbol: base, subscripts, what stands above in brackets."""
    name = "_".join([base, *below])
    return f"{name}^({layer})" if layer else name
