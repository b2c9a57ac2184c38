"""Compiling emitted C and calling it with arrays."""

import ctypes
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

STRICT = ("-O3", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic")
FUNCTION = re.compile(r"\nvoid (\w+)\(\n((?: {4}.*\n)+)\{")
PARAMETER = re.compile(
    r" {4}(?P<const>const )?(?P<kind>\w+) (?P<array>\*restrict )?(?P<name>\w+)[,)] (?P<note>/\*.*)"
)
KINDS = {"float": np.float32, "double": np.float64, "int64_t": np.int64}
NUMBERS = {"float": ctypes.c_float, "double": ctypes.c_double, "int64_t": ctypes.c_int64}


def compiler() -> str:
    """A C compiler; skips the test where there is none."""
    found = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if found is None:
        pytest.skip("no C compiler (cc, gcc, clang) on this machine")
    return found


def compiled(text: str, folder: Path, *options: str) -> Path:
    """The text as a shared library; warnings are errors."""
    file = folder / "net.c"
    file.write_text(text, encoding="utf-8")
    library = folder / "net.so"
    command = [compiler(), *STRICT, *options, "-shared", "-fPIC", file, "-o", library, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def fuses_multiply_add(*options: str) -> bool:
    """Whether the compiler says that x·y + z in one step is fast."""
    command = [compiler(), *options, "-dM", "-E", "-x", "c", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "__FP_FAST_FMAF " in done.stdout


def called(text: str, library: Path, arrays: dict[str, object]) -> None:
    """Call the one function that the file exports; arrays that it changes must have its types."""
    head, parameters = FUNCTION.search(text).groups()
    arguments, alive = [], []
    for match in PARAMETER.finditer(parameters):
        value = np.asarray(arrays[match["name"]])
        if not match["array"]:
            arguments.append(NUMBERS[match["kind"]](value.item()))
            continue
        kind = KINDS[match["kind"]]
        if match["const"]:
            value = np.ascontiguousarray(value, kind)
        assert value.dtype == kind, f"{match['name']} is {value.dtype}"
        assert value.flags.c_contiguous
        alive.append(value)
        arguments.append(ctypes.c_void_p(value.ctypes.data))
    getattr(ctypes.CDLL(str(library)), head)(*arguments)


def assert_runs_under_sanitizers(text: str, folder: Path) -> None:
    """Call the function once on arrays between fences, with every access and operation watched."""
    head, parameters = FUNCTION.search(text).groups()
    arrays, arguments = [], []
    for match in PARAMETER.finditer(parameters):
        if match["array"]:
            count = math.prod(int(n) for n in re.findall(r"=([0-9]+)", match["note"]))
            arrays.append(f"static {match['kind']} given_{match['name']}[{count}];")
            arguments.append(f"given_{match['name']}")
        else:
            arguments.append("1")
    call = f"int main(void) {{ {head}({', '.join(arguments)}); return 0; }}"
    file, program = folder / "main.c", folder / "main"
    file.write_text("\n".join([text, *arrays, call, ""]), encoding="utf-8")
    watched = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [compiler(), *STRICT, *watched, file, "-o", program, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "asan" in done.stderr:
        pytest.skip("this compiler comes without sanitizers")
    assert done.returncode == 0, done.stderr
    quiet = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
