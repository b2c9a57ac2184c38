"""Rules about the data: targets that an output can reach, features that can be learned from."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.check.draw import draw_sizes
from chainrule.check.evaluate import Graph
from chainrule.check.lint.record import Clue, rule
from chainrule.check.lint.still import UNFIT, initial_value
from chainrule.check.lint.subject import Array, Subject, base, by_unit, data_axes, of
from chainrule.check.named import Named, Run
from chainrule.expr import Expr

FAR = 1e3  # ratio of the deviations of two features from which one learning rate suits neither
OFF_CENTRE = 10.0  # means so many deviations away from 0 make a sum mostly a bias
ROUNDED = 1e-3  # rows of probabilities may be rounded to so much
SATURATED = {"sigmoid": 5.0, "tanh": 2.5}
"""From here on the slope is below 3 % of the largest: σ′(5) = 0.0066, tanh′(2.5) = 0.027."""
MOST = 0.9  # share of entries beyond that
LISTED = 5
# distance at which a target counts as outside an output's range: 0 and 1 are what labels look like
SLACK = 1e-9


@rule(
    code="array-axes",
    level="error",
    title="arrays that do not fit the axes",
    looks_for="an array with another number of axes than its input declares, or sizes that "
    "disagree",
    why="A target (m,) against a prediction (m, 1) would broadcast to (m, m) elsewhere; here the "
    "network cannot be called.",
    do="Reshape the array, or declare other axes.",
    source="the declarations of the inputs",
)
def _array_axes(s: Subject) -> Iterator[Clue]:
    seen: dict[str, tuple[int, str]] = {}
    for name, array in s.arrays.items():
        x = s.inputs[name]
        if array.ndim != len(x.axes):
            what = f"{name} has shape {array.shape}, declared ({', '.join(x.axes)})"
            yield Clue(what, name, _reshape(name, x, array))
            continue
        for axis, n in zip(x.axes, array.shape, strict=True):
            known, owner = seen.setdefault(axis, (x.sizes.get(axis, n), name))
            if known != n:
                said = "it is declared" if owner == name else f"{owner} has"
                yield Clue(f"{name} has {n} along {axis}, {said} {known}", name)


def _reshape(name: str, x: Expr, array: Array) -> str:
    if array.ndim == len(x.axes) - 1:
        ones = [i for i, axis in enumerate(x.axes) if x.sizes.get(axis) == 1]
        at = ones[0] if ones else len(x.axes) - 1
        return f"Use {name}[{', '.join('None' if i == at else ':' for i in range(len(x.axes)))}]"
    if array.ndim == len(x.axes) + 1 and 1 in array.shape:
        at = array.shape.index(1)
        return f"Use {name}[{', '.join('0' if i == at else ':' for i in range(array.ndim))}]"
    return ""


def _fitting(s: Subject, name: str) -> Array | None:
    """The array given for an input, if its axes are those declared."""
    array = s.arrays.get(name)
    if array is None or array.ndim != len(s.inputs[name].axes) or not array.size:
        return None
    return array


@rule(
    code="target-range",
    level="error",
    title="targets that no output can reach",
    looks_for="labels outside 0 … k − 1; targets outside [0, 1] for bce, other than −1 and 1 for "
    "hinge, below 0 for poisson; rows that do not sum to 1 for cross_entropy and kl; targets "
    "outside the range of the prediction, such as negative ones for a relu",
    why="The loss cannot come near its minimum, or is not the one that is meant, whatever the "
    "parameters are.",
    do="Encode the targets as the loss expects them, or choose the output and the loss for them.",
    source="the definitions of the losses",
)
def _target_range(s: Subject) -> Iterator[Clue]:
    for loss in s.losses:
        prediction, target = loss.inputs[0], base(loss.inputs[1])
        values = _fitting(s, target.name) if target.op == "input" else None
        if values is None:
            continue
        low, high = float(values.min()), float(values.max())
        if target.kind == "int":
            yield from _labels(s, loss, target, int(low), int(high))
        elif loss.op in ("cross_entropy", "kl"):
            yield from _rows(s, loss, target, values)
        elif loss.op in _DOMAIN:
            ok, says, do = _DOMAIN[loss.op]
            if not ok(values):
                what = f"{target.name} lies in [{low:g}, {high:g}], {loss.op} takes {says}"
                yield Clue(what, target, do(target.name, low, high))
        elif prediction in s.moving:
            yield from _outside(s, prediction, target, low, high)


def _in_unit(t: Array) -> bool:
    return bool(t.min() >= 0 and t.max() <= 1)


def _fix_unit(name: str, low: float, high: float) -> str:
    if (low, high) == (-1, 1):
        return f"Use ({name} + 1) / 2, or the loss hinge, which takes −1 and 1"
    return f"Use labels 0 and 1: {name} == {high:g}" if high > 1 else ""


def _fix_sign(name: str, low: float, high: float) -> str:
    return f"Use 2 * {name} - 1" if (low, high) == (0, 1) else ""


_DOMAIN = {
    "bce": (_in_unit, "0 to 1", _fix_unit),
    "bce_logits": (_in_unit, "0 to 1", _fix_unit),
    "hinge": (lambda t: bool(np.isin(t, (-1, 1)).all()), "−1 and 1 only", _fix_sign),
    "poisson": (lambda t: bool(t.min() >= 0), "counts: 0 and more", lambda *_: ""),
}
"""What each loss takes as targets: a test, in words, and what to do about usual mistakes."""


def _labels(s: Subject, loss: Expr, target: Expr, low: int, high: int) -> Iterator[Clue]:
    axis = dict(loss.attrs).get("over", "")
    classes = loss.inputs[0].sizes.get(axis) or _seen(s).get(axis)
    if low < 0 or (classes is not None and high >= classes):
        known = "0 and more" if classes is None else f"0 to {classes - 1}"
        what = f"{target.name} holds labels from {low} to {high}, the network has {known}"
        counted_from_1 = low == 1 and (classes is None or high == classes)
        do = f"Count from 0: {target.name} - 1" if counted_from_1 else ""
        if low == -1 and high == 1:
            do = f"Use ({target.name} + 1) // 2"
        yield Clue(what, target, do)


def _seen(s: Subject) -> dict[str, int]:
    """Sizes of axes that the arrays given have."""
    found: dict[str, int] = {}
    for name in s.arrays:
        array = _fitting(s, name)
        if array is not None:
            found.update(zip(s.inputs[name].axes, array.shape, strict=True))
    return found


def _rows(s: Subject, loss: Expr, target: Expr, values: Array) -> Iterator[Clue]:
    options = dict(loss.attrs)
    rest = [axis for axis in target.axes if axis != s.examples]
    axis = options.get("over") or (rest[0] if len(rest) == 1 else "")
    if values.min() < 0 or values.max() > 1:
        what = f"{target.name} lies in [{values.min():g}, {values.max():g}], expected probabilities"
        yield Clue(what, target)
    elif axis in target.axes:
        totals = values.sum(axis=target.axes.index(axis))
        wrong = np.flatnonzero(np.abs(totals.ravel() - 1) > ROUNDED)
        if len(wrong):
            first = totals.ravel()[wrong[0]]
            what = f"{len(wrong):,} of {totals.size:,} rows of {target.name} do not sum to 1"
            yield Clue(f"{what} over {axis} (the first to {first:g})", target)


def _outside(s: Subject, prediction: Expr, target: Expr, low: float, high: float) -> Iterator[Clue]:
    least, most = s.ranges[prediction]
    if low < least - SLACK or high > most + SLACK:
        ends = ["−∞" if math.isinf(least) else f"{least:.3g}"]
        ends.append("∞" if math.isinf(most) else f"{most:.3g}")
        what = f"{target.name} lies in [{low:g}, {high:g}], {s.shown(prediction)}"
        what += f" in [{', '.join(ends)}]".replace("-", "−")
        yield Clue(what, target, "End the network in its plain sums, or scale the targets")


@rule(
    code="scaling",
    level="warning",
    title="features that are not scaled",
    looks_for="features that enter a layer as they are, with deviations a thousand times apart or "
    "means ten deviations away from 0",
    why="One learning rate cannot suit both: the steps that the large feature allows are too small "
    "for the small one, and a large mean makes all gradients of a unit point the same way.",
    do='Standardise: (X − mean) / std of the training rows, or preprocess="standard".',
    source="LeCun, Bottou, Orr & Müller 1998, section 4.3",
)
def _scaling(s: Subject) -> Iterator[Clue]:
    for name, columns in _features(s):
        std = columns.std(axis=0)
        varied = np.flatnonzero(std > 0)
        if not len(varied):
            continue
        small, large = varied[std[varied].argmin()], varied[std[varied].argmax()]
        if std[large] >= FAR * std[small]:
            what = f"{_column(s, name, large)} has deviation {std[large]:.3g}"
            yield Clue(f"{what}, {_column(s, name, small)} {std[small]:.3g}", name)
        off = np.abs(columns.mean(axis=0)[varied]) / std[varied]
        worst = varied[off.argmax()]
        if off.max() >= OFF_CENTRE:
            mean = columns[:, worst].mean()
            what = f"{_column(s, name, worst)} has mean {mean:.3g} and deviation {std[worst]:.3g}"
            yield Clue(what, name)


@rule(
    code="constant-feature",
    level="hint",
    title="features that never change",
    looks_for="columns of the features that hold one value other than 0 in all examples",
    why="Nothing can be learned from it: its weight does what the bias does.",
    do="Leave the column out.",
    source="a constant times a weight is an offset",
)
def _constant_feature(s: Subject) -> Iterator[Clue]:
    for name, columns in _features(s):
        still = np.flatnonzero((columns == columns[0]).all(axis=0) & (columns[0] != 0))
        if len(still) and len(columns) > 1:
            listed = ", ".join(_column(s, name, i) for i in still[:LISTED])
            more = ", …" if len(still) > LISTED else ""
            yield Clue(f"{listed}{more} of {name} never change{'s' * (len(still) == 1)}", name)


def _features(s: Subject) -> Iterator[tuple[str, Array]]:
    """Inputs that are multiplied by a parameter as they are, as (examples, features)."""
    weights = {s.inputs[p] for p in s.params}
    for name in s.data:
        x, array = s.inputs[name], _fitting(s, name)
        if array is None or x.kind != "float" or not s.examples or s.examples not in x.axes:
            continue
        moved = [x, *(u for u in s.users.get(x, ()) if u.op == "transpose")]
        users = [u for v in moved for u in s.users.get(v, ()) if u.op in ("contract", "mul")]
        finite = np.isfinite(array).all()
        if finite and any({base(part) for part in u.inputs} & weights for u in users):
            yield name, by_unit(s, x.axes, array)


def _column(s: Subject, name: str, i: int) -> str:
    if len(s.features) > i and len(data_axes(s, s.inputs[name])) == 1:
        return repr(s.features[i])
    return name if not data_axes(s, s.inputs[name]) else f"feature {i} of {name}"


@rule(
    code="dead-units",
    level="warning",
    title="units that are off for every example",
    looks_for="units of a relu layer whose input is at most 0 in all examples given, at the "
    "parameters given; at initial ones, layers all of whose units are",
    why="The slope of relu is 0 there: such a unit passes no gradient on, and its own weights "
    "never "
    "change again.",
    do="Lower the learning rate, start with other weights, centre the features, or use leaky_relu.",
    source="Maas, Hannun & Ng 2013, section 2",
)
def _dead_units(s: Subject) -> Iterator[Clue]:
    for node, z in _inside(s, "relu"):
        dead = (z <= 0).all(axis=0)
        if dead.all() or (dead.any() and _all_given(s)):
            which = "all" if dead.all() else f"{int(dead.sum()):,} of {dead.size:,}"
            what = f"{which} units of {s.shown(node)} are 0 for all {len(z):,} examples"
            yield Clue(what + _at(s), node)


@rule(
    code="saturated",
    level="warning",
    title="units that are saturated",
    looks_for="hidden sigmoid or tanh layers with 90 % of their values where the slope is below "
    "3 % "
    "of its largest, in the examples given",
    why="Hardly any gradient passes: everything below learns slowly or not at all.",
    do="Standardise the features and start with smaller weights.",
    source="σ′(5) = 0.0066, tanh′(2.5) = 0.027; Glorot & Bengio 2010, section 3",
)
def _saturated(s: Subject) -> Iterator[Clue]:
    for node, z in _inside(s, *SATURATED):
        share = float((np.abs(z) > SATURATED[node.op]).mean())
        if share >= MOST and any(u.op == "contract" for u in s.users.get(node, ())):
            what = f"{share:.0%} of the values of {s.shown(node)} are where it is flat"
            yield Clue(what + _at(s), node)


def _all_given(s: Subject) -> bool:
    return all(p in s.arrays for p in s.params)


def _at(s: Subject) -> str:
    return "" if _all_given(s) else ", at initial parameters"


def _inside(s: Subject, *ops: str) -> Iterator[tuple[Expr, Array]]:
    """What goes into each of these functions, as (examples, units), where data are given."""
    nodes = [node for node in of(s, *ops) if node in s.moving and s.examples in node.axes]
    if not nodes or not s.examples or not any(name in s.arrays for name in s.data):
        return
    for node, value in zip(nodes, _values(s, [node.inputs[0] for node in nodes]), strict=False):
        yield node, by_unit(s, value.axes, value.array)


def _values(s: Subject, wanted: list[Expr]) -> list[Named]:
    """Values at the arrays given and initial parameters; none if something else is missing."""
    try:
        graph = Graph(wanted, s.inputs.values())
        below, params = set(graph.nodes), set(s.params)
        used = [x for x in s.inputs.values() if x in below]
        arrays = {x.name: a for x in used if (a := _fitting(s, x.name)) is not None}
        if any(x.name not in arrays for x in used if x.name not in params):
            return []
        sizes = draw_sizes(graph, tuple(s.inputs.values()), arrays, seed=0)
        for index, x in enumerate(used):
            if x.name not in arrays:
                arrays[x.name] = initial_value(s, x, sizes, index)
        named = {n: Named(np.asarray(a), s.inputs[n].axes) for n, a in arrays.items()}
        return graph(named, Run(sizes))
    except UNFIT:  # `array-axes` says so
        return []
