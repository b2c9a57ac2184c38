"""A suite is worth what it catches: wrong derivatives are planted, and the assertions must fail."""

import numpy as np
import pytest

from chainrule.ops import OPS, replaced
from tests.mutants import cotangents, mutants
from tests.ops.assertions import assert_record
from tests.ops.cases import run, shape_of

FEWEST = 8
SIZE = 3  # of every axis: values are drawn again for each layout, so one size is enough
SPECIAL = (0.0, 1.0, -1.0, 0.5, 2.0)  # kinks, ties and zeros of the records lie among them
DRAWS = 4


def is_caught(op, mutant):
    """Whether an assertion of the suite fails with the wrong rule in place of the right one."""
    with replaced(mutant):
        try:
            assert_record(op)
        except Exception:  # noqa: BLE001 - a crash is a discovery too
            return True
    return False


def outcomes(record, layout, draw):
    """What the inputs receive by this record's rule, at random or special points of one layout."""
    g, inputs, received = cotangents(record, layout)
    rng = np.random.default_rng(draw)
    sizes = {axis: SIZE for x in (g, *inputs) for axis in x.axes} | {"1": 1}
    for x in inputs:
        sizes |= x.sizes
    given = {x: _drawn(x, [sizes[axis] for axis in x.axes], rng, draw) for x in inputs}
    given[g] = _drawn(g, shape_of(record(*inputs, **layout.attrs), sizes), rng, draw)
    real = [e for e, x in zip(received, inputs, strict=True) if x.kind == "float"]
    return run(real, given)


def _drawn(x, shape, rng, draw):
    if x.kind == "bool":
        return rng.random(shape) < 0.5
    if x.kind == "int":
        return rng.integers(0, SIZE, shape)
    return rng.choice(SPECIAL, shape) if draw % 2 else rng.uniform(0.1, 0.9, shape)


def is_the_same_function(record, mutant):
    """Whether the changed rule gives what the right one gives, everywhere that is tried."""
    for layout in record.layouts:
        for draw in range(DRAWS):
            pairs = zip(outcomes(record, layout, draw), outcomes(mutant, layout, draw), strict=True)
            if not all(np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in pairs):
                return False
    return True


@pytest.mark.parametrize("op", [name for name, record in OPS.items() if record.vjp])
def test_every_wrong_derivative_is_caught(op):
    record = OPS[op]
    planted = mutants(record)
    missed = [(name, wrong) for name, wrong in planted if not is_caught(op, wrong)]
    assert len(planted) - len(missed) >= FEWEST
    escaped = [name for name, wrong in missed if not is_the_same_function(record, wrong)]
    assert not escaped, f"{op}: {escaped} go unnoticed"


def test_the_right_derivatives_pass():
    for op in OPS:
        assert_record(op)
