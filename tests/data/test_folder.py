"""Folders of four idx files under their usual names, and the one entry point."""

import numpy as np
import pytest

from tests.data.small_set import ARRAYS, write_folder
from tinygrad_cnn.data import IdxError, digits, load, load_folder


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_names(tmp_path, ending, separator):
    folder = write_folder(tmp_path, lambda name: name.replace("-idx", f"{separator}idx") + ending)
    for train, test in (load_folder(folder), load_folder(str(folder)), load(folder)):
        np.testing.assert_array_equal(train.images, ARRAYS["train-images-idx3-ubyte"])
        np.testing.assert_array_equal(train.labels, ARRAYS["train-labels-idx1-ubyte"])
        np.testing.assert_array_equal(test.images, ARRAYS["t10k-images-idx3-ubyte"])
        np.testing.assert_array_equal(test.labels, ARRAYS["t10k-labels-idx1-ubyte"])
        assert train.labels.dtype == np.int64
        assert train.classes == test.classes == ("0", "1", "2", "3")


def test_missing_files_are_listed(tmp_path):
    write_folder(tmp_path, train_labels=None, t10k_images=None)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError) as caught:
        load_folder(tmp_path)
    assert str(caught.value) == (
        f"load_folder: {tmp_path} lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte "
        "(each may end in .gz); it holds notes.txt, t10k-labels-idx1-ubyte, train-images-idx3-ubyte"
    )


def test_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="it holds nothing"):
        load_folder(tmp_path)


def test_a_long_listing_is_cut(tmp_path):
    for number in range(20):
        (tmp_path / f"{number:02}").touch()
    with pytest.raises(FileNotFoundError, match=r"it holds 00, .*, 11 …$"):
        load_folder(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load_folder: there is no folder .*absent"):
        load_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t10k_labels": np.zeros(3, np.uint8)}, r"t10k-labels.*shapes \(2, 5, 4\) and \(3,\)"),
        ({"train_images": np.zeros((6, 5, 4), "f4")}, "train-images.*expected uint8 images"),
        (
            {"t10k_labels": np.array([1, 2**31 - 1], "i4")},
            "t10k-labels.* there is a label 2147483647",
        ),
        ({"train_labels": np.zeros(6, "f4")}, "train-labels.*expected integers, got float32"),
        ({"train_labels": -np.ones(6, "i4")}, "train-labels.*labels from -1"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path, changes, message):
    write_folder(tmp_path, **changes)
    with pytest.raises(IdxError, match=f"load_folder: .*{message}"):
        load_folder(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    write_folder(tmp_path)
    with (tmp_path / "t10k-labels-idx1-ubyte").open("ab") as file:
        file.write(b"x")
    with pytest.raises(IdxError, match="t10k-labels-idx1-ubyte: the header promises 2 bytes"):
        load_folder(tmp_path)


def test_load_by_name():
    np.testing.assert_array_equal(load("digits").test.images, digits().test.images)


@pytest.mark.parametrize("name", ["MNIST", "", "no/such/folder"])
def test_load_refuses_unknown_names(name):
    with pytest.raises(ValueError, match="load: expected digits, mnist, fashion-mnist or a folder"):
        load(name)
