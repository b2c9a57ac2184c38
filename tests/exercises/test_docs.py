"""What docs/exercises.md shows is what comes out."""

import re
import shlex
from pathlib import Path

import pytest

from chainrule.cli import main
from chainrule.exercises.diagnosis import KEEPS
from chainrule.exercises.topics import TOPICS

PAGE = (Path(__file__).parents[2] / "docs" / "exercises.md").read_text(encoding="utf-8")


def test_the_output_shown_is_that_of_the_commands(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.findall(r"^\$ chainrule (.*)\n((?:(?!\$ |```).*\n)*)", PAGE, re.M)
    assert len(shown) == 3
    for command, output in shown:
        capsys.readouterr()
        main(shlex.split(command))
        assert capsys.readouterr().out.rstrip() == output.rstrip()


def test_the_python_shown_runs_and_prints_what_stands_below(capsys):
    for block, output in re.findall(
        r"^```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.M | re.S
    ):
        exec(block, {})
        assert capsys.readouterr().out == output
        break
    else:
        pytest.fail("no block")


def test_every_topic_and_every_kept_share_is_listed():
    for name, topic in TOPICS.items():
        assert f"| `{name}` | {topic.about} |" in PAGE
    for kind, share in KEEPS.items():
        assert f"| {kind} | {100 * share:.0f} % |" in PAGE
