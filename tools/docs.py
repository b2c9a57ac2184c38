"""Write the generated pages of docs/ again, or say which of them are out of date.

python -m tools.docs           write
python -m tools.docs --check   write nothing; exit 1 and name the pages that differ
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tools import commands, errors, lint, operations, seeds

DOCS = Path(__file__).parents[1] / "docs"

# One line per generated page: its file in docs/ and the function that gives its text.
PAGES: dict[str, Callable[[], str]] = {
    "requirements.md": seeds.page,
    "cli.md": commands.page,
    "errors.md": errors.page,
    "operations.md": operations.page,
    "lint.md": lint.page,
}


def outdated(folder: Path = DOCS) -> list[str]:
    """Names of generated pages that are missing in `folder` or say something else by now."""
    return [name for name, page in PAGES.items() if _read(folder / name) != page()]


def write(folder: Path = DOCS) -> None:
    """Write every generated page into `folder`."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    if not parser.parse_args(arguments).check:
        write()
        return 0
    late = outdated()
    for name in late:
        print(f"docs/{name} is out of date: make docs", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
