"""Equations found in documents: where they stand, their sides and lines."""

import pytest

from chainrule.auditing.document import Formula, read_document
from chainrule.auditing.layers import layers
from chainrule.auditing.notation import plain, restored
from chainrule.auditing.rows import equations


def found(text: str, name: str = "text") -> list[tuple[int, str]]:
    document = read_document(text, name)
    return [(e.line, e.text) for s in document.sections for f in s.formulas for e in equations(f)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\n\n$$\ny = x\n$$\n", [(4, "y = x")]),
        (
            "$$\\begin{align}\n a &= b\\\\\\\\\n c &= d\n\\end{align}$$",
            [(2, "a = b"), (3, "c = d")],
        ),
        ("\\[ a = b \\]", [(1, "a = b")]),
        ("\\begin{gather*} a = b \\\\ c = d \\end{gather*}", [(1, "a = b"), (1, "c = d")]),
        ("\\begin{eqnarray} a & = & b \\\\ & = & c \\end{eqnarray}", [(1, "a = b = c")]),
        ("$$ a &= b & c &= d $$", [(1, "a = b"), (1, "c = d")]),
        ("$$ a = b, \\qquad c = d. $$", [(1, "a = b"), (1, "c = d")]),
        ("$$ a = b \\quad\\text{and}\\quad c = d $$", [(1, "a = b"), (1, "c = d")]),
        ("$$ a = b \\\\ \\quad + c \\nonumber \\label{x} $$", [(1, "a = b \\quad + c")]),
        ("$$ a = f(x, y) \\tag{3} $$", [(1, "a = f(x, y)")]),
        ("$$ a = b % c = d\n $$", [(1, "a = b")]),
        ("$$ \\sum_{i=1}^{m} a_i = b \\text{ (why)} $$", [(1, "\\sum_{i=1}^{m} a_i = b")]),
        ("```math\na = b\n```", [(2, "a = b")]),
        ("inline \\(a = b\\) and $c = d$", [(1, "a = b"), (1, "c = d")]),
        ("\\$5 = \\$6", []),
    ],
)
def test_equations_of_markdown(text, lines):
    assert found(text, "x.md") == lines


def test_equations_of_latex_with_macros_and_comments():
    text = r"""\documentclass{article}
\newcommand{\dd}[2]{\frac{\partial #1}{\partial #2}}
\begin{document}
\section{One} % $ a = b $
\begin{verbatim} $$ c = d $$ \end{verbatim}
\begin{equation} \dd{L}{w} = 3 \end{equation}
\end{document}"""
    assert found(text, "x.tex") == [(6, r"\frac{\partial {L}}{\partial {w}} = 3")]


def test_lines_of_plain_text():
    text = "Model\n=====\nWe say that x = 3 is good for us all.\n  1. y = w x\n  dL/dw = 2\n"
    assert found(text, "x.txt") == [(4, "y = w x"), (5, "dL/dw = 2")]


def test_headings_hold_sections():
    document = read_document("# A\n## B\n$$x=1$$\n# C\n", "x.md")
    assert [s.titles for s in document.sections] == [(), ("A",), ("A", "B"), ("C",)]


def test_each_side_of_a_chain_has_its_line():
    (chain,) = equations(Formula("a\n&= b\\\\\n&= c", 7, True))
    assert [(s.text, s.line) for s in chain.sides] == [("a", 7), ("b", 8), ("c", 9)]


@pytest.mark.parametrize(
    "text",
    [
        r"((w^{l+1})^T \delta^{l+1}) \odot \sigma'(z^l)",
        r"\frac{1}{n} \nabla c",
        r"c_{k1} + x^L_j",
        r"a^2 + b^{(l)}",
    ],
)
def test_what_is_spelled_for_the_parser_is_restored(text):
    assert restored(plain(text).text, text) == text


def test_dots_are_written_out():
    assert plain(r"w_1 a_1 + \dots + w_m a_m").text == "w_1 a_1 + w_2 a_2 + w_3 a_3"
    assert dict(plain(r"\frac{1}{n}(c_1 + ... + c_n)").counts) == {"n": 3}
    assert "..." in plain(r"a_1 + ... + b_n").text


def test_letters_that_count_layers():
    assert layers([r"z^{(l)}", r"w^{(l)} a^{(l-1)}"]).above == {"l"}
    assert layers([r"h_i", r"w_i h_{i-1}"]).below == {"i"}
    summed = layers([r"y^{(i)}", r"\sum_{i=1}^m y^{(i)}"])
    assert not summed.above
