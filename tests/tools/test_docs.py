"""Generated pages are up to date, and what they are generated from is sound."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import docs, errors, seeds

ROOT = Path(__file__).parents[2]
START = "import sys; from chainrule.cli import main; sys.exit(main())"
COMMANDS = sorted({command for item in seeds.items() for command in item.show})


def test_committed_pages_are_what_would_be_generated():
    assert docs.outdated() == [], "run: make docs"


def test_a_changed_or_missing_page_is_found(tmp_path):
    docs.write(tmp_path)
    assert docs.outdated(tmp_path) == []
    (tmp_path / "errors.md").write_text("old", encoding="utf-8")
    (tmp_path / "requirements.md").unlink()
    assert sorted(docs.outdated(tmp_path)) == ["errors.md", "requirements.md"]


def test_every_marked_id_is_an_item():
    assert set(seeds.tests_by_id()) <= {item.id for item in seeds.items()}


def test_items_are_numbered_without_gaps_and_say_what_they_are():
    for prefix in seeds.documents():
        ids = [item.id for item in seeds.items() if item.id.startswith(prefix)]
        assert ids == [f"{prefix}-{n:02}" for n in range(1, len(ids) + 1)]
    for item in seeds.items():
        assert re.fullmatch("[FALVEXCR](/[FALVEXCR])?", item.kind), item
        assert 0 < len(item.what) <= 100, item


def test_items_are_those_of_the_specification():
    source = ROOT.parent / "shared" / "REQUIREMENTS.md"
    if not source.exists():
        pytest.skip("the specification is not beside this checkout")
    listed = re.findall(
        r"^- (\d{3}-\d{2}) \**([A-Z](?:/[A-Z])?)\b", source.read_text("utf-8"), re.M
    )
    assert listed == [(item.id, item.kind) for item in seeds.items()]


def test_marks_are_found_on_functions_classes_files_and_parameters():
    text = """
pytestmark = pytest.mark.seed("000-01")

@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.seed("000-02"))])
@pytest.mark.seed("000-03", "000-04")
def test_one(n): ...

@pytest.mark.seed("000-05")
class TestMany:
    @pytest.mark.seed("000-06")
    def test_two(self): ...
"""
    assert sorted(seeds.marks(text), key=lambda mark: mark[1]) == [
        ("", "000-01"),
        ("test_one", "000-02"),
        ("test_one", "000-03"),
        ("test_one", "000-04"),
        ("TestMany", "000-05"),
        ("TestMany::test_two", "000-06"),
    ]


def test_an_item_without_a_test_is_listed_as_open():
    marked = set(seeds.tests_by_id())
    rows = [line for line in seeds.page().splitlines() if re.match(r"\| \d{3}-", line)]
    assert len(rows) == len(seeds.items())
    assert {row[2:8] for row in rows if "open: no test yet" not in row} == marked


def test_every_error_has_a_heading_where_its_docs_attribute_leads():
    headings = re.findall("^## (.*)$", errors.page(), re.M)
    for kind in errors.error_classes():
        file, _, anchor = kind("x").docs.partition("#")
        assert file == "docs/errors.md"
        assert anchor in headings


def test_every_exit_code_is_explained():
    assert {kind.exit_code for kind in errors.error_classes()} <= set(errors.EXIT_CODES)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_the_requirements_name_runs(command, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    name, *arguments = command.split()
    assert name == "chainrule"
    run = [sys.executable, "-c", START, *arguments]
    done = subprocess.run(
        run,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout
