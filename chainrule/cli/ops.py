"""`chainrule ops`: every operation with its derivative, read off the records."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from chainrule.cli.options import Json
from chainrule.errors import ParameterError, did_you_mean

WIDEST_CELL = 45  # characters of a formula or derivative that still fits a table of 100 columns
WIDEST_LINE = 60  # the same where each has a line of its own, of 80 columns
LEGEND = "y: the result. L: the loss. g = ∂L/∂y: what arrives from later operations."


def ops(
    name: Annotated[str | None, Parameter(name="NAME")] = None, /, *, json: Json = False
) -> None:
    """List the operations a network can be made of, or show one in full.

    Formula, derivative and source are read off the records that training itself uses.

        chainrule ops sigmoid

    Args:
        name: One operation, such as sigmoid; all in a table if not given.
    """
    from chainrule.cli.output import show, show_json
    from chainrule.ops import OPS

    if name is None and json:
        show_json([described(op) for op in OPS])
    elif name is None:
        show(_all([described(op) for op in OPS]))
        show(f"\n{LEGEND}\n`chainrule ops NAME` shows one in full, with its source.")
    elif name not in OPS:
        hint = did_you_mean(name, OPS) or "`chainrule ops` lists them"
        raise ParameterError(f"no operation is called {name!r}", hint=hint)
    elif json:
        show_json(described(name))
    else:
        show(_page(described(name)))


def described(name: str) -> dict[str, Any]:
    """What a record says, as plain values; equations in plain characters and as LaTeX."""
    from chainrule.emit.operations import row
    from chainrule.emit.plain import plain
    from chainrule.ops import OPS

    op = OPS[name]
    shown = row(op)
    return {
        "name": op.name,
        "summary": op.summary,
        "formula": plain(shown.formula),
        "derivatives": [plain(line) for line in shown.derivatives],
        "latex": {"formula": shown.formula, "derivatives": list(shown.derivatives)},
        "no_gradient": op.no_gradient,
        "options": {key: None if value is ... else value for key, value in op.attrs.items()},
        "edges": [{"x": e.x, "value": e.value, "slope": e.slope} for e in op.edges],
        "cancels": str(op.cancels or ""),
        "source": op.source,
    }


def _all(ops: list[dict[str, Any]]) -> str:
    """All operations: a table where it fits, else formula and derivatives below each other."""
    from chainrule.cli.output import table, too_wide, width

    whole = table(["operation", "formula", "derivative"], [_row(op) for op in ops])
    if not too_wide(whole):
        return whole
    left = max(width(op["name"]) for op in ops) + 2
    lines = []
    for op in ops:
        below = op["derivatives"] or ["no derivative"]
        below = below if max(map(len, below)) <= WIDEST_LINE else [_derivative(op)]
        texts = [op["formula"], *below]
        lines += [f"{op['name'] if i == 0 else '':<{left}}{text}" for i, text in enumerate(texts)]
    return "\n".join(lines)


def _row(op: dict[str, Any]) -> list[str]:
    return [op["name"], _short(op["formula"], op), _derivative(op)]


def _derivative(op: dict[str, Any]) -> str:
    return _short(" ; ".join(op["derivatives"]) or "none", op)


def _short(text: str, op: dict[str, Any]) -> str:
    """The text, or where to find it if the table would get too wide."""
    return text if len(text) <= WIDEST_CELL else f"`chainrule ops {op['name']}`"


def _page(op: dict[str, Any]) -> str:
    facts = [("formula", op["formula"])]
    facts += [("derivative", line) for line in op["derivatives"]]
    if op["no_gradient"]:
        facts.append(("no derivative", op["no_gradient"]))
    for key, value in op["options"].items():
        facts.append((f"option {key}", "must be given" if value is None else f"default {value}"))
    for edge in op["edges"]:
        facts.append((f"at x = {edge['x']:g}", f"y = {edge['value']:g}, slope {edge['slope']:g}"))
    if op["cancels"]:
        facts.append(("float32", f"{op['cancels']} (ε = 2⁻²³)"))
    facts.append(("source", op["source"]))
    left = max(len(name) for name, _ in facts)
    lines = [f"{op['name']}: {op['summary']}", ""]
    lines += [f"{name:<{left}}  {text}" for name, text in facts]
    return "\n".join(lines + (["", LEGEND] if op["derivatives"] else []))
