"""Which indices a formula leaves free, and how far an index runs."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.texmath import tree
from chainrule.texmath.lookup import Given, meaning


def free_indices(node: tree.Node, given: Given) -> dict[str, int]:
    """Indices that no Σ binds, in the order of the text, and how far they run."""
    found: dict[str, int] = {}
    for name, size in running(node, given):
        found.setdefault(name, size)
    return found


def running(node: tree.Node, given: Given) -> Iterator[tuple[str, int]]:
    """Every index that a formula leaves free, with the size of the axis along which it runs."""
    todo: list[tuple[tree.Node, frozenset[str]]] = [(node, frozenset())]
    while todo:
        at, bound = todo.pop()
        if isinstance(at, tree.Symbol):
            yield from ((i, n) for i, n in _along(at, given) if i not in bound)
            continue
        if isinstance(at, tree.Summation):
            bound = bound | set(at.index)
        todo.extend((x, bound) for x in reversed(at.parts))


def _along(symbol: tree.Symbol, given: Given) -> Iterator[tuple[str, int]]:
    """The indices of one symbol and the sizes of the axes of what they are indices of."""
    found = meaning(symbol, given, {})
    if found is None:
        return
    name, below, example = found
    array = given.arrays[name]
    shape = array.shape
    if len(below) == 1 and example is None and array.ndim == 2 and 1 in shape:
        shape = (array.size,)
    pieces = list(below)
    if example is not None:
        pieces.append(example)
        if given.examples == "rows":
            shape = shape[::-1]
        if not below:
            shape = shape[-1:]
    for piece, size in zip(pieces, shape, strict=False):
        if isinstance(piece, tree.Symbol) and piece.key not in given.arrays:
            yield piece.key, size
