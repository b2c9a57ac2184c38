"""What prediction costs: every engine predicts the same, and the claim can fail."""

import numpy as np
import pytest

from benchmarks import prediction
from benchmarks.report import page
from benchmarks.training_step import LINES, read
from chainrule.bench.workloads import WORKLOADS
from tests.bench.small import scaled_down

NAME = "tabular_b32"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(WORKLOADS, NAME, scaled_down(WORKLOADS[NAME]))
    monkeypatch.setattr(prediction, "NAMES", (NAME,))
    monkeypatch.setattr(prediction, "SLICE_S", 0.001)


def test_there_is_a_line_for_each_network_and_the_page_shows_it():
    (line,) = prediction.prediction_lines(1)
    assert {"chainrule", "numpy"} <= line["s"].keys()
    assert all(seconds > 0 for seconds in line["s"].values())
    head = [line for line in read(LINES) if line["kind"] == "machine"]
    shown = page([*head, line], "plot.svg")
    assert "## Prediction" in shown
    assert prediction.cells(line, [line], 100.0)[2] in shown


def test_an_engine_that_predicts_otherwise_is_refused(monkeypatch):
    def wrong(problem):
        forward = prediction.by_hand(problem)
        return lambda: np.asarray(forward()) * 1.001

    monkeypatch.setitem(prediction.ENGINES, "chainrule", wrong)
    with pytest.raises(RuntimeError, match="chainrule does not predict what NumPy does"):
        list(prediction.prediction_lines(1))


def test_the_claim_names_who_is_quicker_and_how_much_of_the_peak_is_missing():
    quick = {"workload": NAME, "gflops": 1.0, "s": {"chainrule": 1.0, "numpy": 2.0}}
    slow = {"workload": "wide_b256", "gflops": 50.0, "s": {"chainrule": 2.0, "numpy": 1.0}}
    assert prediction.missed([quick], 100.0) == []
    assert prediction.missed([slow], 100.0) == [
        "wide_b256: numpy took less time",
        "wide_b256: 50 % of the peak, claimed 60 %",
    ]
