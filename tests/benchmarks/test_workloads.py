"""The benchmarks: engines that do the same thing, and figures that are void where they do not."""

import doctest
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peak, report, training_step
from benchmarks import summary as summary_module
from benchmarks.contest import TOLERANCE, Contestant, contest, verdict
from benchmarks.engines import ENGINES, Engine, by_hand, ours, reference, scikit
from benchmarks.summary import advantages, best, described, summary
from benchmarks.workloads import WORKLOADS, Order, Problem, Workload, problem_of

ROOT = Path(__file__).parents[2]
WRONG = Engine("wrong", "tests.benchmarks.wrong_rate")


def scaled_down(workload: Workload) -> Workload:
    """The same network but narrower and, if it is deep, with a few layers, on fewer rows."""
    first, *hidden, last = workload.widths
    widths = (min(first, 24), *(min(width, 12) for width in hidden[:4]), last)
    batch = 96 if workload.full else min(workload.batch, 16)
    rows = 6 * batch if not workload.full else batch
    return replace(workload, widths=widths, batch=batch, rows=rows, steps=2 * rows // batch)


def small_problem(name: str) -> Problem:
    workload = scaled_down(WORKLOADS[name])
    if workload.data != "digits":
        return problem_of(workload)
    table = replace(workload, data="table")  # the digits have 64 columns
    return replace(problem_of(table), workload=workload)


def losses(module, problem: Problem, calls: int = 3) -> list[float]:
    run, steps = module.prepare(problem, 1), problem.workload.steps
    return [math.fsum(found) / len(found) for i in range(calls) if (found := run(i * steps, steps))]


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("engine", [reference, ours], ids=["reference", "compiled"])
def test_chainrule_and_numpy_by_hand_have_the_same_losses(name, engine):
    problem = small_problem(name)
    expected = losses(by_hand, problem.astype(np.float64))
    assert losses(engine, problem) == pytest.approx(expected, rel=1e-4)
    assert verdict(losses(by_hand, problem), expected) == ""


@pytest.mark.parametrize("name", ["mnist_b128", "tabular_b32", "digits_full", "deep_b64"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scikit_learn_takes_the_same_steps(name):
    problem = small_problem(name)
    expected = losses(by_hand, problem.astype(np.float64))
    assert losses(scikit, problem) == pytest.approx(expected, rel=TOLERANCE)


def test_every_row_is_seen_once_an_epoch_in_another_order_each_time():
    workload = scaled_down(WORKLOADS["nielsen_b10"])
    order, length = Order(workload), workload.steps_per_epoch
    first, second = np.split(order.rows(0, 2 * length), 2)
    assert sorted(first.ravel()) == sorted(second.ravel()) == list(range(workload.rows))
    assert (first != second).any()
    assert (order.rows(length, length) == second).all()


def test_an_epoch_that_is_not_whole_batches_is_refused():
    with pytest.raises(ValueError, match="whole batches"):
        replace(WORKLOADS["nielsen_b10"], rows=6401)


def test_arithmetic_is_that_of_the_products():
    # 2·128·(784·128 + 128·10) twice, for the forward pass and the weights, and 2·128·128·10
    assert WORKLOADS["mnist_b128"].flop == 4 * 128 * (784 * 128 + 1280) + 2 * 128 * 1280
    assert described(WORKLOADS["deep_b64"]).startswith("(64×21)-10 relu, cross-entropy, Adam, 64")


@pytest.fixture(scope="module")
def lines() -> list[dict]:
    """A contest of NumPy by hand, the reference executor, scikit-learn and a wrong engine."""
    workload = scaled_down(WORKLOADS["nielsen_b10"])
    engines = [ENGINES["reference"], ENGINES["numpy"], ENGINES["sklearn"], WRONG]
    contestants = [Contestant(engine, 1) for engine in engines]
    return contest(workload, contestants, rounds=2, say=lambda text: None)


def test_a_wrong_learning_rate_makes_a_figure_void(lines):
    verdicts = {line["engine"]: line.get("void") for line in lines}
    assert verdicts == {"reference": False, "numpy": False, "wrong": True, "sklearn": None}
    wrong = next(line for line in lines if line["engine"] == "wrong")
    assert wrong["reason"].startswith("mean loss of call 1 is")
    assert "wrong" not in best(lines)["nielsen_b10"]


def test_what_cannot_be_expressed_is_left_out_with_the_reason(lines):
    left = [line for line in lines if line["kind"] == "left_out"]
    assert [(line["engine"], line["reason"]) for line in left] == [
        ("sklearn", "not expressible: no sigmoid output with a squared loss")
    ]


def test_an_engine_that_breaks_is_left_out_with_what_it_said(tmp_path):
    broken = Engine("broken", "benchmarks.engines.nowhere")
    workload = scaled_down(WORKLOADS["tabular_b32"])
    (line,) = contest(workload, [Contestant(broken, 1)], 1, lambda text: None, compare=False)
    assert (line["kind"], "nowhere" in line["reason"]) == ("left_out", True)


def test_json_is_one_object_a_line_and_the_report_is_made_of_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(WORKLOADS, "tabular_b32", scaled_down(WORKLOADS["tabular_b32"]))
    missing = Engine("jax", "benchmarks.engines.jax_scan", "no_such_package", "jax")
    monkeypatch.setitem(training_step.ENGINES, "jax", missing)
    given = "--only tabular_b32 --engines chainrule,numpy,jax --threads 1 --rounds 2 --json"
    assert training_step.main(given.split()) == 0
    text = capsys.readouterr().out
    found = [json.loads(line) for line in text.splitlines()]
    kinds = [line["kind"] for line in found]
    assert kinds == ["machine", "missing", "workload", "result", "result", "summary"]
    assert found[1]["install"] == "pip install jax"
    assert {
        *("workload", "engine", "threads", "us_per_step", "first_call_s", "peak_rss_mb"),
        *("final_loss", "void"),
    } <= found[3].keys()
    assert found[-1]["geometric_mean"] == pytest.approx(advantages(found)["tabular_b32"], rel=1e-5)
    (tmp_path / "lines").write_text(text)
    assert report.main([str(tmp_path / "lines"), "--out", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text()
    assert "jax is not installed" in page
    assert f"Geometric mean of the ratios: **{found[-1]['geometric_mean']:.2f}**" in page


@pytest.mark.parametrize("module", [peak, summary_module], ids=["peak", "summary"])
def test_the_examples_in_the_documentation_hold(module):
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_a_run_without_chainrule_has_no_ratio():
    line = {"kind": "result", "workload": "a", "engine": "numpy", "void": False, "peer": True}
    assert summary([{**line, "us_per_step": 2.0}])["geometric_mean"] is None


def test_the_plot_shows_both_laws():
    about = {"kind": "scaling", "threads": 1, "gflops": 1.0, "of_peak": 0.5}
    shapes = [(1024, 32, 10.0), (1024, 256, 80.0), (256, 256, 5.0)]
    made = [{**about, "width": w, "batch": b, "us_per_step": us} for w, b, us in shapes]
    drawn = report.plot(made)
    assert drawn.count("<circle") == 4
    assert "proportional" in drawn
    assert "its square" in drawn
