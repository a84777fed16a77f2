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
from tinygrad_cnn.kernels.conv.jobs import Job, SumJob
from tinygrad_cnn.kernels.conv.tiles import Geometry, Tile, TileInput, Tiling
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["DepthwiseCorrelation", "DepthwiseWeightGradient"]


class DepthwisePlan:
    """The tiles of a depthwise convolution of stride 1 along the last axis, and their windows."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        axes = len(geometry.window.kernel)
        self.outer, self.taps = ascii_lowercase[:axes], ascii_lowercase[axes : 2 * axes]
        """How `einsum` names the images and axes of outputs but the last, and the taps."""
        row_values = math.prod(geometry.out_shape[2:])
        self.tiling = Tiling(geometry, row_values, tuning.DEPTHWISE_TILE_BYTES)

    def tiles(self, x: Array, images: Pair, rows: Pair) -> Iterator[tuple[Tile, Array]]:
        """Yield each tile, with its windows (n, rows, *sizes but the last, *kernel, line)."""
        source = TileInput(x, self.tiling, *self.tiling.sizes(images, rows))
        window, out_shape = self.geometry.window, self.geometry.out_shape
        for tile in self.tiling.tiles(images, rows):
            source.load(tile)
            n, height = (part.stop - part.start for part in tile)
            image, *axes, channel = self.tiling.input_strides(height)
            steps = [a * b for a, b in zip(window.stride, axes, strict=True)]
            taps = [a * b for a, b in zip(window.dilation, axes, strict=True)]
            shape = n, height, *out_shape[2:-2], *window.kernel, out_shape[-2] * out_shape[-1]
            yield tile, source.view(shape, (image, *steps[:-1], *taps, channel))


@planned
def _plan(geometry: Geometry) -> DepthwisePlan:
    return DepthwisePlan(geometry)


def _lines(a: Array) -> Array:
    """Merge the last two axes: columns and their channels."""
    return a.reshape(*a.shape[:-2], -1)


class DepthwiseCorrelation(Job):
    """Windows of `x` times `w` (*kernel, C), with what the epilogue does, into its `out`."""

    def __init__(self, geometry: Geometry, x: Array, w: Array, epilogue: Epilogue) -> None:
        multiplications = math.prod(geometry.out_shape) * geometry.window.taps
        super().__init__(geometry.out_shape[1], 0.14 * multiplications)
        self.plan, self.x, self.epilogue = _plan(geometry), x, epilogue
        self.weights = _lines(np.repeat(w[..., None, :], geometry.out_shape[-2], axis=-2))

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        outputs = self.epilogue.begin(rows)
        sums = f"{self.plan.outer}{self.plan.taps}z,{self.plan.taps}z->{self.plan.outer}z"
        for tile, windows in self.plan.tiles(self.x, images, rows):
            made = outputs.room(tile)
            np.einsum(sums, windows, self.weights, out=_lines(made))
            outputs.finish(made, tile)


class DepthwiseWeightGradient(SumJob):
    """The sum over positions of windows of `x` times `g` (N, *out sizes, C)."""

    def __init__(self, geometry: Geometry, x: Array, g: Array) -> None:
        super().__init__(g.shape[1], 0.17 * g.size * geometry.window.taps)
        self.plan, self.x, self.g = _plan(geometry), x, g
        self.kernel = geometry.window.kernel

    def sums(self, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield the sum over these images, these output rows: (*kernel, line)."""
        outer, every = self.plan.outer, (slice(None),) * len(self.plan.outer)
        total = np.zeros((*self.kernel, self.g.shape[-2] * self.g.shape[-1]), self.g.dtype)
        for tile, windows in self.plan.tiles(self.x, images, rows):
            lines = _lines(self.g[tile])
            for tap in np.ndindex(*self.kernel):
                total[tap] += np.einsum(f"{outer}z,{outer}z->z", windows[every + tap], lines)
        yield total

    def result(self) -> Array:
        """Return the sum (*kernel, 1, C)."""
        by_column = self.total().reshape(*self.kernel, -1, self.g.shape[-1])
        gradient: Array = by_column.sum(axis=-2)[..., None, :]
        return gradient
