"""`Dropout`."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training, set elements to 0 with probability p and divide the others by 1 − p.

    In evaluation the input passes unchanged (Srivastava et al. 2014, scaled in training).

    Parameters
    ----------
    p
        The probability, in [0, 1].
    generator
        Draws which; the package's default generator if None.

    Raises
    ------
    ValueError
        If `p` is outside of [0, 1].

    >>> Dropout(0.5).eval()(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p expects a probability in [0, 1], got {p}")
        self.p = p
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Apply `functional.dropout`."""
        return F.dropout(input, self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"p={self.p}"
