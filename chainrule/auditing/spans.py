"""Pieces of a formula's text: where they stand, how they are cut out, and what may be put in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chainrule.texmath.tree import Add, Hadamard, Negative, Node, Product, Span, Symbol

_TRANSPOSES = (
    r"^\intercal",
    r"^\top",
    r"^{\top}",
    r"^{\mathsf{T}}",
    r"^{\mathrm{T}}",
    r"^{T}",
    "^T",
    ".T",
)
_OPEN = re.compile(r"(\\left\s*|\\big[lg]?\s*|\\Big[lg]?\s*)?[(\[]\s*$")
_CLOSE = re.compile(r"\s*(\\right\s*|\\big[rg]?\s*|\\Big[rg]?\s*)?[)\]]")
_SIZE = re.compile(r"\\(left|big[lg]?|Big[lg]?)\s*$")
_AFTER = re.compile(
    r"\s*\^\s*(?!\{\s*[\[(])(?!\()|\.T\b|ᵀ|\s*\^\s*\{\s*\\(top|intercal|mathsf|mathrm)|\s*\^\s*\\(top|intercal)"
)


@dataclass(frozen=True)
class Edit:
    """A changed text, and the mistake that it mends."""

    text: str
    mistake: str


@dataclass(frozen=True)
class Vocabulary:
    """What a change may put in.

    Attributes:
        symbols: names as the document writes them, by key.
        slopes: (what is missing, text) of derivatives of activations, as the document writes them.
        scales: texts of factors such as 1/m.
        transpose: how the document writes a transpose.
        like: keys of the symbols of the same shape, by key.
        counting: letters below a symbol that count layers.
    """

    symbols: dict[str, str]
    slopes: tuple[tuple[str, str], ...]
    scales: tuple[str, ...]
    transpose: str
    like: Mapping[str, Sequence[str]]
    counting: frozenset[str] = frozenset()


def transpose_in(texts: Sequence[str]) -> str:
    """How a document writes a transpose."""
    for text in texts:
        for mark in _TRANSPOSES:
            if mark in text:
                return mark
    return r"^\intercal"


def below(root: Node) -> Iterator[Node]:
    """Every node, those in subscripts excepted."""
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, Symbol):
            todo.extend(reversed(node.parts))


def name_span(text: str, node: Symbol) -> Span:
    """Where a name stands, without a transpose or power after it."""
    begin, end = node.at
    depth, at = 0, begin
    while at < end:
        character = text[at]
        depth += (character in "{([") - (character in "})]")
        if depth == 0 and at > begin and (_AFTER.match(text, at) or character == "'"):
            break
        at += 1
    return begin, begin + len(text[begin:at].rstrip())


def cut(text: str, span: Span, new: str) -> str:
    """The text with something else in a place."""
    return text[: span[0]] + new + text[span[1] :]


def wide(text: str, node: Node) -> Span:
    """Where a factor stands, its brackets included."""
    if isinstance(node, Symbol):
        return name_span(text, node)
    begin, end = node.at
    size = _SIZE.search(text[:begin])
    begin = size.start() if size else begin
    if isinstance(node, Add | Negative | Hadamard | Product):
        before, after = _OPEN.search(text[:begin]), _CLOSE.match(text, end)
        if before and after:
            return before.start(), after.end()
    return begin, end


def bracketed(text: str) -> str:
    """The text in brackets, as large as those that it uses."""
    return rf"\left({text}\right)" if r"\left" in text else f"({text})"
