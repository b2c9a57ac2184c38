"""Single changes of a formula's text, each with what it would mean that it makes it right.

The changes are those that slips in derivations are: a factor, a sign, a transpose, an activation's
derivative, the order of factors, a wrong name. They are made in the text, so that what comes out is
in the author's own notation, and read by the parser again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chainrule.auditing.spans import Edit, Vocabulary, below, bracketed, cut, name_span, wide
from chainrule.texmath.tree import (
    Add,
    Call,
    Hadamard,
    Negative,
    Node,
    Number,
    Product,
    Span,
    Symbol,
    Transpose,
)

_LAYER = re.compile(r"\^\{([\[(])([lL])([+-]\d)?([\])])\}")


def edits(text: str, root: Node, words: Vocabulary) -> Iterator[Edit]:
    """Every single change of a formula, the likeliest mistakes first."""
    nodes = list(below(root))
    yield from _signs(text, root, nodes)
    yield from _numbers(text, root, nodes, words)
    yield from _transposes(text, nodes, words)
    yield from _slopes(text, root, nodes, words)
    yield from _products(text, nodes)
    yield from _names(text, nodes, words)
    yield from _layers(text, words)
    yield from _throughout(text, nodes, words)
    yield from _missing(text, root, nodes, words)
    yield from _left_out(text, nodes)


def _signs(text: str, root: Node, nodes: Sequence[Node]) -> Iterator[Edit]:
    stripped = text.strip()
    if stripped.startswith("-"):
        yield Edit(stripped[1:].strip(), "the sign is wrong")
    for node in nodes:
        if not isinstance(node, Add):
            continue
        for i, term in enumerate(node.terms):
            minus = isinstance(term, Negative)
            shown = text[slice(*term.at)].lstrip("-− ").strip()
            mistake = f"the sign of {shown} is wrong"
            if minus and i:
                at = term.at[0]
                yield Edit(text[:at] + "+" + text[at + 1 :], mistake)
            elif minus:
                yield Edit(text[: term.at[0]] + text[term.at[0] + 1 :], mistake)
            elif i:
                plus = text.rfind("+", 0, term.at[0])
                if plus >= 0:
                    yield Edit(text[:plus] + "-" + text[plus + 1 :], mistake)
            else:
                yield Edit(cut(text, (term.at[0], term.at[0]), "-"), mistake)
        if len(node.terms) == 2 and isinstance(node.terms[1], Negative):
            a, b = text[slice(*node.terms[0].at)], text[slice(*node.terms[1].of.at)]
            if not isinstance(node.terms[0], Negative):
                yield Edit(
                    cut(text, node.at, f"{b} - {a}"), f"{a.strip()} and {b.strip()} are swapped"
                )
    if not stripped.startswith("-"):
        yield Edit("-" + (bracketed(text) if isinstance(root, Add) else text), "the sign is wrong")


def _numbers(text: str, root: Node, nodes: Sequence[Node], words: Vocabulary) -> Iterator[Edit]:
    for node in nodes:
        if isinstance(node, Number) and text[slice(*node.at)].strip():
            for factor, said in ((2, _twice), (0.5, _half)):
                value = node.value * factor
                if value == int(value) and value:
                    yield Edit(cut(text, node.at, f"{int(value)}"), said(node.value, value))
            for value in (1.0, 2.0, 3.0):
                if value not in (node.value, 2 * node.value, node.value / 2):
                    mistake = f"{node.value:g} should be {value:g}"
                    yield Edit(cut(text, node.at, f"{value:g}"), mistake)
    whole = bracketed(text) if isinstance(root, Add | Hadamard) else text
    yield Edit(f"2{_apart(whole)}", "the factor 2 is missing")
    yield Edit(rf"\frac{{1}}{{2}} {whole}", "the factor 1/2 is missing")
    for scale in words.scales:
        mistake = f"the factor {_plain(scale)} is missing"
        begins = re.match(r"\d+(?![\d.])", whole)
        if begins and scale.startswith(r"\frac{1}"):  # 2(…) becomes \frac{2}{m}(…)
            yield Edit(scale.replace("{1}", f"{{{begins[0]}}}", 1) + whole[begins.end() :], mistake)
        else:
            yield Edit(f"{scale} {_apart(whole)}", mistake)
    for node in nodes:
        if isinstance(node, Add):
            for term in node.terms:
                inner = term.of if isinstance(term, Negative) else term
                yield Edit(
                    cut(text, (inner.at[0], inner.at[0]), r"2 \cdot "),
                    f"the factor 2 is missing before {text[slice(*inner.at)].strip()}",
                )


def _twice(old: float, new: float) -> str:
    return "the factor 2 is missing" if new == 2 else f"{old:g} should be {new:g}"


def _half(old: float, new: float) -> str:
    return "the factor 2 is too much" if old == 2 else f"{old:g} should be {new:g}"


def _apart(text: str) -> str:
    return rf" \cdot {text}" if text[:1].isdigit() else text


def _plain(scale: str) -> str:
    return re.sub(r"\\frac\{(\w+)\}\{(\w+)\}", r"\1/\2", scale)


def _transposes(text: str, nodes: Sequence[Node], words: Vocabulary) -> Iterator[Edit]:
    for node in nodes:
        if isinstance(node, Transpose):
            inner = wide(text, node.of)
            shown = text[slice(*inner)].strip()
            yield Edit(cut(text, node.at, text[slice(*inner)]), f"{shown} should not be transposed")
    transposed = {id(n.of) for n in nodes if isinstance(n, Transpose)}
    for node in nodes:
        if isinstance(node, Symbol | Add | Hadamard | Product) and id(node) not in transposed:
            span = wide(text, node)
            bare = text[slice(*span)].strip()
            if not isinstance(node, Symbol) and span == node.at:
                continue
            new = f"({bare})" if isinstance(node, Symbol) and "^" in bare else bare
            yield Edit(cut(text, span, new + words.transpose), f"{bare} must be transposed")


def _slopes(text: str, root: Node, nodes: Sequence[Node], words: Vocabulary) -> Iterator[Edit]:
    for node in nodes:
        if isinstance(node, Call) and len(node.args) == 1:
            shown = text[slice(*node.at)]
            if node.primes:
                without = re.sub(r"^(\\?[A-Za-z]+)\s*(\^\{?\\prime\}?|['′]+)", r"\1", shown)
                yield Edit(cut(text, node.at, without), f"{shown.strip()} should not be derived")
            else:
                derived = re.sub(r"^(\\?[A-Za-z]+)", r"\1'", shown, count=1)
                if derived != shown:
                    yield Edit(cut(text, node.at, derived), f"{shown.strip()} should be derived")
    for node in [root, *[n for n in nodes if n is not root and isinstance(n, _FACTORS)]]:
        span = wide(text, node) if node is not root else (0, len(text))
        inside = text[slice(*span)].strip()
        inside = (
            bracketed(inside)
            if isinstance(node, Add | Product) and span in (node.at, (0, len(text)))
            else inside
        )
        for missing, slope in words.slopes:
            mistake = f"the factor {missing} is missing"
            new = rf"{inside} \odot {slope}"
            yield Edit(cut(text, span, new if node is root else bracketed(new)), mistake)
            if node is root:
                yield Edit(f"{text} {slope}", mistake)


_FACTORS = (Add, Hadamard, Product, Symbol)


def _products(text: str, nodes: Sequence[Node]) -> Iterator[Edit]:
    for node in nodes:
        if isinstance(node, Product):
            spans = [wide(text, f) for f in node.factors]
            for i in range(len(spans) - 1):
                a, b = text[slice(*spans[i])].strip(), text[slice(*spans[i + 1])].strip()
                new = f"{b} {a}"
                yield Edit(
                    cut(text, (spans[i][0], spans[i + 1][1]), new),
                    f"{a} and {b} are in the wrong order",
                )
                new = rf"{a} \odot {b}"
                yield Edit(
                    cut(text, (spans[i][0], spans[i + 1][1]), new),
                    f"{a} and {b} must be multiplied entry by entry (⊙)",
                )
            for i, span in enumerate(spans):
                rest = " ".join(text[slice(*s)].strip() for j, s in enumerate(spans) if j != i)
                head, tail = text[: spans[0][0]], text[spans[-1][1] :]
                yield Edit(
                    head + rest + tail, f"the factor {text[slice(*span)].strip()} is too much"
                )
            if len(spans) > 2:
                first, last = text[slice(*spans[0])].strip(), text[slice(*spans[-1])].strip()
                middle = text[spans[0][1] : spans[-1][0]].strip()
                new = f"{last} {middle} {first}"
                yield Edit(
                    cut(text, (spans[0][0], spans[-1][1]), new), f"{first} and {last} are swapped"
                )
                moved = f"{text[spans[1][0] : spans[-1][1]].strip()} {first}"
                yield Edit(
                    cut(text, (spans[0][0], spans[-1][1]), moved), f"{first} must stand at the end"
                )
                moved = f"{last} {text[spans[0][0] : spans[-2][1]].strip()}"
                yield Edit(
                    cut(text, (spans[0][0], spans[-1][1]), moved),
                    f"{last} must stand at the beginning",
                )
        elif isinstance(node, Hadamard):
            spans = [wide(text, f) for f in node.factors]
            for i in range(len(spans)):
                rest = r" \odot ".join(
                    text[slice(*s)].strip() for j, s in enumerate(spans) if j != i
                )
                mistake = f"the factor {text[slice(*spans[i])].strip()} is too much"
                yield Edit(cut(text, (spans[0][0], spans[-1][1]), rest), mistake)
            for i in range(len(spans) - 1):
                a, b = text[slice(*spans[i])].strip(), text[slice(*spans[i + 1])].strip()
                mistake = f"{a} and {b} must be multiplied as matrices"
                yield Edit(cut(text, (spans[i][0], spans[i + 1][1]), f"{a} {b}"), mistake)


def _names(text: str, nodes: Sequence[Node], words: Vocabulary) -> Iterator[Edit]:
    for node in nodes:
        if isinstance(node, Symbol) and node.key in words.symbols:
            span = name_span(text, node)
            shown = text[slice(*span)].strip()
            for key in words.like.get(node.key, ()):
                written = words.symbols[key]
                new = f" {written} " if text[span[1] : span[1] + 1].isalpha() else f" {written}"
                yield Edit(cut(text, span, new), f"{shown} should be {written}")


def _layers(text: str, words: Vocabulary) -> Iterator[Edit]:
    for match in _LAYER.finditer(text):
        yield from _other_layers(text, match, f"^{{{match[1]}", f"{match[4]}}}", match[2], match[3])
    for letter in words.counting:
        name = re.escape(letter)
        for match in re.finditer(
            rf"_\s*(?:\{{\s*{name}\s*([+-]\d)?\s*\}}|{name}(?![A-Za-z]))", text
        ):
            yield from _other_layers(text, match, "_{", "}", letter, match[1])


def _other_layers(
    text: str, match: re.Match[str], before: str, after: str, letter: str, offset: str | None
) -> Iterator[Edit]:
    now = int(offset or 0)
    base = re.search(r"\\?[A-Za-z]+(?:\s*\{[^{}]*\})?$", text[: match.start()])
    shown = base[0] if base else ""
    for new in (now - 1, now + 1, now - 2, now + 2):
        index = letter + (f"{new:+d}" if new else "")
        mistake = f"{shown}{match[0]} should be {shown}{before}{index}{after}"
        yield Edit(cut(text, match.span(), f"{before}{index}{after}"), mistake)


def _throughout(text: str, nodes: Sequence[Node], words: Vocabulary) -> Iterator[Edit]:
    """One name instead of another wherever it stands: one misconception, several places."""
    places: dict[str, list[Span]] = {}
    for node in nodes:
        if isinstance(node, Symbol):
            span = name_span(text, node)
            places.setdefault(text[slice(*span)].strip(), []).append(span)
    keys = {written: key for key, written in words.symbols.items()}
    for shown, spans in places.items():
        if len(spans) < 2:
            continue
        others = [words.symbols[k] for k in words.like.get(keys.get(shown, ""), ())]
        for letter in words.counting:
            name = re.escape(letter)
            match = re.search(rf"_\s*(?:\{{\s*{name}\s*([+-]\d)?\s*\}}|{name}(?![A-Za-z]))", shown)
            if match:
                now = int(match[1] or 0)
                indices = [letter + (f"{n:+d}" if n else "") for n in (now - 1, now + 1)]
                others += [
                    f"{shown[: match.start()]}_{{{i}}}{shown[match.end() :]}" for i in indices
                ]
        for other in others:
            new = text
            for span in sorted(spans, reverse=True):
                new = cut(new, span, f" {other} ")
            yield Edit(new, f"{shown} should be {other}")


def _missing(text: str, root: Node, nodes: Sequence[Node], words: Vocabulary) -> Iterator[Edit]:
    whole = bracketed(text) if isinstance(root, Add | Hadamard) else text
    for written in dict.fromkeys(words.symbols.values()):
        for factor in (written + words.transpose, written):
            if "^" in written and factor != written:
                factor = f"({written}){words.transpose}"
            yield Edit(f"{whole} {factor}", f"the factor {factor} is missing at the end")
            yield Edit(f"{factor} {whole}", f"the factor {factor} is missing at the beginning")
            yield Edit(rf"{factor} \odot {whole}", f"the factor {factor} is missing (⊙)")
    yield Edit(rf"{whole} \vec{{1}}", "the sum over the examples is missing")
    for node in nodes:
        if isinstance(node, Hadamard | Product) and node is not root:
            span = wide(text, node)
            inside = text[slice(*span)].strip()
            for written in words.symbols.values():
                for factor in (written + words.transpose, written):
                    yield Edit(
                        cut(text, span, f"{factor} {inside}"),
                        f"the factor {factor} is missing before {inside}",
                    )


def _left_out(text: str, nodes: Sequence[Node]) -> Iterator[Edit]:
    for node in nodes:
        if isinstance(node, Add) and len(node.terms) > 1:
            for i, term in enumerate(node.terms):
                begin = node.terms[i - 1].at[1] if i else term.at[0]
                end = term.at[1] if i else node.terms[1].at[0]
                after = text[end:]
                if not i:
                    after = re.sub(r"^\s*\+", "", after)
                    if not isinstance(node.terms[1], Negative):
                        begin = (
                            text.rfind("+", 0, end) + 1 if "+" in text[term.at[1] : end] else begin
                        )
                        yield Edit(
                            text[: term.at[0]] + text[end:],
                            f"the term {text[slice(*term.at)].strip()} is too much",
                        )
                        continue
                yield Edit(
                    text[:begin] + after, f"the term {text[slice(*term.at)].strip()} is too much"
                )
