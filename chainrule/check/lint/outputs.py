"""Rules about the last layer and the loss: whether they speak the same language."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chainrule.check.lint.record import Clue, rule
from chainrule.check.lint.subject import Subject, base, of
from chainrule.expr import Expr

TAKES_LOGITS = {"cross_entropy": "softmax", "bce_logits": "sigmoid"}
"""Losses that apply the activation of the output themselves."""
TAKES_PROBABILITIES = ("bce", "kl")
NARROW = 2.0  # logits that differ by no more give no class of two a probability above 0.88
CERTAIN = 0.9  # a probability that a classifier must be able to reach, and its complement


def _scaled(x: Expr) -> Expr:
    """`x` without what only moves values or multiplies by a number, such as a temperature."""
    while True:
        x = base(x)
        numbers = [i for i, part in enumerate(x.inputs) if base(part).op in ("const", "size")]
        if x.op not in ("mul", "div") or len(numbers) != 1 or (x.op == "div" and numbers != [1]):
            return x
        x = x.inputs[1 - numbers[0]]


@rule(
    code="double-softmax",
    level="error",
    title="softmax of a softmax",
    looks_for="a softmax, log_softmax or cross_entropy whose input is a softmax already",
    why="Probabilities lie within 1 of each other, so the second softmax makes them almost equal: "
    "with 10 classes none gets more than 0.23, and the gradient is small from the first step on.",
    do="Give the loss the values before the softmax (logits). Keep the softmax for predictions.",
    source="softmax of values in [0, 1]: the largest is e/(e + k − 1)",
)
def _double_softmax(s: Subject) -> Iterator[Clue]:
    for node in of(s, "softmax", "log_softmax", "cross_entropy"):
        inner = _scaled(node.inputs[0])
        if inner.op != "softmax" or inner not in s.moving:
            continue
        shown = s.shown(inner)
        if node.op == "cross_entropy":
            target = s.say(node.inputs[1])
            do = f"Write cross_entropy({s.say(inner.inputs[0])}, {target})"
            yield Clue(f"cross_entropy applies softmax itself, and {shown} has done so", node, do)
        else:
            yield Clue(f"{node.op} of {shown}", node, f"Write {node.op}({s.say(inner.inputs[0])})")


@rule(
    code="activation-before-logits",
    level="error",
    title="the activation of the output applied twice",
    looks_for="bce_logits of a sigmoid or a softmax, cross_entropy of a sigmoid",
    why="The loss applies the activation itself. What has been through one lies in (0, 1), so a "
    "second sigmoid gives 0.5 to 0.73 only, and no example can be fitted.",
    do="Give the loss the values before the activation (logits).",
    source="σ(0) = 0.5, σ(1) = 0.73",
)
def _activation_before_logits(s: Subject) -> Iterator[Clue]:
    for loss in of(s, *TAKES_LOGITS):
        inner = _scaled(loss.inputs[0])
        wrong = ("sigmoid", "softmax") if loss.op == "bce_logits" else ("sigmoid",)
        if inner.op in wrong and inner in s.moving:
            logits, target = s.say(inner.inputs[0]), s.say(loss.inputs[1])
            own = TAKES_LOGITS[loss.op]
            do = f"Write {loss.op}({logits}, {target})"
            if inner.op == "sigmoid" and loss.op == "cross_entropy":
                do += f" for classes that exclude each other, bce_logits({logits}, …) for others"
            yield Clue(f"{loss.op} applies {own} itself, and gets {s.shown(inner)}", loss, do)


@rule(
    code="bounded-logits",
    level="warning",
    title="logits that cannot say what is certain",
    looks_for="cross_entropy or bce_logits of values that lie within 2 of each other (such as a "
    "tanh), or, for bce_logits, on one side of 0 (such as a relu)",
    why="A logit is the logarithm of odds and needs all numbers: what is bounded keeps every "
    "probability away from 0 and 1, and what is never negative keeps it above 0.5.",
    do="Leave out the activation of the last layer.",
    source="p = σ(z): z ∈ [−1, 1] means p ∈ [0.27, 0.73], z ≥ 0 means p ≥ 0.5",
)
def _bounded_logits(s: Subject) -> Iterator[Clue]:
    for loss in of(s, *TAKES_LOGITS):
        z = base(loss.inputs[0])
        inner = _scaled(z)
        low, high = s.ranges[z]
        said_before = inner.op in ("softmax", "sigmoid")
        one_side = loss.op == "bce_logits" and (low >= 0 or high <= 0)
        if z in s.moving and not said_before and (high - low <= NARROW or one_side):
            yield Clue(f"{s.shown(z)} lies in {_interval(low, high)}", loss)


@rule(
    code="not-probabilities",
    level="error",
    title="a loss on probabilities gets something else",
    looks_for="bce or kl of a prediction that is not bound to [0, 1], such as the plain result of "
    "a layer",
    why="The loss takes the logarithm of the prediction: outside (0, 1) it is NaN or infinite.",
    do="End the network in a sigmoid (for kl in a softmax), or use a loss on logits.",
    source="Bernoulli log-likelihood: defined for 0 < p < 1",
)
def _not_probabilities(s: Subject) -> Iterator[Clue]:
    for loss in of(s, *TAKES_PROBABILITIES):
        p, target = loss.inputs[:2]
        low, high = s.ranges[p]
        if p in s.moving and (low < 0 or high > 1):
            do = f"Write bce_logits({s.say(p)}, {s.say(target)}), which applies the sigmoid itself"
            if loss.op == "kl":
                do = f"Write kl(softmax({s.say(p)}, over=…), {s.say(target)})"
            what = f"{loss.op} takes probabilities, and {s.shown(p)} lies in {_interval(low, high)}"
            yield Clue(what, loss, do if (low, high) == (-math.inf, math.inf) else "")


@rule(
    code="unreachable-probabilities",
    level="warning",
    title="probabilities that cannot come near 0 or 1",
    looks_for="bce of a prediction whose range leaves out what is below 0.1 or above 0.9, such as "
    "the sigmoid of a relu",
    why="Some examples can never be predicted well, whatever the parameters are.",
    do="Apply one activation only: sigmoid to the plain result of the last layer.",
    source="σ(relu(z)) ≥ σ(0) = 0.5",
)
def _unreachable_probabilities(s: Subject) -> Iterator[Clue]:
    for loss in of(s, "bce"):
        p = loss.inputs[0]
        low, high = s.ranges[p]
        inside = 0 <= low <= high <= 1
        if p in s.moving and inside and (low > 1 - CERTAIN or high < CERTAIN):
            yield Clue(f"{s.shown(p)} lies in {_interval(low, high)}", loss)


@rule(
    code="softmax-axis",
    level="error",
    title="softmax over the examples",
    looks_for="a softmax, log_softmax, logsumexp or cross_entropy over the axis that counts "
    "examples",
    why="The probabilities of each class then sum to 1 over the examples of a batch, and every "
    "prediction depends on the other examples.",
    do="Normalise over the axis of the classes.",
    source="Bridle 1990: the outputs for one example sum to 1",
)
def _softmax_axis(s: Subject) -> Iterator[Clue]:
    for node in of(s, "softmax", "log_softmax", "logsumexp", "cross_entropy"):
        over = node["over"]
        axes = over if isinstance(over, tuple) else (over,)
        if s.examples and s.examples in axes and node in s.moving:
            others = [a for a in node.inputs[0].axes if a != s.examples]
            do = f'Write over="{others[-1]}"' if others else ""
            what = f"{s.say(node)} normalises over {s.examples}, which counts the examples"
            yield Clue(what, node, do)


@rule(
    code="softmax-of-one",
    level="error",
    title="softmax over a single value",
    looks_for="a softmax, log_softmax or cross_entropy over an axis of size 1",
    why="The softmax of one number is 1 whatever the number is: the gradient is 0 and nothing is "
    "learned.",
    do="Use sigmoid (and bce_logits) for one output, or one output for each class.",
    source="e^z / e^z = 1",
)
def _softmax_of_one(s: Subject) -> Iterator[Clue]:
    for node in of(s, "softmax", "log_softmax", "cross_entropy"):
        over, x = node["over"], node.inputs[0]
        axes = over if isinstance(over, tuple) else (over,)
        if node in s.moving and all(x.sizes.get(axis) == 1 for axis in axes):
            what = f"{s.say(node)} normalises over {' '.join(axes)}, which has size 1"
            do = ""
            if node.op == "cross_entropy":
                do = f"Write bce_logits({s.say(x)}, …) with targets 0 and 1"
            yield Clue(what, node, do)


_STABLE = {
    "softmax": "log_softmax",
    "sigmoid": "log_sigmoid",
}


@rule(
    code="unstable-log",
    level="warning",
    title="a logarithm that overflows or meets 0",
    looks_for="log of softmax, of sigmoid, of a sum of exp, or of 1 + exp; log1p of exp",
    why="Where the inner value rounds to 0 the logarithm is −∞, where exp overflows it is ∞, and "
    "the gradient is NaN in either case: from z = −104 on in float32.",
    do="Use the operation that computes both at once.",
    source="Blanchard, Higham & Higham 2021; e^−104 is below the smallest float32",
)
def _unstable_log(s: Subject) -> Iterator[Clue]:
    for node in of(s, "log", "log1p"):
        x = base(node.inputs[0])
        instead = _instead(s, node.op, x)
        if instead and x in s.moving:
            yield Clue(f"{node.op} of {s.shown(x)}", node, f"Write {instead}")


def _instead(s: Subject, op: str, x: Expr) -> str:
    """The stable way to write `op`(x), "" if there is none."""
    if op == "log" and x.op in _STABLE:
        over = f', over="{" ".join(x["over"])}"' if x.op == "softmax" else ""
        return f"{_STABLE[x.op]}({s.say(x.inputs[0])}{over})"
    if op == "log1p":
        return f"softplus({s.say(x.inputs[0])})" if x.op == "exp" else ""
    if x.op == "sum" and x.inputs[0].op == "exp" and len(x["over"]) == 1:
        return f'logsumexp({s.say(x.inputs[0].inputs[0])}, over="{x["over"][0]}")'
    if x.op == "add" and {"const", "exp"} == {part.op for part in x.inputs}:
        one, power = sorted(x.inputs, key=lambda part: part.op)
        return f"softplus({s.say(power.inputs[0])})" if one["value"] == 1 else ""
    return ""


@rule(
    code="softmax-by-hand",
    level="warning",
    title="a softmax that overflows",
    looks_for="exp divided by its own sum, without the largest entry subtracted",
    why="exp overflows from 89 on in float32 (710 in float64), and ∞/∞ is NaN.",
    do="Use softmax, which subtracts the largest entry first.",
    source="Blanchard, Higham & Higham 2021",
)
def _softmax_by_hand(s: Subject) -> Iterator[Clue]:
    for node in of(s, "div"):
        top, bottom = base(node.inputs[0]), base(node.inputs[1])
        if bottom.op == "sum" and top.op == "exp" and base(bottom.inputs[0]) is top:
            z, over = top.inputs[0], " ".join(bottom["over"])
            if s.ranges[z][1] > 80 and node in s.moving:
                yield Clue(f"{s.say(node)} is a softmax", node, f'Write softmax(…, over="{over}")')


@rule(
    code="activation-with-its-loss",
    level="hint",
    title="activation and loss that could be one",
    looks_for="bce of a sigmoid; cross_entropy of a log_softmax",
    why="It is right but does work twice, or loses digits where the probability is near 0 or 1.",
    do="Use the loss that takes logits.",
    source="−t log σ(z) − (1 − t) log(1 − σ(z)) = softplus(z) − t z; log softmax of it is itself",
)
def _activation_with_its_loss(s: Subject) -> Iterator[Clue]:
    for loss in of(s, "bce", "cross_entropy"):
        p = base(loss.inputs[0])
        if (loss.op, p.op) in (("bce", "sigmoid"), ("cross_entropy", "log_softmax")):
            logits, target = s.say(p.inputs[0]), s.say(loss.inputs[1])
            name = "bce_logits" if loss.op == "bce" else loss.op
            yield Clue(f"{loss.op} of {s.shown(p)}", loss, f"Write {name}({logits}, {target})")


def _interval(low: float, high: float) -> str:
    left, right = ("(" if math.isinf(low) else "["), (")" if math.isinf(high) else "]")
    return f"{left}{_end(low)}, {_end(high)}{right}"


def _end(x: float) -> str:
    return f"{x:.3g}".replace("inf", "∞").replace("-", "−")
