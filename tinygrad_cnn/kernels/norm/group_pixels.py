"""Group normalisation of images whose pixels lie together: a matrix of pixels by channels each.

The same as in `group_norm`, without a copy to another order: convolutions make such images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime.rows import ROW, apply_row, repeated
from tinygrad_cnn.kernels.runtime.threads import parallel

__all__ = ["are_pixels", "normalise", "normalise_gradient"]

Array = npt.NDArray[Any]

_LARGE = 1 << 15  # values of an image from which that pays
_GRAIN = 1 << 16


def are_pixels(x: Array) -> bool:
    """Whether the pixels of (N, C, …) lie together in memory, and images are large."""
    return bool(
        x.ndim > 2
        and x.shape[1] > 1
        and x[:1].size >= _LARGE
        and np.moveaxis(x, 1, -1).flags.c_contiguous
    )


def _matrices(x: Array) -> Array:
    """View (N, C, …) as (N, P, C); a copy where pixels do not lie together."""
    return np.moveaxis(x, 1, -1).reshape(len(x), -1, x.shape[1])


def _per_channel(values: Array, channels: int) -> Array:
    return np.repeat(values, channels // len(values))


def _row(values: Array, dtype: np.dtype[Any]) -> Array:
    """Repeat values (C,) along a row."""
    return repeated(values, max(1, ROW // values.size), dtype)


def _sweep(work: Any, x: Array) -> None:
    def some(start: int, stop: int) -> None:
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            scratch = np.empty(x.shape[1:], x.dtype)
            for i in range(start, stop):
                work(i, scratch)

    parallel(some, len(x), grain=max(1, _GRAIN // x[0].size))


def normalise(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Do what `group_norm` does; the result's pixels lie together, too.

    Examples
    --------
    >>> pixels = np.array([[[1.0, 3.0]]]).transpose(0, 2, 1)  # one image of two channels
    >>> normalise(pixels, 1, None, None, 0.0)[0].reshape(-1)
    array([-1.,  1.])
    """
    pixels, dtype = _matrices(x), x.dtype
    N, P, C = pixels.shape
    out = np.empty(pixels.shape, dtype)
    mean, inverse = (np.empty((N, groups), dtype) for _ in range(2))
    each = np.full(P, groups / (P * C), dtype)

    def means(matrix: Array) -> Array:
        return np.asarray(np.add.reduce((each @ matrix).reshape(groups, -1), axis=1))

    def work(i: int, scratch: Array) -> None:
        source, target = pixels[i], out[i]
        middle = means(source)
        apply_row(np.subtract, source, _row(_per_channel(middle, C), dtype), target)
        rest = means(target)  # what rounding left of the mean
        np.multiply(target, target, out=scratch)
        var = means(scratch) - rest * rest
        mean[i] = middle + rest
        inverse[i] = 1 / np.sqrt(var + dtype.type(eps))
        scale = _per_channel(inverse[i], C)
        if weight is not None:
            scale = scale * weight
        shift = -_per_channel(rest, C) * scale
        if bias is not None:
            shift = shift + bias
        apply_row(np.multiply, target, _row(scale, dtype), target)
        apply_row(np.add, target, _row(shift, dtype), target)

    _sweep(work, pixels)
    images = np.moveaxis(out.reshape(N, *x.shape[2:], C), -1, 1)
    return images, mean.reshape(-1, 1), inverse.reshape(-1, 1)


def normalise_gradient(
    g: Array, x: Array, groups: int, mean: Array, inverse_std: Array, weight: Array | None
) -> tuple[Array, Array, Array]:
    """Do what `group_norm_gradient` does.

    Examples
    --------
    >>> x = np.array([[[1.0, 3.0]]]).transpose(0, 2, 1)
    >>> _, mean, inverse_std = normalise(x, 1, None, None, 0.0)
    >>> normalise_gradient(np.ones_like(x), x, 1, mean, inverse_std, None)[2]
    array([1., 1.])
    """
    pixels, dtype = _matrices(x), x.dtype
    gradients = np.ascontiguousarray(_matrices(g))
    N, P, C = pixels.shape
    gx = np.empty(pixels.shape, dtype)
    sums, products = (np.empty((N, C), dtype) for _ in range(2))
    means, inverses = mean.reshape(N, groups), inverse_std.reshape(N, groups)
    ones, size = np.ones(P, dtype), P * C // groups

    def shares(values: Array, inverse: Array) -> Array:
        """Return each group's mean of a sum by channel, with the sign and scale it has in gx."""
        if weight is not None:
            values = values * weight
        return np.asarray(np.add.reduce(values.reshape(groups, -1), axis=1) * inverse / -size)

    def work(i: int, scratch: Array) -> None:
        inverse, target = inverses[i], gx[i]
        apply_row(np.subtract, pixels[i], _row(_per_channel(means[i], C), dtype), scratch)
        np.matmul(ones, gradients[i], out=sums[i])
        np.multiply(gradients[i], scratch, out=target)
        np.multiply(ones @ target, _per_channel(inverse, C), out=products[i])
        scale = _per_channel(inverse, C)
        if weight is not None:
            scale = scale * weight
        slope = shares(products[i], inverse) * inverse
        apply_row(np.multiply, gradients[i], _row(scale, dtype), target)
        apply_row(np.multiply, scratch, _row(_per_channel(slope, C), dtype), scratch)
        shift = _per_channel(shares(sums[i], inverse), C)
        apply_row(np.add, scratch, _row(shift, dtype), scratch)
        np.add(target, scratch, out=target)

    _sweep(work, pixels)
    images = np.moveaxis(gx.reshape(N, *x.shape[2:], C), -1, 1)
    return images, products.sum(axis=0), sums.sum(axis=0)
