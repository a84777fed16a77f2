"""Means and variances of channels, also of a convolution's result while its parts are made.

A sum of float32 is kept short and goes on in float64, see `reduce`; each chain has its own mean,
and chains are merged at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.reduce.sums import (
    chain_lengths,
    chain_products,
    chain_shape,
    chain_sums,
    column_products,
    column_sums,
    folded,
    map_chains,
    positions,
)
from tinygrad_cnn.kernels.runtime.rows import repeated

__all__ = ["FEW_ROWS", "FOLDABLE_OFFSET", "Moments", "Part", "batch_statistics"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Up to this mean / standard deviation, (x − mean)·s may be computed as x·s − mean·s: the
# rounding of the two terms grows by no more than this factor.
FOLDABLE_OFFSET = 8.0
# Up to this mean² / variance, squares are summed as they are. At 32 the variance of (8192, 64) is
# off by 4e-6 at most, of (131072, 16) by 6e-7; at 256 by 4e-5.
_MOST_OFFSET = 32.0
# Positions from which a pivot is estimated.
_SAMPLE = 32
# Up to here plain operations on the whole matrix are quicker than repeating factors along rows:
# (125, 20) takes 41 µs for statistics in blocks and 9 without, 17 and 5 to normalise, 58 and 21
# for the gradient.
FEW_ROWS = 256


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
    return _merged(_Chains(chain_lengths(matrix), sums, squares, pivot), x.dtype)


class _Chains(NamedTuple):
    """The moments of some chains of positions.

    `lengths` (chains, 1), `sums` (chains, C) of ``x − pivot``, `squares` (chains, C) of deviations
    from each chain's own mean, `pivot` (C,) or None for 0.
    """

    lengths: Array
    sums: Array
    squares: Array
    pivot: Array | None


def _merged(chains: _Chains, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return mean and biased variance (C,) of all chains."""
    lengths, sums, squares, pivot = chains
    with np.errstate(invalid="ignore", over="ignore"):
        count = lengths.sum()
        mean = sums.sum(axis=0) / count
        between = lengths * (sums / lengths - mean) ** 2
        var = (squares + between).sum(axis=0) / count
        if pivot is not None:
            mean += pivot
        return mean.astype(dtype), var.astype(dtype)


class Moments:
    """Collects the moments of a result (N, OH, OW, C) from its tiles, while they are in the cache.

    What is done for a tile is little, and the rest is left to `statistics`: chains that end with
    each tile, folded and checked there, took as long as reading the result again.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[Pair, Pair], Part] = {}

    def part(self, images: Pair, rows: Pair) -> Part:
        """Return what collects from the tiles of these images and rows, one after the other."""
        part = self._parts[images, rows] = Part()
        return part

    def statistics(self, x: Array) -> tuple[Array, Array]:
        """Return `batch_statistics` of the result `x` (N, C, OH, OW), up to rounding."""
        chains = _joined([self._parts[key] for key in sorted(self._parts)], x.shape[1])
        if chains is None or chains.lengths.sum() * x.shape[1] != x.size:
            return batch_statistics(x)
        return _merged(chains, x.dtype)


class Part:
    """Column sums of one tile after another, less a pivot that is estimated from the first."""

    def __init__(self) -> None:
        self.pivot: Array | None = None
        self.sums: dict[int, tuple[list[Array], list[Array]]] = {}  # by the lengths of chains

    def collect(self, tile: Array) -> None:
        """Add up a tile (n, rows, OW, C), C-contiguous, where infinities raise no warning."""
        channels = tile.shape[-1]
        shape = chain_shape(tile.size // channels, channels)
        if not self.sums:
            self.pivot = _pivot(tile.reshape(-1, channels))
        stack = _less(tile.reshape(shape), self.pivot)
        totals, squares = self.sums.setdefault(shape[1] * shape[2] // channels, ([], []))
        totals.append(column_sums(stack))
        squares.append(column_products(stack, stack))


# A few calls for all chains together: with some for each tile size of each part it took 0.21 ms,
# with cold caches between a convolution and its normalisation, and takes 0.14.
def _joined(parts: Sequence[Part], channels: int) -> _Chains | None:
    """Return the chains of all parts, or None if there are none or they are not precise."""
    groups = [
        _Group(length, part.pivot, totals, squares)
        for part in parts
        for length, (totals, squares) in part.sums.items()
    ]
    if not groups:
        return None
    groups.sort(key=_Group.width)
    with np.errstate(invalid="ignore", over="ignore"):
        moments = [
            _folded_together(list(some), channels) for _, some in groupby(groups, _Group.width)
        ]
        sums, raw = moments[0] if len(moments) == 1 else np.concatenate(moments, axis=1)
        lengths = np.array([each.length for each in groups for _ in range(each.chains())])[:, None]
        deviations = raw - sums * sums / lengths
        if not _is_precise(deviations, raw).all():
            return None
        # Less the first pivot, for the digits; the others differ from it by little.
        pivot = groups[0].pivot
        if any(each.pivot is not pivot for each in groups):
            start = 0
            for each in groups:
                stop = start + each.chains()
                shift = _or_zero(each.pivot) - _or_zero(pivot)
                sums[start:stop] += lengths[start:stop] * shift
                start = stop
    return _Chains(lengths, sums, deviations, pivot)


class _Group(NamedTuple):
    """Chains of one length, less one pivot: column sums of the values and of their squares."""

    length: int
    pivot: Array | None
    totals: list[Array]
    squares: list[Array]

    def width(self) -> int:
        """Columns of the sums."""
        width: int = self.totals[0].shape[1]
        return width

    def chains(self) -> int:
        """Count the chains."""
        return sum(map(len, self.totals))


def _folded_together(groups: list[_Group], channels: int) -> Array:
    """Return the sums of values and of squares (2, chains, C) of groups of one width."""
    totals = [total for each in groups for total in each.totals]
    squares = [square for each in groups for square in each.squares]
    return folded(np.concatenate(totals + squares), channels).reshape(2, -1, channels)


def _or_zero(pivot: Array | None) -> Array | float:
    return 0.0 if pivot is None else pivot.astype(np.float64)


def _is_precise(deviations: Array, raw: Array) -> Array:
    """Whether sums of squares less the means' part have enough digits left."""
    return np.asarray(deviations * (1 + _MOST_OFFSET) >= raw)


def _few_rows_statistics(matrix: Array) -> tuple[Array, Array]:
    """Do `batch_statistics` in whole operations, in float64."""
    wide = matrix.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.add.reduce(wide, axis=0) / len(wide)
        wide -= mean
        var = np.einsum("ij,ij->j", wide, wide) / len(wide)
        return mean.astype(matrix.dtype), var.astype(matrix.dtype)


def _pivot(matrix: Array) -> Array | None:
    """Estimate each channel's mean (C,) from a few positions; None where none is far from 0.

    Sums of ``x − pivot`` and of its square keep the digits that those of `x` lose where the mean
    is large beside the deviation.
    """
    mean, var = _few_rows_statistics(matrix[:: max(1, len(matrix) // _SAMPLE)])
    return None if np.all(mean**2 <= _MOST_OFFSET / 2 * var) else mean


def _less(stack: Array, pivot: Array | None) -> Array:
    """Subtract a pivot (C,) or nothing from a stack (chains, length, repeat·C)."""
    if pivot is None:
        return stack
    difference: Array = stack - repeated(pivot, stack.shape[2] // pivot.size, stack.dtype)
    return difference


def _moments(out: Array, stack: Array, pivot: Array | None) -> None:
    """Sum a stack of chains less a pivot (C,), and its squared deviations from each chain's mean.

    A sweep for the pivot saves the second pass: (128, 16, 28, 28), mean 5, 2.7 ms -> 1.3.
    """
    channels = out.shape[2]
    count = stack[0].size // channels
    stack = _less(stack, pivot)
    total = out[0] = chain_sums(stack, channels)
    mean = total / count
    raw = chain_products(stack, stack, channels)
    deviations = out[1] = raw - total * mean
    # Otherwise (NaN too) a second pass over centred values is due.
    for i in np.flatnonzero(~_is_precise(deviations, raw).all(axis=1)):
        block = stack[i].reshape(-1, channels)
        centred = (block - mean[i].astype(block.dtype)).reshape(1, *stack.shape[1:])
        remainder = chain_sums(centred, channels)
        out[1, i] = (chain_products(centred, centred, channels) - remainder**2 / count)[0]
