"""Every operation record against the oracles: values, derivatives, edges, wrong calls."""

import dataclasses

import numpy as np
import pytest

from chainrule.errors import DataError, DTypeError, ParameterError, ShapeError
from chainrule.expr import input_
from chainrule.ops import OPS
from chainrule.ops.record import Op, register
from tests.ops import assertions
from tests.ops.cases import RANDOM, SIZES, axes_of, case, layout_ids, run
from tests.ops.kinks import KINKS, assert_kink
from tests.oracles.textbook import evaluate

NAMES = list(OPS)
LAYOUTS = [pytest.param(name, i, id=f"{name}-{i}") for name, i in layout_ids()]
TYPED = [
    pytest.param(name, i, dtype, id=f"{name}-{i}-{dtype.__name__}")
    for name, i in layout_ids()
    for dtype in (np.float64, np.float32)
    if dtype is np.float64 or name not in RANDOM
]


@pytest.mark.seed("003-18", "003-22")
@pytest.mark.parametrize(("op", "index", "dtype"), TYPED)
def test_value_is_what_the_textbook_says(op, index, dtype):
    assertions.assert_value(op, index, dtype=dtype)


@pytest.mark.seed("003-18", "003-22", "000-24")
@pytest.mark.parametrize(("op", "index", "dtype"), TYPED)
def test_derivative_agrees_with_dual_numbers(op, index, dtype):
    assertions.assert_first_order(op, index, dtype=dtype)


@pytest.mark.seed("003-22")
@pytest.mark.parametrize(("op", "index"), [p for p in LAYOUTS if p.values[0] != "stop_gradient"])
def test_derivative_agrees_with_complex_step_and_central_differences(op, index):
    assertions.assert_first_order_by_steps(op, index)


@pytest.mark.parametrize(("op", "index", "dtype"), TYPED)
def test_second_derivative_agrees_with_duals_of_duals(op, index, dtype):
    assertions.assert_second_order(op, index, dtype=dtype)


@pytest.mark.parametrize(("op", "index"), LAYOUTS)
def test_second_derivative_agrees_with_differences_of_complex_steps(op, index):
    assertions.assert_second_order_by_steps(op, index)


@pytest.mark.parametrize(("op", "index"), LAYOUTS)
def test_definition_in_primitives_has_the_derivative_of_the_short_rule(op, index):
    assertions.assert_body_judges_vjp(op, index)


SMALL = [
    pytest.param(name, i, ((axis, 1),), id=f"{name}-{i}-{axis}=1")
    for name, i in layout_ids()
    for axis in axes_of(name, i)
] + [
    pytest.param(name, i, tuple((axis, 1) for axis in axes_of(name, i)), id=f"{name}-{i}-all=1")
    for name, i in layout_ids()
    if len(axes_of(name, i)) > 1
]


@pytest.mark.parametrize(("op", "index", "sizes"), SMALL)
def test_axes_of_size_one(op, index, sizes):
    assertions.assert_value(op, index, sizes)
    assertions.assert_first_order(op, index, sizes)
    assertions.assert_second_order(op, index, sizes)


EMPTY = [
    pytest.param(name, i, axis, id=f"{name}-{i}-{axis}=0")
    for name, i in layout_ids()
    for axis in axes_of(name, i)
]
CHOOSE = ("max", "min", "argmax", "softmax", "log_softmax", "logsumexp")  # undefined for no entries


def needs_an_entry(op, index, axis):
    """Whether the result is undefined when `axis` has no entries."""
    node = case(op, index).node
    attrs = dict(node.attrs)
    if op in (*CHOOSE, "mean"):
        return axis in attrs["over"]
    return attrs.get("reduction") == "mean" and attrs.get("examples") == axis


@pytest.mark.parametrize(("op", "index", "axis"), EMPTY)
def test_empty_axes(op, index, axis):
    sizes = ((axis, 0),)
    if needs_an_entry(op, index, axis):
        c = case(op, index, sizes)
        with pytest.raises(DataError, match="at least 1 is required"):
            run([c.node], c.given)
        if OPS[op].vjp:
            with pytest.raises(DataError, match="at least 1 is required"):
                run(*assertions.first_order(c))
        return
    assertions.assert_value(op, index, sizes)
    assertions.assert_first_order(op, index, sizes)
    assertions.assert_second_order(op, index, sizes)


@pytest.mark.parametrize("op", [name for name in NAMES if OPS[name].edges])
def test_values_and_slopes_at_kinks_and_infinities(op):
    assertions.assert_edges(op)


ONE_NUMBER = [name for name in NAMES if assertions.is_function_of_one_number(name)]
# products of which one factor becomes infinite and the other 0: NaN there, as in IEEE 754
PRODUCTS = ("gelu", "gelu_tanh", "silu")


@pytest.mark.parametrize("op", [name for name in ONE_NUMBER if name not in PRODUCTS])
def test_functions_of_one_number_state_what_they_are_at_infinity(op):
    stated = {edge.x for edge in OPS[op].edges}
    defined = {-np.inf, np.inf} if OPS[op].domain[0][0] < -1 else {np.inf}
    assert defined <= stated


@pytest.mark.parametrize("op", PRODUCTS)
def test_products_have_their_limits_far_out_and_no_value_at_infinity(op):
    assert assertions.value_and_slope(op, 1e4) == (1e4, 1)
    assert assertions.value_and_slope(op, -1e4) == (0, 0)
    assert np.isnan(assertions.value_and_slope(op, -np.inf)[0])


@pytest.mark.parametrize("op", NAMES)
def test_second_derivatives_far_out_are_numbers(op):
    assertions.assert_second_derivative_far_out(op)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kink", KINKS, ids=str)
def test_values_and_slopes_at_ties_zeros_and_infinities(kink, dtype):
    assert_kink(kink, dtype)


CHOOSES = ("where", "gt", "ge", "lt", "le", "eq", "argmax", "one_hot", "uniform")


@pytest.mark.parametrize(("op", "index"), [p for p in LAYOUTS if p.values[0] not in CHOOSES])
def test_what_is_not_a_number_stays_so(op, index):
    c = case(op, index)
    for x in c.real:
        given = {**c.given, x: np.full_like(c.given[x], np.nan)}
        (value,) = run([c.node], given)
        mixes = op not in ("pad", "concat", "scatter_add")
        assert np.isnan(value).all() if mixes else np.isnan(value).any()


MISTAKES = [
    pytest.param(name, i, id=f"{name}-{i}")
    for name in NAMES
    for i in range(len(OPS[name].mistakes))
]


@pytest.mark.parametrize(("op", "index"), MISTAKES)
def test_wrong_calls_say_what_is_wrong(op, index):
    mistake = OPS[op].mistakes[index]
    inputs = [input_(f"x{i}", text) for i, text in enumerate(mistake.inputs)]
    with pytest.raises((ShapeError, DTypeError, ParameterError)) as caught:
        OPS[op](*inputs, **mistake.attrs)
    assert mistake.says in str(caught.value)
    expected = (
        DTypeError
        if " is int, expected" in mistake.says or "is float, expected" in mistake.says
        else None
    )
    assert expected is None or caught.type is expected


@pytest.mark.parametrize("op", NAMES)
def test_record_is_documented(op):
    record = OPS[op]
    assert record.summary.endswith(".") or record.summary.endswith("!).")
    assert record.source
    assert record.__doc__ == record.__doc__.strip()
    assert record.source in record.__doc__
    assert record.tex
    assert record.body is not None or record.name in _spelled()


def _spelled():
    from chainrule.emit.numpy_table import SPELLINGS

    return SPELLINGS


@pytest.mark.parametrize("field", ["summary", "tex", "source", "layouts", "mistakes"])
def test_a_record_without_a_field_cannot_exist(field):
    empty = () if field in ("layouts", "mistakes") else ""
    with pytest.raises(ParameterError, match=f"the record is incomplete: {field} missing"):
        dataclasses.replace(OPS["exp"], **{field: empty})


def test_a_record_without_a_derivative_says_why():
    with pytest.raises(ParameterError, match="no_gradient: why there is none"):
        dataclasses.replace(OPS["exp"], vjp=None)


def test_two_records_cannot_have_one_name():
    with pytest.raises(ParameterError, match="exp: an operation of this name exists"):
        register(OPS["exp"])


@pytest.mark.parametrize("op", NAMES)
def test_a_record_either_has_a_derivative_or_says_why_not(op):
    record: Op = OPS[op]
    assert (record.vjp is None) == bool(record.no_gradient)


# the textbook's formulas have no value there: log 0, 0/0
NOT_AT_ZERO = ("pow", "div", "log", "bce", "kl")
TRUTH = [
    name
    for name, record in OPS.items()
    if record.takes[0] == ("float", "bool") and name not in (*NOT_AT_ZERO, *RANDOM)
]


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", TRUTH)
def test_truth_values_count_as_0_and_1(op, dtype):
    for layout in OPS[op].layouts:
        texts = [t if t.split()[-1:] in (["int"], ["bool"]) else f"{t} bool" for t in layout.inputs]
        inputs = [input_(f"x{i}", text) for i, text in enumerate(texts)]
        node = OPS[op](*inputs, **layout.attrs)
        sizes = dict.fromkeys(SIZES, 2) | {axis: n for x in inputs for axis, n in x.sizes.items()}
        rng = np.random.default_rng(0)
        given = {}
        for x in inputs:
            shape = [sizes[axis] for axis in x.axes]
            given[x] = rng.random(shape) < 0.5 if x.kind == "bool" else rng.integers(0, 3, shape)
        # a real input says which float type is meant, and has the axes that are repeated along
        witness = input_("w", " ".join(node.axes) if op == "expand" else "")
        given[witness] = np.zeros([sizes[axis] for axis in witness.axes])
        wanted = evaluate([node], given)[node]
        (actual,) = run([node], given, dtype)
        np.testing.assert_allclose(
            actual, wanted, rtol=64 * np.finfo(dtype).eps, atol=64 * np.finfo(dtype).eps
        )
