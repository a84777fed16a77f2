"""Running sums along an axis."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.types import Array

__all__ = ["running_sums"]


def running_sums(x: Array, axis: int, reverse: bool = False) -> Array:
    """Add up along an axis, from the first place on, or from the last.

    NumPy goes along the axis, vector by vector; where the axis is not the last one, adding whole
    rows reads memory as it lies.

    Examples
    --------
    >>> running_sums(np.array([[1.0, 2.0, 3.0]]), 1, reverse=True)
    array([[6., 5., 3.]])
    """
    inner = x[(0,) * (axis + 1)].size if x.size else 0
    if inner < tuning.WIDE_PLACES or not x.flags.c_contiguous or x.dtype.kind != "f":
        if reverse:
            return np.flip(np.cumsum(np.flip(x, axis), axis), axis)
        return np.cumsum(x, axis)
    out = np.empty_like(x)
    length = x.shape[axis]
    rows, sums = (a.reshape(-1, length, inner) for a in (x, out))
    order = range(length - 1, -1, -1) if reverse else range(length)
    for source, target in zip(rows, sums, strict=True):
        before = None
        for i in order:
            if before is None:
                target[i] = source[i]
            else:
                np.add(target[before], source[i], out=target[i])
            before = i
    return out
