"""Convolutions by minimal filtering: transform rows, multiply at each point, transform back.

`winograd` explains the method. Arrays are (N, H, W, C) here, weights (KH, KW, C, O).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Method
from tinygrad_cnn.kernels.conv.products import product_cost, unpacked_parts
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.conv.winograd import TAPS, transform_back, transformation, transforms
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.threads import matmul, part_size
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["MinimalFiltering"]


class MinimalFiltering(Method):
    """A convolution of transformed rows.

    A transformed row stands for m rows of outputs. At each point such rows follow each other
    `pitch` positions apart, the zeros between them being the padding of both neighbours, and the
    window of a position begins at it: KW·C values. BLAS takes matrices whose rows do not overlap,
    so a product takes every so-many-th position (see `turns`).
    """

    def __init__(self, geometry: Geometry, sums: bool) -> None:
        self.geometry = geometry
        itemsize = geometry.dtype.itemsize
        _, _, W, C = geometry.shape
        _, _, OW, self.out_channels = geometry.out_shape
        KH, self.width = geometry.window.kernel
        self.transforms = transforms(KH, geometry.dtype)
        self.outputs: int
        self.points: int
        self.outputs, self.points = self.transforms.outputs.shape
        (self.top, _), (self.left, _) = geometry.window.padding
        right = OW + self.width - 1 - W - self.left
        self.pitch = max(OW, W + max(self.left, right))
        self.depth = self.width * C
        self.is_unpacked = self.depth * self.out_channels <= tuning.MOST_A_ROW
        tile_bytes = tuning.WINOGRAD_TILE_BYTES * (1 if self.is_unpacked else 2)
        row_bytes = self.points * self.pitch * (C + self.out_channels) * itemsize
        self.most_lines = max(1, tile_bytes // row_bytes)
        lines = geometry.out_shape[0] * self._lines(geometry.out_shape[1])
        self.multiplications = self.points * lines * self.pitch * self.depth * self.out_channels
        self.cost = tuning.WINOGRAD_START + self.points * self._cost_of_a_point(lines, sums)

    @staticmethod
    def serves(geometry: Geometry) -> bool:
        """Whether a convolution can be computed like this."""
        window = geometry.window
        if geometry.dtype.type not in (np.float32, np.float64) or len(window.kernel) != 2:
            return False
        if window.stride != (1, 1) or window.dilation != (1, 1) or 0 in geometry.out_shape:
            return False
        if window.kernel[0] not in TAPS or window.padding[1][0] < 0:
            return False
        outputs = len(transforms(window.kernel[0], geometry.dtype).outputs)
        return outputs % geometry.block[0] == 0

    def _cost_of_a_point(self, lines: int, sums: bool) -> float:
        _, _, W, C = self.geometry.shape
        OW = self.geometry.out_shape[2]
        line = self.pitch * product_cost(self.depth, self.out_channels)
        line += tuning.TRANSFORM_INPUT * W * C + tuning.TRANSFORM_OUTPUT * OW * self.out_channels
        # Products pack all weights; for gradients each makes a sum for every weight.
        a_weight = 0.0 if self.is_unpacked else tuning.PACK_WEIGHT
        if sums:
            a_weight += tuning.ADD_CACHED if self.is_unpacked else tuning.ADD_FROM_MEMORY
        turns, _ = self.turns(min(lines, self.most_lines))
        products = -(-lines // self.most_lines) * turns
        return lines * line + a_weight * products * self.depth * self.out_channels

    def _bands(self, images: Pair, rows: Pair) -> Iterator[tuple[slice, Pair]]:
        """Cut output rows into bands, each with the images and the lines of its largest tile."""
        lines = self._lines(rows[1] - rows[0])
        height = max(1, min(lines, self.most_lines)) * self.outputs
        images_a_tile = part_size(images[1] - images[0], self.most_lines / lines)
        for start in range(*rows, height):
            stop = min(start + height, rows[1])
            yield slice(start, stop), (images_a_tile, self._lines(stop - start))

    def _lines(self, rows: int) -> int:
        """Count the transformed rows that stand for so many rows of outputs."""
        return -(-rows // self.outputs)

    def turns(self, lines: int) -> Pair:
        """Return how many products take turns at the positions of lines, how many each takes."""
        positions = lines * self.pitch
        parts = unpacked_parts(positions * self.depth * self.out_channels)
        turns = max(self.width, parts) if self.is_unpacked else self.width
        return turns, -(-positions // turns)

    def prepare(self, w: Array) -> Array:
        """Transform weights: (n, 1, KW·C, O)."""
        taps = np.ascontiguousarray(w).reshape(len(w), -1)
        weights = aligned_empty((self.points, 1, self.depth, self.out_channels), w.dtype)
        matmul(self.transforms.weights, taps, out=weights.reshape(self.points, -1))
        return weights

    def correlate(
        self, x: Array, weights: Array, epilogue: Epilogue, images: Pair, rows: Pair
    ) -> None:
        """Write the results of one tile after another."""
        for band, size in self._bands(images, rows):
            around = band.start - self.top, self.left
            inputs = _Transformed(self, x, self.transforms.inputs, *size, *around)
            products = _PointRows(self, *size, self.out_channels)
            results = products.rows(0, self.geometry.out_shape[2])
            for some, here in _tiles(images, inputs.images):
                inputs.load(some, here)
                windows = inputs.turns(here.stop, self.depth)
                np.matmul(windows, weights, out=products.turns(here.stop, self.out_channels))
                made = epilogue.room((some, band))
                transform_back(self.transforms.outputs, results[here], made)
                epilogue.finish(made, (some, band))

    def sums(self, x: Array, g: Array, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield the sums (n, O, KW·C) of one tile after another."""
        for band, size in self._bands(images, rows):
            around = band.start - self.top, self.left
            inputs = _Transformed(self, x, self.transforms.inputs, *size, *around)
            gradients = _Transformed(self, g[:, band], self.transforms.outputs.T, *size)
            for some, here in _tiles(images, inputs.images):
                inputs.load(some, here)
                gradients.load(some, here)
                gradients.clear_behind(here.stop)
                windows = inputs.turns(here.stop, self.depth)
                factors = gradients.turns(here.stop, self.out_channels).swapaxes(2, 3)
                yield np.matmul(factors, windows).sum(axis=1)

    def fold(self, total: Array) -> Array:
        """Transform a sum to the gradient of the weights (KH, KW, C, O)."""
        taps = matmul(self.transforms.weights.T, total.reshape(self.points, -1))
        KH, KW = self.geometry.window.kernel
        return taps.reshape(KH, self.out_channels, KW, -1).transpose(0, 2, 3, 1)


def _tiles(images: Pair, most: int) -> Iterator[tuple[slice, slice]]:
    """Yield the images of one tile after another: where they are in the batch, and in the tile."""
    for i in range(*images, most):
        j = min(i + most, images[1])
        yield slice(i, j), slice(0, j - i)


class _PointRows:
    """Rows at the n points for one tile after another, in a buffer that is used again.

    A tile has up to `images` images, `lines` rows each.
    """

    def __init__(self, method: MinimalFiltering, images: int, lines: int, channels: int) -> None:
        self.method, self.images, self.lines, self.channels = method, images, lines, channels
        turns, each = method.turns(images * lines)
        # Each turn ends in a window, and begins a position later than the one before.
        length = turns * (each + 1) + method.width
        self.memory = aligned_empty((method.points, length, channels), method.geometry.dtype)

    def rows(self, first: int, columns: int) -> Array:
        """View `columns` positions of each row, from `first` on: (images, lines, n, columns·C)."""
        point, position, channel = self.memory.strides
        row = self.method.pitch * position
        return np.ndarray(
            (self.images, self.lines, self.method.points, columns * self.channels),
            self.memory.dtype,
            self.memory,
            first * position,
            (self.lines * row, row, point, channel),
        )

    def turns(self, images: int, width: int) -> Array:
        """View `width` values from every so-many-th position of so many images on.

        Returns (n, turns, each, width), see `MinimalFiltering.turns`.
        """
        turns, each = self.method.turns(images * self.lines)
        point, position, channel = self.memory.strides
        return np.ndarray(
            (self.method.points, turns, each, width),
            self.memory.dtype,
            self.memory,
            0,
            (point, position, turns * position, channel),
        )


class _Transformed(_PointRows):
    """Rows at the points, made of images `x` (N, H, W, C) with zeros around.

    The first row of the tile reads the input from row `first` on.
    """

    def __init__(
        self,
        method: MinimalFiltering,
        x: Array,
        matrix: Array,
        images: int,
        lines: int,
        first: int = 0,
        left: int = 0,
    ) -> None:
        _, H, W, C = x.shape
        super().__init__(method, images, lines, C)
        self._clear_around(left, W)
        self.x = x
        # In one piece of memory: the images themselves, or copies of a tile's.
        self.is_copied = not x.flags.c_contiguous
        self.source = aligned_empty((images, H, W, C), x.dtype) if self.is_copied else x
        rows = self.rows(left, W)
        self.products = list(transformation(matrix, self.source, first, method.outputs, rows))

    def _clear_around(self, first: int, columns: int) -> None:
        """Set to 0 what `rows` leaves out, once for all tiles."""
        pitch = self.method.pitch
        used = self.memory[:, : self.images * self.lines * pitch]
        used = used.reshape(len(used), -1, pitch, self.channels)
        used[:, :, :first] = 0
        used[:, :, first + columns :] = 0
        self.clear_behind(self.images)

    def clear_behind(self, images: int) -> None:
        """Set to 0 what a tile of fewer images leaves out."""
        self.memory[:, images * self.lines * self.method.pitch :] = 0

    def load(self, some: slice, here: slice) -> None:
        """Transform some of the images, which become those of the tile."""
        if self.is_copied:
            np.copyto(self.source[here], self.x[some])
            some = here
        for matrix, source, target in self.products:
            np.matmul(matrix, source[some], out=target[here])
