"""Transforms of single images, against Pillow, colorsys, NumPy and loops."""

from __future__ import annotations

import colorsys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import tensor
from tinygrad_cnn.data import DataLoader, Dataset
from tinygrad_cnn.data import transforms as T
from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.random import manual_seed

Image = pytest.importorskip("PIL.Image")
rng = np.random.default_rng(0)
RGB = rng.integers(256, size=(13, 18, 3), dtype=np.uint8)
GREY = RGB[..., 0].copy()


def as_kind(array: Any, kind: str) -> Any:
    if kind == "pillow":
        return Image.fromarray(array)
    if kind == "tensor":
        return tensor(array if array.ndim == 2 else array.transpose(2, 0, 1))
    return array


def pixels(image: Any) -> Any:
    """Any kind of image as an array (H, W) or (H, W, C)."""
    if hasattr(image, "numpy"):
        array = image.numpy()
        return array if array.ndim == 2 else np.moveaxis(array, -3, -1)
    return np.asarray(image)


KINDS = ["pillow", "array", "tensor"]

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]

# What changes places only gives the same of every kind, and is what NumPy's indexing gives.
PLACES: list[tuple[Any, Any]] = [
    (T.CenterCrop((7, 8)), lambda a: a[3:10, 5:13]),
    (T.RandomHorizontalFlip(p=1), lambda a: a[:, ::-1]),
    (T.RandomVerticalFlip(p=1), lambda a: a[::-1]),
    (T.RandomHorizontalFlip(p=0), lambda a: a),
    (lambda x: F.crop(x, 2, 3, 4, 5), lambda a: a[2:6, 3:8]),
    (lambda x: F.ten_crop(x, 6)[3], lambda a: a[-6:, -6:]),
    (lambda x: F.five_crop(x, 6)[4], lambda a: a[4:10, 6:12]),
    (lambda x: F.rotate(x, 90, expand=True), lambda a: np.rot90(a)),
    (lambda x: F.rotate(x, 180), lambda a: a[::-1, ::-1]),
    (lambda x: F.affine(x, 0, [2, -3], 1, 0), lambda a: shifted(a)),
    (T.RandomInvert(p=1), lambda a: 255 - a),
    (T.RandomPosterize(3, p=1), lambda a: a & 0b11100000),
    (T.RandomSolarize(100, p=1), lambda a: np.where(a >= 100, 255 - a, a)),
    (
        lambda x: F.perspective(x, SQUARE, np.add(SQUARE, [2, -3]), T.InterpolationMode.NEAREST),
        lambda a: shifted(a),
    ),
    (lambda x: F.adjust_sharpness(x, 1), lambda a: a),
    (T.Resize((26, 36), T.InterpolationMode.NEAREST), lambda a: a.repeat(2, 0).repeat(2, 1)),
    (T.Pad((1, 2, 0, 3), fill=9), lambda a: bordered(a, constant_values=9)),
    (T.Pad((1, 2, 0, 3), padding_mode="edge"), lambda a: bordered(a, mode="edge")),
]


def shifted(a: Any) -> Any:
    out = np.zeros_like(a)
    out[:-3, 2:] = a[3:, :-2]
    return out


def bordered(a: Any, **how: Any) -> Any:
    return np.pad(a, [(2, 3), (1, 0)] + [(0, 0)] * (a.ndim - 2), **how)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image", [RGB, GREY], ids=["rgb", "grey"])
def test_places(image: Any, kind: str) -> None:
    for transform, expected in PLACES:
        before = image.copy()
        given = as_kind(image, kind)
        result = transform(given)
        assert type(result) is type(given) or kind == "pillow"
        np.testing.assert_array_equal(pixels(result), expected(image), err_msg=str(transform))
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "mode", [m for m in T.InterpolationMode if m.name not in ("NEAREST", "NEAREST_EXACT")]
)
@pytest.mark.parametrize("size", [(7, 9), (30, 20), (13, 5)])
def test_filters_are_pillows(mode: Any, size: tuple[int, int]) -> None:
    floats = GREY.astype(np.float32)
    expected = Image.fromarray(floats).resize(size[::-1], mode.in_pillow)
    np.testing.assert_allclose(F.resize(floats, size, mode), np.asarray(expected), atol=1e-3)
    mild = RGB // 2 + 50  # Pillow also cuts off what is beyond white between the two directions
    rounded = pixels(F.resize(mild, size, mode)).astype(int)
    assert abs(rounded - pixels(F.resize(Image.fromarray(mild), size, mode))).max() <= 1


def test_sizes_of_one_number_keep_the_shape() -> None:
    for kind in KINDS:
        image = as_kind(RGB, kind)
        assert F.get_image_size(F.resize(image, 26)) == [36, 26]
        assert F.get_image_size(F.resize(image, 20, max_size=24)) == [24, 17]
        assert F.get_dimensions(image) == [3, 13, 18]
        assert F.resize(image, (13, 18)) is image


def test_hue_is_turned_as_colorsys_has_it() -> None:
    image = rng.random((3, 4, 5))
    turned = F.adjust_hue(tensor(image), 0.3).numpy()
    for i, j in np.ndindex(4, 5):
        hue, saturation, value = colorsys.rgb_to_hsv(*image[:, i, j])
        expected = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
        np.testing.assert_allclose(turned[:, i, j], expected, atol=1e-12)


def test_blends() -> None:
    image = tensor(rng.random((3, 4, 5)))
    x = image.numpy()
    grey = np.einsum("chw,c->hw", x, [0.2989, 0.587, 0.114])
    for factor in (0.0, 0.4, 1.0, 1.9):
        for function, other in (
            (F.adjust_brightness, 0.0),
            (F.adjust_contrast, grey.mean()),
            (F.adjust_saturation, grey),
        ):
            expected = np.clip(factor * x + (1 - factor) * other, 0, 1)
            np.testing.assert_allclose(function(image, factor).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(F.rgb_to_grayscale(image).numpy()[0], grey)


def test_contrast_and_equal_shares() -> None:
    image = tensor(0.2 + 0.3 * rng.random((3, 4, 5)))
    out = F.autocontrast(image).numpy()
    low, high = (f((1, 2), keepdims=True) for f in (image.numpy().min, image.numpy().max))
    np.testing.assert_allclose(out, (image.numpy() - low) / (high - low), atol=1e-12)
    assert (F.autocontrast(tensor(np.full((1, 2, 2), 0.4))).numpy() == 0.4).all()
    dark = rng.integers(0, 100, size=(100, 100), dtype=np.uint8)
    counts = np.bincount(F.equalize(dark).ravel() // 64, minlength=4)
    np.testing.assert_allclose(counts / 10_000, 0.25, atol=0.02)
    blurred = F.adjust_sharpness(tensor(np.eye(5)[None]), 0).numpy()[0]
    assert blurred[2, 2] == pytest.approx(7 / 13)
    assert blurred[0, 0] == 1


def test_policies_apply_every_change() -> None:
    manual_seed(0)
    image = np.add.outer(np.arange(40) * 3, np.arange(40) * 2)[..., None] + [0, 10, 40]
    image = image.astype(np.uint8)
    for kind in KINDS:
        given = as_kind(image, kind)
        automatic = [T.AutoAugment(policy) for policy in T.AutoAugmentPolicy]
        for policy in (T.RandAugment(magnitude=20), T.TrivialAugmentWide(), *automatic):
            seen = {pixels(policy(given)).tobytes() for _ in range(60)}
            assert len(seen) > 10
    for policy in automatic:
        assert len(policy.policies) == 25
        assert all(len(pair) == 2 for pair in policy.policies)
    with pytest.raises(ValueError, match="RandAugment: magnitude is from 0 to 30, got 31"):
        T.RandAugment(magnitude=31)


def test_corners_move_inwards() -> None:
    for _ in range(50):
        start, end = T.RandomPerspective.get_params(21, 11, 0.6)
        assert start == [[0, 0], [20, 0], [20, 10], [0, 10]]
        moves = np.abs(np.subtract(start, end))
        assert (moves <= [6, 3]).all()
    assert T.RandomPerspective(p=1)(RGB).shape == RGB.shape
    with pytest.raises(ValueError, match=r"three of the points .* lie on a line"):
        F.perspective(RGB, SQUARE, [[0, 0], [1, 1], [2, 2], [0, 5]])


def test_blur_against_a_loop() -> None:
    image = rng.random((6, 7))
    padded = np.pad(image, 2, mode="reflect")
    weights = np.exp(-0.5 * (np.arange(-2, 3) / 0.8) ** 2)
    weights /= weights.sum()
    for i, j in np.ndindex(6, 7):
        expected = weights @ padded[i : i + 5, j : j + 5] @ weights
        assert F.gaussian_blur(image, 5, 0.8)[i, j] == pytest.approx(expected)


def test_tensors_of_images_and_back() -> None:
    image = F.to_tensor(RGB)
    assert (image.dtype, image.shape) == (np.float32, (3, 13, 18))
    np.testing.assert_array_equal(image.numpy(), (RGB / np.float32(255)).transpose(2, 0, 1))
    np.testing.assert_array_equal(F.to_tensor(Image.fromarray(RGB)).numpy(), image.numpy())
    np.testing.assert_array_equal(np.asarray(T.ToPILImage()(image)), RGB)
    bits = Image.fromarray(GREY > 100)
    assert set(np.unique(F.to_tensor(bits).numpy())) == {0, 1}
    assert set(np.unique(F.pil_to_tensor(bits).numpy())) == {0, 255}
    assert F.to_tensor(GREY.astype(np.float64)).dtype == np.float64
    palette = Image.fromarray(RGB).quantize(4)
    assert pixels(F.hflip(F.pad(palette, 2, padding_mode="edge")).convert("RGB")).shape == (
        17,
        22,
        3,
    )


def test_normalising_keeps_a_gradient() -> None:
    x = tensor(rng.random((2, 3, 4, 4)), requires_grad=True)
    y = T.Normalize([0.1, 0.2, 0.3], [0.5, 1, 2])(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[0, :, 0, 0], [2, 1, 0.5])
    plain = x.detach()
    np.testing.assert_array_equal(
        T.Normalize([0.1, 0.2, 0.3], [0.5, 1, 2])(plain).numpy(), y.numpy()
    )
    assert T.Normalize(0.5, 0.5, inplace=True)(plain) is plain
    with pytest.raises(TypeError, match=r"crop: transforms have no gradients; detach\(\)"):
        F.crop(x, 0, 0, 2, 2)


def test_windows_lie_inside_and_everywhere() -> None:
    image = np.arange(20).reshape(4, 5)
    seen = Counter(int(T.RandomCrop((2, 3))(image)[0, 0]) for _ in range(300))
    assert sorted(seen) == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert T.RandomCrop(8, pad_if_needed=True)(image).shape == (8, 8)
    sizes = [T.RandomResizedCrop.get_params(RGB, (0.2, 0.5), (0.5, 2)) for _ in range(200)]
    for top, left, height, width in sizes:
        assert 0 <= top <= 13 - height
        assert 0 <= left <= 18 - width
        assert 0.15 < height * width / RGB[..., 0].size < 0.56
    assert T.RandomResizedCrop(9)(RGB).shape == (9, 9, 3)
    thin = np.zeros((2, 100))
    assert T.RandomResizedCrop.get_params(thin, (1, 1), (3 / 4, 4 / 3)) == (0, 48, 2, 3)


def test_erasing() -> None:
    manual_seed(0)
    white = tensor(np.ones((3, 20, 30), np.float32))
    gone = [1 - T.RandomErasing(p=1)(white).numpy().mean() for _ in range(100)]
    assert 0 < min(gone) < 0.08
    assert 0.25 < max(gone) < 0.35
    assert T.RandomErasing(p=0)(white) is white
    drawn = T.RandomErasing(p=1, value="random")(white).numpy()
    assert len(np.unique(drawn)) > 20
    assert set(np.unique(T.RandomErasing(1, value=(2, 3, 4))(white).numpy())) == {1, 2, 3, 4}
    assert T.RandomErasing(1, inplace=True)(white) is white
    assert white.numpy().min() == 0
    assert F.erase(np.ones((4, 4)), 1, 1, 2, 2, 0).sum() == 12


def test_composed_ones() -> None:
    manual_seed(1)
    add, double = T.Lambda(lambda x: x + 1), T.Lambda(lambda x: x * 2)
    assert T.Compose([add, double])(3) == 8
    assert {T.RandomOrder([add, double])(3) for _ in range(50)} == {7, 8}
    assert {T.RandomChoice([add, double])(3) for _ in range(50)} == {4, 6}
    assert {T.RandomChoice([add, double], p=[0, 1])(3) for _ in range(50)} == {6}
    assert {T.RandomApply([add, double])(3) for _ in range(50)} == {3, 8}
    assert repr(T.Compose([T.ToTensor(), T.Resize(8)])).splitlines()[1] == "    ToTensor()"
    with pytest.raises(TypeError, match=r"Compose: expects a list of transforms: Compose\(\["):
        T.Compose(T.ToTensor())
    with pytest.raises(TypeError, match="Compose: each transform must be callable, got 3"):
        T.Compose([3])


def test_whitening() -> None:
    x = rng.random((3, 2, 2)).astype(np.float32)
    matrix, mean = rng.random((12, 12)).astype(np.float32), np.ones(12, np.float32)
    out = T.LinearTransformation(matrix, mean)(tensor(x))
    np.testing.assert_allclose(out.numpy().ravel(), (x.ravel() - 1) @ matrix, rtol=1e-5)
    with pytest.raises(ValueError, match="expects a square matrix and as many means"):
        T.LinearTransformation(matrix[:3], mean)


class Pictures(Dataset[Any]):
    change = T.Compose(
        [
            T.RandomResizedCrop(8),
            T.RandomHorizontalFlip(),
            T.ColorJitter(0.4, 0.4, 0.4, 0.1),
            T.RandomAffine(10, (0.1, 0.1), (0.8, 1.2), 5),
            T.RandomRotation(10),
            T.GaussianBlur(3),
            T.RandomGrayscale(0.2),
            T.RandomPerspective(0.3),
            T.RandAugment(),
            T.TrivialAugmentWide(),
            T.ToTensor(),
            T.RandomErasing(),
        ]
    )

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        return self.change(Image.fromarray(RGB))


def test_threads_draw_the_same() -> None:
    epochs = []
    for workers in (0, 3):
        manual_seed(2)
        epochs.append([b.numpy() for b in DataLoader(Pictures(), 4, num_workers=workers)])
    assert epochs[0][0].shape == (4, 3, 8, 8)
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0][0], epochs[0][1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.resize(RGB, 0), ValueError, "resize: size is one or two positive numbers"),
        (
            lambda: F.resize(RGB, 9, max_size=9),
            ValueError,
            "max_size is 9, and must be more than 9",
        ),
        (lambda: F.resize(RGB, 9, "bilinear"), TypeError, "interpolation is an InterpolationMode"),
        (
            lambda: F.resize("image", 9),
            TypeError,
            "resize: expects an image of Pillow, an array or",
        ),
        (
            lambda: F.resize(np.zeros(3), 9),
            ValueError,
            r"or a tensor \(…, C, H, W\), got shape \(3,\)",
        ),
        (
            lambda: F.rotate(RGB, 9, T.InterpolationMode.BOX),
            ValueError,
            "rotate: interpolation here",
        ),
        (
            lambda: F.affine(RGB, 0, [0, 0], 0, 0),
            ValueError,
            "affine: scale must be positive, got 0",
        ),
        (lambda: F.pad(RGB, (1, 2, 3)), ValueError, r"pad: padding is a number, two \(left"),
        (lambda: F.pad(RGB, 1, padding_mode="wrap"), ValueError, "pad: padding_mode is constant"),
        (
            lambda: F.five_crop(RGB, 14),
            ValueError,
            "five_crop: a window of 14×14 in an image of 13×18",
        ),
        (lambda: T.RandomCrop(14)(RGB), ValueError, "RandomCrop: a window of 14×14 in an image of"),
        (lambda: F.adjust_hue(RGB, 0.6), ValueError, "adjust_hue: the factor is from -0.5 to 0.5"),
        (
            lambda: F.adjust_contrast(RGB, -1),
            ValueError,
            "adjust_contrast: the factor must be at lea",
        ),
        (
            lambda: F.gaussian_blur(RGB, 4),
            ValueError,
            "kernel_size is one or two odd numbers, got 4",
        ),
        (lambda: F.to_tensor("x"), TypeError, "to_tensor: expects an image of Pillow or an array"),
        (lambda: F.normalize(RGB, 0, 1), TypeError, "floating-point numbers, got uint8; ToTensor"),
        (lambda: F.normalize(tensor(RGB / 255), 0, 0), ValueError, "std must not be zero, got 0"),
        (lambda: F.to_pil_image(np.zeros((2, 2, 5))), ValueError, "expects 1 to 4 channels, got"),
        (
            lambda: T.ColorJitter(hue=0.6),
            ValueError,
            "ColorJitter: hue must lie within -0.5 and 0.5",
        ),
        (lambda: T.ColorJitter(brightness=-1), ValueError, "brightness must be at least 0, got -1"),
        (lambda: T.RandomHorizontalFlip(2), ValueError, "p must be from 0 to 1, got 2"),
        (lambda: T.RandomAffine(9, (2, 0)), ValueError, "RandomAffine: translate is from 0 to 1"),
        (lambda: T.Lambda(3), TypeError, "Lambda: expects a function, got 3"),
    ],
)
def test_errors_say_what_was_expected(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
