"""Tiles: cut a convolution into parts that fit in the cache, and gather the windows of each.

A convolution is a matrix product once the window of each output position is a row of a matrix.
That matrix is KH·KW times the input, so it is never made for the whole batch: a `Gatherer`
makes the part of one tile (some images, or some rows of one image), which stays in the cache
until the product has read it.

What depends on shapes alone is worked out once, in a `Plan`: a network asks for the same few over
and over, and with one small image the arithmetic took longer than the product.

Arrays are (N, H, W, C) here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.layouts import SLACK, Layout, Window, choose_layout
from tinygrad_cnn.kernels.conv.products import unpacked_parts
from tinygrad_cnn.kernels.conv.program import Calls, Scratch, clear
from tinygrad_cnn.kernels.runtime.copies import block_type, blocks_within, copy_into
from tinygrad_cnn.kernels.runtime.threads import part_size

__all__ = [
    "Cut",
    "Gatherer",
    "InputTiles",
    "Plan",
    "ProductPlan",
    "Tile",
    "View",
    "matrix_of",
    "padded_input",
    "plan_of",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Shape = tuple[int, ...]

# Columns, products and padded input of a tile together. Threads wait for the interpreter's lock
# between tiles: (128, 16, 32, 32) → 16, 3×3, two threads, takes 9.7 ms in tiles of 256 KB and 5.0
# in tiles of 2 MB. Products have tiles of twice the size: the MNIST example's inference 10.9 ms
# -> 10.2, ResNet-20's 94 -> 91; with weight gradients too, its step 376 ms -> 386.
_TILE_BYTES = 1 << 21
# Tiles of a range that are kept; the many of a large range are cheap beside the work on each.
_MOST_KEPT = 16


class View(NamedTuple):
    """Shape and strides (bytes) of an array in somebody's memory."""

    shape: Shape
    strides: Shape


class Blocks(NamedTuple):
    """Windows as they are copied: what lies together in memory is one value of this dtype."""

    shape: Shape
    strides: Shape
    dtype: np.dtype[Any]


class Tile(NamedTuple):
    """Some images, and some output rows of theirs."""

    outputs: tuple[slice, slice]
    """Images and output rows."""
    inner: tuple[slice, slice, slice]
    """Images, rows and columns of the input that are copied into the padded buffer."""
    place: tuple[slice, slice, slice]
    """Where in the buffer."""
    edges: tuple[slice, ...]
    """Rows of the buffer that have to be cleared, for another tile may have written there."""
    offset: int
    """Byte at which the tile begins, in the input or in the buffer."""
    windows: View
    """The windows in the input or the buffer, uncopied, in the order in which they are copied."""
    blocks: Blocks
    """The same for copies."""
    matrix: View
    """The windows as rows of a matrix: in the copy, or uncopied."""


class Plan:
    """How a convolution is laid out and cut, for inputs and outputs of these shapes.

    Parameters
    ----------
    shape, contiguous, itemsize
        Of the input: (N, H, W, C), whether it is C-contiguous, bytes an element.
    out_shape
        (N, OH, OW, O).
    window
        Where the windows lie.
    layout
        How windows become rows; None leaves them uncopied, as (n, rows, KH, KW, OW, C).
    tile_bytes
        About how large a tile is, its input and what is made of it together.
    block
        Rows and columns of a block of outputs: windows are laid out by their place in the block.
    """

    def __init__(
        self,
        shape: Shape,
        contiguous: bool,
        itemsize: int,
        out_shape: Shape,
        window: Window,
        layout: Layout | None,
        tile_bytes: int,
        block: Pair = (1, 1),
    ) -> None:
        self.shape, self.contiguous, self.itemsize = shape, contiguous, itemsize
        self.out_shape, self.window, self.layout = out_shape, window, layout
        self.tile_values = tile_bytes // itemsize
        self.block = block
        self._cuts: dict[tuple[Pair, Pair], Cut] = {}

    def cut(self, images: Pair, rows: Pair) -> Cut:
        """Return how these images and output rows are cut into tiles."""
        cut = self._cuts.get((images, rows))
        if cut is None:
            cut = self._cuts[images, rows] = Cut(self, images, rows)
        return cut


class ProductPlan(Plan):
    """The plan of a convolution that is made of matrix products, in the cheapest layout.

    `sums` as for `choose_layout`, `block` as for `Plan`. `cost` is an estimate in ns,
    `multiplications` counts BLAS's.
    """

    layout: Layout

    def __init__(
        self,
        shape: Shape,
        contiguous: bool,
        itemsize: int,
        out_shape: Shape,
        window: Window,
        sums: bool,
        block: Pair = (1, 1),
    ) -> None:
        N, OH, OW, out_channels = out_shape
        geometry = shape[2], (N, OH, OW), (shape[3], out_channels), window, sums
        layout = choose_layout(*geometry, by_window=block != (1, 1))
        tile_bytes = 2 * _TILE_BYTES if sums else _TILE_BYTES
        super().__init__(
            shape, contiguous, itemsize, out_shape, window, layout, tile_bytes, block=block
        )
        self.cost = layout.cost * N * OH * OW
        values = window.kernel[0] * layout.length * shape[3]
        self.multiplications = N * OH * OW * out_channels * values


plan_for = lru_cache(maxsize=1024)(ProductPlan)


def plan_of(
    x: Array, out_shape: Shape, window: Window, sums: bool, block: Pair = (1, 1)
) -> ProductPlan:
    """Return the plan for an input (N, H, W, C), made once for each geometry."""
    return plan_for(x.shape, x.flags.c_contiguous, x.itemsize, out_shape, window, sums, block)


class Cut:
    """How a range of images and of output rows is cut into tiles."""

    def __init__(self, plan: Plan, images: Pair, rows: Pair) -> None:
        self.plan, self.images, self.rows = plan, images, rows
        _, H, W, C = plan.shape
        window, layout = plan.window, plan.layout
        OH, OW, out_channels = plan.out_shape[1:]
        top, left = window.origin
        height, width = window.extent(0, OH), window.extent(1, OW)
        inside = top <= 0 and left <= 0 and height - top <= H and width - left <= W
        ones = window.kernel == window.stride == plan.block == (1, 1)
        is_pointwise = layout is not None and ones
        if is_pointwise:
            # Pixels are read as the rows of one matrix: the input must have no others between.
            inside = inside and (height, width) == (H, W)
        pitch = layout.pitch if layout else 0
        self.reads_input = inside and plan.contiguous and not pitch
        self.width = pitch or width
        self.copies = layout is not None and not is_pointwise and not pitch

        # Values that a row of outputs needs: windows, products, padded input.
        KH = window.kernel[0]
        line, lines, products = 0, 1, 1
        if layout is not None:
            line = OW // layout.span * layout.length * C if self.copies else 0
            lines, products = (1, KH) if layout.by_row else (KH, 1)
        row_values = lines * line + products * OW * out_channels
        if not self.reads_input:
            row_values += window.stride[0] * self.width * C
        # Part of the rows of several images is not one block of memory: take one image a tile.
        most_images = images[1] - images[0] if rows == (0, OH) else 1
        most_rows = rows[1] - rows[0]
        values = max(1, row_values)
        unit = plan.block[0]
        self.tile_rows = min(most_rows, max(1, plan.tile_values // (values * unit)) * unit)
        self.tile_images = part_size(most_images, plan.tile_values / (values * most_rows))
        self.tile_height = window.extent(0, self.tile_rows)

        by_row = layout is not None and layout.by_row
        self.buffer = (
            self.tile_images * line * (self.tile_height if by_row else KH * self.tile_rows)
        )
        pixels = self.tile_height * self.width + (SLACK if pitch else 0)
        self.room = self.tile_images, pixels, C
        self.padded = View(
            (self.tile_images, self.tile_height, self.width, C),
            self._bytes(pixels * C, self.width * C, C, 1),
        )
        self._kept: tuple[Tile, ...] | None = None

    @property
    def tiles(self) -> Iterable[Tile]:
        """The tiles, in order."""
        if self._kept is not None:
            return self._kept
        count = -(-(self.images[1] - self.images[0]) // self.tile_images)
        count *= -(-(self.rows[1] - self.rows[0]) // self.tile_rows)
        if count > _MOST_KEPT:
            return self._tiles()
        self._kept = tuple(self._tiles())
        return self._kept

    def _tiles(self) -> Iterator[Tile]:
        for i in range(*self.images, self.tile_images):
            j = min(i + self.tile_images, self.images[1])
            for start in range(*self.rows, self.tile_rows):
                yield self._tile(i, j, start, min(start + self.tile_rows, self.rows[1]))

    def _bytes(self, *values: int) -> Shape:
        return tuple(self.plan.itemsize * value for value in values)

    def _tile(self, i: int, j: int, start: int, stop: int) -> Tile:
        _, H, W, C = self.plan.shape
        window = self.plan.window
        top, left = window.origin
        first = start * window.stride[0] - top
        height = window.extent(0, stop - start)
        row, column = max(0, first), max(0, -left)
        row_stop = max(row, min(H, first + height))
        column_stop = max(column, min(W, column + max(0, self.width - max(0, left))))
        above, before = max(0, -first), max(0, left)
        below = above + row_stop - row
        is_part = self.tile_rows < self.rows[1] - self.rows[0]
        edges = (slice(0, min(above, height)), slice(below, height)) if is_part else ()
        windows = self._windows(j - i, stop - start)
        return Tile(
            (slice(i, j), slice(start, stop)),
            (slice(i, j), slice(row, row_stop), slice(column, column_stop)),
            (slice(0, j - i), slice(above, below), slice(before, before + column_stop - column)),
            tuple(edge for edge in edges if edge.start < edge.stop),
            ((i * H + first) * W - left) * C * self.plan.itemsize if self.reads_input else 0,
            windows,
            self._blocks(windows),
            self._matrix(j - i, stop - start, windows),
        )

    def _windows(self, n: int, rows: int) -> View:
        """Lay the windows of n images, so many output rows, over the input or the buffer."""
        _, H, W, C = self.plan.shape
        strides = self._bytes(H * W * C, W * C, C, 1) if self.reads_input else self.padded.strides
        image, row, column, channel = strides
        (KH, KW), (stride_h, stride_w), (dilation_h, dilation_w), _ = self.plan.window
        OW, layout = self.plan.out_shape[2], self.plan.layout
        down, across = stride_h * row, stride_w * column
        taps = dilation_h * row, dilation_w * column
        if layout is None:
            shape: Shape = (n, rows, KH, KW, OW, C)
            return View(shape, (image, down, *taps, across, channel))
        span, length, step, by_row, _, pitch, by_tap = layout
        if pitch:
            multiplications = self._positions(self.tile_rows) * KW * C * self.plan.out_shape[3]
            m = min(SLACK // 2, max(KW, unpacked_parts(multiplications)))
            shape = (KH, n, m, -(-self._positions(rows) // m), length * C)
            return View(shape, (dilation_h * row, image, column, m * column, channel))
        spans, step_bytes = OW // span, step * column
        tap, tap_strides = (KH, length, C), (dilation_h * row, step_bytes, channel)
        height, width = self.plan.block
        if by_tap or (height, width) != (1, 1):
            places = (height, width, n, rows // height, OW // width)
            strides = down, across, image, height * down, width * across
            if by_tap:
                return View(tap + places, tap_strides + strides)
            return View(places + tap, strides + tap_strides)
        if by_row:
            shape = (self.plan.window.extent(0, rows), n, spans, length, C)
            return View(shape, (row, image, span * across, step_bytes, channel))
        return View((n, rows, spans, *tap), (image, down, span * across, *tap_strides))

    def _blocks(self, windows: View) -> Blocks:
        # Their copy has no gaps, so what lies together in the input does there.
        shape, strides = windows
        axes, size = blocks_within(shape, self.plan.itemsize, strides, strides)
        is_number = axes == len(shape) and size <= 8
        dtype = np.dtype(f"u{size}") if is_number else block_type(size)
        return Blocks(shape[:axes], strides[:axes], dtype)

    def _positions(self, rows: int) -> int:
        """Count the positions of `rows` output rows of one image, those between rows too."""
        return (rows - 1) * self.width + self.plan.out_shape[2]

    def _matrix(self, n: int, rows: int, windows: View) -> View:
        """Lay the matrix of windows over their copy; uncopied windows are their own matrix."""
        layout, C = self.plan.layout, self.plan.shape[3]
        if layout is None or layout.pitch:
            return windows
        KH, spans = self.plan.window.kernel[0], self.plan.out_shape[2] // layout.span
        positions, depth = n * rows * spans, layout.length * C
        if layout.by_row:
            line = n * spans * depth
            strides = (self.plan.window.dilation[0] * line, depth, 1)
            return View((KH, positions, depth), self._bytes(*strides))
        depth *= KH
        strides = (1, 1, positions) if layout.by_tap else (1, depth, 1)
        return View((1, positions, depth), self._bytes(*strides))


class InputTiles:
    """The windows of one tile after another, the input of each padded in a buffer used again.

    Each thread needs one of its own. What lays the input out is returned as calls.
    """

    def __init__(self, x: Array, cut: Cut, scratch: Scratch) -> None:
        self.x, self.cut = x, cut
        # What holds a tile's input, from byte `Tile.offset` on.
        self.source = x
        if not cut.reads_input:
            self.source = scratch.empty(cut.room, x.dtype)
            self.padded: Array = np.ndarray(
                cut.padded.shape, x.dtype, self.source, 0, cut.padded.strides
            )

    def clearing(self) -> Calls:
        """Return what has to be done before the first tile."""
        return [] if self.cut.reads_input else [clear(self.source)]

    def padding(self, tile: Tile) -> Calls:
        """Return what copies a tile's input to the buffer, if it needs one."""
        if self.cut.reads_input:
            return []
        copy = copy_into, (self.padded[tile.place], self.x[tile.inner])
        return [*(clear(self.padded[:, edge]) for edge in tile.edges), copy]

    def windows(self, tile: Tile) -> Array:
        """View the windows of a tile, uncopied, in the shape of `tile.windows`."""
        # `as_strided` takes 4 µs, the constructor 0.5: a small convolution takes 6 in all.
        shape, strides = tile.windows
        return np.ndarray(shape, self.x.dtype, self.source, tile.offset, strides)


class Gatherer(InputTiles):
    """Makes the matrix of windows of one tile after another, in a buffer that it uses again."""

    def __init__(self, x: Array, cut: Cut, scratch: Scratch) -> None:
        super().__init__(x, cut, scratch)
        self.buffer = scratch.empty((cut.buffer,), x.dtype) if cut.copies else None

    def gathering(self, tile: Tile) -> Calls:
        """Return what makes the matrix of a tile, which is there until the next one's."""
        calls = self.padding(tile)
        if self.buffer is not None:
            shape, strides, dtype = tile.blocks
            gathered: Array = np.ndarray(shape, dtype, self.buffer)
            windows: Array = np.ndarray(shape, dtype, self.source, tile.offset, strides)
            calls.append((np.copyto, (gathered, windows)))
        return calls

    def columns(self, tile: Tile) -> Array:
        """View the matrix of a tile: (products, positions / span, depth).

        Positions run over (image, row, column), in a layout by row over (row, image, column), with
        a `Plan.block` over (row and column in the block, image, row and column of the block).
        Ungathered: (products, n, m, q, depth), the positions of image and phase
        ``phase + m * arange(q)``, which run over (row, column) in rows of `Layout.pitch`.
        """
        return matrix_of(tile, self.source, self.buffer, self.x.dtype)


def padded_input(x: Array, cut: Cut, tile: Tile) -> Array:
    """Return the memory in which a first tile's windows lie: the input, or a padded copy of it."""
    if cut.reads_input:
        return x
    room: Array = np.zeros(cut.room, x.dtype)
    padded: Array = np.ndarray(cut.padded.shape, x.dtype, room, 0, cut.padded.strides)
    copy_into(padded[tile.place], x[tile.inner])
    return room


def matrix_of(tile: Tile, source: Array, buffer: Array | None, dtype: np.dtype[Any]) -> Array:
    """View the matrix of a tile in the source, or in the buffer that has a copy."""
    shape, strides = tile.matrix
    if buffer is None:
        return np.ndarray(shape, dtype, source, tile.offset, strides)
    return np.ndarray(shape, dtype, buffer, 0, strides)
