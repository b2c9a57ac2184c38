r"""The rule table as a LaTeX fragment and as an HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from chainrule.emit.mathml import mathml
from chainrule.explain.ruletable import CITED, equals, facts, received

if TYPE_CHECKING:
    from chainrule.explain.matrixrules import MatrixRule
    from chainrule.explain.ruletable import RuleTable
    from chainrule.explain.scalarrules import ScalarRule


_LEGEND_TEX = (
    r"$G = \partial L / \partial Y$ ($g = \partial L / \partial y$ for a vector) is what a value "
    r"receives from whatever loss $L$ follows. $\vec{1}$ is a column of ones. $\odot$ multiplies "
    r"entry by entry, and fractions divide so. $[a > b]$ is 1 where it holds, else 0."
)


def value_of(rule: MatrixRule) -> str:
    """``Y = AX``."""
    return f"{rule.symbol} = {rule.value}"


def derivatives(rule: ScalarRule | MatrixRule) -> list[str]:
    """Every derivative with its left side, in all its forms, as LaTeX."""
    if hasattr(rule, "partials"):
        return [f"{p.symbol} = {' = '.join(equals(p))}" for p in rule.partials]
    lines = [rf"\mathrm{{d}}{rule.symbol} = {rule.differential}"] if rule.differential else []
    for g in rule.gradients:
        forms = [text for text in (g.tex, g.closed) if text]
        lines.append(f"{received(rule, g.input)} = {' = '.join(forms)}")
    return lines


# --- LaTeX ---------------------------------------------------------------------------------------


WIDTHS = (0.16, 0.23, 0.37, 0.16)  # of the columns, in parts of the text


def latex(table: RuleTable) -> str:
    """Three longtables. A document needs amsmath, amssymb, longtable and array for them."""
    scalars = (
        [_code(rule.op.name), _inline(f"y = {rule.value}"), _lines(derivatives(rule)), _notes(rule)]
        for rule in table.scalars
    )
    matrices = (
        [_words(rule.statement.says), _inline(value_of(rule)), _lines(derivatives(rule)),
         _words(rule.statement.cite)]
        for rule in table.matrices
    )  # fmt: skip
    rest = (
        [_words(u.says), _inline(u.value), _inline(u.derivative), _words(f"{u.why}; {u.cite}")]
        for u in table.uncovered
    )
    parts = [
        "% needs amsmath, amssymb, longtable, array",
        *_longtable("Scalar operations", ("operation", "value", "derivative", ""), scalars),
        *_longtable("Matrix rules", ("rule", "value", "derivative", "source"), matrices),
        _LEGEND_TEX,
        "",
        *_longtable("Not derived here", ("rule", "value", "derivative", "why"), rest),
        _words(f"{CITED}."),
        *(_words(line) for line in table.checked()),
    ]
    return "\n".join(parts)


def _longtable(title: str, head: Iterable[str], rows: Iterable[list[str]]) -> list[str]:
    ragged = r">{\raggedright\arraybackslash}"
    columns = "".join(rf"{ragged}p{{{width}\linewidth}}" for width in WIDTHS)
    body = [" & ".join(row) + r" \\[1ex]" for row in rows]
    return [
        rf"\subsection*{{{title}}}",
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        " & ".join(rf"\textbf{{{name}}}" if name else "" for name in head) + r" \\ \hline",
        r"\endhead",
        *body,
        r"\end{longtable}",
        "",
    ]


_FENCED = re.compile(
    r"\\left([(\[])((?:(?!\\left|\\right|\\frac|\\sum|\\sqrt).)*)\\right([)\]])", re.DOTALL
)


def _inline(tex: str) -> str:
    """An equation within a column: it may break where nothing tall stands between fences."""
    before = ""
    while before != tex:
        before, tex = tex, _FENCED.sub(r"\1\2\3", tex)
    loose = tex.replace(", ", r", \allowbreak ")
    return f"${loose}$"


def _lines(texts: list[str]) -> str:
    return r" \newline ".join(_inline(text) for text in texts) or "--"


def _notes(rule: ScalarRule) -> str:
    return _words("; ".join(facts(rule)))


_TEXT = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "∂": r"$\partial$", "δ": r"$\delta$", "σ": r"$\sigma$", "′": "$'$", "⊙": r"$\odot$",
    "−": "$-$", "≥": r"$\geq$", "≠": r"$\neq$", "ᵀ": r"$^\intercal$", ">": "$>$", "<": "$<$",
    "Φ": r"$\Phi$", "α": r"$\alpha$", "⃗": "",
}  # fmt: skip


def _words(text: str) -> str:
    """Words of any origin as LaTeX text."""
    return "".join(_TEXT.get(c, c) for c in text)


def _code(name: str) -> str:
    return rf"\texttt{{{_words(name)}}}"


# --- HTML ----------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #5b6472; --ink: #1a1d23;
  --paper: #ffffff; --band: #f5f7fa; }
@media (prefers-color-scheme: dark) { :root { --line: #363c47; --soft: #9aa4b2; --ink: #e6e9ee;
  --paper: #14171c; --band: #1b1f26; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 1.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.5rem 0; }
.rule { display: grid; grid-template-columns: 11rem minmax(0, 17rem) minmax(0, 1fr);
  gap: 0.25rem 1.25rem; padding: 0.7rem 0.5rem; border-top: 1px solid var(--line); }
.rule:nth-of-type(even) { background: var(--band); }
.name { font-weight: 600; }
.name code { font-weight: 600; font-size: 0.95em; }
.note { color: var(--soft); font-size: 0.85rem; font-weight: 400; display: block; }
.eq { overflow-x: auto; overflow-y: hidden; padding: 0.3rem 0; }
math { font-size: 1.08rem;
  font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", math, serif; }
@media (max-width: 60rem) { .rule { grid-template-columns: minmax(0, 1fr); gap: 0.1rem; } }
"""


def html(table: RuleTable) -> str:
    """The page, in light or dark as the reader prefers, for wide and narrow screens."""
    scalars = (
        _row(f"<code>{escape(r.op.name)}</code>", f"y = {r.value}", derivatives(r), facts(r))
        for r in table.scalars
    )
    matrices = (
        _row(escape(r.statement.says), value_of(r), derivatives(r), [r.statement.cite])
        for r in table.matrices
    )
    rest = (_row(escape(u.says), u.value, [u.derivative], [u.why, u.cite]) for u in table.uncovered)
    checked = "".join(f"<p>{escape(line)}</p>" for line in table.checked())
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Derivatives</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            "<h1>Derivatives</h1>",
            "<p>Scalar rules are read off the operations that training runs; each matrix rule is a "
            f"small network whose derivative is worked out here.</p>{checked}",
            "<h2>Scalar operations</h2>",
            "<section>", *scalars, "</section>",
            "<h2>Matrix rules</h2>",
            f"<p>{_legend()}</p>",
            "<section>", *matrices, "</section>",
            "<h2>Not derived here</h2>",
            "<p>Rules of the usual sheets that no operation computes.</p>",
            "<section>", *rest, "</section>",
            f"<p class='note'>{escape(CITED)}.</p>",
            "</body>\n</html>",
        ]
    )  # fmt: skip


def _legend() -> str:
    pieces = _LEGEND_TEX.split("$")
    return "".join(mathml(p) if i % 2 else escape(p) for i, p in enumerate(pieces))


def _row(name: str, value: str, lines: list[str], notes: list[str]) -> str:
    said = f'<span class="note">{escape("; ".join(notes))}</span>' if notes else ""
    shown = "".join(f'<div class="eq">{mathml(line, display=True)}</div>' for line in lines)
    return (
        f'<div class="rule"><div class="name">{name}{said}</div>'
        f'<div class="eq">{mathml(value, display=True)}</div><div>{shown}</div></div>'
    )
