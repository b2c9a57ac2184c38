"""The front door: digits, tables, NumPy files and images, and what it refuses."""

import gzip
import hashlib
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chainrule.errors import (
    ChainruleError,
    DataError,
    ResourceError,
    TargetError,
    UnknownCategoryWarning,
    UnsafeFileError,
)
from chainrule.io import idx, npfile
from chainrule.io.files import FileBytes
from chainrule.io.load import load

MNIST = Path(__file__).parents[2].parent / "shared/data/mnist"


def message(call, *args, kind=DataError, **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    return str(caught.value)


def idx_bytes(values, code=0x08):
    big = values.astype(idx.ELEMENTS[code])
    return struct.pack(f">BBBB{big.ndim}I", 0, 0, code, big.ndim, *big.shape) + big.tobytes()


IMAGES = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3) * 8
LABELS = np.array([3, 1, 3, 1, 1], dtype=np.uint8)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(IMAGES)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    return path


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_the_bundled_digits():
    data = load("digits")
    assert data.X.shape == (1797, 64)
    assert (data.X.min(), data.X.max(), data.X.dtype) == (0.0, 1.0, np.float32)
    assert len(data.sha256) == 64
    assert (data.task, data.scaling, data.image_shape) == ("classification", "/16", (8, 8))
    assert np.bincount(data.strata()).sum() == 1797
    features, target = data.fit_features(), data.fit_target()
    assert data.inputs(features, np.array([5, 3])).tobytes() == data.X[[5, 3]].tobytes()
    assert target.decode(data.targets(target)).tolist() == data.y.tolist()


def test_images_find_their_labels(images):
    data = load(images)
    assert data.X.tolist() == (IMAGES.reshape(5, 6).astype(np.float32) / np.float32(255)).tolist()
    assert data.y.tolist() == LABELS.tolist()
    assert data.class_names == ("1", "3")
    assert data.columns[:2] == ("pixel 0,0", "pixel 0,1")
    assert data.sha256 == hashlib.sha256(images.read_bytes()).hexdigest()


def test_images_without_labels(images):
    (images.parent / "train-labels-idx1-ubyte").unlink()
    assert message(load, images) == (
        "no labels found for 'train-images-idx3-ubyte.gz': looked for "
        "'train-labels-idx1-ubyte.gz' and 'train-labels-idx1-ubyte' beside it"
    )
    assert load(images, need_target=False).y is None


def test_labels_of_another_number(images):
    (images.parent / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:4]))
    assert message(load, images) == (
        "'train-images-idx3-ubyte.gz' has 5 images, 'train-labels-idx1-ubyte' has 4 labels"
    )


def test_labels_in_place_of_images(images):
    assert message(load, images.parent / "train-labels-idx1-ubyte") == (
        "'train-labels-idx1-ubyte' holds one number per example, not images. "
        "Name the file of images; the labels beside it are found"
    )


def test_images_under_a_name_that_leads_to_no_labels(images):
    path = images.rename(images.with_name("a.gz"))
    assert message(load, path) == (
        "no labels found for 'a.gz': its name has no 'images' that 'labels' could replace"
    )


@pytest.mark.parametrize("code", idx.ELEMENTS)
def test_every_element_type_of_idx_is_read(tmp_path, code):
    path = tmp_path / "a"
    path.write_bytes(idx_bytes(IMAGES, code))
    values = idx.read_idx(path)
    assert values.tolist() == IMAGES.astype(idx.ELEMENTS[code]).tolist()
    assert values.dtype.isnative


def test_idx_files_whose_size_is_not_what_their_header_says(tmp_path):
    whole = idx_bytes(IMAGES)
    for data, fault in ((whole[:-1], "truncated"), (whole + b"x", "longer than its header says")):
        path = tmp_path / "a"
        path.write_bytes(data)
        assert message(idx.read_idx, path) == (
            f"'a': the file is {fault}: 5 × 2 × 3 elements need 46 bytes, it has {len(data)}"
        )
    path.write_bytes(whole[:9])
    text = "'a': the file is truncated: its header needs 16 bytes, it has 9"
    assert message(idx.read_idx, path) == text
    path.write_bytes(b"\x00\x01\x08\x03")
    assert message(idx.read_idx, path).startswith(
        "'a': this is not an IDX file: it begins with 00 01 08 03, expected 00 00"
    )


def test_an_idx_header_cannot_make_us_allocate(tmp_path):
    path = tmp_path / "a-images"
    header = struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    path.write_bytes(header)
    assert "truncated" in message(load, path)
    path.write_bytes(gzip.compress(header))
    assert "header says" in message(load, path, kind=ResourceError)


def test_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,age,colour,y\n1,20,red,yes\n2,,blue,no\n3,60,red,no\n4,40,blue,yes\n5\n")
    data = load(path, target="y", leave_out=["id"], missing="drop", on_bad_rows="skip")
    assert data.columns == ("age", "colour")
    assert (data.rows.tolist(), data.dropped, data.skipped) == ([0, 2, 3], 1, 1)
    assert data.class_names == ("no", "yes")
    features = data.fit_features(np.array([0, 2]))
    with pytest.warns(UnknownCategoryWarning, match="1 of 3 rows"):
        X = data.inputs(features, unknown="ignore")
    assert X.tolist() == [[-1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    new = tmp_path / "new.csv"
    new.write_text("colour,age\nred,40\n")
    assert load(new, need_target=False).inputs(features).tolist() == [[0.0, 1.0]]


def test_tabs_are_expected_of_a_tsv_file(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"a,b\ty\n1\t2\n"))
    assert load(path, target="y").columns == ("a,b",)


@pytest.mark.parametrize("keys", [("X", "y"), ("x", "labels"), ("images", "target")])
def test_npz_files_by_their_usual_keys(tmp_path, keys):
    X, y = np.asfortranarray(np.arange(12.0).reshape(4, 3)), np.array(["b", "a", "b", "a"])
    data = load(npz(tmp_path / "a.npz", **{keys[0]: X, keys[1]: y, "other": X}))
    assert data.X.tolist() == X.tolist()
    assert data.class_names == ("a", "b")
    assert data.fit_features().preprocess == "standard"


def test_npz_keys_that_are_not_there(tmp_path):
    path = npz(tmp_path / "a.npz", x_train=np.ones((2, 2)), y_train=np.ones(2))
    assert message(load, path) == (
        "'a.npz': no array named X or x or images or data for the features. Keys: x_train, y_train"
    )
    path = npz(tmp_path / "b.npz", X=np.ones((2, 2)), y=np.ones(2))
    assert message(load, path, target="z") == (
        "'b.npz': no array named z for the target. Keys: X, y"
    )
    path = npz(tmp_path / "c.npz", X=np.ones((2, 2)))
    assert message(load, path, kind=TargetError).startswith("c.npz: no target is given")


def test_a_column_of_an_npy_file_can_be_the_target(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([[1.0, 0.5, 2.0], [3.0, 1.5, 4.0]]))
    for target in ("1", "-2"):
        data = load(path, target=target)
        assert (data.X.tolist(), data.y.tolist()) == ([[1.0, 2.0], [3.0, 4.0]], [0.5, 1.5])
    assert message(load, path, target="y", kind=TargetError) == (
        "'a.npy': target 'y' is not a column number. "
        "The array has 3 columns: 0 is the first, -1 the last"
    )


class Runs:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit",))


def object_file(save, path):
    save(path)
    return path


def test_objects_in_numpy_files_are_refused(tmp_path):
    objects = np.array([Runs()], dtype=object)
    for path, save in ((tmp_path / "a.npy", np.save), (tmp_path / "b.npz", np.savez)):
        save(path, objects, allow_pickle=True)
        with pytest.raises(UnsafeFileError) as caught:
            load(path)
        assert "holds Python objects, that is a pickle" in str(caught.value)
        assert caught.value.exit_code == 8


@pytest.mark.parametrize("name", ["model.pt", "train.csv", "digits.npz", "x.csv.gz"])
def test_pickles_are_refused_whatever_they_are_called(tmp_path, name):
    pickle = b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x04exec\x94."
    path = tmp_path / name
    path.write_bytes(gzip.compress(pickle) if name.endswith("gz") else pickle)
    assert message(load, path, kind=UnsafeFileError) == (
        f"'{name}' is a pickle: loading it can run arbitrary code, so chainrule never does. "
        'Convert it where you trust it: numpy.savez("data.npz", X=X, y=y)'
    )


def test_a_zip_file_of_pickles_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02.")
    assert "is a pickle" in message(load, path, kind=UnsafeFileError)


def test_zip_files_that_are_no_npz(tmp_path):
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", b"")
    assert message(load, path) == (
        "'book.xlsx': this zip file is not an .npz file (an Excel workbook: save it as CSV): "
        "it holds [Content_Types].xml"
    )


def test_a_compressed_npz_bomb(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.zeros((1000, 1000)))
    assert message(load, path, kind=ResourceError) == (
        "'a.npz': decompressed size passed 100× the file (limit max_expansion=100)"
    )


def test_an_npy_header_cannot_make_us_allocate(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)}
    )
    path = tmp_path / "a.npy"
    path.write_bytes(stream.getvalue() + b"\0" * 16)
    assert "the file is damaged: shape (1000000000, 1000000000) of float64 needs" in message(
        load, path
    )


def test_an_ending_that_promises_what_the_content_is_not(tmp_path):
    path = tmp_path / "a.npz"
    path.write_text("a,b\n1,2\n")
    assert message(load, path) == "'a.npz' is not a .npz file"


def test_damaged_numpy_files_are_said_to_be_damaged():
    stream = io.BytesIO()
    np.savez_compressed(stream, X=np.arange(12).reshape(4, 3), y=np.arange(4))
    plain = io.BytesIO()
    np.save(plain, np.arange(12.0))
    rng = np.random.default_rng(7)
    outcomes = set()
    for original, parse in (
        (stream.getvalue(), lambda data: npfile.parse_npz(FileBytes("a.npz", data, ""))),
        (plain.getvalue(), lambda data: npfile.parse_npy(data, "a.npy")),
    ):
        for _ in range(1500):
            data = bytearray(original)
            for at in rng.integers(len(data), size=rng.integers(1, 4)):
                data[at] = rng.integers(256)
            try:
                parse(bytes(data[: rng.integers(len(data) // 2, len(data) * 2)]))
                outcomes.add("read")
            except ChainruleError:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.skipif(not MNIST.is_dir(), reason="no copy of MNIST beside the checkout")
def test_mnist():
    data = load(MNIST / "t10k-images-idx3-ubyte.gz")
    assert (data.X.shape, data.X.dtype, data.X.max()) == ((10_000, 784), np.float32, 1.0)
    assert data.class_names == tuple("0123456789")
    assert np.bincount(data.y)[:3].tolist() == [980, 1135, 1032]
