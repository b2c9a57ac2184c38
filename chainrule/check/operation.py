"""Check one operation's derivative in the layouts of its record."""

from __future__ import annotations

from chainrule.check.draw import draw
from chainrule.check.evaluate import Graph
from chainrule.check.gradient import check_gradients
from chainrule.check.named import Array
from chainrule.check.report import Report
from chainrule.expr import Definition, Spec, input_
from chainrule.ops import OPS, Op
from chainrule.ops.record import Layout
from chainrule.plan.derived import derived
from chainrule.run.keyed import uniform

UPSTREAM = "g"  # the random numbers by which the result is multiplied


def operation_net(op: Op, layout: Layout) -> Definition:
    """The smallest network around an operation: the product of its result and random numbers.

    >>> from chainrule.ops import OPS
    >>> operation_net(OPS["tanh"], Layout(("k m",))).root.op
    'contract'
    """
    inputs = tuple(input_(f"x_{i}", axes) for i, axes in enumerate(layout.inputs))
    y = op(*inputs, **layout.attrs)
    upstream = input_(UPSTREAM, Spec(y.axes, y.sizes))
    # not sum(y * upstream): a wrong sign of the sum's own derivative would cancel
    root = OPS["contract"](y, upstream, y.axes) if y.axes else y * upstream
    params = tuple(x.name for x in inputs if x.kind == "float")
    return Definition(op.name, root, (*inputs, upstream), (("y", y),), params)


def operation_point(op: Op, net: Definition, seed: int = 0) -> dict[str, Array]:
    """Random values for an `operation_net`, within the domain of the operation."""
    graph = Graph([net.root], net.inputs)
    arrays = draw(graph, net.inputs, {}, seed)
    for i, name in enumerate(net.params):
        low, high = op.domain[min(int(name.removeprefix("x_")), len(op.domain) - 1)]
        arrays[name] = low + (high - low) * uniform(seed, "check", 1, arrays[name].shape, stream=i)
    return arrays


def check_operation(op: Op, layout: Layout, *, seed: int = 0, dtype: str = "float64") -> Report:
    """Check the derivative of an operation in one of its layouts, at a random point of its domain.

    The rule that is checked is the one registered under the name of `op`.
    """
    net = operation_net(op, layout)
    point = operation_point(op, net, seed)
    return check_gradients(derived(net), seed=seed, dtype=dtype, arrays=point)
