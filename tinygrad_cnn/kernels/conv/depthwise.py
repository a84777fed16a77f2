"""Depthwise convolution: a kernel for each channel, so sums of products, not matrix products.

One `einsum` a tile multiplies and adds in a single pass for each tap, without temporaries: 0.14 ns
a multiplication on one core, where `multiply` and then `add` take 0.2. It does so along lines of
many values: all columns of a row of outputs with their channels. With a stride the values that a
tap meets are not such a line, so every so-many-th column is copied to an image of its own: a phase.
The convolution is the sum of one of stride 1 for each phase.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job, sum_in_order
from tinygrad_cnn.kernels.conv.phases import Along, along_axis
from tinygrad_cnn.kernels.conv.tiles import Geometry, Tile, TileInput, Tiling, View
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Pair, Window

__all__ = ["DepthwiseCorrelation", "DepthwiseWeightGradient"]

Array = npt.NDArray[Any]


class _Phase(NamedTuple):
    """Some columns of the input, which some columns of the kernel meet at stride 1."""

    columns: slice
    taps: slice
    tiling: Tiling

    def windows(self, rows: int) -> View:
        """Lay windows over the input of an image: (rows, *sizes but the last, *kernel, line)."""
        geometry = self.tiling.geometry
        window, (_, *axes, channel) = geometry.window, self.tiling.input_strides(rows)
        steps = [a * b for a, b in zip(window.stride, axes, strict=True)]
        taps = [a * b for a, b in zip(window.dilation, axes, strict=True)]
        line = geometry.out_shape[-2] * geometry.out_shape[-1]
        shape = rows, *geometry.out_shape[2:-2], *window.kernel, line
        return View(shape, (*steps[:-1], *taps, channel))


class DepthwisePlan:
    """The phases of a depthwise convolution, and how `einsum` names the axes of their windows."""

    def __init__(self, geometry: Geometry) -> None:
        axes = len(geometry.window.kernel)
        self.outer, self.taps = ascii_lowercase[:axes], ascii_lowercase[axes : 2 * axes]
        columns = Window(*(values[-1:] for values in geometry.window))  # type: ignore[arg-type]
        last = list(along_axis(columns, geometry.shape[-2], geometry.out_shape[-2], False))
        row_values = len(last) * math.prod(geometry.out_shape[2:])
        self.phases = [_phase(geometry, along, row_values) for along in last]

    def tiles(self, x: Array, images: Pair, rows: Pair) -> Iterator[tuple[Tile, list[Array]]]:
        """Yield each tile of these images and rows, with its windows in each phase."""
        tiling = self.phases[0].tiling
        sizes = tiling.sizes(images, rows)
        inputs = [TileInput(x[..., p.columns, :], p.tiling, *sizes) for p in self.phases]
        for tile in tiling.tiles(images, rows):
            n, height = (part.stop - part.start for part in tile)
            windows = []
            for phase, source in zip(self.phases, inputs, strict=True):
                source.load(tile)
                shape, strides = phase.windows(height)
                image = phase.tiling.input_strides(height)[0]
                windows.append(source.view((n, *shape), (image, *strides)))
            yield tile, windows


def _phase(geometry: Geometry, along: Along, row_values: int) -> _Phase:
    """Return the phase that these columns of the kernel meet."""
    window, columns = geometry.window, len(range(geometry.shape[-2])[along.inputs])
    part = Window(
        (*window.kernel[:-1], along.kernel),
        (*window.stride[:-1], 1),
        (*window.padding[:-1], along.padding),
        (*window.dilation[:-1], along.dilation),
    )
    here = geometry._replace(
        shape=(*geometry.shape[:-2], columns, geometry.shape[-1]),
        contiguous=geometry.contiguous and window.stride[-1] == 1,
        window=part,
    )
    tiling = Tiling(here, row_values, tuning.DEPTHWISE_TILE_BYTES)
    return _Phase(along.inputs, along.taps, tiling)


@planned
def _plan(geometry: Geometry) -> DepthwisePlan:
    return DepthwisePlan(geometry)


def _lines(a: Array) -> Array:
    """Merge the last two axes: columns and their channels."""
    return a.reshape(*a.shape[:-2], -1)


class DepthwiseCorrelation(Job):
    """Windows of `x` times `w` (*kernel, C), with what the epilogue does, into its `out`."""

    def __init__(self, geometry: Geometry, x: Array, w: Array, epilogue: Epilogue) -> None:
        self.plan, self.x, self.epilogue = _plan(geometry), x, epilogue
        self.rows = geometry.out_shape[1]
        self.multiplications = 0  # by BLAS
        self.cost = 0.14 * math.prod(geometry.out_shape) * geometry.window.taps
        along = np.repeat(w[..., None, :], geometry.out_shape[-2], axis=-2)
        self.weights = [_lines(along[..., p.taps, :, :]) for p in self.plan.phases]

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        outputs = self.epilogue.begin(rows)
        sums = f"{self.plan.outer}{self.plan.taps}z,{self.plan.taps}z->{self.plan.outer}z"
        for tile, phases in self.plan.tiles(self.x, images, rows):
            made = outputs.room(tile)
            target = _lines(made)
            for index, (windows, weights) in enumerate(zip(phases, self.weights, strict=True)):
                if index == 0:
                    np.einsum(sums, windows, weights, out=target)
                else:
                    target += np.einsum(sums, windows, weights)
            outputs.finish(made, tile)


class DepthwiseWeightGradient(Job):
    """The sum over positions of windows of `x` times `g` (N, *out sizes, C)."""

    def __init__(self, geometry: Geometry, x: Array, g: Array) -> None:
        self.plan, self.x, self.g = _plan(geometry), x, g
        self.kernel, self.rows = geometry.window.kernel, g.shape[1]
        self.multiplications = 0  # by BLAS
        self.cost = 0.17 * g.size * geometry.window.taps
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        """Sum over these images, these output rows."""
        outer, every = self.plan.outer, (slice(None),) * len(self.plan.outer)
        total = np.zeros((*self.kernel, self.g.shape[-2] * self.g.shape[-1]), self.g.dtype)
        for tile, phases in self.plan.tiles(self.x, images, rows):
            lines = _lines(self.g[tile])
            for phase, windows in zip(self.plan.phases, phases, strict=True):
                part = total[..., phase.taps, :]
                for tap in np.ndindex(part.shape[:-1]):
                    part[tap] += np.einsum(f"{outer}z,{outer}z->z", windows[every + tap], lines)
        self.parts[images, rows] = total

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (*kernel, 1, C)."""
        total = sum_in_order(self.parts)
        by_column = total.reshape(*self.kernel, -1, self.g.shape[-1])
        gradient: Array = by_column.sum(axis=-2)[..., None, :]
        return gradient
