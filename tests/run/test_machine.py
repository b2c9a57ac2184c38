"""Compiled code against the reference executor: random networks, every record, edge values."""

import itertools

import numpy as np
import pytest

from chainrule.differentiate import reverse
from chainrule.errors import ChainruleError
from chainrule.expr import input_
from chainrule.ops import OPS
from chainrule.plan.program import program
from chainrule.run.machine import Machine
from chainrule.run.reference import Reference
from tests import randomgraphs
from tests.ops.assertions import assert_close, first_order
from tests.ops.cases import case, layout_ids
from tests.run import agreement
from tests.run.engines import with_little_effort

SEEDS, SLOW_SEEDS = 5_000, 50_000
CHUNK, SLOW_CHUNK = 100, 500  # seeds in one test: workers share the chunks
# Every so many networks have as many steps as any, and the others few: what goes wrong needs two or
# three neighbours more often than twenty, and a network of few steps takes half of the time.
LONG, FEW_STEPS = 5, 8
FULL_EFFORT = 20  # every so many the compiler works as hard as it does for users,
LARGE = 21  # and every so many have axes long enough for whole vectors and leaves of examples
LARGEST = 40


def assert_compiled_agrees(seeds, long, monkeypatch):
    """With 1 to 3 threads and either float type in turn; every `long`-th network is a long one."""
    for seed in seeds:
        dtype, threads = ("float32", "float64")[seed % 2], 1 + seed % 3
        largest = LARGEST if seed % LARGE == 0 else 4
        steps = FEW_STEPS if seed % long else randomgraphs.MOST_STEPS
        with monkeypatch.context() as m:
            if seed % FULL_EFFORT:
                with_little_effort(m)
            c = agreement.case(seed, dtype, largest, steps)
            off = agreement.mismatches(c, dtype, threads)
        how = f"{dtype}, {threads} threads, largest {largest}, at most {steps} steps"
        assert not off, f"seed {seed}, {how}: {off}"


@pytest.mark.seed("000-24", "003-06")
@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_compiled_and_reference_agree_on_random_networks(start, monkeypatch):
    assert_compiled_agrees(range(start, start + CHUNK), LONG, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, SLOW_SEEDS, SLOW_CHUNK))
def test_compiled_and_reference_agree_on_many_long_random_networks(start, monkeypatch):
    assert_compiled_agrees(range(start, start + SLOW_CHUNK), 1, monkeypatch)


def test_the_comparison_finds_an_error_in_the_fifth_digit_of_one_entry(monkeypatch):
    """A tolerance that accepts everything would also pass the tests above."""
    found = 0
    run = Reference.run

    def wrong(self, arrays):
        first, rest = run(self, arrays)
        name = max(rest, key=lambda n: np.abs(rest[n]).max(initial=0.0))
        rest[name].flat[np.abs(rest[name]).argmax()] *= 1 + 1e-5
        return first, rest

    monkeypatch.setattr(Reference, "run", wrong)
    with_little_effort(monkeypatch)
    for seed in range(20):
        found += bool(agreement.mismatches(agreement.case(seed, "float64"), "float64", 1))
    assert found == 20


def executors(outputs, given, dtype, threads=2):
    """Compiled code and the reference, each with what to call it with."""
    named = {str(i) if i else "": x for i, x in enumerate(outputs)}
    arrays = {x.name: np.asarray(a, dtype if x.kind == "float" else None) for x, a in given.items()}
    whole = program("f", list(given), named, {})
    return (Machine(whole, threads), arrays), (Reference(whole), arrays)


def both(outputs, given, dtype, threads=2):
    """What compiled code and the reference give, in order."""
    for executor, arrays in executors(outputs, given, dtype, threads):
        first, rest = executor(**arrays)
        yield [first, *rest.values()]


SMALL = ()
WIDE = (("k", 19), ("m", 70), ("n", 5))  # whole vectors and a rest, two leaves of examples and one


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sizes", [SMALL, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize(("op", "index"), layout_ids())
def test_every_operation_in_every_layout_gives_what_the_reference_gives(
    op, index, sizes, dtype, monkeypatch
):
    if dtype is np.float64:
        with_little_effort(monkeypatch)  # optimised code is seen in the type that users train in
    c = case(op, index, sizes)
    outputs, given = [c.node], c.given
    if c.real:
        gradients, given = first_order(c)
        outputs += gradients
    compiled, reference = both(outputs, given, dtype)
    for got, wanted, x in zip(compiled, reference, outputs, strict=True):
        assert got.dtype == wanted.dtype or x.kind == "bool"
        wanted = wanted.astype(got.dtype)
        scale = np.abs(wanted).max(initial=1.0)
        assert_close(got, wanted, scale, eps=np.finfo(dtype).eps, what=f"{op} {index}")


@pytest.mark.parametrize("threads", [1, 2])
def test_products_with_empty_axes_are_those_of_the_reference(threads, monkeypatch):
    """Nothing where a result has no entries, 0 where there is nothing to add up."""
    with_little_effort(monkeypatch)
    A, B = input_("A", "k n"), input_("B", "n m")
    product = OPS["contract"](A, B, ("n",))
    rng = np.random.default_rng(0)
    for k, n, m in itertools.product((0, 5), repeat=3):
        given = {A: rng.normal(size=(k, n)), B: rng.normal(size=(n, m))}
        compiled, reference = both([product, OPS["exp"](A)], given, "float64", threads)
        for got, wanted in zip(compiled, reference, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize(("op", "index"), layout_ids())
def test_every_operation_with_an_empty_axis_gives_or_says_what_the_reference_does(
    op, index, monkeypatch
):
    with_little_effort(monkeypatch)
    for axis in sorted({a for x in case(op, index).given for a in x.axes}):
        c = case(op, index, ((axis, 0),))
        outputs, given = [c.node], c.given
        if c.real:
            gradients, given = first_order(c)
            outputs += gradients
        compiled, reference = (outcome(*run) for run in executors(outputs, given, "float64"))
        assert len(compiled) == len(reference), f"{compiled} for {reference}"
        for got, wanted in zip(compiled, reference, strict=True):
            if isinstance(wanted, str):
                assert got == wanted
            else:
                assert got.shape == wanted.shape
                np.testing.assert_allclose(got, wanted, rtol=1e-9)


def outcome(executor, arrays):
    """Results in order, or the words of the refusal."""
    try:
        first, rest = executor(**arrays)
    except ChainruleError as error:
        return [str(error)]
    return [first, *rest.values()]


def edges(dtype):
    """Numbers at which functions break: signed zeros, subnormals, ends of the range, NaN."""
    info = np.finfo(dtype)
    tiny, small, big = info.smallest_subnormal, info.tiny, info.max
    sizes = [0.0, tiny, 3 * tiny, small / 2, small, info.eps, 0.3, 0.5, 1.0, 1.5, 2.0, 7.0, 30.0]
    sizes += [88.0, 89.5, 104.5, 709.5, 746.5, 1e4, big / 2, big, np.inf]
    return np.array([s * x for x in sizes for s in (1, -1)] + [np.nan], dtype)


UNARY = (
    "neg exp log log1p expm1 sqrt tanh erf sigmoid softplus abs sign square relu silu log_sigmoid "
    "leaky_relu elu selu"  # gelu, which cancels in NumPy, is judged in tests/emit/test_functions.py
).split()
# NumPy leaves open which of two zeros is the larger one, and these are made of it.
EITHER_ZERO = "maximum minimum relu leaky_relu elu selu".split()
BINARY = "add sub mul div pow maximum minimum gt ge lt le eq".split()


def assert_same_at_edges(got, wanted, dtype, ulps, what):
    """NaN where NaN is wanted, zeros with their sign, else within so many ULP (of a normal)."""
    assert got.dtype == wanted.dtype
    got, wanted = got.astype(float), wanted.astype(float)
    assert np.array_equal(np.isnan(got), np.isnan(wanted)), what
    zeros = (wanted == 0) & (got == 0) & (what not in EITHER_ZERO)
    assert np.array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros])), what
    with np.errstate(all="ignore"):
        same = (got == wanted) | np.isnan(wanted)
        unit = np.spacing(np.abs(wanted).astype(dtype)).astype(float)
        near = np.abs(got - wanted) <= ulps * unit
    assert np.all(same | near), f"{what}: {got[~(same | near)]} for {wanted[~(same | near)]}"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", UNARY)
def test_functions_at_edge_values_are_those_of_the_reference(op, dtype):
    x = input_("x", "k")
    compiled, reference = both([OPS[op](x, **OPS[op].layouts[0].attrs)], {x: edges(dtype)}, dtype)
    assert_same_at_edges(compiled[0], reference[0], dtype, ulps=8, what=op)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", BINARY)
def test_operations_on_pairs_of_edge_values_are_those_of_the_reference(op, dtype):
    x, y = input_("x", "k"), input_("y", "k")
    pairs = np.array(list(itertools.product(edges(dtype), repeat=2)), dtype)
    given = {x: pairs[:, 0], y: pairs[:, 1]}
    compiled, reference = both([OPS[op](x, y)], given, dtype)
    assert_same_at_edges(compiled[0], reference[0], dtype, ulps=2, what=op)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_truth_values_times_edge_values_are_those_of_the_reference(dtype):
    """0 · ∞ is not a number, and 0 · −5 is −0: so is the gradient that relu passes on."""
    x, y = input_("x", "k"), input_("y", "k")
    pairs = np.array(list(itertools.product([-1.0, 1.0, np.nan], edges(dtype))), dtype)
    given = {x: pairs[:, 0], y: pairs[:, 1]}
    received = reverse(OPS["sum"](OPS["relu"](x) * y), [x]).wrt[x]
    products = [OPS["gt"](x, 0) * y, y * OPS["gt"](x, 0), received]
    compiled, reference = both(products, given, dtype)
    for got, wanted in zip(compiled, reference, strict=True):
        assert_same_at_edges(got, wanted, dtype, ulps=0, what="mul")


@pytest.mark.parametrize("op", ["max", "min", "argmax"])
def test_extremes_of_rows_with_nan_ties_and_infinities_are_those_of_the_reference(op):
    x = input_("x", "m k")
    rows = [[1, np.nan, 2], [np.inf, -np.inf, 1], [-0.0, 0.0, -1], [3, 3, 3], [-np.inf] * 3]
    compiled, reference = both([OPS[op](x, "k")], {x: np.array(rows, float)}, float)
    np.testing.assert_array_equal(compiled[0], reference[0])


def test_calling_with_other_sizes_compiles_once_for_each():
    x = input_("x", "k")
    summed = Machine(program("f", [x], {"": OPS["sum"](x, ("k",))}, {}))
    for size in (3, 50, 3, 50):
        assert summed(x=np.ones(size))[0] == size
    assert summed._engine.cache_info().misses == 2
