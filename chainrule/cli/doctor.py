"""`chainrule doctor`: what this installation and machine offer, and whether it works."""

from __future__ import annotations

from typing import Any, NamedTuple

from chainrule.cli.options import Json

CORE = ("numpy", "llvmlite", "safetensors", "msgspec", "cyclopts")
# What each extra of pyproject.toml is for, and one module whose presence shows that it is there.
EXTRAS = {
    "sklearn": ("sklearn", "scikit-learn estimators"),
    "data": ("pyarrow", "Parquet and Arrow tables"),
    "onnx": ("onnx", "exchange of networks"),
    "plot": ("matplotlib", "pictures from Python"),
    "studio": ("starlette", "the local web application"),
    "notebook": ("anywidget", "views in notebooks"),
    "mpi": ("mpi4py", "clusters"),
    "cuda": ("cuda", "graphics processors"),
}
# SHA-256 of the files in chainrule/io/data, which the tests compare with what is shipped.
DIGITS_SHA256 = "af104d81e7cd419be5f343d23c6ca2e4e4ff847b06636260802df8e903c6183f"
NET = """net self_check
param W: n=3 k=2
param b: k=2
input X: m n=3
input y: m int

A = tanh(X @ W + b)
return cross_entropy(A, y)
"""


class Finding(NamedTuple):
    """One line: what was looked at, what was found, and whether that is a fault."""

    what: str
    found: str
    ok: bool = True


def doctor(*, json: Json = False) -> int:
    """Say what this installation and machine offer, and check that it works.

    Exit code 1 if something that chainrule needs is missing, damaged or wrong. Extras are optional:
    for each that is missing the command that installs it is shown.
    """
    from chainrule.cli.output import show, show_json, table

    sections = {
        "versions": _versions(),
        "machine": _machine(),
        "extras": _extras(),
        "self-check": [_data(), _derivatives()],
    }
    ok = all(finding.ok for findings in sections.values() for finding in findings)
    if json:
        plain: dict[str, Any] = {"ok": ok}
        for title, findings in sections.items():
            plain[title] = [finding._asdict() for finding in findings]
        show_json(plain)
        return 0 if ok else 1
    rows = []
    for title, findings in sections.items():
        for i, (what, found, fine) in enumerate(findings):
            rows.append(["" if i else title, what, found if fine else f"{found}  ← FAULT"])
    show(table(["", "", ""], rows).lstrip("\n"))
    show("\neverything that is needed works" if ok else "\nsomething is wrong: see FAULT")
    return 0 if ok else 1


def _versions() -> list[Finding]:
    import platform
    import sys
    from importlib import metadata

    from chainrule import __version__

    found = [
        Finding("chainrule", __version__),
        Finding("python", platform.python_version(), sys.version_info >= (3, 11)),
    ]
    for name in CORE:
        try:
            found.append(Finding(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(Finding(name, f"missing: pip install {name}", ok=False))
    return found


def _machine() -> list[Finding]:
    import platform

    import numpy as np

    from chainrule.bench.machine import cores, processor_and_features

    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    model, flags = processor_and_features()
    return [
        Finding("system", f"{platform.system()} {platform.machine()}"),
        Finding("processor", model),
        Finding("features", " ".join(flags) or "not known"),
        Finding("threads", str(cores())),
        Finding("BLAS", f"{blas.get('name', 'not known')} {blas.get('version', '')}".strip()),
        _cache(),
    ]


def _cache() -> Finding:
    """Where compiled code is kept, and how much of it there is."""
    from chainrule.run.cache import opened

    found = opened()
    if found.cache is None:
        return Finding("code cache", found.why)
    entries = found.cache.entries()
    total = sum(e.size for e in entries) / 2**20
    most = found.cache.most_bytes // 2**20
    what = f"{found.cache.folder}: {len(entries):,} programs, {total:.1f} of {most} MiB"
    return Finding("code cache", what)


def _extras() -> list[Finding]:
    from importlib.util import find_spec

    return [
        Finding(
            name,
            f"{purpose}: installed"
            if find_spec(module)
            else f"{purpose}: not installed (pip install 'chainrule[{name}]')",
        )
        for name, (module, purpose) in EXTRAS.items()
    ]


def _data() -> Finding:
    """Whether the bundled digits are the file that was shipped."""
    import hashlib
    from importlib.resources import files

    try:
        data = (files("chainrule.io") / "data" / "digits.npz").read_bytes()
    except OSError as error:
        return Finding("digits", f"cannot be read: {error}", ok=False)
    intact = hashlib.sha256(data).hexdigest() == DIGITS_SHA256
    return Finding("digits", "intact" if intact else "damaged: install chainrule again", intact)


def _derivatives() -> Finding:
    """Derive a small network and check every derivative."""
    import time

    from chainrule.check.gradient import check_gradients
    from chainrule.netfile import parse_net
    from chainrule.plan.derived import derived

    began = time.perf_counter()
    report = check_gradients(derived(parse_net(NET)), seed=0)
    took = f"{1000 * (time.perf_counter() - began):.0f} ms"
    said = f"derived and checked in {took}" if report.ok else str(report.worst)
    return Finding("derivatives", said, report.ok)
