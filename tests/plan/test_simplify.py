"""Simplification: every rule does what it says, none changes a value, and it always ends."""

import numpy as np
import pytest

from chainrule.differentiate import reverse
from chainrule.expr import const, input_, postorder
from chainrule.ops import OPS, contraction, expand, sum_, transpose
from chainrule.ops.arithmetic import exp
from chainrule.ops.indexing import rename
from chainrule.plan.simplify import RULES, simplify
from tests import randomgraphs
from tests.ops.cases import run

X, Y, A, B, S = (
    input_("X", "k m"),
    input_("Y", "k m"),
    input_("A", "k n"),
    input_("B", "n m"),
    input_("s", "k"),
)
SIZES = {"k": 2, "m": 3, "n": 4}
EPS = np.finfo(float).eps
RANDOM = 300  # graphs
CHAINS, LENGTH = 200, 60


def raw(op, *inputs, **attrs):
    """A node as a vjp may leave it, without the shortcuts of functions that build such nodes."""
    return OPS[op](*inputs, **attrs)


C = input_("c", "n")
N = input_("N", "")
ONE, ZERO = expand(const(1), ("k", "m")), expand(const(0), ("k", "m"))
# what each rule says → what it is applied to, and what it makes of it
EXAMPLES = {
    "1 · x = x · 1 = x": [(1 * X, X), (X * 1, X), (ONE * X, X)],
    "−1 · x = −x": [(const(-1) * X, -X), (X * -1, -X)],
    "a number times what is repeated is repeated": [
        (expand(N, ("k", "m")) * 2, expand(N * 2, ("k", "m"))),
    ],
    "x / 1 = x^1 = x": [(X / 1, X), (X**1, X)],
    "x + 0 = 0 + x = x": [(X + 0, X), (0 + X, X), (ZERO + X, X)],
    "x − 0 = x": [(X - 0, X)],
    "0 − x = −x": [(0 - X, -X)],
    "−(−x) = x": [(raw("neg", -X), X)],
    "the negative of a number is a number": [(-const(2), const(-2))],
    "arithmetic of numbers is a number": [
        (const(2) + 3, const(5)),
        (const(2) - 3, const(-1)),
        (const(2) * 3, const(6)),
        (const(3) / 2, const(1.5)),
        (const(2) ** 3, const(8)),
    ],
    "what broadcasting repeats need not be repeated first": [
        (X * expand(S, ("k", "m")), X * S),
        (raw("where", X > 0, X, expand(S, ("k", "m"))), raw("where", X > 0, X, S)),
        (
            raw("contract", expand(C, ("m", "n")), input_("D", "m n k"), over=("n",)),
            contraction(C, input_("D", "m n k"), ("m", "k")),
        ),
    ],
    "a sum over nothing is its term": [(sum_(X, ()), X)],
    "Σ a_i b_i is a product of matrices": [
        (sum_(S * input_("t", "k")), S @ input_("t", "k")),
        (sum_(A * input_("t", "n"), "n"), A @ input_("t", "n")),
    ],
    "a sum of m equal terms is m times one": [
        (sum_(raw("expand", S, axes=("k", "m")), "m"), S * raw("sum", ONE, over="k m").inputs[0]),
    ],
    "a sum of sums is one sum": [(sum_(sum_(X, "m"), "k"), sum_(X, "k m"))],
    "a sum does not see the order of axes": [(sum_(X.T, "m"), sum_(X, "m"))],
    "(xᵀ)ᵀ = x": [(X.T.T, X)],
    "(AB)ᵀ = BᵀAᵀ": [((A @ B).T, raw("contract", B, A, over=("n",)))],
    "repeating along no new axis is nothing": [(raw("expand", X, axes=("m", "k")), X.T)],
    "repeating twice is repeating once": [
        (expand(expand(S, ("k", "m")), ("m", "k", "n")), expand(S, ("m", "k", "n"))),
    ],
    "renaming there and back is nothing": [(rename(rename(X, m="p"), p="m"), X)],
}
# ends in a product with the number of entries, which has no short spelling
VALUE_ONLY = ("a sum of m equal terms is m times one", "Σ a_i b_i is a product of matrices")
CALLS = [(says, i) for says, calls in EXAMPLES.items() for i in range(len(calls))]


def arrays(*roots):
    rng = np.random.default_rng(3)
    inputs = {x for x in postorder(*roots) if x.op == "input"} | {X, B}
    return {
        x: rng.uniform(0.5, 2, [SIZES[a] for a in x.axes])
        for x in sorted(inputs, key=lambda x: x.name)
    }


def test_every_rule_has_an_example():
    calls = [(says, before) for says, pairs in EXAMPLES.items() for before, _ in pairs]
    shown = {rule for says, before in calls for rule in of(says, before)}
    assert shown == set(RULES)


def of(says, node):
    """The rules of this text that look at this kind of node."""
    return [rule for rule in RULES if rule.says == says and node.op in rule.ops]


@pytest.mark.parametrize(("says", "index"), CALLS)
def test_rule_fires_and_keeps_the_value(says, index):
    before, expected = EXAMPLES[says][index]
    (rule,) = of(says, before)
    after = rule.apply(before)
    assert after is not None
    assert after.axes == before.axes
    old, new = run([before, after], arrays(before, after))
    np.testing.assert_allclose(new, old, rtol=8 * EPS)
    if says not in VALUE_ONLY:
        assert after is expected
        assert simplify([before])[before] is simplify([expected])[expected]


@pytest.mark.parametrize(
    "root",
    [
        const(0) * X,  # 0 · ∞ is no 0
        X - X,  # ∞ − ∞ neither
        X / X,
        S + expand(const(0), ("k",)) * X,  # axes differ
        const(0) ** const(-1),
        const(-8) ** const(1 / 3),
        (X > 0) * 1,  # a truth value stays one only by itself
    ],
    ids=str,
)
def test_what_is_not_equal_stays(root):
    simple = simplify([root])[root]
    assert simple.op == root.op
    assert simple.axes == root.axes
    assert simple.kind == root.kind


def test_nodes_below_are_simplified_too():
    assert simplify([exp(1 * (X + 0))])[exp(1 * (X + 0))] is exp(X)


def test_what_is_simple_stays_itself():
    root = exp(A @ B + S)
    assert simplify([root])[root] is root
    once = simplify([reverse(sum_(root), [A]).wrt[A]])
    for simple in once.values():
        assert simplify([simple])[simple] is simple


def test_simplification_keeps_the_values_of_random_networks():
    for seed in range(RANDOM):
        g = randomgraphs.graph(seed)
        received = reverse(g.root, g.real).wrt
        roots = [g.root, *(received[x] for x in g.real)]
        simple = simplify(roots)
        before, after = run(roots, g.given), run([simple[r] for r in roots], g.given)
        for old, new in zip(before, after, strict=True):
            limit = 1e4 * EPS * (1 + np.abs(old).max(initial=0))
            np.testing.assert_allclose(new, old, rtol=0, atol=limit, err_msg=f"seed {seed}")


def random_chain(rng):
    """Operations that rules take apart, on top of each other in any order."""
    x = input_("X", "k m")
    axis = 0
    for _ in range(LENGTH):
        how = rng.integers(9)
        axes = x.axes
        if how == 0:
            x = -x
        elif how == 1 and len(axes) > 1:
            x = raw("transpose", x, axes=tuple(rng.permutation(axes).tolist()))
        elif how == 2 and len(axes) < 3:
            new = [a for a in ("k", "m", "n") if a not in axes][:1]
            x = raw("expand", x, axes=tuple(rng.permutation([*axes, *new]).tolist()))
        elif how == 3 and axes:
            x = raw("sum", x, over=tuple(a for a in axes if rng.random() < 0.4)) * 0.5
        elif how == 4:
            x = [1 * x, x + 0, x - 0, 0 - x, x / 1, x**1][rng.integers(6)]
        elif how == 5 and axes:
            axis += 1
            x = rename(rename(x, **{axes[0]: f"r{axis}"}), **{f"r{axis}": axes[0]})
        elif how == 6:
            x = x * expand(const(1), axes)
        elif how == 7 and set(axes) == {"k", "m"}:
            x = transpose(sum_(expand(x, ("k", "m", "n")) * B, "m"), ("n", "k"))
            x = rename(x, n="m")
        else:
            x = 0.7 * x
    return x


def test_long_chains_of_what_rules_take_apart_come_to_an_end_with_the_same_value():
    sizes = {"k": 2, "m": 2, "n": 2}
    for seed in range(CHAINS):
        rng = np.random.default_rng(seed)
        root = random_chain(rng)
        simple = simplify([root])[root]
        assert simple.axes == root.axes
        assert simplify([simple])[simple] is simple
        given = {x: rng.uniform(0.5, 2, [sizes[a] for a in x.axes]) for x in (X, B)}
        old, new = run([root, simple], given)
        np.testing.assert_allclose(new, old, rtol=1e4 * EPS, err_msg=f"seed {seed}")


def test_a_deep_chain_is_simplified_by_a_loop():
    x = input_("x", "")
    deep = x
    for _ in range(20_000):
        deep = -deep
    assert simplify([deep])[deep] is x
