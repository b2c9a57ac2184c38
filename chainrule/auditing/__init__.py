"""Documents audited: their equations found, matched to the model they state, and checked."""

from __future__ import annotations

from chainrule.auditing.audit import audit
from chainrule.auditing.report import AuditReport

__all__ = ["AuditReport", "audit"]
