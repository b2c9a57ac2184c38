r"""The gradient in parts: one for each example and each output.

A cost that is a mean over examples, and for each example a sum over outputs, splits into costs
c_kj of example k in output j, and by linearity its gradient does. Softmax with cross-entropy is
such a sum too, but all of its terms except the one of the right class are 0; there the gradient is
split by what the logits receive, ∂c_k/∂z_kj · ∇z_kj, so that every class is seen to pull.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from chainrule.differentiate import (
    Step,
    alongside,
    depends_on,
    keep,
    reverse,
    rewrite_below,
)
from chainrule.errors import GraphError, ParameterError, did_you_mean
from chainrule.expr import EXAMPLES, Definition, Expr, Spec, describe_axes, input_, postorder
from chainrule.ops import OPS, body_of, contraction, expand, sum_, transpose
from chainrule.plan.derived import Derived, wanted_inputs
from chainrule.plan.layers import examples_axis
from chainrule.plan.simplify import simplify

COSTS, LOGITS = "costs", "logits"
SOFTMAX = ("softmax", "log_softmax")
PLAIN_SUMS = ("sum", "mean", "neg")
LINEAR = ("sum", "div", "mul", "neg", "transpose", "expand")
POSITIONS = "output_positions"
"""The input that counts the outputs: 0, 1, 2, …"""


@dataclass(frozen=True)
class Split:
    """How the cost of one example is divided among outputs.

    Attributes:
        by: "costs": the cost is a sum over outputs of one term each; "logits": the gradient is
            divided by what each logit receives.
        examples: the axis that counts the examples.
        outputs: the axis that counts the outputs; "" if the network has one output without an axis.
        value: the outputs whose entries are told apart: activations, or logits.
        kept: the cost of each example, with the axis of the examples.
        terms: its term for each output, with both axes; None if there is one output.
        mean: whether the cost is the mean, not the sum, of the costs of the examples.
    """

    by: str
    examples: str
    outputs: str
    value: Expr
    kept: Mapping[Expr, Expr]
    cost: Expr
    terms: Expr
    mean: bool


def split(
    definition: Definition,
    wrt: Iterable[str] | None = None,
    examples: str = EXAMPLES,
    outputs: str | None = None,
) -> Split:
    """Find the outputs, and how the cost divides among them.

    Raises:
        GraphError: the cost is not a sum over examples and outputs: an operation mixes them, or a
            part of it, such as a penalty on weights, belongs to none.
        ParameterError: `outputs` is no axis of what the cost compares.
    """
    inputs = wanted_inputs(definition, wrt)
    root = definition.root
    if root.axes:
        raise GraphError(f"loss has axes ({', '.join(root.axes)})", where=definition.name)
    gates = _gates(root, inputs)
    axis = _outputs_axis(definition, gates, examples, outputs)
    by, value = _value(definition, gates, examples, axis)
    _terms(root, examples, definition)
    kept = keep(root, examples)
    cost = kept[root]
    if examples not in cost.axes:
        raise GraphError(f"the loss does not depend on axis {examples!r}", where=definition.name)
    terms = _terms(cost, axis, definition) if axis else cost
    return Split(by, examples, axis, value, kept, cost, terms, _is_mean(root, examples))


def has_outputs(definition: Definition, wrt: Iterable[str]) -> bool:
    """Whether there is an axis of outputs to split by."""
    names = list(wrt)
    return split(definition, names, examples_axis(definition)).outputs != ""


def _is_mean(root: Expr, examples: str) -> bool:
    """Whether the number of examples divides the loss."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if node in seen or (node.op == "size" and node["axis"] != examples):
            continue
        seen.add(node)
        if node.op == "size":
            return True
        body = body_of(node) if node.op in OPS and not node.axes else None
        todo.extend([body] if body is not None else node.inputs if not node.axes else ())
    return False


def _gates(root: Expr, inputs: list[Expr]) -> list[Expr]:
    """Values through which everything passes that `inputs` do to the root, from the root down."""
    moving = depends_on(root, inputs)
    open_, gates = {root}, []
    for node in reversed(tuple(postorder(root))):
        if node not in open_ or node.op == "input":
            continue
        if len(open_) == 1:
            gates.append(node)
        open_.remove(node)
        open_.update(x for x in node.inputs if x in moving)
    return gates


def _outputs_axis(
    definition: Definition, gates: list[Expr], examples: str, outputs: str | None
) -> str:
    """The axis of the outputs: the one beside that of the examples in what the loss compares."""
    wide = _compared(gates, examples)
    if wide is None:
        what = "the cost is not a sum over examples of what one output value does"
        hint = "Derive it without the penalty, or name the axis of the examples"
        if all(examples not in x.axes for x in definition.inputs):
            what = f"no input has axis {examples!r}: there are no examples to split the cost by"
            hint = "Name the axis that counts the examples"
        raise GraphError(what, where=definition.name, hint=hint)
    others = [axis for axis in wide.axes if axis != examples]
    if outputs is not None:
        if outputs not in others:
            hint = did_you_mean(outputs, others) or f"It has: {', '.join(others) or 'none'}"
            what = f"{describe_axes(wide)} has no axis {outputs!r} of outputs"
            raise ParameterError(what, where=definition.name, hint=hint)
        return outputs
    if len(others) > 1:
        what = f"{describe_axes(wide)} has {len(others)} axes beside the examples"
        hint = f"Name the axis of the outputs: outputs={others[-1]!r}"
        raise ParameterError(what, where=definition.name, hint=hint)
    return others[0] if others else ""


def _compared(gates: list[Expr], examples: str) -> Expr | None:
    """The highest gate with the examples; below a cost that is a plain sum, what it adds up."""
    first = next((x for x in gates if examples in x.axes), None)
    for gate in gates:
        if examples in gate.axes and len(gate.axes) > 1:
            return gate
        if gate.op not in PLAIN_SUMS:
            break
    return first


def _value(definition: Definition, gates: list[Expr], examples: str, axis: str) -> tuple[str, Expr]:
    """Activations, if the cost is a sum of terms in them; logits below a softmax that feeds a log.

    Between the loss and them no operation mixes outputs, so any gate there gives the same parts.
    """
    wanted = {examples, axis} - {""}
    names = definition.names()
    found: list[Expr] = []
    root = definition.root
    if root.op == "cross_entropy":
        return LOGITS, root.inputs[0]
    for gate in gates:
        if not wanted <= set(gate.axes):
            continue
        if gate.op in SOFTMAX and axis in gate["over"] and _is_logarithmic(root, gates, gate):
            return LOGITS, gate.inputs[0]
        found.append(gate)
        mixes = axis in gate.axes and axis in summed(gate)
        if gate in names or gate.op in SOFTMAX or mixes:
            break
    if not found:
        what = f"no value with axes ({', '.join(sorted(wanted))}) carries all of the gradient"
        raise GraphError(what, where=definition.name)
    return COSTS, found[-1]


def summed(node: Expr) -> tuple[str, ...]:
    """The axes that an operation runs over."""
    return tuple(dict(node.attrs).get("over") or ())


def _is_logarithmic(root: Expr, gates: list[Expr], gate: Expr) -> bool:
    """Whether the cost takes the logarithm of these probabilities."""
    above = gates[: gates.index(gate)]
    return gate.op == "log_softmax" or root.op == "kl" or any(x.op == "log" for x in above)


def _terms(cost: Expr, axis: str, definition: Definition) -> Expr:
    """The cost with the sum over `axis` left out: one term for each entry.

    Raises:
        GraphError: what is done with the sum is not linear, so its terms do not add up to the cost.
    """
    node, spine = cost, []
    while axis not in node.axes:
        inner = _summand(node, axis)
        if inner is None and node.op in OPS:
            inner = body_of(node)
        if inner is None:
            carrying = [x for x in node.inputs if _has_below(x, axis)]
            _refuse_nonlinear(node, carrying, axis, definition)
            inner = carrying[0]
            spine.append((node, inner))
        node = inner
    for above, below in reversed(spine):
        node = alongside(above, tuple(node if x is below else x for x in above.inputs), axis)
    return node


def _refuse_nonlinear(node: Expr, carrying: list[Expr], axis: str, definition: Definition) -> None:
    """Raise a GraphError unless `node` is linear in the one input that carries the axis."""
    divides = node.op == "div" and carrying == [node.inputs[1]]
    if node.op not in LINEAR or len(carrying) != 1 or divides:
        what = f"the cost is not a sum over axis {axis!r}: {node.op} mixes its terms"
        hint = "cr.per_example gives the gradient of each example"
        raise GraphError(what, where=definition.name, hint=hint)


def _has_below(x: Expr, axis: str) -> bool:
    return any(axis in node.axes for node in postorder(x))


def _summand(node: Expr, axis: str) -> Expr | None:
    """What a sum adds up along `axis`, other axes summed as before."""
    if node.op == "sum" and axis in node["over"]:
        rest = tuple(a for a in node["over"] if a != axis)
        return sum_(node.inputs[0], rest) if rest else node.inputs[0]
    if node.op == "contract" and axis in node["over"]:
        a, b = node.inputs
        return contraction(a, b, (axis, *node.axes))
    return None


def per_output(
    definition: Definition,
    wrt: Iterable[str] | None = None,
    examples: str = EXAMPLES,
    outputs: str | None = None,
) -> tuple[Derived, Split]:
    """Derive the part of each example and each output by itself.

    Args:
        definition: a network with its loss.
        wrt: names of inputs, or of values of the forward pass: prior activations.
        examples: the axis that counts the examples.
        outputs: the axis that counts the outputs; None to find it.

    Returns:
        A derivation whose loss has axes (examples, outputs) and whose gradients have these first;
        it has one input more, the positions of the outputs, `POSITIONS`. And how it was split.

    Raises:
        GraphError, ParameterError: as `split`, and for names that the cost does not depend on.
    """
    names = None if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    values = dict(definition.values)
    prior = [n for n in names or () if n in values and n not in definition.input]
    given = None if names is None else [n for n in names if n not in prior]
    inputs = wanted_inputs(definition, given) if given or names is None else []
    below = inputs or wanted_inputs(definition, None)
    how = split(definition, [x.name for x in below], examples, outputs)
    if not how.outputs:
        what = "the network has one output, which has no axis of its own"
        raise GraphError(what, where=definition.name, hint="Use cr.per_example: it says all")
    _refuse_above(definition, how, prior)
    part = _fresh(f"{how.outputs}_part", definition)
    value = how.kept[how.value]
    separate = _copied([value, how.cost], below, (examples,))
    received = reverse(sum_(separate[how.cost]), [separate[value]]).wrt[separate[value]]
    positions = input_(POSITIONS, Spec((part,), {}, "int"))
    chosen = OPS["one_hot"](positions, how.outputs, value.sizes.get(how.outputs))
    seed = OPS["contract"](chosen, received, ())
    moving = [x for x in definition.inputs if x.kind == "float"] if prior else below
    parted = _copied([value], moving, (part, examples))
    targets = {x.name: parted[x] for x in inputs} | {n: parted[how.kept[values[n]]] for n in prior}
    gradients = reverse(sum_(seed * parted[value]), targets.values())
    ordered = {n: _ordered(gradients.wrt[x], examples, part) for n, x in targets.items()}
    terms = _term_values(how)
    simple = simplify([terms, *ordered.values()])
    extended = replace(definition, inputs=(*definition.inputs, positions))
    grads = {n: simple[ordered[n]] for n in names or targets}
    found = Derived(extended, simple[terms], grads, {}, {}, gradients)
    return found, how


def _refuse_above(definition: Definition, how: Split, prior: list[str]) -> None:
    """Raise a GraphError unless the values called `prior` lie below the outputs."""
    below = set(postorder(how.value))
    values = dict(definition.values)
    for name in prior:
        if values[name] not in below or how.examples not in values[name].axes:
            what = f"{name!r} is no activation of an example below the outputs"
            raise GraphError(what, where=definition.name)


def _fresh(name: str, definition: Definition) -> str:
    used = {axis for node in postorder(definition.root) for axis in node.axes}
    while name in used:
        name += "_"
    return name


def _copied(roots: list[Expr], inputs: list[Expr], axes: tuple[str, ...]) -> dict[Expr, Expr]:
    """What is below `roots` with a copy of each of `inputs` for every entry along `axes`."""
    every = {x: x for x in postorder(*roots)}
    for axis in reversed(axes):
        now = {every[x] for x in inputs if x in every}
        copies = {x: expand(x, (axis, *x.axes)) for x in now if axis not in x.axes}
        done = rewrite_below(every.values(), copies, _along(axis))
        every = {x: done[node] for x, node in every.items()}
    return every


def _along(axis: str) -> Step:
    return lambda node, inputs: alongside(node, inputs, axis)


def _ordered(x: Expr, examples: str, other: str) -> Expr:
    """`x` with these two axes first, repeated along them if need be."""
    wanted = (examples, other, *(a for a in x.axes if a not in (examples, other)))
    return transpose(expand(x, wanted), wanted)


def _term_values(how: Split) -> Expr:
    """The terms of the cost of each example, (examples, outputs)."""
    rest = tuple(a for a in how.terms.axes if a not in (how.examples, how.outputs))
    return _ordered(sum_(how.terms, rest) if rest else how.terms, how.examples, how.outputs)
