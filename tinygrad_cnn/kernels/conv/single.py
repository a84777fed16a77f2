"""Small convolutions: one tile, in the calling thread.

With one small image the arithmetic takes 2 µs and the bookkeeping of jobs and threads took 8, so
here it is done once for each geometry: (1, 1, 28, 28) by (8, 1, 3, 3) 11.8 µs -> 6.5.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.correlation import add_and_rectify, multiply, sum_over_positions
from tinygrad_cnn.kernels.conv.jobs import is_for_one_thread
from tinygrad_cnn.kernels.conv.layouts import fold_weights, repeated_bias, spread_weights
from tinygrad_cnn.kernels.conv.windows import Cut, ProductPlan, View, matrix_of, padded_input
from tinygrad_cnn.kernels.pool.planes import FEW_CHANNELS
from tinygrad_cnn.kernels.runtime.rows import rectify
from tinygrad_cnn.kernels.runtime.threads import BLAS_ALONE, single_threaded_blas

__all__ = ["SingleProduct", "SingleSum", "single_product", "single_sum"]

Array = npt.NDArray[Any]


class _Single:
    """What is known of a convolution of one tile before it gets its arrays."""

    def __init__(self, plan: ProductPlan) -> None:
        N, OH, OW, out_channels = plan.out_shape
        height, width = plan.block
        self.out_shape = height * width, N, OH // height, OW // width, out_channels
        self.window, self.layout = plan.window, plan.layout
        self.cut = _whole(plan)
        (self.tile,) = self.cut.tiles
        alone = plan.multiplications <= BLAS_ALONE
        self.is_one_product = alone and not plan.layout.by_row
        self.blas = nullcontext() if alone else single_threaded_blas

    def columns(self, x: Array) -> Array:
        """Lay out the windows of `x` (N, H, W, C), as `Gatherer.columns` does."""
        cut, tile = self.cut, self.tile
        source = x if cut.reads_input else padded_input(x, cut, tile)
        gathered: Array | None = None
        if cut.copies:
            shape, strides, dtype = tile.blocks
            gathered = np.empty(shape, dtype)
            gathered[...] = np.ndarray(shape, dtype, source, tile.offset, strides)
        return matrix_of(tile, source, gathered, x.dtype)


class SingleProduct(_Single):
    """A convolution of one tile."""

    def __call__(
        self, x: Array, w: Array, bias: Array | None, relu: bool, addend: Array | None = None
    ) -> Array:
        """Correlate `x` (N, H, W, C) with `w` (KH, KW, C, O), add bias and addend, apply the ReLU.

        Returns (BH·BW, N, OH / BH, OW / BW, O), with the height and width of `Plan.block`.
        """
        columns = self.columns(x)
        weights = spread_weights(w, self.window, self.layout)
        if self.is_one_product:  # 0.8 µs less than `multiply`
            out: Array = np.matmul(columns, weights).reshape(self.out_shape)
        else:
            out = np.empty(self.out_shape, x.dtype)
            with self.blas:
                multiply(columns, weights, self.layout, out.reshape(-1, *self.out_shape[2:]))
        if bias is not None or relu or addend is not None:
            repeated = None if bias is None else repeated_bias(bias, self.out_shape)
            add_and_rectify(out, repeated, relu, addend)
        return out


# Rows of all positions fill registers, rows of a few channels do not, neither here nor after it:
# (32, 1, 32, 32) by (4, 1, 3, 3), stride 2, product and bias 52 µs -> 28, flattening 22 -> 9.
class ChannelsFirstProduct(SingleProduct):
    """A convolution of one tile, from one channel to a few, whose result has them first in memory.

    Where the windows are laid out by tap, (taps, positions), weights (O, taps) stand on the left.
    """

    def __init__(self, plan: ProductPlan) -> None:
        super().__init__(plan)
        places, *sizes, out_channels = self.out_shape
        self.memory_shape = places, out_channels, *sizes
        (_, positions, taps), (_, along, across) = self.tile.matrix
        positions //= places
        by_place = View((places, taps, positions), (positions * along, across, along))
        self.tile = self.tile._replace(matrix=by_place)

    def __call__(
        self, x: Array, w: Array, bias: Array | None, relu: bool, addend: Array | None = None
    ) -> Array:
        """Do as `SingleProduct` does. The result lies in memory as (BH·BW, O, N, …)."""
        weights = w.transpose(3, 0, 1, 2).reshape(w.shape[3], -1)
        with self.blas:
            rows: Array = np.matmul(weights, self.columns(x))  # (BH·BW, O, positions)
        if bias is not None:
            np.add(rows, bias[:, None], out=rows)
        out = rows.reshape(self.memory_shape).transpose(0, 2, 3, 4, 1)
        if addend is not None:
            out += addend
        if relu:
            rectify(rows, rows)
        return out


class SingleSum(_Single):
    """The weight's gradient of a convolution of one tile."""

    def __call__(self, x: Array, g: Array) -> Array:
        """Sum windows of `x` (N, H, W, C) times `g` (N, OH, OW, O) over the positions.

        Returns (KH, KW, C, O).
        """
        columns = self.columns(x)
        with self.blas:
            total = sum_over_positions(columns, g, self.layout)
        return fold_weights(total, (x.shape[3], g.shape[3]), self.window, self.layout)


def _whole(plan: ProductPlan) -> Cut:
    N, OH = plan.out_shape[:2]
    return plan.cut((0, N), (0, OH))


def _is_single(plan: ProductPlan) -> bool:
    """Whether neither tiles nor threads are due."""
    small = is_for_one_thread(plan.cost) and not plan.layout.pitch
    return small and len(list(_whole(plan).tiles)) == 1


@lru_cache(maxsize=1024)
def single_product(plan: ProductPlan) -> SingleProduct | None:
    """Return how to do a convolution at once, or None where tiles or threads are due."""
    if not _is_single(plan):
        return None
    are_few = plan.layout.by_tap and plan.out_shape[3] <= FEW_CHANNELS
    return ChannelsFirstProduct(plan) if are_few else SingleProduct(plan)


@lru_cache(maxsize=1024)
def single_sum(plan: ProductPlan) -> SingleSum | None:
    """Return how to do a weight's gradient at once, as `single_product`."""
    return SingleSum(plan) if _is_single(plan) else None
