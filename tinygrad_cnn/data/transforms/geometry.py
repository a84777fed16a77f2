"""Images cut, bordered, mirrored and scaled. Images of Pillow are worked on by Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.kinds import (
    channels_of,
    is_pillow,
    pair_of,
    pillow,
    pillow_fill,
    planes_of,
    size_of,
    through_planes,
)
from tinygrad_cnn.data.transforms.resampling import (
    InterpolationMode,
    mode_of,
    scaled,
)

__all__ = [
    "center_crop",
    "crop",
    "erase",
    "five_crop",
    "get_dimensions",
    "get_image_size",
    "hflip",
    "pad",
    "resize",
    "resized_crop",
    "ten_crop",
    "vflip",
]

_PAD_MODES = ("constant", "edge", "reflect", "symmetric")


def get_dimensions(img: Any) -> list[int]:
    """Return the number of channels, the height and the width of an image."""
    return [channels_of(img, "get_dimensions"), *size_of(img, "get_dimensions")]


def get_image_size(img: Any) -> list[int]:
    """Return the width and the height of an image, in this order."""
    height, width = size_of(img, "get_image_size")
    return [width, height]


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Scale an image.

    Parameters
    ----------
    img
        An image of Pillow, an array (H, W) or (H, W, C), or a tensor (…, C, H, W).
    size
        Height and width; or one number, for the smaller of them: the shape is kept.
    interpolation
        An `InterpolationMode`, or Pillow's number for it.
    max_size
        For one number: the most that the larger side may come to.
    antialias
        Let every pixel count where an image shrinks; Pillow always does.

    Raises
    ------
    ValueError
        If a size is not positive, or `max_size` is not larger than `size`.

    >>> resize(np.zeros((20, 30, 3), np.uint8), 10).shape
    (10, 15, 3)
    """
    mode = mode_of(interpolation, "resize")
    height, width = _scaled_size(size_of(img, "resize"), size, max_size)
    if (height, width) == size_of(img, "resize"):
        return img
    if is_pillow(img):
        return img.resize((width, height), mode.in_pillow)
    return through_planes(
        "resize", img, lambda planes: scaled(planes, height, width, mode, bool(antialias))
    )


def _scaled_size(
    old: tuple[int, int], size: int | Sequence[int], max_size: int | None
) -> tuple[int, int]:
    numbers = [size] if isinstance(size, int) else list(size)
    if len(numbers) not in (1, 2) or any(n < 1 for n in numbers):
        raise ValueError(f"resize: size is one or two positive numbers, got {size}")
    if len(numbers) == 2:
        if max_size is not None:
            raise ValueError("resize: max_size is for a size of one number")
        return numbers[0], numbers[1]
    short, long = min(old), max(old)
    new_short, new_long = numbers[0], int(numbers[0] * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(f"resize: max_size is {max_size}, and must be more than {new_short}")
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if old[0] <= old[1] else (new_long, new_short)


def _borders(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom."""
    numbers = [padding] if isinstance(padding, int) else list(padding)
    if len(numbers) not in (1, 2, 4) or any(n < 0 for n in numbers):
        raise ValueError(
            "pad: padding is a number, two (left and right, top and bottom) or four (left, top, "
            f"right, bottom) of at least 0, got {padding}"
        )
    left, top, *rest = numbers * 2 if len(numbers) == 1 else numbers
    right, bottom = rest or (left, top)
    return left, top, right, bottom


def pad(
    img: Any,
    padding: int | Sequence[int],
    fill: float | Sequence[float] = 0,
    padding_mode: str = "constant",
) -> Any:
    """Give an image a border.

    Parameters
    ----------
    img
        An image.
    padding
        The border's width: one number; two, left and right, top and bottom; or four, left, top,
        right, bottom.
    fill
        The value of the border, or one for each channel.
    padding_mode
        "constant"; "edge" repeats the last pixels, "reflect" mirrors the image without them,
        "symmetric" with them.

    Raises
    ------
    ValueError
        If padding or mode are something else.

    >>> pad(np.ones((1, 2)), (1, 0), fill=7)
    array([[7., 1., 1., 7.]])
    """
    left, top, right, bottom = _borders(padding)
    if padding_mode not in _PAD_MODES:
        raise ValueError(f"pad: padding_mode is {', '.join(_PAD_MODES)}, got {padding_mode!r}")
    if is_pillow(img) and padding_mode == "constant":
        from PIL import ImageOps

        return ImageOps.expand(img, (left, top, right, bottom), pillow_fill(img, fill))

    def padded(planes: Any) -> Any:
        widths = [(0, 0)] * (planes.ndim - 2) + [(top, bottom), (left, right)]
        if padding_mode != "constant":
            return np.pad(planes, widths, mode=padding_mode)  # type: ignore[call-overload]
        out = np.pad(planes, widths)
        outside = np.pad(np.zeros(planes.shape[-2:], bool), widths[-2:], constant_values=True)
        values = np.asarray(fill, planes.dtype).reshape(-1, 1, 1)
        return np.where(outside, values, out)

    return through_planes("pad", img, padded)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """Cut a window out of an image; what lies outside of the image is 0.

    >>> crop(np.arange(9).reshape(3, 3), 1, 1, 2, 3)
    array([[4, 5, 0],
           [7, 8, 0]])
    """
    if is_pillow(img):
        return img.crop((left, top, left + width, top + height))

    def cut(planes: Any) -> Any:
        inside = planes[..., max(top, 0) : top + height, max(left, 0) : left + width]
        before, ahead = max(-top, 0), max(-left, 0)
        below = height - before - inside.shape[-2]
        after = width - ahead - inside.shape[-1]
        if not (before or ahead or below or after):
            return inside
        rest = [(0, 0)] * (planes.ndim - 2)
        return np.pad(inside, [*rest, (before, below), (ahead, after)])

    return through_planes("crop", img, cut)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """Cut the middle out of an image, of one size or a height and width; borders are 0.

    >>> center_crop(np.arange(5)[np.newaxis] * np.ones((3, 1), int), (1, 3))
    array([[1, 2, 3]])
    """
    height, width = pair_of(output_size, "center_crop")
    H, W = size_of(img, "center_crop")
    if height > H or width > W:
        down, across = max(height - H, 0), max(width - W, 0)
        img = pad(img, (across // 2, down // 2, (across + 1) // 2, (down + 1) // 2))
        H, W = size_of(img, "center_crop")
    return crop(img, round((H - height) / 2), round((W - width) / 2), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """Cut a window out of an image and scale it."""
    window = crop(img, top, left, height, width)
    return resize(window, size, interpolation, antialias=antialias)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, Any, Any, Any, Any]:
    """Return the windows of one size in the four corners and the middle.

    Raises
    ------
    ValueError
        If the image is smaller.
    """
    height, width = pair_of(size, "five_crop")
    H, W = size_of(img, "five_crop")
    if height > H or width > W:
        raise ValueError(f"five_crop: a window of {height}×{width} in an image of {H}×{W}")
    corners = [(top, left) for top in (0, H - height) for left in (0, W - width)]
    one, two, three, four = (crop(img, *corner, height, width) for corner in corners)
    return one, two, three, four, center_crop(img, (height, width))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """Return `five_crop` of an image and of its mirror image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


def hflip(img: Any) -> Any:
    """Mirror an image, left to right.

    >>> hflip(np.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """
    if is_pillow(img):
        return img.transpose(pillow("hflip").Transpose.FLIP_LEFT_RIGHT)
    return through_planes("hflip", img, lambda planes: planes[..., ::-1])


def vflip(img: Any) -> Any:
    """Mirror an image, upside down."""
    if is_pillow(img):
        return img.transpose(pillow("vflip").Transpose.FLIP_TOP_BOTTOM)
    return through_planes("vflip", img, lambda planes: planes[..., ::-1, :])


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """Put a value, or values that fit, in the window of height h and width w at row i, column j."""

    def erased(planes: Any) -> Any:
        out = planes if inplace else planes.copy()
        out[..., i : i + h, j : j + w] = planes_of(v, "erase") if np.ndim(v) else v
        return out

    if is_pillow(img):
        raise TypeError("erase: expects a tensor or an array; ToTensor makes one")
    if inplace:
        erased(planes_of(img, "erase"))
        return img
    return through_planes("erase", img, erased)
