"""Pixels sampled at any places: each output a weighted sum of a few, wherever they lie.

Shapes: x (N, C, M), y (N, C, P), weights and places (N, K, P): for each of P outputs K pixels, all
from 0 to M - 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array

__all__ = ["match_pixels", "sample_pixels", "spread_pixels"]


def sample_pixels(x: Array, weights: Array, places: Array) -> Array:
    """Return ``out[n, c, p] = Σ_k weights[n, k, p] · x[n, c, places[n, k, p]]``.

    >>> x = np.array([[[1.0, 2.0, 3.0]]])
    >>> sample_pixels(x, np.array([[[0.5], [0.5]]]), np.array([[[0], [2]]]))
    array([[[2.]]])
    """
    x = np.ascontiguousarray(x)
    out = np.empty((*x.shape[:2], places.shape[2]), x.dtype)

    def image(n: int, scratch: Array) -> None:
        for plane, target in zip(x[n], out[n], strict=True):
            plane.take(places[n], out=scratch, mode="wrap")  # "raise" would copy
            np.multiply(scratch, weights[n], out=scratch)
            np.add.reduce(scratch, axis=0, out=target)

    _each(image, out, places)
    return out


def spread_pixels(y: Array, weights: Array, places: Array, size: int) -> Array:
    """Give each output's value to its pixels: the transpose of `sample_pixels` in `x`.

    ``out[n, c, m] = Σ weights[n, k, p] · y[n, c, p]`` over all k, p with ``places[n, k, p] = m``;
    `size` is M.
    """
    out = np.zeros((*y.shape[:2], size), y.dtype)

    def image(n: int, scratch: Array) -> None:
        flat, values = places[n].reshape(-1), scratch.reshape(-1)
        for source, plane in zip(y[n], out[n], strict=True):
            np.multiply(weights[n], source, out=scratch)
            np.add.at(plane, flat, values)

    _each(image, y, places)
    return out


def match_pixels(y: Array, x: Array, places: Array) -> Array:
    """Multiply each output's value with its pixels: the transpose of `sample_pixels` in `weights`.

    ``out[n, k, p] = Σ_c y[n, c, p] · x[n, c, places[n, k, p]]``.
    """
    x = np.ascontiguousarray(x)
    out = np.zeros(places.shape, x.dtype)

    def image(n: int, scratch: Array) -> None:
        for source, plane in zip(y[n], x[n], strict=True):
            plane.take(places[n], out=scratch, mode="wrap")
            np.multiply(scratch, source, out=scratch)
            np.add(out[n], scratch, out=out[n])

    _each(image, y, places)
    return out


def _each(image: Callable[[int, Array], None], y: Array, places: Array) -> None:
    """Call a function with each image and room for a value for each place, threads side by side."""
    if not places.size:
        return
    N, C, _ = y.shape

    def work(start: int, stop: int) -> None:
        scratch = np.empty(places.shape[1:], y.dtype)
        for n in range(start, stop):
            image(n, scratch)

    with np.errstate(invalid="ignore", over="ignore"):  # infinite pixels
        parallel(work, N, grain=max(1, tuning.STRIDED_GRAIN * N // max(1, C * places.size)))
