"""Reductions over any axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.shape import broadcast_to, reshape

Operand = TensorBase | Array


class Sum(Op):
    """Sum over axes."""

    __slots__ = ("axes", "keepdims")

    def __init__(self, axes: tuple[int, ...], keepdims: bool) -> None:
        self.axes = axes
        self.keepdims = keepdims

    def forward(self, x: Any) -> Any:
        return np.sum(x, axis=self.axes, keepdims=self.keepdims)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (spread(g, x.shape, self.axes),)


def spread(g: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Repeat a reduced array along the axes it was reduced over: the adjoint of a sum."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return broadcast_to(reshape(g, kept), shape)


Dim = int | Sequence[int] | None


def axes_of(op: str, ndim: int, dim: Dim, axis: Dim = None) -> tuple[int, ...]:
    """Return the axes that a ``dim`` or ``axis`` argument names, sorted; None names all of them."""
    if dim is None:
        dim = axis
    elif axis is not None:
        raise ValueError(f"{op}: dim and axis are two names of one argument; give one of them")
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    for d in dims:
        if not -ndim <= d < ndim:
            raise IndexError(f"{op}: dim {d} does not exist in a tensor of {ndim} dimensions")
    axes = sorted({int(d) % ndim for d in dims})
    if len(axes) != len(dims):
        raise ValueError(f"{op}: a dimension appears twice in {dims}")
    return tuple(axes)


def sum(
    input: Operand, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
) -> Any:
    """Sum over dimensions, all of them by default.

    Raises
    ------
    IndexError
        If a dimension does not exist.

    >>> sum(np.ones((2, 3)), dim=1)
    array([3., 3.])
    """
    return Sum(axes_of("sum", input.ndim, dim, axis), keepdim or keepdims)(input)
