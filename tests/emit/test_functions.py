"""Functions of the machine code: within 2 ULP, and the same bits however they are compiled."""

import ctypes

import numpy as np
import pytest

from chainrule.emit.llvm import functions, tables
from chainrule.emit.llvm.functions import BOUND_ULP, FUNCTIONS, WORST, c_name
from chainrule.emit.llvm.lanes import c_function, c_prelude
from chainrule.emit.llvm.values import SCALARS
from chainrule.expr import input_
from chainrule.ops import OPS
from chainrule.plan.program import program
from chainrule.run import jit
from chainrule.run.machine import Machine
from tests.emit import judge
from tests.emit.cfiles import compiled
from tests.emit.vectors import REALS, vectors

STATED_DIGITS = 1e-4  # WORST is stated with four digits, rounded up
EVERY = pytest.mark.parametrize("function", FUNCTIONS)
# Computed by one instruction or by comparing: held to NumPy's bits below.
EXACT = set("add sub mul div neg sqrt abs sign maximum minimum where gt ge lt le eq".split())
POINTS, SLOW_POINTS = 500, 20_000  # of each of the six kinds of float64 inputs


@pytest.fixture(scope="module")
def compiled32():
    return vectors(np.float32)


@pytest.fixture(scope="module")
def compiled64():
    return vectors(np.float64)


def assert_within(worst, function, bound):
    ulp, where = worst
    assert ulp <= bound, f"{function}({where!r} = {where.hex()}) is off by {ulp:.4f} ULP"


@EVERY
def test_float32_results_are_as_near_as_stated_on_a_sample_of_2_to_the_24(function, compiled32):
    assert WORST[function].float32 <= BOUND_ULP
    found = judge.worst(compiled32, function, judge.sample(seed=list(FUNCTIONS).index(function)))
    assert_within(found, function, WORST[function].float32)


@pytest.mark.slow
@EVERY
def test_float32_results_are_as_near_as_stated_on_all_2_to_the_32(function, compiled32):
    found = judge.worst(compiled32, function, judge.floats(0, 1 << 32))
    assert_within(found, function, WORST[function].float32)
    assert found[0] > WORST[function].float32 - STATED_DIGITS, f"it is better: {found}"


@EVERY
def test_the_largest_error_is_where_it_is_stated(function, compiled32):
    x = np.full(64, float.fromhex(WORST[function].at), np.float32)
    ulp = judge.exact_error(function, x[0], compiled32(function, x)[0], np.float32)
    assert WORST[function].float32 - STATED_DIGITS < ulp <= WORST[function].float32


def assert_float64_is_near(compiled64, function, points, seed):
    x = judge.doubles(points, seed)
    y = compiled64(function, x)
    found = (judge.exact_error(function, a, b, np.float64) for a, b in zip(x, y, strict=True))
    assert_within(max(zip(found, x.tolist(), strict=True)), function, WORST[function].float64)


@EVERY
def test_float64_results_are_as_near_as_stated_on_a_sample(function, compiled64):
    assert WORST[function].float64 <= BOUND_ULP
    assert_float64_is_near(compiled64, function, POINTS, seed=1)


@pytest.mark.slow
@EVERY
def test_float64_results_are_as_near_as_stated_on_a_larger_sample(function, compiled64):
    assert_float64_is_near(compiled64, function, SLOW_POINTS, seed=2)


# The judge.


@EVERY
def test_what_float32_is_judged_by_is_right_to_a_millionth_of_an_ulp(function):
    draw = np.random.default_rng(5)
    near = draw.choice(judge.around(judge.breakpoints(32), 3), 2000)
    some = draw.integers(0, 1 << 32, 1000, dtype=np.uint32).view(np.float32)
    usual = draw.uniform(-20, 20, 1000).astype(np.float32)
    worst = np.full(1, float.fromhex(WORST[function].at), np.float32)
    for x in np.concatenate([near, some, usual, worst, judge.specials(np.float32)]).tolist():
        wanted = judge.exact(function, x)
        with np.errstate(all="ignore"):
            found = float(judge.REFERENCES[function](np.array([x]))[0])
        if judge.mp.isnan(wanted) or judge.mp.isinf(wanted) or wanted == 0:
            assert found == wanted or np.isnan([found, float(wanted)]).all(), x
        elif abs(wanted) >= 2.0**128:
            assert found >= 2.0**128, x
        else:
            off = abs(judge.mp.mpf(found) - wanted)
            assert off <= 1e-6 * judge.ulp(float(wanted), np.float32), x


def test_the_judge_counts_steps_between_numbers():
    x = np.array([1.0, 1.5, -3.7, 3e38, 1.2e-38, 1e-38, 1e-42, 0.97], np.float64)
    nearest = x.astype(np.float32)
    assert np.all(judge.errors(nearest, x) <= 0.5)
    for steps in (1, 2, 5):
        away = (nearest.view(np.int32) + np.int32(steps)).view(np.float32)
        assert np.all(np.abs(judge.errors(away, x) - steps) <= 0.5)


@pytest.mark.parametrize(
    ("got", "wanted", "error"),
    [
        (np.nan, np.nan, 0),
        (np.inf, np.inf, 0),
        (-0.0, -0.0, 0),
        (np.inf, 3.4028235e38, 1),
        (np.finfo(np.float32).max, 2.0**128, 1),
        (0.0, 1e-46, 1e-46 * 2.0**149),
        (1.0, np.nan, judge.WRONG),
        (np.nan, 1.0, judge.WRONG),
        (0.0, -0.0, judge.WRONG),
        (-1.0, 1.0, judge.WRONG),
        (np.inf, 1.0, judge.WRONG),
        (np.finfo(np.float32).max, np.inf, judge.WRONG),
        (1e-45, 0.0, judge.WRONG),
        (np.inf, -np.inf, judge.WRONG),
    ],
)
def test_the_judge_knows_right_from_wrong_at_edges(got, wanted, error):
    found = judge.errors(np.array([got], np.float32), np.array([wanted], np.float64))
    assert found[0] == pytest.approx(error)


MADE_OF = {
    "exp": "EXP",
    "log": "LOG",
    "log1p": "LOG",
    "expm1": "EXPM1",
    "tanh": "TANH",
    "sigmoid": "EXP",
    "softplus": "LOG",
    "erf": "ERF",
    "gelu": "TAIL",
}


@EVERY
def test_a_coefficient_that_is_off_in_its_last_bits_is_found(function, monkeypatch):
    table = getattr(tables, MADE_OF[function])
    first, *others = table[32]
    wrong = float(np.float32(first * (1 + 2.0**-19)))  # in the last of 24 bits by at most 32
    monkeypatch.setitem(table, 32, (wrong, *others))
    ulp, _ = judge.worst(vectors(np.float32), function, judge.sample(seed=3, stride=1 << 14))
    assert ulp > WORST[function].float32
    assert ulp < 20 * BOUND_ULP, "the planted error is to be small"


# The same bits everywhere.


def points(dtype):
    """Random bits, where functions bend, and around breakpoints."""
    draw = np.random.default_rng(7)
    integer = np.dtype(f"u{np.dtype(dtype).itemsize}")
    bits = draw.integers(0, 1 << 8 * integer.itemsize, 20_000, dtype=np.uint64).astype(integer)
    near = judge.around(judge.breakpoints(8 * integer.itemsize), 2)
    spread = draw.uniform(-20, 20, 20_000).astype(dtype)
    return judge.whole(np.concatenate([bits.view(dtype), spread, near, judge.specials(dtype)]))


def assert_same_bits(got, wanted, what):
    """NaN may differ in what it carries."""
    assert np.array_equal(np.isnan(got), np.isnan(wanted)), what
    real = ~np.isnan(wanted)
    assert got[real].tobytes() == wanted[real].tobytes(), what


FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FLOATS
def test_kernels_contain_these_very_functions(dtype):
    x, k = points(dtype), input_("x", "k")
    alone = vectors(dtype)
    for function in set(FUNCTIONS) & set(SCALARS):
        machine = Machine(program("f", [k], {"": OPS[function](k)}, {}), threads=1)
        assert_same_bits(machine(x=x[:-3])[0], alone(function, x)[:-3], function)


@FLOATS
@pytest.mark.parametrize("lanes", [None, 2, 4, 8, 16])
def test_vectors_of_any_width_have_the_same_bits_in_every_lane(lanes, dtype):
    x, usual, other = points(dtype), vectors(dtype), vectors(dtype, lanes)
    for function in FUNCTIONS:
        wanted = usual(function, x)
        for shift in (0, 1, 5):
            got = other(function, np.roll(x, shift))
            assert_same_bits(got, np.roll(wanted, shift), f"{function}, {shift}")


@FLOATS
def test_a_processor_without_fused_multiply_add_gives_the_same_bits(dtype, monkeypatch):
    x, usual = points(dtype), vectors(dtype)
    monkeypatch.setattr(jit, "host", lambda: jit.Host("generic", "", 16, 16))
    plain = vectors(dtype)
    for function in FUNCTIONS:
        assert_same_bits(plain(function, x), usual(function, x), function)


@FLOATS
def test_printed_c_has_the_bits_of_the_machine_code(dtype, tmp_path):
    real, x, usual = REALS[np.dtype(dtype)], points(dtype), vectors(dtype)
    parts = ["#include <math.h>\n#include <stdint.h>\n#include <string.h>\n", c_prelude(real)]
    for function, describe in FUNCTIONS.items():
        name, head = c_name(function, real), f"void {function}_all(const {{0}} *x, {{0}} *y, int n)"
        head = head.format(real.c)
        parts += [c_function(name, describe, real), f"{head};\n{head} {{"]
        parts += [f"  for (int i = 0; i < n; ++i) y[i] = {name}(x[i]);\n}}"]
    library = ctypes.CDLL(str(compiled("\n".join(parts), tmp_path, "-ffp-contract=off")))
    for function in FUNCTIONS:
        y = np.empty_like(x)
        where = [ctypes.c_void_p(a.ctypes.data) for a in (x, y)]
        getattr(library, f"{function}_all")(*where, x.size)
        assert_same_bits(y, usual(function, x), function)


# What the machine code knows besides.


def test_every_operation_of_the_machine_code_has_a_bound_that_is_tested():
    assert set(SCALARS) == EXACT | {"pow"} | (set(FUNCTIONS) & set(SCALARS))
    assert set(WORST) == set(FUNCTIONS)
    assert set(functions.LIMITS) == {32, 64}


@FLOATS
@pytest.mark.parametrize("op", ["sqrt", "neg", "abs", "div", "mul", "add", "sub"])
def test_operations_of_one_instruction_are_rounded_correctly(op, dtype):
    x, y = points(dtype), np.roll(points(dtype), 12345)
    k = [input_(name, "k") for name in "xy"[: OPS[op].arity[1]]]
    machine = Machine(program("f", k, {"": OPS[op](*k)}, {}), threads=1)
    given = dict(zip("xy", (x, y)[: len(k)], strict=False))
    known = {"neg": np.negative, "div": np.divide, "mul": np.multiply, "sub": np.subtract}
    with np.errstate(all="ignore"):
        wanted = known.get(op, getattr(np, op, None))(*given.values())
    assert_same_bits(machine(**given)[0], wanted, op)


def test_powers_are_within_the_bound():
    draw = np.random.default_rng(11)
    base = np.exp2(draw.uniform(-20, 20, 1 << 20)).astype(np.float32)
    power = draw.uniform(-6, 6, base.size).astype(np.float32)
    power[::8] = np.round(power[::8] * 2) / 2
    a, b = input_("a", "k"), input_("b", "k")
    found = Machine(program("f", [a, b], {"": OPS["pow"](a, b)}, {}), threads=1)(a=base, b=power)[0]
    wanted = base.astype(np.float64) ** power.astype(np.float64)
    assert judge.errors(found, wanted).max() <= BOUND_ULP
