"""Options and markers of the whole suite. Warnings are errors: see pyproject.toml."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --full (make test-full)")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)
