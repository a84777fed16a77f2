"""Group normalisation of images whose pixels lie together: a matrix of pixels by channels each.

The same as in `group_norm`, without a copy to another order: convolutions make such images.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.rows import apply_row
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array

__all__ = ["are_far", "are_pixels", "normalise", "normalise_gradient"]


def are_pixels(x: Array) -> bool:
    """Whether the pixels of (N, C, …) lie together in memory, and images are large."""
    return bool(
        x.ndim > 2
        and x.shape[1] > 1
        and x[:1].size >= tuning.LARGE_IMAGE
        and np.moveaxis(x, 1, -1).flags.c_contiguous
    )


def are_far(mean: Array, var: Array) -> bool:
    """Whether any mean is so far from 0 that values have to be centred before they are squared.

    Examples
    --------
    >>> are_far(np.array([0.1, 9.0]), np.array([1.0, 1.0]))
    True
    """
    return not (mean * mean <= tuning.FAR_MEAN * var).all()


def _matrices(x: Array) -> Array:
    """View (N, C, …) as (N, P, C); a copy where pixels do not lie together."""
    return np.moveaxis(x, 1, -1).reshape(len(x), -1, x.shape[1])


def _apply(ufunc: np.ufunc, pixels: Array, values: Array, out: Array) -> None:
    """Write ``ufunc(pixels, values)`` to `out`; values by group and channel, or by group."""
    groups, C = len(values), pixels.shape[1]
    row = np.empty((max(1, -(-tuning.BUFFERED_ROW // C)), groups, C // groups), pixels.dtype)
    row[...] = values
    apply_row(ufunc, pixels, row.reshape(-1), out)


def _sweep(work: Any, x: Array) -> None:
    def some(start: int, stop: int) -> None:
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            np.setbufsize(tuning.BUFFERED_ROW)  # until errstate ends
            scratch = np.empty(x.shape[1:], x.dtype)
            for i in range(start, stop):
                work(i, scratch)

    parallel(some, len(x), grain=max(1, tuning.GRAIN // x[0].size))


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
    grouped = groups, C // groups
    out = np.empty(pixels.shape, dtype)
    mean, inverse = (np.zeros((N, groups, 1), dtype) for _ in range(2))
    each = np.full(P, groups / (P * C), dtype)
    factors, offsets = (a if a is None else a.reshape(grouped) for a in (weight, bias))

    def means(matrix: Array) -> Array:
        total = (each @ matrix).reshape(grouped)
        return np.add.reduce(total, axis=1, keepdims=True)

    def moments(matrix: Array, scratch: Array) -> tuple[Array, Array]:
        middle = means(matrix)
        np.multiply(matrix, matrix, out=scratch)
        return middle, means(scratch) - middle * middle

    def work(i: int, scratch: Array) -> None:
        source, target = pixels[i], out[i]
        middle, var = moments(source, scratch)
        if are_far(middle, var):
            _apply(np.subtract, source, middle, target)
            source, mean[i] = target, middle
            middle, var = moments(source, scratch)
        mean[i] += middle
        inverse[i] = 1 / np.sqrt(var + dtype.type(eps))
        scale = inverse[i] if factors is None else inverse[i] * factors
        shift = -middle * scale if offsets is None else offsets - middle * scale
        _apply(np.multiply, source, scale, target)
        _apply(np.add, target, shift, target)

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
    grouped = groups, C // groups
    gx = np.empty(pixels.shape, dtype)
    sums, products = (np.empty((N, *grouped), dtype) for _ in range(2))
    means, inverses = mean.reshape(N, groups, 1), inverse_std.reshape(N, groups, 1)
    factors = None if weight is None else weight.reshape(grouped)
    ones, size = np.ones(P, dtype), P * C // groups

    def share(values: Array, inverse: Array) -> Array:
        """Return each group's mean of a sum by channel, with the sign and scale it has in gx."""
        if factors is not None:
            values = values * factors
        return np.asarray(np.add.reduce(values, axis=1, keepdims=True) * inverse / -size)

    def work(i: int, scratch: Array) -> None:
        source, middle, inverse, target = pixels[i], means[i], inverses[i], gx[i]
        if are_far(middle, 1 / np.square(inverse)):
            centred = np.empty_like(scratch)
            _apply(np.subtract, source, middle, centred)
            source, middle = centred, np.zeros_like(middle)
        total, product = sums[i], products[i]
        np.matmul(ones, gradients[i], out=total.reshape(-1))
        np.multiply(gradients[i], source, out=scratch)
        np.matmul(ones, scratch, out=product.reshape(-1))
        product -= total * middle
        product *= inverse
        slope = share(product, inverse) * inverse
        _apply(np.multiply, source, slope, scratch)
        _apply(np.add, scratch, share(total, inverse) - slope * middle, scratch)
        _apply(np.multiply, gradients[i], inverse if factors is None else inverse * factors, target)
        np.add(target, scratch, out=target)

    _sweep(work, pixels)
    images = np.moveaxis(gx.reshape(N, *x.shape[2:], C), -1, 1)
    return images, products.sum(axis=0).reshape(-1), sums.sum(axis=0).reshape(-1)
