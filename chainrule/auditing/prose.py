r"""What the words of a document say about its symbols: shapes, functions, losses.

"matrix $X$ of shape $(n,m)$", "row vector", "$x = (x_1, …, x_m)$", "the bias is a scalar",
"$W \in \mathbb{R}^{k \times n}$", "sigmoid function": the ways in which derivations say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SCALAR, ROW, COLUMN, VECTOR, MATRIX = "scalar", "row", "column", "vector", "matrix"

_SENTENCE = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z$\\(])|\n[ \t]*\n|\n[ \t]*[-*][ \t]")
_FORMULA = re.compile(r"\$([^$]*)\$")
_SIZE = r"([A-Za-z](?:_\{?\w+\}?)?(?:\^\{?\[?\(?\w+\)?\]?\}?)?|\d+)"
_PAIR = re.compile(rf"[(\[]?\s*{_SIZE}\s*(?:,|\\times|×|x|\*|\\cdot)\s*{_SIZE}\s*[)\]]?")
_REALS = re.compile(
    rf"(?:\\in|∈)\s*(?:\\mathbb\s*\{{?\s*R\s*\}}?|\\R\b|ℝ|R)\s*\^\s*\{{?\s*{_SIZE}"
    rf"(?:\s*(?:\\times|×|,)\s*{_SIZE})?\s*\}}?"
)
_TUPLE = re.compile(r"=\s*\\?[\[(]\s*\S+_\{?1\}?\s*,.*?(?:dots|\.\.\.|…).*?_\{?(\w+)\}?\s*[\])]")
_SHAPE_WORD = re.compile(r"\b(?:shape|size|dimensions?|dimensional)\b")
_KINDS = re.compile(
    r"\b(scalars?|numbers?|row[ -]vectors?|column[ -]vectors?|vectors?|matrix|matrices)\b", re.I
)
_NOUNS = {"weight": "w", "bias": "b", "input": "x", "target": "y", "label": "y"}
_NOUN = re.compile(
    r"\b(weight|bias|input|target|label)(?:e?s)?\b(?!\s+(?:vector\s+|matrix\s+)?\$)", re.I
)
_LISTED = r"(?:\$[^$]+\$(?:\s*,\s*(?:and\s+)?|\s+and\s+)?)+"
_NEGATED = re.compile(r"\b(instead of|not|rather than|no longer|unlike)\b[^,;]*", re.I)
_FUNCTIONS = {
    "sigmoid": r"\b(sigmoid|logistic (function|activation))", "relu": r"\brelu\b|rectified linear",
    "tanh": r"\btanh\b|hyperbolic tangent", "softmax": r"\bsoftmax\b",
    "softplus": r"\bsoftplus\b",
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What is said about one symbol.

    Attributes:
        symbol: as written; a single lower-case letter with `noun` true: all symbols that begin so.
        kind: scalar, row, column, vector or matrix.
        sizes: names or numbers of rows and columns; "" where not said.
        noun: whether the sentence names it by a word ("the weights").
    """

    symbol: str
    kind: str
    sizes: tuple[str, str] = ("", "")
    noun: bool = False


def shapes(prose: str) -> list[Shape]:
    """Every statement about shapes in a text, in order.

    >>> shapes("$X$ is a matrix of shape $(n,m)$ and $y$ is still a row vector.")
    [Shape(symbol='X', kind='matrix', sizes=('n', 'm'), noun=False),
     Shape(symbol='y', kind='row', sizes=('1', ''), noun=False)]
    """
    found: list[Shape] = []
    for sentence in _SENTENCE.split(prose):
        if len(sentence) < 4000:
            found += _sized(sentence)
            told = {shape.symbol for shape in found}
            found += [s for s in _kinds(sentence) if s.symbol not in told]
    return found


def functions(prose: str) -> list[str]:
    """Names of the activation functions that a text mentions, in the order of first mention."""
    places = []
    for name, pattern in _FUNCTIONS.items():
        match = re.search(pattern, prose, re.I)
        if match:
            places.append((match.start(), name))
    return [name for _, name in sorted(places)]


def sigma(prose: str) -> str:
    r"""What a sentence that names both says σ is; "" if none does.

    >>> sigma(r"We use the ReLU. Here $\sigma$ is the sigmoid function.")
    'sigmoid'
    """
    for sentence in _SENTENCE.split(prose):
        named = functions(sentence)
        if len(named) == 1 and re.search(r"\\sigma\b|σ", sentence):
            return named[0]
    return ""


def _sized(sentence: str) -> Iterator[Shape]:
    formulas = list(_FORMULA.finditer(sentence))
    for i, match in enumerate(formulas):
        body = match[1].strip()
        reals = _REALS.search(body)
        if reals:
            for symbol in _names(body[: reals.start()]):
                yield Shape(symbol, MATRIX if reals[2] else VECTOR, (reals[1], reals[2] or ""))
            continue
        listed = _TUPLE.search(body)
        if listed and (symbol := body[: listed.start()].strip()):
            column = re.search(r"column|\^\s*\{?(T|\\top|\\intercal|\\mathsf)", sentence)
            sizes = (listed[1], "1") if column else ("1", listed[1])
            yield Shape(symbol, COLUMN if column else ROW, sizes)
            continue
        pair = _PAIR.fullmatch(body)
        if not pair:
            continue
        begin = formulas[i - 1].end() if i else 0
        between = sentence[begin : match.start()]
        after = sentence[match.end() : match.end() + 20]
        if re.search(r"broadcast", between, re.I):
            continue
        if not (_SHAPE_WORD.search(between) or re.match(r"\s*(-\s*)?(matrix|vector|array)", after)):
            continue
        sizes = (pair[1], pair[2])
        subject = _subject(sentence, formulas[:i], between)
        if subject:
            yield Shape(subject[0], _kind(sizes), sizes, subject[1])


def _kind(sizes: tuple[str, str]) -> str:
    if sizes == ("1", "1"):
        return SCALAR
    return ROW if sizes[0] == "1" else COLUMN if sizes[1] == "1" else MATRIX


def _subject(sentence: str, before: list[re.Match[str]], between: str) -> tuple[str, bool] | None:
    """What a shape is said of: the noun right before it, else the symbol before it."""
    nouns = _NOUN.findall(between)
    if nouns:
        return _NOUNS[nouns[-1].lower()], True
    for match in reversed(before):
        names = _names(match[1])
        if names and not _PAIR.fullmatch(match[1].strip()):
            return names[-1], False
    return None


def _kinds(sentence: str) -> Iterator[Shape]:
    """What is said by a kind alone: scalars $w$ and $b$; $x$ is a row vector."""
    text = _NEGATED.sub(lambda m: " " * len(m[0]), sentence)
    for match in _KINDS.finditer(text):
        kind = _kind_word(match[1])
        ahead = re.match(
            rf"(?:\s+(?!of\b|with\b|whose\b)[a-z-]+){{0,2}}?\s*({_LISTED})",
            text[match.end() :],
        )
        behind = re.search(
            rf"({_LISTED})\s*(?:is|are|be|denotes?|as|,)?"
            r"(?:\s+[a-z]+){0,3}\s+$",
            text[max(0, match.start() - 200) : match.start()],
        )
        if behind:
            listed = behind[1]
        elif ahead:
            listed = ahead[1]
        else:
            noun = re.search(
                r"\b(weight|bias)(?:e?s)?(?: [a-z]+)? (?:is|are|be)(?: [a-z]+){0,2} $",
                text[: match.start()],
                re.I,
            )
            if noun and not noun.group(0).count("$"):
                yield Shape(_NOUNS[noun[1].lower()], kind, _sizes(kind), noun=True)
            continue
        for formula in _FORMULA.finditer(listed):
            if "=" not in formula[1] and not formula[1].strip().startswith("("):
                for symbol in _names(formula[1]):
                    yield Shape(symbol, kind, _sizes(kind))


def _kind_word(word: str) -> str:
    word = word.lower()
    if word.startswith(("scalar", "number")):
        return SCALAR
    if word.startswith("row"):
        return ROW
    if word.startswith("column"):
        return COLUMN
    return VECTOR if word.startswith("vector") else MATRIX


def _sizes(kind: str) -> tuple[str, str]:
    return {SCALAR: ("1", "1"), ROW: ("1", ""), COLUMN: ("", "1")}.get(kind, ("", ""))


def _names(text: str) -> list[str]:
    """The symbols in ``W_1, W_2`` or ``(x, y)``; none if it is a formula."""
    text = text.strip().strip("()").replace(r"\{", "").replace(r"\}", "")
    parts = [part.strip() for part in re.split(r",(?![^{]*\})", text)]
    symbol = r"\\?[A-Za-zα-ωŷ]+(?:\s*\{?\\?[A-Za-z]\}?)?(?:\s*[_^]\s*(?:\{[^{}]*\}|\S))*"
    return [p for p in parts if re.fullmatch(symbol, p) and len(p) < 60]
