"""Small convolutions: one tile, in the calling thread.

With one small image the arithmetic takes 2 µs and the bookkeeping of jobs and threads took 8, so
here it is done once for each geometry: (1, 1, 28, 28) by (8, 1, 3, 3) 11.8 µs -> 6.5.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import add_and_activate, along_a_row
from tinygrad_cnn.kernels.conv.jobs import is_for_one_thread
from tinygrad_cnn.kernels.conv.tiles import ONE, Geometry, TileInput
from tinygrad_cnn.kernels.conv.windows import MatrixPlan, matrix_plan
from tinygrad_cnn.kernels.pool.max_pool import write_maxima
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.rows import Activation
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["Single", "single_plan"]


class Single:
    """A convolution of one tile, and the gradient of its weights.

    With a block of outputs that become one number each, only their maximum is kept.
    """

    def __init__(self, plan: MatrixPlan) -> None:
        self.geometry, self.tiling, self.matrix = plan.geometry, plan.tiling, plan.matrix
        n, rows, *_ = plan.geometry.out_shape
        self.sizes = n, rows
        self.block = plan.matrix.block
        self.tile = slice(0, n), slice(0, rows)
        self.buffer_size = plan.buffer_size(n, rows)
        self.is_unlimited = plan.multiplications <= tuning.BLAS_ALONE

    def rows(self, x: Array) -> Array:
        """Return the matrix (rows, depth) of the windows of `x` (N, *sizes, C)."""
        source = TileInput(x, self.tiling, *self.sizes)
        source.load(self.tile)
        return self.matrix.gather(source, *self.sizes, np.empty(self.buffer_size, x.dtype))

    def product(
        self,
        x: Array,
        w: Array,
        bias: Array | None = None,
        activation: Activation | None = None,
        addend: Array | None = None,
    ) -> Array:
        """Correlate `x` with `w` (*kernel, C, O), pool, add bias and addend, activate.

        Returns (N, *out sizes, O), or (N, OH // height, OW // width, O).
        """
        rows, weights = self.rows(x), self.matrix.spread(w)
        if self.is_unlimited and rows.ndim == 2:  # 1.3 µs less than `multiply`
            out: Array = np.dot(rows, weights).reshape(self.geometry.out_shape)
        else:
            out = np.empty(self.geometry.out_shape, x.dtype)
            with nullcontext() if self.is_unlimited else single_threaded_blas():
                self.matrix.multiply(rows, weights, out)
        if self.block != ONE:
            (N, OH, OW, out_channels), (height, width) = out.shape, self.block
            values = out.reshape(-1, N, OH // height, OW // width, out_channels)
            out = np.empty(values.shape[1:], x.dtype)
            write_maxima(values, out)
        if bias is not None or activation is not None or addend is not None:
            repeated = None if bias is None else along_a_row(bias, out.shape)
            add_and_activate(out, repeated, activation, addend)
        return out

    def weight_gradient(self, x: Array, g: Array) -> Array:
        """Sum windows of `x` times `g` (N, *out sizes, O) over the positions: (*kernel, C, O)."""
        rows = self.rows(x)
        if self.is_unlimited:
            return self.matrix.fold(self.matrix.sum(rows, g))
        with single_threaded_blas():
            return self.matrix.fold(self.matrix.sum(rows, g))


@planned
def single_plan(geometry: Geometry, sums: bool, block: Pair = ONE) -> Single | None:
    """Return how to do a convolution at once, or None where tiles or threads are due.

    Arguments as for `matrix_plan`.
    """
    if 0 in geometry.out_shape:
        return None
    plan = matrix_plan(geometry, sums, block)
    N, rows, *_ = geometry.out_shape
    is_one_tile = plan.tiling.sizes((0, N), (0, rows)) == (N, rows)
    return Single(plan) if is_one_tile and is_for_one_thread(plan.cost) else None
