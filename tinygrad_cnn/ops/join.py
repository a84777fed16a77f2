"""Joining tensors along an existing dimension (concatenate) or along a new one (stack)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import axis_of, listed, numpy_words, shape_of
from tinygrad_cnn.ops.index import Key, Slice
from tinygrad_cnn.ops.shape import pieces
from tinygrad_cnn.types import Operand

__all__ = ["cat", "concatenate", "stack"]


class Concatenate(Op):
    """Arrays one after the other along an existing dimension."""

    __slots__ = ("dim", "sizes")

    def __init__(self, dim: int, sizes: tuple[int, ...]) -> None:
        self.dim = dim
        self.sizes = sizes

    def forward(self, *xs: Any) -> Any:
        return np.concatenate(xs, self.dim)

    def backward(self, g: Any, out: Any, *xs: Any, needs: Any) -> tuple[Any, ...]:
        return tuple(pieces(g, self.sizes, self.dim, needs))


@numpy_words
def concatenate(tensors: Iterable[Operand], dim: int = 0) -> Any:
    """Join along an existing dimension; `cat` is the same function.

    Parameters
    ----------
    tensors
        Tensors or arrays of the same shape, except for the size of ``dim``. An empty vector among
        those of more dimensions is left out, as in PyTorch.
    dim
        The dimension to join along.

    Raises
    ------
    ValueError
        If there is nothing to join, or another size differs.
    IndexError
        If the dimension does not exist.

    >>> concatenate([np.zeros((2, 3)), np.ones((1, 3))]).shape
    (3, 3)
    """
    xs = listed("concatenate", "tensors", tensors)
    shapes = [shape_of("concatenate", x) for x in xs]
    if (0,) in shapes and any(len(shape) > 1 for shape in shapes):
        xs = [x for x, shape in zip(xs, shapes, strict=True) if shape != (0,)]
        shapes = [shape for shape in shapes if shape != (0,)]
    index = axis_of("concatenate", len(shapes[0]), dim)
    for shape in shapes:
        if len(shape) != len(shapes[0]) or any(
            i != index and a != b for i, (a, b) in enumerate(zip(shape, shapes[0], strict=True))
        ):
            raise ValueError(
                f"concatenate: expects equal sizes except along dim {index}, got shapes "
                f"{shapes[0]} and {shape}"
            )
    return Concatenate(index, tuple([shape[index] for shape in shapes]))(*xs)


cat = concatenate


class Stack(Op):
    """Arrays of one shape side by side along a new dimension."""

    __slots__ = ("dim",)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *xs: Any) -> Any:
        return np.stack(xs, self.dim)

    def backward(self, g: Any, out: Any, *xs: Any, needs: Any) -> tuple[Any, ...]:
        before = (slice(None),) * self.dim
        return tuple(
            [Slice(Key((*before, i)))(g) if need else None for i, need in enumerate(needs)]
        )


@numpy_words
def stack(tensors: Iterable[Operand], dim: int = 0) -> Any:
    """Join along a new dimension, which has index ``dim`` in the result.

    Raises
    ------
    ValueError
        If there is nothing to join, or the shapes differ.
    IndexError
        If the result has no such dimension.

    >>> stack([np.zeros(3), np.ones(3)], dim=1).shape
    (3, 2)
    """
    xs = listed("stack", "tensors", tensors)
    shapes = [shape_of("stack", x) for x in xs]
    for shape in shapes:
        if shape != shapes[0]:
            raise ValueError(f"stack: expects equal shapes, got {shapes[0]} and {shape}")
    return Stack(axis_of("stack", len(shapes[0]) + 1, dim))(*xs)
