"""What is shown is what runs: equations read back, Python in another process, machine code."""

from collections import Counter

import numpy as np
import pytest

import chainrule as cr
from chainrule.check.printed import obstacles, round_trip
from chainrule.emit.tex import Printer, Tex
from chainrule.errors import ChainruleError, GraphError
from chainrule.expr import postorder
from chainrule.plan.derived import derived
from chainrule.run.reference import Reference
from tests import printedgraphs, printednets
from tests.run.engines import with_little_effort
from tests.texmath import shown

NETWORKS, SLOW_NETWORKS = 1_000, 10_000
CHUNK = 100  # networks in one test, and in one process that runs their Python
GRAPHS = 300


def networks(start: int, stop: int) -> list[shown.Shown]:
    made = (printednets.network(seed) for seed in range(start, stop))
    return [shown.Shown(n.seed, derived(n.definition), n.given) for n in made]


def assert_shown_is_what_runs(start, folder, monkeypatch):
    with_little_effort(monkeypatch)
    chunk = networks(start, start + CHUNK)
    groups = range(0, CHUNK, printednets.GROUP)
    compiled = [c for g in groups for c in shown.run_compiled(chunk[g : g + printednets.GROUP])]
    python = shown.run_python(chunk, folder)
    for s, code, text in zip(chunk, compiled, python, strict=True):
        ways = {**shown.read_from_print(s), "Python": text}
        bad = {way: off for way, v in ways.items() if (off := shown.differing(s, v, code))}
        assert not bad, f"seed {s.seed}: {bad}"


@pytest.mark.parametrize("start", range(0, NETWORKS, CHUNK))
def test_equations_and_python_give_the_compiled_gradient(start, tmp_path, monkeypatch):
    assert_shown_is_what_runs(start, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(NETWORKS, SLOW_NETWORKS, CHUNK))
def test_equations_and_python_of_many_more_networks(start, tmp_path, monkeypatch):
    assert_shown_is_what_runs(start, tmp_path, monkeypatch)


def test_the_networks_have_every_activation_every_loss_and_both_layouts():
    """A generator that makes one kind only would also pass the tests above."""
    seen = Counter()
    for seed in range(NETWORKS):
        n = printednets.network(seed)
        seen.update(x.op for _, x in n.definition.values)
        seen[n.definition.root.op] += 1
        seen.update(op for op in operations(n.definition.root))
    wanted = {*printednets.ACTIVATIONS, *printednets.LOSSES, "contract", "rename", "mean", "sum"}
    assert not {op for op in wanted if seen[op] < 5}


def operations(root):
    return {x.op for x in postorder(root)}


PLANTED = {
    "a sign": lambda text: text.replace(" - ", " + ", 1),
    "a factor": lambda text: text.replace(r"\frac{1}{m}", r"\frac{2}{m}", 1),
    "a missing transpose": lambda text: text.replace(r"^\intercal", "", 1),
    "⊙ for +": lambda text: text.replace(" + ", r" \odot ", 1),
    "another activation": lambda text: text.replace(r"\tanh", r"\sigma", 1),
    "parentheses left out": lambda text: text.replace(r"\left(", "").replace(r"\right)", ""),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_misprint_is_found(mistake, monkeypatch):
    """In every network in which it changes what is printed, but for those that mean the same."""
    definition = Printer.definition
    changed = found = 0
    for s in networks(0, 40):
        monkeypatch.undo()
        right = shown.read_from_print(s)["LaTeX"]

        def wrong(self, node, definition=definition):
            tex = definition(self, node)
            return Tex(PLANTED[mistake](tex.text), tex.binds)

        monkeypatch.setattr(Printer, "definition", wrong)
        try:
            values = shown.read_from_print(s)["LaTeX"]
        except ChainruleError:
            changed, found = changed + 1, found + 1
            continue
        if any(not np.array_equal(values.get(k), v) for k, v in right.items()):
            changed += 1
            found += bool(shown.differing(s, values, right))
    assert changed >= 3, "the misprint must occur"
    assert found == changed


@pytest.mark.parametrize("start", range(0, GRAPHS, 100))
def test_random_graphs_wherever_matrices_have_a_notation(start):
    """Over every operation. What has no notation is counted, and is what it is known to be."""
    without, read = 0, 0
    for seed in range(start, start + 100):
        g = printedgraphs.graph(seed)
        try:
            found = derived(printedgraphs.definition(g))
        except GraphError:  # nothing passes a gradient
            continue
        if obstacles(found):
            without += 1
            continue
        given = {x.name: g.given[x] for x in found.definition.inputs}
        value, grads = Reference(found.program)(**given)
        s = shown.Shown(seed, found, given)
        true = {"L": value, **{shown.key(k): a for k, a in grads.items()}}
        for values in shown.read_from_print(s).values():
            assert not shown.differing(s, values, true), f"seed {seed}"
        read += 1
    assert read >= 35
    assert without <= 62


def test_what_has_no_notation_between_matrices_is_refused():
    def three(x: "k m n"):
        return cr.sum(x * x)

    with pytest.raises(GraphError, match="two axes"):
        round_trip(cr.derive(three)._derived)


@pytest.mark.parametrize("net", ["chain", "logistic", "mlp", "cs230/two_sigmoid"])
def test_a_derivation_reads_its_own_equations_back(net):
    report = cr.derive(f"examples/{net}.net").round_trip()
    assert report.ok
    assert "read back from LaTeX and from plain characters" in str(report)


def test_a_derivation_says_which_printed_equation_is_wrong(monkeypatch):
    definition = Printer.definition

    def wrong(self, node):
        tex = definition(self, node)
        return Tex(tex.text.replace(r"X^\intercal", r"X^\intercal \cdot 2"), tex.binds)

    monkeypatch.setattr(Printer, "definition", wrong)
    report = cr.derive("examples/logistic.net").round_trip()
    assert not report.ok
    assert "LaTeX: dL/dw is off by" in str(report)
