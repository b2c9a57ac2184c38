"""What docs/audit.md shows is what comes out."""

import doctest
import re
from pathlib import Path

import chainrule as cr

PAGE = Path(__file__).parents[2] / "docs/audit.md"
EXAMPLE = Path(__file__).parents[2] / "examples/notes/two_layers.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_the_report_on_the_page_is_the_report(tmp_path):
    (tmp_path / "notes.md").write_text(blocks("markdown")[0], encoding="utf-8")
    assert cr.audit(tmp_path / "notes.md").text(80).splitlines() == blocks("text")[0].splitlines()


def test_the_python_on_the_page_runs():
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    for number, block in enumerate(blocks("python")):
        runner.run(parser.get_doctest(block, {}, f"audit.md {number}", str(PAGE), 0))
    assert runner.summarize(verbose=False).failed == 0


def test_the_example_has_one_slip():
    (found,) = cr.audit(EXAMPLE).wrong
    assert found.diagnosis == "Z should be A"
