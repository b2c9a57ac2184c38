"""Reading and writing CSV: what is written is read back, and no bytes crash the reader."""

import gzip
import os
import random
import string
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import ChainruleError, CheckpointError, DataError
from chainrule.io.columns import NUMBER
from chainrule.io.csvfile import CsvForm, find_separator, parse_csv, read_csv
from chainrule.io.csvwrite import write_csv
from chainrule.io.files import FileBytes
from chainrule.io.table import nfc

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


def parse(content, **options):
    data = content if isinstance(content, bytes) else content.encode()
    return parse_csv(FileBytes("a.csv", data, ""), CsvForm(**options))


def read_back(path):
    table = read_csv(path, sep=",")
    return {name: list(table.texts(name)) for name in table.columns}


def ordinary(text):
    """Neither escaped on writing, nor refused as a name, nor a number in place of a header."""
    return not text.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBER.fullmatch(text)


NAMES = st.lists(
    TEXT.filter(lambda name: name.strip() and ordinary(name)), min_size=1, max_size=4, unique_by=nfc
)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), names=NAMES, n_rows=st.integers(1, 5))
def test_a_table_that_was_written_is_read_back_identically(tmp_path_factory, data, names, n_rows):
    column = st.lists(TEXT.filter(ordinary), min_size=n_rows, max_size=n_rows)
    columns = {name: data.draw(column) for name in names}
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_csv(path, columns)
    assert read_back(path) == columns


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1))
def test_floats_that_were_written_are_read_back_to_the_same_bits(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_csv(path, {"x": np.array(values)})
    assert np.array_equal(read_csv(path).numbers("x"), values, equal_nan=True)


SEEDS = (
    b"age,colour,price\n31,red,1.5\n,blue,-2e3\n47,red,nan\n",
    b'a;b\n"x ""y"" z";1\n"two\nlines";2\n',
    "größe\tname\r\n1,5\tÄnne\r\n2,5\tBob\r\n".encode(),
    b"\xef\xbb\xbfx\n1\n\n3\n",
    gzip.compress(b"x,y\n1,2\n3,4\n" * 20, mtime=0),
    "a,b\n1,2\n".encode("utf-16"),
)
PIECES = (b'"', b",", b";", b"\n", b"\r", b"\0", b"\xff", b"\x1f\x8b", b"1e999", b"\xc3", b"_", b"")


def mutated(rng):
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at:at] = rng.choice(PIECES)
            case 2:
                del data[at : at + rng.randint(1, 8)]
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 20)]
    return bytes(data)


def use(data, rng):
    """Read the bytes and each column as a caller would."""
    table = parse(
        data,
        sep=rng.choice([None, None, ",", ";"]),
        decimal=rng.choice([".", ","]),
        encoding=rng.choice(["utf-8", "utf-8", "latin-1", "utf-16", "utf-16-le"]),
        on_bad_rows=rng.choice(["error", "skip"]),
        max_line_bytes=rng.choice([20, 2**20]),
    )
    for name in table.columns:
        if table.kind(name) == "numeric":
            table.numbers(name)


def test_whatever_the_bytes_are_the_reader_returns_a_table_or_says_what_is_wrong():
    rng, began, outcomes = random.Random(20), time.perf_counter(), {"table": 0, "error": 0}
    for _ in range(4000):
        data = mutated(rng)
        try:
            use(data, rng)
            outcomes["table"] += 1
        except ChainruleError:
            outcomes["error"] += 1
    assert min(outcomes.values()) > 400
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize(
    ("text", "sep"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1;2\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("a\n1\n", ","),
        ('"a;b",c\n"1;2",3\n', ","),
        ("a;b\n3,14;2,5\n", ";"),
        ("a,b,c\n1,x;y,3\n", ","),
    ],
)
def test_the_separator_is_found(text, sep):
    assert find_separator(text.splitlines(keepends=True), "a.csv") == sep


def test_lines_are_those_of_the_file_where_cells_span_several():
    table = parse('a,b\n"1\n2",x\n\n3,y\n')
    assert table.texts("a") == ("1\n2", "3")
    assert table.lines.tolist() == [2, 5]
    assert table.where("b", 1) == "a.csv line 5, column 'b'"


def test_blank_lines_are_missing_cells_only_between_the_rows_of_a_single_column():
    assert parse("x\n1\n\n3\n\n\n").texts("x") == ("1", "", "3")
    assert parse("\nx,y\n1,2\n\n3,4\n\n").texts("x") == ("1", "3")


def test_gzip_of_several_members_is_read_whole():
    assert parse(gzip.compress(b"x\n1\n") + gzip.compress(b"2\n")).texts("x") == ("1", "2")


def test_damaged_gzip_is_told_apart_from_damaged_text():
    packed = gzip.compress(b"x\n" + b"1\n" * 100)
    with pytest.raises(DataError, match=r"^'a.csv': the gzip data ends too early$"):
        parse(packed[:-9])
    with pytest.raises(DataError, match="damaged gzip data"):
        parse(packed[:-8] + b"\0" * 8)


def test_a_field_longer_than_the_csv_module_allows_is_named():
    with pytest.raises(MemoryError, match="line 2: a field is longer than 131,072 characters"):
        parse("a,b\n1," + "x" * 200_000 + "\n")


def test_markers_of_missing_values_are_compared_without_blanks():
    table = parse("x\n1\n NA \n3\n", na_values=["NA"])
    assert table.missing("x").tolist() == [False, True, False]


def test_a_column_is_numeric_if_most_of_its_cells_are_numbers():
    table = parse("a,b,c,d\n1,x,,1\n2,y,,x\nx,3,,\n")
    assert [table.kind(name) for name in "abcd"] == [
        "numeric", "categorical", "numeric", "categorical",
    ]  # fmt: skip


def test_a_large_table_is_read_in_seconds(tmp_path):
    rows = np.random.default_rng(0).normal(size=(100_000, 20))
    path = tmp_path / "a.csv"
    names = list(string.ascii_lowercase[:20])
    path.write_text(
        ",".join(names) + "\n" + "\n".join(",".join(map(repr, row)) for row in rows.tolist())
    )
    began = time.perf_counter()
    table = read_csv(path)
    values = np.column_stack([table.numbers(name) for name in names])
    # One to two seconds on an idle core; the factor is for a busy machine.
    assert time.perf_counter() - began < 10
    assert np.array_equal(values, rows)


def test_a_file_is_replaced_only_when_all_is_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    class Broken:
        def __str__(self):
            raise RuntimeError("cannot be shown")

    with pytest.raises(RuntimeError):
        write_csv(path, {"x": [1, Broken()]})
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    path.chmod(0o640)
    write_csv(path, {"x": [1, np.float32(0.5), None, True, "é"]})
    assert path.read_text(encoding="utf-8") == 'x\n1\n0.5\n""\nTrue\né\n'
    assert path.stat().st_mode & 0o777 == 0o640


def test_writing_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="same length: 'a' has 1, 'b' has 2"):
        write_csv(tmp_path / "a.csv", {"a": [1], "b": [1, 2]})
    with pytest.raises(CheckpointError, match="cannot be written: No such file or directory"):
        write_csv(tmp_path / "no" / "a.csv", {"a": [1]})


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system has no /dev/fd")
def test_a_pipe_is_written_to_and_a_link_is_followed(tmp_path):
    reading, writing = os.pipe()
    write_csv(f"/dev/fd/{writing}", {"x": [1]})
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == b"x\n1\n"
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    write_csv(link, {"x": [2]})
    assert link.is_symlink()
    assert real.read_text() == "x\n2\n"
