"""The table of commands. Their modules are light: what a command needs, it imports when it runs."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cyclopts import App, Group, Parameter

from chainrule import __version__
from chainrule.cli.audit import audit
from chainrule.cli.bench import bench
from chainrule.cli.check import check
from chainrule.cli.derive import derive
from chainrule.cli.doctor import doctor
from chainrule.cli.evaluate import evaluate
from chainrule.cli.exercise import mark, new
from chainrule.cli.export import export
from chainrule.cli.help import Formatter
from chainrule.cli.lint import lint
from chainrule.cli.ops import ops
from chainrule.cli.predict import predict
from chainrule.cli.show import show
from chainrule.cli.train import train

ABOUT = """Glass-box backpropagation: the equation shown is the code that runs.

Begin with one of these:

    chainrule train digits
    chainrule derive examples/cs230/two_sigmoid.net
"""
COMMANDS: dict[str, dict[str, Callable[..., int | None]]] = {
    "Look inside a network": {
        "derive": derive,
        "check": check,
        "lint": lint,
        "show": show,
        "ops": ops,
    },
    "Check what others wrote": {"audit": audit},
    "Train one and use it": {
        "train": train,
        "predict": predict,
        "eval": evaluate,
        "export": export,
    },
    "Learn and teach": {"exercise new": new, "exercise mark": mark},
    "This installation": {"bench": bench, "doctor": doctor},
}
"""Every command under its heading, in the order of the help page; families by two words."""
FAMILIES = {"exercise": "Problems about backward passes, and the marking of answers."}
"""What the commands have in common whose names begin with the same word."""


@functools.cache
def app() -> App:
    """The command line with all its commands."""
    top = App(
        name="chainrule",
        help=ABOUT,
        help_format="plaintext",
        help_formatter=Formatter(),
        version=__version__,
        version_flags=["--version"],
        default_parameter=Parameter(negative=()),
        group_commands=Group("Other", sort_key=len(COMMANDS)),
        group_parameters=Group("Options", sort_key=1),
        group_arguments=Group("Arguments", sort_key=0),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for rank, (title, commands) in enumerate(COMMANDS.items()):
        group = Group(title, sort_key=rank)
        for place, (name, function) in enumerate(commands.items()):
            first, _, second = name.partition(" ")
            if not second:
                top.command(function, name=name, group=group, sort_key=place)
                continue
            if first not in top:
                top.command(_family(first, group, place))
            top[first].command(function, name=second, sort_key=place)
    top["--help"].help = "Say what a command does and what it takes."
    top["--version"].help = "Say which version this is."
    return top


def _family(name: str, group: Group, place: int) -> App:
    """Commands whose names begin with the same word."""
    found = App(
        name=name,
        help=FAMILIES[name],
        help_format="plaintext",
        help_formatter=Formatter(),
        version_flags=[],
        group=group,
        sort_key=place,
        default_parameter=Parameter(negative=()),
        group_commands=Group("Commands", sort_key=0),
        group_parameters=Group("Options", sort_key=1),
        group_arguments=Group("Arguments", sort_key=0),
        result_action="return_value",
    )
    found["--help"].help = "Say what a command does and what it takes."
    return found
