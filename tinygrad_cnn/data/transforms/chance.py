"""Draws from the package's default generator; in a loader it is the batch's own."""

from __future__ import annotations

from tinygrad_cnn.random import default_generator

__all__ = ["Chance", "happens", "uniform"]


def uniform(low: float, high: float) -> float:
    """Draw a number from low to high."""
    return float(default_generator().uniform(low, high))


def happens(p: float) -> bool:
    """Draw whether something happens, with probability p."""
    return bool(default_generator().random() < p)


class Chance:
    """What happens with probability `p`."""

    p: float

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be from 0 to 1, got {self.p}")
