"""What a piece of machine code was made of, as one digest: same digest, same code.

Writing the text of a module takes longer than loading its code, so what is digested is the plan
that the text is written from, and with it everything that turns plans into text and text into code:
the sources of chainrule, Python, LLVM and the processor.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from chainrule.plan.spelled import spelled
from chainrule.plan.steps import StepPlan
from chainrule.run.jit import host

PACKAGE = Path(__file__).parents[1]
# All that the text of a module can depend on besides its plan, and how the code is called.
SOURCES = ("errors.py", "expr.py", "ops", "plan", "emit", "run")
BEGAN = time.time()


def identity(plan: StepPlan, per_step: Sequence[str], loss: str, effort: int) -> str | None:
    """The digest of the code of a plan, 64 hexadecimal digits; None where it cannot be told.

    Args:
        per_step, loss: see `chainrule.emit.llvm.module.write_module`.
        effort: of the compiler.
    """
    sources = source_digest()
    if sources is None:
        return None
    try:
        described = spelled(plan, per_step, loss, effort)
    except TypeError:  # an operation of the caller with an attribute that is not plain
        return None
    return hashlib.sha256(f"{sources}\n{surroundings()}\n{described}".encode()).hexdigest()


def surroundings() -> str:
    """What turns text into code."""
    here = host()
    versions = (llvmlite.__version__, llvm.llvm_version_info, platform.python_implementation())
    made = (*versions, tuple(sys.version_info), llvm.get_default_triple())
    return spelled((made, here))


@functools.cache
def source_digest() -> str | None:
    """The digest of the sources that make text of plans.

    None if they cannot be read, or if one was changed after it was loaded: then they are not what
    runs.
    """
    digest = hashlib.sha256()
    try:
        for path in _files():
            if path.stat().st_mtime > BEGAN:
                return None
            text = path.read_bytes()
            digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(text)}\n".encode())
            digest.update(text)
    except OSError:
        return None
    return digest.hexdigest()


def _files() -> list[Path]:
    """All modules of `SOURCES`.

    Raises:
        OSError: they are not there as files.
    """
    found: list[Path] = []
    for name in SOURCES:
        path = PACKAGE / name
        files = [path] if path.suffix else sorted(path.rglob("*.py"))
        if not files:
            raise FileNotFoundError(path)
        found += files
    return found
