"""Options and markers of the whole suite. Warnings are errors: see pyproject.toml."""

import os

import pytest

# Tests plant faults in what makes code, which the cache cannot see: they neither take code from the
# user's cache nor leave any there. Those of the cache itself name a directory of their own.
os.environ["CHAINRULE_CACHE"] = "off"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --full (make test-full)")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)
