"""Sums over large arrays: short float32 chains side by side, shared out over threads.

NumPy adds pairwise along contiguous memory, but a sum over the outer axis of a matrix is one
chain of additions a column: a million ones in float32 lose digits, from 2²⁴ on every one of
them. Here a chain ends after about `tuning.CHAIN` values and goes on in float64. Where chains end
does not depend on the number of threads, so neither do the bits of a result.
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
from tinygrad_cnn.kernels.runtime.copies import channels_last, contiguous
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.sweep import sweep
from tinygrad_cnn.types import Array, Shape

__all__ = ["chain_products", "chain_sums", "map_chains", "positions", "running_sums", "sum_over"]


def positions(x: Array) -> Array:
    """View `x` of shape (N, C, …) as a C-contiguous matrix (positions, C); copy if need be."""
    return contiguous(channels_last(x)).reshape(-1, x.shape[1])


def map_chains(formula: Callable[..., None], results: int, *matrices: Array) -> list[Array]:
    """Call ``formula(*outs, *stacks)`` on stacks of chains, threads side by side.

    The matrices (P, C) have one shape and are C-contiguous; each is cut into stacks of shape
    (chains, length, repeat·C). The formula writes its `results`, such as `chain_sums`, to as many
    arrays (chains, C). Returns these arrays for all chains, in float64. No floating-point warnings
    come out.
    """
    count, channels = matrices[0].shape
    parts = []
    for rows, shape in _cuts(count, channels):
        chains, length, width = shape
        outs = [np.empty((chains, channels)) for _ in range(results)]
        stacks = [matrix[rows].reshape(shape) for matrix in matrices]
        size = length * width
        with nullcontext() if size <= tuning.BLAS_ALONE else single_threaded_blas():
            grain = -(-tuning.PASS_GRAIN // max(1, size))
            sweep(formula, *outs, *stacks, most=tuning.CHAINS_A_CALL, grain=grain)
        parts.append(outs)
    return outs if len(parts) == 1 else [np.concatenate(both) for both in zip(*parts, strict=True)]


@planned
def _cuts(count: int, channels: int) -> list[tuple[slice, Shape]]:
    """Return which rows of a matrix (P, C) make one or two stacks, and their shapes.

    The first has chains of rows that are `repeat` positions wide, the second one chain of the
    single positions which that leaves over.
    """
    if count <= tuning.CHAIN:
        return [(slice(count), (1, count, channels))]
    repeat = widest = max(1, tuning.CHAIN_WIDTH // max(1, channels))
    if count * channels <= tuning.ONE_CHAIN:
        chains = 1
        even = (r for r in range(widest, widest // 2, -1) if count % r == 0)
        repeat = next(even, widest)  # leaves nothing over if possible: a second call takes 8 µs
    else:
        chains = max(tuning.FEWEST_CHAINS, -(-count // (repeat * tuning.CHAIN)))
    length = count // (repeat * chains)
    whole = chains * length * repeat
    cuts = [
        (slice(whole), (chains, length, repeat * channels)),
        (slice(whole, count), (1, count - whole, channels)),
    ]
    return [(rows, shape) for rows, shape in cuts if shape[1]]


def chain_sums(stack: Array, channels: int) -> Array:
    """Sum a stack (chains, length, repeat·C) to (chains, C), float64."""
    # A product with ones takes half the time of np.add.reduce along the outer axis.
    sums: Array = np.matmul(_ones(stack.shape[1], stack.dtype), stack)[:, 0]
    return _folded(sums, channels)


def _write_sums(out: Array, stack: Array) -> None:
    out[...] = chain_sums(stack, out.shape[1])


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
    """Sum over `axes` as ``np.sum`` does, the outer axes of memory threaded and in short chains.

    The axes are distinct and not negative. Dense memory in any order of them, such as
    channels-last, is summed without a copy.

    >>> sum_over(np.ones((20_000_000, 1), np.float32), (0,))  # a plain chain stops at 2**24
    array([2.e+07], dtype=float32)
    """
    if x.size >= tuning.WIDE_SUM and x.dtype.kind == "f":
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        kept.sort(key=lambda axis: -x.strides[axis])
        inner_last = x.transpose(*sorted(axes, key=lambda axis: -x.strides[axis]), *kept)
        if inner_last.flags.c_contiguous:
            lengths = [x.shape[axis] for axis in kept]
            (sums,) = map_chains(_write_sums, 1, inner_last.reshape(-1, math.prod(lengths)))
            total = np.asarray(sums.sum(axis=0), x.dtype).reshape(lengths)
            total = total.transpose([kept.index(axis) for axis in sorted(kept)])
            return np.expand_dims(total, axes) if keepdims else total
    # NumPy adds pairwise along the inner axes of memory, and as fast as memory gives the values.
    return np.asarray(_sum(x, axes, keepdims=keepdims))


def running_sums(x: Array, axis: int, reverse: bool = False) -> Array:
    """Add up along an axis, from the first place on, or from the last.

    NumPy goes along the axis, vector by vector; where the axis is not the last one, adding whole
    rows reads memory as it lies.
    """
    inner = x[(0,) * (axis + 1)].size if x.size else 0
    if inner < tuning.WIDE_PLACES or x.dtype.kind != "f":
        if reverse:
            return np.flip(np.cumsum(np.flip(x, axis), axis), axis)
        return np.cumsum(x, axis)
    out = np.empty_like(x)
    rows, sums = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    if reverse:
        rows, sums = rows[::-1], sums[::-1]
    sums[0] = rows[0]
    for i in range(1, len(rows)):
        np.add(sums[i - 1], rows[i], out=sums[i])
    return out
