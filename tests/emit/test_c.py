"""Emitted C compiles without a warning and computes what the reference executor computes."""

import re
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.differentiate import reverse
from chainrule.emit.c.file import source
from chainrule.errors import ParameterError
from chainrule.expr import Definition, const, input_
from chainrule.io.load import load
from chainrule.netfile import parse_net
from chainrule.ops import OPS, sum_
from chainrule.plan.derived import derived
from chainrule.plan.program import program
from chainrule.plan.simplify import simplify
from chainrule.plan.sizes import all_sizes
from chainrule.run.reference import Reference
from chainrule.training.exported import gradients_as_c, prediction_as_c, step_as_c
from chainrule.training.optimizers import Optimizer
from chainrule.training.parameters import initial_values
from chainrule.training.step import Limits, training_step
from chainrule.training.task import task_of
from tests import randomgraphs
from tests.cli.conftest import NET
from tests.emit.cfiles import assert_runs_under_sanitizers, called, compiled, fuses_multiply_add

EPS32, EPS64 = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)
ROWS = 70  # two leaves of 32 examples and a part of one
RANDOM = range(40)  # seeds of random networks

ODD_LABELS = (
    '"""); os.system("x"); #',
    "*/ int broken(void) { return 1; } /*",
    "??/",
    "*",
    "CON",
    "\\",
    "line\nbreak",
    "\u202egnirts",
    "🙂" * 20,
    "int",
    "memcpy",
    "linux",
    "chainrule_exp_f64",
    "m_size",
)


@pytest.fixture(scope="module")
def digits():
    """All 1797 rows, and a network that was trained on them for a moment."""
    data = load("digits")
    X = np.asarray(data.X, np.float32)
    net = cr.mlp([64, 32, 10], activation="relu")
    run = cr.train(
        net, X, np.asarray(data.y), loss="cross_entropy", epochs=4, progress="off", dtype="float32"
    )
    return X, run


def test_the_digits_network_in_c_gives_the_same_class_for_every_row(digits, tmp_path):
    X, run = digits
    assert len(X) == 1797
    text = source(prediction_as_c(run))
    library = compiled(text, tmp_path)
    scores = np.full((len(X), 10), np.nan, np.float32)
    for x, out in zip(X, scores, strict=True):
        called(text, library, {"X": x, "out": out})
    assert np.array_equal(scores.argmax(axis=1), run.predict(X))
    size = np.abs(X) @ np.abs(run.params["W_1"])
    bound = 200 * EPS32 * (size + 1).max() * np.abs(run.params["W_2"]).sum(axis=0).max()
    assert np.abs(scores - run.scores(X)).max() <= bound


def test_all_rows_can_be_predicted_in_one_call(digits, tmp_path):
    X, run = digits
    text = source(prediction_as_c(run, batch=len(X)))
    scores = np.full((len(X), 10), np.nan, np.float32)
    called(text, compiled(text, tmp_path), {"X": X, "out": scores})
    assert np.array_equal(scores.argmax(axis=1), run.predict(X))


def test_weights_are_written_with_every_bit(digits):
    text = source(prediction_as_c(digits[1]))
    literals = re.search(r"W_1\[2048\] = \{\n(.*?)\};", text, re.DOTALL)[1]
    found = [float.fromhex(word.rstrip("f")) for word in re.findall(r"[^\s,]+", literals)]
    assert np.array_equal(np.float32(found), digits[1].params["W_1"].ravel())


def relu_net():
    return cr.mlp([9, 7, 4], activation="relu", dropout=0.25), "cross_entropy"


def sigmoid_net():
    return cr.mlp([9, 7, 1], activation="sigmoid"), "mse"


def columns_net():
    return NET, None


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize(
    ("net", "rule", "limits"),
    [
        (relu_net, "adam", Limits(l2=0.1, clip_norm=1.0)),
        (sigmoid_net, "sgd:lr=0.5", Limits()),
        (columns_net, "momentum:lr=0.1", Limits(weight_decay=0.01)),
    ],
)
def test_training_steps_in_c_change_weights_as_the_reference_does(
    net, rule, limits, itemsize, tmp_path
):
    definition, loss = net()
    task, optimizer = task_of(definition, loss), Optimizer.of(rule)
    step = training_step(task, optimizer, limits)
    given = {"n": 9, "k": 7} if net is columns_net else {}
    sizes, missing = all_sizes(step.program.inputs, {**given, "m": ROWS})
    assert missing == []
    text = source(step_as_c(task, optimizer, limits, sizes, itemsize))
    library = compiled(text, tmp_path)
    rng, dtype = np.random.default_rng(3), np.dtype(f"f{itemsize}")
    values = initial_values(task, sizes, {}, 5, dtype)
    values |= {slot: np.zeros_like(values[name]) for slot, name in step.state.items()}
    for x in (task.X, task.y):
        shape = [sizes[a] for a in x.axes]
        entries = rng.normal(size=shape) if x.kind == "float" else rng.integers(0, 4, shape)
        values[x.name] = entries.astype(dtype if x.kind == "float" else np.int64)
    reference = Reference(step.program)
    in_c = {name: np.array(value) for name, value in values.items()}
    state = [name for name, _ in step.program.outputs if name in values]
    for t in range(1, 6):
        of_step = {step.t: np.float64(t), step.eta: np.float64(optimizer.lr)}
        of_step |= {"key": np.array(17 + t)} if task.uses_key else {}
        value, found = reference.run({**values, **of_step})
        values |= {name: found[name] for name in state}
        in_c["loss"] = np.full(1, np.nan, dtype)
        called(text, library, {**in_c, **of_step})
        eps = EPS32 if itemsize == 4 else EPS64
        assert in_c["loss"][0] == pytest.approx(float(value), rel=1e3 * eps)
        for name in state:
            size = np.abs(values[name]).max() + optimizer.lr
            assert np.abs(in_c[name] - values[name]).max() <= 1e3 * eps * size, name


def gradients(g):
    """Value and gradients of a random network as a Program, and the sizes of its axes."""
    received = reverse(g.root, g.real).wrt
    simple = simplify([g.root, *received.values()])
    outputs = {"": simple[g.root], **{x.name: simple[received[x]] for x in g.real}}
    sizes = {axis: n for x, a in g.given.items() for axis, n in zip(x.axes, a.shape, strict=True)}
    return program("random_graph", list(g.given), outputs, {}), sizes


def in_c(p, arrays, sizes, folder):
    """Loss and gradients of a Program, as its C computes them in double precision."""
    text = source(gradients_as_c(p, sizes, 8))
    folder.mkdir(exist_ok=True)
    found = {"loss": np.full(1, np.nan)}
    found |= {f"d{name}": np.full_like(arrays[name], np.nan) for name, _ in p.outputs[1:]}
    called(text, compiled(text, folder, "-O0"), {**arrays, **found})
    return found


@pytest.mark.parametrize("largest", [4, 80])
def test_random_networks_in_c_agree_with_the_reference(largest, tmp_path):
    for seed in RANDOM[:: 1 if largest == 4 else 4]:
        g = randomgraphs.graph(seed, largest)
        p, sizes = gradients(g)
        arrays = {x.name: a for x, a in g.given.items()}
        value, grads = Reference(p)(**arrays)
        found = in_c(p, arrays, sizes, tmp_path / str(seed))
        expected = {"loss": value, **{f"d{name}": grad for name, grad in grads.items()}}
        for name, right in expected.items():
            off = np.abs(found[name] - right).max() / (1e-3 + np.abs(right).max())
            assert off < 1e4 * EPS64, f"seed {seed}, {name}: off by {off:.3g}"


@pytest.mark.parametrize("what", ["predict", "step", "random"])
def test_every_access_and_operation_is_defined(what, digits, tmp_path):
    if what == "predict":
        call = prediction_as_c(digits[1])
    elif what == "step":
        task = task_of(*relu_net())
        call = step_as_c(task, Optimizer("adam"), Limits(), {"m": ROWS}, 4)
    else:
        p, sizes = gradients(randomgraphs.graph(11))
        call = gradients_as_c(p, sizes, 8)
    assert_runs_under_sanitizers(source(call), tmp_path)


@pytest.mark.parametrize("net", [relu_net, sigmoid_net])
def test_c_has_the_bits_of_the_machine_code_where_multiply_add_is_fused(net, tmp_path):
    if not fuses_multiply_add("-march=native"):
        pytest.skip("this processor or compiler has no fused multiply-add")
    pytest.importorskip("llvmlite")
    from chainrule.run.machine import Machine

    p = derived(task_of(*net()).definition).program
    sizes, _ = all_sizes(p.inputs, {"m": ROWS})
    rng, arrays = np.random.default_rng(2), {}
    for x in p.inputs:
        shape = [sizes[axis] for axis in x.axes]
        real = x.kind == "float"
        arrays[x.name] = np.float32(rng.normal(size=shape)) if real else rng.integers(0, 4, shape)
    value, grads = Machine(p, threads=1)(**arrays)
    text = source(gradients_as_c(p, sizes, 4))
    found = {f"d{name}": np.zeros_like(grad) for name, grad in grads.items()}
    found["loss"] = np.zeros(1, np.float32)
    library = compiled(text, tmp_path, "-march=native", "-ffp-contract=off")
    called(text, library, {**arrays, **found})
    assert found["loss"][0] == value
    assert all(np.array_equal(found[f"d{name}"], grad) for name, grad in grads.items())


def line(labels):
    """exp(Σ label · x), with any text for labels."""
    inputs = [input_(label, "m") for label in labels]
    total = const(0)
    for i, x in enumerate(inputs):
        total = total + (0.01 + 0.001 * i) * sum_(x * x)
    named = tuple((f"{label} again", x * x) for label, x in zip(labels, inputs, strict=True))
    return Definition(labels[0], OPS["exp"](total), tuple(inputs), named)


def test_no_label_breaks_out_of_comments_or_identifiers(tmp_path):
    definition = line(ODD_LABELS)
    p = derived(definition).program
    text = source(gradients_as_c(p, {"m": 2}, 8))
    library = compiled(text, tmp_path)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert code.isascii()
    assert not re.search(r"system\(|\bbroken\b|[\"'\\]|\?\?", code)
    assert all(c.isprintable() or c == "\n" for c in text)
    names = re.findall(r"^    (?:const )?double \*restrict (\w+)[,)] /\*", text, re.MULTILINE)
    assert len(set(names)) == len(names) == 2 * len(ODD_LABELS) + 1
    arrays = {name: np.ones(2) for name in names}
    called(text, library, arrays)
    expected = np.exp(sum(2 * (0.01 + 0.001 * i) for i in range(len(ODD_LABELS))))
    assert arrays["loss"][0] == pytest.approx(expected)


def test_a_chain_of_ten_thousand_operations_is_written(tmp_path):
    x = input_("x", "m")
    value = x
    for i in range(10_000):
        value = value + 1.0 if i % 2 else value * 0.5
    p = program("chain", [x], {"": sum_(value)}, {})
    found = in_c(p, {"x": np.ones(3)}, {"m": 3}, tmp_path)
    assert found["loss"][0] == pytest.approx(float(Reference(p)(x=np.ones(3))[0]))


def test_an_axis_without_a_size_is_named():
    p = derived(task_of(NET, None).definition).program
    with pytest.raises(ParameterError, match=r"axes k, n, m\. Give it: --sizes k=32,n=32,m=32"):
        gradients_as_c(p, {}, 4)


def test_a_network_with_another_name_gives_a_function_with_another_name():
    task = task_of(*sigmoid_net())
    other = replace(task, definition=replace(task.definition, name="own net"))
    text = source(step_as_c(other, Optimizer("sgd"), Limits(), {"m": 2}, 4))
    assert "void own_net_step(" in text


@pytest.mark.parametrize("name", ["f", "x0", "e", "u"])
def test_an_array_may_be_called_what_a_number_ends_with(name, tmp_path):
    statement = f"input {name}: n\ninput X: n m\ninput y: m\nreturn mse(sigmoid({name} @ X), y)"
    found = derived(parse_net(statement), [name]).program
    assert compiled(source(gradients_as_c(found, {"n": 3, "m": 4}, 4)), tmp_path)
