"""Pieces along a dimension, dimensions moved and unfolded, tensors laid side by side."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np  # noqa: F401  # for the examples

from tinygrad_cnn.ops.arguments import (
    axis_of,
    names_operands,
    numpy_words,
    shape_of,
    sizes_of,
    values_of,
)
from tinygrad_cnn.ops.index import Key, Slice
from tinygrad_cnn.ops.join import concatenate, stack
from tinygrad_cnn.ops.shape import Reshape, permute, reshape, split, transpose
from tinygrad_cnn.types import Operand

__all__ = [
    "chunk",
    "column_stack",
    "dstack",
    "hstack",
    "moveaxis",
    "movedim",
    "narrow",
    "ravel",
    "select",
    "swapaxes",
    "swapdims",
    "t",
    "tensor_split",
    "unbind",
    "unflatten",
    "vstack",
]


def _picked(input: Operand, axis: int, part: int | slice) -> Any:
    return Slice(Key((*(slice(None),) * axis, part)))(input)


def _several(function: str, input: Operand) -> tuple[int, ...]:
    shape = shape_of(function, input)
    if not shape:
        raise ValueError(f"{function}: expects at least one dimension, got a single number")
    return shape


@numpy_words
def unbind(input: Operand, dim: int = 0) -> tuple[Any, ...]:
    """Take a dimension apart: a tuple of views, without that dimension.

    Raises
    ------
    ValueError
        If the input is a single number.
    IndexError
        If the dimension does not exist.

    >>> unbind(np.array([[1.0, 2.0], [3.0, 4.0]]))
    (array([1., 2.]), array([3., 4.]))
    """
    shape = _several("unbind", input)
    axis = axis_of("unbind", len(shape), dim)
    return tuple([_picked(input, axis, i) for i in range(shape[axis])])


@numpy_words
def chunk(input: Operand, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """Cut into at most so many pieces of one size along a dimension; the last may be smaller.

    Raises
    ------
    ValueError
        If fewer than 1 piece is asked for, or the input is a single number.
    IndexError
        If the dimension does not exist.

    >>> [piece.shape for piece in chunk(np.zeros(5), 2)]
    [(3,), (2,)]
    """
    shape = _several("chunk", input)
    axis = axis_of("chunk", len(shape), dim)
    if chunks < 1:
        raise ValueError(f"chunk: chunks expects an int >= 1, got {chunks}")
    if not shape[axis]:
        return split(input, [0] * chunks, axis)
    return split(input, -(-shape[axis] // chunks), axis)


@numpy_words
def tensor_split(
    input: Operand, indices_or_sections: int | Sequence[int] | Operand, dim: int = 0
) -> tuple[Any, ...]:
    """Cut at indices, or into so many pieces whose sizes differ by at most 1, as NumPy's split.

    Raises
    ------
    ValueError
        If fewer than 1 piece is asked for, or the input is a single number.
    IndexError
        If the dimension does not exist.

    >>> [piece.shape for piece in tensor_split(np.zeros(5), 3)]
    [(2,), (2,), (1,)]
    """
    shape = _several("tensor_split", input)
    axis = axis_of("tensor_split", len(shape), dim)
    size = shape[axis]
    at = values_of(indices_or_sections)
    if at.ndim:
        at = sizes_of("tensor_split", tuple(at.tolist()))
        cuts = [slice(i, None).indices(size)[0] for i in at]
    else:
        count = operator.index(at.item())
        if count < 1:
            raise ValueError(f"tensor_split: expects at least 1 section, got {count}")
        each, more = divmod(size, count)
        cuts = [i * each + min(i, more) for i in range(1, count)]
    bounds = zip([0, *cuts], [*cuts, size], strict=True)
    return tuple([_picked(input, axis, slice(start, stop)) for start, stop in bounds])


@numpy_words
def select(input: Operand, dim: int, index: int) -> Any:
    """Pick one index of a dimension, which goes: ``input[:, index]`` for dim 1.

    Raises
    ------
    IndexError
        If the dimension or the index does not exist.
    ValueError
        If the input is a single number.

    >>> select(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, 0)
    array([1., 3.])
    """
    shape = _several("select", input)
    axis = axis_of("select", len(shape), dim)
    if not -shape[axis] <= index < shape[axis]:
        raise IndexError(f"select: index {index} does not exist in dim {axis} of shape {shape}")
    return _picked(input, axis, operator.index(index))


@numpy_words
def narrow(input: Operand, dim: int, start: int, length: int) -> Any:
    """Take a range of a dimension: ``input[:, start : start + length]`` for dim 1; a view.

    Raises
    ------
    ValueError
        If the range does not lie in the dimension, or the input is a single number.
    IndexError
        If the dimension does not exist.

    >>> narrow(np.array([1.0, 2.0, 3.0]), 0, 1, 2)
    array([2., 3.])
    """
    shape = _several("narrow", input)
    axis = axis_of("narrow", len(shape), dim)
    size = shape[axis]
    first = operator.index(start) + (size if start < 0 else 0)
    if length < 0 or not 0 <= first <= size - length:
        raise ValueError(
            f"narrow: start {start} and length {length} do not lie in dim {axis} of shape {shape}"
        )
    return _picked(input, axis, slice(first, first + length))


def movedim(input: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Move dimensions to other places, the rest keeping their order; `moveaxis` is the same.

    Raises
    ------
    ValueError
        If there are not as many sources as destinations, or one is named twice.
    IndexError
        If a dimension does not exist.

    >>> movedim(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    ndim = len(shape_of("movedim", input))
    come, go = (
        [axis_of("movedim", ndim, d) for d in sizes_of("movedim", (dims,))]
        for dims in (source, destination)
    )
    if len(come) != len(go) or len(set(come)) != len(come) or len(set(go)) != len(go):
        raise ValueError(
            "movedim: expects as many sources as destinations, each once, got "
            f"{source} and {destination}"
        )
    order = [axis for axis in range(ndim) if axis not in come]
    for place, axis in sorted(zip(go, come, strict=True)):
        order.insert(place, axis)
    return permute(input, order)


moveaxis = movedim
swapaxes = swapdims = transpose


def t(input: Operand) -> Any:
    """Transpose a matrix; a vector or a number stays as it is.

    Raises
    ------
    ValueError
        If there are more than 2 dimensions.

    >>> t(np.zeros((2, 3))).shape
    (3, 2)
    """
    ndim = len(shape_of("t", input))
    if ndim > 2:
        raise ValueError(f"t: expects at most 2 dimensions, got shape {tuple(input.shape)}")
    return permute(input, tuple(range(ndim))[::-1])


def ravel(input: Operand) -> Any:
    """Give all elements, in row-major order, one dimension.

    >>> ravel(np.array([[1.0], [2.0]]))
    array([1., 2.])
    """
    return reshape(input, -1)


@numpy_words
def unflatten(input: Operand, dim: int, sizes: Sequence[int]) -> Any:
    """Unfold a dimension into several, whose product is its size; one size may be -1.

    Raises
    ------
    ValueError
        If the sizes do not fit, or there is none.
    IndexError
        If the dimension does not exist.

    >>> unflatten(np.zeros((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    old = shape_of("unflatten", input)
    axis = axis_of("unflatten", len(old), dim)
    new = sizes_of("unflatten", (tuple(sizes),))
    known = math.prod([s for s in new if s != -1])
    if new.count(-1) == 1 and known > 0 and old[axis] % known == 0:
        new = tuple([old[axis] // known if s == -1 else s for s in new])
    if not new or min(new) < 0 or math.prod(new) != old[axis]:
        raise ValueError(f"unflatten: sizes {tuple(sizes)} do not fit dim {axis} of shape {old}")
    return Reshape((*old[:axis], *new, *old[axis + 1 :]))(input)


def _at_least(x: Any, ndim: int) -> Any:
    """Give dimensions of size 1 as `hstack`, `vstack` and `dstack` do."""
    shape = shape_of("stack", x)
    if len(shape) >= ndim:
        return x
    if len(shape) < 2:
        shape = (1, *shape) if shape or ndim == 1 else (1, 1)
    return reshape(x, shape[:ndim] if ndim < 3 else (*shape, 1))


@names_operands
def hstack(tensors: Iterable[Operand]) -> Any:
    """Lay side by side: join along the second dimension, or along the only one.

    >>> hstack([np.array([1.0]), np.array([2.0])])
    array([1., 2.])
    """
    xs = [_at_least(x, 1) for x in tensors]
    return concatenate(xs, 1 if xs and xs[0].ndim > 1 else 0)


@names_operands
def vstack(tensors: Iterable[Operand]) -> Any:
    """Lay one under the other: join along the first dimension; vectors become rows.

    >>> vstack([np.array([1.0]), np.array([2.0])])
    array([[1.],
           [2.]])
    """
    return concatenate([_at_least(x, 2) for x in tensors], 0)


@names_operands
def dstack(tensors: Iterable[Operand]) -> Any:
    """Lay one behind the other: join along the third dimension.

    >>> dstack([np.array([1.0]), np.array([2.0])])
    array([[[1., 2.]]])
    """
    return concatenate([_at_least(x, 3) for x in tensors], 2)


@names_operands
def column_stack(tensors: Iterable[Operand]) -> Any:
    """Lay side by side as columns: vectors become columns of a matrix.

    >>> column_stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([[1., 3.],
           [2., 4.]])
    """
    xs = list(tensors)
    if xs and all(len(shape_of("column_stack", x)) == 1 for x in xs):
        return stack(xs, 1)
    return concatenate(
        [reshape(x, -1, 1) if len(shape_of("column_stack", x)) < 2 else x for x in xs], 1
    )
