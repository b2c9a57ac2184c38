"""Which runner trains: machine code, or the reference executor where LLVM is missing."""

import json
import subprocess
import sys

import numpy as np
import pytest

from chainrule.nn import mlp
from chainrule.training.compiled import Compiled
from chainrule.training.stretch import ReferenceRunner
from tests.run.engines import data, loop_of, trained

NET = mlp([20, 33, 10], "relu")
CLASSES = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 32}

WITHOUT_LLVM = """
import json, sys, warnings

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "llvmlite":
            raise ImportError("No module named 'llvmlite'")

sys.meta_path.insert(0, Missing())
import numpy as np
import chainrule as cr
from chainrule.nn import mlp

rng = np.random.default_rng([100, 20, 10])  # as tests.run.engines.data, which imports llvmlite
X, y = rng.standard_normal((100, 20)).astype(np.float32), rng.integers(0, 10, 100)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    runs = [
        cr.train(mlp([20, 33, 10], "relu"), X, y, loss="cross_entropy", batch_size=32, epochs=2,
                 progress="off")
        for _ in range(2)
    ]
    predicted = runs[1].predict_proba(X)
said = [(type(w.message).__name__, str(w.message)) for w in caught]
values = {name: value.tolist() for name, value in runs[1].params.items()}
print(json.dumps([said, values, predicted.tolist(), "llvmlite" in sys.modules]))
"""


def test_without_llvm_the_reference_trains_and_says_so_once():
    command = [sys.executable, "-c", WITHOUT_LLVM]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    said, values, predicted, imported = json.loads(result.stdout)
    assert not imported
    assert len(said) == 1, "two trainings of two batch sizes each and a prediction, one warning"
    name, text = said[0]
    assert name == "ChainruleWarning"
    assert "no machine code" in text
    assert "slower" in text
    X, y = data(100, 20, 10)
    run = trained(NET, X, y, by="reference", epochs=2, **CLASSES)
    for key, value in run.params.items():
        assert np.array_equal(np.asarray(values[key], value.dtype), value)
    np.testing.assert_allclose(predicted, run.predict_proba(X), rtol=1e-5)


def test_training_is_compiled_unless_it_is_told_otherwise():
    X, y = data(100, 20, 10)
    assert type(loop_of(NET, X, y, **CLASSES)._runner(32)) is Compiled
    assert type(loop_of(NET, X, y, by="reference", **CLASSES)._runner(32)) is ReferenceRunner


def batch_counts(rows, batch):
    return [batch] * (rows // batch) + [rows % batch] * bool(rows % batch)


@pytest.mark.parametrize("rows", [96, 97, 100, 127])
def test_the_last_smaller_batch_is_trained_on_as_well(rows):
    X, y = data(rows, 20, 10, np.float64)
    options = {**CLASSES, "epochs": 2}
    compiled = trained(NET, X, y, **options)
    reference = trained(NET, X, y, by="reference", **options)
    assert compiled.steps == reference.steps == 2 * len(batch_counts(rows, 32))
    for name, wanted in reference.values.items():
        np.testing.assert_allclose(compiled.values[name], wanted, rtol=1e-9, atol=1e-12)


RULES = ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_gives_the_weights_of_the_reference(rule, dtype):
    """With penalties, a schedule and limits on gradients, over three epochs."""
    X, y = data(70, 20, 10, dtype)
    options = {"loss": "cross_entropy", "optimizer": f"{rule}:lr=0.01", "batch_size": 16}
    options |= {"epochs": 3, "l1": 1e-4, "l2": 1e-3, "clip_norm": 1.0, "schedule": "cosine"}
    compiled = trained(NET, X, y, **options)
    reference = trained(NET, X, y, by="reference", **options)
    tolerance = 1e-8 if dtype == "float64" else 2e-3
    for name, wanted in reference.values.items():
        assert compiled.values[name].dtype == wanted.dtype
        np.testing.assert_allclose(compiled.values[name], wanted, rtol=tolerance, atol=tolerance)
    for entry, other in zip(compiled.history, reference.history, strict=True):
        assert set(entry) == set(other)
        assert entry["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert entry["penalty"] == pytest.approx(other["penalty"], rel=1e-3)


@pytest.mark.parametrize("threads", [1, 3])
def test_dropout_draws_the_masks_of_the_reference(threads):
    X, y = data(70, 20, 10, np.float64)
    net = mlp([20, 33, 10], "relu", dropout=0.4)
    options = {**CLASSES, "epochs": 2}
    compiled = trained(net, X, y, threads=threads, **options)
    reference = trained(net, X, y, by="reference", **options)
    for name, wanted in reference.values.items():
        np.testing.assert_allclose(compiled.values[name], wanted, rtol=1e-9, atol=1e-12)
