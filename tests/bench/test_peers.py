"""The peers train what chainrule trains, as fast as their makers say how."""

import importlib
import math

import numpy as np
import pytest

from chainrule.bench.engines import by_hand
from tests.bench.small import small_problem

# Each activation, loss and rule; labels and numbers; batches and all rows at once.
KINDS = ("nielsen_b10", "mnist_b128", "tabular_b32", "digits_full")
CALLS = 3
# Of the loss of each step, relatively: float32 against float64 for 24 steps at most. Rows in
# another order change a loss by percents.
TOLERANCE = 1e-4


def peer(module):
    """An engine, or a skipped test where what it measures is not installed."""
    needs = {"pytorch": "torch", "pytorch_compiled": "torch", "jax_scan": "jax"}[module]
    pytest.importorskip(needs, reason=f"needs {needs}: pip install {needs}")
    return importlib.import_module(f"chainrule.bench.engines.{module}")


def step_losses(engine, problem, calls=CALLS):
    """The loss of every step, from call to call."""
    run, steps = engine.prepare(problem, 1), problem.workload.steps
    return [loss for i in range(calls) for loss in run(i * steps, steps)]


def assert_same_steps(engine, problem):
    expected = step_losses(by_hand, problem.astype(np.float64))
    assert step_losses(engine, problem) == pytest.approx(expected, rel=TOLERANCE)


class Spy:
    """Stands in for a function: keeps how it was called and what it returned."""

    def __init__(self, function):
        self.function, self.calls, self.found = function, [], []

    def __call__(self, *args, **options):
        self.calls.append(options)
        self.found.append(self.function(*args, **options))
        return self.found[-1]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("module", ["pytorch", "jax_scan"])
def test_peers_take_the_same_steps_on_the_same_rows_from_the_same_weights(module, name):
    assert_same_steps(peer(module), small_problem(name))


def test_rows_in_another_order_would_show():
    problem = small_problem("mnist_b128").astype(np.float64)
    expected = step_losses(by_hand, problem)
    problem.order.epochs.clear()
    rows = problem.order.rows
    problem.order.rows = lambda start, steps: rows(start, steps)[::-1]
    assert step_losses(by_hand, problem) != pytest.approx(expected, rel=30 * TOLERANCE)


@pytest.mark.parametrize(("name", "rule"), [("mnist_b128", "Adam"), ("nielsen_b10", "SGD")])
def test_pytorch_uses_its_fused_rule_and_keeps_no_gradients(name, rule, monkeypatch):
    engine = peer("pytorch")
    torch = engine.torch
    made, cleared = Spy(getattr(torch.optim, rule)), Spy(torch.optim.Optimizer.zero_grad)
    monkeypatch.setattr(torch.optim, rule, made)
    monkeypatch.setattr(
        torch.optim.Optimizer, "zero_grad", lambda self, **how: cleared(self, **how)
    )
    steps = len(step_losses(engine, small_problem(name), calls=1))
    (optimizer,) = made.found
    assert [group["fused"] for group in optimizer.param_groups] == [True]
    assert cleared.calls == [{"set_to_none": True}] * steps
    assert torch.get_num_threads() == 1


def counting(graphs):
    """A backend for `torch.compile` that notes each graph and how often it runs."""

    def backend(graph, _):
        graphs.append([graph, 0])
        mine = graphs[-1]

        def run(*args):
            mine[1] += 1
            return graph(*args)

        return run

    return backend


@pytest.mark.parametrize("name", ["mnist_b128", "nielsen_b10"])
def test_pytorch_compiles_loss_gradients_and_update_into_one_graph(name, monkeypatch):
    engine = peer("pytorch_compiled")
    compile_, graphs, options = engine.torch.compile, [], []

    def compiled(step, **how):
        options.append(how)
        return compile_(step, **how, backend=counting(graphs))

    monkeypatch.setattr(engine.torch, "compile", compiled)
    problem = small_problem(name)
    assert_same_steps(engine, problem)
    assert options == [{"fullgraph": True, "dynamic": False}]
    ((graph, runs),) = graphs
    assert runs == CALLS * problem.workload.steps
    updates = [node for node in graph.graph.nodes if node.target == "sub_"]
    assert len(updates) == len(problem.start), "every parameter changes in it"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch uses what it has deprecated
@pytest.mark.parametrize("name", KINDS)
def test_pytorch_compiled_takes_the_same_steps(name):
    assert_same_steps(peer("pytorch_compiled"), small_problem(name))


def test_jax_scans_an_epoch_in_one_compiled_call_that_reuses_its_memory(monkeypatch):
    engine = peer("jax_scan")
    jitted, scanned = Spy(engine.jax.jit), Spy(engine.lax.scan)
    problem = small_problem("mnist_b128")
    with monkeypatch.context() as m:
        m.setattr(engine.jax, "jit", jitted)
        m.setattr(engine.lax, "scan", scanned)
        run, steps = engine.prepare(problem, 1), problem.workload.steps
    assert jitted.calls == [{"donate_argnums": 0}]
    with monkeypatch.context() as m:
        m.setattr(engine.lax, "scan", scanned)
        losses = [run(i * steps, steps) for i in range(CALLS)]
    assert [len(found) for found in losses] == [steps] * CALLS
    assert all(map(math.isfinite, losses[-1]))
    ((_, found),) = scanned.found
    assert found.shape == (steps,), "traced once, for all steps of a call"
