"""The section about notations shows what the commands print today, and its code runs."""

import re
from pathlib import Path

import pytest

from chainrule.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/derivations.md").read_text(encoding="utf-8").partition("## Notations")[2]
SECTION = re.split(r"^## ", PAGE, flags=re.M)[0]
BLOCKS = re.findall(r"```console\n\$ chainrule ([^\n]*)\n(.*?)```", SECTION, re.S)
SCRIPTS = re.findall(r"```python\n(.*?)```", SECTION, re.S)


def test_there_is_something_to_show():
    assert len(BLOCKS) == 3
    assert len(SCRIPTS) == 1


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[b[0] for b in BLOCKS])
def test_the_page_shows_what_the_command_prints(command, shown, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(command.split()) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_the_code_runs_and_prints_what_it_says(script, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(script, "docs/derivations.md", "exec"), {})
    said = re.findall(r"^# (.*)$", script, re.M)
    assert capsys.readouterr().out.splitlines() == said
