"""What a piece of machine code was made of, as one digest: same digest, same code.

Planning takes longer than loading code, and so does writing the text of a module. What is digested
is the recipe that the plan is made from, and with it everything that turns recipes into plans,
plans into text and text into code: the sources of chainrule, Python, LLVM and the processor.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from chainrule.expr import Expr, postorder
from chainrule.ops import OPS, RECORDS
from chainrule.plan.spelled import spelled
from chainrule.run.jit import host

PACKAGE = Path(__file__).parents[1]
# All that a plan and the text of a module can depend on besides the recipe, and how code is called.
SOURCES = ("errors.py", "expr.py", "ops", "plan", "emit", "run")
BEGAN = time.time()


def identity(recipe: object, values: Iterable[Expr]) -> str | None:
    """The digest of a recipe and its surroundings, 64 hexadecimal digits; None if it has none.

    Args:
        values: the expressions in it.
    """
    sources = source_digest()
    if sources is None or not _from_sources(values):
        return None
    try:
        described = spelled(recipe)
    except TypeError:  # an attribute that is not plain
        return None
    return hashlib.sha256(f"{sources}\n{surroundings()}\n{described}".encode()).hexdigest()


def _from_sources(values: Iterable[Expr]) -> bool:
    """Whether every operation is the one in the sources: a name does not tell what another does."""
    used = {node.op for node in postorder(*values)}
    return all(OPS.get(name) is RECORDS.get(name) for name in used | RECORDS.keys())


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
