"""Whole rows (or columns, or planes): index_select, index_add, index_copy, index_fill.

Where an index repeats, `index_add` adds and `index_copy` keeps the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import axis_of, numpy_words, shape_of, values_of
from tinygrad_cnn.ops.elementwise import add, mul
from tinygrad_cnn.ops.index import Gather, Key, ScatterAdd
from tinygrad_cnn.ops.indexing.along import indices_of
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Operand

__all__ = ["index_add", "index_copy", "index_fill", "index_select"]


def _rows(function: str, input: Operand, dim: int, index: Any) -> tuple[Any, Array, int]:
    """Return the input, the indices as a vector, and the axis; a number is a vector of one."""
    axis = axis_of(function, input.ndim or 1, dim)
    x = input if input.ndim else reshape(input, 1)
    if np.ndim(values_of(index)) > 1:
        raise ValueError(
            f"{function}: index expects a vector, got shape {np.shape(values_of(index))}"
        )
    return x, indices_of(function, index, x.shape[axis]).reshape(-1), axis


def _key(axis: int, indices: Array) -> Key:
    return Key((*(slice(None),) * axis, indices))


def _shaped_like(input: Operand, x: Any) -> Any:
    return x if input.ndim else reshape(x, ())


@numpy_words
def index_select(input: Operand, dim: int, index: Operand) -> Any:
    """Pick rows of a dimension: ``input[:, index]`` for dim 1.

    Raises
    ------
    IndexError
        If the dimension or an index does not exist.
    ValueError
        If the index has several dimensions.

    >>> index_select(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([1, 1]))
    array([[2., 2.],
           [4., 4.]])
    """
    x, indices, axis = _rows("index_select", input, dim, index)
    return _shaped_like(input, Gather(_key(axis, indices))(x))


def _source(function: str, x: Any, indices: Array, axis: int, source: Any) -> Any:
    expected = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    shape = shape_of(function, source)
    if shape != expected and not (not shape and expected == (1,)):
        raise ValueError(f"{function}: source expects shape {expected}, got {shape}")
    return source if shape else reshape(source, 1)


@numpy_words
def index_add(
    input: Operand, dim: int, index: Operand, source: Operand, *, alpha: float = 1
) -> Any:
    """Add rows to rows of a dimension: ``y[:, index] += alpha · source`` for dim 1, y = input.

    Raises
    ------
    IndexError
        If the dimension or an index does not exist.
    ValueError
        If the index has several dimensions, or the source another shape than the rows.

    >>> index_add(np.zeros((2, 2)), 0, np.array([1, 1]), np.ones((2, 2)))
    array([[0., 0.],
           [2., 2.]])
    """
    x, indices, axis = _rows("index_add", input, dim, index)
    rows = _source("index_add", x, indices, axis, source)
    if alpha != 1:
        rows = mul(rows, alpha)
    return _shaped_like(input, add(x, ScatterAdd(_key(axis, indices), x.shape)(rows)))


@numpy_words
def index_copy(input: Operand, dim: int, index: Operand, source: Operand) -> Any:
    """Put rows at rows of a dimension: ``y[:, index] = source`` for dim 1, y = input.

    Where an index repeats, the last row is put and takes the gradient. Errors as for `index_add`.

    >>> index_copy(np.zeros((2, 2)), 0, np.array([1]), np.ones((1, 2)))
    array([[0., 0.],
           [1., 1.]])
    """
    x, indices, axis = _rows("index_copy", input, dim, index)
    rows = _source("index_copy", x, indices, axis, source)
    owner = np.full(x.shape[axis], -1)
    owner[indices] = np.arange(len(indices))  # the last one stays
    wide = [-1 if a == axis else 1 for a in range(x.ndim)]
    last = (owner[indices] == np.arange(len(indices))).reshape(wide)
    placed = ScatterAdd(_key(axis, indices), x.shape)(where(last, rows, 0.0))
    return _shaped_like(input, where((owner >= 0).reshape(wide), placed, x))


@numpy_words
def index_fill(input: Operand, dim: int, index: Operand, value: Operand | float) -> Any:
    """Fill rows of a dimension with a number: ``y[:, index] = value`` for dim 1, y = input.

    ``value`` may be a 0-d tensor, which gets a gradient. Errors as for `index_select`.

    >>> index_fill(np.zeros((2, 2)), 0, np.array([1]), 5.0)
    array([[0., 0.],
           [5., 5.]])
    """
    if shape_of("index_fill", value):
        raise ValueError(f"index_fill: value expects a number, got shape {np.shape(value)}")
    x, indices, axis = _rows("index_fill", input, dim, index)
    mask = np.zeros(x.shape[axis], bool)
    mask[indices] = True
    wide = [-1 if a == axis else 1 for a in range(x.ndim)]
    return _shaped_like(input, where(mask.reshape(wide), value, x))
