"""`chainrule train`, `predict` and `eval`, from a file of data to labels."""

import csv
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli.data import divided
from chainrule.cli.network import epochs_for, optimizer
from chainrule.cli.summary import _advice
from chainrule.errors import ParameterError
from chainrule.io.load import load
from chainrule.training import training
from chainrule.training.loop import Loop

ROOT = Path(__file__).parents[2]
PETS = ("--target", "species", "--quiet")


@pytest.mark.seed("000-04", "000-09")
def test_digits_with_the_defaults_reach_an_accuracy_of_0_97_on_rows_not_trained_on(cr):
    done = cr("train", "digits", "--json", "--quiet")
    found = done.json
    assert done.code == 0
    assert found["results"]["test"]["accuracy"] >= 0.97
    assert found["results"]["test"]["rows"] == 359
    assert done.err == ""
    assert sorted(p.name for p in Path(found["run_dir"]).iterdir()) == [
        "metrics.jsonl",
        "model.safetensors",
        "run.toml",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_digits_reach_0_97_whatever_the_seed(cr, seed):
    found = cr("train", "digits", "--json", "--quiet", "--seed", seed).json
    assert found["results"]["test"]["accuracy"] >= 0.97


def test_the_end_says_what_was_trained_how_good_it_is_and_what_to_type_next(cr):
    done = cr("train", "digits", "--epochs", 3)
    assert "64-128-10 relu, 9,610 parameters, loss cross_entropy" in done.out
    assert "adam, learning rate 0.002, 32 rows an update, 3 epochs" in done.out
    assert "test          359" in done.out
    assert "run directory  runs/digits-1" in done.out
    assert "chainrule predict runs/digits-1 digits" in done.out
    assert "epoch 3/3" in done.err


@pytest.mark.parametrize("size", ["1", "32", "all"])
@pytest.mark.seed("000-09")
def test_an_update_takes_one_row_a_few_or_all(cr, size):
    found = cr("train", "digits", "--batch-size", size, "--epochs", 1, "--json", "--quiet").json
    assert found["steps"] == {"1": 1258, "32": 40, "all": 1}[size]


def test_the_same_seed_gives_the_same_result_and_another_one_does_not(cr):
    command = ("train", "digits", "--epochs", 2, "--json", "--quiet", "--seed")
    first, again, other = (cr(*command, seed).json["results"] for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_any_number_of_threads_gives_the_same_result(cr, monkeypatch):
    plans = []
    monkeypatch.setattr(training, "Loop", lambda plan: plans.append(plan) or Loop(plan))
    command = ("train", "digits", "--epochs", 2, "--json", "--quiet", "--threads")
    assert cr(*command, 1).json["results"] == cr(*command, 3).json["results"]
    assert [plan.threads for plan in plans] == [1, 3]
    refused = cr(*command, 0, "--out", "none")
    assert (refused.code, Path("none").exists()) == (2, False)
    assert "threads must be a whole number from 1 to 1024, got 0" in refused.err


def test_every_run_has_its_own_directory_unless_told_otherwise(cr):
    command = ("train", "digits", "--epochs", 1, "--quiet")
    assert [cr(*command, "--json").json["run_dir"] for _ in range(2)] == [
        "runs/digits-1",
        "runs/digits-2",
    ]
    refused = cr(*command, "--out", "runs/digits-1")
    assert refused.code == 5
    assert "--overwrite" in refused.err
    assert cr(*command, "--out", "runs/digits-1", "--overwrite").code == 0


def test_a_csv_with_missing_values_is_refused_until_the_user_says_what_they_get(cr, pets):
    refused = cr("train", pets, *PETS)
    assert refused.code == 3
    assert "pets.csv, column 'age': 2 of 300 values missing (first at line 19)" in refused.err
    assert "choose --missing drop|mean|flag" in refused.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("missing", ["drop", "mean", "flag"])
def test_a_csv_with_text_target_categories_and_missing_values_gives_labels(cr, pets, missing):
    found = cr("train", pets, *PETS, "--missing", missing, "--epochs", 60, "--json").json
    assert found["classes"] == ["cat", "dog", "ferret"]
    assert found["rows"] == (298 if missing == "drop" else 300)
    assert found["results"]["test"]["accuracy"] > 0.9
    Path("new.csv").write_text("colour,age\nbrown,12.5\nwhite,1.5\nblack,7\n", encoding="utf-8")
    done = cr("predict", "runs/pets-1", "new.csv")
    assert done.out == "species\ndog\nferret\ncat\n"
    assert done.code == 0


def test_prediction_says_probabilities_writes_files_and_json(cr, pets):
    cr("train", pets, *PETS, "--missing", "mean", "--epochs", 20)
    rows = list(csv.DictReader(StringIO(cr("predict", "runs/pets-1", pets, "--proba").out)))
    assert len(rows) == 300
    for row in rows:
        shares = {label: float(row[f"P({label})"]) for label in ("cat", "dog", "ferret")}
        assert sum(shares.values()) == pytest.approx(1)
        assert max(shares, key=shares.get) == row["species"]
    written = cr("predict", "runs/pets-1", pets, "-o", "out.csv")
    assert written.out == ""
    assert "300 predictions in out.csv" in written.err
    labels = Path("out.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert labels == [row["species"] for row in rows]
    assert cr("predict", "runs/pets-1", pets, "--json").json["columns"]["species"] == labels


def test_prediction_never_writes_over_what_it_reads_nor_over_a_file_unless_told(cr, pets):
    cr("train", pets, *PETS, "--missing", "mean", "--epochs", 1)
    before = pets.read_bytes()
    Path("hard.csv").hardlink_to(pets)
    for output in (pets, "pets.csv", "hard.csv", "runs/pets-1/model.safetensors"):
        for extra in ((), ("--overwrite",)):
            done = cr("predict", "runs/pets-1", pets, "-o", output, *extra)
            assert done.code == 2
            assert "is a file that this command reads" in done.err
    assert pets.read_bytes() == before
    assert cr("predict", "runs/pets-1", pets, "-o", "new.csv").code == 0
    again = cr("predict", "runs/pets-1", pets, "-o", "new.csv")
    assert (again.code, "say --overwrite" in again.err) == (2, True)
    assert cr("predict", "runs/pets-1", pets, "-o", "new.csv", "--overwrite").code == 0


def test_the_run_file_says_what_was_asked_for(cr, pets):
    options = ("--missing", "flag", "--hidden", "6,5", "--activation", "tanh", "--patience", 4)
    cr("train", pets, *PETS, *options, "--epochs", 2, "--test", 0.3, "--sep", ",")
    about = tomllib.loads(Path("runs/pets-1/run.toml").read_text(encoding="utf-8"))
    expected = {"target": "species", "task": "classification", "missing": "flag", "test": 0.3}
    expected |= {"validation": 0.1, "hidden": "6,5", "activation": "tanh", "patience": 4}
    expected |= {"loss": "cross_entropy", "optimizer": "adam", "sep": ",", "seed": 0}
    assert about["options"].items() >= expected.items()
    assert about["training"]["loss"] == "cross_entropy"
    assert about["training"]["batch_size"] == 32


def test_few_rows_give_no_warning_about_a_batch_size_that_nobody_asked_for(cr):
    Path("few.csv").write_text("x,y\n" + "1,2.5\n2,3.5\n3,4.5\n" * 4, encoding="utf-8")
    command = ("train", "few.csv", "--target", "y", "--quiet", "--epochs", 1)
    assert cr(*command).err == ""
    assert "warning: batch_size 32 is more than" in cr(*command, "--batch-size", 32).err


def test_a_column_of_names_is_warned_of_once_with_the_option_that_leaves_it_out(cr):
    rows = "".join(f"person {i},{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    Path("people.csv").write_text("name,x,y\n" + rows, encoding="utf-8")
    command = ("train", "people.csv", "--target", "y", "--quiet", "--epochs", 1)
    err = cr(*command).err
    assert err.count("too many to learn from") == 1
    assert "column 'name'" in err
    assert "use --leave-out name" in err
    assert cr(*command, "--leave-out", "name").err == ""


@pytest.mark.parametrize(
    ("given", "which", "without"),
    [
        (("--validation", 0), "a test split needs", "--test 0"),
        (("--test", 0), "a validation split needs", "--validation 0"),
        ((), "the validation and test splits need", "--validation 0 and --test 0"),
    ],
)
def test_a_class_with_one_row_names_the_split_and_the_option_that_helps(cr, given, which, without):
    rows = "1,3\n2,4\n" * 10 + "9,7\n"
    Path("tiny.csv").write_text("x,y\n" + rows, encoding="utf-8")
    command = ("train", "tiny.csv", "--target", "y", "--quiet", "--epochs", 1)
    refused = cr(*command, *given)
    assert refused.code == 3
    assert f"class 7 has 1 row; {which} ≥ 2. Merge classes or use {without}, or use" in refused.err
    assert "--task regression" in refused.err
    nothing_held_out = without.replace(" and ", " ").split()
    assert cr(*command, *given, *nothing_held_out).code == 0
    assert cr(*command, *given, "--task", "regression").code == 0


def test_the_marker_that_a_hint_names_can_be_typed_as_it_says(cr):
    Path("t.csv").write_text("x,y\n-,a\n" + "1,a\n2,b\n" * 10, encoding="utf-8")
    command = ("train", "t.csv", "--target", "y", "--quiet", "--epochs", 1)
    hint = cr(*command).err.split("Treat as missing with ")[1].strip()
    assert hint == "--na-values=-"
    assert cr(*command, hint, "--missing", "mean").code == 0


def test_the_patience_that_is_suggested_does_what_is_said(cr):
    draw = random.Random(1)
    rows = "".join(f"{draw.gauss(0, 1)},{draw.gauss(0, 1)},{draw.gauss(0, 1)}\n" for _ in range(60))
    Path("noise.csv").write_text("a,b,y\n" + rows, encoding="utf-8")
    command = ("train", "noise.csv", "--target", "y", "--quiet", "--lr", 0.02)
    text = cr(*command).out
    epoch = int(re.search(r"loss was lowest in epoch (\d+)", text)[1])
    patience = int(re.search(r"--patience (\d+) would have kept the weights", text)[1])
    stop = int(re.search(r"and ended after epoch (\d+)\.", text)[1])
    found = cr(*command, "--patience", patience, "--json").json
    assert (found["best_epoch"], found["epochs"]) == (epoch, stop)


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([9, 8, *[8.5] * 14, 1, *[5.0] * 30], "--patience 15 would have kept the weights of that"),
        ([9, 8, 1, *[5.0] * 30], "--patience 10 would have kept the weights of that epoch, and"),
        ([9, 8, *[8.5] * 29, 1, *[5.0] * 10], "--patience 30 would have kept the weights of that"),
        ([9, 8, 7, 1, 1.2, 1.1], ""),
        (
            [math.nan, 1, *[5.0] * 30],
            "--patience 10 would have kept the weights of that epoch, and",
        ),
        ([math.nan] * 5, ""),
    ],
)
def test_advice_on_patience_comes_from_the_history(losses, says):
    history = [{"epoch": i, "val_loss": loss} for i, loss in enumerate(losses, start=1)]
    advice = _advice({"history": history, "best_epoch": None})
    assert says in advice
    assert bool(advice) == bool(says)
    if "and ended" in advice:
        stop = losses.index(1) + 1 + int(re.search(r"--patience (\d+)", advice)[1])
        assert f"and ended after epoch {stop}." in advice
        assert stop < len(losses)


def test_evaluation_compares_with_the_labels_of_a_file(cr, pets):
    cr("train", pets, *PETS, "--missing", "mean", "--epochs", 20)
    found = cr("eval", "runs/pets-1", pets, "--json").json
    assert found["rows"] == 300
    assert np.trace(found["confusion"]) / 300 == pytest.approx(found["accuracy"])
    text = cr("eval", "runs/pets-1", pets).out
    assert "true \\ predicted  cat  dog  ferret" in text
    Path("bare.csv").write_text("age,colour\n3,white\n", encoding="utf-8")
    assert cr("eval", "runs/pets-1", "bare.csv").code == 2


def test_a_target_of_numbers_is_a_regression_in_the_users_units(cr, houses):
    found = cr("train", houses, "--target", "price", "--json", "--quiet").json
    assert found["task"] == "regression"
    assert found["results"]["test"]["rmse"] < 10
    assert found["results"]["test"]["r2"] > 0.99
    Path("new.csv").write_text("size,garden\n4,yes\n2,no\n", encoding="utf-8")
    prices = [float(x) for x in cr("predict", "runs/houses-1", "new.csv").out.split()[1:]]
    assert prices == pytest.approx([220, 100], abs=12)
    assert "R²" in cr("eval", "runs/houses-1", houses).out
    assert cr("predict", "runs/houses-1", "new.csv", "--proba").code == 2


@pytest.mark.parametrize("loss", ["half_mse", "bce", "bce_logits", "hinge", "kl", "huber"])
def test_other_losses_learn_classes_with_one_output_for_each(cr, pets, loss):
    command = ("train", pets, *PETS, "--missing", "mean", "--loss", loss, "--json")
    found = cr(*command, "--lr", 0.01, "--epochs", 60).json
    assert found["layers"][-1] == 3
    assert found["results"]["test"]["accuracy"] > 0.9


@pytest.mark.parametrize("loss", ["cross_entropy", "bce", "bce_logits", "hinge", "half_mse"])
def test_two_classes_come_back_as_their_labels(cr, loss):
    rows = "".join(f"{x},{'high' if x > 50 else 'low'}\n" for x in range(100))
    Path("t.csv").write_text("x,level\n" + rows, encoding="utf-8")
    cr("train", "t.csv", "--target", "level", "--loss", loss, "--quiet", "--lr", 0.02)
    Path("new.csv").write_text("x\n2\n97\n", encoding="utf-8")
    assert cr("predict", "runs/t-1", "new.csv").out == "level\nlow\nhigh\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a,b,y\n1,2,x\n3,y\n", "line 3"),
        ("a,y\nn/a,z\n" + "1,x\n2,z\n" * 9, "--na-values n/a"),
        ("a,y\n1,x\n2,x\n", "single class"),
        ("", "empty"),
        ("a;y\n1,5;x\n2,5;y\n1,7;x\n", '--sep ";", --decimal ","'),
    ],
)
def test_a_csv_that_is_wrong_never_trains_and_leaves_no_run_directory(cr, text, where):
    Path("wrong.csv").write_text(text, encoding="utf-8")
    done = cr("train", "wrong.csv", "--target", "y")
    assert done.code == 3
    assert where in done.err
    assert not Path("runs").exists()


def test_options_for_the_file_do_what_the_messages_say(cr):
    rows = "".join(f"{i},5;{'a' if i > 20 else 'b'}\n" for i in range(40))
    Path("german.csv").write_text("x;y\n" + rows, encoding="utf-8")
    command = ("train", "german.csv", "--target", "y", "--quiet", "--epochs", 1)
    assert cr(*command, "--sep", ";", "--decimal", ",").code == 0


def test_nothing_held_out_trains_on_every_row(cr):
    command = ("train", "digits", "--validation", 0, "--test", 0, "--epochs", 1, "--json")
    assert list(cr(*command).json["results"]) == ["training"]
    alone = ("train", "digits", "--validation", 0, "--epochs", 1, "--json")
    assert list(cr(*alone).json["results"]) == ["training", "test"]


def test_the_parts_share_no_row_and_every_class_is_in_each():
    digits = load("digits")
    parts = divided(digits, validation=0.1, test=0.2, seed=4)
    together = np.concatenate(list(parts.values()))
    assert np.array_equal(np.sort(together), np.arange(1797))
    for rows in parts.values():
        shares = np.bincount(digits.y[rows], minlength=10) / len(rows)
        assert np.abs(shares - 0.1).max() < 0.02


def test_patience_stops_early_and_keeps_the_best_weights(cr, pets):
    command = ("train", pets, *PETS, "--missing", "mean", "--lr", 0.05, "--epochs", 150, "--json")
    found = cr(*command, "--patience", 3).json
    assert found["stopped_early"]
    assert found["best_epoch"] == found["epochs"] - 3


def test_a_learning_rate_that_is_too_high_ends_with_4_and_says_where_the_weights_are(cr):
    done = cr("train", "digits", "--optimizer", "sgd", "--lr", 1e9, "--epochs", 2, "--quiet")
    assert done.code == 4
    assert "runs/digits-1" in done.err
    assert "Lower --lr (now 1e+09; a safe first try is 0.01) or set --clip-norm" in done.err


# A process that a shell starts in the background does not hear Ctrl-C, nor do those it starts.
HEARING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from chainrule.cli import main
sys.exit(main())
"""


def test_ctrl_c_saves_what_was_learned_and_ends_with_130(tmp_path):
    command = [sys.executable, "-c", HEARING, "train", "digits", "--epochs", "1000000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as process:
        metrics = tmp_path / "runs" / "digits-1" / "metrics.jsonl"
        deadline = time.monotonic() + 30
        while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted in step" in err
    assert "Traceback" not in err
    assert "run directory  runs/digits-1" in out
    assert (metrics.parent / "run.toml").exists()


def test_arrays_in_a_file_are_trained_on_and_predicted_from(cr):
    X = np.random.default_rng(0).normal(size=(200, 3))
    np.savez("arrays.npz", X=X, y=(X[:, 0] > 0).astype(int))
    assert cr("train", "arrays.npz", "--quiet", "--epochs", 30).code == 0
    assert cr("eval", "runs/arrays-1", "arrays.npz", "--json").json["accuracy"] > 0.9
    assert set(cr("predict", "runs/arrays-1", "arrays.npz").out.split()) == {"y", "0", "1"}


def test_a_small_mnist_like_nielsens_learns(cr):
    images = ROOT.parent / "shared" / "data" / "mnist" / "train-images-idx3-ubyte.gz"
    if not images.exists():
        pytest.skip("MNIST is not beside this checkout")
    options = ("--hidden", 30, "--activation", "sigmoid", "--loss", "half_mse", "--lr", 3.0)
    rest = ("--optimizer", "sgd", "--batch-size", 10, "--epochs", 2, "--json", "--quiet")
    assert cr("train", images, *options, *rest).json["results"]["validation"]["accuracy"] > 0.93


def test_a_run_from_python_is_refused_with_the_way_to_use_it(cr):
    import chainrule as chain

    X = np.random.default_rng(0).normal(size=(20, 2))
    run = chain.train(
        chain.mlp([2, 2]), X, np.arange(20) % 2, loss="cross_entropy", epochs=1, progress="off"
    )
    run.save("plain")
    np.savez("new.npz", X=X)
    done = cr("predict", "plain", "new.npz")
    assert done.code == 5
    assert "cr.load_run" in done.err
    assert cr("predict", "nowhere", "new.npz").code == 5


def test_epochs_suit_the_size_of_the_data():
    assert epochs_for(1258, 32) == 150
    assert epochs_for(42_000, 10) == 10
    assert epochs_for(50, 32) == 200
    assert epochs_for(1258, None) == 150
    assert epochs_for(50, "all") == 200


def test_lr_and_momentum_complete_the_optimizer():
    assert optimizer("sgd", lr=0.5, momentum=0.9, regression=False).name == "momentum"
    assert optimizer("adam:beta1=0.8", lr=None, momentum=None, regression=False).lr == 0.002
    with pytest.raises(ParameterError, match="lr is given twice"):
        optimizer("adam:lr=1", lr=0.5, momentum=None, regression=False)
    with pytest.raises(ParameterError, match="no option 'momentum'"):
        optimizer("adam", lr=None, momentum=0.9, regression=False)


def test_the_history_is_in_the_json(cr):
    found = json.loads(cr("train", "digits", "--epochs", 2, "--json", "--quiet").out)
    assert [entry["epoch"] for entry in found["history"]] == [1, 2]
