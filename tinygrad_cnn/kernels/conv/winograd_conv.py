"""Convolutions by minimal filtering: transform rows, multiply at each point, transform back.

The jobs stand in for those of `correlation`; `winograd` explains the method. Arrays are
(N, H, W, C) here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job, SumJob
from tinygrad_cnn.kernels.conv.winograd import WinogradPlan
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.threads import matmul
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["PointRows", "WinogradCorrelation", "WinogradWeightGradient"]


class PointRows:
    """Rows at the n points for one tile after another, in a buffer that is used again.

    A tile has up to `images` images, `lines` rows each.
    """

    def __init__(self, plan: WinogradPlan, images: int, lines: int, channels: int) -> None:
        self.plan, self.images, self.lines, self.channels = plan, images, lines, channels
        phases, each = plan.phases(images * lines)
        # Each phase ends in a window, and begins a position later than the one before.
        length = phases * (each + 1) + plan.geometry.window.kernel[1]
        self.memory = aligned_empty((plan.points, length, channels), plan.geometry.dtype)

    def clear_around(self, first: int, columns: int) -> None:
        """Set to 0 what `rows` leaves out, once for all tiles."""
        positions = self.images * self.lines * self.plan.pitch
        used = self.memory[:, :positions]
        used = used.reshape(len(used), -1, self.plan.pitch, self.channels)
        used[:, :, :first] = 0
        used[:, :, first + columns :] = 0
        self.memory[:, positions:] = 0

    def clear_behind(self, images: int) -> None:
        """Set to 0 what a tile of fewer images leaves out."""
        self.memory[:, images * self.lines * self.plan.pitch :] = 0

    def rows(self, first: int, columns: int) -> Array:
        """View `columns` positions of each row, from `first` on: (images, lines, n, columns·C)."""
        point, position, channel = self.memory.strides
        row = self.plan.pitch * position
        return np.ndarray(
            (self.images, self.lines, self.plan.points, columns * self.channels),
            self.memory.dtype,
            self.memory,
            first * position,
            (self.lines * row, row, point, channel),
        )

    def phases(self, images: int, width: int) -> Array:
        """View `width` values from every so-many-th position of so many images on.

        Returns (n, phases, each, width), see `WinogradPlan.phases`.
        """
        phases, each = self.plan.phases(images * self.lines)
        point, position, channel = self.memory.strides
        return np.ndarray(
            (self.plan.points, phases, each, width),
            self.memory.dtype,
            self.memory,
            0,
            (point, position, phases * position, channel),
        )


class _Product(NamedTuple):
    """``target = matrix @ source`` for all images: (P, n), (N, T, n, W) and (N, T, P, W)."""

    matrix: Array
    source: Array
    target: Array


class _Transformed(PointRows):
    """Rows at the points, made of images `x` (N, H, W, C) with zeros around.

    The first row of the tile reads the input from row `first` on; columns begin at `left`.
    """

    def __init__(
        self,
        plan: WinogradPlan,
        matrix: Array,
        x: Array,
        images: int,
        lines: int,
        first: int,
        left: int,
    ) -> None:
        _, H, W, C = x.shape
        super().__init__(plan, images, lines, C)
        self.clear_around(left, W)
        self.x = x
        # In one piece of memory: the images themselves, or copies of a tile's.
        self.is_copied = not x.flags.c_contiguous
        self.source = aligned_empty((images, H, W, C), x.dtype) if self.is_copied else x
        rows = self.rows(left, W)
        self.products = list(_transformation(matrix, self.source, first, plan.outputs, rows))

    def load(self, some: slice, here: slice) -> None:
        """Transform some of the images, which become those of the tile."""
        if self.is_copied:
            np.copyto(self.source[here], self.x[some])
            some = here
        for matrix, source, target in self.products:
            np.matmul(matrix, source[some], out=target[here])


def _transformation(
    matrix: Array, x: Array, first: int, step: int, target: Array
) -> Iterator[_Product]:
    """Yield what writes ``target[i, t] = matrix @ x[i, first + t·step : first + t·step + n]``.

    Rows outside of `x` are zeros. Shapes: matrix (P, n), x (N, H, W, C) C-contiguous, target
    (N, T, P, W·C).
    """
    N, H, W, C = x.shape
    row = W * C * x.itemsize  # strides of axes of length 1 may be any
    n, lines = matrix.shape[1], target.shape[1]
    t = 0
    while t < lines:
        start = first + t * step
        low, high = max(0, -start), max(0, min(n, H - start))
        # The same product serves all that lie inside.
        same = min(lines - t, (H - n - start) // step + 1) if high - low == n else 1
        if low >= high:  # a product of no columns is 0
            low = high = start = 0
        shape, strides = (N, same, high - low, W * C), (H * row, step * row, row, x.itemsize)
        rows: Array = np.ndarray(shape, x.dtype, x, (start + low) * row, strides)
        yield _Product(matrix[:, low:high], rows, target[:, t : t + same])
        t += same


def _transform_back(matrix: Array, source: Array, out: Array) -> None:
    """Write ``out = matrix @ source``, row by row.

    Shapes: matrix (m, n), source (N, T, n, W·O), out (N, H, W, O), C-contiguous; the last of the T
    rows may stand for fewer than m of H.
    """
    N, H, W, out_channels = out.shape
    m = len(matrix)
    for first, height in ((0, H // m * m), (H // m * m, H % m)):
        if height:
            lines, each = max(1, height // m), min(m, height)
            target = out[:, first : first + height].reshape(N, lines, each, W * out_channels)
            np.matmul(matrix[:each], source[:, first // m : first // m + lines], out=target)


class WinogradCorrelation(Job):
    """Windows of `x` times `w` (KH, KW, C, O), with what the epilogue does, into its `out`."""

    def __init__(self, plan: WinogradPlan, x: Array, w: Array, epilogue: Epilogue) -> None:
        super().__init__(epilogue.out.shape[1], plan.cost, plan.multiplications)
        self.plan, self.x, self.epilogue = plan, x, epilogue
        taps = np.ascontiguousarray(w).reshape(len(w), -1)
        self.weights = aligned_empty((plan.points, 1, plan.depth, w.shape[3]), x.dtype)
        matmul(plan.transforms.weights, taps, out=self.weights.reshape(plan.points, -1))

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these rows of results."""
        plan, matrices = self.plan, self.plan.transforms
        outputs = self.epilogue.begin(rows)
        for band, most in plan.bands(images, outputs.rows):
            size = most, plan.lines(band.stop - band.start)
            first = band.start - plan.top
            inputs = _Transformed(plan, matrices.inputs, self.x, *size, first, plan.left)
            products = PointRows(plan, *size, plan.out_channels)
            results = products.rows(0, plan.geometry.out_shape[2])
            for some, here in _tiles(images, most):
                inputs.load(some, here)
                windows = inputs.phases(here.stop, plan.depth)
                made = products.phases(here.stop, plan.out_channels)
                np.matmul(windows, self.weights, out=made)
                tile = some, band
                room = outputs.room(tile)
                _transform_back(matrices.outputs, results[here], room)
                outputs.finish(room, tile)


def _tiles(images: Pair, most: int) -> Iterator[tuple[slice, slice]]:
    """Yield the images of one tile after another: where they are in the batch, and in the tile."""
    for i in range(*images, most):
        j = min(i + most, images[1])
        yield slice(i, j), slice(0, j - i)


class WinogradWeightGradient(SumJob):
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, plan: WinogradPlan, x: Array, g: Array) -> None:
        super().__init__(g.shape[1], plan.cost, plan.multiplications)
        self.plan, self.x, self.g = plan, x, g

    def sums(self, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield the sums (n, O, KW·C) of one tile after another."""
        products = self._products(images, rows)
        yield np.add.reduce(next(products), 1)
        more = None
        for product in products:
            more = np.add.reduce(product, 1, out=more)
            yield more

    def _products(self, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield the products (n, phases, O, KW·C) of one tile after another."""
        plan, matrices = self.plan, self.plan.transforms
        for band, most in plan.bands(images, rows):
            size = most, plan.lines(band.stop - band.start)
            first = band.start - plan.top
            inputs = _Transformed(plan, matrices.inputs, self.x, *size, first, plan.left)
            gradients = _Transformed(plan, matrices.outputs.T, self.g[:, band], *size, 0, 0)
            buffer = None
            for some, here in _tiles(images, most):
                inputs.load(some, here)
                gradients.load(some, here)
                if here.stop < most:
                    gradients.clear_behind(here.stop)
                windows = inputs.phases(here.stop, plan.depth)
                factors = gradients.phases(here.stop, plan.out_channels).swapaxes(2, 3)
                shape = (*factors.shape[:3], plan.depth)
                if buffer is None:  # the tiles behind the first are no larger
                    buffer = aligned_empty(shape, self.x.dtype)
                made: Array = np.ndarray(shape, self.x.dtype, buffer)
                yield np.matmul(factors, windows, out=made)

    def result(self) -> Array:
        """Return the sum (KH, KW, C, O)."""
        total = self.total().reshape(self.plan.points, -1)  # (n, O·KW·C)
        taps = matmul(self.plan.transforms.weights.T, total)
        KH, KW = self.plan.geometry.window.kernel
        taps = taps.reshape(KH, self.g.shape[3], KW, self.x.shape[3])
        return taps.transpose(0, 2, 3, 1)
