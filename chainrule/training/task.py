"""What is learned: which inputs are data, what is predicted, and how targets are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from chainrule.definition import LOSSES, with_loss
from chainrule.differentiate import substitute
from chainrule.errors import GraphError, ParameterError
from chainrule.expr import EXAMPLES, Definition, Expr, input_, postorder
from chainrule.netfile import Definable, define
from chainrule.nn import KEY, revised, without_dropout
from chainrule.ops import OPS, transpose

Kind = Literal["classes", "binary", "numbers"]
"""classes: the largest of several outputs names the class; binary: one output says yes or no."""

WEIGHTS = "sample_weight"
PROBABILITY_LOSSES = ("cross_entropy", "bce", "bce_logits")


@dataclass(frozen=True)
class Task:
    """A network that ends in a loss, and the parts that training treats differently.

    Attributes:
        definition: with its parameters marked.
        X, y: the inputs that hold the examples and the targets.
        examples: the axis that counts examples.
        loss: the operation that compares prediction and target; None if the definition ends in
            something else.
        kind: what the prediction means.
    """

    definition: Definition
    X: Expr
    y: Expr
    examples: str
    loss: Expr | None
    kind: Kind = "numbers"

    @property
    def prediction(self) -> Expr | None:
        """What the loss compares with the target, examples first; None where that is not known."""
        if self.loss is None or self.examples not in self.loss.inputs[0].axes:
            return None
        value = self.loss.inputs[0]
        return transpose(value, (self.examples, *(a for a in value.axes if a != self.examples)))

    @property
    def classes_axis(self) -> str:
        """The one axis of the prediction beside the examples, "" if there is none or several."""
        axes = self.prediction.axes[1:] if self.prediction is not None else ()
        return axes[0] if len(axes) == 1 else ""

    @property
    def loss_name(self) -> str:
        """The loss by name, "" if the definition ends in something else."""
        return self.loss.op if self.loss is not None else ""

    @property
    def reduction(self) -> str:
        """Whether the losses of batches are averaged or added up to give that of all rows."""
        if self.loss_name == "sum_squares":
            return "sum"
        return str(self.loss["reduction"]) if self.loss is not None else "mean"

    @property
    def held(self) -> tuple[Expr, ...]:
        """Inputs that are neither data nor trained: constants that the caller supplies."""
        own = {self.X, self.y, self.weights}
        trained = (*self.definition.params, KEY)
        inputs = self.definition.inputs
        return tuple(x for x in inputs if x not in own and x.name not in trained)

    @property
    def weights(self) -> Expr | None:
        """The input that weighs examples in the loss, None if they all count the same."""
        given = self.loss.inputs[2:] if self.loss is not None else ()
        return next((x for x in given if x.op == "input"), None)

    @property
    def uses_key(self) -> bool:
        """Whether the network draws random numbers, as dropout does."""
        return KEY in self.definition.input

    def at_rest(self) -> Task:
        """The task as it is outside of training: without dropout."""
        still = without_dropout(self.definition)
        return replace(self, definition=still, loss=_loss_node(still))


def task_of(net: Definable, loss: str | None) -> Task:
    """The task that a network states, followed by `loss` if it does not end in one.

    Inputs that are not marked as parameters and have the axis of the examples are data: the one
    that the loss compares is y, the other X. Where nothing is marked, inputs without that axis are
    the parameters.

    Raises:
        ParameterError: no loss, a loss on top of a loss, or not exactly two inputs of data.
    """
    definition = define(net)
    if definition.root.axes:
        if loss is None:
            hint = "Give loss='cross_entropy' for labels, loss='mse' for numbers, …"
            raise ParameterError("the network ends in a prediction", where="loss", hint=hint)
        definition = with_loss(definition, loss)
    elif loss is not None and definition.root.op != loss:
        what = f"{definition.name} ends in {definition.root.op} already"
        raise ParameterError(what, where="loss", hint="Leave loss out")
    node = _loss_node(definition)
    examples = _examples_axis(definition, node)
    weights = node.inputs[2:] if node is not None else ()
    candidates = (x for x in definition.inputs if x.name not in definition.params)
    data = [x for x in candidates if examples in x.axes and x not in weights]
    if len(data) != 2:
        found = ", ".join(x.name for x in data) or "none"
        hint = f"Data are the inputs with axis {examples!r} that are no parameters"
        what = f"a network to train needs two inputs of data, X and y; found: {found}"
        raise ParameterError(what, where=definition.name, hint=hint)
    y = node.inputs[1] if node is not None and node.inputs[1] in data else data[1]
    X = next(x for x in data if x is not y)
    if not definition.params:
        fixed = {*data, *weights}
        free = [x for x in definition.inputs if x not in fixed and x.kind == "float"]
        definition = revised(definition, params=[x.name for x in free])
    if not definition.params:
        raise GraphError("there is nothing to learn: no parameter", where=definition.name)
    return Task(definition, X, y, examples, node)


def _loss_node(definition: Definition) -> Expr | None:
    """The last operation that is a loss: a penalty may have been added to it."""
    nodes = [node for node in postorder(definition.root) if node.op in LOSSES]
    return nodes[-1] if nodes else None


def _examples_axis(definition: Definition, loss: Expr | None) -> str:
    inputs = [x for x in definition.inputs if x.name not in definition.params]
    said = dict(loss.attrs).get("examples", EXAMPLES) if loss is not None else EXAMPLES
    if any(said in x.axes for x in inputs):
        return str(said)
    shared = [a for a in inputs[0].axes if all(a in x.axes for x in inputs)] if inputs else []
    if len(shared) != 1:
        hint = f"Call it {EXAMPLES!r}, or name it to the loss: examples=…"
        raise ParameterError("which axis counts examples?", where=definition.name, hint=hint)
    return shared[0]


def with_weights(task: Task) -> Task:
    """The task with a weight for each example, the new input `WEIGHTS`, multiplying its loss.

    Raises:
        ParameterError: the loss takes no weights, or has some already.
    """
    loss, definition = task.loss, task.definition
    if loss is None or "weights" not in OPS[loss.op].keywords or len(loss.inputs) > 2:
        hint = f"Losses that do: {', '.join(n for n in LOSSES if OPS[n].keywords)}"
        what = f"{task.loss_name or definition.name} takes no weights of examples"
        raise ParameterError(what, where=WEIGHTS, hint=hint)
    weights = input_(WEIGHTS, task.examples)
    weighted = OPS[loss.op](*loss.inputs, weights, **dict(loss.attrs))
    new: Mapping[Expr, Expr] = substitute([definition.root], {loss: weighted})
    inputs = (*definition.inputs, weights)
    changed = revised(definition, root=new[definition.root], inputs=inputs)
    return Task(changed, task.X, task.y, task.examples, weighted, task.kind)
