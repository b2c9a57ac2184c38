"""Steps as LaTeX, for a notebook, and as plain values."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from chainrule.emit.equations import align, aligned
from chainrule.emit.plain import plain
from chainrule.explain.factors import Factor
from chainrule.explain.rules import primed

if TYPE_CHECKING:
    from chainrule.explain.steps import Section, Step, Steps

LEGEND = r"$\bullet$ reads a value that the forward pass has stored"


def words(text: str) -> str:
    r"""A rule or a sentence inside LaTeX: arrows and the like are mathematics there.

    >>> words("broadcast → sum")
    'broadcast $\\to$ sum'
    """
    parts = text.split("$")
    signs = {"→": r"$\to$", "·": r"$\cdot$", "−": "$-$", "Σ": r"$\Sigma$", "ᵀ": r"${}^\intercal$",
             "σ": r"$\sigma$", "′": "${}'$", "⊙": r"$\odot$", "∂": r"$\partial$", "Φ": r"$\Phi$",
             "&": r"\&", "_": r"\_", "%": r"\%", "#": r"\#", "^": r"\^{}", "√": r"$\surd$",
             "δ": r"$\delta$", "≥": r"$\geq$", "≤": r"$\leq$", "…": r"\dots{}"}  # fmt: skip
    for i in range(0, len(parts), 2):
        parts[i] = "".join(signs.get(c, c) for c in parts[i])
    return "$".join(parts)


def as_latex(steps: Steps, forward: tuple[str, ...]) -> str:
    """One align environment for each derivative, the sentences as a list below it."""
    blocks = ["% Forward Propagation\n" + align([*forward, *_abbreviations(steps)])]
    blocks.append(f"% Backward Propagation, line by line\n\\noindent {LEGEND}.")
    blocks += [_block(section) for section in steps.sections]
    return "\n\n".join(blocks)


def _abbreviations(steps: Steps) -> list[str]:
    return [f"{name} &= {value}" for name, value in steps.abbreviations]


def _block(section: Section) -> str:
    lines = [_row(section, step) for step in section.steps]
    items = [f"\t\\item {words(step.why_latex)}" for step in section.steps]
    listing = "\n".join([r"\begin{enumerate}", *items, r"\end{enumerate}"])
    heading = f"% {primed(plain(section.symbol))}"
    reads = _reads(section)
    return "\n".join([heading, align(lines), listing, *([rf"\noindent {reads}"] if reads else [])])


def _row(section: Section, step: Step) -> str:
    left = section.symbol if step.number == 1 else ""
    if left and section.shape:
        left = rf"\underset{{{section.shape}}}{{{left}}}"
    return f"{left} &= {step.written.shaped()} && \\text{{{words(step.rule)}}}"


def _reads(section: Section) -> str:
    reads = section.reads
    kinds = (
        ("stored", reads.stored),
        ("given", reads.inputs),
        ("derivatives found before", reads.derivatives),
    )
    said = [f"{what}: {', '.join(f'${n}$' for n in names)}" for what, names in kinds if names]
    return f"Reads {'; '.join(said)}." if said else ""


def notebook(steps: Steps) -> str:
    """LaTeX that a notebook shows."""
    return "\n\n".join(aligned([_row(s, step) for step in s.steps]) for s in steps.sections)


def as_html(steps: Steps, forward: tuple[str, ...]) -> str:
    """Headings, equations and sentences; a page with MathJax typesets what stands between $."""
    parts = [
        "<h4>Forward Propagation</h4>",
        f"<div>{html.escape(aligned([*forward, *_abbreviations(steps)]))}</div>",
        f"<h4>Backward Propagation, line by line</h4><p>{html.escape(LEGEND)}</p>",
    ]
    for section in steps.sections:
        rows = [_row(section, step) for step in section.steps]
        items = "".join(f"<li>{html.escape(step.why_latex)}</li>" for step in section.steps)
        reads = html.escape(_reads(section))
        parts.append(
            f"<h5>{html.escape(primed(plain(section.symbol)))}</h5>"
            f"<div>{html.escape(aligned(rows))}</div><ol>{items}</ol><p>{reads}</p>"
        )
    return "".join(parts)


def as_json(steps: Steps, name: str) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "name": name,
        "abbreviations": [{"name": n, "latex": d} for n, d in steps.abbreviations],
        "derivatives": [_section(section) for section in steps.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    reads = section.reads
    return {
        "of": section.of,
        "latex": section.symbol,
        "text": plain(section.symbol),
        "way": [plain(w) for w in section.way],
        "steps": [
            {
                "line": step.number,
                "rule": step.rule,
                "why": step.why,
                "latex": step.line,
                "text": step.written.text,
                "shaped": step.written.shaped(),
                "factors": [_factor(f) for f in step.factors],
            }
            for step in section.steps
        ],
        "reads": {
            "stored": [plain(n) for n in reads.stored],
            "given": [plain(n) for n in reads.inputs],
            "derivatives": [plain(n) for n in reads.derivatives],
        },
    }


def _factor(factor: Factor) -> dict[str, Any]:
    plain_values: dict[str, Any] = {
        "latex": factor.tex,
        "text": primed(plain(factor.tex)),
        "axes": list(factor.axes),
        "shape": primed(plain(factor.shape)),
        "stored": [plain(n) for n in factor.stored],
    }
    sizes = {a: n for a, n in (factor.sizes or {}).items() if a in factor.axes}
    plain_values["sizes"] = sizes
    if factor.onto is not None:
        plain_values["from"] = list(factor.onto)
    return plain_values
