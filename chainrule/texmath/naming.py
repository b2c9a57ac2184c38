"""Names with their marks, functions with their arguments, derivatives as names."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.texmath import tree
from chainrule.texmath.marks import Layer, postfix, subscript, superscript
from chainrule.texmath.names import of_word, whole
from chainrule.texmath.parser import Reader
from chainrule.texmath.words import LETTERS, function


def named(r: Reader) -> tree.Node:
    """A symbol; a function where a bracket or a prime follows one of `LETTERS`."""
    start = r.now.start
    base = _base(r)
    return marked(r, base, start)


def _base(r: Reader) -> str:
    """A letter or word with its accents, without what stands below and above."""
    with r.deeper():
        if r.now.kind == "accent":
            ending = r.take().text
            braces = r.accept("{")
            base = f"{_base(r)}_{ending}"
            if braces:
                base = _inside_accent(r, base)
            return base
        if r.now.kind not in ("symbol", "word", "d"):
            raise r.unexpected("a name")
        token = r.take()
        return of_word(token.text) if token.kind == "word" else token.text


def _inside_accent(r: Reader, base: str) -> str:
    r"""\hat{y_i}: the subscript is read as if it stood outside."""
    if r.sees("_"):
        at = r.at
        subscript(r)
        r.expect("}")
        inner = r.tokens[at : r.at - 1]
        r.tokens[r.at : r.at] = inner
        return base
    r.expect("}")
    return base


def marked(r: Reader, base: str, start: int) -> tree.Node:
    """`base` with subscripts, layer, primes; then powers and transposes around it."""
    below: list[tree.Node] = []
    keys: list[str] = []
    layer: tuple[tree.Node, str] | None = None
    wrap: list[Callable[[tree.Node], tree.Node]] = []
    primes = 0
    while True:
        if r.accept("_"):
            nodes, spelled = subscript(r)
            below.extend(nodes)
            keys.extend(spelled)
        elif r.sees("^"):
            found = superscript(r, start, named=True)
            layer = found[0] or layer
            primes += found[2]
            if found[1]:
                wrap.append(found[1])
        elif r.sees("'", "''") and _primes_follow(r, base):
            primes += len(r.take().text)
        else:
            break
    layer_key = layer[1] if layer else ""
    key = whole(base, keys, layer_key)
    known = base in r.names or key in r.names
    if primes or (base in LETTERS and not known and r.sees("(") and not wrap):
        name = whole(base, keys, layer_key) if base not in ("sigma",) or layer else base
        return _applied(r, name, start, primes, tuple(below) if base == "sigma" else (), wrap)
    node: tree.Node = tree.Symbol(
        base, tuple(below), layer[0] if layer else None, key, at=r.span(start)
    )
    for around in wrap:
        node = around(node)
    return postfix(r, node, start)


def _primes_follow(r: Reader, base: str) -> bool:
    """Whether a prime here is a derivative (a bracket follows) and not a transpose."""
    at = r.at
    while r.tokens[at].kind == "sign" and r.tokens[at].text in ("'", "''"):
        at += 1
    follows = r.tokens[at]
    return base not in r.names and follows.kind == "sign" and follows.text in ("(", "[")


def word_or_call(r: Reader) -> tree.Node:
    """A function with its argument, or a name of several letters."""
    token = r.take()
    start = token.start
    name = function(token.text)
    canonical = of_word(token.text)
    if not name or canonical in r.names:
        return marked(r, canonical, start)
    below: tuple[tree.Node, ...] = ()
    primes = 0
    wrap: list[Callable[[tree.Node], tree.Node]] = []
    while True:
        if r.accept("_"):
            below = (*below, *subscript(r)[0])
        elif r.sees("^"):
            _, around, more = superscript(r, start, named=False)
            primes += more
            wrap += [around] if around else []
        elif r.sees("'", "''"):
            primes += len(r.take().text)
        else:
            break
    if r.sees("[") and r.called_after():
        below = r.listed(r.take().text)
    if name == "gelu" and below and isinstance(below[0], tree.Symbol):
        name, below = f"gelu_{below[0].key}", ()
    return _applied(r, name, start, primes, below, wrap)


def _applied(
    r: Reader,
    name: str,
    start: int,
    primes: int,
    below: tuple[tree.Node, ...],
    wrap: list[Callable[[tree.Node], tree.Node]],
) -> tree.Node:
    """A function and its arguments: in brackets, or the next factor."""
    with r.deeper():
        if r.sees("(", "[", "⦃"):
            args = r.listed(r.take().text)
            if r.sees("^", "_", "'", "⊤", "⊤ after"):
                pass  # belongs to the value: log(x)^2 is (log x)^2
        elif r.sees("{") and r.ahead.text in ("(", "["):
            r.take()
            args = r.listed(r.take().text)
            r.expect("}")
        elif r.sees("{"):
            args = r.listed(r.take().text)
        elif r.starts_argument():
            args = (r.close(),)
        elif not primes:
            return postfix(r, tree.Symbol(name, key=name, at=r.span(start)), start)
        else:
            raise r.unexpected(f"what {name} is applied to")
    node: tree.Node = tree.Call(name, args, primes, below, at=r.span(start))
    for around in wrap:
        node = around(node)
    return postfix(r, node, start)


def plain_name(r: Reader) -> tree.Symbol | None:
    """A name with subscripts and layer; None if there is none here."""
    if r.now.kind not in ("symbol", "word", "accent") and not r.sees("{"):
        return None
    start = r.now.start
    braces = r.accept("{")
    base = _base(r)
    below: list[tree.Node] = []
    keys: list[str] = []
    layer: Layer | None = None
    while r.sees("_", "^"):
        at = r.at
        if r.accept("_"):
            nodes, spelled = subscript(r)
            below.extend(nodes)
            keys.extend(spelled)
        else:
            found, around, primes = superscript(r, start, named=True)
            if around and isinstance(around(tree.Number(1.0)), tree.Transpose) and found is None:
                r.at = at  # dZ^T: of the whole, not part of the name
                break
            if found is None or around or primes:
                raise r.unexpected("a name")
            layer = found
    if braces:
        r.expect("}")
    key = whole(base, keys, layer[1] if layer else "")
    return tree.Symbol(base, tuple(below), layer[0] if layer else None, key, at=r.span(start))


def one_letter(r: Reader) -> tree.Symbol | None:
    """A name without marks; None if there is none here."""
    if r.now.kind not in ("symbol", "word", "accent"):
        return None
    start = r.now.start
    base = _base(r)
    return tree.Symbol(base, key=base, at=r.span(start))


def derivative(upper: tree.Symbol, lower: tree.Symbol, at: tree.Span) -> tree.Symbol:
    """The name of a derivative: its indices are those above, then those below."""
    base = f"d{upper.base}/d{lower.base}"
    key = f"d{upper.key}/d{lower.key}"
    layer = lower.layer or upper.layer
    return tree.Symbol(base, (*upper.below, *lower.below), layer, key, at=at)


def differential(r: Reader) -> tree.Node:
    """dW as a name, dL/dW and ∂L/∂W as one."""
    token = r.take()
    start = token.start
    upper = plain_name(r)
    if upper is None:
        if token.text == "d":
            return tree.Symbol("d", key="d", at=r.span(start))
        raise r.unexpected("the name of what is derived")
    follows = r.tokens[min(r.at + 1, len(r.tokens) - 1)]
    if r.sees("/") and (follows.kind == "d" or follows.text == "∂"):
        r.take()
        r.take()
        lower = plain_name(r)
        if lower is None:
            raise r.unexpected("the name with respect to which it is derived")
        return derivative(upper, lower, r.span(start))
    if token.text == "∂":
        raise r.unexpected('"/∂"', "A derivative is written ∂L/∂W")
    key = f"d{upper.key}"
    return tree.Symbol(f"d{upper.base}", upper.below, upper.layer, key, at=r.span(start))
