"""The number of threads changes no bit of any result."""

import os

import numpy as np
import pytest

from chainrule.definition import with_loss
from chainrule.derivation import derive
from chainrule.errors import ParameterError
from chainrule.netfile import define
from chainrule.nn import mlp
from chainrule.ops.activations import tanh
from chainrule.ops.losses import mse
from chainrule.run import machine
from chainrule.training import training
from chainrule.training.loop import Loop
from tests.run.engines import data, sha, trained, with_little_effort

THREADS = (1, 2, 3, 8)
BATCHES = (1, 10, 33, 128, 1797)  # one leaf of 32 examples or less, leaves and a rest, many


def tied(W: "k=33 n", X: "n m", y: "n m"):
    """One matrix in two places, its second time transposed."""
    return mse(W.T @ tanh(W @ X), y)


NETS = {
    "relu_cross_entropy": with_loss(mlp([20, 33, 10], "relu"), "cross_entropy"),
    "sigmoid_mse": with_loss(mlp([20, 30, 10], "sigmoid"), "mse"),
    "deep_tanh": with_loss(mlp([20, 17, 17, 17, 10], "tanh"), "mse"),
}


def arrays_for(net, batch, dtype):
    """Random arrays for a definition whose examples are the axis m."""
    rng = np.random.default_rng(batch)
    sizes = {"m": batch}
    found = {}
    for x in net.inputs:
        shape = [x.sizes.get(a, sizes.get(a, 20)) for a in x.axes]
        if x.kind == "int":
            found[x.name] = rng.integers(0, 10, shape)
        else:
            found[x.name] = (rng.standard_normal(shape) / 3).astype(dtype)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", NETS)
def test_gradients_have_the_same_bits_for_1_2_3_and_8_threads(name, batch, dtype, monkeypatch):
    if dtype is np.float64:  # optimised code is seen in float32; sums are ordered before that
        with_little_effort(monkeypatch)
    d = derive(NETS[name])
    given = arrays_for(NETS[name], batch, dtype)
    found = set()
    for threads in THREADS:
        value, grads = d.compile(threads=threads)(**given)
        found.add(sha({"loss": value, **grads}))
    assert len(found) == 1


@pytest.mark.parametrize("batch", [1, 10, 33])
@pytest.mark.parametrize("optimizer", ["sgd:lr=0.1", "adam"])
def test_three_epochs_of_training_have_the_same_bits_for_1_2_3_and_8_threads(optimizer, batch):
    X, y = data(100, 20, 10)
    found = set()
    for threads in THREADS:
        net = mlp([20, 33, 10], "relu")
        options = {"optimizer": optimizer, "batch_size": batch, "epochs": 3, "l2": 1e-3}
        run = trained(net, X, y, threads=threads, loss="cross_entropy", **options)
        losses = np.array([entry["loss"] for entry in run.history])
        found.add(sha({**run.values, "losses": losses}))
    assert len(found) == 1


def test_training_all_rows_at_once_has_the_same_bits_for_1_2_3_and_8_threads():
    X, y = data(1797, 64, 10)
    net = mlp([64, 32, 10], "relu")
    options = {"loss": "cross_entropy", "batch_size": "all", "epochs": 3}
    runs = [trained(net, X, y, threads=threads, **options) for threads in THREADS]
    assert len({sha(run.values) for run in runs}) == 1


def test_a_shared_matrix_has_the_same_gradient_bits_for_1_2_3_and_8_threads():
    d = derive(define(tied))
    given = arrays_for(define(tied), 70, np.float32)
    found = {sha({"dW": d.compile(threads=n)(**given)[1]["W"]}) for n in THREADS}
    assert len(found) == 1


def test_the_hash_sees_one_bit():
    x = np.ones(4, np.float32)
    assert sha({"x": x}) != sha({"x": np.nextafter(x, 2)})
    assert sha({"x": x}) != sha({"y": x})


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 10_000])
def test_a_number_of_threads_that_makes_no_sense_is_refused_at_once(threads):
    with pytest.raises(ParameterError, match="threads must be a whole number from 1 to 1024, got"):
        derive(NETS["sigmoid_mse"]).compile(threads=threads)


def test_a_number_of_threads_may_be_any_integer():
    found = derive(NETS["sigmoid_mse"]).compile(threads=np.int64(3)).threads
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("threads", [None, 1, np.int16(3)])
def test_train_uses_as_many_threads_as_it_is_told(threads, monkeypatch):
    plans = []
    monkeypatch.setattr(training, "Loop", lambda plan: plans.append(plan) or Loop(plan))
    options = {"loss": "cross_entropy", "epochs": 1, "threads": threads, "progress": "off"}
    training.train(mlp([20, 17, 10]), *data(40, 20, 10), **options)
    assert [plan.threads for plan in plans] == [threads]


def test_train_refuses_a_number_of_threads_before_it_writes_anything(tmp_path):
    place = tmp_path / "run"
    with pytest.raises(ParameterError, match="threads must be a whole number from 1 to 1024, got"):
        training.train(
            mlp([20, 10]), *data(40, 20, 10), loss="cross_entropy", threads=0, run_dir=place
        )
    assert not place.exists()


def test_no_more_threads_are_planned_than_processors_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    machine.processor.cache_clear()
    try:
        assert machine.processor().cores == 1
    finally:
        machine.processor.cache_clear()
