"""What holds for every command: help, errors, exit codes, streams, and where the commands run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule
from chainrule.bench import session
from chainrule.cli import main
from chainrule.cli.app import COMMANDS
from chainrule.cli.output import as_options, safe, table, width
from tests.cli.conftest import NET, ROOT

NAMES = [name for commands in COMMANDS.values() for name in commands]


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "chainrule", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        timeout=60,
    )


def test_help_names_every_command_and_nothing_at_all_prints_help(cr):
    text = cr("--help").out
    assert all(f"  {name.split()[0]} " in text for name in NAMES)
    assert cr().out == text


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_json_and_without_colour_off_a_terminal(cr, name):
    done = cr(*name.split(), "--help")
    assert done.code == 0
    assert "--json" in done.out
    assert f"chainrule {name}" in done.out
    assert "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_version(cr):
    assert cr("--version").out == f"{chainrule.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], 'Did you mean "train"?'),
        (["train", "digits", "--hiden", "3"], "Did you mean --hidden?"),
        (["train", "digits", "--missing", "flg"], 'Did you mean "flag"?'),
        (["train", "digits", "--activation", "rellu"], "Did you mean 'relu'?"),
        (["train", "digits", "--optimizer", "adm"], "Did you mean 'adam'?"),
        (["train", "digits", "--loss", "cross_entrpy"], "Did you mean 'cross_entropy'?"),
        (["train", "digits", "--schedule", "cosin"], "Did you mean 'cosine'?"),
        (["train", "digits", "--epochs", "x"], "--epochs"),
        (["train", "digits", "--epochs", "0"], "epochs must be a whole number ≥ 1, got 0"),
        (["train", "digits", "--hidden", "64;32"], "--hidden takes sizes"),
        (["train", "digits", "--batch-size", "some"], "--batch-size must be"),
        (["train", "digits", "--validation", "1.5"], "--validation must be in [0, 1), got 1.5"),
        (["train", "digits", "--test", "0.6", "--validation", "0.6"], "leave no rows"),
        (["train", "digits", "--loss", "poisson"], "is none for classification"),
        (["train", "digits", "--target", "x"], "--target 'x': images bring their labels"),
        (["train", "digits", "--missing", "mean"], "--missing is for tables"),
        (["train", "digits", "--leave-out", "x"], "--leave-out is for tables"),
        (["train", "digits", "--task", "regression"], "digits holds classes"),
        (["train"], "DATA"),
        (["bench", "--rounds", "0"], "--rounds must be a whole number ≥ 1, got 0"),
        (["bench", "--threads", "1,x"], "--threads takes numbers ≥ 1 such as 1,2, got '1,x'"),
        (["bench", "nielsen_b1"], "Did you mean 'nielsen_b10'?"),
        (["bench", "--engines", "numpi"], "Did you mean 'numpy'?"),
        (["bench", "sgd_b1", "--scaling"], "--scaling times chainrule alone"),
        (["bench", "--where", "sgd_b1", "--scaling"], "--where times chainrule alone"),
        (["bench", "--where", "sgd_b2"], "Did you mean 'sgd_b1'?"),
    ],
)
def test_usage_errors_end_with_2_and_say_what_was_meant(cr, arguments, says):
    done = cr(*arguments)
    assert done.code == 2
    assert says in done.err
    assert done.err.startswith("chainrule: ")
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not Path("runs").exists()


def test_with_json_an_error_is_json_on_standard_output_too(cr):
    done = cr("train", "nowhere.csv", "--target", "y", "--json")
    error = done.json["error"]
    assert (done.code, error["exit_code"], error["code"]) == (3, 3, "data-file-not-found")
    assert error["message"] in done.err


def test_debug_adds_the_traceback_and_keeps_the_exit_code(capsys):
    assert main(["derive", "nowhere.net", "--debug"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("chainrule: network file")


def test_a_defect_is_one_line_that_says_so(cr, monkeypatch):
    monkeypatch.setattr(session, "contest_lines", lambda *_: 1 / 0)
    done = cr("bench")
    assert done.code == 1
    assert "ZeroDivisionError: division by zero. This is a defect in chainrule" in done.err


@pytest.mark.parametrize(("error", "code"), [(MemoryError(), 6), (OSError(28, "disk full"), 5)])
def test_errors_of_the_machine_have_their_exit_codes(cr, monkeypatch, error, code):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(session, "contest_lines", fail)
    assert cr("bench").code == code


def test_ctrl_c_ends_with_130(cr, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "contest_lines", interrupt)
    done = cr("bench")
    assert (done.code, done.err) == (130, "chainrule: interrupted\n")


def test_a_model_that_could_run_code_is_refused_with_8(cr):
    Path("model.pt").write_bytes(b"\x80\x02}q\x00.")
    assert cr("predict", "model.pt", "digits").code == 8


def test_names_of_files_are_printed_without_what_a_terminal_obeys(cr):
    done = cr("derive", "a\x1b[2J\u202e.net")
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m chainrule ops | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_without_unicode_gets_escapes(encoding):
    done = process("derive", str(NET), PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert b"\\u03c3(Z)" in done.stdout
    found = json.loads(process("derive", str(NET), "--json", PYTHONIOENCODING=encoding).stdout)
    assert found["name"] == "two_sigmoid"


def test_the_module_runs_like_the_command():
    assert process("--version").stdout.decode() == f"{chainrule.__version__}\n"
    assert process("nonsense").returncode == 2


def test_doctor_finds_this_installation_sound(cr):
    done = cr("doctor")
    assert done.code == 0
    assert "everything that is needed works" in done.out
    found = cr("doctor", "--json").json
    assert found["ok"]
    assert {line["what"]: line["ok"] for line in found["self-check"]} == {
        "digits": True,
        "derivatives": True,
    }


def test_doctor_ends_with_1_if_the_data_are_damaged_and_names_the_command_for_an_extra(
    cr, monkeypatch
):
    from chainrule.cli import doctor

    monkeypatch.setattr(doctor, "DIGITS_SHA256", "0")
    monkeypatch.setitem(doctor.EXTRAS, "data", ("no_such_module", "tables"))
    done = cr("doctor")
    assert done.code == 1
    assert "damaged" in done.out
    assert "pip install 'chainrule[data]'" in done.out


def test_doctor_knows_every_extra():
    import tomllib

    from chainrule.cli.doctor import EXTRAS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"dev"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('choose missing="drop" | "mean" | "flag"', "choose --missing drop|mean|flag"),
        ('na_values=["n/a", "-"]', "--na-values n/a,-"),
        ('use sep=";", decimal=","', 'use --sep ";", --decimal ","'),
        ('na_values=["-"]', "--na-values=-"),
        ("use validation=None", "use --validation 0"),
        ("validation=None and test=None", "--validation 0 and --test 0"),
        ('use task="regression"', "use --task regression"),
        ('use leave_out=["a name"]', 'use --leave-out "a name"'),
        ("say overwrite=True", "say --overwrite"),
        ("(limit max_expansion=100)", "(limit --max-expansion 100)"),
        ("Say which: sep=…", "Say which: --sep …"),
    ],
)
def test_hints_speak_of_options(text, shown):
    assert as_options(text) == shown


def test_tables_align_wide_characters_and_accents():
    assert width("y\u0302") == 1
    assert table(["a", "b"], [["日本", "1"], ["x", "22"]], right=[1]).splitlines() == [
        "a      b",
        "日本   1",
        "x     22",
    ]
    assert safe("a\tb\n\x07") == "a\tb\n\\x07"
