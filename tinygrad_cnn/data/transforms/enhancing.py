"""Images made sharper, and their values spread over the whole range."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.colour import blend
from tinygrad_cnn.data.transforms.kinds import is_pillow, largest_of, through_planes
from tinygrad_cnn.data.transforms.resampling import rounded
from tinygrad_cnn.types import Array

__all__ = ["adjust_sharpness", "autocontrast", "equalize"]


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Move an image away from its blurred self: 0 is blurred, 1 leaves it, 2 is sharp.

    Raises
    ------
    ValueError
        If the factor is negative.
    """
    if sharpness_factor < 0:
        raise ValueError(f"adjust_sharpness: the factor must be at least 0, got {sharpness_factor}")
    if is_pillow(img):
        from PIL import ImageEnhance

        return ImageEnhance.Sharpness(img).enhance(sharpness_factor)

    def sharpened(planes: Array) -> Array:
        if min(planes.shape[-2:]) <= 2:
            return planes
        windows = np.lib.stride_tricks.sliding_window_view(planes, (3, 3), axis=(-2, -1))
        inside = planes[..., 1:-1, 1:-1].astype(np.float64)
        blurred = planes.astype(np.float64)
        smooth = (windows.sum((-2, -1), dtype=np.float64) + 4 * inside) / 13
        blurred[..., 1:-1, 1:-1] = rounded(smooth, planes.dtype)
        return blend(planes, blurred, sharpness_factor)

    return through_planes("adjust_sharpness", img, sharpened)


def autocontrast(img: Any) -> Any:
    """Stretch each channel's values so that the darkest is black and the brightest white.

    >>> autocontrast(np.array([[0.25, 0.5, 0.75]]))
    array([[0. , 0.5, 1. ]])
    """
    if is_pillow(img):
        from PIL import ImageOps

        return ImageOps.autocontrast(img)

    def stretched(planes: Array) -> Array:
        white = largest_of(planes.dtype)
        exact = planes if planes.dtype.kind == "f" else planes.astype(np.float32)
        low, high = (f((-2, -1), keepdims=True) for f in (exact.min, exact.max))
        flat = high == low
        scale = np.where(flat, 1, white / np.where(flat, 1, high - low)).astype(exact.dtype)
        values = (exact - np.where(flat, 0, low)) * scale
        return np.asarray(np.clip(values, 0, white).astype(planes.dtype))

    return through_planes("autocontrast", img, stretched)


def equalize(img: Any) -> Any:
    """Change each channel's values so that all are about equally frequent.

    Raises
    ------
    TypeError
        If the pixels are not uint8.
    """
    if is_pillow(img):
        from PIL import ImageOps

        return ImageOps.equalize(img)

    def equalized(planes: Array) -> Array:
        if planes.dtype != np.uint8:
            raise TypeError(f"equalize: expects pixels of uint8, got {planes.dtype}")
        out = planes.copy()
        for index in np.ndindex(planes.shape[:-2]):
            counts = np.bincount(planes[index].ravel(), minlength=256)
            step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
            if step:
                before = np.cumsum(counts) - counts
                table = np.clip((before + step // 2) // step, 0, 255)
                out[index] = table[planes[index]]
        return out

    return through_planes("equalize", img, equalized)
