"""Group normalisation on plain arrays, group by group while they are in the cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_cnn.kernels.norm.group_pixels import (
    are_far,
    are_pixels,
    normalise,
    normalise_gradient,
)
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array

__all__ = ["group_norm", "group_norm_gradient"]


def group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalise the channels of each group: Wu and He, "Group Normalization" (2018).

    ``out = (x − mean) · inverse_std · weight + bias`` with ``inverse_std = 1 / √(var + eps)``, the
    variance biased.

    Parameters
    ----------
    x
        (N, C, …).
    groups
        How many groups the channels are divided into.
    weight, bias
        (C,), or None for 1 and 0.
    eps
        Added to the variance.

    Returns
    -------
    tuple of arrays
        The result; mean and inverse_std of shape (N · groups, 1).

    Examples
    --------
    >>> import numpy as np
    >>> group_norm(np.array([[[1.0, 3.0]]]), 1, None, None, 0.0)[0]
    array([[[-1.,  1.]]])
    """
    if are_pixels(x):
        return normalise(x, groups, weight, bias, eps)
    out = np.empty(x.shape, x.dtype)
    rows = _Rows(x.shape, groups)
    mean, inverse = (np.zeros((rows.count, 1), x.dtype) for _ in range(2))
    scales, shifts = rows.factors(weight), rows.factors(bias)
    each = np.full(rows.size, 1 / rows.size, x.dtype)  # BLAS sums in half of the time

    def moments(flat: Array) -> tuple[Array, Array]:
        middle = (flat @ each)[:, None]
        return middle, np.vecdot(flat, flat)[:, None] / rows.size - middle * middle

    def step(part: slice, source: Array, target: Array) -> None:
        middle, var = moments(rows.flat(source))
        if are_far(middle, var):
            np.subtract(source, middle[:, :, None], out=target)
            source, mean[part] = target, middle
            middle, var = moments(rows.flat(target))
        mean[part] += middle
        np.divide(1, np.sqrt(var + x.dtype.type(eps)), out=inverse[part])
        scale = inverse[part][:, :, None]  # (rows, 1, 1)
        if scales is not None:
            scale = scale * scales[part]  # (rows, channels, 1)
        shift = -middle[:, :, None] * scale
        np.multiply(source, scale, out=target)
        target += shift if shifts is None else shift + shifts[part]

    rows.sweep(step, np.ascontiguousarray(x), out)
    return out, mean, inverse


def group_norm_gradient(
    g: Array, x: Array, groups: int, mean: Array, inverse_std: Array, weight: Array | None
) -> tuple[Array, Array, Array]:
    """Differentiate `group_norm`.

    With ``x̂ = (x − mean) · inverse_std``, ``h = g · weight`` and means over each group,
    ``gx = inverse_std · (h − mean(h) − x̂ · mean(h · x̂))``; ``gweight = Σ g · x̂`` and
    ``gbias = Σ g`` over examples and positions.

    Parameters
    ----------
    g, x
        (N, C, …), the gradient of the result and the input.
    groups, mean, inverse_std, weight
        As `group_norm` was given and returned them.

    Returns
    -------
    tuple of arrays
        Gradients of `x`, of the weight and of the bias.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 3.0]]])
    >>> _, mean, inverse_std = group_norm(x, 1, None, None, 0.0)
    >>> group_norm_gradient(np.ones_like(x), x, 1, mean, inverse_std, None)[2]
    array([2.])
    """
    if are_pixels(x):
        return normalise_gradient(g, x, groups, mean, inverse_std, weight)
    gx = np.empty(x.shape, x.dtype)
    rows = _Rows(x.shape, groups)
    sums, products = (np.empty((rows.count, rows.channels), x.dtype) for _ in range(2))
    weights = rows.factors(weight)
    ones = np.ones(rows.positions, x.dtype)

    def step(part: slice, block_g: Array, source: Array, target: Array) -> None:
        middle, inverse = mean[part], inverse_std[part]  # (rows, 1)
        total, product = sums[part], products[part]
        if are_far(middle, 1 / np.square(inverse)):
            source, middle = source - middle[:, :, None], np.zeros_like(middle)
        np.matmul(block_g, ones, out=total)
        np.vecdot(block_g, source, out=product)
        product -= total * middle
        product *= inverse
        scale = inverse[:, :, None]
        if weights is None:
            h, slope = total, product
        else:
            w = weights[part]
            scale = scale * w
            h, slope = total * w[:, :, 0], product * w[:, :, 0]
        np.multiply(block_g, scale, out=target)
        slope = np.add.reduce(slope, axis=1, keepdims=True) * inverse * inverse / -rows.size
        shift = np.add.reduce(h, axis=1, keepdims=True) * inverse / -rows.size - slope * middle
        rest = rows.flat(source) * slope
        rest += shift
        target += rest.reshape(target.shape)

    rows.sweep(step, np.ascontiguousarray(g), np.ascontiguousarray(x), gx)
    channels = (-1, groups * rows.channels)
    return gx, products.reshape(channels).sum(axis=0), sums.reshape(channels).sum(axis=0)


class _Rows:
    """Arrays (N, C, …) as rows: one for each group of an example, (rows, channels, positions)."""

    def __init__(self, shape: tuple[int, ...], groups: int) -> None:
        self.groups = groups
        self.count = shape[0] * groups
        self.channels = shape[1] // groups
        self.positions = int(np.prod(shape[2:]))
        self.size = self.channels * self.positions

    def factors(self, values: Array | None) -> Array | None:
        """Repeat a factor (C,) for each example: (rows, channels, 1)."""
        if values is None:
            return None
        each = values.reshape(1, self.groups, self.channels)
        images = self.count // self.groups
        return np.repeat(each, images, axis=0).reshape(self.count, self.channels, 1)

    def flat(self, block: Array) -> Array:
        """Join channels and positions; a view."""
        return block.reshape(len(block), self.size)

    def sweep(self, step: Callable[..., None], *arrays: Array) -> None:
        """Call a step with blocks of rows, which ones and the arrays' parts."""
        if not arrays[0].size:
            return
        parts = [array.reshape(self.count, self.channels, self.positions) for array in arrays]
        block = max(1, tuning.BLOCK // self.size)

        def work(start: int, stop: int) -> None:
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                if tuning.LONG_GROUP_ROW <= self.positions <= np.getbufsize():
                    np.setbufsize(-(-self.positions // 16) * 16)
                for i in range(start, stop, block):
                    part = slice(i, min(i + block, stop))
                    step(part, *[array[part] for array in parts])

        parallel(work, self.count, grain=max(1, block // 2))
