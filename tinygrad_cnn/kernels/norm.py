"""Batch normalisation on plain arrays.

A channels-last array is a matrix (positions, C), and such a matrix is as well one of rows that
are many positions wide: per-channel factors, repeated along the row, make every step a long
vector operation. Work goes in blocks that stay in the cache from the first pass to the last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.reduce import (
    BLOCK_SIZE,
    chain_lengths,
    chain_products,
    chain_sums,
    map_chains,
    positions,
)
from tinygrad_cnn.kernels.threads import parallel

__all__ = [
    "FEW_ROWS",
    "Affine",
    "batch_norm_eval_gradient",
    "batch_norm_gradient",
    "batch_statistics",
    "normalize",
]

Array = npt.NDArray[Any]

# Up to this mean / standard deviation, (x − mean)·s may be computed as x·s − mean·s: the
# rounding of the two terms grows by no more than this factor.
_FOLDABLE_OFFSET = 8.0
# Positions from which a pivot is estimated.
_SAMPLE = 32
# NumPy's loop over an operand broadcast along rows takes 1.4 times as long below 8192 values.
_ROW_WIDTH = 1 << 13
# Up to here plain operations on the whole matrix are quicker than repeating factors along rows:
# (125, 20) takes 41 µs for statistics in blocks and 9 without, 17 and 5 to normalise, 58 and 21
# for the gradient.
FEW_ROWS = 256
# Rows worth a thread: 64 K values, some 30 µs of two to four passes.
_GRAIN_ROWS = 8


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Compute each channel's mean and biased variance.

    ``mean[c] = Σ x[:, c] / m``, ``var[c] = Σ (x[:, c] − mean[c])² / m`` over the m = N·H·W
    positions. Blocks are centred by themselves and merged in float64 by the update of Chan,
    Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), so that a mean far larger than the deviation costs no digits.

    Parameters
    ----------
    x
        Shape (N, C) or (N, C, …), at least one position.

    Returns
    -------
    tuple of arrays
        Mean and variance, each of shape (C,) and the dtype of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> mean, var = batch_statistics(np.array([[1.0, 10.0], [3.0, 10.0]]))
    >>> print(mean, var)
    [ 2. 10.] [1. 0.]
    """
    matrix = positions(x)
    count = len(matrix)
    assert count > 0, "statistics of an empty batch"
    if count <= FEW_ROWS:
        return _few_rows_statistics(matrix)
    with np.errstate(invalid="ignore", over="ignore"):
        pivot = _pivot(matrix)
        sums, squares = map_chains(partial(_moments, pivot=pivot), 2, matrix)
        mean = sums.sum(axis=0) / count
        lengths = chain_lengths(matrix)
        between = lengths * (sums / lengths - mean) ** 2
        var = (squares + between).sum(axis=0) / count
        if pivot is not None:
            mean += pivot
        return mean.astype(x.dtype), var.astype(x.dtype)


def _few_rows_statistics(matrix: Array) -> tuple[Array, Array]:
    """Do `batch_statistics` in whole operations, in float64."""
    wide = matrix.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.add.reduce(wide, axis=0) / len(wide)
        wide -= mean
        var = np.einsum("ij,ij->j", wide, wide) / len(wide)
        return mean.astype(matrix.dtype), var.astype(matrix.dtype)


def _pivot(matrix: Array) -> Array | None:
    """Estimate each channel's mean (C,) from a few positions; None where all are about 0.

    Sums of ``x − pivot`` and of its square keep the digits that those of `x` lose where the mean
    is large beside the deviation.
    """
    mean, var = _few_rows_statistics(matrix[:: max(1, len(matrix) // _SAMPLE)])
    return None if np.all(mean**2 <= _FOLDABLE_OFFSET / 2 * var) else mean


def _moments(out: Array, stack: Array, pivot: Array | None) -> None:
    """Sum a stack of chains less a pivot (C,), and its squared deviations from each chain's mean.

    A sweep for the pivot saves the second pass: (128, 16, 28, 28), mean 5, 2.7 ms -> 1.3.
    """
    channels = out.shape[2]
    count = stack[0].size // channels
    if pivot is not None:
        stack = stack - _repeated(pivot, stack.shape[2] // channels, stack.dtype)
    total = out[0] = chain_sums(stack, channels)
    mean = total / count
    raw = chain_products(stack, stack, channels)
    deviations = out[1] = raw - total * mean
    # The difference is good while the mean is within a few deviations of zero; otherwise (NaN too)
    # a second pass over centred values is due.
    for i in np.flatnonzero(~np.all(deviations * (1 + _FOLDABLE_OFFSET) >= raw, axis=1)):
        block = stack[i].reshape(-1, channels)
        centred = (block - mean[i].astype(block.dtype)).reshape(1, *stack.shape[1:])
        remainder = chain_sums(centred, channels)
        out[1, i] = (chain_products(centred, centred, channels) - remainder**2 / count)[0]


class _Rows:
    """Matrices (P, C) of one shape, swept block by block as rows of many positions.

    `per_channel` repeats a factor (C,) along such a row; `sweep` runs a step over blocks of
    rows, threads side by side.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        count, channels = shape
        self.repeat = min(max(1, count), -(-_ROW_WIDTH // max(1, channels)))
        self.whole = count // self.repeat * self.repeat
        self.width = self.repeat * channels
        self.dtype = dtype

    def per_channel(self, values: Array) -> Array:
        return _repeated(values, self.repeat, self.dtype)

    def sweep(self, step: Callable[..., None], *matrices: Array) -> None:
        """Call ``step(width, *blocks)``, each block (rows, width), until all is covered."""
        wide = [m[: self.whole].reshape(-1, self.width) for m in matrices]  # (P/repeat, repeat·C)
        rows = max(1, BLOCK_SIZE // max(1, self.width))

        def work(start: int, stop: int) -> None:
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
    relu: bool = False,
) -> Array:
    """Normalise each channel, then scale and shift it, and apply a ReLU if wanted.

    ``out[n, c] = (x[n, c] − mean[c]) · inverse_std[c] · weight[c] + bias[c]``

    Parameters
    ----------
    x
        Shape (N, C) or (N, C, …).
    mean, inverse_std
        Shape (C,).
    weight, bias
        Shape (C,), or None for 1 and 0.
    relu
        Whether to return max(out, 0).

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
            out *= _scale(inverse_std, weight).astype(x.dtype)
            if bias is not None:
                out += bias.astype(x.dtype, copy=False)
            if relu:
                np.maximum(out, 0, out=out)
        return _from_positions(out, x.shape)
    out = np.empty_like(matrix)
    rows = _Rows(matrix.shape, matrix.dtype)
    affine = Affine(mean, inverse_std, weight, bias, rows.repeat, matrix.dtype)

    def step(width: int, source: Array, target: Array) -> None:
        affine(source, target, width)
        if relu:
            np.maximum(target, 0, out=target)

    rows.sweep(step, matrix, out)
    return _from_positions(out, x.shape)


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
        scale = _scale(inverse_std, weight)
        self.mean: Array | None = None
        shift = bias
        if _foldable(mean, inverse_std):
            shift = -mean * scale if bias is None else bias - mean * scale
        else:
            self.mean = _repeated(mean, repeat, dtype)
        self.scale = _repeated(scale, repeat, dtype)
        self.shift = None if shift is None else _repeated(shift, repeat, dtype)

    def __call__(self, source: Array, target: Array, width: int | None = None) -> None:
        """Write to `target` what becomes of `source`: (rows, width) both, the whole by default."""
        if self.mean is not None:
            source = np.subtract(source, self.mean[:width], out=target)
        np.multiply(source, self.scale[:width], out=target)
        if self.shift is not None:
            np.add(target, self.shift[:width], out=target)


def _repeated(values: Array, repeat: int, dtype: np.dtype[Any]) -> Array:
    repeated = np.empty((repeat, values.size), dtype)
    repeated[...] = values
    return repeated.reshape(-1)


def _scale(inverse_std: Array, weight: Array | None) -> Array:
    # In float64 throughout: the factors are few, and their rounding would reach every element.
    wide = inverse_std.astype(np.float64)
    return wide if weight is None else wide * weight


def _foldable(mean: Array, inverse_std: Array) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.all(np.abs(mean * inverse_std) <= _FOLDABLE_OFFSET))


def _from_positions(matrix: Array, shape: tuple[int, ...]) -> Array:
    """Hand a (positions, C) matrix out as (N, C, …), a view."""
    if len(shape) == 2:
        return matrix
    return np.moveaxis(matrix.reshape(shape[0], *shape[2:], shape[1]), -1, 1)  # (N, C, …)


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
    grads, matrix = positions(g), positions(x)
    if len(matrix) <= FEW_ROWS:
        return _few_rows_gradient(grads, matrix, x.shape, mean, inverse_std, weight)
    out = np.empty_like(matrix)
    count = max(1, matrix.shape[0])
    fold = _foldable(mean, inverse_std)
    total, product = _gradient_sums(grads, matrix, mean, fold)
    scale = _scale(inverse_std, weight)
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
        normal *= _scale(inverse_std, weight).astype(matrix.dtype)
    return _from_positions(normal, shape), gweight, total


def _gradient_sums(grads: Array, matrix: Array, mean: Array, fold: bool) -> tuple[Array, Array]:
    """Sum ``g`` and ``g · (x − mean)`` over the positions; both (C,) in float64."""

    def formula(out: Array, stack_g: Array, stack_x: Array) -> None:
        channels = out.shape[2]
        out[0] = chain_sums(stack_g, channels)
        if not fold:
            centred = stack_x.reshape(-1, channels) - mean
            stack_x = centred.reshape(stack_x.shape)
        out[1] = chain_products(stack_g, stack_x, channels)

    with np.errstate(invalid="ignore", over="ignore"):
        total, product = map_chains(formula, 2, grads, matrix).sum(axis=1)
        return total, product - total * mean if fold else product


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
    grads, matrix = positions(g), positions(x)
    total, product = _gradient_sums(grads, matrix, mean, _foldable(mean, inverse_std))
    scale = _scale(inverse_std, weight)
    gx = normalize(g, np.zeros_like(mean), scale.astype(x.dtype))
    return gx, (product * inverse_std).astype(x.dtype), total.astype(x.dtype)
