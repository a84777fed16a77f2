"""Distances of all pairs of points."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import names_operands
from tinygrad_cnn.ops.elementwise import sub
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.matrices.norms import vector_norm
from tinygrad_cnn.ops.shape import unsqueeze
from tinygrad_cnn.types import Operand

__all__ = ["cdist", "pdist"]


@names_operands
def cdist(x1: Operand, x2: Operand, p: float = 2.0, compute_mode: str | None = None) -> Any:
    """Take the p-norms of the differences of all pairs: (…, P, M) and (…, R, M) to (…, P, R).

    PyTorch's ``compute_mode`` is taken and changes nothing: differences are taken in any case.

    Raises
    ------
    ValueError
        If there are less than two dimensions, or points of different lengths.

    >>> cdist(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    array([[5., 1.]])
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(
            f"cdist: expects (…, P, M) and (…, R, M), got {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    return vector_norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


@names_operands
def pdist(input: Operand, p: float = 2.0) -> Any:
    """Take the p-norms of the differences of the rows, each pair once: (N, M) to (N(N − 1)/2,).

    Raises
    ------
    ValueError
        If it is no matrix.

    >>> pdist(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]]))
    array([5., 4., 3.])
    """
    if input.ndim != 2:
        raise ValueError(f"pdist: expects (N, M), got {tuple(input.shape)}")
    one, other = np.triu_indices(input.shape[0], 1)
    return vector_norm(sub(getitem(input, one), getitem(input, other)), p, 1)
