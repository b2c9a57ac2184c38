"""What hangs below, above and behind a name or bracket: indices, layers, powers, transposes."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.texmath import tree
from chainrule.texmath.limits import refused
from chainrule.texmath.names import whole
from chainrule.texmath.parser import CLOSING, Reader

EXAMPLE_OR_LAYER = ("l", "L", "i")
"""a^(l) without braces: the letters that are an index there and not an exponent."""
Layer = tuple[tree.Node, str]
Wrap = Callable[[tree.Node], tree.Node]


def subscript(r: Reader) -> tuple[list[tree.Node], list[str]]:
    """A subscript after its _: the pieces as nodes, and their spelling in a name."""
    if not r.sees("{", "("):
        token = r.take()
        if token.kind not in ("symbol", "number", "word") and token.text not in ("∞", "⊤"):
            r.at -= token.kind != "end"
            raise r.unexpected("a subscript")
        text = "T" if token.text == "⊤" else token.text
        return [piece(token.kind, text, token.start, token.end)], [text]
    closing = CLOSING[r.take().text]
    inner = "]" if r.accept("[") else ""
    nodes: list[tree.Node] = []
    keys: list[str] = [""]
    with r.deeper():
        while not r.sees(inner or closing):
            if r.accept(","):
                keys.append("")
                continue
            node, key = index_item(r)
            nodes.append(node)
            keys[-1] += ("_" if len(key) > 1 and keys[-1].isalpha() else "") + key
    if inner:
        r.expect(inner)
    r.expect(closing)
    if not nodes:
        raise r.unexpected("a subscript")
    return nodes, [k for k in keys if k]


def index_item(r: Reader) -> tuple[tree.Node, str]:
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
        node = piece(token.kind, text, token.start, token.end)
        if isinstance(node, tree.Symbol) and r.accept("_"):  # x_{y_2}
            with r.deeper():
                inner, spelled = subscript(r)
            text = whole(text, spelled)
            node = tree.Symbol(node.base, tuple(inner), None, text, at=r.span(token.start))
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


def piece(kind: str, text: str, start: int, end: int) -> tree.Node:
    """A number or a letter as a node."""
    if kind == "number":
        return tree.Number(float(text), at=(start, end))
    return tree.Symbol(text, key=text, at=(start, end))


def superscript(r: Reader, start: int, named: bool) -> tuple[Layer | None, Wrap | None, int]:
    """What stands above after a ^: a layer in brackets, a transpose or exponent, primes."""
    r.expect("^")
    layer: Layer | None = None
    primes = 0
    if r.sees("[") and named:
        r.take()
        return bracketed_layer(r, "]"), None, 0
    if r.sees("(") and named and _one_letter_above(r):
        r.take()
        return bracketed_layer(r, ")"), None, 0
    if r.accept("⊙"):
        return None, _powered(r, start, _exponent(r), True), 0
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
            layer = bracketed_layer(r, CLOSING[r.take().text])
        while r.sees("'", "''"):
            primes += len(r.take().text)
        if r.sees("}"):
            wrap = None
        elif _is_transpose(r) and r.ahead.text == "}":
            r.take()
            wrap = _turned(r, start)
        else:
            entrywise = r.accept("⊙") is not None
            wrap = _powered(r, start, r.expression(), entrywise)
    r.expect("}")
    return layer, wrap, primes


def _turned(r: Reader, start: int) -> Wrap:
    return lambda x: tree.Transpose(x, at=r.span(start))


def _powered(r: Reader, start: int, exponent: tree.Node, entrywise: bool = False) -> Wrap:
    return lambda x: tree.Power(x, exponent, entrywise, at=r.span(start))


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


def bracketed_layer(r: Reader, closing: str) -> Layer:
    """What stands above in brackets, to their end."""
    with r.deeper():
        node, key = index_item(r)
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
            r.expect("^")
            node = tree.Power(node, _exponent(r), True, at=r.span(start))
        elif r.sees("^"):
            layer, around, primes = superscript(r, start, named=False)
            if around is None or primes or layer:
                raise r.unexpected("an exponent")
            node = around(node)
        elif r.accept("_"):
            node = _lowered(r, node, start)
        else:
            return node


def _lowered(r: Reader, node: tree.Node, start: int) -> tree.Node:
    if isinstance(node, tree.Number):
        raise refused(r.text, start, "a number with a subscript")
    nodes, keys = subscript(r)
    if isinstance(node, tree.Ones):
        return tree.Ones(nodes[0], at=r.span(start))
    if isinstance(node, tree.Norm):
        return tree.Norm(node.of, "".join(keys), at=r.span(start))
    if isinstance(node, tree.Power) and isinstance(node.base, tree.Norm):  # ‖x‖²_F
        norm = tree.Norm(node.base.of, "".join(keys), at=node.base.at)
        return tree.Power(norm, node.exponent, at=r.span(start))
    if isinstance(node, tree.Symbol) and not node.layer:
        key = whole(node.key, keys)
        return tree.Symbol(node.base, (*node.below, *nodes), None, key, at=r.span(start))
    return tree.Entry(node, tuple(nodes), at=r.span(start))
