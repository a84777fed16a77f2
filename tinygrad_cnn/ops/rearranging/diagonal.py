"""Triangles and diagonals of matrices: tril, triu, diag, diagonal, diag_embed, trace."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import axis_of, names_operands, shape_of
from tinygrad_cnn.ops.elementwise import copied
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Operand

__all__ = ["diag", "diag_embed", "diagflat", "diagonal", "trace", "tril", "triu"]


class Triangle(Op):
    """Matrices with zeros above the diagonal or, if upper, below it; offset as for `tril`."""

    __slots__ = ("diagonal", "upper")

    def __init__(self, upper: bool, diagonal: int) -> None:
        self.upper = upper
        self.diagonal = diagonal

    def forward(self, x: Any) -> Any:
        return (np.triu if self.upper else np.tril)(x, self.diagonal)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Triangle(self.upper, self.diagonal)(g),)


def _triangle(function: str, input: Operand, diagonal: int, upper: bool) -> Any:
    if len(shape_of(function, input)) < 2:
        raise ValueError(
            f"{function}: expects matrices, at least 2 dimensions, got shape {tuple(input.shape)}"
        )
    return Triangle(upper, operator.index(diagonal))(input)


@names_operands
def tril(input: Operand, diagonal: int = 0) -> Any:
    """Lower triangles of matrices (…, M, N): zeros above a diagonal.

    ``diagonal`` counts from the main one, upwards if positive.

    Raises
    ------
    ValueError
        If the input has fewer than 2 dimensions.

    >>> tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    return _triangle("tril", input, diagonal, upper=False)


@names_operands
def triu(input: Operand, diagonal: int = 0) -> Any:
    """Upper triangles of matrices (…, M, N): zeros below a diagonal; arguments as for `tril`.

    >>> triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    return _triangle("triu", input, diagonal, upper=True)


class Diagonal(Op):
    """Elements where the index of one dimension is another's plus an offset; a view."""

    __slots__ = ("dim1", "dim2", "offset")
    views = True

    def __init__(self, offset: int, dim1: int, dim2: int) -> None:
        self.offset = offset
        self.dim1 = dim1
        self.dim2 = dim2

    def forward(self, x: Any) -> Any:
        found = np.diagonal(x, self.offset, self.dim1, self.dim2)
        if x.flags.writeable:  # NumPy's own answer is not written to
            found.flags.writeable = True
        return found

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (DiagonalEmbed(self.offset, self.dim1, self.dim2, x.shape)(g),)


class DiagonalEmbed(Op):
    """Zeros of a shape with y on a diagonal: the adjoint of `Diagonal`."""

    __slots__ = ("dim1", "dim2", "offset", "shape")

    def __init__(self, offset: int, dim1: int, dim2: int, shape: tuple[int, ...]) -> None:
        self.offset = offset
        self.dim1 = dim1
        self.dim2 = dim2
        self.shape = shape

    def forward(self, y: Any) -> Any:
        x = np.zeros(self.shape, y.dtype)
        moved = np.moveaxis(x, (self.dim1, self.dim2), (-2, -1))
        row, column = max(-self.offset, 0), max(self.offset, 0)
        places = np.arange(y.shape[-1])
        moved[..., row + places, column + places] = y
        return x

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (Diagonal(self.offset, self.dim1, self.dim2)(g),)


def _plane(function: str, ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    first, second = axis_of(function, ndim, dim1), axis_of(function, ndim, dim2)
    if first == second:
        raise ValueError(f"{function}: expects two different dimensions, got {dim1} and {dim2}")
    return first, second


@names_operands
def diagonal(input: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """Elements of the diagonals in the plane of two dimensions, as a new last dimension.

    Parameters
    ----------
    input
        At least 2 dimensions.
    offset
        Which diagonal: 0 is the main one, positive ones lie above it.
    dim1, dim2
        The dimensions of rows and of columns.

    Raises
    ------
    ValueError
        If the dimensions are the same.
    IndexError
        If a dimension does not exist.

    >>> diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 4.])
    """
    ndim = len(shape_of("diagonal", input))
    if ndim < 2:
        raise ValueError(f"diagonal: expects 2 dimensions or more, got {tuple(input.shape)}")
    return Diagonal(operator.index(offset), *_plane("diagonal", ndim, dim1, dim2))(input)


def diag_embed(input: Operand, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last dimension of the input on a diagonal, zeros elsewhere.

    ``dim1`` and ``dim2`` are where rows and columns stand in the result; other arguments and
    errors as for `diagonal`.

    >>> diag_embed(np.array([1.0, 2.0]))
    array([[1., 0.],
           [0., 2.]])
    """
    old = shape_of("diag_embed", input)
    if not old:
        raise ValueError("diag_embed: expects at least one dimension, got a single number")
    first, second = _plane("diag_embed", len(old) + 1, dim1, dim2)
    size = old[-1] + abs(offset)
    shape = list(old[:-1])
    for axis in sorted((first, second)):
        shape.insert(axis, size)
    return DiagonalEmbed(operator.index(offset), first, second, tuple(shape))(input)


def diag(input: Operand, diagonal: int = 0) -> Any:
    """Diagonal of a matrix (M, N), or the square matrix with a vector (K,) on its diagonal.

    Raises
    ------
    ValueError
        If the input is neither a vector nor a matrix.

    >>> diag(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 4.])
    """
    ndim = len(shape_of("diag", input))
    if ndim not in (1, 2):
        raise ValueError(f"diag: expects a vector or a matrix, got shape {tuple(input.shape)}")
    if ndim == 1:
        return diag_embed(input, diagonal)
    return copied(Diagonal(operator.index(diagonal), 0, 1)(input), input)


def diagflat(input: Operand, offset: int = 0) -> Any:
    """Square matrix with all elements, in row-major order, on its diagonal.

    >>> diagflat(np.array([[1.0], [2.0]]))
    array([[1., 0.],
           [0., 2.]])
    """
    return diag_embed(reshape(input, -1), offset)


@names_operands
def trace(input: Operand) -> Any:
    """Sum of the main diagonal of a matrix.

    Raises
    ------
    ValueError
        If the input is not a matrix.

    >>> trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array(5.)
    """
    if len(shape_of("trace", input)) != 2:
        raise ValueError(f"trace: expects a matrix, got shape {tuple(input.shape)}")
    return sum(Diagonal(0, 0, 1)(input))
