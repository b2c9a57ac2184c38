"""Steps allocate nothing, and a step needs the memory that its plan says."""

import ctypes
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from chainrule.nn import mlp
from chainrule.run import built
from chainrule.run.block import Block
from tests.run.engines import data, loop_of, text_of

CLASSES = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 10}
STEPS = 10_000
BYTES = 16  # of an allocation that is planted
NOISE = 20_000  # bytes that Python itself takes and gives back meanwhile


class MallInfo(ctypes.Structure):
    """struct mallinfo2 of glibc 2.33 and later; fields as in its manual."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks "
        "keepcost".split()
    ]


def in_use():
    """Bytes that are allocated: on heaps and as mappings of their own."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("the C library here does not say what is allocated (needs glibc 2.33)")
    libc.mallinfo2.restype = MallInfo
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd


def prepared(threads):
    """What runs many steps of a training, and arrays for them."""
    loop = loop_of(mlp([20, 33, 10], "relu"), *data(100, 20, 10), threads=threads, **CLASSES)
    runner = loop._runner(10)
    numbers = loop._numbers(1, 0, STEPS)
    arrays = {f"{n} of all rows": np.ascontiguousarray(x) for n, x in runner.data.items()}
    arrays["rows"] = np.resize(np.arange(100), 10 * STEPS)
    arrays |= runner._of_steps(numbers)
    for name in ("loss", *runner.extra):
        arrays[name] = np.zeros((STEPS, *runner.plan.buffers[name].shape), runner.dtype)
    return runner, arrays, Block(runner._layout, loop.now.values)


def growth(threads):
    """By how much more memory is in use after many steps than after none."""
    runner, arrays, block = prepared(threads)
    engine = runner.engine
    for _ in range(3):  # the second short run makes the helpers that it needs
        engine.run(arrays, 1, block=block)
    before = in_use()
    assert engine.run(arrays, STEPS, block=block) == STEPS
    return in_use() - before


@pytest.mark.parametrize("threads", [1, 2])
def test_ten_thousand_steps_allocate_nothing(threads):
    assert abs(growth(threads)) < NOISE


def planted(monkeypatch, code, declared):
    """Code that every step runs in addition."""
    write = built.write_module

    def leaking(*args):
        text = write(*args)
        place = "  %next = add i64 %step, 1\n"
        assert text.count(place) == 1
        return declared + "\n" + text.replace(place, f"{code}\n{place}")

    monkeypatch.setattr(built, "write_module", leaking)


def test_a_planted_allocation_in_each_step_is_seen(monkeypatch):
    planted(monkeypatch, f"  %leak = call ptr @malloc(i64 {BYTES})", "declare ptr @malloc(i64)")
    assert growth(1) > STEPS * BYTES > 5 * NOISE


def foreign(text):
    """Functions outside of the module that its code can call."""
    declared = re.findall(r"^declare .*?@([\w.]+)\(", text, re.MULTILINE)
    return {name for name in declared if not name.startswith("llvm.")}


@pytest.mark.parametrize("threads", [1, 2])
def test_the_code_of_a_step_can_call_nothing_that_allocates(threads):
    runner, *_ = prepared(threads)
    text = text_of(runner)
    assert foreign(text) == set()
    called = set(re.findall(r"call [\w<> ]*?([@%][\w.]+)\(", text))
    ours = {"@wait", "%rest"} | set(re.findall(r"define internal void (@k\d+)\(", text))
    assert {name for name in called if not name.startswith("@llvm.")} <= ours


def test_a_planted_call_is_seen_even_if_it_frees_what_it_allocates(monkeypatch):
    code = "  %leak = call ptr @malloc(i64 16)\n  call void @free(ptr %leak)"
    planted(monkeypatch, code, "declare ptr @malloc(i64)\ndeclare void @free(ptr)")
    runner, *_ = prepared(1)
    assert foreign(text_of(runner)) == {"malloc", "free"}


PEAK = """
import json, sys
import numpy as np
from chainrule.nn import mlp
from tests.run.engines import data, loop_of, some_steps

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

threads, batch, steps = int(sys.argv[1]), 512, 4
X, y = data(2048, 784, 10)
options = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": batch}
small = loop_of(mlp([784, 16, 10], "relu"), X, y, threads=threads, **options)
some_steps(small, batch, 2)  # threads and libraries are there now
loop = loop_of(mlp([784, 1024, 1024, 10], "relu"), X, y, threads=threads, **options)
for value in loop.now.values.values():
    np.add(value, 0.0, out=value)  # zeros take no memory before they are written
runner = loop._runner(batch)
before = resident()
stretch = some_steps(loop, batch, steps)
measured = resident() - before
plan = runner.plan
planned = plan.arena_bytes + runner._layout.bytes
planned += steps * sum(plan.buffers[n].bytes for n in ("rows", "loss", *runner.extra))
print(json.dumps([planned, measured, plan.arena_bytes]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.parametrize("threads", [1, 2])
def test_planned_memory_is_the_memory_that_steps_take(threads):
    """Within 10 %, for a network whose values are far larger than anything else."""
    command = [sys.executable, "-c", PEAK, str(threads)]
    # every large array in pages of its own, which nothing used before
    fresh = {"MALLOC_MMAP_THRESHOLD_": "65536", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **fresh},
    )
    assert result.returncode == 0, result.stderr
    planned, measured, arena = json.loads(result.stdout)
    assert planned > 30_000_000
    assert arena > 0.1 * planned, "intermediate values count"
    assert abs(measured - planned) < 0.1 * planned
