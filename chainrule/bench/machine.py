"""Where and with what a benchmark ran."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chainrule.bench.peak import peak_gflops

PACKAGES = ("chainrule", "numpy", "llvmlite", "scikit-learn", "torch", "jax")
FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16", "amx_tile"),
    *("neon", "asimd", "sve"),
)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(threads: Sequence[int], rounds: int) -> dict[str, Any]:
    """The line that says where the others come from.

    peak_gflops is measured here and now, for each number of threads; load is the mean number of
    processes that wanted to run in the last minute.
    """
    processor, features = processor_and_features()
    return {
        "kind": "machine",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "processor": processor,
        "cores": cores(),
        "features": features,
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": _versions(),
        "rounds": rounds,
        "peak_gflops": {str(n): peak_gflops(n) for n in threads},
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor_and_features() -> tuple[str, list[str]]:
    """Name and vector extensions, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "not known", []
    fields = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    lines = {key.strip(): value.strip() for key, _, value in fields}
    has = set((lines.get("flags") or lines.get("Features") or "").split())
    return lines.get("model name") or platform.processor() or "not known", [
        name for name in FEATURES if name in has
    ]
