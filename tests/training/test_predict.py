"""Answers to images from files: the same as the test's, whatever the file."""

import gzip

import numpy as np
import pytest

from tests.training.small import small_splits
from tinygrad_cnn.cli.main import main
from tinygrad_cnn.data import write_idx
from tinygrad_cnn.training import RunError, Settings, Trainer
from tinygrad_cnn.training.folder import RunFolder
from tinygrad_cnn.training.pictures import read_pictures
from tinygrad_cnn.training.predict import Predictor
from tinygrad_cnn.training.session import start_run

Image = pytest.importorskip("PIL.Image")

IMAGES = small_splits().test.images


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folders = {}
    for network in ("softmax", "momentum", "regression", "sigmoid", "batchnorm"):
        folder = folders[network] = tmp_path_factory.mktemp(network)
        settings = Settings.of(network, epochs=1, batch_size=15)
        start_run(settings, small_splits(), folder, check=False, quiet=True)
    return folders


def lines(run, *files, capsys):
    capsys.readouterr()
    assert main(["predict", str(run), *map(str, files)]) == 0
    return capsys.readouterr().out.splitlines()


def answers_of_the_test(run):
    checkpoint = RunFolder(run).load()
    trainer = Trainer(checkpoint.settings, small_splits())
    trainer.load_state(checkpoint.values, checkpoint.arrays)
    return trainer.test().answers


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images.gz"])
@pytest.mark.parametrize("network", ["softmax", "momentum", "batchnorm"])
def test_idx_files(runs, network, name, tmp_path, capsys):
    path = tmp_path / name
    write_idx(path, IMAGES)
    logits = answers_of_the_test(runs[network]).astype(float)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert lines(runs[network], path, capsys=capsys) == [
        f"{path}[{i}]: {row.argmax()} ({100 * row.max():.1f} %)"
        for i, row in enumerate(probabilities)
    ]


def test_other_targets(runs, tmp_path, capsys):
    path = tmp_path / "images"
    write_idx(path, IMAGES[:2])
    values = answers_of_the_test(runs["regression"])[:2, 0]
    assert lines(runs["regression"], path, capsys=capsys) == [
        f"{path}[{i}]: {value:.2f}" for i, value in enumerate(values)
    ]
    chances = answers_of_the_test(runs["sigmoid"])[:2, 0]
    assert lines(runs["sigmoid"], path, capsys=capsys) == [
        f"{path}[{i}]: {'0' if p > 0.5 else 'not 0'} (probability of 0: {100 * p:.1f} %)"
        for i, p in enumerate(chances)
    ]


def test_pictures_of_every_kind_are_the_same_image(tmp_path):
    digit = IMAGES[0]
    grey = Image.fromarray(digit)
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").save(tmp_path / "colour.png")
    grey.convert("P").save(tmp_path / "palette.png")
    Image.fromarray(digit.astype(np.uint16) * 257).save(tmp_path / "16bit.png")
    ink = np.zeros((28, 28, 4), np.uint8)
    ink[..., 3] = digit  # black ink on nothing
    Image.fromarray(ink).save(tmp_path / "transparent.png")
    Image.fromarray(255 - digit).save(tmp_path / "dark.png")
    Image.fromarray(255 - digit.repeat(3, 0).repeat(3, 1)).save(tmp_path / "large.png")
    inverted = "inverted, since it is dark on light"
    for name, changes in (
        ("grey", ()),
        ("colour", ()),
        ("palette", ()),
        ("16bit", ()),
        ("transparent", (inverted,)),
        ("dark", (inverted,)),
        ("large", (inverted, "scaled from 84×84 to 28×28")),
    ):
        (picture,) = read_pictures(tmp_path / f"{name}.png")
        assert np.array_equal(picture.pixels, digit), name
        assert picture.changes == changes
    grey.save(tmp_path / "grey.jpg", quality=95)
    (picture,) = read_pictures(tmp_path / "grey.jpg")
    assert np.abs(picture.pixels.astype(int) - digit).mean() < 3


def test_a_tall_picture_keeps_its_proportions(tmp_path):
    """Bars of the background's shade make it square, and the mean of the light stays."""
    tall = np.full((112, 56), 200, np.uint8)
    tall[28:84, 14:42] = 0
    Image.fromarray(tall).save(tmp_path / "tall.png")
    (picture,) = read_pictures(tmp_path / "tall.png")
    expected = np.full((28, 28), 55, np.uint8)
    expected[7:21, 10:17] = 255
    # 10.5 to 17.5: columns that are half covered.
    expected[7:21, 10] = expected[7:21, 17] = (255 + 55) // 2
    assert np.array_equal(picture.pixels, expected)


def test_what_was_done_is_said(runs, tmp_path, capsys):
    Image.fromarray(255 - IMAGES[0].repeat(2, 0).repeat(2, 1)).save(tmp_path / "digit.png")
    (line,) = lines(runs["softmax"], tmp_path / "digit.png", capsys=capsys)
    assert line.endswith(" %)   [inverted, since it is dark on light; scaled from 56×56 to 28×28]")


def test_idx_files_are_scaled_but_not_inverted(tmp_path):
    write_idx(tmp_path / "images", 255 - IMAGES[:1].repeat(2, 1).repeat(2, 2))
    (picture,) = read_pictures(tmp_path / "images")
    assert np.array_equal(picture.pixels, 255 - IMAGES[0])
    assert picture.changes == ("scaled from 56×56 to 28×28",)


def test_a_run_that_is_not_finished(tmp_path, splits, capsys):
    settings = Settings.of("softmax", epochs=3, batch_size=30)
    trainer = Trainer(settings, splits)
    RunFolder(tmp_path).begin(trainer)
    write_idx(tmp_path / "images", IMAGES[:1])
    assert main(["predict", str(tmp_path), str(tmp_path / "images")]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"note: {tmp_path} is not finished: weights after 0 epochs\n"
    assert captured.out.startswith(f"{tmp_path / 'images'}[0]: ")
    assert np.array_equal(Predictor(tmp_path).answers(IMAGES), trainer.test().answers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is neither a picture that Pillow knows nor an idx file"),
        (b"hello", "is neither a picture that Pillow knows nor an idx file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "file"),
        (b"\0\0\x08\x03\0\0", "truncated within the header's 3 dimensions"),
        (gzip.compress(b"nothing", mtime=0), "is not an idx file"),
    ],
)
def test_files_that_are_no_images(content, message, runs, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert main(["predict", str(runs["softmax"]), str(path)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert str(path) in error
    assert error.count("\n") == 1


def test_idx_files_without_images(tmp_path):
    write_idx(tmp_path / "labels", np.arange(3, dtype=np.uint8))
    with pytest.raises(RunError, match=r"holds uint8 of shape \(3,\); expected uint8 images"):
        read_pictures(tmp_path / "labels")
    with pytest.raises(RunError, match="there is no file"):
        read_pictures(tmp_path / "nothing")
    with pytest.raises(RunError, match="is not a file"):
        read_pictures(tmp_path)


def test_without_pillow(runs, tmp_path, capsys, monkeypatch):
    Image.fromarray(IMAGES[0]).save(tmp_path / "digit.png")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    assert main(["predict", str(runs["softmax"]), str(tmp_path / "digit.png")]) == 1
    assert capsys.readouterr().err == (
        f"tinygrad-cnn predict: reading the picture {tmp_path / 'digit.png'} needs Pillow: "
        "pip install 'tinygrad-cnn[plots]' (idx files need nothing)\n"
    )


@pytest.mark.parametrize("name", ["model.npz", "config.json"])
def test_damaged_runs(name, tmp_path, splits, capsys):
    settings = Settings.of("softmax", epochs=1, batch_size=30)
    start_run(settings, splits, tmp_path, check=False, quiet=True)
    (tmp_path / name).write_bytes(b"{}")
    capsys.readouterr()
    write_idx(tmp_path / "images", IMAGES[:1])
    assert main(["predict", str(tmp_path), str(tmp_path / "images")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tinygrad-cnn predict: {tmp_path / name} is ")
    assert error.count("\n") == 1
