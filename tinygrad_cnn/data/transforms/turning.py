"""Images turned, moved, sheared and seen from aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.kinds import (
    is_pillow,
    pillow,
    pillow_fill,
    size_of,
    through_planes,
)
from tinygrad_cnn.data.transforms.resampling import (
    InterpolationMode,
    inverse_affine,
    mode_of,
    sample_affine,
    sample_at,
    size_of_rotated,
)
from tinygrad_cnn.types import Array

__all__ = ["affine", "perspective", "rotate"]


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
        color = pillow_fill(img, 0 if fill is None else fill)
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
        color = pillow_fill(img, 0 if fill is None else fill)
        kind = pillow("affine").Transform.AFFINE
        return img.transform(size[::-1], kind, matrix, mode.in_pillow, fillcolor=color)
    matrix = inverse_affine(_from_middle(img, center), angle, translate, scale, slant)
    return through_planes(
        "affine", img, lambda planes: sample_affine(planes, matrix, size, mode, fill)
    )


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[float]],
    endpoints: Sequence[Sequence[float]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: float | Sequence[float] | None = None,
) -> Any:
    """Show an image as if it were seen from aside, so that four points come to lie elsewhere.

    Parameters
    ----------
    img
        An image.
    startpoints, endpoints
        The points, each as x and y, in the image and in the result: upper left, upper right, lower
        right and lower left.
    interpolation, fill
        As for `rotate`.

    Raises
    ------
    ValueError
        If three of the points lie on a line.
    """
    mode = _sampled("perspective", img, interpolation)
    a, b, c, d, e, f, g, h = coefficients = _projection(startpoints, endpoints)
    if is_pillow(img):
        color = pillow_fill(img, 0 if fill is None else fill)
        kind = pillow("perspective").Transform.PERSPECTIVE
        return img.transform(img.size, kind, coefficients, mode.in_pillow, fillcolor=color)
    H, W = size_of(img, "perspective")
    x, y = np.arange(W) + 0.5, (np.arange(H) + 0.5)[:, np.newaxis]
    below = g * x + h * y + 1
    columns, rows = (a * x + b * y + c) / below - 0.5, (d * x + e * y + f) / below - 0.5
    return through_planes(
        "perspective", img, lambda planes: sample_at(planes, rows, columns, mode, fill)
    )


def _projection(start: Sequence[Sequence[float]], end: Sequence[Sequence[float]]) -> list[float]:
    """Return a to h of the map from a result's place to the image's.

    x' = (a x + b y + c) / (g x + h y + 1), y' = (d x + e y + f) / (g x + h y + 1): eight equations
    of four points.
    """
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(end, start, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    right: Array = np.asarray(start, float).reshape(8)
    try:
        solved = np.linalg.solve(np.asarray(rows, float), right)
    except np.linalg.LinAlgError:
        raise ValueError(f"perspective: three of the points {end} lie on a line") from None
    rounded: list[float] = solved.astype(np.float32).tolist()  # as torchvision's are
    return rounded
