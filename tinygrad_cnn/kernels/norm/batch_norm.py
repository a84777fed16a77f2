"""Batch normalisation on plain arrays.

A channels-last array is a matrix (positions, C), and such a matrix is as well one of rows that
are many positions wide: per-channel factors, repeated along the row, make every step a long
vector operation. Work goes in blocks that stay in the cache from the first pass to the last.

`x` and `g` are (N, C) or (N, C, *sizes) in all functions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.kernels.pool.max_pool import put_argmax
from tinygrad_cnn.kernels.reduce.sums import chain_products, chain_sums, map_chains, positions
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, contiguous
from tinygrad_cnn.kernels.runtime.rows import Activation, apply_row, repeated
from tinygrad_cnn.kernels.runtime.sweep import sweep
from tinygrad_cnn.types import Array, Shape

__all__ = ["Factors", "batch_norm_eval_gradient", "batch_norm_gradient", "normalize"]


class Factors(NamedTuple):
    """What makes ``(x − mean) · inverse_std · weight + bias`` of each channel: (C,) each.

    No weight is 1, no bias is 0.
    """

    mean: Array
    inverse_std: Array
    weight: Array | None = None
    bias: Array | None = None

    def scale(self) -> Array:
        """Return ``inverse_std · weight`` in float64: its rounding would reach every element."""
        wide = self.inverse_std.astype(np.float64)
        return wide if self.weight is None else wide * self.weight

    def step(self, count: int, dtype: np.dtype[Any]) -> Activation:
        """Return the function that writes this of `count` positions, (…, C) in C order."""
        mean, _, _, bias = self
        scale, shift = self.scale(), bias
        middle: Array | None = None
        if count * mean.size > tuning.FEW_VALUES and _is_foldable(mean, self.inverse_std):
            shift = -mean * scale if bias is None else bias - mean * scale
        else:
            middle = _along_a_row(mean, count, dtype)
        factor = _along_a_row(scale, count, dtype)
        offset = None if shift is None else _along_a_row(shift, count, dtype)

        def write(out: Array, x: Array) -> None:
            if middle is not None:
                apply_row(np.subtract, x, middle, out)
                x = out
            apply_row(np.multiply, x, factor, out)
            if offset is not None:
                apply_row(np.add, out, offset, out)

        return write


def normalize(
    x: Array, factors: Factors, activation: Activation | None = None, addend: Array | None = None
) -> Array:
    """Normalise, then add an array of the shape and dtype of `x`, and activate, if wanted.

    >>> normalize(np.array([[1.0], [3.0]]), Factors(np.array([2.0]), np.ones(1), bias=np.ones(1)))
    array([[0.],
           [2.]])
    """
    matrix = positions(x)
    out = np.empty_like(matrix)
    affine = factors.step(len(matrix), x.dtype)

    def step(source: Array, target: Array, other: Array | None = None) -> None:
        affine(target, source)
        if other is not None:
            np.add(target, other, out=target)
        if activation is not None:
            activation(target, target)

    _sweep(step, matrix, out, *([] if addend is None else [positions(addend)]))
    return _from_positions(out, x.shape)


def _along_a_row(values: Array, count: int, dtype: np.dtype[Any]) -> Array:
    """Repeat values (C,) along a row for `apply_row`, unless there are few positions."""
    if count <= tuning.FEW_ROWS:
        return values.astype(dtype, copy=False)
    return repeated(values, min(count, -(-tuning.ROW // values.size)), dtype)


def _is_foldable(mean: Array, inverse_std: Array) -> bool:
    """Whether ``(x − mean) · s`` may be computed as ``x · s − mean · s``."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool((np.abs(mean * inverse_std) <= tuning.FOLDABLE_OFFSET).all())


def _sweep(step: Any, *parts: Array) -> None:
    """Run a step over blocks of positions or of images."""
    each = max(1, parts[-1][:1].size)
    sweep(step, *parts, most=tuning.WIDE_BLOCK / each, grain=-(-tuning.PASS_GRAIN // each))


def _from_positions(matrix: Array, shape: Shape) -> Array:
    """View a (positions, C) matrix as (N, C, *sizes)."""
    return channels_first(matrix.reshape(shape[0], *shape[2:], shape[1]))


def batch_norm_gradient(
    g: Array | LazyGradient, x: Array, factors: Factors
) -> tuple[Array, Array, Array]:
    """Differentiate batch normalisation by the batch's own statistics.

    With ``x̂ = (x − mean) · inverse_std`` and means over the positions,
    ``gx = weight · inverse_std · (g − mean(g) − x̂ · mean(g · x̂))``,
    ``gweight = Σ g · x̂``, ``gbias = Σ g``: Ioffe and Szegedy, "Batch Normalization" (2015),
    section 3, with the chain rule's terms collected. Returns these three.
    """
    if isinstance(g, LazyGradient):
        if _is_recoverable(factors):
            return _lazy_gradient(g, x, factors)
        g = g.array()
    matrix, grads = positions(x), positions(g)
    mean, inverse_std, *_ = factors
    count = max(1, len(matrix))
    total, gweight = _gradient_sums(grads, matrix, mean, inverse_std)
    # What is taken off: mean(g) + x̂ · mean(g · x̂).
    taken = Factors(mean, inverse_std, gweight / count, total / count).step(count, x.dtype)
    row = _along_a_row(factors.scale(), count, x.dtype)
    out = np.empty_like(matrix)

    def step(block_g: Array, source: Array, target: Array) -> None:
        taken(target, source)
        np.subtract(block_g, target, out=target)
        apply_row(np.multiply, target, row, target)

    _sweep(step, grads, matrix, out)
    return _from_positions(out, x.shape), gweight.astype(x.dtype), total.astype(x.dtype)


def _lazy_gradient(g: LazyGradient, x: Array, factors: Factors) -> tuple[Array, Array, Array]:
    """Do `batch_norm_gradient` while the gradient is in the cache, a few images at a time.

    Where it is not 0, ``x̂ = (pooled − bias) / weight``: the sums are over fewer elements.
    """
    mean, inverse_std, weight, bias = factors
    ones, grads = np.ones_like(mean), positions(g.g)
    offset, inverse = 0 * ones if bias is None else bias, ones if weight is None else 1 / weight
    total, gweight = _gradient_sums(grads, positions(g.pooled), offset, inverse)
    count, scale = x.size // x.shape[1], factors.scale()
    slope, shift = scale * gweight / count, scale * total / count
    taken = Factors(mean, inverse_std, slope, shift).step(count, x.dtype)
    scaled, row = np.empty_like(grads), _along_a_row(scale, count, x.dtype)
    _sweep(lambda g, out: apply_row(np.multiply, g, row, out), grads, scaled)
    chosen = _from_positions(scaled, g.g.shape), g.argmax
    images = contiguous(channels_last(x))
    out = np.empty_like(images)

    def step(block_g: Array, argmax: Array, source: Array, target: Array) -> None:
        taken(target, source)
        put = put_argmax(block_g, argmax, (len(block_g), *x.shape[1:]), g.window)
        np.subtract(channels_last(put), target, out=target)

    _sweep(step, *chosen, images, out)
    return channels_first(out), gweight.astype(x.dtype), total.astype(x.dtype)


def _is_recoverable(factors: Factors) -> bool:
    """Whether ``(out − bias) / weight`` still has the digits of ``x̂``, in every channel."""
    scale = np.abs(1.0 if factors.weight is None else factors.weight)
    offset = np.abs(0.0 if factors.bias is None else factors.bias)
    smallest, largest = tuning.MODERATE_WEIGHTS
    is_moderate = (scale > smallest) & (scale < largest)
    return bool(np.all(is_moderate & (offset <= tuning.FOLDABLE_OFFSET * scale)))


def _gradient_sums(g: Array, matrix: Array, mean: Array, inverse_std: Array) -> tuple[Array, Array]:
    """Return the sums of ``g`` and ``g · x̂``, (C,) in float64, of matrices (P, C)."""
    fold = _is_foldable(mean, inverse_std)

    def formula(total: Array, product: Array, stack_g: Array, stack_x: Array) -> None:
        channels = total.shape[1]
        total[...] = chain_sums(stack_g, channels)
        if not fold:
            centred = stack_x.reshape(-1, channels) - mean
            stack_x = centred.reshape(stack_x.shape)
        product[...] = chain_products(stack_g, stack_x, channels)

    with np.errstate(invalid="ignore", over="ignore"):
        total, product = (sums.sum(axis=0) for sums in map_chains(formula, 2, g, matrix))
        if fold:
            product -= total * mean
        return total, product * inverse_std


def batch_norm_eval_gradient(g: Array, x: Array, factors: Factors) -> tuple[Array, Array, Array]:
    """Differentiate batch normalisation by constant statistics, as in evaluation.

    ``gx = g · weight · inverse_std``, ``gweight = Σ g · (x − mean) · inverse_std``,
    ``gbias = Σ g``; returns these three.
    """
    mean, inverse_std, *_ = factors
    total, gweight = _gradient_sums(positions(g), positions(x), mean, inverse_std)
    gx = normalize(g, Factors(np.zeros_like(mean), factors.scale().astype(x.dtype)))
    return gx, gweight.astype(x.dtype), total.astype(x.dtype)
