"""What the command lines of the benchmarks have in common."""

from __future__ import annotations

import argparse


def parser(name: str, about: str | None, rounds: int, least: int = 1) -> argparse.ArgumentParser:
    """A command line with --rounds; `about` is the docstring of the benchmark `name`."""
    found = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    said = f"({rounds})" if least == 1 else f"({rounds}; at least {least})"
    found.add_argument("--rounds", type=int, default=rounds, metavar="N", help=said)
    return found
