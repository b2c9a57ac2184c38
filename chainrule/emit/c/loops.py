"""The loops of one kernel, in the order of the plan: one entry after the other.

Sums over features run in index order; sums over examples are taken over leaves of `LEAF` rows,
which are added up pairwise as a binary counter carries, exactly as in the machine code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.emit.c.text import EQUAL, FLOAT, INT, PRODUCT, SUM, Text, binary, call, choice, whole
from chainrule.emit.c.values import Env, Values
from chainrule.emit.llvm.functions import c_name
from chainrule.expr import Axes, Expr
from chainrule.plan.kernels import Kernel
from chainrule.plan.tiles import LEAF

SUMS = ("sum", "contract")
EXTREMES = {"max": "above", "argmax": "above", "min": "below"}
Body = Callable[[Env], None]


class Loops:
    """Writes the loops of a kernel.

    Args:
        name_of: what the new value of each stored expression is called.
        examples: the axis whose sums are taken leaf by leaf.
    """

    def __init__(
        self, k: Kernel, values: Values, name_of: Callable[[Expr], str], examples: str
    ) -> None:
        self.k, self.values, self.name_of, self.examples = k, values, name_of, examples
        self.sizes, self.lines = values.sizes, values.lines

    def write(self) -> None:
        """All of the kernel."""
        root = self.k.root
        if root is not None and root.op == "scatter_add":
            self._scattered(root)
        else:
            self._over(self.k.axes, {}, self._entry)

    def _over(self, axes: Sequence[str], env: Env, body: Body) -> None:
        """Loops around `body`; an axis with one position needs none."""
        if not axes:
            body(env)
            return
        axis = axes[0]
        if self.sizes[axis] == 1:
            self._over(axes[1:], {**env, axis: whole(0)}, body)
            return
        index = self.values.names.fresh(axis)
        head = f"for (int64_t {index} = 0; {index} < {self.values.size(axis).text}; {index}++)"
        with self.values.block(head):
            self._over(axes[1:], {**env, axis: Text(index, kind=INT)}, body)

    def _entry(self, env: Env) -> None:
        root, values = self.k.root, self.values
        values.known = {}
        if root is not None:
            values.known[root] = self._reduced(root, env)
        self._finish(env, [node for node in self.k.values if node is not root], self.k.stores)

    def _finish(self, env: Env, nodes: Sequence[Expr], stores: Sequence[Expr]) -> None:
        """What is made of the reduction, then all stores: an array may be overwritten by them."""
        values = self.values
        for node in nodes:
            text = values.computed(node, env)
            alone = len(nodes) == 1 and self.k.stores == (node,)
            label = self.name_of(node) if node in stores else "v"
            values.known[node] = text if alone else values.local(text, f"new_{label}")
        for node in stores:
            text = values.known[node]
            text = text if node.kind == "int" else values.real_of(text)
            self.lines.add(f"{values.entry(node, env)} = {text.text};")

    def _reduced(self, root: Expr, env: Env) -> Text:
        over: Axes = root["over"]
        if root.op in EXTREMES:
            return self._extreme(root, over, env)
        if self.examples in over and self.sizes[self.examples] > LEAF:
            return self._tree(root, over, env)
        # examples outermost: the features of one example are added up first
        order = sorted(over, key=lambda axis: axis != self.examples)
        several = len(order) > 1 and order[0] == self.examples
        total = self._variable("sum", self.values.number(0))
        rest = order[1:] if several else order
        self._over(
            order[:1] if several else [],
            env,
            lambda here: self._added(root, rest, here, total, several),
        )
        return total

    def _variable(self, label: str, first: Text) -> Text:
        kind = self.values.real.c if first.kind == FLOAT else "int64_t"
        name = self.values.names.fresh(label)
        self.lines.add(f"{kind} {name} = {first.text};")
        return Text(name, kind=first.kind)

    def _added(self, root: Expr, axes: Axes | list[str], env: Env, total: Text, own: bool) -> None:
        """Add the entries along `axes` to `total`, one by one or (`own`) as a sum of their own."""
        if own:
            part = self._variable("part", self.values.number(0))
            self._over(axes, env, lambda here: self._accumulate(root, here, part))
            self.lines.add(f"{total.text} += {part.text};")
        else:
            self._over(axes, env, lambda here: self._accumulate(root, here, total))

    def _accumulate(self, root: Expr, env: Env, total: Text) -> None:
        values = self.values
        operands = [values.real_of(values.value(x, env)) for x in root.inputs]
        if root.op == "sum":
            self.lines.add(f"{total.text} += {operands[0].text};")
            return
        product = values.helper("multiply_add", *operands, total)
        self.lines.add(f"{total.text} = {product.text};")

    def _extreme(self, root: Expr, over: Axes, env: Env) -> Text:
        values = self.values
        low = float("inf") if root.op == "min" else float("-inf")
        best = self._variable("best", values.number(low))
        place = self._variable("place", whole(0)) if root.op == "argmax" else None

        def body(here: Env) -> None:
            x = values.local(values.real_of(values.value(root.inputs[0], here)), "x")
            with values.block(f"if ({values.helper(EXTREMES[root.op], x, best).text})"):
                self.lines.add(f"{best.text} = {x.text};")
                if place is not None:
                    self.lines.add(f"{place.text} = {here[over[0]].text};")

        self._over(over, env, body)
        return place or best

    def _tree(self, root: Expr, over: Axes, env: Env) -> Text:
        """Leaves of `LEAF` examples, added pairwise: waiting[l] holds the sum of 2^l leaves."""
        values, real = self.values, self.values.real
        rows, features = self.sizes[self.examples], [a for a in over if a != self.examples]
        leaves = -(-rows // LEAF)
        waiting = values.names.fresh("waiting")
        self.lines.add(f"{real.c} {waiting}[{leaves.bit_length()}] = {{0}};")
        leaf, row = Text(values.names.fresh("leaf"), kind=INT), values.names.fresh(self.examples)
        first = binary("*", PRODUCT, leaf, whole(LEAF), INT)
        with values.block(f"for (int64_t {leaf.text} = 0; {leaf.text} < {leaves}; {leaf.text}++)"):
            start = values.local(first, "first")
            stop = binary("+", SUM, start, whole(LEAF), INT)
            if rows % LEAF:
                is_last = binary("==", EQUAL, leaf, whole(leaves - 1), INT)
                stop = choice(is_last, values.size(self.examples), stop)
            stop = values.local(stop, "stop")
            part = self._variable("part", values.number(0))
            head = f"for (int64_t {row} = {start.text}; {row} < {stop.text}; {row}++)"
            with values.block(head):
                here = {**env, self.examples: Text(row, kind=INT)}
                self._added(root, features, here, part, bool(features))
            values.helpers.add(("carry", real))
            carried = call(c_name("carry", real), Text(waiting), leaf, part)
            self.lines.add(f"{carried.text};")
        found = values.helper("total", Text(waiting), whole(leaves))
        return values.local(found, "sum")

    def _scattered(self, root: Expr) -> None:
        """Entries added up at places that an index names: zeros first, then entry by entry."""
        values = self.values

        def zero(env: Env) -> None:
            self.lines.add(f"{values.entry(root, env)} = {values.number(0).text};")

        def add(env: Env) -> None:
            x, index = root.inputs
            there = {**env, root["axis"]: values.local(values.value(index, env), "row")}
            entry = values.real_of(values.value(x, env))
            self.lines.add(f"{values.entry(root, there)} += {entry.text};")

        def finish(env: Env) -> None:
            values.known = {root: values.load(root, env)}
            others = [node for node in self.k.stores if node is not root]
            self._finish(env, list(self.k.values[1:]), others)

        self._over(root.axes, {}, zero)
        self._over(root.inputs[0].axes, {}, add)
        if len(self.k.values) > 1:
            self._over(root.axes, {}, finish)
