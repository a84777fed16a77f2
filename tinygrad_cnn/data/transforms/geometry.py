"""Images cut, bordered, mirrored, scaled and turned. Images of Pillow are worked on by Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.kinds import (
    channels_of,
    is_pillow,
    pillow,
    planes_of,
    size_of,
    through_planes,
)
from tinygrad_cnn.data.transforms.resampling import (
    InterpolationMode,
    inverse_affine,
    mode_of,
    sample_affine,
    scaled,
    size_of_rotated,
)

__all__ = [
    "affine",
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
    "rotate",
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

        return ImageOps.expand(img, (left, top, right, bottom), _pillow_fill(img, fill))

    def padded(planes: Any) -> Any:
        widths = [(0, 0)] * (planes.ndim - 2) + [(top, bottom), (left, right)]
        if padding_mode != "constant":
            return np.pad(planes, widths, mode=padding_mode)  # type: ignore[call-overload]
        out = np.pad(planes, widths)
        outside = np.pad(np.zeros(planes.shape[-2:], bool), widths[-2:], constant_values=True)
        values = np.asarray(fill, planes.dtype).reshape(-1, 1, 1)
        return np.where(outside, values, out)

    return through_planes("pad", img, padded)


def _pillow_fill(img: Any, fill: float | Sequence[float]) -> Any:
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


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    numbers = [size] if isinstance(size, (int, np.integer)) else list(size)
    if len(numbers) not in (1, 2) or any(n < 1 for n in numbers):
        raise ValueError(f"crop: size is one or two positive numbers, got {size}")
    return int(numbers[0]), int(numbers[-1])


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """Cut the middle out of an image, of one size or a height and width; borders are 0.

    >>> center_crop(np.arange(5)[np.newaxis] * np.ones((3, 1), int), (1, 3))
    array([[1, 2, 3]])
    """
    height, width = _pair(output_size)
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
    height, width = _pair(size)
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


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: float | Sequence[float] | None = None,
) -> Any:
    """Turn an image counterclockwise.

    Parameters
    ----------
    img
        An image.
    angle
        Degrees.
    interpolation
        NEAREST, BILINEAR or, for images of Pillow, BICUBIC.
    expand
        Make the result so large that it holds all of the image, turned about its middle.
    center
        x and y of the place to turn about, from the upper left corner; None is the middle.
    fill
        The value, or one for each channel, of what lies outside of the image; None is 0.
    """
    mode = _sampled("rotate", img, interpolation)
    if is_pillow(img):
        color = _pillow_fill(img, 0 if fill is None else fill)
        at = None if center is None else tuple(center)
        return img.rotate(angle, mode.in_pillow, expand, at, fillcolor=color)
    size = size_of(img, "rotate")
    turns, rest = divmod(angle, 90)
    if not rest and center is None and (expand or turns % 2 == 0 or size[0] == size[1]):
        return through_planes("rotate", img, lambda p: np.rot90(p, int(turns), (-2, -1)))
    matrix = inverse_affine(_from_middle(img, center), -angle, (0, 0), 1, (0, 0))
    out = size_of_rotated(matrix, *size) if expand else size
    return through_planes(
        "rotate", img, lambda planes: sample_affine(planes, matrix, out, mode, fill)
    )


def _sampled(what: str, img: Any, interpolation: Any) -> InterpolationMode:
    mode = mode_of(interpolation, what)
    known = [InterpolationMode.NEAREST, InterpolationMode.BILINEAR]
    if is_pillow(img):
        known.append(InterpolationMode.BICUBIC)
    if mode not in known:
        names = ", ".join(m.name for m in known)
        raise ValueError(f"{what}: interpolation here is {names}, got {mode.name}")
    return mode


def _from_middle(img: Any, center: Sequence[float] | None) -> tuple[float, float]:
    H, W = size_of(img, "affine")
    return (0.0, 0.0) if center is None else (center[0] - W / 2, center[1] - H / 2)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Any = InterpolationMode.NEAREST,
    fill: float | Sequence[float] | None = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Turn (clockwise), move, scale and shear an image; its size stays.

    Parameters
    ----------
    img
        An image.
    angle
        Degrees.
    translate
        Pixels to the right and down.
    scale
        A positive factor.
    shear
        Degrees: a number for along x, or a list for along x and y.
    interpolation, fill, center
        As for `rotate`.

    Raises
    ------
    ValueError
        If the scale is not positive.
    """
    if scale <= 0:
        raise ValueError(f"affine: scale must be positive, got {scale}")
    mode = _sampled("affine", img, interpolation)
    slant = (shear, 0.0) if isinstance(shear, (int, float)) else (shear[0], shear[-1])
    size = size_of(img, "affine")
    if is_pillow(img):
        middle = (size[1] / 2, size[0] / 2) if center is None else tuple(center)
        matrix = inverse_affine(middle, angle, translate, scale, slant)
        color = _pillow_fill(img, 0 if fill is None else fill)
        kind = pillow("affine").Transform.AFFINE
        return img.transform(size[::-1], kind, matrix, mode.in_pillow, fillcolor=color)
    matrix = inverse_affine(_from_middle(img, center), angle, translate, scale, slant)
    return through_planes(
        "affine", img, lambda planes: sample_affine(planes, matrix, size, mode, fill)
    )


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
