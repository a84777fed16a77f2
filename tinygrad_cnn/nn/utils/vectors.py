"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.ops.arguments import listed
from tinygrad_cnn.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Lay the elements of tensors side by side, in order; part of the graph.

    >>> parameters_to_vector([Tensor([[1.0, 2.0]]), Tensor([3.0])])
    tensor([1., 2., 3.])
    """
    given = listed("parameters_to_vector", "parameters", parameters, Tensor)
    vector: Tensor = F.cat([F.reshape(p, -1) for p in given])
    return vector


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of a vector to tensors, in order.

    Raises
    ------
    ValueError
        If the vector has another number of elements; nothing is then written.

    >>> p = Tensor([0.0, 0.0])
    >>> vector_to_parameters(Tensor([1.0, 2.0]), [p])
    >>> p
    tensor([1., 2.])
    """
    given = listed("vector_to_parameters", "parameters", parameters, Tensor)
    values = np.asarray(vec.detach() if isinstance(vec, Tensor) else vec)
    count = sum(p.numel() for p in given)
    if values.shape != (count,):
        raise ValueError(f"vector_to_parameters: expects a vector of {count}, got {values.shape}")
    start = 0
    with no_grad():
        for p in given:
            p.copy_(values[start : start + p.numel()].reshape(p._data.shape))
            start += p.numel()
