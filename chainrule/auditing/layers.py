r"""Equations for every layer at once: ``z^l = w^l a^{l-1} + b^l`` is three equations where L is 3.

A letter counts layers if it stands above a symbol (``a^{(l)}``, ``W^{[l]}``) or if something below
is written with the next or the one before (``h_{i-1}``). The letter of the last layer is the
number of layers. What results are texts again, so whatever is done to a text (a single change, say)
is done for every layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from chainrule.auditing.notation import COUNT

_ABOVE = re.compile(r"\^\s*\{\s*[\[(]\s*([A-Za-z]|\\ell)\s*(?:([+-])\s*(\d))?\s*[\])]\s*\}")
_BELOW = re.compile(r"_\s*\{\s*([A-Za-z]|\\ell)\s*([+-])\s*(\d)\s*\}")
_FIRST = re.compile(r"(?<=[A-Za-z])\^\s*(?:\{\s*)?([01])(?![\d.])(?:\s*\})?")
_LAST = {"L", "N", "K", "D", "n", r"\ell"}
_SUMMED = re.compile(r"(?:\\sum|∑|\\prod)\s*(?:\\limits)?\s*_\s*(?:\{\s*([a-z])|([a-z]))")


@dataclass(frozen=True)
class Layers:
    """Letters that count layers in one part of a document.

    Attributes:
        above, below: letters that count, where they stand above or below a symbol.
        last: letters for the number of layers.
    """

    above: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()

    def instances(self, texts: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
        """The sides of an equation for every layer for which it says something.

        Returns:
            (what the letter is, the sides); ("", the sides as they are) for one without a letter.
        """
        sides = tuple(self._numbered(text, self.last, COUNT) for text in texts)
        if self.above:  # a^0 is no power
            sides = tuple(_FIRST.sub(r"^{(\1)}", side) for side in sides)
        letters = [
            v for v in sorted(self.above | self.below) if any(self._uses(s, v) for s in sides)
        ]
        if not letters:
            return [("", sides)]
        letter = letters[0]
        offsets = [o for side in sides for o in self._offsets(side, letter)]
        found = []
        for layer in range(1, COUNT + 1):
            if layer + max(offsets) <= COUNT and layer + min(offsets) >= 0:
                new = tuple(self._numbered(side, {letter}, layer) for side in sides)
                found.append((f"{letter} = {layer}", new))
        return found

    def _patterns(self, letter: str) -> list[re.Pattern[str]]:
        name = re.escape(letter)
        tail = r"\s*(?:([+-])\s*(\d))?\s*"
        found = []
        if letter in self.above | self.last:
            found.append(re.compile(rf"(\^\s*\{{\s*[\[(])\s*{name}{tail}([\])]\s*\}})"))
        if letter in self.below | self.last:
            found.append(re.compile(rf"(_\s*\{{)\s*{name}{tail}(\}})"))
            found.append(re.compile(rf"(_\s*){name}()()(?![A-Za-z])()"))
        return found

    def _uses(self, text: str, letter: str) -> bool:
        return any(p.search(text) for p in self._patterns(letter))

    def _offsets(self, text: str, letter: str) -> list[int]:
        return [
            int((m[2] or "+") + (m[3] or "0"))
            for pattern in self._patterns(letter)
            for m in pattern.finditer(text)
        ]

    def _numbered(self, text: str, letters: Iterable[str], number: int) -> str:
        for letter in letters:
            for pattern in self._patterns(letter):
                text = pattern.sub(
                    lambda m: f"{m[1]}{number + int((m[2] or '+') + (m[3] or '0'))}{m[4]}", text
                )
        return text


def layers(texts: Iterable[str]) -> Layers:
    r"""Which letters count layers in these sides of equations.

    >>> found = layers([r"z^{(l)}", r"w^{(l)} a^{(l-1)} + b^{(l)}", "C", r"(y - a^{(L)})^2"])
    >>> [sides for _, sides in found.instances([r"\delta^{(l)}", r"\delta^{(l+1)}"])]
    [('\\delta^{(1)}', '\\delta^{(2)}'), ('\\delta^{(2)}', '\\delta^{(3)}')]
    """
    texts = list(texts)
    summed = {m[1] or m[2] for text in texts for m in _SUMMED.finditer(text)}
    above = {m[1] for text in texts for m in _ABOVE.finditer(text)} - summed
    below = {m[1] for text in texts for m in _BELOW.finditer(text)} - summed
    counting = {v for v in above | below if v not in _LAST or v == "n"}
    last = (above | below) & {"L", r"\ell", "N", "K", "D"}
    if below:
        bases = {m[1] for text in texts for v in below for m in _based(text, v)}
        for text in texts:
            for letter in _LAST - counting:
                if any(m[1] in bases for m in _based(text, letter)):
                    last.add(letter)
    return Layers(frozenset(above & counting), frozenset(below & counting), frozenset(last))


def _based(text: str, letter: str) -> Iterable[re.Match[str]]:
    name = re.escape(letter)
    return re.finditer(rf"(\\?[A-Za-z]+)\s*_\s*(?:{name}(?![A-Za-z])|\{{\s*{name}\s*[+\-}}])", text)
