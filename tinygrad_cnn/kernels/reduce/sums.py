"""Sums over large arrays: short float32 chains side by side, shared out over threads.

NumPy adds pairwise along contiguous memory, but a sum over the outer axis of a matrix is one
chain of additions a column: a million ones in float32 lose digits, from 2²⁴ on every one of
them. Here a chain ends after `_CHAIN` values and goes on in float64. Where chains end does not
depend on the number of threads, so neither do the bits of a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime.copies import contiguous
from tinygrad_cnn.kernels.runtime.threads import parallel, single_threaded_blas

__all__ = [
    "BLOCK_SIZE",
    "chain_products",
    "chain_shape",
    "chain_sums",
    "column_products",
    "column_sum",
    "column_sums",
    "folded",
    "map_chains",
    "positions",
    "sum_over",
]

Array = npt.NDArray[Any]

# Elements a block of work in several passes: 1 MB of float32, the second-level cache.
BLOCK_SIZE = 1 << 18
# Most additions in one chain, and chains at least, so that threads can share them out.
_CHAIN = 256
_FEWEST = 4
# Rows too few for a call of their own.
_FEW = 8
# Narrow matrices are added as rows about this wide: long enough for vector instructions, short
# enough to stay in the first-level cache.
_ROW_WIDTH = 1 << 10
# Stacked chains a call, 1 M values: the moments of (128, 16, 32, 32) take two threads 0.37 ms, and
# 0.61 with one chain a call, for each call waits for the interpreter's lock.
_STACKED = 4
# Values worth a thread. In a training step, where another thread has just written them, a sum of
# 2 million takes two threads half as long as one: ResNet-20, batch 128, 362 ms -> 338. Less than
# half a million takes less time than a thread to wake: a step of `batchnorm`, batch 128, 2 % less.
_GRAIN = 1 << 18
# Up to here a matrix is one stack of one chain.
_ONE_CHAIN = 1 << 16
# Columns worth a thread, where rows are too few to share out.
_GRAIN_COLUMNS = 1 << 12
# Below this np.sum takes less than the 15 µs of overhead of the wide rows.
_WIDE_SUM_SIZE = 1 << 13


def positions(x: Array) -> Array:
    """View `x` of shape (N, C, …) as a C-contiguous matrix (positions, C); copy if need be."""
    # Not np.moveaxis: that takes 5 µs, in a training step with cold caches 15.
    moved = x if x.ndim == 2 else x.transpose(0, *range(2, x.ndim), 1)
    return contiguous(moved).reshape(-1, x.shape[1])  # (N·H·W, C)


def _stacks(matrix: Array) -> list[Array]:
    """View a (P, C) matrix as one to three stacks of chains, each (chains, length, repeat·C).

    The first has chains of up to `_CHAIN` rows that are `repeat` positions wide. The others are
    what that leaves over, one chain each: of such rows, if they are many, and of single positions.
    """
    count, channels = matrix.shape
    repeat = max(1, _ROW_WIDTH // max(1, channels))
    rows = count // repeat
    chains = max(_FEWEST, -(-rows // _CHAIN))
    whole = rows // chains * chains
    if rows - whole < _FEW:
        rows = whole
    stacks = [
        matrix[start * repeat : stop * repeat].reshape(some, -1, repeat * channels)
        for start, stop, some in ((0, whole, chains), (whole, rows, 1))
        if start < stop
    ]
    rest = matrix[rows * repeat :]
    return [*stacks, rest[None]] if len(rest) else stacks


def map_chains(formula: Callable[..., None], results: int, *matrices: Array) -> Array:
    """Call ``formula(out, *stacks)`` on stacks of chains, threads side by side.

    No floating-point warnings come out.

    Parameters
    ----------
    formula
        Writes sums to `out` (results, chains, C), given a stack (chains, length, repeat·C) of
        each matrix; see `chain_sums` and `chain_products`.
    results
        How many sums it makes of each chain.
    matrices
        Of one shape (P, C), C-contiguous.

    Returns
    -------
    array
        Shape (results, chains, C), float64.
    """
    parts = []
    for stacks in zip(*map(_stacks, matrices), strict=True):
        part = np.empty((results, len(stacks[0]), matrices[0].shape[1]))

        def work(
            start: int, stop: int, stacks: tuple[Array, ...] = stacks, out: Array = part
        ) -> None:
            with np.errstate(invalid="ignore", over="ignore"):
                for i in range(start, stop, _STACKED):
                    cut = slice(i, min(i + _STACKED, stop))
                    formula(out[:, cut], *(stack[cut] for stack in stacks))

        with single_threaded_blas():
            parallel(work, len(part[0]), grain=-(-_GRAIN // stacks[0][0].size))
        parts.append(part)
    return np.concatenate(parts, axis=1) if parts else np.empty((results, 0, matrices[0].shape[1]))


def chain_sums(stack: Array, channels: int) -> Array:
    """Sum a stack (chains, length, repeat·C) to (chains, C), float64."""
    return folded(column_sums(stack), channels)


def chain_products(a: Array, b: Array, channels: int) -> Array:
    """Sum ``a * b`` of two stacks (chains, length, repeat·C) to (chains, C), float64."""
    return folded(column_products(a, b), channels)


def column_sums(stack: Array) -> Array:
    """Sum a stack (chains, length, width) over each chain: (chains, width)."""
    # A product with ones takes half the time of np.add.reduce along the outer axis.
    sums: Array = np.matmul(_ones(stack.shape[1], stack.dtype), stack)[:, 0]
    return sums


@lru_cache(maxsize=64)
def _ones(length: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones((1, length), dtype)
    ones.flags.writeable = False
    return ones


def column_products(a: Array, b: Array) -> Array:
    """Sum ``a * b`` of two stacks (chains, length, width) over each chain: (chains, width)."""
    return np.asarray(np.einsum("kij,kij->kj", a, b))


def folded(totals: Array, channels: int) -> Array:
    """Add up the positions side by side: (chains, repeat·C) to (chains, C), float64."""
    sums: Array = totals.reshape(len(totals), -1, channels).sum(axis=1, dtype=np.float64)
    return sums


@lru_cache(maxsize=1024)
def chain_shape(count: int, channels: int) -> tuple[int, int, int]:
    """Return a shape (chains, length, repeat·C) that holds a (P, C) matrix without a rest."""
    repeat = next(r for r in range(max(1, _ROW_WIDTH // max(1, channels)), 0, -1) if count % r == 0)
    rows = count // repeat
    chains = next(k for k in range(max(1, -(-rows // _CHAIN)), rows + 1) if rows % k == 0)
    return chains, rows // chains, repeat * channels


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
    rows, channels = matrix.shape
    if 0 < matrix.size <= _ONE_CHAIN:
        shape = chain_shape(rows, channels)
        if shape[2] >= _ROW_WIDTH // 2 and shape[1] > _FEW:
            # For one thread, without a rest: (32, 16, 16, 4) 104 µs -> 23.
            with np.errstate(invalid="ignore", over="ignore"):
                total = folded(column_sums(matrix.reshape(shape)), channels)[0]
            return np.asarray(total, matrix.dtype)  # (C,)
    if rows > _CHAIN or channels < 2 * _GRAIN_COLUMNS:

        def formula(out: Array, stack: Array) -> None:
            out[0] = chain_sums(stack, channels)

        total = map_chains(formula, 1, matrix)[0].sum(axis=0)
        return np.asarray(total, matrix.dtype)  # (C,)
    sums = np.empty(channels, matrix.dtype)

    def work(start: int, stop: int) -> None:
        np.add.reduce(matrix[:, start:stop], axis=0, out=sums[start:stop])

    parallel(work, channels, grain=_GRAIN_COLUMNS)
    return sums


_sum: Any = np.add.reduce  # without the Python of np.sum, 2 µs


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
    return np.asarray(_sum(x, axes, keepdims=keepdims))
