"""Winograd's minimal filtering: convolutions of stride 1 with half of the multiplications.

m outputs under r taps are part of a product of two polynomials, and a product of polynomials is
known from its values at n = m + r - 1 points. So n multiplications do the work of m·r:

    y = Aᵀ((G w) ⊙ (Bᵀ x))        x: n inputs, w: r taps, y: m outputs, y[i] = Σ_k w[k]·x[i + k]

For three taps and four outputs 6 instead of 12. It is done along the height alone: Bᵀ and Aᵀ are
then matrix products over whole rows of images, and at each of the n points stands a correlation
along the width, which is a matrix product as well. The weight's gradient is the adjoint,
dw = Gᵀ((A g) ⊙ (Bᵀ x)); the input's is a correlation again.

Rounding errors are about 2.4 times those of a direct sum (see `transforms`), also where a direct
sum has none: beside other numbers, a window of zeros gives nearly 0. A NaN or an infinity makes
NaNs of up to m - 1 rows of outputs above and below those whose window it is in.

S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for
Convolutional Neural Networks, 2016, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Method
from tinygrad_cnn.kernels.conv.products import product_cost
from tinygrad_cnn.kernels.conv.tiles import Geometry, Part
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.threads import matmul, part_size
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["TAPS", "MinimalFiltering", "Transforms", "transforms"]


# And infinity, the sixth: where a polynomial's leading coefficient is its value.
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
TAPS = range(2, 6)
"""How many taps a kernel may have."""


class Transforms(NamedTuple):
    """The matrices of F(m, r): `inputs` is Bᵀ (n, n), `weights` G (n, r), `outputs` Aᵀ (m, n)."""

    inputs: Array
    weights: Array
    outputs: Array


# Root mean square error, float32, 4 outputs, 48 values a row, unit variance: direct 1.3e-7, these
# points 3.1e-7, 0, ±1/2, ±2 3.6e-7, the usual 0, ±1, ±2 5e-7. Powers of two in the denominators
# make Bᵀ and Aᵀ exact.
@lru_cache(maxsize=64)
def transforms(taps: int, dtype: np.dtype[Any]) -> Transforms:
    """Return the matrices for r = 2 … 5 taps and m = 7 - r outputs, from their n = 6 points.

    A and G evaluate polynomials of m and of r coefficients at the points; B has the coefficients
    of the polynomials that interpolate: Π(t - q) over all other points q, of which the one that
    belongs to p is to be divided by Π(p - q); G takes that in.

    >>> inputs, weights, outputs = transforms(3, np.dtype(np.float64))
    >>> x, w = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), np.array([1.0, 10.0, 100.0])
    >>> (outputs @ ((weights @ w) * (inputs @ x))).round(6)
    array([ 421.,  842., 1684., 3368.])
    """
    points = np.array(_POINTS)
    n = len(points) + 1
    inputs = np.zeros((n, n))
    scale = np.ones((n, 1))
    for index, point in enumerate(points):
        others = np.delete(points, index)
        inputs[index, :-1] = np.poly(others)[::-1]
        scale[index] = 1 / np.prod(point - others)
    inputs[-1] = np.poly(points)[::-1]
    weights = _values(points, taps) * scale
    outputs = _values(points, n + 1 - taps).T
    return Transforms(*(np.ascontiguousarray(a, dtype) for a in (inputs, weights, outputs)))


def _values(points: Array, coefficients: int) -> Array:
    """Return the matrix that evaluates polynomials at the points and at infinity."""
    at_infinity = np.eye(coefficients)[-1:]
    return np.concatenate([np.vander(points, coefficients, increasing=True), at_infinity])


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
        outputs, points = self.transforms.outputs.shape
        self.outputs, self.points = int(outputs), int(points)
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

    def _bands(self, part: Part) -> Iterator[tuple[slice, Pair]]:
        """Cut output rows into bands, each with the images and the lines of its largest tile."""
        images, rows = part
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
        parts = -(-positions * self.depth * self.out_channels // tuning.UNPACKED)
        turns = max(self.width, parts) if self.is_unpacked else self.width
        return turns, -(-positions // turns)

    def prepare(self, w: Array) -> Array:
        """Transform weights: (n, 1, KW·C, O)."""
        taps = np.ascontiguousarray(w).reshape(len(w), -1)
        weights = aligned_empty((self.points, 1, self.depth, self.out_channels), w.dtype)
        matmul(self.transforms.weights, taps, out=weights.reshape(self.points, -1))
        return weights

    def correlate(self, x: Array, weights: Array, epilogue: Epilogue, part: Part) -> None:
        """Write the results of one tile after another."""
        for band, size in self._bands(part):
            around = band.start - self.top, self.left
            inputs = _Transformed(self, x, self.transforms.inputs, size, *around)
            products = _PointRows(self, *size, self.out_channels)
            results = products.rows[..., : self.geometry.out_shape[2] * self.out_channels]
            for some, here in _tiles(part, inputs.images):
                inputs.load(some, here)
                windows = inputs.turns(here.stop, self.depth)
                np.matmul(windows, weights, out=products.turns(here.stop, self.out_channels))
                with epilogue.results((some, band)) as made:
                    _transform_back(self.transforms.outputs, results[here], made)

    def sums(self, x: Array, g: Array, part: Part) -> Iterator[Array]:
        """Yield the sums (n, O, KW·C) of one tile after another."""
        for band, size in self._bands(part):
            around = band.start - self.top, self.left
            inputs = _Transformed(self, x, self.transforms.inputs, size, *around)
            gradients = _Transformed(self, g[:, band], self.transforms.outputs.T, size)
            for some, here in _tiles(part, inputs.images):
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


def _tiles(part: Part, most: int) -> Iterator[tuple[slice, slice]]:
    """Yield the images of one tile after another: where they are in the batch, and in the tile."""
    (first, end), _ = part
    for i in range(first, end, most):
        j = min(i + most, end)
        yield slice(i, j), slice(0, j - i)


class _PointRows:
    """Rows at the n points for one tile after another, in a buffer that is used again.

    A tile has up to `images` images, `lines` rows each.
    """

    def __init__(self, method: MinimalFiltering, images: int, lines: int, channels: int) -> None:
        self.method, self.images, self.lines = method, images, lines
        turns, each = method.turns(images * lines)
        # Each turn ends in a window, and begins a position later than the one before.
        length = turns * (each + 1) + method.width
        self.memory = aligned_empty((method.points, length, channels), method.geometry.dtype)
        used = self.memory[:, : images * lines * method.pitch]
        self.rows = used.reshape(method.points, images, lines, -1).transpose(1, 2, 0, 3)
        """(images, lines, n, pitch · C)"""

    def turns(self, images: int, width: int) -> Array:
        """View `width` values from every so-many-th position of so many images on.

        Returns (n, turns, each, width), see `MinimalFiltering.turns`.
        """
        turns, each = self.method.turns(images * self.lines)
        point, position, channel = self.memory.strides
        strides = point, position, turns * position, channel
        shape = self.method.points, turns, each, width
        return np.ndarray(shape, self.memory.dtype, self.memory, 0, strides)


class _Transformed(_PointRows):
    """Rows at the points, made by `matrix` of images `x` (N, H, W, C) with zeros around.

    The first row of the tile reads the input from row `first` on; its columns begin at `left`.
    """

    def __init__(
        self,
        method: MinimalFiltering,
        x: Array,
        matrix: Array,
        size: Pair,
        first: int = 0,
        left: int = 0,
    ) -> None:
        _, H, W, C = x.shape
        super().__init__(method, *size, C)
        self.rows[..., : left * C] = 0
        self.rows[..., (left + W) * C :] = 0
        self.clear_behind(self.images)
        self.x = x
        # In one piece of memory: the images themselves, or copies of a tile's.
        self.is_copied = not x.flags.c_contiguous
        self.source = aligned_empty((self.images, H, W, C), x.dtype) if self.is_copied else x
        rows = self.rows[..., left * C : (left + W) * C]
        self.products = list(_transformation(matrix, self.source, first, method.outputs, rows))

    def clear_behind(self, images: int) -> None:
        """Set to 0 what a tile of so many images leaves out."""
        self.memory[:, images * self.lines * self.method.pitch :] = 0

    def load(self, some: slice, here: slice) -> None:
        """Transform some of the images, which become those of the tile."""
        if self.is_copied:
            np.copyto(self.source[here], self.x[some])
            some = here
        for matrix, source, target in self.products:
            np.matmul(matrix, source[some], out=target[here])


def _transformation(
    matrix: Array, x: Array, first: int, step: int, target: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield what writes ``target[i, t] = matrix @ x[i, first + t·step : first + t·step + n]``.

    Rows outside of `x` are zeros. Shapes: matrix (P, n), x (N, H, W, C) C-contiguous, target
    (N, T, P, W·C).
    """
    N, H, W, C = x.shape
    row = W * C * x.itemsize  # strides of axes of length 1 may be any
    n, lines = matrix.shape[1], target.shape[1]
    t = 0
    while t < lines:
        start = first + t * step
        low, high = max(0, -start), max(0, min(n, H - start))
        # The same product serves all that lie inside.
        same = min(lines - t, (H - n - start) // step + 1) if high - low == n else 1
        if low >= high:  # a product of no columns is 0
            low = high = start = 0
        shape, strides = (N, same, high - low, W * C), (H * row, step * row, row, x.itemsize)
        rows: Array = np.ndarray(shape, x.dtype, x, (start + low) * row, strides)
        yield matrix[:, low:high], rows, target[:, t : t + same]
        t += same


def _transform_back(matrix: Array, source: Array, out: Array) -> None:
    """Write ``out = matrix @ source``, row by row.

    Shapes: matrix (m, n), source (N, T, n, W·O), out (N, H, W, O), C-contiguous; the last of the T
    rows may stand for fewer than m of H.
    """
    N, H, W, out_channels = out.shape
    m = len(matrix)
    for first, height in ((0, H // m * m), (H // m * m, H % m)):
        if height:
            lines, each = max(1, height // m), min(m, height)
            target = out[:, first : first + height].reshape(N, lines, each, W * out_channels)
            np.matmul(matrix[:each], source[:, first // m : first // m + lines], out=target)
