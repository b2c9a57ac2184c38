"""Every row of the rule table against NumPy and differences, and the pages that show it."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import chainrule as cr
from chainrule.check.gradient import check_gradients
from chainrule.check.operation import check_operation
from chainrule.differentiate import forward
from chainrule.explain.matrixrules import STATEMENTS, UNCOVERED, matrix_rule, matrix_rules
from chainrule.explain.scalarrules import scalar_rules, values_at
from chainrule.expr import input_
from chainrule.netfile import parse_net
from chainrule.ops import OPS
from chainrule.ops.record import replaced
from chainrule.plan.derived import derived
from chainrule.plan.program import program
from chainrule.run.reference import Reference

SIZES = {"n": 4, "p": 3, "k": 2, "q": 4, "l": 5, "c": 4, "m": 6}
H = 1e-6


def softmax(z, axis=0):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def right_class(Z, t):
    return -np.log(softmax(Z))[t, np.arange(len(t))].mean()


ORACLES = {
    "product-right": lambda A, X: A @ X,
    "product-left": lambda X, B: X @ B,
    "product-chain": lambda A, X, B: A @ X @ B,
    "matrix-vector": lambda A, x: A @ x,
    "layer": lambda W, X, b: W @ X + b[:, None],
    "layer-rows": lambda X, W, b: X @ W + b,
    "transpose": lambda X: X.T,
    "gram": lambda X: X @ X.T,
    "outer": np.multiply.outer,
    "hadamard": lambda A, X: A * X,
    "quotient": lambda A, X: A / X,
    "scale": lambda a, X: a * X,
    "entrywise": lambda X: sigmoid(X),
    "entrywise-kink": lambda X: np.maximum(X, 0),
    "composition": lambda A, B, X: A @ sigmoid(B @ X),
    "row-sums": lambda X: X @ np.ones(SIZES["p"]),
    "column-sums": lambda X: np.ones(SIZES["n"]) @ X,
    "row-means": lambda X: X.mean(axis=1),
    "softmax": softmax,
    "log-softmax": lambda z: np.log(softmax(z)),
    "sum": lambda X: X.sum(),
    "mean": lambda X: X.mean(),
    "trace": lambda X, I: np.trace(X),
    "trace-product": lambda A, X: np.trace(A @ X),
    "trace-chain": lambda A, X, B: np.trace(A @ X @ B),
    "trace-quadratic": lambda A, X: np.trace(X.T @ A @ X),
    "linear-form": lambda a, x: a.T @ x,
    "bilinear-form": lambda a, X, b: a.T @ X @ b,
    "quadratic-form": lambda A, x: x.T @ A @ x,
    "squared-norm": lambda x: np.linalg.norm(x) ** 2,
    "norm": lambda x: np.linalg.norm(x),
    "frobenius": lambda X: np.linalg.norm(X, "fro") ** 2,
    "distance": lambda x, a: np.linalg.norm(x - a) ** 2,
    "least-squares": lambda A, x, b: np.linalg.norm(A @ x - b) ** 2,
    "least-squares-matrix": lambda A, X, B: np.linalg.norm(A @ X - B, "fro") ** 2,
    "mse": lambda P, Y: ((P - Y) ** 2).sum() / P.shape[1],
    "logsumexp": lambda z: np.log(np.exp(z).sum()),
    "cross-entropy": right_class,
    "logistic": lambda z, t: -(t * np.log(sigmoid(z)) + (1 - t) * np.log(1 - sigmoid(z))).mean(),
}
"""What each rule is about, in NumPy: by the name in the mathematics, not by our network."""


def point(rule, seed=0):
    """Random arrays for the inputs of a rule, of its sizes; I is the identity."""
    rng = np.random.default_rng(seed)
    square = {"p": 4} if rule.statement.key == "trace" else {"l": 2} if "gram" in _key(rule) else {}
    sizes = {**SIZES, **square}
    arrays = {}
    for x in rule.definition.inputs:
        shape = tuple(sizes[a] for a in x.axes)
        arrays[x.name] = (
            rng.integers(0, sizes["c"], shape) if x.kind == "int" else 0.1 + rng.normal(size=shape)
        )
        if x.name == "I":
            arrays[x.name] = np.eye(sizes["n"])
    return arrays


def _key(rule):
    return rule.statement.key


def tangents(net):
    return {net.input[p]: input_(f"d{p}", " ".join(net.input[p].axes)) for p in net.params}


def value(rule, expr, arrays):
    extra = [
        input_(f"d{p}", " ".join(rule.definition.input[p].axes)) for p in rule.definition.params
    ]
    inputs = (*rule.definition.inputs, *extra)
    given = {**{x.name: np.zeros([SIZES[a] for a in x.axes]) for x in extra}, **arrays}
    return Reference(program("row", inputs, {"": expr}, {})).run(given)[0]


def oracle(rule, arrays):
    own = {n: a for n, a in arrays.items() if n in rule_inputs(rule)}
    function = ORACLES[_key(rule)]
    return function(*own.values()) if _key(rule) == "outer" else function(**own)


def rule_inputs(rule):
    return [x.name for x in parse_net(rule.statement.net).inputs]


def stepped(arrays, moved, step):
    return {n: a + step * moved[n] if n in moved else a for n, a in arrays.items()}


def slope(rule, arrays, moved, upstream):
    """The derivative of ⟨G, value⟩ along `moved`, by central differences of the oracle."""

    def at(step):
        near = stepped(arrays, moved, step)
        return np.sum(upstream * oracle(rule, near))

    return (at(H) - at(-H)) / (2 * H)


RULES = list(matrix_rules())
IDS = [rule.statement.key for rule in RULES]


def test_every_rule_has_an_oracle():
    assert set(IDS) == set(ORACLES)
    assert len(set(IDS)) == len(STATEMENTS)


@pytest.mark.seed("003-22")
@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_matrix_rule_is_what_its_name_says_and_so_are_its_derivatives(rule):
    arrays = point(rule)
    expected = oracle(rule, arrays)
    np.testing.assert_allclose(value(rule, rule.value_expr, arrays), expected, rtol=1e-12)
    upstream = next((arrays[n] for n in ("G", "g") if n in arrays), 1.0)
    rng = np.random.default_rng(1)
    for gradient in rule.gradients:
        found = value(rule, gradient.expr, arrays)
        assert found.shape == arrays[gradient.input].shape
        for _ in range(3):
            moved = rng.normal(size=found.shape)
            numeric = slope(rule, arrays, {gradient.input: moved}, upstream)
            np.testing.assert_allclose(np.sum(found * moved), numeric, rtol=1e-6, atol=1e-8)
        if gradient.closed_expr is not None:
            np.testing.assert_allclose(value(rule, gradient.closed_expr, arrays), found, rtol=1e-12)


@pytest.mark.parametrize(
    "rule", [r for r in RULES if r.differential], ids=lambda r: r.statement.key
)
def test_a_differential_is_the_change_of_the_value(rule):
    arrays = point(rule)
    rng = np.random.default_rng(2)
    moved = {p: rng.normal(size=arrays[p].shape) for p in rule.definition.params}
    net = rule.definition
    tangents = {net.input[p]: input_(f"d{p}", " ".join(net.input[p].axes)) for p in net.params}
    found = value(
        rule, forward(rule.value_expr, tangents), arrays | {f"d{p}": v for p, v in moved.items()}
    )
    near = [oracle(rule, stepped(arrays, moved, s)) for s in (H, -H)]
    np.testing.assert_allclose(found, (near[0] - near[1]) / (2 * H), rtol=1e-6, atol=1e-8)


def test_the_jacobian_of_softmax_is_the_one_that_is_cited():
    rule = next(r for r in RULES if _key(r) == "softmax")
    arrays = point(rule)
    y = softmax(arrays["z"])
    rows = [value(rule, rule.gradients[0].expr, {**arrays, "g": g}) for g in np.eye(4)]
    np.testing.assert_allclose(rows, np.diag(y) - np.outer(y, y), atol=1e-15)


UNCOVERED_ORACLES = {
    "inverse": (
        lambda X: np.linalg.inv(X),
        lambda X, dX, A, B: -np.linalg.inv(X) @ dX @ np.linalg.inv(X),
    ),
    "trace-inverse": (
        lambda X: np.trace(A_ @ np.linalg.inv(X) @ B_),
        lambda X, dX, A, B: np.sum(-(np.linalg.inv(X) @ B @ A @ np.linalg.inv(X)).T * dX),
    ),
    "bilinear-inverse": (
        lambda X: A_[0] @ np.linalg.inv(X) @ B_[:, 0],
        lambda X, dX, A, B: np.sum(
            -np.linalg.inv(X).T @ np.outer(A[0], B[:, 0]) @ np.linalg.inv(X).T * dX
        ),
    ),
    "determinant": (
        lambda X: np.linalg.det(X),
        lambda X, dX, A, B: np.sum(np.linalg.det(X) * np.linalg.inv(X).T * dX),
    ),
    "log-determinant": (
        lambda X: np.log(abs(np.linalg.det(X))),
        lambda X, dX, A, B: np.sum(np.linalg.inv(X).T * dX),
    ),
}
A_, B_ = np.random.default_rng(5).normal(size=(2, 4, 4))


@pytest.mark.parametrize("key", [u.key for u in UNCOVERED])
def test_rules_that_are_not_derived_are_right_as_well(key):
    X, dX = np.random.default_rng(6).normal(size=(2, 4, 4))
    function, derivative = UNCOVERED_ORACLES[key]
    numeric = (function(X + H * dX) - function(X - H * dX)) / (2 * H)
    np.testing.assert_allclose(derivative(X, dX, A_, B_), numeric, rtol=1e-6, atol=1e-8)


# --- scalar rules ------------------------------------------------------------------------------

SCALARS = list(scalar_rules())


def test_every_operation_on_entries_has_a_row_and_no_other():
    entrywise = {
        name
        for name, op in OPS.items()
        if {a for layout in op.layouts for a in layout.inputs} >= {"k m"}
        and not {"over", "axes", "axis", "into", "to", "examples"} & set(op.attrs)
        and op.arity[0] == len(op.layouts[0].inputs)
    }
    assert {rule.op.name for rule in SCALARS} == entrywise - {
        "stop_gradient", "dropout", "uniform", "keyed_uniform", "sum_squares",
    }  # fmt: skip


def inside(op, x):
    low, high = op.domain[min(x, len(op.domain) - 1)]
    return [low + share * (high - low) for share in (0.13, 0.41, 0.77, 0.93)]


@pytest.mark.seed("003-18")
@pytest.mark.parametrize("rule", [r for r in SCALARS if r.partials], ids=lambda r: r.op.name)
def test_a_scalar_derivative_is_the_slope_of_its_value(rule):
    net = rule.definition
    columns = [inside(rule.op, i) for i in range(len(net.inputs))]
    columns[0] = [1, 0, 1, 0] if net.inputs[0].kind == "bool" else columns[0]
    columns[-1] = columns[-1][::-1]
    for numbers in zip(*columns, strict=True):
        at = dict(zip((x.name for x in net.inputs), numbers, strict=True))
        for partial in rule.partials:
            near = [
                values_at(net, net.root, {**at, partial.input: at[partial.input] + step})
                for step in (H, -H)
            ]
            numeric = (near[0] - near[1]) / (2 * H)
            assert values_at(net, partial.expr, at) == pytest.approx(numeric, rel=1e-5, abs=1e-8)


def test_domains_and_kinks_are_those_of_the_functions():
    said = {r.op.name: (r.domain, r.kinks) for r in SCALARS}
    assert said["log"] == ("x > 0", "")
    assert said["sqrt"] == ("x > 0", "")  # at 0 its slope is infinite
    assert said["log1p"] == ("x > -1", "")
    assert said["exp"] == ("", "")
    assert said["relu"] == ("", "x = 0: slope 0")
    assert said["abs"] == ("", "x = 0: slope 0")
    assert said["maximum"] == ("", "a = b: a receives 1, b receives 0")
    kinked = [r for r in SCALARS if not r.op.smooth and r.partials and r.op.name != "where"]
    assert all(r.kinks for r in kinked), [r.op.name for r in kinked if not r.kinks]


def test_both_forms_of_a_derivative_are_shown():
    forms = {r.op.name: [(p.of_input, p.of_value) for p in r.partials] for r in SCALARS}
    assert forms["sigmoid"] == [(r"\sigma(x)(1 - \sigma(x))", "y(1 - y)")]
    assert forms["exp"] == [("e^{x}", "y")]
    assert forms["square"] == [("2x", "")]


def slightly_wrong(name):
    """The record with every derivative a thousandth too large."""
    right = OPS[name]

    def vjp(*args, **attrs):
        return tuple(None if p is None else 1.001 * p for p in right.vjp(*args, **attrs))

    return dataclasses.replace(right, vjp=vjp)


@pytest.mark.parametrize("name", [r.op.name for r in SCALARS if r.partials])
def test_a_scalar_rule_that_is_wrong_by_a_thousandth_is_found(name):
    layout = OPS[name].layouts[0]
    with replaced(slightly_wrong(name)):
        assert not check_operation(OPS[name], layout).ok
    assert check_operation(OPS[name], layout).ok


@pytest.mark.parametrize("statement", STATEMENTS, ids=IDS)
def test_a_matrix_rule_that_is_wrong_by_a_thousandth_is_found(statement):
    root = matrix_rule(statement).value_expr
    with replaced(slightly_wrong(root.op)):
        assert not check_gradients(derived(matrix_rule(statement).definition)).ok
    assert check_gradients(derived(matrix_rule(statement).definition)).ok


# --- pages -------------------------------------------------------------------------------------


def test_the_text_fits_a_terminal_and_says_what_is_not_derived():
    text = cr.rule_table({"tanh": 1e-13}).text()
    assert max(map(len, text.splitlines())) <= 86  # accents above letters take no column
    assert "dy/dx = σ(x)(1 - σ(x)) = y(1 - y)" in text
    assert "∂y/∂X = AX + Aᵀ X = (A + Aᵀ)X" in text
    assert "no operation inverts a matrix" in text
    assert "largest error 1e-13" in text
    assert "\\" not in text


class Balanced(HTMLParser):
    """Counts elements and refuses what a page that needs no network cannot hold."""

    VOID = ("meta", "mspace")

    def __init__(self):
        super().__init__()
        self.open, self.counts = [], {}

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe")
        assert not {"src", "href"} & dict(attrs).keys()
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.VOID

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_is_well_formed():
    page = cr.rule_table().html()
    reader = Balanced()
    reader.feed(page)
    assert not reader.open
    assert reader.counts["math"] > 150
    assert "url(" not in page
    assert "http" not in page
    assert not re.search(r"\\[a-z]", page)
    assert "prefers-color-scheme: dark" in page


def test_the_latex_is_balanced_and_has_one_cell_for_every_column():
    text = cr.rule_table().latex()
    plain = re.sub(r"\\[{}]", "", text)
    depth = 0
    for c in plain:
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0
    assert len(re.findall(r"\\left\b", text)) == text.count(r"\right")
    begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", text) for word in ("begin", "end"))
    assert begun == ended == ["longtable"] * 3
    rows = [line for line in text.splitlines() if line.endswith(r"\\[1ex]")]
    assert len(rows) == len(SCALARS) + len(RULES) + len(UNCOVERED)
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == 3
        assert row.count("$") % 2 == 0
    outside = "".join(re.split(r"\$[^$]*\$", text))
    assert outside.isascii(), sorted({c for c in outside if ord(c) > 127})


def test_the_json_has_every_row():
    found = cr.rule_table().json()
    assert [r["name"] for r in found["scalars"]] == [r.op.name for r in SCALARS]
    assert [r["key"] for r in found["matrices"]] == IDS
    assert len(found["uncovered"]) == len(UNCOVERED)
