"""Many images as one, and images as files."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.data.collate import fresh
from tinygrad_cnn.data.transforms.kinds import pillow
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["make_grid", "save_image"]


def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Put images side by side, in rows.

    Parameters
    ----------
    tensor
        Images (N, C, H, W), one image (C, H, W) or (H, W), or a list of images of one shape. One
        channel becomes three.
    nrow
        How many images stand in a row.
    padding
        Pixels between images and around them.
    normalize
        Shift and scale the values to be from 0 to 1.
    value_range
        What becomes 0 and 1, where they are normalised; None is the least and the largest value.
    scale_each
        Normalise each image for itself.
    pad_value
        The value of the pixels between images.

    Returns
    -------
    A tensor (3, H', W'), with (N, H, W) of one image itself.

    Raises
    ------
    TypeError
        If it is given no tensor or array, or a list of other things.
    ValueError
        If the shape is not that of images.

    >>> make_grid(np.zeros((5, 1, 8, 8), np.float32), nrow=3).shape
    (3, 22, 32)
    """
    images = _stacked(tensor)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"make_grid: expects images (N, C, H, W) of 1 or 3 channels, got shape {images.shape}"
        )
    if normalize:
        images = _normalised(images, value_range, scale_each)
    if images.shape[1] == 1:
        images = np.repeat(images, 3, 1)
    N, C, H, W = images.shape
    if N == 1:
        return fresh(images[0].copy())
    across = min(nrow, N)
    down = math.ceil(N / across)
    h, w = H + padding, W + padding
    grid = np.full((C, down * h + padding, across * w + padding), pad_value, images.dtype)
    for i, image in enumerate(images):
        top, left = i // across * h + padding, i % across * w + padding
        grid[:, top : top + H, left : left + W] = image
    return fresh(grid)


def _stacked(tensor: Any) -> Array:
    if isinstance(tensor, (list, tuple)):
        return np.stack([_plain(image) for image in tensor])
    images = _plain(tensor)
    if images.ndim == 2:
        images = images[np.newaxis]
    return images[np.newaxis] if images.ndim == 3 else images


def _plain(image: Any) -> Array:
    if isinstance(image, Tensor):
        return image.detach()._data  # a picture of values needs no gradient
    if isinstance(image, np.ndarray):
        return image
    raise TypeError(f"make_grid: expects tensors or arrays, got {type(image).__name__}")


def _normalised(images: Array, value_range: tuple[float, float] | None, scale_each: bool) -> Array:
    axes = (1, 2, 3) if scale_each else None
    images = images.astype(images.dtype if images.dtype.kind == "f" else np.float32)
    if value_range is not None:
        low, high = map(np.asarray, value_range)
    else:
        low, high = (f(axis=axes, keepdims=True) for f in (images.min, images.max))
    out: Array = (np.clip(images, low, high) - low) / np.maximum(high - low, 1e-5)
    return out.astype(images.dtype)


def save_image(
    tensor: Any,
    fp: str | os.PathLike[str] | IO[bytes],
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write images, from 0 to 1, as one picture; a file appears whole or not at all.

    Parameters
    ----------
    tensor
        As for `make_grid`, which takes the further arguments.
    fp
        A path, whose suffix says of which type the file is, or an open file.
    format
        The type, such as "png"; needed for an open file.

    Raises
    ------
    ValueError
        If the type is not known.
    ImportError
        If Pillow is not installed.
    """
    Image = pillow("save_image")
    grid = make_grid(tensor, **kwargs).numpy()
    pixels = np.clip(grid * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if not isinstance(fp, (str, os.PathLike)):
        image.save(fp, format=format)
        return
    path = Path(fp)
    kind = format or Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"save_image: the type of {path} is not known: end it in .png or .jpg")
    with atomic_file(path) as file:
        image.save(file, format=kind)
