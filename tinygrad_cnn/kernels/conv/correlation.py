"""Convolutions by products of matrices: windows times weights, and the sums for the weights.

Arrays are (N, *sizes, C) here, weights (*kernel, C, O).
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job, sum_in_order
from tinygrad_cnn.kernels.conv.windows import Gatherer, MatrixPlan
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime.window import Pair

__all__ = ["Correlation", "PositionSum", "WeightGradient"]

Array = npt.NDArray[Any]


class Correlation(Job):
    """Windows of `x` times `w`, with what the epilogue does to them, into its `out`."""

    def __init__(self, plan: MatrixPlan, x: Array, w: Array, epilogue: Epilogue) -> None:
        self.plan, self.x, self.epilogue = plan, x, epilogue
        self.rows = plan.geometry.out_shape[1] // epilogue.block[0]
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.weights = plan.matrix.spread(w)

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these rows of results."""
        outputs = self.epilogue.begin(rows)
        rows = outputs.rows
        gatherer = Gatherer(self.x, self.plan, images, rows)
        for tile in self.plan.tiling.tiles(images, rows):
            made = outputs.room(tile)
            self.plan.matrix.multiply(gatherer.rows(tile), self.weights, made)
            outputs.finish(made, tile, by_place=True)


class WeightGradient(Job):
    """The sum over positions of windows of `x` times `g` (N, *out sizes, O)."""

    def __init__(self, plan: MatrixPlan, x: Array, g: Array) -> None:
        self.plan, self.x, self.g, self.rows = plan, x, g, g.shape[1]
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        """Sum over these images, these output rows."""
        gatherer = Gatherer(self.x, self.plan, images, rows)
        total = None
        for tile in self.plan.tiling.tiles(images, rows):
            part = self.plan.matrix.sum(gatherer.rows(tile), self.g[tile])
            if total is None:
                total = part
            else:
                total += part
        if total is not None:
            self.parts[images, rows] = total

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (*kernel, C, O)."""
        return self.plan.matrix.fold(sum_in_order(self.parts))


class PositionSum(Job):
    """The sum of `g` (N, *out sizes, O) over the positions: the bias's gradient."""

    def __init__(self, g: Array) -> None:
        self.g, self.rows = g, g.shape[1]
        self.cost, self.multiplications = 0.2 * g.size, 0
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        """Sum over these images, these output rows."""
        axes = tuple(range(self.g.ndim - 1))
        self.parts[images, rows] = sum_over(self.g[slice(*images), slice(*rows)], axes)

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (O,)."""
        return sum_in_order(self.parts)
