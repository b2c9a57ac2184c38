"""Every derivative, made wrong in many ways, is found wrong by the public check."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from chainrule.check.evaluate import Graph
from chainrule.check.named import Array, Named, Run
from chainrule.check.operation import check_operation, operation_net, operation_point
from chainrule.ops import OPS, Op, replaced
from chainrule.ops.record import Layout
from tests.mutants import cotangents, mutants

AT_LEAST = 8
SEEDS = (0, 1)
WITH_DERIVATIVE = [name for name, op in OPS.items() if op.vjp]


def received(op: Op, layout: Layout, seed: int) -> list[Array]:
    """What each input receives at a random point."""
    g, inputs, parts = cotangents(op, layout)
    arrays = point(op.name, op.layouts.index(layout), seed)
    graph = Graph(parts, (*inputs, g))
    named = {x.name: Named(arrays[x.name], x.axes) for x in (*inputs, g)}
    found = graph(named, Run(graph.sizes(arrays)))
    return [x.at(root.axes).astype(float) for x, root in zip(found, graph.roots, strict=True)]


@functools.cache
def point(name: str, layout: int, seed: int) -> dict[str, Array]:
    op = OPS[name]
    return operation_point(op, operation_net(op, op.layouts[layout]), seed)


@functools.cache
def right(name: str, layout: int, seed: int) -> list[Array]:
    return received(OPS[name], OPS[name].layouts[layout], seed)


def differing(mutant: Op) -> Iterator[tuple[Layout, int]]:
    """Where the mutant is another function than the original: layouts and seeds of points."""
    for i, layout in enumerate(mutant.layouts):
        for seed in SEEDS:
            pairs = zip(received(mutant, layout, seed), right(mutant.name, i, seed), strict=True)
            if not all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs):
                yield layout, seed
                break


def outcome(mutant: Op, places: Iterable[tuple[Layout, int]], dtype: str = "float64") -> str:
    """Whether the mutant is "equal" (wrong nowhere), "found" or "missed"."""
    result = "equal"
    for layout, seed in places:
        with replaced(mutant):
            if not check_operation(mutant, layout, seed=seed, dtype=dtype).ok:
                return "found"
        result = "missed"
    return result


@pytest.mark.parametrize("name", WITH_DERIVATIVE)
def test_every_wrong_derivative_is_found(name: str) -> None:
    results = {what: outcome(mutant, differing(mutant)) for what, mutant in mutants(OPS[name])}
    assert [what for what, result in results.items() if result == "missed"] == []
    assert sum(result == "found" for result in results.values()) >= AT_LEAST


@pytest.mark.parametrize("name", WITH_DERIVATIVE)
def test_a_thousandth_too_much_is_found_in_float32(name: str) -> None:
    small = {what: m for what, m in mutants(OPS[name]) if "a thousandth" in what}
    results = {what: outcome(m, differing(m), "float32") for what, m in small.items()}
    assert [what for what, result in results.items() if result == "missed"] == []
    assert "found" in results.values()


@pytest.mark.seed("003-22")
@pytest.mark.parametrize("name", WITH_DERIVATIVE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_right_derivative_agrees_in_every_layout(name: str, dtype: str) -> None:
    op = OPS[name]
    for layout in op.layouts:
        for seed in SEEDS:
            report = check_operation(op, layout, seed=seed, dtype=dtype)
            assert report.ok, f"{layout}\n{report}"
