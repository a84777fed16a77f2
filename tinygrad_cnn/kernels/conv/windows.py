"""Windows as the rows of a matrix: a convolution is a product once they are copied (im2col).

That matrix is as many times the input as a window has elements, so it is made tile by tile and
stays in the cache until the product has read it. There are three ways to lay it out, of which
`quickest_matrix` compares estimates. Arrays are (N, *sizes, C) here, weights (*kernel, C, O).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue, add_and_activate, along_a_row
from tinygrad_cnn.kernels.conv.jobs import Method
from tinygrad_cnn.kernels.conv.products import multiply_rows, product_cost, sum_of_products
from tinygrad_cnn.kernels.conv.tiles import ONE, Geometry, Part, Tile, TileInput, Tiling
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.kernels.runtime.copies import blocks_within, contiguous
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.rows import Activation
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array, Shape

__all__ = ["WindowMatrix", "as_blocks", "possible_matrices", "quickest_matrix", "small_matrix"]


class WindowMatrix(Method):
    """One row for each output: its window, (taps · C) values.

    Rows have the order of the outputs; with a block, where each block of outputs becomes one
    number, first that of their places in the block: (height, width, n, rows of blocks, …). Pixels
    side by side, windows of one element, are their own matrix and are not copied.

    A row has `depth` values, the `taps` along each axis for all channels, and makes `columns`
    results, those of `span` outputs. For a row of outputs, `copied` values are copied.
    """

    taps_first = False
    """Whether the matrix is stored transposed."""

    def __init__(self, geometry: Geometry, sums: bool, span: int = 1) -> None:
        self.geometry, self.span, self._sums = geometry, span, sums
        self.channels, self.out_channels = geometry.shape[-1], geometry.out_shape[-1]
        self.window = window = geometry.window
        self.taps, self._tap_steps = window.kernel, window.dilation
        if span > 1:  # without gaps along the last axis
            last = len(window.kernel) - 1
            self.taps = *window.kernel[:-1], window.extent(last, span)
            self._tap_steps = *window.dilation[:-1], 1
        self._place_steps = *window.stride[:-1], span * window.stride[-1]
        self._across = *geometry.out_shape[2:-2], geometry.out_shape[-2] // span
        self.depth = math.prod(self.taps) * self.channels
        self.columns = span * self.out_channels
        rows = geometry.positions // span
        self.cost = rows * self._row_cost()
        self.multiplications = rows * self.depth * self.columns
        is_alone = window.taps == 1 == math.prod(window.stride)
        self.is_input = is_alone and geometry.block == ONE
        self.copied = 0 if self.is_input else math.prod(self._across) * self.depth
        self._layouts: dict[Pair, tuple[int, Shape, Shape, np.dtype[Any]]] = {}

    def _row_cost(self) -> float:
        """Estimate the ns of a row: to copy it in blocks of memory, and its product."""
        blocks, block = math.prod(self.taps[:-1]), self.taps[-1] * self.channels
        return blocks * (1.5 + 0.115 * block) + product_cost(self.depth, self.columns)

    @cached_property
    def tiling(self) -> Tiling:
        """The tiles: windows, products and padded input of one fit in the cache."""
        results = math.prod(self.geometry.out_shape[2:])
        tile_bytes = tuning.TILE_BYTES if self._sums else 2 * tuning.TILE_BYTES
        return Tiling(self.geometry, self.copied + results, tile_bytes, gapless=self.is_input)

    def view(self, n: int, rows: int, strides: Shape) -> tuple[Shape, Shape]:
        """Lay the windows of n images, so many rows of outputs, over an input of these strides.

        Returns the shape and the strides.
        """
        image, *axes, value = strides
        steps = [a * b for a, b in zip(self._place_steps, axes, strict=True)]
        taps = *self.taps, self.channels
        tap_steps = *(a * b for a, b in zip(self._tap_steps, axes, strict=True)), value
        places: Shape = n, rows, *self._across
        steps = [image, *steps]
        if self.geometry.block != ONE:
            (height, width), (down, across) = self.geometry.block, steps[1:]
            places = height, width, n, rows // height, self._across[0] // width
            steps = [down, across, image, height * down, width * across]
        if self.taps_first:
            return taps + places, (*tap_steps, *steps)
        return places + taps, (*steps, *tap_steps)

    def gather(self, source: TileInput, tile: Tile, buffer: Array) -> Array:
        """Copy the windows of a tile to the buffer, and return them as a matrix (rows, depth)."""
        images, rows = tile
        sizes = images.stop - images.start, rows.stop - rows.start
        layout = self._layouts.get(sizes)
        if layout is None:  # a plan's tiles have two sizes or three
            count = math.prod(sizes) * math.prod(self._across)
            view = self.view(*sizes, source.tiling.strides)
            layout = self._layouts[sizes] = (count, *as_blocks(*view, buffer.itemsize))
        count, shape, strides, dtype = layout
        if self.is_input:
            return source.view((count, self.depth))
        copy: Array = np.ndarray(shape, dtype, buffer)
        copy[...] = source.view(shape, strides, dtype)
        if self.taps_first:
            return np.ndarray((self.depth, count), buffer.dtype, buffer).T
        return np.ndarray((count, self.depth), buffer.dtype, buffer)

    def matrices(self, x: Array, part: Part) -> Iterator[tuple[Tile, Array]]:
        """Yield each tile with its matrix of windows, which is there until the next one's."""
        size = math.prod(self.tiling.sizes(part)) * self.copied
        buffer = aligned_empty((size,), x.dtype)
        for tile, source in self.tiling.inputs(x, part):
            yield tile, self.gather(source, tile, buffer)

    def prepare(self, w: Array) -> Array:
        """Arrange weights (*kernel, C, O) as the matrix (depth, columns) that rows multiply."""
        if w.flags.c_contiguous:  # as those that are kept for inference are
            return w.reshape(self.depth, self.columns)
        spread = aligned_empty(w.shape, w.dtype)
        spread[...] = w
        return spread.reshape(self.depth, self.columns)

    def correlate(self, x: Array, weights: Array, epilogue: Epilogue, part: Part) -> None:
        """Write the products of one tile after another."""
        for tile, matrix in self.matrices(x, part):
            with epilogue.results(tile, by_place=True) as made:
                multiply_rows(matrix, weights, out=made.reshape(-1, self.columns))

    def sum(self, matrix: Array, g: Array) -> Array:
        """Sum rows times gradients `g` (n, *out sizes, O) over the positions: (depth, columns)."""
        if self.span > 1:
            g = contiguous(g)  # the channels of a row's outputs side by side
        return sum_of_products(matrix, g.reshape(len(matrix), self.columns), self.taps_first)

    def sums(self, x: Array, g: Array, part: Part) -> Iterator[Array]:
        """Yield the products (depth, columns) of one tile after another."""
        for tile, matrix in self.matrices(x, part):
            yield self.sum(matrix, g[tile])

    def fold(self, total: Array) -> Array:
        """View a sum as weights: (depth, columns) as (*kernel, C, O)."""
        return total.reshape(*self.window.kernel, self.channels, self.out_channels)

    # Small convolutions are one tile, done in the calling thread: with one small image the
    # arithmetic takes 2 µs, and jobs and threads would take 8.

    def _whole(self, x: Array) -> Array:
        """Return the matrix of all windows."""
        N, rows = self.geometry.out_shape[:2]
        tile = slice(0, N), slice(0, rows)
        source = TileInput(x, self.tiling, N, rows)
        source.load(tile)
        return self.gather(source, tile, np.empty(N * rows * self.copied, x.dtype))

    def correlate_small(
        self,
        x: Array,
        w: Array,
        bias: Array | None = None,
        activation: Activation | None = None,
        addend: Array | None = None,
    ) -> Array:
        """Return all results (N, *out sizes, O), or the maxima of their blocks."""
        rows, weights, block = self._whole(x), self.prepare(w), self.geometry.block
        out: Array
        if self.multiplications <= tuning.BLAS_ALONE:
            out = np.dot(rows, weights)
        else:
            out = np.empty((len(rows), self.columns), x.dtype)
            with single_threaded_blas():
                multiply_rows(rows, weights, out=out)
        N, *sizes, out_channels = self.geometry.out_shape
        if block == ONE:
            out = out.reshape(self.geometry.out_shape)
        else:
            OH, OW = sizes
            out = out.reshape(-1, N, OH // block[0], OW // block[1], out_channels).max(axis=0)
        if bias is not None or activation is not None or addend is not None:
            row = None if bias is None else along_a_row(bias, out.shape)
            add_and_activate(out, row, activation, addend)
        return out

    def sum_small(self, x: Array, g: Array) -> Array:
        """Return the whole sum (*kernel, C, O)."""
        is_alone = self.multiplications <= tuning.BLAS_ALONE
        with nullcontext() if is_alone else single_threaded_blas():
            return self.fold(self.sum(self._whole(x), g))


def as_blocks(shape: Shape, strides: Shape, itemsize: int) -> tuple[Shape, Shape, np.dtype[Any]]:
    """Return how to copy a view to memory without gaps: what lies together is one value."""
    axes, size = blocks_within(shape, itemsize, strides, strides)
    is_number = axes == len(shape) and size <= 8
    dtype = np.dtype(f"u{size}" if is_number else f"V{size}")
    return shape[:axes], strides[:axes], dtype


class BandMatrix(WindowMatrix):
    """One row for several outputs side by side: what their windows cover, times a band of weights.

    The weights of each output are in columns of their own, in the rows that its window covers,
    among zeros. Few channels make short rows and narrow products, which this makes longer.
    """

    def _row_cost(self) -> float:
        once = tuning.SPREAD_WEIGHTS * self.span / self.geometry.positions
        return once + super()._row_cost()

    def _band(self, spread: Array) -> Array:
        """View the places in (*taps, C, span, O) that hold weights: (span, *kernel, C, O)."""
        *rows, column, channel, output, _ = spread.strides
        steps = (*rows, self.window.dilation[-1] * column, channel, spread.itemsize)
        return np.ndarray(
            (self.span, *self.window.kernel, self.channels, self.out_channels),
            spread.dtype,
            spread,
            strides=(output + self.window.stride[-1] * column, *steps),
        )

    def prepare(self, w: Array) -> Array:
        """Arrange weights (*kernel, C, O) as a band matrix (depth, span · O)."""
        spread = np.zeros((*self.taps, self.channels, self.span, self.out_channels), w.dtype)
        self._band(spread)[...] = w
        return spread.reshape(-1, self.columns)

    def fold(self, total: Array) -> Array:
        """Add up what `prepare` spread, its adjoint: (depth, span · O) to (*kernel, C, O)."""
        shape = *self.taps, self.channels, self.span, self.out_channels
        folded: Array = self._band(np.ascontiguousarray(total).reshape(shape)).sum(axis=0)
        return folded


class TapMatrix(WindowMatrix):
    """The matrix of windows of one channel, stored transposed: a line of memory for each tap.

    Lines of many outputs are copied quickly, windows of a few values are not.
    """

    taps_first = True

    def _row_cost(self) -> float:
        product = product_cost(self.depth, self.columns)
        if self.out_channels < tuning.NARROW:
            product = 0.035 * self.depth * self.columns
        return 6.5 * self.depth / self.geometry.out_shape[-2] + product

    def prepare(self, w: Array) -> Array:
        """Arrange weights: BLAS reads a few columns as quickly where they are transposed."""
        if self.out_channels < tuning.NARROW:
            return w.reshape(self.depth, self.columns)
        return super().prepare(w)


@planned
def quickest_matrix(geometry: Geometry, sums: bool) -> WindowMatrix:
    """Return the cheapest layout, by the numbers of channels and the sizes.

    With `sums` for the gradient of the weights.
    """
    return min(possible_matrices(geometry, sums), key=lambda matrix: matrix.cost)


def possible_matrices(geometry: Geometry, sums: bool) -> list[WindowMatrix]:
    """Return the layouts that `quickest_matrix` chooses from."""
    plain = WindowMatrix(geometry, sums)
    if plain.is_input:
        return [plain]
    choices = [plain]
    if geometry.shape[-1] == 1:
        choices.append(TapMatrix(geometry, sums))
    if geometry.block == ONE:
        width = geometry.out_shape[-2]
        spans = [span for span in range(2, min(width, 16) + 1) if width % span == 0]
        choices += [BandMatrix(geometry, sums, span) for span in spans]
    return choices


@planned
def small_matrix(geometry: Geometry, sums: bool) -> WindowMatrix | None:
    """Return the layout for a convolution to be done at once, None where tiles are due."""
    if 0 in geometry.out_shape:
        return None
    matrix = quickest_matrix(geometry, sums)
    N, rows = geometry.out_shape[:2]
    is_one_tile = matrix.tiling.sizes(((0, N), (0, rows))) == (N, rows)
    return matrix if is_one_tile and matrix.cost < tuning.JOB_GRAIN else None
