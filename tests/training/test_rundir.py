"""Run directories: what is written comes back, and what is not whole is refused."""

import json
import tomllib

import numpy as np
import pytest

from chainrule.errors import (
    CheckpointError,
    CheckpointWarning,
    CorruptFileError,
    DivergenceError,
    UnsafeFileError,
    VersionError,
)
from chainrule.nn import mlp
from chainrule.ops.losses import mse
from chainrule.run.keyed import normal
from chainrule.training import load_run, rundir, train
from chainrule.training.toml import dumps

X = normal(0, "check", 0, (40, 4))
LABELS = np.arange(40) % 3


def fit(**options):
    given = {"loss": "cross_entropy", "epochs": 3, "progress": "off", "validation": 0.25}
    return train(mlp([4, 5, 3], dropout=0.1), X, LABELS, **{**given, **options})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_comes_back_as_it_was(tmp_path, dtype):
    prepared = json.dumps({"mean": [0.5], "labels": ["ä", '"b"']})
    about = {"name": "table.csv", "sha256": "12ab"}
    run = fit(run_dir=tmp_path / "a" / "b", preprocessing=prepared, source=about, dtype=dtype)
    loaded = load_run(tmp_path / "a" / "b")
    assert loaded.definition is run.definition
    assert loaded.history == run.history
    assert loaded.preprocessing == prepared
    assert loaded.source == about
    assert loaded.settings == run.settings
    assert loaded.sizes == run.sizes
    for name, value in run.params.items():
        assert loaded.params[name].tobytes() == value.tobytes()
        assert loaded.params[name].dtype == dtype
    assert np.array_equal(loaded.predict_proba(X), run.predict_proba(X))
    assert loaded.evaluate(X, LABELS) == run.evaluate(X, LABELS)


def test_a_run_can_be_saved_later(tmp_path):
    run = fit(early_stopping=1)
    run.save(tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.history == run.history
    assert (loaded.steps, loaded.best_epoch) == (run.steps, run.best_epoch)


@pytest.mark.parametrize(
    ("loss", "y"), [("half_mse", LABELS), ("bce_logits", LABELS == 1), ("mse", X[:, :3])]
)
def test_what_a_prediction_means_is_kept(tmp_path, loss, y):
    outputs = 1 if loss == "bce_logits" else 3
    run = train(mlp([4, outputs]), X, y, loss=loss, epochs=1, progress="off")
    run.save(tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.task == run.task
    assert np.array_equal(loaded.predict(X), run.predict(X))


def test_scalars_and_inputs_held_fixed_are_kept(tmp_path):
    def line(w: "", c: "", x: "m", y: "m"):
        return mse(c * (w * x), y)

    from chainrule.netfile import define

    net = define(line, params=["w"])
    run = train(net, X[:, 0], X[:, 1], start={"c": 2.0}, epochs=2, progress="off")
    run.save(tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.values["c"] == 2.0
    assert loaded.values["w"].shape == ()
    assert np.array_equal(loaded.predict(X[:, 0]), run.predict(X[:, 0]))


def test_the_files_say_what_was_done(tmp_path):
    asked = {"target": "y", "hidden": "5", "validation": 0.25}
    fit(run_dir=tmp_path / "run", seed=7, source={"name": 'a "b".csv'}, l2=0.01, options=asked)
    about = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
    assert about["training"]["seed"] == 7
    assert about["training"]["l2"] == 0.01
    assert about["training"]["loss"] == "cross_entropy"
    assert about["training"]["optimizer"].startswith("adam:lr=0.001")
    assert about["options"] == asked == load_run(tmp_path / "run").options
    assert list(about["model"]) == ["sha256"]
    assert about["data"]["name"] == 'a "b".csv'
    assert about["result"]["epochs"] == 3
    assert 0 <= about["result"]["last_val_accuracy"] <= 1
    assert about["sizes"]["h_1"] == 5
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "metrics.jsonl",
        "model.safetensors",
        "run.toml",
    ]


def test_metrics_are_written_as_training_goes(tmp_path):
    seen = []

    def count(view):
        seen.append(len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()))

    fit(run_dir=tmp_path / "run", callbacks=[count])
    assert seen == [1, 2, 3]


def test_an_interrupted_run_is_saved(tmp_path):
    def interrupt(view):
        raise KeyboardInterrupt

    fit(run_dir=tmp_path / "run", callbacks=[interrupt])
    assert load_run(tmp_path / "run").interrupted
    assert len(load_run(tmp_path / "run").history) == 1


def test_a_run_that_diverged_leaves_its_last_finite_weights(tmp_path):
    options = {"loss": "mse", "optimizer": "sgd:lr=1e9", "progress": "off", "epochs": 99}
    with pytest.raises(DivergenceError) as error:
        train(mlp([4, 1]), X, X[:, 0], run_dir=tmp_path / "run", **options)
    loaded = load_run(tmp_path / "run")
    assert loaded.params["W_1"].tobytes() == error.value.run.params["W_1"].tobytes()
    assert np.isfinite(loaded.params["W_1"]).all()


def test_the_same_run_is_the_same_file():
    assert rundir.model_bytes(fit()) == rundir.model_bytes(fit())


def test_a_model_whose_header_length_looks_like_a_pickle_is_read(tmp_path):
    """Safetensors begins with the length of its header: 0x280 bytes spell the mark of a pickle."""
    length = int.from_bytes(rundir.model_bytes(fit())[:8], "little")
    target = next(n for n in range(0x0280, 0x10000, 0x100) if n > length + 8)
    run = fit(preprocessing="p" * (target - length))
    data = rundir.model_bytes(run)
    assert data[0] == 0x80
    assert data[1] in (2, 3, 4, 5)
    run.save(tmp_path / "run")
    assert load_run(tmp_path / "run").preprocessing == run.preprocessing


# What is refused


def test_an_existing_run_is_not_overwritten_unless_told(tmp_path):
    first = fit(run_dir=tmp_path / "run", seed=1)
    with pytest.raises(CheckpointError, match=r"holds a run .*overwrite=True"):
        fit(run_dir=tmp_path / "run", seed=2)
    with pytest.raises(CheckpointError, match="holds a run"):
        first.save(tmp_path / "run")
    assert load_run(tmp_path / "run").settings["seed"] == 1
    (tmp_path / "run" / "notes.txt").write_text("mine")
    fit(run_dir=tmp_path / "run", seed=2, overwrite=True)
    assert load_run(tmp_path / "run").settings["seed"] == 2
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_to_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    steps = []
    with pytest.raises(CheckpointError, match="Nothing was trained: choose another directory"):
        fit(run_dir=tmp_path / "file" / "run", callbacks=[steps.append])
    assert steps == []


def test_a_run_that_cannot_be_saved_was_trained_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write to .*\. Choose another dir") as error:
        fit().save(tmp_path / "file" / "run")
    assert "trained" not in str(error.value)


def test_a_full_disk_does_not_end_training(tmp_path):
    def make_unwritable(view):
        if view.epoch == 1:
            (tmp_path / "run" / "metrics.jsonl").unlink()
            (tmp_path / "run" / "metrics.jsonl").mkdir()

    with (
        pytest.warns(CheckpointWarning, match="could not save the metrics of epoch 2"),
        pytest.raises(CheckpointError, match=r"cannot write to .*\. Make room there"),
    ):
        fit(run_dir=tmp_path / "run", callbacks=[make_unwritable])


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    run = fit(run_dir=tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CheckpointError, match="No space left on device"):
        rundir.RunDirectory(tmp_path / "run").finish(run)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    assert not list((tmp_path / "run").glob(".*"))


def test_there_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match=r"run.toml is not there"):
        load_run(tmp_path)
    (tmp_path / "model.txt").write_text("text")
    with pytest.raises(CheckpointError, match="Name the directory of a run"):
        load_run(tmp_path / "model.txt")


@pytest.fixture
def saved(tmp_path):
    fit(run_dir=tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_flipped_bit_is_noticed(saved, place):
    model = saved / "model.safetensors"
    data = bytearray(model.read_bytes())
    data[place] ^= 1
    model.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"model.safetensors is damaged: checksum \w{8}… ≠"):
        load_run(saved)


@pytest.mark.parametrize("name", ["run.toml", "model.safetensors", "metrics.jsonl"])
def test_a_truncated_file_is_noticed(saved, name):
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: len(data) - 7])
    with pytest.raises(CorruptFileError, match=f"{saved}: {name} is damaged") as error:
        load_run(saved)
    assert error.value.hint == "Take the run from a copy that is whole, or train it again"


@pytest.mark.parametrize(
    "data",
    [b"\x80\x04\x95", b"\x80\x02}q", b"PK\x03\x04torch", b"\x89HDF\r\n\x1a\n0"],
)
def test_a_model_that_could_run_code_is_refused_by_its_content(saved, data):
    (saved / "model.safetensors").write_bytes(data)
    with pytest.raises(UnsafeFileError, match="loading it can run arbitrary code"):
        load_run(saved)
    (saved / "model.pt").write_bytes(data)
    with pytest.raises(UnsafeFileError, match=r"model\.pt"):
        load_run(saved / "model.pt")


def test_a_newer_format_is_named(saved):
    about = (saved / "run.toml").read_text().replace("format_version = 1", "format_version = 4")
    (saved / "run.toml").write_text(about)
    with pytest.raises(VersionError, match=r"format 4\), this one reads format ≤ 1") as error:
        load_run(saved)
    assert error.value.where == str(saved)


def test_another_file_of_the_same_kind_is_no_run(saved):
    (saved / "run.toml").write_text('format = "other"\n')
    with pytest.raises(CorruptFileError, match=f"{saved}: not a run of chainrule: run.toml"):
        load_run(saved)


def test_tensors_that_do_not_fit_the_definition_are_refused():
    from safetensors.numpy import load, save

    run = fit()
    data = rundir.model_bytes(run)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    about = json.loads(header["chainrule"])
    tensors = load(data)
    wrong = [
        {**tensors, "W_1": tensors["W_1"][:2]},
        {**tensors, "W_1": tensors["W_1"].astype(np.float16)},
        {name: value for name, value in tensors.items() if name != "b_2"},
        {**tensors, "extra": np.zeros(3)},
        {name: value.astype(np.int64) for name, value in tensors.items()},
    ]
    for tensors in wrong[:4]:
        with pytest.raises(CorruptFileError, match=r"model.safetensors"):
            rundir.model_of(save(tensors, metadata=header))
    for change in ({"definition": "net x\nreturn 1"}, {"definition": "("}, {"kind": "words"}):
        changed = {"chainrule": json.dumps({**about, **change})}
        with pytest.raises(CorruptFileError):
            rundir.model_of(save(load(data), metadata=changed))
    with pytest.raises(CorruptFileError, match="is damaged"):
        rundir.model_of(data[:40])


def test_a_loss_that_is_not_finite_is_null_in_the_metrics(tmp_path):
    directory = rundir.RunDirectory.create(tmp_path / "run")
    directory.append({"epoch": 1, "loss": float("inf")})
    line = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert json.loads(line) == {"epoch": 1, "loss": None}


# TOML


def test_every_value_comes_back_from_toml():
    hard = {
        "text": 'quote " backslash \\ line\nreturn\r tab\t null\x00 del\x7f ünïcödé 🙂',
        "a key": "with a blank",
        'ke"y': 1,
        "": True,
        "integer": -(2**62),
        "small": 5e-324,
        "large": 1.7976931348623157e308,
        "whole": 3.0,
        "infinite": float("-inf"),
        "off": False,
    }
    document = {**hard, "table": hard, "a table": {}}
    assert tomllib.loads(dumps(document)) == document
