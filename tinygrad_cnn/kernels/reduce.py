"""Sums over large arrays: wide rows, short float32 chains, blocks shared out over threads.

NumPy adds pairwise along contiguous memory, but a sum over the outer axis of a matrix is one
chain of additions a column: a million ones in float32 lose digits, from 2²⁴ on every one of
them. Here such a chain ends after `BLOCK_SIZE` values and goes on in float64. The blocks do not
depend on the number of threads, so neither do the bits of a result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.threads import parallel, single_threaded_blas

__all__ = [
    "BLOCK_SIZE",
    "block_count",
    "block_product_sum",
    "block_rows",
    "block_sum",
    "column_sum",
    "positions",
    "sum_over",
]

Array = npt.NDArray[Any]

# Elements a block: 1 MB of float32, which stays in the second-level cache between two passes.
# Half and twice that were equally fast for sums; smaller blocks lose to the interpreter's lock.
BLOCK_SIZE = 1 << 18
# Narrow matrices are added as rows about this wide: long enough for vector instructions, short
# enough to stay in the first-level cache.
_ROW_WIDTH = 1 << 10
# Below this np.sum takes less than the 15 µs of overhead of the wide rows.
_WIDE_SUM_SIZE = 1 << 13


def positions(x: Array) -> Array:
    """View `x` of shape (N, C, …) as a C-contiguous matrix (positions, C); copy if need be."""
    moved = x if x.ndim == 2 else np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(moved).reshape(-1, x.shape[1])  # (N·H·W, C)


def block_rows(matrix: Array) -> int:
    """Rows of a (P, C) matrix that make a block."""
    columns: int = matrix.shape[1]
    return max(1, BLOCK_SIZE // max(1, columns))


def block_count(matrix: Array) -> int:
    """Blocks of `block_rows` rows that cover a (P, C) matrix."""
    rows: int = matrix.shape[0]
    return -(-rows // block_rows(matrix))


def column_sum(matrix: Array) -> Array:
    """Sum a matrix over its rows, exactly enough for a million of them in float32.

    Parameters
    ----------
    matrix
        Shape (P, C), C-contiguous.

    Returns
    -------
    array
        Shape (C,), dtype of `matrix`.

    Examples
    --------
    >>> import numpy as np
    >>> column_sum(np.ones((20_000_000, 1), np.float32))  # a plain chain stops at 2**24
    array([2.e+07], dtype=float32)
    """
    rows, blocks = block_rows(matrix), block_count(matrix)
    partial = np.empty((blocks, matrix.shape[1]))

    def work(start: int, stop: int) -> None:
        for block in range(start, stop):
            partial[block] = block_sum(matrix[block * rows : (block + 1) * rows])

    with single_threaded_blas:
        parallel(work, blocks)
    return np.asarray(partial.sum(axis=0), matrix.dtype)  # (C,)


def block_sum(block: Array) -> Array:
    """Sum a (p, C) block over its rows; the result (C,) is float64."""
    total = np.zeros(block.shape[1])
    for wide in wide_rows(block):
        # A product with ones takes half the time of np.add.reduce along the outer axis.
        ones = np.ones(wide.shape[0], wide.dtype)
        total += (ones @ wide).reshape(-1, total.size).sum(axis=0, dtype=np.float64)
    return total


def block_product_sum(a: Array, b: Array) -> Array:
    """Sum ``a * b`` over the rows of two (p, C) blocks; the result (C,) is float64."""
    total = np.zeros(a.shape[1])
    for wide_a, wide_b in zip(wide_rows(a), wide_rows(b), strict=True):
        products = np.einsum("ij,ij->j", wide_a, wide_b)
        total += products.reshape(-1, total.size).sum(axis=0, dtype=np.float64)
    return total


def wide_rows(block: Array, width: int = _ROW_WIDTH) -> list[Array]:
    """View a (p, C) block as a matrix of rows of about `width` values, and the rows left over."""
    count, channels = block.shape
    repeat = max(1, width // max(1, channels))
    if repeat == 1 or count < 2 * repeat:
        return [block]
    whole = count // repeat * repeat
    views = [block[:whole].reshape(-1, repeat * channels)]  # (p / repeat, repeat·C)
    return views if whole == count else [*views, block[whole:]]


def sum_over(x: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    """Sum over `axes`, as ``np.sum`` does; the outer axes of memory threaded and in short chains.

    Parameters
    ----------
    x
        Any shape and strides. Dense memory in any order of the axes, such as channels-last, is
        summed without a copy.
    axes
        Distinct axes, none negative.
    keepdims
        Leave the summed axes in the result with length 1.

    Returns
    -------
    array
        The sums, dtype of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> sum_over(np.arange(6.0).reshape(2, 3), (0,))
    array([3., 5., 7.])
    """
    if x.size >= _WIDE_SUM_SIZE and x.dtype.kind == "f":
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        kept.sort(key=lambda axis: -x.strides[axis])
        inner_last = x.transpose(*sorted(axes, key=lambda axis: -x.strides[axis]), *kept)
        if inner_last.flags.c_contiguous:
            lengths = [x.shape[axis] for axis in kept]
            sums = column_sum(inner_last.reshape(-1, math.prod(lengths))).reshape(lengths)
            sums = sums.transpose([kept.index(axis) for axis in sorted(kept)])
            return np.expand_dims(sums, axes) if keepdims else sums
    # NumPy adds pairwise along the inner axes of memory, and as fast as memory gives the values.
    return np.asarray(np.sum(x, axis=axes, keepdims=keepdims))
