"""Check a backward pass that was written by hand, and say what is wrong with it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.check.gradient import DTYPES
from chainrule.check.named import Array
from chainrule.diagnose.calling import PREFIXES, Function, Outcome, Pair, Raised, by_name, label
from chainrule.diagnose.comparing import compared
from chainrule.diagnose.explaining import explained
from chainrule.diagnose.given import POINTS, Arrays, Makes, Source, points_of, source_of
from chainrule.diagnose.model import Model, from_definition, from_function, moved
from chainrule.diagnose.numerical import from_numbers, loss_of, truth_from_values
from chainrule.diagnose.passes import Backward
from chainrule.diagnose.precision import Truth, surest, truths
from chainrule.diagnose.report import BackwardReport, Line, Mistake
from chainrule.diagnose.results import exchange, form, hygiene
from chainrule.diagnose.squares import squared
from chainrule.diagnose.tape import Untraceable
from chainrule.errors import ChainruleError, DTypeError, ParameterError, did_you_mean
from chainrule.netfile import Definable


def check_backward(
    forward: Definable | Function,
    backward: Function,
    arrays: Arrays | Makes | None = None,
    *,
    wrt: Sequence[str] | None = None,
    seed: int = 0,
    dtype: str = "float64",
    name: str | None = None,
) -> BackwardReport:
    """Check a backward pass that was written by hand; where it is wrong, say what the mistake is.

    Args:
        forward: the loss: an annotated function, a definition or a .net file, or a plain NumPy
            function that returns the loss, or (loss, cache).
        backward: returns the gradients, as a dict by name (``dW1`` or ``W1``) or as a tuple in the
            order of `wrt`. What its arguments get is decided by their names, see
            `chainrule.diagnose.calling`.
        arrays: what to call them with, by name, or a function that makes such a dict from a
            `numpy.random.Generator`. May be left out where the axes are known.
        wrt: the parameters; if not given, those that the definition or the names in what
            `backward` returns say.
        seed: fixes everything that is drawn.
        dtype: float type of the arrays, "float64" or "float32".
        name: of the function, in the report.

    Returns:
        A report: `.ok`, `.first`, `.mistakes`, `str()`.

    Raises:
        ParameterError: an argument cannot be supplied, or it is not clear what the gradients are
            with respect to.

    >>> def forward(w: "", x: "m", y: "m"):
    ...     r = w * x - y
    ...     return (r ** 2).mean()
    >>> def backward(w, x, y):
    ...     return {"w": ((w * x - y) * x).mean()}
    >>> report = check_backward(forward, backward, wrt=["w"])
    >>> report.first, report.mistakes[0].evidence
    ('w', 'dw is 0.500 times the true gradient in all 1 entries')
    """
    if dtype not in DTYPES:
        hint = did_you_mean(dtype, DTYPES)
        raise ParameterError(f"dtype must be float64 or float32, got {dtype!r}", hint=hint)
    source = source_of(forward)
    check = _Check(source, backward, wrt, seed, dtype, name or source.name)
    return check.report(arrays)


class _Check:
    """One check of one pair of functions."""

    def __init__(
        self, source: Source, backward: Function, wrt: Sequence[str] | None, seed: int,
        dtype: str, name: str,
    ) -> None:  # fmt: skip
        self.source, self.backward, self.seed, self.dtype = source, backward, seed, dtype
        self.given_wrt, self.name = wrt, name
        forward = source.function or source.call
        values = None if source.definition is None else source.values
        self.pair = Pair(forward, backward, source.inputs, seed, values)
        self.notes: list[str] = []

    def report(self, arrays: Arrays | Makes | None) -> BackwardReport:
        """Everything, at points where the functions run."""
        points = points_of(self.source, arrays, self.seed, self.dtype)
        try:
            return self._at(points)
        except Raised as error:
            return self._stopped(error, points)

    def _stopped(self, error: Raised, points: Sequence[Mapping[str, Array]]) -> BackwardReport:
        shown = ", ".join(f"{n} {a.shape}" for n, a in points[0].items())
        mistake = Mistake("", (), "raises", f"raises: {error}", f"with {shown}")
        report = self._shell(points, "not compared")
        try:  # with all axes of one size the same code runs, and shows what it computes
            square = self._square(points[0])
            second = self._at(square) if square else None
        except (Raised, ChainruleError):
            second = None
        if second is None or second.ok:
            return replace(report, mistakes=(mistake,))
        note = "the gradients were compared with all axes of one size, where no shape is wrong"
        return replace(second, mistakes=(*second.mistakes, mistake), notes=(*second.notes, note))

    def _square(self, arrays: Mapping[str, Array]) -> Sequence[Mapping[str, Array]]:
        if self.source.declared:
            return points_of(self.source, None, self.seed, self.dtype, square=True)
        assert self.source.function is not None
        square = squared(self.source.function, arrays, self.seed)
        return [square] if square is not None else []

    def _at(self, points: Sequence[Mapping[str, Array]]) -> BackwardReport:
        first, again = self.pair(points[0], 0), self.pair(points[0], 0)
        wrt = self._wrt(first)
        self._refuse(wrt, points[0])
        if len(points) == 1:
            others = [moved(points[0], wrt, self.seed, i) for i in range(1, POINTS)]
            points = [points[0], *others]
        outcomes = [first, *(self.pair(p, i) for i, p in enumerate(points) if i)]
        problems = hygiene(outcomes, again, wrt, self.name)
        if any(m.kind == "non-deterministic" for m in problems):
            return replace(self._shell(points, "not compared"), mistakes=tuple(problems))
        model: Model | None = None
        try:
            model = self._model(points, outcomes, wrt)
        except Untraceable as why:
            note = f"the function could not be written down ({why}): its gradients were worked "
            self.notes.append(note + "out from its values alone, and few mistakes can be named")
        return self._judged(model, points, outcomes, problems, wrt)

    def _model(
        self, points: Sequence[Mapping[str, Array]], outcomes: Sequence[Outcome], wrt: Sequence[str]
    ) -> Model:
        upstream = [o.upstream for o in outcomes]
        if self.source.definition is not None:
            definition = replace(self.source.definition, params=tuple(wrt))
            return from_definition(definition, points, upstream)
        assert self.source.function is not None
        axes = {n: x.axes for n, x in self.source.declared.items()}
        return from_function(self.source.function, points, upstream, axes, wrt)

    def _judged(
        self,
        model: Model | None,
        points: Sequence[Mapping[str, Array]],
        outcomes: Sequence[Outcome],
        problems: Sequence[Mistake],
        wrt: Sequence[str],
    ) -> BackwardReport:
        if model is None:
            order, sure = list(wrt), self._from_values(points, outcomes, wrt)
        else:
            order = Backward(model.written, wrt).order()
            sure = truths(model.written, wrt, model.points)
        returned = [by_name(o.raw, wrt, self.name) for o in outcomes]
        theirs, formal, dtypes = self._formed(returned, order, points, sure)
        found = compared(theirs, sure, dtypes, points)
        if model is not None and not found.ok:  # or does the formula lose digits as written?
            again = truths(model.shown[-1], wrt, model.points)
            sure = [surest(t, a) for t, a in zip(sure, again, strict=True)]
            found = compared(theirs, sure, dtypes, points)
        mistakes = [*problems, *formal]
        if not found.ok and model is not None:
            mistakes += explained(model, list(theirs[0]), theirs, found)
        elif not found.ok:
            shapes = {n: a.shape for n, a in points[0].items()}
            sizes = {f"axis {i} of {n}": m for n, s in shapes.items() for i, m in enumerate(s)}
            mistakes += from_numbers(list(theirs[0]), theirs, found, sizes)
        if found.coarse:
            which = ", ".join(f"d{n}" for n in found.coarse)
            digits = f"{max(found.coarse.values()):.0e}"
            self.notes.append(f"only to {digits} of its size, not to float64, is right: {which}")
        rank = {n: i for i, n in enumerate(order)}
        lines = [found.lines.get(n, Line(n, 0, 1, 0.0, 0.0, None, None, ())) for n in order]
        return replace(
            self._shell(points, self._method(model)),
            lines=tuple(lines),
            mistakes=tuple(sorted(mistakes, key=lambda m: rank.get(m.parameter, -1))),
            notes=tuple(self.notes),
        )

    def _method(self, model: Model | None) -> str:
        if model is None:
            return "from values of the loss"
        return "derived" if self.source.definition is not None else "derived from the NumPy code"

    def _formed(
        self,
        returned: Sequence[Mapping[str, Any]],
        order: Sequence[str],
        points: Sequence[Mapping[str, Array]],
        sure: Sequence[Truth],
    ) -> tuple[list[dict[str, Array]], list[Mistake], dict[str, str]]:
        """The gradients in the shapes of the true ones, what is wrong with their form, types."""
        true = [
            {n: g.reshape(p[n].shape) for n, g in t.grads.items()}
            for t, p in zip(sure, points, strict=True)
        ]
        shapes = {n: [p[n].shape for p in points] for n in order}
        grads, mistakes = exchange(returned, order, shapes, true)
        theirs: list[dict[str, Array]] = [{} for _ in points]
        dtypes: dict[str, str] = {}
        for n in order:
            found = form(n, [g[n] for g in grads], shapes[n], [t[n] for t in true])
            mistakes += [found.mistake] if found.mistake else []
            if found.grads is not None:
                dtypes[n] = "float32" if self.dtype == "float32" else found.dtype
                for mine, array, t in zip(theirs, found.grads, sure, strict=True):
                    mine[n] = array.reshape(t.grads[n].shape)
        return theirs, mistakes, dtypes

    def _from_values(
        self, points: Sequence[Mapping[str, Array]], outcomes: Sequence[Outcome], wrt: Sequence[str]
    ) -> list[Truth]:
        assert self.source.function is not None
        found = []
        for number, (arrays, outcome) in enumerate(zip(points, outcomes, strict=True)):
            loss = loss_of(self.source.function, outcome.upstream)

            def yours(near: Mapping[str, Array], number: int = number) -> dict[str, Array]:
                raw = by_name(self.pair(near, number).raw, wrt, self.name)
                return {n: np.asarray(0.0 if v is None else v, np.float64) for n, v in raw.items()}

            found.append(truth_from_values(loss, arrays, wrt, yours))
        return found

    def _shell(self, points: Sequence[Mapping[str, Array]], method: str) -> BackwardReport:
        sizes = {n: a.shape for n, a in points[0].items()}
        notes = tuple(self.notes)
        return BackwardReport(self.name, self.dtype, sizes, len(points), method, (), (), notes)

    def _wrt(self, outcome: Outcome) -> list[str]:
        """The parameters: as asked for, as the definition says, or as the result says."""
        if self.given_wrt is not None:
            return [self.given_wrt] if isinstance(self.given_wrt, str) else list(self.given_wrt)
        raw, inputs = outcome.raw, self.source.inputs
        if self.source.definition is not None and self.source.definition.params:
            return list(self.source.definition.params)
        floats = [n for n in inputs if outcome.arrays[n].dtype.kind == "f"]
        if isinstance(raw, Mapping):
            keys = {str(key) for key in raw}
            found = [n for n in floats if keys & {n, *(prefix + n for prefix in PREFIXES)}]
        else:
            count = len(raw) if isinstance(raw, tuple | list) else 1
            found = _returned_names(self.backward, inputs)
            if len(found) != count:
                found = floats if len(floats) == count else []
        if not found:
            what = "it is not clear which gradients backward returns"
            hint = "Say wrt=['W1', 'b1', …], or return a dict by name"
            raise ParameterError(what, where=label(self.backward), hint=hint)
        return found

    def _refuse(self, wrt: Sequence[str], arrays: Mapping[str, Array]) -> None:
        for n in wrt:
            if n not in arrays:
                hint = did_you_mean(n, arrays) or f"It has: {', '.join(arrays)}"
                raise ParameterError(f"no input is called {n!r}", where=self.name, hint=hint)
            if arrays[n].dtype.kind != "f":
                what = f"{n} holds {arrays[n].dtype} values: they have no derivative"
                raise DTypeError(what, where=self.name, hint=f"Give {n} as real numbers")


def _returned_names(backward: Function, inputs: Sequence[str]) -> list[str]:
    """The inputs in ``return dW1, db1``: read off the text of the function, if it is there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(backward)))
    except (OSError, TypeError, SyntaxError):
        return []
    returns = [n.value for n in ast.walk(tree) if isinstance(n, ast.Return) and n.value]
    if not returns:
        return []
    last = returns[-1]
    items = last.elts if isinstance(last, ast.Tuple | ast.List) else [last]
    names = [item.id if isinstance(item, ast.Name) else "" for item in items]
    known = {prefix + n: n for n in inputs for prefix in PREFIXES} | {n: n for n in inputs}
    found = [known.get(name, "") for name in names]
    return found if all(found) else []
