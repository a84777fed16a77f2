"""Windows as the rows of a matrix: a convolution is a product once they are copied (im2col).

That matrix is as many times the input as a window has elements, so it is made tile by tile and
stays in the cache until the product has read it. There are three ways to lay it out, and a window
of one element needs no copy; `choose_matrix` compares estimates. Arrays are (N, *sizes, C) here,
weights (*kernel, C, O).
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.kernels.conv.products import multiply_rows, product_cost, sum_of_products
from tinygrad_cnn.kernels.conv.tiles import (
    ONE,
    Blocks,
    Geometry,
    Tile,
    TileInput,
    Tiling,
    View,
    as_blocks,
)
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import contiguous
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = [
    "BandMatrix",
    "Gatherer",
    "MatrixPlan",
    "PixelMatrix",
    "RowMatrix",
    "TapMatrix",
    "WindowMatrix",
    "choose_matrix",
    "matrix_plan",
    "possible_matrices",
]


class WindowMatrix:
    """One row for each output: its window, (taps · C) values.

    Rows have the order of the outputs; with a `block`, where each block of outputs becomes one
    number, first that of their places in the block: (height, width, n, rows of blocks, …).

    Attributes
    ----------
    span
        Outputs that share a row.
    depth, columns
        Values of a row, and results made of it.
    copied, made
        Values that are copied for a row, and products of which its results are made.
    cost
        An estimate in ns for each output.
    """

    span = 1

    def __init__(self, geometry: Geometry, block: Pair = ONE) -> None:
        self.geometry, self.window, self.block = geometry, geometry.window, block
        self.taps = self.window.kernel
        """Elements of the input that a row covers, along each axis."""
        self.channels, self.out_channels = geometry.shape[-1], geometry.out_shape[-1]
        self._known: dict[Pair, tuple[Blocks, View]] = {}
        self._set_sizes()

    def _set_sizes(self) -> None:
        self.depth = math.prod(self.taps) * self.channels
        self.columns = self.span * self.out_channels
        self.copied, self.made = self.depth, self.columns
        self.cost = self._cost() / self.span

    def _cost(self) -> float:
        """Estimate the ns of a row."""
        return self._copy_cost() + product_cost(self.depth, self.columns)

    def _copy_cost(self) -> float:
        """Estimate the ns to copy a row, in blocks of memory, see `copies`."""
        blocks, block = math.prod(self.taps[:-1]), self.taps[-1] * self.channels
        return blocks * (1.5 + 0.115 * block)

    def lines(self, rows: int) -> int:
        """Count how many times the outputs of a row are copied for so many rows of outputs."""
        return rows

    def view(self, n: int, rows: int, strides: tuple[int, ...]) -> View:
        """Lay the windows of n images, so many rows of outputs, over an input of these strides."""
        places, steps = self._places(n, rows, strides)
        taps, tap_steps = self._taps(strides)
        return View(places + taps, steps + tap_steps)

    def _places(self, n: int, rows: int, strides: tuple[int, ...]) -> View:
        sizes = rows, *self.geometry.out_shape[2:-1]
        steps = tuple(a * b for a, b in zip(self.window.stride, strides[1:], strict=False))
        if self.block == ONE:
            return View((n, *sizes), (strides[0], *steps))
        height, width = self.block
        return View(
            (height, width, n, sizes[0] // height, sizes[1] // width),
            (*steps, strides[0], height * steps[0], width * steps[1]),
        )

    def _taps(self, strides: tuple[int, ...]) -> View:
        steps = (a * b for a, b in zip(self.window.dilation, strides[1:], strict=False))
        return View((*self.taps, self.channels), (*steps, strides[-1]))

    def gather(self, source: TileInput, n: int, rows: int, buffer: Array) -> Array:
        """Copy the windows of a tile to the buffer, and return them as a matrix (rows, depth)."""
        known = self._known.get((n, rows))
        if known is None:  # a plan's tiles have two sizes or three
            known = self._known[n, rows] = self._layout(source.tiling, n, rows)
        (shape, strides, dtype), (matrix, steps) = known
        copy: Array = np.ndarray(shape, dtype, buffer)
        copy[...] = source.view(shape, strides, dtype)
        return np.ndarray(matrix, buffer.dtype, buffer, 0, steps)

    def _layout(self, tiling: Tiling, n: int, rows: int) -> tuple[Blocks, View]:
        view, itemsize = (
            self.view(n, rows, tiling.input_strides(rows)),
            self.geometry.dtype.itemsize,
        )
        shape, steps = self._matrix(view.shape)
        strides = tuple(itemsize * values for values in steps)
        return as_blocks(view, itemsize), View(shape, strides)

    def _matrix(self, copy: tuple[int, ...]) -> View:
        """Lay the matrix over a copy of this shape; strides count values."""
        return View((math.prod(copy) // self.depth, self.depth), (self.depth, 1))

    def spread(self, w: Array) -> Array:
        """Arrange weights (*kernel, C, O) as the matrix (depth, columns) that rows multiply."""
        if w.flags.c_contiguous:  # as those that are kept for inference are
            return w.reshape(self.depth, self.columns)
        spread = aligned_empty(w.shape, w.dtype)
        spread[...] = w
        return spread.reshape(self.depth, self.columns)

    def fold(self, total: Array) -> Array:
        """Add up what `spread` spread, its adjoint: (depth, columns) to (*kernel, C, O)."""
        return total.reshape(*self.window.kernel, self.channels, self.out_channels)

    def multiply(self, rows: Array, weights: Array, out: Array) -> None:
        """Write rows times spread weights to `out` (n, *out sizes, O), C-contiguous."""
        multiply_rows(rows, weights, out=out.reshape(-1, self.columns))

    def sum(self, rows: Array, g: Array) -> Array:
        """Sum rows times gradients `g` (n, *out sizes, O) over the positions: (depth, columns)."""
        return sum_of_products(rows, g.reshape(len(rows), self.columns))


class PixelMatrix(WindowMatrix):
    """Windows of one element, side by side: the input is its own matrix."""

    def _set_sizes(self) -> None:
        super()._set_sizes()
        self.copied = 0

    def gather(self, source: TileInput, n: int, rows: int, _: Array) -> Array:
        """View the input as a matrix (rows, depth)."""
        positions = n * rows * math.prod(self.geometry.out_shape[2:-1])
        return source.view((positions, self.depth))

    @staticmethod
    def serves(geometry: Geometry) -> bool:
        """Whether the pixels of the input, cropped or padded, are the windows in order."""
        return geometry.window.taps == 1 == math.prod(geometry.window.stride)


class BandMatrix(WindowMatrix):
    """One row for several outputs side by side: what their windows cover, times a band of weights.

    The weights of each output stand in columns of their own, in the rows that its window covers,
    among zeros. Few channels make short rows and narrow products, which this makes longer.
    """

    def __init__(self, geometry: Geometry, span: int) -> None:
        self.span = span
        super().__init__(geometry)

    def _set_sizes(self) -> None:
        if self.span > 1:
            axis = len(self.window.kernel) - 1
            self.taps = (*self.window.kernel[:-1], self.window.extent(axis, self.span))
        super()._set_sizes()

    def _cost(self) -> float:
        once = tuning.SPREAD_WEIGHTS * self.span / self.geometry.positions
        return once + super()._cost()

    def _places(self, n: int, rows: int, strides: tuple[int, ...]) -> View:
        shape, steps = super()._places(n, rows, strides)
        return View((*shape[:-1], shape[-1] // self.span), (*steps[:-1], self.span * steps[-1]))

    def _taps(self, strides: tuple[int, ...]) -> View:
        shape, steps = super()._taps(strides)
        return View(shape, (*steps[:-2], strides[-2], steps[-1]) if self.span > 1 else steps)

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

    def spread(self, w: Array) -> Array:
        """Arrange weights (*kernel, C, O) as a band matrix (depth, span · O)."""
        spread = np.zeros((*self.taps, self.channels, self.span, self.out_channels), w.dtype)
        self._band(spread)[...] = w
        return spread.reshape(-1, self.columns)

    def fold(self, total: Array) -> Array:
        """Add up what `spread` spread, its adjoint: (depth, span · O) to (*kernel, C, O)."""
        if self.span == 1:
            return super().fold(total)
        shape = *self.taps, self.channels, self.span, self.out_channels
        spread = np.ascontiguousarray(total).reshape(shape)
        folded: Array = self._band(spread).sum(axis=0)
        return folded

    def sum(self, rows: Array, g: Array) -> Array:
        """Sum rows times gradients, the channels of a row's outputs side by side."""
        return super().sum(rows, contiguous(g))


class RowMatrix(BandMatrix):
    """What windows cover of one row of the input at a time: KH products, which are added up.

    Each row is copied once, where windows that overlap by rows copy it KH times. The matrix of a
    tile is a stack (KH, rows, depth) of views that overlap, its rows in the order of (row of
    outputs, image, …). The span may be 1.
    """

    def __init__(self, geometry: Geometry, span: int, sums: bool) -> None:
        self.sums = sums
        super().__init__(geometry, span)

    def _set_sizes(self) -> None:
        super()._set_sizes()
        self.height = self.taps[0]
        self.depth = self.copied = self.depth // self.height
        self.made = self.height * self.columns
        self.cost = self._cost() / self.span

    def _cost(self) -> float:
        rows = self.geometry.out_shape[1]
        copies = self.lines(rows) / rows * self._copy_cost() / self.taps[0]
        product = product_cost(self.depth, self.columns)
        # For gradients of weights nothing is added: each product belongs to weights of its own.
        product += 0.0 if self.sums else tuning.ADD_PRODUCT * self.columns
        once = (1 if self.span == 1 else 2) * tuning.SPREAD_WEIGHTS
        return once * self.span / self.geometry.positions + copies + self.taps[0] * product

    def lines(self, rows: int) -> int:
        """Count the rows of the input that so many rows of outputs read."""
        return self.window.extent(0, rows)

    def view(self, n: int, rows: int, strides: tuple[int, ...]) -> View:
        """Lay what is copied over an input: of each of its rows what rows of the matrix cover."""
        (_, _, *across), (image, _, *steps) = self._places(n, rows, strides)
        (_, *taps), (_, *tap_steps) = self._taps(strides)
        shape = self.lines(rows), n, *across, *taps
        return View(shape, (strides[1], image, *steps, *tap_steps))

    def _matrix(self, copy: tuple[int, ...]) -> View:
        lines, line = copy[0], math.prod(copy[1:])
        rows = (lines + 1 - self.window.extent(0)) * line // self.depth
        steps = self.window.dilation[0] * line, self.depth, 1
        return View((self.height, rows, self.depth), steps)

    def spread(self, w: Array) -> Array:
        """Arrange weights (*kernel, C, O) as one matrix for each product: (KH, depth, columns)."""
        spread = contiguous(w) if self.span == 1 else super().spread(w)
        return spread.reshape(self.height, self.depth, self.columns)

    def multiply(self, rows: Array, weights: Array, out: Array) -> None:
        """Write the sum of KH products to `out` (n, *out sizes, O), C-contiguous."""
        parts = np.empty((*rows.shape[:2], self.columns), out.dtype)
        for some, factor, part in zip(rows, weights, parts, strict=True):
            multiply_rows(some, factor, out=part)
        by_row = out.swapaxes(0, 1)
        total, *others, last = parts.reshape(self.height, *by_row.shape)
        for other in others:
            total += other
        np.add(total, last, out=by_row)

    def sum(self, rows: Array, g: Array) -> Array:
        """Sum rows times gradients over the positions: (KH, depth, columns)."""
        factor = contiguous(g.swapaxes(0, 1)).reshape(-1, self.columns)
        total = np.empty((self.height, self.depth, self.columns), g.dtype)
        for some, product in zip(rows, total, strict=True):
            product[...] = sum_of_products(some, factor)
        return total


class TapMatrix(WindowMatrix):
    """The matrix of windows of one channel, stored transposed: a line of memory for each tap.

    Lines of many outputs are copied quickly, windows of a few values are not.
    """

    def _cost(self) -> float:
        product = product_cost(self.depth, self.columns)
        if self.out_channels < tuning.NARROW:
            product = 0.035 * self.depth * self.columns
        return 6.5 * self.depth / self.geometry.out_shape[-2] + product

    def view(self, n: int, rows: int, strides: tuple[int, ...]) -> View:
        """Lay the windows over an input: tap by tap, all positions of each."""
        places, steps = self._places(n, rows, strides)
        taps, tap_steps = self._taps(strides)
        return View(taps + places, tap_steps + steps)

    def _matrix(self, copy: tuple[int, ...]) -> View:
        positions = math.prod(copy) // self.depth
        return View((positions, self.depth), (1, positions))

    def sum(self, rows: Array, g: Array) -> Array:
        """Sum rows times gradients: the lines of taps stand left, as they lie in memory."""
        return sum_of_products(rows, g.reshape(len(rows), self.columns), left_first=True)

    def spread(self, w: Array) -> Array:
        """Arrange weights: BLAS reads a few columns as quickly where they are transposed."""
        if self.out_channels < tuning.NARROW:
            return w.reshape(self.depth, self.columns)
        return super().spread(w)


def choose_matrix(geometry: Geometry, sums: bool, block: Pair) -> WindowMatrix:
    """Choose the cheapest layout: the numbers of channels and the sizes decide.

    With `sums` for the gradient of the weights.
    """
    return min(possible_matrices(geometry, sums, block), key=lambda matrix: matrix.cost)


def possible_matrices(geometry: Geometry, sums: bool, block: Pair) -> list[WindowMatrix]:
    """Return the layouts that `choose_matrix` chooses from."""
    if PixelMatrix.serves(geometry) and block == ONE:
        return [PixelMatrix(geometry)]
    choices = [WindowMatrix(geometry, block)]
    if geometry.shape[-1] == 1:
        choices.append(TapMatrix(geometry, block))
    if block != ONE:
        return choices
    width = geometry.out_shape[-2]
    spans = [span for span in range(1, min(width, 16) + 1) if width % span == 0]
    choices += [BandMatrix(geometry, span) for span in spans[1:]]
    if geometry.window.kernel[0] > 1 and geometry.window.stride[0] == 1:
        choices += [RowMatrix(geometry, span, sums) for span in spans]
    return choices


class MatrixPlan:
    """A convolution as products of matrices: the layout of the windows, and the tiles.

    `cost` is an estimate in ns, `multiplications` counts BLAS's.
    """

    def __init__(self, geometry: Geometry, sums: bool, block: Pair) -> None:
        self.geometry = geometry
        self.matrix = matrix = choose_matrix(geometry, sums, block)
        tile_bytes = tuning.TILE_BYTES if sums else 2 * tuning.TILE_BYTES
        across = math.prod(geometry.out_shape[2:-1]) // matrix.span
        self.row_copies = across * matrix.copied
        row_values = self.row_copies + across * matrix.made
        gapless = isinstance(matrix, PixelMatrix)
        self.tiling = Tiling(geometry, row_values, tile_bytes, block[0], gapless)
        self.cost = matrix.cost * geometry.positions
        products = matrix.depth * matrix.columns * matrix.made // matrix.columns
        self.multiplications = geometry.positions // matrix.span * products

    def buffer_size(self, n: int, rows: int) -> int:
        """Return how many values are copied for n images, so many rows of outputs."""
        return n * self.matrix.lines(rows) * self.row_copies


@planned
def matrix_plan(geometry: Geometry, sums: bool, block: Pair = ONE) -> MatrixPlan:
    """Plan a convolution, or with `sums` the gradient of its weights.

    `block` is the height and width of blocks of outputs that become one number each.
    """
    return MatrixPlan(geometry, sums, block)


class Gatherer:
    """Makes the matrix of windows of one tile after another, in a buffer that it uses again.

    Each thread needs one of its own, for the images and rows that it does.
    """

    def __init__(self, x: Array, plan: MatrixPlan, images: Pair, rows: Pair) -> None:
        n, tile_rows = plan.tiling.sizes(images, rows)
        self.plan = plan
        self.input = TileInput(x, plan.tiling, n, tile_rows)
        self.buffer = aligned_empty((plan.buffer_size(n, tile_rows),), x.dtype)

    def rows(self, tile: Tile) -> Array:
        """Return the matrix (rows, depth) of a tile, which is there until the next one's."""
        self.input.load(tile)
        images, rows = tile
        sizes = images.stop - images.start, rows.stop - rows.start
        return self.plan.matrix.gather(self.input, *sizes, self.buffer)
