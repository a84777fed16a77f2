"""Small convolutions: one gathering and one product in the calling thread, nothing else.

With one small image the arithmetic takes 2 µs and the bookkeeping of tiles and threads took 8, so
here all of it is done once for each geometry: (1, 1, 28, 28) by (8, 1, 3, 3) 11.8 µs -> 6.0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.correlation import GRAIN
from tinygrad_cnn.kernels.layouts import Window, fold_weights, repeated_bias, spread_weights
from tinygrad_cnn.kernels.products import multiply_rows, sum_of_products
from tinygrad_cnn.kernels.threads import BLAS_ALONE, single_threaded_blas
from tinygrad_cnn.kernels.windows import ProductPlan, plan_for

__all__ = ["SingleProduct", "SingleSum", "single_product", "single_sum"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class _Single:
    """What a convolution of one tile does with its input, for one geometry."""

    def __init__(self, plan: ProductPlan) -> None:
        N, OH, OW, O = self.out_shape = plan.out_shape
        self.window, self.layout = plan.window, plan.layout
        self.by_row_shape = (-1, OH, N, OW, O)
        self.leaves_blas_alone = plan.multiplications <= BLAS_ALONE
        cut = plan.cut((0, N), (0, OH))
        (tile,) = cut.tiles
        self.inner, self.place, self.offset = tile.inner, tile.place, tile.offset
        self.windows, self.matrix, self.copies = tile.windows, tile.matrix, cut.copies
        self.padded = None if cut.reads_input else cut.padded
        self.room = cut.room

    def columns(self, x: Array) -> Array:
        """Gather the windows of `x` (N, H, W, C): (products, positions / span, depth)."""
        dtype, windows, matrix = x.dtype, self.windows, self.matrix
        source = x if self.padded is None else self._pad(x)
        if not self.copies:
            return np.ndarray(matrix.shape, dtype, source, self.offset, matrix.strides)
        gathered: Array = np.empty(windows.shape, dtype)
        gathered[...] = np.ndarray(windows.shape, dtype, source, self.offset, windows.strides)
        return np.ndarray(matrix.shape, dtype, gathered, 0, matrix.strides)

    def _pad(self, x: Array) -> Array:
        assert self.padded is not None
        room = np.zeros(self.room, x.dtype)
        padded: Array = np.ndarray(self.padded.shape, x.dtype, room, 0, self.padded.strides)
        padded[self.place] = x[self.inner]
        return room


class SingleProduct(_Single):
    """A convolution of one tile."""

    def __call__(self, x: Array, w: Array, bias: Array | None, relu: bool) -> Array:
        """Correlate `x` (N, H, W, C) with `w` (KH, KW, C, O), add the bias, apply the ReLU.

        Returns (N, OH, OW, O), C-contiguous.
        """
        columns = self.columns(x)
        weights = spread_weights(w, self.window, self.layout)  # (products, depth, span·O)
        if self.leaves_blas_alone:
            out: Array = np.matmul(columns, weights)
        else:
            out = np.empty((*columns.shape[:2], weights.shape[2]), x.dtype)
            with single_threaded_blas:
                multiply_rows(columns, weights, out)
        if self.layout.by_row:
            rows = np.add.reduce(out.reshape(self.by_row_shape), axis=0)  # (OH, N, OW, O)
            out = np.ascontiguousarray(rows.transpose(1, 0, 2, 3))
        out = out.reshape(self.out_shape)
        if bias is not None:
            out += repeated_bias(bias, self.out_shape)
        if relu:
            np.maximum(out, 0, out=out)
        return out


class SingleSum(_Single):
    """The weight's gradient of a convolution of one tile."""

    def __call__(self, x: Array, g: Array) -> Array:
        """Sum windows of `x` (N, H, W, C) times `g` (N, OH, OW, O) over the positions.

        Returns (KH, KW, C, O).
        """
        columns = self.columns(x)
        if self.layout.by_row:
            g = g.transpose(1, 0, 2, 3)
        gradient = g.reshape(columns.shape[1], -1)  # (positions / span, span·O)
        if self.leaves_blas_alone:
            total = sum_of_products(columns, gradient)
        else:
            with single_threaded_blas:
                total = sum_of_products(columns, gradient)
        return fold_weights(total, (x.shape[3], self.out_shape[3]), self.window, self.layout)


def _is_single(plan: ProductPlan) -> bool:
    """Whether neither tiles nor threads are due."""
    N, OH = plan.out_shape[:2]
    if plan.cost >= GRAIN or plan.layout.pitch:
        return False
    return len(list(plan.cut((0, N), (0, OH)).tiles)) == 1


@lru_cache(maxsize=1024)
def single_product(
    shape: Shape, contiguous: bool, itemsize: int, out_shape: Shape, window: Window
) -> SingleProduct | None:
    """Return how to do a convolution at once, or None where tiles or threads are due.

    Arguments as for `Plan`, which has the shapes.
    """
    plan = plan_for(shape, contiguous, itemsize, out_shape, window, True)
    return SingleProduct(plan) if _is_single(plan) else None


@lru_cache(maxsize=1024)
def single_sum(
    shape: Shape, contiguous: bool, itemsize: int, out_shape: Shape, window: Window
) -> SingleSum | None:
    """Return how to do a weight's gradient at once, as `single_product`."""
    plan = plan_for(shape, contiguous, itemsize, out_shape, window, False)
    return SingleSum(plan) if _is_single(plan) else None
