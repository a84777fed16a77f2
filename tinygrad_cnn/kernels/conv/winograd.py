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
Convolutional Neural Networks, 2016, section 4. Two threads, forward, ms: (128, 16, 32, 32) → 16,
3×3, 5.0 -> 3.8; (64, 32, 26, 26) → 64 6.0 -> 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.conv.products import product_cost, unpacked_parts
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.conv.windows import matrix_plan
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.threads import part_size
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["Transforms", "WinogradPlan", "quicker_plan", "transforms"]


# And infinity, the sixth: where a polynomial's leading coefficient is its value.
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)


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

    Examples
    --------
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


class WinogradPlan:
    """How a correlation is made of transformed rows.

    A transformed row stands for m rows of outputs. At each point such rows follow each other
    `pitch` positions apart, the zeros between them being the padding of both neighbours, and the
    window of a position begins at it: KW·C values. BLAS takes matrices whose rows do not overlap,
    so a product takes every so-many-th position (see `phases`).

    `cost` is an estimate in ns, `multiplications` counts BLAS's for the products.
    """

    def __init__(self, geometry: Geometry, sums: bool) -> None:
        self.geometry = geometry
        itemsize = geometry.dtype.itemsize
        _, _, W, C = geometry.shape
        _, _, OW, self.out_channels = geometry.out_shape
        KH, KW = geometry.window.kernel
        self.transforms = transforms(KH, geometry.dtype)
        self.outputs: int = self.transforms.outputs.shape[0]
        self.points: int = self.transforms.outputs.shape[1]
        (self.top, _), (self.left, _) = geometry.window.padding
        right = OW + KW - 1 - W - self.left
        self.pitch = max(OW, W + max(self.left, right))
        self.depth = KW * C
        self.is_unpacked = self.depth * self.out_channels <= tuning.MOST_A_ROW
        tile_bytes = tuning.WINOGRAD_TILE_BYTES * (1 if self.is_unpacked else 2)
        row_bytes = self.points * self.pitch * (C + self.out_channels) * itemsize
        self.most_lines = max(1, tile_bytes // row_bytes)
        self.cost, self.multiplications = self._estimates(sums)

    def _estimates(self, sums: bool) -> tuple[float, int]:
        _, _, W, C = self.geometry.shape
        N, OH, OW, out_channels = self.geometry.out_shape
        lines = N * self.lines(OH)
        line = self.pitch * product_cost(self.depth, out_channels)
        line += tuning.TRANSFORM_INPUT * W * C + tuning.TRANSFORM_OUTPUT * OW * out_channels
        cost = lines * line
        # Products pack all weights; for gradients each makes a sum for every weight.
        a_weight = 0.0 if self.is_unpacked else tuning.PACK_WEIGHT
        if sums:
            a_weight += tuning.ADD_CACHED if self.is_unpacked else tuning.ADD_FROM_MEMORY
        phases, _ = self.phases(min(lines, self.most_lines))
        products = -(-lines // self.most_lines) * phases
        cost += a_weight * products * self.depth * out_channels
        multiplications = lines * self.pitch * self.depth * out_channels
        return tuning.WINOGRAD_START + self.points * cost, self.points * multiplications

    def bands(self, images: Pair, rows: Pair) -> Iterator[tuple[slice, int]]:
        """Cut output rows into bands, and say how many images' bands fit in the cache together."""
        lines = self.lines(rows[1] - rows[0])
        height = max(1, min(lines, self.most_lines)) * self.outputs
        images_a_tile = part_size(images[1] - images[0], self.most_lines / lines)
        for start in range(*rows, height):
            yield slice(start, min(start + height, rows[1])), images_a_tile

    def lines(self, rows: int) -> int:
        """Count the transformed rows that stand for so many rows of outputs."""
        return -(-rows // self.outputs)

    def phases(self, lines: int) -> Pair:
        """Return how many products take turns at the positions of lines, how many each takes."""
        positions = lines * self.pitch
        parts = unpacked_parts(positions * self.depth * self.out_channels)
        least = self.geometry.window.kernel[1]
        phases = max(least, parts) if self.is_unpacked else least
        return phases, -(-positions // phases)


@planned
def quicker_plan(geometry: Geometry, sums: bool, block: Pair = (1, 1)) -> WinogradPlan | None:
    """Return a plan, or None where filtering does not apply or a matrix of windows is as quick.

    Arguments as for `matrix_plan`.
    """
    window = geometry.window
    if geometry.dtype.type not in (np.float32, np.float64) or len(window.kernel) != 2:
        return None
    if window.stride != (1, 1) or window.dilation != (1, 1) or not 2 <= window.kernel[0] <= 5:
        return None
    if window.padding[1][0] < 0 or 0 in geometry.out_shape:
        return None
    plan = WinogradPlan(geometry, sums)
    if plan.outputs % block[0] != 0:
        return None
    return plan if plan.cost < matrix_plan(geometry, sums, block).cost else None
