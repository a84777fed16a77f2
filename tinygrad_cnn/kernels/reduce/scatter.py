"""Sums at places: what is added where, repeats adding up.

NumPy's ``add.at`` takes 7 ns an element, and 1 where the target is one flat vector: every function
here makes its places flat. Half precision is summed in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["add_along", "add_rows", "take_along"]


def add_along(out: Array, axis: int, indices: Array, values: Array) -> None:
    """Add values to `out`, at the given indices of an axis and at their own place in the others.

    `out` is C-contiguous. The indices are integers from 0 on, of the shape of the values, no larger
    than `out` but along the axis.

    >>> out = np.zeros((2, 3))
    >>> add_along(out, 1, np.array([[2, 2]]), np.array([[1.0, 5.0]]))
    >>> out
    array([[0., 0., 6.],
           [0., 0., 0.]])
    """
    _add(out.reshape(-1), _flat(out, axis, indices).reshape(-1), values)


def take_along(x: Array, axis: int, indices: Array) -> Array:
    """Return the elements at the given indices of an axis, as NumPy's ``take_along_axis``."""
    if not x.flags.c_contiguous or not x.size:
        return np.take_along_axis(x, indices, axis)
    return x.reshape(-1).take(_flat(x, axis, indices))  # half of the time


def _flat(x: Array, axis: int, indices: Array) -> Array:
    """Return the places in a C-contiguous array as one vector, of indices of one axis."""
    strides = [stride // x.itemsize for stride in x.strides]
    start: Any = 0  # of each vector along the axis; sizes of 1 elsewhere
    for other, size in enumerate(indices.shape):
        if other != axis and size > 1:
            shape = [-1 if a == other else 1 for a in range(x.ndim)]
            start = start + (np.arange(size) * strides[other]).reshape(shape)
    if strides[axis] == 1:  # a pass over all of them less
        return np.asarray(np.add(indices, start, dtype=np.intp))
    flat = np.multiply(indices, strides[axis], dtype=np.intp)
    flat += start
    return flat


def add_rows(values: Array, index: Array, rows: int) -> Array:
    """Return zeros (rows, width) with values (N, width) added, each at row index[n]."""
    width = values.shape[1]
    out = np.zeros((rows, width), values.dtype)
    places = index[:, None] * width + np.arange(width)
    _add(out.reshape(-1), places.reshape(-1), values)
    return out


def _add(out: Array, places: Array, values: Array) -> None:
    """Add to a flat vector."""
    if out.dtype == np.float16:
        total = out.astype(np.float32)
        np.add.at(total, places, values.reshape(-1).astype(np.float32))
        out[...] = total
    else:
        np.add.at(out, places, values.reshape(-1).astype(out.dtype, copy=False))
