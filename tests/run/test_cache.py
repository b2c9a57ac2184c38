"""Code that was stored: it is what would have been compiled, or it is compiled again."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from chainrule.cli.doctor import _cache
from chainrule.errors import ChainruleWarning
from chainrule.expr import input_
from chainrule.nn import mlp
from chainrule.plan.program import program
from chainrule.run import built, cache, identity, jit, recipe
from chainrule.run.cache import ObjectCache, opened
from chainrule.run.machine import Machine
from tests.run.engines import data, sha, trained

ROOT = Path(__file__).parents[2]
KEY, OTHER = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
A, B = input_("A", "m n"), input_("B", "n k")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The directory of a cache that is on."""
    path = tmp_path / "code"
    monkeypatch.setenv(cache.VARIABLE, str(path))
    return path


@pytest.fixture
def compiled(monkeypatch):
    """What was compiled: object code."""
    codes = []

    def object_code(*args):
        codes.append(jit.object_code(*args))
        return codes[-1]

    monkeypatch.setattr(built, "object_code", object_code)
    return codes


def product(n=5):
    """A small program run on fixed arrays by a machine of its own."""
    rng = np.random.default_rng(n)
    machine = Machine(program("product", (A, B), {"": A @ B}, {}), 1)
    return machine(A=rng.standard_normal((4, n)), B=rng.standard_normal((n, 3)))[0]


def stored(path):
    return sorted(file.name for file in path.iterdir())


def test_a_program_is_compiled_once_and_gives_the_same_bits_from_the_cache(folder, compiled):
    first = product()
    assert len(compiled) == 1
    (entry,) = ObjectCache(folder).entries()
    assert ObjectCache(folder).get(entry.path.stem).endswith(compiled[0])
    np.testing.assert_array_equal(product(), first)
    assert len(compiled) == 1
    product(n=6)
    assert len(compiled) == 2
    assert len(stored(folder)) == 2


@pytest.mark.parametrize("threads", [1, 3])
def test_training_with_code_from_the_cache_gives_the_bits_of_compiled_code(
    folder, compiled, monkeypatch, threads
):
    X, y = data(70, 9, 3)
    net = mlp([9, 8, 3], activation="tanh")
    options = {"loss": "cross_entropy", "epochs": 3, "batch_size": 32, "validation": 0.2}
    found = []
    for where in ("off", str(folder), str(folder)):
        monkeypatch.setenv(cache.VARIABLE, where)
        found.append(sha(trained(net, X, y, threads=threads, **options).params))
    assert len(set(found)) == 1
    assert len(compiled) < 3 * len(stored(folder)) + 1


def damaged(data, how):
    at = len(data) // 2
    return {
        "one bit": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        "cut short": data[:-1],
        "longer": data + b"\0",
        "header alone": data[:40],
        "empty": b"",
        "other length": data[:48] + b"\xff" * 8 + data[56:],
        "other format": b"chainrule code 0" + data[16:],
        "other key": data[:16] + bytes.fromhex(OTHER) + data[48:],
    }[how]


DAMAGES = (
    *("one bit", "cut short", "longer", "header alone", "empty"),
    *("other length", "other format", "other key"),
)


@pytest.mark.parametrize("how", DAMAGES)
def test_what_is_not_what_was_stored_is_removed_and_compiled_again(folder, compiled, how):
    first = product()
    (name,) = stored(folder)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(damaged(whole, how))
    assert ObjectCache(folder).get(name.removesuffix(cache.ENDING)) is None
    assert stored(folder) == []
    (folder / name).write_bytes(damaged(whole, how))
    np.testing.assert_array_equal(product(), first)
    assert len(compiled) == 2
    assert (folder / name).read_bytes() == whole


def test_code_of_one_program_under_the_name_of_another_is_not_taken(folder, compiled):
    product(5)
    (five,) = stored(folder)
    wrong = (folder / five).read_bytes()
    right = product(6)
    six = next(name for name in stored(folder) if name != five)
    (folder / six).write_bytes(wrong)
    np.testing.assert_array_equal(product(6), right)
    assert len(compiled) == 3


@pytest.mark.parametrize("what", ["name", "features", "llvm", "sources"])
def test_another_processor_compiler_or_chainrule_finds_nothing(folder, compiled, monkeypatch, what):
    product()
    here = jit.host()
    if what in ("name", "features"):
        monkeypatch.setattr(identity, "host", lambda: replace(here, **{what: "other"}))
    elif what == "llvm":
        monkeypatch.setattr(identity.llvm, "llvm_version_info", (1, 2, 3))
    else:
        monkeypatch.setattr(identity, "source_digest", lambda: "another")
    product()
    assert len(compiled) == 2
    assert len(stored(folder)) == 2


def test_the_digest_of_the_sources_follows_every_file_and_its_name(tmp_path, monkeypatch):
    for name in identity.SOURCES:
        path = tmp_path / name
        path = path if path.suffix else path / "part.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(identity, "PACKAGE", tmp_path)
    monkeypatch.setattr(identity, "BEGAN", time.time() + 10)
    digest = identity.source_digest.__wrapped__
    seen = {digest()}
    for path in sorted(tmp_path.rglob("*.py")):
        path.write_text("x = 2\n")
        seen.add(digest())
    (tmp_path / "run" / "part.py").rename(tmp_path / "run" / "renamed.py")
    seen.add(digest())
    assert len(seen) == len(identity.SOURCES) + 2
    monkeypatch.setattr(identity, "BEGAN", time.time() - 10)
    assert digest() is None, "changed after it was loaded"
    monkeypatch.setattr(identity, "PACKAGE", tmp_path / "archive.zip")
    assert digest() is None, "no files to read"


@pytest.mark.parametrize("threads", [1, 2, None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"batch_size": "all"}, {"clip_norm": 1.0, "l1": 0.1}])
def test_what_is_stored_is_run_without_a_plan(folder, monkeypatch, options, dtype, threads):
    X, y = data(70, 9, 3, dtype)
    options = {"loss": "cross_entropy", "epochs": 2, "threads": threads, **options}
    net = mlp([9, 8, 3], activation="relu", dropout=0.2)
    wanted = sha(trained(net, X, y, soon=True, validation=0.2, **options).params)
    monkeypatch.setattr(recipe, "plan_step", mock.Mock(side_effect=AssertionError))
    assert sha(trained(net, X, y, soon=True, validation=0.2, **options).params) == wanted


HEADERS = {
    "nothing": b"",
    "no header": bytes(8),
    "a length alone": (100).to_bytes(8, "little"),
    "the longest": b"\xff" * 8 + b"{}",
    "no text": (2).to_bytes(8, "little") + b"\xff\xfe",
    "half a text": (1).to_bytes(8, "little") + b"{",
    "an empty one": (2).to_bytes(8, "little") + b"{}",
    "a list": (2).to_bytes(8, "little") + b"[]",
    "nested": (20000).to_bytes(8, "little") + b"[" * 20000,
}


@pytest.mark.parametrize("how", HEADERS)
def test_an_entry_without_a_header_is_compiled_again(folder, compiled, how):
    first = product()
    ((name,), whole) = stored(folder), (folder / stored(folder)[0]).read_bytes()
    key = name.removesuffix(cache.ENDING)
    ObjectCache(folder).put(key, HEADERS[how])  # its digest is right
    np.testing.assert_array_equal(product(), first)
    assert len(compiled) == 2
    assert (folder / name).read_bytes() == whole


def test_an_entry_of_another_program_is_compiled_again_even_if_its_digest_is_right(
    folder, compiled
):
    product(5)
    (five,) = stored(folder)
    right = product(6)
    six = next(name for name in stored(folder) if name != five)
    store = ObjectCache(folder)
    store.put(six.removesuffix(cache.ENDING), store.get(five.removesuffix(cache.ENDING)))
    np.testing.assert_array_equal(product(6), right)
    assert len(compiled) == 3


def test_a_recipe_that_cannot_be_spelled_is_compiled_and_not_stored(folder, compiled, monkeypatch):
    def refuse(*_):
        raise TypeError

    monkeypatch.setattr(identity, "spelled", refuse)
    product()
    product()
    assert len(compiled) == 2
    assert stored(folder) == []


def test_directory_and_files_are_private(folder):
    product()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_may_write_to_is_refused_and_said_once(folder, compiled, mode):
    product()
    folder.chmod(mode)
    cache._opened.cache_clear()
    with pytest.warns(ChainruleWarning, match="others may write to it") as said:
        [product() for _ in range(2)]
    assert len(said) == 1
    assert len(compiled) == 3
    assert "refused" in _cache().found


def test_a_link_is_refused(folder, tmp_path, compiled):
    product()
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    cache._opened.cache_clear()
    with pytest.warns(ChainruleWarning, match="is a link"):
        product()
    assert len(compiled) == 2


def test_a_directory_of_another_user_is_refused(folder, compiled, monkeypatch):
    product()
    cache._opened.cache_clear()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(ChainruleWarning, match="belongs to another user"):
        product()
    assert len(compiled) == 2


def test_a_file_that_others_may_write_to_and_a_link_to_a_file_are_not_read(folder, tmp_path):
    folder.mkdir()
    store = ObjectCache(folder)
    store.put(KEY, b"code")
    path = folder / f"{KEY}{cache.ENDING}"
    path.chmod(0o622)
    assert store.get(KEY) is None
    store.put(KEY, b"code")
    assert store.get(KEY) == b"code"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert store.get(KEY) is None


def test_the_files_used_longest_ago_are_removed_when_there_is_no_room(folder):
    folder.mkdir()
    size = len(cache._header(KEY, b"")) + 1000
    store = ObjectCache(folder, most_bytes=3 * size + 10)
    keys = [hashlib.sha256(bytes([i])).hexdigest() for i in range(4)]
    for age, key in zip((30, 20, 10), keys, strict=False):
        store.put(key, b"x" * 1000)
        used = time.time() - age
        os.utime(folder / f"{key}{cache.ENDING}", (used, used))
    assert [e.path.stem for e in store.entries()] == keys[:3]
    assert store.get(keys[0]) == b"x" * 1000  # used just now
    store.put(keys[3], b"x" * 1000)
    assert {e.path.stem for e in store.entries()} == {keys[0], keys[2], keys[3]}
    assert sum(e.size for e in store.entries()) <= store.most_bytes
    store.put(OTHER, b"x" * 4000)
    assert store.get(OTHER) is None, "larger than all the room there is"
    assert len(store.entries()) == 3


def test_files_that_nobody_will_finish_are_removed_and_others_left_alone(folder):
    folder.mkdir()
    old, new, foreign = folder / ".old", folder / ".new", folder / "notes.txt"
    for path in (old, new, foreign):
        path.write_bytes(b"x")
    began = time.time() - 2 * cache.FORGOTTEN_S
    os.utime(old, (began, began))
    os.utime(foreign, (began, began))
    ObjectCache(folder, most_bytes=200).put(KEY, b"code")
    assert sorted(p.name for p in folder.iterdir()) == [".new", f"{KEY}{cache.ENDING}", "notes.txt"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_training_goes_on_where_nothing_can_be_written(folder, compiled, monkeypatch, error):
    def fail(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(cache, "_write_new", fail)
    np.testing.assert_array_equal(product(), product())
    assert len(compiled) == 2
    assert stored(folder) == []


def test_a_write_that_fails_half_way_leaves_no_file(folder, monkeypatch):
    folder.mkdir()
    write = cache._write_new

    def half(path, data):
        write(path, data[:20])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(cache, "_write_new", half)
    ObjectCache(folder).put(KEY, b"code")
    assert stored(folder) == []


def test_a_directory_that_vanished_or_cannot_be_made_costs_nothing_else(
    folder, tmp_path, compiled, monkeypatch
):
    first = product()
    (folder / stored(folder)[0]).unlink()
    folder.rmdir()
    np.testing.assert_array_equal(product(), first)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "code"))
    np.testing.assert_array_equal(product(), first)
    assert len(compiled) == 3
    assert _cache().found.startswith("off: ")
    assert _cache().ok


@pytest.mark.parametrize("word", ["off", "0", "OFF"])
def test_off_stores_nothing(word, folder, compiled, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, word)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    product()
    product()
    assert len(compiled) == 2
    assert not folder.exists()
    assert _cache().found == f"off ({cache.VARIABLE}={word})"


def test_the_directory_is_where_the_desktop_specification_says(tmp_path, monkeypatch):
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert opened().cache.folder == tmp_path / "caches" / "chainrule" / "code"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert opened().cache.folder == tmp_path / "home" / ".cache" / "chainrule" / "code"
    assert stat.S_IMODE(opened().cache.folder.stat().st_mode) == 0o700


def test_doctor_says_where_code_is_kept_and_how_much(folder):
    product()
    assert _cache().found.startswith(f"{folder}: 1 programs, 0.0 of 256 MiB")


RACE = """
import sys, time
from pathlib import Path
from chainrule.run.cache import ObjectCache
store, mine = ObjectCache(Path(sys.argv[1]), 40_000), int(sys.argv[2])
end = time.time() + 1.5
seen = 0
while time.time() < end:
    for i in range(8):
        key = f"{i:064x}"
        code = bytes([i]) * 9_000
        found = store.get(key)
        assert found is None or found == code, (i, found[:10])
        seen += found is not None
        store.put(key, code)
print(seen)
"""


def test_processes_that_store_and_remove_at_the_same_time_see_whole_files_only(folder):
    folder.mkdir()
    command = [sys.executable, "-c", RACE, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    racing = [
        subprocess.Popen([*command, str(i)], env=environment, stdout=-1, stderr=-1, text=True)
        for i in range(3)
    ]
    for process in racing:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert int(out) > 0
    assert sum(e.size for e in ObjectCache(folder).entries()) <= 40_000 + 9_200
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_nothing_is_said_of_a_cache_that_works(folder):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        product()
        product()
    assert said == []
    assert opened().cache.entries(), "it was used"
