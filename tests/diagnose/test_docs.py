"""What docs/diagnosis.md shows is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.cli import main
from chainrule.diagnose.calling import CACHES, RESULTS, UPSTREAM
from chainrule.diagnose.scene import COSTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_python_block_runs_and_shows_something(block, capsys):
    exec(block, {})
    assert capsys.readouterr().out


def test_the_output_shown_is_that_of_the_command(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    (shown,) = re.findall(r"\$ chainrule (check \S+)\n(.*?)\n```", PAGE, re.S)
    assert main(shown[0].split()) == 1
    assert shown[1] == capsys.readouterr().out.rstrip()


def test_every_kind_of_mistake_is_listed():
    table = PAGE.split("## Which mistakes are named")[1].split("\n## ")[0]
    assert not [kind for kind in COSTS if kind not in table]


@pytest.mark.parametrize("names", [CACHES[:3], UPSTREAM[:1], RESULTS[:2]])
def test_names_of_arguments_are_listed(names):
    assert all(f"`{name}`" in PAGE for name in names if name != "caches")


def test_the_example_holds_one_mistake_and_is_right_without_it():
    text = (ROOT / "examples" / "my_backward.py").read_text(encoding="utf-8")
    for source, ok in ((text, False), (text.replace("dA * Z * (1 - Z)", "dA * A * (1 - A)"), True)):
        names: dict = {}
        exec(source, names)
        report = cr.check_backward(names["forward"], names["backward"])
        assert (report.ok, len(report.mistakes)) == (ok, 0 if ok else 1)
