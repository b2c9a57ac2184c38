"""Equations of a document in plain characters, for a terminal."""

from __future__ import annotations

import re

from chainrule.emit.plain import plain

_END = r"(?![A-Za-z])"  # of a control word
_WORDS = {
    r"\times": "×", r"\circ": "∘", r"\dots": "…", r"\ldots": "…", r"\cdots": "…", r"\dotsb": "…",
    r"\ln": "ln ", r"\rightarrow": "→", r"\longrightarrow": "→", r"\to": "→", r"\leftarrow": "←",
    r"\gets": "←", r"\implies": "⇒", r"\Rightarrow": "⇒", r"\approx": "≈", r"\propto": "∝",
    r"\in": "∈", r"\ell": "ℓ", r"\Vert": "‖", r"\lVert": "‖", r"\rVert": "‖", r"\mid": "|",
    r"\vert": "|", r"\tfrac": r"\frac", r"\dfrac": r"\frac", r"\cfrac": r"\frac", r"\quad": " ",
    r"\qquad": " ", r"\displaystyle": "", r"\limits": "", r"\nonumber": "",
}  # fmt: skip
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lrg]?)" + _END)
_TRANSPOSED = r"(\\top|\\intercal|\\mathsf\{T\}|\\mathrm\{T\}|\\text\{T\}|T)"
_FONT = r"\\(?:mathbf|boldsymbol|bm|mathit|mathsf|vec)"
_SAME = (
    (re.compile(r"\^\s*\{?\s*" + _TRANSPOSED + r"\s*\}?" + _END), r"^\\intercal"),
    (re.compile(_FONT + r"\s*\{((?!1\})[^{}]*)\}"), r" \1"),
    (re.compile(r"\\(?:mathcal|mathscr)\s*(?:\{([^{}]*)\}|([A-Z]))"), r" \1\2"),
    (re.compile(r"\^\s*\{\s*[(]([^(){}]*)[)]\s*\}"), r"^{\1}"),
    (re.compile(r"\\(?:mathbf|mathbb|boldsymbol)\s*\{1\}(?=\s*(?:\[|\\\{|_))"), "1"),
    (re.compile(r"\\(?:mathbf|mathbb|boldsymbol)\s*\{1\}"), r"\\vec{1}"),
    (re.compile(r"\\mathbb\s*(?:\{R\}|R)"), "ℝ"),
    (re.compile(r"\\frac\s*(\w)\s*(\w)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\(hat|bar|tilde)\s+(\w)|\\(hat|bar|tilde)(\w)(?=\W|_)"), r"\\\1\3{\2\4}"),
    (re.compile(r"(?<=\s)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\.\.\."), "…"),
    (re.compile(r"\\nabla(?![A-Za-z])\s*"), "∇"),
    (re.compile(r"\\\|"), "‖"),
    (re.compile(r"\^\s*\{?\\prime\\prime\}?"), "″"),
    (re.compile(r"\^\s*\{?\\prime\}?"), "′"),
    (re.compile(r"\\[,;:! ]"), " "),
    (re.compile(r"(?<!\|)'"), "′"),
)


def readable(text: str) -> str:
    r"""An equation in plain characters; as it is if something in it has none.

    >>> readable(r"\delta^L = \nabla_a C \odot \sigma'(z^L)")
    'δ^L = ∇ₐ C ⊙ σ′(z^L)'
    >>> readable(r"\substack{a \\ b} = c")
    '\\substack{a \\\\ b} = c'
    """
    new = _SIZES.sub("", text)
    new = re.sub(r"\\[A-Za-z]+", lambda m: _WORDS.get(m[0], m[0]), new)
    for pattern, spelled in _SAME:
        new = pattern.sub(spelled, new)
    new = re.sub(r"∇\s*_\{?([a-zA-Z])\}?", lambda m: f"∇{_LOW.get(m[1], '_' + m[1])} ", new)
    shown = " ".join(plain(new).split())
    shown = re.sub(r"\^\((\[[^\]]*\])(T?)\)", lambda m: f"^{m[1]}{'ᵀ' if m[2] else ''}", shown)
    return text if re.search(r"\\[A-Za-z]|[{}]", shown) else shown


_LOW = {"a": "ₐ", "x": "ₓ", "h": "ₕ"}
