"""The report, the command line, and what is refused."""

import json
import time
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.cli import main
from chainrule.errors import DataError, DataFileNotFoundError

LINE = r"$$ L = (wx + b - y)^2 $$" "\n\n"
WRONG = LINE + r"$$ \frac{\partial L}{\partial w} = (wx + b - y) x $$"
RIGHT = LINE + r"$$ \frac{\partial L}{\partial w} = 2 (wx + b - y) x $$"
DOCUMENTS = Path(__file__).parent / "documents"


def test_a_wrong_equation_comes_with_line_example_diagnosis_and_right_form():
    (found,) = cr.audit(WRONG).wrong
    assert found.line == 3
    assert found.diagnosis == "the factor 2 is missing"
    assert found.right == r"\frac{\partial L}{\partial w} = 2(wx + b - y) x"
    assert cr.audit(LINE + f"$$ {found.right} $$").ok
    left, right = (float(p.split()[-1]) for p in found.example.split(":")[1].split(", the right"))
    assert left == pytest.approx(2 * right)


def test_what_cannot_be_interpreted_is_listed_with_the_reason():
    text = LINE + r"$$ \frac{\partial E}{\partial v} = 3 $$" "\n\n" r"$$ \oint q = \qux $$"
    report = cr.audit(text)
    assert report.ok
    reasons = [e.reason for e in report.unclear]
    assert "E is nowhere defined" in reasons[0]
    assert r"\oint" in reasons[1]


def test_a_derivative_of_what_does_not_depend_is_not_called_right():
    report = cr.audit(LINE + r"$$ \frac{\partial L}{\partial q} = 0 $$")
    assert [e.status for e in report.gradients] == ["not interpreted"]


def test_code_and_front_matter_are_no_equations():
    text = "---\ntitle: $y = 3x$\n---\n```\n$$ L = w^2 $$\n```\n`$a = b$` <!-- $$ c = d $$ -->\n"
    assert cr.audit(text).equations == ()


def test_money_is_no_mathematics():
    assert cr.audit("It costs $5 a = b and $6 more.\n").equations == ()


def test_a_chain_of_equalities_is_checked_side_by_side():
    chain = r"$$ \frac{dL}{dw} = 2 (wx + b - y) x = 2wx^2 + 2bx - 2yx $$"
    assert cr.audit(LINE + chain).ok
    (found,) = cr.audit(LINE + chain.replace("+ 2bx", "- 2bx")).wrong
    assert found.diagnosis == "the sign of 2bx is wrong"


def test_a_model_that_is_defined_again_is_another_model():
    other = r"$$ L = (wx + b - y)^3 $$" "\n\n" r"$$ \frac{dL}{dw} = 3 (wx + b - y)^2 x $$"
    report = cr.audit(RIGHT + "\n\n" + other)
    assert report.ok
    assert len(report.models) == 2


def test_a_restated_definition_must_say_the_same():
    again = r"$$ L = w^2x^2 + b^2 + y^2 + 2wxb - 2wxy - 2by $$"
    assert cr.audit(RIGHT + "\n\n" + again).ok
    assert not cr.audit(RIGHT + "\n\n" + again.replace("- 2by", "+ 2by")).ok


def test_a_section_inherits_what_it_does_not_say():
    text = rf"# One{chr(10)}{LINE}# Two{chr(10)}$$ \frac{{dL}}{{db}} = 2 (wx + b - y) $$"
    assert [e.status for e in cr.audit(text).gradients] == ["correct"]


def test_a_function_of_the_document_is_used():
    text = r"$$ f(x) = \max(0, x) + x^2 $$" "\n\n" r"$$ L = f(w) $$" "\n\n"
    right = r"$$ \frac{dL}{dw} = 1[w > 0] + 2w $$"
    assert cr.audit(text + right).ok
    assert not cr.audit(text + right.replace("2w", "w")).ok


def test_the_same_audit_twice_gives_the_same_report():
    path = DOCUMENTS / "five_errors.md"
    assert str(cr.audit(path)) == str(cr.audit(path))


@pytest.mark.parametrize("width", [80, 100])
def test_a_report_keeps_to_the_width(width):
    for path in sorted(DOCUMENTS.iterdir()):
        text = cr.audit(path).text(width)
        assert max(len(line) for line in text.splitlines()) <= width, text


# on the command line


def test_exit_codes(tmp_path, capsys):
    for name, text, code in (("right.md", RIGHT, 0), ("wrong.md", WRONG, 1)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert main(["audit", str(tmp_path / name)]) == code
    (tmp_path / "open.md").write_text(RIGHT + "\n\n$$ q = \\qux $$", encoding="utf-8")
    assert main(["audit", str(tmp_path / "open.md")]) == 0
    assert main(["audit", str(tmp_path / "open.md"), "--strict"]) == 1
    (tmp_path / "data.md").write_bytes(b"\xff\xfe\x00\x01")
    assert main(["audit", str(tmp_path / "data.md")]) == 3
    assert main(["audit", str(tmp_path / "none.md")]) == 3
    assert main(["audit", str(tmp_path)]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_json_says_the_same(tmp_path, capsys):
    (tmp_path / "wrong.md").write_text(WRONG, encoding="utf-8")
    assert main(["audit", str(tmp_path / "wrong.md"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [e["status"] for e in found["equations"]] == ["model", "wrong"]
    assert found["equations"][1]["diagnosis"] == "the factor 2 is missing"
    assert found["models"][0]["shapes"]["w"] == "1×1"


def test_nothing_that_a_terminal_obeys_is_shown(tmp_path, capsys):
    text = "# \x1b[2J\n" + WRONG.replace("x $$", "x \x1b[31m $$")
    (tmp_path / "esc.md").write_text(text, encoding="utf-8")
    main(["audit", str(tmp_path / "esc.md")])
    assert "\x1b" not in capsys.readouterr().out


# hostile documents

HOSTILE = {
    "brackets": "$$ y = " + "(" * 10_000 + "x" + ")" * 10_000 + " $$",
    "braces": "$$ y = " + "{" * 10_000 + "x" + "}" * 10_000 + " $$",
    "fractions": "$$ y = " + r"\frac{" * 5_000 + "x" + "}{2}" * 5_000 + " $$",
    "terms": "$$ y = " + "+".join(["x"] * 100_000) + " $$",
    "openings": r"\begin{align}" * 20_000 + r"\[" * 20_000 + "\n",
    "dollars": "$ " * 100_000 + "\n",
    "fences": "```\n" * 20_000,
    "comments": "<!--" * 20_000 + "\n",
    "subscripts": "$$ y = " + "_{x" * 3_000 + "}" * 3_000 + " $$",
    "powers": "$$ L = 9^{9^{9^9}} x $$\n\n$$ dL/dx = 2 $$",
    "sum": "$$ L = \\sum_{i=1}^{99999999999} x $$\n\n$$ dL/dx = 2 $$",
    "sizes": "$X$ is a matrix of shape $(99999999, 88888888)$.\n\n$$ L = \\sum X $$",
    "circle": "$$ a = b + 1 $$\n\n$$ b = a + 1 $$\n\n$$ \\frac{da}{db} = 1 $$",
    "itself": "$$ a = a + 1 $$\n\n$$ \\frac{da}{db} = 1 $$",
    "macros": r"\newcommand{\a}{\a\a}\section{s} $$ y = \a $$",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_done_with_quickly(name):
    begin = time.process_time()
    report = cr.audit(HOSTILE[name])
    assert time.process_time() - begin < 2.0
    assert all(e.status != "correct" for e in report.gradients)


def test_what_is_too_long_or_no_text_is_refused():
    with pytest.raises(DataError, match="at most"):
        cr.audit("a\n" * 2_000_000)
    with pytest.raises(DataError, match="NUL"):
        cr.audit("a\0\n")
    pairs = zip("abcdefg", "bcdefgh", strict=True)
    macros = "".join(rf"\newcommand{{\{a}}}{{\{b}\{b}}}" for a, b in pairs)
    macros += r"\newcommand{\h}{xxxxxxxxxxxxxxxxxxxx}\section{s} $"
    with pytest.raises(DataError, match="without end"):
        cr.audit(macros + r"\a" * 20_000 + "$")
    with pytest.raises(DataFileNotFoundError):
        cr.audit("nowhere.md")


@pytest.mark.parametrize("loss", [r"\frac{1}{m} \|\hat{y} - y\|^2", r"\|\hat{y} - y\|^2"])
def test_what_no_single_change_mends_chainrule_derives(loss):
    text = r"""
$X$ is a matrix of shape $(n,m)$, $y$ a row vector of shape $(1,m)$, $b_2$ a scalar.
$$ A = \tanh(W_1 X + b_1) $$
$$ \hat{y} = w_2 A + b_2 $$
$$ L = LOSS $$
$$ \frac{\partial L}{\partial W_1} = 3 A y^T $$
""".replace("LOSS", loss)
    (found,) = cr.audit(text).wrong
    assert found.diagnosis == ""
    assert found.right
    assert cr.audit(text.replace(found.text, found.right)).ok


BARE = r"""
$$\begin{align}
Z &= W_1 X + b_1 \\
A &= \sigma(Z) \\
\hat{y} &= w_2 A + b_2 \\
L &= \frac{1}{m} \|\hat{y} - y\|^2
\end{align}$$
$$\begin{align}
\frac{\partial L}{\partial W_1}
  &= \left(w_2^T \frac{2}{m} (\hat{y} - y) \odot A \odot (1 - A)\right) X^T \\
\frac{\partial L}{\partial b_1}
  &= \left(w_2^T \frac{2}{m} (\hat{y} - y) \odot A \odot (1 - A)\right) \vec{1} \\
\frac{\partial L}{\partial w_2} &= \frac{2}{m} (\hat{y} - y) A^T \\
\frac{\partial L}{\partial b_2} &= \frac{2}{m} (\hat{y} - y) \vec{1}
\end{align}$$
"""


def test_shapes_of_which_nothing_is_said_are_found():
    report = cr.audit(BARE)
    assert [e.status for e in report.gradients] == ["correct"] * 4
    shapes = dict(report.models[0].shapes)
    k, n = shapes["W_1"].split("×")
    m = shapes["X"].split("×")[1]
    assert shapes["X"].split("×")[0] == n
    assert (shapes["A"], shapes["b_1"], shapes["w_2"]) == (f"{k}×{m}", f"{k}×1", f"1×{k}")
    assert len({k, n, m}) == 3


@pytest.mark.parametrize("old", ["w_2^T", "X^T", "A^T", r"\vec{1}", r"\frac{2}{m}", "(1 - A)"])
def test_no_special_shape_excuses_what_is_wrong_in_general(old):
    new = {r"\frac{2}{m}": r"\frac{1}{m}", "(1 - A)": "A"}.get(old, old.partition("^")[0])
    new = new.replace(r"\vec{1}", "")
    wrong = BARE.replace(old, new)
    count = sum(a != b for a, b in zip(BARE.split("\n"), wrong.split("\n"), strict=True))
    assert len(cr.audit(wrong, diagnose=False).wrong) == count


def test_a_number_stands_for_every_entry():
    text = "$X$ is a matrix of shape $(n, m)$.\n\n$$ L = 3 \\sum X $$\n\n"
    right = r"$$ \frac{\partial L}{\partial X} = 3 $$"
    assert [e.status for e in cr.audit(text + right).gradients] == ["correct"]
    assert not cr.audit(text + right.replace("= 3", "= 4")).ok
