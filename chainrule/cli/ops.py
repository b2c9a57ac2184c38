"""`chainrule ops`: every operation with its derivative, read off the records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.cli.options import Json, Output, Overwrite, refuse_loss
from chainrule.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from chainrule.check.report import Report
    from chainrule.explain.ruletable import RuleTable

WIDEST_CELL = 45  # characters of a formula or derivative that still fits a table of 100 columns
WIDEST_LINE = 60  # the same where each has a line of its own, of 80 columns
LEGEND = "y: the result. L: the loss. g = ∂L/∂y: what arrives from later operations."


def ops(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    /,
    *,
    rules: bool = False,
    latex: bool = False,
    html: bool = False,
    json: Json = False,
    output: Output = None,
    overwrite: Overwrite = False,
) -> int:
    """List the operations a network can be made of, or the rules of differentiation.

    Formula, derivative and source are read off the records that training itself uses. The rule
    table adds matrix derivatives, each worked out from a small network; every row of it is first
    compared with an independent derivative, and exit code 1 says that one disagrees.

        chainrule ops sigmoid
        chainrule ops --html -o rules.html

    Args:
        name: One operation, such as sigmoid; all in a table if not given.
        rules: The rule table: scalar operations and matrix derivatives, in plain characters.
        latex: The rule table as LaTeX, or one operation.
        html: The rule table as a web page that needs no network.
    """
    from chainrule.cli.output import json_text, write
    from chainrule.ops import OPS

    chosen = {"--rules": rules, "--latex": latex, "--html": html}
    given = [option for option, on in chosen.items() if on]
    if len(given) > 1:
        raise ParameterError(f"{' and '.join(given)} exclude each other", hint="Choose one")
    if name is not None and (rules or html):
        raise ParameterError(f"{given[0]} shows all rules, not {name!r} alone")
    if name is not None and name not in OPS:
        hint = did_you_mean(name, OPS) or "`chainrule ops` lists them"
        raise ParameterError(f"no operation is called {name!r}", hint=hint)
    refuse_loss(output, [], overwrite=overwrite)
    if given and name is None:
        return _rule_table(given[0], output, json=json)
    if json:
        write(json_text([described(op) for op in OPS] if name is None else described(name)), output)
    elif name is None:
        below = f"\n{LEGEND}\n`chainrule ops NAME` shows one in full, with its source."
        write(f"{_all([described(op) for op in OPS])}\n{below}", output)
    elif latex:
        shown = described(name)["latex"]
        lines = " \\\\\n".join(f"\t{line}" for line in (shown["formula"], *shown["derivatives"]))
        write(f"\\begin{{align}}\n{lines}\n\\end{{align}}", output)
    else:
        write(_page(described(name)), output)
    return 0


def _rule_table(form: str, output: Path | None, *, json: bool) -> int:
    """Check every rule, then write the table; 1 if a derivative disagrees."""
    from chainrule.cli.output import json_text, note, write
    from chainrule.explain.ruletable import rule_table

    table = rule_table()
    reports = dict(_checked(table))
    wrong = {key: report for key, report in reports.items() if not report.ok}
    for key, report in wrong.items():
        note(f"{key} is WRONG: {report.worst}")
    table = replace(table, errors={key: report.worst.error for key, report in reports.items()})
    if json:
        write(json_text(table.json()), output)
    else:
        texts = {"--rules": table.text, "--latex": table.latex, "--html": table.html}
        write(texts[form](), output)
    return 1 if wrong else 0


def _checked(table: RuleTable) -> Iterator[tuple[str, Report]]:
    """Every row that has a derivative, compared with an independent one."""
    from chainrule.check.gradient import check_gradients
    from chainrule.check.operation import check_operation
    from chainrule.plan.derived import derived

    for scalar in table.scalars:
        if scalar.partials:
            yield scalar.op.name, check_operation(scalar.op, scalar.op.layouts[0])
    for matrix in table.matrices:
        yield matrix.statement.key, check_gradients(derived(matrix.definition))


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
