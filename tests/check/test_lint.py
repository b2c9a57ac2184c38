"""Lint finds every planted mistake, names its place, and keeps quiet about what is right."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.check.lint import LEVELS, RULES, lint
from chainrule.check.lint.ranges import ranges
from chainrule.check.lint.read import survey
from chainrule.definition import with_loss
from chainrule.errors import DTypeError, FormulaError, GraphError, ParameterError, ShapeError
from chainrule.expr import Definition, postorder
from chainrule.netfile import parse_net
from chainrule.netfile.survey import survey_net
from chainrule.nn import ACTIVATIONS, mlp
from tests.check.planted import HEAD, HIDDEN, LINEAR, PLANTED, VALUES
from tests.check.sane import HEADS, sane
from tests.cli.conftest import ROOT
from tests.randomgraphs import evaluate, graph

EXAMPLES = sorted((ROOT / "examples").rglob("*.net"))
SANE = 200
IDS = [f"{i}-{p.code}" for i, p in enumerate(PLANTED)]


@pytest.fixture
def look(tmp_path):
    """Lint of a text, by way of a file."""

    def run(text, **given):
        path = tmp_path / "planted.net"
        path.write_text(text, encoding="utf-8")
        return lint(path, **given)

    return run


@pytest.mark.parametrize("planted", PLANTED, ids=IDS)
def test_a_planted_mistake_is_found_in_its_place_and_its_neighbour_is_not(planted, look):
    report = look(planted.wrong)
    found = [f for f in report.findings if f.code == planted.code]
    assert planted.where in [f.where for f in found]
    assert all(f.line and (f.what and f.why and f.do) for f in found)
    line = planted.wrong.splitlines()[found[0].line - 1]
    assert planted.where in line
    right = look(planted.right)
    assert planted.code not in right.codes()
    assert right.ok, str(right)


def test_every_rule_has_a_planted_mistake_or_a_test_with_data():
    of_data = "target-range array-axes scaling constant-feature dead-units saturated"
    assert {p.code for p in PLANTED} | set(of_data.split()) == set(RULES)


def test_rules_are_complete_records():
    assert all(rule.level in LEVELS for rule in RULES.values())
    with pytest.raises(ParameterError, match="why"):
        cr.check.lint.Rule("x", "error", "t", "l", "", "d", "s", lambda s: iter(()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_are_fine(path):
    assert lint(path).ok


@pytest.mark.parametrize("loss", HEADS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlps_with_every_activation_and_every_sane_loss_are_fine(activation, loss):
    for head in HEADS[loss]:
        net = with_loss(mlp([3, 5, 4, 2], activation, head or None), loss)
        report = lint(net)
        assert report.ok, str(report)


def test_sane_networks_with_sane_data_are_fine():
    alarms = []
    for seed in range(SANE):
        report = lint(*sane(seed))
        only = {"activation-with-its-loss"}  # a hint that some of them deserve
        alarms += [] if set(report.codes()) <= only else [f"{seed}: {report}"]
    assert not alarms


@pytest.mark.parametrize(
    "text",
    [
        LINEAR + "return mse(relu(z - 20), y)",  # off at all points tried, but b can change that
        "param v:\n" + LINEAR + "return mse(z, y) + 0.000000001 * square(v)",
        HEAD.replace("W_1: n k", "W_1: n k init=zeros")
        .replace("b_1: k", "b_1: k init=normal")
        .replace("W_2: k c", "W_2: k c init=zeros")
        + "input y: m c\nreturn mse(tanh(X @ W_1 + b_1) @ W_2 + b_2, y)",  # W_2 moves, then W_1
    ],
    ids=["relu far off", "small gradient", "freed by the last layer"],
)
def test_a_parameter_that_moves_little_or_later_is_fine(text, look):
    assert look(text).ok


@pytest.mark.parametrize(
    "prediction", ['sum(g * p, over="c")', 'sum(p * g, over="c")', 'contract(g, p, over="c")']
)
def test_an_average_of_probabilities_is_a_probability(prediction, look):
    head = "param W: n c\nparam V: n c\ninput X: m n\ninput y: m\n"
    parts = 'g = softmax(X @ W, over="c")\np = sigmoid(X @ V)\n'
    assert look(f"{head}{parts}return bce({prediction}, y)").ok


def test_all_mistakes_are_listed_not_only_the_first(look):
    text = (
        HEAD
        + "param V: k j\ninput y: m\n"
        + HIDDEN
        + 'Q = W_1 @ X\np = softmax(A @ W_2 + b_2, over="c")\n'
        + "return cross_entropy(p, p) + mse(A, y)"
    )
    codes = look(text).codes()
    assert codes.count("double-softmax") == 1
    assert {"double-softmax", "prediction-target", "axes", "unused-parameter"} <= set(codes)


@pytest.mark.parametrize("code", ["prediction-target", "axes", "unused-parameter", "no-gradient"])
def test_lint_says_what_the_errors_say(code, look):
    text = next(p.wrong for p in PLANTED if p.code == code)
    with pytest.raises((GraphError, ShapeError)) as error:
        cr.derive(parse_net(text))
    said = next(f.what for f in look(text).findings if f.code == code)
    assert said.split(" (path: ")[0] in str(error.value)


def test_the_mended_target_shows_its_declaration(look):
    report = look("param w: n 1\ninput X: m n\ninput y: m\nreturn mse(X @ w, y)")
    assert "prediction (m, 1) and target (m) would broadcast" in report.findings[0].what
    assert "Declare y: m 1" in report.findings[0].do


def test_a_cycle_is_a_finding_and_nothing_is_said_to_be_unused(look):
    report = look(next(p for p in PLANTED if p.code == "graph").wrong)
    assert report.codes() == ["graph"]
    assert "cycle: a → b → c → a" in report.findings[0].what
    assert report.skipped


def test_text_that_is_no_network_is_refused(look):
    with pytest.raises(FormulaError, match="is not allowed"):
        look("return __import__('os')")
    with pytest.raises(FormulaError, match="nesting deeper"):
        look("input x: m\nreturn " + "(" * 2000 + "x" + ")" * 2000)


# --- functions ---------------------------------------------------------------------------------


def test_a_function_is_looked_at_with_the_lines_of_its_file():
    def net(W: "n c", X: "m n", y: "m int"):
        S = X @ W
        p = cr.softmax(S, over="c")
        return cr.cross_entropy(p, y)

    found = lint(net, params=["W"]).findings
    assert [f.code for f in found] == ["double-softmax"]
    assert found[0].do == "Write cross_entropy(S, y)"
    assert found[0].line == net.__code__.co_firstlineno + 3


def test_a_function_with_a_narrow_target_is_read_to_its_end():
    def net(W: "n 1", V: "n k", X: "m n", y: "m"):
        p = cr.sigmoid(X @ W)
        return cr.bce_logits(p, y)

    codes = lint(net, params=["W", "V"]).codes()
    assert set(codes) == {"prediction-target", "activation-before-logits", "unused-parameter"}


def test_a_function_that_cannot_be_read_says_so():
    def net(W: "k n", X: "m n"):
        return cr.mean(W @ X)

    report = lint(net)
    assert report.codes() == ["axes"]
    assert "function stops there" in report.skipped[0]


def test_parameters_of_a_function_are_told_from_data_by_the_examples():
    def net(W: "n k", b: "k", X: "m n", y: "m k"):
        return cr.bce_logits(cr.sigmoid(X @ W + b), y)

    assert "activation-before-logits" in lint(net).codes()


def test_values_for_parameters_may_be_given_and_unknown_names_are_refused():
    net = parse_net(VALUES + "return mse(S, y)")
    alike = {"W_1": np.ones((3, 4)), "b_1": np.zeros(4), "W_2": np.ones((4, 2))}
    assert lint(net, params={**alike, "b_2": np.zeros(2)}).codes() == ["symmetric-init"]
    apart = {**alike, "W_1": np.arange(12.0).reshape(3, 4)}
    assert lint(net, params={**apart, "b_2": np.zeros(2)}).ok
    with pytest.raises(ParameterError, match="Did you mean 'W_1'"):
        lint(net, params=["W1"])
    with pytest.raises(ParameterError, match="no input is called 'Xs'"):
        lint(net, {"Xs": [1.0]})
    with pytest.raises(DTypeError, match="expected numbers"):
        lint(net, {"X": [["a"]]})


def test_dropout_tells_equal_units_apart():
    plain = mlp([3, 4, 2], init="ones")
    dropped = mlp([3, 4, 2], dropout=0.5, init="ones")
    assert "symmetric-init" in lint(with_loss(plain, "mse")).codes()
    assert "symmetric-init" not in lint(with_loss(dropped, "mse")).codes()


# --- data --------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))


def target(text, values, look, **more):
    return look(text, arrays={"X": X, "y": values, **more}).findings


@pytest.mark.parametrize(
    ("loss", "wrong", "right", "says"),
    [
        ("bce_logits(z, y)", [-1.0, 1.0], [0.0, 1.0], "hinge"),
        ("bce(sigmoid(z), y)", [1.0, 2.0], [0.0, 1.0], "labels 0 and 1"),
        ("hinge(z, y)", [0.0, 1.0], [-1.0, 1.0], "2 * y - 1"),
        ("poisson(z, y)", [-1.0, 3.0], [0.0, 3.0], ""),
        ("mse(sigmoid(z), y)", [0.0, 3.0], [0.0, 1.0], "scale the targets"),
        ("mse(relu(z), y)", [-2.0, 3.0], [0.0, 3.0], "scale the targets"),
        ("mse(tanh(z), y)", [-2.0, 1.0], [-1.0, 1.0], "scale the targets"),
    ],
)
def test_targets_that_no_output_can_reach_are_found(loss, wrong, right, says, look):
    text = f"{LINEAR}return {loss}"
    found = target(text, np.resize(wrong, 30), look)
    assert [f.code for f in found if f.level == "error"] == ["target-range"]
    assert says in found[0].do
    assert "target-range" not in [f.code for f in target(text, np.resize(right, 30), look)]


@pytest.mark.parametrize(
    ("wrong", "right", "do"),
    [([1, 2, 3], [0, 1, 2], "y - 1"), ([0, 5, 1], [0, 1, 1], ""), ([-1, 1, 1], [0, 1, 2], "// 2")],
)
def test_labels_outside_the_classes_are_found(wrong, right, do, look):
    text = "param W: n c=3\ninput X: m n\ninput y: m int\nreturn cross_entropy(X @ W, y)"
    found = target(text, np.resize(wrong, 30), look)
    assert [f.code for f in found] == ["target-range"]
    assert do in found[0].do
    assert not target(text, np.resize(right, 30), look)


@pytest.mark.parametrize("loss", ["cross_entropy(S, y)", 'kl(softmax(S, over="c"), y)'])
def test_rows_of_probabilities_must_sum_to_1(loss, look):
    text = f"param W: n c\ninput X: m n\ninput y: m c\nS = X @ W\nreturn {loss}"
    rows = RNG.dirichlet(np.ones(4), 30)
    assert not target(text, rows, look)
    rows[3] *= 2
    assert "1 of 30 rows of y do not sum to 1" in target(text, rows, look)[0].what
    assert "expected probabilities" in target(text, -rows, look)[0].what


@pytest.mark.parametrize(
    ("declared", "shape", "fix"),
    [("m 1", (30,), "y[:, None]"), ("m", (30, 1), "y[:, 0]"), ("1 m", (30,), "y[None, :]")],
)
def test_arrays_with_other_axes_show_the_fix(declared, shape, fix, look):
    text = f"param w: n\ninput X: m n\ninput y: {declared}\nz = X @ w\n"
    text += {"m 1": 'return mse(expand(z, "m 1"), y)', "m": "return mse(z, y)"}.get(
        declared, 'return mse(expand(z, "1 m"), y)'
    )
    found = target(text, np.zeros(shape), look)
    assert [f.code for f in found] == ["array-axes"]
    assert fix in found[0].do
    numbers = np.zeros({"m 1": (30, 1), "m": 30, "1 m": (1, 30)}[declared])
    assert not target(text, numbers, look)


def test_arrays_whose_sizes_disagree_are_found(look):
    found = target(f"{LINEAR}return mse(z, y)", np.zeros(29), look)
    assert [f.code for f in found] == ["array-axes"]
    assert "y has 29 along m, X has 30" in found[0].what


@pytest.mark.parametrize("head", ["X: m n", "X: n m"])
def test_features_far_apart_or_far_from_0_are_found(head):
    product = "X @ w" if head == "X: m n" else "w @ X"
    net = parse_net(f"param w: n\ninput {head}\ninput y: m\nreturn mse({product}, y)")

    def codes(columns):
        given = columns if head == "X: m n" else columns.T
        return lint(net, {"X": given, "y": np.zeros(30)}, features=["age", "pay", "size"])

    assert codes(X).ok
    wide = codes(X * [1, 5e4, 1])
    assert wide.codes() == ["scaling"]
    assert "'pay'" in wide.findings[0].what
    assert codes(X + np.array([0, 0, 1000])).codes() == ["scaling"]
    assert codes(X * [1, 100, 1] + 3).ok
    still = X.copy()
    still[:, 1] = 7.0
    assert codes(still).codes() == ["constant-feature"]


def test_units_that_are_off_for_every_example_are_found():
    net = parse_net(VALUES + "return mse(S, y)")
    rng = np.random.default_rng(1)
    given = {"W_1": rng.normal(size=(3, 4)), "b_1": np.zeros(4)}
    given |= {"W_2": rng.normal(size=(4, 2)), "b_2": np.zeros(2)}
    data = {"X": X, "y": np.zeros((30, 2))}
    assert lint(net, data, given).ok
    some = lint(net, data, {**given, "b_1": np.array([0, 0, -50.0, 0])})
    assert some.codes() == ["dead-units"]
    assert "1 of 4 units of A = relu(Z)" in some.findings[0].what
    whole = lint(net, {**data, "X": np.zeros((30, 3))}, {**given, "b_1": -np.ones(4)})
    assert "all units" in whole.findings[0].what


def test_saturated_hidden_units_are_found_and_a_certain_output_is_not():
    net = parse_net(VALUES.replace("relu", "tanh") + "return bce(sigmoid(S), y)")
    data = {"X": X, "y": np.zeros((30, 2))}
    assert lint(net, data).ok
    report = lint(net, {**data, "X": X * 500})
    assert report.codes()[0] == "saturated"
    assert "at initial parameters" in report.findings[0].what
    rng = np.random.default_rng(2)
    sure = {"W_1": rng.normal(size=(3, 4)), "b_1": np.zeros(4)}
    sure |= {"W_2": 100 * rng.normal(size=(4, 2)), "b_2": np.zeros(2)}
    assert lint(net, data, sure).ok


# --- what the rules stand on ---------------------------------------------------------------------


def test_every_value_lies_in_its_range():
    """On random graphs over every operation, whose values an independent oracle knows."""
    tight = 0
    for seed in range(150):
        g = graph(seed)
        nodes = tuple(postorder(g.root))
        found, known = ranges(nodes), evaluate([g.root], g.given)
        for node in nodes:
            values = np.asarray(known[node], float)
            low, high = found[node]
            slack = 1e-9 * (1 + np.abs(values).max(initial=0))
            assert values.min(initial=np.inf) >= low - slack, (seed, node)
            assert values.max(initial=-np.inf) <= high + slack, (seed, node)
            tight += np.isfinite(low) or np.isfinite(high)
    assert tight > 500


def test_any_network_can_be_looked_at_and_what_has_no_effect_has_none():
    """On random graphs over every operation, with arrays; their derivatives judge `no-effect`."""
    still = 0
    for seed in range(60):
        g = graph(seed)
        params = tuple(x.name for x in g.real[:2])
        net = Definition("random", g.root, tuple(g.given), (), params)
        report = lint(net, {x.name: a for x, a in g.given.items()})
        assert str(report)
        names = [f.where for f in report.findings if f.code == "no-effect"]
        grads = cr.derive(net, names)(**{x.name: a for x, a in g.given.items()})[1] if names else {}
        assert all(np.abs(grad).max(initial=0) < 1e-9 for grad in grads.values()), seed
        still += len(names)
    assert still


def test_a_survey_of_a_valid_text_is_its_definition():
    for planted in PLANTED[:20]:
        definition = parse_net(planted.right)
        found = survey_net(planted.right)
        assert found.root is definition.root
        assert found.init == definition.init
        assert found.params == definition.params
        assert not found.problems
        assert not found.lost


def test_a_survey_of_a_definition_keeps_the_first_name_of_each_value():
    def net(x: "m"):
        a = cr.exp(x)
        b = a
        return cr.mean(b)

    assert list(survey(net).values) == ["a"]
