"""Which of an author's own definitions correct gradients vouch for."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.auditing.check import Checked, is_gradient
from chainrule.auditing.report import CORRECT
from chainrule.auditing.scope import mentioned


def vouched(checked: Sequence[Checked]) -> set[str]:
    """The symbols that correct gradients use, in their own formula or in what defines it."""
    found: set[str] = set()
    for each in checked:
        todo = [
            key
            for (statement, instance), outcome in zip(each.model.checks, each.outcomes, strict=True)
            if outcome.status == CORRECT and is_gradient(statement)
            for side in instance.sides
            for key in mentioned(side)
        ]
        while todo:
            key = todo.pop()
            if key not in found:
                found.add(key)
                if key in each.model.definitions:
                    todo += mentioned(each.model.definitions[key].node)
    return found
