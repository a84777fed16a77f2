"""Batch normalisation on plain arrays.

A channels-last array is a matrix (positions, C), and such a matrix is as well one of rows that
are many positions wide: per-channel factors, repeated along the row, make every step a long
vector operation. Work goes in blocks that stay in the cache from the first pass to the last.

In all functions `x` and `g` are (N, C) or (N, C, *sizes), and per-channel factors are (C,); a
`weight` of None is 1, a `bias` of None 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.kernels.pool.max_pool import pool_and_activate
from tinygrad_cnn.kernels.reduce.sums import chain_products, chain_sums, map_chains, positions
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, contiguous
from tinygrad_cnn.kernels.runtime.rows import Activation, apply_row, repeated
from tinygrad_cnn.kernels.runtime.sweep import sweep
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array, Shape

__all__ = [
    "batch_norm_eval_gradient",
    "batch_norm_gradient",
    "normalize",
    "normalize_and_pool",
]


def normalize(
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    activation: Activation | None = None,
    addend: Array | None = None,
) -> Array:
    """Compute ``(x − mean) · inverse_std · weight + bias``, then add `addend` and activate.

    The addend has the shape and the dtype of `x`.

    >>> normalize(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([1.0]), bias=np.ones(1))
    array([[0.],
           [2.]])
    """
    matrix = positions(x)
    out = np.empty_like(matrix)
    affine = _affine(mean, inverse_std, weight, bias, len(matrix), x.dtype)

    def step(source: Array, target: Array, other: Array | None = None) -> None:
        affine(target, source)
        if other is not None:
            np.add(target, other, out=target)
        if activation is not None:
            activation(target, target)

    _sweep(step, matrix, out, *([] if addend is None else [positions(addend)]))
    return _from_positions(out, x.shape)


def normalize_and_pool(
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    bias: Array | None,
    block: Pair,
    activation: Activation | None = None,
) -> tuple[Array, Array | None]:
    """Normalise images (N, C, H, W), and do `pool_and_activate`.

    The pool's copy of a few images is normalised, so that it never leaves the cache.

    >>> x, one = np.arange(4.0).reshape(1, 1, 2, 2), np.ones(1)
    >>> normalize_and_pool(x, one, one, -2 * one, None, (2, 2))
    (array([[[[2.]]]]), array([[[[0]]]], dtype=uint8))
    """
    affine = _affine(mean, inverse_std, weight, bias, x.size // x.shape[1], x.dtype)
    return pool_and_activate(x, block, activation, True, affine)


def _affine(
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    bias: Array | None,
    count: int,
    dtype: np.dtype[Any],
) -> Activation:
    """Return the step ``(x − mean) · inverse_std · weight + bias`` for `count` positions (…, C)."""
    scale, shift = _scale_of(inverse_std, weight), bias
    middle: Array | None = None
    if count * mean.size > tuning.FEW_VALUES and _is_foldable(mean, inverse_std):
        shift = -mean * scale if bias is None else bias - mean * scale
    else:
        middle = _along_a_row(mean, count, dtype)
    factor = _along_a_row(scale, count, dtype)
    offset = None if shift is None else _along_a_row(shift, count, dtype)

    def step(out: Array, x: Array) -> None:
        if middle is not None:
            apply_row(np.subtract, x, middle, out)
            x = out
        apply_row(np.multiply, x, factor, out)
        if offset is not None:
            apply_row(np.add, out, offset, out)

    return step


def _along_a_row(values: Array, count: int, dtype: np.dtype[Any]) -> Array:
    """Repeat values (C,) along a row for `apply_row`, unless there are few positions."""
    if count <= tuning.FEW_ROWS:
        return values.astype(dtype, copy=False)
    return repeated(values, min(count, -(-tuning.ROW // values.size)), dtype)


def _scale_of(inverse_std: Array, weight: Array | None) -> Array:
    """Return ``inverse_std · weight`` in float64: its rounding would reach every element."""
    wide = inverse_std.astype(np.float64)
    return wide if weight is None else wide * weight


def _is_foldable(mean: Array, inverse_std: Array) -> bool:
    """Whether ``(x − mean) · s`` may be computed as ``x · s − mean · s``."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool((np.abs(mean * inverse_std) <= tuning.FOLDABLE_OFFSET).all())


def _sweep(step: Any, *parts: Any) -> None:
    """Run a step over blocks of positions or of images."""
    each = max(1, parts[-1][:1].size)
    sweep(step, *parts, most=tuning.NORM_BLOCK / each, grain=-(-tuning.NORM_GRAIN // each))


def _from_positions(matrix: Array, shape: Shape) -> Array:
    """View a (positions, C) matrix as (N, C, *sizes)."""
    return channels_first(matrix.reshape(shape[0], *shape[2:], shape[1]))


def batch_norm_gradient(
    g: Array | LazyGradient,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None = None,
    bias: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Differentiate batch normalisation by the batch's own statistics.

    With ``x̂ = (x − mean) · inverse_std`` and means over the positions,
    ``gx = weight · inverse_std · (g − mean(g) − x̂ · mean(g · x̂))``,
    ``gweight = Σ g · x̂``, ``gbias = Σ g``: Ioffe and Szegedy, "Batch Normalization" (2015),
    section 3, with the chain rule's terms collected. Returns these three.

    >>> x, one = np.array([[-1.0], [1.0]]), np.ones(1)
    >>> batch_norm_gradient(np.array([[1.0], [1.0]]), x, 0 * one, one)[0]
    array([[0.],
           [0.]])
    """
    if isinstance(g, LazyGradient):
        if _is_recoverable(weight, bias):
            return _lazy_gradient(g, x, mean, inverse_std, weight, bias)
        g = g.array()
    matrix, grads = positions(x), positions(g)
    count = max(1, len(matrix))
    total, gweight = _gradient_sums(grads, matrix, mean, inverse_std)
    # What is taken off: mean(g) + x̂ · mean(g · x̂).
    taken = _affine(mean, inverse_std, gweight / count, total / count, count, x.dtype)
    row = _along_a_row(_scale_of(inverse_std, weight), count, x.dtype)
    out = np.empty_like(matrix)

    def step(block_g: Array, source: Array, target: Array) -> None:
        taken(target, source)
        np.subtract(block_g, target, out=target)
        apply_row(np.multiply, target, row, target)

    _sweep(step, grads, matrix, out)
    return _from_positions(out, x.shape), gweight.astype(x.dtype), total.astype(x.dtype)


def _lazy_gradient(
    g: LazyGradient,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    bias: Array | None,
) -> tuple[Array, Array, Array]:
    """Do `batch_norm_gradient` while the gradient is in the cache, a few images at a time.

    Where it is not 0, ``x̂ = (pooled − bias) / weight``: the sums are over fewer elements.
    """
    ones, grads = np.ones_like(mean), positions(g.g)
    offset, inverse = 0 * ones if bias is None else bias, ones if weight is None else 1 / weight
    total, gweight = _gradient_sums(grads, positions(g.pooled), offset, inverse)
    count, scale = x.size // x.shape[1], _scale_of(inverse_std, weight)
    slope, shift = scale * gweight / count, scale * total / count
    taken = _affine(mean, inverse_std, slope, shift, count, x.dtype)
    scaled, row = np.empty_like(grads), _along_a_row(scale, count, x.dtype)
    _sweep(lambda g, out: apply_row(np.multiply, g, row, out), grads, scaled)
    g = replace(g, g=_from_positions(scaled, g.g.shape))
    images = contiguous(channels_last(x))
    out = np.empty_like(images)

    def step(block_g: LazyGradient, source: Array, target: Array) -> None:
        taken(target, source)
        np.subtract(channels_last(block_g.array()), target, out=target)

    _sweep(step, g, images, out)
    return channels_first(out), gweight.astype(x.dtype), total.astype(x.dtype)


def _is_recoverable(weight: Array | None, bias: Array | None) -> bool:
    """Whether ``(out − bias) / weight`` still has the digits of ``x̂``, in every channel."""
    smallest, largest = tuning.MODERATE_WEIGHTS
    scale = np.ones(1) if weight is None else weight
    size = np.abs(scale)
    is_moderate = bool(((size > smallest) & (size < largest)).all())
    return is_moderate and (bias is None or _is_foldable(bias, 1 / scale))


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


def batch_norm_eval_gradient(
    g: Array, x: Array, mean: Array, inverse_std: Array, weight: Array | None = None
) -> tuple[Array, Array, Array]:
    """Differentiate batch normalisation by constant statistics, as in evaluation.

    ``gx = g · weight · inverse_std``, ``gweight = Σ g · (x − mean) · inverse_std``,
    ``gbias = Σ g``; returns these three.

    >>> one = np.ones(1)
    >>> batch_norm_eval_gradient(np.array([[1.0]]), np.array([[5.0]]), 3 * one, 2 * one)
    (array([[2.]]), array([4.]), array([1.]))
    """
    total, gweight = _gradient_sums(positions(g), positions(x), mean, inverse_std)
    scale = _scale_of(inverse_std, weight).astype(x.dtype)
    gx = normalize(g, np.zeros_like(mean), scale)
    return gx, gweight.astype(x.dtype), total.astype(x.dtype)
