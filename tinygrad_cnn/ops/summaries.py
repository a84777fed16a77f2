"""Two summaries at once, and the distance of two tensors."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401  # for the examples

from tinygrad_cnn.ops.arguments import numpy_words
from tinygrad_cnn.ops.elementwise import sub
from tinygrad_cnn.ops.extreme import amax, amin
from tinygrad_cnn.ops.matrices.norms import vector_norm
from tinygrad_cnn.ops.reduce import mean, std, var
from tinygrad_cnn.types import Dim, Operand

__all__ = ["aminmax", "dist", "std_mean", "var_mean"]


@numpy_words
def var_mean(
    input: Operand,
    dim: Dim = None,
    correction: float | None = 1,
    keepdim: bool = False,
    *,
    unbiased: bool | None = None,
) -> tuple[Any, Any]:
    """Return the variance and the mean over dimensions; arguments as for `var`.

    >>> var_mean(np.array([1.0, 2.0, 3.0]))
    (array(1.), array(2.))
    """
    over = None if isinstance(dim, bool) else dim
    variance = var(input, dim, correction, keepdim, unbiased=unbiased)
    return variance, mean(input, over, keepdim)


@numpy_words
def std_mean(
    input: Operand,
    dim: Dim = None,
    correction: float | None = 1,
    keepdim: bool = False,
    *,
    unbiased: bool | None = None,
) -> tuple[Any, Any]:
    """Return the standard deviation and the mean over dimensions; arguments as for `std`.

    >>> std_mean(np.array([1.0, 2.0, 3.0]))
    (array(1.), array(2.))
    """
    over = None if isinstance(dim, bool) else dim
    deviation = std(input, dim, correction, keepdim, unbiased=unbiased)
    return deviation, mean(input, over, keepdim)


@numpy_words
def aminmax(input: Operand, *, dim: int | None = None, keepdim: bool = False) -> tuple[Any, Any]:
    """Return the least and the greatest elements over a dimension, or of all.

    >>> aminmax(np.array([1.0, 3.0, 2.0]))
    (array(1.), array(3.))
    """
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


def dist(input: Operand, other: Operand, p: float = 2) -> Any:
    """Take the p-norm of the difference of two tensors, which broadcast.

    >>> dist(np.array([1.0, 2.0]), np.array([4.0, 6.0]))
    array(5.)
    """
    return vector_norm(sub(input, other), p)
