"""How help pages look: usage, what the command does, names on the left and their meaning."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

WIDEST = 100
LEFT = 26  # most columns for the names; longer ones get a line of their own
INDENT = "  "
BOLD, CYAN, RESET = "\x1b[1m", "\x1b[36m", "\x1b[0m"


class Formatter:
    """Plain aligned text; headings and names stand out on terminals with colour.

    The library's own pages would draw with rich, which takes as long to load as all the rest.
    """

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """The line that says how the command is called."""
        _print(console, f"{_styled(console, 'Usage:', BOLD)} {_text(usage)}\n")

    def render_description(
        self, console: Console, options: ConsoleOptions, description: Any
    ) -> None:
        """What the command does: paragraphs are filled, indented lines stay as they are."""
        for block in _text(description).split("\n\n"):
            if block.startswith(" "):
                _print(console, textwrap.indent(textwrap.dedent(block), INDENT) + "\n")
            elif block:
                _print(console, textwrap.fill(" ".join(block.split()), _width(console)) + "\n")

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """One group of commands or options."""
        if not panel.entries:
            return
        _print(console, _styled(console, f"{_text(panel.title)}:", BOLD))
        left = min(max(len(_names(entry)) for entry in panel.entries) + 2, LEFT)
        for entry in panel.entries:
            _print(console, _entry(console, entry, left))
        _print(console, "")


def _entry(console: Console, entry: HelpEntry, left: int) -> str:
    """A name and, `left` columns further, what it means."""
    names = _names(entry)
    meaning = " ".join(_text(entry.description).split())
    if entry.default not in (None, "False") and "default" not in meaning:
        meaning += f" (default: {entry.default})"
    room = max(_width(console) - left - len(INDENT), 30)
    lines = textwrap.wrap(meaning, room, break_on_hyphens=False)
    rest = [f"{INDENT}{' ' * left}{line}" for line in lines]
    first = INDENT + _styled(console, names, CYAN)
    if rest and len(names) < left - 1:
        rest[0] = first + " " * (left - len(names)) + lines[0]
        return "\n".join(rest)
    return "\n".join([first, *rest])


def _names(entry: HelpEntry) -> str:
    """`FILE` for what stands by its place, `-o, --output FILE` for an option."""
    if entry.positional_label:
        return entry.positional_label
    names = ", ".join((*entry.positive_shorts, *entry.positive_names))
    if entry.choices and len("|".join(entry.choices)) <= LEFT:
        return f"{names} {'|'.join(entry.choices)}"
    return f"{names} {entry.metavar}" if entry.metavar else names


def _text(value: Any) -> str:
    """The characters of whatever the library hands over."""
    plain = getattr(getattr(value, "primary_renderable", value), "plain", None)
    if plain is not None:
        return str(plain).rstrip()
    return value.rstrip() if isinstance(value, str) else ""


def _width(console: Console) -> int:
    return min(console.width, WIDEST)


def _styled(console: Console, text: str, style: str) -> str:
    colour = (
        console.file.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )
    return f"{style}{text}{RESET}" if colour else text


def _print(console: Console, text: str) -> None:
    print(text, file=console.file)
