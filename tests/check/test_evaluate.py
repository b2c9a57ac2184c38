"""The second way to work out a network, and the derivatives that come from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from chainrule.check.draw import draw
from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.check.oracle import Oracle, extrapolated
from chainrule.check.primitives import PRIMITIVES
from chainrule.errors import GraphError
from chainrule.expr import Expr, input_
from chainrule.ops import OPS, matmul, sum_
from chainrule.plan.program import program
from chainrule.run.reference import Reference
from tests.check import nets

x = input_("x", "m")


def value(root: Expr, inputs: tuple[Expr, ...], **arrays: Array) -> Array:
    graph = Graph([root], inputs)
    named = {i.name: Named(arrays[i.name], i.axes) for i in inputs}
    return graph(named, Run(graph.sizes(arrays)))[0].at(root.axes)


def slope(root: Expr, at: float) -> float:
    """The derivative of a function of one number, as the oracle sees it."""
    u = input_("u", "")
    oracle = Oracle(Graph([root], [u]), [u], {"u": np.float64(at)}, [u], "float64")
    return float(oracle.slopes({"u": np.ones(1)}, np.ones(1)).value[0])


u = input_("u", "")
EXACT: dict[str, tuple[Expr, float, float]] = {
    "exp": (OPS["exp"](u), 0.7, math.exp(0.7)),
    "log": (OPS["log"](u), 0.3, 1 / 0.3),
    "log1p of a tiny number": (OPS["log"](OPS["log1p"](u)), 1e-9, 1e9 - 0.5),
    "expm1 of a tiny number": (OPS["log"](OPS["expm1"](u)), 1e-9, 1e9 + 0.5),
    "negative base": (u**3, -1.5, 6.75),
    "power of zero": (u**2, 0.0, 0.0),
    "exponent": (2**u, 3.0, 8 * math.log(2)),
    "tanh far out": (OPS["tanh"](u), 30.0, 4 * math.exp(-60)),
    "sigmoid far out": (OPS["sigmoid"](u), -40.0, math.exp(-40)),
    "quotient": (1 / u, -4.0, -1 / 16),
    "abs": (OPS["abs"](u), -2.0, -1.0),
    "sqrt": (OPS["sqrt"](u), 1e-4, 50.0),
    "erf": (OPS["erf"](u), 0.5, 2 / math.sqrt(math.pi) * math.exp(-0.25)),
}


@pytest.mark.parametrize("name", EXACT)
def test_slopes_are_those_of_analysis(name: str) -> None:
    root, at, expected = EXACT[name]
    assert slope(root, at) == pytest.approx(expected, rel=1e-9 if "erf" in name else 2e-15)


def test_every_operation_without_a_body_has_a_primitive() -> None:
    assert [n for n, op in OPS.items() if op.body is None and n not in PRIMITIVES] == []


def test_no_derivative_rule_is_read() -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a derivative rule was read")

    originals = dict(OPS)
    definition = nets.rows("gelu_tanh", label_smoothing=0.1)
    try:
        for name, op in originals.items():
            if op.vjp:
                OPS[name] = dataclasses.replace(op, vjp=forbidden)
        arrays = {
            "W_1": np.full((2, 3), 0.1), "b_1": np.zeros(3), "W_2": np.full((3, 2), 0.4),
            "b_2": np.array([0.1, -0.2]), "X": np.ones((4, 2)), "y": np.array([0, 1, 1, 0]),
        }  # fmt: skip
        wrt = [definition.input["W_1"]]
        oracle = Oracle(
            Graph([definition.root], definition.inputs), definition.inputs, arrays, wrt, "float64"
        )
        found = oracle.slopes({"W_1": np.ones((1, 2, 3))}, np.ones(1))
    finally:
        OPS.update(originals)
    assert np.isfinite(found.value).all()


def test_the_order_of_axes_plays_no_part() -> None:
    a, b = input_("a", "m k n"), input_("b", "n m")
    A, B = (
        np.random.default_rng(0).normal(size=(2, 3, 4)),
        np.random.default_rng(1).normal(size=(4, 2)),
    )
    found = value(OPS["contract"](a, b, "n") * OPS["max"](b, "n"), (a, b), a=A, b=B)
    np.testing.assert_allclose(found, np.einsum("mkn,nm->mk", A, B) * B.max(0)[:, None], rtol=1e-14)


@pytest.mark.parametrize(
    "definition", [nets.embedding(), nets.heads(), nets.rows("relu")], ids=lambda d: d.name
)
def test_many_points_at_once_are_as_one_after_the_other(definition: object) -> None:
    graph = Graph([definition.root], definition.inputs)
    arrays = draw(graph, definition.inputs, {}, 0)
    moving = definition.params[0]
    points = np.stack([arrays[moving] * f for f in (0.5, 1.0, 2.0)])
    axes = definition.input[moving].axes
    named = {x.name: Named(arrays[x.name], x.axes) for x in definition.inputs}
    sizes = graph.sizes(arrays)
    together = graph(named | {moving: Named(points, (POINTS, *axes))}, Run(sizes))[0].array
    singly = [graph(named | {moving: Named(p, axes)}, Run(sizes))[0].array for p in points]
    np.testing.assert_allclose(together, np.array(singly), rtol=1e-14)


def test_values_agree_with_the_reference_executor_on_odd_layouts() -> None:
    a, b = input_("a", "k n m"), input_("b", "n")
    root = OPS["transpose"](OPS["logsumexp"](a * b, "n"), "m k")
    arrays = {"a": np.random.default_rng(2).normal(size=(3, 4, 2)), "b": np.arange(4.0)}
    expected, _ = Reference(program("f", (a, b), {"": root}, {}))(**arrays)
    np.testing.assert_allclose(value(root, (a, b), **arrays), expected, rtol=1e-14)


def test_products_keep_what_is_tiny() -> None:
    """The imaginary parts stand 30 orders below the real ones."""
    W, X = input_("W", "k n"), input_("X", "n m")
    rng = np.random.default_rng(5)
    arrays = {"W": rng.normal(size=(3, 50)), "X": rng.normal(size=(50, 4))}
    root = sum_(OPS["square"](matmul(W, X)))
    oracle = Oracle(Graph([root], [W, X]), [W, X], arrays, [W, X], "float64")
    moves = {"W": rng.normal(size=(1, 3, 50)), "X": rng.normal(size=(1, 50, 4))}
    found = oracle.slopes(moves, np.ones(1)).value[0]
    moved = moves["W"][0] @ arrays["X"] + arrays["W"] @ moves["X"][0]
    assert found == pytest.approx(2 * np.sum(arrays["W"] @ arrays["X"] * moved), rel=1e-13)


def test_ten_thousand_nodes_are_walked_without_recursion() -> None:
    node = u
    for _ in range(10_000):
        node = OPS["tanh"](node) + 0.1
    assert np.isfinite(value(node, (u,), u=np.float64(0.3)))


def test_an_axis_whose_size_is_nowhere_is_named() -> None:
    labels = input_("labels", "m int")
    with pytest.raises(GraphError, match="size of axis 'c' is not known"):
        Graph([OPS["one_hot"](labels, "c")], [labels])


FUNCTIONS: dict[str, tuple[Callable[[float], float], float, float]] = {
    "sin": (math.sin, 0.4, math.cos(0.4)),
    "exp of a square": (lambda t: math.exp(t * t), 1.5, 3 * math.exp(2.25)),
    "steep": (lambda t: math.tanh(40 * t), 0.01, 40 / math.cosh(0.4) ** 2),
    "line": (lambda t: 3 * t, 0.2, 3.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("sides", [1, 2])
def test_the_estimated_error_of_differences_is_not_too_small(name: str, sides: int) -> None:
    f, t, expected = FUNCTIONS[name]
    steps = [0.06 / 2**i for i in range(10)]
    if sides == 2:
        rows = [(f(t + h) - f(t - h)) / (2 * h) for h in steps]
    else:
        rows = [(f(t + h) - f(t)) / h for h in steps]
    noise = [np.array([1e-16 * abs(f(t)) / h]) for h in steps]
    best, error = extrapolated([np.array([r]) for r in rows], noise, float(2**sides))
    assert abs(best[0] - expected) <= 10 * error[0]
    assert error[0] < 1e-5 * abs(expected)
