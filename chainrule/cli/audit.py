"""`chainrule audit`: the equations of a document checked against the model it states."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.cli.options import Json

NARROWEST, WIDEST = 60, 120


def audit(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    strict: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> int:
    """Check the derivatives that a document prints.

    Finds the equations of notes or of an article, reads the forward equations as models, and
    compares every derivative with the true one of its model, at random values. A wrong equation is
    shown with numbers at which it fails, what the mistake is, and the right form. What cannot be
    interpreted is listed with the reason. Exit code 1 if an equation is wrong.

        chainrule audit examples/notes/two_layers.md

    Args:
        file: The document: Markdown, LaTeX or plain text.
        strict: Exit with 1 also if an equation could not be interpreted.
    """
    import shutil

    from chainrule.auditing.auditor import audit as audited
    from chainrule.cli.output import show, show_json

    report = audited(file)
    if json:
        show_json(report.json())
    else:
        columns = shutil.get_terminal_size((100, 24)).columns
        show(report.text(min(max(columns, NARROWEST), WIDEST)))
    return 0 if report.ok and not (strict and report.unclear) else 1
