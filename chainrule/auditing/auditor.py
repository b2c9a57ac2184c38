"""The audit of a document, from its text to a report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from chainrule.auditing import prose
from chainrule.auditing.assign import Said, canonical
from chainrule.auditing.assumed import assumed
from chainrule.auditing.check import Checked, Outcome, check_model, is_gradient
from chainrule.auditing.diagnosis import explain
from chainrule.auditing.document import read_document
from chainrule.auditing.names import pretty
from chainrule.auditing.notation import EVERYTHING
from chainrule.auditing.reading import (
    Part,
    as_derivatives,
    by_definition,
    functions_of,
    is_number,
    read_parts,
)  # fmt: skip
from chainrule.auditing.report import (
    CORRECT,
    FORWARD,
    GRADIENT,
    MODEL,
    OTHER,
    UNCLEAR,
    WRONG,
    AuditReport,
    Finding,
    ModelFound,
)  # fmt: skip
from chainrule.auditing.scope import (
    Definition,
    Model,
    Scope,
    bind_functions,
    join,
    mentioned,
    ordered,
)  # fmt: skip
from chainrule.auditing.source import text_of
from chainrule.auditing.statements import (
    LOSS_NAMES,
    Instance,
    Statement,
    claims_derivative,
    derivative,
    entry_by_entry,
    function_definition,
    is_update,
    symbols_of,
)  # fmt: skip
from chainrule.auditing.vouched import vouched


def audit(source: str | os.PathLike[str], *, diagnose: bool = True) -> AuditReport:
    r"""Check the equations of a document against the models that it states.

    Args:
        source: the path of a Markdown, LaTeX or text file, or such a text itself (a string with a
            line break, a dollar sign or a backslash is a text).
        diagnose: look for the single change that makes a wrong equation right.

    Returns:
        A report: `.ok`, `.models`, `.equations`, `str()`, `.json()`.

    Raises:
        DataFileNotFoundError: there is no such file.
        DataError: it is no text, or too long.

    >>> report = audit(r"$$ L = (wx - y)^2, \qquad \frac{dL}{dw} = (wx - y) x $$")
    >>> report.ok, report.wrong[0].diagnosis
    (False, 'the factor 2 is missing')
    """
    text, name = text_of(source)
    document = read_document(text, name)
    return _Audit(read_parts(document), name, diagnose).report()


class _Audit:
    """One document on its way to a report."""

    def __init__(self, parts: list[Part], name: str, diagnose: bool) -> None:
        self._parts = parts
        self._name = name
        self._diagnose = diagnose
        self._statements = [s for part in parts for s in part.statements]
        self._part_of = {s.place: part for part in parts for s in part.statements}
        self._unit_at = [self._part_of[s.place].number for s in self._statements]
        self._unused: set[tuple[int, str]] = set()  # read as defined, and no gradient uses them

    def report(self) -> AuditReport:
        """Everything found, in the order of the document."""
        anew: frozenset[int] = frozenset()
        checked = self._checked(anew)
        again = self._restated_otherwise(checked)
        if again:
            other = self._checked(again)
            if sum(c.wrong for c in other) < sum(c.wrong for c in checked):
                anew, checked = again, other
        checked = self._as_defined(checked, anew)
        findings = self._findings(checked)
        models = [self._shown(c) for c in checked if _has_loss(c)]
        notes = list(dict.fromkeys(n for c in checked for n in c.notes))
        return AuditReport(self._name, tuple(models), tuple(findings), tuple(notes))

    def _shown(self, checked: Checked) -> ModelFound:
        """The model of a checked part, for the report."""
        model = checked.model
        lines: dict[object, tuple[int, str]] = {}
        for d in model.definitions.values():
            text = d.text if d.assumed else self._statements[d.place].equation.text
            lines[d.key if d.assumed else d.place] = (d.line, text)
        assumed = tuple(d.assumed for d in model.definitions.values() if d.assumed)
        shapes: tuple[tuple[str, str], ...] = ()
        if checked.numbers is not None:
            found = checked.numbers.assignment
            shapes = tuple(
                (pretty(k), found.sizes.shown(s))
                for k, s in found.shapes.items()
                if k != EVERYTHING and k not in found.sizes.names.values()
            )
        return ModelFound(model.title, tuple(lines.values()), shapes, assumed)

    # definitions

    def _checked(self, anew: frozenset[int]) -> list[Checked]:
        self.roles: dict[int, str] = {}
        definitions, checks = self._sorted(anew)
        scope = Scope(definitions, self._unit_at)
        for part in self._parts:
            if part.statements:
                for definition in assumed(self._parts, part, scope, part.statements[0].place):
                    scope.add(definition)
        models = self._models(scope, checks)
        return [self._check(model) for model in models]

    def _sorted(self, anew: frozenset[int]) -> tuple[list[Definition], list[Statement]]:
        """What is a definition, and what is to be checked."""
        definitions: list[Definition] = []
        checks: list[Statement] = []
        for statement in self._statements:
            known = [
                d for d in definitions
                if d.key == statement.defines
                and self._unit_at[d.place] == self._unit_at[statement.place]
            ]  # fmt: skip
            role = self._role(statement)
            if role == "forward" and known and statement.place not in anew:
                role = "identity"
            self.roles[statement.place] = role
            if role == "forward":
                definitions += self._definitions(statement)
            if role in ("gradient", "identity", "update") or (
                role == "forward" and len(statement.equation.sides) > 2
            ):
                checks.append(statement)
        return definitions, checks

    def _role(self, statement: Statement) -> str:
        if not statement.instances:
            return "unread"
        relations = set(statement.equation.relations)
        if not relations:
            return "symbol"
        if not relations <= {"=", "←"}:
            return "relation"
        if is_update(statement):
            return "update"
        if function_definition(statement):
            return "function"
        if is_gradient(statement):
            return "gradient"
        if statement.defines:
            if is_number(statement.instances[0].sides[1]):
                return "value"
            return "forward" if statement.equation.display or self._wanted(statement) else "mention"
        return "identity" if statement.equation.display else "mention"

    def _wanted(self, statement: Statement) -> bool:
        """Whether a definition in running text is needed: nothing else says what the symbol is."""
        key = statement.defines
        part = self._part_of[statement.place]
        if any(canonical(t.symbol) == key for t in part.told):
            return False
        if any(s.defines == key and s.equation.display for s in part.statements):
            return False
        used = {
            k for s in part.statements if s.place != statement.place
            for i in s.instances for side in i.sides for k in mentioned(side)
        }  # fmt: skip
        return key in used

    def _definitions(self, statement: Statement) -> list[Definition]:
        found = []
        for instance in statement.instances:
            left = next(iter(symbols_of(instance.sides[0])))
            side = statement.equation.sides[1]
            found.append(
                Definition(
                    left.key,
                    entry_by_entry(instance.sides[1]),
                    statement.place,
                    side.line,
                    side.text,
                )
            )
        return found

    # models

    def _models(self, scope: Scope, checks: Sequence[Statement]) -> list[Model]:
        models: list[Model] = []
        for statement in checks:
            own = statement.place if self.roles[statement.place] == "identity" else -1
            for instance in statement.instances:
                keys = [k for side in instance.sides for k in mentioned(side)]
                closure = scope.closure(keys, statement.place, skip=own)
                model = self._home(models, statement, closure)
                model.checks.append((statement, instance))
        used = {id(d) for model in models for d in model.definitions.values()}
        for statement in self._statements:  # what nothing is claimed about is still a model
            if self.roles[statement.place] == "forward" and statement.defines in LOSS_NAMES:
                closure = scope.closure([statement.defines], statement.place)
                if any(id(d) not in used for d in closure.values()):
                    self._home(models, statement, closure)
        for model in models:
            model.definitions = ordered(model.definitions)
            bind_functions(model)
        return sorted(models, key=lambda model: model.unit)

    def _home(
        self, models: list[Model], statement: Statement, closure: dict[str, Definition]
    ) -> Model:
        """The model of this part of the document to which definitions can be added."""
        part = self._part_of[statement.place]
        for model in reversed(models if closure else ()):  # what uses nothing stands alone
            if model.unit == part.number and join(model, closure):
                return model
        models.append(Model(part.title, part.number))
        join(models[-1], closure)
        return models[-1]

    def _check(self, model: Model) -> Checked:
        index = next(i for i, p in enumerate(self._parts) if p.number == model.unit)
        part = self._parts[index]
        before: list[prose.Shape] = [t for p in self._parts[:index] for t in p.told]
        functions, notes = functions_of(self._parts, index)
        counts: dict[str, int] = {}
        places = {d.place for d in model.definitions.values()}
        places |= {s.place for s, _ in model.checks}
        for place in sorted(places):
            for spelled in self._statements[place].spelled:
                counts |= dict(spelled.counts)
        indices = frozenset().union(*(p.indices for p in self._parts[: index + 1]))
        said = Said(tuple(part.told), tuple(before))
        checked = check_model(model, said, part.indices or indices, functions, counts)
        checked.notes += [*part.notes, *notes]
        return checked

    def _restated_otherwise(self, checked: Sequence[Checked]) -> frozenset[int]:
        """Second definitions of a symbol in one part that do not say the same as the first."""
        found = set()
        for each in checked:
            for (statement, _), outcome in zip(each.model.checks, each.outcomes, strict=True):
                again = statement.defines and self.roles[statement.place] == "identity"
                if again and outcome.status != CORRECT and self._used_after(statement):
                    found.add(statement.place)
        return frozenset(found)

    def _as_defined(self, checked: list[Checked], anew: frozenset[int]) -> list[Checked]:
        """The same with δ and dZ as their equations define them, where that makes all right."""
        for part in self._parts:
            wrong = sum(c.wrong for c in checked if c.model.unit == part.number)
            changed = by_definition(part) if wrong else []
            if not changed:
                continue
            roles = self.roles
            other = self._checked(anew)
            left = [c for c in other if c.model.unit == part.number]
            before = [c for c in checked if c.model.unit == part.number]
            vouching = vouched(left)
            used = [k for k in changed if k in vouching]
            if not used or any(c.wrong for c in left) or _unclear(left) > _unclear(before):
                as_derivatives(part)
                self.roles = roles
                continue
            checked = other
            self._unused |= {(part.number, k) for k in changed if k not in vouching}
            names = ", ".join(dict.fromkeys(pretty(k) for k in used))
            bases = tuple(k.split("^")[0].split("_")[0] for k in changed)
            part.notes[:] = [n for n in part.notes if not n.startswith(bases)]
            note = f"{names}: as defined here, not the derivative of the loss; the rest is right"
            for each in left:
                each.notes[:] = [*part.notes, note]
        return checked

    # findings

    def _findings(self, checked: Sequence[Checked]) -> list[Finding]:
        outcomes: dict[int, list[tuple[Checked, Instance, Outcome]]] = {}
        for each in checked:
            for (statement, instance), outcome in zip(
                each.model.checks, each.outcomes, strict=True
            ):
                outcomes.setdefault(statement.place, []).append((each, instance, outcome))
        return [self._finding(s, outcomes.get(s.place, [])) for s in self._statements]

    def _finding(
        self, statement: Statement, outcomes: list[tuple[Checked, Instance, Outcome]]
    ) -> Finding:
        role = self.roles[statement.place]
        kind = {"gradient": GRADIENT, "forward": FORWARD}.get(role, OTHER)
        if role == "unread" and claims_derivative(statement):
            kind = GRADIENT
        part = self._part_of[statement.place].title
        finding = Finding(statement.equation, part, kind, UNCLEAR)
        if not outcomes and (self._unit_at[statement.place], statement.defines) in self._unused:
            reason = (
                f"no gradient that is checked shows what {pretty(statement.defines)} stands for"
            )
            return dataclasses.replace(finding, kind=GRADIENT, reason=reason)
        if not outcomes:
            status, reason = self._restated(statement) or _unchecked(role, statement)
            return dataclasses.replace(finding, status=status, reason=reason)
        worst = max(outcomes, key=lambda o: (CORRECT, UNCLEAR, WRONG).index(o[2].status))
        each, instance, outcome = worst
        differ = "the two sides differ" if outcome.status == WRONG else ""
        reason = outcome.reason or differ
        finding = dataclasses.replace(
            finding, status=outcome.status, reason=reason, notes=outcome.notes
        )
        if outcome.status == WRONG and self._diagnose and role != "update":
            return explain(finding, statement, instance, outcome, each)
        return finding

    def _used_after(self, statement: Statement) -> bool:
        """Whether a later equation of the same part speaks of what a statement defines."""
        return any(
            statement.defines in mentioned(side)
            for other in self._part_of[statement.place].statements
            if other.place > statement.place
            for instance in other.instances
            for side in instance.sides
        )

    def _restated(self, statement: Statement) -> tuple[str, str] | None:
        """What running text says of shapes, or again of the model."""
        if statement.equation.display or len(statement.equation.sides) != 2:
            return None
        if prose.shapes(f"${statement.equation.text}$"):
            return MODEL, "says the shape"
        for other in self._part_of[statement.place].statements:
            both = statement.instances and self.roles[other.place] == FORWARD
            if both and other.instances[0].sides[1] == statement.instances[0].sides[1]:
                return MODEL, f"in running text; line {other.equation.line} is what is used"
        return None


def _unchecked(role: str, statement: Statement) -> tuple[str, str]:
    if role == "forward":
        return MODEL, ""
    if role == "function":
        return MODEL, ""
    reasons = {
        "unread": statement.problem,
        "symbol": "a formula without =: it claims nothing",
        "relation": "no equality: it claims nothing that numbers could contradict",
        "value": "a value, not a claim",
        "mention": "in running text: the equations on lines of their own are used",
    }
    return UNCLEAR, reasons.get(role, "nothing here says what its symbols are")


def _unclear(checked: Sequence[Checked]) -> int:
    return sum(c.unclear for c in checked)


def _has_loss(checked: Checked) -> bool:
    keys = set(checked.model.definitions)
    uppers = {
        pair[0]
        for _, instance in checked.model.checks
        for each in instance.symbols
        if (pair := derivative(each.key))
    }
    return bool(keys & (uppers | set(LOSS_NAMES)))
