"""Depthwise convolution: a kernel for each channel, so sums of products, not matrix products.

One `einsum` a tile multiplies and adds in a single pass for each tap, without temporaries: 0.14 ns
a multiplication on one core, where `multiply` and then `add` take 0.2. It does so along lines of
many values, all columns of a row of outputs with their channels. With a stride the values that a
tap meets are no such line; so `methods` has each of the `phases` of the last axis done by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from string import ascii_lowercase

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Method
from tinygrad_cnn.kernels.conv.tiles import Geometry, Part, Tile, Tiling
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.types import Array

__all__ = ["DepthwiseSums"]


class DepthwiseSums(Method):
    """A depthwise convolution of stride 1 along the last axis; weights are (*kernel, 1, C)."""

    multiplications = 0

    def __init__(self, geometry: Geometry, sums: bool) -> None:
        self.geometry, self.kernel = geometry, geometry.window.kernel
        multiplications = math.prod(geometry.out_shape) * geometry.window.taps
        self.cost = (0.17 if sums else 0.14) * multiplications
        axes = len(self.kernel)
        self.outer, self.taps = ascii_lowercase[:axes], ascii_lowercase[axes : 2 * axes]
        """How `einsum` names the images and axes of outputs but the last, and the taps."""
        row_values = math.prod(geometry.out_shape[2:])
        self.tiling = Tiling(geometry, row_values, tuning.DEPTHWISE_TILE_BYTES)

    def _tiles(self, x: Array, part: Part) -> Iterator[tuple[Tile, Array]]:
        """Yield each tile, with its windows (n, rows, *sizes but the last, *kernel, line)."""
        window, out_shape = self.geometry.window, self.geometry.out_shape
        image, *axes, channel = self.tiling.strides
        steps = [a * b for a, b in zip(window.stride, axes, strict=True)]
        taps = [a * b for a, b in zip(window.dilation, axes, strict=True)]
        for tile, source in self.tiling.inputs(x, part):
            n, height = (some.stop - some.start for some in tile)
            shape = n, height, *out_shape[2:-2], *self.kernel, out_shape[-2] * out_shape[-1]
            yield tile, source.view(shape, (image, *steps[:-1], *taps, channel))

    def prepare(self, w: Array) -> Array:
        """Repeat the weights for all columns: (*kernel, line)."""
        return _lines(np.repeat(w, self.geometry.out_shape[-2], axis=-2))

    def correlate(self, x: Array, weights: Array, epilogue: Epilogue, part: Part) -> None:
        """Write the sums of products of one tile after another."""
        sums = f"{self.outer}{self.taps}z,{self.taps}z->{self.outer}z"
        for tile, windows in self._tiles(x, part):
            with epilogue.results(tile) as made:
                np.einsum(sums, windows, weights, out=_lines(made))

    def sums(self, x: Array, g: Array, part: Part) -> Iterator[Array]:
        """Yield the sum over these images, these output rows: (*kernel, line)."""
        every = (slice(None),) * len(self.outer)
        total = np.zeros((*self.kernel, g.shape[-2] * g.shape[-1]), g.dtype)
        for tile, windows in self._tiles(x, part):
            lines = _lines(g[tile])
            for tap in np.ndindex(*self.kernel):
                products = f"{self.outer}z,{self.outer}z->z"
                total[tap] += np.einsum(products, windows[every + tap], lines)
        yield total

    def fold(self, total: Array) -> Array:
        """Add up the columns: (*kernel, 1, C)."""
        by_column = total.reshape(*self.kernel, *self.geometry.out_shape[-2:])
        gradient: Array = by_column.sum(axis=-2, keepdims=True)
        return gradient


def _lines(a: Array) -> Array:
    """Merge the last two axes: columns and their channels."""
    return a.reshape(*a.shape[:-2], -1)
