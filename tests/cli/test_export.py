"""`chainrule export`, and the stages of `chainrule show` below the equations."""

from pathlib import Path

import numpy as np
import pytest

from chainrule.cli.model import load_model
from chainrule.io.load import load
from tests.cli.conftest import NET
from tests.emit.cfiles import called, compiled

SIZES = "m=4,n=3,k=2"
MARKS = {
    "plan": "arena",
    "c": "void two_sigmoid_gradients(",
    "llvm": "define ",
    "asm": "\nsteps:\n",
}


@pytest.fixture
def pets_run(cr, pets):
    options = ("--target", "species", "--missing", "mean", "--hidden", "5", "--epochs", "2")
    done = cr("train", pets, *options, "--out", "run")
    assert done.code == 0
    return Path("run")


@pytest.mark.parametrize("stage", MARKS)
def test_show_prints_the_stages_that_need_sizes(cr, stage):
    done = cr("show", NET, "--stage", stage, "--sizes", SIZES)
    assert done.code == 0
    assert MARKS[stage] in done.out
    as_json = cr("show", NET, "--stage", stage, "--sizes", SIZES, "--json").json
    assert as_json["text"] == done.out.rstrip("\n")


def test_without_sizes_the_plan_is_shown_in_lines_and_code_asks_for_them(cr):
    assert "return value" in cr("show", NET, "--stage", "plan").out
    for stage in ("c", "llvm", "asm"):
        done = cr("show", NET, "--stage", stage)
        assert done.code == 2
        assert "no size is known of axes k, n, m. Give it: --sizes k=32,n=32,m=32" in done.err


@pytest.mark.parametrize(
    ("kind", "register"), [("avx512", "%zmm"), ("avx2", "%ymm"), ("neon", "v0.4s")]
)
def test_machine_code_is_shown_for_other_processors(cr, kind, register):
    done = cr("show", NET, "--stage", "asm", "--sizes", SIZES, "--for", kind)
    assert done.code == 0
    assert register in done.out


def test_a_processor_is_refused_where_it_makes_no_difference(cr):
    done = cr("show", NET, "--stage", "python", "--for", "neon")
    assert done.code == 2
    assert "--for neon says nothing about the stage python" in done.err
    assert "It is for plan, llvm, asm" in done.err


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ("m=0", "--sizes takes sizes such as m=32,n=784, got 'm=0'"),
        ("m", "got 'm'"),
        ("m=4,q=2", "the network has no axis 'q'"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(cr, sizes, says):
    done = cr("show", NET, "--stage", "c", "--sizes", sizes)
    assert done.code == 2
    assert says in done.err


def test_an_exported_prediction_gives_the_scores_of_the_run(cr, pets, pets_run, tmp_path):
    done = cr("export", pets_run, "-o", "pets.c")
    assert (done.code, done.out) == (0, "")
    text = Path("pets.c").read_text(encoding="utf-8")
    assert "Classes of species, in order: cat, dog, ferret" in text
    assert "X[0] = (age - " in text
    run, preparation = load_model(pets_run)
    X = load(str(pets), target="species", missing="mean").inputs(preparation.features)
    library = compiled(text, tmp_path)
    for row in np.asarray(X[:20], run.dtype):
        out = np.full(3, np.nan, run.dtype)
        called(text, library, {"X": row, "out": out})
        np.testing.assert_allclose(out, run.scores(row[None])[0], rtol=1e-4, atol=1e-5)


def test_a_step_is_exported_with_the_options_of_the_run(cr, pets_run, tmp_path):
    done = cr("export", pets_run, "--what", "step", "-o", "step.c", "--json")
    assert done.json["sizes"]["m"] == 32
    text = Path("step.c").read_text(encoding="utf-8")
    assert "adam:lr=0.002" in text
    compiled(text, tmp_path)


def test_a_step_is_exported_from_a_network_file(cr, tmp_path):
    done = cr("export", NET, "--what", "step", "--sizes", "n=3,k=2", "--batch-size", "8")
    assert done.code == 0
    compiled(done.out, tmp_path)


def test_a_file_that_is_there_is_replaced_only_if_asked(cr, pets_run):
    Path("net.c").write_text("mine")
    done = cr("export", pets_run, "-o", "net.c")
    assert done.code == 2
    assert "--output 'net.c' is there already" in done.err
    assert Path("net.c").read_text() == "mine"
    model = pets_run / "model.safetensors"
    assert "is a file that this command reads" in cr("export", pets_run, "-o", model).err
    assert cr("export", pets_run, "-o", "net.c", "--overwrite").code == 0
    assert "mlp_predict" in Path("net.c").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "a network in a file has no weights to predict with"),
        (["--what", "step", "--batch-size", "0"], "--batch-size must be a whole number ≥ 1"),
        (["--what", "step", "--sizes", SIZES, "--batch-size", "9"], "9 and --sizes m=4 differ"),
    ],
)
def test_what_cannot_be_exported_is_said(cr, options, says):
    done = cr("export", NET, *options)
    assert done.code == 2
    assert says in done.err


def test_a_run_knows_its_sizes_and_its_rule(cr, pets_run):
    done = cr("export", pets_run, "--sizes", "n=3", "--optimizer", "sgd")
    assert done.code == 2
    assert "--optimizer and --sizes: the run says that itself" in done.err
    done = cr("export", pets_run, "--dtype", "float64")
    assert (done.code, "--dtype: the run says that itself" in done.err) == (2, True)
