"""Tiles: the parts of a convolution that fit in the cache, and the padded input of each.

A tile is some images, or some rows of one image: the first spatial axis is cut. Arrays are
(N, *sizes, C) here, with two spatial axes or more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.runtime.copies import blocks_within, copy_into
from tinygrad_cnn.kernels.runtime.threads import part_size
from tinygrad_cnn.kernels.runtime.window import Pair, Window
from tinygrad_cnn.types import Array, Shape

__all__ = [
    "ONE",
    "Blocks",
    "Geometry",
    "Place",
    "Shape",
    "Tile",
    "TileInput",
    "Tiling",
    "View",
    "as_blocks",
]

ONE = 1, 1
"""A block of one output."""
Tile = tuple[slice, slice]
"""Images, and rows of their outputs."""


class Geometry(NamedTuple):
    """All that a convolution's plan depends on."""

    shape: Shape
    """Of the input, (N, *sizes, C)."""
    contiguous: bool
    """Whether the input is C-contiguous."""
    dtype: np.dtype[Any]
    out_shape: Shape
    """(N, *out sizes, O)."""
    window: Window

    @property
    def positions(self) -> int:
        """How many outputs each channel has."""
        return math.prod(self.out_shape[:-1])


class View(NamedTuple):
    """Shape and strides (bytes) of an array in somebody's memory."""

    shape: Shape
    strides: Shape


class Blocks(NamedTuple):
    """A view as it is copied: what lies together in memory is one value of this dtype."""

    shape: Shape
    strides: Shape
    dtype: np.dtype[Any]


def as_blocks(view: View, itemsize: int) -> Blocks:
    """Return how to copy a view to memory without gaps."""
    shape, strides = view
    axes, size = blocks_within(shape, itemsize, strides, strides)
    is_number = axes == len(shape) and size <= 8
    dtype = np.dtype(f"u{size}" if is_number else f"V{size}")
    return Blocks(shape[:axes], strides[:axes], dtype)


class Tiling:
    """How outputs are cut into tiles.

    Parameters
    ----------
    geometry
        Of the convolution.
    row_values
        How many values are made for each row of outputs, the results among them.
    tile_bytes
        About how large a tile is, its padded input and what is made of it together.
    unit
        Rows of outputs that must not be cut apart.
    gapless
        Whether the input of a tile must be one block of memory.
    """

    def __init__(
        self,
        geometry: Geometry,
        row_values: int,
        tile_bytes: int,
        unit: int = 1,
        gapless: bool = False,
    ) -> None:
        self.geometry = geometry
        shape, out_shape, window = geometry.shape, geometry.out_shape, geometry.window
        axes = range(len(window.kernel))
        self.extent = tuple(window.extent(axis, out_shape[1 + axis]) for axis in axes)
        self.reads_input = geometry.contiguous and all(
            before <= 0 and extent - before <= size
            for (before, _), extent, size in zip(
                window.padding, self.extent, shape[1:-1], strict=True
            )
        )
        """Whether windows are read where they lie: none reaches over the edge."""
        if gapless:
            self.reads_input = self.reads_input and self.extent == shape[1:-1]
        if not self.reads_input:
            row_values += window.stride[0] * math.prod(self.extent[1:]) * shape[-1]
        self._row_values = max(1, row_values)
        self._tile_values = tile_bytes // geometry.dtype.itemsize
        self._unit = unit
        self._places: dict[Pair, Place] = {}

    def sizes(self, images: Pair, rows: Pair) -> Pair:
        """Return how many images and how many rows of outputs a tile of this range has."""
        # Part of the rows of several images is not one block of memory: take one image a tile.
        is_whole = rows == (0, self.geometry.out_shape[1])
        most_images, most_rows = images[1] - images[0] if is_whole else 1, rows[1] - rows[0]
        units = max(1, self._tile_values // (self._row_values * self._unit))
        tile_images = part_size(most_images, self._tile_values / (self._row_values * most_rows))
        return tile_images, min(most_rows, units * self._unit)

    def tiles(self, images: Pair, rows: Pair) -> Iterator[Tile]:
        """Yield the tiles of this range, in order."""
        tile_images, tile_rows = self.sizes(images, rows)
        for i in range(*images, tile_images):
            for row in range(*rows, tile_rows):
                yield (
                    slice(i, min(i + tile_images, images[1])),
                    slice(row, min(row + tile_rows, rows[1])),
                )

    def input_strides(self, rows: int) -> Shape:
        """Return the strides (bytes) of what `TileInput` gives for tiles of so many rows."""
        shape = self.geometry.shape if self.reads_input else (1, *self.padded_shape(rows))
        strides = [self.geometry.dtype.itemsize]
        for size in shape[:0:-1]:
            strides.append(strides[-1] * size)
        return tuple(strides[::-1])

    def padded_shape(self, rows: int) -> Shape:
        """Return the shape of an image in the padded copy for tiles of so many rows."""
        height = self.geometry.window.extent(0, rows)
        return height, *self.extent[1:], self.geometry.shape[-1]

    def place(self, rows: Pair) -> Place:
        """Say where the input of a tile of these rows of outputs lies."""
        place = self._places.get(rows)
        if place is None:
            place = self._places[rows] = self._place(rows)
        return place

    def _place(self, rows: Pair) -> Place:
        window, sizes = self.geometry.window, self.geometry.shape[1:-1]
        firsts = [-before for before, _ in window.padding]
        firsts[0] += rows[0] * window.stride[0]
        if self.reads_input:
            image, *steps = self.input_strides(1)
            offset = sum(a * b for a, b in zip(firsts, steps, strict=False))
            return Place(image, offset, (), (), (), ())
        shape = self.padded_shape(rows[1] - rows[0])
        parts = [_overlap(*axis) for axis in zip(firsts, shape, sizes, strict=False)]
        inner, target = zip(*parts, strict=True)
        is_part = rows != (0, self.geometry.out_shape[1])
        around = slice(0, target[0].start), slice(target[0].stop, shape[0])
        edges = tuple(edge for edge in around if is_part and edge.start < edge.stop)
        return Place(0, 0, shape, inner, (slice(None), *target), edges)


class Place(NamedTuple):
    """Where the input of a tile lies: in the input itself, or in a padded copy."""

    image: int
    """Bytes from one image to the next, in the input itself."""
    offset: int
    """Byte at which an image's part begins, in the input itself."""
    shape: Shape
    """Of an image in the padded copy; () without one."""
    inner: tuple[slice, ...]
    """What is copied of an image."""
    target: tuple[slice, ...]
    """And where to, in the copies of all images of the tile."""
    edges: tuple[slice, ...]
    """Rows to set to 0 again, for another tile of the image may have written there."""


class TileInput:
    """The input of one tile after another, padded copies in a buffer that is used again.

    Each thread needs one of its own. The largest tile has so many `images` and `rows` of outputs.
    """

    def __init__(self, x: Array, tiling: Tiling, images: int, rows: int) -> None:
        self.x, self.tiling = x, tiling
        self.memory, self.offset = x, 0
        if not tiling.reads_input:
            self.memory = np.zeros((images, *tiling.padded_shape(rows)), x.dtype)

    def load(self, tile: Tile) -> None:
        """Lay out the input of a tile, of which `view` gives windows until the next one's."""
        images, rows = tile
        place = self.tiling.place((rows.start, rows.stop))
        self.offset = place.offset + images.start * place.image
        if self.tiling.reads_input:
            return
        padded = self.view((images.stop - images.start, *place.shape))
        for edge in place.edges:
            padded[:, edge] = 0
        copy_into(padded[place.target], self.x[images, *place.inner])

    def view(self, shape: Shape, strides: Shape | None = None, dtype: Any = None) -> Array:
        """View the tile's input."""
        # `as_strided` takes 4 µs, the constructor 0.5.
        return np.ndarray(shape, dtype or self.x.dtype, self.memory, self.offset, strides)


def _overlap(first: int, length: int, size: int) -> tuple[slice, slice]:
    """Say which of an input's `size` elements stand among the `length` from `first` on, and where.

    Returns the slice of the input, and the slice of the elements asked for.
    """
    start = max(0, first)
    stop = max(start, min(size, first + length))
    place = min(start - first, length)
    return slice(start, stop), slice(place, place + stop - start)
