r"""Equations in plain characters: what a terminal shows of the LaTeX that the emitters print."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_SYMBOLS = {
    r"\mathcal{L}": "L",
    r"\mathcal{C}": "𝒞",
    r"\ell": "ℓ",
    r"\partial": "∂",
    r"\intercal": "ᵀ",
    r"\odot": "⊙",
    r"\cdot": "·",
    r"\times": "×",
    r"\to": "→",
    r"\mapsto": "↦",
    r"\bullet": "•",
    r"\vec{1}": "1⃗",
    r"\sigma": "σ",
    r"\sum": "Σ",
    r"\geq": "≥",
    r"\leq": "≤",
    r"\neq": "≠",
    r"\infty": "∞",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\left": "",
    r"\right": "",
    r"\quad": "  ",
    r"\dots": "…",
    r"\nabla": "∇",
    r"\,": " ",
    r"\max": "max",
    r"\min": "min",
    r"\log": "log ",
    r"\det": "det",
    r"\tanh": "tanh",
    r"\cosh": "cosh",
    r"\sqrt": "√",
    r"\backslash": "\\",
    "&=": "=",
    "||": "‖",
}
GREEK = {
    f"\\{name}": char
    for name, char in zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho tau "
        "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi "
        "Omega".split(),
        "αβγδεζηθικλμνξπρτυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        strict=True,
    )
}
_ALL = _SYMBOLS | GREEK
_WORDS = re.compile(
    "|".join(
        re.escape(word) + (r"(?![A-Za-z])" if word[-1].isalpha() else "")
        for word in sorted(_ALL, key=len, reverse=True)
    )
)
_ACCENTS = {r"\hat": "\u0302", r"\bar": "\u0304", r"\tilde": "\u0303"}
_BELOW = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")
_BELOW_LETTERS = {"i": "ᵢ", "j": "ⱼ"}
_ABOVE = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
# A word begins and ends with the first two until the line is ready, and one that stands below a
# symbol ends with the third: each is one symbol, set apart from what follows.
_WORD, _END, _END_BELOW = "\ue000", "\ue001", "\ue002"
_MARKS = "\u0302\u0303\u0304"
_LETTER = "A-Za-z0-9ℓ∂Σα-ωΑ-Ω"
_ENDS_A_FACTOR = (*")ᵀ⃗²", _END, _END_BELOW, *_MARKS)
_BELONGS_TO_ALL = "ᵀ²_^"  # after ∂L/∂x it would seem to belong to x
_BEGINS_A_FACTOR = (*"(‖Σ√|\\1", _WORD)
# one number, or one letter or word with its accent and subscript, perhaps with ∂ or d in front
_BELOW_ONE = f"(?:[₀₁₂₃₄₅₆₇₈₉ᵢⱼ₊₋]+|_[A-Za-z0-9]+{_END_BELOW})*"
_ONE_SYMBOL = re.compile(
    f"[0-9.]+|[∂d]?(?:[^\\W\\d_][{_MARKS}]?|{_WORD}[^{_WORD}{_END}]*{_END}){_BELOW_ONE}"
)
# ∂ alone, of something in parentheses, or of a function
_INSIDE = r"[^()]|\([^()]*\)"
_CHANGE = re.compile(rf"∂[^\s()/]*(\((?:[^()]|\((?:{_INSIDE})*\))*\))?")
_GROUP = r"\{([^{}]*)\}"


def plain(line: str) -> str:
    r"""One line of LaTeX in plain characters.

    >>> plain(r"\frac{\partial\mathcal{L}}{\partial w} &= \frac{2}{m}(\hat{y} - y)x^\intercal")
    '∂L/∂w = (2/m)(ŷ - y)xᵀ'
    """
    text = re.sub(r"\\mathrm\{d\}([A-Za-z])", rf"{_WORD}d\1{_END}", line)
    text = re.sub(r"\\(?:mathrm|text)" + _GROUP, rf"{_WORD}\1{_END}", text)
    for accent, mark in _ACCENTS.items():
        text = re.sub(re.escape(accent) + _GROUP, _accented(mark), text)
    text = _WORDS.sub(_symbol, text)
    text = re.sub(r"(?<=[\w)])\\operatorname", r" \\operatorname", text)
    text = re.sub(r"\\operatorname" + _GROUP, r"\1", text)
    before = ""
    while text != before:  # the innermost groups first
        before = text
        text = re.sub(
            "_" + _GROUP + rf"|_([A-Za-z0-9])(?!\w*{_END_BELOW})",
            lambda m: _lowered(m[1] or m[2] or ""),
            text,
        )
        text = re.sub(r"\^" + _GROUP + r"|\^([0-9ᵀ])", lambda m: _raised(m[1] or m[2] or ""), text)
        text = re.sub(r"√" + _GROUP, r"√(\1)", text)
        text = re.sub(r"\\frac" + _GROUP + _GROUP, _fraction, text)
    text = re.sub(r"\\([#$%&_{}])", r"\1", text)
    text = re.sub(r"log (?=[('])", "log", text)
    text = re.sub(r"\| ([^|]*) \|", r"|\1|", text)
    return unicodedata.normalize("NFC", re.sub(r" +", " ", _apart(text)).strip())


def width(text: str) -> int:
    """How many columns a text takes: accents stand above the character before them."""
    return sum(not unicodedata.combining(c) for c in text)


def _accented(mark: str) -> Callable[[re.Match[str]], str]:
    """Puts a mark on the last letter of what an accent stands above."""

    def put(match: re.Match[str]) -> str:
        inner = match[1].removesuffix(_END)
        return inner + mark + match[1][len(inner) :]

    return put


def _apart(text: str) -> str:
    """Words set apart from the symbols and brackets beside them."""
    before = rf"(?<=[\w)⃗{_MARKS}{_END}{_END_BELOW}])"
    text = re.sub(before + _WORD, f" {_WORD}", text)
    text = re.sub(rf"{_END}(?=[({_LETTER}\\√‖|])", f"{_END} ", text)
    text = re.sub(rf"{_END_BELOW}(?=[{_LETTER}])", " ", text)
    return re.sub(f"[{_WORD}{_END}{_END_BELOW}]", "", text)


_INDICES = dict(zip("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_WITH_INDICES = re.compile(f"∂?[^\\W\\d_]\\u0302?(⁽[^⁽⁾]*⁾)?[{''.join(_INDICES.values())}]*")


def plain_indices(line: str) -> str:
    r"""One line of equations with indices: w^{(1)}_{jk} as w⁽¹⁾ⱼₖ.

    >>> plain_indices(r"\frac{\partial C}{\partial b^{(1)}_{j}} &= \sum_{i} w^{(1)}_{jk} x_{ik}")
    '∂C/∂b⁽¹⁾ⱼ = Σᵢ w⁽¹⁾ⱼₖ xᵢₖ'
    """
    text = re.sub(r"\^\{\(([0-9]+)\)\}", lambda m: f"⁽{m[1].translate(_ABOVE)}⁾", line)
    letters = "".join(_INDICES)
    text = re.sub(rf"_\{{([{letters}]+)\}}", lambda m: "".join(_INDICES[x] for x in m[1]), text)
    below = "".join(_INDICES.values())
    apart = re.sub(rf"(?<=[{below}⁾])(?=∂|\((?!\)))", " ", plain(text))  # a factor, not a call
    return re.sub(r"\)(?=[^\W\d_²³])", ") ", apart).replace("∇ ", "∇")


def _symbol(match: re.Match[str]) -> str:
    """The character for a control word; a name such as tanh stands apart from what it follows."""
    char = _ALL[match[0]]
    apart = (
        len(char) > 1 and char[0].isalpha() and re.search(r"[\w)}]$", match.string[: match.start()])
    )
    return f" {char}" if apart else char


def _is_one(text: str) -> bool:
    """Whether a numerator or denominator reads as one symbol without parentheses."""
    forms = (_ONE_SYMBOL, _WITH_INDICES, _CHANGE)
    return any(form.fullmatch(text) for form in forms)


def _fraction(match: re.Match[str]) -> str:
    upper, lower = (
        part.replace("∂ ", "∂").replace("log (", "log(").strip() for part in match.groups()
    )
    shown = [part if _is_one(part) else f"({part})" for part in (upper, lower)]
    text = f"{shown[0]}/{shown[1]}"
    before = match.string[: match.start()].rstrip()[-1:]
    after = match.string[match.end() :][:1]
    if re.match("([∂d])[^/]*/\\1", text):  # a derivative reads as one symbol
        if after and after in _BELONGS_TO_ALL:
            return f"({text})"
        apart = after.isalnum() or after in (_WORD, "[") or (upper == "∂" and after)
        return f"{text} " if apart else text
    beside = (
        before.isalnum() or before in _ENDS_A_FACTOR or after.isalnum() or after in _BEGINS_A_FACTOR
    )
    return f"({text})" if beside and (before or after) else text


def _lowered(text: str) -> str:
    if _WORD in text:
        inner = text.replace(_WORD, "").replace(_END, "")
        return f"_{inner}{_END_BELOW}" if re.fullmatch(r"\w+", inner) else f"_({inner})"
    text = re.sub("_([A-Za-z0-9])", lambda m: _lowered(m[1]), text)
    if re.fullmatch(r"[0-9+-]+", text):
        return text.translate(_BELOW)
    if re.fullmatch(r"[ij]([+-][0-9]+)?", text):
        return _BELOW_LETTERS[text[0]] + text[1:].translate(_BELOW)
    if text.startswith("["):
        return text
    return f"_{text}{_END_BELOW}" if re.fullmatch(r"[A-Za-z0-9]+", text) else f"_({text})"


def _raised(text: str) -> str:
    if text in ("ᵀ", "-ᵀ"):
        return text.translate(_ABOVE)
    if text.startswith("⊙"):
        power = text.removeprefix("⊙").strip()
        plain_number = re.fullmatch(r"-?[0-9]+", power)
        return f"⊙{power.translate(_ABOVE)}" if plain_number else f"^⊙({power})"
    if re.fullmatch(r"[0-9+-]+", text):
        return text.translate(_ABOVE)
    return f"^({text})" if len(text) > 1 else f"^{text}"
