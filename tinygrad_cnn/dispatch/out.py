"""``out=`` and ``dtype=``: where NumPy's functions put their result, and in which type."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.elementwise import cast
from tinygrad_cnn.writing import put


def into(out: Any, result: Any, name: str) -> Any:
    """Write a result to ``out`` and return that; without it, return the result.

    Raises
    ------
    TypeError
        If ``out`` is an array and the result has a gradient, which would be lost there.
    """
    if out is None:
        return result
    if isinstance(out, tuple):
        (out,) = out
    if not isinstance(out, TensorBase):
        if isinstance(result, TensorBase) and result._requires_grad:
            raise TypeError(
                f"{name}: out= is a NumPy array, in which the gradient would be lost: leave out= "
                "away (`a = a + t`, not `a += t`), or give a tensor, made by `tensor(...)`"
            )
        out[...] = result._data if isinstance(result, TensorBase) else result
        return out
    if tuple(out.shape) != tuple(np.shape(result)):
        raise ValueError(f"{name}: out= expects shape {np.shape(result)}, got {tuple(out.shape)}")
    return put(name, out, result)


def typed(x: Any, dtype: Any) -> Any:
    """Convert to a dtype, if one is given."""
    if dtype is None:
        return x
    return cast(x, dtype) if isinstance(x, TensorBase) else np.asarray(x, dtype)
