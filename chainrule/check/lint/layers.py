"""Rules about layers: how they follow each other, how they start, what the loss adds for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from chainrule.check.lint.record import Clue, rule
from chainrule.check.lint.still import stuck_at_start
from chainrule.check.lint.subject import Subject, base, of
from chainrule.expr import Expr

ALIKE = ("zeros", "ones", "constant")
"""Initialisers that give every entry the same value."""
KEEPS_UNITS = (
    "add", "sub", "mul", "div", "neg", "pow", "exp", "log", "log1p", "expm1", "sqrt", "square",
    "tanh", "erf", "sign", "abs", "maximum", "minimum", "clip", "where", "sigmoid", "relu",
    "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus", "log_sigmoid",
    "contract", "sum", "mean", "transpose", "expand", "stop_gradient", "softmax", "log_softmax",
    "logsumexp",
)  # fmt: skip
"""Operations that treat all positions along an axis alike: units that are equal stay equal."""
OFFSETS = ("add", "sub", "expand", "transpose", "rename")
PENALTIES = ("square", "abs")


@rule(
    code="symmetric-init",
    level="error",
    title="hidden units that start equal",
    looks_for="a hidden axis along which every parameter starts with one and the same value "
    "(zeros, a constant, or equal rows of the values given)",
    why="Units that compute the same receive the same gradient, so they stay equal for ever: the "
    "layer has as much room as a single unit.",
    do="Draw the weights at random (he_normal, glorot_uniform); biases may start at 0.",
    source="Goodfellow, Bengio & Courville 2016, section 8.4: initial parameters must break "
    "symmetry",
)
def _symmetric_init(s: Subject) -> Iterator[Clue]:
    starts = {name: how for name, how, *_ in s.survey.init}
    for axis in _hidden_axes(s):
        owners = [s.inputs[p] for p in s.params if axis in s.inputs[p].axes]
        owners = [x for x in owners if x in s.below]
        weights = [x for x in owners if _is_contracted(s, x)]
        if len(weights) < 2 or any(x.sizes.get(axis) == 1 for x in owners):
            continue
        if all(_alike(s, x, axis, starts) for x in owners):
            listed = ", ".join(x.name for x in owners)
            what = f"the units along {axis} are all equal: {listed} differ nowhere along it"
            yield Clue(what, weights[0].name)


@rule(
    code="stuck-at-start",
    level="error",
    title="weights that start at 0 and stay there",
    looks_for="weights that start at 0 where their gradient is 0 as well, and remains so however "
    "the parameters that do move are changed",
    why="They never change: relu(0) has slope 0, and two layers of zeros pass nothing to each "
    "other.",
    do="Draw the weights at random; only a last layer may start at 0.",
    source="gradients at 0: dW_2 = G A⊺ with A = 0, dA = W_2⊺ G with W_2 = 0",
)
def _stuck_at_start(s: Subject) -> Iterator[Clue]:
    starts = {name: how for name, how, *_ in s.survey.init}
    zero = [p for p in s.params if _is_contracted(s, s.inputs[p]) and _starts_at_0(s, p, starts)]
    found = stuck_at_start(s) if zero else []
    stuck = [p for p in found if p in zero]
    if stuck:
        others = ", ".join(p for p in found if p not in stuck)
        more = f"; neither do {others}" if others else ""
        yield Clue(f"{', '.join(stuck)}: all entries start at 0 and never change{more}", stuck[0])


def _starts_at_0(s: Subject, name: str, starts: Mapping[str, str]) -> bool:
    if name in s.arrays:
        return not s.arrays[name].any()
    return starts.get(name) == "zeros"


def _hidden_axes(s: Subject) -> list[str]:
    """Axes that only parameters bring in, and along which nothing tells positions apart."""
    brought = {a for n in (*s.data, *s.targets) for a in s.inputs[n].axes}
    axes = dict.fromkeys(a for p in s.params for a in s.inputs[p].axes)
    apart = {a for root in s.roots for a in root.axes}
    for node in s.nodes:
        if node.op not in (*KEEPS_UNITS, "input", "const", "size"):
            apart |= {a for x in (node, *node.inputs) for a in x.axes}
    return [a for a in axes if a not in brought | apart and a != "1"]


def _is_contracted(s: Subject, x: Expr) -> bool:
    return any(u.op == "contract" for u in _uses(s, x))


def _uses(s: Subject, x: Expr) -> list[Expr]:
    """The operations that take `x`, or `x` moved to other axes."""
    found = []
    for u in s.users.get(x, ()):
        found += _uses_of_moved(s, u)
    return found


def _uses_of_moved(s: Subject, node: Expr) -> list[Expr]:
    todo, found = [node], []
    while todo:
        u = todo.pop()
        if u.op in ("transpose", "expand"):
            todo += s.users.get(u, ())
        else:
            found.append(u)
    return found


def _alike(s: Subject, x: Expr, axis: str, starts: Mapping[str, str]) -> bool:
    if x.name in s.arrays:
        along = np.ptp(s.arrays[x.name], axis=x.axes.index(axis))
        return not along.any()
    return starts.get(x.name, "").partition(":")[0] in ALIKE


@rule(
    code="linear-stack",
    level="hint",
    title="two matrices in a row",
    looks_for="a layer whose input is a layer without an activation",
    why="W_2 (W_1 X + b_1) + b_2 is one affine function of X: the second layer adds parameters, "
    "but "
    "nothing that one layer could not compute (a narrow layer between them limits the rank).",
    do="Put an activation between them, unless this is meant (CS230's two-layer linear network "
    "is).",
    source="(W_2 W_1) X + (W_2 b_1 + b_2)",
)
def _linear_stack(s: Subject) -> Iterator[Clue]:
    weights = {s.inputs[p] for p in s.params}
    for node in of(s, "contract"):
        x = next((b for a, b in _factors(node) if base(a) in weights), None)
        if x is None or base(x) in weights:
            continue
        before = _linear_below(x, weights)
        if before is not None:
            inner = s.say(before)
            yield Clue(f"{s.say(node)} multiplies {inner}, and no activation is between", node)


def _factors(node: Expr) -> tuple[tuple[Expr, Expr], tuple[Expr, Expr]]:
    a, b = node.inputs
    return (a, b), (b, a)


def _linear_below(x: Expr, weights: set[Expr]) -> Expr | None:
    """The product with a weight that `x` is, but for offsets; None if there is more to it."""
    todo, product = [x], None
    while todo:
        node = todo.pop()
        if node.op in OFFSETS:
            todo += node.inputs
        elif node.op == "contract" and any(base(part) in weights for part in node.inputs):
            product = node
        elif node not in weights:
            return None
    return product


@rule(
    code="same-value-twice",
    level="hint",
    title="two names for one value",
    looks_for="two named values with the same formula",
    why="They are always equal: perhaps one of them was meant to use other parameters.",
    do="Use one of them, or give the second parameters of its own.",
    source="equal expressions are one object",
)
def _same_value_twice(s: Subject) -> Iterator[Clue]:
    first: dict[Expr, str] = {}
    for name, value in s.survey.values.items():
        if value in first and value in s.moving and value.op != "input":
            yield Clue(f"{name} is the same as {first[value]} = {s.formula(value)}", name)
        first.setdefault(value, name)


@rule(
    code="sum-loss",
    level="hint",
    title="a loss summed over the examples",
    looks_for='a loss with reduction="sum", or sum_squares, over the axis of the examples',
    why="Its gradient grows with the number of examples: a learning rate that suits a mean over m "
    "examples is m times too large, and another batch size needs another one.",
    do='Use reduction="mean" (mse for sum_squares), or divide the learning rate by m.',
    source="∇ Σ_i c_i = m · ∇ (1/m) Σ_i c_i",
)
def _sum_loss(s: Subject) -> Iterator[Clue]:
    for loss in s.losses:
        options = dict(loss.attrs)
        summed = options.get("reduction") == "sum" or loss.op == "sum_squares"
        if summed and s.examples in loss.inputs[0].axes and not _divided(s, loss):
            yield Clue(f"{s.say(loss)} is a sum over {s.examples}", loss)


def _divided(s: Subject, loss: Expr) -> bool:
    return any(u.op == "div" and u.inputs[0] is loss for u in s.users.get(loss, ()))


@rule(
    code="penalised-bias",
    level="hint",
    title="a bias in the penalty",
    looks_for="the sum of squares or absolute values of a parameter that is only ever added",
    why="A penalty keeps a function from being steep; a bias does not make it steep, and keeping "
    "it near 0 moves the whole prediction away from the mean of the targets.",
    do="Leave biases out of the penalty.",
    source="Goodfellow, Bengio & Courville 2016, section 7.1; Hastie et al. 2009, section 3.4.1",
)
def _penalised_bias(s: Subject) -> Iterator[Clue]:
    for p in s.params:
        x = s.inputs[p]
        uses = _uses(s, x)
        penalties = [u for u in uses if u.op in PENALTIES]
        penalties += [u for u in uses if u.op == "mul" and set(u.inputs) == {x}]
        others = [u for u in uses if u not in penalties]
        if penalties and others and all(u.op in ("add", "sub") for u in others):
            yield Clue(f"{s.say(penalties[0])} penalises {p}, which is only added", p)


@rule(
    code="squashed-twice",
    level="warning",
    title="an activation of an activation",
    looks_for="sigmoid or tanh of a sigmoid, a tanh, a relu or a softmax; relu of a sigmoid, a "
    "softmax or a relu",
    why="Nothing is between them that could be learned: the second one only narrows the range "
    "(σ(σ(z)) lies in (0.5, 0.73)), or does nothing at all (relu of what is positive).",
    do="Leave one of them out.",
    source="σ((0, 1)) = (0.5, 0.73)",
)
def _squashed_twice(s: Subject) -> Iterator[Clue]:
    inner = ("sigmoid", "tanh", "relu", "softmax")
    for node in of(s, "sigmoid", "tanh", "relu"):
        x = base(node.inputs[0])
        smooth_relu = node.op == "relu" and x.op == "tanh"  # keeps the positive half: meant
        if x.op in inner and x in s.moving and not smooth_relu:
            yield Clue(f"{s.say(node)} is {node.op} of {s.shown(x)}", node)
