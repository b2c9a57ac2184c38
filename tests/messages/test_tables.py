"""Rows 1 to 26 of the list of bad input: what a table that is wrong gets, word for word."""

import gzip
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from chainrule.errors import (
    ChainruleError,
    DataError,
    DataFileNotFoundError,
    ManyLevelsWarning,
    PrecisionWarning,
    ResourceError,
    TargetError,
    UnknownCategoryWarning,
)
from chainrule.io import csvwrite, files
from chainrule.io.csvfile import read_csv
from chainrule.io.csvwrite import write_csv
from chainrule.io.decode import LineLimit
from chainrule.io.features import Features
from chainrule.io.load import load
from chainrule.io.table import Table
from chainrule.io.target import Target


@pytest.fixture
def csv(tmp_path):
    """Write a file named a.csv and return its path."""

    def write(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def message(call, *args, kind=DataError, exit_code=3, **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    assert caught.value.exit_code == exit_code
    return str(caught.value)


def numbers(path, column, **options):
    return read_csv(path, **options).numbers(column)


def test_row_01_a_file_that_is_not_there_names_the_folder_and_a_similar_file(csv, tmp_path):
    csv("x\n1\n", "train.csv")
    text = message(load, tmp_path / "trian.csv", kind=DataFileNotFoundError)
    assert text == f"data file 'trian.csv' not found in {tmp_path}. Did you mean 'train.csv'?"
    with pytest.raises(FileNotFoundError):
        read_csv(tmp_path / "trian.csv")


def test_row_01_a_misspelt_bundled_set_is_recognised(tmp_path):
    text = message(load, tmp_path / "digit", kind=DataFileNotFoundError)
    assert text == f"data file 'digit' not found in {tmp_path}. Did you mean 'digits'?"


def test_row_01_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    text = message(load, tmp_path / "no" / "a.csv", kind=DataFileNotFoundError)
    assert text == f"data file 'a.csv' not found: there is no folder '{tmp_path / 'no'}'"


def test_row_02_an_empty_file(csv):
    text = "'a.csv' is empty (0 bytes): expected a header line and at least one row"
    assert message(read_csv, csv("")) == text
    text = "'a.csv' is empty (only blank lines): expected a header line and at least one row"
    assert message(read_csv, csv("\n \n")) == text


def test_row_03_a_header_without_rows(csv):
    text = "'a.csv' has a header (5 columns) and no rows"
    assert message(read_csv, csv("a,b,c,d,e\n")) == text


def test_row_04_a_row_with_too_many_fields(csv):
    rows = ["1,2,3,4,5,6"] * 2100
    for line in (1042, 1077, 2003):
        rows[line - 2] = "12,3.4,x,4,5,6,blue"
    path = csv("a,b,c,d,e,f\n" + "\n".join(rows) + "\n")
    assert message(read_csv, path) == (
        "a.csv line 1042: 7 fields, header has 6. "
        'Line: "12,3.4,x,4,5,6,blue" (extra field: "blue"). '
        "3 rows like this (1042, 1077, 2003). "
        'Use on_bad_rows="skip" to drop and count them'
    )
    table = read_csv(path, on_bad_rows="skip")
    assert (len(table), table.skipped, table.skipped_lines) == (2097, 3, (1042, 1077, 2003))


def test_row_04_a_row_with_too_few_fields(csv):
    assert message(read_csv, csv("a,b,c\n1,2,3\n" + "4" * 50 + ",5\n")) == (
        f"a.csv line 3: 2 fields, header has 3. Line: \"{'4' * 40}…\" (missing field: 'c'). "
        '1 row like this (3). Use on_bad_rows="skip" to drop and count them'
    )


def test_row_05_a_quote_that_is_never_closed(csv):
    rows = [f"{i},text" for i in range(300)]
    rows[86] = '86,text,     "open'
    path = csv("a,b\n" + "\n".join(rows).replace("86,text,     ", "86,1234567890,") + "\n")
    assert message(read_csv, path) == (
        "a.csv line 88: quote opened at column 15 is never closed (file ends at line 301)"
    )


def test_row_05_also_if_the_rest_is_longer_than_a_field_may_be(csv):
    path = csv('a,b\n1,"open\n' + "2,x\n" * 90_000)
    assert message(read_csv, path) == (
        "a.csv line 2: quote opened at column 3 is never closed (file ends at line 90002)"
    )


def test_row_05_text_after_a_closing_quote(csv):
    assert message(read_csv, csv('a,b\n1,"two"x\n')) == (
        "a.csv line 2: quote opened at column 3 closes at line 2 column 7, but text follows it. "
        'A quote inside a quoted field is written twice: ""'
    )


def test_row_06_text_in_a_numeric_column(csv):
    rows = [f"{i % 90}" for i in range(10_000)]
    rows[15::900] = ["n/a"] * 12
    path = csv("age\n" + "\n".join(rows) + "\n")
    assert message(numbers, path, "age") == (
        "a.csv line 17, column 'age': \"n/a\" is not a number (12 of 10,000 rows). "
        'Treat as missing with na_values=["n/a"]'
    )
    assert np.isnan(numbers(path, "age", na_values=["n/a"])).sum() == 12


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("\x07\x1b[2J", ""),
        ("x" * 41, ""),
        ("n/a", 'Treat as missing with na_values=["n/a"]'),
    ],
)
def test_row_06_the_hint_names_only_what_can_be_typed(csv, word, hint):
    with pytest.raises(DataError) as caught:
        numbers(csv(f"x,y\n1,a\n{word},b\n3,c\n"), "x")
    assert caught.value.hint == hint
    assert str(caught.value).endswith(hint or "(1 of 3 rows)")


@pytest.mark.parametrize("word", ["1_000", "١٢", "0x1F", "12 kg", "--1", "1e", "True"])
def test_row_06_what_only_python_would_read_as_a_number_is_text(csv, word):
    path = csv(f"x,y\n1,a\n{word},b\n3,c\n")
    assert f"a.csv line 3, column 'x': \"{word}\" is not a number (1 of 3 rows)" in message(
        numbers, path, "x"
    )


def test_row_07_missing_values():
    rows = ["1"] * 10_000
    rows[7:221] = [""] * 214
    assert message(Features.fit, Table.of({"income": rows}, "a.csv"), ["income"]) == (
        "a.csv, column 'income': 214 of 10,000 values missing (first at line 9). "
        'chainrule does not guess: choose missing="drop" | "mean" | "flag"'
    )


@pytest.mark.parametrize("word", ["nan", "NaN", "NAN"])
def test_row_08_nan_is_missing_in_columns_of_either_kind(word):
    for rest in (["1", "2"], ["red", "blue"]):
        table = Table.of({"x": [word, *rest]}, "a.csv")
        assert message(Features.fit, table, ["x"]).startswith(
            "a.csv, column 'x': 1 of 3 values missing (first at line 2). chainrule does not guess"
        )


@pytest.mark.parametrize("word", ["inf", "-inf", "Infinity"])
def test_row_08_infinity(csv, word):
    path = csv("x\n" + "1\n" * 29 + word + "\n")
    assert message(numbers, path, "x") == f"a.csv line 31, column 'x': infinite value \"{word}\""


def test_row_09_a_number_that_float64_cannot_hold(csv):
    path = csv("x\n1\n2\n3\n1e400\n")
    text = "a.csv line 5, column 'x': 1e400 overflows float64 (max 1.8e308)"
    assert message(numbers, path, "x") == text


def test_row_09_a_number_that_float32_cannot_hold(csv):
    table = read_csv(csv("x\n1\n2\n3\n1e39\n"))
    features = Features.fit(table, ["x"], preprocess="none")
    assert features.transform(table)[3, 0] == 1e39
    assert message(features.transform, table, dtype="float32") == (
        "a.csv line 5, column 'x': 1e39 overflows float32. Use dtype=float64 or scale the column"
    )


@pytest.mark.parametrize("sep", [None, ";"])
def test_row_10_a_decimal_comma(csv, sep):
    path = csv("a;b\n3,14;2,5\n1;2\n")
    assert message(read_csv, path, sep=sep) == (
        "a.csv, column 'a': looks like ';' separated with decimal comma: "
        'use sep=";", decimal=","'
    )
    assert numbers(path, "a", sep=";", decimal=",").tolist() == [3.14, 1.0]


def test_row_10_a_comma_that_may_mark_thousands(csv):
    table = read_csv(csv('a,b\n"1,234",2\n"5,678",3\n'))
    assert message(table.kind, "a") == (
        "a.csv, column 'a': \"1,234\": the comma may mark thousands or decimals. "
        'Remove it if thousands; use decimal="," if decimals'
    )


def test_row_10_two_separators_that_would_both_do(csv):
    assert message(read_csv, csv("a;b,c\n1;2,3\n")) == (
        "a.csv: the separator is not clear: ',' gives 2 columns and ';' gives 2 columns. "
        "Say which: sep=…"
    )


def test_row_11_a_byte_order_mark_is_accepted_silently(csv):
    assert read_csv(csv(b"\xef\xbb\xbfage\n1\n")).columns == ("age",)


def test_row_12_a_latin_1_byte(csv):
    path = csv("name\nAnna\nHölderlin Caf".encode() + b"\xe9\n")
    assert message(read_csv, path) == (
        "a.csv: line 3 column 14: byte 0xe9 is not UTF-8. "
        'If the file is Latin-1 use encoding="latin-1"'
    )
    assert read_csv(csv(b"name\nCaf\xe9\n"), encoding="latin-1").texts("name") == ("Café",)


def test_row_13_utf_16(csv):
    path = csv("a,b\n1,2\n".encode("utf-16"))
    text = 'a.csv: file looks like UTF-16 (BOM ff fe): encoding="utf-16"'
    assert message(read_csv, path) == text
    assert read_csv(path, encoding="utf-16").columns == ("a", "b")
    path = csv("a,b\n1,2\n".encode("utf-16-le"))
    assert message(read_csv, path) == (
        "a.csv: NUL byte at offset 1: this is not a text file "
        '(looks like: UTF-16 without BOM, encoding="utf-16-le")'
    )


def test_row_13_nul_bytes(csv):
    path = csv(b"a\n" + b"1\n" * 2047 + b"\x00\n")
    assert message(read_csv, path) == ("a.csv: NUL byte at offset 4096: this is not a text file")
    path = csv(gzip.compress(b"\x89PNG\r\n\x1a\n\x00\x00"))
    assert message(read_csv, path) == (
        "a.csv: NUL byte at offset 8: this is not a text file (looks like: PNG)"
    )
    path = csv(b"%PDF-1.7\n")
    assert message(read_csv, path) == "a.csv: this is not a text file (looks like: PDF)"


def test_row_14_duplicate_column_names(csv):
    path = csv("a,b,x,d,e,f,g,h,x\n1,2,3,4,5,6,7,8,9\n")
    assert message(read_csv, path) == "a.csv: column 'x' appears 2 times (positions 3 and 9)"


def test_row_14_names_are_compared_after_nfc(csv):
    assert "appears 2 times (positions 1 and 2)" in message(
        read_csv, csv("caf\u00e9,cafe\u0301\n1,2\n")
    )


def test_row_14_a_column_without_a_name(csv):
    assert message(read_csv, csv(",x\n0,1\n")) == (
        "a.csv: column 1 of 2 has no name. "
        "Name it in the header; row numbers written by pandas go away with index=False"
    )


def test_row_14_a_file_without_a_header(csv):
    assert message(read_csv, csv("5.1,3.5,1.4\n4.9,3.0,1.3\n")) == (
        'a.csv line 1: the first line ("5.1,3.5,1.4") looks like a row of data, '
        "not like names of columns. "
        "Add a header line above it, or a letter to names that are numbers"
    )


@pytest.mark.parametrize(
    "text",
    [
        "1,2,x\n3,4,y\n",
        "\n5.1,3.5,1.4,0.2,setosa\n4.9,3.0,1.4,0.2,virginica\n",
        "0,0,1,x\n0,1,0,y\n",  # names that appear twice are not what is wrong here
        "5,1;3,5;setosa\n4,9;3,0;setosa\n",
        "1,yes\n2,no\n3,yes\n",  # half of it is numbers, and "yes" is its own value
        "1,2,3,cat\n3,1,2,dog\n2,2,2,cat\n",
        "7\n8\n",
    ],
)
def test_row_14_a_first_line_that_is_mostly_numbers_or_is_found_below_is_a_row(csv, text):
    options = {"sep": ";", "decimal": ","} if ";" in text else {}
    assert "looks like a row of data" in message(read_csv, csv(text), **options)


@pytest.mark.parametrize(
    "header",
    ["0,1,2", "1,2", "label,0,1,2", "country,1990,1995,2000", "id,400.5,401.0,401.5,402.0", "x,1"],
)
def test_row_14_columns_may_be_counted_or_measured(csv, header):
    row = ",".join("9" for _ in header.split(","))
    assert len(read_csv(csv(f"{header}\n{row}\n"))) == 1


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ("age ", "trailing space"),
        (" age", "leading space"),
        ("аge", "U+0430 CYRILLIC SMALL LETTER A"),
        ("a\u200bge", "U+200B ZERO WIDTH SPACE"),
    ],
)
def test_row_15_a_name_that_only_looks_the_same(own, why):
    table = Table.of({"x": ["1"], own: ["1"]}, "a.csv")
    shown = own.replace("\u200b", r"\u200b")
    text = f"a.csv: no column 'age'. Column 2 is '{shown}' ({why})"
    assert message(table.texts, "age") == text


def test_row_15_accents_stored_in_two_ways_are_the_same_name():
    assert Table.of({"caf\u00e9": ["1"]}).texts("cafe\u0301") == ["1"]


def test_row_16_a_target_that_is_not_there(csv):
    path = csv("a,b,Price\n1,2,3\n")
    text = "a.csv: target 'price' not found. Columns: a, b, Price. Closest: 'Price'"
    assert message(load, path, target="price", kind=TargetError, exit_code=2) == text


def test_row_16_no_target_given(csv):
    text = 'a.csv: no target is given. Say target="…". Columns: a, b'
    assert message(load, csv("a,b\n1,2\n"), kind=TargetError, exit_code=2) == text


def test_row_17_a_target_with_one_class():
    table = Table.of({"y": ["yes"] * 500})
    text = "target 'y' has a single class \"yes\" in all 500 rows: nothing to learn"
    assert message(Target.fit, table, "y") == text
    table = Table.of({"y": ["1.5"] * 500})
    text = "target 'y' has a single value 1.5 in all 500 rows: nothing to learn"
    assert message(Target.fit, table, "y") == text


def test_row_18_a_class_with_one_row_cannot_be_split(csv):
    path = csv("x,y\n1,often\n2,often\n3,rare\n")
    assert message(load(path, target="y").strata) == (
        'class "rare" has 1 row; a validation split needs ≥ 2. Merge classes or use validation=None'
    )
    assert message(load(path, target="y").strata, ("test",)) == (
        'class "rare" has 1 row; a test split needs ≥ 2. Merge classes or use test=None'
    )
    assert message(load(path, target="y").strata, ("validation", "test")) == (
        'class "rare" has 1 row; the validation and test splits need ≥ 2. '
        "Merge classes or use validation=None and test=None"
    )


def test_row_18_whole_numbers_may_be_meant_as_quantities(csv):
    path = csv("x,y\n" + "1,3\n" * 3 + "2,4\n" * 3 + "1,5\n")
    assert message(load(path, target="y").strata) == (
        "class 5 has 1 row; a validation split needs ≥ 2. "
        'Merge classes or use validation=None, or use task="regression"'
    )
    assert load(path, target="y", task="regression").strata() is None


def test_a_column_of_text_that_differs_from_row_to_row_gives_a_warning(csv):
    days = [f"2024-01-{day:02}" for day in range(1, 11)]
    rows = [f"{day},{'ab'[i % 2]},{i}.5" for i, day in enumerate(days)]
    path = csv("date,kind,y\n" + "\n".join(rows) + "\n")
    with pytest.warns(ManyLevelsWarning) as caught:
        load(path, target="y").fit_features()
    assert [str(w.message) for w in caught] == [
        "a.csv, column 'date': 10 different texts in 10 training rows: too many to learn from. "
        'If they name the rows, use leave_out=["date"]; dates can be written as numbers'
    ]
    assert load(path, target="y", leave_out=["date"]).fit_features().names == ("kind=a", "kind=b")


COLOURS = Table.of({"y": ["red", "green", "blue"]})


def test_row_19_a_label_not_seen_in_training():
    target = Target.fit(COLOURS, "y")
    table = Table.of({"y": ["red"] * 12 + ["purple"]}, "a.csv")
    assert message(target.encode, table) == (
        'a.csv line 14: label "purple" (row 12) was not seen in training. Known: blue, green, red'
    )
    assert message(target.encode_array, np.array(["red", "purple"], dtype=object)) == (
        "target 'y': label \"purple\" (row 1) was not seen in training. Known: blue, green, red"
    )


def test_row_20_a_category_not_seen_in_training():
    table = Table.of({"y": ["red"] * 12 + ["purple"]}, "a.csv")
    assert message(Features.fit(COLOURS, ["y"]).transform, table) == (
        "a.csv line 14, column 'y': label \"purple\" (row 12) was not seen in training. "
        'Known: blue, green, red. unknown="ignore" at training gives such rows zeros'
    )
    features = Features.fit(COLOURS, ["y"], unknown="ignore")
    with pytest.warns(UnknownCategoryWarning) as caught:
        assert features.transform(table)[12].tolist() == [0, 0, 0]
    assert str(caught[0].message) == (
        "a.csv, column 'y': 1 of 13 rows have a category that was not seen in training "
        '(first "purple", line 14); all its indicators are 0'
    )


ABC = Table.of({name: ["1", "2"] for name in "abcd"})


def test_row_21_columns_missing_at_prediction():
    features = Features.fit(ABC, "abcd")
    table = Table.of({"d": ["1"]}, "new.csv")
    assert message(features.transform, table) == "new.csv: 3 features missing: a, b, c"


def test_row_21_extra_columns_at_prediction():
    features = Features.fit(ABC, "ab")
    table = Table.of({"a": ["1"], "b": ["1"], "id": ["1"], "note": ["1"]}, "new.csv")
    assert message(features.transform, table) == (
        "new.csv: 2 columns not there when the model was fitted: id, note. "
        "Take them out of the file"
    )


def test_row_21_reordered_columns_are_found_by_name_and_known_others_are_ignored():
    features = Features.fit(ABC, "ab", preprocess="none")
    table = Table.of({"c": ["x"], "b": ["4"], "a": ["3"]})
    assert features.transform(table).tolist() == [[3.0, 4.0]]


def test_row_22_a_line_that_is_too_long(csv):
    path = csv(b"x\n" + b"1" * (17 << 20))
    assert message(read_csv, path, kind=ResourceError, exit_code=6) == (
        "a.csv: line 2 is longer than 16 MiB (max_line_bytes); is the separator right?"
    )
    with pytest.raises(MemoryError):
        read_csv(path)


def test_row_22_such_a_file_is_not_read_to_its_end(csv):
    read = 0
    limit = LineLimit("a.csv")

    def watch(chunk):
        nonlocal read
        read += len(chunk)
        limit(chunk)

    with pytest.raises(ResourceError):
        files.read_bytes(csv(b"1" * (40 << 20)), watch=watch)
    assert read == (17 << 20)


def test_row_22_columns_without_end(csv):
    header = ",".join(f"column_{i}" for i in range(10**6)) + "\n"
    assert message(
        read_csv, csv(header), kind=ResourceError, exit_code=6, max_line_bytes=2**20
    ) == ("a.csv: line 1 is longer than 1 MiB (max_line_bytes); is the separator right?")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_row_22_lines_of_just_the_allowed_length_pass(csv, newline):
    path = csv(newline.join(["x" * 10, "1" * 10] * 50))
    assert len(read_csv(path, max_line_bytes=10)) == 99
    with pytest.raises(ResourceError, match="line 1 is longer than 9 bytes"):
        read_csv(path, max_line_bytes=9)


def test_row_23_a_file_that_shrinks_while_being_read(csv):
    path = csv("x\n" + "1\n" * (files.CHUNK // 2))
    size = path.stat().st_size

    def cut(chunk):
        os.truncate(path, 1_000)

    assert message(files.read_bytes, path, watch=cut) == (
        f"'a.csv': file changed while being read (size {size:,} → 1,000)"
    )


def test_row_23_a_file_that_is_written_to_while_being_read(csv):
    path = csv("x\n1\n")

    def touch(chunk):
        os.utime(path, ns=(0, 0))

    assert message(files.read_bytes, path, watch=touch) == (
        "'a.csv': file changed while being read (same size, written to)"
    )


def test_row_24_a_compressed_bomb(csv):
    path = csv(gzip.compress(b"x\n" + b"1\n" * 2_000_000), "a.csv.gz")
    assert message(read_csv, path, kind=ResourceError, exit_code=6) == (
        "'a.csv.gz': decompressed size passed 100× the file (limit max_expansion=100)"
    )
    assert len(read_csv(path, max_expansion=2000)) == 2_000_000


def test_row_25_a_formula_is_text_and_is_written_so_that_no_spreadsheet_runs_it(csv, caplog):
    path = csv("cell,n\n=cmd|'/c calc'!A1,-1\n@x,+2\n")
    table = read_csv(path)
    assert table.texts("cell") == ("=cmd|'/c calc'!A1", "@x")
    out = io.StringIO()
    with caplog.at_level("WARNING", logger=csvwrite.__name__):
        write_csv(out, {name: table.texts(name) for name in table.columns})
    assert out.getvalue() == "cell,n\n'=cmd|'/c calc'!A1,-1\n'@x,+2\n"
    assert caplog.messages == [
        "2 cells that a spreadsheet would run as a formula written with ' before it"
    ]


def test_row_26_integers_that_float64_cannot_hold(csv):
    ids = [2**53 + 2 * i + 1 for i in range(4211)]
    path = csv("id\n1\n" + "\n".join(map(str, ids)) + "\n")
    with pytest.warns(PrecisionWarning) as caught:
        numbers(path, "id")
    assert [str(w.message) for w in caught] == [
        "a.csv, column 'id': 9007199254740993 cannot be stored exactly as float64 (4,211 values)"
    ]
    assert message(Target.fit, read_csv(path), "id") == (
        "a.csv line 3, column 'id': 9007199254740993 cannot be stored exactly as float64 "
        "(4,211 values). Write it as text if it names something, or subtract a constant"
    )


def test_row_26_one_file_gives_one_warning_for_a_column_however_often_it_is_read(csv):
    data = load(csv("id,y\n9007199254740993,a\n2,b\n3,a\n"), target="y")
    with pytest.warns(PrecisionWarning):
        features = data.fit_features(np.array([0, 1]))
    assert data.inputs(features, np.array([2])).shape == (1, 1)  # a second warning is an error


def test_integers_that_float64_can_hold_give_no_warning(csv):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numbers(csv("id\n9007199254740992\n9007199254740994\n"), "id")[1] == 2.0**53 + 2


def test_names_of_files_cannot_send_terminal_escapes(tmp_path):
    path = tmp_path / "a\x1b[31m.csv"
    path.write_text("")
    text = message(read_csv, path)
    assert "\x1b" not in text
    assert text.startswith(r"'a\x1b[31m.csv' is empty")


def test_a_folder_is_not_a_data_file(tmp_path):
    assert message(read_csv, tmp_path) == f"'{tmp_path}' is a directory, not a data file"


def test_what_is_no_regular_file_is_refused():
    if not Path("/dev/zero").exists():
        pytest.skip("this system has no /dev/zero")
    text = "'zero' is not a regular file. Save its content first"
    assert message(load, "/dev/zero") == text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sep": ",,"}, "sep must be one character, not a quote, blank or line end, got ',,'"),
        ({"decimal": "x"}, 'decimal must be one of ".", ",", got \'x\''),
        ({"on_bad_rows": "no"}, 'on_bad_rows must be one of "error", "skip", got \'no\''),
        ({"na_values": "NA"}, 'na_values must be a list of texts, e.g. ["NA"]'),
        ({"max_line_bytes": 0}, "max_line_bytes must be at least 1, got 0"),
        ({"encoding": "utf-9"}, "encoding 'utf-9' is not known. For example "),
        ({"encoding": "zlib"}, "encoding 'zlib' is not known. For example "),
    ],
)
def test_options_outside_what_they_allow(csv, options, text):
    with pytest.raises(ChainruleError) as caught:
        read_csv(csv("x\n1\n"), **options)
    assert str(caught.value).startswith(text)
    assert caught.value.exit_code == 2


def test_row_16_a_target_that_only_looks_the_same(csv):
    path = csv("a,price \n1,2\n")
    text = (
        "a.csv: target 'price' not found. Columns: a, price . Column 2 is 'price ' (trailing space)"
    )
    assert message(load, path, target="price", kind=TargetError, exit_code=2) == text


def test_row_12_the_hint_of_another_encoding_is_given_for_utf_8_only(csv):
    text = "a.csv: line 2 column 1: byte 0xe9 is not ascii"
    assert message(read_csv, csv(b"x\n\xe9\n"), encoding="ascii") == text
