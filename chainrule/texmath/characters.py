"""Tables of characters and control words: what they mean in a formula."""

from __future__ import annotations

GREEK_LETTERS = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
        "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi "
        "Omega".split(),
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        strict=True,
    )
)
GREEK = {char: word for word, char in GREEK_LETTERS.items()} | {
    "ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "ς": "sigma", "ϱ": "rho", "ℓ": "ell", "ℒ": "L",
}  # fmt: skip
GREEK_WORDS = {
    **{word: word for word in GREEK_LETTERS},
    **{f"var{word}": word for word in ("epsilon", "phi", "theta", "rho", "sigma", "pi", "kappa")},
    "ell": "ell",
    "imath": "i",
    "jmath": "j",
}

# Marks above a letter: combining character, control word and canonical ending.
ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde", "\u0307": "dot"}
ACCENT_COMMANDS = {
    "hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde",
    "widetilde": "tilde", "dot": "dot",
}  # fmt: skip
ENDINGS = ("hat", "bar", "tilde", "dot")
ARROW_ABOVE = "\u20d7"

# Fonts say nothing about which symbol is meant.
FONTS = frozenset(
    "vec mathbf boldsymbol bm pmb mathcal mathscr mathit mathbb mathsf mathfrak underline".split()
)
UPRIGHT = frozenset("mathrm text operatorname textrm textit textbf mathop textsf mathtt".split())

SUBSCRIPTS = {
    **dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True)),
    **dict(zip("ᵢⱼₖₗₘₙₚₜₓₐₑₒₕₛ", "ijklmnptxaeohs", strict=True)),
    "₍": "(",
    "₎": ")",
}
SUPERSCRIPTS = {
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾", "0123456789+-()", strict=True)),
    **dict(zip("ⁱʲᵏˡᵐⁿᵀᴸ", "ijklmnTL", strict=True)),
}
TRANSPOSES = frozenset({"T", "⊤", "ᵀ", "⊺"})
TRANSPOSE_COMMANDS = frozenset({"top", "intercal", "transp"})

# What one control word or character stands for, where it is one sign.
SIGNS = {
    r"\cdot": "·", r"\times": "·", r"\ast": "*", r"\odot": "⊙", r"\circ": "⊙", r"\bullet": "·",
    "⋅": "·", "∙": "·", "×": "·", "∗": "*", "∘": "⊙", "◦": "⊙", "−": "-", "–": "-", "÷": "/",
    "⨀": "⊙", r"\bigodot": "⊙", "∕": "/", "⁄": "/",
    r"\le": "≤", r"\leq": "≤", r"\leqslant": "≤", r"\ge": "≥", r"\geq": "≥", r"\geqslant": "≥",
    r"\lt": "<", r"\gt": ">", r"\ne": "≠", r"\neq": "≠", "<=": "≤", ">=": "≥", "==": "=",
    "!=": "≠", ":=": "=", r"\coloneqq": "=", r"\equiv": "=", r"\triangleq": "=", "≡": "=",
    "≔": "=",
    r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|",
    r"\lVert": "‖", r"\rVert": "‖", r"\Vert": "‖", r"\|": "‖", "||": "‖", "∥": "‖",
    r"\{": "⦃", r"\}": "⦄", r"\lbrace": "⦃", r"\rbrace": "⦄", r"\lbrack": "[", r"\rbrack": "]",
    r"\prime": "'", "′": "'", "″": "''", "’": "'",
    r"\sum": "Σ", "∑": "Σ", r"\partial": "∂", "∂": "∂", r"\nabla": "∇", r"\infty": "∞",
    r"\top": "⊤", r"\intercal": "⊤", "ᵀ": "⊤", "⊺": "⊤", r"\transp": "⊤",
    r"\surd": "√", "**": "^",
}  # fmt: skip
NOTHING = frozenset(
    ", ; : ! > quad qquad left right middle displaystyle textstyle limits nolimits nonumber notag "
    "thinspace enspace mathstrut big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr "
    "bigm hfill allowbreak nobreak".split()
) | {" "}
