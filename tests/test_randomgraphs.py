"""Reverse mode, simplified, emitted and executed, against forward mode on random networks."""

import dataclasses

import numpy as np
import pytest

from chainrule.expr import postorder
from chainrule.ops import OPS, replaced
from tests import randomgraphs

SEEDS, SLOW_SEEDS = 5_000, 20_000
CHUNK = 250  # seeds in one test: workers share the chunks
ENOUGH = 400  # seeds after which every operation has occurred


def assert_reverse_mode_agrees(seeds):
    for seed in seeds:
        off = randomgraphs.mismatch(randomgraphs.graph(seed))
        assert off < randomgraphs.ROUNDINGS, (
            f"seed {seed}: off by {off:.3g} roundings. Replay: python -m tests.randomgraphs {seed}"
        )


@pytest.mark.seed("000-24", "003-06")
@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_reverse_mode_agrees_with_forward_mode_on_random_networks(start):
    assert_reverse_mode_agrees(range(start, start + CHUNK))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(SEEDS, SLOW_SEEDS, CHUNK))
def test_reverse_mode_agrees_with_forward_mode_on_many_more_random_networks(start):
    assert_reverse_mode_agrees(range(start, start + CHUNK))


def test_a_seed_always_gives_the_same_network():
    first, second = randomgraphs.graph(7), randomgraphs.graph(7)
    assert first.root is second.root
    assert all(np.array_equal(first.given[x], second.given[x]) for x in second.given)


def test_random_networks_use_every_operation():
    roots = [randomgraphs.graph(seed).root for seed in range(ENOUGH)]
    used = {node.op for node in postorder(*roots)}
    within = {"uniform"}  # stands in the definition of dropout as well
    assert set(OPS) - used - within == set()


def test_random_networks_share_nodes_and_broadcast():
    shared = broadcast = ones = 0
    for seed in range(50):
        uses = {}
        for node in postorder(randomgraphs.graph(seed).root):
            broadcast += len({x.axes for x in node.inputs}) > 1
            for x in node.inputs:
                uses[x] = uses.get(x, 0) + 1
        shared += sum(n > 1 for x, n in uses.items() if x.inputs)
        ones += any(1 in a.shape for a in randomgraphs.graph(seed).given.values())
    assert min(shared, broadcast, ones) > 25


@pytest.mark.parametrize("op", ["tanh", "contract", "softmax", "gather", "cross_entropy", "expand"])
def test_a_wrong_rule_shows_on_the_first_networks_that_use_it(op):
    def wrong(g, y, *xs, **attrs):
        return [
            None if part is None else 1.001 * part
            for part in OPS_BEFORE[op].vjp(g, y, *xs, **attrs)
        ]

    with replaced(dataclasses.replace(OPS[op], vjp=wrong)):
        graphs = [randomgraphs.graph(seed) for seed in range(60)]
        concerned = [g for g in graphs if op in {node.op for node in postorder(g.root)}]
        assert sum(randomgraphs.mismatch(g) > randomgraphs.ROUNDINGS for g in concerned) > 3


OPS_BEFORE = dict(OPS)


def test_a_seed_is_replayed_with_its_graph_its_code_and_both_derivatives():
    text = randomgraphs.replay(3)
    assert "seed 3" in text
    assert "def random_graph(" in text
    assert "derivative: engine" in text
