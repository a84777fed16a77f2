"""Windows: copy the windows of a convolution into a small matrix, tile by tile.

A convolution is a matrix product once the window of each output position is a row of a matrix.
That matrix is KH·KW times the input, so it is never made for the whole batch: a `Gatherer`
makes the part of one tile (some images, or some rows of one image), which stays in the cache
until the product has read it.

Arrays are (N, H, W, C) here, and weights (KH, KW, C, O).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.products import product_cost, unpacked_parts

__all__ = ["Gatherer", "Layout", "Window", "choose_layout", "fold_weights", "spread_weights"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Columns, products and padded input of a tile together. Threads wait for the interpreter's lock
# between tiles: (128, 16, 32, 32) → 16, 3×3, two threads, takes 9.7 ms in tiles of 256 KB and 5.0
# in tiles of 2 MB. At 8 MB the allocator returns each buffer to the system: 13 ms.
_TILE_BYTES = 1 << 21
# Pixels that ungathered windows may read behind an image; also the most products they make of one.
_SLACK = 128


class Window(NamedTuple):
    """How windows lie over an input.

    Tap (kh, kw) of the window of output (oh, ow) is the input element at row
    ``oh * stride[0] + kh * dilation[0] - origin[0]``, and likewise its column. Elements outside
    the input are zeros, so `origin` is the padding on top and on the left; negative crops.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    origin: Pair

    def extent(self, axis: int, length: int) -> int:
        """Return how many input rows (axis 0) or columns (1) `length` outputs read."""
        reach = (self.kernel[axis] - 1) * self.dilation[axis]
        return (length - 1) * self.stride[axis] + reach + 1


class Layout(NamedTuple):
    """How windows become the rows of a matrix.

    One row serves `span` neighbouring outputs: it holds the `length` input columns, `step`
    apart, that their windows cover, and the weights are spread into a band matrix of `span`·O
    columns. If `by_row`, the rows hold one input row each and KH products are added; otherwise
    they hold all KH rows of the window. `cost` is an estimate in ns for one output position.

    With a `pitch` nothing is gathered. Rows of the padded input stand `pitch` columns apart, and
    the window row of a position begins at it: KW·C values, which overlap with its neighbour's.
    BLAS takes matrices whose rows do not overlap: every m-th position, m ≥ KW, so m products
    replace one. The positions between two rows of outputs are computed and thrown away.
    """

    span: int
    length: int
    step: int
    by_row: bool
    cost: float
    pitch: int = 0


@lru_cache(maxsize=1024)
def choose_layout(
    width: int, out_size: Pair, channels: Pair, window: Window, sums: bool = True
) -> Layout:
    """Choose the cheapest layout for inputs of `width`, outputs of `out_size`, (C, O) `channels`.

    `sums` says whether the KH products of a layout by row have to be added: for the weight's
    gradient they need not, each belongs to weights of its own.

    Few channels make short rows and narrow products: spans help (28×28, 1 → 16 channels, 3×3:
    1.7 ms at span 1, 1.1 at 4). Many channels make copying dear: then one input row at a time,
    copied once instead of KH times, is better (32×32, 16 → 16: 10.0 ms against 9.0).
    """
    layouts = possible_layouts(width, out_size, channels, window, sums)
    return min(layouts, key=lambda layout: layout.cost)


def possible_layouts(
    width: int, out_size: Pair, channels: Pair, window: Window, sums: bool
) -> list[Layout]:
    """Return the layouts that `choose_layout` chooses from."""
    (OH, OW), (C, out_channels) = out_size, channels
    KH, KW = window.kernel
    layouts = []
    for span in (t for t in range(1, min(OW, 16) + 1) if OW % t == 0):
        step = window.dilation[1] if span == 1 else 1
        length = KW if span == 1 else window.extent(1, span)
        copied, columns = length * C, span * out_channels
        copy = 3.0 + 0.13 * copied
        cost = (KH * copy + product_cost(KH * copied, columns)) / span
        layouts.append(Layout(span, length, step, False, cost))
        if KH > 1 and window.stride[0] == 1:
            rows = window.extent(0, OH) / OH
            products = KH * (product_cost(copied, columns) + (0.12 * columns if sums else 0.0))
            layouts.append(Layout(span, length, step, True, (rows * copy + products) / span))
    if KH > 1 and KW > 1 and window.stride == (1, 1) and window.dilation[1] == 1:
        layouts.append(_ungathered(width, out_size, channels, window, sums))
    return layouts


# Two threads, forward and weight gradient, gathered and not: (128, 16, 32, 32) → 16, 3×3, 5.5 and
# 4.5 ms, 4.2 and 3.6; (128, 32, 16, 16) → 32 the same within 5 %.
def _ungathered(width: int, out_size: Pair, channels: Pair, window: Window, sums: bool) -> Layout:
    (OH, OW), (C, out_channels) = out_size, channels
    KH, KW = window.kernel
    left, padded = window.origin[1], window.extent(1, OW)
    # Zeros right of a row of the input serve as those left of the next.
    pitch = padded - max(0, min(left, padded - left - width, _SLACK // 2))
    wasteful = ((OH - 1) * pitch + OW) / (OH * OW)
    product = product_cost(KW * C, out_channels) + (0.12 * out_channels if sums else 0.0)
    copied = C if sums else C + out_channels  # the gradient by the output is padded as well
    copies = window.extent(0, OH) / OH * (1.0 + 0.13 * copied)
    return Layout(1, KW, 1, True, copies + KH * wasteful * product, pitch)


def _band(spread: Array, window: Window, layout: Layout, out_channels: int) -> Array:
    """View the places in `spread` (KH, length, C, span, O) that hold weights.

    The view's shape is (KH, KW, span, C, O): tap kw of output t lies at column
    ``t * stride + kw * dilation`` of the row.
    """
    KH, KW = window.kernel
    row, column, channel, output, _ = spread.strides
    tap = column if layout.span == 1 else window.dilation[1] * column
    return np.ndarray(
        (KH, KW, layout.span, spread.shape[2], out_channels),
        spread.dtype,
        spread,
        strides=(row, tap, output + window.stride[1] * column, channel, spread.itemsize),
    )


def spread_weights(w: Array, window: Window, layout: Layout) -> Array:
    """Arrange weights (KH, KW, C, O) for the layout's rows.

    Returns (KH or 1, depth, span·O), with the first axis as long as the products to be added.
    """
    KH, _, C, out_channels = w.shape
    if layout.span == 1:
        spread = np.ascontiguousarray(w)
    else:
        spread = np.zeros((KH, layout.length, C, layout.span, out_channels), w.dtype)
        _band(spread, window, layout, out_channels)[...] = w[:, :, None]
    return spread.reshape(KH if layout.by_row else 1, -1, layout.span * out_channels)


def fold_weights(spread: Array, channels: Pair, window: Window, layout: Layout) -> Array:
    """Add up what `spread_weights` spread: its adjoint. Returns (KH, KW, C, O)."""
    C, out_channels = channels
    spread = np.ascontiguousarray(spread).reshape(
        window.kernel[0], layout.length, C, layout.span, out_channels
    )
    folded: Array = _band(spread, window, layout, out_channels).sum(axis=2)
    return folded


@lru_cache(maxsize=1024)
def _cut(
    shape: tuple[int, ...],
    is_contiguous: bool,
    window: Window,
    out_size: Pair,
    images: Pair,
    rows: Pair,
    row_values: int,
    tile_values: int,
    pitch: int,
) -> tuple[bool, int, int, int, int]:
    """Return whether tiles are read where the input lies, their width, images, rows and height."""
    _, H, W, C = shape
    top, left = window.origin
    height, width = window.extent(0, out_size[0]), window.extent(1, out_size[1])
    inside = top <= 0 and left <= 0 and height - top <= H and width - left <= W
    if window.kernel == window.stride == (1, 1):
        # Pixels are read as the rows of one matrix: the input must have no others between.
        inside = inside and (height, width) == (H, W)
    reads_input = inside and is_contiguous and not pitch
    width = pitch or width
    if not reads_input:
        row_values += window.stride[0] * width * C
    row_values = max(1, row_values)
    # Part of the rows of several images is not one block of memory: take one image a tile.
    most_images = images[1] - images[0] if rows == (0, out_size[0]) else 1
    most_rows = rows[1] - rows[0]
    tile_rows = min(most_rows, max(1, tile_values // row_values))
    tile_images = min(most_images, max(1, tile_values // (row_values * most_rows)))
    return reads_input, width, tile_images, tile_rows, window.extent(0, tile_rows)


class InputTiles:
    """Cuts a convolution into tiles that fit in the cache, with the input of each padded.

    Each thread needs one of its own, for the buffer that it pads in is used again.

    Parameters
    ----------
    x
        Shape (N, H, W, C), any strides.
    window
        Where the windows lie.
    out_size
        (OH, OW) of the convolution.
    images, rows
        The ranges of images and of output rows to cut into tiles.
    row_values
        How many values the user of a tile makes for each of its output rows.
    tile_bytes
        About how large a tile is, its input and what is made of it together.
    pitch
        Where not 0: always pad, in rows that begin `pitch` columns apart, with `_SLACK` zeros
        behind each image.
    """

    def __init__(
        self,
        x: Array,
        window: Window,
        out_size: Pair,
        images: Pair,
        rows: Pair,
        row_values: int,
        tile_bytes: int | None = None,
        pitch: int = 0,
    ) -> None:
        self.x, self.window, self.out_size = x, window, out_size
        self.images, self.rows = images, rows
        most, contiguous = (tile_bytes or _TILE_BYTES) // x.itemsize, x.flags.c_contiguous
        cut = _cut(x.shape, contiguous, window, out_size, images, rows, row_values, most, pitch)
        self.reads_input, self.width, self.tile_images, self.tile_rows, self.tile_height = cut
        if not self.reads_input:
            C, pixels = x.shape[3], self.tile_height * self.width
            self.room = room = np.zeros(
                (self.tile_images, pixels + (_SLACK if pitch else 0), C), x.dtype
            )
            image, column, channel = room.strides
            shape = (self.tile_images, self.tile_height, self.width, C)
            strides = (image, self.width * column, column, channel)
            self.padded = np.ndarray(shape, x.dtype, room, 0, strides)

    def __iter__(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the tiles as (first image, its end, first output row, its end)."""
        for i in range(*self.images, self.tile_images):
            j = min(i + self.tile_images, self.images[1])
            for start in range(*self.rows, self.tile_rows):
                yield i, j, start, min(start + self.tile_rows, self.rows[1])

    def source(self, i: int, j: int, start: int, stop: int) -> tuple[Array, int]:
        """Return an array that holds the tile's input, and the byte at which the tile begins."""
        x, (top, left) = self.x, self.window.origin
        first = start * self.window.stride[0] - top
        if self.reads_input:
            _, H, W, C = x.shape
            return x, ((i * H + first) * W - left) * C * x.itemsize
        height = self.window.extent(0, stop - start)
        tile = self.padded[: j - i, :height]
        above, below = max(0, -first), max(0, x.shape[1] - first)
        if self.tile_rows < self.rows[1] - self.rows[0]:
            tile[:, :above] = 0
            tile[:, below:] = 0
        inner = x[i:j, max(0, first) : max(0, first + height), max(0, -left) :]
        inner = inner[:, :, : max(0, self.width - max(0, left))]
        tile[:, above:below, max(0, left) : max(0, left) + inner.shape[2]] = inner
        return self.padded, 0

    def windows(self, i: int, j: int, start: int, stop: int) -> Array:
        """View the windows of a tile, uncopied: (n, rows, KH, KW, OW, C)."""
        source, offset = self.source(i, j, start, stop)
        image, row, column, channel = source.strides
        kernel, (stride_h, stride_w), (dilation_h, dilation_w), _ = self.window
        shape = (j - i, stop - start, *kernel, self.out_size[1], source.shape[3])
        taps = (dilation_h * row, dilation_w * column)
        strides = (image, stride_h * row, *taps, stride_w * column, channel)
        return np.ndarray(shape, source.dtype, source, offset, strides)


class Gatherer(InputTiles):
    """Makes the matrix of windows of one tile after another, in a buffer that it reuses.

    The columns that `columns` returns are valid until the next call. `layout` says how windows
    become rows, `channels_out` is O; the rest as for `InputTiles`.
    """

    def __init__(
        self,
        x: Array,
        window: Window,
        layout: Layout,
        out_size: Pair,
        channels_out: int,
        images: Pair,
        rows: Pair,
    ) -> None:
        self.layout = layout
        self.spans = out_size[1] // layout.span
        self.is_pointwise = window.kernel == window.stride == (1, 1)
        KH, KW = window.kernel
        line = self.spans * layout.length * x.shape[3]
        lines, products = (1, KH) if layout.by_row else (KH, 1)
        copies = not self.is_pointwise and not layout.pitch
        values = (lines * line if copies else 0) + products * out_size[1] * channels_out
        super().__init__(x, window, out_size, images, rows, values, pitch=layout.pitch)
        if layout.pitch:
            multiplications = self._positions(self.tile_rows) * KW * x.shape[3] * channels_out
            self.phases = min(_SLACK // 2, max(KW, unpacked_parts(multiplications)))
        if copies:
            lines = self.tile_height if layout.by_row else KH * self.tile_rows
            self.buffer = np.empty(self.tile_images * lines * line, x.dtype)

    def _positions(self, rows: int) -> int:
        """Count the positions of `rows` output rows of one image, those between rows too."""
        return (rows - 1) * self.layout.pitch + self.out_size[1]

    def columns(self, i: int, j: int, start: int, stop: int) -> Array:
        """Gather the windows of images i:j, output rows start:stop.

        Returns (products, positions / span, depth). Positions run over (image, row, column), in
        a layout by row over (row, image, column).

        Ungathered: (products, n, m, q, depth), the positions of image and phase
        ``phase + m * arange(q)``, which run over (row, column) in rows of `pitch`.
        """
        n, rows = j - i, stop - start
        source, offset = self.source(i, j, start, stop)
        image, row, column, channel = source.strides
        span, length, step, by_row, _, _ = self.layout
        (KH, _), (stride_h, stride_w), (dilation_h, _), _ = self.window
        C, dtype = source.shape[3], source.dtype
        depth = length * C
        shape: tuple[int, ...]
        strides: tuple[int, ...]
        # `as_strided` takes 4 µs, the constructor 0.5: a small convolution takes 15 in all.
        if self.layout.pitch:
            m = self.phases
            shape = (KH, n, m, -(-self._positions(rows) // m), depth)
            strides = (dilation_h * row, image, column, m * column, channel)
            return np.ndarray(shape, dtype, self.room, 0, strides)
        if self.is_pointwise:
            return np.ndarray((1, n * rows * self.spans, depth), dtype, source, offset)
        if by_row:
            shape = (self.window.extent(0, rows), n, self.spans, length, C)
            strides = (row, image, span * stride_w * column, step * column, channel)
        else:
            shape = (n, rows, self.spans, KH, length, C)
            across = (span * stride_w * column, dilation_h * row, step * column, channel)
            strides = (image, stride_h * row, *across)
        gathered = np.ndarray(shape, dtype, self.buffer)
        gathered[...] = np.ndarray(shape, dtype, source, offset, strides)
        if not by_row:
            return gathered.reshape(1, -1, KH * depth)
        line = gathered.strides[0]
        strides = (dilation_h * line, depth * dtype.itemsize, dtype.itemsize)
        return np.ndarray((KH, rows * n * self.spans, depth), dtype, self.buffer, 0, strides)
