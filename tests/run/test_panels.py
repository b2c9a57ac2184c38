"""Products large enough to copy columns of their right side first, with sizes that leave rests."""

import numpy as np
import pytest

from chainrule.expr import input_
from chainrule.ops import OPS, transpose
from chainrule.plan.program import program
from chainrule.run.machine import Machine
from tests.run.engines import with_little_effort

INPUTS = input_("A", "m n"), input_("B", "n k"), input_("C", "m k")


def outputs():
    """A product over features and one over examples, whose sums are taken leaf by leaf."""
    A, B, C = INPUTS
    return {"": A @ B, "over_examples": OPS["contract"](A, C, ("m",)), "turned": transpose(A @ B)}


def bound(left, right):
    """γ_K Σ|a||b| (Higham 2002, section 3.1): the error of any order of additions."""
    terms = left.shape[1]
    eps = np.finfo(left.dtype).eps
    return terms * eps * (np.abs(left) @ np.abs(right)).astype(float)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("m", [129, 133, 260, 1797])
@pytest.mark.parametrize("n", [97, 130])
def test_every_row_of_a_copied_panel_counts_once(m, n, threads, dtype, monkeypatch):
    if dtype == "float64":
        with_little_effort(monkeypatch)
    rng = np.random.default_rng([m, n])
    shapes = {"A": (m, n), "B": (n, 75), "C": (m, 75)}
    given = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    machine = Machine(program("products", INPUTS, outputs(), {}), threads)
    plan = machine.plan({"m": m, "n": n, "k": 75}, np.dtype(dtype).itemsize)
    assert any(shape.panel is not None for shape in plan.shapes)
    first, rest = machine(**given)
    A, B, C = (given[name].astype(float) for name in "ABC")
    assert np.all(np.abs(first - A @ B) <= bound(given["A"], given["B"]))
    np.testing.assert_array_equal(rest["turned"], first.T)
    error = np.abs(rest["over_examples"] - A.T @ C)
    assert np.all(error <= bound(given["A"].T, given["C"]))
