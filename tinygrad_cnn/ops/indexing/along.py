"""Picking along a dimension, element by element: gather, take_along_dim, and take from all.

Negative indices count from the end, as in NumPy; an index that does not exist is an error. What is
picked here is put by `scattering`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import axis_of, names_operands, numpy_words, shape_of, values_of
from tinygrad_cnn.ops.extreme import TakeAlong
from tinygrad_cnn.ops.index import Gather, Key, Slice
from tinygrad_cnn.ops.shape import broadcast_to, reshape
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = ["gather", "take", "take_along_dim"]


def indices_of(function: str, index: Any, size: int) -> Array:
    """Return integer indices counted from 0, a copy; checked."""
    indices = np.array(values_of(index))
    if not indices.size and indices.dtype.kind == "f":
        indices = indices.astype(np.intp)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{function}: index expects integers, got {indices.dtype}")
    least, greatest = (int(indices.min()), int(indices.max())) if indices.size else (0, -1)
    if least < -size or greatest >= size:
        wrong = least if least < -size else greatest
        raise IndexError(f"{function}: index {wrong} does not exist in a dimension of {size}")
    if least < 0:
        indices = np.where(indices < 0, indices + size, indices)
    indices = indices.astype(np.intp, copy=False)
    indices.flags.writeable = False  # ours alone: nobody has to watch its bytes
    return indices


def cropped(x: Any, shape: Shape, axis: int) -> Any:
    """Take what the indices cover: they may be fewer than x has along the other dimensions."""
    if all(a == axis or n == m for a, (n, m) in enumerate(zip(shape, x.shape, strict=True))):
        return x
    return Slice(Key(slice(None) if a == axis else slice(n) for a, n in enumerate(shape)))(x)


def indices_along(
    function: str, input: Operand, dim: int, index: Any, source: Shape | None = None
) -> tuple[Any, Array, int]:
    """Return the input, its indices and the axis; numbers are taken for vectors of one."""
    ndim = input.ndim
    axis = axis_of(function, ndim or 1, dim)
    indices = indices_of(function, index, input.shape[axis] if ndim else 1)
    if indices.ndim != ndim and not (indices.ndim == 1 and ndim == 0) and indices.size:
        raise ValueError(
            f"{function}: index expects {ndim} dimensions as the input, got shape {indices.shape}"
        )
    x = input if ndim else reshape(input, 1)
    if indices.ndim != x.ndim:
        indices = indices.reshape((1,) if indices.size else (0,) * x.ndim)
    for a, n in enumerate(indices.shape):
        if (a != axis and n > x.shape[a]) or (source is not None and n > source[a]):
            against = f"input {tuple(input.shape)}" + ("" if source is None else f", src {source}")
            raise ValueError(
                f"{function}: index of shape {indices.shape} reaches beyond {against} along dim {a}"
            )
    return x, indices, axis


@numpy_words
def gather(input: Operand, dim: int, index: Operand, *, sparse_grad: bool = False) -> Any:
    """Pick along a dimension: for dim 1, ``y[i, j] = input[i, index[i, j]]``.

    Parameters
    ----------
    input
        Any shape.
    dim
        The dimension whose indices are given.
    index
        Integers, of as many dimensions as the input, and no larger than it but along ``dim``.
    sparse_grad
        Taken for PyTorch's sake; gradients are dense.

    Returns
    -------
    The shape of the index.

    Raises
    ------
    IndexError
        If the dimension or an index does not exist.
    ValueError
        If the index has another number of dimensions or is too large.

    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([[1], [0]]))
    array([[2.],
           [3.]])
    """
    del sparse_grad
    x, indices, axis = indices_along("gather", input, dim, index)
    found = TakeAlong(axis)(cropped(x, indices.shape, axis), indices)
    wanted = shape_of("gather", index)
    return found if found.shape == wanted else reshape(found, wanted)


@numpy_words
def take_along_dim(input: Operand, indices: Operand, dim: int | None = None) -> Any:
    """Pick along a dimension as `gather`, all broadcast; without one, from all elements in order.

    The same as NumPy's ``take_along_axis``. Errors as for `gather`.

    >>> take_along_dim(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1]]), 1)
    array([[2.],
           [4.]])
    """
    if dim is None:
        return take(input, values_of(indices).reshape(-1))
    axis = axis_of("take_along_dim", input.ndim, dim)
    index = indices_of("take_along_dim", indices, input.shape[axis])
    if index.ndim != input.ndim:
        raise ValueError(
            f"take_along_dim: indices expects {input.ndim} dimensions, got shape {index.shape}"
        )
    one = [1 if a == axis else n for a, n in enumerate(input.shape)]
    try:
        shape = list(np.broadcast_shapes(tuple(one), tuple(_but(index.shape, axis))))
    except ValueError:
        raise ValueError(
            f"take_along_dim: indices of shape {index.shape} do not broadcast to the input's "
            f"{tuple(input.shape)}"
        ) from None
    wide = shape.copy()
    wide[axis], shape[axis] = input.shape[axis], index.shape[axis]
    return TakeAlong(axis)(broadcast_to(input, wide), np.broadcast_to(index, shape))


def _but(shape: Shape, axis: int) -> list[int]:
    return [1 if a == axis else n for a, n in enumerate(shape)]


@names_operands
def take(input: Operand, index: Operand) -> Any:
    """Pick from all elements in row-major order: ``input.reshape(-1)[index]``.

    Raises
    ------
    IndexError
        If an index does not exist.

    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, -1]))
    array([1., 4.])
    """
    flat = reshape(input, -1)
    indices = indices_of("take", index, flat.shape[0])
    return Gather(Key((indices,)))(flat)
