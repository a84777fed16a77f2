"""Modules that pass elements on unchanged: `Flatten`, `Unflatten` and `Identity`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module

__all__ = ["Flatten", "Identity", "Unflatten"]


class Flatten(Module):
    """Join neighbouring dimensions into one; by default all but the batch's.

    Input (N, C, H, W), result (N, C · H · W) by default.

    >>> import numpy as np
    >>> Flatten()(np.zeros((2, 3, 4, 4))).shape
    (2, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """Apply `functional.flatten`."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Unfold a dimension into several, whose product is its size.

    Input (N, C · H · W), result (N, C, H, W) for ``Unflatten(1, (C, H, W))``.

    >>> import numpy as np
    >>> Unflatten(1, (3, 4, -1))(np.zeros((2, 48))).shape
    (2, 3, 4, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """Apply `functional.unflatten`."""
        return F.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Return the input; arguments are ignored, so that it can take the place of any layer.

    >>> Identity()(3)
    3
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take anything."""

    def forward(self, input: Any) -> Any:
        """Return the input."""
        return input
