"""Transforms of single images beside torchvision's own, where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import tensor
from tinygrad_cnn.data import transforms as ours
from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.random import manual_seed

try:
    import torch
    from PIL import Image
    from torchvision import transforms as theirs
    from torchvision.transforms import functional as TF
except Exception as error:  # torchvision of another build than PyTorch's raises what it likes
    pytest.skip(f"torchvision cannot be imported: {error}", allow_module_level=True)

rng = np.random.default_rng(0)
RGB = rng.integers(256, size=(13, 18, 3), dtype=np.uint8)
SMOOTH = (np.add.outer(np.arange(13) * 9, np.arange(18) * 5)[..., None] + [0, 20, 40]).astype("u1")
GREY = RGB[..., 0]
FLOATS = rng.random((3, 13, 18)).astype(np.float32)


def to_array(result: Any) -> Any:
    """A tensor of either kind, or an image of Pillow, as (…, C, H, W)."""
    if isinstance(result, Image.Image):
        array = np.asarray(result).astype(float)
        return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    return result.numpy().astype(float)


def both(call: Callable[[Any, Any], Any], image: Any, kind: str, tolerance: float) -> None:
    """Call with their functions and ours on the same image of one kind, and compare."""
    if kind == "pillow":
        picture = Image.fromarray(image)
        mine, other = call(F, picture), call(TF, picture)
    else:
        array = image if image.dtype == np.float32 else np.atleast_3d(image).transpose(2, 0, 1)
        mine = call(F, tensor(array))
        other = call(TF, torch.from_numpy(np.ascontiguousarray(array)))
    pairs = zip(*(x if isinstance(x, tuple) else (x,) for x in (mine, other)), strict=True)
    for one, two in pairs:
        left, right = to_array(one), to_array(two)
        assert left.shape == right.shape
        np.testing.assert_allclose(left, right, rtol=0, atol=tolerance)


def interpolation(module: Any, name: str) -> Any:
    return getattr(module.InterpolationMode, name)


CORNERS = ([[0, 0], [17, 0], [17, 12], [0, 12]], [[1, 2], [14, 0], [17, 11], [3, 9]])

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "resize": lambda f, x: f.resize(x, 7),
    "resize up": lambda f, x: f.resize(x, [31, 25]),
    "resize max": lambda f, x: f.resize(x, 20, max_size=24),
    "nearest": lambda f, x: f.resize(x, [5, 29], interpolation(f, "NEAREST")),
    "exact": lambda f, x: f.resize(x, [5, 29], interpolation(f, "NEAREST_EXACT")),
    "cubic": lambda f, x: f.resize(x, [8, 30], interpolation(f, "BICUBIC")),
    "plain": lambda f, x: f.resize(x, [8, 30], antialias=False),
    "pad": lambda f, x: f.pad(x, [1, 2, 3, 4], fill=7),
    "edge": lambda f, x: f.pad(x, [2, 1], padding_mode="edge"),
    "reflect": lambda f, x: f.pad(x, 3, padding_mode="reflect"),
    "symmetric": lambda f, x: f.pad(x, 3, padding_mode="symmetric"),
    "crop": lambda f, x: f.crop(x, 2, 3, 5, 6),
    "crop outside": lambda f, x: f.crop(x, -2, 12, 9, 10),
    "center": lambda f, x: f.center_crop(x, [6, 9]),
    "center odd": lambda f, x: f.center_crop(x, 8),
    "center large": lambda f, x: f.center_crop(x, [16, 10]),
    "resized crop": lambda f, x: f.resized_crop(x, 1, 2, 8, 9, [5, 5]),
    "five": lambda f, x: f.five_crop(x, 5),
    "ten": lambda f, x: f.ten_crop(x, [5, 7], vertical_flip=True),
    "hflip": lambda f, x: f.hflip(x),
    "vflip": lambda f, x: f.vflip(x),
    "rotate": lambda f, x: f.rotate(x, 30),
    "rotate fill": lambda f, x: f.rotate(x, -40, interpolation(f, "BILINEAR"), fill=3),
    "rotate expand": lambda f, x: f.rotate(x, 50, expand=True),
    "rotate center": lambda f, x: f.rotate(x, 10, center=[3, 4]),
    "affine": lambda f, x: f.affine(x, 20, [2, 3], 1.3, [5, 8]),
    "affine smooth": lambda f, x: f.affine(
        x, -20, [1, 0], 0.8, [9.0], interpolation(f, "BILINEAR"), center=[2, 2]
    ),
    "brightness": lambda f, x: f.adjust_brightness(x, 1.4),
    "contrast": lambda f, x: f.adjust_contrast(x, 0.6),
    "contrast up": lambda f, x: f.adjust_contrast(x, 1.7),
    "saturation": lambda f, x: f.adjust_saturation(x, 0.3),
    "hue": lambda f, x: f.adjust_hue(x, 0.2),
    "hue back": lambda f, x: f.adjust_hue(x, -0.45),
    "gamma": lambda f, x: f.adjust_gamma(x, 1.8, gain=0.9),
    "grey": lambda f, x: f.rgb_to_grayscale(x, 3),
    "blur": lambda f, x: f.gaussian_blur(x, 5),
    "blur two": lambda f, x: f.gaussian_blur(x, [3, 7], [0.5, 2.0]),
    "invert": lambda f, x: f.invert(x),
    "sharp": lambda f, x: f.adjust_sharpness(x, 1.7),
    "blurred": lambda f, x: f.adjust_sharpness(x, 0.2),
    "autocontrast": lambda f, x: f.autocontrast(x),
    "perspective": lambda f, x: f.perspective(x, *CORNERS),
    "perspective nearest": lambda f, x: f.perspective(x, *CORNERS, interpolation(f, "NEAREST"), 5),
    "solarize": lambda f, x: f.solarize(x, 0.5 if getattr(x, "dtype", 0) in FLOATERS else 100),
}
FLOATERS = (np.float32, torch.float32)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["pillow", "tensor", "floats"])
def test_beside_torchvision(name: str, kind: str) -> None:
    if kind == "floats":
        both(CALLS[name], FLOATS, kind, 2e-5)
    elif name == "exact" and kind == "pillow":
        pytest.skip("Pillow's own")
    else:
        both(CALLS[name], RGB, kind, 1 if kind == "tensor" else 0)


@pytest.mark.parametrize("image", [RGB, GREY, GREY.astype(np.int32), GREY.astype(np.float32)])
def test_tensors_of_images(image: Any) -> None:
    for given in (image, Image.fromarray(image)):
        mine, other = F.to_tensor(given), TF.to_tensor(given)
        assert str(mine.dtype) == str(other.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    mine, other = F.pil_to_tensor(given), TF.pil_to_tensor(given)
    np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_images_of_tensors() -> None:
    for array in (FLOATS, FLOATS[:1], FLOATS[0], RGB.transpose(2, 0, 1).copy()):
        mine, other = F.to_pil_image(tensor(array)), TF.to_pil_image(torch.from_numpy(array))
        assert mine.mode == other.mode
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))
    assert F.to_pil_image(RGB, "HSV").mode == TF.to_pil_image(RGB, "HSV").mode == "HSV"


@pytest.mark.parametrize("source", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("target", ["uint8", "int16", "float32", "float64"])
def test_types_of_pixels(source: str, target: str) -> None:
    values = np.array([[[0, 0.1, 0.5, 0.999, 1]]])
    if source not in ("float32", "float64"):
        values = np.floor(values * np.iinfo(source).max)
    array = values.astype(source)
    mine = F.convert_image_dtype(tensor(array), target).numpy()
    other = TF.convert_image_dtype(torch.from_numpy(array), getattr(torch, target)).numpy()
    assert mine.dtype == other.dtype
    np.testing.assert_allclose(mine, other, rtol=1e-6)


def test_normalising() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    mine = ours.Normalize(mean, std)(tensor(FLOATS)).numpy()
    other = theirs.Normalize(mean, std)(torch.from_numpy(FLOATS)).numpy()
    np.testing.assert_allclose(mine, other, rtol=1e-6)


def test_every_transform_of_theirs_is_here_or_left_out_knowingly() -> None:
    left_out = {
        "AugMix",
        "ElasticTransform",
    }
    public = {name for name in dir(theirs) if name[0].isupper()}
    assert public - set(dir(ours)) == left_out


def test_policies_are_those_published() -> None:
    for policy in ours.AutoAugmentPolicy:
        other = theirs.AutoAugment(theirs.AutoAugmentPolicy[policy.name]).policies
        mine = ours.AutoAugment(policy).policies
        assert [tuple(pair) for pair in mine] == [tuple(pair) for pair in other]


def test_equalizing() -> None:
    large = rng.integers(0, 120, size=(60, 70, 3), dtype=np.uint8)
    for image, kind in ((large, "pillow"), (large, "tensor"), (large[:2, :2], "tensor")):
        both(lambda f, x: f.equalize(x), image, kind, 0)


def test_random_ones_have_the_same_range() -> None:
    manual_seed(0)
    torch.manual_seed(0)
    image = Image.fromarray(SMOOTH)
    for name, arguments in (
        ("RandomResizedCrop", (8,)),
        ("RandomCrop", (9,)),
        ("ColorJitter", (0.4, 0.4, 0.4, 0.1)),
        ("RandomRotation", (20,)),
        ("RandomAffine", (10, (0.1, 0.1), (0.8, 1.2), 5)),
        ("RandomPerspective", (0.6, 1)),
        ("RandAugment", ()),
        ("AutoAugment", ()),
        ("TrivialAugmentWide", ()),
    ):
        means = [
            [np.asarray(getattr(kind, name)(*arguments)(image)).mean() for _ in range(300)]
            for kind in (ours, theirs)
        ]
        low, high = (np.quantile(m, [0.25, 0.5, 0.75]) for m in means)
        np.testing.assert_allclose(low, high, atol=0.15 * np.ptp(means[1]) + 1e-9, err_msg=name)
