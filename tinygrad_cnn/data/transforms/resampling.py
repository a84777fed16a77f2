"""Planes (…, C, H, W) at other sizes and places: filters along each dimension, and maps of places.

The filters are Pillow's, which PyTorch's ``interpolate(antialias=True)`` has too: where an image
shrinks, a filter is stretched so that every pixel counts.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array

__all__ = [
    "InterpolationMode",
    "inverse_affine",
    "mode_of",
    "rounded",
    "sample_affine",
    "sample_at",
    "scaled",
    "size_of_rotated",
]


class InterpolationMode(enum.Enum):
    """How values between pixels come about."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"

    @property
    def in_pillow(self) -> int:
        """The number by which Pillow knows it."""
        numbers = {"nearest-exact": 0, "nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
        return numbers.get(self.value, 4 if self.value == "box" else 5)


def mode_of(given: Any, what: str) -> InterpolationMode:
    """Return the mode that is meant: one of `InterpolationMode`, or Pillow's number.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if isinstance(given, InterpolationMode):
        return given
    if isinstance(given, int):
        for mode in InterpolationMode:
            if mode.in_pillow == given and mode is not InterpolationMode.NEAREST_EXACT:
                return mode
    known = ", ".join(mode.name for mode in InterpolationMode)
    raise TypeError(f"{what}: interpolation is an InterpolationMode ({known}), got {given!r}")


def _triangle(x: Array) -> Array:
    out: Array = np.maximum(1 - np.abs(x), 0)
    return out


def _cubic(a: float) -> Callable[[Array], Array]:
    """R. Keys, Cubic convolution interpolation for digital image processing (1981)."""

    def weight(x: Array) -> Array:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = (((x - 5) * x + 8) * x - 4) * a
        out: Array = np.where(x < 1, near, np.where(x < 2, far, 0))
        return out

    return weight


def _box(x: Array) -> Array:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _hamming(x: Array) -> Array:
    return np.where(np.abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0)


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


# The filter, and how far it reaches.
_FILTERS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic(-0.5), 2.0),
    "box": (_box, 0.5),
    "hamming": (_hamming, 1.0),
    "lanczos": (_lanczos, 3.0),
}
_SHARP_CUBIC = _cubic(-0.75)  # PyTorch's, where nothing is smoothed


def scaled(
    planes: Array, height: int, width: int, mode: InterpolationMode, antialias: bool
) -> Array:
    """Return planes at another size, in their own dtype; integers are rounded."""
    H, W = planes.shape[-2:]
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        half = 0.5 if mode is InterpolationMode.NEAREST_EXACT else 0.0
        rows, columns = (
            np.minimum(((np.arange(out) + half) * (size / out)).astype(int), size - 1)
            for out, size in ((height, H), (width, W))
        )
        return planes[..., rows[:, np.newaxis], columns]
    dtype = planes.dtype if planes.dtype in (np.float32, np.float64) else np.dtype(np.float32)
    out = planes.astype(dtype, copy=False)
    if width != W:
        out = out @ _weights(W, width, mode, antialias).T.astype(dtype)
    if height != H:
        out = _weights(H, height, mode, antialias).astype(dtype) @ out
    return rounded(out, planes.dtype)


def rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return values in a dtype: for integers rounded, and kept within its range."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def _weights(size: int, out: int, mode: InterpolationMode, antialias: bool) -> Array:
    """Return the matrix (out, size) whose rows say how much each pixel counts."""
    scale = size / out
    weight, reach = _FILTERS[mode.value]
    centers = (np.arange(out) + 0.5) * scale
    if not antialias and mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC):
        weight = _SHARP_CUBIC if mode is InterpolationMode.BICUBIC else weight
        taps = np.arange(1 - int(reach), 1 + int(reach))
        places = np.floor(centers - 0.5)[:, np.newaxis] + taps  # (out, taps)
        matrix = np.zeros((out, size))
        columns = np.clip(places, 0, size - 1).astype(int)  # the border goes on outside
        amounts = weight(places + 0.5 - centers[:, np.newaxis])
        np.add.at(matrix, (np.arange(out)[:, np.newaxis], columns), amounts)
        return matrix
    stretch = max(scale, 1.0)
    first = np.maximum((centers - reach * stretch + 0.5).astype(int), 0)
    last = np.minimum((centers + reach * stretch + 0.5).astype(int), size)
    places = np.arange(size)
    matrix = weight((places + 0.5 - centers[:, np.newaxis]) / stretch)
    inside = (places >= first[:, np.newaxis]) & (places < last[:, np.newaxis])
    matrix = np.where(inside, matrix, 0)
    return np.asarray(matrix / matrix.sum(1, keepdims=True))


# ------------------------------------------------------------------------------- maps of places


def inverse_affine(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> tuple[float, float, float, float, float, float]:
    """Return the map from a result's place (x, y) to the place in the image that it shows.

    The image is sheared, scaled and turned about `center` by `angle` degrees, counterclockwise as
    y points down, then moved by `translate`: M = T C R(angle) S(shear) scale C⁻¹, and this is M⁻¹,
    the rows (a, b, c) and (d, e, f) of x' = a x + b y + c, y' = d x + e y + f.
    """
    turn, sx, sy = (np.radians(degrees) for degrees in (angle, shear[0], shear[1]))
    a = np.cos(turn - sy) / np.cos(sy)
    b = -np.cos(turn - sy) * np.tan(sx) / np.cos(sy) - np.sin(turn)
    c = np.sin(turn - sy) / np.cos(sy)
    d = -np.sin(turn - sy) * np.tan(sx) / np.cos(sy) + np.cos(turn)
    inverse = np.array([[d, -b], [-c, a]]) / scale  # the determinant of the four is 1
    moved = np.add(center, translate)
    (m0, m1), (m3, m4) = inverse.tolist()
    m2, m5 = (np.asarray(center, float) - inverse @ moved).tolist()
    return m0, m1, m2, m3, m4, m5


def size_of_rotated(matrix: Sequence[float], height: int, width: int) -> tuple[int, int]:
    """Return the height and width that hold all of a turned image."""
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * [0.5 * width, 0.5 * height]
    linear = np.array([[matrix[0], matrix[1]], [matrix[3], matrix[4]]])
    points = corners @ linear.T + [0.5 * width, 0.5 * height]
    points = np.trunc(points / 1e-4) * 1e-4  # what is a hair over is not over
    w, h = (np.ceil(points.max(0)) - np.floor(points.min(0))).astype(int).tolist()
    return h, w


def sample_affine(
    planes: Array,
    matrix: Sequence[float],
    size: tuple[int, int],
    mode: InterpolationMode,
    fill: float | Sequence[float] | None,
) -> Array:
    """Return planes of another size that show, at each place, the image where a map points to.

    Places are measured in pixels from the middle of the image and of the result.
    """
    H, W = planes.shape[-2:]
    height, width = size
    x = np.arange(width) - (width - 1) / 2
    y = (np.arange(height) - (height - 1) / 2)[:, np.newaxis]
    columns = matrix[0] * x + matrix[1] * y + matrix[2] + (W - 1) / 2  # (height, width)
    rows = matrix[3] * x + matrix[4] * y + matrix[5] + (H - 1) / 2
    return sample_at(planes, rows, columns, mode, fill)


def sample_at(
    planes: Array,
    rows: Array,
    columns: Array,
    mode: InterpolationMode,
    fill: float | Sequence[float] | None,
) -> Array:
    """Return planes that show, at each place, the image at that row and column, in pixels.

    Outside is `fill`, a number or one for each channel; None is 0, towards which the border fades.
    """
    outside = np.asarray(0 if fill is None else fill, float).reshape(-1, 1, 1)
    values, seen = _taken(planes, rows, columns, mode is not InterpolationMode.NEAREST)
    if mode is InterpolationMode.NEAREST:
        out = np.where(seen, values, outside)
    elif fill is None:
        out = values
    else:  # values fade towards 0 already, and so fade twice: torchvision's formula
        out = values * seen + (1 - seen) * outside
    return rounded(out, planes.dtype)


def _taken(planes: Array, rows: Array, columns: Array, smooth: bool) -> tuple[Array, Array]:
    """Return planes at fractional places, zeros outside, and how much of each lies inside."""
    H, W = planes.shape[-2:]
    if not smooth:
        i, j = np.rint(rows).astype(int), np.rint(columns).astype(int)
        inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
        return planes[..., np.clip(i, 0, H - 1), np.clip(j, 0, W - 1)], inside
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    total: Any = 0.0
    seen: Any = 0.0
    for i in (top, top + 1):
        for j in (left, left + 1):
            weight = (1 - np.abs(rows - i)) * (1 - np.abs(columns - j))
            weight = np.where((i >= 0) & (i < H) & (j >= 0) & (j < W), weight, 0)
            total = total + weight * planes[..., np.clip(i, 0, H - 1), np.clip(j, 0, W - 1)]
            seen = seen + weight
    return total, seen
