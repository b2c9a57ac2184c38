r"""Equations as MathML: what browsers show by themselves, without scripts or fonts from elsewhere.

Reads the LaTeX that the emitters print, nothing more: letters, numbers, signs, ``\frac``,
``\sqrt``, accents, sub- and superscripts, ``\left … \right``. What it does not know is an error.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from chainrule.emit.plain import GREEK
from chainrule.errors import FormulaError

DEEPEST = 64  # groups within groups
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\|\||&=|\s+|.", re.DOTALL)

SIGNS = {
    r"\odot": "⊙", r"\cdot": "·", r"\geq": "≥", r"\leq": "≤", r"\neq": "≠", r"\times": "×",
    r"\in": "∈", "-": "−", "||": "‖", "&=": "=",
    r"\lvert": "|", r"\rvert": "|", r"\sum": "∑", r"\sim": "∼", r"\wedge": "∧", r"\backslash": "\\",
}  # fmt: skip
LETTERS = {r"\sigma": "σ", r"\partial": "∂", r"\infty": "∞", r"\intercal": "⊤", **GREEK}
FUNCTIONS = ("max", "min", "log", "exp", "tanh", "cosh", "det")
SPACES = {r"\,": "0.17em", r"\quad": "1em", r"\ ": "0.3em"}
ACCENTS = {r"\hat": "^", r"\bar": "¯", r"\tilde": "~", r"\vec": "→"}
UPRIGHT = (r"\mathrm", r"\operatorname", r"\text")
TALL = ("<mfrac", "∑", "<msqrt")
FENCES = ("‖", "|")


def mathml(line: str, *, display: bool = False) -> str:
    r"""One equation as a ``<math>`` element.

    Args:
        line: LaTeX as the emitters print it.
        display: with large fractions, not as within a line of text.

    Raises:
        FormulaError: it contains something that no emitter prints, or is nested too deeply.

    >>> mathml(r"\frac{1}{m}")
    '<math><mrow><mfrac><mrow><mn>1</mn></mrow><mrow><mi>m</mi></mrow></mfrac></mrow></math>'
    """
    reader = _Reader([t for t in _TOKEN.findall(line) if not t.isspace()])
    kind = ' displaystyle="true"' if display else ""
    return f"<math{kind}>{reader.row('')}</math>"


class _Reader:
    """Tokens, one after the other."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def next(self) -> str:
        if self.at == len(self.tokens):
            raise FormulaError("the equation ends within a group")
        self.at += 1
        return self.tokens[self.at - 1]

    def row(self, end: str) -> str:
        """Everything up to `end`, which is taken too; "" for the end of the text."""
        parts: list[str] = []
        while self.at < len(self.tokens) or end:
            token = self.next()
            if token == end:
                break
            if token in ("^", "_"):
                base = parts.pop() if parts else "<mrow></mrow>"
                parts.append(self.scripts(base, token))
            elif token == "-" and (not parts or _expects_more(parts[-1])):
                parts.append('<mo form="prefix">−</mo>')
            else:
                parts.append(self.atom(token))
        return f"<mrow>{''.join(parts)}</mrow>"

    def scripts(self, base: str, first: str) -> str:
        """`base` with what stands below and above it."""
        found = {first: self.argument()}
        other = "_" if first == "^" else "^"
        if self.at < len(self.tokens) and self.tokens[self.at] == other:
            self.at += 1
            found[other] = self.argument()
        if len(found) == 2:
            return f"<msubsup>{base}{found['_']}{found['^']}</msubsup>"
        tag = "msup" if first == "^" else "msub"
        return f"<{tag}>{base}{found[first]}</{tag}>"

    def argument(self) -> str:
        """A group or a single sign."""
        token = self.next()
        return self.atom(token)

    def atom(self, token: str) -> str:
        """What a token, with its arguments, is."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise FormulaError(f"nesting deeper than {DEEPEST}")
        found = self.within(token)
        self.depth -= 1
        return found

    def within(self, token: str) -> str:
        if token == "{":
            return self.row("}")
        if token == r"\frac":
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if token == r"\sqrt":
            return f"<msqrt>{self.argument()}</msqrt>"
        if token in ACCENTS:
            base = self.argument()
            return f'<mover accent="true">{base}<mo stretchy="false">{ACCENTS[token]}</mo></mover>'
        if token in UPRIGHT or token == r"\mathcal":
            return self.name(token)
        if token == r"\left":
            return self.fenced()
        return _single(token)

    def fenced(self) -> str:
        r"""What stands between ``\left`` and ``\right``; the fences grow with what is tall."""
        opening = self.next()
        inside = self.row(r"\right")
        grows = "true" if any(tag in inside for tag in TALL) else "false"
        fences = [
            f'<mo fence="true" stretchy="{grows}">{html.escape(_sign(fence))}</mo>'
            for fence in (opening, self.next())
        ]
        return f"<mrow>{fences[0]}{inside}{fences[1]}</mrow>"

    def name(self, command: str) -> str:
        r"""The group after ``\operatorname`` and the like, as one word."""
        if self.next() != "{":
            raise FormulaError(f"{command} needs a group")
        word = "".join(self.letters())
        if command == r"\mathcal":
            return f"<mi>{'ℒ' if word == 'L' else html.escape(word)}</mi>"
        named = f'<mi mathvariant="normal">{html.escape(word)}</mi>'
        return _apart(named) if command == r"\operatorname" else named

    def letters(self) -> Iterator[str]:
        while (token := self.next()) != "}":
            yield token[1:] if re.fullmatch(r"\\[^A-Za-z]", token) else _sign(token)


def _apart(name: str) -> str:
    """A function stands a little apart from what is before it."""
    return f'<mrow><mspace width="0.17em"/>{name}</mrow>'


def _expects_more(before: str) -> bool:
    """Whether a sign follows an operator or an opening fence: then it belongs to what comes."""
    return before.startswith("<mo") and before.endswith("</mo>") and before[-6] not in ")]|‖"


def _sign(token: str) -> str:
    return SIGNS.get(token, LETTERS.get(token, token))


def _single(token: str) -> str:
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token in SPACES:
        return f'<mspace width="{SPACES[token]}"/>'
    if token[1:] in FUNCTIONS and token.startswith("\\"):
        return _apart(f"<mi>{token[1:]}</mi>")
    if token in LETTERS or token.isalpha():
        return f"<mi>{html.escape(_sign(token))}</mi>"
    if token.startswith("\\") and token not in SIGNS:
        if re.fullmatch(r"\\[#$%&_{}]", token):
            return f"<mo>{html.escape(token[1:])}</mo>"
        raise FormulaError(f"{token} is not known in an equation")
    if token == "}":
        raise FormulaError("a group ends that did not begin")
    sign = _sign(token)
    if sign in FENCES or sign in tuple("()[]"):
        return f'<mo fence="true" stretchy="false" lspace="0" rspace="0">{sign}</mo>'
    return f"<mo>{html.escape(sign)}</mo>"
