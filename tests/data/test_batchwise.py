"""Transforms of batches, against loops over the single images."""

import numpy as np
import pytest

from tinygrad_cnn import data
from tinygrad_cnn.data.batchwise import (
    AddChannel,
    Compose,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    ToFloat,
    one_hot,
)
from tinygrad_cnn.random import manual_seed

SHAPES = [(6, 5, 7), (6, 3, 5, 7)]


def make(shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(1, 256, size=shape).astype(dtype)


def test_all_is_what_is_there():
    assert data.__all__ == sorted(data.__all__)
    assert all(hasattr(data, name) for name in data.__all__)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_to_float(shape, dtype):
    images = make(shape)
    out = ToFloat(dtype)(images)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, images.astype(float) / 255, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalize_with_numbers(shape, dtype):
    images = make(shape, dtype)
    out = Normalize(0.25, 2)(images)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, (images - 0.25) / 2)


def test_normalize_by_channel():
    images = make(SHAPES[1], "float32")
    out = Normalize((1, 2, 3), (4, 5, 6))(images)
    assert out.dtype == np.float32
    for channel in range(3):
        expected = (images[:, channel] - (channel + 1)) / (channel + 4)
        np.testing.assert_allclose(out[:, channel], expected)


def test_add_channel():
    images = make(SHAPES[0])
    assert AddChannel()(images).shape == (6, 1, 5, 7)
    np.testing.assert_array_equal(AddChannel()(images)[:, 0], images)


@pytest.mark.parametrize("shape", SHAPES)
def test_pad(shape):
    images = make(shape)
    out = Pad((1, 2), value=9)(images)
    assert out.shape == (*shape[:-2], 7, 11)
    assert out.dtype == images.dtype
    np.testing.assert_array_equal(out[..., 1:-1, 2:-2], images)
    out[..., 1:-1, 2:-2] = 9
    assert (out == 9).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_random_crop_cuts_a_window_of_each_image(shape):
    images = make((500, *shape[1:]))
    out = RandomCrop((4, 5), padding=(1, 0))(images, np.random.default_rng(1))
    assert out.shape == (500, *shape[1:-2], 4, 5)
    padded = Pad((1, 0))(images)
    places = set()
    for before, after in zip(padded, out, strict=True):
        found = [
            (top, left)
            for top in range(4)
            for left in range(3)
            if np.array_equal(before[..., top : top + 4, left : left + 5], after)
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 12  # every place occurs, the edges included


@pytest.mark.parametrize("shape", SHAPES)
def test_random_horizontal_flip_mirrors_some_images(shape):
    images = make((1000, *shape[1:]))
    out = RandomHorizontalFlip(0.25)(images, np.random.default_rng(1))
    flipped = 0
    for before, after in zip(images, out, strict=True):
        if not np.array_equal(before, after):
            np.testing.assert_array_equal(after, before[..., ::-1])
            flipped += 1
    assert 200 < flipped < 300
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(images), images)
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(images), images[..., ::-1])


@pytest.mark.parametrize("transform", [RandomCrop(3), RandomHorizontalFlip()])
def test_randomness_is_the_generators(transform):
    images = make((50, 5, 7))
    given = [transform(images, np.random.default_rng(4)) for _ in range(2)]
    np.testing.assert_array_equal(*given)
    manual_seed(4)
    np.testing.assert_array_equal(transform(images), given[0])
    assert not np.array_equal(transform(images), given[0])


@pytest.mark.parametrize(
    "transform",
    [Pad(1), RandomCrop(3), RandomHorizontalFlip(), Normalize(0.5, 0.5), Compose([Pad(1)])],
)
def test_the_input_stays_as_it_was(transform):
    images = make(SHAPES[1], "float32")
    before = images.copy()
    transform(images, np.random.default_rng(0))[:] = -1
    np.testing.assert_array_equal(images, before)


def test_compose():
    images = make((4, 28, 28))
    transform = Compose([ToFloat(), Pad(2), AddChannel(), RandomCrop(28)])
    out = transform(images, np.random.default_rng(2))
    step = AddChannel()(Pad(2)(ToFloat()(images)))
    np.testing.assert_array_equal(out, RandomCrop(28)(step, np.random.default_rng(2)))
    assert Compose([])(images) is images


def test_reprs_and_equality():
    assert repr(Compose([Pad(2), RandomCrop(28, padding=(1, 2))])) == (
        "Compose([Pad(padding=2, value=0), RandomCrop(size=28, padding=(1, 2))])"
    )
    assert repr(RandomHorizontalFlip()) == "RandomHorizontalFlip(p=0.5)"
    assert Normalize(0.5, 2) == Normalize(0.5, 2) != Normalize(0.5, 3)


def test_one_hot():
    labels = np.array([1, 0, 3], dtype=np.uint8)
    out = one_hot(labels, 4)
    assert out.dtype == np.float32
    assert out.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert one_hot(labels, 4, np.float64).dtype == np.float64
    assert one_hot(labels[:0], 4).shape == (0, 4)


FLAT = np.zeros((2, 3), np.float32)
IMAGES = np.zeros((2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ToFloat()(FLAT), ValueError, r"ToFloat: .*\(N, C, H, W\), got shape \(2, 3\)"),
        (lambda: Normalize(0, 1)(FLAT), ValueError, r"Normalize: .*got shape \(2, 3\)"),
        (lambda: Pad(1)(FLAT), ValueError, r"Pad: .*got shape \(2, 3\)"),
        (lambda: RandomCrop(1)(FLAT), ValueError, r"RandomCrop: .*got shape \(2, 3\)"),
        (lambda: RandomHorizontalFlip()(FLAT), ValueError, r"Flip: .*got shape \(2, 3\)"),
        (lambda: AddChannel()(FLAT), ValueError, r"AddChannel: .*got shape \(2, 3\)"),
        (lambda: ToFloat()(IMAGES), TypeError, "ToFloat: expected uint8 pixels, got float32"),
        (lambda: Normalize(0, 1)(IMAGES.astype("u1")), TypeError, "got uint8; apply ToFloat first"),
        (lambda: Normalize(0, 0), ValueError, "Normalize: std must be positive, got 0"),
        (lambda: Normalize(0, (1, 1, 1))(IMAGES), ValueError, r"std has 3 values, one for each"),
        (lambda: Normalize((1, 2), 1)(IMAGES[:, None]), ValueError, r"mean has 2 .*\(2, 1, 3, 3\)"),
        (lambda: Pad(-1), ValueError, "Pad: padding must be an integer of at least 0.*got -1"),
        (lambda: Pad((1, 2, 3)), ValueError, r"Pad: padding must .*got \(1, 2, 3\)"),
        (lambda: RandomCrop(0), ValueError, "RandomCrop: size must be .*at least 1.*got 0"),
        (lambda: RandomCrop(4)(IMAGES), ValueError, "window of 4×4 does not fit .* of 3×3"),
        (lambda: RandomHorizontalFlip(1.5), ValueError, "p must be from 0 to 1, got 1.5"),
        (
            lambda: Compose([Pad(1), 3]),
            TypeError,
            "Compose: each transform must be callable, got",
        ),
        (lambda: Compose(Pad(1)), TypeError, r"Compose: expects a list of transforms: Compose\(\["),
        (lambda: one_hot([[1]], 2), ValueError, r"one_hot: .*\(N,\), got \(1, 1\)"),
        (lambda: one_hot([1.0], 2), TypeError, "one_hot: expected integer labels, got float64"),
        (lambda: one_hot([0, 2], 2), IndexError, "labels from 0 to 1, got labels from 0 to 2"),
        (lambda: one_hot([-1], 2), IndexError, "got labels from -1 to -1"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
