"""Machine code for processors that are not here: compiled for them and read.

The innermost loops of products decide how fast a step is. Each must use registers of the full
width, multiply and add in one instruction, keep its sums in registers and call nothing.
"""

import re
from dataclasses import dataclass
from unittest import mock

import llvmlite.binding as llvm
import pytest

import chainrule as cr
from chainrule.plan.tiles import Processor
from chainrule.run import engine, jit, targets
from chainrule.run.machine import processor
from chainrule.training import compiled
from tests.run.engines import compiled_step, data, text_of

# What a vector register of float32 is called, and instructions that multiply and add.
REGISTER = {"avx512": r"%zmm\d+", "avx2": r"%ymm\d+", "neon": r"\bv\d+\.4s"}
FUSED = {"avx512": r"vfn?m(add|sub)\d+ps", "avx2": r"vfn?m(add|sub)\d+ps", "neon": "fml[as]"}
# Arithmetic in other instructions: a product and a sum apart, or one number at a time.
APART = r"v(mul|add|sub)[ps]s|vfn?m(add|sub)\d+ss|f(mul|add|sub|madd|msub)"
TO_STACK = {
    "x86": r"\t\S+\t%\S+, -?\d*\(%[re]sp[,)]",
    "neon": r"\tst\S+\t[^\[]*\[sp[,\]]",
}
BRANCH = re.compile(r"\t(?:j\w+|b\.\w+|cbn?z|tbn?z)\t(?:.*, )?(\S+)$")
CALL = re.compile(r"\t(?:callq?|blr?)\t(\S+)")
REFERENCE = re.compile(r"movabsq\t\$([A-Za-z_]\w*)|(?:callq?|bl)\t([A-Za-z_]\w*)")
LEAST_SHARE = 0.45  # of the instructions of such a loop; NEON loads in instructions of their own
MANY = 40  # fused instructions of a loop that is the inner one of a product


@dataclass(frozen=True)
class Loop:
    """A loop without another inside: its instructions, the label first."""

    label: str
    lines: tuple[str, ...]

    def count(self, pattern: str) -> int:
        """How many of the instructions are of these."""
        return sum(bool(re.match(rf"\t(?:{pattern})\t", line)) for line in self.lines)


def loops(text: str) -> list[Loop]:
    """All blocks that end with a jump to their own beginning."""
    found, label, lines = [], "", []
    for line in text.splitlines():
        if head := re.match(r"(\S+):", line):
            label, lines = head[1], []
        lines.append(line)
        jump = BRANCH.match(line)
        if jump and jump[1] == label:
            found.append(Loop(label, tuple(lines)))
    return found


def products(text: str, kind: str) -> list[Loop]:
    """The innermost loops of products."""
    return [loop for loop in loops(text) if loop.count(FUSED[kind]) >= MANY]


def strangers(text: str) -> set[str]:
    """Functions that are called and are not in the text."""
    called = {a or b for a, b in REFERENCE.findall(text)}
    return {name for name in called if f"\n{name}:\n" not in text}


def faults(text: str, kind: str) -> list[str]:
    """What is wrong with machine code of a training step."""
    inner = products(text, kind)
    found = [f"calls {name}" for name in sorted(strangers(text))]
    found += [] if inner else ["no inner loop of a product"]
    for loop in inner:
        fused = [line for line in loop.lines if re.match(rf"\t(?:{FUSED[kind]})\t", line)]
        narrow = [line for line in fused if not re.search(REGISTER[kind], line)]
        found += [f"{loop.label}: narrow: {line}" for line in narrow]
        found += [f"{loop.label}: calls: {line}" for line in loop.lines if CALL.match(line)]
        if apart := loop.count(APART):
            found.append(f"{loop.label}: {apart} not fused")
        if len(fused) < LEAST_SHARE * len(loop.lines):
            found.append(f"{loop.label}: {len(fused)} of {len(loop.lines)} are fused")
    return found + spills(inner, kind)


def spills(inner: list[Loop], kind: str) -> list[str]:
    """Sums that are stored on the stack meanwhile.

    For NEON only the busiest loop is held to it: LLVM loads pairs of numbers there, and where a
    tile of 11 rows reads them from 11 places, the numbers loaded early drive sums out.
    """
    to_stack = TO_STACK["neon" if kind == "neon" else "x86"]
    some = sorted(inner, key=lambda loop: loop.count(FUSED[kind]))[-1:] if kind == "neon" else inner
    return [
        f"{loop.label}: spills: {x}" for loop in some for x in loop.lines if re.match(to_stack, x)
    ]


def step_text(cpu: Processor, monkeypatch, activation="relu", dtype="float32"):
    """LLVM IR of a training step of a network for digits, as planned for a processor."""
    monkeypatch.setattr(compiled, "processor", lambda: cpu)
    not_here = mock.Mock(address=lambda name: 0)  # it is compiled for the other processor alone
    monkeypatch.setattr(engine, "Code", lambda text: not_here)
    X, y = data(200, 64, 10, dtype)
    net = cr.mlp([64, 32, 10], activation=activation)
    options = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 32}
    return text_of(compiled_step(net, X, y, **options))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("kind", targets.TARGETS)
def test_products_run_in_full_vectors_without_spills_or_calls(kind, activation, monkeypatch):
    text = step_text(processor(kind), monkeypatch, activation)
    assert faults(targets.assembly(text, kind), kind) == []


def test_more_sums_than_registers_are_found(monkeypatch):
    """Planned for 32 registers, compiled for a processor that has 16."""
    text = step_text(Processor(32, 32, 2), monkeypatch)
    assert any("spills" in fault for fault in faults(targets.assembly(text, "avx2"), "avx2"))


def test_narrow_vectors_are_found(monkeypatch):
    text = step_text(Processor(32, 16, 2), monkeypatch)
    found = faults(targets.assembly(text, "avx512"), "avx512")
    assert any("narrow" in fault for fault in found)


def test_calls_of_the_c_library_are_found(monkeypatch):
    """A processor without fused multiply-add gets it from there."""
    text = step_text(Processor(16, 16, 2), monkeypatch)
    plain = targets.Target("x86_64-unknown-linux-gnu", jit.Host("x86-64", "", 16, 16))
    monkeypatch.setitem(targets.TARGETS, "avx2", plain)
    found = faults(targets.assembly(text, "avx2"), "avx2")
    assert "calls fmaf" in found


@pytest.mark.parametrize(
    ("features", "register_bytes", "registers"),
    [
        ("sse2 avx2 fma avx512f avx512vl", 64, 32),
        ("sse2 avx2 fma avx512f", 32, 16),
        ("sse2 avx2 fma", 32, 16),
        ("sse2", 16, 16),
        ("neon", 16, 32),
    ],
)
def test_the_width_is_that_of_the_processor_on_which_it_runs(
    features, register_bytes, registers, monkeypatch
):
    names = llvm.FeatureMap(dict.fromkeys(features.split(), True))
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: names)
    here = jit.host.__wrapped__()
    assert (here.register_bytes, here.registers) == (register_bytes, registers)
