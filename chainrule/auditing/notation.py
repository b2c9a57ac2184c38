r"""What the text of an equation means before it is parsed: layers without brackets, dots, ∇ alone.

`plain` spells these the way `chainrule.texmath` reads them, and `restored` undoes it, so that what
is shown to a reader is always in the document's own notation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNT = 3  # how many terms stand for "c_1 + … + c_n", and layers for "l = 1, …, L"
EVERYTHING = "Theta"  # with respect to which ∇ without an index derives

_LAYER_WORD = r"[lL](?:\s*[+-]\s*\d)?"
_BARE_LAYER = re.compile(rf"\^\s*(?:\{{\s*({_LAYER_WORD})\s*\}}|([lL])(?![A-Za-z]))")
_SET_LAYER = re.compile(rf"\^\{{\(({_LAYER_WORD})\)\}}")
_NABLA = re.compile(r"\\nabla(?![A-Za-z])(?!\s*_)|∇(?!\s*_)")
_DOTS = r"(?:\\dots|\\ldots|\\cdots|\\dotsb|\.\.\.|…)"
_SERIES = re.compile(rf"\+\s*{_DOTS}\s*\+")
_SUBSCRIPT = re.compile(r"_\s*(?:\{([^{}]*)\}|(\w))")
_NP_SUM = re.compile(
    r"(?:\\(?:text|mathrm|operatorname)\s*\{)?\s*np\.sum\s*\}?\s*\(([^,]{1,200}),\s*axis\s*=\s*([01])"
    r"(?:\s*,\s*keepdims?\s*=\s*True)?\s*\)"
)
_D_OF = re.compile(
    r"\\[dt]?frac\s*\{\s*(d|\\partial)\s*\}\s*\{\s*\1\s*([a-z])\s*\}\s*"
    r"(\\?[A-Za-z]+)\s*\(\s*\2\s*\)"
)
_NABLA_OF = re.compile(  # ∇J(w): by what stands in the brackets
    r"(?:\\nabla(?![A-Za-z])|∇)\s*(\\mathcal\s*\{\s*[A-Z]\s*\}|\\?[A-Za-z]+)\s*\(\s*(\\?[A-Za-z]+)\s*\)"
)
_LETTER_AND_NUMBER = re.compile(r"_\s*\{\s*([a-z])(\d)\s*\}")


@dataclass(frozen=True)
class Spelled:
    """A side of an equation as it is parsed.

    Attributes:
        text: what is given to the parser.
        counts: names that the text uses for numbers of terms it leaves out: {"n": 3}.
        layers: whether it names layers without brackets.
    """

    text: str
    counts: tuple[tuple[str, int], ...] = ()
    layers: bool = False


def plain(text: str) -> Spelled:
    r"""A side of an equation in the notation that is parsed.

    >>> plain(r"w^{l+1} a^l").text
    'w^{(l+1)} a^{(l)}'
    >>> plain(r"\frac{1}{n}(\nabla c_1 + ... + \nabla c_n)").text
    '\\frac{1}{n}(\\nabla_{\\Theta} c_1 + \\nabla_{\\Theta} c_2 + \\nabla_{\\Theta} c_3)'
    """
    text = _D_OF.sub(r"\3'(\2)", _NP_SUM.sub(_ones, text))
    text = _NABLA_OF.sub(r"\\nabla_{\2} \1", text)
    text, counts = _without_dots(text)
    text = _LETTER_AND_NUMBER.sub(r"_{\1,\2}", text)
    layered = _BARE_LAYER.sub(lambda m: "^{(" + "".join((m[1] or m[2]).split()) + ")}", text)
    spelled = _NABLA.sub(lambda m: rf"\nabla_{{\{EVERYTHING}}}", layered)
    return Spelled(spelled, tuple(counts.items()), layered != text)


def restored(text: str, original: str) -> str:
    """`text`, spelled by `plain` from `original` and changed since, in the original's notation."""
    for nabla in (r"\nabla", "∇"):
        if nabla in original:
            text = text.replace(rf"\nabla_{{\{EVERYTHING}}}", nabla)
            break
    if _LETTER_AND_NUMBER.search(original):
        text = re.sub(r"_\{([a-z]),(\d)\}", r"_{\1\2}", text)
    if _BARE_LAYER.search(original):
        text = _SET_LAYER.sub(lambda m: f"^{m[1]}" if len(m[1]) == 1 else f"^{{{m[1]}}}", text)
    return text


def _ones(match: re.Match[str]) -> str:
    """np.sum(x, axis=1) adds columns up: x 1⃗; axis=0 adds rows up: 1⃗ᵀ x."""
    return rf"({match[1]}) \vec{{1}}" if match[2] == "1" else rf"\vec{{1}}^\intercal ({match[1]})"


def _without_dots(text: str) -> tuple[str, dict[str, int]]:
    """``c_1 + … + c_n`` with its terms written out."""
    counts: dict[str, int] = {}
    at = 0
    while match := _SERIES.search(text, at):
        begin, end = _term_before(text, match.start()), _term_after(text, match.end())
        first, last = text[begin : match.start()].strip(), text[match.end() : end].strip()
        found = _series(first, last)
        if found is None:
            at = match.end()
            continue
        terms, count = found
        counts[count] = COUNT
        written = " + ".join(terms)
        text = text[:begin] + written + text[end:]
        at = begin + len(written)
    return text, counts


def _term_before(text: str, at: int) -> int:
    depth = 0
    while at > 0:
        character = text[at - 1]
        depth += (character in ")}]") - (character in "({[")
        if depth < 0 or (depth == 0 and character in "+-=,"):
            break
        at -= 1
    return at


def _term_after(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        character = text[at]
        depth += (character in "({[") - (character in ")}]")
        if depth < 0 or (depth == 0 and character in "+-=,"):
            break
        if depth == 0 and text.startswith(r"\right", at):
            break
        at += 1
    return at


def _series(first: str, last: str) -> tuple[list[str], str] | None:
    """The terms from the first to the last, and what the last number is called."""
    ones, ends = list(_SUBSCRIPT.finditer(first)), list(_SUBSCRIPT.finditer(last))
    if (
        len(ones) != len(ends)
        or _SUBSCRIPT.sub("_", first).split() != _SUBSCRIPT.sub("_", last).split()
    ):
        return None
    count = ""
    for one, end in zip(ones, ends, strict=True):
        a, b = one[1] or one[2], end[1] or end[2]
        if a == b:
            continue
        if not a.endswith("1") or not b.startswith(a[:-1]) or count not in ("", b[len(a) - 1 :]):
            return None
        count = b[len(a) - 1 :]
    if not count or count.isdigit():
        return None
    terms = []
    for i in range(1, COUNT + 1):
        term = first
        for one in reversed(ones):
            below = one[1] or one[2]
            same = any((e[1] or e[2]) == below for e in ends)
            if not (same and below != "1") and below.endswith("1"):
                new = f"_{{{below[:-1]}{i}}}" if len(below) > 1 or one[1] else f"_{i}"
                term = term[: one.start()] + new + term[one.end() :]
        terms.append(term)
    return terms, count


def key(text: str) -> str:
    r"""A rough canonical form of a size or symbol in prose: ``n_{x}`` → ``n_x``."""
    return re.sub(r"[\s{}\\]", "", text)
