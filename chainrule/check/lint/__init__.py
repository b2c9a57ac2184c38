"""Structural lint: mistakes that can be seen in the definition of a network, and in its data.

A rule is a record (`chainrule.check.lint.record.Rule`): what it looks for, why that hurts and what
to do about it. `RULES` holds them all; `lint` applies them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from chainrule.check.lint import data, layers, outputs, reach
from chainrule.check.lint.read import survey
from chainrule.check.lint.record import LEVELS, Clue, Finding, LintReport, Rule
from chainrule.check.lint.still import LARGEST_GRAPH
from chainrule.check.lint.subject import Array, Subject
from chainrule.errors import DTypeError, ParameterError, ShapeError, did_you_mean
from chainrule.netfile import Definable

__all__ = ["LEVELS", "RULES", "Finding", "LintReport", "Rule", "lint"]

GROUPS = (reach, outputs, layers, data)
RULES: dict[str, Rule] = {
    rule.code: rule for group in GROUPS for rule in vars(group).values() if isinstance(rule, Rule)
}
"""Every rule by its code."""


def lint(
    source: Definable,
    arrays: Mapping[str, object] | None = None,
    params: Mapping[str, object] | Iterable[str] | None = None,
    *,
    features: Iterable[str] = (),
) -> LintReport:
    r"""Look for structural mistakes in a network, and in data for it.

    All of them are listed, not only the first: a network that `derive` refuses is looked at as far
    as it can be understood. Nothing is trained, and nothing is changed.

    Args:
        source: an annotated function, a Definition, or the path of a ``.net`` file.
        arrays: data by the names of inputs, with the shapes that their axes say: for rules about
            targets, features and units that are off.
        params: values of parameters by name, or only their names, for a function that does not
            say which of its inputs are parameters.
        features: names of the features, for messages.

    Returns:
        A report: `.ok`, `.findings`, `.errors`, `.warnings`, `.hints`, `str()`.

    Raises:
        FormulaError: the text of a ``.net`` file cannot be read.
        DataFileNotFoundError: there is no such file.
        ParameterError: `arrays` or `params` name something that is no input.
        DTypeError, ShapeError: an array holds no numbers, or is not rectangular.

    >>> import chainrule as cr
    >>> def twice(W: "n c", X: "m n", y: "m int"):
    ...     p = cr.softmax(X @ W, over="c")
    ...     return cr.cross_entropy(p, y)
    >>> cr.lint(twice).codes()
    ['double-softmax']
    """
    values = params if isinstance(params, Mapping) else {}
    names = None if params is None else [params] if isinstance(params, str) else list(params)
    found = survey(source, names)
    given = {**(arrays or {}), **values}
    subject = Subject(found, _arrays(found.inputs, given), tuple(features))
    for name in names or ():
        if found.inputs and name not in found.inputs:
            hint = did_you_mean(name, found.inputs)
            raise ParameterError(f"no input is called {name!r}", where=found.name, hint=hint)
    findings = [_finding(r, clue, subject) for r in RULES.values() for clue in r.find(subject)]
    findings.sort(key=lambda f: (LEVELS.index(f.level), f.line or 0))
    return LintReport(found.name, tuple(findings), tuple(_skipped(subject)))


def _finding(rule: Rule, clue: Clue, subject: Subject) -> Finding:
    where, line = subject.place(clue.at) if clue.at != "" else ("", None)
    do = clue.do or rule.do
    return Finding(rule.code, rule.level, rule.title, where, line, clue.what, rule.why, do)


def _arrays(inputs: Mapping[str, object], given: Mapping[str, object]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, value in given.items():
        if inputs and name not in inputs:
            hint = did_you_mean(name, inputs) or f"It has: {', '.join(inputs)}"
            raise ParameterError(f"no input is called {name!r}", hint=hint)
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ShapeError(f"{name}: rows have different lengths") from error
        if array.dtype.kind not in "fiub":
            raise DTypeError(f"{name} has dtype {array.dtype}, expected numbers")
        if name in inputs:
            found[name] = array
    return found


def _skipped(subject: Subject) -> list[str]:
    found, size = subject.survey, len(subject.nodes)
    skipped = []
    if size > LARGEST_GRAPH:
        what = f"the network has {size:,} operations, and {LARGEST_GRAPH} at most are tried"
        skipped.append(f"parameters whose effect cancels: {what}")
    if found.root is None and not found.inputs:
        skipped.append("what comes after the first error: a function stops there")
    elif found.root is None:
        lost = ", ".join(sorted(found.lost)) or "the result"
        skipped.append(f"what is made of equations that do not fit ({lost})")
    return skipped
