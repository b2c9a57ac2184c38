"""Text into tokens: LaTeX, plain characters and what is typed on a keyboard give the same ones."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chainrule.texmath import characters as chars
from chainrule.texmath.limits import check_length, refused
from chainrule.texmath.words import function


class Token(NamedTuple):
    """A piece of a formula.

    Attributes:
        kind: number, symbol, word, accent (its text is the ending), d, ones, command, sign or end.
        text: in canonical spelling.
        start, end: the columns it covers, counted from 0.
        spaced: whether white space stands before it.
    """

    kind: str
    text: str
    start: int
    end: int
    spaced: bool = False


_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+(?![A-Za-z]))?")
_SKIPPED = re.compile(
    r"\s+|~|%[^\n]*|\\(?:label|tag|hspace|vspace|color|phantom)\*?\s*\{[^{}]*\}|\\(?:left|right)\s*\."
    r"|\\(?:left|right|middle|[bB]ig+[lrm]?)(?![A-Za-z])"
)
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_ONES = re.compile(
    r"\\(vec|mathbf|boldsymbol|bm|mathbb|mathds|mathbbm|overrightarrow)\s*(?:\{\s*1\s*\}|1)"
)
_BARE_GROUP = re.compile(r"\s*\{([^{}]*)\}")
_FONT_GROUP = re.compile(r"\s*\{((?:[^{}+*/=-]|\{[^{}]*\})*)\}")
_LETTERS = re.compile(r"[A-Za-z]{1,40}")
_TWO_WORDS = re.compile(r"[A-Za-z]{1,20}_[a-z]{1,20}")
_UNDERSCORED = re.compile(r"_([A-Za-z]{2,}|[A-Za-z]+[0-9]+)(?![A-Za-z0-9])")
_DIGITS = re.compile(rf"[0-9]+(?!\.?[0-9]|{chars.ARROW_ABOVE})")
_TURNED = re.compile(r"\.T(?![A-Za-z0-9_])")
LONGEST_WORD = 12  # letters of a function's name that may follow other letters: xlogsumexp(y)
_LONG_SIGNS = ("**", "||", "<=", ">=", "==", "!=", ":=")
_ONE_SIGN = frozenset("+-*/@^_(){}[]|‖=<>≤≥≠,;:.!&'√·⊙Σ∂∇∞⊤⦃⦄")


class Lexer:
    """Reads one formula.

    Args:
        text: the formula.
        names: canonical names that are known; those of several letters are found where they are
            typed as one word.
    """

    def __init__(self, text: str, names: Iterable[str] = ()) -> None:
        check_length(text)
        self.text = text
        self.names = frozenset(names)
        self.plain = "\\" not in text and "{" not in text
        self.surface, self.finds = _surfaces(self.names)
        self.at = 0
        self.spaced = False

    def tokens(self) -> list[Token]:
        """All tokens; one of kind ``end`` is last.

        Raises:
            FormulaError: the text is too long or has a character that no formula has.
        """
        found: list[Token] = []
        while self.at < len(self.text):
            skipped = _SKIPPED.match(self.text, self.at)
            if skipped:
                self.at, self.spaced = skipped.end(), True
                continue
            found.extend(self._next())
        end = len(self.text.rstrip())
        return [*found, Token("end", "", end, end, self.spaced)]

    def _token(self, kind: str, text: str, end: int, start: int | None = None) -> Token:
        begin = self.at if start is None else start
        made = Token(kind, text, begin, end, self.spaced)
        self.at, self.spaced = end, False
        return made

    def _next(self) -> Iterator[Token]:
        text, at = self.text, self.at
        char = text[at]
        number = _NUMBER.match(text, at)
        if char == "1" and text[at + 1 : at + 2] == chars.ARROW_ABOVE:
            yield self._token("ones", "vec", at + 2)
        elif number:
            yield self._token("number", number[0], number.end())
        elif char == "\\":
            yield from self._command()
        elif char in chars.SUBSCRIPTS:
            yield from self._shifted("_", chars.SUBSCRIPTS)
        elif char in chars.SUPERSCRIPTS and char != "ᵀ":
            yield from self._shifted("^", chars.SUPERSCRIPTS)
        elif char == "Σ" and "Sigma" not in self.names:
            yield self._token("sign", "Σ", at + 1)
        elif (char.isalpha() or char in chars.GREEK) and char not in chars.SIGNS:
            yield from self._letters()
        else:
            yield self._sign()

    def _sign(self) -> Token:
        text, at = self.text, self.at
        if _TURNED.match(text, at):
            return self._token("sign", "⊤ after", at + 2)
        for sign in _LONG_SIGNS:
            if text.startswith(sign, at):
                return self._token("sign", chars.SIGNS.get(sign, sign), at + len(sign))
        sign = chars.SIGNS.get(text[at], text[at])
        if sign not in _ONE_SIGN and sign != "''":
            what = f'"{text[at] if text[at].isprintable() else hex(ord(text[at]))}" is not allowed'
            raise refused(text, at, what, "Formulas have letters, numbers, brackets and + - * / ^")
        return self._token("sign", sign, at + 1)

    def _shifted(self, sign: str, table: dict[str, str]) -> Iterator[Token]:
        """Raised or lowered characters, as ``^{…}`` or ``_{…}``."""
        start, end = self.at, self.at
        while end < len(self.text) and self.text[end] in table:
            end += 1
        inner = "".join(table[c] for c in self.text[start:end])
        yield self._token("sign", sign, start + 1)
        yield Token("sign", "{", start, start + 1)
        for token in Lexer(inner).tokens()[:-1]:
            yield token._replace(start=start + token.start, end=start + token.end)
        self.at, self.spaced = end, False
        yield Token("sign", "}", end - 1, end)

    # control words

    def _command(self) -> Iterator[Token]:
        text, at = self.text, self.at
        ones = _ONES.match(text, at)
        if ones:
            yield self._token("ones", ones[1], ones.end())
            return
        match = _COMMAND.match(text, at)
        if match is None:
            raise refused(text, at, "a backslash at the end")
        word, whole, end = match[1] or match[2], match[0].rstrip("*"), match.end()
        if whole in chars.SIGNS:
            yield self._token("sign", chars.SIGNS[whole], end)
        elif word in chars.NOTHING:
            self.at, self.spaced = end, True
        elif word in chars.GREEK_WORDS:
            yield self._token("symbol", chars.GREEK_WORDS[word], end)
        elif word in chars.ACCENT_COMMANDS:
            yield self._token("accent", chars.ACCENT_COMMANDS[word], end)
        elif word in chars.UPRIGHT:
            yield from self._upright(end)
        elif word in chars.FONTS or word == "overrightarrow":
            yield from self._font(end)
        elif function(word):
            yield self._token("word", word, end)
        else:
            yield self._token("command", word, end)

    def _upright(self, end: int) -> Iterator[Token]:
        r"""``\mathrm{relu}``: one word; an operator name may be followed by its argument."""
        group = _escaped_group(self.text, end)
        if group is None:
            self.at = end  # \mathrm T
            return
        inner, stop = group
        word = re.sub(r"\\([#$%&_{}])", r"\1", inner).strip()
        for command, char in ((r"\backslash", "\\"), (r"\sim", "~"), (r"\wedge", "^")):
            word = word.replace(f"{command} ", char).replace(command, char)
        if not word:
            self.at, self.spaced = stop, True
        elif word in ("T", "⊤"):
            yield self._token("sign", "⊤", stop)
        elif word == "d":
            yield self._token("d", "d", stop)
        else:
            yield self._token("word", word, stop)

    def _font(self, end: int) -> Iterator[Token]:
        r"""``\mathbf{W}_1``: the braces go where one symbol stands in them."""
        group = _FONT_GROUP.match(self.text, end)
        self.at = end
        if group is None:
            return
        inner, stop = group[1], group.end()
        if re.fullmatch(r"\s*T\s*", inner):
            yield self._token("sign", "⊤", stop)
            return
        if re.fullmatch(r"\s*[A-Za-z]{2,}\s*", inner):
            yield self._token("word", inner.strip(), stop)
            return
        for token in Lexer(inner, self.names).tokens()[:-1]:
            yield token._replace(start=group.start(1) + token.start, end=group.start(1) + token.end)
        self.at, self.spaced = stop, False

    # letters

    def _letters(self) -> Iterator[Token]:
        inside = self.text[self.at - 1 : self.at].isalpha() if self.at else False
        known = self.finds.match(self.text, self.at) if self.finds and not inside else None
        if known:
            yield self._token("word", self.surface[known[0]], known.end())
            return
        word = _LETTERS.match(self.text, self.at)
        if word is None or (inside and len(word[0]) > LONGEST_WORD):
            yield from self._letter()
        else:
            yield from self._word(word[0])

    def _word(self, word: str) -> Iterator[Token]:
        """Letters without a space: a function, a derivative, a name, or factors side by side."""
        end = self.at + len(word)
        long = _TWO_WORDS.match(self.text, self.at)
        if long and function(long[0]):
            yield self._token("word", long[0], long.end())
        elif len(word) > 1 and function(word):
            yield self._token("word", word, end)
        elif word == "np" and self.text[end : end + 1] == ".":
            self.at = end + 1  # np.exp(z): where a function comes from says nothing
        elif word in chars.GREEK_LETTERS:
            yield from self._typed(word, end, self.at)
        elif word[0] == "d" and "d" not in self.names and self._derives(word, end):
            yield self._token("d", "d", self.at + 1)
        elif len(word) == 4 and word[1:] in chars.ENDINGS:
            yield self._token("word", f"{word[0]}_{word[1:]}", end)
        else:
            yield from self._letter()

    def _derives(self, word: str, end: int) -> bool:
        r"""Whether the d at the start of `word` makes a derivative: dW, dL, d\hat{y}."""
        rest = word[1:]
        if rest:
            return len(rest) == 1 or rest in self.names or rest == "yhat"
        command = _COMMAND.match(self.text, end)
        after = (command[1] or "") if command else ""
        return (
            after in chars.GREEK_WORDS
            or after in chars.ACCENT_COMMANDS
            or after in chars.FONTS
            or self.text[end : end + 1] in chars.GREEK
        )

    def _letter(self) -> Iterator[Token]:
        """One letter with its accent and what is typed at it."""
        text, start = self.text, self.at
        char = text[start]
        pieces = unicodedata.normalize("NFD", char)
        end, marks = start + 1, list(pieces[1:])
        while end < len(text) and unicodedata.combining(text[end]):
            marks.append(text[end])
            end += 1
        base = chars.GREEK.get(pieces[0], pieces[0])
        accents = [chars.ACCENTS[m] for m in marks if m in chars.ACCENTS]
        if accents:
            yield self._token("accent", accents[0], start, start)
            self.at = start
        yield from self._typed(base, end, start, bool(accents))

    def _typed(self, base: str, end: int, start: int, accented: bool = False) -> Iterator[Token]:
        """A letter, digits typed after it, and a word typed below it."""
        text = self.text
        below = _UNDERSCORED.match(text, end)
        if below and below[1] in chars.ENDINGS and not accented:
            yield self._token("word", f"{base}_{below[1]}", below.end(), start)
            end = below.end()
        else:
            yield self._token("symbol", base, end, start)
            if below and self.plain:
                yield from self._grouped(end + 1, below.end(), "_")
                return
        digits = _DIGITS.match(text, end)
        if digits and base != "T":
            yield from self._grouped(end, digits.end(), "_")

    def _grouped(self, start: int, end: int, sign: str) -> Iterator[Token]:
        """The text from `start` to `end` as a subscript."""
        yield Token("sign", sign, start, start)
        yield Token("sign", "{", start, start)
        inner = self.text[start:end]
        words = re.finditer(r"[A-Za-z]|[0-9]+", inner)
        for piece in words:
            kind = "number" if piece[0].isdigit() else "symbol"
            yield Token(kind, piece[0], start + piece.start(), start + piece.end())
        yield Token("sign", "}", end, end)
        self.at, self.spaced = end, False


def _escaped_group(text: str, start: int) -> tuple[str, int] | None:
    r"""What stands in the braces after `start`, and where they end; ``\}`` ends nothing."""
    match = re.compile(r"\s*\{((?:[^{}\\]|\\.)*)\}", re.DOTALL).match(text, start)
    return (match[1], match.end()) if match else None


@functools.lru_cache(64)
def _surfaces(names: frozenset[str]) -> tuple[dict[str, str], re.Pattern[str] | None]:
    """Known names of several letters by how they are typed as one word, and what finds them."""
    found = {typed: name for given in names for typed, name in _spellings(given)}
    if not found:
        return found, None
    body = "|".join(re.escape(s) for s in sorted(found, key=len, reverse=True))
    marks = "".join(chars.ACCENTS)
    return found, re.compile(rf"(?:{body})(?![A-Za-z0-9{marks}]|_[A-Za-z0-9{{])")


def _spellings(name: str) -> Iterator[tuple[str, str]]:
    """hidden_hat_1 may be typed so, or as hidden̂ with 1 below it."""
    if not re.match(r"[^\W\d_]", name):
        return
    if re.search(r"[A-Za-z]{2}|_[A-Za-z]|[A-Za-z]{2}[0-9]", name):
        yield name, name
    stem, *rest = re.split(r"[_^]", name)
    if len(stem) < 2 or "/" in name:
        return
    accent = next((part for part in rest if part in chars.ENDINGS), "")
    mark = next((m for m, ending in chars.ACCENTS.items() if ending == accent), "")
    base = f"{stem}_{accent}" if accent else stem
    yield stem + mark, base
    yield unicodedata.normalize("NFC", stem + mark), base
