"""One training step as one program: forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from chainrule.differentiate import keep
from chainrule.errors import ParameterError
from chainrule.expr import Definition, Expr, Spec, const, input_, postorder
from chainrule.ops import OPS, sum_
from chainrule.plan.derived import Derived, derived
from chainrule.plan.program import Program, program
from chainrule.plan.simplify import simplify
from chainrule.training.optimizers import Optimizer
from chainrule.training.task import Task

PREDICTION, PROBABILITIES = "prediction", "probabilities"


@dataclass(frozen=True)
class Limits:
    """What is added to a rule: penalties on weights, decay of weights, limits on gradients.

    Attributes:
        l1, l2: λ₁ Σ|w| + λ₂/2 Σw² is added to the loss.
        weight_decay: w ← … − ηλw, outside of the gradient (Loshchilov & Hutter 2019).
        clip_value: every entry of a gradient is limited to [−c, c].
        clip_norm: all gradients together are scaled down to this norm (Pascanu, Mikolov & Bengio
            2013, algorithm 1); after clip_value if both are given.
    """

    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None


@dataclass(frozen=True)
class Step:
    """The program of one step, and what its inputs are.

    The first output is the loss of the batch; the others are new values under the names of the
    inputs that they replace, and what the next attributes name.

    Attributes:
        prediction, penalty: outputs, "" where there is none.
        state: for each input that holds state, the parameter whose shape it has.
        t, eta: inputs for the number of the step, from 1, and the learning rate. They are numbers
            in double precision whatever the arrays are: 1 − βᵗ cancels in float32.
        gradients: of the parameters, by name, within their limits: what the rule is given.
    """

    program: Program
    prediction: str
    penalty: str
    state: Mapping[str, str]
    t: str
    eta: str
    gradients: Mapping[str, Expr]


def training_step(task: Task, optimizer: Optimizer, limits: Limits) -> Step:
    """The step that trains the parameters of a task.

    The gradients are those of the derivation, of the loss and the penalties.

    Raises:
        GraphError: a parameter cannot influence the loss.
    """
    definition = task.definition
    penalty = penalty_of(definition, limits)
    objective = definition.root if penalty is None else definition.root + penalty
    found = derived(replace(definition, root=objective), definition.params)
    names = {line.value: line.name for line in found.program.lines}
    taken = {*definition.input, *names.values()}
    t, eta = (input_(unused(name, taken), "") for name in ("t", "eta"))
    gradients = _limited(found, limits, names, taken)
    shown = {"": definition.root}
    labels = ["", ""]
    for i, (label, value) in enumerate((("prediction", task.prediction), ("penalty", penalty))):
        if value is not None:
            labels[i] = unused(label, taken)
            shown[labels[i]] = value
    outputs = simplified(shown)
    state: dict[str, Expr] = {}
    owners: dict[str, str] = {}
    rule_state = optimizer.state
    for name in definition.params:
        w = definition.input[name]
        slots = {slot: unused(f"{slot}_{name}", taken) for slot in rule_state}
        kept = {slot: input_(label, Spec(w.axes, w.sizes)) for slot, label in slots.items()}
        lines = optimizer.step(w, gradients[name], kept, t, eta)
        if limits.weight_decay:
            lines["w"] = lines["w"] - eta * limits.weight_decay * w
        keys = {"w": name, **slots}
        moved = made_of(lines.values(), {w, gradients[name], *kept.values()})
        for symbol, value in lines.items():
            label = f"{keys[symbol]}_new" if symbol in keys else f"{symbol}_{name}"
            names.setdefault(value, unused(label if value in moved else symbol, taken))
        outputs |= {key: lines[symbol] for symbol, key in keys.items()}
        state |= {label: kept[slot] for slot, label in slots.items()}
        owners |= dict.fromkeys(slots.values(), name)
    inputs = (*_params_first(definition), *state.values(), t, eta)
    whole = program(f"{definition.name}_step", inputs, outputs, names)
    return Step(whole, labels[0], labels[1], owners, t.name, eta.name, gradients)


def unused(name: str, taken: set[str]) -> str:
    """`name`, or the next like it that is not taken; it is taken then."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def made_of(roots: Iterable[Expr], of: Set[Expr]) -> set[Expr]:
    """The expressions below `roots` that contain one of `of`, and are not contained in one."""
    moving = set(of)
    todo, seen = list(roots), set[Expr]()
    while todo:
        node = todo[-1]
        unseen = [] if node in of else [x for x in node.inputs if x not in seen]
        if unseen:
            todo.extend(unseen)
            continue
        seen.add(todo.pop())
        if any(x in moving for x in node.inputs):
            moving.add(node)
    return moving


def _params_first(definition: Definition) -> tuple[Expr, ...]:
    """All inputs, an array of the float type of the training first."""
    params = tuple(x for x in definition.inputs if x.name in definition.params)
    return (*params, *(x for x in definition.inputs if x not in params))


def simplified(outputs: Mapping[str, Expr]) -> dict[str, Expr]:
    """The outputs as the derivation simplifies them, so that what they share stays shared."""
    simple = simplify(outputs.values())
    return {key: simple[root] for key, root in outputs.items()}


def _limited(
    found: Derived, limits: Limits, names: dict[Expr, str], taken: set[str]
) -> dict[str, Expr]:
    """The gradients within the limits."""
    gradients = dict(found.grads)
    if limits.clip_value is not None:
        bound = limits.clip_value
        gradients = {name: OPS["clip"](g, -bound, bound) for name, g in gradients.items()}
    if limits.clip_norm is None:
        return _named(gradients, found, names, taken)
    norm = OPS["sqrt"](squares(gradients.values()))
    names.setdefault(norm, unused("gradient_norm", taken))
    scale = limits.clip_norm / OPS["maximum"](norm, limits.clip_norm)  # exactly 1 within the limit
    names.setdefault(scale, unused("gradient_scale", taken))
    scaled = {name: g * scale for name, g in gradients.items()}
    return _named(scaled, found, names, taken)


def _named(
    gradients: dict[str, Expr], found: Derived, names: dict[Expr, str], taken: set[str]
) -> dict[str, Expr]:
    """The gradients, those that were changed under a name of their own."""
    for name, g in gradients.items():
        if g is not found.grads[name]:
            names.setdefault(g, unused(f"d{name}_clipped", taken))
    return gradients


def squares(values: Iterable[Expr]) -> Expr:
    """The sum of the squares of all entries."""
    total: Expr | None = None
    for value in values:
        part = OPS["square"](value)
        part = sum_(part) if part.axes else part
        total = part if total is None else total + part
    return const(0) if total is None else total


def penalty_of(definition: Definition, limits: Limits) -> Expr | None:
    """λ₂/2 Σw² + λ₁ Σ|w| over the weights, None if both are 0."""
    total: Expr | None = None
    weights = [definition.input[name] for name in weights_of(definition)]
    if limits.l2 and weights:
        total = limits.l2 / 2 * squares(weights)
    if limits.l1:
        for w in weights:
            size = OPS["abs"](w)
            part = limits.l1 * (sum_(size) if size.axes else size)
            total = part if total is None else total + part
    return total


def weights_of(definition: Definition) -> tuple[str, ...]:
    """The parameters that are not biases: a bias is only ever added.

    >>> from chainrule.nn import mlp
    >>> weights_of(mlp([4, 3, 2]))
    ('W_1', 'W_2')
    """
    multiplied: set[Expr] = set()
    passed = ("add", "sub", "neg", "transpose", "expand", "rename")
    carried: dict[Expr, Expr] = {
        definition.input[name]: definition.input[name] for name in definition.params
    }
    for node in postorder(definition.root):
        for x in node.inputs:
            if x in carried and node.op not in passed:
                multiplied.add(carried[x])
            elif x in carried and node.op in ("transpose", "expand", "rename", "neg"):
                carried[node] = carried[x]
    return tuple(name for name in definition.params if definition.input[name] in multiplied)


def evaluation_program(task: Task) -> Program:
    """(inputs) → loss and, where it is known, `PREDICTION`, without dropout."""
    rest = task.at_rest()
    outputs = {"": rest.definition.root}
    if rest.prediction is not None:
        outputs[PREDICTION] = rest.prediction
    return _plain_program(rest, "loss", outputs)


def row_losses_program(task: Task) -> Program:
    """(inputs) → the loss of each row by itself, and `PREDICTION`, without dropout.

    The mean of these losses, or their sum, is the loss of the rows.

    Raises:
        GraphError: the loss mixes rows otherwise than by adding up.
    """
    rest = task.at_rest()
    root = rest.definition.root
    outputs = {"": keep(root, task.examples)[root]}
    if rest.prediction is not None:
        outputs[PREDICTION] = rest.prediction
    return _plain_program(rest, "losses", outputs)


def prediction_program(task: Task) -> Program:
    """(parameters, X) → prediction and, where the loss says what they are, `PROBABILITIES`.

    Raises:
        ParameterError: the definition does not say what it predicts.
    """
    rest = task.at_rest()
    scores = rest.prediction
    if scores is None:
        hint = "End it in a loss: cr.mse(prediction, y)"
        raise ParameterError("there is no prediction", where=rest.definition.name, hint=hint)
    outputs = {"": scores}
    if rest.loss_name == "cross_entropy" and rest.loss is not None:
        outputs[PROBABILITIES] = OPS["softmax"](scores, rest.loss["over"])
    elif rest.loss_name == "bce_logits":
        outputs[PROBABILITIES] = OPS["sigmoid"](scores)
    elif rest.loss_name == "bce":
        outputs[PROBABILITIES] = scores
    return _plain_program(rest, "predict", outputs)


def _plain_program(task: Task, suffix: str, outputs: Mapping[str, Expr]) -> Program:
    simple = simplified(outputs)
    below = set(postorder(*simple.values()))
    inputs = [x for x in _params_first(task.definition) if x in below]
    named = {"": task.definition.root, **dict(task.definition.values)}
    values = simplified(named)
    names = {values[name]: name for name in reversed(values) if values[name].op != "const"}
    names.pop(values[""], None)
    return program(f"{task.definition.name}_{suffix}", inputs, simple, names)
