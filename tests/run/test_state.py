"""The floating-point state of the host is left alone: rounding, flush-to-zero, exception masks.

Libraries built with fast-math turn flush-to-zero on when they are loaded, for the whole process;
what NumPy computes afterwards is then another result.
"""

import ctypes
import platform
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import chainrule as cr
from chainrule.run.engine import Engine
from chainrule.run.jit import FULL, Code, object_code
from tests.run.engines import data, trained

X86 = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define i64 @get() {
  %place = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  %word = load i32, ptr %place
  %wide = zext i32 %word to i64
  ret i64 %wide
}
define void @set(i64 %word) {
  %place = alloca i32
  %narrow = trunc i64 %word to i32
  store i32 %narrow, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  ret void
}
"""
ARM = """
define i64 @get() {
  %word = call i64 asm sideeffect "mrs $0, fpcr", "=r"()
  ret i64 %word
}
define void @set(i64 %word) {
  call void asm sideeffect "msr fpcr, $0", "r"(i64 %word)
  ret void
}
"""
ON_ARM = platform.machine().lower() in ("aarch64", "arm64")
# Of MXCSR, all but the flags 0 to 5, which arithmetic raises; FPCR has none.
CONTROL = ~0 if ON_ARM else ~0x3F
FLUSH = 1 << 24 if ON_ARM else 0x8040  # results and operands
DOWN = 0b10 << 22 if ON_ARM else 0b01 << 13


class State:
    """Reads and sets the control word of the calling thread."""

    def __init__(self) -> None:
        self._code = Code(object_code(ARM if ON_ARM else X86, FULL))
        self._get = ctypes.CFUNCTYPE(ctypes.c_int64)(self._code.address("get"))
        self._set = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self._code.address("set"))

    def word(self) -> int:
        return self._get() & CONTROL

    @contextmanager
    def changed(self, by: int):
        """Within the block these bits are the other way round; yields the word."""
        before = self._get()
        self._set(before ^ by)
        try:
            yield self.word()
        finally:
            self._set(before)


@pytest.fixture(scope="module")
def state():
    return State()


def train_and_predict(threads):
    X, y = data(200, 12, 3)
    net = cr.mlp([12, 40, 3], activation="tanh", dropout=0.2)
    run = trained(
        net, X, y, threads=threads, loss="cross_entropy", optimizer="adam", batch_size=32, epochs=1
    )
    run.predict(X)


def calls_of(run, state, monkeypatch, by=0):
    """Thread, control word before and after, of every native call, made with these bits changed."""
    seen, call = [], Engine._call

    def watched(self, *arguments):
        with state.changed(by) as before:
            call(self, *arguments)
            seen.append((threading.get_ident(), before, state.word()))

    monkeypatch.setattr(Engine, "_call", watched)
    run()
    return seen


@pytest.mark.parametrize("by", [0, FLUSH, DOWN], ids=["usual", "flush to zero", "round down"])
def test_training_and_prediction_leave_the_control_word_of_every_thread(by, state, monkeypatch):
    here = state.word()
    seen = calls_of(lambda: train_and_predict(threads=2), state, monkeypatch, by)
    assert state.word() == here
    assert len({thread for thread, _, _ in seen}) >= 2, "the work is to be done by two threads"
    assert all(before == after == here ^ by for _, before, after in seen)


def test_code_that_turns_flush_to_zero_on_is_found(state, monkeypatch):
    call = Engine._call

    def spoils(self, *arguments):
        call(self, *arguments)
        state._set(state._get() | FLUSH)

    monkeypatch.setattr(Engine, "_call", spoils)
    seen = calls_of(lambda: train_and_predict(threads=2), state, monkeypatch)
    assert all(before != after for _, before, after in seen)


def subnormal_products(dtype):
    """What a network of sums and products makes of subnormal numbers, and what is exact."""
    draw = np.random.default_rng(3)
    least = np.finfo(dtype).smallest_subnormal
    W, X = draw.integers(-900, 900, (23, 19)), draw.integers(-4, 5, (19, 50))
    b = draw.integers(-900, 900, 23)

    def f(W: "k n", b: "k", X: "n m"):
        return cr.sum(cr.relu(W @ X + b))

    machine = cr.derive(f, wrt=["X", "W"]).compile(threads=1)
    value, grads = machine(
        W=(W * least).astype(dtype), b=(b * least).astype(dtype), X=X.astype(dtype)
    )
    Z = W @ X + b[:, None]
    exact = np.maximum(Z, 0).sum(), W.T @ (Z > 0)
    return (value / least, grads["X"] / least), exact


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_subnormal_numbers_are_kept_to_the_last_bit(dtype):
    found, exact = subnormal_products(dtype)
    for got, wanted in zip(found, exact, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_flushing_to_zero_would_be_seen(state, monkeypatch):
    """The test above fails where the machine code computes without subnormal numbers."""
    call = Engine._call

    def flushed(self, *arguments):
        with state.changed(FLUSH):
            call(self, *arguments)

    monkeypatch.setattr(Engine, "_call", flushed)
    found, exact = subnormal_products(np.float32)
    assert exact[0] != 0
    assert found[0] == 0
    assert not found[1].any()
