"""Equations of a document in plain characters, for a terminal."""

from __future__ import annotations

import re

from chainrule.emit.plain import plain

_SAME = (
    (re.compile(r"\^\s*\{?\s*(\\top|\\intercal|\\mathsf\{T\}|\\mathrm\{T\}|\\text\{T\}|T)\s*\}?(?![A-Za-z])"), r"^\\intercal"),
    (re.compile(r"\\(?:mathbf|boldsymbol|bm|mathit|mathsf|vec)\s*\{((?!1\})[^{}]*)\}"), r" \1"),
    (re.compile(r"\\(?:mathcal|mathscr)\s*(?:\{([^{}]*)\}|([A-Z]))"), r" \1\2"),
    (re.compile(r"\^\s*\{\s*[(]([^(){}]*)[)]\s*\}"), r"^{\1}"),
    (re.compile(r"\\(?:mathbf|mathbb|boldsymbol)\s*\{1\}"), r"\\vec{1}"),
    (re.compile(r"\\(?:tfrac|dfrac|cfrac)"), r"\\frac"),
    (re.compile(r"\\frac\s*(\w)\s*(\w)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\(hat|bar|tilde)\s+(\w)|\\(hat|bar|tilde)(\w)(?=\W|_)"), r"\\\1\3{\2\4}"),
    (re.compile(r"\\(?:left|right|big[lrg]?|Big[lrg]?|bigg[lr]?|displaystyle|limits|nonumber)(?![A-Za-z])"), ""),
    (re.compile(r"\\mathbb\s*(?:\{R\}|R)"), "ℝ"), (re.compile(r"(?<=\s)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\times(?![A-Za-z])"), "×"), (re.compile(r"\\circ(?![A-Za-z])"), "∘"),
    (re.compile(r"\\(?:l|c)?dots[bc]?(?![A-Za-z])"), "…"), (re.compile(r"\.\.\."), "…"),
    (re.compile(r"\\nabla(?![A-Za-z])\s*"), "∇"), (re.compile(r"\\(?:ln)(?![A-Za-z])"), "ln "),
    (re.compile(r"\\(?:longright|right)arrow(?![A-Za-z])|\\to(?![A-Za-z])"), "→"),
    (re.compile(r"\\(?:leftarrow|gets)(?![A-Za-z])"), "←"), (re.compile(r"\\(?:R|i)mplies|\\Rightarrow"), "⇒"),
    (re.compile(r"\\approx(?![A-Za-z])"), "≈"), (re.compile(r"\\propto(?![A-Za-z])"), "∝"),
    (re.compile(r"\\in(?![A-Za-z])"), "∈"), (re.compile(r"\\ell(?![A-Za-z])"), "ℓ"),
    (re.compile(r"\\(?:Vert|lVert|rVert|\|)"), "‖"), (re.compile(r"\\(?:mid|vert)(?![A-Za-z])"), "|"),
    (re.compile(r"\^\s*\{?\\prime\\prime\}?"), "″"), (re.compile(r"\^\s*\{?\\prime\}?"), "′"),
    (re.compile(r"\\[,;:! ]|\\q?quad(?![A-Za-z])"), " "), (re.compile(r"(?<!\|)'"), "′"),
)  # fmt: skip


def readable(text: str) -> str:
    r"""An equation in plain characters; as it is if something in it has none.

    >>> readable(r"\delta^L = \nabla_a C \odot \sigma'(z^L)")
    'δ^L = ∇ₐ C ⊙ σ′(z^L)'
    >>> readable(r"\substack{a \\ b} = c")
    '\\substack{a \\\\ b} = c'
    """
    new = text
    for pattern, spelled in _SAME:
        new = pattern.sub(spelled, new)
    new = re.sub(r"∇\s*_\{?([a-zA-Z])\}?", lambda m: f"∇{_LOW.get(m[1], '_' + m[1])} ", new)
    shown = " ".join(plain(new).split())
    shown = re.sub(r"\^\((\[[^\]]*\])(T?)\)", lambda m: f"^{m[1]}{'ᵀ' if m[2] else ''}", shown)
    return text if re.search(r"\\[A-Za-z]|[{}]", shown) else shown


_LOW = {"a": "ₐ", "x": "ₓ", "h": "ₕ"}
