"""Answers to images from files: the same as the test's, whatever the file."""

import gzip
import os
import tracemalloc
from contextlib import suppress

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
from tinygrad_cnn.training.tasks import Classify, Detect, Estimate

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


def doubt(sure):
    return "" if sure else "unsure, "


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
        f"{path}[{i}]: {doubt(row.max() > 0.7)}{row.argmax()} ({100 * row.max():.1f} %)"
        for i, row in enumerate(probabilities)
    ]


def test_other_targets(runs, tmp_path, capsys):
    path = tmp_path / "images"
    write_idx(path, IMAGES[:2])
    values = answers_of_the_test(runs["regression"])[:2, 0]
    assert lines(runs["regression"], path, capsys=capsys) == [
        f"{path}[{i}]: {doubt(abs(value - round(value)) < 0.3)}{value:.2f}"
        for i, value in enumerate(values.tolist())
    ]
    chances = answers_of_the_test(runs["sigmoid"])[:2, 0]
    assert lines(runs["sigmoid"], path, capsys=capsys) == [
        f"{path}[{i}]: {doubt(abs(p - 0.5) > 0.2)}{'0' if p > 0.5 else 'not 0'} "
        f"(probability of 0: {100 * p:.1f} %)"
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
        ("large", (inverted, "cropped to the ink and scaled from 84×84 to 28×28")),
    ):
        (picture,) = read_pictures(tmp_path / f"{name}.png")
        off = np.abs(picture.pixels.astype(int) - digit)
        assert off.max() == 0 or (name == "large" and off.mean() < 3), name
        assert (picture.changes, picture.doubt) == (changes, None)
    grey.save(tmp_path / "grey.jpg", quality=95)
    (picture,) = read_pictures(tmp_path / "grey.jpg")
    assert np.abs(picture.pixels.astype(int) - digit).mean() < 3


def test_a_picture_is_laid_out_as_mnist_was_made(tmp_path):
    """Cropped to its ink, scaled to 20 pixels with its proportions, its mass in the middle."""
    wide = np.full((112, 220), 200, np.uint8)
    wide[10:50, 20:40] = 0  # 40 high, 20 wide: 20×10
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (picture,) = read_pictures(tmp_path / "wide.png")
    rows, columns = np.nonzero(picture.pixels > 128)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (4, 24, 9, 19)
    assert picture.pixels.max() == 255


def photograph(digit, generator):
    """A digit somewhere on a sheet of paper under uneven light, with grain."""
    H, W = generator.integers(200, 400, 2).tolist()
    size = int(min(H, W) * generator.uniform(0.3, 0.7))
    drawn = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC))
    top, left = generator.integers(0, (H - size, W - size), 2).tolist()
    ink = np.zeros((H, W))
    ink[top : top + size, left : left + size] = np.clip(drawn / 160 - 0.3, 0, 1)
    y, x = np.mgrid[:H, :W]
    slope = generator.uniform(-60, 60, 2)
    paper = generator.uniform(120, 220) + slope[0] * (x / W - 0.5) + slope[1] * (y / H - 0.5)
    seen = paper * (1 - ink) + 40 * ink + generator.normal(0, 4, (H, W))
    return Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)).convert("RGB")


def test_photographs_look_like_mnist(tmp_path):
    """Of ten digits all but a few come out nearly as they went in."""
    generator = np.random.default_rng(0)
    alike = 0
    for digit in IMAGES[:10]:
        photograph(digit, generator).save(tmp_path / "photo.jpg", quality=85)
        (picture,) = read_pictures(tmp_path / "photo.jpg")
        assert picture.changes[0] == "inverted, since it is dark on light"
        alike += np.corrcoef(picture.pixels.ravel(), digit.ravel())[0, 1] > 0.85
    assert alike >= 8


@pytest.mark.parametrize("kind", ["white", "black", "grey", "grain", "shadow"])
def test_nothing_on_it_is_said(kind, runs, tmp_path, capsys):
    shade = {"white": 255, "black": 0}.get(kind, 140)
    blank = np.full((120, 90), shade, float)
    if kind == "grain":
        blank += np.random.default_rng(0).normal(0, 5, blank.shape)
    if kind == "shadow":
        blank += np.linspace(-50, 50, 90)
    Image.fromarray(np.clip(blank, 0, 255).astype(np.uint8)).save(tmp_path / "blank.png")
    assert lines(runs["softmax"], tmp_path / "blank.png", capsys=capsys) == [
        f"{tmp_path / 'blank.png'}: blank"
    ]


def test_a_blank_image_among_data_is_said(runs, tmp_path, capsys):
    write_idx(tmp_path / "images", np.stack([IMAGES[0], np.zeros_like(IMAGES[0])]))
    found = lines(runs["softmax"], tmp_path / "images", capsys=capsys)
    assert found[1] == f"{tmp_path / 'images'}[1]: blank"


def test_what_is_no_digit_is_unsure(runs, tmp_path, capsys):
    field = np.full((200, 200), 230, np.uint8)
    field[40:160, 40:160] = 20
    Image.fromarray(field).save(tmp_path / "square.png")
    (line,) = lines(runs["softmax"], tmp_path / "square.png", capsys=capsys)
    assert line.startswith(f"{tmp_path / 'square.png'}: unsure, ")
    assert line.endswith("; an area rather than a line]")


def test_sure_answers():
    logits = np.log(np.array([[0.69, 0.31], [0.29, 0.71]]))
    assert Classify().sure(logits).tolist() == [False, True]
    assert Detect().sure(np.array([[0.31], [0.2], [0.9]])).tolist() == [False, True, True]
    assert Estimate().sure(np.array([[3.1], [3.5], [6.9]])).tolist() == [True, False, True]


def test_only_the_named_formats_are_opened(runs, tmp_path, capsys):
    """An EPS, however it is named, would start another program."""
    for kind in ("TIFF", "GIF", "EPS"):
        Image.fromarray(IMAGES[0]).save(tmp_path / "other.png", format=kind)
        assert main(["predict", str(runs["softmax"]), str(tmp_path / "other.png")]) == 1
        assert "is neither a picture (PNG, JPEG) nor an idx file" in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(1, 60000), (60000, 1), (1, 16384), (16384, 1), (8193, 8193)])
def test_sizes_of_pictures_are_bounded(shape, tmp_path):
    Image.new("1", shape, 1).save(tmp_path / "large.png")
    tracemalloc.start()
    try:
        if 16384 in shape:
            (picture,) = read_pictures(tmp_path / "large.png")
            assert picture.doubt == "blank"
        else:
            with pytest.raises(RunError, match="at most 67,108,864 are read, 16,384 a side"):
                read_pictures(tmp_path / "large.png")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_chunk_that_says_it_is_huge_allocates_nothing(tmp_path):
    file = tmp_path / "huge.png"
    Image.fromarray(IMAGES[0]).save(file)
    content = file.read_bytes()
    at = content.index(b"IDAT") - 4
    file.write_bytes(content[:at] + b"\x7f\xff\xff\xf0" + content[at + 4 :])
    tracemalloc.start()
    try:
        with suppress(RunError):  # what is there may be enough for Pillow
            read_pictures(file)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 24


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_are_refused(runs, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    assert main(["predict", str(runs["softmax"]), str(tmp_path / "pipe.png")]) == 1
    assert capsys.readouterr().err.endswith("pipe.png is not a file\n")
    folder = tmp_path / "run"
    folder.mkdir()
    os.mkfifo(folder / "checkpoint.npz")
    assert main(["train", "--resume", str(folder)]) == 1
    assert "checkpoint.npz is not a file" in capsys.readouterr().err


def test_what_was_done_is_said(runs, tmp_path, capsys):
    Image.fromarray(255 - IMAGES[0].repeat(2, 0).repeat(2, 1)).save(tmp_path / "digit.png")
    (line,) = lines(runs["softmax"], tmp_path / "digit.png", capsys=capsys)
    assert line.endswith(
        " %)   [inverted, since it is dark on light; "
        "cropped to the ink and scaled from 56×56 to 28×28]"
    )


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
        (b"", "is neither a picture (PNG, JPEG) nor an idx file"),
        (b"hello", "is neither a picture (PNG, JPEG) nor an idx file"),
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
