"""Both passes of one network, simplified and named: equations, code and checks read this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chainrule.differentiate import Gradients, alongside, depends_on, keep, reverse, rewrite_below
from chainrule.errors import GraphError, ParameterError, did_you_mean
from chainrule.expr import EXAMPLES, Definition, Expr, postorder
from chainrule.ops import OPS, expand, sum_, transpose
from chainrule.plan.program import Program, program
from chainrule.plan.simplify import simplify


@dataclass(frozen=True)
class Derived:
    """A definition with its derivatives.

    Attributes:
        definition: the network.
        value: its loss, simplified.
        grads: for each name in question, the derivative of the loss with respect to it; axes as
            the input has them.
        names: the names of forward values (simplified).
        cotangents: for each forward value that has a name, the derivative of the loss with respect
            to it.
        gradients: the derivation before simplification, with the reason for every expression.
    """

    definition: Definition
    value: Expr
    grads: Mapping[str, Expr]
    names: Mapping[Expr, str]
    cotangents: Mapping[str, Expr]
    gradients: Gradients

    @property
    def program(self) -> Program:
        """The function (inputs) → loss, gradients."""
        names = dict(self.names)
        for name, expr in self.cotangents.items():
            if name not in self.grads:
                names.setdefault(expr, f"d{name}")
        for name, expr in self.grads.items():
            names.setdefault(expr, f"d{name}")
        outputs = {"": self.value, **self.grads}
        return program(self.definition.name, self.definition.inputs, outputs, names)


def derived(definition: Definition, wrt: Iterable[str] | None = None) -> Derived:
    """Derive the loss of `definition` with respect to the inputs called `wrt`.

    Args:
        wrt: names of inputs; None for the parameters, or for every real input if none is marked as
            a parameter.

    Raises:
        ParameterError: a name is not an input, or is one that holds whole numbers.
        GraphError: the result has axes, or an input in question cannot influence it.
    """
    names = _wanted(definition, wrt)
    root = definition.root
    _refuse_axes(definition)
    inputs = [definition.input[name] for name in names]
    gradients = reverse(root, inputs)
    _refuse_still(definition, inputs, gradients)
    values = {name: expr for name, expr in definition.values if expr in gradients.cotangents}
    cotangents = {
        name: gradients.cotangents[expr] for name, expr in values.items() if expr is not root
    }
    roots = [
        root,
        *(e for _, e in definition.values),
        *gradients.wrt.values(),
        *cotangents.values(),
    ]
    simple = simplify(roots)
    known = reversed(definition.names().items())  # an input that nothing reads is not among them
    forward = {simple[expr]: name for expr, name in known if expr in simple}
    return Derived(
        definition,
        simple[root],
        {name: simple[gradients.wrt[x]] for name, x in zip(names, inputs, strict=True)},
        {expr: name for expr, name in forward.items() if expr.op != "const"},
        {name: simple[expr] for name, expr in cotangents.items()},
        gradients,
    )


def per_example(
    definition: Definition, wrt: Iterable[str] | None = None, examples: str = EXAMPLES
) -> Derived:
    """Derive the loss of each example by itself: every parameter gets one copy for each example.

    The result has `examples` as its first axis everywhere; with a mean the gradients average to
    the gradient of the whole, with a sum they add up to it.

    Raises:
        GraphError: nothing in the network has the axis, or an operation mixes examples.
    """
    inputs = wanted_inputs(definition, wrt)
    kept = keep(definition.root, examples)
    if examples not in kept[definition.root].axes:
        raise GraphError(f"the loss does not depend on axis {examples!r}", where=definition.name)
    copies = {x: expand(x, (examples, *x.axes)) for x in inputs if examples not in x.axes}
    separate = rewrite_below(
        [kept[definition.root]], copies, lambda node, xs: alongside(node, xs, examples)
    )
    root = separate[kept[definition.root]]
    received = reverse(sum_(root), [copies.get(x, x) for x in inputs])
    grads = {x: received.wrt[copies.get(x, x)] for x in inputs}
    first = {x: (examples, *(a for a in x.axes if a != examples)) for x in inputs}
    ordered = {x.name: transpose(grad, first[x]) for x, grad in grads.items()}
    simple = simplify([root, *ordered.values()])
    forward = {name: separate.get(kept.get(expr, expr), expr) for name, expr in definition.values}
    return Derived(
        definition,
        simple[root],
        {name: simple[grad] for name, grad in ordered.items()},
        {simple[e]: name for name, e in forward.items() if e in simple and e is not root},
        {},
        received,
    )


def wanted_inputs(definition: Definition, wrt: Iterable[str] | None) -> list[Expr]:
    """The inputs called `wrt`, or those that are derived if nothing else is said.

    Raises:
        ParameterError: a name is not an input, or is one that holds whole numbers.
        GraphError: the loss has axes, or cannot move with one of them.
    """
    inputs = [definition.input[name] for name in _wanted(definition, wrt)]
    _refuse_axes(definition)
    _refuse_still(definition, inputs, reverse(definition.root, inputs))
    return inputs


def _refuse_axes(definition: Definition) -> None:
    """Raise a GraphError unless the result is a single number."""
    root = definition.root
    if root.axes:
        shown = ", ".join(f"{a}={root.sizes[a]}" if a in root.sizes else a for a in root.axes)
        hint = "Reduce it with mean(…) or sum(…), or give a loss"
        raise GraphError(f"loss has shape ({shown})", where=definition.name, hint=hint)


def _wanted(definition: Definition, wrt: Iterable[str] | None) -> list[str]:
    inputs = definition.input
    if wrt is None:
        return list(definition.params) or [n for n, x in inputs.items() if x.kind == "float"]
    names = [wrt] if isinstance(wrt, str) else list(wrt)
    for name in names:
        if name not in inputs and name in dict(definition.values):
            what = f"{name!r} is a value of the forward pass, not an input"
            hint = "Its derivative is a line of the steps: d.steps(), `chainrule derive --steps`"
            raise ParameterError(what, where=definition.name, hint=hint)
        if name not in inputs:
            hint = did_you_mean(name, inputs) or f"It has: {', '.join(inputs)}"
            raise ParameterError(f"no input is called {name!r}", where=definition.name, hint=hint)
        if inputs[name].kind != "float":
            what = f"{name!r} holds {inputs[name].kind} values: they have no derivative"
            raise ParameterError(what, where=definition.name)
    if not names:
        raise ParameterError("wrt names no input", where=definition.name)
    return list(dict.fromkeys(names))


def _refuse_still(definition: Definition, inputs: list[Expr], gradients: Gradients) -> None:
    """Raise a GraphError if the loss cannot move with one of `inputs`."""
    reachable = set(postorder(definition.root))
    for x in inputs:
        if x not in reachable:
            hint = "Remove it or mark it frozen"
            what = f"parameter {x.name!r} does not influence the loss (gradient would be 0)"
            raise GraphError(what, hint=hint)
    stuck = [x for x in inputs if x not in gradients.cotangents]
    if stuck:
        names = ", ".join(x.name for x in stuck)
        node = _obstacle(definition, stuck[0])
        label = definition.names().get(node, "")
        where = f" in {label!r}" if label else ""
        reason = OPS[node.op].no_gradient
        what = (
            f"{node.op}{where} has zero gradient almost everywhere: {names} cannot learn through it"
        )
        raise GraphError(what, hint=f"The reason: {reason}")


def _obstacle(definition: Definition, x: Expr) -> Expr:
    """The operation without a gradient that stands between `x` and the loss."""
    moving = depends_on(definition.root, [x])
    return next(
        n
        for n in postorder(definition.root)
        if n in moving and n.op in OPS and OPS[n.op].no_gradient
    )
