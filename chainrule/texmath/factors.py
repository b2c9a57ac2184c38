"""The factors of a product: names, numbers, brackets, fractions, roots, sums, norms."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.texmath import tree
from chainrule.texmath.limits import refused
from chainrule.texmath.marks import index_item, piece, postfix, subscript
from chainrule.texmath.naming import (
    derivative,
    differential,
    marked,
    named,
    one_letter,
    plain_name,
    word_or_call,
)
from chainrule.texmath.parser import CLOSING, Reader

_FRACTIONS = ("frac", "tfrac", "dfrac", "cfrac")


def primary(r: Reader) -> tree.Node:
    """One factor with everything that hangs on it."""
    token = r.now
    start = token.start
    if token.kind in ("symbol", "accent"):
        return named(r)
    if token.kind == "word":
        return word_or_call(r)
    if token.kind == "d":
        return postfix(r, differential(r), start)
    if token.kind == "number":
        r.take()
        return postfix(r, tree.Number(float(token.text), at=r.span(start)), start)
    if token.kind == "ones":
        return _ones(r)
    if token.kind == "command":
        return _command(r)
    reading = _SIGNS.get(token.text) if token.kind == "sign" else None
    if reading is None:
        raise r.unexpected("a number, a name or a bracket")
    return reading(r)


def _group(r: Reader) -> tree.Node:
    start, opening = r.now.start, r.take().text
    node = r.group(opening)
    if opening == "{" and isinstance(node, tree.Symbol) and r.sees("^", "_"):
        return _remarked(r, node, start)
    return postfix(r, node, start)


def _remarked(r: Reader, node: tree.Symbol, start: int) -> tree.Node:
    """{W^{[1]}}^T and {y}_i: marks on a name that stands in braces."""
    if not node.below and not node.layer:
        return marked(r, node.base, start)
    return postfix(r, node, start)


def _absolute(r: Reader) -> tree.Node:
    start, opening = r.now.start, r.take().text
    node = r.group(opening)
    at = r.span(start)
    if opening == "‖":
        return postfix(r, tree.Norm(node, at=at), start)
    return postfix(r, tree.Call("abs", (node,), at=at), start)


def _ones(r: Reader) -> tree.Node:
    r"""\vec{1}, or an indicator: \mathbb{1}[y = j], \mathbb{1}_{y = j}."""
    token = r.take()
    start = token.start
    if token.text.startswith("math") and r.sees("[", "(", "⦃", "_"):
        at, below = r.at, r.accept("_")
        opening = r.take().text
        if opening in CLOSING:
            node = r.group(opening)
            if isinstance(node, tree.Condition):
                return postfix(r, node, start)
        if below:
            raise refused(r.text, start, "ones with a subscript that is no condition")
        r.at = at
    return postfix(r, tree.Ones(at=r.span(start)), start)


def _command(r: Reader) -> tree.Node:
    start, word = r.now.start, r.now.text
    if word in _FRACTIONS:
        return postfix(r, _fraction(r), start)
    said = f'"\\{word}" is not understood'
    hint = r"A formula may have \frac, \sqrt, \sum, \odot, names, functions and brackets"
    raise refused(r.text, start, said, hint)


def _root(r: Reader) -> tree.Node:
    start = r.take().start
    node = r.close()
    return tree.Call("sqrt", (node,), at=r.span(start))


def _fraction(r: Reader) -> tree.Node:
    start = r.take().start
    at = r.at
    found = _derivative_fraction(r, start)
    if found is not None:
        return found
    r.at = at
    upper = _argument(r)
    lower = _argument(r)
    return tree.Fraction(upper, lower, at=r.span(start))


def _argument(r: Reader) -> tree.Node:
    r"""{…} after \frac, or one character: \frac12, \frac{1}m."""
    if r.accept("{"):
        return r.group("{")
    token = r.now
    if token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
        r.tokens[r.at] = token._replace(text=token.text[1:], start=token.start + 1)
        return tree.Number(float(token.text[0]), at=(token.start, token.start + 1))
    if token.kind == "symbol":
        r.take()
        return tree.Symbol(token.text, key=token.text, at=r.span(token.start))
    with r.deeper():
        return r.factor()


def _is_mark(r: Reader) -> bool:
    return r.sees("∂") or r.now.kind == "d" or (r.now.kind == "symbol" and r.now.text == "d")


def _derivative_fraction(r: Reader, start: int) -> tree.Node | None:
    r"""\frac{∂L}{∂W} and \frac{∂}{∂W}L as one name; None if it is an ordinary fraction."""
    if not r.accept("{") or not _is_mark(r):
        return None
    partial = r.take().text == "∂"
    upper = None if r.sees("}") else plain_name(r)
    if r.sees("(") and upper:
        r.listed(r.take().text)  # L(W, b): what it depends on
    if not r.accept("}") or not r.accept("{") or not _is_mark(r):
        if partial:
            raise r.unexpected("a derivative such as ∂L/∂W")
        return None
    r.take()
    lower = plain_name(r)
    if lower is None:
        raise r.unexpected("the name with respect to which it is derived")
    r.expect("}")
    upper = upper or plain_name(r)
    if upper is None:
        raise r.unexpected("the name of what is derived")
    return derivative(upper, lower, r.span(start))


def _partial(r: Reader) -> tree.Node:
    start = r.now.start
    return postfix(r, differential(r), start)


def _gradient(r: Reader) -> tree.Node:
    r"""\nabla_W L."""
    start = r.take().start
    r.expect("_")
    braces = r.accept("{")
    lower = plain_name(r) if braces else one_letter(r)
    if braces:
        r.expect("}")
    upper = plain_name(r)
    if lower is None or upper is None:
        raise r.unexpected("a name, as in ∇_W L")
    return postfix(r, derivative(upper, lower, r.span(start)), start)


def _summation(r: Reader) -> tree.Node:
    start = r.take().start
    index: tuple[str, ...] = ()
    lower = upper = None
    while r.sees("_", "^"):
        if r.take().text == "^":
            upper = _bound(r)
        else:
            index, lower = _over(r)
    with r.deeper(r.open[-1] if r.open else ""):
        body = r.hadamard()
    return tree.Summation(body, index, lower, upper, at=r.span(start))


def _bound(r: Reader) -> tree.Node:
    if r.accept("{"):
        return r.group("{")
    token = r.take()
    if token.kind not in ("symbol", "number"):
        r.at -= token.kind != "end"
        raise r.unexpected("the last value of the index")
    return piece(token.kind, token.text, token.start, token.end)


def _over(r: Reader) -> tuple[tuple[str, ...], tree.Node | None]:
    """What stands below a Σ: i, i=1, {i, j} or names of axes."""
    if not r.sees("{", "("):
        nodes, _ = subscript(r)
        return tuple(_index_name(r, x) for x in nodes), None
    closing = CLOSING[r.take().text]
    names: list[str] = []
    lower = None
    with r.deeper():
        while not r.sees(closing):
            if r.accept(","):
                continue
            names.append(_index_name(r, index_item(r)[0]))
            if r.accept("="):
                lower = r.expression()
    r.expect(closing)
    if lower is not None and len(names) != 1:
        raise r.unexpected("one index with a bound")
    return tuple(names), lower


def _index_name(r: Reader, node: tree.Node) -> str:
    if not isinstance(node, tree.Symbol):
        raise refused(
            r.text, node.at[0], "not an index to add over", "Write \\sum_i or \\sum_{i=1}^m"
        )
    return node.key


_SIGNS: dict[str, Callable[[Reader], tree.Node]] = {
    **dict.fromkeys("([{⦃", _group),
    **dict.fromkeys("|‖", _absolute),
    "Σ": _summation,
    "√": _root,
    "∂": _partial,
    "∇": _gradient,
}
