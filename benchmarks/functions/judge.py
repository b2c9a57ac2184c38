"""The reference in C, compiled beside this file when it is first needed."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path


def load() -> ctypes.CDLL:
    """Compile ``judge.c`` (needs cc with libquadmath) and load it."""
    source = Path(__file__).with_name("judge.c")
    library = Path(tempfile.mkdtemp()) / "judge.so"
    flags = ["-O2", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared"]
    command = ["cc", *flags, str(source), "-o", str(library)]
    subprocess.run([*command, "-lquadmath", "-lm"], check=True)
    return ctypes.CDLL(str(library))
