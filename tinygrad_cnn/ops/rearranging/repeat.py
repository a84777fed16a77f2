"""Repeating, turning and rolling elements: repeat, tile, repeat_interleave, flip, roll, rot90."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import (
    axes_of,
    axis_of,
    names_operands,
    numpy_words,
    shape_of,
    sizes_of,
    values_of,
)
from tinygrad_cnn.ops.elementwise import copied
from tinygrad_cnn.ops.index import Gather, Key, Slice
from tinygrad_cnn.ops.shape import broadcast_to, permute, reshape
from tinygrad_cnn.types import Dim, Operand

__all__ = ["flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile"]


def repeat(input: Operand, *repeats: int | Sequence[int]) -> Any:
    """Repeat the whole input along each dimension, the last number being the last dimension's.

    There are at least as many numbers as dimensions; further ones stand for new dimensions in
    front. The same as NumPy's ``tile``; NumPy's ``repeat`` is `repeat_interleave`.

    Raises
    ------
    ValueError
        If there are too few numbers, or one is negative.

    >>> repeat(np.array([1.0, 2.0]), 2, 2)
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]])
    """
    old = shape_of("repeat", input)
    counts = sizes_of("repeat", repeats)
    if len(counts) < len(old) or min(counts, default=0) < 0:
        raise ValueError(
            f"repeat: expects a number >= 0 for each of {len(old)} dimensions or more, got {counts}"
        )
    return _tiled(input, (1,) * (len(counts) - len(old)) + old, counts)


def tile(input: Operand, *dims: int | Sequence[int]) -> Any:
    """Repeat the whole input along each dimension, as `repeat`; fewer numbers name the last ones.

    >>> tile(np.array([[1.0], [2.0]]), 2).shape
    (2, 2)
    """
    old = shape_of("tile", input)
    counts = sizes_of("tile", dims)
    if min(counts, default=0) < 0:
        raise ValueError(f"tile: expects numbers >= 0, got {counts}")
    ndim = max(len(old), len(counts))
    sizes = (1,) * (ndim - len(old)) + old
    return _tiled(input, sizes, (1,) * (ndim - len(counts)) + counts)


def _tiled(input: Operand, sizes: tuple[int, ...], counts: tuple[int, ...]) -> Any:
    """Repeat: a new dimension of the count before each, of which the gradient is the sum."""
    pairs = list(zip(counts, sizes, strict=True))
    x = reshape(input, [n for _, size in pairs for n in (1, size)])
    x = broadcast_to(x, [n for pair in pairs for n in pair])
    return copied(reshape(x, [count * size for count, size in pairs]), input)


@numpy_words
def repeat_interleave(
    input: Operand,
    repeats: int | Operand,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Any:
    """Repeat each element along a dimension, copies side by side; NumPy calls it ``repeat``.

    Parameters
    ----------
    input
        Any shape; flattened if no dimension is named.
    repeats
        A number for all elements, or as many numbers as there are elements.
    dim
        The dimension to repeat along.
    output_size
        The size that results, checked.

    Raises
    ------
    ValueError
        If the numbers are negative, or not as many as elements, or give another output size.
    IndexError
        If the dimension does not exist.

    >>> repeat_interleave(np.array([1.0, 2.0]), 2)
    array([1., 1., 2., 2.])
    """
    if dim is None:
        input, dim = reshape(input, -1), 0
    elif not input.ndim:
        axis_of("repeat_interleave", 1, dim)
        input, dim = reshape(input, 1), 0
    axis = axis_of("repeat_interleave", input.ndim, dim)
    size, counts = input.shape[axis], values_of(repeats)
    if counts.dtype.kind not in "iu":
        raise TypeError(f"repeat_interleave: repeats expects integers, got {counts.dtype}")
    if counts.ndim > 1 or counts.size not in (1, size) or (counts < 0).any():
        raise ValueError(
            f"repeat_interleave: repeats expects a number >= 0, or {size} of them, got {repeats}"
        )
    places = np.repeat(np.arange(size), counts.reshape(-1))
    if output_size is not None and output_size != places.size:
        raise ValueError(
            f"repeat_interleave: output_size expects {places.size}, the sum of repeats, got "
            f"{output_size}"
        )
    return Gather(Key((*(slice(None),) * axis, places)))(input)


@names_operands
def flip(input: Operand, dims: int | Sequence[int]) -> Any:
    """Reverse the order of elements along dimensions; a copy, as in PyTorch.

    Raises
    ------
    IndexError
        If a dimension does not exist.
    ValueError
        If a dimension is named twice.

    >>> flip(np.array([[1.0, 2.0]]), 1)
    array([[2., 1.]])
    """
    return copied(flipped("flip", input, dims), input)


def flipped(function: str, input: Operand, dims: int | Sequence[int]) -> Any:
    """View the elements in reverse order along dimensions: NumPy's ``flip``."""
    axes = axes_of(function, input.ndim, dims)
    if not input.ndim:
        return reshape(input, ())
    turned = slice(None, None, -1)
    return Slice(Key(turned if a in axes else slice(None) for a in range(input.ndim)))(input)


def flipped_in(function: str, input: Operand, axis: int) -> Any:
    """View the elements in reverse order along one dimension that shall exist."""
    if input.ndim <= axis:
        raise ValueError(
            f"{function}: expects at least {axis + 1} dimensions, got shape {tuple(input.shape)}"
        )
    return flipped(function, input, axis)


@names_operands
def flipud(input: Operand) -> Any:
    """Reverse the first dimension.

    >>> flipud(np.array([1.0, 2.0]))
    array([2., 1.])
    """
    return copied(flipped_in("flipud", input, 0), input)


@names_operands
def fliplr(input: Operand) -> Any:
    """Reverse the second dimension.

    >>> fliplr(np.array([[1.0, 2.0]]))
    array([[2., 1.]])
    """
    return copied(flipped_in("fliplr", input, 1), input)


class Roll(Op):
    """Elements moved along axes, those that leave at one end entering at the other."""

    __slots__ = ("axes", "shifts")

    def __init__(self, shifts: tuple[int, ...], axes: tuple[int, ...]) -> None:
        self.shifts = shifts
        self.axes = axes

    def forward(self, x: Any) -> Any:
        return np.roll(x, self.shifts, self.axes)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Roll(tuple([-shift for shift in self.shifts]), self.axes)(g),)


@numpy_words
def roll(input: Operand, shifts: int | Sequence[int], dim: Dim = None) -> Any:
    """Move elements along dimensions; those that leave at one end enter at the other.

    Without a dimension the elements are rolled in row-major order, and the shape stays.

    Raises
    ------
    ValueError
        If there are not as many shifts as dimensions.
    IndexError
        If a dimension does not exist.

    >>> roll(np.array([1.0, 2.0, 3.0]), 1)
    array([3., 1., 2.])
    """
    moves = sizes_of("roll", (shifts,))
    if dim is None or dim == ():
        if len(moves) != 1:
            raise ValueError(f"roll: without dim, shifts expects one number, got {shifts}")
        return reshape(Roll(moves, (0,))(reshape(input, -1)), input.shape)
    dims = sizes_of("roll", (dim,))
    axes = tuple([axis_of("roll", input.ndim, d) for d in dims])
    if len(moves) != len(axes):
        raise ValueError(f"roll: expects as many shifts as dims, got {shifts} and {dim}")
    return Roll(moves, axes)(input)


@names_operands
def rot90(input: Operand, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Turn by 90 degrees, k times, in the plane of two dimensions, from the first to the second.

    Raises
    ------
    ValueError
        If the dims are not two different dimensions.
    IndexError
        If a dimension does not exist.

    >>> rot90(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[2., 4.],
           [1., 3.]])
    """
    return copied(turned("rot90", input, k, dims), input)


def turned(function: str, input: Operand, k: int, dims: Sequence[int]) -> Any:
    """View the elements turned by 90 degrees, k times: NumPy's ``rot90``."""
    named = sizes_of(function, (tuple(dims),))
    if len(named) != 2 or input.ndim < 2:
        raise ValueError(
            f"{function}: expects two dims of at least two, got {tuple(dims)} for shape "
            f"{tuple(input.shape)}"
        )
    first, second = (axis_of(function, input.ndim, d) for d in named)
    if first == second:
        raise ValueError(f"{function}: expects two different dims, got {tuple(dims)}")
    turns = operator.index(k) % 4
    if turns == 2:
        return flipped(function, input, (first, second))
    order = list(range(input.ndim))
    order[first], order[second] = second, first
    if turns == 1:
        return permute(flipped(function, input, second), order)
    return (
        flipped(function, permute(input, order), second)
        if turns == 3
        else permute(input, tuple(range(input.ndim)))
    )
