"""`chainrule derive`, `check`, `show` and `ops`."""

import ast
import os
import sys
from pathlib import Path

import pytest

from chainrule.cli.output import width
from chainrule.derivation import derive
from chainrule.ops import OPS
from tests.cli.conftest import NET

STAGES = ("expr", "derived", "plan", "python")


@pytest.mark.seed("003-01", "003-16", "000-24")
def test_derive_prints_the_equations_in_plain_characters_or_as_latex(cr):
    plain = cr("derive", NET)
    assert plain.code == 0
    assert "∂L/∂W₁ = ((w₂ᵀ(2/m)(ŷ - y)) ⊙ A ⊙ (1 - A))Xᵀ" in plain.out.replace("y\u0302", "ŷ")
    assert cr("derive", NET, "--text").out == plain.out
    assert cr("derive", NET, "--latex").out == derive(str(NET)).latex() + "\n"


def test_derive_reads_its_equations_back(cr):
    found = cr("derive", NET, "--read-back")
    assert found.code == 0
    assert "give what the code gives" in found.err
    wrong = cr("derive", NET, "--read-back", "--notation", "index")
    assert wrong.code == 2


@pytest.mark.seed("000-21", "000-23")
def test_derive_prints_python_that_is_valid(cr):
    tree = ast.parse(cr("derive", NET, "--python").out)
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert names[-1] == "two_sigmoid"


def test_derive_with_respect_to_some_names(cr):
    found = cr("derive", NET, "--wrt", "W_1, b_2", "--json").json
    assert found["wrt"] == ["W_1", "b_2"]
    assert len(found["backward"]) == 2
    wrong = cr("derive", NET, "--wrt", "w_1")
    assert (wrong.code, "Did you mean 'W_1'?" in wrong.err) == (2, True)
    assert cr("derive", NET, "--wrt", "W_1,").code == 2


@pytest.mark.seed("000-18", "000-20")
def test_derive_in_the_notation_of_the_chain(cr):
    chain = NET.parents[1] / "chain.net"
    assert "dL/dwᵢ = dL/dhᵢ · dhᵢ/dwᵢ" in cr("derive", chain, "--notation", "chain").out
    refused = cr("derive", NET, "--notation", "chain")
    assert refused.code == 2
    assert "is not a number" in refused.err


def test_derive_writes_a_file(cr):
    done = cr("derive", NET, "--latex", "-o", "out.tex")
    assert done.out == ""
    assert Path("out.tex").read_text(encoding="utf-8") == derive(str(NET)).latex() + "\n"
    assert cr("derive", NET, "-o", "no/such/folder/out.tex").code == 5


@pytest.mark.parametrize("command", [("derive",), ("show", "--stage", "plan")])
def test_a_file_that_is_there_is_not_lost(cr, command):
    name, *options = command
    text = NET.read_text(encoding="utf-8")
    Path("d.net").write_text(text, encoding="utf-8")
    Path("link.net").symlink_to("d.net")
    for output in ("d.net", "link.net", "./d.net"):
        for extra in ((), ("--overwrite",)):
            done = cr(name, "d.net", *options, "-o", output, *extra)
            assert done.code == 2
            assert "is a file that this command reads. Choose another file" in done.err
    assert Path("d.net").read_text(encoding="utf-8") == text
    Path("notes.txt").write_text("mine", encoding="utf-8")
    done = cr(name, "d.net", *options, "-o", "notes.txt")
    assert (done.code, "'notes.txt' is there already" in done.err) == (2, True)
    assert "--overwrite" in done.err
    assert Path("notes.txt").read_text(encoding="utf-8") == "mine"
    assert cr(name, "d.net", *options, "-o", "notes.txt", "--overwrite").code == 0
    assert Path("notes.txt").read_text(encoding="utf-8") != "mine"
    assert cr(name, "d.net", *options, "-o", os.devnull).code == 0


def test_two_forms_at_once_are_refused(cr):
    done = cr("derive", NET, "--latex", "--python")
    assert done.code == 2
    assert "--latex and --python exclude each other" in done.err


def test_what_stands_in_a_file_is_never_run(cr):
    Path("bad.net").write_text("net x\nparam w:\nreturn __import__('os').system('x')\n")
    done = cr("derive", "bad.net")
    assert done.code == 8
    assert "bad.net" in done.err


@pytest.mark.parametrize(
    ("path", "says", "code"),
    [
        ("two_sigmod.net", "Did you mean 'two_sigmoid.net'?", 3),
        (".", "is a folder, expected a file. It holds two_sigmoid.net", 2),
        ("data.csv", "'data.csv' is no network: expected FILE.net", 2),
    ],
)
def test_a_path_that_is_no_network_says_what_was_meant(cr, path, says, code):
    Path("two_sigmoid.net").write_text(NET.read_text(encoding="utf-8"), encoding="utf-8")
    Path("data.csv").touch()
    done = cr("derive", path)
    assert done.code == code
    assert says in done.err


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_check_finds_a_right_network_right(cr, dtype):
    done = cr("check", NET, "--dtype", dtype, "--seed", 3)
    assert done.code == 0
    assert "agrees" in done.out
    found = cr("check", NET, "--json").json
    assert found["ok"]
    assert found["reports"][0]["entries"][0]["parameter"] == "W_1"


def test_check_ends_with_1_if_a_derivative_is_wrong(cr):
    import dataclasses

    from chainrule.ops.record import replaced

    record = OPS["sigmoid"]
    wrong = dataclasses.replace(record, vjp=lambda g, y, x: (g * y * (1 - y) * 1.01,))
    with replaced(wrong):
        done = cr("check", NET)
        found = cr("check", NET, "--json")
    assert done.code == 1
    assert "WRONG" in done.out
    assert (found.code, found.json["ok"]) == (1, False)


PYTHON = """
import chainrule as cr
print("on the way")
def helper(n): return n
def typed(n: int) -> int: return n
def line(w: "", x: "m", y: "m"):
    return cr.mse(w * x, y)
def scores(w: "n", X: "m n"):
    return X @ w
net = cr.mlp([2, 2])
if __name__ == "__main__":
    raise SystemExit(9)
"""


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_check_runs_the_python_file_that_is_named_and_checks_its_definitions(cr, first):
    Path("nets.py").write_text(first + PYTHON, encoding="utf-8")
    done = cr("check", "nets.py", "--json")
    assert done.code == 0
    assert [report["name"] for report in done.json["reports"]] == ["line"]
    assert "on the way" in done.err
    assert "scores is no loss (its result has axes m): not checked" in done.err
    assert "mlp is no loss" in done.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\ny = x / 0\n", "f.py line 2: ZeroDivisionError: division by zero"),
        ("x = (\n", "f.py line 1: SyntaxError"),
        ("raise SystemExit(3)\n", "f.py line 1: SystemExit"),
        ("x = 1\n", "f.py holds no function annotated with axes"),
        ('def f(w: "n"):\n    return w\n', "f.py defines no network that ends in a loss"),
    ],
)
def test_a_python_file_that_cannot_be_checked_says_why(cr, text, says):
    Path("f.py").write_text(text, encoding="utf-8")
    done = cr("check", "f.py")
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize("stage", STAGES)
def test_show_prints_each_stage(cr, stage):
    text = cr("show", NET, "--stage", stage).out
    assert {"expr": "y_hat", "derived": "# what", "plan": "return", "python": "def "}[stage] in text
    assert cr("show", NET, "--stage", stage, "--json").json["text"] == text.rstrip("\n")


def test_an_unknown_stage_lists_those_there_are(cr):
    done = cr("show", NET, "--stage", "pyhton")
    assert done.code == 2
    assert all(f'"{stage}"' in done.err for stage in STAGES)
    assert 'Did you mean "python"?' in done.err
    assert cr("show", NET).code == 2


@pytest.mark.seed("003-18", "003-22", "000-25")
def test_ops_lists_every_operation_with_its_derivative_in_the_width_there_is(cr, monkeypatch):
    text = cr("ops").out
    assert max(width(line) for line in text.splitlines()) <= 100
    starts = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert set(OPS) <= starts
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = cr("ops").out
    assert max(width(line) for line in narrow.splitlines()) <= 80
    assert set(OPS) <= {line.split()[0] for line in narrow.splitlines() if line.strip()}
    assert "∂L/∂x = g ⊙ y ⊙ (1 - y)" in text
    assert [op["name"] for op in cr("ops", "--json").json] == list(OPS)


@pytest.mark.parametrize("name", list(OPS))
def test_ops_shows_any_record_in_full(cr, name):
    text = cr("ops", name).out
    assert OPS[name].summary in text
    assert OPS[name].source in text
    assert ("derivative" in text) == (not OPS[name].no_gradient or "no derivative" in text)
    assert cr("ops", name, "--json").json["name"] == name


def test_an_unknown_operation_gets_the_nearest_name(cr):
    done = cr("ops", "sigmiod")
    assert (done.code, "Did you mean 'sigmoid'?" in done.err) == (2, True)
