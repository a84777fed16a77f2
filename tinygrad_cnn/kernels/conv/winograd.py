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

from tinygrad_cnn.types import Array

__all__ = ["TAPS", "Product", "Transforms", "transform_back", "transformation", "transforms"]


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


class Product(NamedTuple):
    """``target = matrix @ source`` for all images: (P, n), (N, T, n, W) and (N, T, P, W)."""

    matrix: Array
    source: Array
    target: Array


def transformation(
    matrix: Array, x: Array, first: int, step: int, target: Array
) -> Iterator[Product]:
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
        yield Product(matrix[:, low:high], rows, target[:, t : t + same])
        t += same


def transform_back(matrix: Array, source: Array, out: Array) -> None:
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
