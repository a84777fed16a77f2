"""Distances and similarities of pairs of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import axis_of, numpy_words, values_of
from tinygrad_cnn.ops.elementwise import add, div, mul, sub
from tinygrad_cnn.ops.matrices.norms import vector_norm
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.ops.shape import broadcast_to
from tinygrad_cnn.types import Operand

__all__ = ["cosine_similarity", "pairwise_distance"]


def raised_to(x: Any, least: float) -> Any:
    """Return max(x, least) with the gradient of x everywhere, so that nothing stays stuck below."""
    values = values_of(x)
    lacking = np.maximum(least - values, 0.0).astype(values.dtype, copy=False)
    return add(x, lacking) if lacking.any() else x


@numpy_words
def cosine_similarity(x1: Operand, x2: Operand, dim: int = 1, eps: float = 1e-8) -> Any:
    """Cosine of the angle between vectors: ``x1 · x2 / (max(‖x1‖, eps) · max(‖x2‖, eps))``.

    Parameters
    ----------
    x1, x2
        Any shapes that broadcast against each other.
    dim
        The dimension along which a vector lies, of the broadcast shape; it is not in the result.
    eps
        The least norm that is divided by.

    Raises
    ------
    IndexError
        If the dimension does not exist.

    >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4)
    array([0.7071])
    """
    if tuple(x1.shape) != tuple(x2.shape):  # a vector's length counts what is repeated along it
        shape = np.broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
        x1, x2 = broadcast_to(x1, shape), broadcast_to(x2, shape)
    ndim = x1.ndim
    axis = axis_of("cosine_similarity", ndim or 1, dim) - (ndim or 1)
    cosine_of: Any = mul(_unit(x1, axis, eps), _unit(x2, axis, eps))
    return sum_over(cosine_of, axis) if ndim else cosine_of


def _unit(x: Any, axis: int, eps: float) -> Any:
    norm = vector_norm(x, 2, axis if x.ndim else None, keepdim=True)
    return div(x, raised_to(norm, eps))


@numpy_words
def pairwise_distance(
    x1: Operand, x2: Operand, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """Distance of vectors: the p-norm of ``x1 − x2 + eps`` along the last dimension.

    The small number keeps the derivative finite where both are equal.

    >>> pairwise_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).round(4)
    array([5.])
    """
    return vector_norm(add(sub(x1, x2), eps), p, -1, keepdim)
