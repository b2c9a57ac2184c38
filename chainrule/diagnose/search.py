"""Finding the changes of the true backward pass that give what a hand-written one gave.

Everything is compared at several points at once, so coincidences do not count. The first wrong
parameter in the order of the backward pass is explained first, by the change that explains most of
the others with it; of several the simplest. That change then belongs to the pass, and the search
goes on with what is still wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.edits import edits
from chainrule.diagnose.factors import factor_name, factor_value
from chainrule.diagnose.passes import Backward, Change, Pass, Place
from chainrule.diagnose.recognise import stacked
from chainrule.diagnose.scene import COSTS, Edit, Scene
from chainrule.errors import ChainruleError
from chainrule.expr import Expr

MOST_EDITS = 4000
MOST_MISTAKES = 8
MOST_NUMBERS = 10_000_000  # gradients of changed passes that are held at a time
FEWEST = 3  # entries that must agree before a factor that is no known number is believed
UNNAMED = 2.5  # what such a factor costs
NOTHING = ("missing path", "zero gradient")  # kinds of which the factor is 0
BOTH = 1.5  # what a factor on top of another change costs

Arrays = Mapping[str, Array]
Columns = Mapping[str, Array]


@dataclass(frozen=True)
class Found:
    """One change that explains some of what is wrong.

    Attributes:
        edit: the change; None for a plain factor.
        places: the steps that are changed.
        kind: what sort of mistake it is.
        factor: by which what the (changed) step contributes is multiplied; 1 for not at all.
        explains: the parameters whose gradients it explains, in the order of the backward pass.
        error: the largest difference that is left, over what is near enough.
        whole: whether the steps are all that their target receives.
        cost: how far-fetched it is.
    """

    edit: Edit | None
    places: tuple[Place, ...]
    kind: str
    factor: float
    explains: tuple[str, ...]
    error: float
    whole: bool
    cost: float

    @property
    def target(self) -> Expr:
        """The value whose derivative is wrong because of it."""
        node, index = self.places[0]
        return node.inputs[index]


@dataclass(frozen=True)
class Theirs:
    """What the hand-written pass gave, and how near is near enough.

    Attributes:
        points: arrays for all inputs at each point.
        grads: for each point the gradients by name.
        close: for each name how far entries may differ and be the same.
    """

    points: Sequence[Arrays]
    grads: Sequence[Mapping[str, Array]]
    close: Mapping[str, float]

    def column(self, name: str) -> Array:
        """All entries at all points, one after the other."""
        return np.concatenate([np.ravel(g[name]) for g in self.grads])


@dataclass(frozen=True)
class Trial:
    """A change that may explain something: its pass and the pass without the step."""

    edit: Edit | None
    places: tuple[Place, ...]
    whole: bool
    depth: int
    without: Mapping[str, Expr]
    changed: Mapping[str, Expr]


class Search:
    """The search on one way to write the network.

    Args:
        inputs: those of the definition, and further ones that edits use.
        scene: makes what edits are made from, for a pass.
        sizes: of axes, by which factors are named.
    """

    def __init__(
        self,
        backward: Backward,
        theirs: Theirs,
        inputs: Sequence[Expr],
        scene: Callable[[Pass], Scene],
        sizes: Mapping[str, int],
    ) -> None:
        self.backward, self.theirs, self.inputs, self.scene = backward, theirs, inputs, scene
        self.sizes = sizes
        self.changes: dict[Place, Change] = {}
        self.history: list[tuple[Found, Pass, Pass]] = []
        self.order = backward.order()
        self.user = {name: theirs.column(name) for name in self.order}

    def run(self) -> tuple[list[Found], list[str]]:
        """The changes that explain what is wrong, and the parameters left unexplained."""
        found: list[Found] = []
        while True:
            current = self.backward.run(self.changes)
            column = self.columns([current.grads])[0]
            wrong = [n for n in self.order if self.error(n, column[n]) > 1]
            if not wrong or len(found) == MOST_MISTAKES:
                return found, wrong
            best = self._best(current, column, wrong)
            if best is None:
                return found, wrong
            found.append(best)
            self.changes |= {place: self._applied(best, place) for place in best.places}
            self.history.append((best, current, self.backward.run(self.changes)))

    def columns(self, passes: Sequence[Mapping[str, Expr]]) -> list[dict[str, Array]]:
        """Each pass's gradients at all points, one after the other."""
        roots = list(dict.fromkeys(e for grads in passes for e in grads.values()))
        values = stacked(roots, self.inputs, self.theirs.points)
        joined = {e: v.ravel() for e, v in zip(roots, values, strict=True)}
        return [{n: joined[e] for n, e in grads.items()} for grads in passes]

    def error(self, name: str, column: Array) -> float:
        """The largest difference from the hand-written gradient, over what is near enough."""
        difference = np.max(np.abs(column - self.user[name]), initial=0.0)
        if not np.isfinite(difference):
            return np.inf
        with np.errstate(over="ignore"):  # what is near enough to 0 may be next to nothing
            return float(difference / self.theirs.close[name])

    def _best(self, current: Pass, now: Columns, wrong: Sequence[str]) -> Found | None:
        best: tuple[tuple[float, ...], Found] | None = None
        for batch in self._batches(self._trials(current, wrong[0])):
            columns = self.columns([p for t in batch for p in (t.without, t.changed)])
            for i, trial in enumerate(batch):
                found = self._explained(trial, columns[2 * i], columns[2 * i + 1], now, wrong)
                if found is not None:
                    rank = (-len(found.explains), found.cost, -trial.depth)
                    if best is None or rank < best[0]:
                        best = rank, found
        return best[1] if best else None

    def _batches(self, trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
        """The trials in groups whose gradients fit into memory."""
        entries = sum(column.size for column in self.user.values())
        size = max(1, MOST_NUMBERS // (2 * max(entries, 1)))
        return (trials[i : i + size] for i in range(0, len(trials), size))

    def _trials(self, current: Pass, first: str) -> list[Trial]:
        """Every change of every step that the first wrong gradient goes through."""
        targets: dict[Expr, list[Place]] = {}
        for node, index in current.parts:
            targets.setdefault(node.inputs[index], []).append((node, index))
        trials: list[Trial] = []
        scene = self.scene(current)
        for depth, place in enumerate(current.parts):
            target = place[0].inputs[place[1]]
            if first not in self.backward.reached(target):
                continue
            alone = len(targets[target]) == 1
            without = self._with(current, {place: lambda g: None}, target)
            trials.append(Trial(None, (place,), alone, depth, without, self._now(current, target)))
            if not alone and place == targets[target][0]:
                all_of = tuple(targets[target])
                none = self._with(current, {p: lambda g: None for p in all_of}, target)
                now = self._now(current, target)
                trials.append(Trial(None, all_of, True, depth, none, now))
            for edit in edits(scene, place):
                if len(trials) >= MOST_EDITS:
                    return trials
                try:
                    changed = self._with(current, {place: edit.change}, target)
                except ChainruleError:
                    continue
                trials.append(Trial(edit, (place,), alone, depth, without, changed))
        return trials

    def _now(self, current: Pass, target: Expr) -> dict[str, Expr]:
        return {n: current.grads[n] for n in self.order if n in self.backward.reached(target)}

    def _with(
        self, current: Pass, changes: Mapping[Place, Change], target: Expr
    ) -> dict[str, Expr]:
        changed = self.backward.run({**self.changes, **changes}).grads
        reached = self.backward.reached(target)
        return {n: changed[n] for n in self.order if n in reached}

    def _explained(
        self, trial: Trial, without: Columns, changed: Columns, now: Columns, wrong: Sequence[str]
    ) -> Found | None:
        first = wrong[0]
        additive = trial.edit is not None and trial.edit.additive
        start = now if additive else without
        direction = {n: changed[n] - without[n] for n in changed}
        factor = _fitted(self.user[first] - start[first], direction[first])
        if factor is None:
            return None
        scale = np.max(np.abs(direction[first]))
        if not additive and abs(factor - 1) * scale <= self.theirs.close[first]:
            factor = 1.0
        if trial.edit is None and factor == 1.0:
            return None
        explains, worst = [], 0.0
        for name in self.order:
            if name not in changed:
                continue
            error = self.error(name, start[name] + factor * direction[name])
            if error <= 1:
                worst = max(worst, error)
                if name in wrong:
                    explains.append(name)
            elif name == first or name not in wrong:
                return None  # it does not fit, or would spoil what is right
        kind, cost = self._judged(trial, factor, first, scale)
        if cost is None:
            return None
        return Found(
            trial.edit, trial.places, kind, factor, tuple(explains), worst, trial.whole, cost
        )

    def _judged(
        self, trial: Trial, factor: float, first: str, scale: float
    ) -> tuple[str, float | None]:
        """What sort of mistake it is, and how far-fetched; None without enough evidence."""
        edit = trial.edit
        near = max(1e-9, 4 * self.theirs.close[first] / scale)
        enough = self.user[first].size >= FEWEST * len(self.theirs.points)
        sizes = self.sizes
        if edit is not None and edit.additive:
            return edit.kind, edit.cost if enough else None
        named = bool(factor_name(factor, sizes, near))
        if edit is not None:
            if factor == 1.0:
                return edit.kind, edit.cost
            if abs(factor) * scale <= self.theirs.close[first]:
                return edit.kind, None
            return edit.kind, edit.cost + BOTH + (0.0 if named else UNNAMED) if enough else None
        if abs(factor) * scale <= self.theirs.close[first]:
            return ("zero gradient" if trial.whole else "missing path"), COSTS["missing path"]
        if abs(factor + 1) <= near:
            return "sign", COSTS["sign"]
        if abs(factor - 2) <= near and not trial.whole:
            return "double-counted path", COSTS["double-counted path"]
        if not named and not enough:
            return "factor", None
        return "factor", COSTS["factor"] + (0.0 if named else UNNAMED)

    def _applied(self, found: Found, place: Place) -> Change:
        """The change as part of the pass from now on."""
        before = self.changes.get(place)
        factor = factor_value(found.factor, self.sizes)
        node, index = place

        def true(g: Expr) -> Expr | None:
            if before is not None:
                return before(g)
            return dict(self.backward.contributions(node, g)).get(index)

        if found.edit is not None and found.edit.additive:
            added = found.edit.change

            def both(g: Expr) -> Expr | None:
                part, more = true(g), added(g)
                return part if more is None or part is None else part + factor * more

            return both
        step = true if found.edit is None else found.edit.change

        def scaled(g: Expr) -> Expr | None:
            if found.kind in NOTHING:
                return None
            part = step(g)
            return part if part is None or found.factor == 1.0 else factor * part

        return scaled


def _fitted(wanted: Array, direction: Array) -> float | None:
    """The factor that brings `direction` nearest to `wanted`."""
    square = float(direction @ direction)
    if not np.isfinite(square) or square == 0 or not np.isfinite(wanted).all():
        return None
    return float(wanted @ direction) / square
