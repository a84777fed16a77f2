"""Convolutions by products of matrices: windows times weights, and the sums for the weights.

Arrays are (N, *sizes, C) here, weights (*kernel, C, O).
"""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job, SumJob
from tinygrad_cnn.kernels.conv.windows import Gatherer, MatrixPlan
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["Correlation", "PositionSum", "WeightGradient"]


class Correlation(Job):
    """Windows of `x` times `w`, with what the epilogue does to them, into its `out`."""

    def __init__(self, plan: MatrixPlan, x: Array, w: Array, epilogue: Epilogue) -> None:
        super().__init__(epilogue.out.shape[1], plan.cost, plan.multiplications)
        self.plan, self.x, self.epilogue = plan, x, epilogue
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


class WeightGradient(SumJob):
    """The sum over positions of windows of `x` times `g` (N, *out sizes, O)."""

    def __init__(self, plan: MatrixPlan, x: Array, g: Array) -> None:
        super().__init__(g.shape[1], plan.cost, plan.multiplications)
        self.plan, self.x, self.g = plan, x, g

    def sums(self, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield the products of one tile after another."""
        gatherer = Gatherer(self.x, self.plan, images, rows)
        for tile in self.plan.tiling.tiles(images, rows):
            yield self.plan.matrix.sum(gatherer.rows(tile), self.g[tile])

    def result(self) -> Array:
        """Return the sum (*kernel, C, O)."""
        return self.plan.matrix.fold(self.total())


class PositionSum(SumJob):
    """The sum of `g` (N, *out sizes, O) over the positions: the bias's gradient."""

    def __init__(self, g: Array) -> None:
        super().__init__(g.shape[1], 0.2 * g.size)
        self.g = g

    def sums(self, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield the sum over these images, these output rows: (O,)."""
        axes = tuple(range(self.g.ndim - 1))
        yield sum_over(self.g[slice(*images), slice(*rows)], axes)
