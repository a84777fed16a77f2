"""Linear algebra under PyTorch's and NumPy's names: ``from tinygrad_cnn import linalg``.

>>> inv(np.array([[2.0]]))
array([[0.5]])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import axes_of, numpy_words, sizes_of
from tinygrad_cnn.ops.elementwise import div
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.matrices.factors import (
    cholesky,
    eigh,
    eigvalsh,
    pinverse,
    qr,
    svd,
    svdvals,
)
from tinygrad_cnn.ops.matrices.inverse import (
    det,
    inverse,
    matrix_power,
    slogdet,
    solve,
    solve_triangular,
)
from tinygrad_cnn.ops.matrices.norms import matrix_norm, vector_norm
from tinygrad_cnn.ops.matrices.products import chain_matmul, vecdot
from tinygrad_cnn.ops.matrices.products import cross as _cross
from tinygrad_cnn.ops.rearranging.diagonal import diagonal as _diagonal
from tinygrad_cnn.types import Dim, Operand

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]

inv = inverse


def pinv(
    A: Operand,
    rcond: float | None = None,
    hermitian: bool = False,
    *,
    atol: float | None = None,
    rtol: float | None = None,
) -> Any:
    """Pseudoinverse of matrices (Moore and Penrose).

    Parameters
    ----------
    A
        Shape (…, M, N).
    rcond, rtol
        Singular values up to this times the greatest count as 0; the greater size times the
        dtype's precision if neither is given, or 0 if ``atol`` is.
    hermitian
        Taken for PyTorch's sake: symmetric matrices need no other way.
    atol
        Singular values up to this count as 0.

    Raises
    ------
    ValueError
        If A is no matrix.

    >>> pinv(np.array([[2.0], [0.0]]))
    array([[0.5, 0. ]])
    """
    del hermitian
    relative = rcond if rtol is None else rtol
    if relative is None:
        precision = np.finfo(A.dtype).eps if A.dtype.kind == "f" else 1e-7
        relative = 0.0 if atol else max(A.shape[-2:], default=1) * float(precision)
    return pinverse(A, relative, atol=atol or 0.0)


@numpy_words
def norm(
    A: Operand,
    ord: float | str | None = None,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """Norm of vectors or matrices.

    Parameters
    ----------
    A
        Any shape.
    ord
        None for the root of the sum of squares. For one dimension it is as for `vector_norm`, for
        two as for `matrix_norm`; without ``dim`` by A's own.
    dim
        A dimension, two, or None.
    keepdim
        Leave the reduced dimensions in the result with size 1.
    dtype
        That of the result, to which the input is converted first.

    Raises
    ------
    ValueError
        If the order is not known for the number of dimensions.
    IndexError
        If a dimension does not exist.

    >>> norm(np.array([[3.0, 0.0], [0.0, 4.0]]), 2)
    array(4.)
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None and A.ndim not in (1, 2):
        raise ValueError(f"norm: ord={ord!r} of {A.ndim} dimensions expects dim to name them")
    axes = axes_of("norm", A.ndim, dim) if dim is None else sizes_of("norm", (dim,))
    if len(axes) == 2:
        return matrix_norm(A, ord, axes, keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise ValueError(f"norm: ord={ord!r} expects two dimensions, got {dim}")
    return vector_norm(A, ord, axes, keepdim, dtype=dtype)


def multi_dot(tensors: Any) -> Any:
    """Multiply a list of matrices in the cheapest order; the first and last may be vectors.

    Raises
    ------
    ValueError
        If there are fewer than two, or they do not match.

    >>> multi_dot([np.ones(2), np.ones((2, 3)), np.ones(3)])
    array(6.)
    """
    xs = list(tensors)
    if len(xs) < 2:
        raise ValueError(f"multi_dot: expects at least two matrices, got {len(xs)}")
    first, last = xs[0].ndim == 1, xs[-1].ndim == 1
    xs[0] = xs[0].reshape(1, -1) if first else xs[0]
    xs[-1] = xs[-1].reshape(-1, 1) if last else xs[-1]
    found = chain_matmul(*xs)
    shape = found.shape[int(first) : 2 - int(last)]
    return found.reshape(shape) if first or last else found


@numpy_words
def cross(input: Operand, other: Operand, dim: int = -1) -> Any:
    """Vector product of vectors of 3 numbers along a dimension, the last one by default.

    >>> cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    array([0., 0., 1.])
    """
    return _cross(input, other, dim)


def diagonal(A: Operand, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Elements of the diagonals of matrices, as a new last dimension.

    >>> diagonal(np.eye(2))
    array([1., 1.])
    """
    return _diagonal(A, offset, dim1, dim2)


def cond(A: Operand, p: float | str | None = None) -> Any:
    """Condition of matrices: ``norm(A, p) · norm(inv(A), p)``; None and 2 by singular values.

    Raises
    ------
    ValueError
        If a matrix is singular and p is not None, 2 or -2; or if p is not known.

    >>> cond(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array(2.)
    """
    if p in (None, 2, -2):
        values = svdvals(A)
        greatest, least = values[..., 0], values[..., -1]
        return div(least, greatest) if p == -2 else div(greatest, least)
    assert p is not None
    return matrix_norm(A, p) * matrix_norm(inverse(A), p)
