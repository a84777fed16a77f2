"""Adaptive pooling: regions that cover an input as evenly as they can, so many along each axis.

Region i of n along an axis of `size` elements runs from ⌊i · size / n⌋ to ⌈(i + 1) · size / n⌉.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.window import Sizes

__all__ = ["adaptive_avg_pool", "adaptive_avg_pool_gradient", "adaptive_max_pool"]

Array = npt.NDArray[Any]
Regions = list[slice]


def _regions(size: int, outputs: int) -> Regions:
    return [slice(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _areas(axes: list[Regions]) -> Array:
    """Count the elements of every region; shape (*output size, 1)."""
    lengths = [np.array([s.stop - s.start for s in regions]) for regions in axes]
    return np.asarray(reduce(np.multiply.outer, lengths))[..., None]


def adaptive_avg_pool(x: Array, output_size: Sizes) -> Array:
    """Average the regions.

    Parameters
    ----------
    x
        Shape (N, C, *sizes).
    output_size
        Regions along each axis; ones average everything.

    Returns
    -------
    array
        Shape (N, C, *output_size), dtype of `x`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_avg_pool(np.arange(3.0).reshape(1, 1, 1, 3), (1, 2))
    array([[[[0.5, 1.5]]]])
    """
    axes = [_regions(*axis) for axis in zip(x.shape[2:], output_size, strict=True)]
    out = np.empty((x.shape[0], *output_size, x.shape[1]), x.dtype)
    areas = _areas(axes).astype(x.dtype)

    def step(source: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            for axis, regions in enumerate(axes, 1):
                wide = *out.shape[: 1 + axis], *source.shape[1 + axis :]
                target = out if axis == len(axes) else np.empty(wide, x.dtype)
                along = source.swapaxes(0, axis), target.swapaxes(0, axis)
                for i, region in enumerate(regions):
                    np.add.reduce(along[0][region], axis=0, out=along[1][i])
                source = target
            np.divide(out, areas, out=out)

    sweep_images(step, x.size, channels_last(x), out)
    return channels_first(out)


def adaptive_avg_pool_gradient(g: Array, input_shape: tuple[int, ...]) -> Array:
    """Spread each output's gradient over what it averaged: `adaptive_avg_pool` transposed.

    Parameters
    ----------
    g
        Shape (N, C, *output size).
    input_shape
        (N, C, *sizes).

    Returns
    -------
    array
        Shape `input_shape`, dtype of `g`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_avg_pool_gradient(np.array([[[[4.0, 2.0]]]]), (1, 1, 1, 3))
    array([[[[2., 3., 1.]]]])
    """
    N, C, *sizes = input_shape
    axes = [_regions(*axis) for axis in zip(sizes, g.shape[2:], strict=True)]
    out = np.empty((N, *sizes, C), g.dtype)
    areas = _areas(axes).astype(g.dtype)

    def step(g: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            share = g / areas
            for axis in range(len(axes), 0, -1):
                wide = *share.shape[:axis], *out.shape[axis:]
                target = out if axis == 1 else np.empty(wide, g.dtype)
                target.fill(0)
                before = (slice(None),) * axis
                for i, region in enumerate(axes[axis - 1]):
                    target[*before, region] += share[*before, i, None]
                share = target

    sweep_images(step, out.size, channels_last(g), out)
    return channels_first(out)


def adaptive_max_pool(x: Array, output_size: Sizes) -> Array:
    """Return where the maximum of each region stands: the first one, or the first NaN.

    Parameters
    ----------
    x
        Shape (N, C, *sizes), none of them 0.
    output_size
        Regions along each axis.

    Returns
    -------
    array
        Positions in the last axes, the last one fastest: (N, C, *output_size), int64.

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_max_pool(np.array([[[3.0, 1.0, 2.0, 5.0]]]), (2,))
    array([[[0, 3]]])
    """
    values, places, unit = x, np.zeros((1,) * x.ndim, np.int64), 1
    for axis in range(x.ndim - 1, 1, -1):  # the last first: at ties the first element wins
        regions = _regions(x.shape[axis], output_size[axis - 2])
        before = (slice(None),) * axis
        best, where = [], []
        for region in regions:
            some = values[*before, region]
            first = np.expand_dims(np.argmax(some, axis=axis), axis)
            best.append(np.take_along_axis(some, first, axis))
            given = np.broadcast_to(places, values.shape)[*before, region]
            found = np.take_along_axis(given, first, axis)
            where.append(found + (first + region.start) * unit)
        values, places = np.concatenate(best, axis), np.concatenate(where, axis)
        unit *= x.shape[axis]
    return places
