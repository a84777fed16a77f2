"""Group normalisation: each group of channels of each image, while it is in the cache.

The formulas are written once, for values by group (rows, 1) and by channel (rows, channels of a
group), where a row is one group of one image; two layouts say where these are in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, contiguous
from tinygrad_cnn.kernels.runtime.rows import apply_row
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array

__all__ = ["are_pixels", "group_norm", "group_norm_gradient"]


def group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalise the channels of each group: Wu and He, "Group Normalization" (2018).

    ``out = (x − mean) · inverse_std · weight + bias`` with ``inverse_std = 1 / √(var + eps)``, the
    variance biased. `x` is (N, C, *sizes), `weight` and `bias` (C,) or None; returns the result,
    mean and inverse_std, the last two (N · groups, 1).

    >>> group_norm(np.array([[[1.0, 3.0]]]), 1, None, None, 0.0)[0]
    array([[[-1.,  1.]]])
    """
    layout = (_Pixels if are_pixels(x) else _Rows)(x, groups)
    mean, inverse = (np.zeros((layout.rows, 1), x.dtype) for _ in range(2))
    weights, biases = layout.factors(weight, 1), layout.factors(bias, 0)

    def step(part: slice, source: Array, target: Array) -> None:
        middle, var = layout.moments(source)
        if _are_far(middle, var):
            layout.apply(np.subtract, source, middle, target)
            source, mean[part] = target, middle
            middle, var = layout.moments(source)
        mean[part] += middle
        np.divide(1, np.sqrt(var + x.dtype.type(eps)), out=inverse[part])
        scale = inverse[part] * weights[part]
        layout.apply(np.multiply, source, scale, target)
        layout.apply(np.add, target, biases[part] - middle * scale, target)

    x = layout.ordered(x)
    out = np.empty_like(x)
    layout.sweep(step, x, out)
    return out, mean, inverse


def group_norm_gradient(
    g: Array, x: Array, groups: int, mean: Array, inverse_std: Array, weight: Array | None
) -> tuple[Array, Array, Array]:
    """Differentiate `group_norm`, by what it returned: gradients of `x`, weight and bias.

    With ``x̂ = (x − mean) · inverse_std``, ``h = g · weight`` and means over each group,
    ``gx = inverse_std · (h − mean(h) − x̂ · mean(h · x̂))``; ``gweight = Σ g · x̂`` and
    ``gbias = Σ g`` over examples and positions.
    """
    layout = (_Pixels if are_pixels(x) else _Rows)(x, groups)
    sums, products = (np.zeros((layout.rows, layout.channels), x.dtype) for _ in range(2))
    weights = layout.factors(weight, 1)

    def share(values: Array, inverse: Array) -> Array:
        """Return each group's mean of a sum by channel, with the sign and scale it has in gx."""
        return np.asarray(np.add.reduce(values, axis=1, keepdims=True) * inverse / -layout.size)

    def step(part: slice, block_g: Array, source: Array, target: Array) -> None:
        middle, inverse, w = mean[part], inverse_std[part], weights[part]
        if _are_far(middle, 1 / np.square(inverse)):
            centred = np.empty_like(source)
            layout.apply(np.subtract, source, middle, centred)
            source, middle = centred, np.zeros_like(middle)
        total = sums[part] = layout.sums(block_g)
        product = products[part] = (layout.products(block_g, source) - total * middle) * inverse
        slope = share(product * w, inverse) * inverse
        rest = np.empty_like(source)
        layout.apply(np.multiply, source, slope, rest)
        layout.apply(np.add, rest, share(total * w, inverse) - slope * middle, rest)
        layout.apply(np.multiply, block_g, inverse * w, target)
        np.add(target, rest, out=target)

    x = layout.ordered(x)
    gx = np.empty_like(x)
    layout.sweep(step, layout.ordered(g), x, gx)
    by_channel = -1, groups * layout.channels
    return gx, products.reshape(by_channel).sum(axis=0), sums.reshape(by_channel).sum(axis=0)


def _are_far(mean: Array, var: Array) -> bool:
    """Whether any mean is so far from 0 that values have to be centred before they are squared."""
    return not (mean * mean <= tuning.FAR_MEAN * var).all()


def are_pixels(x: Array) -> bool:
    """Whether the pixels of (N, C, *sizes) lie together in memory, and images are large."""
    return bool(
        x.ndim > 2
        and x.shape[1] > 1
        and x[:1].size >= tuning.LARGE_IMAGE
        and channels_last(x).flags.c_contiguous
    )


class _Rows:
    """Arrays (N, C, *sizes) in C order, seen as (rows, channels, positions)."""

    rows_an_item = 1

    def __init__(self, x: Array, groups: int) -> None:
        self.images, self.groups, self.rows = len(x), groups, len(x) * groups
        self.channels, self.positions = x.shape[1] // groups, math.prod(x.shape[2:])
        self.size = self.channels * self.positions
        self.dtype = x.dtype
        self.ones = np.ones(self.positions, x.dtype)  # BLAS sums in half of the time
        self.items_a_block = max(1, tuning.BLOCK // max(1, self.size))
        is_long = tuning.LONG_GROUP_ROW <= self.positions <= np.getbufsize()
        self.buffer = -(-self.positions // 16) * 16 if is_long else None  # NumPy's own

    @cached_property
    def shares(self) -> Array:
        """What a row is multiplied by for its mean."""
        return np.full(self.size, 1 / self.size, self.dtype)

    def factors(self, values: Array | None, default: float) -> Array:
        """Repeat a factor (C,) for each image: (rows, channels), or (rows, 1) without one."""
        if values is None:
            return np.full((self.rows, 1), default, self.dtype)
        each = values.reshape(1, self.groups, self.channels)
        return np.repeat(each, self.images, axis=0).reshape(self.rows, self.channels)

    def ordered(self, x: Array) -> Array:
        """Return an array in this order of memory, copied if need be."""
        return contiguous(x)

    def items(self, x: Array) -> Array:
        """View what is in this order as items, along the first axis, that are worked on alone."""
        return x.reshape(self.rows, self.channels, self.positions)

    def moments(self, block: Array) -> tuple[Array, Array]:
        """Return the mean and the variance of each row, (rows, 1)."""
        flat = block.reshape(len(block), self.size)
        mean = (flat @ self.shares)[:, None]
        return mean, np.vecdot(flat, flat)[:, None] / self.size - mean * mean

    def sums(self, block: Array) -> Array:
        """Sum over the positions: (rows, channels)."""
        return np.asarray(np.matmul(block, self.ones))

    def products(self, a: Array, b: Array) -> Array:
        """Sum products over the positions: (rows, channels)."""
        return np.asarray(np.vecdot(a, b))

    def apply(self, ufunc: np.ufunc, block: Array, values: Array, out: Array) -> None:
        """Write ``ufunc(block, values)`` to `out`; values are (rows, channels) or (rows, 1)."""
        ufunc(block, values[:, :, None], out=out)

    def sweep(self, step: Callable[..., None], *arrays: Array) -> None:
        """Call a step with blocks: which rows, and the parts of the arrays, in this order."""
        items = [self.items(array) for array in arrays]

        def work(start: int, stop: int) -> None:
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                if self.buffer is not None:
                    np.setbufsize(self.buffer)  # until errstate ends
                for i in range(start, stop, self.items_a_block):
                    part = slice(i, min(i + self.items_a_block, stop))
                    rows = slice(i * self.rows_an_item, part.stop * self.rows_an_item)
                    step(rows, *[array[part] for array in items])

        if self.size:
            parallel(work, len(items[0]), grain=max(1, self.items_a_block // 2))


class _Pixels(_Rows):
    """Images whose pixels lie together, as convolutions make them, seen as (N, positions, C).

    Each is worked on alone, with its groups as rows.
    """

    def __init__(self, x: Array, groups: int) -> None:
        super().__init__(x, groups)
        self.rows_an_item, self.items_a_block = groups, 1
        self.buffer = tuning.BUFFERED_ROW

    def ordered(self, x: Array) -> Array:
        return channels_first(contiguous(channels_last(x)))

    def items(self, x: Array) -> Array:
        return channels_last(x).reshape(self.images, self.positions, -1)

    def moments(self, block: Array) -> tuple[Array, Array]:
        mean, mean_square = (
            np.add.reduce(sums, axis=1, keepdims=True) / self.size
            for sums in (self.sums(block), self.products(block, block))
        )
        return mean, mean_square - mean * mean

    def sums(self, block: Array) -> Array:
        return np.asarray(np.matmul(self.ones, block)).reshape(self.groups, self.channels)

    def products(self, a: Array, b: Array) -> Array:
        return self.sums(a * b)

    def apply(self, ufunc: np.ufunc, block: Array, values: Array, out: Array) -> None:
        repeat = max(1, -(-tuning.BUFFERED_ROW // block.shape[2]))
        row = np.empty((repeat, self.groups, self.channels), self.dtype)
        row[...] = values
        apply_row(ufunc, block, row.reshape(-1), out)
