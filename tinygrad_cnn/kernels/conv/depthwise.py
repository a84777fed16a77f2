"""Depthwise convolution: a kernel for each channel, so sums of products, not matrix products.

One `einsum` a tile multiplies and adds in a single pass for each tap, without temporaries: 0.13
ns a multiplication on one core, where `multiply` and then `add` take 0.26.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job, sum_in_order
from tinygrad_cnn.kernels.conv.tiles import Geometry, Tile, TileInput, Tiling
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.window import Pair

__all__ = ["DepthwiseCorrelation", "DepthwiseWeightGradient"]

Array = npt.NDArray[Any]


class _Lines:
    """Windows, tile by tile, as (n, *out sizes but the last, *kernel, line).

    A line is the last axis with its channels, OW·C values that adjoin, so that `einsum` runs over
    all at once; with a stride it is two axes, (OW, C).
    """

    def __init__(self, geometry: Geometry) -> None:
        self.geometry, self.window = geometry, geometry.window
        row_values = geometry.out_shape[-2] * geometry.out_shape[-1]
        for size in geometry.out_shape[2:-2]:
            row_values *= size
        self.tiling = Tiling(geometry, row_values, tuning.DEPTHWISE_TILE_BYTES)
        width, channels = geometry.out_shape[-2:]
        merged = self.window.stride[-1] == 1
        self.line = (width * channels,) if merged else (width, channels)

    def tiles(self, x: Array, images: Pair, rows: Pair) -> Any:
        """Yield each tile of these images and rows, with its windows."""
        n, height = self.tiling.sizes(images, rows)
        largest = slice(images[0], images[0] + n), slice(rows[0], rows[0] + height)
        source = TileInput(x, self.tiling, self.tiling.place(largest))
        for tile in self.tiling.tiles(images, rows):
            source.load(self.tiling.place(tile))
            yield tile, self._view(source, tile)

    def _view(self, source: TileInput, tile: Tile) -> Array:
        images, rows = tile
        n, height = images.stop - images.start, rows.stop - rows.start
        image, *axes, channel = self.tiling.input_strides(height)
        steps = [a * b for a, b in zip(self.window.stride, axes, strict=True)]
        taps = [a * b for a, b in zip(self.window.dilation, axes, strict=True)]
        line = (channel,) if len(self.line) == 1 else (steps[-1], channel)
        shape = (n, height, *self.geometry.out_shape[2:-2], *self.window.kernel, *self.line)
        return source.view(shape, (image, *steps[:-1], *taps, *line))


def _subscripts(axes: int) -> tuple[str, str]:
    """Name the axes of outputs but the last, with the images, and those of taps."""
    return ascii_lowercase[:axes], ascii_lowercase[axes : 2 * axes]


class DepthwiseCorrelation(Job):
    """Windows of `x` times `w` (*kernel, C), with what the epilogue does, into its `out`."""

    def __init__(self, geometry: Geometry, x: Array, w: Array, epilogue: Epilogue) -> None:
        self.lines, self.x, self.epilogue = _Lines(geometry), x, epilogue
        self.rows = geometry.out_shape[1]
        self.multiplications = 0  # by BLAS
        self.cost = 0.13 * geometry.positions * geometry.out_shape[-1] * geometry.window.taps
        width = geometry.out_shape[-2]
        # (*kernel, OW, C), or merged
        self.weights = np.repeat(w[..., None, :], width, axis=-2).reshape(
            *geometry.window.kernel, *self.lines.line
        )

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        outputs = self.epilogue.begin(images, rows)
        outer, taps = _subscripts(len(self.lines.window.kernel))
        for tile, windows in self.lines.tiles(self.x, images, rows):
            made = outputs.room(tile)
            target = made.reshape(*windows.shape[: len(outer)], *self.lines.line)
            sums = f"{outer}{taps}...,{taps}...->{outer}..."
            np.einsum(sums, windows, self.weights, out=target)
            outputs.finish(made, tile)


class DepthwiseWeightGradient(Job):
    """The sum over positions of windows of `x` times `g` (N, *out sizes, C)."""

    def __init__(self, geometry: Geometry, x: Array, g: Array) -> None:
        self.lines, self.x, self.g = _Lines(geometry), x, g
        self.rows = g.shape[1]
        self.multiplications = 0  # by BLAS
        self.cost = 0.2 * g.size * geometry.window.taps
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        """Sum over these images, these output rows."""
        window = self.lines.window
        outer, _ = _subscripts(len(window.kernel))
        total = np.zeros((*window.kernel, *self.lines.line), self.g.dtype)
        for tile, windows in self.lines.tiles(self.x, images, rows):
            lines_of_g = self.g[tile].reshape(*windows.shape[: len(outer)], *self.lines.line)
            for tap in np.ndindex(*window.kernel):
                of_tap = windows[(slice(None),) * len(outer) + tap]
                total[tap] += np.einsum(f"{outer}...,{outer}...->...", of_tap, lines_of_g)
        self.parts[images, rows] = total

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (*kernel, 1, C)."""
        total, kernel = sum_in_order(self.parts), self.lines.window.kernel
        by_column = total.reshape(*kernel, -1, self.g.shape[-1])
        gradient: Array = by_column.sum(axis=-2)[..., None, :]
        return gradient
