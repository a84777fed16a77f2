"""Changing the shape: reshape, transpose, broadcast, pad and crop, concatenate, stack.

All are linear: a rule is the op's adjoint. Sum and broadcast, pad and crop are pairs.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.op import Op, TensorBase

Operand = TensorBase | Array


class Reshape(Op):
    """The same elements in row-major order under another shape."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        return np.reshape(x, self.shape)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (reshape(g, x.shape),)


def reshape(input: Operand, *shape: int | Sequence[int]) -> Any:
    """Give another shape to the same elements, in row-major order; one size may be -1.

    Raises
    ------
    ValueError
        If the numbers of elements differ.

    >>> reshape(np.arange(6.0), 2, -1).shape
    (2, 3)
    """
    sizes = _sizes(shape)
    old = tuple(input.shape)
    total = int(np.prod(old))
    known = int(np.prod([s for s in sizes if s != -1]))
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes = tuple(total // known if s == -1 else s for s in sizes)
    if builtins.min(sizes, default=0) < 0 or int(np.prod(sizes)) != total:
        raise ValueError(f"reshape: {total} elements of shape {old} do not fit shape {sizes}")
    return Reshape(sizes)(input)


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept both f(x, 2, 3) and f(x, (2, 3))."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return tuple(int(s) for s in shape)


class BroadcastTo(Op):
    """The same elements repeated along new or size-1 dimensions."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        return np.broadcast_to(x, self.shape)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g,)  # the engine sums a gradient over broadcast dimensions


def broadcast_to(input: Operand, shape: Sequence[int]) -> Any:
    """Repeat along new leading dimensions and dimensions of size 1, without copying.

    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    shape = tuple(shape)
    try:
        legal = np.broadcast_shapes(input.shape, shape) == shape
    except ValueError:
        legal = False
    if not legal:
        raise ValueError(f"broadcast_to: shape {tuple(input.shape)} does not broadcast to {shape}")
    return BroadcastTo(shape)(input)
