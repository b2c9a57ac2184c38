"""`chainrule lint`: structural mistakes in a network, and in data for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.cli.options import Json, names, network_file
from chainrule.cli.reading import USUAL, Reading
from chainrule.errors import GraphError, ParameterError

if TYPE_CHECKING:
    from chainrule.check.lint import LintReport
    from chainrule.netfile import Definable


def lint(
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    data: Annotated[str | None, Parameter(metavar="FILE.csv")] = None,
    target: Annotated[str | None, Parameter(metavar="COLUMN")] = None,
    params: Annotated[str | None, Parameter(metavar="W_1,b_1")] = None,
    strict: bool = False,
    rules: bool = False,
    json: Json = False,
    reading: Reading = USUAL,
) -> int:
    """Look for structural mistakes in a network: softmax twice, unused parameters, and the like.

    All of them are listed with the line, why it hurts and what to write instead. Errors keep the
    network from doing what it is for, warnings are probably not meant, hints are worth knowing.
    Exit code 1 if there is an error or a warning.

    FILE.net is only read. FILE.py is run, because you name it here, and each function in it whose
    parameters are annotated with axes is looked at.

        chainrule lint examples/mlp.net --data digits

    Args:
        file: The network, FILE.net or FILE.py.
        data: Look at targets and features too: a table, .npz, .npy, or digits.
        target: The column to predict.
        params: Names of the parameters, for functions in a FILE.py that do not say.
        strict: Hints count as well.
        rules: Print everything that is looked for, instead.
    """
    from chainrule.cli.output import show, show_json
    from chainrule.cli.userfile import blamed

    if rules or file is None:
        if not rules:
            hint = "`chainrule lint --rules` says what is looked for"
            raise ParameterError("FILE.net or FILE.py is missing", hint=hint)
        show_json(_rules()) if json else show(_rule_page())
        return 0
    if target is not None and data is None:
        raise ParameterError("--target names a column of --data, which is not given")
    chosen = names(params, "--params")
    path = network_file(file, ".net", ".py")
    with blamed(path):
        reports = [_report(source, chosen, data, target, reading) for source in _sources(path)]
    ok = all(r.ok and not (strict and r.hints) for r in reports)
    if json:
        show_json({"ok": ok, "reports": [report.json() for report in reports]})
    else:
        show("\n\n".join(str(report) for report in reports))
    return 0 if ok else 1


def _sources(path: Path) -> Iterator[Definable]:
    from chainrule.cli.userfile import is_definition, run_file
    from chainrule.expr import Definition

    if path.suffix == ".net":
        yield path
        return
    module = run_file(path)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, Definition) or is_definition(value, module)
    ]
    if not found:
        hint = 'Annotate every parameter with its axes: def loss(w: "n", X: "m n", y: "m")'
        raise GraphError(f"{path.name} holds no function annotated with axes", hint=hint)
    yield from found


def _report(
    source: Definable,
    params: list[str] | None,
    data: str | None,
    target: str | None,
    reading: Reading,
) -> LintReport:
    from chainrule.check.lint import lint as look

    if data is None:
        return look(source, params=params)
    from chainrule.check.lint.read import survey
    from chainrule.check.lint.subject import Subject

    arrays, features = _arrays(Subject(survey(source, params)), data, target, reading)
    return look(source, arrays, params, features=features)


def _arrays(
    subject: Any, data: str, target: str | None, reading: Reading
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The table as arrays for the inputs of the network, and the names of its features.

    Raises:
        GraphError: the network has not one input for features, or none for the target.
    """
    import numpy as np

    from chainrule.io.load import load

    inputs = subject.inputs
    features = [n for n in subject.data if inputs[n].kind == "float"]
    targets = [n for n in subject.targets if subject.examples in inputs[n].axes]
    if len(features) != 1:
        what = f"the network has {len(features)} inputs for features ({', '.join(features)})"
        raise GraphError(what, where=subject.survey.name, hint="--data needs exactly one")
    dataset = load(data, target=target, need_target=False, **reading.csv())
    known = dataset.fit_features(preprocess="none")
    found = {features[0]: _placed(inputs[features[0]], dataset.inputs(known), subject.examples)}
    if len(targets) == 1 and dataset.target is not None:
        y = np.asarray(dataset.targets(dataset.fit_target(standardise=False)))
        found[targets[0]] = _placed(inputs[targets[0]], y[:, None], subject.examples)
    return found, tuple(known.names)


def _placed(x: Any, rows: Any, examples: str) -> Any:
    """(examples, columns) with the axes in the order of `x`; a single column may have none."""
    if len(x.axes) == 1 and rows.shape[1] == 1:
        return rows[:, 0]
    return rows.T if len(x.axes) == 2 and x.axes[1] == examples else rows


def _rules() -> list[dict[str, str]]:
    from chainrule.check.lint import RULES

    parts = ("code", "level", "title", "looks_for", "why", "do", "source")
    return [{part: getattr(rule, part) for part in parts} for rule in RULES.values()]


def _rule_page() -> str:
    import textwrap

    blocks = []
    for rule in _rules():
        lines = [f"{rule['code']}  ({rule['level']}): {rule['title']}"]
        for label, part in (("looks for", "looks_for"), ("why", "why"), ("do", "do")):
            lines += textwrap.wrap(
                f"{label}: {rule[part]}", 80, initial_indent="  ", subsequent_indent="    "
            )
        lines.append(f"  source: {rule['source']}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
