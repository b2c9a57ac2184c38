"""The smallest pieces of a formula: names with their marks, functions, fractions, sums, norms."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.texmath import tree
from chainrule.texmath.limits import refused
from chainrule.texmath.names import of_word, whole
from chainrule.texmath.parser import CLOSING, Reader
from chainrule.texmath.words import LETTERS, function

EXAMPLE_OR_LAYER = ("l", "L", "i")
"""a^(l) without braces: the letters that are an index there and not an exponent."""
_FRACTIONS = ("frac", "tfrac", "dfrac", "cfrac")


def primary(r: Reader) -> tree.Node:
    """One factor with everything that hangs on it."""
    token = r.now
    start = token.start
    if token.kind in ("symbol", "accent"):
        return _named(r)
    if token.kind == "word":
        return _word(r)
    if token.kind == "d":
        return postfix(r, _differential(r), start)
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


# names


def _named(r: Reader) -> tree.Node:
    """A symbol; a function where a bracket or a prime follows one of `LETTERS`."""
    start = r.now.start
    base = _base(r)
    return _marked(r, base, start)


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
        _below(r)
        r.expect("}")
        inner = r.tokens[at : r.at - 1]
        r.tokens[r.at : r.at] = inner
        return base
    r.expect("}")
    return base


def _marked(r: Reader, base: str, start: int) -> tree.Node:
    """`base` with subscripts, layer, primes; then powers and transposes around it."""
    below: list[tree.Node] = []
    keys: list[str] = []
    layer: tuple[tree.Node, str] | None = None
    wrap: list[Callable[[tree.Node], tree.Node]] = []
    primes = 0
    while True:
        if r.accept("_"):
            nodes, spelled = _below(r)
            below.extend(nodes)
            keys.extend(spelled)
        elif r.sees("^"):
            found = _above(r, start, named=True)
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


def _word(r: Reader) -> tree.Node:
    token = r.take()
    start = token.start
    name = function(token.text)
    canonical = of_word(token.text)
    if not name or canonical in r.names:
        return _marked(r, canonical, start)
    below: tuple[tree.Node, ...] = ()
    primes = 0
    wrap: list[Callable[[tree.Node], tree.Node]] = []
    while True:
        if r.accept("_"):
            below = (*below, *_below(r)[0])
        elif r.sees("^"):
            _, around, more = _above(r, start, named=False)
            primes += more
            wrap += [around] if around else []
        elif r.sees("'", "''"):
            primes += len(r.take().text)
        else:
            break
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


# what hangs below and above


def _below(r: Reader) -> tuple[list[tree.Node], list[str]]:
    """A subscript after its _: the pieces as nodes, and their spelling in a name."""
    if not r.sees("{", "("):
        token = r.take()
        if token.kind not in ("symbol", "number", "word") and token.text not in ("∞", "⊤"):
            r.at -= token.kind != "end"
            raise r.unexpected("a subscript")
        text = "T" if token.text == "⊤" else token.text
        return [_piece(token.kind, text, token.start, token.end)], [text]
    closing = CLOSING[r.take().text]
    inner = "]" if r.accept("[") else ""
    nodes: list[tree.Node] = []
    keys: list[str] = [""]
    with r.deeper():
        while not r.sees(inner or closing):
            if r.accept(","):
                keys.append("")
                continue
            node, key = _index(r)
            nodes.append(node)
            keys[-1] += ("_" if len(key) > 1 and keys[-1].isalpha() else "") + key
    if inner:
        r.expect(inner)
    r.expect(closing)
    if not nodes:
        raise r.unexpected("a subscript")
    return nodes, [k for k in keys if k]


def _index(r: Reader) -> tuple[tree.Node, str]:
    """One index: a letter, number or word, perhaps with + or − and another."""
    start = r.now.start
    terms: list[tree.Node] = []
    key = ""
    while True:
        minus = bool(r.accept("-"))
        token = r.take()
        if token.kind == "accent":
            raise refused(r.text, token.start, "an accent in a subscript")
        if token.kind not in ("symbol", "number", "word", "d") and token.text not in ("∞", "⊤"):
            r.at -= token.kind != "end"
            raise r.unexpected("an index")
        text = "T" if token.text == "⊤" else token.text
        node = _piece(token.kind, text, token.start, token.end)
        terms.append(tree.Negative(node, at=node.at) if minus else node)
        key += "-" + text if minus else text
        if r.sees("+"):
            r.take()
            key += "+"
        elif not r.sees("-"):
            break
    if len(terms) == 1:
        return terms[0], key
    return tree.Add(tuple(terms), at=r.span(start)), key


def _piece(kind: str, text: str, start: int, end: int) -> tree.Node:
    if kind == "number":
        return tree.Number(float(text), at=(start, end))
    return tree.Symbol(text, key=text, at=(start, end))


Layer = tuple[tree.Node, str]


def _above(
    r: Reader, start: int, named: bool
) -> tuple[Layer | None, Callable[[tree.Node], tree.Node] | None, int]:
    """What stands above after a ^: a layer in brackets, a transpose or exponent, primes."""
    r.expect("^")
    layer: Layer | None = None
    primes = 0
    if r.sees("[") and named:
        r.take()
        return _layer(r, "]"), None, 0
    if r.sees("(") and named and _one_letter_above(r):
        r.take()
        return _layer(r, ")"), None, 0
    if r.accept("⊙"):
        return None, _powered(r, start, _exponent(r)), 0
    if not r.sees("{"):
        if _is_transpose(r):
            r.take()
            return None, lambda x: tree.Transpose(x, at=r.span(start)), 0
        if r.sees("'", "''"):
            return None, None, len(r.take().text)
        return None, _powered(r, start, _exponent(r)), 0
    r.take()
    with r.deeper("{"):
        if named and r.sees("[", "(") and _only_layer(r):
            layer = _layer(r, CLOSING[r.take().text])
        while r.sees("'", "''"):
            primes += len(r.take().text)
        if r.sees("}"):
            wrap = None
        elif _is_transpose(r) and r.ahead.text == "}":
            r.take()
            wrap = _turned(r, start)
        else:
            r.accept("⊙")
            wrap = _powered(r, start, r.expression())
    r.expect("}")
    return layer, wrap, primes


def _turned(r: Reader, start: int) -> Callable[[tree.Node], tree.Node]:
    return lambda x: tree.Transpose(x, at=r.span(start))


def _powered(r: Reader, start: int, exponent: tree.Node) -> Callable[[tree.Node], tree.Node]:
    return lambda x: tree.Power(x, exponent, at=r.span(start))


def _is_transpose(r: Reader) -> bool:
    return r.sees("⊤") or (
        r.now.kind in ("symbol", "word") and r.now.text == "T" and "T" not in r.names
    )


def _one_letter_above(r: Reader) -> bool:
    """a^(l), a^(L-1): an index in plain brackets; anything else there is an exponent."""
    return r.ahead.kind == "symbol" and r.ahead.text in EXAMPLE_OR_LAYER


def _only_layer(r: Reader) -> bool:
    """Whether the bracket that begins here is all that stands above, a transpose aside."""
    opening, depth, at = r.now.text, 0, r.at
    while r.tokens[at].kind != "end":
        text = r.tokens[at].text if r.tokens[at].kind == "sign" else ""
        depth += text == opening
        if text == CLOSING[opening]:
            depth -= 1
            if not depth:
                break
        at += 1
    after = r.tokens[min(at + 1, len(r.tokens) - 1)]
    return after.text in ("}", "⊤", "T", "'", "''")


def _layer(r: Reader, closing: str) -> Layer:
    with r.deeper():
        node, key = _index(r)
    r.expect(closing)
    return node, key


def _exponent(r: Reader) -> tree.Node:
    """An exponent without braces: a number, a letter or a bracket, perhaps with a minus."""
    start, minus = r.now.start, bool(r.accept("-"))
    token = r.now
    with r.deeper():
        if token.kind == "number":
            r.take()
            found: tree.Node = tree.Number(float(token.text), at=r.span(token.start))
        elif token.kind == "symbol":
            r.take()
            found = tree.Symbol(token.text, key=token.text, at=r.span(token.start))
        elif r.sees("(", "{"):
            found = r.group(r.take().text)
        else:
            raise r.unexpected("an exponent")
    return tree.Negative(found, at=r.span(start)) if minus else found


def postfix(r: Reader, node: tree.Node, start: int) -> tree.Node:
    """Powers, transposes and indices after something that is no plain name."""
    while True:
        if r.sees("⊤", "⊤ after", "'"):
            r.take()
            node = tree.Transpose(node, at=r.span(start))
        elif r.sees("⊙") and r.ahead.text == "^":  # x⊙² in plain characters
            r.take()
        elif r.sees("^"):
            layer, around, primes = _above(r, start, named=False)
            if around is None or primes or layer:
                raise r.unexpected("an exponent")
            node = around(node)
        elif r.accept("_"):
            node = _lowered(r, node, start)
        else:
            return node


def _lowered(r: Reader, node: tree.Node, start: int) -> tree.Node:
    if isinstance(node, tree.Number | tree.Ones):
        raise refused(r.text, start, "a number with a subscript")
    nodes, keys = _below(r)
    if isinstance(node, tree.Norm):
        return tree.Norm(node.of, "".join(keys), at=r.span(start))
    if isinstance(node, tree.Power) and isinstance(node.base, tree.Norm):  # ‖x‖²_F
        norm = tree.Norm(node.base.of, "".join(keys), at=node.base.at)
        return tree.Power(norm, node.exponent, at=r.span(start))
    if isinstance(node, tree.Symbol) and not node.layer:
        key = whole(node.key, keys)
        return tree.Symbol(node.base, (*node.below, *nodes), None, key, at=r.span(start))
    return tree.Entry(node, tuple(nodes), at=r.span(start))


# brackets, norms, ones


def _group(r: Reader) -> tree.Node:
    start, opening = r.now.start, r.take().text
    node = r.group(opening)
    if opening == "{" and isinstance(node, tree.Symbol) and r.sees("^", "_"):
        return _remarked(r, node, start)
    return postfix(r, node, start)


def _remarked(r: Reader, node: tree.Symbol, start: int) -> tree.Node:
    """{W^{[1]}}^T and {y}_i: marks on a name that stands in braces."""
    if not node.below and not node.layer:
        return _marked(r, node.base, start)
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


# fractions, roots, sums, derivatives


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
    upper = None if r.sees("}") else _plain_name(r)
    if r.sees("(") and upper:
        r.listed(r.take().text)  # L(W, b): what it depends on
    if not r.accept("}") or not r.accept("{") or not _is_mark(r):
        if partial:
            raise r.unexpected("a derivative such as ∂L/∂W")
        return None
    r.take()
    lower = _plain_name(r)
    if lower is None:
        raise r.unexpected("the name with respect to which it is derived")
    r.expect("}")
    upper = upper or _plain_name(r)
    if upper is None:
        raise r.unexpected("the name of what is derived")
    return _derivative(upper, lower, r.span(start))


def _plain_name(r: Reader) -> tree.Symbol | None:
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
        if r.accept("_"):
            nodes, spelled = _below(r)
            below.extend(nodes)
            keys.extend(spelled)
        else:
            layer, around, primes = _above(r, start, named=True)
            if layer is None or around or primes:
                raise r.unexpected("a name")
    if braces:
        r.expect("}")
    key = whole(base, keys, layer[1] if layer else "")
    return tree.Symbol(base, tuple(below), layer[0] if layer else None, key, at=r.span(start))


def _derivative(upper: tree.Symbol, lower: tree.Symbol, at: tree.Span) -> tree.Symbol:
    base = f"d{upper.base}/d{lower.base}"
    key = f"d{upper.key}/d{lower.key}"
    layer = lower.layer or upper.layer
    return tree.Symbol(base, (*upper.below, *lower.below), layer, key, at=at)


def _differential(r: Reader) -> tree.Node:
    """dW as a name, dL/dW and ∂L/∂W as one."""
    token = r.take()
    start = token.start
    upper = _plain_name(r)
    if upper is None:
        if token.text == "d":
            return tree.Symbol("d", key="d", at=r.span(start))
        raise r.unexpected("the name of what is derived")
    follows = r.tokens[min(r.at + 1, len(r.tokens) - 1)]
    if r.sees("/") and (follows.kind == "d" or follows.text == "∂"):
        r.take()
        r.take()
        lower = _plain_name(r)
        if lower is None:
            raise r.unexpected("the name with respect to which it is derived")
        return _derivative(upper, lower, r.span(start))
    if token.text == "∂":
        raise r.unexpected('"/∂"', "A derivative is written ∂L/∂W")
    key = f"d{upper.key}"
    return tree.Symbol(f"d{upper.base}", upper.below, upper.layer, key, at=r.span(start))


def _partial(r: Reader) -> tree.Node:
    start = r.now.start
    return postfix(r, _differential(r), start)


def _gradient(r: Reader) -> tree.Node:
    r"""\nabla_W L."""
    start = r.take().start
    r.expect("_")
    braces = r.accept("{")
    lower = _plain_name(r) if braces else _one_letter(r)
    if braces:
        r.expect("}")
    upper = _plain_name(r)
    if lower is None or upper is None:
        raise r.unexpected("a name, as in ∇_W L")
    return postfix(r, _derivative(upper, lower, r.span(start)), start)


def _one_letter(r: Reader) -> tree.Symbol | None:
    if r.now.kind not in ("symbol", "word", "accent"):
        return None
    start = r.now.start
    base = _base(r)
    return tree.Symbol(base, key=base, at=r.span(start))


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
    return _piece(token.kind, token.text, token.start, token.end)


def _over(r: Reader) -> tuple[tuple[str, ...], tree.Node | None]:
    """What stands below a Σ: i, i=1, {i, j} or names of axes."""
    if not r.sees("{", "("):
        nodes, _ = _below(r)
        return tuple(_index_name(r, x) for x in nodes), None
    closing = CLOSING[r.take().text]
    names: list[str] = []
    lower = None
    with r.deeper():
        while not r.sees(closing):
            if r.accept(","):
                continue
            names.append(_index_name(r, _index(r)[0]))
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
