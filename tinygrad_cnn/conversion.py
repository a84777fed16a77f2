"""Data from outside made into arrays: what `Tensor` takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.base import TensorBase
from tinygrad_cnn.graph import warn_left
from tinygrad_cnn.operands import refuse_masked
from tinygrad_cnn.types import Array


def array_from(data: Any, dtype: npt.DTypeLike | None) -> Array:
    """Copy data into an array of real numbers.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If they do not make an array.

    >>> array_from([[1, 2.5]], None)
    array([[1. , 2.5]], dtype=float32)
    """
    if isinstance(data, TensorBase):
        data = data._data
    # Batches of a training loop come as arrays: they need no look for tensors inside.
    if dtype is None and type(data) is np.ndarray and data.dtype.kind in "fiub":
        return np.array(data)
    typed = isinstance(data, (np.ndarray, np.generic))
    if typed:
        refuse_masked("tensor", data)
    found: list[TensorBase] = []
    try:
        array = np.array(_plain(data, found), dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise type(error)(f"tensor: the data do not make an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"tensor: expects real numbers, got {array.dtype} from {type(data).__name__}"
        )
    if any(inner._requires_grad for inner in found):
        warn_left("tensor([…])", "F.stack() keeps it, detach() says so on purpose")
    if dtype is None and not typed and array.dtype == np.float64:
        array = array.astype(TensorBase.floating)
    return array


def _plain(data: Any, found: list[TensorBase]) -> Any:
    """Replace tensors inside of nested lists by their arrays, and note which were found."""
    if isinstance(data, TensorBase):
        found.append(data)
        return data._data
    if isinstance(data, (list, tuple)):
        return [_plain(item, found) for item in data]
    return data
