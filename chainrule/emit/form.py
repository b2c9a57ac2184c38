"""What index notation consists of: lines, and what their symbols are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chainrule.emit.symbols import Partial, Symbol
from chainrule.expr import Axes, Expr, postorder
from chainrule.plan.derived import Derived
from chainrule.plan.layers import Layer

DEEPEST = 8  # nested operations without a name before one gets a line of its own


@dataclass(frozen=True)
class Entry:
    """What one symbol of the equations is.

    Attributes:
        shown: the symbol; `letters` are those of its axes.
        expr: the value that it stands for.
        name: its name in the definition and in the code; "" if it has none there.
        role: what it is, in words; `short` without the letters.
    """

    shown: Symbol | Partial
    letters: Mapping[str, str]
    expr: Expr
    name: str
    role: str
    short: str = ""

    @property
    def tex(self) -> str:
        """The symbol with its letters."""
        return self.shown.tex(self.letters)


@dataclass(frozen=True)
class Indexed:
    """Both passes in index notation, and what the symbols are."""

    forward: tuple[str, ...]
    backward: tuple[str, ...]
    entries: tuple[Entry, ...] = ()
    layers: tuple[Layer, ...] = ()
    notes: tuple[str, ...] = ()


def cost_symbol(found: Derived) -> Symbol:
    """C, or the script L where C is the name of something else."""
    named = {*found.names.values(), *(x.name for x in found.definition.inputs)}
    return Symbol(r"\mathcal{L}" if "C" in named else "C")


def axes_of(roots: Iterable[Expr]) -> Axes:
    """All axes below `roots`, in the order in which they appear."""
    return tuple(dict.fromkeys(axis for node in postorder(*roots) for axis in node.axes))
