"""Draws from the normal distribution between two bounds."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from tinygrad_cnn.types import Array, Shape

__all__: list[str] = []


def truncated_normal(
    generator: np.random.Generator, low: float, high: float, shape: Shape
) -> Array | None:
    """Draw from N(0, 1) what lies in [low, high]; None if nothing ever does.

    >>> draws = truncated_normal(np.random.default_rng(0), 3.0, 4.0, (1000,))
    >>> draws is not None and bool(((draws >= 3) & (draws <= 4)).all())
    True
    """
    # The lower tail is where probabilities keep their digits: an interval above 0 is mirrored.
    if low > 0:
        mirrored = truncated_normal(generator, -high, -low, shape)
        return None if mirrored is None else -mirrored
    normal = NormalDist()
    below, above = normal.cdf(low), normal.cdf(high)
    if not above > 0:
        return None
    if above - below > 0.5:  # most draws fall there, and need no inverse of the distribution
        return _again_and_again(generator, low, high, shape)
    part = np.clip(generator.uniform(below, above, shape), 1e-323, 1 - 2**-53)
    draws = np.array([normal.inv_cdf(p) for p in part.ravel().tolist()]).reshape(shape)
    return np.asarray(np.clip(draws, low, high))


def _again_and_again(
    generator: np.random.Generator, low: float, high: float, shape: Shape
) -> Array:
    """Draw from N(0, 1), and again what falls outside."""
    draws = generator.standard_normal(math.prod(shape))
    outside = np.flatnonzero((draws < low) | (draws > high))
    while outside.size:
        draws[outside] = generator.standard_normal(outside.size)
        again = draws[outside]
        outside = outside[(again < low) | (again > high)]
    return draws.reshape(shape)
