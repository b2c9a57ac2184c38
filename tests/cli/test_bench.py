"""`chainrule bench`."""

import json
from pathlib import Path

import pytest

from chainrule.bench import scaling
from chainrule.bench.engines import ENGINES, Engine, ours
from chainrule.bench.summary import advantages
from chainrule.bench.workloads import WORKLOADS
from tests.bench.small import WRONG, scaled_down

NAME = "tabular_b32"
QUICK = ("--threads", 1, "--rounds", 2)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(WORKLOADS, NAME, scaled_down(WORKLOADS[NAME]))
    missing = Engine("jax", "chainrule.bench.engines.jax_scan", "no_such_package", "jax")
    monkeypatch.setitem(ENGINES, "jax", missing)


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_one_object_a_line_and_is_recorded(cr):
    given = ("bench", NAME, "--engines", "chainrule,numpy,jax", *QUICK, "--record", "lines.jsonl")
    done = cr(*given, "--json")
    assert done.code == 0
    found = lines(done.out)
    kinds = [line["kind"] for line in found]
    assert kinds == ["machine", "missing", "workload", "result", "result", "summary"]
    assert (found[1]["engine"], found[1]["install"]) == ("jax", "pip install jax")
    assert {
        *("workload", "engine", "threads", "us_per_step", "first_call_s", "peak_rss_mb"),
        *("final_loss", "void", "reason"),
    } <= found[3].keys()
    assert [line["engine"] for line in found[3:5]] == ["chainrule", "numpy"]
    assert found[3]["final_loss"] == pytest.approx(found[4]["final_loss"], rel=1e-4)
    assert found[-1]["geometric_mean"] == pytest.approx(advantages(found)[NAME], rel=1e-5)
    assert lines(Path("lines.jsonl").read_text(encoding="utf-8")) == found
    cr(*given)
    assert len(Path("lines.jsonl").read_text(encoding="utf-8").splitlines()) == 2 * len(found)


def test_what_is_named_twice_is_timed_once(cr):
    done = cr("bench", NAME, NAME, "--engines", "numpy,numpy", *QUICK, "--json")
    kinds = [line["kind"] for line in lines(done.out)]
    assert kinds == ["machine", "workload", "result", "summary"]


def test_without_json_it_is_a_table_and_says_how_to_install_what_is_missing(cr):
    done = cr("bench", NAME, "--engines", "numpy,jax", "--threads", "1,2", "--rounds", 1)
    assert done.code == 0
    assert "jax is not installed: pip install jax" in done.out
    assert "numpy (1)" in done.out
    assert "numpy (2)" in done.out
    assert done.out.splitlines()[-2].split() == ["µs", "per", "step", "numpy", "ratio"]
    assert done.err == ""


def test_an_engine_that_trains_otherwise_is_void_and_ends_with_1(cr, monkeypatch):
    monkeypatch.setitem(ENGINES, "wrong", WRONG)
    done = cr("bench", NAME, "--engines", "numpy,wrong", *QUICK, "--json")
    verdicts = {line["engine"]: line["void"] for line in lines(done.out) if "void" in line}
    assert (done.code, verdicts) == (1, {"numpy": False, "wrong": True})
    text = cr("bench", NAME, "--engines", "wrong", *QUICK)
    assert (text.code, "VOID: mean loss of call 1 is" in text.out) == (1, True)


def test_scaling_times_chainrule_over_shapes(cr, monkeypatch):
    monkeypatch.setattr(scaling, "WIDTH", 16)
    monkeypatch.setattr(scaling, "WIDTHS", (8, 16))
    monkeypatch.setattr(scaling, "BATCHES", (32,))
    monkeypatch.setattr(scaling, "BATCH", 32)
    done = cr("bench", "--scaling", *QUICK, "--json")
    about, *found = lines(done.out)
    assert (done.code, about["kind"]) == (0, "machine")
    assert [(line["kind"], line["width"], line["batch"]) for line in found] == [
        ("scaling", 8, 32),
        ("scaling", 16, 32),
    ]
    part = found[0]["gflops"] / about["peak_gflops"]["1"]
    assert found[0]["of_peak"] == pytest.approx(part)


def test_where_says_how_long_each_kernel_takes(cr, monkeypatch):
    monkeypatch.setattr(ours, "cores", lambda: 99)  # or one thread would pay more than two
    done = cr("bench", "--where", NAME, "--threads", "1,2", "--rounds", 2, "--json")
    assert done.code == 0
    found = lines(done.out)
    steps = [line for line in found if line["kind"] == "where"]
    assert [line["threads"] for line in steps] == [1, 2]
    for step in steps:
        kernels = [x for x in found if x["kind"] == "kernel" and x["threads"] == step["threads"]]
        assert all(len(x["us"]) == len(x["wait_us"]) == step["threads"] for x in kernels)
        assert sum(x["share"] for x in kernels) == pytest.approx(1)
        mean = sum(sum(x["us"]) for x in kernels) / step["threads"]
        assert step["kernels_us"] == pytest.approx(mean)
    assert any(sum(x["wait_us"]) > 0 for x in kernels)
    assert "W_1 for n h_1 over m" in "".join(x["kernel"] for x in kernels)
    text = cr("bench", "--where", NAME, "--threads", 1, "--rounds", 1).out
    assert "µs per step with 1 thread: kernels" in text
    assert "W_1 for n h_1 over m" in text


def test_the_help_names_every_workload_and_engine(cr):
    words = cr("bench", "--help").out.split()
    assert set(WORKLOADS) | set(ENGINES) <= set(words)
