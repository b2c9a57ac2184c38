"""`chainrule lint`: exit codes, streams, data, and what a Python file may hold."""

from pathlib import Path

import pytest

from tests.check.planted import LINEAR, PLANTED
from tests.cli.conftest import NET, ROOT

DOUBLE = next(p for p in PLANTED if p.code == "double-softmax").wrong
LINEAR_STACK = ROOT / "examples" / "cs230" / "two_linear.net"


def test_a_sound_network_ends_with_0_and_a_mistake_with_1(cr):
    assert cr("lint", NET).code == 0
    Path("twice.net").write_text(DOUBLE, encoding="utf-8")
    done = cr("lint", "twice.net")
    assert done.code == 1
    assert "line 12: return (double-softmax)" in done.out
    assert "do: Write cross_entropy(S, y)" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_hints_count_only_with_strict(cr):
    assert cr("lint", LINEAR_STACK).code == 0
    assert cr("lint", LINEAR_STACK, "--strict").code == 1


def test_json_has_every_part_of_a_finding(cr):
    Path("twice.net").write_text(DOUBLE, encoding="utf-8")
    done = cr("lint", "twice.net", "--json")
    assert done.code == 1
    assert not done.json["ok"]
    found = done.json["reports"][0]["findings"][0]
    assert found["code"] == "double-softmax"
    assert set(found) == {"code", "level", "title", "where", "line", "what", "why", "do"}


def test_rules_are_listed_with_what_they_look_for(cr):
    page = cr("lint", "--rules").out
    listed = cr("lint", "--rules", "--json").json
    assert all(rule["code"] in page and rule["source"] for rule in listed)
    assert len(listed) > 25
    assert max(map(len, page.splitlines())) <= 100


def test_functions_of_a_python_file_are_looked_at_each(cr):
    Path("nets.py").write_text(
        "import chainrule as cr\n"
        "def one(W: 'n c', X: 'm n', y: 'm int'):\n"
        "    return cr.cross_entropy(cr.softmax(X @ W, over='c'), y)\n"
        "def two(W: 'n', V: 'n', X: 'm n', y: 'm'):\n"
        "    return cr.mse(X @ W, y)\n"
        "net = cr.mlp([3, 2])\n",
        encoding="utf-8",
    )
    done = cr("lint", "nets.py", "--json", "--params", "W")
    assert done.code == 2  # mlp has no parameter W
    done = cr("lint", "nets.py", "--json")
    codes = {r["name"]: [f["code"] for f in r["findings"]] for r in done.json["reports"]}
    assert codes == {"one": ["double-softmax"], "two": ["unused-input"], "mlp": []}


@pytest.mark.parametrize(("column", "code"), [("price", 1), ("garden", 2)])
def test_a_table_is_looked_at_with_the_network(cr, houses, column, code):
    net = LINEAR + "return bce_logits(z, y)"
    Path("line.net").write_text(net, encoding="utf-8")
    done = cr("lint", "line.net", "--data", houses, "--target", column)
    assert done.code == code or column == "garden"
    if column == "price":
        assert "target-range" in done.out


def test_labels_of_digits_fit_the_example_and_not_a_smaller_one(cr):
    net = ROOT / "examples" / "mlp.net"
    assert cr("lint", net, "--data", "digits").code == 0
    Path("small.net").write_text(
        net.read_text(encoding="utf-8").replace("c=10", "c=9"), encoding="utf-8"
    )
    done = cr("lint", "small.net", "--data", "digits")
    assert done.code == 1
    assert "y holds labels from 0 to 9, the network has 0 to 8" in done.out


def test_usage_mistakes_are_named(cr):
    assert "FILE.py is missing" in cr("lint").err
    assert cr("lint", NET, "--target", "y").code == 2
    assert cr("lint", "nowhere.net").code == 3
    Path("bad.net").write_text("return x.__class__", encoding="utf-8")
    assert cr("lint", "bad.net").code == 8


@pytest.mark.parametrize("command", ["lint", "check"])
def test_an_error_in_a_function_of_the_file_is_said_with_its_line(command, cr):
    text = 'def loss(w: "n", X: "n m", y: "m"):\n    return undefined(w @ X, y)\n'
    Path("typo.py").write_text(text, encoding="utf-8")
    done = cr(command, "typo.py")
    assert done.code == 2
    assert "typo.py line 2: NameError: name 'undefined' is not defined" in done.err
    assert "defect" not in done.err
