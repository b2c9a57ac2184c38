"""From gradients that are wrong to the mistakes that make them so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import Array
from chainrule.diagnose.comparing import Compared
from chainrule.diagnose.facts import facts
from chainrule.diagnose.model import Model, notable
from chainrule.diagnose.passes import Backward, Pass
from chainrule.diagnose.recognise import values_at
from chainrule.diagnose.report import Mistake
from chainrule.diagnose.scene import BEFORE, FIRST, LAST, Scene
from chainrule.diagnose.search import Search, Theirs
from chainrule.diagnose.wording import Words
from chainrule.expr import Definition, Expr, Spec, input_, postorder
from chainrule.ops import OPS

FAR_FETCHED = 3.0  # the cost of an explanation beside which another way of writing is looked at


def explained(
    model: Model, names: Sequence[str], theirs: Sequence[Mapping[str, Array]], found: Compared
) -> list[Mistake]:
    """The mistakes in the gradients called `names`; at last what is known where none is found."""
    best: tuple[tuple[float, ...], list[Mistake], list[str]] | None = None
    ways = [(c, d) for c in (found.close, found.loose) for d in reversed(model.shown)]
    for number, (close, definition) in enumerate(ways):
        if number == len(model.shown) and best is not None and not best[2]:
            break  # explained to the last digit: no need to look at float32
        attempt = _Attempt(model, definition, names, theirs, found, close)
        changes, left = attempt.search.run()
        rank = (len(left), len(changes), sum(c.cost for c in changes), number)
        if best is None or rank < best[0]:
            best = rank, attempt.mistakes(), left
        if not left and len(changes) == 1 and changes[0].cost < FAR_FETCHED:
            break
    assert best is not None
    return [*best[1], *(facts(n, theirs, found) for n in best[2])]


class _Attempt:
    """The search on one way to write the network."""

    def __init__(
        self, model: Model, definition: Definition, names: Sequence[str],
        theirs: Sequence[Mapping[str, Array]], found: Compared, near: Mapping[str, float],
    ) -> None:  # fmt: skip
        self.model = model
        self.backward = Backward(definition, names)
        true = self.backward.run({})
        graph = Graph([definition.root], definition.inputs)
        self.sizes = graph.sizes({x.name: model.points[0][x.name] for x in definition.inputs})
        self.sizes = {a: n for a, n in self.sizes.items() if a != "1"}
        self.words = Words(definition, true, self.sizes, _probabilities(definition, model))
        self.notable = notable(definition)
        points = [dict(p) for p in model.points]
        extra = self._indicators(points)
        self.before = self._earlier(definition, points) if _stale(names, theirs, found) else {}
        inputs = [*definition.inputs, *extra, *self.before.values()]
        close = {n: near[n] * _larger(n, theirs, found) for n in names}
        self.theirs = Theirs(points, theirs, close)
        self.search = Search(self.backward, self.theirs, inputs, self._scene, self.sizes)

    def _scene(self, current: Pass) -> Scene:
        return Scene(
            self.backward, current, self.sizes, self.words.call, self.before, self.notable,
            self.model.examples,
        )  # fmt: skip

    def _indicators(self, points: Sequence[dict[str, Array]]) -> list[Expr]:
        size = self.sizes.get(self.model.examples, 0)
        if size < 2:
            return []
        for point in points:
            point[FIRST], point[LAST] = np.eye(size)[0], np.eye(size)[-1]
        return [input_(FIRST, self.model.examples), input_(LAST, self.model.examples)]

    def _earlier(
        self, definition: Definition, points: Sequence[dict[str, Array]]
    ) -> dict[Expr, Expr]:
        """Inputs that hold what values were in the call before."""
        values = values_at(self.notable, definition.inputs, self.model.points)
        earlier = {}
        for i, e in enumerate(self.notable):
            name = f"{self.words.call(e)}{BEFORE}{i}"[-100:]
            earlier[e] = input_(name, Spec(e.axes, {}))
            for number, point in enumerate(points):
                point[name] = values[0][i] if number else values[number][i]
        return earlier

    def mistakes(self) -> list[Mistake]:
        """What was found, in words."""
        return [
            self.words.mistake(change, before, after, self.theirs)
            for change, before, after in self.search.history
        ]


def _probabilities(definition: Definition, model: Model) -> list[Expr]:
    """Sums over classes of targets that are 1 everywhere: P · 1 is written P."""
    sums = [
        OPS["sum"](node.inputs[1], node["over"])
        for node in postorder(definition.root)
        if node.op == "cross_entropy" and node.inputs[1].kind == "float"
    ]
    values = values_at(sums, definition.inputs, model.points) if sums else []
    return [e for i, e in enumerate(sums) if all(np.allclose(row[i], 1) for row in values)]


def _larger(name: str, theirs: Sequence[Mapping[str, Array]], found: Compared) -> float:
    """By how much the hand-written gradient is too large, and its rounding errors with it."""
    yours, true = (
        max(float(np.max(np.abs(g[name]))) for g in grads) for grads in (theirs, found.chosen)
    )
    return max(1.0, yours / true) if true and np.isfinite(yours) else 1.0


def _stale(names: Sequence[str], theirs: Sequence[Mapping[str, Array]], found: Compared) -> bool:
    """Whether something is right in the first call and wrong in later ones."""
    for name in names:
        right = [
            bool(np.max(np.abs(t[name] - c[name]), initial=0.0) <= found.close[name])
            for t, c in zip(theirs, found.chosen, strict=True)
        ]
        if right[0] and not all(right):
            return True
    return False
