"""The bundled digits are the published ones, unchanged, and say where they come from."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest
from sklearn.datasets import load_digits

DATA = files("chainrule.io") / "data"


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    with (DATA / "digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def test_there_are_1797_images_of_64_pixels_with_a_label_each(digits):
    images, labels = digits["images"], digits["labels"]
    assert images.shape == (1797, 64)
    assert labels.shape == (1797,)
    assert images.dtype == labels.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 16)


def test_every_digit_occurs_as_often_as_the_source_says(digits):
    # Class distribution of the testing set, from the description of the data set at its source.
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(digits["labels"]).tolist() == counts


def test_checksums_are_those_of_the_source_page(digits):
    page = (DATA / "SOURCE.md").read_text(encoding="utf-8")
    whole_file = hashlib.sha256((DATA / "digits.npz").read_bytes()).hexdigest()
    values = hashlib.sha256(digits["images"].tobytes() + digits["labels"].tobytes()).hexdigest()
    assert whole_file in page
    assert values in page


def test_values_are_those_of_scikit_learn(digits):
    theirs = load_digits()
    assert np.array_equal(digits["images"], theirs.data)
    assert np.array_equal(digits["labels"], theirs.target)
