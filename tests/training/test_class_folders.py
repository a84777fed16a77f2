"""Folders of pictures: read, refused, and learnt from through the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinygrad_cnn import data
from tinygrad_cnn.cli.main import main

pytest.importorskip("PIL", reason="pictures are read with Pillow")

CLASSES = ("cat", "dog", "owl")


def write(folder, counts=(6, 3), size=(32, 32), grey=False):
    """Make pictures of stripes whose direction and colour tell the class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    for part, count in zip(("train", "test"), counts, strict=True):
        for label, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                wave = np.sin((rows, columns, rows + columns)[label] * rng.uniform(0.6, 0.9))
                colours = 1.0 if grey else rng.uniform(0.5, 1, 3)
                pixels = 128 + 100 * wave[..., None] * colours * np.ones(3)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")
    return folder


def test_pictures_are_read_in_the_order_of_their_names(tmp_path):
    from PIL import Image

    splits = data.load(write(tmp_path))
    assert splits.train.images.shape == (18, 3, 32, 32)
    assert splits.test.images.shape == (9, 3, 32, 32)
    assert splits.train.classes == CLASSES
    np.testing.assert_array_equal(splits.test.labels, np.repeat([0, 1, 2], 3))
    with Image.open(tmp_path / "train" / "dog" / "2.png") as image:
        np.testing.assert_array_equal(splits.train.images[8], np.asarray(image).transpose(2, 0, 1))


def test_grey_pictures_have_no_channels(tmp_path):
    assert data.load(write(tmp_path, grey=True)).train.images.shape == (18, 32, 32)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    folder = write(tmp_path / "data")
    (folder / "test" / "emu").mkdir()
    with pytest.raises(ValueError, match="have other classes: 'emu' is in one of them alone"):
        data.load(folder)
    (folder / "test" / "emu").rmdir()
    (folder / "train" / "cat" / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"notes.txt is no picture: expected .jpeg, .jpg, .png"):
        data.load(folder)
    (folder / "train" / "cat" / "notes.txt").rename(folder / "train" / "cat" / "notes.png")
    with pytest.raises(ValueError, match=r"notes.png cannot be read"):
        data.load(folder)
    (folder / "train" / "cat" / "notes.png").unlink()
    from PIL import Image

    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(folder / "train" / "owl" / "0.png")
    with pytest.raises(ValueError, match=r"owl/0.png has 9×8 pixels, .*cat/0.png has 32×32"):
        data.load(folder)
    with pytest.raises(FileNotFoundError, match="has no folders train and test"):
        data.load_class_folders(tmp_path)


@pytest.mark.slow
def test_a_network_learns_from_pictures_through_the_command(tmp_path, monkeypatch, capsys):
    write(tmp_path / "pictures", counts=(32, 8))
    monkeypatch.chdir(tmp_path)
    words = ["train", "lenet5", "--data", "pictures", "--epochs", "6", "--batch-size", "16"]
    assert main([*words, "--lr", "0.003", "--seed", "1", "--out", "run"]) == 0
    about = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert about["channels"] == 3
    assert about["classes"] == list(CLASSES)
    rows = (tmp_path / "run" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    header, last = rows[0].split(","), rows[-1].split(",")
    assert float(last[header.index("test_accuracy")]) > 0.6
    capsys.readouterr()
    assert main(["predict", "run", "pictures/test/cat/0.png"]) == 1
    assert "learnt from images of 3 channels" in capsys.readouterr().err


def test_the_networks_for_digits_refuse_colours(tmp_path, monkeypatch, capsys):
    write(tmp_path / "pictures", counts=(2, 1))
    monkeypatch.chdir(tmp_path)
    assert main(["train", "softmax", "--data", "pictures"]) == 1
    assert "softmax takes one channel of 28×28" in capsys.readouterr().err
