"""A sparse matrix along an axis as small dense ones, each for a few neighbours.

An output reads 1 to 4 inputs, its neighbours read almost the same: one product of a dense matrix
reads these once, and BLAS does what would be several sweeps term by term. Where outputs lie alike
between inputs the matrices are the same, and one call does all of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinygrad_cnn.kernels.resample.taps import Along, Row
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.types import Array

__all__ = ["Block", "blocks_of", "choice_of", "rows_along"]


class Block(NamedTuple):
    """``out[target + P · k + p] = Σ_j weights[p, j] · x[source + step · k + j]`` for k < times.

    P is the number of the weights' rows. `copies` says whether each output is its input.
    """

    target: int
    source: int
    step: int
    times: int
    weights: Array
    copies: bool


@planned
def rows_along(along: Along, transposed: bool) -> tuple[Row, ...]:
    """Return the inputs and weights of each output; of each input the outputs, if transposed."""
    rows = along.rows()
    if not transposed:
        return rows
    columns: list[list[tuple[int, float]]] = [[] for _ in range(along.size)]
    for output, row in enumerate(rows):
        for i, weight in row:
            columns[i].append((output, weight))
    return tuple(map(tuple, columns))


@planned
def choice_of(along: Along) -> Array | None:
    """Return the input that each output is a copy of, or None if some are sums."""
    if along.is_same:
        return np.arange(along.size)
    rows = along.rows()
    if any(len(row) != 1 or row[0][1] != 1 for row in rows):
        return None
    return np.array([i for ((i, _),) in rows])


@planned
def blocks_of(along: Along, transposed: bool) -> list[Block]:
    """Return the blocks that make all outputs, in order; if transposed, a gradient's.

    >>> for block in blocks_of(Along("linear", 16, 32), False):
    ...     print(block.times, "times", block.weights.shape, "from", block.source)
    1 times (1, 1) from 0
    7 times (4, 3) from 0
    1 times (3, 2) from 14
    """
    rows = rows_along(along, transposed)
    cuts = (_cut(rows, size, first) for size in tuning.BLOCK_TARGETS for first in (0, 1))
    return min(cuts, key=_cost)


def _cost(blocks: list[Block]) -> float:
    return sum(tuning.BLOCK_CALL + block.times * block.weights.size for block in blocks)


def _cut(rows: tuple[Row, ...], size: int, first: int) -> list[Block]:
    """Cut a matrix into blocks of so many outputs, and join those alike at equal distances.

    The first block has `first` outputs, if that is not 0: neighbours that read the same inputs may
    begin behind an edge, as outputs 1 and 2 of a doubled axis do.
    """
    blocks: list[Block] = []
    bounds = [*range(first, len(rows), size), len(rows)]
    for target, stop in pairwise([0, *bounds] if first else bounds):
        some = rows[target:stop]
        inputs = [i for row in some for i, _ in row] or [0]
        source = min(inputs)
        weights = np.zeros((len(some), max(inputs) + 1 - source))
        for line, row in zip(weights, some, strict=True):
            for i, weight in row:
                line[i - source] = weight
        if blocks and np.array_equal(weights, blocks[-1].weights):
            last = blocks[-1]
            step = last.step if last.times > 1 else source - last.source
            if source == last.source + step * last.times:
                blocks[-1] = last._replace(step=step, times=last.times + 1)
                continue
        copies = np.array_equal(weights, np.eye(len(some)))
        blocks.append(Block(target, source, 0, 1, weights, copies))
    return blocks
