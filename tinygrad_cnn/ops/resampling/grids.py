"""Images sampled at places that a grid gives: spatial transformers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.ops.arguments import names_operands, shape_of, values_of
from tinygrad_cnn.ops.elementwise import add, cast, mul, sub
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.join import stack
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.pointwise.hard import Hardtanh
from tinygrad_cnn.ops.resampling.pixels import SamplePixels
from tinygrad_cnn.ops.rounding import floor
from tinygrad_cnn.ops.shape import reshape, transpose
from tinygrad_cnn.types import Array, Operand

__all__ = ["affine_grid", "grid_sample"]


class _Tap(NamedTuple):
    """One of the pixels of an axis that a place is made of: where it is, and its weight."""

    at: Array
    weight: Any


@names_operands
def affine_grid(theta: Operand, size: Sequence[int], align_corners: bool | None = None) -> Any:
    """Make a grid for `grid_sample` from matrices: ``grid[n, y, x] = theta[n] · (x, y, 1)``.

    Parameters
    ----------
    theta
        (N, 2, 3) for images, (N, 3, 4) for volumes.
    size
        The output's (N, C, H, W) or (N, C, D, H, W).
    align_corners
        Whether -1 and 1 are the centres of the outermost pixels, instead of their outer edges;
        False if None.

    Returns
    -------
    (N, H, W, 2), the last x before y; or (N, D, H, W, 3).

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Source: Jaderberg et al., "Spatial transformer networks" (2015).

    >>> turned = np.array([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    >>> affine_grid(turned, (1, 1, 1, 2))[0, 0]
    array([[ 0. , -0.5],
           [ 0. ,  0.5]])
    """
    N, _, *sizes = size if len(size) in (4, 5) else (0, 0)
    dims = len(sizes)
    if not dims or min(size) < 1 or shape_of("affine_grid", theta) != (N, dims, dims + 1):
        raise ValueError(
            "affine_grid: expects theta (N, 2, 3) with size (N, C, H, W), or (N, 3, 4) with "
            f"(N, C, D, H, W), got {tuple(theta.shape)} and {tuple(size)}"
        )
    along = []
    for length in sizes:
        places = np.linspace(-1, 1, length) if length > 1 else np.zeros(1)
        along.append(places if align_corners else places * ((length - 1) / length))
    mesh = np.meshgrid(*along, indexing="ij")
    points = np.stack([*reversed(mesh), np.ones_like(mesh[0])], axis=-1)  # *sizes, dims + 1
    flat = points.reshape(-1, dims + 1).astype(theta.dtype, copy=False)
    return reshape(matmul(flat, transpose(theta, 1, 2)), N, *sizes, dims)


@names_operands
def grid_sample(
    input: Operand,
    grid: Operand,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """Sample images at the places of a grid, with gradients to both.

    A place (x, y) lies between -1, the left or upper end of the image, and 1, the other end.

    Parameters
    ----------
    input
        (N, C, H, W), or volumes (N, C, D, H, W).
    grid
        (N, OH, OW, 2), the last x before y; or (N, OD, OH, OW, 3).
    mode
        ``"bilinear"`` (of volumes trilinear), ``"nearest"`` (halves to the even pixel; no gradient
        reaches the grid, which is constant between) or ``"bicubic"`` (images only; as
        `interpolate`).
    padding_mode
        What lies outside: ``"zeros"``, ``"border"`` (the outermost pixels; the grid's gradient is
        0 there and at the edge) or ``"reflection"``.
    align_corners
        Whether -1 and 1 are the centres of the outermost pixels, instead of their outer edges;
        False if None.

    Returns
    -------
    (N, C, OH, OW), or (N, C, OD, OH, OW).

    Raises
    ------
    ValueError
        If the shapes do not fit, or a mode is another.

    >>> image = np.array([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> grid_sample(image, np.zeros((1, 1, 1, 2)))
    array([[[[1.5]]]])
    """
    _check(tuple(input.shape), tuple(grid.shape), mode, padding_mode)
    if input.dtype == np.float16:  # places of half precision are off by pixels
        wide = cast(input, np.float32), cast(grid, np.float32)
        return cast(grid_sample(*wide, mode, padding_mode, align_corners), np.float16)
    N, C, *sizes = input.shape
    dims = len(sizes)
    axes = []
    for axis, size in enumerate(sizes):
        place = getitem(grid, (..., dims - 1 - axis))  # (N, *out), x is last
        # From [-1, 1] to pixels.
        span, start = (size - 1, 0.0) if align_corners else (size, -0.5)
        place = add(mul(add(place, 1.0), span / 2), start)
        axes.append(list(_taps(place, size, mode, padding_mode, bool(align_corners))))

    places, weights = [], []
    for corner in itertools.product(*axes):
        index: Any = 0
        for tap, size in zip(corner, sizes, strict=True):
            index = index * size + tap.at  # (N, *out)
        places.append(index)
        weights.append(reduce(mul, [tap.weight for tap in corner]))
    rows = N, len(places), math.prod(grid.shape[1:-1])
    at, by = np.stack(places, axis=1).reshape(rows), reshape(stack(weights, 1), rows)
    sampled = SamplePixels(at)(reshape(input, N, C, math.prod(sizes)), by)
    return reshape(sampled, N, C, *grid.shape[1:-1])


def _check(image: tuple[int, ...], grid: tuple[int, ...], mode: str, padding_mode: str) -> None:
    dims = len(image) - 2
    if dims not in (2, 3) or len(grid) != dims + 2 or grid[-1] != dims or grid[0] != image[0]:
        raise ValueError(
            "grid_sample: expects (N, C, H, W) with a grid (N, OH, OW, 2), or (N, C, D, H, W) with "
            f"(N, OD, OH, OW, 3), got {image} and {grid}"
        )
    if 0 in image[1:]:
        raise ValueError(f"grid_sample: expects a non-empty image, got {image}")
    modes = ("bilinear", "nearest", "bicubic")[: 5 - dims]
    if mode not in modes:
        raise ValueError(f"grid_sample: mode expects one of {', '.join(modes)}, got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            f"grid_sample: padding_mode expects zeros, border or reflection, got {padding_mode!r}"
        )


def _taps(
    place: Any, size: int, mode: str, padding_mode: str, align_corners: bool
) -> Iterator[_Tap]:
    """Return the pixels that the places of an axis are made of, one after the other."""
    if mode != "bicubic":
        place = _inside(place, size, padding_mode, align_corners)
    if mode == "nearest":
        yield _tap(np.rint(values_of(place)), size, 1.0, place.dtype)
        return
    below = floor(place)
    t = sub(place, below)
    weights = _linear(t) if mode == "bilinear" else _cubic(t)
    first = values_of(below) - (0 if mode == "bilinear" else 1)
    for k, weight in enumerate(weights):
        index = first + k
        if mode == "bicubic":
            index = _inside(index, size, padding_mode, align_corners)
        yield _tap(index, size, weight, place.dtype)


def _tap(index: Array, size: int, weight: Any, dtype: Any) -> _Tap:
    """Give pixels outside of the image no weight."""
    with np.errstate(invalid="ignore"):
        within = (index >= 0) & (index < size)  # not so for NaN
        places = np.where(within, index, 0).astype(np.intp)
    if isinstance(weight, float):
        return _Tap(places, within.astype(dtype) * np.asarray(weight, dtype))
    if within.all():
        return _Tap(places, weight)
    return _Tap(places, where(within, weight, 0.0))


def _linear(t: Any) -> tuple[Any, ...]:
    return sub(1.0, t), t


def _cubic(t: Any, a: float = -0.75) -> tuple[Any, ...]:
    """Keys' weights of the pixels at -1, 0, 1 and 2, seen from a place t between 0 and 1."""

    def near(x: Any) -> Any:
        return add(mul(mul(sub(mul(x, a + 2), a + 3), x), x), 1.0)

    def far(x: Any) -> Any:
        return sub(mul(add(mul(sub(mul(x, a), 5 * a), x), 8 * a), x), 4 * a)

    back = sub(1.0, t)
    return far(add(t, 1.0)), near(t), near(back), far(add(back, 1.0))


def _inside(place: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """Bring places outside of the image to where their pixels are taken from."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        place = _reflected(place, size, align_corners)
    return Hardtanh(0.0, float(size - 1))(place)


def _reflected(place: Any, size: int, align_corners: bool) -> Any:
    """Mirror at the outermost pixels' centres, or at their outer edges."""
    low, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return mul(place, 0.0)
    far = sub(place, low)
    far = where(values_of(far) < 0, mul(far, -1.0), far)
    turns = floor(mul(far, 1.0 / span))
    rest = sub(far, mul(turns, span))
    odd = values_of(turns) % 2 == 1
    return add(where(odd, sub(float(span), rest), rest), low)
