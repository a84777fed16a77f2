"""Small convolutions: one gathering and one product in the calling thread, nothing else.

With one small image the arithmetic takes 2 µs and the bookkeeping of tiles and threads took 8, so
here all of it is done once for each geometry: (1, 1, 28, 28) by (8, 1, 3, 3) 11.8 µs -> 6.5.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.correlation import GRAIN
from tinygrad_cnn.kernels.layouts import Window, repeated_bias, spread_weights
from tinygrad_cnn.kernels.products import multiply_rows
from tinygrad_cnn.kernels.threads import BLAS_ALONE, single_threaded_blas
from tinygrad_cnn.kernels.windows import ProductPlan, Tile, plan_for

__all__ = ["SingleProduct", "single_product"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]


class SingleProduct:
    """A convolution of one tile, for inputs and weights of one geometry.

    Called with images (N, H, W, C), kernels (KH, KW, C, O), a bias (O,) or None, and whether to
    apply the ReLU, it returns (N, OH, OW, O), C-contiguous.
    """

    def __init__(self, plan: ProductPlan, tile: Tile, reads_input: bool) -> None:
        self.window, self.layout, self.out_shape = plan.window, plan.layout, plan.out_shape
        self.inner, self.place, self.offset = tile.inner, tile.place, tile.offset
        self.windows, self.matrix = tile.windows, tile.matrix
        cut = plan.cut((0, plan.out_shape[0]), (0, plan.out_shape[1]))
        self.padded = None if reads_input else cut.padded
        self.room, self.copies = cut.room, cut.copies
        N, OH, OW, O = plan.out_shape
        self.leaves_blas_alone = plan.multiplications <= BLAS_ALONE
        self.by_row_shape = (-1, OH, N, OW, O) if plan.layout.by_row else None

    def __call__(self, x: Array, w: Array, bias: Array | None, relu: bool) -> Array:
        dtype = x.dtype
        source = x if self.padded is None else self._pad(x)
        windows, matrix = self.windows, self.matrix
        if self.copies:
            columns: Array = np.empty(windows.shape, dtype)
            columns[...] = np.ndarray(windows.shape, dtype, source, self.offset, windows.strides)
            columns = np.ndarray(matrix.shape, dtype, columns, 0, matrix.strides)
        else:
            columns = np.ndarray(matrix.shape, dtype, source, self.offset, matrix.strides)
        # (products, positions / span, depth) @ (products, depth, span·O)
        weights = spread_weights(w, self.window, self.layout)
        if self.leaves_blas_alone:
            out: Array = np.matmul(columns, weights)
        else:
            out = np.empty((*columns.shape[:2], weights.shape[2]), dtype)
            with single_threaded_blas:
                multiply_rows(columns, weights, out)
        if self.by_row_shape is not None:
            out = np.add.reduce(out.reshape(self.by_row_shape), axis=0).transpose(1, 0, 2, 3)
            out = np.ascontiguousarray(out)
        out = out.reshape(self.out_shape)
        if bias is not None:
            out += repeated_bias(bias, self.out_shape)
        if relu:
            np.maximum(out, 0, out=out)
        return out

    def _pad(self, x: Array) -> Array:
        assert self.padded is not None
        room = np.zeros(self.room, x.dtype)
        padded: Array = np.ndarray(self.padded.shape, x.dtype, room, 0, self.padded.strides)
        padded[self.place] = x[self.inner]
        return room


@lru_cache(maxsize=1024)
def single_product(
    shape: tuple[int, ...],
    contiguous: bool,
    itemsize: int,
    out_shape: tuple[int, int, int, int],
    window: Window,
) -> SingleProduct | None:
    """Return how to do a convolution at once, or None where tiles or threads are due.

    Arguments as for `Plan`, which has the shapes.
    """
    plan = plan_for(shape, contiguous, itemsize, out_shape, window, True)
    if plan.cost >= GRAIN or plan.layout.pitch:
        return None
    cut = plan.cut((0, out_shape[0]), (0, out_shape[1]))
    tiles = list(cut.tiles)
    return SingleProduct(plan, tiles[0], cut.reads_input) if len(tiles) == 1 else None
