"""The embedded digits, and the types that hold images."""

import gzip
import hashlib
import os
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn.data import IdxError, ImageDataset, digits, embedded, load, mnist

FOLDER = resources.files("tinygrad_cnn.data") / "digits"


def test_digits():
    train, test = digits()
    assert train.images.shape == (5000, 28, 28)
    assert test.images.shape == (1000, 28, 28)
    for part in (train, test):
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert part.classes == tuple("0123456789")
    # MNIST's first labels, as every tutorial prints them
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_a_call_does_not_see_changes_to_an_earlier_result():
    digits().train.images[:] = 0
    assert digits().train.images.any()


def test_data_card_states_the_facts():
    card = (FOLDER / "DATA_CARD.md").read_text(encoding="utf-8")
    train, test = digits()
    for name, part in (("training", train), ("test", test)):
        row = re.search(rf"^\| {name} images \|(.*)\|$", card, re.MULTILINE).group(1)
        assert [int(n) for n in row.split("|")] == np.bincount(part.labels).tolist()
    rows = re.findall(r"^\| `(.*\.gz)` \|.*\| ([\d,]+) \| `(\w+)` \|$", card, re.MULTILINE)
    assert len(rows) == 4
    for name, size, checksum in rows:
        content = gzip.decompress((FOLDER / name).read_bytes())
        assert len(content) == int(size.replace(",", ""))
        assert hashlib.sha256(content).hexdigest() == checksum
    pixels = train.images / 255
    assert f"{pixels.mean():.4f} and {pixels.std():.4f}" in card


def test_a_damaged_installation_is_noticed(monkeypatch):
    wrong = {**embedded._SHA256, "t10k-labels-idx1-ubyte": "0" * 64}
    monkeypatch.setattr(embedded, "_SHA256", wrong)
    with pytest.raises(IdxError, match=r"digits: the installed t10k-labels-idx1-ubyte.gz is damag"):
        digits()


@pytest.mark.skipif(
    not os.environ.get("TINYGRAD_CNN_TEST_MNIST"),
    reason="the environment variable TINYGRAD_CNN_TEST_MNIST names no folder with all of MNIST",
)
def test_digits_are_the_beginning_of_mnist():
    folder = Path(os.environ["TINYGRAD_CNN_TEST_MNIST"])
    for full in (mnist(folder, download=False), load(folder)):
        assert len(full.train) == 60_000
        assert len(full.test) == 10_000
        for part, whole in zip(digits(), full, strict=True):
            np.testing.assert_array_equal(part.images, whole.images[: len(part)])
            np.testing.assert_array_equal(part.labels, whole.labels[: len(part)])
            assert part.classes == whole.classes


def test_image_dataset_indexing():
    images = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    labels = np.array([0, 1, 1, 0])
    dataset = ImageDataset(images, labels, ("a", "b"))
    assert len(dataset) == 4
    assert repr(dataset) == "ImageDataset(4 images of 1×2×3, 2 classes)"
    picked_images, picked_labels = dataset[np.array([2, 0])]
    np.testing.assert_array_equal(picked_images, images[[2, 0]])
    np.testing.assert_array_equal(picked_labels, [1, 0])


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (np.zeros((2, 3, 3)), np.zeros(2, np.int64), TypeError, "got float64 and int64"),
        (np.zeros((2, 3, 3), "u1"), np.zeros(2, "u1"), TypeError, "got uint8 and uint8"),
        (np.zeros((2, 3), "u1"), np.zeros(2, np.int64), ValueError, r"shapes \(2, 3\) and \(2,\)"),
        (np.zeros((2, 3, 3), "u1"), np.zeros(3, np.int64), ValueError, r"\(2, 3, 3\) and \(3,\)"),
        (np.zeros((2, 3, 3), "u1"), np.array([0, 2]), ValueError, "0 to 1.*labels from 0 to 2"),
        (np.zeros((2, 3, 3), "u1"), np.array([-1, 1]), ValueError, "labels from -1 to 1"),
    ],
)
def test_image_dataset_errors(images, labels, error, message):
    with pytest.raises(error, match=f"ImageDataset: .*{message}"):
        ImageDataset(images, labels, ("a", "b"))
