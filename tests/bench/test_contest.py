"""Engines side by side: figures that are void, engines that are left out, and why."""

import pytest

from chainrule.bench.contest import Contestant, contest
from chainrule.bench.engines import BLAS_CHOICES, ENGINES, Engine
from chainrule.bench.summary import best, peaks, summary
from chainrule.bench.workloads import WORKLOADS
from tests.bench.small import WRONG, scaled_down


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


def test_an_engine_that_breaks_is_left_out_with_what_it_said():
    broken = Engine("broken", "chainrule.bench.engines.nowhere")
    workload = scaled_down(WORKLOADS["tabular_b32"])
    (line,) = contest(workload, [Contestant(broken, 1)], 1, lambda text: None, compare=False)
    assert (line["kind"], "nowhere" in line["reason"]) == ("left_out", True)


def test_a_file_of_the_user_is_not_taken_for_a_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('not NumPy')")
    workload = scaled_down(WORKLOADS["tabular_b32"])
    contestants = [Contestant(ENGINES["numpy"], 1)]
    (line,) = contest(workload, contestants, 1, lambda text: None, compare=False)
    assert line["kind"] == "result"


def test_every_engine_gets_its_number_of_threads_and_its_own_choice_of_kernels(monkeypatch):
    for name in BLAS_CHOICES:
        monkeypatch.setenv(name, "Prescott")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = ENGINES["numpy"].environment(2)
    assert not set(BLAS_CHOICES) & set(found)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert [found[name] for name in names] == ["2", "2", "2"]


def test_a_run_without_chainrule_has_no_ratio():
    line = {"kind": "result", "workload": "a", "engine": "numpy", "void": False, "peer": True}
    assert summary([{**line, "us_per_step": 2.0}])["geometric_mean"] is None


def test_the_highest_peak_that_was_measured_counts():
    runs = [{"peak_gflops": {"1": 3.0, "2": 5.0}}, {"kind": "result"}, {"peak_gflops": {"2": 6.0}}]
    assert peaks(runs) == {"1": 3.0, "2": 6.0}
