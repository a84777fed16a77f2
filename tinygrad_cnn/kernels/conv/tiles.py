"""Tiles: the parts of a convolution that fit in the cache, and the padded input of each.

A tile is some images, or some rows of one image: the first spatial axis is cut. Arrays are
(N, *sizes, C) here, with two spatial axes or more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.runtime.copies import copy_into
from tinygrad_cnn.kernels.runtime.threads import part_size
from tinygrad_cnn.kernels.runtime.window import Pair, Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["ONE", "Geometry", "Part", "Slices", "Tile", "TileInput", "Tiling", "geometry_of"]

ONE = 1, 1
"""A block of one output."""
Slices = tuple[slice, ...]
Part = tuple[Pair, Pair]
"""Which images, and which rows of their outputs."""
Tile = tuple[slice, slice]
"""The same, where they fit in the cache."""


class Geometry(NamedTuple):
    """All that a convolution's plan depends on.

    The input's `shape` (N, *sizes, C), and whether it is C-contiguous; `out_shape` is
    (N, *out sizes, O). A max-pool makes one number of each `block` (height, width) of outputs.
    """

    shape: Shape
    contiguous: bool
    dtype: np.dtype[Any]
    out_shape: Shape
    window: Window
    block: Pair = ONE

    @property
    def positions(self) -> int:
        """How many outputs each channel has."""
        return math.prod(self.out_shape[:-1])


def geometry_of(x: Array, out_shape: Shape, window: Window, block: Pair = ONE) -> Geometry:
    """Return the geometry of a convolution of `x` (N, *sizes, C)."""
    return Geometry(x.shape, x.flags.c_contiguous, x.dtype, out_shape, window, block)


class Tiling:
    """How outputs are cut into tiles, and where the input of each lies.

    A row of outputs makes `row_values` values, the results among them; with its padded input a
    tile has about `tile_bytes`. If `gapless`, the input of a tile must be one block of memory.
    """

    def __init__(
        self, geometry: Geometry, row_values: int, tile_bytes: int, gapless: bool = False
    ) -> None:
        self.geometry = geometry
        window, shape, (_, *out_sizes, _) = geometry.window, geometry.shape, geometry.out_shape
        extent = tuple(window.extent(axis, outputs) for axis, outputs in enumerate(out_sizes))
        firsts = [-before for before, _ in window.padding]
        places = list(zip(firsts, extent, shape[1:-1], strict=True))
        self.reads_input = geometry.contiguous and all(
            first >= 0 and first + length <= size for first, length, size in places
        )
        """Whether windows are read where they lie: none reaches over the edge."""
        if gapless:
            self.reads_input = self.reads_input and extent == shape[1:-1]
        if not self.reads_input:
            row_values += window.stride[0] * math.prod(extent[1:]) * shape[-1]
        self._row_values = max(1, row_values)
        self._tile_values = tile_bytes // geometry.dtype.itemsize
        self._across = [_overlap(*place) for place in places[1:]]
        self._padded = *extent, shape[-1]
        lengths = reversed(shape[1:] if self.reads_input else self._padded)
        self.strides: Shape = tuple(accumulate((geometry.dtype.itemsize, *lengths), mul))[::-1]
        """Of what `TileInput` gives, in bytes: from one image to the next, …"""
        steps = zip(firsts, self.strides[1:], strict=False)
        self.origin = sum(first * step for first, step in steps)
        """Byte of the input at which the first window begins."""
        self.row_step = window.stride[0] * self.strides[1]
        self._known: dict[Pair, tuple[Shape, Slices, Slices, bool]] = {}

    def sizes(self, part: Part) -> Pair:
        """Return how many images and how many rows of outputs a tile of this part has."""
        images, rows = part
        # Part of the rows of several images is not one block of memory: take one image a tile.
        is_whole = rows == (0, self.geometry.out_shape[1])
        most_images, most_rows = images[1] - images[0] if is_whole else 1, rows[1] - rows[0]
        unit = self.geometry.block[0]  # rows that must not be cut apart
        units = max(1, self._tile_values // (self._row_values * unit))
        tile_images = part_size(most_images, self._tile_values / (self._row_values * most_rows))
        return tile_images, min(most_rows, units * unit)

    def inputs(self, x: Array, part: Part) -> Iterator[tuple[Tile, TileInput]]:
        """Yield the tiles of this part, each with its input, which is there until the next one."""
        (images, rows), (count, height) = part, self.sizes(part)
        source = TileInput(x, self, count, height)
        for i in range(*images, count):
            for row in range(*rows, height):
                some = slice(i, min(i + count, images[1]))
                tile = some, slice(row, min(row + height, rows[1]))
                source.load(tile)
                yield tile, source

    def padded_shape(self, rows: int) -> Shape:
        """Return the shape of an image in the padded copy for tiles of so many rows."""
        return self.geometry.window.extent(0, rows), *self._padded[1:]

    def padding(self, rows: Pair) -> tuple[Shape, Slices, Slices, bool]:
        """Say how images are copied for these rows of outputs.

        Returns the shape of a padded copy; which part of an image goes where in the copies; whether
        they are cleared first, for another tile of the image may have written to their edges.
        """
        known = self._known.get(rows)
        if known is None:
            window, shape = self.geometry.window, self.padded_shape(rows[1] - rows[0])
            first = rows[0] * window.stride[0] - window.padding[0][0]
            along = _overlap(first, shape[0], self.geometry.shape[1])
            inner, target = zip(along, *self._across, strict=True)
            is_part = rows != (0, self.geometry.out_shape[1])
            is_cleared = is_part and target[0] != slice(0, shape[0])
            known = self._known[rows] = shape, inner, (slice(None), *target), is_cleared
        return known


class TileInput:
    """The input of one tile after another, padded copies in a buffer that is used again.

    The largest tile has so many `images` and `rows` of outputs.
    """

    def __init__(self, x: Array, tiling: Tiling, images: int, rows: int) -> None:
        self.x, self.tiling = x, tiling
        self._memory, self._offset = x, 0
        if not tiling.reads_input:
            self._memory = np.zeros((images, *tiling.padded_shape(rows)), x.dtype)

    def load(self, tile: Tile) -> None:
        """Lay out the input of a tile, of which `view` gives windows."""
        images, rows = tile
        tiling = self.tiling
        if tiling.reads_input:
            image_step, row_step = tiling.strides[0], tiling.row_step
            self._offset = tiling.origin + images.start * image_step + rows.start * row_step
            return
        shape, inner, target, is_cleared = tiling.padding((rows.start, rows.stop))
        padded = self.view((images.stop - images.start, *shape))
        if is_cleared:
            padded.fill(0)
        copy_into(padded[target], self.x[images, *inner])

    def view(self, shape: Shape, strides: Shape | None = None, dtype: Any = None) -> Array:
        """View the tile's input."""
        # `as_strided` takes 4 µs, the constructor 0.5.
        return np.ndarray(shape, dtype or self.x.dtype, self._memory, self._offset, strides)


def _overlap(first: int, length: int, size: int) -> tuple[slice, slice]:
    """Say which of an input's `size` elements are among the `length` from `first` on, and where.

    Returns the slice of the input, and the slice of the elements asked for.
    """
    start = max(0, first)
    stop = max(start, min(size, first + length))
    place = min(start - first, length)
    return slice(start, stop), slice(place, place + stop - start)
