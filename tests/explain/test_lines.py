"""Every printed line of a derivation is evaluated and equals the one before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.check.operation import operation_net
from chainrule.emit.equations import only
from chainrule.explain.steps import Steps
from chainrule.expr import Definition, postorder
from chainrule.netfile import define
from chainrule.ops import OPS, replaced
from chainrule.plan.derived import derived
from tests.check import nets
from tests.explain.randomnets import random_net
from tests.mutants import mutants
from tests.randomgraphs import graph

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.net"))
RANDOM_NETWORKS = 200
RANDOM_GRAPHS = 20
WITH_DERIVATIVE = [name for name, op in OPS.items() if op.vjp]


def assert_lines_equal(definition: Definition, **options: object) -> Steps:
    """Every line equals the one before; each last line is the one that the equations print."""
    found = derived(definition)
    steps = Steps(found)
    report = steps.check(**options)
    assert report.ok, str(report)
    assert report.lines == len(steps)
    shown = {section.of: section.steps[-1].line for section in steps.sections}
    for name in found.grads:
        assert only(found, name).split("&=", 1)[1].strip() == shown[name]
    return steps


@pytest.mark.seed("003-14", "003-16", "000-18", "000-19", "000-20", "003-06")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_line_of_the_examples_equals_the_one_before(path):
    assert_lines_equal(define(path))
    assert_lines_equal(define(path), seed=1)


@pytest.mark.seed("001-11")
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_every_line_equals_the_one_before_for_each_activation(activation):
    assert_lines_equal(nets.columns(activation))
    assert_lines_equal(nets.rows(activation))


@pytest.mark.parametrize("loss", nets.LOSSES)
def test_every_line_equals_the_one_before_for_each_loss(loss):
    assert_lines_equal(nets.columns("sigmoid", loss))


@pytest.mark.parametrize(
    "definition",
    [nets.chain(20), nets.with_dropout(), nets.embedding(), nets.heads(), nets.stopped(),
     nets.scaled_zero(), nets.rows("tanh", label_smoothing=0.1)],
    ids=lambda definition: definition.name,
)  # fmt: skip
def test_every_line_equals_the_one_before_in_other_networks(definition):
    assert_lines_equal(definition)


def test_arrays_without_entries_are_refused():
    steps = cr.derive(_two_sigmoid()).steps()
    with pytest.raises(cr.ChainruleError, match=r"W_1 has shape \(0, 4\): there is nothing"):
        steps.check(arrays={"W_1": np.zeros((0, 4))})


def test_whole_powers_of_negative_numbers_are_compared():
    quartic = "net quartic\nparam w: n\ninput X: n m\ninput y: m\nreturn mean((w @ X - y) ** 4)"
    assert_lines_equal(cr.parse_net(quartic))


def twenty_layers() -> Definition:
    lines = ["net deep", "input X: k0 m", "input y: k20 m"]
    lines += [f"param W_{i}: k{i} k{i - 1}\nparam b_{i}: k{i}" for i in range(1, 21)]
    for i in range(1, 21):
        before = f"A_{i - 1}" if i > 1 else "X"
        lines += [f"Z_{i} = W_{i} @ {before} + b_{i}", f"A_{i} = tanh(Z_{i})"]
    return cr.parse_net("\n".join([*lines, "return mse(A_20, y)"]))


def test_twenty_layers_are_split_at_their_names():
    steps = assert_lines_equal(twenty_layers())
    assert len(steps.sections) == 80
    assert max(len(section.steps) for section in steps.sections) <= 10
    assert max(len(step.line) for step in steps) < 400


def test_every_line_of_random_networks_equals_the_one_before():
    lines = sum(
        len(assert_lines_equal(random_net(seed), seed=seed)) for seed in range(RANDOM_NETWORKS)
    )
    assert lines > 20 * RANDOM_NETWORKS


def random_graph(seed: int) -> tuple[Definition, dict[str, object]]:
    g = graph(seed)
    below = set(postorder(g.root))
    given = {x: a for x, a in g.given.items() if x in below}
    params = tuple(x.name for x in g.real if x in below)
    definition = Definition("random", g.root, tuple(given), (), params)
    return definition, {x.name: a for x, a in given.items()}


def test_every_line_of_random_graphs_over_all_operations_equals_the_one_before():
    for seed in range(RANDOM_GRAPHS):
        definition, arrays = random_graph(seed)
        assert_lines_equal(definition, arrays=arrays)


@pytest.mark.slow
def test_every_line_of_more_random_graphs_equals_the_one_before():
    for seed in range(RANDOM_GRAPHS, 300):
        definition, arrays = random_graph(seed)
        try:
            derived(definition)
        except cr.ChainruleError:
            continue  # nothing in it moves the loss
        assert_lines_equal(definition, arrays=arrays)


PLANTED = ("negated", "doubled", "a thousandth too large", "with g added")


@pytest.mark.parametrize("name", WITH_DERIVATIVE)
def test_a_wrong_derivative_makes_exactly_its_line_differ(name):
    op = OPS[name]
    index = 1 if name == "where" else 0  # a condition receives nothing
    planted = [m for what, m in mutants(op) if what in [f"input {index}: {p}" for p in PLANTED]]
    assert planted
    for mutant in planted:
        with replaced(mutant):
            definition = operation_net(mutant, mutant.layouts[0])
            first = Steps(derived(definition)).check().first
        assert first is not None
        assert first.op == name


def test_a_wrong_derivative_of_the_sigmoid_is_found_at_the_line_of_the_sigmoid():
    (mutant,) = [m for what, m in mutants(OPS["sigmoid"]) if what == "input 0: doubled"]
    with replaced(mutant):
        steps = cr.derive(_two_sigmoid()).steps()
        report = steps.check()
        assert not report.ok
        with pytest.raises(cr.ChainruleError, match=r"∂L/∂Z, line 4 .derivative in output form"):
            report.raise_if_wrong()
    (section,) = [s for s in steps.sections if s.of == "Z"]
    assert section.steps[3].rule == "derivative in output form"


def test_a_line_is_numbered_among_those_that_are_shown():
    (mutant,) = [m for what, m in mutants(OPS["sigmoid"]) if what == "input 0: doubled"]
    with replaced(mutant):
        steps = cr.derive(_two_sigmoid()).steps("W_1", "leibniz")
        first = steps.check().first
    (section,) = [s for s in steps.sections if s.of == first.of]
    assert section.steps[first.line - 1].rule == first.rule == "derivative in output form"


def _two_sigmoid() -> Path:
    (path,) = [p for p in EXAMPLES if p.stem == "two_sigmoid"]
    return path
