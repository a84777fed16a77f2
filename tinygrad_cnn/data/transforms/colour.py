"""Colours of images: brightness, contrast, saturation, hue, grey, blur.

An image of Pillow is changed by Pillow's own functions; planes by the same formulas, on floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.kinds import (
    from_planes,
    is_pillow,
    largest_of,
    planes_of,
    through_planes,
)
from tinygrad_cnn.data.transforms.resampling import rounded
from tinygrad_cnn.types import Array

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "gaussian_blur",
    "invert",
    "posterize",
    "rgb_to_grayscale",
    "solarize",
    "to_grayscale",
]


def _enhanced(img: Any, name: str, factor: float) -> Any:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, name)(img).enhance(factor)


def _check_factor(what: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{what}: the factor must be at least 0, got {factor}")


def blend(planes: Array, other: Any, factor: float) -> Array:
    """Return factor · planes + (1 − factor) · other, between black and white, in planes' dtype."""
    values = factor * planes.astype(np.float64) + (1 - factor) * other
    out: Array = np.clip(values, 0, largest_of(planes.dtype)).astype(planes.dtype)
    return out


def _grey(planes: Array) -> Array:
    """Return the luminance (…, 1, H, W) of ITU-R 601-2, in planes' dtype."""
    if planes.shape[-3] == 1:
        return planes
    red, green, blue = (planes[..., i, :, :] for i in range(3))
    grey = 0.2989 * red + 0.587 * green + 0.114 * blue
    return grey.astype(planes.dtype)[..., np.newaxis, :, :]


def _check_colours(what: str, planes: Array) -> None:
    if planes.shape[-3] not in (1, 3):
        raise ValueError(f"{what}: expects 1 or 3 channels, got {planes.shape[-3]}")


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Multiply an image's values: 0 is black, 1 leaves it, 2 is twice as bright.

    >>> adjust_brightness(np.array([[100, 200]], np.uint8), 2)
    array([[200, 255]], dtype=uint8)
    """
    _check_factor("adjust_brightness", brightness_factor)
    if is_pillow(img):
        return _enhanced(img, "Brightness", brightness_factor)
    return through_planes("adjust_brightness", img, lambda p: blend(p, 0.0, brightness_factor))


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Move an image's values away from their mean: 0 is grey, 1 leaves it."""
    _check_factor("adjust_contrast", contrast_factor)
    if is_pillow(img):
        return _enhanced(img, "Contrast", contrast_factor)

    def adjusted(planes: Array) -> Array:
        _check_colours("adjust_contrast", planes)
        mean = _grey(planes).astype(np.float64).mean((-3, -2, -1), keepdims=True)
        return blend(planes, mean, contrast_factor)

    return through_planes("adjust_contrast", img, adjusted)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Move an image's colours away from grey: 0 is black and white, 1 leaves it."""
    _check_factor("adjust_saturation", saturation_factor)
    if is_pillow(img):
        return _enhanced(img, "Color", saturation_factor)

    def adjusted(planes: Array) -> Array:
        _check_colours("adjust_saturation", planes)
        if planes.shape[-3] == 1:
            return planes
        return blend(planes, _grey(planes).astype(np.float64), saturation_factor)

    return through_planes("adjust_saturation", img, adjusted)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Turn an image's colours on the colour wheel, by −0.5 to 0.5 of a whole turn.

    Raises
    ------
    ValueError
        If the factor is outside of that, or there are not 1 or 3 channels.
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: the factor is from -0.5 to 0.5, got {hue_factor}")
    if is_pillow(img):
        if img.mode in ("L", "1", "I", "F"):
            return img
        hue, saturation, value = (np.asarray(band) for band in img.convert("HSV").split())
        turned = (hue.astype(np.int32) + int(hue_factor * 255)).astype(np.uint8)  # wraps around
        bands = np.stack([turned, saturation, value], -1)
        from PIL import Image

        return Image.frombytes("HSV", img.size, bands.tobytes()).convert(img.mode)

    def adjusted(planes: Array) -> Array:
        _check_colours("adjust_hue", planes)
        if planes.shape[-3] == 1:
            return planes
        return _turned(planes, hue_factor)

    return through_planes("adjust_hue", img, adjusted)


def _turned(planes: Array, turn: float) -> Array:
    """Turn the hue of planes with red, green and blue.

    With value V = max, chroma C = max − min and hue h in sixths of the wheel, a colour is
    V − C · clip(min(k, 4 − k), 0, 1) with k = (n + h) mod 6 for n = 5, 3, 1: red, green, blue.
    """
    white = largest_of(planes.dtype)
    scaled = planes.astype(np.float64) / white
    red, green, blue = (scaled[..., i, :, :] for i in range(3))
    value = scaled.max(-3)
    chroma = value - scaled.min(-3)
    safe = np.where(chroma == 0, 1, chroma)
    hue = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * turn
    bands = []
    for n in (5, 3, 1):
        k = (n + hue) % 6
        bands.append(value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1))
    out = np.stack(bands, -3) * white
    return rounded(out, planes.dtype)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """Return gain · xᵞ of an image's values x, taken as from 0 to 1."""
    _check_factor("adjust_gamma", gamma)

    def adjusted(planes: Array) -> Array:
        white = largest_of(planes.dtype)
        values = np.clip(gain * (planes / white) ** gamma, 0, 1)
        if planes.dtype.kind == "f":
            return values.astype(planes.dtype)
        return (values * (white + 1 - 1e-3)).astype(planes.dtype)

    return through_planes("adjust_gamma", img, adjusted)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Return an image's luminance, 0.2989 R + 0.587 G + 0.114 B, once or three times.

    Raises
    ------
    ValueError
        If it is to have neither 1 nor 3 channels.
    """
    if num_output_channels not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: gives 1 or 3 channels, got {num_output_channels}")
    if is_pillow(img):
        grey = img.convert("L")
        if num_output_channels == 1:
            return grey
        return type(grey).convert(grey, "RGB")
    planes = planes_of(img, "rgb_to_grayscale")
    _check_colours("rgb_to_grayscale", planes)
    grey = np.repeat(_grey(planes), num_output_channels, -3)
    flat = isinstance(img, np.ndarray) and img.ndim == 3 and num_output_channels == 1
    return grey[0][..., np.newaxis] if flat else from_planes(grey, img)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Return an image's luminance; see `rgb_to_grayscale`."""
    return rgb_to_grayscale(img, num_output_channels)


def invert(img: Any) -> Any:
    """Return the negative of an image."""
    return through_planes(
        "invert", img, lambda p: (p.dtype.type(largest_of(p.dtype)) - p).astype(p.dtype)
    )


def solarize(img: Any, threshold: float) -> Any:
    """Return the negative where an image is at least as bright as the threshold."""
    return through_planes(
        "solarize",
        img,
        lambda p: np.where(p >= threshold, p.dtype.type(largest_of(p.dtype)) - p, p),
    )


def posterize(img: Any, bits: int) -> Any:
    """Keep the highest bits of an image's uint8 values."""
    if not 0 <= bits <= 8:
        raise ValueError(f"posterize: bits are from 0 to 8, got {bits}")

    def kept(planes: Array) -> Array:
        if planes.dtype != np.uint8:
            raise TypeError(f"posterize: expects pixels of uint8, got {planes.dtype}")
        return planes & np.uint8(256 - (1 << (8 - bits)))

    return through_planes("posterize", img, kept)


def gaussian_blur(
    img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Any:
    """Average each pixel with its neighbours, by a normal distribution's weights.

    Parameters
    ----------
    img
        An image; beyond its edge it is mirrored.
    kernel_size
        How many pixels across and down count: odd numbers, or one for both.
    sigma
        The standard deviation across and down; None is 0.15 · kernel_size + 0.35.

    Raises
    ------
    ValueError
        If a kernel size is even, or a deviation is not positive.
    """
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    sigmas = [sigma] * 2 if isinstance(sigma, (int, float)) else list(sigma)
    sigmas = sigmas * 2 if len(sigmas) == 1 else sigmas
    if len(sizes) != 2 or any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(f"gaussian_blur: kernel_size is one or two odd numbers, got {kernel_size}")
    if len(sigmas) != 2 or any(s <= 0 for s in sigmas):
        raise ValueError(f"gaussian_blur: sigma is one or two positive numbers, got {sigma}")

    def blurred(planes: Array) -> Array:
        exact = planes.dtype if planes.dtype in (np.float32, np.float64) else np.dtype(np.float32)
        out = planes.astype(exact)
        for axis, size, deviation in zip((-1, -2), sizes, sigmas, strict=True):
            half = size // 2
            weights = np.exp(-0.5 * (np.arange(-half, half + 1) / deviation) ** 2)
            weights = (weights / weights.sum()).astype(exact)
            widths = [(0, 0)] * out.ndim
            widths[axis] = (half, half)
            padded = np.pad(out, widths, mode="reflect")
            windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=axis)
            out = windows @ weights
        return rounded(out, planes.dtype)

    return through_planes("gaussian_blur", img, blurred)
