"""The three kinds of images, and the one form that the arithmetic takes.

A Pillow image, which is handed to Pillow wherever it can do the work; an array of shape (H, W) or
(H, W, C); a tensor of shape (…, C, H, W) or (H, W). Planes are an array (…, C, H, W).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.collate import fresh
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = [
    "channels_of",
    "from_planes",
    "is_pillow",
    "largest_of",
    "pair_of",
    "pillow",
    "pillow_fill",
    "planes_of",
    "size_of",
    "through_planes",
]


def is_pillow(image: Any) -> bool:
    """Whether this is an image of Pillow; where Pillow was never imported there is none."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def pillow(what: str) -> Any:
    """Return Pillow's module `Image`.

    Raises
    ------
    ImportError
        If Pillow is not installed; the message begins with `what`.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"{what} needs Pillow: pip install 'tinygrad-cnn[images]'") from None
    return Image


def planes_of(image: Any, what: str) -> Array:
    """Return an image's pixels as planes (…, C, H, W), which may share its memory.

    Raises
    ------
    TypeError
        If it is none of the three kinds, or a tensor that requires a gradient.
    ValueError
        If its shape is not an image's.
    """
    if isinstance(image, Tensor):
        if image.requires_grad:
            raise TypeError(f"{what}: transforms have no gradients; detach() the tensor first")
        array = image._data
        if array.ndim >= 2:
            return array if array.ndim > 2 else array[np.newaxis]
    elif isinstance(image, np.ndarray) or is_pillow(image):
        array = np.asarray(image)
        if array.ndim in (2, 3):
            return array[np.newaxis] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    else:
        raise TypeError(
            f"{what}: expects an image of Pillow, an array or a tensor, got {type(image).__name__}"
        )
    raise ValueError(
        f"{what}: expects an array (H, W) or (H, W, C) or a tensor (…, C, H, W), "
        f"got shape {array.shape}"
    )


def from_planes(planes: Array, like: Any) -> Any:
    """Return planes as an image of the kind of `like`."""
    if isinstance(like, Tensor):
        return fresh(np.array(planes[0] if like.ndim == 2 else planes, order="C"))
    flat = planes.shape[0] == 1 and (is_pillow(like) or like.ndim == 2)
    array = np.array(planes[0] if flat else np.moveaxis(planes, 0, -1), order="C")
    if not is_pillow(like):
        return array
    if like.mode == "1":
        array = array.astype(bool)
    image = pillow("from_planes").fromarray(array)
    if like.mode == "P":
        image.putpalette(like.getpalette())
    return image


def through_planes(what: str, image: Any, function: Callable[[Array], Array]) -> Any:
    """Apply a function of planes to an image of any kind."""
    return from_planes(function(planes_of(image, what)), image)


def size_of(image: Any, what: str) -> tuple[int, int]:
    """Return height and width."""
    if is_pillow(image):
        return image.height, image.width
    height, width = planes_of(image, what).shape[-2:]
    return height, width


def channels_of(image: Any, what: str) -> int:
    """Return the number of channels."""
    return int(planes_of(image, what).shape[-3])


def pair_of(size: int | Sequence[int], what: str) -> tuple[int, int]:
    """Return a size as height and width; one number is both.

    Raises
    ------
    ValueError
        If there are more, or one is not positive.
    """
    numbers = [size] if isinstance(size, (int, np.integer)) else list(size)
    if len(numbers) not in (1, 2) or any(n < 1 for n in numbers):
        raise ValueError(f"{what}: size is one or two positive numbers, got {size}")
    return int(numbers[0]), int(numbers[-1])


def largest_of(dtype: npt.DTypeLike) -> float:
    """Return the value of a white pixel: 1 for floats, the largest number of an integer type."""
    kind = np.dtype(dtype)
    return 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)


def pillow_fill(img: Any, fill: float | Sequence[float]) -> Any:
    """Return a fill as Pillow takes it for an image's mode."""
    if img.mode == "F":
        return float(fill if isinstance(fill, (int, float)) else fill[0])
    values = [int(fill)] if isinstance(fill, (int, float)) else [int(v) for v in fill]
    bands = len(img.getbands())
    if len(values) == 1:
        values *= bands
    if len(values) != bands:
        raise ValueError(f"fill has {len(values)} numbers for an image of {bands} channels")
    return values[0] if bands == 1 else tuple(values)
