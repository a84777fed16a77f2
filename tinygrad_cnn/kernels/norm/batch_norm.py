"""Batch normalisation on plain arrays.

A channels-last array is a matrix (positions, C), and such a matrix is as well one of rows that
are many positions wide: per-channel factors, repeated along the row, make every step a long
vector operation. Work goes in blocks that stay in the cache from the first pass to the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.max_pool import pool_and_activate
from tinygrad_cnn.kernels.pool.windows import sweep_images
from tinygrad_cnn.kernels.reduce.moments import FEW_ROWS, FOLDABLE_OFFSET
from tinygrad_cnn.kernels.reduce.sums import (
    BLOCK_SIZE,
    chain_products,
    chain_sums,
    map_chains,
    positions,
)
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.rows import ROW, Activation, repeated
from tinygrad_cnn.kernels.runtime.threads import parallel, part_size
from tinygrad_cnn.kernels.runtime.window import Pair

__all__ = [
    "Affine",
    "batch_norm_eval_gradient",
    "batch_norm_gradient",
    "normalize",
    "normalize_and_pool",
    "scale_of",
]

Array = npt.NDArray[Any]

# Rows worth a thread: 256 K values, some 60 to 120 µs of two to four passes.
_GRAIN_ROWS = 32


class _Rows:
    """Matrices (P, C) of one shape, swept block by block as rows of many positions.

    `per_channel` repeats a factor (C,) along such a row; `sweep` runs a step over blocks of
    rows, threads side by side.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        count, channels = shape
        self.repeat = min(max(1, count), -(-ROW // max(1, channels)))
        self.whole = count // self.repeat * self.repeat
        self.width = self.repeat * channels
        self.dtype = dtype

    def per_channel(self, values: Array) -> Array:
        return repeated(values, self.repeat, self.dtype)

    def sweep(self, step: Callable[..., None], *matrices: Array) -> None:
        """Call ``step(width, *blocks)``, each block (rows, width), until all is covered."""
        wide = [m[: self.whole].reshape(-1, self.width) for m in matrices]  # (P/repeat, repeat·C)
        most = BLOCK_SIZE / max(1, self.width)

        def work(start: int, stop: int) -> None:
            rows = part_size(stop - start, most)
            with np.errstate(invalid="ignore", over="ignore"):
                for i in range(start, stop, rows):
                    step(self.width, *(m[i : min(i + rows, stop)] for m in wide))

        parallel(work, wide[0].shape[0], grain=_GRAIN_ROWS)
        if self.whole < matrices[0].shape[0]:
            rest = [m[self.whole :].reshape(1, -1) for m in matrices]  # (1, rest·C)
            with np.errstate(invalid="ignore", over="ignore"):
                step(rest[0].size, *rest)


def normalize(
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    activation: Activation | None = None,
    addend: Array | None = None,
) -> Array:
    """Normalise each channel, then scale and shift it, add and activate if wanted.

    ``out[n, c] = (x[n, c] − mean[c]) · inverse_std[c] · weight[c] + bias[c]``

    Parameters
    ----------
    x
        Shape (N, C) or (N, C, …).
    mean, inverse_std
        Shape (C,).
    weight, bias
        Shape (C,), or None for 1 and 0.
    activation
        Applied to the result, after all else; or None.
    addend
        Added before the activation: shape and dtype of `x`; or None.

    Returns
    -------
    array
        Shape and dtype of `x`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> normalize(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([1.0]), bias=np.ones(1))
    array([[0.],
           [2.]])
    """
    matrix = positions(x)
    if len(matrix) <= FEW_ROWS:
        with np.errstate(invalid="ignore", over="ignore"):
            out = matrix - mean
            out *= scale_of(inverse_std, weight).astype(x.dtype)
            if bias is not None:
                out += bias.astype(x.dtype, copy=False)
            if addend is not None:
                out += positions(addend)
            if activation is not None:
                activation(out, out)
        return _from_positions(out, x.shape)
    out = np.empty_like(matrix)
    rows = _Rows(matrix.shape, matrix.dtype)
    affine = Affine(mean, inverse_std, weight, bias, rows.repeat, matrix.dtype)

    def step(width: int, source: Array, target: Array, other: Array | None = None) -> None:
        affine(source, target, width)
        if other is not None:
            np.add(target, other, out=target)
        if activation is not None:
            activation(target, target)

    rows.sweep(step, matrix, out, *([] if addend is None else [positions(addend)]))
    return _from_positions(out, x.shape)


def normalize_and_pool(
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    bias: Array | None,
    block: Pair,
    activation: Activation | None = None,
    argmax: bool = False,
) -> tuple[Array, Array | None]:
    """Normalise images and do `pool_and_activate`, a few at a time, which stay in the cache.

    Examples
    --------
    >>> x, one = np.arange(4.0).reshape(1, 1, 2, 2), np.ones(1)
    >>> normalize_and_pool(x, one, one, -2 * one, None, (2, 2), argmax=True)
    (array([[[[2.]]]]), array([[[[0]]]], dtype=uint8))
    """
    (N, C, *sizes), dtype = x.shape, np.min_scalar_type(block[0] * block[1] - 1)
    shape = N, *(size // length for size, length in zip(sizes, block, strict=True)), C
    out, chosen = np.empty(shape, x.dtype), np.empty(shape, dtype) if argmax else None

    def step(x: Array, out: Array, chosen: Array | None = None) -> None:
        y = normalize(channels_first(x), mean, inverse_std, weight, bias)
        maxima, places = pool_and_activate(y, block, activation, argmax)
        out[...] = channels_last(maxima)
        if chosen is not None and places is not None:
            chosen[...] = channels_last(places)

    sweep_images(step, x.size, channels_last(x), out, *([] if chosen is None else [chosen]))
    return channels_first(out), None if chosen is None else channels_first(chosen)


class Affine:
    """``(x − mean) · inverse_std · weight + bias`` along rows of `repeat` positions.

    The factors, of shape (C,), are repeated once: (repeat·C,).
    """

    def __init__(
        self,
        mean: Array,
        inverse_std: Array,
        weight: Array | None,
        bias: Array | None,
        repeat: int,
        dtype: np.dtype[Any],
    ) -> None:
        scale = scale_of(inverse_std, weight)
        self.mean: Array | None = None
        shift = bias
        if _foldable(mean, inverse_std):
            shift = -mean * scale if bias is None else bias - mean * scale
        else:
            self.mean = repeated(mean, repeat, dtype)
        self.scale = repeated(scale, repeat, dtype)
        self.shift = None if shift is None else repeated(shift, repeat, dtype)

    def __call__(self, source: Array, target: Array, width: int | None = None) -> None:
        """Write to `target` what becomes of `source`: (rows, width) both, the whole by default."""
        if self.mean is not None:
            source = np.subtract(source, self.mean[:width], out=target)
        np.multiply(source, self.scale[:width], out=target)
        if self.shift is not None:
            np.add(target, self.shift[:width], out=target)


def scale_of(inverse_std: Array, weight: Array | None) -> Array:
    """Return ``inverse_std · weight``, (C,), in float64.

    The factors are few, and their rounding would reach every element.
    """
    wide = inverse_std.astype(np.float64)
    return wide if weight is None else wide * weight


def _foldable(mean: Array, inverse_std: Array) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.all(np.abs(mean * inverse_std) <= FOLDABLE_OFFSET))


def _from_positions(matrix: Array, shape: tuple[int, ...]) -> Array:
    """Hand a (positions, C) matrix out as (N, C, …), a view."""
    if len(shape) == 2:
        return matrix
    images = matrix.reshape(shape[0], *shape[2:], shape[1])
    return images.transpose(0, -1, *range(1, len(shape) - 1))  # (N, C, …)


def batch_norm_gradient(
    g: Array, x: Array, mean: Array, inverse_std: Array, weight: Array | None = None
) -> tuple[Array, Array, Array]:
    """Differentiate batch normalisation by the batch's own statistics.

    With ``x̂ = (x − mean) · inverse_std`` and means over the positions,
    ``gx = weight · inverse_std · (g − mean(g) − x̂ · mean(g · x̂))``,
    ``gweight = Σ g · x̂``, ``gbias = Σ g``: Ioffe and Szegedy, "Batch Normalization" (2015),
    section 3, with the chain rule's terms collected.

    Parameters
    ----------
    g, x
        Gradient of the output, and the input: shape (N, C) or (N, C, …).
    mean, inverse_std
        Shape (C,): what `x` was normalised by.
    weight
        Shape (C,), or None for 1.

    Returns
    -------
    tuple of arrays
        Gradients of `x` (channels-last memory), of the weight and of the bias, (C,) each.

    Examples
    --------
    >>> import numpy as np
    >>> x, one = np.array([[-1.0], [1.0]]), np.ones(1)
    >>> batch_norm_gradient(np.array([[1.0], [1.0]]), x, 0 * one, one)[0]
    array([[0.],
           [0.]])
    """
    matrix = positions(x)
    if len(matrix) <= FEW_ROWS:
        return _few_rows_gradient(positions(g), matrix, x.shape, mean, inverse_std, weight)
    count = max(1, matrix.shape[0])
    fold = _foldable(mean, inverse_std)
    grads = positions(g)
    total, product = _gradient_sums(grads, matrix, mean, fold)
    out = np.empty_like(matrix)
    scale = scale_of(inverse_std, weight)
    slope = product * inverse_std.astype(np.float64) ** 2 / count
    shift = total / count - (slope * mean if fold else 0)
    rows = _Rows(matrix.shape, matrix.dtype)
    row_mean, row_scale, row_slope, row_shift = map(rows.per_channel, (mean, scale, slope, shift))

    def step(width: int, block_g: Array, source: Array, target: Array) -> None:
        if not fold:
            source = np.subtract(source, row_mean[:width], out=target)
        np.multiply(source, row_slope[:width], out=target)
        np.add(target, row_shift[:width], out=target)
        np.subtract(block_g, target, out=target)
        np.multiply(target, row_scale[:width], out=target)

    rows.sweep(step, grads, matrix, out)
    gweight = (product * inverse_std).astype(x.dtype)
    return _from_positions(out, x.shape), gweight, total.astype(x.dtype)


def _few_rows_gradient(
    grads: Array,
    matrix: Array,
    shape: tuple[int, ...],
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
) -> tuple[Array, Array, Array]:
    """Do `batch_norm_gradient` in whole operations, which has the formula."""
    count = max(1, len(matrix))
    with np.errstate(invalid="ignore", over="ignore"):
        normal = matrix - mean
        normal *= inverse_std
        total = np.add.reduce(grads, axis=0)
        gweight = np.einsum("ij,ij->j", grads, normal)
        normal *= gweight / count
        np.subtract(grads, normal, out=normal)
        normal -= total / count
        normal *= scale_of(inverse_std, weight).astype(matrix.dtype)
    return _from_positions(normal, shape), gweight, total


def _gradient_sums(g: Array, matrix: Array, mean: Array, fold: bool) -> tuple[Array, Array]:
    """Return the sums of ``g`` and ``g · (x − mean)``, (C,) in float64."""

    def formula(out: Array, stack_g: Array, stack_x: Array) -> None:
        channels = out.shape[2]
        out[0] = chain_sums(stack_g, channels)
        if not fold:
            centred = stack_x.reshape(-1, channels) - mean
            stack_x = centred.reshape(stack_x.shape)
        out[1] = chain_products(stack_g, stack_x, channels)

    with np.errstate(invalid="ignore", over="ignore"):
        total, product = map_chains(formula, 2, g, matrix).sum(axis=1)
        if fold:
            product -= total * mean
    return total, product


def batch_norm_eval_gradient(
    g: Array, x: Array, mean: Array, inverse_std: Array, weight: Array | None = None
) -> tuple[Array, Array, Array]:
    """Differentiate batch normalisation by constant statistics, as in evaluation.

    ``gx = g · weight · inverse_std``, ``gweight = Σ g · (x − mean) · inverse_std``,
    ``gbias = Σ g``. Shapes as for `batch_norm_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> batch_norm_eval_gradient(np.array([[1.0]]), np.array([[5.0]]), 3 * one, 2 * one)
    (array([[2.]]), array([4.]), array([1.]))
    """
    fold = _foldable(mean, inverse_std)
    total, product = _gradient_sums(positions(g), positions(x), mean, fold)
    scale = scale_of(inverse_std, weight)
    gx = normalize(g, np.zeros_like(mean), scale.astype(x.dtype))
    return gx, (product * inverse_std).astype(x.dtype), total.astype(x.dtype)
