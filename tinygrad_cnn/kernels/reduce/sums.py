"""Sums over large arrays: short float32 chains side by side, shared out over threads.

NumPy adds pairwise along contiguous memory, but a sum over the outer axis of a matrix is one
chain of additions a column: a million ones in float32 lose digits, from 2²⁴ on every one of
them. Here a chain ends after `tuning.CHAIN` values and goes on in float64. Where chains end does
not depend on the number of threads, so neither do the bits of a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.kernels.runtime.copies import contiguous
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array, Shape

__all__ = ["chain_products", "chain_sums", "map_chains", "positions", "sum_over"]


def positions(x: Array) -> Array:
    """View `x` of shape (N, C, …) as a C-contiguous matrix (positions, C); copy if need be."""
    # Not np.moveaxis: that takes 5 µs, in a training step with cold caches 15.
    moved = x if x.ndim == 2 else x.transpose(0, *range(2, x.ndim), 1)
    return contiguous(moved).reshape(-1, x.shape[1])  # (N·H·W, C)


def _stacks(matrix: Array) -> list[Array]:
    """View a (P, C) matrix as one to three stacks of chains, each (chains, length, repeat·C).

    The first has chains of up to `CHAIN` rows that are `repeat` positions wide. The others are
    what that leaves over, one chain each: of such rows, if they are many, and of single positions.
    """
    count, channels = matrix.shape
    if count <= tuning.CHAIN:
        return [matrix[None]]
    shape = _one_chain(count, channels) if matrix.size <= tuning.ONE_CHAIN else None
    if shape is not None:
        return [matrix.reshape(shape)]
    repeat = max(1, tuning.CHAIN_WIDTH // max(1, channels))
    rows = count // repeat
    fewest = 1 if matrix.size <= tuning.ONE_CHAIN else tuning.FEWEST_CHAINS
    chains = max(fewest, -(-rows // tuning.CHAIN))
    whole = rows // chains * chains
    if rows - whole < tuning.FEW_CHAIN_ROWS:
        rows = whole
    stacks = [
        matrix[start * repeat : stop * repeat].reshape(some, -1, repeat * channels)
        for start, stop, some in ((0, whole, chains), (whole, rows, 1))
        if start < stop
    ]
    rest = matrix[rows * repeat :]
    return [*stacks, rest[None]] if len(rest) else stacks


@planned
def _one_chain(count: int, channels: int) -> Shape | None:
    """Return a shape (1, length, repeat·C) of a small (P, C) matrix that leaves nothing over."""
    widest = tuning.CHAIN_WIDTH // max(1, channels)
    repeats = (r for r in range(widest, widest // 2, -1) if count % r == 0)
    repeat = next(repeats, None)
    return None if repeat is None else (1, count // repeat, repeat * channels)


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
        chain = stacks[0][0]
        part = np.empty((results, len(stacks[0]), matrices[0].shape[1]))
        parts.append(part)
        if matrices[0].size <= tuning.ONE_CHAIN:  # for one thread
            with np.errstate(invalid="ignore", over="ignore"):
                formula(part, *stacks)
            continue

        def work(
            start: int, stop: int, stacks: tuple[Array, ...] = stacks, out: Array = part
        ) -> None:
            with np.errstate(invalid="ignore", over="ignore"):
                for i in range(start, stop, tuning.CHAINS_A_CALL):
                    cut = slice(i, min(i + tuning.CHAINS_A_CALL, stop))
                    formula(out[:, cut], *(stack[cut] for stack in stacks))

        with nullcontext() if chain.size <= tuning.BLAS_ALONE else single_threaded_blas():
            parallel(work, len(part[0]), grain=-(-tuning.SUM_GRAIN // max(1, chain.size)))
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def chain_sums(stack: Array, channels: int) -> Array:
    """Sum a stack (chains, length, repeat·C) to (chains, C), float64."""
    # A product with ones takes half the time of np.add.reduce along the outer axis.
    sums: Array = np.matmul(_ones(stack.shape[1], stack.dtype), stack)[:, 0]
    return _folded(sums, channels)


def chain_products(a: Array, b: Array, channels: int) -> Array:
    """Sum ``a * b`` of two stacks (chains, length, repeat·C) to (chains, C), float64."""
    return _folded(np.einsum("kij,kij->kj", a, b), channels)


@lru_cache(maxsize=64)
def _ones(length: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones((1, length), dtype)
    ones.flags.writeable = False
    return ones


def _folded(totals: Array, channels: int) -> Array:
    """Add up the positions side by side: (chains, repeat·C) to (chains, C), float64."""
    side_by_side = totals.reshape(len(totals), -1, channels)
    return np.asarray(np.add.reduce(side_by_side, axis=1, dtype=np.float64))


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
    >>> sum_over(np.arange(6.0).reshape(2, 3), (0,))
    array([3., 5., 7.])
    >>> sum_over(np.ones((20_000_000, 1), np.float32), (0,))  # a plain chain stops at 2**24
    array([2.e+07], dtype=float32)
    """
    if x.size >= tuning.WIDE_SUM and x.dtype.kind == "f":
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        kept.sort(key=lambda axis: -x.strides[axis])
        inner_last = x.transpose(*sorted(axes, key=lambda axis: -x.strides[axis]), *kept)
        if inner_last.flags.c_contiguous:
            lengths = [x.shape[axis] for axis in kept]
            sums = _column_sum(inner_last.reshape(-1, math.prod(lengths))).reshape(lengths)
            sums = sums.transpose([kept.index(axis) for axis in sorted(kept)])
            return np.expand_dims(sums, axes) if keepdims else sums
    # NumPy adds pairwise along the inner axes of memory, and as fast as memory gives the values.
    return np.asarray(_sum(x, axes, keepdims=keepdims))


def _column_sum(matrix: Array) -> Array:
    """Sum a C-contiguous matrix (P, C) over its rows: (C,)."""
    channels = matrix.shape[1]

    def formula(out: Array, stack: Array) -> None:
        out[0] = chain_sums(stack, channels)

    return np.asarray(map_chains(formula, 1, matrix)[0].sum(axis=0), matrix.dtype)
