"""What must hold for every operation record. The mutation test calls the same functions.

Tolerances. A sum of terms t computed with n roundings of relative size ε is off by at most about
n ε Σ|t| (Higham 2002, section 3.1). What entry i of a derivative adds up are the terms
u_j ∂y_j/∂x_i, so Σ_j |u_j ∂y_j/∂x_i| is the scale; because records write rules with subtractions of
the size of the largest entry, y (1 − y) or y (g − Σ g y), the largest over all entries is taken.
ROUNDINGS bounds n: at most about 20 in a record and 10 in the affine maps before it, each amplified
less than tenfold in the domains that the records give.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.differentiate import reverse
from chainrule.expr import Spec, const, input_, rewrite
from chainrule.ops import OPS, body_of, onto, sum_
from chainrule.ops.record import UNARY
from tests.ops.cases import case, oracle_first, oracle_second, run
from tests.ops.kinks import KINKS, assert_kink
from tests.oracles import derivatives

ROUNDINGS = 300
DIFFERENCES = 1e-7  # truncation and cancellation of the fourth-order central difference, with room


def assert_close(actual, wanted, scale, *, eps, what):
    """Fail unless shapes agree and |actual − wanted| ≤ ROUNDINGS · eps · (scale + max|wanted|)."""
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert actual.shape == wanted.shape, f"{what}: shape {actual.shape}, expected {wanted.shape}"
    if not actual.size:
        return
    off = np.abs(actual.astype(float) - wanted)
    limit = ROUNDINGS * eps * (scale + np.abs(wanted).max())
    assert np.all(off <= limit), (
        f"{what}: got {actual}, expected {wanted}, off by {off.max():.3g} > {limit:.3g}"
    )


def cotangent_of(c):
    """An input expression for the cotangent, with its array."""
    u = input_("u", Spec(c.node.axes, c.node.sizes))
    return u, {**c.given, u: c.cotangent}


def assert_value(op, index, sizes=(), dtype=np.float64):
    """The emitted code gives what the textbook says, with the axes of the shape rule."""
    c = case(op, index, sizes)
    wanted, _, _ = oracle_first(op, index, sizes)
    (actual,) = run([c.node], c.given, dtype)
    assert actual.ndim == len(c.node.axes)
    known = [c.node.sizes.get(axis, n) for axis, n in zip(c.node.axes, actual.shape, strict=True)]
    assert list(actual.shape) == known, f"{op}: the sizes rule says {known}, got {actual.shape}"
    if c.node.kind == "float":
        assert actual.dtype == dtype, f"{op}: {actual.dtype} from {np.dtype(dtype)}"
    assert_close(actual, wanted, 1.0, eps=np.finfo(dtype).eps, what=f"value of {op}")


def first_order(c):
    """The expressions of the gradient of Σ u ⊙ node, and the arrays to run them with."""
    u, given = cotangent_of(c)
    received = reverse(c.node, c.real, seed=u).wrt
    for x in c.real:
        assert received[x].axes == x.axes, (
            f"{c.op}: {x.name} {x.axes} receives axes {received[x].axes}"
        )
    return [received[x] for x in c.real], given


def assert_first_order(op, index, sizes=(), dtype=np.float64):
    """The vjp agrees with dual numbers, for a random cotangent and random affine inputs."""
    c = case(op, index, sizes)
    if not c.real:
        return
    _, wanted, size = oracle_first(op, index, sizes)
    expressions, given = first_order(c)
    for x, actual in zip(c.real, run(expressions, given, dtype), strict=True):
        scale = size[x].max(initial=0.0)
        assert_close(
            actual, wanted[x], scale, eps=np.finfo(dtype).eps, what=f"{op}: derivative by {x.name}"
        )


def assert_first_order_by_steps(op, index):
    """The vjp agrees with the complex step and with central differences."""
    c = case(op, index)
    if not c.real:
        return
    expressions, given = first_order(c)
    for x, actual in zip(c.real, run(expressions, given), strict=True):
        exact = derivatives.by_complex_step(c.node, c.given, c.cotangent, x)
        assert_close(
            actual, exact, np.abs(exact).max(), eps=1e-14, what=f"{op}: complex step by {x.name}"
        )
        near = derivatives.by_differences(c.node, c.given, c.cotangent, x)
        np.testing.assert_allclose(
            actual, near, rtol=DIFFERENCES, atol=DIFFERENCES * (1 + np.abs(near).max())
        )


def second_order(c):
    """The expressions of the gradient of Σ (∂/∂x Σ u ⊙ node) ⊙ direction, and arrays."""
    u, given = cotangent_of(c)
    first = reverse(c.node, c.real, seed=u).wrt
    along = const(0)
    for x in c.real:
        r = input_(f"r_{x.name}", Spec(x.axes, x.sizes))
        given[r] = c.directions[x]
        along = along + sum_(onto(first[x], x.axes) * r, x.axes)
    found = reverse(along, [*c.real, u]).wrt
    return [found[x] for x in (*c.real, u)], given


def assert_second_order(op, index, sizes=(), dtype=np.float64):
    """Reverse over reverse agrees with duals of duals; by the cotangent it gives forward mode."""
    c = case(op, index, sizes)
    if not c.real:
        return
    wanted = oracle_second(op, index, sizes)
    _, slopes, magnitudes = oracle_first(op, index, sizes)
    expressions, given = second_order(c)
    *actual, by_cotangent = run(expressions, given, dtype)
    eps = np.finfo(dtype).eps
    scale = max((m.max(initial=0.0) for m in magnitudes.values()), default=0.0) * 10
    for x, got in zip(c.real, actual, strict=True):
        assert_close(got, wanted[x], scale, eps=eps, what=f"{op}: second derivative by {x.name}")
    along = sum(np.sum(slopes[x] * c.directions[x]) for x in c.real)
    got = np.sum(by_cotangent.astype(float) * c.cotangent)
    assert_close(got, along, scale * 10, eps=eps, what=f"{op}: forward mode")


def assert_second_order_by_steps(op, index):
    """Reverse over reverse agrees with central differences of complex steps."""
    c = case(op, index)
    if not c.real:
        return
    expressions, given = second_order(c)
    *actual, _ = run(expressions, given)
    for x, got in zip(c.real, actual, strict=True):
        near = derivatives.second_by_complex_step(c.node, c.given, c.cotangent, c.directions, x)
        np.testing.assert_allclose(
            got, near, rtol=DIFFERENCES, atol=DIFFERENCES * (1 + np.abs(near).max())
        )


def in_primitives(root):
    """`root` with every operation that has a body replaced by it, again and again."""

    def step(node, inputs):
        if node.op not in OPS:
            return node
        rebuilt = OPS[node.op](*inputs, **dict(node.attrs))
        body = body_of(rebuilt)
        return in_primitives(body) if body is not None else rebuilt

    return rewrite([root], step)[root]


def assert_body_judges_vjp(op, index):
    """Deriving the definition in primitives gives what the short vjp gives."""
    c = case(op, index)
    if OPS[op].body is None or not c.real:
        return
    u, given = cotangent_of(c)
    short = reverse(c.node, c.real, seed=u).wrt
    long = reverse(in_primitives(c.node), c.real, seed=u).wrt
    results = run([*(short[x] for x in c.real), *(long[x] for x in c.real)], given)
    _, _, size = oracle_first(op, index)
    for x, a, b in zip(c.real, results, results[len(c.real) :], strict=False):
        assert_close(
            a,
            b,
            size[x].max(initial=0.0),
            eps=np.finfo(float).eps,
            what=f"{op}: vjp against body, {x.name}",
        )


def value_and_slope(op, x, dtype=np.float64, attrs=None):
    """Value and slope of a function of one number, by the engine."""
    at = input_("x0", "")
    node = OPS[op](at, **(attrs or {}))
    expressions = [node, reverse(node, [at]).wrt[at]]
    return tuple(float(v) for v in run(expressions, {at: np.asarray(x)}, dtype))


def assert_edges(op):
    """At the points that the record states, value and slope are exactly what it states."""
    record = OPS[op]
    attrs = record.layouts[0].attrs
    for edge in record.edges:
        for dtype in (np.float64, np.float32):
            if edge.x != 0 and float(dtype(edge.x)) == 0:
                continue  # the point does not exist in this precision
            value, slope = value_and_slope(op, edge.x, dtype, attrs)
            assert same_number(value, edge.value, dtype), (
                f"{op}({edge.x}) = {value}, stated {edge.value}"
            )
            assert same_number(slope, edge.slope, dtype), (
                f"{op}′({edge.x}) = {slope}, stated {edge.slope}"
            )


def same_number(actual, stated, dtype):
    """Equal, or one rounding apart where the stated number is not of this precision."""
    if math.isinf(stated) or stated == float(dtype(stated)):
        return actual == stated
    return abs(actual - stated) <= 2 * np.spacing(dtype(abs(stated)))


FAR = (1e4, -1e4)  # beyond the range of exp, where a branch that is not taken may overflow


def is_function_of_one_number(op):
    """Whether the record has the layouts of an elementwise function."""
    calls = [layout.inputs for layout in OPS[op].layouts]
    return all(layout.inputs in calls for layout in UNARY) and OPS[op].arity == (1, 1)


def assert_second_derivative_far_out(op):
    """Where a slope is finite far out, the second derivative there is a number too."""
    if not is_function_of_one_number(op) or OPS[op].vjp is None:
        return
    at = input_("x0", "")
    first = reverse(OPS[op](at, **OPS[op].layouts[0].attrs), [at]).wrt[at]
    for x in FAR:
        slope, second = run([first, reverse(first, [at]).wrt[at]], {at: np.asarray(x)})
        if np.isfinite(slope):
            assert not np.isnan(second), f"second derivative of {op} at {x} is not a number"


def assert_record(op):
    """All of it: what the mutation test runs. Stops at the first assertion that fails."""
    layouts = range(len(OPS[op].layouts))
    for index in layouts:
        assert_first_order(op, index)
    assert_edges(op)
    assert_second_derivative_far_out(op)
    for kink in KINKS:
        if kink.op == op:
            assert_kink(kink)
    for index in layouts:
        assert_second_order(op, index)
        assert_body_judges_vjp(op, index)
