"""benchmarks/: what is claimed of recorded lines, and the page that is made of them."""

import json

import pytest

from benchmarks import report, training_step
from chainrule.bench.summary import workload_line
from chainrule.bench.workloads import WORKLOADS

PEAK = 400.0
ABOUT = {
    "kind": "machine",
    "date": "2001-02-03",
    "processor": "abacus",
    "cores": 2,
    "features": ["avx2"],
    "system": "Linux x86_64",
    "load": 0.0,
    "versions": {"numpy": "2.0"},
    "rounds": 15,
    "peak_gflops": {"1": PEAK / 2, "2": PEAK},
}
SCALING = [
    {
        "kind": "scaling",
        "width": width,
        "batch": batch,
        "threads": 2,
        "us_per_step": us,
        "gflops": 100.0,
        "of_peak": 0.25,
    }
    for width, batch, us in [(1024, 32, 10.0), (1024, 256, 80.0), (256, 256, 5.0)]
]

WHERE: list[dict] = [
    {"kind": "where", "workload": "sgd_b1", "threads": 1, "us_per_step": 4.0, "waits_us": 0.5},
    *(
        {
            "kind": "kernel",
            "workload": "sgd_b1",
            "kernel": kernel,
            "us": [us],
            "share": us / 3.5,
            "gflops": None,
        }
        for kernel, us in (("W_1 for n h", 3.4), ("b_1 for h", 0.1))
    ),
]


def result(name: str, engine: str, us: float) -> dict:
    return {
        "kind": "result",
        "workload": name,
        "engine": engine,
        "threads": 2,
        "us_per_step": us,
        "us_quartiles": [us, us],
        "first_call_s": 0.5,
        "peak_rss_mb": 50.0,
        "final_loss": 0.25,
        "void": False,
        "reason": "",
        "peer": engine != "chainrule",
    }


def made(ratios: dict[str, float] | None = None, part: float = 0.8) -> list[dict]:
    """Lines of a run in which JAX takes 3 times as long, or as `ratios` say."""
    lines: list[dict] = [ABOUT, {"kind": "missing", "engine": "torch", "install": "pip install t"}]
    for name, workload in WORKLOADS.items():
        us = workload.flop / PEAK / 1e3 / (part if name == "wide_b256" else 0.5)
        lines.append(workload_line(workload, PEAK))
        lines.append(result(name, "chainrule", us))
        lines.append(result(name, "jax", us * (ratios or {}).get(name, 3.0)))
    return [*lines, *SCALING, *WHERE]


@pytest.fixture
def judged(tmp_path, capsys):
    """What `python -m benchmarks.training_step --judge` says of lines, and its exit code."""

    def judge(lines: list[dict]) -> tuple[int, str]:
        path = tmp_path / "lines.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        code = training_step.main(["--judge", "--lines", str(path)])
        return code, capsys.readouterr().out

    return judge


def test_lines_that_show_the_claim_pass(judged):
    code, said = judged(made())
    assert (code, said) == (0, "not compared with torch: pip install t\nthe claim is met\n")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            made({"sgd_b1": 1.04}),
            "sgd_b1: best peer over chainrule: 1.04, claimed 1.3: short by 20",
        ),
        (
            made(dict.fromkeys(WORKLOADS, 2.0)),
            "peer over chainrule: 2.00, claimed 2.5: short by 20",
        ),
        (made(part=0.6), "wide_b256: part of the FMA peak: 0.60, claimed 0.75: short by 20 %"),
        (
            [line for line in made() if line.get("workload") != "deep_b64"],
            "deep_b64: best peer over chainrule: no figure, claimed 1.3",
        ),
        (
            [
                line | {"void": True} if line.get("engine") == "chainrule" else line
                for line in made()
            ],
            "wide_b256: part of the FMA peak: no figure, claimed 0.75",
        ),
    ],
)
def test_a_planted_line_that_misses_the_claim_is_named_and_ends_with_1(judged, lines, says):
    code, said = judged(lines)
    assert code == 1
    assert says in said


def test_a_run_records_all_commands_and_keeps_the_old_lines_if_one_fails(tmp_path, monkeypatch):
    path = tmp_path / "lines.jsonl"
    path.write_text("old")
    codes = iter([1, *[0] * 9, 2])
    given = []

    def command(arguments: list[str]) -> int:
        given.append(arguments)
        with open(arguments[arguments.index("--record") + 1], "a") as file:
            file.write(f"{arguments[1]}\n")
        return next(codes)

    monkeypatch.setattr(training_step, "chainrule", command)
    for kind in ("prediction", "first_step"):
        made_up = [{"kind": kind}]
        monkeypatch.setattr(training_step, f"{kind}_lines", lambda _, made_up=made_up: made_up)
    training_step.measure(path, 15)  # a void figure is for the judge
    recorded = ["--engines", "--scaling", *["--where"] * 7]
    recorded += ['{"kind": "prediction"}', '{"kind": "first_step"}']
    assert path.read_text().splitlines() == recorded
    assert given[0][:3] == ["bench", "--engines", "all"]
    assert [arguments[2] for arguments in given[2:]] == list(WORKLOADS)
    assert all(arguments[arguments.index("--rounds") + 1] == "15" for arguments in given)
    with pytest.raises(SystemExit) as ended:
        training_step.measure(path, 15)
    assert (ended.value.code, path.read_text().splitlines()) == (2, recorded)


def test_the_page_is_made_of_the_lines(tmp_path):
    lines = tmp_path / "lines.jsonl"
    planted = [*made({"deep_b64": 1.0}), result("deep_b64", "torch", 1.0) | {"void": True}]
    lines.write_text("".join(json.dumps(line) + "\n" for line in planted))
    notes, out = tmp_path / "notes.md", tmp_path / "page.md"
    notes.write_text("what was tried\n")
    options = ["--lines", lines, "--out", out, "--notes", notes]
    assert report.main([str(option) for option in options]) == 0
    page = out.read_text()
    assert "- machine: abacus, 2 cores (avx2), Linux x86_64; load when the run began 0.0" in page
    assert "- date: 2001-02-03" in page
    assert "400 GFLOP/s (2 threads)" in page
    assert "- torch is not installed" in page
    assert "- torch: void" in page
    assert "deep_b64: best peer over chainrule: 1.00, claimed 1.3" in page
    assert "what was tried" in page
    # 6,400 µs for 462 GFLOP/s are 7,392 for 400; the arithmetic takes 6,131 at the peak
    wide = next(line for line in page.splitlines() if line.startswith("| wide_b256"))
    assert "| 6,400: missed, 1.20 times as long | 7,390: missed, 1.04 times as long |" in wide
    assert "](page-scaling.svg)" in page
    assert "| sgd_b1 | 1 | W_1 for n h | 3.40 | – | 97 % |" in page
    assert "b_1 for h" not in page, "a kernel of 3 % and less"
    assert "µs per step: sgd_b1 0.50." in page
    assert (tmp_path / "page-scaling.svg").read_text().startswith("<svg")


def test_the_plot_shows_both_laws():
    drawn = report.plot(SCALING)
    assert drawn.count("<circle") == 4
    assert "proportional" in drawn
    assert "its square" in drawn
