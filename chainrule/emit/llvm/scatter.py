"""Kernels that add entries up at places that depend on values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chainrule.emit.llvm.builder import FLOAT, Builder
from chainrule.emit.llvm.places import Env, Index
from chainrule.emit.llvm.values import Values
from chainrule.expr import Axes
from chainrule.plan.kernels import Kernel


class Scatter:
    """Entries added up at places that an index names: zeros first, then in the order of entries."""

    def __init__(self, b: Builder, k: Kernel, values: Values, sizes: Mapping[str, int]) -> None:
        self.b, self.k, self.values, self.sizes = b, k, values, sizes

    def write(self) -> None:
        """By thread 0 alone."""
        mine = self.b.op("icmp eq i64 %part, 0", 0)
        once = self.b.op(f"zext i1 {mine} to i64", 0)
        self.b.loop("0", once, 1, lambda _, __: self._both())

    def _both(self) -> None:
        root = self.k.root
        assert root is not None
        zero = self.b.number(0.0)
        self._loops(root.axes, {}, lambda env: self.values.store(root, env, zero, None))
        self._loops(root.inputs[0].axes, {}, self._add_one)
        self._loops(root.axes, {}, self._finish)

    def _loops(self, axes: Axes, env: Env, body: Callable[[Env], None]) -> None:
        if not axes:
            body(env)
            return
        size = str(self.sizes[axes[0]])
        self.b.loop(
            "0", size, 1, lambda i, _: self._loops(axes[1:], {**env, axes[0]: Index(i)}, body)
        )

    def _add_one(self, env: Env) -> None:
        root = self.k.root
        assert root is not None
        x, index = root.inputs
        there = {**env, root["axis"]: self.values.value(index, env, None, {})}
        entry = self.b.real_of(self.values.value(x, env, None, {}))
        slot = self.values.pointer(root, there)
        kind = self.b.type(FLOAT, False)
        held = self.b.reload(kind, slot)
        total = self.b.op(f"fadd {kind} {held}, {entry.ssa}", self.b.depth)
        self.b.do(f"store {kind} {total}, ptr {slot}")

    def _finish(self, env: Env) -> None:
        """What else the kernel makes of the sums."""
        root = self.k.root
        known = {root: self.values.load(root, env, None)} if root is not None else {}
        for node in self.k.values[1:]:
            known[node] = self.values.computed(node, env, None, known)
        for node in self.k.stores:
            if node is not root:
                self.values.store(node, env, known[node], None)
